//! `-j CLASSIFY`.
//!
//! Kernel: net/netfilter/xt_CLASSIFY.c

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::tables::xt::targets::Classify;

/// The packet's priority names a class for the queueing discipline.
pub fn classify_tg(cx: &mut Cx, par: &mut Par, target: &Classify) -> TargetVerdict {
    cx.skbs[par.skb].priority = target.priority;
    TargetVerdict::Continue
}
