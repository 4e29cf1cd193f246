//! ICMP errors about connections.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_core.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum::checksum;
use glassnet_wire::gre::Gre;
use glassnet_wire::gue::Gue;
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_HLEN, ICMP_TIME_EXCEEDED, IcmpHdr};
use glassnet_wire::ipv4::{IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_UDP, InAddr, Ipv4Hdr, ip_send_check};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

use super::ip_vs_conn::{ip_vs_conn_in_get, ip_vs_conn_out_get, ip_vs_conn_put};
use super::ip_vs_core::{
    IpVsIphdr, conn, count_packet, dest, fill_iph_skb_off, ip_vs_gather_frags, ip_vs_route_me_harder,
    ip_vs_try_to_schedule, is_balanced, mark_done,
};
use super::ip_vs_ctl::{SCHEDULE_ICMP, ip_vs_find_tunnel, settings};
use super::ip_vs_proto::Direction;
use super::ip_vs_xmit::ip_vs_icmp_xmit;
use crate::Cx;
use crate::door::{Door, Func};
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::net::ipv4::icmp::{ICMP_FRAG_NEEDED, IcmpError, icmp_send};
use crate::net::ipv4::route::dst_mtu;
use crate::net::ipv4::route_errors::ip_rt_update_pmtu;
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_vs::CONN_F_MASQ;
use crate::tables::ip_vs::conn::ConnId;
use crate::tables::ip_vs::svc::TunType;
use crate::tables::netfilter::{Hook, HookState};
use crate::tables::route::RTCF_LOCAL;

/// Source quench.
const ICMP_SOURCE_QUENCH: u8 = 4;
/// What every network carries, bytes.
const LEAST_MTU: u32 = 68;

const DROPPED: Verdict = Verdict::Drop(DropReason::NetfilterDrop);

/// The ICMP header of an error; `None`: the message is none.
fn error_of(cx: &Cx, skb: SkbId, iph: &IpVsIphdr) -> Result<Option<IcmpHdr>, Verdict> {
    let at = cx.skbs[skb].network_header + iph.len as u32;
    let icmp = cx.skbs.header::<IcmpHdr>(skb, at).copied().ok_or(DROPPED)?;
    let is_error = matches!(icmp.kind, ICMP_DEST_UNREACH | ICMP_SOURCE_QUENCH | ICMP_TIME_EXCEEDED);
    Ok(is_error.then_some(icmp))
}

/// The checksum of the message is right.
fn is_checksum_right(cx: &Cx, skb: SkbId, iph: &IpVsIphdr) -> bool {
    cx.skbs[skb].ip_summed || checksum(&cx.skbs.data(skb)[iph.len..]) == 0
}

/// An error about a packet to a client (`ip_vs_out_icmp`). `None`: the message is no error.
pub(super) fn ip_vs_out_icmp(cx: &mut Cx, skb: SkbId, state: &HookState, iph: &IpVsIphdr) -> Option<Verdict> {
    cx.within(Func::IpVsOutIcmp, skb, |cx| {
        if let Some(verdict) = ip_vs_gather_frags(cx, skb, state, "ip_vs_out_hook") {
            return Some(verdict);
        }
        match error_of(cx, skb, iph) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(verdict) => return Some(verdict),
        }
        let Some((quoted, _)) = fill_iph_skb_off(cx, skb, iph.len + ICMP_HLEN) else {
            return Some(Verdict::Accept);
        };
        let quoted = IpVsIphdr { icmp: true, inverse: true, ..quoted };
        if !is_balanced(quoted.protocol) || quoted.fragoffs != 0 {
            return Some(Verdict::Accept);
        }
        let Some(id) = ip_vs_conn_out_get(cx, state.netns, skb, &quoted) else {
            return Some(Verdict::Accept);
        };
        Some(handle_response_icmp(cx, skb, id, state, iph, &quoted))
    })
}

/// An error of a destination becomes one of the service (`handle_response_icmp`).
fn handle_response_icmp(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    state: &HookState,
    iph: &IpVsIphdr,
    quoted: &IpVsIphdr,
) -> Verdict {
    cx.within(Func::HandleResponseIcmp, skb, |cx| {
        if conn(cx.k, id).is_some_and(|conn| conn.fwd() == CONN_F_MASQ)
            && !(is_checksum_right(cx, skb, iph)
                && ip_vs_nat_icmp(cx, skb, id, Direction::Output, iph, quoted)
                && ip_vs_route_me_harder(cx, skb, state))
        {
            return DROPPED;
        }
        count_packet(cx, skb, id, Direction::Output);
        mark_done(cx, skb, id, false);
        Verdict::Accept
    })
}

