//! Checks of routes and next hops, and their state after device and address events.
//!
//! Kernel: net/ipv4/fib_semantics.c

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::ids::{DevId, NetnsId};
use crate::net::core::neighbour::neigh_lookup;
use crate::netlink::{Errno, NlError};
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::fib::{Fib, FibInfo, FibNh, Searched};
use crate::tables::fib_trie::{FibResult, Flow};
use crate::tables::inet::or_conf;
use crate::tables::inet_conf::Conf;
use crate::tables::ip_tunnel::IpTunnelInfo;
use crate::tables::route_types::{
    NexthopMsg, RT_TABLE_MAIN, RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTNH_F_PERVASIVE, RouteMsg,
    RouteType, Scope,
};
use crate::tables::sysctl::Setting;
use crate::{Cx, Kernel};

use super::fib_frontend::{inet_addr_type, inet_addr_type_dev_table};
use super::fib_rules::fib_rules_lookup;

static FIB_MULTIPATH_USE_NEIGH: Setting = Setting::new("fib_multipath_use_neigh", 0);

/// Whether multipath routes pass over gateways that do not answer.
pub static SYSCTLS: SysctlTable =
    SysctlTable::new("net/ipv4", &[Sysctl::net(&FIB_MULTIPATH_USE_NEIGH).range(0, 1)]);

fn invalid(text: &'static str) -> NlError {
    NlError::with(Errno::EINVAL, text)
}

/// The widest scope that a route of this type may have (`fib_props`).
fn scope_of(kind: RouteType) -> Scope {
    match kind {
        RouteType::Unspec => Scope::NOWHERE,
        RouteType::Local => Scope::HOST,
        RouteType::Broadcast | RouteType::Anycast => Scope::LINK,
        _ => Scope::UNIVERSE,
    }
}

/// Checks a route and creates its `fib_info` (`fib_create_info`).
///
/// # Errors
///
/// The kernel's: invalid scope, unreachable next hop, device down, …
pub fn fib_create_info(k: &Kernel, netns: NetnsId, msg: &RouteMsg) -> Result<FibInfo, NlError> {
    if scope_of(msg.kind) > msg.scope {
        return Err(invalid("Invalid scope"));
    }
    if msg.nexthops.iter().any(|nh| nh.flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN) != 0) {
        return Err(invalid("Invalid rtm_flags - can not contain DEAD or LINKDOWN"));
    }
    let mut info = FibInfo {
        nexthops: Vec::new(),
        table: msg.table,
        priority: msg.priority,
        prefsrc: msg.prefsrc.unwrap_or(Ipv4Addr::UNSPECIFIED),
        scope: msg.scope,
        kind: msg.kind,
        protocol: msg.protocol,
        flags: 0,
        metrics: msg.metrics,
    };
    if !msg.kind.has_nexthop() {
        if msg.nexthops.iter().any(|nh| nh.dev.is_some() || nh.via.is_some()) {
            return Err(invalid("Gateway, device and multipath can not be specified for this route type"));
        }
        return Ok(info);
    }
    if msg.scope > Scope::HOST {
        return Err(invalid("Invalid scope"));
    }
    info.nexthops = if msg.scope == Scope::HOST {
        vec![host_nexthop(k, netns, msg)?]
    } else {
        let unspecified = [NexthopMsg::default()];
        let asked = if msg.nexthops.is_empty() { &unspecified[..] } else { &msg.nexthops };
        asked.iter().map(|nh| fib_check_nh(k, netns, msg, nh)).collect::<Result<_, _>>()?
    };
    if !info.prefsrc.is_unspecified() && !fib_valid_prefsrc(k, netns, msg, info.prefsrc) {
        return Err(invalid("Invalid prefsrc address"));
    }
    info.summarise();
    Ok(info)
}

fn host_nexthop(k: &Kernel, netns: NetnsId, msg: &RouteMsg) -> Result<FibNh, NlError> {
    let nh = match &msg.nexthops[..] {
        [] => NexthopMsg::default(),
        [one] => *one,
        _ => return Err(invalid("Route with host scope can not have multiple nexthops")),
    };
    if nh.via.is_some() {
        return Err(invalid("Route with host scope can not have a gateway"));
    }
    let dev = nh.dev.filter(|dev| k.devs.get(*dev).is_some_and(|dev| dev.netns == netns));
    let dev = dev.ok_or(NlError::from(Errno::ENODEV))?;
    Ok(nexthop(k, &nh, dev, Ipv4Addr::UNSPECIFIED, Scope::NOWHERE))
}

