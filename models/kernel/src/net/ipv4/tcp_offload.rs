//! Merging and cutting of TCP segments.
//!
//! Kernel: net/ipv4/tcp_offload.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::{IPPROTO_TCP, Ipv4Hdr};
use glassnet_wire::tcp::{TCP_CWR, TCP_FIN, TCP_HLEN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG, TcpHdr};

use super::inet_offload::continues;
use super::ip_input::ip_hdr;
use super::tcp_output::tcp_v4_send_check;
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::net::core::gro::{for_same_flow, found, its_place, skb_gro_receive};
use crate::tables::gro::{GroFate, GroVerdict, Held, Segment};

/// Looks for the held packet that a segment continues.
pub fn tcp4_gro_receive(cx: &mut Cx, skb: SkbId) -> GroVerdict {
    let Some(iph) = ip_hdr(cx, skb).copied() else { return GroVerdict::FLUSH };
    let pkt = &cx.skbs[skb];
    let from = (pkt.transport_header - pkt.data) as usize;
    let Some(segment) = cx.skbs.data(skb).get(from..) else { return GroVerdict::FLUSH };
    let pseudo = checksum::pseudo_header(iph.saddr.get(), iph.daddr.get(), IPPROTO_TCP, segment.len() as u16);
    let is_whole = !cx.k.cpus[cx.cpu.index()].gro.flush;
    if is_whole && checksum::fold(checksum::sum(pseudo, segment)) != 0 {
        return GroVerdict::FLUSH;
    }
    cx.skbs[skb].ip_summed |= is_whole;
    cx.within(Func::TcpGroReceive, skb, |cx| tcp_gro_receive(cx, skb, &iph, is_whole))
}

/// `is_whole`: the packet has no padding, is no fragment, and was not merged before.
fn tcp_gro_receive(cx: &mut Cx, skb: SkbId, iph: &Ipv4Hdr, is_whole: bool) -> GroVerdict {
    let at = cx.skbs[skb].transport_header;
    let len = (cx.skbs[skb].tail - at) as usize;
    let header = cx.skbs.header::<TcpHdr>(skb, at).copied();
    let Some(th) = header.filter(|th| (TCP_HLEN..=len).contains(&th.header_len())) else {
        return GroVerdict::FLUSH;
    };
    let payload = len - th.header_len();
    for_same_flow(cx, skb, at, |held, its: &TcpHdr, own| {
        held.same_flow = (its.source, its.dest) == (own.source, own.dest);
    });
    let found = found(cx);
    let (mut merged, mut size) = (false, 1);
    if let Some(place) = found
        && is_next(cx, place, (skb, iph, &th), payload)
        && is_whole
        && skb_gro_receive(cx, place, skb, payload)
    {
        let Held { skb: first, gso_size, .. } = cx.k.cpus[cx.cpu.index()].gro.held[place];
        (merged, size) = (true, gso_size);
        let its = its_place(cx.skbs, first, skb, at);
        if let Some(first) = cx.skbs.header_mut::<TcpHdr>(first, its) {
            first.flags |= th.flags & (TCP_FIN | TCP_PSH);
        }
    }
    let is_last = payload < size || th.flags & (TCP_URG | TCP_PSH | TCP_RST | TCP_SYN | TCP_FIN) != 0;
    let fate = match merged {
        true => GroFate::Merged,
        false if is_last || !is_whole => GroFate::Normal,
        false => GroFate::Held { payload, is_atomic: iph.dont_fragment() },
    };
    GroVerdict { fate, complete: found.filter(|_| !merged || is_last) }
}

/// A segment is the next of a held packet, and no longer than its first; its acknowledgement, options and flags are equal.
fn is_next(cx: &mut Cx, place: usize, (skb, iph, th): (SkbId, &Ipv4Hdr, &TcpHdr), payload: usize) -> bool {
    let held = &cx.k.cpus[cx.cpu.index()].gro.held[place];
    let (first, before, gso_size, flush) = (held.skb, held.payload, held.gso_size, held.flush);
    let at = cx.skbs[skb].transport_header;
    let its = its_place(cx.skbs, first, skb, at);
    let options = |skb: SkbId, at: u32| {
        let from = (at - cx.skbs[skb].data) as usize;
        cx.skbs.data(skb).get(from + TCP_HLEN..from + th.header_len())
    };
    let Some(before_it) = cx.skbs.header::<TcpHdr>(first, its).copied() else { return false };
    let same_flags =
        (before_it.flags ^ th.flags) & !(TCP_CWR | TCP_FIN | TCP_PSH) == 0 && th.flags & TCP_CWR == 0;
    !flush
        && same_flags
        && before_it.doff_res == th.doff_res
        && before_it.ack_seq == th.ack_seq
        && options(first, its) == options(skb, at)
        && (1..=gso_size).contains(&payload)
        && before_it.seq.get().wrapping_add(before as u32) == th.seq.get()
        && continues(cx, place, skb, iph)
}

/// The checksum of a merged packet is that of its pseudo header: whoever sends it on computes the rest.
pub fn tcp4_gro_complete(cx: &mut Cx, skb: SkbId) {
    let Some((saddr, daddr)) = ip_hdr(cx, skb).map(|iph| (iph.saddr.get(), iph.daddr.get())) else { return };
    let at = cx.skbs[skb].transport_header;
    let len = (cx.skbs[skb].tail - at) as u16;
    let pseudo = checksum::pseudo_header(saddr, daddr, IPPROTO_TCP, len);
    if let Some(th) = cx.skbs.header_mut::<TcpHdr>(skb, at) {
        th.check.set(!checksum::fold(pseudo));
    }
    cx.call(Func::TcpGroComplete, skb);
}

/// The header of a segment gets its sequence number, flags and checksum.
pub fn tcp_gso_segment(cx: &mut Cx, skb: SkbId, segment: Segment) {
    let Some((saddr, daddr)) = ip_hdr(cx, skb).map(|iph| (iph.saddr.get(), iph.daddr.get())) else { return };
    let at = cx.skbs[skb].transport_header;
    let Some(th) = cx.skbs.header_mut::<TcpHdr>(skb, at) else { return };
    th.seq.set(th.seq.get().wrapping_add(segment.offset));
    if segment.index > 0 {
        th.flags &= !TCP_CWR;
    }
    if !segment.is_last {
        th.flags &= !(TCP_FIN | TCP_PSH);
    }
    let from = (at - cx.skbs[skb].data) as usize;
    tcp_v4_send_check(&mut cx.skbs.data_mut(skb)[from..], saddr, daddr);
}
