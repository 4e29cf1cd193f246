//! Routing of received and of locally generated packets.
//!
//! Kernel: net/ipv4/route.c

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::{IPPROTO_IGMP, IPV4_HLEN, is_local_multicast, is_zeronet};

use super::fib_frontend::inet_addr_type;
use super::fib_rules::fib_lookup;
use super::fib_semantics::{fib_result_prefsrc, fib_select_multipath, inet_select_addr};
use super::ip_input::ip_hdr;
use super::route_multipath::{input_hash, output_hash};
use crate::door::Func;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::core::skbuff::skb_dst_set;
use crate::netlink::Errno;
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::fib_trie::{FibResult, Flow};
use crate::tables::inet::{InDevice, max_conf, or_conf};
use crate::tables::inet_conf::Conf;
use crate::tables::ipv4::Ipv4Netns;
use crate::tables::route::{
    DstInput, FlowOut, KeptRoute, RTCF_BROADCAST, RTCF_DOREDIRECT, RTCF_LOCAL, RTCF_MULTICAST,
    RTCF_REDIRECTED, RouteKey, Rtable,
};
use crate::tables::route_types::{RTAX_ADVMSS, RTNH_F_DEAD, RouteType, Scope};
use crate::tables::sysctl::Setting;
use crate::{Cx, Kernel};

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::tcp::TCP_HLEN;

/// The bits of TOS that routing looks at (`IPTOS_RT_MASK`).
pub const IPTOS_RT_MASK: u8 = 0x1c;

static IP_FORWARD_USE_PMTU: Setting = Setting::new("ip_forward_use_pmtu", 0);

/// Sysctls of routing.
pub static SYSCTLS: SysctlTable =
    SysctlTable::new("net/ipv4", &[Sysctl::net(&IP_FORWARD_USE_PMTU).range(0, 1)]);

/// Why a received packet is a martian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Martian {
    /// Invalid addresses (EINVAL).
    Address,
    /// Reverse path filter (EXDEV).
    RpFilter,
}

/// The lookup key of a received packet.
#[derive(Clone, Copy, Debug)]
struct InputKey {
    daddr: Ipv4Addr,
    saddr: Ipv4Addr,
    tos: u8,
    dev: DevId,
    netns: NetnsId,
    skb: SkbId,
    /// A multipath route was chosen by more than this key.
    several: bool,
}

/// IPv4 state of a device, and of its namespace.
pub fn in_dev<'a>(cx: &'a Cx, dev: DevId) -> Option<(&'a InDevice, &'a Ipv4Netns)> {
    let ipv4 = &cx.k.netns[cx.k.devs[dev].netns].ipv4;
    cx.k.inet.get(dev).map(|inet| (inet, ipv4))
}

/// Routes a packet that was received by `dev` and sets its `dst`.
///
/// # Errors
///
/// [`Martian`]: the packet is dropped without an ICMP error. Without a route the result is [`DstInput::Error`], not an
/// error.
pub fn ip_route_input_noref(
    cx: &mut Cx,
    skb: SkbId,
    daddr: Ipv4Addr,
    saddr: Ipv4Addr,
    tos: u8,
    dev: DevId,
) -> Result<(), Martian> {
    cx.within(Func::IpRouteInputNoref, skb, |cx| {
        let netns = cx.k.devs[dev].netns;
        let mut key = InputKey { daddr, saddr, tos: tos & IPTOS_RT_MASK, dev, netns, skb, several: false };
        if daddr.is_multicast() {
            let route = ip_route_input_mc(cx, &key)?;
            skb_dst_set(cx, skb, route);
            return Ok(());
        }
        if cx.observed || cx.skbs[skb].protocol != ETH_P_IP {
            let route = ip_route_input_slow(cx, &mut key)?;
            skb_dst_set(cx, skb, route);
            return Ok(());
        }
        let memo_key = RouteKey { daddr, saddr, dev: dev.0, mark: cx.skbs[skb].mark, tos: key.tos };
        if remembered(cx, skb, netns, &memo_key) {
            return Ok(());
        }
        let before = cx.now;
        let route = ip_route_input_slow(cx, &mut key)?;
        let cost = cx.now.since(before).0 as u32;
        let ipv4 = &mut cx.k.netns[netns].ipv4;
        let generation = ipv4.fib.generation;
        // Routes with an exception expire, so they are not cached.
        let lasts = matches!(route.kind, RouteType::Unicast | RouteType::Local);
        if lasts && ipv4.exceptions.is_empty() && !key.several {
            ipv4.memo.put(memo_key, generation, route, cost);
        }
        skb_dst_set(cx, skb, route);
        Ok(())
    })
}

