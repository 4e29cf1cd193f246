//! NAT: rewriting of packets, and the hook functions for IPv4.
//!
//! Kernel: net/netfilter/nf_nat_proto.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum::{checksum, replace};
use glassnet_wire::icmp::{ICMP_HLEN, ICMP_REDIRECT, IcmpHdr};
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, InAddr, Ipv4Hdr};
use glassnet_wire::tcp::TcpHdr;
use glassnet_wire::udp::UdpHdr;
use zerocopy::big_endian::U16;

use super::nf_nat_core::{Manip, nf_nat_inet_fn};
use crate::Cx;
use crate::door::Func;
use crate::hook::{HookFn, HookOps, Verdict};
use crate::ids::SkbId;
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::netfilter::ip_route_me_harder;
use crate::tables::conntrack::{CtId, CtInfo, IPS_NAT_DONE_MASK, IPS_NAT_MASK, Tuple};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{Hook, HookState, PRI_NAT_DST, PRI_NAT_SRC, Pf};
use crate::tables::skb::SkbPool;

/// Hook functions of NAT, registered with the first chain of type `nat` (`nf_nat_register_fn`).
pub const HOOK_OPS: [HookOps; 4] = [
    hook_ops("nf_nat_ipv4_pre_routing", Hook::PreRouting, PRI_NAT_DST, nf_nat_ipv4_pre_routing),
    hook_ops("nf_nat_ipv4_out", Hook::PostRouting, PRI_NAT_SRC, nf_nat_ipv4_out),
    hook_ops("nf_nat_ipv4_local_fn", Hook::LocalOut, PRI_NAT_DST, nf_nat_ipv4_local_fn),
    hook_ops("nf_nat_ipv4_local_in", Hook::LocalIn, PRI_NAT_SRC, nf_nat_ipv4_local_in),
];

const fn hook_ops(name: &'static str, hook: Hook, priority: i32, function: HookFn) -> HookOps {
    HookOps { name, pf: Pf::Ipv4, hook, priority, function, private: 0, depends_on_flow_only: true }
}

/// Updates a checksum for a changed address.
fn replace_address(check: u16, old: Ipv4Addr, new: Ipv4Addr) -> u16 {
    let (old, new) = (old.to_bits(), new.to_bits());
    let high = replace(check, (old >> 16) as u16, (new >> 16) as u16);
    replace(high, old as u16, new as u16)
}

/// A change of one address and its port.
#[derive(Clone, Copy, Debug)]
struct Change {
    address: (Ipv4Addr, Ipv4Addr),
    port: (u16, u16),
}

/// Rewrites the packet's source or destination to that of `target` (`nf_nat_manip_pkt`).
#[inline]
pub fn nf_nat_manip_pkt(cx: &mut Cx, skb: SkbId, target: &Tuple, manip: Manip) -> bool {
    cx.call(Func::NfNatManipPkt, skb);
    let at = cx.skbs[skb].network_header;
    manip_ipv4(cx.skbs, skb, at, target, manip)
}

/// Rewrites the IPv4 packet at `at`, whole or quoted by an ICMP error (`nf_nat_ipv4_manip_pkt`); false if it is
/// truncated.
pub(super) fn manip_ipv4(skbs: &mut SkbPool, skb: SkbId, at: u32, target: &Tuple, manip: Manip) -> bool {
    let Some(iph) = skbs.header::<Ipv4Hdr>(skb, at).copied() else { return false };
    let old = if manip == Manip::Src { iph.saddr.get() } else { iph.daddr.get() };
    let new = if manip == Manip::Src { target.src } else { target.dst };
    let l4 = at + iph.header_len() as u32;
    let fits = match iph.protocol {
        IPPROTO_TCP | IPPROTO_UDP | 33 | 132 | 136 => {
            manip_ports(skbs, skb, l4, iph.protocol, (old, new), target, manip)
        }
        IPPROTO_ICMP => manip_icmp(skbs, skb, l4, target),
        // GRE is not rewritten, but must have a header, and for destination NAT a known version.
        47 => skbs.header::<[u8; 8]>(skb, l4).is_some_and(|gre| manip == Manip::Src || gre[1] & 7 <= 1),
        _ => true,
    };
    if !fits {
        return false;
    }
    let Some(iph) = skbs.header_mut::<Ipv4Hdr>(skb, at) else { return false };
    iph.check = U16::new(replace_address(iph.check.get(), old, new));
    *(if manip == Manip::Src { &mut iph.saddr } else { &mut iph.daddr }) = InAddr::new(new);
    true
}

