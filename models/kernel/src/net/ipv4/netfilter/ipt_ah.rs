//! `-m ah`.
//!
//! Kernel: net/ipv4/netfilter/ipt_ah.c

use crate::Cx;
use crate::extension::{Limits, Par, XtMatch};
use crate::module::Module;
use crate::tables::xt::Variant;

/// IP protocol number.
pub const IPPROTO_AH: u8 = 51;

/// `ah` (`struct ipt_ah`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ah {
    /// `!`.
    pub invert: bool,
    /// `--ahspi`: first and last Security Parameters Index.
    pub spis: (u32, u32),
}

impl XtMatch for Ah {
    const NAME: &'static str = "ah";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        ah_mt(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::proto(IPPROTO_AH)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Ah::NAME], ..Module::named("ipt_ah") }];

/// The index of the header (RFC 4302) is in the range; a truncated header is dropped.
pub fn ah_mt(cx: &mut Cx, par: &mut Par, with: &Ah) -> bool {
    if par.fragoff != 0 {
        return false;
    }
    let Some(header) = cx.skbs.header::<[u8; 12]>(par.skb, par.thoff) else {
        par.hotdrop = true;
        return false;
    };
    let spi = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    (with.spis.0..=with.spis.1).contains(&spi) != with.invert
}
