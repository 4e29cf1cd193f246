//! Forwarding and flooding.
//!
//! Kernel: net/bridge/br_forward.c

use super::br_netfilter_hooks::br_drop_fake_rtable;
use super::br_vlan::{br_allowed_egress, br_handle_vlan};
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev_forward::is_skb_forwardable;
use crate::net::netfilter::core::nf_hook;
use crate::note::Note;
use crate::tables::bridge::{BridgePort, PortState};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::Site;
use crate::tables::skb::{BrCb, PacketType};
use glassnet_wire::eth::ETH_HLEN;

/// The frame may leave by this port: forwarding state, not the ingress port (without hairpin), in its VLAN, not both isolated.
#[inline]
fn should_deliver(cx: &Cx, port: &BridgePort, to: DevId, skb: SkbId) -> bool {
    let pkt = &cx.skbs[skb];
    (port.flags.hairpin || pkt.dev != to)
        && port.state == PortState::Forwarding
        && br_allowed_egress(&port.vlgrp, pkt.br.vlan_filtered, pkt.vlan_tag)
        && !(pkt.br.src_port_isolated && port.flags.isolated)
}

/// Forwards a frame to the port of its destination.
///
/// Kernel: net/bridge/br_forward.c
/// Not modelled: backup ports.
pub fn br_forward(cx: &mut Cx, skb: SkbId) -> Door {
    let to = cx.skbs[skb].br.to;
    match to.and_then(|to| Some((to, cx.k.devs[to].port.as_ref()?))) {
        Some((to, port)) if should_deliver(cx, port, to, skb) => cx.pass(Door::BrForwardInner { skb }),
        _ => cx.kfree_skb(skb, DropReason::NotSpecified),
    }
}

/// Sets the output device and enters the bridge's FORWARD (or LOCAL_OUT) hook.
///
/// Kernel: net/bridge/br_forward.c
/// Not modelled: nothing.
pub fn __br_forward(cx: &mut Cx, skb: SkbId) -> Door {
    let BrCb { vlan_filtered, to, brdev, .. } = cx.skbs[skb].br;
    if vlan_filtered
        && let (Some(bridge), Some(to)) = (brdev, to)
        && !br_handle_vlan(cx, skb, bridge, to)
    {
        return Door::End;
    }
    let pkt = &mut cx.skbs[skb];
    let local = pkt.br.brdev == Some(pkt.dev);
    pkt.br.from = (!local).then_some(pkt.dev);
    pkt.dev = pkt.br.to.unwrap_or(pkt.dev);
    nf_hook(cx, if local { Site::BrLocalOut } else { Site::BrForward }, skb)
}

/// The `okfn` of FORWARD; enters POST_ROUTING.
///
/// Kernel: net/bridge/br_forward.c
/// Not modelled: nothing.
#[inline]
pub fn br_forward_finish(cx: &mut Cx, skb: SkbId) -> Door {
    nf_hook(cx, Site::BrForwardFinish, skb)
}

/// Pushes the Ethernet header and queues the frame for the port's device.
///
/// Kernel: net/bridge/br_forward.c
/// Not modelled: nothing.
pub fn br_dev_queue_push_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() + ETH_HLEN);
    if !is_skb_forwardable(cx, dev, skb, len) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    br_drop_fake_rtable(cx, skb);
    cx.skbs.push_mac_header(skb);
    cx.pass(Door::DevQueueXmit { skb })
}

/// Floods a frame to all ports; it is then delivered locally if `local_rcv`.
///
/// Kernel: net/bridge/br_forward.c
/// Not modelled: proxy ARP.
pub fn br_flood(cx: &mut Cx, skb: SkbId, local_rcv: bool) -> Door {
    cx.note(|cx| Note::Flood { ports: flooded_ports(cx, skb), local: local_rcv });
    br_flood_next(cx, skb, 0, local_rcv)
}

/// Continues [`br_flood`] with the ports from index `from` on. The last one gets the original, the others clones.
///
/// Kernel: net/bridge/br_forward.c
/// Not modelled: proxy ARP.
pub fn br_flood_next(cx: &mut Cx, skb: SkbId, from: u16, local_rcv: bool) -> Door {
    let Some((at, to)) = next_port(cx, skb, from) else {
        return match local_rcv {
            true => Door::BrPassFrameUp { skb },
            false => cx.kfree_skb(skb, DropReason::NotSpecified),
        };
    };
    let more = next_port(cx, skb, at + 1).is_some();
    cx.skbs[skb].br.to = Some(to);
    if !more && !local_rcv {
        return Door::BrForwardInner { skb };
    }
    let clone = cx.skb_clone(skb);
    cx.afterwards(match more {
        true => Door::BrFloodNext { skb, from: at + 1, local_rcv },
        false => Door::BrPassFrameUp { skb },
    });
    Door::BrForwardInner { skb: clone }
}

/// Names of the egress ports, for the observer.
fn flooded_ports(cx: &Cx, skb: SkbId) -> Vec<String> {
    let ports = std::iter::successors(next_port(cx, skb, 0), |(at, _)| next_port(cx, skb, at + 1));
    ports.map(|(_, port)| cx.k.devs[port].name.clone()).collect()
}

/// The first egress port from index `from` on.
fn next_port(cx: &Cx, skb: SkbId, from: u16) -> Option<(u16, DevId)> {
    let pkt = &cx.skbs[skb];
    let brdev = pkt.br.brdev?;
    let ports = &cx.k.devs[brdev].bridge()?.ports;
    let local_orig = pkt.dev == brdev;
    let dest = cx.skbs.eth_hdr(skb).dest();
    let kind = if dest.is_broadcast() {
        PacketType::Broadcast
    } else if dest.is_multicast() {
        PacketType::Multicast
    } else {
        PacketType::OtherHost
    };
    ports.iter().enumerate().skip(usize::from(from)).find_map(|(at, to)| {
        let port = cx.k.devs[*to].port.as_ref()?;
        let floods = match kind {
            PacketType::Broadcast => port.flags.bcast_flood || local_orig,
            PacketType::Multicast => port.flags.mcast_flood || local_orig,
            _ => port.flags.flood,
        };
        (floods && should_deliver(cx, port, *to, skb)).then_some((at as u16, *to))
    })
}
