//! TCP ports, listeners and accept queues.
//!
//! Kernel: net/ipv4/inet_connection_sock.c, net/ipv4/inet_hashtables.c

use std::net::Ipv4Addr;

use super::tcp::{tcp_abort, tcp_done};
use super::tcp_sk::tcp_sk;
use crate::Cx;
use crate::ids::{NetnsId, SocketId};
use crate::netlink::Errno;
use crate::sysctl::{INT, Sysctl, SysctlTable};
use crate::tables::inet_hashtables::ConnectionKey;
use crate::tables::sysctl::Setting;
use crate::tables::tcp_sock::{RequestQueue, TcpState};

/// Maximum length of an accept queue, connections.
static SOMAXCONN: Setting = Setting::new("somaxconn", 4096);

/// Sysctls of listeners.
pub static SYSCTLS: SysctlTable = SysctlTable::new("net/core", &[Sysctl::net(&SOMAXCONN).range(0, INT.1)]);

/// The socket may not have this address and port beside one that has it (`inet_csk_bind_conflict`).
fn bind_conflict(cx: &Cx, sock: SocketId, address: Ipv4Addr, other: SocketId) -> bool {
    let (Some(socket), Some(other)) = (cx.k.sockets.get(sock), cx.k.sockets.get(other)) else { return false };
    let devices = (socket.opts.bound_dev_if, other.opts.bound_dev_if);
    let other_listens = other.tcp.as_ref().is_some_and(|tp| tp.state == TcpState::Listen);
    let both_again = socket.opts.reuseaddr && other.opts.reuseaddr && !other_listens;
    let both_share = socket.opts.reuseport && other.opts.reuseport;
    other.id != sock
        && (devices.0 == 0 || devices.1 == 0 || devices.0 == devices.1)
        && !both_again
        && !both_share
        && (address.is_unspecified() || other.local.0.is_unspecified() || other.local.0 == address)
}

fn is_free(cx: &Cx, netns: NetnsId, sock: SocketId, address: Ipv4Addr, port: u16) -> bool {
    let bound = cx.k.sockets.tcp_hashinfo.bound(netns, port);
    !bound.iter().any(|other| bind_conflict(cx, sock, address, *other))
}

/// Gives a socket an address and a port, 0: any that is free (`inet_csk_get_port`).
///
/// # Errors
///
/// EADDRINUSE if the port, or every port, is taken; EINVAL if the socket has one.
pub fn inet_csk_get_port(cx: &mut Cx, sock: SocketId, address: Ipv4Addr, port: u16) -> Result<(), Errno> {
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let netns = socket.netns;
    if socket.local.1 != 0 {
        return Err(Errno::EINVAL);
    }
    let port = match port {
        // bind(2) prefers odd ephemeral ports, connect(2) even ones.
        0 => ephemeral(cx, netns, 1, |cx, port| is_free(cx, netns, sock, address, port))
            .ok_or(Errno::EADDRINUSE)?,
        port if is_free(cx, netns, sock, address, port) => port,
        _ => return Err(Errno::EADDRINUSE),
    };
    take_port(cx, sock, (address, port));
    Ok(())
}

/// The socket holds the port from now on.
pub fn take_port(cx: &mut Cx, sock: SocketId, local: (Ipv4Addr, u16)) {
    let Some(socket) = cx.k.sockets.get_mut(sock) else { return };
    socket.local = local;
    let netns = socket.netns;
    cx.k.sockets.tcp_hashinfo.bind(netns, local.1, sock);
}

/// Removes the socket from the bind table (`inet_put_port`).
pub fn inet_put_port(cx: &mut Cx, sock: SocketId) {
    let Some(socket) = cx.k.sockets.get(sock) else { return };
    let (netns, port) = (socket.netns, socket.local.1);
    cx.k.sockets.tcp_hashinfo.unbind(netns, port, sock);
}

/// A free port of the namespace's range, if possible of this parity, counted from the first one. The last one of an odd number of
/// ports is not taken, unless there is no other.
fn ephemeral(cx: &mut Cx, netns: NetnsId, parity: u32, free: impl Fn(&Cx, u16) -> bool) -> Option<u16> {
    let ports = &cx.k.netns[netns].ipv4.local_ports;
    let (first, count) = (u32::from(ports.range.0), ports.all().len() as u32);
    let pairs = (count / 2).max(1);
    let start = cx.dice.below(u64::from(pairs)) as u32;
    let order = |parity: u32| {
        let offsets = (0..pairs).map(move |step| 2 * ((start + step) % pairs) + parity);
        offsets.filter(move |offset| *offset < count).map(move |offset| (first + offset) as u16)
    };
    let reserved = |cx: &Cx, port| cx.k.netns[netns].ipv4.local_ports.is_reserved(port);
    order(parity).chain(order(1 - parity)).find(|port| !reserved(cx, *port) && free(cx, *port))
}

