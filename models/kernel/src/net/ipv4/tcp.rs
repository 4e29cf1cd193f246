//! System calls on TCP sockets: send, receive, shutdown, close.
//!
//! Kernel: net/ipv4/tcp.c

use glassnet_sim::Nanos;

use super::inet_connection_sock::{inet_csk_listen_stop, inet_put_port};
use super::tcp_input::{tcp_run, tcp_send_ack};
use super::tcp_output::{tcp_should_autocork, tcp_write_xmit, tcp_xmit_size_goal};
use super::tcp_sk::{tcp_ext, tcp_sk};
use super::tcp_timer::{tcp_reset_timer, tcp_set_xmit_timer};
use crate::Cx;
use crate::ids::SocketId;
use crate::netlink::Errno;
use crate::tables::inet_hashtables::ConnectionKey;
use crate::tables::socket::Socket;
use crate::tables::tcp_machine::Machine;
use crate::tables::tcp_queue::TcpSkb;
use crate::tables::tcp_sock::{TcpSock, TcpState};
use glassnet_wire::tcp::{TCP_FIN, TCP_PSH};

/// Timeout of TIME_WAIT.
pub const TCP_TIMEWAIT_LEN: Nanos = Nanos::from_secs(60);

/// Takes the socket's pending error (`sock_error`).
fn sock_error(cx: &mut Cx, sock: SocketId) -> Option<Errno> {
    cx.k.sockets.get_mut(sock)?.error.take()
}

/// Writes to a connection; returns the number of bytes accepted, 0 if the send buffer is full.
///
/// # Errors
///
/// The socket's pending error; EPIPE if it is not connected.
pub fn tcp_sendmsg(cx: &mut Cx, sock: SocketId, data: &[u8]) -> Result<usize, Errno> {
    if let Some(errno) = sock_error(cx, sock) {
        return Err(errno);
    }
    let tp = tcp_sk(cx, sock).ok_or(Errno::EBADF)?;
    let waits = matches!(tp.state, TcpState::SynSent | TcpState::SynRecv);
    if tp.snd_shutdown || !waits && !tp.is_connected() {
        return Err(Errno::EPIPE);
    }
    if waits {
        return Ok(0);
    }
    let taken = queue(tp, data);
    if taken > 0 {
        tcp_push(cx, sock);
    }
    Ok(taken)
}

/// Puts what the program writes into packets of the write queue, as much as the send buffer has room for.
fn queue(tp: &mut TcpSock, data: &[u8]) -> usize {
    let goal = tcp_xmit_size_goal(tp) as usize;
    let mut taken = 0;
    while taken < data.len() {
        let room = tp.write_queue.back().map_or(0, |last| goal.saturating_sub(last.data.len()));
        if room == 0 {
            if !tp.has_room() {
                tp.nospace = true;
                break;
            }
            let skb = TcpSkb { seq: tp.write_seq, ..TcpSkb::default() };
            tp.wmem_queued += skb.truesize();
            tp.write_queue.push_back(skb);
            continue;
        }
        let part = &data[taken..(taken + room).min(data.len())];
        let Some(last) = tp.write_queue.back_mut() else { break };
        last.data.extend_from_slice(part);
        // More is behind what was pushed before.
        last.flags &= !TCP_PSH;
        tp.write_seq = tp.write_seq.wrapping_add(part.len() as u32);
        tp.wmem_queued += part.len() as u32;
        taken += part.len();
    }
    taken
}

/// The FIN goes with the last data, if that was not sent yet (`tcp_send_fin`).
fn tcp_send_fin(cx: &mut Cx, sock: SocketId) {
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let there = tp.is_synchronised() && !tp.fin_queued;
    if let Some(machine) = tp.machine.as_mut() {
        machine.close();
    }
    if there {
        let seq = tp.write_seq;
        (tp.write_seq, tp.fin_queued) = (seq.wrapping_add(1), true);
        match tp.write_queue.back_mut() {
            Some(last) => last.flags |= TCP_FIN,
            None => {
                let skb = TcpSkb { seq, flags: TCP_FIN, ..TcpSkb::default() };
                tp.wmem_queued += skb.truesize();
                tp.write_queue.push_back(skb);
            }
        }
    }
    tcp_run(cx, sock, None);
}

