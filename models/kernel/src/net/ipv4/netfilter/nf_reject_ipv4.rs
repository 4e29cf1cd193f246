//! Replies of `REJECT`: ICMP errors and TCP resets.
//!
//! Kernel: net/ipv4/netfilter/nf_reject_ipv4.c

use glassnet_wire::checksum::{checksum, fold, pseudo_header, sum};
use glassnet_wire::eth::{ETH_P_IP, EthHdr};
use glassnet_wire::icmp::ICMP_DEST_UNREACH;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr, ip_send_check};
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_HLEN, TCP_RST, TCP_SYN, TcpHdr};
use zerocopy::IntoBytes;
use zerocopy::big_endian::{U16, U32};

use super::ip_route_me_harder;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::SkbId;
use crate::net::ipv4::icmp::{IcmpError, icmp_send};
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::ip_output::{IpHeader, ip_make_header, ip4_reply_mark};
use crate::net::ipv4::route::dst_mtu;
use crate::net::netfilter::core::nf_ct_attach;
use crate::net::netfilter::nf_conntrack_proto_tcp::nf_ct_set_closing;
use crate::tables::drop_reason::DropReason;
use crate::tables::route::{RTCF_BROADCAST, RTCF_MULTICAST};

/// The payload's checksum is correct (`nf_ip_checksum`): that of TCP and UDP with the pseudo header, of other
/// protocols over the whole payload.
fn nf_ip_checksum(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr) -> bool {
    let pkt = &cx.skbs[skb];
    if pkt.ip_summed {
        return true;
    }
    let from = pkt.network_header as usize + iph.header_len();
    let Some(payload) = cx.skbs.bufs.bytes(pkt.buf).get(from..pkt.tail as usize) else { return false };
    match iph.protocol {
        IPPROTO_TCP | IPPROTO_UDP => {
            let pseudo = pseudo_header(iph.saddr.get(), iph.daddr.get(), iph.protocol, payload.len() as u16);
            fold(sum(pseudo, payload)) == 0
        }
        // Such a checksum covers the payload alone, so an empty one is correct.
        _ => payload.is_empty() || checksum(payload) == 0,
    }
}

/// The protocol's checksum is verified (`nf_reject_verify_csum`): not of DCCP, GRE, ESP, AH, SCTP, UDP-Lite, and of
/// UDP only if there is one.
fn has_checksum(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr) -> bool {
    match iph.protocol {
        33 | 47 | 50 | 51 | 132 | 136 => false,
        IPPROTO_UDP => {
            let at = cx.skbs[skb].network_header + iph.header_len() as u32;
            cx.skbs.header::<[U16; 4]>(skb, at).is_some_and(|udp| udp[3].get() != 0)
        }
        _ => true,
    }
}

/// Sends an ICMP error about a rejected packet (`nf_send_unreach`), unless it is a later fragment or its checksum is
/// wrong.
pub fn nf_send_unreach(cx: &mut Cx, skb: SkbId, code: u8) -> Option<Door> {
    cx.within(Func::NfSendUnreach, skb, |cx| {
        let iph = *ip_hdr(cx, skb)?;
        if iph.fragment_offset() != 0 || has_checksum(cx, skb, &iph) && !nf_ip_checksum(cx, skb, &iph) {
            return None;
        }
        // The kernel's ICMP socket is locked while it sends (`icmp_xmit_trylock`), so its messages get no errors.
        let pkt = &cx.skbs[skb];
        if iph.protocol == IPPROTO_ICMP && pkt.skb_iif == 0 && pkt.sk.is_none() {
            return None;
        }
        icmp_send(cx, skb, IcmpError { kind: ICMP_DEST_UNREACH, code, info: 0 })
    })
}

/// The header of a segment that may be answered with a RST: complete, valid, and not a RST.
fn rejected_tcp(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr) -> Option<TcpHdr> {
    if iph.fragment_offset() != 0 || iph.protocol != IPPROTO_TCP {
        return None;
    }
    let at = cx.skbs[skb].network_header + iph.header_len() as u32;
    let tcp = *cx.skbs.header::<TcpHdr>(skb, at)?;
    (tcp.flags & TCP_RST == 0 && nf_ip_checksum(cx, skb, iph)).then_some(tcp)
}

