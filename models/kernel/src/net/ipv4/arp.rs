//! ARP (RFC 826).
//!
//! Kernel: net/ipv4/arp.c

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::arp::{ARPHRD_ETHER, ARPHRD_IEEE802, ARPOP_REPLY, ARPOP_REQUEST, ArpHdr};
use glassnet_wire::eth::{ETH_P_ARP, ETH_P_IP, EthHdr};
use zerocopy::IntoBytes;

use super::fib_frontend::inet_addr_type_dev_table;
use super::fib_semantics::inet_select_addr;
use super::ip_input::ip_hdr;
use super::route::{ip_route_input_noref, ip_route_output_key};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, NeighId, SkbId};
use crate::net::core::neighbour::{neigh_create, neigh_flush_dev, neigh_lookup, neigh_update};
use crate::net::core::pneigh::pneigh_ifdown;
use crate::note::Note;
use crate::tables::drop_reason::DropReason;
use crate::tables::inet::{InDevice, and_conf, max_conf, or_conf};
use crate::tables::inet_conf::Conf;
use crate::tables::ip_tunnel::IpTunnelInfo;
use crate::tables::jiffies::last_tick;
use crate::tables::neigh::UPDATE_F_OVERRIDE;
use crate::tables::neigh_types::Nud;
use crate::tables::netdev::{IFF_LOOPBACK, IFF_NOARP, IFF_POINTOPOINT};
use crate::tables::route::{DstInput, FlowOut};
use crate::tables::route_types::{RouteType, Scope};
use crate::tables::skb::PacketType;

/// Fields of an ARP packet.
#[derive(Clone, Copy, Debug)]
struct Arp {
    op: u16,
    sha: Mac,
    tha: Mac,
    sip: Ipv4Addr,
    tip: Ipv4Addr,
}

/// Initializes a new neighbour entry by the type of its address (`arp_constructor`).
fn arp_constructor(cx: &mut Cx, id: NeighId, skb: Option<SkbId>) {
    let Some((dev, ip)) = cx.k.neigh.get(id).map(|entry| (entry.dev, entry.ip)) else { return };
    let kind = addr_type(cx, dev, ip, skb);
    let netdev = &cx.k.devs[dev];
    let known = if kind == RouteType::Multicast {
        Some(if netdev.arphrd.has_mac() { Mac::of_ipv4_group(ip) } else { netdev.broadcast })
    } else if netdev.flags & (IFF_NOARP | IFF_LOOPBACK) != 0 {
        Some(netdev.addr)
    } else if kind == RouteType::Broadcast || netdev.flags & IFF_POINTOPOINT != 0 {
        Some(netdev.broadcast)
    } else {
        None
    };
    let Some(entry) = cx.k.neigh.get_mut(id) else { return };
    entry.kind = kind;
    if let Some(address) = known {
        entry.nud = Nud::Noarp;
        entry.ha = address;
    }
}

/// The type of an address in the namespace of a device; the look-up is on record.
fn addr_type(cx: &mut Cx, dev: DevId, ip: Ipv4Addr, skb: Option<SkbId>) -> RouteType {
    let (kind, searched) = inet_addr_type_dev_table(cx.k, dev, ip);
    if searched > 0 {
        cx.call(Func::FibTableLookup, skb);
    }
    kind
}

fn with_conf<R>(
    cx: &Cx,
    dev: DevId,
    ask: impl FnOnce(&InDevice, &crate::tables::inet_conf::Ipv4Conf) -> R,
) -> Option<R> {
    let all = &cx.k.netns[cx.k.devs[dev].netns].ipv4.conf_all;
    cx.k.inet.get(dev).map(|inet| ask(inet, all))
}

/// Initializes a neighbour entry that a user created.
pub fn arp_construct(cx: &mut Cx, neigh: NeighId) -> Door {
    arp_constructor(cx, neigh, None);
    Door::End
}