/// Uses the cached route and neighbour of an equal packet.
#[inline]
fn remembered(cx: &mut Cx, skb: SkbId, netns: NetnsId, key: &RouteKey) -> bool {
    let ipv4 = &mut cx.k.netns[netns].ipv4;
    let Some((route, cost)) = ipv4.memo.get(key, ipv4.fib.generation) else { return false };
    if route.neigh.is_none() && route.input == DstInput::Forward {
        let next_hop = if !route.gateway.is_unspecified() { route.gateway } else { key.daddr };
        route.neigh = cx.k.neigh.lookup(route.dev, next_hop);
    }
    let route = *route;
    cx.now.0 += u64::from(cost);
    skb_dst_set(cx, skb, route);
    true
}

/// A route to this machine, by `lo` or the L3 master of the device that the route was found with (`ip_rt_get_dev`).
fn local_route(cx: &Cx, netns: NetnsId, found: Option<&FibResult>, kind: RouteType, flags: u32) -> Rtable {
    let master = found.and_then(|found| cx.k.devs.l3mdev_master(fib_res_dev(cx, netns, found)?));
    Rtable {
        dev: master.unwrap_or(cx.k.netns[netns].loopback),
        gateway: Ipv4Addr::UNSPECIFIED,
        flags,
        mtu: 0,
        kind,
        input: DstInput::LocalDeliver,
        info: None,
        mtu_locked: false,
        mc_output: false,
        neigh: None,
    }
}

/// Multicast: accepted if the device is a member of the group.
fn ip_route_input_mc(cx: &mut Cx, key: &InputKey) -> Result<Rtable, Martian> {
    let (inet, ipv4) = in_dev(cx, key.dev).ok_or(Martian::Address)?;
    if !inet.listens(key.daddr) {
        return Err(Martian::Address);
    }
    let localnet = or_conf(inet, &ipv4.conf_all, Conf::RouteLocalnet);
    let protocol = ip_hdr(cx, key.skb).map_or(0, |iph| iph.protocol);
    let source = key.saddr;
    if source.is_multicast()
        || source.is_broadcast()
        || cx.skbs[key.skb].protocol != ETH_P_IP
        || source.is_loopback() && !localnet
    {
        return Err(Martian::Address);
    }
    if is_zeronet(source) {
        if !is_local_multicast(key.daddr) && protocol != IPPROTO_IGMP {
            return Err(Martian::Address);
        }
    } else {
        fib_validate_source(cx, key, Ipv4Addr::UNSPECIFIED, None)?;
    }
    Ok(local_route(cx, key.netns, None, RouteType::Multicast, RTCF_MULTICAST | RTCF_LOCAL))
}

