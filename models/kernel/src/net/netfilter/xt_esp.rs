//! `-m esp`.
//!
//! Kernel: net/netfilter/xt_esp.c

use crate::Cx;
use crate::extension::{Limits, Par, XtMatch};
use crate::module::Module;
use crate::tables::xt::Variant;

/// IP protocol number.
pub const IPPROTO_ESP: u8 = 50;

/// `esp` (`struct xt_esp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Esp {
    /// `!`.
    pub invert: bool,
    /// `--espspi`: first and last Security Parameters Index.
    pub spis: (u32, u32),
}

impl XtMatch for Esp {
    const NAME: &'static str = "esp";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        esp_mt(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::proto(IPPROTO_ESP)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Esp::NAME], ..Module::named("xt_esp") }];

/// The index of the header (RFC 4303) is in the range; a truncated header is dropped.
pub fn esp_mt(cx: &mut Cx, par: &mut Par, with: &Esp) -> bool {
    if par.fragoff != 0 {
        return false;
    }
    let Some(header) = cx.skbs.header::<[u8; 8]>(par.skb, par.thoff) else {
        par.hotdrop = true;
        return false;
    };
    let spi = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    (with.spis.0..=with.spis.1).contains(&spi) != with.invert
}
