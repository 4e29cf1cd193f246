//! Packets of `ipvlan`, in and out.
//!
//! Kernel: drivers/net/ipvlan/ipvlan_core.c

use std::net::Ipv4Addr;

use glassnet_wire::Mac;
use glassnet_wire::arp::ArpHdr;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ARP, ETH_P_IP};
use glassnet_wire::ipv4::IPV4_HLEN;

use super::ipvlan_main::{ipvlan, ipvlan_port, port_mut};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::net::core::dev::{another_round, deliver_to_protocol};
use crate::net::core::dev_forward::dev_forward_skb;
use crate::net::core::skbuff::{skb_dst_set, skb_scrub_packet};
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::route::ip_route_output_flow;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::ipvlan::{IPVLAN_QBACKLOG_LIMIT, IpvlanMode};
use crate::tables::route::FlowOut;
use crate::tables::route_types::RouteType;
use crate::tables::skb::PacketType;

/// The IPv4 address that a packet or an ARP message is for, or from (`ipvlan_get_L3_hdr`).
fn l3_addr(cx: &mut Cx, skb: SkbId, use_dest: bool) -> Option<Ipv4Addr> {
    cx.call(Func::IpvlanGetL3Hdr, skb);
    let pkt = &cx.skbs[skb];
    match pkt.protocol {
        ETH_P_IP => {
            let iph = ip_hdr(cx, skb)?;
            let (total, ihl) = (usize::from(iph.tot_len.get()), iph.header_len());
            let is_sound = iph.version() == 4 && ihl >= IPV4_HLEN && (ihl..=pkt.len()).contains(&total);
            let addr = if use_dest { iph.daddr.get() } else { iph.saddr.get() };
            is_sound.then_some(addr)
        }
        ETH_P_ARP => {
            let arph = cx.skbs.header::<ArpHdr>(skb, pkt.network_header)?;
            Some(if use_dest { arph.ar_tip.get() } else { arph.ar_sip.get() })
        }
        _ => None,
    }
}

/// The device that is up and has the address that a packet is for, or from (`ipvlan_addr_lookup`).
pub(super) fn addr_lookup(cx: &mut Cx, lower: DevId, skb: SkbId, use_dest: bool) -> Option<DevId> {
    let addr = l3_addr(cx, skb, use_dest)?;
    cx.call(Func::IpvlanAddrLookup, skb);
    ipvlan_port(cx.k, lower)?.hlhead.get(&addr).copied()
}

/// Counts a packet of `len` bytes behind its link header that came to a device, or did not (`ipvlan_count_rx`).
pub(super) fn count_rx(cx: &mut Cx, dev: DevId, len: usize, success: bool, multicast: bool) {
    let Some(netdev) = cx.k.devs.get_mut(dev) else { return };
    if success {
        netdev.stats.count_rx(len + ETH_HLEN, multicast);
    } else {
        netdev.stats.rx_errors += 1;
    }
}

/// Gives a received packet to the device that has the address that it is for.
///
/// Kernel: drivers/net/ipvlan/ipvlan_core.c
/// Not modelled: IPv6.
pub fn ipvlan_handle_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let lower = cx.skbs[skb].dev;
    // What comes back to the host itself has no link header to look at.
    let is_loopback = cx.skbs[skb].pkt_type == PacketType::Loopback;
    let mode = ipvlan_port(cx.k, lower).map(|port| port.mode).filter(|_| !is_loopback);
    match mode {
        Some(IpvlanMode::L2) if cx.skbs.eth_hdr(skb).dest().is_multicast() => to_group(cx, skb, lower),
        Some(IpvlanMode::L2 | IpvlanMode::L3) => match addr_lookup(cx, lower, skb, true) {
            Some(dev) => {
                cx.call(Func::IpvlanRcvFrame, skb);
                count_rx(cx, dev, cx.skbs[skb].len(), true, false);
                cx.skbs[skb].dev = dev;
                another_round(cx, skb)
            }
            None => deliver_to_protocol(cx, skb, false),
        },
        Some(IpvlanMode::L3s) | None => deliver_to_protocol(cx, skb, false),
    }
}

/// A frame to a group is for this host, too; the devices over this one get it when a worker has its turn. What one of them sent
/// and a switch sent back they have already.
fn to_group(cx: &mut Cx, skb: SkbId, lower: DevId) -> Door {
    let is_own = cx.skbs.eth_hdr(skb).source() == cx.k.devs[lower].addr;
    if !is_own || addr_lookup(cx, lower, skb, false).is_none() {
        let clone = cx.skb_clone(skb);
        skb_scrub_packet(cx, clone, true);
        ipvlan_multicast_enqueue(cx, lower, clone, None);
    }
    deliver_to_protocol(cx, skb, false)
}

