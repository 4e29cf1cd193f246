//! What there is before a connection and after it: a request, whose handshake is not complete, and TIME_WAIT.
//!
//! Kernel: net/ipv4/tcp_minisocks.c

use glassnet_sim::Nanos;
use glassnet_wire::tcp::{TCP_ACK, TCP_RST, TCP_SYN, TcpHdr};

use super::ip_input::snmp;
use super::syncookies::{TCP_SYNCOOKIE_VALID, TCP_SYNCOOKIES, normalised, syn_key, tcp_cookie_time};
use super::tcp::{TCP_TIMEWAIT_LEN, keep_unread, tcp_done};
use super::tcp_input::{
    count_overflow, make_child, packet_bytes, parent_is_full, run_again, sequence_len, tcp_child_process,
    tcp_oow_rate_limited, tcp_run,
};
use super::tcp_ipv4::{Reply, inet_lookup_listener, tcp_v4_do_rcv, tcp_v4_send_reply, tcp_v4_send_reset};
use super::tcp_output::tcp_time_stamp;
use super::tcp_sk::{tcp_ext, tcp_sk};
use super::tcp_timer::{syn_came_again, tcp_reset_timer};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{SkbId, SocketId};
use crate::netlink::Errno;
use crate::sysctl::{At, Sysctl, SysctlTable, set_net};
use crate::tables::drop_reason::DropReason;
use crate::tables::snmp::TcpExtMib;
use crate::tables::sysctl::Setting;
use crate::tables::tcp_sock::{SynCookie, before};

/// How long an orphan waits for the other side's FIN, s.
static FIN_TIMEOUT: Setting = Setting::new("tcp_fin_timeout", 60);

/// Sysctls of the ends of connections.
pub static SYSCTLS: SysctlTable =
    SysctlTable::new("net/ipv4", &[Sysctl::net(&FIN_TIMEOUT).set(set_fin_timeout)]);

/// Handles a segment for a connection whose handshake is not complete. `None`: it completes it.
///
/// Not modelled: timestamps (PAWS), `TCP_DEFER_ACCEPT`.
pub fn tcp_check_req(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr) -> Option<Door> {
    cx.call(Func::TcpCheckReq, skb);
    let len = sequence_len(th, cx.skbs[skb].len());
    let tp = tcp_sk(cx, sock)?;
    let (parent, ack_seq, rcv_nxt) = (tp.parent, tp.snd_nxt, tp.rcv.nxt);
    let (seq, flags) = (th.seq.get(), th.flags & (TCP_ACK | TCP_RST | TCP_SYN));
    let is_first = seq == rcv_nxt.wrapping_sub(1);
    if is_first && flags == TCP_SYN {
        syn_came_again(cx, sock);
    } else if flags & (TCP_ACK | TCP_RST) == TCP_ACK && th.ack_seq.get() != ack_seq {
        // The listener knows nothing of what it acknowledges.
        cx.skbs[skb].sk = parent;
        return Some(tcp_v4_do_rcv(cx, skb));
    } else if !tcp_in_window(seq, len, rcv_nxt, tp.rcv.wnd) {
        if flags & TCP_RST == 0 {
            answer_out_of_window(cx, sock, skb, th, |counters| counters.TCPACKSkippedSynRecv += 1);
        }
    } else if flags & TCP_RST != 0 && seq != rcv_nxt {
        // RFC 5961, 3.2: `tcp_reqsk_send_challenge_ack`, without a limit of the namespace.
        if !tcp_oow_rate_limited(cx, sock, |counters| counters.TCPACKSkippedChallenge += 1) {
            tcp_ext(cx, sock, |counters| counters.TCPChallengeACK += 1);
            tcp_v4_send_ack(cx, sock, skb, th);
        }
    } else if flags & TCP_RST != 0 || flags & TCP_SYN != 0 && !is_first {
        tcp_v4_send_reset(cx, skb, th);
        tcp_ext(cx, sock, |counters| counters.EmbryonicRsts += 1);
        snmp(cx, skb).tcp.AttemptFails += 1;
        tcp_done(cx, sock);
    } else if flags & TCP_ACK != 0 {
        if !parent_is_full(cx, parent) {
            return None;
        }
        count_overflow(cx, skb);
    }
    Some(cx.kfree_skb(skb, DropReason::NotSpecified))
}

