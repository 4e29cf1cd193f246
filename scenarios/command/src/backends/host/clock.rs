//! When a run begins, and how long it waits.

use std::io;
use std::time::Duration;

use glassnet_kernel::tables::jiffies::JIFFY;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{SETTLE, next_slot};
use nix::time::{ClockId, clock_gettime};

use super::probe;

/// `jiffies` at boot: they overflow after five minutes (`INITIAL_JIFFIES`, include/linux/jiffies.h).
const INITIAL_JIFFIES: u64 = 300 * 1_000_000_000 / JIFFY;

/// The widest slots of the timer wheel that lessons reach: those for timers of about a quarter of an hour, in ticks.
const SLOT: u64 = 8 * 8 * 8 * 8 * 8;

/// Waits until what was made is ready. In virtual time also until the timer wheel stands as the model's does at its boot:
/// timers expire at the end of a slot, so that which of two is first depends on when they are set.
pub(super) fn begin() -> Result<(), BackendError> {
    std::thread::sleep(SETTLE);
    if probe::place() == "uml" {
        std::thread::sleep(until_boot(since_boot()?));
    }
    Ok(())
}

fn since_boot() -> Result<Duration, BackendError> {
    let failed = BackendError::failed("cannot read the clock");
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(io::Error::from).map_err(failed)?;
    Ok(Duration::from(now))
}

/// In virtual time, waits until a prompt may begin.
pub(super) fn until_prompt() -> Result<(), BackendError> {
    if probe::place() == "uml" {
        let now = since_boot()?;
        std::thread::sleep(next_slot(now) - now);
    }
    Ok(())
}

/// Waits until a program that was started sleeps; where computing takes no time, it does at the next moment.
pub(super) fn until_it_sleeps() {
    let wait = if probe::place() == "uml" { Duration::from_nanos(1) } else { Duration::from_millis(1) };
    std::thread::sleep(wait);
}

/// Lets all that follows at this moment happen: in virtual time, until nothing can run but this process.
pub(super) fn until_all_wait() {
    /// A program that never waits is not waited for.
    const TURNS: usize = 1000;
    for _ in 0..TURNS {
        std::thread::sleep(Duration::from_nanos(1));
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        // `0.00 0.00 0.00 1/34 123`: one of 34 can run.
        if load.split(' ').nth(3).is_none_or(|tasks| tasks.starts_with("1/")) {
            break;
        }
    }
}

/// How long it is until `jiffies` is 0, up to a multiple of the [widest slots](SLOT).
fn until_boot(since_boot: Duration) -> Duration {
    let slot = SLOT * JIFFY;
    let first = INITIAL_JIFFIES % SLOT * JIFFY;
    let now = since_boot.as_nanos() as u64 % slot;
    Duration::from_nanos((first + slot - now) % slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_begins_when_jiffies_is_a_multiple_of_a_slot() {
        for milliseconds in [0, 1, 299_999, 300_000, 300_001, 1_001_100] {
            let now = Duration::from_millis(milliseconds);
            let then = (now + until_boot(now)).as_nanos() as u64;
            assert_eq!(then % JIFFY, 0);
            assert_eq!((then / JIFFY).abs_diff(INITIAL_JIFFIES) % SLOT, 0, "{milliseconds}");
        }
        assert_eq!(until_boot(Duration::from_secs(300)), Duration::ZERO);
    }
}
