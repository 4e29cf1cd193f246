//! Time stamps at the start of a line.

use super::PrintOptions;

const SECOND: u64 = 1_000_000_000;

/// What stands for the time, by the number of `-t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// Time of day.
    #[default]
    TimeOfDay,
    /// `-t`: none.
    None,
    /// `-tt`: seconds since 1970.
    Epoch,
    /// `-ttt`: since the line before.
    SincePrevious,
    /// `-tttt`: date and time of day.
    Date,
    /// `-ttttt`: since the first line.
    SinceFirst,
}

/// Appends the time stamp and the space after it; `time` is in nanoseconds since 1970, in UTC.
pub fn stamp(out: &mut String, options: &PrintOptions, reference: &mut Option<u64>, time: u64) {
    let nano = options.nanoseconds;
    let text = match options.timestamps {
        Timestamps::None => return,
        Timestamps::TimeOfDay => time_of_day(time, nano),
        Timestamps::Epoch => format!("{}{}", time / SECOND, fraction(time, nano)),
        Timestamps::Date => format!("{} {}", date(time / (86_400 * SECOND)), time_of_day(time, nano)),
        Timestamps::SincePrevious => {
            let since = reference.replace(time).unwrap_or(time);
            relative(since, time, nano)
        }
        Timestamps::SinceFirst => relative(*reference.get_or_insert(time), time, nano),
    };
    out.push_str(&text);
    out.push(' ');
}

fn relative(since: u64, time: u64, nano: bool) -> String {
    // A capture in microseconds subtracts what it shows, not the nanoseconds behind it.
    let unit = if nano { 1 } else { 1000 };
    let (since, time) = (since / unit * unit, time / unit * unit);
    let sign = if time < since { '-' } else { ' ' };
    format!("{sign}{}", time_of_day(time.abs_diff(since), nano))
}

fn time_of_day(time: u64, nano: bool) -> String {
    let seconds = time / SECOND % 86_400;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}{}", fraction(time, nano))
}

fn fraction(time: u64, nano: bool) -> String {
    let rest = time % SECOND;
    if nano { format!(".{rest:09}") } else { format!(".{:06}", rest / 1000) }
}

/// The date of a day since 1970-01-01 in the Gregorian calendar.
fn date(day: u64) -> String {
    // Years that start in March put the leap day last; an era is 400 of them.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_around_leap_days() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(20_779), "2026-11-22");
    }
}
