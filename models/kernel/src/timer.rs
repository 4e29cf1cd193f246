//! A kernel's timers: a function, and the number that it is called with (`struct timer_list`).
//!
//! A timer is never taken back. One that was set again or is no longer wanted is recognised by its function when it
//! expires.
//!
//! And its threads, each bound to a CPU (kernel/kthread.c).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use glassnet_sim::Nanos;

use crate::Cx;
use crate::ids::{CpuId, NetnsId};
use crate::tables::jiffies::wheel_level;

/// A timer.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// What it runs.
    pub function: fn(&mut Cx, u32),
    /// What for: the number of a device, a neighbour, a namespace or a socket; 0 where there is only one.
    pub arg: u32,
}

/// The timers that are set on a CPU, and expire there (`struct timer_base`).
#[derive(Debug, Default)]
pub struct TimerBase(BTreeMap<Nanos, Vec<(u32, Timer)>>);

impl TimerBase {
    /// Adds a timer; true if it is the first that expires at this time.
    pub fn add(&mut self, now: Nanos, at: Nanos, timer: Timer) -> bool {
        let slot = self.0.entry(at).or_default();
        slot.push((wheel_level(now, at), timer));
        slot.len() == 1
    }

    /// When the next expire, in a span of time.
    pub fn next_in(&self, span: RangeInclusive<Nanos>) -> Option<Nanos> {
        self.0.range(span).next().map(|(at, _)| *at)
    }

    /// Takes those that expire at a time, as they run (`__run_timers`): the farthest level of the wheel first, and of a slot the
    /// one that was set last.
    pub fn expire(&mut self, at: Nanos) -> impl Iterator<Item = Timer> + use<> {
        let mut slot = self.0.remove(&at).unwrap_or_default();
        slot.reverse();
        slot.sort_by_key(|(level, _)| Reverse(*level));
        slot.into_iter().map(|(_, timer)| timer)
    }
}

/// A thread that takes turns: it runs in an event of its own, after the softirqs of its CPU.
#[derive(Clone, Copy, Debug)]
pub struct Kthread {
    /// Its name without the number of its CPU (`comm`).
    pub comm: &'static str,
    /// Its CPU.
    pub cpu: CpuId,
    /// The namespace that it works in.
    pub netns: NetnsId,
    /// A turn; returns when the next is due, or `None` until it is woken.
    pub turn: fn(&mut Cx, NetnsId) -> Option<Nanos>,
    /// How long it ran since the programs that use up their CPU's time had theirs, ns.
    pub ran: Nanos,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_of_one_time_run_in_the_order_of_the_wheel() {
        let timer = |arg| Timer { function: |_, _| {}, arg };
        let (mut base, at) = (TimerBase::default(), Nanos::from_millis(8192));
        let set = [
            (Nanos::from_secs(7), 1),
            (Nanos::from_secs(3), 2),
            (Nanos::from_secs(7), 3),
            (Nanos::from_secs(3), 4),
        ];
        let first: Vec<bool> = set.iter().map(|(now, arg)| base.add(*now, at, timer(*arg))).collect();
        assert_eq!(first, [true, false, false, false]);
        assert_eq!(base.expire(at).map(|timer| timer.arg).collect::<Vec<_>>(), [4, 2, 3, 1]);
        assert_eq!(base.expire(at).count(), 0);
    }
}
