//! `-m limit`: a token bucket.
//!
//! Kernel: net/netfilter/xt_limit.c; of the nft variant net/netfilter/nft_limit.c, which the tool uses instead

use glassnet_sim::Nanos;

use crate::Cx;
use crate::extension::{Kept, Par, Place, Refused, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::jiffies::{HZ, jiffies};
use crate::tables::xt::{Rule, Variant};

/// `limit` (`struct xt_rateinfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Average time between two packets, in units of 1/10000 s (`XT_LIMIT_SCALE`).
    pub avg: u32,
    /// `--limit-burst`.
    pub burst: u32,
    /// Credit left and when it was last counted; `None` until the rule is in force.
    pub credit: Kept<Option<(u64, Nanos)>>,
}

impl XtMatch for Limit {
    const NAME: &'static str = "limit";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        limit_mt(cx, par, self)
    }

    fn check(&self, place: Place, _: &Rule) -> Result<(), Refused> {
        if place.variant == Variant::Legacy && overflows(self) {
            return Err(Refused::silent(Errno::ERANGE));
        }
        Ok(())
    }

    fn init(&mut self, cx: &mut Cx, _: NetnsId, variant: Variant) {
        if variant == Variant::Legacy || self.credit.0.is_none() {
            limit_mt_check(self, variant, cx.now);
        }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Limit::NAME], ..Module::named("xt_limit") }];

/// `XT_LIMIT_SCALE`: units a second.
const SCALE: u32 = 10_000;
/// Credits per jiffy: the greatest power of two with which a day's credits fit in 32 bits.
const CREDITS_PER_JIFFY: u64 = 128;
const CREDITS_PER_SECOND: u32 = (HZ * CREDITS_PER_JIFFY) as u32;

/// Converts a time in units of the rule to credits.
fn user2credits(user: u32) -> u32 {
    match user > u32::MAX / CREDITS_PER_SECOND {
        true => (user / SCALE).wrapping_mul(CREDITS_PER_SECOND),
        false => user * CREDITS_PER_SECOND / SCALE,
    }
}

/// The credits overflow; the kernel refuses the rule (ERANGE).
pub fn overflows(with: &Limit) -> bool {
    with.burst == 0 || user2credits(with.avg.wrapping_mul(with.burst)) < user2credits(with.avg)
}

/// Cost of a packet and maximum credit; the nft variant counts nanoseconds.
fn cost(with: &Limit, variant: Variant) -> (u64, u64) {
    match variant {
        Variant::Legacy => {
            let full = user2credits(with.avg.wrapping_mul(with.burst));
            (u64::from(user2credits(with.avg)), u64::from(full))
        }
        Variant::Nft => {
            let cost = u64::from(with.avg) * 100_000;
            (cost, cost * u64::from(with.burst))
        }
    }
}

/// Fills the bucket of a new rule.
pub fn limit_mt_check(with: &mut Limit, variant: Variant, now: Nanos) {
    with.credit.0 = Some((cost(with, variant).1, now));
}

/// The bucket has credit for the packet.
pub fn limit_mt(cx: &mut Cx, par: &mut Par, with: &mut Limit) -> bool {
    let (cost, most) = cost(with, par.variant);
    let now = cx.now;
    let (credit, before) = with.credit.0.unwrap_or((most, now));
    let gained = match par.variant {
        Variant::Legacy => (jiffies(now) - jiffies(before)) * CREDITS_PER_JIFFY,
        Variant::Nft => now.since(before).0,
    };
    let credit = credit.saturating_add(gained).min(most);
    let matched = credit >= cost;
    with.credit.0 = Some((if matched { credit - cost } else { credit }, now));
    matched
}