/// Kernel: `ip_route_input_slow`
fn ip_route_input_slow(cx: &mut Cx, key: &mut InputKey) -> Result<Rtable, Martian> {
    cx.within(Func::IpRouteInputSlow, key.skb, |cx| {
        let (inet, ipv4) = in_dev(cx, key.dev).ok_or(Martian::Address)?;
        let (daddr, saddr) = (key.daddr, key.saddr);
        if saddr.is_multicast() || saddr.is_broadcast() {
            return Err(Martian::Address);
        }
        if daddr.is_broadcast() || saddr.is_unspecified() && daddr.is_unspecified() {
            return broadcast_input(cx, key, None);
        }
        if is_zeronet(saddr) || is_zeronet(daddr) {
            return Err(Martian::Address);
        }
        if (daddr.is_loopback() || saddr.is_loopback()) && !or_conf(inet, &ipv4.conf_all, Conf::RouteLocalnet)
        {
            return Err(Martian::Address);
        }
        let forwarding = inet.conf.get(Conf::Forwarding) != 0;
        let flow = Flow {
            dst: daddr,
            src: saddr,
            iif: Some(key.dev),
            mark: cx.skbs[key.skb].mark,
            tos: key.tos,
            ..Flow::default()
        };
        let found = match fib_lookup(cx, key.netns, &flow, Some(key.skb)) {
            Ok(found) => found,
            Err(none) => {
                let errno = if forwarding { none.errno() } else { Errno::EHOSTUNREACH };
                return Ok(no_route(cx, key.netns, errno));
            }
        };
        match found.kind {
            RouteType::Broadcast => broadcast_input(cx, key, Some(&found)),
            RouteType::Local => {
                fib_validate_source(cx, key, daddr, None)?;
                Ok(local_route(cx, key.netns, Some(&found), RouteType::Local, RTCF_LOCAL))
            }
            _ if !forwarding => Ok(no_route(cx, key.netns, Errno::EHOSTUNREACH)),
            RouteType::Unicast => mkroute_input(cx, key, &found),
            _ => Err(Martian::Address),
        }
    })
}

fn no_route(cx: &Cx, netns: NetnsId, errno: Errno) -> Rtable {
    let mut route = local_route(cx, netns, None, RouteType::Unreachable, 0);
    route.input = DstInput::Error(errno);
    route
}

fn broadcast_input(cx: &mut Cx, key: &InputKey, found: Option<&FibResult>) -> Result<Rtable, Martian> {
    if cx.skbs[key.skb].protocol != ETH_P_IP {
        return Err(Martian::Address);
    }
    if !is_zeronet(key.saddr) {
        fib_validate_source(cx, key, Ipv4Addr::UNSPECIFIED, None)?;
    }
    Ok(local_route(cx, key.netns, found, RouteType::Broadcast, RTCF_BROADCAST | RTCF_LOCAL))
}

/// Creates the route of a forwarded packet (`ip_mkroute_input`, `__mkroute_input`).
fn mkroute_input(cx: &mut Cx, key: &mut InputKey, found: &FibResult) -> Result<Rtable, Martian> {
    key.several = cx.k.netns[key.netns].ipv4.fib.infos.get(found.info).nexthops.len() > 1;
    let hash = if key.several { Some(input_hash(cx, key.skb, (key.saddr, key.daddr))) } else { None };
    let ipv4 = &cx.k.netns[key.netns].ipv4;
    let info = ipv4.fib.infos.get(found.info);
    let select = hash.map_or(found.nh_sel, |hash| fib_select_multipath(cx.k, key.netns, info, hash));
    let nh = &info.nexthops[usize::from(select)];
    let out = nh.dev.ok_or(Martian::Address)?;
    let mut mtu = info.metrics.mtu();
    let mut mtu_locked = info.metrics.mtu_locked();
    let mut gateway = if nh.scope == Scope::LINK { nh.gateway } else { Ipv4Addr::UNSPECIFIED };
    let (mut flags, has_lwtstate) = (0, nh.lwtstate.is_some());
    if let Some(exception) = ipv4.exceptions.find(out, key.daddr, cx.now) {
        if !exception.gateway.is_unspecified() {
            gateway = exception.gateway;
            flags |= RTCF_REDIRECTED;
        }
        if exception.pmtu != 0
            && (exception.locked || cx.k.netns[key.netns].sysctls.get(&IP_FORWARD_USE_PMTU) != 0)
        {
            (mtu, mtu_locked) = (exception.pmtu, mtu_locked || exception.locked);
        }
    }
    let direct = fib_validate_source(cx, key, key.daddr, Some(out))?;
    if out == key.dev {
        flags |= same_device(cx, key, direct, gateway)?;
    }
    let mut route = Rtable {
        dev: out,
        gateway,
        flags,
        mtu,
        kind: RouteType::Unicast,
        input: DstInput::Forward,
        info: Some(found.info),
        mtu_locked,
        mc_output: false,
        neigh: None,
    };
    if has_lwtstate {
        route.set_lwt_nexthop(select);
    }
    Ok(route)
}

