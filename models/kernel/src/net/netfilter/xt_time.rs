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
    }

    /// The second of `--datestart`, `--datestop`, `--timestart` and `--timestop` belongs to the time; 00:00:00 to
    /// 23:59:59 is the whole day.
    #[test]
    fn both_ends_belong_to_it() {
        let day = BOOT_TIME / 86400 * 86400;
        let (first, last) = (day as u32 + 1000, day as u32 + 2000);
        for (at, fits) in
            [(999, false), (1000, true), (1001, true), (1999, true), (2000, true), (2001, false)]
        {
            let date = Time { date_start: first, date_stop: last, ..any() };
            assert_eq!(matches_at(&date, day + at), fits, "date, {at}");
            let time = Time { daytime_start: 1000, daytime_stop: 2000, ..any() };
            assert_eq!(matches_at(&time, day + at), fits, "time, {at}");
            let night = Time { daytime_start: 2000, daytime_stop: 1000, ..any() };
            assert_eq!(matches_at(&night, day + at), !(1001..2000).contains(&at), "over midnight, {at}");
        }
        let second = Time { daytime_start: 5, daytime_stop: 5, ..any() };
        assert!(
            [0, 5, 6, 86399].iter().all(|at| matches_at(&second, day + at)),
            "one second is over midnight"
        );
    }

    /// With `--contiguous`, what is after midnight is of the day before, up to the last second.
    #[test]
    fn a_night_belongs_to_the_evening() {
        let tuesday = BOOT_TIME / 86400 * 86400;
        let night = Time { daytime_start: 2000, daytime_stop: 1000, weekdays: 1 << 2, ..any() };
        for (at, fits, contiguous) in [
            (0, true, false),
            (1000, true, false),
            (1001, false, false),
            (2000, true, true),
            (86400, false, true),
            (87400, false, true),
            (87401, false, false),
            (88400, false, false),
        ] {
            assert_eq!(matches_at(&night, tuesday + at), fits, "{at}");
            assert_eq!(matches_at(&Time { contiguous: true, ..night }, tuesday + at), contiguous, "{at}");
        }
    }

    /// Each day up to 2106, counted one by one.
    #[test]
    fn days_of_weeks_and_months() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..49_710 {
            assert_eq!(day_of_month(days), day, "{year}-{month}");
            let weekday = 1 + (days + 3) % 7;
            for other in 1..=7 {
                let with = Time { weekdays: 1 << other, date_stop: u32::MAX, ..any() };
                assert_eq!(matches_at(&with, days * 86400), other == weekday, "{year}-{month}-{day}");
            }
            for other in [day, day % 31 + 1] {
                let with = Time { monthdays: 1 << other, date_stop: u32::MAX, ..any() };
                assert_eq!(matches_at(&with, days * 86400 + 86399), other == day, "{year}-{month}-{day}");
            }
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
            (year, month, day) = match (month, day == last) {
                (_, false) => (year, month, day + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
        }
    }
}
