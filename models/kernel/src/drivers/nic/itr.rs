//! Interrupt throttling: how often a ring may interrupt (`rx-usecs`).
//!
//! Kernel: drivers/net/ethernet/intel/e1000e/netdev.c (`e1000_update_itr`, `e1000_set_itr`), and the documentation of
//! `InterruptThrottleRate` in Documentation/networking/device_drivers/ethernet/intel/e1000e.rst

use glassnet_hardware::PlugId;
use glassnet_sim::Nanos;

use crate::Cx;
use crate::netlink::Errno;

/// `rx-usecs` at first: the rate follows the traffic, conservatively.
pub const DEFAULT: u32 = 3;
/// Values of `rx-usecs` that stand for a way and no time: off, two that follow the traffic, and a middle course.
const WAYS: [u32; 4] = [0, 1, 3, 4];
/// The least and the greatest time, µs.
const USECS: std::ops::RangeInclusive<u32> = 10..=10_000;

/// The least time between two interrupts of each vector. Where computing takes no time, none is held back.
pub(super) fn set_intervals(cx: &mut Cx, plug: PlugId, vectors: usize, interval: Nanos) {
    let moderates = cx.k.config.exec_time > Nanos::ZERO;
    if let Some(card) = cx.fabric.card(plug).filter(|_| moderates) {
        (0..vectors).for_each(|vector| card.set_interval(vector, interval));
    }
}

/// What the traffic is like, with the interrupts a second that suit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Latency {
    /// A few small packets: answers matter.
    Lowest = 70_000,
    /// In between.
    Low = 20_000,
    /// Many large packets: throughput matters.
    Bulk = 4_000,
}

/// A ring's throttle.
#[derive(Clone, Copy, Debug)]
pub struct Itr {
    /// `rx-usecs`.
    usecs: u32,
    latency: Latency,
    /// Interrupts a second.
    rate: u32,
    /// Received since the last look.
    packets: u64,
    bytes: u64,
}

impl Default for Itr {
    fn default() -> Self {
        Itr::new(DEFAULT)
    }
}

/// Judges a value of `rx-usecs`.
///
/// # Errors
///
/// `EINVAL`.
pub fn check(usecs: u32) -> Result<(), Errno> {
    if WAYS.contains(&usecs) || USECS.contains(&usecs) { Ok(()) } else { Err(Errno::EINVAL) }
}

impl Itr {
    /// A throttle of a ring that begins.
    pub fn new(usecs: u32) -> Itr {
        let rate = if WAYS.contains(&usecs) { Latency::Low as u32 } else { 1_000_000 / usecs };
        Itr { usecs, latency: Latency::Low, rate, packets: 0, bytes: 0 }
    }

    /// A frame came in.
    pub fn count(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }

    /// The least time between two interrupts.
    pub fn interval(&self) -> Nanos {
        match self.usecs {
            0 => Nanos::ZERO,
            _ => Nanos(1_000_000_000 / u64::from(self.rate)),
        }
    }

    /// Looks at what came in since the last look; true if the interval changed.
    pub fn update(&mut self) -> bool {
        let (packets, bytes) = (std::mem::take(&mut self.packets), std::mem::take(&mut self.bytes));
        if self.usecs != 1 && self.usecs != 3 || packets == 0 {
            return false;
        }
        self.latency = next(self.latency, packets, bytes);
        let wanted = match self.latency {
            Latency::Lowest if self.usecs == 3 => Latency::Low as u32,
            latency => latency as u32,
        };
        // Faster by a quarter of the goal at a time, slower at once.
        let rate = if wanted > self.rate { wanted.min(self.rate + wanted / 4) } else { wanted };
        std::mem::replace(&mut self.rate, rate) != rate
    }
}

/// The next class of traffic after this one, if so many packets and bytes came in.
fn next(latency: Latency, packets: u64, bytes: u64) -> Latency {
    let each = bytes / packets;
    match latency {
        Latency::Lowest if each > 8_000 => Latency::Bulk,
        Latency::Lowest if packets < 5 && bytes > 512 => Latency::Low,
        Latency::Low if bytes > 10_000 && (packets < 10 || each > 1_200) => Latency::Bulk,
        Latency::Low if bytes > 10_000 && packets > 35 => Latency::Lowest,
        Latency::Low if bytes <= 10_000 && each > 2_000 => Latency::Bulk,
        Latency::Low if packets <= 2 && bytes < 512 => Latency::Lowest,
        Latency::Bulk if bytes > 25_000 && packets > 35 => Latency::Low,
        Latency::Bulk if bytes < 6_000 => Latency::Low,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interrupts a second after so many looks at the same traffic.
    fn settled(usecs: u32, packets: u64, bytes_each: u64) -> u64 {
        let mut itr = Itr::new(usecs);
        for _ in 0..20 {
            (0..packets).for_each(|_| itr.count(bytes_each));
            itr.update();
        }
        1_000_000_000 / itr.interval().0
    }

    #[test]
    fn the_rate_follows_the_traffic() {
        // A ping, a bulk transfer, and a flood of small packets.
        let traffics = [(1, 98), (30, 1514), (64, 60)];
        assert_eq!(traffics.map(|(packets, bytes)| settled(3, packets, bytes)), [20_000, 4_000, 20_000]);
        assert_eq!(traffics.map(|(packets, bytes)| settled(1, packets, bytes)), [70_003, 4_000, 20_000]);
    }

    #[test]
    fn a_time_that_was_set_stays_and_nothing_means_nothing() {
        assert_eq!(settled(100, 30, 1514), 10_000);
        let mut off = Itr::new(0);
        off.count(60);
        assert!(!off.update());
        assert_eq!(off.interval(), Nanos::ZERO);
    }

    /// As Linux 6.1 answered for an 82574.
    #[test]
    fn values_are_those_that_the_driver_takes() {
        for usecs in [0, 1, 3, 4, 10, 100, 10_000] {
            assert_eq!(check(usecs), Ok(()));
        }
        for usecs in [2, 5, 9, 10_001] {
            assert_eq!(check(usecs), Err(Errno::EINVAL));
        }
    }
}