/// A port for a connection to `remote` (`__inet_hash_connect`).
///
/// # Errors
///
/// EADDRNOTAVAIL if every port has a connection to `remote`.
pub fn inet_hash_connect(
    cx: &mut Cx,
    netns: NetnsId,
    sock: SocketId,
    address: Ipv4Addr,
    remote: (Ipv4Addr, u16),
) -> Result<u16, Errno> {
    let free = |cx: &Cx, port: u16| {
        let key = ConnectionKey { netns, local: (address, port), remote };
        let table = &cx.k.sockets.tcp_hashinfo;
        // Ports with an explicitly bound socket are skipped.
        let held = table.bound(netns, port).iter().any(|other| {
            *other != sock
                && cx.k.sockets.get(*other).and_then(|other| other.tcp.as_ref()).is_some_and(|tp| !tp.hashed)
        });
        table.connection(&key).is_none() && !held
    };
    ephemeral(cx, netns, 0, free).ok_or(Errno::EADDRNOTAVAIL)
}

/// Starts to listen (`listen(2)`).
///
/// # Errors
///
/// EINVAL for a connected socket, EADDRINUSE if another socket listens on the port.
pub fn inet_csk_listen_start(cx: &mut Cx, sock: SocketId, backlog: usize) -> Result<(), Errno> {
    let netns = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?.netns;
    let backlog = backlog.min(cx.k.netns[netns].sysctls.get(&SOMAXCONN) as usize);
    let tp = tcp_sk(cx, sock).ok_or(Errno::EOPNOTSUPP)?;
    match tp.state {
        TcpState::Listen => {
            if let Some(requests) = tp.requests.as_mut() {
                requests.backlog = backlog;
            }
            return Ok(());
        }
        TcpState::Close => {}
        _ => return Err(Errno::EINVAL),
    }
    let local = cx.k.sockets.get(sock).map_or((Ipv4Addr::UNSPECIFIED, 0), |socket| socket.local);
    if local.1 == 0 {
        inet_csk_get_port(cx, sock, local.0, 0)?;
    }
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let (netns, local) = (socket.netns, socket.local);
    if let Some(tp) = tcp_sk(cx, sock) {
        tp.state = TcpState::Listen;
        tp.requests = Some(RequestQueue { backlog, ..RequestQueue::default() });
    }
    // SO_REUSEADDR lets several sockets bind to a port, but only one may listen.
    if !is_free(cx, netns, sock, local.0, local.1) {
        if let Some(tp) = tcp_sk(cx, sock) {
            (tp.state, tp.requests) = (TcpState::Close, None);
        }
        return Err(Errno::EADDRINUSE);
    }
    cx.k.sockets.tcp_hashinfo.insert_listener(netns, local.1, sock);
    Ok(())
}

/// Stops listening: connections that were not accepted are reset.
pub fn inet_csk_listen_stop(cx: &mut Cx, sock: SocketId) {
    let Some(socket) = cx.k.sockets.get(sock) else { return };
    let (netns, port) = (socket.netns, socket.local.1);
    cx.k.sockets.tcp_hashinfo.remove_listener(netns, port, sock);
    let Some(requests) = tcp_sk(cx, sock).and_then(|tp| tp.requests.take()) else { return };
    for child in requests.young {
        tcp_done(cx, child);
    }
    for child in requests.accept {
        if let Some(tp) = tcp_sk(cx, child) {
            (tp.parent, tp.orphan) = (None, true);
        }
        tcp_abort(cx, child);
    }
}

/// Takes a connection off the accept queue (`accept(2)` without blocking).
///
/// # Errors
///
/// EINVAL if the socket does not listen.
pub fn inet_csk_accept(cx: &mut Cx, sock: SocketId) -> Result<Option<SocketId>, Errno> {
    let requests = tcp_sk(cx, sock).and_then(|tp| tp.requests.as_mut()).ok_or(Errno::EINVAL)?;
    let Some(child) = requests.accept.pop_front() else { return Ok(None) };
    if let Some(tp) = tcp_sk(cx, child) {
        tp.parent = None;
    }
    Ok(Some(child))
}