fn nexthop(k: &Kernel, nh: &NexthopMsg, dev: DevId, gateway: Ipv4Addr, scope: Scope) -> FibNh {
    let ignore = ignores_linkdown(k, dev);
    // A local route needs no carrier.
    let dark = scope != Scope::NOWHERE && !k.devs[dev].carrier;
    let linkdown = if dark { RTNH_F_LINKDOWN } else { 0 };
    FibNh {
        dev: Some(dev),
        gateway,
        flags: nh.flags | linkdown,
        weight: nh.weight.max(1),
        scope,
        ignore_linkdown: ignore,
        upper_bound: 0,
        lwtstate: nh.encap.map(|key| Arc::new(IpTunnelInfo::to_send(key))),
    }
}

fn fib_check_nh(k: &Kernel, netns: NetnsId, msg: &RouteMsg, nh: &NexthopMsg) -> Result<FibNh, NlError> {
    match nh.via.filter(|via| !via.is_unspecified()) {
        None => fib_check_nh_nongw(k, nh),
        Some(gateway) if nh.flags & RTNH_F_ONLINK != 0 => fib_check_nh_onlink(k, msg, nh, gateway),
        Some(gateway) => fib_check_nh_gw(k, netns, msg, nh, gateway),
    }
}

fn fib_check_nh_nongw(k: &Kernel, nh: &NexthopMsg) -> Result<FibNh, NlError> {
    if nh.flags & (RTNH_F_PERVASIVE | RTNH_F_ONLINK) != 0 {
        return Err(invalid("Invalid flags for nexthop - PERVASIVE and ONLINK can not be set"));
    }
    let dev = nh.dev.filter(|dev| k.inet.get(*dev).is_some()).ok_or(NlError::from(Errno::ENODEV))?;
    if !k.devs[dev].is_up() {
        return Err(NlError::with(Errno::ENETDOWN, "Device for nexthop is not up"));
    }
    Ok(nexthop(k, nh, dev, Ipv4Addr::UNSPECIFIED, Scope::HOST))
}

fn fib_check_nh_onlink(
    k: &Kernel,
    msg: &RouteMsg,
    nh: &NexthopMsg,
    gateway: Ipv4Addr,
) -> Result<FibNh, NlError> {
    if msg.scope >= Scope::LINK {
        return Err(invalid("Nexthop has invalid scope"));
    }
    let required = NlError::with(Errno::ENODEV, "Nexthop device required for onlink");
    let dev = nh.dev.filter(|dev| k.devs.get(*dev).is_some()).ok_or(required)?;
    if !k.devs[dev].is_up() {
        return Err(NlError::with(Errno::ENETDOWN, "Nexthop device is not up"));
    }
    if inet_addr_type_dev_table(k, dev, gateway).0 != RouteType::Unicast {
        return Err(invalid("Nexthop has invalid gateway"));
    }
    Ok(nexthop(k, nh, dev, gateway, Scope::LINK))
}

/// The gateway must be reachable by a route of a narrower scope, which also gives the device.
fn fib_check_nh_gw(
    k: &Kernel,
    netns: NetnsId,
    msg: &RouteMsg,
    nh: &NexthopMsg,
    gateway: Ipv4Addr,
) -> Result<FibNh, NlError> {
    const BAD: &str = "Nexthop has invalid gateway";
    let fib = &k.netns[netns].ipv4.fib;
    let flow = Flow {
        dst: gateway,
        oif: nh.dev,
        iif: Some(k.netns[netns].loopback),
        scope: Scope((msg.scope.0 + 1).max(Scope::LINK.0)),
        ignore_linkstate: true,
        ..Flow::default()
    };
    // For a route of another table than main, the gateway is first looked up in that table.
    let in_table = match fib.lookup_table(msg.table, &flow) {
        Some(Ok(found)) if msg.table != RT_TABLE_MAIN => Some(found),
        _ => None,
    };
    let found: FibResult = match in_table {
        Some(found) => found,
        None => fib_rules_lookup(k, netns, &flow, &mut Searched::default())
            .map_err(|none| NlError::with(none.errno(), BAD))?,
    };
    if !matches!(found.kind, RouteType::Unicast | RouteType::Local) {
        return Err(invalid(BAD));
    }
    let dev = fib.infos.get(found.info).nexthops[usize::from(found.nh_sel)].dev;
    let dev = dev.ok_or(NlError::with(Errno::ENODEV, "No egress device for nexthop gateway"))?;
    if !k.devs[dev].is_up() {
        return Err(Errno::ENETDOWN.into());
    }
    Ok(nexthop(k, nh, dev, gateway, found.scope))
}

