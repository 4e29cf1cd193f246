//! Bridge netfilter: bridged IPv4 packets traverse the IPv4 hooks, with `bridge-nf-call-iptables`.
//!
//! Kernel: net/bridge/br_netfilter_hooks.c
//!
//! ```text
//! br_handle_frame ─▶ br_nf_pre_routing ─▶ IPv4 PRE_ROUTING ─▶ br_nf_pre_routing_finish ─▶ br_handle_frame_finish
//! __br_forward ─▶ br_nf_forward_ip ─▶ IPv4 FORWARD ─▶ br_nf_forward_finish ─▶ br_forward_finish
//! br_forward_finish ─▶ br_nf_post_routing ─▶ IPv4 POST_ROUTING ─▶ br_nf_dev_queue_xmit ─▶ br_dev_queue_push_xmit
//! ```

use std::net::Ipv4Addr;

use glassnet_wire::checksum::checksum;
use glassnet_wire::eth::{ETH_P_ARP, ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{IPV4_HLEN, Ipv4Hdr};

use crate::door::{Door, Func};
use crate::hook::{HookFn, HookOps, Verdict};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::module::{Module, NetdevEvent};
use crate::net::core::neighbour::neigh_lookup;
use crate::net::ipv4::arp::arp_neigh;
use crate::net::ipv4::ip_input::{ip_hdr, snmp};
use crate::net::ipv4::ip_output::{IGNORE_DF, Pieces, fragments};
use crate::net::ipv4::route::ip_route_input_noref;
use crate::net::netfilter::core::nf_hook;
use crate::net::netfilter::nf_conntrack_core::nf_conntrack_confirm;
use crate::netlink::Errno;
use crate::sysctl::{At, Sysctl, SysctlTable};
use crate::tables::conntrack::NfCt;
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{Hook, HookState, NfBridge, Pf, Site};
use crate::tables::route::{DST_FAKE_RTABLE, DstInput, Rtable};
use crate::tables::route_types::RouteType;
use crate::tables::skb::{IpCb, PacketType};
use crate::{Cx, Kernel};

/// The module.
pub static MODULE: Module = Module {
    init: Some(br_netfilter_init),
    netdevice_event: Some(brnf_device_event),
    sysctls: &[&SYSCTLS],
    ..Module::named("br_netfilter")
};

/// `NF_BR_PRI_BRNF`.
const PRI_BRNF: i32 = 0;
/// Hook functions of bridge netfilter.
const HOOK_OPS: [HookOps; 6] = [
    hook_ops("br_nf_pre_routing", Pf::Bridge, Hook::PreRouting, PRI_BRNF, br_nf_pre_routing),
    hook_ops("br_nf_local_in", Pf::Bridge, Hook::LocalIn, i32::MAX, br_nf_local_in),
    hook_ops("br_nf_forward_ip", Pf::Bridge, Hook::Forward, PRI_BRNF - 1, br_nf_forward_ip),
    hook_ops("br_nf_forward_arp", Pf::Bridge, Hook::Forward, PRI_BRNF, br_nf_forward_arp),
    hook_ops("br_nf_post_routing", Pf::Bridge, Hook::PostRouting, i32::MAX, br_nf_post_routing),
    hook_ops("ip_sabotage_in", Pf::Ipv4, Hook::PreRouting, i32::MIN, ip_sabotage_in),
];

const fn hook_ops(name: &'static str, pf: Pf, hook: Hook, priority: i32, function: HookFn) -> HookOps {
    HookOps { name, pf, hook, priority, function, private: 0, depends_on_flow_only: true }
}

/// Loads the module: registers the hooks in namespaces that have a bridge, in others with their first bridge
/// (`br_netfilter_init`). Loading it again has no effect.
pub fn br_netfilter_init(cx: &mut Cx) {
    cx.k.config.br_netfilter = true;
    let with_bridge = |dev: &DevId| cx.k.devs[*dev].bridge().is_some();
    let found = cx.k.netns.iter().filter(|netns| netns.devs.values().any(with_bridge));
    for netns in found.map(|netns| netns.id).collect::<Vec<_>>() {
        register(cx, netns);
    }
}

/// Registers the hooks with the first bridge of a namespace (`brnf_device_event`).
fn brnf_device_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    if event == NetdevEvent::Register && cx.k.config.br_netfilter && cx.k.devs[dev].bridge().is_some() {
        register(cx, cx.k.devs[dev].netns);
    }
}