/// Rewrites the addresses of an error and of the packet that it quotes (`ip_vs_nat_icmp`); false: it is cut off.
pub(super) fn ip_vs_nat_icmp(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    direction: Direction,
    iph: &IpVsIphdr,
    quoted: &IpVsIphdr,
) -> bool {
    cx.call(Func::IpVsNatIcmp, skb);
    let Some(cp) = conn(cx.k, id) else { return false };
    let (server, service) = ((cp.daddr, cp.dport), (cp.param.vaddr, cp.param.vport));
    let packet = cx.skbs.data_mut(skb);
    let (outer, inner) = packet.split_at_mut(iph.len);
    let (Ok((outer_iph, _)), Some((inner_iph, ports))) =
        (Ipv4Hdr::mut_from_prefix(&mut outer[..]), quoted_headers(inner, iph.len, quoted))
    else {
        return false;
    };
    match direction {
        Direction::Output => {
            outer_iph.saddr = InAddr::new(service.0);
            inner_iph.daddr = InAddr::new(service.0);
            ports[1] = U16::new(service.1);
        }
        Direction::Input => {
            outer_iph.daddr = InAddr::new(server.0);
            inner_iph.saddr = InAddr::new(server.0);
            ports[0] = U16::new(server.1);
        }
    }
    ip_send_check(outer);
    let message = &mut inner[..];
    ip_send_check(&mut message[ICMP_HLEN..]);
    message[2..4].fill(0);
    let check = checksum(message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    true
}

/// The header and the ports of the packet that an ICMP message quotes, which begins at `start` of the packet.
fn quoted_headers<'a>(
    message: &'a mut [u8],
    start: usize,
    quoted: &IpVsIphdr,
) -> Option<(&'a mut Ipv4Hdr, &'a mut [U16; 2])> {
    let (header, behind) = message.split_at_mut_checked(quoted.len - start)?;
    let (iph, _) = Ipv4Hdr::mut_from_prefix(&mut header[quoted.off - start..]).ok()?;
    let (ports, _) = <[U16; 2]>::mut_from_prefix(behind).ok()?;
    Some((iph, ports))
}

/// An error about a packet of a client, or about a tunnel to a destination (`ip_vs_in_icmp`). `None`: the message is no error.
pub(super) fn ip_vs_in_icmp(
    cx: &mut Cx,
    skb: SkbId,
    state: &HookState,
    iph: &mut IpVsIphdr,
) -> Option<Verdict> {
    cx.within(Func::IpVsInIcmp, skb, |cx| {
        let function = if state.hook == Hook::Forward { "ip_vs_forward_icmp" } else { "ip_vs_in_hook" };
        if let Some(verdict) = ip_vs_gather_frags(cx, skb, state, function) {
            return Some(verdict);
        }
        match error_of(cx, skb, iph) {
            Ok(Some(icmp)) => Some(in_icmp_error(cx, skb, state, iph, icmp)),
            Ok(None) => None,
            Err(verdict) => Some(verdict),
        }
    })
}

fn in_icmp_error(cx: &mut Cx, skb: SkbId, state: &HookState, iph: &IpVsIphdr, icmp: IcmpHdr) -> Verdict {
    let mut at = iph.len + ICMP_HLEN;
    let Some((outer, header)) = fill_iph_skb_off(cx, skb, at) else { return Verdict::Accept };
    let tunnel = match tunnel_headers(cx, skb, state, &outer) {
        Tunnel::No => None,
        Tunnel::Headers(len) => Some(len),
        Tunnel::Other => return Verdict::Accept,
    };
    at += tunnel.unwrap_or(0);
    let Some((quoted, inner)) = fill_iph_skb_off(cx, skb, at) else { return Verdict::Accept };
    let mut quoted = IpVsIphdr { icmp: true, inverse: tunnel.is_none(), ..quoted };
    if !is_balanced(quoted.protocol) || quoted.fragoffs != 0 {
        return Verdict::Accept;
    }
    let (id, is_new) = match ip_vs_conn_in_get(cx, state.netns, skb, &quoted) {
        Some(id) => (id, false),
        None if tunnel.is_some() || settings(cx.k, state.netns).get(&SCHEDULE_ICMP) == 0 => {
            return Verdict::Accept;
        }
        None => match ip_vs_try_to_schedule(cx, skb, state, &mut quoted) {
            Ok(id) => (id, true),
            Err(verdict) => return verdict,
        },
    };
    let masq = conn(cx.k, id).is_some_and(|conn| conn.fwd() == CONN_F_MASQ);
    let verdict = if (masq || tunnel.is_some()) && !is_checksum_right(cx, skb, iph) {
        DROPPED
    } else if let Some(len) = tunnel {
        tunnel_error(cx, skb, id, icmp, (&header, len), (at, inner.dont_fragment()))
    } else {
        count_packet(cx, skb, id, Direction::Input);
        ip_vs_icmp_xmit(cx, skb, id, state, iph, &quoted)
    };
    if is_new {
        ip_vs_conn_put(cx, id);
    }
    verdict
}

