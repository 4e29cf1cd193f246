//! Rates and times of queueing disciplines.
//!
//! Kernel: include/net/pkt_sched.h, net/sched/sch_generic.c (`psched_ratecfg_precompute`)

/// The time in units of which user space gives times: 64 ns (`PSCHED_SHIFT`).
pub fn ticks_to_ns(ticks: u32) -> u64 {
    u64::from(ticks) << 6
}

/// The other way round.
pub fn ns_to_ticks(ns: u64) -> u64 {
    ns >> 6
}

/// A rate as user space gives it (`struct tc_ratespec`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSpec {
    /// Bytes a second; 0: none.
    pub rate: u64,
    /// Bytes that each packet counts more.
    pub overhead: u16,
    /// Least bytes that a packet counts.
    pub mpu: u16,
    /// The link carries cells of ATM.
    pub atm: bool,
}

/// A rate to compute with (`struct psched_ratecfg`): a factor and a shift stand for a division.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateCfg {
    /// The rate.
    pub spec: RateSpec,
    mult: u32,
    shift: u32,
}

impl RateCfg {
    /// Finds the factor with the most digits.
    pub fn new(spec: RateSpec) -> RateCfg {
        let (mut mult, mut shift) = (1, 0);
        let mut factor = 1_000_000_000_u64;
        while let Some(quotient) = factor.checked_div(spec.rate) {
            mult = quotient as u32;
            if mult & (1 << 31) != 0 || factor & (1 << 63) != 0 {
                break;
            }
            factor <<= 1;
            shift += 1;
        }
        RateCfg { spec, mult, shift }
    }

    /// The time that so many bytes take, ns (`psched_l2t_ns`).
    pub fn l2t_ns(&self, len: u32) -> i64 {
        let len = len.wrapping_add(u32::from(self.spec.overhead)).max(u32::from(self.spec.mpu));
        let len = if self.spec.atm { len.div_ceil(48).wrapping_mul(53) } else { len };
        (u64::from(len).wrapping_mul(u64::from(self.mult)) >> self.shift) as i64
    }
}