fn register(cx: &mut Cx, netns: NetnsId) {
    let hooks = &mut cx.k.netns[netns].hooks;
    for ops in HOOK_OPS {
        hooks.register(&mut cx.k.nf_hooks_needed, ops);
    }
}

/// Sysctls of bridge netfilter, present while `br_netfilter` is loaded. Packets in VLAN tags or PPPoE are not
/// filtered.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/bridge",
    &[
        Sysctl::new("bridge-nf-call-arptables", call_sysctl, set_call_sysctl),
        Sysctl::new("bridge-nf-call-ip6tables", call_sysctl, set_call_sysctl),
        Sysctl::new("bridge-nf-call-iptables", call_sysctl, set_call_sysctl),
        Sysctl::not_followed("bridge-nf-filter-pppoe-tagged", |_, _, _| 0),
        Sysctl::not_followed("bridge-nf-filter-vlan-tagged", |_, _, _| 0),
        Sysctl::not_followed("bridge-nf-pass-vlan-input-dev", |_, _, _| 0),
    ],
)
.only(|k, _| k.config.br_netfilter);

fn call_sysctl(k: &Kernel, at: At, row: &Sysctl) -> i64 {
    let calls = &k.netns[at.netns].brnf;
    i64::from(match row.name {
        "bridge-nf-call-arptables" => calls.arptables,
        "bridge-nf-call-ip6tables" => calls.ip6tables,
        _ => calls.iptables,
    })
}

fn set_call_sysctl(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    let calls = &mut cx.k.netns[at.netns].brnf;
    match row.name {
        "bridge-nf-call-arptables" => calls.arptables = value != 0,
        "bridge-nf-call-ip6tables" => calls.ip6tables = value != 0,
        _ => calls.iptables = value != 0,
    }
    Ok(())
}

/// The bridge of a port.
fn bridge_parent(cx: &Cx, port: DevId) -> Option<DevId> {
    cx.k.devs.get(port)?.port.as_ref().map(|port| port.bridge)
}

/// Continues a bridge hook after the functions of bridge netfilter's priority (`br_nf_hook_thresh`).
fn br_nf_hook_thresh(cx: &mut Cx, skb: SkbId, site: Site) -> Door {
    cx.call(Func::BrNfHookThresh, skb);
    let (pf, hook) = site.point();
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let entries = cx.k.netns[netns].hooks.at(pf, hook);
    let from = entries.partition_point(|entry| entry.priority <= PRI_BRNF) as u16;
    Door::NfHookSlow { skb, site, from }
}

fn drop() -> Verdict {
    Verdict::Drop(DropReason::NetfilterDrop)
}

/// iptables (for ARP: arptables) is enabled for the bridge or its namespace.
fn calls(cx: &Cx, bridge: DevId, arp: bool) -> bool {
    let netns = &cx.k.netns[cx.k.devs[bridge].netns].brnf;
    let own = cx.k.devs[bridge].bridge().map(|bridge| bridge.conf.nf_call).unwrap_or_default();
    if arp { netns.arptables || own.arptables } else { netns.iptables || own.iptables }
}

