//! `-j TRACE`.
//!
//! Kernel: net/netfilter/xt_TRACE.c

use crate::Cx;
use crate::extension::{Limits, Par, TargetVerdict, XtTarget};
use crate::module::Module;
use crate::tables::xt::{TableName, Variant};

/// `TRACE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace;

impl XtTarget for Trace {
    const NAME: &'static str = "TRACE";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        trace_tg(cx, par)
    }

    /// iptables-nft writes `meta nftrace set 1`, which is allowed in every table.
    fn limits(variant: Variant) -> Limits {
        if variant == Variant::Legacy { Limits::table(TableName::Raw) } else { Limits::NONE }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Trace::NAME], ..Module::named("xt_TRACE") }];

/// Traces the packet: each rule that it matches from here on is logged.
pub fn trace_tg(cx: &mut Cx, par: &mut Par) -> TargetVerdict {
    cx.skbs[par.skb].nf_trace = true;
    TargetVerdict::Continue
}
