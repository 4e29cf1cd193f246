//! Receive queues of sockets.
//!
//! Kernel: net/core/sock.c

use crate::Cx;
use crate::ids::{SkbId, SocketId};
use crate::tables::drop_reason::DropReason;
use crate::tables::socket::Queued;

/// Overhead of a packet in a receive buffer (`struct sk_buff` and `skb_shared_info`), bytes.
pub const TRUESIZE_OVERHEAD: usize = 576;

/// A device that did not take a packet is an error for this socket's program (`IP_RECVERR`); others are told nothing.
pub fn hears_of_full_devices(cx: &Cx, id: SocketId) -> bool {
    cx.k.sockets.get(id).is_some_and(|socket| socket.opts.recverr)
}

/// Appends a packet to a socket's queue and wakes its reader. False if the receive buffer is full; the caller keeps
/// the packet.
pub fn sock_queue_rcv_skb(cx: &mut Cx, id: SocketId, queued: Queued) -> bool {
    let size = cx.skbs[queued.skb].len() + TRUESIZE_OVERHEAD;
    let Some(socket) = cx.k.sockets.get_mut(id) else { return false };
    if socket.rmem_alloc + size > socket.opts.rcvbuf {
        socket.drops += 1;
        return false;
    }
    socket.rmem_alloc += size;
    socket.packets += 1;
    socket.receive_queue.push_back(queued);
    cx.wake_up();
    true
}

/// Queues a packet to a socket, or drops it if the receive buffer is full.
pub fn queue_or_drop(cx: &mut Cx, id: SocketId, skb: SkbId) {
    let ifindex = cx.skbs[skb].ip.iif;
    let pkt_type = cx.skbs[skb].pkt_type;
    if !sock_queue_rcv_skb(cx, id, Queued { skb, at: cx.now, ifindex, pkt_type }) {
        cx.kfree_skb(skb, DropReason::SocketRcvbuff);
    }
}