/// Validates the IPv4 header as `ip_rcv` does and trims padding (`br_validate_ipv4`).
fn br_validate_ipv4(cx: &mut Cx, skb: SkbId) -> bool {
    let data = cx.skbs.data(skb);
    let Some(iph) = cx.skbs.header::<Ipv4Hdr>(skb, cx.skbs[skb].data).copied() else { return false };
    let (hlen, total) = (iph.header_len(), usize::from(iph.tot_len.get()));
    let right = iph.version() == 4
        && hlen >= IPV4_HLEN
        && data.len() >= hlen
        && checksum(&data[..hlen]) == 0
        && total >= hlen;
    if !right || data.len() < total {
        let counters = snmp(cx, skb);
        if right {
            counters.ip_ext.InTruncatedPkts += 1;
        } else {
            counters.ip.InHdrErrors += 1;
        }
        return false;
    }
    cx.skbs.trim(skb, total);
    let pkt = &mut cx.skbs[skb];
    pkt.ip = IpCb { iif: pkt.skb_iif, ..IpCb::default() };
    true
}

/// The IPv4 hooks see a frame for another host as PACKET_HOST.
fn to_host(cx: &mut Cx, skb: SkbId) {
    let pkt = &mut cx.skbs[skb];
    if let Some(info) = pkt.nf_bridge.as_mut()
        && pkt.pkt_type == PacketType::OtherHost
    {
        (pkt.pkt_type, info.other_host) = (PacketType::Host, true);
    }
}

/// Undoes [`to_host`].
fn to_other_host(cx: &mut Cx, skb: SkbId) {
    let pkt = &mut cx.skbs[skb];
    if let Some(info) = pkt.nf_bridge.as_mut()
        && std::mem::take(&mut info.other_host)
    {
        pkt.pkt_type = PacketType::OtherHost;
    }
}

/// The frame is of this protocol and has no VLAN tag: iptables sees no others (`bridge-nf-filter-vlan-tagged` is 0).
fn is_untagged(cx: &Cx, skb: SkbId, protocol: u16) -> bool {
    cx.skbs[skb].protocol == protocol && cx.skbs[skb].vlan_tag.is_none()
}

/// Bridge PRE_ROUTING: an IPv4 packet enters IPv4 PRE_ROUTING with the bridge as its input device.
pub fn br_nf_pre_routing(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.call(Func::BrNfPreRouting, skb);
    let port = cx.skbs[skb].dev;
    let Some(bridge) = state.input.and_then(|port| bridge_parent(cx, port)) else { return drop() };
    if !calls(cx, bridge, false) || !is_untagged(cx, skb, ETH_P_IP) {
        return Verdict::Accept;
    }
    if !br_validate_ipv4(cx, skb) {
        return drop();
    }
    let iph = cx.skbs.header::<Ipv4Hdr>(skb, cx.skbs[skb].data).copied().unwrap_or_default();
    let pkt = &mut cx.skbs[skb];
    pkt.nf_bridge = Some(NfBridge {
        physin: Some(port),
        daddr: iph.daddr.get(),
        in_prerouting: true,
        ..NfBridge::default()
    });
    pkt.dev = bridge;
    pkt.transport_header = pkt.network_header + iph.header_len() as u32;
    cx.skb_orphan(skb);
    to_host(cx, skb);
    Verdict::Stolen(nf_hook(cx, Site::BrNfPreRouting, skb))
}

