//! `-j TRACE`.
//!
//! Kernel: net/netfilter/xt_TRACE.c

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;

/// From here on, every rule that the packet matches is told.
pub fn trace_tg(cx: &mut Cx, par: &mut Par) -> TargetVerdict {
    cx.skbs[par.skb].nf_trace = true;
    TargetVerdict::Continue
}
