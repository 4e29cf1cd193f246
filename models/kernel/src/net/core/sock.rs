//! Memory of sockets: what they may send, and receive queues.
//!
//! Kernel: net/core/sock.c

use crate::Cx;
use crate::ids::{SkbId, SocketId};
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::siphash::siphash;
use crate::tables::skb::Skb;
use crate::tables::socket::{Queued, SockKind};
use crate::tables::sysctl::Setting;

/// The least send buffer, bytes (`SOCK_MIN_SNDBUF`).
pub const SOCK_MIN_SNDBUF: u32 = 4608;
/// The least receive buffer, bytes (`SOCK_MIN_RCVBUF`).
pub const SOCK_MIN_RCVBUF: u32 = 2304;

/// Whether sockets draw another hash for their flow when packets seem to be lost; a socket keeps what it found at its beginning.
pub static TXREHASH: Setting = Setting::new("txrehash", 1);

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

/// A packet belongs to a socket, has the hash of its flow, and its memory counts for it until it is freed (`skb_set_owner_w`).
pub fn skb_set_owner_w(cx: &mut Cx, skb: SkbId, id: SocketId) {
    cx.skb_orphan(skb);
    let pkt = &mut cx.skbs[skb];
    pkt.sk = Some(id);
    if let Some(socket) = cx.k.sockets.get_mut(id) {
        socket.wmem_alloc += pkt.truesize;
        pkt.is_charged = true;
        skb_set_hash(pkt, socket.txhash);
    }
}

/// A packet's flow has this hash, unless it is 0 (`skb_set_hash`, `skb_set_hash_from_sk`).
pub fn skb_set_hash(pkt: &mut Skb, hash: u32) {
    if hash != 0 {
        (pkt.hash, pkt.l4_hash) = (hash, true);
    }
}

/// A connected socket draws a hash for its flow (`sk_set_txhash`): not that of addresses and ports, so that nobody can tell from
/// them which way a flow takes.
///
/// Kernel: include/net/sock.h
pub fn sk_set_txhash(cx: &mut Cx, id: SocketId) {
    cx.k.tx_hashes += 1;
    let drawn = [u64::from(cx.machine().0), cx.k.tx_hashes].map(u64::to_le_bytes);
    let hash = (siphash(drawn.as_flattened(), cx.k.config.flow_hash_key) as u32).max(1);
    cx.trace.script.note_drawn(hash);
    if let Some(socket) = cx.k.sockets.get_mut(id) {
        socket.txhash = hash;
    }
}

/// The socket draws another hash, so that its flow may take another way; false: it has none, or keeps it (`sk_rethink_txhash`).
pub fn sk_rethink_txhash(cx: &mut Cx, id: SocketId) -> bool {
    let rethinks = cx.k.sockets.get(id).is_some_and(|socket| socket.txhash != 0 && socket.opts.txrehash);
    if rethinks {
        sk_set_txhash(cx, id);
    }
    rethinks
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
