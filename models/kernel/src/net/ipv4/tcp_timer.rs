//! TCP's timers: retransmission, loss probes, window probes, timeouts, TIME_WAIT.
//!
//! Kernel: net/ipv4/tcp_timer.c, net/ipv4/tcp_output.c (`tcp_schedule_loss_probe`), net/ipv4/inet_connection_sock.c
//! (`reqsk_timer_handler`)

use glassnet_sim::Nanos;
use glassnet_wire::tcp::{TCP_ACK, TcpHdr};
use zerocopy::IntoBytes;

use super::tcp::{tcp_abort, tcp_done};
use super::tcp_input::{route_of, tcp_oow_rate_limited, tcp_run, tcp_send_ack};
use super::tcp_options::{TcpOptions, tcp_options_write};
use super::tcp_output::{
    tcp_retransmit_skb, tcp_transmit_machines, tcp_transmit_skb, tcp_write_wakeup, tcp_write_xmit,
};
use super::tcp_recovery::{tcp_rack_reo_timeout, tcp_xmit_retransmit_queue};
use super::tcp_sk::{tcp_ext, tcp_sk};
use crate::Cx;
use crate::ids::SocketId;
use crate::net::core::sock::sk_rethink_txhash;
use crate::netlink::Errno;
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::inet_csk::{Icsk, TCP_RTO_MAX, TCP_RTO_MIN, TCP_TIMEOUT_INIT, XmitTimer};
use crate::tables::jiffies::{JIFFY, last_tick, wheel_expiry};
use crate::tables::sysctl::Setting;
use crate::tables::tcp_queue::TCP_SKB_OVERHEAD;
use crate::tables::tcp_sock::{TcpSock, TcpState};

static SYN_RETRIES: Setting = Setting::new("tcp_syn_retries", 6);
static SYNACK_RETRIES: Setting = Setting::new("tcp_synack_retries", 5);
static RETRIES2: Setting = Setting::new("tcp_retries2", 15);
static ORPHAN_RETRIES: Setting = Setting::new("tcp_orphan_retries", 0);
static EARLY_RETRANS: Setting = Setting::new("tcp_early_retrans", 3);
static KEEPALIVE_TIME: Setting = Setting::new("tcp_keepalive_time", 7200);
static KEEPALIVE_PROBES: Setting = Setting::new("tcp_keepalive_probes", 9);
static KEEPALIVE_INTVL: Setting = Setting::new("tcp_keepalive_intvl", 75);

/// Sysctls of the timers. After `tcp_retries1` Linux looks for another route; here one is looked up for each segment.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::net(&SYN_RETRIES).range(1, 127),
        Sysctl::net(&SYNACK_RETRIES).range(0, 255),
        Sysctl::not_followed("tcp_retries1", |_, _, _| 3),
        Sysctl::net(&RETRIES2).range(0, 255),
        Sysctl::net(&ORPHAN_RETRIES).range(0, 255),
        Sysctl::net(&EARLY_RETRANS).range(0, 4),
        Sysctl::net(&KEEPALIVE_TIME),
        Sysctl::net(&KEEPALIVE_PROBES).range(0, 255),
        Sysctl::net(&KEEPALIVE_INTVL),
    ],
);

/// After this time a packet that the device did not take is tried again.
const TCP_RESOURCE_PROBE_INTERVAL: Nanos = Nanos::from_millis(500);

/// Delay before a machine that is due at once is polled again, so that virtual time advances.
const SOON: Nanos = Nanos::from_micros(1_000);

/// The settings of a connection's namespace, as far as its timers read them.
struct Retries {
    syn: u32,
    synack: u32,
    data: u32,
    orphan: u32,
    early_retrans: u32,
}

fn retries(cx: &Cx, sock: SocketId) -> Option<Retries> {
    let sysctls = &cx.k.netns[cx.k.sockets.get(sock)?.netns].sysctls;
    Some(Retries {
        syn: sysctls.get(&SYN_RETRIES) as u32,
        synack: sysctls.get(&SYNACK_RETRIES) as u32,
        data: sysctls.get(&RETRIES2) as u32,
        orphan: sysctls.get(&ORPHAN_RETRIES) as u32,
        early_retrans: sysctls.get(&EARLY_RETRANS) as u32,
    })
}

