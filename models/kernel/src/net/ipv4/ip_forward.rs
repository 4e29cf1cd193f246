//! Forwarding.
//!
//! Kernel: net/ipv4/ip_forward.c

use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED};
use glassnet_wire::ipv4::Ipv4Hdr;

use super::icmp::{self, IcmpError};
use super::ip_input::{ip_hdr, snmp};
use super::ip_output::{IGNORE_DF, IPSKB_FORWARDED, rt_tos2priority};
use super::route::dst_mtu;
use super::route_errors::ip_rt_send_redirect;
use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::net::core::gso;
use crate::net::netfilter::core::nf_hook;
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::Site;
use crate::tables::route::RTCF_DOREDIRECT;
use crate::tables::skb::PacketType;

/// Decrements the TTL, checks the MTU, and sends a redirect if needed.
///
/// Kernel: net/ipv4/ip_forward.c
/// Not modelled: IPsec, strict source routes, router alert.
pub fn ip_forward(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &cx.skbs[skb];
    let (len, at) = (pkt.len(), pkt.network_header);
    let (Some(route), PacketType::Host) = (&pkt.dst, pkt.pkt_type) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let (mtu, redirect) = (dst_mtu(cx, route), route.flags & RTCF_DOREDIRECT != 0);
    let Some(iph) = ip_hdr(cx, skb) else { return cx.kfree_skb(skb, DropReason::NotSpecified) };
    let (ttl, dont_fragment, tos) = (iph.ttl, iph.dont_fragment(), iph.tos);
    if ttl <= 1 {
        snmp(cx, skb).ip.InHdrErrors += 1;
        let error = IcmpError { kind: ICMP_TIME_EXCEEDED, code: icmp::ICMP_EXC_TTL, info: 0 };
        return icmp::icmp_send_then_drop(cx, skb, error, DropReason::IpInhdr);
    }
    let pieces = pkt.ip.frag_max_size;
    let too_long = u32::from(pieces) > mtu || pkt.ip.flags & IGNORE_DF == 0;
    if dont_fragment && too_long && !gso::fits(cx, skb, len, mtu as usize) {
        snmp(cx, skb).ip.FragFails += 1;
        let error = IcmpError { kind: ICMP_DEST_UNREACH, code: icmp::ICMP_FRAG_NEEDED, info: mtu };
        return icmp::icmp_send_then_drop(cx, skb, error, DropReason::PktTooBig);
    }
    if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        iph.decrease_ttl();
    }
    let pkt = &mut cx.skbs[skb];
    pkt.ip.flags |= IPSKB_FORWARDED;
    pkt.priority = rt_tos2priority(tos);
    if redirect && let Some(redirect) = ip_rt_send_redirect(cx, skb) {
        cx.afterwards(Door::IpForwardHook { skb });
        return redirect;
    }
    nf_hook(cx, Site::IpForward, skb)
}

/// Continues [`ip_forward`] after a redirect.
///
/// Kernel: net/ipv4/ip_forward.c
/// Not modelled: nothing.
pub fn ip_forward_hook(cx: &mut Cx, skb: SkbId) -> Door {
    nf_hook(cx, Site::IpForward, skb)
}

/// The `okfn` of FORWARD.
///
/// Kernel: net/ipv4/ip_forward.c
/// Not modelled: IP options.
pub fn ip_forward_finish(cx: &mut Cx, skb: SkbId) -> Door {
    let len = cx.skbs[skb].len() as u64;
    let counters = snmp(cx, skb);
    counters.ip.ForwDatagrams += 1;
    counters.ip_ext.OutOctets += len;
    cx.pass(Door::IpOutput { skb })
}
