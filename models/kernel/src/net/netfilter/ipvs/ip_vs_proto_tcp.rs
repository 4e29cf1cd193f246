//! TCP, of which mostly one direction is seen.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_proto_tcp.c

use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, TcpHdr};

use super::ip_vs_conn::ip_vs_control_assure_ct;
use super::ip_vs_core::{IpVsIphdr, conn, tcp_hdr};
use super::ip_vs_ctl::{SLOPPY_TCP, settings};
use super::ip_vs_proto::{Direction, Scheduled, schedule_by_ports};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::tables::ip_vs::conn::{
    ConnId, TCP_S_CLOSE, TCP_S_ESTABLISHED, TCP_S_SYN_RECV, TCP_S_SYN_SENT, TCP_S_SYNACK, TCP_STATES,
};
use crate::tables::ip_vs::{CONN_F_INACTIVE, CONN_F_NOOUTPUT};
use crate::tables::netfilter::HookState;

pub(super) fn tcp_conn_schedule(
    cx: &mut Cx,
    skb: SkbId,
    state: &HookState,
    iph: &mut IpVsIphdr,
) -> Scheduled {
    cx.within(Func::TcpConnSchedule, skb, |cx| {
        if !iph.icmp
            && let Some(tcp) = tcp_hdr(cx, skb, iph)
        {
            let begins = tcp.flags & TCP_SYN != 0 || settings(cx.k, state.netns).get(&SLOPPY_TCP) != 0;
            if tcp.flags & TCP_RST != 0 || !begins {
                return Scheduled::None;
            }
        }
        schedule_by_ports(cx, skb, state, iph)
    })
}

/// The function that rewrites packets.
pub(super) fn handler(direction: Direction) -> Func {
    match direction {
        Direction::Input => Func::TcpDnatHandler,
        Direction::Output => Func::TcpSnatHandler,
    }
}

/// The states that follow from each state, as one letter each: None, Established, Syn sent, syn Received, Fin wait, Time wait,
/// Closed, close Wait, last Ack, Listen, synack (K).
const LETTERS: &[u8; TCP_STATES] = b"NESRFTCWALK";

/// Rows of the tables below: SYN, FIN, ACK, RST.
type Rows = [&'static [u8; TCP_STATES]; 4];

/// Packets to the destination, packets from it, and packets to it where none from it are seen.
const TCP_STATES_TABLE: [Rows; 3] = [
    [b"REERRRRRRRR", b"CWSTTTCWALT", b"EESEFTCWCLE", b"CCCRCCCCALR"],
    [b"SESRSSSSSLR", b"TFSTFTCTALT", b"EESEFTCWAEE", b"CCSCCTCCCCC"],
    [b"REERRRRRRRR", b"CFSTFTCWALT", b"EESEFTCWCLE", b"CCCRCCCCALC"],
];

/// The same with `secure_tcp`.
const TCP_STATES_DOS_TABLE: [Rows; 3] = [
    [b"REERRRRRRRK", b"CWSTTTCWALK", b"EESRFTCWCLK", b"CCCRCCCCALC"],
    [b"SESKSSSSSLK", b"TFSTFTCTALT", b"EESEFTCWAEE", b"CCSCCTCCCCC"],
    [b"KEERKKKKKKK", b"CFSTFTCWALT", b"EESEFTCWCLE", b"CCCRCCCCALC"],
];

/// The state after a segment.
fn next_state(table: &[Rows; 3], rows: usize, tcp: &TcpHdr, state: u8) -> u8 {
    // RST before SYN before FIN before ACK.
    let order = [(TCP_RST, 3), (TCP_SYN, 0), (TCP_FIN, 1), (TCP_ACK, 2)];
    let Some((_, row)) = order.into_iter().find(|(flag, _)| tcp.flags & flag != 0) else {
        return TCP_S_CLOSE;
    };
    let letter = table[rows][row].get(usize::from(state));
    letter
        .and_then(|letter| LETTERS.iter().position(|known| known == letter))
        .map_or(TCP_S_CLOSE, |at| at as u8)
}

/// The connection counts as active in this state.
fn is_active(state: u8) -> bool {
    matches!(state, TCP_S_ESTABLISHED | TCP_S_SYN_SENT | TCP_S_SYN_RECV | TCP_S_SYNACK)
}

/// The state follows a segment (`tcp_state_transition`, `set_tcp_state`).
pub(super) fn tcp_state_transition(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    iph: &IpVsIphdr,
    direction: Direction,
) {
    cx.call(Func::TcpStateTransition, skb);
    let Some(tcp) = tcp_hdr(cx, skb, iph) else { return };
    let Some(netns) = conn(cx.k, id).map(|conn| conn.netns) else { return };
    let (net, conns, services) = cx.k.ip_vs.parts(netns);
    let Some(conn) = conns.get_mut(id) else { return };
    let rows = match direction {
        Direction::Output => {
            conn.flags &= !CONN_F_NOOUTPUT;
            1
        }
        Direction::Input if conn.has(CONN_F_NOOUTPUT) => 2,
        Direction::Input => 0,
    };
    let table = if net.proto.secure_tcp { &TCP_STATES_DOS_TABLE } else { &TCP_STATES_TABLE };
    let (old, new) = (conn.state, next_state(table, rows, &tcp, conn.state));
    (conn.state, conn.timeout) = (new, net.proto.tcp[usize::from(new)]);
    if new == old {
        return;
    }
    if conn.has(CONN_F_INACTIVE) == is_active(new)
        && let Some(dest) = conn.dest.and_then(|id| services.dest_mut(id))
    {
        conn.flags ^= CONN_F_INACTIVE;
        dest.activeconns += if is_active(new) { 1 } else { -1 };
    }
    if new == TCP_S_ESTABLISHED {
        ip_vs_control_assure_ct(cx, id);
    }
}