/// Arms the timer of retransmissions (`inet_csk_reset_xmit_timer`): it expires in a tick, at the end of its slot.
pub fn arm(tp: &mut TcpSock, now: Nanos, what: XmitTimer, after: Nanos) {
    let ticks = after.min(TCP_RTO_MAX).0.div_ceil(JIFFY);
    tp.icsk.timeout = last_tick(now) + Nanos(ticks * JIFFY);
    tp.icsk.timer = Some((what, wheel_expiry(now, tp.icsk.timeout)));
}

/// Sets the timer of retransmissions after a run: `acked` if something new was acknowledged, `sent_new` if something new
/// was sent (`tcp_set_xmit_timer`, `tcp_rearm_rto`, `tcp_check_probe_timer`).
pub fn tcp_set_xmit_timer(cx: &mut Cx, sock: SocketId, acked: bool, sent_new: bool) {
    let now = cx.now;
    let Some(retries) = retries(cx, sock) else { return };
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let timer = tp.icsk.timer.map(|(what, _)| what);
    match tp.state {
        TcpState::Listen | TcpState::Close | TcpState::TimeWait => tp.icsk.timer = None,
        TcpState::SynSent if timer.is_none() => arm(tp, now, XmitTimer::Retrans, tp.icsk.rto),
        TcpState::SynRecv if timer.is_none() => arm(tp, now, XmitTimer::SynAck, TCP_TIMEOUT_INIT),
        TcpState::SynSent | TcpState::SynRecv => {}
        _ if tp.snd_una != tp.snd_nxt => {
            let waits =
                matches!(timer, Some(XmitTimer::Retrans | XmitTimer::LossProbe | XmitTimer::Reordering));
            if acked || sent_new || !waits {
                match loss_probe_after(tp, retries.early_retrans) {
                    Some(after) if acked || sent_new => arm(tp, now, XmitTimer::LossProbe, after),
                    _ if acked || !waits => arm(tp, now, XmitTimer::Retrans, tp.icsk.rto),
                    _ => {}
                }
            }
        }
        _ if !tp.write_queue.is_empty() => {
            if timer != Some(XmitTimer::Probe0) {
                arm(tp, now, XmitTimer::Probe0, tp.icsk.probe0_when());
            }
        }
        _ => tp.icsk.timer = None,
    }
}

/// When a loss probe is due: after two round trips, but not while what was lost is sent again (`tcp_schedule_loss_probe`).
fn loss_probe_after(tp: &TcpSock, early_retrans: u32) -> Option<Nanos> {
    let icsk = &tp.icsk;
    if !matches!(early_retrans, 3 | 4) || !tp.sack_ok || icsk.high_seq.is_some() {
        return None;
    }
    let outstanding = tp.snd_nxt.wrapping_sub(tp.snd_una);
    let alone = outstanding <= tp.mss();
    let after = match icsk.srtt() {
        // The answer to a single segment may be a delayed one.
        Some(srtt) if alone => Nanos(srtt.0 * 2) + TCP_RTO_MIN,
        Some(srtt) => Nanos(srtt.0 * 2 + 2 * JIFFY),
        None => TCP_TIMEOUT_INIT,
    };
    Some(after.min(icsk.rto))
}

/// Sets the socket's timer, unless it expires early enough.
pub fn tcp_reset_timer(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let soon = tp.machine.as_mut().is_some_and(|machine| machine.is_due()).then(|| now + SOON);
    let later = |at: Nanos| wheel_expiry(now, at.max(now));
    let delayed = tp.ack.timeout.map(later);
    let sends_again = tp.icsk.timer.map(|(_, at)| at);
    let alive = tp.keepalive.map(|(_, at)| at);
    let times = [soon, tp.ends_at.map(later), sends_again, delayed, alive];
    let Some(at) = times.into_iter().flatten().min() else { return };
    if tp.timer_at.is_none_or(|set| at < set) {
        tp.timer_at = Some(at);
        cx.set_timer(at, tcp_write_timer, sock.0);
    }
}

