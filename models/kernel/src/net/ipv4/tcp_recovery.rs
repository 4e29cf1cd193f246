//! What an acknowledgement tells: what arrived, what is missing, and how much may be under way.
//!
//! Kernel: net/ipv4/tcp_recovery.c, net/ipv4/tcp_input.c (`tcp_ack`, `tcp_fastretrans_alert`)
//! Not modelled: losses without SACK before the timer expires, reordering (it counts as loss after a quarter of a round trip),
//! undoing of what was no loss, ECN.

use glassnet_sim::Nanos;
use glassnet_wire::tcp::{TCP_ACK, TCP_PSH, TcpHdr};

use super::tcp_options::TcpOptions;
use super::tcp_output::{tcp_retransmit_skb, tcp_time_stamp};
use super::tcp_sk::{tcp_ext, tcp_sk};
use super::tcp_timer::arm;
use crate::Cx;
use crate::ids::SocketId;
use crate::tables::inet_csk::{CaState, XmitTimer};
use crate::tables::tcp_cubic::Found;
use crate::tables::tcp_queue::{Cleaned, TCP_SKB_OVERHEAD};
use crate::tables::tcp_sock::{TIMESTAMPS, TcpSock, before};

/// Arrived out of order, so many segments show that what precedes them is lost (`tcp_reordering`).
const REORDERING: u32 = 3;

/// The segment is the one that was predicted, so that little is to be done (`tcp_rcv_established`).
fn is_predicted(tp: &TcpSock, th: &TcpHdr) -> bool {
    let header = 20 + if tp.tstamp_ok { TIMESTAMPS as usize } else { 0 };
    th.flags & !TCP_PSH == TCP_ACK
        && th.header_len() == header
        && tp.predicted == Some(th.window.get())
        && th.seq.get() == tp.rcv.nxt
        && !before(tp.snd_nxt, th.ack_seq.get())
}

/// Takes in the acknowledgement of a segment; `len`: what the segment takes of the sequence space (`tcp_ack`).
pub fn tcp_ack(cx: &mut Cx, sock: SocketId, th: &TcpHdr, options: &TcpOptions, len: u32, established: bool) {
    let (now, clock) = (cx.now, tcp_time_stamp(cx));
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let (ack, una, mss) = (th.ack_seq.get(), tp.snd_una, tp.mss());
    if before(ack, una) || before(tp.snd_nxt, ack) {
        return;
    }
    let slow = !established || !is_predicted(tp, th);
    let advances = before(una, ack);
    let window = u32::from(th.window.get()) << if tp.wscale_ok { tp.snd_wscale } else { 0 };
    let newer = advances || before(tp.snd_wl1, th.seq.get()) || window > tp.snd_wnd || window == 0;
    if tp.snd_wnd != window && newer {
        (tp.snd_wnd, tp.max_window) = (window, tp.max_window.max(window));
        tp.predict();
    }
    tp.snd_wl1 = th.seq.get();
    (tp.icsk.probes_out, tp.rcv_tstamp) = (0, now);
    let mut cleaned = tp.rtx.clean(ack, mss);
    let had_sacked = tp.rtx.sacked_out();
    for block in options.sack.chunks_exact(8).filter(|_| tp.sack_ok) {
        let edge = |at: usize| u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        // A block that was acknowledged before tells of data that came twice.
        if before(ack, edge(4)) {
            tp.rtx.sack((edge(0), edge(4)), mss, &mut cleaned);
        }
    }
    let newly_sacked = tp.rtx.sacked_out() > had_sacked;
    tp.wmem_queued = tp.wmem_queued + cleaned.cuts * TCP_SKB_OVERHEAD - cleaned.truesize;
    let syn = tp.snd_una == tp.iss && advances;
    let over = advances && {
        (tp.snd_una, tp.acked, tp.dst_pending_confirm) = (ack, true, true);
        tp.icsk.acknowledged(ack)
    };
    measure(tp, &cleaned, options, clock, now);
    let delivered = cleaned.delivered + u32::from(syn && tp.counts_syn);
    tcp_ext(cx, sock, |counters| {
        counters.TCPDelivered += u64::from(delivered);
        if advances && !slow {
            counters.TCPHPAcks += 1;
        } else if len == 0 {
            counters.TCPPureAcks += 1;
        }
    });
    if syn || advances || newly_sacked {
        tcp_fastretrans_alert(cx, sock, &cleaned, over);
    }
}

/// Measures round trips by what was acknowledged (`tcp_ack_update_rtt`, `tcp_rack_advance`).
fn measure(tp: &mut TcpSock, cleaned: &Cleaned, options: &TcpOptions, clock: u32, now: Nanos) {
    let una = tp.snd_una;
    let by_syn = tp.icsk.timed.take_if(|(end, _)| !before(una, *end)).map(|(_, sent)| sent);
    let sent = cleaned.first_sent.or(by_syn);
    // Of what was sent again, the echo of its timestamp tells the round trip.
    let echo = options.timestamps.map(|(_, echo)| echo).filter(|_| tp.acked && cleaned.retrans);
    let by_echo = || echo.map(|echo| u64::from(clock.wrapping_add(tp.ts_offset).wrapping_sub(echo)) * 1000);
    let rtt = sent.map(|sent| now.since(sent).0 / 1000).or_else(by_echo);
    let (una, nxt) = (tp.snd_una, tp.snd_nxt);
    if let Some(rtt) = rtt {
        tp.icsk.measured(rtt as i64, una, nxt);
    }
    let Some((sent, end)) = cleaned.latest else { return };
    let took = now.since(sent).0 / 1000;
    // The answer may be to what was sent before.
    if cleaned.retrans && took < tp.icsk.min_rtt() {
        return;
    }
    let later = |(at, last, _): (Nanos, u32, u64)| at < sent || at == sent && before(last, end);
    if tp.icsk.rack.is_none_or(later) {
        tp.icsk.rack = Some((sent, end, took));
    }
}

