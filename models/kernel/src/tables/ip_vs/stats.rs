//! Counters of a service, a destination or a namespace, and their rates.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_est.c, net/netfilter/ipvs/ip_vs_ctl.c (`ip_vs_copy_stats`)

/// Counters (`struct ip_vs_counters`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were scheduled.
    pub conns: u64,
    /// Packets to destinations.
    pub inpkts: u64,
    /// Packets from destinations.
    pub outpkts: u64,
    /// Bytes to destinations, from the IP header on.
    pub inbytes: u64,
    /// Bytes from destinations, from the IP header on.
    pub outbytes: u64,
}

impl Counters {
    fn since(&self, other: &Counters) -> Counters {
        Counters {
            conns: self.conns - other.conns,
            inpkts: self.inpkts - other.inpkts,
            outpkts: self.outpkts - other.outpkts,
            inbytes: self.inbytes - other.inbytes,
            outbytes: self.outbytes - other.outbytes,
        }
    }

    fn fields(&mut self) -> [&mut u64; 5] {
        let Counters { conns, inpkts, outpkts, inbytes, outbytes } = self;
        [conns, inpkts, outpkts, inbytes, outbytes]
    }
}

/// What the tools show: counters since they were zeroed, and rates a second (`struct ip_vs_kstats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KStats {
    /// Counters.
    pub counters: Counters,
    /// Their rates a second.
    pub rates: Counters,
}

/// Counters and their estimator (`struct ip_vs_stats`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// What was counted.
    pub cnt: Counters,
    /// What was counted when rates were measured last: only that is shown (`kstats`).
    seen: Counters,
    /// The same when the counters were zeroed (`kstats0`).
    zeroed: Counters,
    /// The same at the measurement before (`struct ip_vs_estimator`).
    last: Counters,
    /// Rates, scaled by 2^10, those of bytes by 2^5.
    rates: Counters,
}

impl Stats {
    /// Measures rates, every two seconds (`estimation_timer`): an average that forgets a quarter each time.
    pub fn estimate(&mut self) {
        self.seen = self.cnt;
        let mut since = self.seen.since(&self.last);
        self.last = self.seen;
        for (at, (rate, new)) in self.rates.fields().into_iter().zip(since.fields()).enumerate() {
            let scaled = *new << if at < 3 { 9 } else { 4 };
            *rate = rate.wrapping_add((scaled as i64).wrapping_sub(*rate as i64).wrapping_shr(2) as u64);
        }
    }

    /// Something is still to be measured: counters that were not looked at, or rates that fall.
    pub fn is_moving(&self) -> bool {
        self.cnt != self.last || self.rates != Counters::default()
    }

    /// What is shown (`ip_vs_copy_stats`).
    pub fn shown(&self) -> KStats {
        let mut rates = self.rates;
        for (at, rate) in rates.fields().into_iter().enumerate() {
            *rate = if at < 3 { (*rate + 0x1ff) >> 10 } else { (*rate + 0xf) >> 5 };
        }
        KStats { counters: self.seen.since(&self.zeroed), rates }
    }

    /// Counters begin anew with what was seen last, rates with 0 (`ip_vs_zero_stats`).
    pub fn zero(&mut self) {
        (self.zeroed, self.last, self.rates) = (self.seen, self.seen, Counters::default());
    }

    /// A packet to a destination.
    pub fn count_in(&mut self, len: usize) {
        self.cnt.inpkts += 1;
        self.cnt.inbytes += len as u64;
    }

    /// A packet from a destination.
    pub fn count_out(&mut self, len: usize) {
        self.cnt.outpkts += 1;
        self.cnt.outbytes += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2^-2 of the difference every two seconds.
    #[test]
    fn rates_follow_slowly_and_are_rounded() {
        let mut stats = Stats::default();
        stats.cnt.conns = 16;
        assert_eq!(stats.shown(), KStats::default(), "nothing is shown before it is measured");
        stats.estimate();
        assert_eq!((stats.shown().counters.conns, stats.shown().rates.conns), (16, 2));
        stats.estimate();
        assert_eq!(stats.shown().rates.conns, 1, "1.5 is rounded down");
        for _ in 0..40 {
            stats.estimate();
        }
        assert!(!stats.is_moving());
        stats.zero();
        assert_eq!(stats.shown(), KStats::default());
    }
}
