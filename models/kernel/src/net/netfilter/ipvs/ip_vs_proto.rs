//! What IPVS asks of a protocol.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_proto.c

use glassnet_wire::ipv4::IPPROTO_TCP;

use super::super::nf_nat_core::Manip;
use super::super::nf_nat_proto::manip_ipv4;
use super::ip_vs_core::{Ignored, IpVsIphdr, chooser, conn, ip_vs_leave, ip_vs_schedule, skb_ports};
use super::ip_vs_ctl::{ip_vs_service_find, ip_vs_todrop};
use super::{ip_vs_proto_tcp as tcp, ip_vs_proto_udp as udp};
use crate::Cx;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::note::{IpvsNote, Note};
use crate::tables::conntrack::Tuple;
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_vs::conn::ConnId;
use crate::tables::netfilter::HookState;

/// Where a packet goes (`IP_VS_DIR_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the destination.
    Input,
    /// From the destination.
    Output,
}

/// What a protocol makes of a packet without a connection (`conn_schedule`).
pub(super) enum Scheduled {
    /// A new connection.
    Conn(ConnId),
    /// The packet is for no service.
    None,
    /// The packet's fate is decided.
    Verdict(Verdict),
}

/// Makes a connection for a packet that begins one (`conn_schedule`).
pub(super) fn conn_schedule(cx: &mut Cx, skb: SkbId, state: &HookState, iph: &mut IpVsIphdr) -> Scheduled {
    match iph.protocol {
        IPPROTO_TCP => tcp::tcp_conn_schedule(cx, skb, state, iph),
        _ => udp::udp_conn_schedule(cx, skb, state, iph),
    }
}

/// The part of `conn_schedule` that protocols have in common: the service of the packet's ports chooses a destination.
pub(super) fn schedule_by_ports(
    cx: &mut Cx,
    skb: SkbId,
    state: &HookState,
    iph: &mut IpVsIphdr,
) -> Scheduled {
    let dropped = Scheduled::Verdict(Verdict::Drop(DropReason::NetfilterDrop));
    let Some((source, dest)) = skb_ports(cx, skb, iph) else { return dropped };
    let end = (iph.protocol, iph.vaddr(), if iph.inverse { source } else { dest });
    let Some(svc) = ip_vs_service_find(cx, state.netns, skb, end) else { return Scheduled::None };
    if ip_vs_todrop(cx, state.netns) {
        return dropped;
    }
    match ip_vs_schedule(cx, skb, svc, iph) {
        Ok(id) => Scheduled::Conn(id),
        Err(Ignored::Accept) => Scheduled::None,
        Err(Ignored::NoDest) => {
            let by = chooser(cx.k, svc);
            cx.note(|_| Note::Ipvs(IpvsNote { service: end, dest: None, by }));
            Scheduled::Verdict(ip_vs_leave(cx, skb, svc, state, iph))
        }
    }
}

/// The connection's state follows a packet (`ip_vs_set_state`).
pub(super) fn state_transition(cx: &mut Cx, skb: SkbId, id: ConnId, iph: &IpVsIphdr, direction: Direction) {
    match iph.protocol {
        IPPROTO_TCP => tcp::tcp_state_transition(cx, skb, id, iph, direction),
        _ => udp::udp_state_transition(cx, skb, id, direction),
    }
}

/// Gives a packet the destination's address and port, or one of the destination the service's (`dnat_handler`, `snat_handler`); false:
/// it is cut off.
pub(super) fn ip_vs_nat_packet(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    iph: &IpVsIphdr,
    direction: Direction,
) -> bool {
    let Some(cp) = conn(cx.k, id) else { return false };
    let (server, service) = ((cp.daddr, cp.dport), (cp.param.vaddr, cp.param.vport));
    let handler = match iph.protocol {
        IPPROTO_TCP => tcp::handler(direction),
        _ => udp::handler(direction),
    };
    cx.call(handler, skb);
    let at = cx.skbs[skb].network_header;
    match direction {
        Direction::Input => manip_ipv4(
            cx.skbs,
            skb,
            at,
            &Tuple { dst: server.0, dport: server.1, ..Tuple::default() },
            Manip::Dst,
        ),
        Direction::Output => manip_ipv4(
            cx.skbs,
            skb,
            at,
            &Tuple { src: service.0, sport: service.1, ..Tuple::default() },
            Manip::Src,
        ),
    }
}
