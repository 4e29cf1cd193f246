//! Merging and cutting of IPv4 packets.
//!
//! Kernel: net/ipv4/af_inet.c, net/ipv4/udp_offload.c

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::ipv4::{
    IP_MF, IP_OFFSET, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr, ip_fast_csum, ip_send_check,
};
use zerocopy::IntoBytes;

use super::ip_input::{ip_hdr, ip_list_rcv};
use super::tcp_offload::{tcp_gso_segment, tcp4_gro_complete, tcp4_gro_receive};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::PacketOffload;
use crate::net::core::gro::is_same_link;
use crate::tables::gro::{GroVerdict, Held, Segment};

/// What IPv4 does with packets of a poll.
pub static OFFLOAD: PacketOffload =
    PacketOffload { protocol: ETH_P_IP, gro_receive, gro_complete, gso_segment, list_rcv: ip_list_rcv };

fn gro_receive(cx: &mut Cx, skb: SkbId) -> GroVerdict {
    cx.within(Func::InetGroReceive, skb, |cx| inet_gro_receive(cx, skb))
}

/// Only segments of TCP are merged; of UDP only where a program asked for it, which none does here.
fn inet_gro_receive(cx: &mut Cx, skb: SkbId) -> GroVerdict {
    let Some(iph) = ip_hdr(cx, skb).copied() else { return GroVerdict::FLUSH };
    let protocol = iph.protocol;
    let merges = matches!(protocol, IPPROTO_TCP | IPPROTO_UDP);
    if !merges || iph.version() != 4 || iph.header_len() != IPV4_HLEN || ip_fast_csum(&iph) != 0 {
        return GroVerdict::FLUSH;
    }
    let pkt = &mut cx.skbs[skb];
    pkt.transport_header = pkt.network_header + IPV4_HLEN as u32;
    if protocol == IPPROTO_UDP {
        return cx.within(Func::Udp4GroReceive, skb, |cx| {
            cx.call(Func::UdpGroReceive, skb);
            GroVerdict::FLUSH
        });
    }
    let is_whole =
        usize::from(iph.tot_len.get()) == pkt.len() && iph.frag_off.get() & (IP_MF | IP_OFFSET) == 0;
    cx.within(Func::Tcp4GroReceive, skb, |cx| tcp4_gro_receive(cx, skb, &iph, is_whole))
}

/// A held packet has the addresses of one that came.
pub fn is_same_pair(cx: &Cx, held: SkbId, skb: SkbId, iph: &Ipv4Hdr) -> bool {
    let same = |of: &Ipv4Hdr| of.protocol == iph.protocol && of.saddr == iph.saddr && of.daddr == iph.daddr;
    ip_hdr(cx, held).is_some_and(same) && is_same_link(cx, held, skb)
}

/// The rest of a packet's header is as that of a held one: TOS, TTL and DF equal, and the identifications count up from packet to
/// packet, or, where nothing may be fragmented, stay as they are.
pub fn continues(cx: &mut Cx, at: usize, iph: &Ipv4Hdr) -> bool {
    let held = &cx.k.cpus[cx.cpu.index()].gro.held[at];
    let Some(first) = ip_hdr(cx, held.skb) else { return false };
    if first.ttl != iph.ttl || first.tos != iph.tos || first.dont_fragment() != iph.dont_fragment() {
        return false;
    }
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
fn gro_complete(cx: &mut Cx, skb: SkbId) {
    cx.within(Func::InetGroComplete, skb, |cx| {
        let at = cx.skbs[skb].network_header;
        let len = cx.skbs[skb].tail - at;
        if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
            iph.tot_len.set(len as u16);
            ip_send_check(iph.as_mut_bytes());
        }
        cx.within(Func::Tcp4GroComplete, skb, |cx| tcp4_gro_complete(cx, skb));
    });
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