/// The `okfn` of IPv4 PRE_ROUTING. After DNAT the new destination is routed: to a station of this bridge, or to local
/// delivery on the bridge device.
///
/// Kernel: net/bridge/br_netfilter_hooks.c
/// Not modelled: VLAN and PPPoE headers before the packet.
pub fn br_nf_pre_routing_finish(cx: &mut Cx, skb: SkbId) -> Door {
    to_other_host(cx, skb);
    let (bridge, frag_max_size) = (cx.skbs[skb].dev, cx.skbs[skb].ip.frag_max_size);
    let info = cx.skbs[skb].nf_bridge.as_mut();
    let (Some(info), Some(iph)) = (
        info.map(|info| {
            (info.in_prerouting, info.frag_max_size) = (false, frag_max_size);
            *info
        }),
        ip_hdr(cx, skb).copied(),
    ) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let Some(port) = info.physin.filter(|port| cx.k.devs.get(*port).is_some()) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    if iph.daddr.get() != info.daddr {
        let (daddr, saddr) = (iph.daddr.get(), iph.saddr.get());
        if ip_route_input_noref(cx, skb, daddr, saddr, iph.tos, bridge).is_err() {
            return cx.kfree_skb(skb, DropReason::NotSpecified);
        }
        if cx.skbs[skb].dst.is_some_and(|route| route.dev == bridge) {
            cx.skbs[skb].dev = port;
            return br_nf_hook_thresh(cx, skb, Site::BrNfBridgedDnat);
        }
        let (source, dest) = (cx.skbs.eth_hdr(skb).source(), cx.k.devs[bridge].addr);
        let at = cx.skbs[skb].mac_header;
        if let Some(eth) = cx.skbs.header_mut::<EthHdr>(skb, at) {
            *eth = EthHdr::new(dest, source, ETH_P_IP);
        }
        cx.skbs[skb].pkt_type = PacketType::Host;
    } else {
        cx.skbs[skb].dst = Some(fake_rtable(bridge));
    }
    cx.skbs[skb].dev = port;
    br_nf_hook_thresh(cx, skb, Site::BrHandleFrame)
}

/// A route for bridged packets, since rules and replies need one (`bridge_parent_rtable`).
fn fake_rtable(bridge: DevId) -> Rtable {
    Rtable {
        dev: bridge,
        gateway: Ipv4Addr::UNSPECIFIED,
        flags: DST_FAKE_RTABLE,
        mtu: 0,
        kind: RouteType::Unicast,
        input: DstInput::Forward,
        info: None,
        mtu_locked: false,
        mc_output: false,
        neigh: None,
    }
}

/// Drops the fake route (`br_drop_fake_rtable`).
#[inline]
pub fn br_drop_fake_rtable(cx: &mut Cx, skb: SkbId) {
    let pkt = &mut cx.skbs[skb];
    if pkt.dst.as_ref().is_some_and(|route| route.flags & DST_FAKE_RTABLE != 0) {
        pkt.drop_dst();
    }
}

/// After DNAT to a station of this bridge: sends the frame to its MAC address. If that is not resolved, the frame is
/// queued at the neighbour and continues in [`br_nf_dev_xmit`].
///
/// Kernel: net/bridge/br_netfilter_hooks.c
/// Not modelled: nothing.
pub fn br_nf_pre_routing_finish_bridge(cx: &mut Cx, skb: SkbId) -> Door {
    let port = cx.skbs[skb].dev;
    let (Some(bridge), Some(route), Some(iph)) =
        (bridge_parent(cx, port), cx.skbs[skb].dst, ip_hdr(cx, skb).copied())
    else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    cx.skbs[skb].dev = bridge;
    let next_hop = if !route.gateway.is_unspecified() { route.gateway } else { iph.daddr.get() };
    let found = match neigh_lookup(cx.k, bridge, next_hop) {
        Some(found) => Some(found),
        None => arp_neigh(cx, bridge, next_hop, skb),
    };
    let Some(neigh) = found.and_then(|id| cx.k.neigh.get(id)) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let source = cx.skbs.eth_hdr(skb).source();
    if neigh.nud.connected() && neigh.hh {
        let header = EthHdr::new(neigh.ha, source, ETH_P_IP);
        let at = cx.skbs[skb].mac_header;
        if let Some(eth) = cx.skbs.header_mut::<EthHdr>(skb, at) {
            *eth = header;
        }
        cx.skbs[skb].dev = port;
        return Door::BrHandleFrameFinish { skb };
    }
    if let Some(info) = cx.skbs[skb].nf_bridge.as_mut() {
        (info.bridged_dnat, info.neigh_source) = (true, source);
    }
    Door::NeighResolveOutput { skb }
}

