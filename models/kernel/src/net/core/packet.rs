//! Packet sockets: what `tcpdump` and `arping` see and send.
//!
//! Kernel: net/packet/af_packet.c

use crate::Cx;
use crate::door::Func;
use crate::ids::{DevId, SkbId, SocketId};
use crate::tables::skb::PacketType;
use crate::tables::socket::{Received, SockKind};
use crate::trace::Frame;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ALL, EthHdr};

/// What an skb takes from a socket's receive buffer beside its bytes (`SKB_TRUESIZE` overhead), bytes.
pub const TRUESIZE_OVERHEAD: usize = 576;

/// Shows a received packet to the packet sockets that listen, and to the observer.
///
/// The data begins behind the Ethernet header, as the device's driver left it.
pub fn deliver_to_taps(cx: &mut Cx, skb: SkbId, dev: DevId, seen_as: PacketType) {
    capture(cx, skb, dev, seen_as);
    if cx.k.packet_sockets == 0 {
        return;
    }
    let protocol = cx.skbs[skb].protocol;
    for socket in listeners(cx, dev) {
        let wanted = match cx.k.sockets.get(socket).map(|socket| socket.kind) {
            Some(SockKind::Packet { protocol: ETH_P_ALL, .. }) => true,
            Some(SockKind::Packet { protocol: only, .. }) => {
                only == protocol && seen_as != PacketType::Outgoing
            }
            _ => false,
        };
        if wanted {
            cx.call(Func::TpacketRcv, skb);
            receive(cx, socket, skb, dev, seen_as);
        }
    }
}

/// Shows a packet that leaves to the packet sockets that take every protocol.
pub fn dev_queue_xmit_nit(cx: &mut Cx, skb: SkbId, dev: DevId) {
    if cx.k.packet_sockets > 0 {
        cx.call(Func::DevQueueXmitNit, skb);
    }
    deliver_to_taps(cx, skb, dev, PacketType::Outgoing);
}

fn capture(cx: &mut Cx, skb: SkbId, dev: DevId, seen_as: PacketType) {
    if !cx.trace.capture {
        return;
    }
    cx.trace.frames.push(Frame {
        at: cx.now,
        machine: cx.k.id,
        dev: cx.k.devs[dev].label,
        packet: cx.skbs[skb].packet,
        pkt_type: seen_as,
        bytes: cx.skbs.frame(skb).to_vec(),
    });
}

fn listeners(cx: &Cx, dev: DevId) -> Vec<SocketId> {
    let netdev = &cx.k.devs[dev];
    cx.k.netns[netdev.netns]
        .taps
        .iter()
        .copied()
        .filter(|id| {
            cx.k.sockets
                .get(*id)
                .is_some_and(|socket| socket.ifindex == 0 || socket.ifindex == netdev.ifindex)
        })
        .collect()
}

fn receive(cx: &mut Cx, id: SocketId, skb: SkbId, dev: DevId, seen_as: PacketType) {
    let frame = cx.skbs.frame(skb);
    let mac = cx.skbs.eth_hdr(skb).source();
    let ifindex = cx.k.devs[dev].ifindex;
    let Some(socket) = cx.k.sockets.get_mut(id) else { return };
    let SockKind::Packet { cooked, .. } = socket.kind else { return };
    let data = if cooked { &frame[ETH_HLEN..] } else { frame };
    let size = data.len() + TRUESIZE_OVERHEAD;
    if socket.rmem_alloc + size > socket.opts.rcvbuf {
        socket.drops += 1;
        return;
    }
    socket.rmem_alloc += size;
    socket.packets += 1;
    socket.receive_queue.push_back(Received {
        at: cx.now,
        data: data.to_vec(),
        from: (0, 0),
        to: 0,
        ifindex,
        ttl: 0,
        pkt_type: seen_as,
        protocol: cx.skbs[skb].protocol,
        mac,
    });
    cx.wake_up();
}

/// Sends a frame that a program made, Ethernet header and all (`packet_sendmsg` on `SOCK_RAW`).
pub fn packet_sendmsg(cx: &mut Cx, dev: DevId, frame: &[u8]) {
    let skb = cx.skbs.alloc_skb(frame.len(), dev);
    cx.skbs.data_mut(skb).copy_from_slice(frame);
    let proto = cx.skbs.header::<EthHdr>(skb, cx.skbs[skb].data).map_or(0, |eth| eth.h_proto.get());
    let pkt = &mut cx.skbs[skb];
    pkt.protocol = proto;
    pkt.network_header = pkt.data + (ETH_HLEN as u32).min(pkt.tail - pkt.data);
    cx.walk(crate::door::Door::DevQueueXmit { skb });
}
