//! `-m statistic`.
//!
//! Kernel: net/netfilter/xt_statistic.c

use crate::Cx;
use crate::extension::{Kept, Par, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::tables::xt::Variant;

/// `statistic` (`struct xt_statistic_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// `!`.
    pub invert: bool,
    /// Mode.
    pub mode: StatisticMode,
}

/// Mode of `statistic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticMode {
    /// `--mode random --probability`: in units of 2^-31.
    Random(u32),
    /// `--mode nth --every N --packet P`, both as typed.
    Nth {
        /// N.
        every: u32,
        /// P.
        packet: u32,
        /// Packets since the last match.
        count: Kept<u32>,
    },
}

impl XtMatch for Statistic {
    const NAME: &'static str = "statistic";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        statistic_mt(cx, par, self)
    }

    fn init(&mut self, _: &mut Cx, _: NetnsId, variant: Variant) {
        if variant == Variant::Legacy {
            statistic_mt_check(self);
        }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Statistic::NAME], ..Module::named("xt_statistic") }];

/// Drawn at random, or the nth packet.
pub fn statistic_mt(cx: &mut Cx, par: &mut Par, with: &mut Statistic) -> bool {
    let chosen = match &mut with.mode {
        StatisticMode::Random(probability) => cx.chance(par.skb, *probability),
        StatisticMode::Nth { every, count, .. } => {
            count.0 = if count.0 + 1 >= *every { 0 } else { count.0 + 1 };
            count.0 == 0
        }
    };
    chosen != with.invert
}

/// Resets the counter of a new rule.
pub fn statistic_mt_check(with: &mut Statistic) {
    if let StatisticMode::Nth { every, packet, count } = &mut with.mode {
        count.0 = every.saturating_sub(1).saturating_sub(*packet);
    }
}