/// The neighbour of an address on a device; made if there is none (`__neigh_lookup`). None if the table is full.
pub fn arp_neigh(cx: &mut Cx, dev: DevId, ip: Ipv4Addr, skb: SkbId) -> Option<NeighId> {
    if let Some(id) = neigh_lookup(cx.k, dev, ip) {
        return Some(id);
    }
    let id = neigh_create(cx, dev, ip)?;
    arp_constructor(cx, id, Some(skb));
    Some(id)
}

/// A request from a neighbour tells its address (`neigh_event_ns`): the entry is made if there is none.
fn neigh_event_ns(cx: &mut Cx, dev: DevId, ip: Ipv4Addr, lladdr: Mac, skb: SkbId) -> Option<NeighId> {
    let id = arp_neigh(cx, dev, ip, skb)?;
    neigh_update(cx, id, Some(lladdr), Nud::Stale, UPDATE_F_OVERRIDE);
    Some(id)
}

/// Sends a probe for a neighbour, for the last packet in its queue (`neigh_probe`, net/core/neighbour.c).
pub fn neigh_probe(cx: &mut Cx, neigh: NeighId) -> Door {
    let Some(entry) = cx.k.neigh.get(neigh) else { return Door::End };
    let waiting = entry.queue.back().map(|packet| packet.0);
    let clone = waiting.map(|skb| cx.skb_clone(skb));
    let door = arp_solicit(cx, neigh, clone);
    if let Some(entry) = cx.k.neigh.get_mut(neigh) {
        entry.probes += 1;
    }
    if let Some(skb) = clone {
        cx.afterwards(Door::Consume { skb });
    }
    door
}

/// Sends a request (`arp_solicit`): unicast while unicast probes are left, then broadcast.
fn arp_solicit(cx: &mut Cx, id: NeighId, skb: Option<SkbId>) -> Door {
    cx.within(Func::ArpSolicit, skb, |cx| {
        let Some(entry) = cx.k.neigh.get(id) else { return Door::End };
        let (dev, target, probes, nud, ha) = (entry.dev, entry.ip, entry.probes, entry.nud, entry.ha);
        let source = announced_source(cx, dev, target, skb);
        let Some(parms) = cx.k.inet.get(dev).map(|inet| inet.arp) else { return Door::End };
        let unicast = probes < parms.ucast_probes;
        if unicast && !nud.valid() {
            return Door::End;
        }
        if !unicast && probes < parms.ucast_probes + parms.app_probes {
            return Door::End;
        }
        let dest = unicast.then_some(ha);
        // A tunnel's device asks where the packet is to go.
        let tun_info = skb.and_then(|skb| cx.skbs[skb].tun_info.clone());
        arp_send(cx, ARPOP_REQUEST, dev, source, (target, None), dest, (skb, tun_info))
    })
}

/// The source address of a request, by `arp_announce`: the packet's, if that is allowed; else one of the device's.
fn announced_source(cx: &mut Cx, dev: DevId, target: Ipv4Addr, skb: Option<SkbId>) -> Ipv4Addr {
    let announce = with_conf(cx, dev, |inet, all| max_conf(inet, all, Conf::ArpAnnounce)).unwrap_or(0);
    let packet_source = skb.and_then(|skb| ip_hdr(cx, skb).map(|iph| iph.saddr.get()));
    let chosen = match (announce, packet_source) {
        (0, Some(source)) => (addr_type(cx, dev, source, skb) == RouteType::Local).then_some(source),
        (1, Some(source)) => {
            let local = addr_type(cx, dev, source, skb) == RouteType::Local;
            let onlink = cx.k.inet.get(dev).is_some_and(|inet| inet.onlink(target, source));
            (local && onlink).then_some(source)
        }
        _ => None,
    };
    chosen.unwrap_or_else(|| inet_select_addr(cx.k, dev, target, Scope::LINK))
}