fn fib_valid_prefsrc(k: &Kernel, netns: NetnsId, msg: &RouteMsg, prefsrc: Ipv4Addr) -> bool {
    if msg.kind == RouteType::Local && msg.dst_len == 32 && msg.dst == prefsrc {
        return true;
    }
    let fib = &k.netns[netns].ipv4.fib;
    let own_table = fib.lookup_table(msg.table, &Flow { dst: prefsrc, ..Flow::default() });
    let in_own = matches!(own_table, Some(Ok(found)) if found.kind == RouteType::Local);
    in_own && msg.table != RT_TABLE_MAIN || inet_addr_type(fib, prefsrc).0 == RouteType::Local
}

/// The route has the attributes of a delete request (`fib_nh_match` and the checks around it).
pub fn fib_info_matches(info: &FibInfo, msg: &RouteMsg) -> bool {
    let nexthops = match &msg.nexthops[..] {
        [] => true,
        [one] => info.nexthops.first().is_some_and(|nh| nh_matches(nh, one)) || one.is_any(),
        many => {
            info.nexthops.len() == many.len()
                && info
                    .nexthops
                    .iter()
                    .zip(many)
                    .all(|(nh, asked)| nh_matches(nh, asked) && nh.weight == asked.weight.max(1))
        }
    };
    let metrics = msg.metrics.0.iter().zip(&info.metrics.0).all(|(asked, own)| *asked == 0 || asked == own);
    nexthops
        && metrics
        && (msg.kind == RouteType::Unspec || info.kind == msg.kind)
        && (msg.scope == Scope::NOWHERE || info.scope == msg.scope)
        && msg.prefsrc.is_none_or(|prefsrc| info.prefsrc == prefsrc)
        && (msg.protocol == 0 || info.protocol == msg.protocol)
        && (msg.priority == 0 || info.priority == msg.priority)
}

fn nh_matches(nh: &FibNh, asked: &NexthopMsg) -> bool {
    (asked.dev.is_none() || asked.dev == nh.dev)
        && asked.via.is_none_or(|via| nh.gateway == via)
        && asked.encap.is_none_or(|key| nh.lwtstate.as_ref().is_some_and(|state| state.key == key))
}

impl NexthopMsg {
    fn is_any(&self) -> bool {
        self.dev.is_none() && self.via.is_none() && self.encap.is_none()
    }
}

/// Why a device's next hops die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dying {
    /// The device goes down.
    Down,
    /// It lost its last address.
    NoAddress,
    /// It is unregistered.
    Unregistered,
}

/// Marks the next hops of a device dead; a route over several goes with a device that is unregistered. True if a route
/// has no next hop left (`fib_sync_down_dev`).
pub fn fib_sync_down_dev(fib: &mut Fib, dev: DevId, why: Dying) -> bool {
    let mut dead = false;
    fib.infos.for_each(|info| {
        let goes = why == Dying::Unregistered && info.nexthops.iter().any(|nh| nh.dev == Some(dev));
        for nh in &mut info.nexthops {
            // Local routes are deleted with their address only.
            if goes || nh.dev == Some(dev) && (why != Dying::Down || nh.scope != Scope::NOWHERE) {
                nh.flags |= RTNH_F_DEAD | RTNH_F_LINKDOWN;
            }
        }
        info.summarise();
        dead |= info.flags & RTNH_F_DEAD != 0;
    });
    dead
}

/// Sets or clears RTNH_F_LINKDOWN when the state of a device changes.
pub fn fib_sync_carrier(fib: &mut Fib, dev: DevId, carries: bool) {
    fib.infos.for_each(|info| {
        for nh in info.nexthops.iter_mut().filter(|nh| nh.dev == Some(dev)) {
            match carries {
                true => nh.flags &= !RTNH_F_LINKDOWN,
                false if nh.scope != Scope::NOWHERE => nh.flags |= RTNH_F_LINKDOWN,
                false => {}
            }
        }
        info.summarise();
    });
    fib.generation += 1;
}

/// Revives the next hops of a device in multipath routes when it comes up (`fib_sync_up`).
pub fn fib_sync_up(fib: &mut Fib, dev: DevId, carries: bool) {
    let clear = if carries { RTNH_F_DEAD | RTNH_F_LINKDOWN } else { RTNH_F_DEAD };
    fib.infos.for_each(|info| {
        for nh in info.nexthops.iter_mut().filter(|nh| nh.dev == Some(dev)) {
            nh.flags &= !clear;
        }
        info.summarise();
    });
    fib.generation += 1;
}