/// Finds what is lost, sets the congestion window, and sends again what may be (`tcp_fastretrans_alert`, `tcp_cong_control`,
/// `tcp_xmit_recovery`). `over`: what was missing has arrived.
fn tcp_fastretrans_alert(cx: &mut Cx, sock: SocketId, cleaned: &Cleaned, over: bool) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let lost = tcp_rack_detect_loss(tp, now);
    let advances = tp.acked && lost == 0;
    if lost > 0 && tp.icsk.ca == CaState::Open {
        tp.icsk.enter_recovery(tp.snd_nxt);
        tcp_ext(cx, sock, |counters| counters.TCPSackRecovery += 1);
    }
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let (in_flight, ca) = (tp.rtx.in_flight(), tp.icsk.ca);
    let mut found = None;
    match ca {
        CaState::Recovery => tp.icsk.reduce(cleaned.delivered, advances, in_flight),
        CaState::Open | CaState::Loss => {
            if let Some(sent) = cleaned.first_sent.filter(|_| ca == CaState::Open) {
                let snd = (tp.snd_una, tp.snd_nxt);
                found = tp.icsk.look_for_end(now.since(sent).0 / 1000, now, snd);
            }
            if !over || ca == CaState::Loss {
                tp.icsk.cong_avoid(cleaned.delivered, now);
            }
        }
    }
    let cwnd = u64::from(tp.icsk.cwnd);
    tcp_ext(cx, sock, |counters| match found {
        Some(Found::Train) => {
            (counters.TCPHystartTrainDetect, counters.TCPHystartTrainCwnd) =
                (counters.TCPHystartTrainDetect + 1, counters.TCPHystartTrainCwnd + cwnd);
        }
        Some(Found::Delay) => {
            (counters.TCPHystartDelayDetect, counters.TCPHystartDelayCwnd) =
                (counters.TCPHystartDelayDetect + 1, counters.TCPHystartDelayCwnd + cwnd);
        }
        None => {}
    });
    if ca != CaState::Open {
        tcp_xmit_retransmit_queue(cx, sock);
    }
}

/// Marks as lost what was sent well before something that arrived (RACK, RFC 8985); how many segments. What may still arrive is
/// looked at again later.
fn tcp_rack_detect_loss(tp: &mut TcpSock, now: Nanos) -> u32 {
    let Some((latest, end, rtt)) = tp.icsk.rack else { return 0 };
    let sacked = tp.rtx.sacked_out();
    if sacked == 0 && tp.icsk.ca == CaState::Open {
        return 0;
    }
    let waits = tp.icsk.ca == CaState::Open && sacked < REORDERING;
    let reo_wnd = if waits { tp.icsk.min_rtt() / 4 } else { 0 };
    let (mut lost, mut again) = (0, None);
    for skb in tp.rtx.skbs.iter_mut().filter(|skb| !skb.sacked && (!skb.lost || skb.retrans)) {
        if !(skb.sent < latest || skb.sent == latest && before(skb.end(), end)) {
            continue;
        }
        let (waited, patience) = (now.since(skb.sent).0 / 1000, rtt + reo_wnd);
        if waited >= patience {
            (skb.lost, skb.retrans) = (true, false);
            lost += skb.pcount;
        } else {
            again = again.max(Some(Nanos((patience - waited) * 1000)));
        }
    }
    if let Some(after) = again {
        arm(tp, now, XmitTimer::Reordering, after);
    }
    lost
}

/// The timer of reordering expired (`tcp_rack_reo_timeout`).
pub fn tcp_rack_reo_timeout(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    arm(tp, now, XmitTimer::Retrans, tp.icsk.rto);
    if tcp_rack_detect_loss(tp, now) > 0 && tp.icsk.ca == CaState::Open {
        tp.icsk.enter_recovery(tp.snd_nxt);
        let in_flight = tp.rtx.in_flight();
        tp.icsk.reduce(1, false, in_flight);
        tcp_ext(cx, sock, |counters| counters.TCPSackRecovery += 1);
    }
    tcp_xmit_retransmit_queue(cx, sock);
}

/// Sends again what is lost, as far as the congestion window lets it (`tcp_xmit_retransmit_queue`).
pub fn tcp_xmit_retransmit_queue(cx: &mut Cx, sock: SocketId) {
    let mut at = 0;
    loop {
        let Some(tp) = tcp_sk(cx, sock) else { return };
        let free = tp.icsk.cwnd.saturating_sub(tp.rtx.in_flight());
        let next = tp.rtx.skbs.iter().skip(at).position(|skb| skb.lost && !skb.retrans && !skb.sacked);
        let Some(found) = next.filter(|_| free > 0) else { return };
        at += found;
        let in_loss = tp.icsk.ca == CaState::Loss;
        if tcp_retransmit_skb(cx, sock, at, free).is_err() {
            return;
        }
        tcp_ext(cx, sock, |counters| match in_loss {
            true => counters.TCPSlowStartRetrans += 1,
            false => counters.TCPFastRetrans += 1,
        });
        at += 1;
    }
}