/// Updates the checksum of TCP or UDP.
fn transport_check(check: u16, change: Change) -> u16 {
    let check = replace_address(check, change.address.0, change.address.1);
    replace(check, change.port.0, change.port.1)
}

/// Writes a port of a TCP, UDP, DCCP or SCTP header and returns the old one.
fn write_port(skbs: &mut SkbPool, skb: SkbId, at: u32, new: u16, manip: Manip) -> Option<u16> {
    // An ICMP error quotes at least eight bytes.
    skbs.header::<[u8; 8]>(skb, at)?;
    let ports = skbs.header_mut::<[U16; 2]>(skb, at)?;
    let place = &mut ports[usize::from(manip == Manip::Dst)];
    let old = place.get();
    *place = U16::new(new);
    Some(old)
}

/// Rewrites a port of TCP, UDP, DCCP (33), SCTP (132) or UDP-Lite (136), and the checksum.
fn manip_ports(
    skbs: &mut SkbPool,
    skb: SkbId,
    at: u32,
    proto: u8,
    address: (Ipv4Addr, Ipv4Addr),
    target: &Tuple,
    manip: Manip,
) -> bool {
    let new = if manip == Manip::Src { target.sport } else { target.dport };
    let Some(old) = write_port(skbs, skb, at, new, manip) else { return false };
    let change = Change { address, port: (old, new) };
    match proto {
        IPPROTO_TCP => {
            // A quoted packet may end before the checksum.
            if let Some(tcp) = skbs.header_mut::<TcpHdr>(skb, at) {
                tcp.check = U16::new(transport_check(tcp.check.get(), change));
            }
        }
        IPPROTO_UDP => {
            let Some(udp) = skbs.header_mut::<UdpHdr>(skb, at) else { return false };
            // 0 means no checksum; a computed 0 is written as 0xffff (RFC 768).
            if udp.check.get() != 0 {
                let check = transport_check(udp.check.get(), change);
                udp.check = U16::new(if check == 0 { 0xffff } else { check });
            }
        }
        132 => return write_sctp_cksum(skbs, skb, at),
        // DCCP and UDP-Lite have the checksum at offset 6, as UDP.
        _ => {
            let Some([_, _, _, check]) = skbs.header_mut::<[U16; 4]>(skb, at) else { return false };
            *check = U16::new(transport_check(check.get(), change));
        }
    }
    true
}

/// Rewrites the identifier of queries and replies; other messages have none.
fn manip_icmp(skbs: &mut SkbPool, skb: SkbId, at: u32, target: &Tuple) -> bool {
    let Some(icmp) = skbs.header_mut::<IcmpHdr>(skb, at) else { return false };
    // Echo, timestamp, information, address mask.
    if matches!(icmp.kind, 0 | 8 | 13..=18) {
        icmp.checksum = U16::new(replace(icmp.checksum.get(), icmp.id.get(), target.sport));
        icmp.id = U16::new(target.sport);
    }
    true
}

/// Writes the checksum of an SCTP packet, if its header is whole.
fn write_sctp_cksum(skbs: &mut SkbPool, skb: SkbId, at: u32) -> bool {
    let start = (at - skbs[skb].data) as usize;
    let crc = sctp_compute_cksum(&skbs.data(skb)[start..]);
    if let Some(field) = skbs.header_mut::<[u8; 12]>(skb, at) {
        field[8..].copy_from_slice(&crc);
    }
    true
}

/// CRC32c over an SCTP packet with a zero checksum field, little endian (RFC 9260 appendix A).
pub(super) fn sctp_compute_cksum(packet: &[u8]) -> [u8; 4] {
    let crc = packet.iter().enumerate().fold(u32::MAX, |crc, (at, byte)| {
        let byte = if (8..12).contains(&at) { 0 } else { *byte };
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 })
    });
    (!crc).to_le_bytes()
}

