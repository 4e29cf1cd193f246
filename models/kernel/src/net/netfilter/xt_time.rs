//! `-m time`.
//!
//! Kernel: net/netfilter/xt_time.c
//!
//! The machine's time zone is UTC.

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::kernel::BOOT_TIME;
use crate::module::Module;

/// `time` (`struct xt_time_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// `--datestart`, seconds since 1970.
    pub date_start: u32,
    /// `--datestop`, seconds since 1970.
    pub date_stop: u32,
    /// `--timestart`, seconds of the day.
    pub daytime_start: u32,
    /// `--timestop`, seconds of the day.
    pub daytime_stop: u32,
    /// `--monthdays`: a bit for each day.
    pub monthdays: u32,
    /// `--weekdays`: a bit for each day, Monday 1.
    pub weekdays: u8,
    /// `--contiguous`.
    pub contiguous: bool,
    /// `--kerneltz`.
    pub kerneltz: bool,
}

impl XtMatch for Time {
    const NAME: &'static str = "time";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        time_mt(cx, par, self)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Time::NAME], ..Module::named("xt_time") }];

/// `--monthdays` was not given.
const ALL_MONTHDAYS: u32 = 0xffff_fffe;

/// The time is one of the rule's.
pub fn time_mt(cx: &mut Cx, _: &mut Par, with: &Time) -> bool {
    matches_at(with, BOOT_TIME + cx.now.0 / 1_000_000_000)
}

fn matches_at(with: &Time, now: u64) -> bool {
    let mut now = now;
    if now < u64::from(with.date_start) || now > u64::from(with.date_stop) {
        return false;
    }
    let second = (now % 86400) as u32;
    if with.daytime_start < with.daytime_stop {
        if !(with.daytime_start..=with.daytime_stop).contains(&second) {
            return false;
        }
    } else {
        if second < with.daytime_start && second > with.daytime_stop {
            return false;
        }
        // After midnight, the day before counts.
        if with.contiguous && second <= with.daytime_stop {
            now -= 86400;
        }
    }
    // 1970-01-01 was a Thursday; Sunday is 7.
    let weekday = match (now / 86400 + 4) % 7 {
        0 => 7,
        day => day,
    };
    let fits_month =
        || with.monthdays == ALL_MONTHDAYS || with.monthdays >> day_of_month(now / 86400) & 1 == 1;
    with.weekdays >> weekday & 1 == 1 && fits_month()
}

/// Day of the month, 1 to 31, of a day since 1970-01-01.
fn day_of_month(days: u64) -> u32 {
    // Years start in March here, so that the leap day is the last of a year.
    let from_march = days + 719_468;
    let in_era = from_march % 146_097;
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let day = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    (day - (153 * month + 2) / 5 + 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> Time {
        Time {
            date_start: 0,
            date_stop: i32::MAX as u32,
            daytime_start: 0,
            daytime_stop: 86399,
            monthdays: ALL_MONTHDAYS,
            weekdays: 0xfe,
            contiguous: false,
            kerneltz: false,
        }
    }

    #[test]
    fn days_and_hours() {
        let tuesday = BOOT_TIME; // 2023-11-14 22:13:20
        assert!(matches_at(&any(), tuesday));
        assert!(matches_at(&Time { weekdays: 1 << 2, ..any() }, tuesday));
        assert!(!matches_at(&Time { weekdays: 1 << 3, ..any() }, tuesday));
        assert!(matches_at(&Time { monthdays: 1 << 14, ..any() }, tuesday));
        let night = Time { daytime_start: 22 * 3600, daytime_stop: 6 * 3600, weekdays: 1 << 2, ..any() };
        assert!(matches_at(&night, tuesday));
        assert!(!matches_at(&night, tuesday + 4 * 3600), "Wednesday, two in the morning");
        assert!(matches_at(&Time { contiguous: true, ..night }, tuesday + 4 * 3600));
        assert!(!matches_at(&Time { contiguous: true, ..night }, tuesday + 12 * 3600));
        assert!(!matches_at(&Time { date_stop: tuesday as u32 - 1, ..any() }, tuesday));
    }

    #[test]
    fn days_of_months() {
        // 1970-01-01, 2000-02-29, 2023-11-14, 2024-12-31.
        let days = [0, 11016, 19675, 20088].map(day_of_month);
        assert_eq!(days, [1, 29, 14, 31]);
    }
}