/// The socket's timer expired (`tcp_write_timer`, and the timers of requests and TIME_WAIT).
pub fn tcp_write_timer(cx: &mut Cx, sock: u32) {
    let sock = SocketId(sock);
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if tp.timer_at.is_none_or(|at| at > now) {
        return;
    }
    tp.timer_at = None;
    if tp.ends_at.is_some_and(|at| at <= now) {
        return tcp_done(cx, sock);
    }
    // Delayed ACK (`tcp_delack_timer`).
    let delayed = tp.ack.timeout.is_some_and(|at| at <= now);
    let due = tp.icsk.timer.take_if(|(_, at)| *at <= now);
    let silent = tp.keepalive.take_if(|(_, at)| *at <= now).is_some();
    if delayed {
        tp.ack.expired(tp.icsk.rto);
        tcp_ext(cx, sock, |counters| counters.DelayedACKs += 1);
        tcp_send_ack(cx, sock);
    }
    if silent {
        tcp_keepalive_timer(cx, sock);
    }
    match due {
        Some((XmitTimer::Retrans, _)) => tcp_retransmit_timer(cx, sock),
        Some((XmitTimer::LossProbe, _)) => tcp_send_loss_probe(cx, sock),
        Some((XmitTimer::Reordering, _)) => tcp_rack_reo_timeout(cx, sock),
        Some((XmitTimer::Probe0, _)) => tcp_probe_timer(cx, sock),
        Some((XmitTimer::SynAck, _)) => reqsk_timer_handler(cx, sock),
        None if silent || delayed => {}
        None => tcp_run(cx, sock, None),
    }
    tcp_reset_timer(cx, sock);
}

/// Sends what smoltcp sends when its timer expires.
fn send_expired(cx: &mut Cx, sock: SocketId) -> Result<(), Errno> {
    let now = cx.now;
    let segments = tcp_sk(cx, sock).and_then(|tp| tp.machine.as_mut()).map(|machine| machine.expire(now));
    segments.unwrap_or_default().into_iter().try_for_each(|segment| tcp_transmit_machines(cx, sock, segment))
}

/// Sends the first segment again, with a doubled timeout; gives up after too many.
fn tcp_retransmit_timer(cx: &mut Cx, sock: SocketId) {
    tcp_ext(cx, sock, |counters| counters.TCPTimeouts += 1);
    if tcp_write_timeout(cx, sock) {
        return tcp_write_err(cx, sock);
    }
    if sk_rethink_txhash(cx, sock) {
        tcp_ext(cx, sock, |counters| counters.TcpTimeoutRehash += 1);
    }
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    tp.icsk.retransmits += 1;
    tp.icsk.retrans_stamp.get_or_insert(now);
    let sent = if tp.is_synchronised() {
        tp.icsk.enter_loss(tp.snd_nxt, now);
        for skb in tp.rtx.skbs.iter_mut().filter(|skb| !skb.sacked) {
            (skb.lost, skb.retrans) = (true, false);
        }
        tcp_retransmit_skb(cx, sock, 0, 1)
    } else {
        send_expired(cx, sock)
    };
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if sent == Err(Errno::ENOBUFS) {
        return arm(tp, now, XmitTimer::Retrans, TCP_RESOURCE_PROBE_INTERVAL);
    }
    tp.icsk.back_off();
    arm(tp, now, XmitTimer::Retrans, tp.icsk.rto);
}

/// It is time to give up (`tcp_write_timeout`).
fn tcp_write_timeout(cx: &mut Cx, sock: SocketId) -> bool {
    let now = cx.now;
    let Some(retries) = retries(cx, sock) else { return false };
    let Some(tp) = tcp_sk(cx, sock) else { return false };
    if tp.state == TcpState::SynSent {
        return tp.icsk.retransmits >= retries.syn;
    }
    let retries = if tp.orphan { tcp_orphan_retries(tp, retries.orphan) } else { retries.data };
    tp.icsk.retrans_stamp.is_some_and(|since| now.since(since) >= Icsk::model_timeout(retries))
}

/// How often something is sent again for a connection that no program holds any more.
fn tcp_orphan_retries(tp: &TcpSock, setting: u32) -> u32 {
    let alive = tp.icsk.rto < TCP_RTO_MAX;
    match setting {
        _ if tp.soft_error.is_some() && !alive => 0,
        0 if alive => 8,
        retries => retries,
    }
}

/// Sends something new, or else the last segment again, so that the peer tells what it lacks.
fn tcp_send_loss_probe(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if tp.icsk.tlp_high_seq.is_none() && (tcp_write_xmit(cx, sock, true) || repeat_last(cx, sock).is_ok()) {
        if let Some(tp) = tcp_sk(cx, sock) {
            (tp.icsk.tlp_high_seq, tp.icsk.timed) = (Some(tp.snd_nxt), None);
        }
        tcp_ext(cx, sock, |counters| counters.TCPLossProbes += 1);
    }
    if let Some(tp) = tcp_sk(cx, sock) {
        arm(tp, now, XmitTimer::Retrans, tp.icsk.rto);
    }
}

