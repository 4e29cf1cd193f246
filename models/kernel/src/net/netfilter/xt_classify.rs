//! `-j CLASSIFY`.
//!
//! Kernel: net/netfilter/xt_CLASSIFY.c

use crate::Cx;
use crate::extension::{Limits, Par, TargetVerdict, XtTarget};
use crate::module::Module;
use crate::tables::netfilter::Hook;
use crate::tables::xt::Variant;

/// `CLASSIFY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classify {
    /// `--set-class MAJOR:MINOR`, as `skb->priority`.
    pub priority: u32,
}

impl XtTarget for Classify {
    const NAME: &'static str = "CLASSIFY";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        classify_tg(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::hooks(Hook::Forward.bit() | Hook::LocalOut.bit() | Hook::PostRouting.bit())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Classify::NAME], ..Module::named("xt_CLASSIFY") }];

/// Sets the packet's priority, a class of the queueing discipline.
pub fn classify_tg(cx: &mut Cx, par: &mut Par, target: &Classify) -> TargetVerdict {
    cx.skbs[par.skb].priority = target.priority;
    TargetVerdict::Continue
}
