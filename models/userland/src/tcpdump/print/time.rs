//! Time stamps at the start of a line.

use chrono::DateTime;

use super::PrintOptions;

const SECOND: u64 = 1_000_000_000;

/// Time format, by the number of `-t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// Time of day.
    #[default]
    TimeOfDay,
    /// `-t`: none.
    None,
    /// `-tt`: seconds since 1970.
    Epoch,
    /// `-ttt`: since the previous line.
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
        Timestamps::Date => format!("{} {}", date(time), time_of_day(time, nano)),
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
    // With microseconds, printed values are subtracted, not the nanoseconds.
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

fn date(time: u64) -> String {
    DateTime::from_timestamp_nanos(time as i64).format("%Y-%m-%d").to_string()
}
