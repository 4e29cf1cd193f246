//! TIME_WAIT.
//!
//! Kernel: net/ipv4/tcp_minisocks.c

use glassnet_wire::tcp::{TCP_ACK, TCP_RST, TCP_SYN, TcpHdr};

use super::tcp::{TCP_TIMEWAIT_LEN, keep_unread, tcp_done};
use super::tcp_input::{sequence_len, tcp_oow_rate_limited};
use super::tcp_ipv4::{Reply, inet_lookup_listener, tcp_v4_do_rcv, tcp_v4_send_reply};
use super::tcp_sk::{tcp_ext, tcp_sk};
use super::tcp_timer::tcp_reset_timer;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{SkbId, SocketId};
use crate::tables::drop_reason::DropReason;
use crate::tables::tcp_sock::{TimeWait, before};

/// Enters TIME_WAIT.
pub fn tcp_time_wait(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    // An orphan in FIN_WAIT2 is one already (`__inet_twsk_schedule`).
    if tcp_sk(cx, sock).is_some_and(|tp| tp.ends_at.is_none()) {
        tcp_ext(cx, sock, |counters| counters.TW += 1);
    }
    let Some(tp) = tcp_sk(cx, sock) else { return };
    tp.time_wait = Some(TimeWait { snd_nxt: tp.snd_nxt, rcv_nxt: tp.rcv.nxt });
    tp.ends_at = Some(now + TCP_TIMEWAIT_LEN);
    (tp.timer_at, tp.icsk.timer, tp.keepalive) = (None, None, None);
    keep_unread(tp);
    tp.done = true;
    tcp_reset_timer(cx, sock);
}

/// Handles a segment in TIME_WAIT: what is out of the window is acknowledged, a RST ends it, a SYN may open a new
/// connection.
///
/// Not modelled: timestamps (PAWS).
pub fn tcp_timewait_state_process(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr) -> Door {
    cx.within(Func::TcpTimewaitStateProcess, skb, |cx| {
        let now = cx.now;
        let Some(tp) = tcp_sk(cx, sock) else { return cx.kfree_skb(skb, DropReason::TcpClose) };
        let state = tp.time_wait.unwrap_or_default();
        let seq = th.seq.get();
        let empty = sequence_len(th, cx.skbs[skb].len()) == 0;
        if seq == state.rcv_nxt && (empty || th.flags & TCP_RST != 0) {
            if th.flags & TCP_RST != 0 {
                tcp_done(cx, sock);
            } else {
                restart(cx, sock);
            }
            return cx.kfree_skb(skb, DropReason::NotSpecified);
        }
        let new = th.flags & (TCP_SYN | TCP_RST | TCP_ACK) == TCP_SYN && before(state.rcv_nxt, seq);
        if new && let Some(listener) = inet_lookup_listener(cx, skb, th) {
            if let Some(tp) = tcp_sk(cx, sock) {
                // A program that still has the old socket sees it closed.
                tp.ends_at = None;
            }
            tcp_done(cx, sock);
            cx.skbs[skb].sk = Some(listener);
            return tcp_v4_do_rcv(cx, skb);
        }
        if th.flags & TCP_RST == 0 {
            // A SYN alone may be the beginning of a connection with a smaller sequence number.
            if th.flags & TCP_ACK != 0 {
                restart(cx, sock);
            }
            let limited = empty || th.flags & TCP_SYN != 0;
            if !limited || tcp_sk(cx, sock).is_some_and(|tp| !tcp_oow_rate_limited(tp, now)) {
                let reply = Reply { flags: TCP_ACK, seq: state.snd_nxt, ack_seq: state.rcv_nxt };
                tcp_v4_send_reply(cx, Func::TcpV4SendAck, skb, th, reply);
            }
        }
        cx.kfree_skb(skb, DropReason::NotSpecified)
    })
}

/// TIME_WAIT begins again (`inet_twsk_reschedule`).
fn restart(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    (tp.ends_at, tp.timer_at) = (Some(now + TCP_TIMEWAIT_LEN), None);
    tcp_reset_timer(cx, sock);
}
