//! `-m time`: times, weekdays and dates (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_time::Time;
use glassnet_kernel::tables::xt::Match;

use super::words::{conflicts, incomplete, parameter};
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::value("datestart"),
        Opt::value("datestop"),
        Opt::value("timestart"),
        Opt::value("timestop"),
        Opt::invertible("weekdays"),
        Opt::invertible("monthdays"),
        Opt::flag("localtz"),
        Opt::flag("utc"),
        Opt::flag("kerneltz"),
        Opt::flag("contiguous"),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (2, drawn),
};

const NAME: &str = "time";
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const ALL_WEEKDAYS: u8 = 0xfe;
const ALL_MONTHDAYS: u32 = 0xffff_fffe;
/// The last second of a day.
const LAST_SECOND: u32 = 86399;
/// Latest date.
const LAST_DATE: u32 = i32::MAX as u32;

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Time {
        date_start: 0,
        date_stop: LAST_DATE,
        daytime_start: 0,
        daytime_stop: LAST_SECOND,
        monthdays: ALL_MONTHDAYS,
        weekdays: ALL_WEEKDAYS,
        contiguous: false,
        kerneltz: false,
    };
    for option in given {
        let value = option.value();
        match option.name {
            "datestart" => with.date_start = date(value)?,
            "datestop" => with.date_stop = date(value)?,
            "timestart" => with.daytime_start = daytime(value)?,
            "timestop" => with.daytime_stop = daytime(value)?,
            "weekdays" => {
                with.weekdays = weekdays(value)? ^ if option.invert { ALL_WEEKDAYS } else { 0 };
            }
            "monthdays" => {
                with.monthdays = monthdays(value)? ^ if option.invert { ALL_MONTHDAYS } else { 0 };
            }
            "kerneltz" | "localtz" => with.kerneltz = true,
            "contiguous" => with.contiguous = true,
            _ => {}
        }
    }
    conflicts(NAME, given, &[("utc", &["localtz", "kerneltz"]), ("localtz", &["kerneltz"])])?;
    if with.contiguous && with.daytime_start < with.daytime_stop {
        return incomplete("time: --contiguous only makes sense when stoptime is smaller than starttime");
    }
    Ok(Match::new(with))
}

/// Days from 1970-01-01 to a date, whose day may exceed the month.
fn days(year: u32, month: u32, day: u32) -> u32 {
    let is_leap = |year: u32| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let years: u32 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let length = |month: u32| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    years + (1..month).map(length).sum::<u32>() + day - 1
}

/// `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]` in seconds since 1970.
fn date(text: &str) -> Result<u32, XtError> {
    let parsed = (|| {
        let (day, time) = text.split_once('T').unwrap_or((text, ""));
        let part = |text: Option<&str>, low: u32, high: u32| match text {
            None | Some("") => Some(low),
            Some(text) => text.parse::<u32>().ok().filter(|value| (low..=high).contains(value)),
        };
        let mut parts = day.split('-');
        let year = part(parts.next().filter(|year| !year.is_empty()).or(Some("x")), 1970, 2038)?;
        let (month, day) = (part(parts.next(), 1, 12)?, part(parts.next(), 1, 31)?);
        let mut times = time.split(':');
        let (hour, minute) = (part(times.next(), 0, 23)?, part(times.next(), 0, 59)?);
        let second = part(times.next(), 0, 59)?;
        if parts.next().is_some() || times.next().is_some() {
            return None;
        }
        Some(days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second)
    })();
    match parsed {
        Some(seconds) => Ok(seconds),
        None => {
            let shape = "YYYY[-MM[-DD[Thh[:mm[:ss]]]]]";
            parameter(format!("Invalid date \"{text}\" specified. Should be {shape}"))
        }
    }
}

/// `hh:mm[:ss]` in seconds. The error shows the text from the invalid part on.
fn daytime(text: &str) -> Result<u32, XtError> {
    let bad = |rest: &str| {
        let shape = "hh:mm[:ss] format and within the boundaries";
        parameter(format!("invalid time \"{rest}\" specified, should be {shape}"))
    };
    let part = |text: &str, max: u32| text.parse::<u32>().ok().filter(|value| *value <= max);
    let Some((hour, rest)) = text.split_once(':') else { return bad(text) };
    let Some(hour) = part(hour, 23) else { return bad(text) };
    let (minute, second) = rest.split_once(':').map_or((rest, None), |(minute, rest)| (minute, Some(rest)));
    let Some(minute) = part(minute, 59) else { return bad(rest) };
    let seconds = match second {
        None => 0,
        Some(text) => match part(text, 59) {
            Some(seconds) => seconds,
            None => return bad(text),
        },
    };
    Ok(hour * 3600 + minute * 60 + seconds)
}