/// A packet that would leave where it came in: its sender may deserve a redirect.
fn same_device(cx: &Cx, key: &InputKey, direct: bool, gateway: Ipv4Addr) -> Result<u32, Martian> {
    let (inet, ipv4) = in_dev(cx, key.dev).ok_or(Martian::Address)?;
    if cx.skbs[key.skb].protocol != ETH_P_IP {
        // Without private VLANs, no proxy ARP for what is routed back.
        let pvlan = inet.conf.get(Conf::ProxyArpPvlan) != 0;
        return if pvlan { Ok(0) } else { Err(Martian::Address) };
    }
    let tells = direct
        && or_conf(inet, &ipv4.conf_all, Conf::SendRedirects)
        && (or_conf(inet, &ipv4.conf_all, Conf::SharedMedia) || inet.onlink(key.saddr, gateway));
    Ok(if tells { RTCF_DOREDIRECT } else { 0 })
}

/// Checks that a packet may come from where it says (`rp_filter`, own addresses). True if its sender is on the link.
///
/// Kernel: `fib_validate_source`, net/ipv4/fib_frontend.c
fn fib_validate_source(
    cx: &mut Cx,
    key: &InputKey,
    dst: Ipv4Addr,
    out: Option<DevId>,
) -> Result<bool, Martian> {
    cx.within(Func::FibValidateSource, key.skb, |cx| {
        let (inet, ipv4) = in_dev(cx, key.dev).ok_or(Martian::Address)?;
        let all = &ipv4.conf_all;
        let rpf = max_conf(inet, all, Conf::RpFilter);
        let accept_local = || or_conf(inet, all, Conf::AcceptLocal);
        let may_redirect = out == Some(key.dev) && or_conf(inet, all, Conf::SendRedirects);
        if rpf == 0 && !may_redirect {
            if accept_local() {
                return Ok(false);
            }
            if !ipv4.fib.custom_local_routes && !ipv4.fib.rules.custom {
                return if ipv4.is_own(key.saddr) { Err(Martian::Address) } else { Ok(false) };
            }
        }
        full_check(cx, key, dst, out, rpf)
    })
}

/// Asks the tables for the way back (`__fib_validate_source`).
fn full_check(
    cx: &mut Cx,
    key: &InputKey,
    dst: Ipv4Addr,
    out: Option<DevId>,
    rpf: i32,
) -> Result<bool, Martian> {
    let (inet, ipv4) = in_dev(cx, key.dev).ok_or(Martian::Address)?;
    let accept_local = or_conf(inet, &ipv4.conf_all, Conf::AcceptLocal);
    let marked = or_conf(inet, &ipv4.conf_all, Conf::SrcValidMark);
    let no_addr = inet.addrs.is_empty();
    let last_resort = if rpf != 0 { Err(Martian::RpFilter) } else { Ok(false) };
    let mut flow = Flow {
        dst: key.saddr,
        src: dst,
        iif: out.or(Some(cx.k.netns[key.netns].loopback)),
        l3mdev_table: cx.k.devs.l3mdev_fib_table(key.dev),
        mark: if marked { cx.skbs[key.skb].mark } else { 0 },
        tos: key.tos,
        ..Flow::default()
    };
    let Ok(found) = fib_lookup(cx, key.netns, &flow, Some(key.skb)) else { return last_resort };
    if found.kind != RouteType::Unicast && !(found.kind == RouteType::Local && accept_local) {
        return Err(Martian::Address);
    }
    let near = |cx: &Cx, found: &FibResult| {
        let info = cx.k.netns[key.netns].ipv4.fib.infos.get(found.info);
        info.nexthops.get(usize::from(found.nh_sel)).is_some_and(|nh| nh.scope >= Scope::HOST)
    };
    let info = cx.k.netns[key.netns].ipv4.fib.infos.get(found.info);
    let uses = |dev: DevId| dev == key.dev || cx.k.devs.l3mdev_master(dev) == Some(key.dev);
    if info.nexthops.iter().any(|nh| nh.dev.is_some_and(uses)) {
        return Ok(near(cx, &found));
    }
    if no_addr {
        return last_resort;
    }
    if rpf == 1 {
        return Err(Martian::RpFilter);
    }
    flow.oif = Some(key.dev);
    match fib_lookup(cx, key.netns, &flow, Some(key.skb)) {
        Ok(found) if found.kind == RouteType::Unicast => Ok(near(cx, &found)),
        _ => Ok(false),
    }
}

