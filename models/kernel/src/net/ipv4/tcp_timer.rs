//! TCP's timers: retransmission, timeouts, TIME_WAIT.
//!
//! Kernel: net/ipv4/tcp_timer.c

use glassnet_sim::Nanos;

use super::tcp::{tcp_done, tcp_sk};
use super::tcp_input::tcp_run;
use super::tcp_output::tcp_transmit_skb;
use crate::Cx;
use crate::ids::SocketId;
use crate::netlink::Errno;
use crate::tables::jiffies::wheel_expiry;
use crate::tables::tcp_sock::TcpState;

/// Timeout of connect: a SYN and `tcp_syn_retries` (6) retransmissions with doubling intervals.
pub const SYN_TIMEOUT: Nanos = Nanos::from_secs(127);
/// The same for a SYN/ACK and `tcp_synack_retries` (5).
pub const SYNACK_TIMEOUT: Nanos = Nanos::from_secs(63);
/// Timeout of data: `tcp_retries2` (15) retransmissions.
const RETRIES_TIMEOUT: Nanos = Nanos::from_millis(924_600);
/// Delay before a machine that is due at once is polled again, so that virtual time advances.
const SOON: Nanos = Nanos::from_micros(1_000);

/// Arms the socket's timer, unless it expires early enough.
pub fn tcp_reset_timer(cx: &mut Cx, sock: SocketId) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let machine = tp.machine.as_mut().and_then(|machine| machine.poll_at(now));
    let gives_up = tp.unanswered_since.map(|since| since + RETRIES_TIMEOUT);
    let delayed = tp.held_ack.as_ref().map(|held| held.1);
    let Some(at) = [machine, tp.ends_at, gives_up, delayed].into_iter().flatten().min() else { return };
    let at = if at <= now { now + SOON } else { wheel_expiry(now, at) };
    if tp.timer_at.is_none_or(|set| at < set) {
        tp.timer_at = Some(at);
        cx.set_timer(at, tcp_write_timer, sock.0);
    }
}

/// The socket's timer expired (`tcp_write_timer`, and the timers of handshakes and TIME_WAIT).
pub fn tcp_write_timer(cx: &mut Cx, sock: u32) {
    let sock = SocketId(sock);
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if tp.timer_at.is_none_or(|at| at > now) {
        return;
    }
    tp.timer_at = None;
    if tp.ends_at.is_some_and(|at| at <= now) {
        return tcp_state_ends(cx, sock);
    }
    if tp.unanswered_since.is_some_and(|since| since + RETRIES_TIMEOUT <= now) {
        return tcp_write_err(cx, sock);
    }
    // Delayed ACK (`tcp_delack_timer`).
    if let Some((segment, _)) = tp.held_ack.take_if(|held| held.1 <= now) {
        tcp_transmit_skb(cx, sock, &segment);
    }
    tcp_run(cx, sock, None);
}

/// Timeout of a handshake, of an orphan in FIN_WAIT2, or of TIME_WAIT.
fn tcp_state_ends(cx: &mut Cx, sock: SocketId) {
    match tcp_sk(cx, sock).map(|tp| tp.state) {
        Some(TcpState::SynSent) => tcp_write_err(cx, sock),
        Some(_) => tcp_done(cx, sock),
        None => {}
    }
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