/// Sends the last segment again.
fn repeat_last(cx: &mut Cx, sock: SocketId) -> Result<(), Errno> {
    let Some(tp) = tcp_sk(cx, sock) else { return Ok(()) };
    let mss = tp.mss();
    let Some(last) = tp.rtx.skbs.back() else { return Ok(()) };
    if last.pcount > 1 && tp.rtx.cut(tp.rtx.skbs.len() - 1, last.pcount - 1, mss) {
        tp.wmem_queued += TCP_SKB_OVERHEAD;
    }
    let at = tp.rtx.skbs.len() - 1;
    tcp_retransmit_skb(cx, sock, at, 1)
}

/// What waits and nothing is under way that would ask for an answer: sends of it what the window lets, or asks for the window
/// (`tcp_send_probe0`).
fn tcp_probe_timer(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some(retries) = retries(cx, sock) else { return };
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let most = if tp.orphan { tcp_orphan_retries(tp, retries.orphan) } else { retries.data };
    if tp.icsk.probes_out >= most {
        return tcp_write_err(cx, sock);
    }
    if !tcp_write_wakeup(cx, sock) {
        tcp_ext(cx, sock, |counters| counters.TCPWinProbe += 1);
        tcp_xmit_probe_skb(cx, sock);
    }
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if tp.snd_una != tp.snd_nxt {
        (tp.icsk.probes_out, tp.icsk.backoff) = (0, 0);
        return arm(tp, now, XmitTimer::Retrans, tp.icsk.rto);
    }
    tp.icsk.probes_out += 1;
    tp.icsk.backoff = (tp.icsk.backoff + 1).min(retries.data);
    arm(tp, now, XmitTimer::Probe0, tp.icsk.probe0_when());
}

/// How long a connection may be silent, how long an answer may take, and how often it is asked.
fn keepalive(cx: &Cx, sock: SocketId) -> Option<(Nanos, Nanos, u32)> {
    let socket = cx.k.sockets.get(sock)?;
    let own = socket.opts.keepalive?;
    let sysctls = &cx.k.netns[socket.netns].sysctls;
    let secs = |own: u32, setting: i64| match own {
        0 => Nanos::from_secs(setting.max(0) as u64),
        own => Nanos::from_secs(u64::from(own)),
    };
    let time = secs(own.idle, sysctls.get(&KEEPALIVE_TIME));
    let intvl = secs(own.intvl, sysctls.get(&KEEPALIVE_INTVL));
    Some((time, intvl, sysctls.get(&KEEPALIVE_PROBES) as u32))
}

/// Arms the keepalive timer (`inet_csk_reset_keepalive_timer`).
fn reset_keepalive_timer(cx: &mut Cx, sock: SocketId, after: Nanos) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let at = last_tick(now) + after;
    tp.keepalive = Some((at, wheel_expiry(now, at)));
}

/// A connection begins whose silence is to be watched (`tcp_finish_connect`).
pub fn tcp_set_keepalive(cx: &mut Cx, sock: SocketId) {
    if let Some((time, ..)) = keepalive(cx, sock) {
        reset_keepalive_timer(cx, sock, time);
    }
}

/// Asks a silent peer whether it is there; gives up after too many questions without an answer (`tcp_keepalive_timer`).
fn tcp_keepalive_timer(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some((time, intvl, probes)) = keepalive(cx, sock) else { return };
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if matches!(tp.state, TcpState::Close | TcpState::SynSent | TcpState::TimeWait) {
        return;
    }
    let elapsed = last_tick(now).since(last_tick(tp.rcv_tstamp));
    let waits = tp.unacked() > 0;
    let after = match (waits, elapsed >= time) {
        // Data under way asks too.
        (true, _) => time,
        (false, false) => time.since(elapsed),
        (false, true) if tp.icsk.probes_out >= probes => return tcp_keepalive_fails(cx, sock),
        (false, true) => {
            tp.icsk.probes_out += 1;
            tcp_ext(cx, sock, |counters| counters.TCPKeepAlive += 1);
            tcp_xmit_probe_skb(cx, sock);
            intvl
        }
    };
    reset_keepalive_timer(cx, sock, after);
}

/// The peer is gone: it gets a RST in case it comes back, the program ETIMEDOUT.
fn tcp_keepalive_fails(cx: &mut Cx, sock: SocketId) {
    let Some(socket) = cx.k.sockets.get_mut(sock) else { return };
    let netns = socket.netns;
    socket.error = Some(socket.tcp.as_ref().and_then(|tp| tp.soft_error).unwrap_or(Errno::ETIMEDOUT));
    cx.k.netns[netns].ipv4.snmp.tcp_ext.TCPAbortOnTimeout += 1;
    tcp_abort(cx, sock);
}