fn ipvlan_multicast_enqueue(cx: &mut Cx, lower: DevId, skb: SkbId, sender: Option<DevId>) {
    cx.call(Func::IpvlanMulticastEnqueue, skb);
    // The sender may be gone when the worker has its turn.
    cx.skbs[skb].dev = lower;
    let Some(port) = port_mut(cx, lower).filter(|port| port.backlog.len() < IPVLAN_QBACKLOG_LIMIT) else {
        cx.k.devs[sender.unwrap_or(lower)].stats.rx_dropped += 1;
        cx.kfree_skb(skb, DropReason::NotSpecified);
        return;
    };
    port.backlog.push_back((skb, sender));
    cx.schedule_work(ipvlan_process_multicast, lower.0);
}

/// The worker: each frame goes to all devices that listen, and what one of them sent goes out, too.
fn ipvlan_process_multicast(cx: &mut Cx, lower: u32) {
    let lower = DevId(lower);
    if ipvlan_port(cx.k, lower).is_none() {
        return;
    }
    let waiting = port_mut(cx, lower).map(|port| std::mem::take(&mut port.backlog)).unwrap_or_default();
    for (skb, sender) in waiting {
        cx.within(Func::IpvlanProcessMulticast, skb, |cx| distribute(cx, lower, skb, sender));
    }
}

fn distribute(cx: &mut Cx, lower: DevId, skb: SkbId, sender: Option<DevId>) {
    let at = if sender.is_some() { cx.skbs[skb].data } else { cx.skbs[skb].mac_header };
    cx.skbs[skb].mac_header = at;
    let group = cx.skbs.eth_hdr(skb).dest();
    let is_broadcast = group == cx.k.devs[lower].broadcast;
    let pkt_type = if is_broadcast { PacketType::Broadcast } else { PacketType::Multicast };
    let listeners = listeners(cx, lower, group, sender);
    let consumed = !listeners.is_empty();
    for dev in listeners {
        let len = cx.skbs[skb].len();
        let clone = cx.skb_clone(skb);
        (cx.skbs[clone].dev, cx.skbs[clone].pkt_type) = (dev, pkt_type);
        let door = match sender {
            Some(_) => dev_forward_skb(cx, clone, dev),
            None => Door::NetifRx { skb: clone },
        };
        count_rx(cx, dev, len, !matches!(door, Door::End), true);
        cx.walk(door);
    }
    if sender.is_some() {
        cx.skbs[skb].pkt_type = pkt_type;
        cx.walk(Door::DevQueueXmit { skb });
    } else if consumed {
        cx.consume_skb(skb);
    } else {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

/// The devices that are up and listen to a group, without the one that sent to it.
fn listeners(cx: &Cx, lower: DevId, group: Mac, sender: Option<DevId>) -> Vec<DevId> {
    let all = ipvlan_port(cx.k, lower).map_or(&[][..], |port| &port.ipvlans);
    let listens = |dev: &DevId| {
        let has = ipvlan(cx.k, *dev).is_some_and(|ipvlan| ipvlan.mac_filters.has(group));
        has && cx.k.devs[*dev].is_up() && Some(*dev) != sender
    };
    all.iter().copied().filter(listens).collect()
}

/// Sends a packet to a device beside this one, or out.
///
/// Kernel: drivers/net/ipvlan/ipvlan_main.c
/// Not modelled: IPv6.
pub fn ipvlan_start_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len());
    let sent = cx.within(Func::IpvlanQueueXmit, skb, |cx| ipvlan_queue_xmit(cx, skb, dev));
    // It may have deleted the device.
    if let Some(netdev) = cx.k.devs.get_mut(dev) {
        match sent {
            true => netdev.stats.count_tx(len),
            false => netdev.stats.tx_dropped += 1,
        }
    }
    Door::End
}

/// True: somebody took it.
fn ipvlan_queue_xmit(cx: &mut Cx, skb: SkbId, dev: DevId) -> bool {
    let lower = ipvlan(cx.k, dev).map(|ipvlan| ipvlan.phy_dev);
    let mode = lower.and_then(|lower| ipvlan_port(cx.k, lower)).map(|port| port.mode);
    match (lower, mode) {
        (Some(lower), Some(IpvlanMode::L2)) => ipvlan_xmit_mode_l2(cx, skb, lower, dev),
        (Some(lower), Some(IpvlanMode::L3 | IpvlanMode::L3s)) => ipvlan_xmit_mode_l3(cx, skb, lower, dev),
        _ => refuse(cx, skb),
    }
}