/// Sends a RST with the packet's destination as its source (`nf_send_reset`).
pub fn nf_send_reset(cx: &mut Cx, skb: SkbId) -> Option<Door> {
    cx.within(Func::NfSendReset, skb, |cx| {
        let iph = *ip_hdr(cx, skb)?;
        let tcp = rejected_tcp(cx, skb, &iph)?;
        let route = cx.skbs[skb].dst?;
        if route.flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0 {
            return None;
        }
        let netns = cx.k.devs[route.dev].netns;
        let reset = make_reset(cx, skb, &iph, &tcp);
        let header = IpHeader {
            saddr: iph.daddr.get(),
            daddr: iph.saddr.get(),
            protocol: IPPROTO_TCP,
            ttl: 0,
            tos: 0,
            dont_fragment: true,
            ignore_df: false,
        };
        ip_make_header(cx, netns, reset, route, header);
        cx.skbs[reset].mark = ip4_reply_mark(cx, netns, skb);
        let fits = |cx: &Cx| {
            cx.skbs[reset].dst.is_some_and(|route| cx.skbs[reset].len() <= dst_mtu(cx, &route) as usize)
        };
        if ip_route_me_harder(cx, reset).is_err() || !fits(cx) {
            cx.kfree_skb(reset, DropReason::NotSpecified);
            return None;
        }
        nf_ct_attach(cx, reset, skb);
        nf_ct_set_closing(cx, skb);
        match cx.skbs[skb].nf_bridge {
            Some(info) => reset_by_port(cx, reset, skb, info.physin),
            None => Some(Door::IpLocalOut { skb: reset }),
        }
    })
}

/// The TCP header of a RST, with its checksum.
fn make_reset(cx: &mut Cx, skb: SkbId, iph: &Ipv4Hdr, tcp: &TcpHdr) -> SkbId {
    let dev = cx.skbs[skb].dev;
    let pkt = &cx.skbs[skb];
    let payload = (pkt.tail - pkt.network_header) as usize - iph.header_len();
    let data = (payload as u32).wrapping_sub(tcp.header_len() as u32);
    let flag = |flag| u32::from(tcp.flags & flag != 0);
    let mut reply =
        TcpHdr { source: tcp.dest, dest: tcp.source, doff_res: 5 << 4, flags: TCP_RST, ..TcpHdr::default() };
    if tcp.flags & TCP_ACK != 0 {
        reply.seq = tcp.ack_seq;
    } else {
        let next = tcp.seq.get().wrapping_add(flag(TCP_SYN) + flag(TCP_FIN)).wrapping_add(data);
        (reply.ack_seq, reply.flags) = (U32::new(next), TCP_RST | TCP_ACK);
    }
    let pseudo = pseudo_header(iph.daddr.get(), iph.saddr.get(), IPPROTO_TCP, TCP_HLEN as u16);
    reply.check = U16::new(fold(sum(pseudo, reply.as_bytes())));
    let new = cx.skbs.alloc_skb(TCP_HLEN, dev);
    cx.skbs.data_mut(new).copy_from_slice(reply.as_bytes());
    new
}

/// Sends the RST of a bridged segment back by its input port, from the MAC address of the segment's destination: with
/// this host's address some switches would drop it.
fn reset_by_port(cx: &mut Cx, reset: SkbId, skb: SkbId, physin: Option<crate::ids::DevId>) -> Option<Door> {
    let Some(port) = physin else {
        cx.kfree_skb(reset, DropReason::NotSpecified);
        return None;
    };
    let eth = cx.skbs.eth_hdr(skb);
    let (source, dest) = (eth.source(), eth.dest());
    let len = (IPV4_HLEN + TCP_HLEN) as u16;
    let packet = cx.skbs.data_mut(reset);
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    ip_send_check(packet);
    cx.skbs[reset].dev = port;
    cx.skbs.push_eth(reset, EthHdr::new(source, dest, ETH_P_IP));
    Some(Door::DevQueueXmit { skb: reset })
}