/// Continues a frame that was queued for address resolution, with its own source address (`br_nf_dev_xmit`,
/// `br_nf_pre_routing_finish_bridge_slow`); `None` for every other frame.
#[inline]
pub fn br_nf_dev_xmit(cx: &mut Cx, skb: SkbId) -> Option<Door> {
    let info = cx.skbs[skb].nf_bridge.as_mut().filter(|info| info.bridged_dnat)?;
    info.bridged_dnat = false;
    let (source, port) = (info.neigh_source, info.physin?);
    let dest = cx.skbs.eth_hdr(skb).dest();
    let at = cx.skbs[skb].mac_header;
    *cx.skbs.header_mut::<EthHdr>(skb, at)? = EthHdr::new(dest, source, ETH_P_IP);
    cx.skbs.pull(skb, glassnet_wire::eth::ETH_HLEN);
    cx.skbs[skb].dev = port;
    Some(Door::BrHandleFrameFinish { skb })
}

/// Bridge LOCAL_IN: confirms the connection of a multicast or broadcast packet, since the flooded clones share it, and
/// IPv4 LOCAL_IN would be too late. A frame received only promiscuously drops its reference to the connection.
pub fn br_nf_local_in(cx: &mut Cx, skb: SkbId, _: &HookState, _: u32) -> Verdict {
    cx.within(Func::BrNfLocalIn, skb, |cx| {
        if cx.skbs[skb].br.promisc {
            cx.nf_reset_ct(skb);
            return Verdict::Accept;
        }
        let NfCt::Conn(id, _) = cx.skbs[skb].nfct else { return Verdict::Accept };
        let confirmed = cx.k.conntrack.get(id).is_none_or(|conn| conn.is_confirmed());
        if cx.skbs[skb].pkt_type == PacketType::Host || confirmed {
            return Verdict::Accept;
        }
        nf_conntrack_confirm(cx, skb)
    })
}

/// Bridge FORWARD: the IPv4 packet enters IPv4 FORWARD.
pub fn br_nf_forward_ip(cx: &mut Cx, skb: SkbId, _: &HookState, _: u32) -> Verdict {
    cx.call(Func::BrNfForwardIp, skb);
    let Some(info) = cx.skbs[skb].nf_bridge else { return Verdict::Accept };
    if !is_untagged(cx, skb, ETH_P_IP) {
        return Verdict::Accept;
    }
    to_host(cx, skb);
    if !br_validate_ipv4(cx, skb) {
        return drop();
    }
    let pkt = &mut cx.skbs[skb];
    pkt.ip.frag_max_size = info.frag_max_size;
    let out = pkt.dev;
    if let Some(info) = pkt.nf_bridge.as_mut() {
        info.physout = Some(out);
    }
    Verdict::Stolen(nf_hook(cx, Site::BrNfForward, skb))
}

/// Bridge FORWARD of ARP frames, for arptables.
pub fn br_nf_forward_arp(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.call(Func::BrNfForwardArp, skb);
    let Some(bridge) = state.output.and_then(|port| bridge_parent(cx, port)) else { return Verdict::Accept };
    if !calls(cx, bridge, true) || !is_untagged(cx, skb, ETH_P_ARP) {
        return Verdict::Accept;
    }
    let Some(arp) = cx.skbs.header::<[u8; 8]>(skb, cx.skbs[skb].data) else { return drop() };
    // Length of a protocol address.
    if arp[5] != 4 {
        return Verdict::Accept;
    }
    Verdict::Stolen(Door::BrNfForwardFinish { skb })
}

/// The `okfn` of IPv4 FORWARD.
///
/// Kernel: net/bridge/br_netfilter_hooks.c
/// Not modelled: VLAN and PPPoE headers before the packet.
pub fn br_nf_forward_finish(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &mut cx.skbs[skb];
    let frag_max_size = pkt.ip.frag_max_size;
    if let Some(info) = pkt.nf_bridge.as_mut()
        && pkt.protocol == ETH_P_IP
    {
        info.frag_max_size = frag_max_size;
        to_other_host(cx, skb);
    }
    br_nf_hook_thresh(cx, skb, Site::BrForward)
}

