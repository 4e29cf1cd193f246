//! `-m mark` and `-j MARK`.
//!
//! Kernel: net/netfilter/xt_mark.c

use crate::Cx;
use crate::extension::{Par, TargetVerdict, XtMatch, XtTarget};
use crate::module::Module;

/// `mark` (`struct xt_mark_mtinfo1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkMt {
    /// `!`.
    pub invert: bool,
    /// Value.
    pub mark: u32,
    /// Mask.
    pub mask: u32,
}

impl XtMatch for MarkMt {
    const NAME: &'static str = "mark";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        mark_mt(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }
}

/// `MARK` (`struct xt_mark_tginfo2`): `mark = (mark & !mask) ^ value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkTg {
    /// Value.
    pub mark: u32,
    /// Mask.
    pub mask: u32,
}

impl XtTarget for MarkTg {
    const NAME: &'static str = "MARK";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        mark_tg(cx, par, self)
    }
}

/// The module.
pub static MODULES: &[Module] =
    &[Module { matches: &[MarkMt::NAME], targets: &[MarkTg::NAME], ..Module::named("xt_mark") }];

/// The packet has the mark.
pub fn mark_mt(cx: &mut Cx, par: &mut Par, with: &MarkMt) -> bool {
    (cx.skbs[par.skb].mark & with.mask == with.mark) != with.invert
}

/// Sets the packet's mark.
pub fn mark_tg(cx: &mut Cx, par: &mut Par, target: &MarkTg) -> TargetVerdict {
    let mark = &mut cx.skbs[par.skb].mark;
    *mark = (*mark & !target.mask) ^ target.mark;
    TargetVerdict::Continue
}
