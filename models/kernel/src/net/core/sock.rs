//! Memory of sockets: what they may send, and receive queues.
//!
//! Kernel: net/core/sock.c

use crate::Cx;
use crate::ids::{SkbId, SocketId};
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::socket::{Queued, SockKind};

/// The least send buffer, bytes (`SOCK_MIN_SNDBUF`).
pub const SOCK_MIN_SNDBUF: u32 = 4608;
/// The least receive buffer, bytes (`SOCK_MIN_RCVBUF`).
pub const SOCK_MIN_RCVBUF: u32 = 2304;

/// A device that did not take a packet is an error for this socket's program (`IP_RECVERR`); others are told nothing.
pub fn hears_of_full_devices(cx: &Cx, id: SocketId) -> bool {
    cx.k.sockets.get(id).is_some_and(|socket| socket.opts.recverr)
}

/// Asks for a send buffer of `size` bytes (`SO_SNDBUF`): twice as much, within the machine's limits.
pub fn set_sndbuf(cx: &mut Cx, id: SocketId, size: u32) {
    let size = size.min(cx.k.core.wmem_max);
    if let Some(socket) = cx.k.sockets.get_mut(id) {
        (socket.opts.sndbuf, socket.opts.sndbuf_locked) = (size.saturating_mul(2).max(SOCK_MIN_SNDBUF), true);
    }
}

/// Asks for a receive buffer of `size` bytes (`SO_RCVBUF`): twice as much, within the machine's limits.
pub fn set_rcvbuf(cx: &mut Cx, id: SocketId, size: u32) {
    let size = size.min(cx.k.core.rmem_max);
    if let Some(socket) = cx.k.sockets.get_mut(id) {
        (socket.opts.rcvbuf, socket.opts.rcvbuf_locked) = (size.saturating_mul(2).max(SOCK_MIN_RCVBUF), true);
    }
}

/// The send buffer has room for a packet (`sock_alloc_send_pskb`). A program that waits for it is woken when half of the buffer is
/// free.
///
/// # Errors
///
/// `EAGAIN` if it is full.
pub fn sock_alloc_send_pskb(cx: &mut Cx, id: SocketId) -> Result<(), Errno> {
    let socket = cx.k.sockets.get_mut(id).ok_or(Errno::EBADF)?;
    if socket.wmem_alloc < socket.opts.sndbuf {
        return Ok(());
    }
    socket.nospace = true;
    Err(Errno::EAGAIN)
}

/// A packet belongs to a socket, and its memory counts for it until it is freed (`skb_set_owner_w`).
pub fn skb_set_owner_w(cx: &mut Cx, skb: SkbId, id: SocketId) {
    cx.skb_orphan(skb);
    let pkt = &mut cx.skbs[skb];
    pkt.sk = Some(id);
    if let Some(socket) = cx.k.sockets.get_mut(id) {
        socket.wmem_alloc += pkt.truesize;
        pkt.is_charged = true;
    }
}

/// Appends a packet to a socket's queue and wakes its reader. False if the receive buffer was full before, for UDP if it was more
/// than full; the caller keeps the packet.
pub fn sock_queue_rcv_skb(cx: &mut Cx, id: SocketId, queued: Queued) -> bool {
    let size = cx.skbs[queued.skb].truesize;
    let Some(socket) = cx.k.sockets.get_mut(id) else { return false };
    if socket.rmem_alloc >= socket.opts.rcvbuf + u32::from(socket.kind == SockKind::Udp) {
        socket.drops += 1;
        return false;
    }
    socket.rmem_alloc += size;
    socket.packets += 1;
    socket.receive_queue.push_back(queued);
    cx.sock_def_wakeup(id);
    true
}

/// Queues a packet to a socket, or drops it if the receive buffer is full.
pub fn queue_or_drop(cx: &mut Cx, id: SocketId, skb: SkbId) {
    let ifindex = cx.skbs[skb].ip.iif;
    let (pkt_type, arphrd) = (cx.skbs[skb].pkt_type, cx.k.devs[cx.skbs[skb].dev].arphrd);
    if !sock_queue_rcv_skb(cx, id, Queued { skb, at: cx.now, ifindex, arphrd, pkt_type }) {
        cx.kfree_skb(skb, DropReason::SocketRcvbuff);
    }
}
