//! `-m icmp`.
//!
//! Kernel: net/ipv4/netfilter/ip_tables.c (`icmp_match`)

use glassnet_wire::icmp::IcmpHdr;
use glassnet_wire::ipv4::IPPROTO_ICMP;

use crate::Cx;
use crate::extension::{Limits, Par, XtMatch};
use crate::module::Module;
use crate::tables::xt::Variant;

/// `icmp` (`struct ipt_icmp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// `!`.
    pub invert: bool,
    /// Type; 255: any.
    pub kind: u8,
    /// First and last code.
    pub code: (u8, u8),
}

impl XtMatch for Icmp {
    const NAME: &'static str = "icmp";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        icmp_match(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::proto(IPPROTO_ICMP)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Icmp::NAME], ..Module::named("ipt_icmp") }];

/// Type and code of an ICMP message; a truncated one is dropped.
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
