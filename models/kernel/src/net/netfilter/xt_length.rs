//! `-m length`.
//!
//! Kernel: net/netfilter/xt_length.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;

/// `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// `!`.
    pub invert: bool,
    /// Smallest and largest IP length, bytes.
    pub range: (u16, u16),
}

impl XtMatch for Length {
    const NAME: &'static str = "length";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        length_mt(cx, par, self)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Length::NAME], ..Module::named("xt_length") }];

/// The total length is in the range.
pub fn length_mt(_: &mut Cx, par: &mut Par, with: &Length) -> bool {
    let (low, high) = with.range;
    (low..=high).contains(&par.iph.tot_len.get()) != with.invert
}