/// Routes a locally generated packet and chooses its source (`ip_route_output_flow`).
///
/// # Errors
///
/// The error of the sender's system call.
pub fn ip_route_output_flow(
    cx: &mut Cx,
    netns: NetnsId,
    flow: FlowOut,
    skb: Option<SkbId>,
) -> Result<(Rtable, FlowOut), Errno> {
    cx.within(Func::IpRouteOutputFlow, skb, |cx| ip_route_output_key(cx, netns, flow, skb))
}

/// Routes a socket that connects: without a source, a first look-up gives it one, with which rules are asked again
/// (`ip_route_connect`).
///
/// # Errors
///
/// As [`ip_route_output_flow`].
pub fn ip_route_connect(cx: &mut Cx, netns: NetnsId, flow: FlowOut) -> Result<(Rtable, FlowOut), Errno> {
    if !flow.saddr.is_unspecified() {
        return ip_route_output_flow(cx, netns, flow, None);
    }
    let (_, first) = ip_route_output_key(cx, netns, flow, None)?;
    let flow = FlowOut { daddr: first.daddr, saddr: first.saddr, ..flow };
    ip_route_output_flow(cx, netns, flow, None)
}

/// Kernel: `ip_route_output_key_hash_rcu`
///
/// # Errors
///
/// As [`ip_route_output_flow`].
pub fn ip_route_output_key(
    cx: &mut Cx,
    netns: NetnsId,
    mut flow: FlowOut,
    skb: Option<SkbId>,
) -> Result<(Rtable, FlowOut), Errno> {
    cx.within(Func::IpRouteOutputKeyHashRcu, skb, |cx| {
        flow.tos &= IPTOS_RT_MASK;
        let asked_oif = flow.oif;
        if !flow.saddr.is_unspecified() && source_fixes_device(cx, netns, &mut flow)? {
            return finish_output(cx, netns, flow, None, RouteType::Unicast);
        }
        if let Some(dev) = flow.oif
            && asked_oif.is_some()
            && device_fixes_source(cx, dev, &mut flow)?
        {
            return finish_output(cx, netns, flow, None, RouteType::Unicast);
        }
        let loopback = cx.k.netns[netns].loopback;
        if flow.daddr.is_unspecified() {
            flow.daddr =
                if !flow.saddr.is_unspecified() { flow.saddr } else { std::net::Ipv4Addr::LOCALHOST };
            flow.saddr = if !flow.saddr.is_unspecified() { flow.saddr } else { flow.daddr };
            flow.oif = Some(loopback);
            return finish_output(cx, netns, flow, None, RouteType::Local);
        }
        let query = Flow {
            dst: flow.daddr,
            src: flow.saddr,
            oif: flow.oif,
            iif: Some(loopback),
            l3mdev_table: None,
            mark: flow.mark,
            tos: flow.tos,
            scope: if flow.onlink { Scope::LINK } else { Scope::UNIVERSE },
            proto: flow.proto,
            sport: flow.sport,
            dport: flow.dport,
            ignore_linkstate: false,
        };
        let mut found = match fib_lookup(cx, netns, &query, skb) {
            Ok(found) => found,
            Err(none) => {
                // With a given device that has no L3 master, the destination is assumed to be on-link.
                let assumed =
                    |dev: &DevId| flow.daddr.is_multicast() || cx.k.devs.l3mdev_master(*dev).is_none();
                let Some(dev) = flow.oif.filter(assumed) else { return Err(none.errno()) };
                if flow.saddr.is_unspecified() {
                    flow.saddr = inet_select_addr(cx.k, dev, Ipv4Addr::UNSPECIFIED, Scope::LINK);
                }
                return finish_output(cx, netns, flow, None, RouteType::Unicast);
            }
        };
        if found.kind == RouteType::Local {
            if flow.saddr.is_unspecified() {
                let prefsrc = cx.k.netns[netns].ipv4.fib.infos.get(found.info).prefsrc;
                flow.saddr = if !prefsrc.is_unspecified() { prefsrc } else { flow.daddr };
            }
            // To its devices an L3 master is what `lo` is to the others.
            let master = fib_res_dev(cx, netns, &found).and_then(|dev| cx.k.devs.l3mdev_master(dev));
            flow.oif = Some(master.unwrap_or(loopback));
            return finish_output(cx, netns, flow, Some(found), RouteType::Local);
        }
        fib_select_path(cx, netns, &mut flow, &mut found);
        finish_output(cx, netns, flow, Some(found), found.kind)
    })
}

