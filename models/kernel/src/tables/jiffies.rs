//! Jiffies.
//!
//! Kernel: include/linux/jiffies.h, kernel/time/timer.c

use glassnet_sim::Nanos;

/// Ticks a second (`CONFIG_HZ`).
pub const HZ: u64 = 250;
/// Length of a tick, ns.
pub const JIFFY: u64 = 1_000_000_000 / HZ;

/// Ticks since boot (`jiffies`).
#[inline]
pub fn jiffies(now: Nanos) -> u64 {
    now.0 / JIFFY
}

/// The time of the last tick: what `jiffies` tells of the time.
#[inline]
pub fn last_tick(now: Nanos) -> Nanos {
    Nanos(jiffies(now) * JIFFY)
}

/// When a timer that is set now for `at` expires. The timer wheel's slots get wider with distance, and timers
/// expire at the end of their slot (`calc_wheel_index`).
pub fn wheel_expiry(now: Nanos, at: Nanos) -> Nanos {
    /// Ticks of the first level's slots; each further level's slots are eight times wider.
    const FIRST_LEVEL: u64 = 63;
    let ticks = at.since(now).0.div_ceil(JIFFY);
    let mut width = 1;
    while ticks >= FIRST_LEVEL * width {
        width *= 8;
    }
    Nanos(((jiffies(now) + ticks) / width + 1) * width * JIFFY)
}

/// The level of the timer wheel from which a timer that was set at a time expires: 0 is the nearest.
pub fn wheel_level(now: Nanos, expiry: Nanos) -> u32 {
    /// Slots of a level.
    const SLOTS: u64 = 64;
    let (ticks, mut level) = (jiffies(expiry).saturating_sub(jiffies(now)), 0);
    while ticks > SLOTS << (3 * level) {
        level += 1;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_at_the_end_of_their_slot() {
        let ms = Nanos::from_millis;
        let expiry = |now, after| wheel_expiry(ms(now), ms(now + after));
        assert_eq!(expiry(0, 0), ms(4));
        assert_eq!(expiry(0, 40), ms(44));
        assert_eq!(expiry(3, 40), ms(44));
        assert_eq!(expiry(4, 41), ms(52));
        // A second is 250 ticks, in slots of eight.
        assert_eq!(expiry(0, 1000), ms(1024));
        assert_eq!(expiry(24, 1000), ms(1056));
        assert_eq!(expiry(0, 3000), ms(3072));
    }
}
