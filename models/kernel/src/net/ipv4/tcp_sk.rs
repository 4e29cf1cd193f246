//! A connection by its socket, and the counters of its namespace.
//!
//! Kernel: include/linux/tcp.h (`tcp_sk`), include/net/tcp.h

use crate::Cx;
use crate::ids::SocketId;
use crate::tables::snmp::TcpExtMib;
use crate::tables::tcp_sock::TcpSock;

/// TCP's part of a socket.
pub fn tcp_sk<'a>(cx: &'a mut Cx, sock: SocketId) -> Option<&'a mut TcpSock> {
    cx.k.sockets.get_mut(sock)?.tcp.as_deref_mut()
}

/// Counts in the `TcpExt` counters of a connection's namespace.
pub fn tcp_ext(cx: &mut Cx, sock: SocketId, count: impl FnOnce(&mut TcpExtMib)) {
    if let Some(netns) = cx.k.sockets.get(sock).map(|socket| socket.netns) {
        count(&mut cx.k.netns[netns].ipv4.snmp.tcp_ext);
    }
}