/// What a quoted packet is as a tunnel to a destination.
enum Tunnel {
    /// None.
    No,
    /// One with headers of this length, bytes.
    Headers(usize),
    /// One of somebody else.
    Other,
}

/// A quoted packet is one of a tunnel to a destination.
fn tunnel_headers(cx: &Cx, skb: SkbId, state: &HookState, outer: &IpVsIphdr) -> Tunnel {
    let is_local = cx.skbs[skb].dst.is_some_and(|route| route.flags & RTCF_LOCAL != 0);
    let (hlen, to) = (outer.len - outer.off, outer.daddr);
    let find = |port| ip_vs_find_tunnel(cx, state.netns, to, port);
    let behind = cx.skbs.data(skb).get(outer.len..).unwrap_or_default();
    match outer.protocol {
        IPPROTO_IPIP => {
            let known = outer.fragoffs == 0 && is_local && find(0) == Some(TunType::Ipip);
            if known { Tunnel::Headers(hlen) } else { Tunnel::Other }
        }
        IPPROTO_UDP | IPPROTO_GRE if is_local && outer.fragoffs != 0 => Tunnel::Other,
        IPPROTO_UDP if is_local => {
            let port = UdpHdr::read_from_prefix(behind).map_or(0, |(udp, _)| udp.dest.get());
            let gue = behind.get(UDP_HLEN..).and_then(Gue::parse);
            match gue.filter(|gue| find(port) == Some(TunType::Gue) && gue.protocol == IPPROTO_IPIP) {
                Some(gue) => Tunnel::Headers(hlen + UDP_HLEN + gue.len),
                None => Tunnel::No,
            }
        }
        IPPROTO_GRE if is_local => {
            let gre = Gre::parse(behind).filter(|(gre, _)| gre.key.is_none() && gre.seq.is_none());
            match gre.filter(|_| find(0) == Some(TunType::Gre)) {
                Some((_, len)) => Tunnel::Headers(hlen + len),
                None => Tunnel::No,
            }
        }
        _ => Tunnel::No,
    }
}

/// An error about a tunnel's packet becomes one about the packet inside, for the client.
fn tunnel_error(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    icmp: IcmpHdr,
    (outer, headers): (&Ipv4Hdr, usize),
    (at, dont_fragment): (usize, bool),
) -> Verdict {
    let consumed = |cx: &mut Cx| Verdict::Stolen(cx.consume_skb(skb));
    let mut info = u32::from_be_bytes(icmp.as_bytes()[4..8].try_into().unwrap_or_default());
    if (icmp.kind, icmp.code) == (ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED) {
        let mtu = info & 0xffff;
        let kept = learn_pmtu(cx, id, outer.daddr.get(), mtu);
        if !dont_fragment {
            return consumed(cx);
        }
        let mtu = kept.unwrap_or(mtu);
        info = if mtu > LEAST_MTU + headers as u32 { mtu - headers as u32 } else { mtu };
    }
    cx.skbs.pull(skb, at);
    cx.skbs[skb].network_header = cx.skbs[skb].data;
    let answer = icmp_send(cx, skb, IcmpError { kind: icmp.kind, code: icmp.code, info });
    count_packet(cx, skb, id, Direction::Output);
    match answer {
        Some(door) => {
            cx.afterwards(Door::Consume { skb });
            Verdict::Stolen(door)
        }
        None => consumed(cx),
    }
}

/// The path to a destination carries no more; returns what its kept route says now.
fn learn_pmtu(cx: &mut Cx, id: ConnId, to: Ipv4Addr, mtu: u32) -> Option<u32> {
    let dest = conn(cx.k, id)?.dest.and_then(|id| dest(cx.k, id))?;
    let (route, netns) = (dest.dst?.route, conn(cx.k, id)?.netns);
    ip_rt_update_pmtu(cx, netns, route.dev, to, mtu);
    Some(dst_mtu(cx, &route).min(mtu))
}