/// Reads up to `max` bytes; `None` if no data is available, no bytes at end of stream.
///
/// # Errors
///
/// The socket's pending error; ENOTCONN if it was never connected.
pub fn tcp_recvmsg(cx: &mut Cx, sock: SocketId, max: usize) -> Result<Option<Vec<u8>>, Errno> {
    let now = cx.now;
    let tp = tcp_sk(cx, sock).ok_or(Errno::EBADF)?;
    if tp.unread() > 0 {
        let bytes = tp.rcv.read(max);
        tp.rcv.adjust(bytes.len() as u32, now);
        tcp_cleanup_rbuf(cx, sock, bytes.len());
        return Ok(Some(bytes));
    }
    if tp.machine.as_ref().is_some_and(Machine::peer_closed) {
        return Ok(Some(Vec::new()));
    }
    if tp.done {
        return Ok(Some(Vec::new()));
    }
    let (shut, state) = (tp.rcv_shutdown, tp.state);
    match sock_error(cx, sock) {
        Some(errno) => Err(errno),
        None if shut => Ok(Some(Vec::new())),
        None if matches!(state, TcpState::Close | TcpState::Listen) => Err(Errno::ENOTCONN),
        None => Ok(None),
    }
}

/// Sends what waits and may go (`__tcp_push_pending_frames`).
fn tcp_push_pending_frames(cx: &mut Cx, sock: SocketId) {
    let sent = tcp_write_xmit(cx, sock, false);
    tcp_set_xmit_timer(cx, sock, false, sent);
    tcp_reset_timer(cx, sock);
}

/// The program wrote something: it goes, unless a small packet can wait for what is under way in this host.
fn tcp_push(cx: &mut Cx, sock: SocketId) {
    let Some(last) = tcp_sk(cx, sock).and_then(|tp| tp.write_queue.back_mut()) else { return };
    last.flags |= TCP_PSH;
    if !tcp_should_autocork(cx, sock) {
        tcp_push_pending_frames(cx, sock);
    }
}

/// What a connection sent has left the host: it goes on (`tcp_tsq_handler`).
pub fn tcp_tsq_handler(cx: &mut Cx, sock: u32) {
    tcp_push_pending_frames(cx, SocketId(sock));
}

/// The program read: an acknowledgement that waited for it goes out, or one that tells that the window is much wider
/// (`tcp_cleanup_rbuf`).
fn tcp_cleanup_rbuf(cx: &mut Cx, sock: SocketId, copied: usize) {
    let Some(tp) = tcp_sk(cx, sock).filter(|tp| tp.is_synchronised()) else { return };
    let left = tp.rcv.left();
    let wider =
        || !tp.rcv_shutdown && 2 * left <= tp.rcv.clamp() && tp.rcv.room() > 0 && tp.rcv.room() >= 2 * left;
    if tp.ack.is_due_after_read(&tp.rcv, copied) || copied > 0 && wider() {
        tcp_send_ack(cx, sock);
        tcp_reset_timer(cx, sock);
    }
}

/// Shuts down one or both directions (`shutdown(2)`).
///
/// # Errors
///
/// ENOTCONN if there is no connection.
pub fn tcp_shutdown(cx: &mut Cx, sock: SocketId, read: bool, write: bool) -> Result<(), Errno> {
    let tp = tcp_sk(cx, sock).ok_or(Errno::EBADF)?;
    if tp.is_over() && !tp.done || tp.state == TcpState::Listen {
        return Err(Errno::ENOTCONN);
    }
    tp.rcv_shutdown |= read;
    let ends = write && !tp.snd_shutdown;
    tp.snd_shutdown |= write;
    if ends {
        tcp_send_fin(cx, sock);
    }
    cx.wake_up();
    Ok(())
}

