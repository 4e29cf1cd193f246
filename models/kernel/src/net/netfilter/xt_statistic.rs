//! `-m statistic`.
//!
//! Kernel: net/netfilter/xt_statistic.c

use super::x_tables::Par;
use crate::Cx;
use crate::tables::xt::matches::{Statistic, StatisticMode};

/// It is the packet's turn, or chance wants it.
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

/// The rule comes into force: it counts from the beginning.
pub fn statistic_mt_check(with: &mut Statistic) {
    if let StatisticMode::Nth { every, packet, count } = &mut with.mode {
        count.0 = every.saturating_sub(1).saturating_sub(*packet);
    }
}
