//! Packet sockets.
//!
//! Kernel: net/packet/af_packet.c

use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId, SocketId};
use crate::module::{Module, Ptype};
use crate::net::core::sock::sock_queue_rcv_skb;
use crate::netlink::Errno;
use crate::tables::skb::PacketType;
use crate::tables::socket::{Queued, SockKind};
use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ALL, EthHdr};

/// The module.
pub static MODULE: Module = Module { tap: Some(packet_rcv), ..Module::named("af_packet") };

/// Queues a clone of a packet to each socket of a list for this device and protocol (`packet_rcv`, `tpacket_rcv`); true if
/// there was one.
fn packet_rcv(cx: &mut Cx, skb: SkbId, dev: DevId, (seen_as, list): (PacketType, Ptype)) -> bool {
    let wanted = match list {
        Ptype::All => ETH_P_ALL,
        Ptype::Specific => cx.skbs[skb].protocol,
    };
    let mut taken = false;
    for socket in listeners(cx, dev) {
        let kind = cx.k.sockets.get(socket).map(|socket| socket.kind);
        if matches!(kind, Some(SockKind::Packet { protocol, .. }) if protocol == wanted) {
            cx.call(Func::TpacketRcv, skb);
            receive(cx, socket, skb, dev, seen_as);
            taken = true;
        }
    }
    taken
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
    let ifindex = cx.k.devs[dev].ifindex;
    let Some(SockKind::Packet { cooked, .. }) = cx.k.sockets.get(id).map(|socket| socket.kind) else {
        return;
    };
    let clone = cx.skbs.clone_skb(skb);
    cx.skbs.push_mac_header(clone);
    if cooked {
        cx.skbs.pull(clone, ETH_HLEN);
    }
    if !sock_queue_rcv_skb(cx, id, Queued { skb: clone, at: cx.now, ifindex, pkt_type: seen_as }) {
        cx.discard_skb(clone);
    }
}

/// Sends a frame (`packet_snd`): unchanged or, from a cooked socket, behind an Ethernet header to `to`.
///
/// # Errors
///
/// `ENXIO`, here `ENODEV`, without a device; `ENETDOWN` if it is down; `EMSGSIZE` beyond its MTU; `EINVAL` if the
/// frame has no room for its header; `ENOBUFS` if the device did not take it.
pub fn packet_sendmsg(cx: &mut Cx, id: SocketId, to: Mac, data: &[u8]) -> Result<usize, Errno> {
    let socket = cx.k.sockets.get(id).ok_or(Errno::EBADF)?;
    let SockKind::Packet { cooked, protocol } = socket.kind else { return Err(Errno::EOPNOTSUPP) };
    let dev = cx.k.dev_by_index(socket.netns, socket.ifindex).ok_or(Errno::ENODEV)?;
    let netdev = &cx.k.devs[dev];
    if !netdev.is_up() {
        return Err(Errno::ENETDOWN);
    }
    let payload = if cooked { data.len() } else { data.len().checked_sub(ETH_HLEN).ok_or(Errno::EINVAL)? };
    if payload > netdev.mtu as usize {
        return Err(Errno::EMSGSIZE);
    }
    let source = netdev.addr;
    let skb = cx.skbs.alloc_skb(data.len(), dev);
    cx.skbs.data_mut(skb).copy_from_slice(data);
    if cooked {
        cx.skbs.push_eth(skb, EthHdr::new(to, source, protocol));
    }
    let proto = cx.skbs.header::<EthHdr>(skb, cx.skbs[skb].data).map_or(0, |eth| eth.h_proto.get());
    let pkt = &mut cx.skbs[skb];
    pkt.protocol = proto;
    pkt.network_header = pkt.data + ETH_HLEN as u32;
    pkt.sk = Some(id);
    cx.within(Func::PacketSendmsg, skb, |cx| cx.xmit_and_wait(skb, Door::DevQueueXmit { skb }))?;
    Ok(data.len())
}