/// Closes a socket. Unsent data is still sent; with unread data a RST is sent.
pub fn tcp_close(cx: &mut Cx, sock: SocketId) {
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        socket.owner = None;
    }
    let Some(tp) = tcp_sk(cx, sock) else { return };
    tp.orphan = true;
    (tp.rcv_shutdown, tp.snd_shutdown) = (true, true);
    let (state, unread) = (tp.state, tp.unread());
    tp.rcv.clear();
    match state {
        TcpState::Listen => {
            inet_csk_listen_stop(cx, sock);
            tcp_done(cx, sock);
        }
        TcpState::Close | TcpState::SynSent => tcp_done(cx, sock),
        TcpState::TimeWait => {}
        _ if unread > 0 => {
            tcp_ext(cx, sock, |counters| counters.TCPAbortOnClose += 1);
            tcp_abort(cx, sock);
        }
        _ => {
            if state == TcpState::FinWait2 {
                tp.ends_at = None;
            }
            tcp_send_fin(cx, sock);
        }
    }
}

/// Ends a connection with a RST (`tcp_send_active_reset`).
pub fn tcp_abort(cx: &mut Cx, sock: SocketId) {
    if let Some(machine) = tcp_sk(cx, sock).and_then(|tp| tp.machine.as_mut()) {
        machine.abort();
        tcp_run(cx, sock, None);
    }
    tcp_done(cx, sock);
}

/// Ends a connection: removes the socket from the tables, and deletes an orphan.
pub fn tcp_done(cx: &mut Cx, sock: SocketId) {
    tcp_unhash(cx, sock);
    let Some(tp) = tcp_sk(cx, sock) else { return };
    tp.state = TcpState::Close;
    (tp.timer_at, tp.ends_at, tp.icsk.timer, tp.keepalive) = (None, None, None, None);
    keep_unread(tp);
    let (gone, parent) = (tp.orphan, tp.parent);
    let accepted = parent.is_none_or(|parent| {
        tcp_sk(cx, parent)
            .and_then(|tp| tp.requests.as_ref())
            .is_some_and(|requests| requests.accept.contains(&sock))
    });
    if parent.is_some() && !accepted {
        forget_young(cx, parent, sock);
    }
    if gone || !accepted {
        inet_put_port(cx, sock);
        cx.k.sockets.close(sock);
    }
    cx.sock_def_wakeup(sock);
}

fn forget_young(cx: &mut Cx, parent: Option<SocketId>, sock: SocketId) {
    let requests = parent.and_then(|parent| tcp_sk(cx, parent)).and_then(|tp| tp.requests.as_mut());
    if let Some(requests) = requests {
        requests.young.retain(|young| *young != sock);
    }
}

/// Moves unread data out of a smoltcp socket that is closed.
pub fn keep_unread(tp: &mut TcpSock) {
    let Some(mut machine) = tp.machine.take() else { return };
    tp.done |= machine.peer_closed();
    let left = machine.receive();
    if !left.is_empty() {
        tp.rcv.push(left, 0);
    }
}

/// The key of a socket's connection.
pub fn connection_key(socket: &Socket) -> Option<ConnectionKey> {
    Some(ConnectionKey { netns: socket.netns, local: socket.local, remote: socket.remote? })
}

/// Removes a socket from the table of connections.
pub fn tcp_unhash(cx: &mut Cx, sock: SocketId) {
    let Some(key) = cx.k.sockets.get(sock).and_then(connection_key) else { return };
    cx.k.sockets.tcp_hashinfo.remove_connection(&key, sock);
    if let Some(tp) = tcp_sk(cx, sock) {
        tp.hashed = false;
    }
}
