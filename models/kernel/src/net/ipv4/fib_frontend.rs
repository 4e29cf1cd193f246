//! Routes: rtnetlink requests, and the routes of addresses and devices.
//!
//! Kernel: net/ipv4/fib_frontend.c

use std::net::Ipv4Addr;

use crate::ids::{DevId, NetnsId};
use crate::netlink::{Errno, NLM_F_APPEND, NLM_F_CREATE, NlError};
use crate::tables::fib::{Fib, FibInfo};
use crate::tables::fib_trie::{Flow, InsertError, inet_make_mask};
use crate::tables::inet::InIfaddr;
use crate::tables::inet_types::IFA_F_NOPREFIXROUTE;
use crate::tables::route_types::{
    NexthopMsg, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTPROT_KERNEL, RouteMsg, RouteType, Scope, inet_validate_dscp,
};
use crate::{Cx, Kernel};

use super::fib_semantics::{
    Dying, fib_create_info, fib_info_matches, fib_sync_down_addr, fib_sync_down_dev, fib_sync_up,
};

/// Adds, changes or replaces a route (RTM_NEWROUTE, `inet_rtm_newroute`).
///
/// # Errors
///
/// As the kernel's; see [`fib_create_info`], and EEXIST, ENOENT by `flags` (NLM_F_*).
pub fn rtm_newroute(cx: &mut Cx, netns: NetnsId, msg: &RouteMsg, flags: u16) -> Result<(), NlError> {
    inet_validate_dscp(msg.tos)?;
    let mut msg = msg.clone();
    if msg.table == 0 {
        msg.table = RT_TABLE_MAIN;
    }
    cx.k.netns[netns].ipv4.fib.new_table(msg.table);
    fib_valid_key_len(msg.dst, msg.dst_len)?;
    let info = fib_create_info(cx.k, netns, &msg)?;
    let (table, kind) = (msg.table, msg.kind);
    let fib = &mut cx.k.netns[netns].ipv4.fib;
    fib_table_insert(fib, &msg, info, flags)?;
    if kind == RouteType::Local && table != RT_TABLE_LOCAL {
        fib.custom_local_routes = true;
    }
    Ok(())
}

fn fib_table_insert(fib: &mut Fib, msg: &RouteMsg, info: FibInfo, flags: u16) -> Result<(), NlError> {
    let done = fib.insert((msg.dst, msg.dst_len, msg.tos), info, msg.table, flags);
    done.map_err(|error| match error {
        InsertError::Exists => Errno::EEXIST.into(),
        InsertError::NotFound => Errno::ENOENT.into(),
    })
}

fn fib_valid_key_len(key: Ipv4Addr, len: u8) -> Result<(), NlError> {
    if len > 32 {
        return Err(NlError::with(Errno::EINVAL, "Invalid prefix length"));
    }
    if !(key & !inet_make_mask(len)).is_unspecified() {
        return Err(NlError::with(Errno::EINVAL, "Invalid prefix for given prefix length"));
    }
    Ok(())
}

