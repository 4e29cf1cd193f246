//! `-m length`.
//!
//! Kernel: net/netfilter/xt_length.c

use super::x_tables::Par;
use crate::Cx;
use crate::tables::xt::matches::Length;

/// The header says this length.
pub fn length_mt(_: &mut Cx, par: &mut Par, with: &Length) -> bool {
    let (low, high) = with.range;
    (low..=high).contains(&par.iph.tot_len.get()) != with.invert
}
