//! Generic segmentation offload: merged packets are cut again, as late as possible.
//!
//! Kernel: net/core/gso.c, net/core/dev.c, net/core/skbuff.c

use glassnet_wire::gre::{Gre, gre_set_csum};
use glassnet_wire::ipv4::{IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_UDP, Ipv4Hdr, ip_send_check};
use glassnet_wire::tcp::TcpHdr;
use glassnet_wire::udp::{UdpHdr, udp_set_csum};
use zerocopy::IntoBytes;

use super::gro::{inside, offload};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::PacketOffload;
use crate::tables::gro::Segment;
use crate::tables::netdev_features::{GSO_GRE, GSO_IPXIP4, GSO_UDP_TUNNEL, TSO};

/// Headers of a merged packet from its network header on, bytes: all of them are TCP over IPv4, perhaps in a tunnel.
fn network_headers(cx: &Cx, skb: SkbId) -> usize {
    let pkt = &cx.skbs[skb];
    let transport = if pkt.is_encapsulated() { pkt.inner_transport_header } else { pkt.transport_header };
    let tcp = cx.skbs.header::<TcpHdr>(skb, transport).map_or(0, TcpHdr::header_len);
    (transport - pkt.network_header) as usize + tcp
}

/// A packet, or each of those that it was merged of, is no longer than `mtu` bytes from the network header on
/// (`skb_gso_validate_network_len`).
#[inline]
pub fn fits(cx: &Cx, skb: SkbId, len: usize, mtu: usize) -> bool {
    len <= mtu || cx.skbs[skb].gso_size != 0 && seglen(cx, skb) <= mtu
}

/// The length of the longest packet that one was merged of, from the network header on, bytes (`skb_gso_network_seglen`).
#[cold]
fn seglen(cx: &Cx, skb: SkbId) -> usize {
    network_headers(cx, skb) + usize::from(cx.skbs[skb].gso_size)
}

/// The same from the Ethernet header on (`skb_gso_mac_seglen`).
pub fn mac_seglen(cx: &Cx, skb: SkbId) -> usize {
    let pkt = &cx.skbs[skb];
    seglen(cx, skb) + (pkt.network_header - pkt.mac_header) as usize
}

/// What a packet's length grows by if it is cut, bytes: the headers of all but the first packet.
#[cold]
pub fn header_bytes(cx: &Cx, skb: SkbId) -> usize {
    let pkt = &cx.skbs[skb];
    let headers = network_headers(cx, skb) + (pkt.network_header - pkt.mac_header) as usize;
    headers * usize::from(pkt.gso_segs - 1)
}

/// The packet is merged, and its device does not cut it (`netif_needs_gso`).
#[inline]
pub fn netif_needs_gso(cx: &Cx, skb: SkbId) -> bool {
    let pkt = &cx.skbs[skb];
    let needed = if pkt.is_encapsulated() { TSO | tunnel_feature(cx, skb) } else { TSO };
    pkt.gso_size != 0 && (cx.k.devs[pkt.dev].features & needed != needed || pkt.gso_fixedid)
}

/// What a device that cuts packets of this packet's tunnel must be able to do.
#[cold]
fn tunnel_feature(cx: &Cx, skb: SkbId) -> u64 {
    let outer = cx.skbs.header::<Ipv4Hdr>(skb, cx.skbs[skb].network_header);
    match outer.map(|iph| iph.protocol) {
        Some(IPPROTO_IPIP) => GSO_IPXIP4,
        Some(IPPROTO_GRE) => GSO_GRE,
        _ => GSO_UDP_TUNNEL,
    }
}

/// Cuts a merged packet into packets, and frees it (`__skb_gso_segment`).
pub fn skb_gso_segment(cx: &mut Cx, skb: SkbId) -> Vec<SkbId> {
    let segments = cx.within(Func::SkbGsoSegment, skb, |cx| {
        cx.call(Func::SkbSegment, skb);
        segment(cx, skb)
    });
    cx.consume_skb(skb);
    segments
}

/// What a merged packet is cut into; it stays. Those that it was merged of are the same packets to an observer again.
pub fn segment(cx: &mut Cx, skb: SkbId) -> Vec<SkbId> {
    let (Some(offload), pkt) = (offload(cx, skb), &cx.skbs[skb]) else { return Vec::new() };
    let (size, count) = (usize::from(pkt.gso_size), pkt.gso_segs);
    let headers = network_headers(cx, skb) + (pkt.network_header - pkt.data) as usize;
    let payload = pkt.len() - headers;
    let members = cx.skbs.take_frag_list(skb);
    let segments = (0..count).map(|index| {
        let from = usize::from(index) * size;
        let part = cx.skbs.copy_part(skb, headers, headers + from..headers + (from + size).min(payload));
        cx.nf_copy_ct(part, skb);
        if let Some((member, _)) = usize::from(index).checked_sub(1).and_then(|at| members.get(at)) {
            cx.skbs[part].packet = cx.skbs[*member].packet;
        }
        let is_last = index + 1 == count;
        let place = Segment { index, offset: from as u32, is_last };
        if cx.skbs[part].is_encapsulated() {
            tunnel_segment(cx, part, place, offload);
        } else {
            (offload.gso_segment)(cx, part, place);
        }
        part
    });
    let segments = segments.collect();
    members.into_iter().for_each(|(member, _)| cx.discard_skb(member));
    segments
}

/// The headers of a segment in a tunnel: first the inner ones, then length, identification and checksums of the outer ones
/// (`inet_gso_segment`; over UDP also `skb_udp_tunnel_segment`, net/ipv4/udp_offload.c).
fn tunnel_segment(cx: &mut Cx, skb: SkbId, segment: Segment, offload: &PacketOffload) {
    let pkt = &cx.skbs[skb];
    let (network, transport, len) = (pkt.network_header, pkt.transport_header, pkt.tail - pkt.network_header);
    let (at, inner_transport) = (pkt.inner_network_header, pkt.inner_transport_header);
    inside(cx, skb, at, |cx, skb| {
        cx.skbs[skb].transport_header = inner_transport;
        (offload.gso_segment)(cx, skb, segment);
    });
    let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, network) else { return };
    iph.tot_len.set(len as u16);
    iph.id.set(iph.id.get().wrapping_add(segment.index));
    ip_send_check(iph.as_mut_bytes());
    let (saddr, daddr, protocol) = (iph.saddr.get(), iph.daddr.get(), iph.protocol);
    if protocol == IPPROTO_GRE {
        let from = (transport - cx.skbs[skb].data) as usize;
        let packet = &mut cx.skbs.data_mut(skb)[from..];
        if Gre::parse(packet).is_some_and(|(gre, _)| gre.has_csum) {
            gre_set_csum(packet);
        }
    }
    if protocol != IPPROTO_UDP {
        return;
    }
    let Some(udp) = cx.skbs.header_mut::<UdpHdr>(skb, transport) else { return };
    udp.len.set((len - (transport - network)) as u16);
    if udp.check.get() != 0 {
        let from = (transport - cx.skbs[skb].data) as usize;
        udp_set_csum(&mut cx.skbs.data_mut(skb)[from..], saddr, daddr);
    }
}