/// Creates and sends an ARP packet (`arp_send_dst`). `target`: IPv4 address and, in a reply, the link-layer address;
/// `dest`: destination of the frame, broadcast if `None`. It is caused by a packet; `tun_info` is for a tunnel's device.
fn arp_send(
    cx: &mut Cx,
    op: u16,
    dev: DevId,
    source: Ipv4Addr,
    target: (Ipv4Addr, Option<Mac>),
    dest: Option<Mac>,
    (cause, tun_info): (Option<SkbId>, Option<Arc<IpTunnelInfo>>),
) -> Door {
    if cx.k.devs[dev].flags & IFF_NOARP != 0 {
        return Door::End;
    }
    cx.within(Func::ArpSendDst, cause, |cx| {
        let (our_addr, broadcast) = (cx.k.devs[dev].addr, cx.k.devs[dev].broadcast);
        let dest = dest.unwrap_or(broadcast);
        let packet = ArpHdr::new(op, (our_addr, source), (target.1.unwrap_or(Mac::ZERO), target.0));
        let skb = arp_create(cx, dev, &packet, (dest, our_addr));
        cx.skbs[skb].tun_info = tun_info;
        Door::ArpXmit { skb }
    })
}

/// Makes the frame of an ARP packet; `ends`: its destination and source.
pub fn arp_create(cx: &mut Cx, dev: DevId, packet: &ArpHdr, ends: (Mac, Mac)) -> SkbId {
    let skb = cx.skbs.alloc_skb(size_of::<ArpHdr>(), dev);
    cx.call(Func::ArpCreate, skb);
    cx.skbs.data_mut(skb).copy_from_slice(packet.as_bytes());
    let pkt = &mut cx.skbs[skb];
    pkt.protocol = ETH_P_ARP;
    pkt.network_header = pkt.data;
    cx.skbs.push_eth(skb, EthHdr::new(ends.0, ends.1, ETH_P_ARP));
    skb
}

/// Sends an ARP packet.
///
/// Kernel: net/ipv4/arp.c
/// Not modelled: netfilter's ARP hooks.
pub fn arp_xmit(_cx: &mut Cx, skb: SkbId) -> Door {
    Door::DevQueueXmit { skb }
}

/// Tells everybody of an own address (`arp_send` with source and target the same), from outside a walk.
pub fn arp_send_announcement(cx: &mut Cx, op: u16, dev: DevId, address: Ipv4Addr) {
    let door = arp_send(cx, op, dev, address, (address, None), None, (None, None));
    cx.walk(door);
}

/// Checks an ARP packet.
///
/// Kernel: net/ipv4/arp.c
/// Not modelled: netfilter's ARP hooks.
pub fn arp_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &cx.skbs[skb];
    let (dev, pkt_type) = (pkt.dev, pkt.pkt_type);
    if cx.k.devs[dev].flags & IFF_NOARP != 0
        || matches!(pkt_type, PacketType::OtherHost)
        || cx.k.devs[dev].is_loopback()
    {
        return cx.consume_skb(skb);
    }
    let good = cx
        .skbs
        .header::<ArpHdr>(skb, cx.skbs[skb].data)
        .is_some_and(|arp| arp.ar_hln == 6 && arp.ar_pln == 4);
    if good { Door::ArpProcess { skb } } else { cx.kfree_skb(skb, DropReason::NotSpecified) }
}

fn parse(cx: &Cx, skb: SkbId) -> Option<Arp> {
    let arp = cx.skbs.header::<ArpHdr>(skb, cx.skbs[skb].data)?;
    let op = arp.ar_op.get();
    let known = matches!(arp.ar_hrd.get(), ARPHRD_ETHER | ARPHRD_IEEE802) && arp.ar_pro.get() == ETH_P_IP;
    (known && matches!(op, ARPOP_REQUEST | ARPOP_REPLY)).then(|| Arp {
        op,
        sha: Mac(arp.ar_sha),
        tha: Mac(arp.ar_tha),
        sip: arp.ar_sip.get(),
        tip: arp.ar_tip.get(),
    })
}