/// Translates an ICMP error about a packet that NAT rewrote: the addresses of the quoted packet and of the error
/// (`nf_nat_icmp_reply_translation`). False: the packet is dropped.
fn nf_nat_icmp_reply_translation(cx: &mut Cx, skb: SkbId, id: CtId, info: CtInfo, manip: Manip) -> bool {
    cx.call(Func::NfNatIcmpReplyTranslation, skb);
    let (at, tail) = (cx.skbs[skb].network_header, cx.skbs[skb].tail);
    let Some(iph) = ip_hdr(cx, skb) else { return false };
    let l4 = at + iph.header_len() as u32;
    let Some(icmp) = cx.skbs.header::<IcmpHdr>(skb, l4).copied() else { return false };
    let whole = &cx.skbs.bufs.bytes(cx.skbs[skb].buf)[l4 as usize..tail as usize];
    if !cx.skbs[skb].ip_summed && checksum(whole) != 0 {
        return false;
    }
    let Some(conn) = cx.k.conntrack.get(id) else { return true };
    if icmp.kind == ICMP_REDIRECT {
        // A redirect is valid only without NAT.
        let decided = conn.status & IPS_NAT_DONE_MASK == IPS_NAT_DONE_MASK;
        if !decided || conn.has(IPS_NAT_MASK) {
            return false;
        }
    }
    let dir = info.dir();
    if !conn.has(manip.status(dir)) {
        return true;
    }
    let other = *conn.tuple(dir.other());
    let opposite = if manip == Manip::Src { Manip::Dst } else { Manip::Src };
    if !manip_ipv4(cx.skbs, skb, l4 + ICMP_HLEN as u32, &other, opposite) {
        return false;
    }
    let start = (l4 - cx.skbs[skb].data) as usize;
    let message = &mut cx.skbs.data_mut(skb)[start..];
    message[2..4].fill(0);
    let check = checksum(message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    let Some(target) = other.inverted() else { return false };
    let at = cx.skbs[skb].network_header;
    manip_ipv4(cx.skbs, skb, at, &target, manip)
}

/// Common part of the hook functions (`nf_nat_ipv4_fn`).
#[inline]
fn nf_nat_ipv4_fn(cx: &mut Cx, skb: SkbId, state: &HookState) -> Verdict {
    let Some((id, info)) = cx.nf_ct_get(skb) else { return Verdict::Accept };
    let related = matches!(info, CtInfo::Related | CtInfo::RelatedReply);
    if related && ip_hdr(cx, skb).is_some_and(|iph| iph.protocol == IPPROTO_ICMP) {
        return match nf_nat_icmp_reply_translation(cx, skb, id, info, Manip::at(state.hook)) {
            true => Verdict::Accept,
            false => Verdict::Drop(DropReason::NetfilterDrop),
        };
    }
    nf_nat_inet_fn(cx, skb, *state)
}

fn daddr(cx: &Cx, skb: SkbId) -> Ipv4Addr {
    ip_hdr(cx, skb).map_or(Ipv4Addr::UNSPECIFIED, |iph| iph.daddr.get())
}

/// PRE_ROUTING; with a new destination the packet is routed again.
pub fn nf_nat_ipv4_pre_routing(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::NfNatIpv4PreRouting, skb, |cx| {
        let before = daddr(cx, skb);
        let verdict = nf_nat_ipv4_fn(cx, skb, state);
        if matches!(verdict, Verdict::Accept) && daddr(cx, skb) != before {
            cx.skbs[skb].drop_dst();
        }
        verdict
    })
}

/// LOCAL_IN.
pub fn nf_nat_ipv4_local_in(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::NfNatIpv4LocalIn, skb, |cx| nf_nat_ipv4_fn(cx, skb, state))
}

/// POST_ROUTING.
pub fn nf_nat_ipv4_out(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::NfNatIpv4Out, skb, |cx| nf_nat_ipv4_fn(cx, skb, state))
}

/// LOCAL_OUT; with a new destination the packet is routed again.
pub fn nf_nat_ipv4_local_fn(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::NfNatIpv4LocalFn, skb, |cx| {
        let verdict = nf_nat_ipv4_fn(cx, skb, state);
        if !matches!(verdict, Verdict::Accept) {
            return verdict;
        }
        let Some((id, info)) = cx.nf_ct_get(skb) else { return verdict };
        let moved = cx.k.conntrack.get(id).is_some_and(|conn| {
            let dir = info.dir();
            conn.tuple(dir).dst != conn.tuple(dir.other()).src
        });
        if moved && let Err(errno) = ip_route_me_harder(cx, skb) {
            return Verdict::DropErr(errno);
        }
        Verdict::Accept
    })
}