/// `ignore_routes_with_linkdown` of the device or of all (`ip_ignore_linkdown`).
fn ignores_linkdown(k: &Kernel, dev: DevId) -> bool {
    let all = &k.netns[k.devs[dev].netns].ipv4.conf_all;
    k.inet.get(dev).is_some_and(|inet| or_conf(inet, all, Conf::IgnoreRoutesWithLinkdown))
}

/// `ignore_routes_with_linkdown` changed.
pub fn fib_ignore_linkdown(cx: &mut Cx, netns: NetnsId) {
    let devs = cx.k.netns[netns].devs.values().copied();
    let ignoring: Vec<DevId> = devs.filter(|dev| ignores_linkdown(cx.k, *dev)).collect();
    cx.k.netns[netns].ipv4.fib.infos.for_each(|info| {
        for nh in &mut info.nexthops {
            nh.ignore_linkdown = nh.dev.is_some_and(|dev| ignoring.contains(&dev));
        }
        info.rebalance();
    });
}

/// An address went: routes that prefer it as their source are dead (`fib_sync_down_addr`).
pub fn fib_sync_down_addr(fib: &mut Fib, local: Ipv4Addr, table: u32) -> bool {
    let mut dead = false;
    fib.infos.for_each(|info| {
        if info.prefsrc == local && info.table == table {
            info.flags |= RTNH_F_DEAD;
            dead = true;
        }
    });
    dead
}

/// The first address of a device fit as a source for `dst`, or one of another device (`inet_select_addr`,
/// net/ipv4/devinet.c).
pub fn inet_select_addr(k: &Kernel, dev: DevId, dst: Ipv4Addr, scope: Scope) -> Ipv4Addr {
    let Some(netns) = k.devs.get(dev).map(|netdev| netdev.netns) else { return Ipv4Addr::UNSPECIFIED };
    let all = &k.netns[netns].ipv4.conf_all;
    if let Some(found) = k.inet.get(dev).and_then(|inet| inet.select_addr(dst, scope, all)) {
        return found;
    }
    let usable = |other: &DevId| {
        let inet = k.inet.get(*other)?;
        let fits = |scope_of: Scope| scope_of != Scope::LINK && scope_of <= scope;
        inet.addrs.iter().find(|ifa| !ifa.is_secondary() && fits(ifa.scope)).map(|ifa| ifa.local)
    };
    // An L3 master is to its devices what `lo` is to the others, but its addresses are preferred.
    let master = k.devs.l3mdev_master(dev);
    let alike = |other: &&DevId| k.devs.l3mdev_master(**other) == master;
    let found = master.and_then(|master| usable(&master));
    found
        .or_else(|| k.netns[netns].devs.values().filter(alike).find_map(usable))
        .unwrap_or(Ipv4Addr::UNSPECIFIED)
}

/// The source address of locally generated packets of a route (`fib_result_prefsrc`).
pub fn fib_result_prefsrc(k: &Kernel, netns: NetnsId, found: &FibResult) -> Ipv4Addr {
    let info = k.netns[netns].ipv4.fib.infos.get(found.info);
    if !info.prefsrc.is_unspecified() {
        return info.prefsrc;
    }
    let Some(nh) = info.nexthops.get(usize::from(found.nh_sel)) else { return Ipv4Addr::UNSPECIFIED };
    nh.dev.map_or(Ipv4Addr::UNSPECIFIED, |dev| inet_select_addr(k, dev, nh.gateway, info.scope))
}

/// Chooses among the next hops of a route by a 31-bit hash (`fib_select_multipath`). With `fib_multipath_use_neigh`, one whose
/// neighbour is known not to answer is passed over.
pub fn fib_select_multipath(k: &Kernel, netns: NetnsId, info: &FibInfo, hash: u32) -> u16 {
    let use_neigh = k.netns[netns].sysctls.get(&FIB_MULTIPATH_USE_NEIGH) != 0;
    let is_good = |nh: &FibNh| !use_neigh || fib_good_nh(k, nh);
    let wanted = |nh: &FibNh| is_good(nh) && nh.upper_bound >= 0 && hash as i32 <= nh.upper_bound;
    let found = info.nexthops.iter().position(wanted);
    // The first good one takes what is beyond the last one's bound.
    found.or_else(|| info.nexthops.iter().position(is_good)).unwrap_or(0) as u16
}

/// The gateway is not known to be away (`fib_good_nh`).
fn fib_good_nh(k: &Kernel, nh: &FibNh) -> bool {
    let gateway = nh.dev.filter(|_| nh.scope == Scope::LINK).and_then(|dev| neigh_lookup(k, dev, nh.gateway));
    gateway.and_then(|id| k.neigh.get(id)).is_none_or(|entry| entry.nud.valid())
}