/// Chooses among next hops, and the source.
fn fib_select_path(cx: &Cx, netns: NetnsId, flow: &mut FlowOut, found: &mut FibResult) {
    let domain = flow.oif.and_then(|oif| cx.k.devs.l3mdev_master(oif));
    flow.oif = flow.oif.filter(|oif| domain != Some(*oif));
    let info = cx.k.netns[netns].ipv4.fib.infos.get(found.info);
    if info.nexthops.len() > 1 && flow.oif.is_none() {
        found.nh_sel = fib_select_multipath(cx.k, netns, info, output_hash(cx, netns, flow));
    } else if found.len == 0 && flow.oif.is_none() {
        fib_select_default(cx, netns, flow, found);
    }
    flow.oif = fib_res_dev(cx, netns, found);
    if flow.saddr.is_unspecified() {
        // A route into another L3 master's network: the source is an address that this one's can answer.
        let leaks =
            domain.filter(|domain| flow.oif.and_then(|oif| cx.k.devs.l3mdev_master(oif)) != Some(*domain));
        flow.saddr = match leaks {
            Some(domain) => inet_select_addr(cx.k, domain, Ipv4Addr::UNSPECIFIED, Scope::LINK),
            None => fib_result_prefsrc(cx.k, netns, found),
        };
    }
}

/// A given source must be a local address; for multicast and broadcast it determines the device.
fn source_fixes_device(cx: &Cx, netns: NetnsId, flow: &mut FlowOut) -> Result<bool, Errno> {
    if flow.saddr.is_multicast() || flow.saddr.is_broadcast() || is_zeronet(flow.saddr) {
        return Err(Errno::EINVAL);
    }
    let group = flow.daddr.is_multicast() || flow.daddr.is_broadcast();
    if flow.oif.is_none() && group {
        flow.oif = Some(ip_dev_find(cx, netns, flow.saddr).ok_or(Errno::ENETUNREACH)?);
        return Ok(true);
    }
    if !flow.any_source && ip_dev_find(cx, netns, flow.saddr).is_none() {
        return Err(Errno::ENETUNREACH);
    }
    Ok(false)
}

/// A given device must be up; for link-local multicast it determines the source.
fn device_fixes_source(cx: &Cx, dev: DevId, flow: &mut FlowOut) -> Result<bool, Errno> {
    let netdev = cx.k.devs.get(dev).ok_or(Errno::ENODEV)?;
    if !netdev.is_up() || cx.k.inet.get(dev).is_none() {
        return Err(Errno::ENETUNREACH);
    }
    let on_link = is_local_multicast(flow.daddr) || flow.daddr.is_broadcast();
    if on_link || flow.proto == IPPROTO_IGMP {
        if flow.saddr.is_unspecified() {
            flow.saddr = inet_select_addr(cx.k, dev, Ipv4Addr::UNSPECIFIED, Scope::LINK);
        }
        return Ok(true);
    }
    if flow.saddr.is_unspecified() && flow.daddr.is_multicast() {
        flow.saddr = inet_select_addr(cx.k, dev, Ipv4Addr::UNSPECIFIED, Scope::UNIVERSE);
    } else if flow.saddr.is_unspecified() && flow.daddr.is_unspecified() {
        flow.saddr = inet_select_addr(cx.k, dev, Ipv4Addr::UNSPECIFIED, Scope::HOST);
    }
    Ok(false)
}

