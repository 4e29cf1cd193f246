//! Packet sockets.
//!
//! Kernel: net/packet/af_packet.c

use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId, SocketId};
use crate::module::Module;
use crate::net::core::sock::{skb_set_owner_w, sock_alloc_send_pskb, sock_queue_rcv_skb};
use crate::netlink::Errno;
use crate::tables::skb::{LL_RESERVED_SPACE, PacketType, alloc_truesize};
use crate::tables::socket::{Queued, SockKind};
use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ALL, ETH_P_IP, ETH_P_IPV6, EthHdr};

/// The module.
pub static MODULE: Module =
    Module { tap: Some(tpacket_rcv), receive: Some(packet_rcv), ..Module::named("af_packet") };

/// Sockets of all protocols of a device have a ring: each gets a copy.
fn tpacket_rcv(cx: &mut Cx, skb: SkbId, dev: DevId, seen_as: PacketType) -> bool {
    let sockets = listeners(cx, dev, ETH_P_ALL);
    let taken = !sockets.is_empty();
    for (socket, _) in sockets {
        cx.call(Func::TpacketRcv, skb);
        let copy = cx.skbs.copy_skb(skb);
        queue(cx, socket, copy, dev, seen_as);
    }
    taken
}

/// Sockets of one protocol of a device. Those that are bound to the device come last, after the protocol itself, so that the
/// last one gets the packet, and everybody else a clone of it.
fn packet_rcv(cx: &mut Cx, skb: SkbId, goes_on: bool) -> Option<SkbId> {
    let (dev, protocol, seen_as) = (cx.skbs[skb].dev, cx.skbs[skb].protocol, cx.skbs[skb].pkt_type);
    let mut sockets = listeners(cx, dev, protocol);
    let last = sockets.iter().position(|(_, bound)| *bound || !goes_on).map(|at| sockets.remove(at));
    for (socket, _) in sockets {
        cx.call(Func::PacketRcv, skb);
        let clone = cx.skb_clone(skb);
        queue(cx, socket, clone, dev, seen_as);
    }
    let Some((socket, _)) = last else { return Some(skb) };
    let left = goes_on.then(|| cx.skb_clone(skb));
    cx.call(Func::PacketRcv, skb);
    queue(cx, socket, skb, dev, seen_as);
    left
}

/// Packet sockets that get this protocol's packets of a device, and whether they are bound to it.
fn listeners(cx: &Cx, dev: DevId, protocol: u16) -> Vec<(SocketId, bool)> {
    let netdev = &cx.k.devs[dev];
    let wants = |id: &SocketId| {
        let socket = cx.k.sockets.get(*id)?;
        let bound = socket.ifindex == netdev.ifindex;
        let same = matches!(socket.kind, SockKind::Packet { protocol: only, .. } if only == protocol);
        (same && (bound || socket.ifindex == 0)).then_some((*id, bound))
    };
    cx.k.netns[netdev.netns].taps.iter().filter_map(wants).collect()
}

fn queue(cx: &mut Cx, id: SocketId, skb: SkbId, dev: DevId, seen_as: PacketType) {
    let ifindex = cx.k.devs[dev].ifindex;
    let cooked =
        matches!(cx.k.sockets.get(id).map(|socket| socket.kind), Some(SockKind::Packet { cooked: true, .. }));
    cx.nf_reset_ct(skb);
    let arphrd = cx.k.devs[dev].arphrd;
    cx.skbs.push_mac_header(skb);
    if cooked {
        let pkt = &cx.skbs[skb];
        let own = (pkt.network_header - pkt.data) as usize;
        cx.skbs.pull(skb, if cx.k.devs[dev].header_ops.is_some() { own } else { arphrd.header_len() });
    }
    if !sock_queue_rcv_skb(cx, id, Queued { skb, at: cx.now, ifindex, arphrd, pkt_type: seen_as }) {
        cx.discard_skb(skb);
    }
}

/// Sends a frame (`packet_snd`): unchanged or, from a cooked socket, behind an Ethernet header to `to`.
///
/// # Errors
///
/// `ENXIO`, here `ENODEV`, without a device; `ENETDOWN` if it is down; `EMSGSIZE` beyond its MTU; `EINVAL` if the
/// frame has no room for its header; `EAGAIN` if the send buffer is full; `ENOBUFS` if the device did not take it.
pub fn packet_sendmsg(cx: &mut Cx, id: SocketId, to: Mac, data: &[u8]) -> Result<usize, Errno> {
    let socket = cx.k.sockets.get(id).ok_or(Errno::EBADF)?;
    let SockKind::Packet { cooked, protocol } = socket.kind else { return Err(Errno::EOPNOTSUPP) };
    let dev = cx.k.dev_by_index(socket.netns, socket.ifindex).ok_or(Errno::ENODEV)?;
    let netdev = &cx.k.devs[dev];
    if !netdev.is_up() {
        return Err(Errno::ENETDOWN);
    }
    let (source, header) = (netdev.addr, netdev.arphrd.header_len());
    let payload = if cooked { data.len() } else { data.len().checked_sub(header).ok_or(Errno::EINVAL)? };
    if payload > netdev.mtu as usize {
        return Err(Errno::EMSGSIZE);
    }
    sock_alloc_send_pskb(cx, id)?;
    let skb = cx.skbs.alloc_skb(data.len(), dev);
    cx.skbs[skb].short_headroom = true;
    cx.skbs.data_mut(skb).copy_from_slice(data);
    if cooked && header != 0 {
        cx.skbs.push_eth(skb, EthHdr::new(to, source, protocol));
    }
    let proto = match header {
        0 if cooked => protocol,
        0 => ip_tunnel_parse_protocol(data),
        _ => cx.skbs.header::<EthHdr>(skb, cx.skbs[skb].data).map_or(0, |eth| eth.h_proto.get()),
    };
    let pkt = &mut cx.skbs[skb];
    pkt.protocol = proto;
    pkt.network_header = pkt.data + header as u32;
    pkt.truesize = packet_truesize(data.len());
    skb_set_owner_w(cx, skb, id);
    cx.within(Func::PacketSendmsg, skb, |cx| cx.xmit_and_wait(skb, Door::DevQueueXmit { skb }))?;
    Ok(data.len())
}

/// The Ethertype of a packet without a link header (net/ipv4/ip_tunnel_core.c).
fn ip_tunnel_parse_protocol(packet: &[u8]) -> u16 {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => ETH_P_IP,
        Some(6) => ETH_P_IPV6,
        _ => 0,
    }
}

/// The memory of a frame that is sent, bytes (`packet_alloc_skb`): of a long one all but the header is in pages.
fn packet_truesize(len: usize) -> u32 {
    const PAGE_SIZE: usize = 4096;
    if LL_RESERVED_SPACE + len < PAGE_SIZE {
        return alloc_truesize(LL_RESERVED_SPACE + len);
    }
    alloc_truesize(LL_RESERVED_SPACE + ETH_HLEN) + (len - ETH_HLEN).next_multiple_of(PAGE_SIZE) as u32
}
