//! `-m icmp`.
//!
//! Kernel: net/ipv4/netfilter/ip_tables.c (`icmp_match`)

use glassnet_wire::icmp::IcmpHdr;

use crate::Cx;
use crate::net::netfilter::x_tables::Par;
use crate::tables::xt::matches::Icmp;

/// Type and code of an ICMP message; one that is cut off is dropped.
pub fn icmp_match(cx: &mut Cx, par: &mut Par, with: &Icmp) -> bool {
    if par.fragoff != 0 {
        return false;
    }
    let Some(icmp) = cx.skbs.header::<IcmpHdr>(par.skb, par.thoff) else {
        par.hotdrop = true;
        return false;
    };
    let is_meant = icmp.kind == with.kind && (with.code.0..=with.code.1).contains(&icmp.code);
    (with.kind == 255 || is_meant) != with.invert
}