/// The device of a route that was found (`FIB_RES_DEV`).
fn fib_res_dev(cx: &Cx, netns: NetnsId, found: &FibResult) -> Option<DevId> {
    cx.k.netns[netns].ipv4.fib.infos.get(found.info).nexthops.get(usize::from(found.nh_sel))?.dev
}

/// The device that has an own address (`__ip_dev_find`).
pub fn ip_dev_find(cx: &Cx, netns: NetnsId, address: Ipv4Addr) -> Option<DevId> {
    let ipv4 = &cx.k.netns[netns].ipv4;
    if ipv4.is_own(address) {
        let has = |dev: &&DevId| {
            cx.k.inet.get(**dev).is_some_and(|inet| inet.addrs.iter().any(|ifa| ifa.local == address))
        };
        return cx.k.netns[netns].devs.values().find(has).copied();
    }
    // Any address of a local subnet, such as 127.0.0.2.
    (inet_addr_type(&ipv4.fib, address).0 == RouteType::Local).then(|| cx.k.netns[netns].loopback)
}

/// Among default routes with the same metric, one whose gateway is not known to be unreachable (`fib_select_default`).
fn fib_select_default(cx: &Cx, netns: NetnsId, flow: &FlowOut, found: &mut FibResult) {
    let fib = &cx.k.netns[netns].ipv4.fib;
    let priority = fib.infos.get(found.info).priority;
    let usable = |info: crate::tables::fib::FibInfoId| {
        let Some(nh) = fib.infos.get(info).nexthops.first() else { return false };
        let entry = nh.dev.and_then(|dev| cx.k.neigh.lookup(dev, nh.gateway));
        let failed = entry
            .and_then(|id| cx.k.neigh.get(id))
            .is_some_and(|entry| entry.nud == crate::tables::neigh_types::Nud::Failed);
        nh.flags & RTNH_F_DEAD == 0 && !failed
    };
    let candidates = fib
        .table_rows(found.table)
        .into_iter()
        .filter(|row| row.len == 0 && row.alias.priority == priority && row.alias.kind == RouteType::Unicast)
        .filter(|row| row.alias.tos == 0 || row.alias.tos == flow.tos);
    let ids: Vec<_> = candidates.map(|row| row.alias.info).collect();
    if ids.len() > 1
        && let Some(better) = ids.into_iter().find(|id| usable(*id))
    {
        found.info = better;
        found.nh_sel = 0;
    }
}

/// Creates the route (`__mkroute_output`).
fn finish_output(
    cx: &Cx,
    netns: NetnsId,
    flow: FlowOut,
    found: Option<FibResult>,
    kind: RouteType,
) -> Result<(Rtable, FlowOut), Errno> {
    let dev = flow.oif.ok_or(Errno::ENETUNREACH)?;
    let (inet, ipv4) = in_dev(cx, dev).ok_or(Errno::EINVAL)?;
    let on_loopback = cx.k.devs[dev].is_loopback();
    let l3_master = cx.k.devs[dev].l3mdev_fib_table.is_some();
    if flow.saddr.is_loopback()
        && !on_loopback
        && !l3_master
        && !or_conf(inet, &ipv4.conf_all, Conf::RouteLocalnet)
    {
        return Err(Errno::EINVAL);
    }
    let kind = match flow.daddr {
        to if to.is_broadcast() => RouteType::Broadcast,
        to if to.is_multicast() => RouteType::Multicast,
        to if is_zeronet(to) => return Err(Errno::EINVAL),
        _ => kind,
    };
    let mut flags = if on_loopback || kind == RouteType::Local { RTCF_LOCAL } else { 0 };
    match kind {
        RouteType::Broadcast => flags |= RTCF_BROADCAST | RTCF_LOCAL,
        RouteType::Multicast => {
            flags |= RTCF_MULTICAST | if inet.listens(flow.daddr) { RTCF_LOCAL } else { 0 };
        }
        _ => {}
    }
    let mut route = local_route(cx, netns, None, kind, flags);
    route.dev = dev;
    if flags & RTCF_LOCAL == 0 {
        route.input = DstInput::Discard;
    }
    let group = flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0;
    route.mc_output = group && flags & RTCF_LOCAL != 0 && !on_loopback;
    if let Some(found) = found.filter(|_| !group) {
        let info = cx.k.netns[netns].ipv4.fib.infos.get(found.info);
        if let Some(nh) = info.nexthops.get(usize::from(found.nh_sel)) {
            route.gateway = if nh.scope == Scope::LINK { nh.gateway } else { Ipv4Addr::UNSPECIFIED };
            if nh.lwtstate.is_some() {
                route.set_lwt_nexthop(found.nh_sel);
            }
        }
        route.mtu = info.metrics.mtu();
        route.mtu_locked = info.metrics.mtu_locked();
        route.info = Some(found.info);
    }
    if let Some(exception) = ipv4.exceptions.find(dev, flow.daddr, cx.now) {
        if !exception.gateway.is_unspecified() {
            (route.gateway, route.flags) = (exception.gateway, route.flags | RTCF_REDIRECTED);
        }
        if exception.pmtu != 0 {
            (route.mtu, route.mtu_locked) = (exception.pmtu, route.mtu_locked || exception.locked);
        }
    }
    Ok((route, flow))
}