/// `NET_XMIT_DROP`.
fn refuse(cx: &mut Cx, skb: SkbId) -> bool {
    cx.xmit_failed(skb, Errno::ENOBUFS);
    cx.kfree_skb(skb, DropReason::NotSpecified);
    false
}

fn ipvlan_xmit_mode_l2(cx: &mut Cx, skb: SkbId, lower: DevId, dev: DevId) -> bool {
    let eth = cx.skbs.eth_hdr(skb);
    let (dest, source) = (eth.dest(), eth.source());
    let is_vepa = ipvlan_port(cx.k, lower).is_some_and(|port| port.is_vepa());
    if !is_vepa && dest == source {
        if let Some(sent) = to_beside(cx, skb, lower) {
            return sent;
        }
        // To the host itself.
        let door = dev_forward_skb(cx, skb, lower);
        cx.walk(door);
        return true;
    }
    if dest.is_multicast() {
        skb_scrub_packet(cx, skb, true);
        ipvlan_multicast_enqueue(cx, lower, skb, Some(dev));
        return true;
    }
    cx.skbs[skb].dev = lower;
    cx.xmit_within(skb, Door::DevQueueXmit { skb })
}

fn ipvlan_xmit_mode_l3(cx: &mut Cx, skb: SkbId, lower: DevId, dev: DevId) -> bool {
    let is_vepa = ipvlan_port(cx.k, lower).is_some_and(|port| port.is_vepa());
    if !is_vepa && let Some(sent) = to_beside(cx, skb, lower) {
        return sent;
    }
    if cx.skbs.eth_hdr(skb).dest().is_multicast() || cx.skbs[skb].protocol != ETH_P_IP {
        return refuse(cx, skb);
    }
    cx.within(Func::IpvlanProcessV4Outbound, skb, |cx| ipvlan_process_v4_outbound(cx, skb, lower, dev))
}

/// Gives a packet to the device beside its sender that has its destination; `None`: there is none.
fn to_beside(cx: &mut Cx, skb: SkbId, lower: DevId) -> Option<bool> {
    let beside = addr_lookup(cx, lower, skb, true)?;
    if ipvlan_port(cx.k, lower).is_some_and(|port| port.is_private()) {
        cx.xmit_failed(skb, Errno::ENOBUFS);
        cx.consume_skb(skb);
        return Some(false);
    }
    cx.within(Func::IpvlanRcvFrame, skb, |cx| {
        let len = cx.skbs[skb].len();
        let door = dev_forward_skb(cx, skb, beside);
        count_rx(cx, beside, len, !matches!(door, Door::End), false);
        cx.walk(door);
    });
    Some(true)
}

/// Routes a packet in the namespace of the device below, and sends it as one of that namespace.
fn ipvlan_process_v4_outbound(cx: &mut Cx, skb: SkbId, lower: DevId, dev: DevId) -> bool {
    let (flags, from) = (cx.skbs[skb].ip.flags, cx.k.devs[dev].netns);
    let netns = cx.k.devs[lower].netns;
    skb_scrub_packet(cx, skb, netns != from);
    cx.skbs[skb].dev = lower;
    cx.skbs.pull(skb, ETH_HLEN);
    cx.skbs[skb].network_header = cx.skbs[skb].data;
    let sent = match route_out(cx, skb, lower) {
        true => cx.xmit_within(skb, Door::IpLocalOut { skb }),
        false => {
            cx.kfree_skb(skb, DropReason::NotSpecified);
            false
        }
    };
    if !sent {
        if let Some(netdev) = cx.k.devs.get_mut(lower).filter(|lower| lower.ops.has_tstats) {
            netdev.stats.tx_errors += 1;
        }
        cx.xmit_failed_of(skb, from, flags, Errno::ENOBUFS);
    }
    sent
}

/// Gives a packet its way out by the device below; false: there is none.
fn route_out(cx: &mut Cx, skb: SkbId, lower: DevId) -> bool {
    let Some(iph) = ip_hdr(cx, skb) else { return false };
    let flow = FlowOut {
        daddr: iph.daddr.get(),
        saddr: iph.saddr.get(),
        oif: Some(lower),
        tos: iph.tos,
        mark: cx.skbs[skb].mark,
        any_source: true,
        ..FlowOut::default()
    };
    let netns = cx.k.devs[lower].netns;
    let Ok((route, _)) = ip_route_output_flow(cx, netns, flow, Some(skb)) else { return false };
    if !matches!(route.kind, RouteType::Unicast | RouteType::Local) {
        return false;
    }
    skb_dst_set(cx, skb, route);
    true
}