/// Bridge POST_ROUTING: the IPv4 packet enters IPv4 POST_ROUTING, unless it was routed.
pub fn br_nf_post_routing(cx: &mut Cx, skb: SkbId, _: &HookState, _: u32) -> Verdict {
    cx.call(Func::BrNfPostRouting, skb);
    let pkt = &cx.skbs[skb];
    if pkt.nf_bridge.is_none_or(|info| info.physout.is_none()) || !is_untagged(cx, skb, ETH_P_IP) {
        return Verdict::Accept;
    }
    if bridge_parent(cx, pkt.dev).is_none() {
        return drop();
    }
    to_host(cx, skb);
    Verdict::Stolen(nf_hook(cx, Site::BrNfPostRouting, skb))
}

/// The `okfn` of IPv4 POST_ROUTING; a reassembled packet is fragmented again.
///
/// Kernel: net/bridge/br_netfilter_hooks.c
/// Not modelled: VLAN and PPPoE headers before the packet.
pub fn br_nf_dev_queue_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    to_other_host(cx, skb);
    let pkt = &mut cx.skbs[skb];
    let Some(info) = pkt.nf_bridge else { return Door::BrDevQueuePushXmit { skb } };
    let mut mtu = cx.k.devs[pkt.dev].mtu;
    if info.frag_max_size != 0 {
        mtu = mtu.min(u32::from(info.frag_max_size));
    }
    if pkt.len() <= mtu as usize || pkt.gso_size != 0 {
        pkt.nf_bridge = None;
        return Door::BrDevQueuePushXmit { skb };
    }
    refragment(cx, skb, info)
}

/// Fragments a packet; each fragment gets the frame's Ethernet header (`br_nf_ip_fragment`, `br_nf_push_frag_xmit`).
fn refragment(cx: &mut Cx, skb: SkbId, info: NfBridge) -> Door {
    if !br_validate_ipv4(cx, skb) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let pkt = &mut cx.skbs[skb];
    pkt.ip.frag_max_size = info.frag_max_size;
    let bridge_mtu = pkt.dst.map_or(u32::MAX, |route| cx.k.devs[route.dev].mtu);
    let must_not =
        ip_hdr(cx, skb).is_some_and(Ipv4Hdr::dont_fragment) && cx.skbs[skb].ip.flags & IGNORE_DF == 0;
    if must_not || u32::from(info.frag_max_size) > bridge_mtu {
        snmp(cx, skb).ip.FragFails += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let mtu = if info.frag_max_size == 0 { bridge_mtu } else { bridge_mtu.min(info.frag_max_size.into()) };
    let eth = *cx.skbs.eth_hdr(skb);
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let Some(Pieces { skbs, source }) = fragments(cx, skb, mtu) else {
        return cx.kfree_skb(skb, DropReason::PktTooBig);
    };
    let counters = &mut cx.k.netns[netns].ipv4.snmp.ip;
    counters.FragCreates += skbs.len() as u64;
    counters.FragOKs += 1;
    if let Some(skb) = source {
        cx.afterwards(Door::Consume { skb });
    }
    for piece in skbs.into_iter().rev() {
        cx.skbs.push_eth(piece, eth);
        cx.skbs.pull(piece, glassnet_wire::eth::ETH_HLEN);
        cx.afterwards(Door::BrDevQueuePushXmit { skb: piece });
    }
    Door::End
}

/// A packet delivered locally skips IPv4 PRE_ROUTING, which it traversed in the bridge.
pub fn ip_sabotage_in(cx: &mut Cx, skb: SkbId, _: &HookState, _: u32) -> Verdict {
    cx.call(Func::IpSabotageIn, skb);
    match cx.skbs[skb].nf_bridge.as_mut() {
        Some(info) if !info.sabotage_in_done && !info.in_prerouting => {
            info.sabotage_in_done = true;
            Verdict::Stolen(Door::IpRcvFinish { skb })
        }
        _ => Verdict::Accept,
    }
}