/// Deletes the first route that has all attributes in `msg` (RTM_DELROUTE, `inet_rtm_delroute`).
///
/// # Errors
///
/// ESRCH if there is none, or "FIB table does not exist"; EINVAL for ECN bits in the TOS.
pub fn rtm_delroute(cx: &mut Cx, netns: NetnsId, msg: &RouteMsg) -> Result<(), NlError> {
    inet_validate_dscp(msg.tos)?;
    let table = if msg.table == 0 { RT_TABLE_MAIN } else { msg.table };
    fib_valid_key_len(msg.dst, msg.dst_len)?;
    let fib = &mut cx.k.netns[netns].ipv4.fib;
    if !fib.has_table(table) {
        return Err(NlError::with(Errno::ESRCH, "FIB table does not exist"));
    }
    let gone = fib.remove((msg.dst, msg.dst_len, msg.tos), table, |info| fib_info_matches(info, msg));
    if gone { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

/// All routes of a namespace, as `ip route show table all` lists them.
pub fn dump_routes(k: &Kernel, netns: NetnsId) -> Vec<RouteMsg> {
    let fib = &k.netns[netns].ipv4.fib;
    fib.rows().iter().map(|row| fib.message(row)).collect()
}

/// The type of an address by the local table, and how many tables were searched. A local address of any device is local.
pub fn inet_addr_type(fib: &Fib, address: Ipv4Addr) -> (RouteType, u32) {
    __inet_dev_addr_type(fib, None, address, RT_TABLE_LOCAL)
}

/// The same by another table.
pub fn inet_addr_type_table(fib: &Fib, address: Ipv4Addr, table: u32) -> RouteType {
    __inet_dev_addr_type(fib, None, address, table).0
}

/// The same by the table of the device's L3 master, if it has one.
pub fn inet_addr_type_dev_table(k: &Kernel, dev: DevId, address: Ipv4Addr) -> (RouteType, u32) {
    __inet_dev_addr_type(fib_of(k, dev), None, address, local_table(k, dev))
}

/// The same, but what the table has for another device is unicast.
pub fn inet_dev_addr_type(k: &Kernel, dev: DevId, address: Ipv4Addr) -> RouteType {
    __inet_dev_addr_type(fib_of(k, dev), Some(dev), address, local_table(k, dev)).0
}

fn fib_of(k: &Kernel, dev: DevId) -> &Fib {
    &k.netns[k.devs[dev].netns].ipv4.fib
}

/// Where the local routes of a device are.
fn local_table(k: &Kernel, dev: DevId) -> u32 {
    k.devs.l3mdev_fib_table(dev).unwrap_or(RT_TABLE_LOCAL)
}

fn __inet_dev_addr_type(fib: &Fib, dev: Option<DevId>, address: Ipv4Addr, table: u32) -> (RouteType, u32) {
    use glassnet_wire::ipv4::is_zeronet;
    if is_zeronet(address) || address.is_broadcast() {
        return (RouteType::Broadcast, 0);
    }
    if address.is_multicast() {
        return (RouteType::Multicast, 0);
    }
    if !fib.has_table(table) {
        return (RouteType::Broadcast, 0);
    }
    let flow = Flow { dst: address, ..Flow::default() };
    let kind = match fib.lookup_table(table, &flow) {
        Some(Ok(found)) => {
            let nh = fib.infos.get(found.info).nexthops.get(usize::from(found.nh_sel));
            let on_dev = dev.is_none() || nh.is_some_and(|nh| nh.dev == dev);
            if on_dev { found.kind } else { RouteType::Unicast }
        }
        _ => RouteType::Unicast,
    };
    (kind, 1)
}

/// A route of the kernel's own (`fib_magic`), of a table yet to be chosen.
fn magic(kind: RouteType, dst: Ipv4Addr, dst_len: u8, ifa: &InIfaddr, dev: DevId, priority: u32) -> RouteMsg {
    RouteMsg {
        kind,
        dst,
        dst_len,
        scope: if kind == RouteType::Local { Scope::HOST } else { Scope::LINK },
        protocol: RTPROT_KERNEL,
        priority,
        prefsrc: Some(ifa.local),
        nexthops: vec![NexthopMsg { dev: Some(dev), ..NexthopMsg::default() }],
        ..RouteMsg::default()
    }
}

/// Puts it into the table of its device's L3 master or, without one, into main or local.
fn its_table(k: &Kernel, msg: RouteMsg) -> RouteMsg {
    let l3mdev = msg.nexthops.first().and_then(|nh| nh.dev).and_then(|dev| k.devs.l3mdev_fib_table(dev));
    let own = if msg.kind == RouteType::Unicast { RT_TABLE_MAIN } else { RT_TABLE_LOCAL };
    RouteMsg { table: l3mdev.unwrap_or(own), ..msg }
}

/// Errors are ignored: the route exists, or the device is down.
fn magic_add(cx: &mut Cx, netns: NetnsId, msg: RouteMsg) {
    let msg = &its_table(cx.k, msg);
    if let Ok(info) = fib_create_info(cx.k, netns, msg) {
        let fib = &mut cx.k.netns[netns].ipv4.fib;
        let _refused_as_it_is_there = fib_table_insert(fib, msg, info, NLM_F_CREATE | NLM_F_APPEND);
    }
}

fn magic_del(cx: &mut Cx, netns: NetnsId, msg: RouteMsg) {
    let msg = &its_table(cx.k, msg);
    let fib = &mut cx.k.netns[netns].ipv4.fib;
    fib.remove((msg.dst, msg.dst_len, msg.tos), msg.table, |info| fib_info_matches(info, msg));
}

/// The broadcast address of the subnet; none for /31 and /32.
fn network_broadcast(ifa: &InIfaddr) -> Option<Ipv4Addr> {
    (ifa.prefix_len < 31).then_some(ifa.address & ifa.mask | !ifa.mask)
}

fn prefix_route(cx: &Cx, ifa: &InIfaddr, primary: &InIfaddr, dev: DevId) -> Option<RouteMsg> {
    let prefix = ifa.address & ifa.mask;
    if glassnet_wire::ipv4::is_zeronet(prefix) || ifa.is_secondary() {
        return None;
    }
    if prefix == ifa.local && ifa.prefix_len == 32 {
        return None;
    }
    let kind = if cx.k.devs[dev].is_loopback() { RouteType::Local } else { RouteType::Unicast };
    Some(magic(kind, prefix, ifa.prefix_len, primary, dev, ifa.metric))
}

fn primary_of(cx: &Cx, dev: DevId, ifa: &InIfaddr) -> Option<InIfaddr> {
    if !ifa.is_secondary() {
        return Some(ifa.clone());
    }
    cx.k.inet.get(dev)?.by_prefix(ifa.local & ifa.mask, ifa.mask).cloned()
}

/// Adds the routes of an address: local, broadcast, connected (`fib_add_ifaddr`).
pub fn fib_add_ifaddr(cx: &mut Cx, netns: NetnsId, dev: DevId, ifa: &InIfaddr) {
    let Some(primary) = primary_of(cx, dev, ifa) else { return };
    magic_add(cx, netns, magic(RouteType::Local, ifa.local, 32, &primary, dev, 0));
    if !cx.k.devs[dev].is_up() {
        return;
    }
    if !ifa.broadcast.is_unspecified() && !ifa.broadcast.is_broadcast() {
        magic_add(cx, netns, magic(RouteType::Broadcast, ifa.broadcast, 32, &primary, dev, 0));
    }
    if let Some(route) = prefix_route(cx, ifa, &primary, dev) {
        if ifa.flags & IFA_F_NOPREFIXROUTE == 0 {
            magic_add(cx, netns, route);
        }
        if let Some(broadcast) = network_broadcast(ifa) {
            magic_add(cx, netns, magic(RouteType::Broadcast, broadcast, 32, &primary, dev, 0));
        }
    }
}

/// Deletes the routes of an address that no other address needs (`fib_del_ifaddr`). The address is no longer in the
/// list.
pub fn fib_del_ifaddr(cx: &mut Cx, netns: NetnsId, dev: DevId, ifa: &InIfaddr) {
    let Some(primary) = primary_of(cx, dev, ifa) else { return };
    let subnet = prefix_route(cx, ifa, &primary, dev);
    if let Some(route) = &subnet
        && ifa.flags & IFA_F_NOPREFIXROUTE == 0
    {
        magic_del(cx, netns, route.clone());
    }
    let others = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.addrs.clone());
    let needed = |broadcast: Ipv4Addr| {
        others.iter().any(|other| {
            other.broadcast == broadcast
                || !other.is_secondary() && network_broadcast(other) == Some(broadcast)
        })
    };
    if !ifa.broadcast.is_unspecified() && !needed(ifa.broadcast) {
        magic_del(cx, netns, magic(RouteType::Broadcast, ifa.broadcast, 32, &primary, dev, 0));
    }
    if let Some(broadcast) = network_broadcast(ifa).filter(|_| subnet.is_some())
        && !needed(broadcast)
    {
        magic_del(cx, netns, magic(RouteType::Broadcast, broadcast, 32, &primary, dev, 0));
    }
    if others.iter().any(|other| other.local == ifa.local) {
        return;
    }
    magic_del(cx, netns, magic(RouteType::Local, ifa.local, 32, &primary, dev, 0));
    if inet_addr_type_dev_table(cx.k, dev, ifa.local).0 != RouteType::Local {
        let table = cx.k.devs.l3mdev_fib_table(dev).unwrap_or(RT_TABLE_MAIN);
        let fib = &mut cx.k.netns[netns].ipv4.fib;
        if fib_sync_down_addr(fib, ifa.local, table) {
            fib.flush_dead();
        }
    }
}

/// Deletes or disables the routes of a device (`fib_disable_ip`).
pub fn fib_disable_ip(cx: &mut Cx, netns: NetnsId, dev: DevId, why: Dying) {
    let ipv4 = &mut cx.k.netns[netns].ipv4;
    if fib_sync_down_dev(&mut ipv4.fib, dev, why) {
        ipv4.fib.flush_dead();
    }
    ipv4.exceptions.clear();
    super::arp::arp_ifdown(cx, dev);
}

/// Adds the routes of a device's addresses when it comes up (`fib_netdev_event`, NETDEV_UP).
pub fn fib_netdev_up(cx: &mut Cx, netns: NetnsId, dev: DevId) {
    let addrs = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.addrs.clone());
    for ifa in &addrs {
        fib_add_ifaddr(cx, netns, dev, ifa);
    }
    let carries = cx.k.devs[dev].carries();
    fib_sync_up(&mut cx.k.netns[netns].ipv4.fib, dev, carries);
}