/// A route for the packets that follow, unless there are exceptions, which expire.
pub fn keep(kernel: &Kernel, netns: NetnsId, (route, flow): (Rtable, FlowOut)) -> Option<KeptRoute> {
    let ipv4 = &kernel.netns[netns].ipv4;
    let generation = ipv4.fib.generation;
    ipv4.exceptions.is_empty().then_some(KeptRoute { generation, route, flow })
}

/// A kept route that is still valid (`ipv4_dst_check`); another one is forgotten. Its neighbour is looked up once.
pub fn ipv4_dst_check(
    kernel: &mut Kernel,
    netns: NetnsId,
    kept: &mut Option<KeptRoute>,
) -> Option<(Rtable, FlowOut)> {
    let generation = kernel.netns[netns].ipv4.fib.generation;
    *kept = kept.filter(|kept| kept.generation == generation);
    let KeptRoute { route, flow, .. } = kept.as_mut()?;
    if route.neigh.is_none() {
        let next_hop = if route.gateway.is_unspecified() { flow.daddr } else { route.gateway };
        route.neigh = kernel.neigh.lookup(route.dev, next_hop);
    }
    Some((*route, *flow))
}

/// The MTU of a route in bytes (`dst_mtu`, `ip_dst_mtu_maybe_forward`).
#[inline]
pub fn dst_mtu(cx: &Cx, route: &Rtable) -> u32 {
    let device = cx.k.devs[route.dev].mtu.min(65_535);
    if route.mtu == 0 { device } else { route.mtu.min(65_535) }
}

/// A metric of a route that was just looked up (`dst_metric`); 0 if not set.
pub fn dst_metric(cx: &Cx, route: &Rtable, which: usize) -> u32 {
    let netns = cx.k.devs[route.dev].netns;
    route.info.map_or(0, |info| cx.k.netns[netns].ipv4.fib.infos.get(info).metrics.0[which])
}

/// The greatest segment that TCP asks the other side for over a route, in bytes (`dst_metric_advmss`,
/// `ipv4_default_advmss`): the route's, or what the path MTU allows, but not less than `min_adv_mss`.
pub fn dst_metric_advmss(cx: &Cx, route: &Rtable) -> u16 {
    /// `net.ipv4.route.min_adv_mss`, bytes.
    const MIN_ADV_MSS: u32 = 256;
    const HEADERS: u32 = (IPV4_HLEN + TCP_HLEN) as u32;
    let advmss = dst_metric(cx, route, RTAX_ADVMSS);
    if advmss != 0 {
        return advmss as u16;
    }
    let room = dst_mtu(cx, route).saturating_sub(HEADERS);
    room.max(MIN_ADV_MSS).min(u32::from(u16::MAX) - HEADERS) as u16
}