fn weekdays(text: &str) -> Result<u8, XtError> {
    let mut bits = 0u64;
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let number = x6::strtoul(word).filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number);
        let by_name = || WEEKDAYS.iter().position(|day| word.starts_with(day)).map(|at| at as u64 + 1);
        match number.or_else(by_name) {
            Some(day) => bits |= 1u64.checked_shl(day as u32).unwrap_or(0),
            None => return parameter(format!("{word} is not a valid day specifier")),
        }
    }
    Ok(bits as u8)
}

fn monthdays(text: &str) -> Result<u32, XtError> {
    let mut bits = 0;
    for word in text.split(',').filter(|word| !word.is_empty()) {
        match x6::strtoui(word, 0, 31) {
            Some(day) => bits |= 1 << day,
            None => return parameter(format!("{word} is not a valid day for --monthdays")),
        }
    }
    Ok(bits)
}

fn show_time(seconds: u32, out: &mut String) {
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

fn show_date(seconds: u32, between: char, out: &mut String) {
    let day = seconds / 86400;
    let year = (1970..).take_while(|year| days(*year, 1, 1) <= day).last().unwrap_or(1970);
    let month = (1..=12).take_while(|month| days(year, *month, 1) <= day).last().unwrap_or(1);
    let _ = write!(out, "{year:04}-{month:02}-{:02}{between}", day - days(year, month, 1) + 1);
    show_time(seconds % 86400, out);
}

fn show_weekdays(with: &Time, out: &mut String) {
    let names = (1..=7).filter(|day| with.weekdays >> day & 1 == 1).map(|day: usize| WEEKDAYS[day - 1]);
    out.push_str(&names.collect::<Vec<_>>().join(","));
}

fn show_monthdays(with: &Time, ordinal: bool, out: &mut String) {
    let name = |day: u32| match (ordinal, day % 10) {
        (false, _) => day.to_string(),
        (true, 1) => format!("{day}st"),
        (true, 2) => format!("{day}nd"),
        (true, 3) => format!("{day}rd"),
        (true, _) => format!("{day}th"),
    };
    let days = (1..=31).filter(|day| with.monthdays >> day & 1 == 1).map(name);
    out.push_str(&days.collect::<Vec<_>>().join(","));
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Time>() else { return };
    if style == Style::Save { save(with, out) } else { list(with, out) }
}

fn save(with: &Time, out: &mut String) {
    if (with.daytime_start, with.daytime_stop) != (0, LAST_SECOND) {
        out.push_str(" --timestart ");
        show_time(with.daytime_start, out);
        out.push_str(" --timestop ");
        show_time(with.daytime_stop, out);
    }
    if with.monthdays != ALL_MONTHDAYS {
        out.push_str(" --monthdays ");
        show_monthdays(with, false, out);
    }
    if with.weekdays != ALL_WEEKDAYS {
        out.push_str(" --weekdays ");
        show_weekdays(with, out);
    }
    if with.date_start != 0 {
        out.push_str(" --datestart ");
        show_date(with.date_start, 'T', out);
    }
    // Printed even if it was not given.
    out.push_str(" --datestop ");
    show_date(with.date_stop, 'T', out);
    out.push_str(if with.kerneltz { " --kerneltz" } else { "" });
    out.push_str(if with.contiguous { " --contiguous" } else { "" });
}

fn list(with: &Time, out: &mut String) {
    out.push_str(" TIME");
    if (with.daytime_start, with.daytime_stop) != (0, LAST_SECOND) {
        out.push_str(" from ");
        show_time(with.daytime_start, out);
        out.push_str(" to ");
        show_time(with.daytime_stop, out);
    }
    if with.weekdays != ALL_WEEKDAYS {
        out.push_str(" on ");
        show_weekdays(with, out);
    }
    if with.monthdays != ALL_MONTHDAYS {
        out.push_str(" on ");
        show_monthdays(with, true, out);
    }
    if with.date_start != 0 {
        out.push_str(" starting from ");
        show_date(with.date_start, ' ', out);
    }
    if with.date_stop != LAST_DATE {
        out.push_str(" until date ");
        show_date(with.date_stop, ' ', out);
    }
    out.push_str(if with.kerneltz { "" } else { " UTC" });
    out.push_str(if with.contiguous { " contiguous" } else { "" });
}

/// Always true or always false, since the clocks of model and kernel differ.
fn drawn(draw: &mut Draw, _: Place) -> String {
    let what = [
        "--datestart 2001-01-01",
        "--datestart 2037-01-01",
        "--datestop 2001-01-01",
        "--datestop 2037-01-01T12:00:00",
        "--weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun",
        "! --weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun",
        "--timestart 00:00 --timestop 23:59:59",
    ];
    format!("-m time {}", draw.pick(&what))
}
