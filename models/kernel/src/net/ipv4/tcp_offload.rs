//! Merging and cutting of TCP segments.
//!
//! Kernel: net/ipv4/tcp_offload.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::{IPPROTO_TCP, IPV4_HLEN, Ipv4Hdr};
use glassnet_wire::tcp::{TCP_CWR, TCP_FIN, TCP_HLEN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG, TcpHdr};

use super::inet_offload::{continues, is_same_pair};
use super::ip_input::ip_hdr;
use super::tcp_output::tcp_v4_send_check;
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::net::core::gro::skb_gro_receive;
use crate::tables::gro::{GroFate, GroVerdict, Held, Segment};

/// Looks for the held packet that a segment continues; `is_whole`: the packet has no padding and is no fragment.
pub fn tcp4_gro_receive(cx: &mut Cx, skb: SkbId, iph: &Ipv4Hdr, is_whole: bool) -> GroVerdict {
    let Some(segment) = cx.skbs.data(skb).get(IPV4_HLEN..) else { return GroVerdict::FLUSH };
    let pseudo = checksum::pseudo_header(iph.saddr.get(), iph.daddr.get(), IPPROTO_TCP, segment.len() as u16);
    if is_whole && checksum::fold(checksum::sum(pseudo, segment)) != 0 {
        return GroVerdict::FLUSH;
    }
    cx.skbs[skb].ip_summed |= is_whole;
    cx.within(Func::TcpGroReceive, skb, |cx| tcp_gro_receive(cx, skb, iph, is_whole))
}

fn tcp_gro_receive(cx: &mut Cx, skb: SkbId, iph: &Ipv4Hdr, is_whole: bool) -> GroVerdict {
    let len = cx.skbs[skb].len() - IPV4_HLEN;
    let header = cx.skbs.header::<TcpHdr>(skb, cx.skbs[skb].transport_header).copied();
    let Some(th) = header.filter(|th| (TCP_HLEN..=len).contains(&th.header_len())) else {
        return GroVerdict::FLUSH;
    };
    let payload = len - th.header_len();
    let found = find(cx, skb, iph, &th);
    let (mut merged, mut size) = (false, 1);
    if let Some(at) = found
        && is_next(cx, at, (skb, iph, &th), payload)
        && is_whole
        && skb_gro_receive(cx, at, skb, payload)
    {
        let Held { skb: first, gso_size, .. } = cx.k.cpus[cx.cpu.index()].gro.held[at];
        (merged, size) = (true, gso_size);
        let at = cx.skbs[first].transport_header;
        if let Some(first) = cx.skbs.header_mut::<TcpHdr>(first, at) {
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

/// The held packet of a segment's connection.
fn find(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr, th: &TcpHdr) -> Option<usize> {
    let same_ports = |held: SkbId| {
        let first = cx.skbs.header::<TcpHdr>(held, cx.skbs[held].transport_header);
        first.is_some_and(|first| (first.source, first.dest) == (th.source, th.dest))
    };
    let held = &cx.k.cpus[cx.cpu.index()].gro.held;
    held.iter().position(|held| same_ports(held.skb) && is_same_pair(cx, held.skb, skb, iph))
}

/// A segment is the next of a held packet, and no longer than its first; its acknowledgement, options and flags are equal.
fn is_next(cx: &mut Cx, at: usize, (skb, iph, th): (SkbId, &Ipv4Hdr, &TcpHdr), payload: usize) -> bool {
    let Held { skb: held, payload: before, gso_size, .. } = cx.k.cpus[cx.cpu.index()].gro.held[at];
    let options = |skb: SkbId| {
        let at = IPV4_HLEN + TCP_HLEN;
        cx.skbs.data(skb).get(at..at + th.header_len() - TCP_HLEN)
    };
    let Some(first) = cx.skbs.header::<TcpHdr>(held, cx.skbs[held].transport_header).copied() else {
        return false;
    };
    let same_flags =
        (first.flags ^ th.flags) & !(TCP_CWR | TCP_FIN | TCP_PSH) == 0 && th.flags & TCP_CWR == 0;
    same_flags
        && first.doff_res == th.doff_res
        && first.ack_seq == th.ack_seq
        && options(held) == options(skb)
        && (1..=gso_size).contains(&payload)
        && first.seq.get().wrapping_add(before as u32) == th.seq.get()
        && continues(cx, at, iph)
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