/// Replies to requests for local and proxied addresses, and updates neighbour entries.
///
/// Kernel: net/ipv4/arp.c
/// Not modelled: nothing.
pub fn arp_process(cx: &mut Cx, skb: SkbId) -> Door {
    process(cx, skb, false)
}

/// Answers a request for another machine after the delay.
///
/// Kernel: net/ipv4/arp.c
/// Not modelled: nothing.
pub fn parp_redo(cx: &mut Cx, skb: SkbId) -> Door {
    cx.within(Func::ArpProcess, skb, |cx| process(cx, skb, true))
}

/// `was_delayed`: the request waited already (`LOCALLY_ENQUEUED`).
fn process(cx: &mut Cx, skb: SkbId, was_delayed: bool) -> Door {
    let dev = cx.skbs[skb].dev;
    let route_localnet = with_conf(cx, dev, |inet, all| or_conf(inet, all, Conf::RouteLocalnet));
    let (Some(arp), Some(route_localnet)) = (parse(cx, skb), route_localnet) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    // The answer goes where the request came from.
    let reply_dst = cx.skbs[skb].tun_info.as_ref().and_then(|info| info.metadata_reply());
    if arp.tip.is_multicast() || !route_localnet && arp.tip.is_loopback() {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if arp.sip == arp.tip
        && with_conf(cx, dev, |inet, all| or_conf(inet, all, Conf::DropGratuitousArp)) == Some(true)
    {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if arp.sip.is_unspecified() {
        return duplicate_address_probe(cx, (skb, reply_dst), dev, arp);
    }
    if arp.op == ARPOP_REQUEST
        && let Some(door) = answer(cx, (skb, reply_dst), dev, arp, was_delayed)
    {
        return door;
    }
    learn(cx, skb, dev, arp);
    cx.consume_skb(skb)
}

/// A duplicate address detection probe has source 0 (RFC 5227).
fn duplicate_address_probe(
    cx: &mut Cx,
    (skb, reply_dst): (SkbId, Option<Arc<IpTunnelInfo>>),
    dev: DevId,
    arp: Arp,
) -> Door {
    let ours = arp.op == ARPOP_REQUEST && addr_type(cx, dev, arp.tip, Some(skb)) == RouteType::Local;
    if ours && !arp_ignore(cx, dev, arp.sip, arp.tip) {
        return reply_then_consume(cx, (skb, reply_dst), dev, arp, true);
    }
    cx.consume_skb(skb)
}

/// Replies to a request, if this host is to; otherwise the packet only updates neighbour entries.
fn answer(
    cx: &mut Cx,
    (skb, reply_dst): (SkbId, Option<Arc<IpTunnelInfo>>),
    dev: DevId,
    arp: Arp,
    was_delayed: bool,
) -> Option<Door> {
    ip_route_input_noref(cx, skb, arp.tip, arp.sip, 0, dev).ok()?;
    let route = cx.skbs[skb].dst?;
    if route.kind == RouteType::Local && !matches!(route.input, DstInput::Error(_)) {
        let silent = arp_ignore(cx, dev, arp.sip, arp.tip)
            || with_conf(cx, dev, |inet, all| or_conf(inet, all, Conf::ArpFilter)) == Some(true)
                && arp_filter(cx, dev, arp.sip, arp.tip);
        let reply = !silent && neigh_event_ns(cx, dev, arp.sip, arp.sha, skb).is_some();
        return Some(reply_then_consume(cx, (skb, reply_dst), dev, arp, reply));
    }
    let forwards = with_conf(cx, dev, |inet, _| inet.conf.get(Conf::Forwarding) != 0) == Some(true);
    if !forwards || route.kind != RouteType::Unicast || !matches!(route.input, DstInput::Forward) {
        return None;
    }
    let listed = cx.k.neigh.proxies.iter().any(|proxy| proxy.1 == arp.tip && proxy.0 == Some(dev));
    let stands_in = arp_fwd_proxy(cx, dev, route.dev)
        || arp_fwd_pvlan(cx, dev, route.dev, &arp)
        || route.dev != dev && listed;
    stands_in.then(|| {
        neigh_event_ns(cx, dev, arp.sip, arp.sha, skb);
        let delay = cx.k.inet.get(dev).map_or(Nanos::ZERO, |inet| inet.arp.proxy_delay);
        let at_once = was_delayed || delay == Nanos::ZERO || cx.skbs[skb].pkt_type == PacketType::Host;
        if at_once {
            reply_then_consume(cx, (skb, reply_dst), dev, arp, true)
        } else {
            Door::PneighEnqueue { skb }
        }
    })
}

fn reply_then_consume(
    cx: &mut Cx,
    (skb, reply_dst): (SkbId, Option<Arc<IpTunnelInfo>>),
    dev: DevId,
    arp: Arp,
    reply: bool,
) -> Door {
    if !reply {
        return cx.consume_skb(skb);
    }
    let (target, dest) = ((arp.sip, Some(arp.sha)), Some(arp.sha));
    let door = arp_send(cx, ARPOP_REPLY, dev, arp.tip, target, dest, (Some(skb), reply_dst));
    cx.afterwards(Door::Consume { skb });
    door
}

/// `proxy_arp`: the address is routed by another device than the one that asks, attached to another medium (`medium_id`).
fn arp_fwd_proxy(cx: &Cx, dev: DevId, out: DevId) -> bool {
    let proxy = with_conf(cx, dev, |inet, all| or_conf(inet, all, Conf::ProxyArp)) == Some(true);
    let medium = |dev| cx.k.inet.get(dev).map_or(-1, |inet| inet.conf.get(Conf::MediumId));
    let other_medium = match (medium(dev), medium(out)) {
        (0, _) => true,
        (-1, _) | (_, -1) => false,
        (ours, theirs) => ours != theirs,
    };
    proxy && out != dev && other_medium
}

/// `proxy_arp_pvlan`: the target is routed by the same device (private VLANs). Who asks for its own address is not answered.
fn arp_fwd_pvlan(cx: &Cx, dev: DevId, out: DevId, arp: &Arp) -> bool {
    out == dev
        && arp.sip != arp.tip
        && with_conf(cx, dev, |inet, _| inet.conf.get(Conf::ProxyArpPvlan) != 0) == Some(true)
}

/// `arp_ignore`: the request is not for this device to answer.
fn arp_ignore(cx: &mut Cx, dev: DevId, sip: Ipv4Addr, tip: Ipv4Addr) -> bool {
    let Some(level) = with_conf(cx, dev, |inet, all| max_conf(inet, all, Conf::ArpIgnore)) else {
        return true;
    };
    let Some(inet) = cx.k.inet.get(dev) else { return true };
    let own = inet.addrs.iter().find(|ifa| ifa.local == tip);
    match level {
        0 => false,
        1 => own.is_none(),
        2 => !own.is_some_and(|ifa| ifa.contains(sip)),
        // 3: not for addresses of host scope, of any device.
        3 => {
            let netns = &cx.k.netns[cx.k.devs[dev].netns];
            let known = |inet: &InDevice| {
                let narrowest = inet.localnet_scope(&netns.ipv4.conf_all);
                inet.addrs.iter().any(|ifa| ifa.local == tip && ifa.scope.min(narrowest) <= Scope::LINK)
            };
            !netns.devs.values().filter_map(|dev| cx.k.inet.get(*dev)).any(known)
        }
        8 => true,
        _ => false,
    }
}

/// `arp_filter`: the asker is routed by another device.
fn arp_filter(cx: &mut Cx, dev: DevId, sip: Ipv4Addr, tip: Ipv4Addr) -> bool {
    let netns = cx.k.devs[dev].netns;
    let flow = FlowOut { daddr: sip, saddr: tip, oif: cx.k.devs.l3mdev_master(dev), ..FlowOut::default() };
    match ip_route_output_key(cx, netns, flow, None) {
        Ok((route, _)) if route.dev == dev => false,
        Ok(_) => {
            cx.k.netns[netns].ipv4.snmp.arp_filter += 1;
            true
        }
        Err(_) => true,
    }
}

/// Updates an existing neighbour entry from any packet; a new one is created only with `arp_accept`.
fn learn(cx: &mut Cx, skb: SkbId, dev: DevId, arp: Arp) {
    let mut found = neigh_lookup(cx.k, dev, arp.sip);
    let accepted = arp_accept(cx, dev, arp.sip);
    if found.is_none() && !accepted {
        return;
    }
    let garp = arp_is_garp(cx, skb, dev, arp);
    if found.is_none()
        && (garp || arp.op == ARPOP_REPLY && addr_type(cx, dev, arp.sip, Some(skb)) == RouteType::Unicast)
    {
        found = arp_neigh(cx, dev, arp.sip, skb);
    }
    let Some(id) = found else { return };
    let Some(entry) = cx.k.neigh.get(id) else { return };
    let locktime = cx.k.inet.get(dev).map_or(Nanos::ZERO, |inet| inet.arp.locktime);
    let override_it = last_tick(cx.now) > entry.updated + locktime || garp;
    let answered = arp.op == ARPOP_REPLY && cx.skbs[skb].pkt_type == PacketType::Host;
    let state = if answered { Nud::Reachable } else { Nud::Stale };
    let flags = if override_it { UPDATE_F_OVERRIDE } else { 0 };
    cx.within(Func::NeighUpdate, skb, |cx| {
        cx.note(|_| Note::NeighUpdate { ip: arp.sip, lladdr: arp.sha, state });
        neigh_update(cx, id, Some(arp.sha), state, flags);
    })
}

/// `arp_accept`: a packet of this sender may create a neighbour entry.
fn arp_accept(cx: &Cx, dev: DevId, sip: Ipv4Addr) -> bool {
    match with_conf(cx, dev, |inet, all| max_conf(inet, all, Conf::ArpAccept)) {
        Some(1) => true,
        Some(2) => cx.k.inet.get(dev).is_some_and(|inet| inet.onlink(sip, Ipv4Addr::UNSPECIFIED)),
        _ => false,
    }
}

/// The sender announces its own address: an existing entry takes it even within `locktime`. A reply must also be addressed
/// to the sender.
fn arp_is_garp(cx: &mut Cx, skb: SkbId, dev: DevId, arp: Arp) -> bool {
    arp.sip == arp.tip
        && (arp.op == ARPOP_REQUEST || arp.tha == arp.sha)
        && addr_type(cx, dev, arp.sip, Some(skb)) == RouteType::Unicast
}

/// Deletes the neighbour entries of a device that went down (`arp_ifdown`).
pub fn arp_ifdown(cx: &mut Cx, dev: DevId) {
    neigh_flush_dev(cx, dev, false);
    pneigh_ifdown(cx, dev);
}

/// Deletes the neighbour entries of a device whose address changed, or which begins or ends to resolve addresses
/// (`neigh_changeaddr`).
pub fn arp_changeaddr(cx: &mut Cx, dev: DevId) {
    neigh_flush_dev(cx, dev, false);
}

/// After a loss of carrier: with `arp_evict_nocarrier`, deletes the neighbour entries, except permanent ones.
pub fn arp_evict(cx: &mut Cx, dev: DevId) {
    if with_conf(cx, dev, |inet, all| and_conf(inet, all, Conf::ArpEvictNocarrier)) == Some(true) {
        neigh_flush_dev(cx, dev, true);
        pneigh_ifdown(cx, dev);
    }
}
