//! `-m iprange`.
//!
//! Kernel: net/netfilter/xt_iprange.c

use super::x_tables::Par;
use crate::Cx;
use crate::tables::xt::matches::Iprange;

/// The addresses are in these ranges.
pub fn iprange_mt4(_: &mut Cx, par: &mut Par, with: &Iprange) -> bool {
    let fits = |range: Option<(bool, u32, u32)>, addr: u32| {
        range.is_none_or(|(invert, low, high)| (low..=high).contains(&addr) != invert)
    };
    fits(with.source, par.iph.saddr.get()) && fits(with.dest, par.iph.daddr.get())
}
