//! `-m quota`.
//!
//! Kernel: net/netfilter/xt_quota.c

use crate::Cx;
use crate::extension::{Kept, Par, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::tables::xt::Variant;

/// `quota` (`struct xt_quota_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// `!`.
    pub invert: bool,
    /// `--quota`, bytes.
    pub quota: u64,
    /// What is left of it.
    pub left: Kept<u64>,
}

impl XtMatch for Quota {
    const NAME: &'static str = "quota";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        quota_mt(cx, par, self)
    }

    fn init(&mut self, _: &mut Cx, _: NetnsId, variant: Variant) {
        if variant == Variant::Legacy {
            self.left = Kept(self.quota);
        }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Quota::NAME], ..Module::named("xt_quota") }];

/// The packet fits in what is left; the first that does not takes all of it.
pub fn quota_mt(cx: &mut Cx, par: &mut Par, with: &mut Quota) -> bool {
    let left = with.left.0.checked_sub(cx.skbs[par.skb].len() as u64);
    with.left = Kept(left.unwrap_or(0));
    left.is_some() != with.invert
}
