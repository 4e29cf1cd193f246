//! Merging of datagrams: of those of tunnels, by what is inside.
//!
//! Kernel: net/ipv4/udp_offload.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::IPPROTO_UDP;
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};

use super::ip_input::ip_hdr;
use super::udp::udp_lookup;
use crate::Cx;
use crate::door::Func;
use crate::encap::UdpTunnelSockCfg;
use crate::ids::{SkbId, SocketId};
use crate::net::core::gro::{enters_tunnel, for_same_flow};
use crate::tables::gro::GroVerdict;

/// Datagrams of programs are merged only where a program asked for it, which none does here.
pub fn udp4_gro_receive(cx: &mut Cx, skb: SkbId) -> GroVerdict {
    cx.within(Func::Udp4GroReceive, skb, |cx| {
        let Some((udp, tunnel)) = datagram(cx, skb) else { return GroVerdict::FLUSH };
        let is_flushed = cx.k.cpus[cx.cpu.index()].gro.flush;
        if udp.check.get() != 0 && !is_flushed && !is_checksum_right(cx, skb) {
            return GroVerdict::FLUSH;
        }
        cx.within(Func::UdpGroReceive, skb, |cx| match tunnel {
            Some(tunnel) => udp_gro_receive(cx, skb, tunnel),
            None => GroVerdict::FLUSH,
        })
    })
}

/// A tunnel's socket, and what it does with datagrams.
type TunnelSock = (SocketId, &'static UdpTunnelSockCfg);

/// The header of a datagram, and the tunnel that it is for.
fn datagram(cx: &Cx, skb: SkbId) -> Option<(UdpHdr, Option<TunnelSock>)> {
    let udp = *cx.skbs.header::<UdpHdr>(skb, cx.skbs[skb].transport_header)?;
    if !cx.k.sockets.udp_encap_needed {
        return Some((udp, None));
    }
    let iph = ip_hdr(cx, skb)?;
    let (from, to) = ((iph.saddr.get(), udp.source.get()), (iph.daddr.get(), udp.dest.get()));
    let socket = udp_lookup(cx, skb, from, to).and_then(|id| cx.k.sockets.get(id));
    Some((udp, socket.and_then(|socket| Some((socket.id, socket.tunnel?)))))
}

fn is_checksum_right(cx: &Cx, skb: SkbId) -> bool {
    let pkt = &cx.skbs[skb];
    let segment = cx.skbs.data(skb).get((pkt.transport_header - pkt.data) as usize..);
    let (Some(iph), Some(segment)) = (ip_hdr(cx, skb), segment) else { return false };
    let (saddr, daddr) = (iph.saddr.get(), iph.daddr.get());
    let pseudo = checksum::pseudo_header(saddr, daddr, IPPROTO_UDP, segment.len() as u16);
    pkt.ip_summed || checksum::fold(checksum::sum(pseudo, segment)) == 0
}

fn udp_gro_receive(cx: &mut Cx, skb: SkbId, (sock, tunnel): TunnelSock) -> GroVerdict {
    if !enters_tunnel(cx) {
        return GroVerdict::FLUSH;
    }
    let at = cx.skbs[skb].transport_header;
    for_same_flow(cx, skb, at, |held, its: &UdpHdr, own| {
        let has_check = |udp: &UdpHdr| udp.check.get() != 0;
        held.same_flow = (its.source, its.dest, has_check(its)) == (own.source, own.dest, has_check(own));
    });
    (tunnel.gro_receive)(cx, sock, skb, at + UDP_HLEN as u32)
}

/// The header of a merged packet of a tunnel gets its length, and, if it has a checksum, that of its pseudo header.
pub fn udp4_gro_complete(cx: &mut Cx, skb: SkbId) {
    cx.within(Func::Udp4GroComplete, skb, |cx| {
        let (Some((_, Some((sock, tunnel)))), Some(iph)) = (datagram(cx, skb), ip_hdr(cx, skb)) else {
            return;
        };
        let at = cx.skbs[skb].transport_header;
        let len = (cx.skbs[skb].tail - at) as u16;
        let pseudo = checksum::pseudo_header(iph.saddr.get(), iph.daddr.get(), IPPROTO_UDP, len);
        if let Some(udp) = cx.skbs.header_mut::<UdpHdr>(skb, at) {
            udp.len.set(len);
            if udp.check.get() != 0 {
                udp.check.set(!checksum::fold(pseudo));
            }
        }
        cx.within(Func::UdpGroComplete, skb, |cx| (tunnel.gro_complete)(cx, sock, skb, at + UDP_HLEN as u32));
    });
}
