//! Merging and cutting of IPv4 packets.
//!
//! Kernel: net/ipv4/af_inet.c

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::ipv4::{
    IP_MF, IP_OFFSET, IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr, ip_fast_csum,
    ip_send_check,
};
use zerocopy::IntoBytes;

use super::gre_offload::{gre_gro_complete, gre_gro_receive};
use super::ip_input::{ip_hdr, ip_list_rcv};
use super::tcp_offload::{tcp_gso_segment, tcp4_gro_complete, tcp4_gro_receive};
use super::udp_offload::{udp4_gro_complete, udp4_gro_receive};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::PacketOffload;
use crate::net::core::gro::{
    enters_tunnel, for_same_flow, gro_complete_inside, gro_receive_inside, its_place,
};
use crate::tables::gro::{GroVerdict, Held, Segment};

/// What IPv4 does with packets of a poll.
pub static OFFLOAD: PacketOffload = PacketOffload {
    protocol: ETH_P_IP,
    gro_receive: inet_gro_receive,
    gro_complete: inet_gro_complete,
    gso_segment,
    list_rcv: ip_list_rcv,
};

fn inet_gro_receive(cx: &mut Cx, skb: SkbId) -> GroVerdict {
    cx.within(Func::InetGroReceive, skb, |cx| match gro_receive(cx, skb) {
        Some(protocol) => inet_protocol_gro_receive(cx, skb, protocol),
        None => GroVerdict::FLUSH,
    })
}

/// Looks for the held packet that one continues by the header of this protocol (`inet_offloads`).
pub fn inet_protocol_gro_receive(cx: &mut Cx, skb: SkbId, protocol: u8) -> GroVerdict {
    match protocol {
        IPPROTO_TCP => cx.within(Func::Tcp4GroReceive, skb, |cx| tcp4_gro_receive(cx, skb)),
        IPPROTO_UDP => udp4_gro_receive(cx, skb),
        IPPROTO_GRE => gre_gro_receive(cx, skb),
        IPPROTO_IPIP => ipip_gro_receive(cx, skb),
        _ => GroVerdict::FLUSH,
    }
}

/// Looks which held packets have this one's addresses; returns its protocol if that can merge packets.
fn gro_receive(cx: &mut Cx, skb: SkbId) -> Option<u8> {
    let iph = *ip_hdr(cx, skb)?;
    let merges = matches!(iph.protocol, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_GRE | IPPROTO_IPIP);
    if !merges || iph.version() != 4 || iph.header_len() != IPV4_HLEN || ip_fast_csum(&iph) != 0 {
        return None;
    }
    let pkt = &mut cx.skbs[skb];
    let (at, len) = (pkt.network_header, pkt.tail - pkt.network_header);
    pkt.transport_header = at + IPV4_HLEN as u32;
    let is_fragment = iph.frag_off.get() & (IP_MF | IP_OFFSET) != 0;
    cx.k.cpus[cx.cpu.index()].gro.flush |= u32::from(iph.tot_len.get()) != len || is_fragment;
    for_same_flow(cx, skb, at, |held, its: &Ipv4Hdr, own| {
        let ends = |iph: &Ipv4Hdr| (iph.saddr, iph.daddr, iph.protocol);
        held.same_flow = ends(its) == ends(own);
        let rest = |iph: &Ipv4Hdr| (iph.ttl, iph.tos, iph.dont_fragment());
        held.flush |= rest(its) != rest(own);
    });
    Some(iph.protocol)
}

fn ipip_gro_receive(cx: &mut Cx, skb: SkbId) -> GroVerdict {
    cx.within(Func::IpipGroReceive, skb, |cx| {
        if !enters_tunnel(cx) {
            return GroVerdict::FLUSH;
        }
        gro_receive_inside(cx, skb, cx.skbs[skb].transport_header, ETH_P_IP)
    })
}

/// The identifications of packets count up from packet to packet, or, where nothing may be fragmented, stay as they are. Of
/// headers in headers only the innermost is asked (`napi_gro_cb::flush_id`).
pub fn continues(cx: &mut Cx, at: usize, skb: SkbId, iph: &Ipv4Hdr) -> bool {
    let held = &cx.k.cpus[cx.cpu.index()].gro.held[at];
    let its = its_place(cx.skbs, held.skb, skb, cx.skbs[skb].network_header);
    let Some(first) = cx.skbs.header::<Ipv4Hdr>(held.skb, its) else { return false };
    let (count, step) = (1 + held.members.len() as u16, iph.id.get().wrapping_sub(first.id.get()));
    let Held { is_atomic, .. } = &mut cx.k.cpus[cx.cpu.index()].gro.held[at];
    if !*is_atomic {
        return step == count;
    }
    // The second packet shows which of the two it is.
    *is_atomic = (step, count) != (1, 1);
    step == 0 || !*is_atomic
}

/// The header of a merged packet gets its length.
fn inet_gro_complete(cx: &mut Cx, skb: SkbId) {
    cx.within(Func::InetGroComplete, skb, |cx| {
        let at = cx.skbs[skb].network_header;
        let transport = at + IPV4_HLEN as u32;
        cx.skbs[skb].transport_header = transport;
        let len = cx.skbs[skb].tail - at;
        let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) else { return };
        iph.tot_len.set(len as u16);
        ip_send_check(iph.as_mut_bytes());
        let protocol = iph.protocol;
        inet_protocol_gro_complete(cx, skb, protocol);
    });
}

/// The headers of a merged packet from that of this protocol on get what is left of them.
pub fn inet_protocol_gro_complete(cx: &mut Cx, skb: SkbId, protocol: u8) {
    match protocol {
        IPPROTO_UDP => udp4_gro_complete(cx, skb),
        IPPROTO_GRE => gre_gro_complete(cx, skb),
        IPPROTO_IPIP => cx.within(Func::IpipGroComplete, skb, |cx| {
            gro_complete_inside(cx, skb, cx.skbs[skb].transport_header, ETH_P_IP);
        }),
        _ => cx.within(Func::Tcp4GroComplete, skb, |cx| tcp4_gro_complete(cx, skb)),
    }
}

/// The header of a segment gets its length and its identification.
fn gso_segment(cx: &mut Cx, skb: SkbId, segment: Segment) {
    let (at, fixed) = (cx.skbs[skb].network_header, cx.skbs[skb].gso_fixedid);
    let len = cx.skbs[skb].tail - at;
    if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        iph.tot_len.set(len as u16);
        iph.id.set(iph.id.get().wrapping_add(if fixed { 0 } else { segment.index }));
        ip_send_check(iph.as_mut_bytes());
    }
    tcp_gso_segment(cx, skb, segment);
}