/// Something of a segment is in the window of `wnd` bytes from `start` on, or it is empty and at its end.
fn tcp_in_window(seq: u32, len: u32, start: u32, wnd: u32) -> bool {
    let end = start.wrapping_add(wnd);
    seq == start || before(start, seq.wrapping_add(len)) && before(seq, end) || seq == end && len == 0
}

/// Answers a segment out of the window, but one without data not too often; else counts that (`tcp_oow_rate_limited`).
fn answer_out_of_window(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr, skipped: fn(&mut TcpExtMib)) {
    let has_data = sequence_len(th, cx.skbs[skb].len()) > 0 && th.flags & TCP_SYN == 0;
    if has_data || !tcp_oow_rate_limited(cx, sock, skipped) {
        tcp_v4_send_ack(cx, sock, skb, th);
    }
}

/// Acknowledges what a request or a connection in TIME_WAIT received (`tcp_v4_reqsk_send_ack`, `tcp_v4_timewait_ack`).
fn tcp_v4_send_ack(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr) {
    let clock = tcp_time_stamp(cx);
    let txhash = cx.k.sockets.get(sock).map_or(0, |socket| socket.txhash);
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let shift = if tp.wscale_ok { tp.rcv_wscale } else { 0 };
    let timestamps =
        tp.ts_recent.filter(|_| tp.tstamp_ok).map(|peer| (clock.wrapping_add(tp.ts_offset), peer));
    let reply = Reply {
        flags: TCP_ACK,
        seq: tp.snd_nxt,
        ack_seq: tp.rcv.nxt,
        window: (tp.rcv.left() >> shift).min(u32::from(u16::MAX)) as u16,
        timestamps,
        txhash,
    };
    tcp_v4_send_reply(cx, Func::TcpV4SendAck, skb, th, reply);
}

/// Answers a SYN with a cookie (`cookie_init_sequence` in net/ipv4/syncookies.c): the same one to the same SYN within a minute.
pub fn send_cookie(cx: &mut Cx, listener: SocketId, skb: SkbId) -> Option<()> {
    let (syn, now) = (normalised(&packet_bytes(cx, skb))?, cx.now);
    let (netns, drawn) =
        (cx.k.sockets.get(listener)?.netns, (cx.dice.below(u64::MAX), cx.dice.below(1 << 32) as u32));
    let (key, queue) = (syn_key(&syn, 0)?, tcp_sk(cx, listener)?.requests.as_mut()?);
    if queue.last_overflow.is_some_and(|at| tcp_cookie_time(at) != tcp_cookie_time(now)) {
        queue.cookies.retain(|_, cookie| now.since(cookie.at) < TCP_SYNCOOKIE_VALID);
    }
    let known = queue
        .cookies
        .get(&key)
        .filter(|known| known.syn == syn && tcp_cookie_time(known.at) == tcp_cookie_time(now));
    let chance = known.map_or(drawn, |cookie| cookie.chance);
    let child = make_child(cx, listener, skb, &syn, Some(chance))?;
    cx.k.netns[netns].ipv4.snmp.tcp_ext.SyncookiesSent += 1;
    tcp_run(cx, child, Some(&syn));
    let isn = tcp_sk(cx, child)?.iss;
    tcp_done(cx, child);
    let queue = tcp_sk(cx, listener)?.requests.as_mut()?;
    queue.cookies.insert(key, SynCookie { syn, isn, chance, at: now });
    queue.last_overflow = Some(now);
    Some(())
}

