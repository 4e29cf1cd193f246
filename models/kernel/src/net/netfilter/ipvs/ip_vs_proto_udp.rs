//! UDP.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_proto_udp.c

use super::ip_vs_conn::ip_vs_control_assure_ct;
use super::ip_vs_core::{IpVsIphdr, conn};
use super::ip_vs_proto::{Direction, Scheduled, schedule_by_ports};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::tables::ip_vs::conn::ConnId;
use crate::tables::netfilter::HookState;

pub(super) fn udp_conn_schedule(
    cx: &mut Cx,
    skb: SkbId,
    state: &HookState,
    iph: &mut IpVsIphdr,
) -> Scheduled {
    cx.within(Func::UdpConnSchedule, skb, |cx| schedule_by_ports(cx, skb, state, iph))
}

pub(super) fn udp_state_transition(cx: &mut Cx, skb: SkbId, id: ConnId, direction: Direction) {
    cx.call(Func::UdpStateTransition, skb);
    let Some(netns) = conn(cx.k, id).map(|conn| conn.netns) else { return };
    let (net, conns, _) = cx.k.ip_vs.parts(netns);
    if let Some(conn) = conns.get_mut(id) {
        conn.timeout = net.proto.udp;
    }
    if direction == Direction::Output {
        ip_vs_control_assure_ct(cx, id);
    }
}

/// The function that rewrites packets.
pub(super) fn handler(direction: Direction) -> Func {
    match direction {
        Direction::Input => Func::UdpDnatHandler,
        Direction::Output => Func::UdpSnatHandler,
    }
}