/// Sends an acknowledgement whose number the peer has received long ago, so that it answers.
fn tcp_xmit_probe_skb(cx: &mut Cx, sock: SocketId) {
    let Some(socket) = cx.k.sockets.get(sock) else { return };
    let local = socket.local;
    let (Some(remote), Some(tp)) = (socket.remote, socket.tcp.as_deref()) else { return };
    let options = tcp_options_write(&TcpOptions {
        timestamps: tp.ts_recent.map(|echo| (0, echo)),
        ..TcpOptions::default()
    });
    let header = TcpHdr {
        source: local.1.into(),
        dest: remote.1.into(),
        seq: tp.snd_una.wrapping_sub(1).into(),
        ack_seq: tp.rcv.nxt.into(),
        doff_res: TcpHdr::doff(options.len()),
        flags: TCP_ACK,
        ..TcpHdr::default()
    };
    let segment = [header.as_bytes(), &options].concat();
    // It is a question that the timer asks again.
    let _ = tcp_transmit_skb(cx, sock, &segment);
}

/// Repeats a SYN-ACK, and forgets the request after too many.
fn reqsk_timer_handler(cx: &mut Cx, sock: SocketId) {
    tcp_ext(cx, sock, |counters| counters.TCPTimeouts += 1);
    let Some(retries) = retries(cx, sock) else { return };
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if tp.icsk.retransmits >= retries.synack {
        return tcp_done(cx, sock);
    }
    tp.icsk.retransmits += 1;
    if !inet_rtx_syn_ack(cx, sock) {
        tcp_done(cx, sock);
    }
}

/// A SYN came again: its SYN-ACK is repeated, but not for each of many (`tcp_check_req`).
pub fn syn_came_again(cx: &mut Cx, sock: SocketId) {
    if tcp_oow_rate_limited(cx, sock, |counters| counters.TCPACKSkippedSynRecv += 1) {
        return;
    }
    if inet_rtx_syn_ack(cx, sock) {
        tcp_reset_timer(cx, sock);
    }
}

/// Repeats a SYN-ACK, and says when the next is due; false if it did not leave this host.
fn inet_rtx_syn_ack(cx: &mut Cx, sock: SocketId) -> bool {
    let now = cx.now;
    let Some(socket) = cx.k.sockets.get(sock) else { return false };
    let netns = socket.netns;
    if route_of(cx, sock).is_none() {
        cx.k.netns[netns].ipv4.snmp.ip.OutNoRoutes += 1;
        return false;
    }
    // `tcp_rtx_synack`
    sk_rethink_txhash(cx, sock);
    if send_expired(cx, sock).is_err() {
        return false;
    }
    let Some(tp) = tcp_sk(cx, sock) else { return false };
    let after = Nanos(TCP_TIMEOUT_INIT.0 << tp.icsk.retransmits.min(7));
    arm(tp, now, XmitTimer::SynAck, after);
    true
}

/// Ends the connection with the last ICMP error or ETIMEDOUT.
fn tcp_write_err(cx: &mut Cx, sock: SocketId) {
    let Some(socket) = cx.k.sockets.get_mut(sock) else { return };
    let netns = socket.netns;
    let (soft, state) = socket.tcp.as_ref().map_or((None, None), |tp| (tp.soft_error, Some(tp.state)));
    socket.error = Some(soft.unwrap_or(Errno::ETIMEDOUT));
    let snmp = &mut cx.k.netns[netns].ipv4.snmp;
    snmp.tcp_ext.TCPAbortOnTimeout += 1;
    snmp.tcp.AttemptFails += u64::from(state == Some(TcpState::SynSent));
    tcp_done(cx, sock);
}

/// The path MTU got smaller than what is under way: everything is sent again in smaller segments at once
/// (`tcp_simple_retransmit`).
pub fn tcp_simple_retransmit(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock).filter(|tp| tp.snd_una != tp.snd_nxt) else { return };
    tp.icsk.enter_simple(tp.snd_nxt);
    let mss = tp.mss();
    for skb in tp.rtx.skbs.iter_mut().filter(|skb| skb.data.len() > mss as usize) {
        (skb.lost, skb.retrans) = (true, false);
        skb.set_segs(mss);
    }
    arm(tp, now, XmitTimer::Retrans, tp.icsk.rto);
    tcp_xmit_retransmit_queue(cx, sock);
}