/// Looks for a cookie in a segment to a listener. `None`: it has none; else its connection begins with it.
pub fn cookie_v4_check(cx: &mut Cx, listener: SocketId, skb: SkbId, th: &TcpHdr) -> Option<Door> {
    cx.call(Func::CookieV4Check, skb);
    let (netns, now) = (cx.k.sockets.get(listener)?.netns, cx.now);
    let queue = tcp_sk(cx, listener)?.requests.as_ref()?;
    let overflowed = queue.last_overflow.is_some_and(|at| now.since(at) < TCP_SYNCOOKIE_VALID);
    let asked = th.flags & (TCP_ACK | TCP_RST) == TCP_ACK && overflowed;
    if !asked || cx.k.netns[netns].sysctls.get(&TCP_SYNCOOKIES) == 0 {
        return None;
    }
    let key = syn_key(&packet_bytes(cx, skb), 1)?;
    let is_valid = |cookie: &&SynCookie| {
        th.ack_seq.get() == cookie.isn.wrapping_add(1)
            && tcp_cookie_time(now) - tcp_cookie_time(cookie.at) < 2
    };
    let known = tcp_sk(cx, listener)?.requests.as_ref()?.cookies.get(&key);
    let found = known.filter(is_valid).cloned();
    let counters = &mut cx.k.netns[netns].ipv4.snmp.tcp_ext;
    let Some(cookie) = found else {
        counters.SyncookiesFailed += 1;
        return None;
    };
    counters.SyncookiesRecv += 1;
    if parent_is_full(cx, Some(listener)) {
        count_overflow(cx, skb);
    } else if let Some(child) = make_child(cx, listener, skb, &cookie.syn, Some(cookie.chance)) {
        run_again(cx, child, &cookie.syn);
        return Some(tcp_child_process(cx, child, skb, th));
    }
    Some(cx.kfree_skb(skb, DropReason::NotSpecified))
}

/// How long a connection that no program has waits in FIN_WAIT2 (`tcp_fin_time`).
pub fn tcp_fin_time(cx: &mut Cx, sock: SocketId) -> Nanos {
    let Some(socket) = cx.k.sockets.get(sock) else { return TCP_TIMEWAIT_LEN };
    let set = Nanos::from_secs(cx.k.netns[socket.netns].sysctls.get(&FIN_TIMEOUT) as u64);
    let rto = socket.tcp.as_ref().map_or(Nanos::ZERO, |tp| tp.icsk.rto);
    set.max(Nanos(rto.0 * 7 / 2))
}

/// Linux keeps a connection that waits longer as a socket for a while.
fn set_fin_timeout(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    if value < 0 || value as u64 > TCP_TIMEWAIT_LEN.0 / Nanos::from_secs(1).0 {
        return Err(Errno::EOPNOTSUPP);
    }
    set_net(cx, at, row, value)
}

/// The connection ends after this time. It is counted once, in FIN_WAIT2 or TIME_WAIT (net/ipv4/inet_timewait_sock.c).
pub fn inet_twsk_schedule(cx: &mut Cx, sock: SocketId, wait: Nanos) {
    /// Who ends earlier counts as killed.
    const LEAST_WAIT: Nanos = Nanos::from_secs(4);
    let ends_at = cx.now + wait;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if tp.ends_at.replace(ends_at).is_none() {
        let is_killed = wait <= LEAST_WAIT;
        tcp_ext(cx, sock, |counters| {
            counters.TW += u64::from(!is_killed);
            counters.TWKilled += u64::from(is_killed);
        });
    }
}

/// Enters TIME_WAIT.
pub fn tcp_time_wait(cx: &mut Cx, sock: SocketId) {
    inet_twsk_schedule(cx, sock, TCP_TIMEWAIT_LEN);
    let Some(tp) = tcp_sk(cx, sock) else { return };
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
        let Some(tp) = tcp_sk(cx, sock) else { return cx.kfree_skb(skb, DropReason::TcpClose) };
        let (rcv_nxt, seq) = (tp.rcv.nxt, th.seq.get());
        let empty = sequence_len(th, cx.skbs[skb].len()) == 0;
        if seq == rcv_nxt && (empty || th.flags & TCP_RST != 0) {
            if th.flags & TCP_RST != 0 {
                tcp_done(cx, sock);
            } else {
                restart(cx, sock);
            }
            return cx.kfree_skb(skb, DropReason::NotSpecified);
        }
        let new = th.flags & (TCP_SYN | TCP_RST | TCP_ACK) == TCP_SYN && before(rcv_nxt, seq);
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
            answer_out_of_window(cx, sock, skb, th, |counters| counters.TCPACKSkippedTimeWait += 1);
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
