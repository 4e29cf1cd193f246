//! `-m mark` and `-j MARK`.
//!
//! Kernel: net/netfilter/xt_mark.c

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::tables::xt::{matches, targets};

/// The packet has this mark.
pub fn mark_mt(cx: &mut Cx, par: &mut Par, with: &matches::Mark) -> bool {
    (cx.skbs[par.skb].mark & with.mask == with.mark) != with.invert
}

/// The packet gets a mark.
pub fn mark_tg(cx: &mut Cx, par: &mut Par, target: &targets::Mark) -> TargetVerdict {
    let mark = &mut cx.skbs[par.skb].mark;
    *mark = (*mark & !target.mask) ^ target.mark;
    TargetVerdict::Continue
}
