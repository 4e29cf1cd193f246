//! `-m limit`: rate limit (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::extension::Kept;
use glassnet_kernel::net::netfilter::xt_limit::Limit;
use glassnet_kernel::tables::xt::{Match, Variant};

use super::words::parameter;
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "limit",
    options: &[Opt::value("limit"), Opt::value("limit-burst")],
    parse,
    show,
    arbitrary: None,
    drawn: (2, drawn),
};

/// `XT_LIMIT_SCALE`: units a second.
const SCALE: u64 = 10_000;
/// Defaults: 3 per hour, burst 5.
const AVG: u32 = 3600 / 3 * SCALE as u32;
const BURST: u32 = 5;

/// Units of a rate as they are printed, and their seconds, longest first.
pub const UNITS: [(&str, &str, u64); 4] =
    [("day", "day", 86400), ("hour", "hour", 3600), ("min", "minute", 60), ("sec", "second", 1)];

/// `N` or `N/UNIT`, where the unit may be abbreviated: number, and seconds of the unit.
pub fn rate(text: &str) -> Option<(u64, u64)> {
    let (number, unit) = match text.split_once('/') {
        Some((_, "")) => return None,
        Some((number, unit)) => (number, unit),
        None => (text, "second"),
    };
    let begins = |name: &str| name.get(..unit.len()).is_some_and(|part| part.eq_ignore_ascii_case(unit));
    let seconds = UNITS.iter().rev().find(|(_, name, _)| begins(name))?.2;
    let many = atoi(number);
    (many != 0).then_some((many, seconds))
}

/// The number at the start as `atoi(3)`, converted to unsigned.
fn atoi(text: &str) -> u64 {
    let (negative, digits) = match text.trim_start().strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.trim_start()),
    };
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    let value = digits[..end].parse::<u64>().unwrap_or(0) as u32;
    u64::from(if negative { value.wrapping_neg() } else { value })
}

/// Prints the rate of one packet per `period`, with `scale` units per second, in the longest unit in which it is
/// (nearly) an integer; returns the seconds of that unit.
pub fn show_rate(period: u64, scale: u64, out: &mut String) -> u64 {
    let fits = |(_, _, seconds): &&(&str, &str, u64)| {
        let unit = seconds * scale;
        period <= unit && unit / period >= unit % period
    };
    let last = UNITS[1..].iter().take_while(fits).count();
    let (name, _, seconds) = UNITS[last];
    let _ = write!(out, " {}/{name}", (seconds * scale).checked_div(period).unwrap_or(0));
    seconds
}

fn parse(given: &[Given], context: &Context) -> Result<Match, XtError> {
    let mut with = Limit { avg: AVG, burst: BURST, credit: Kept(None) };
    for option in given {
        let value = option.value();
        match option.name {
            "limit" => {
                let Some((many, seconds)) = rate(value) else {
                    return parameter(format!("bad rate \"{value}\"'"));
                };
                with.avg = (SCALE * seconds / many) as u32;
                if with.avg == 0 {
                    return parameter(format!("Rate too fast \"{value}\""));
                }
            }
            _ => with.burst = x6::uint("limit", option, 0, 10_000)? as u32,
        }
    }
    // An nf_tables expression cannot have burst 0; the tool uses its default.
    if with.burst == 0 && context.variant == Variant::Nft {
        with.burst = BURST;
    }
    Ok(Match::new(with))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Limit>() else { return };
    match style {
        Style::Save => {
            out.push_str(" --limit");
            show_rate(u64::from(with.avg), SCALE, out);
            if with.burst != BURST {
                let _ = write!(out, " --limit-burst {}", with.burst);
            }
        }
        _ => {
            out.push_str(" limit: avg");
            show_rate(u64::from(with.avg), SCALE, out);
            let _ = write!(out, " burst {}", with.burst);
        }
    }
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m limit --limit {} --limit-burst {}", draw.pick(&["1/hour", "2/day"]), draw.below(3) + 1)
}
