//! `-m hashlimit`: rate limit per source, destination or port (iptables-extensions(8)).

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::xt_hashlimit::Hashlimit;
use glassnet_kernel::tables::xt::Match;

use super::limit::{rate, show_rate};
use super::words::{bad_value, canonical, conflicts, incomplete, parameter};
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::invertible("hashlimit").many(),
        Opt::invertible("hashlimit-upto").many(),
        Opt::invertible("hashlimit-above").many(),
        Opt::value("hashlimit-srcmask"),
        Opt::value("hashlimit-dstmask"),
        Opt::value("hashlimit-burst"),
        Opt::value("hashlimit-htable-size"),
        Opt::value("hashlimit-htable-max"),
        Opt::value("hashlimit-htable-gcinterval"),
        Opt::value("hashlimit-htable-expire"),
        Opt::value("hashlimit-mode"),
        Opt::value("hashlimit-name"),
        Opt::flag("hashlimit-rate-match"),
        Opt::value("hashlimit-rate-interval"),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (2, drawn),
};

const NAME: &str = "hashlimit";
/// `XT_HASHLIMIT_SCALE_v2`: units a second.
const SCALE: u64 = 1_000_000;
const BURST: u64 = 5;
/// Maximum burst, packets.
const MAX_BURST: u64 = 1_000_000;
/// Default of `--hashlimit-htable-gcinterval`, ms.
const GC_INTERVAL: u32 = 1000;
/// Expiry of entries of a rate in bytes, seconds; without and with a burst.
const BYTE_EXPIRE: (u32, u32) = (15, 60);
/// Modes in the order in which they are printed.
const MODES: [(&str, u8); 4] = [("srcip", 4), ("srcport", 8), ("dstip", 1), ("dstport", 2)];

/// Cost of 16 bytes at a rate in bytes per second.
fn bytes_to_cost(bytes: u64) -> u64 {
    // The tool computes with 32 bits.
    u64::from(u32::MAX) / (u64::from((bytes >> 4) as u32) + 1)
}

/// Rate of a cost, bytes per second.
pub fn cost_to_bytes(cost: u64) -> u64 {
    (u64::from(u32::MAX).checked_div(cost).unwrap_or(u64::from(u32::MAX)) - 1) << 4
}

fn factor(letter: Option<char>) -> u64 {
    match letter {
        Some('m') => 1024 * 1024,
        Some('k') => 1024,
        _ => 1,
    }
}

/// `N[k|m]b/s`: the cost.
fn byte_rate(text: &str) -> Option<u64> {
    let (front, _) = text.split_once("b/s").filter(|(front, _)| !front.is_empty())?;
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok().filter(|number| *number != 0)?;
    Some(bytes_to_cost(number.saturating_mul(factor(front.chars().last()))))
}

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = canonical(NAME, given, &[("hashlimit", "hashlimit-upto")])?;
    let mut with = Hashlimit {
        name: String::new(),
        above: false,
        bytes: false,
        avg: 0,
        burst: BURST,
        mode: 0,
        srcmask: 32,
        dstmask: 32,
        size: 0,
        max: 0,
        gc_interval: GC_INTERVAL,
        expire: 0,
        rate_match: false,
        rate_interval: 1,
    };
    let (mut seconds, mut burst, mut expire, mut has_rate) = (0, None, None, false);
    let max = u64::from(u32::MAX);
    for option in &given {
        let number = |max: u64| x6::uint(NAME, option, 0, max).map(|value| value as u32);
        match option.name {
            "hashlimit-upto" | "hashlimit-above" => {
                seconds = read_rate(option, &mut with)?;
                has_rate = true;
            }
            "hashlimit-burst" => burst = Some(option.value()),
            "hashlimit-htable-size" => with.size = number(max)?,
            "hashlimit-htable-max" => with.max = number(max)?,
            "hashlimit-htable-gcinterval" => with.gc_interval = number(max)?,
            "hashlimit-htable-expire" => expire = Some(number(max)?),
            "hashlimit-mode" => with.mode = mode(option)?,
            "hashlimit-name" if option.value().is_empty() => {
                return parameter("Argument must have a minimum length of 1 characters\n");
            }
            "hashlimit-name" => with.name = option.value().to_owned(),
            "hashlimit-srcmask" => with.srcmask = prefix(option)?,
            "hashlimit-dstmask" => with.dstmask = prefix(option)?,
            "hashlimit-rate-match" => with.rate_match = true,
            _ => match number(max)? {
                0 => return bad_value(NAME, option.name, option.value()),
                interval => with.rate_interval = interval,
            },
        }
    }
    conflicts(NAME, &given, &[("hashlimit-upto", &["hashlimit-above"])])?;
    if !has_rate {
        return incomplete("You have to specify --hashlimit");
    }
    x6::mandatory(NAME, &given, "hashlimit-name")?;
    finish(&mut with, seconds, burst, expire)?;
    Ok(Match::new(with))
}

/// Parses the rate and returns the expiry of its entries, seconds.
fn read_rate(option: &Given, with: &mut Hashlimit) -> Result<u32, XtError> {
    let text = option.value();
    with.above = (option.name == "hashlimit-above") != option.invert;
    if let Some(cost) = byte_rate(text) {
        if cost == 0 {
            return parameter(format!("Rate too high \"{text}\"\n"));
        }
        (with.avg, with.bytes) = (cost, true);
        return Ok(BYTE_EXPIRE.0);
    }
    let Some((many, seconds)) = rate(text) else { return bad_value(NAME, option.name, text) };
    with.avg = SCALE * seconds / many;
    if with.avg == 0 {
        return parameter(format!("Rate too fast \"{text}\""));
    }
    Ok(seconds as u32)
}

fn finish(
    with: &mut Hashlimit,
    seconds: u32,
    burst: Option<&str>,
    expire: Option<u32>,
) -> Result<(), XtError> {
    with.expire = expire.unwrap_or(seconds * 1000);
    let Some(text) = burst else {
        with.burst = if with.bytes { 0 } else { BURST };
        return Ok(());
    };
    let bad =
        || parameter(format!("bad value for option \"--hashlimit-burst\", or out of range (1-{MAX_BURST})."));
    let Some((number, rest)) = x6::strtoul(text).filter(|(number, _)| *number > 0) else { return bad() };
    let value = number.saturating_mul(factor(rest.chars().next()));
    if !with.bytes {
        if value > MAX_BURST {
            return bad();
        }
        with.burst = value;
        return Ok(());
    }
    let smallest = cost_to_bytes(with.avg);
    if value < smallest {
        return parameter(format!("burst cannot be smaller than {smallest}b"));
    }
    with.burst = value.checked_div(smallest).map_or(0, |many| many + u64::from(value % smallest != 0));
    if expire.is_none() {
        with.expire = BYTE_EXPIRE.1 * 1000;
    }
    Ok(())
}

fn mode(option: &Given) -> Result<u8, XtError> {
    let mut bits = 0;
    for word in option.value().split(',').filter(|word| !word.is_empty()) {
        match MODES.iter().find(|(name, _)| *name == word) {
            Some((_, bit)) => bits |= bit,
            None => return bad_value(NAME, option.name, option.value()),
        }
    }
    Ok(bits)
}

/// A prefix length; the kernel refuses one that is too long.
fn prefix(option: &Given) -> Result<u8, XtError> {
    let (name, text) = (option.name, option.value());
    let by_mask = || {
        let mask = text.parse::<Ipv4Addr>().ok()?.to_bits();
        (mask.leading_ones() + mask.trailing_zeros() >= 32).then(|| mask.leading_ones() as u8)
    };
    match x6::strtoui(text, 0, 255).map(|prefix| prefix as u8).or_else(by_mask) {
        Some(prefix) => Ok(prefix),
        None => {
            let rule = "neither a valid network mask nor valid CIDR (0-32).";
            x6::error(NAME, &format!("bad value for option \"--{name}\", {rule}"))
        }
    }
}

/// Bytes in the largest of the units `m`, `k` and none; of a rate with this cost, in one whose multiple costs the same.
fn show_bytes(bytes: u64, cost: Option<u64>, out: &mut String) {
    let units = [("m", 1024 * 1024), ("k", 1024)];
    // The tool computes the multiple with 32 bits.
    let whole = |size: u64| u64::from(bytes as u32) & !(size - 1);
    let is_same = |size: u64| cost.is_none_or(|cost| bytes_to_cost(whole(size)) == cost);
    let unit = units.iter().find(|(_, size)| bytes >= *size && is_same(*size));
    let (name, size) = unit.copied().unwrap_or(("", 1));
    let _ = write!(out, " {}{name}b", bytes / size);
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Hashlimit>() else { return };
    let (save, dashes) = (style == Style::Save, if style == Style::Save { "--hashlimit-" } else { "" });
    out.push_str(match (save, with.above) {
        (true, true) => " --hashlimit-above",
        (true, false) => " --hashlimit-upto",
        (false, true) => " limit: above",
        (false, false) => " limit: up to",
    });
    let quantum = if with.bytes {
        let bytes = cost_to_bytes(with.avg);
        show_bytes(bytes, Some(with.avg), out);
        out.push_str("/s");
        if with.burst != 0 {
            let _ = write!(out, " {dashes}burst");
            show_bytes(bytes * with.burst, None, out);
        }
        if with.burst != 0 { BYTE_EXPIRE.1 } else { BYTE_EXPIRE.0 }
    } else {
        // The list shows the rate per interval.
        let interval = if save { 1 } else { u64::from(with.rate_interval) };
        let seconds = show_rate(with.avg * interval, SCALE, out) as u32;
        let _ = write!(out, " {dashes}burst {}", with.burst);
        seconds
    };
    if with.mode != 0 {
        let names = MODES.iter().filter(|(_, bit)| with.mode & bit != 0).map(|(name, _)| *name);
        let names: Vec<&str> = names.collect();
        let _ = write!(out, " {dashes}mode {}", names.join(if save { "," } else { "-" }));
    }
    if save {
        let _ = write!(out, " --hashlimit-name {}", with.name);
    }
    let numbers = [
        (with.size != 0, "htable-size", with.size),
        (with.max != 0, "htable-max", with.max),
        (with.gc_interval != GC_INTERVAL, "htable-gcinterval", with.gc_interval),
        (with.expire != quantum * 1000, "htable-expire", with.expire),
    ];
    for (_, name, value) in numbers.into_iter().filter(|number| number.0) {
        let _ = write!(out, " {dashes}{name} {value}");
    }
    show_rest(with, dashes, out);
}

fn show_rest(with: &Hashlimit, dashes: &str, out: &mut String) {
    for (name, prefix) in [("srcmask", with.srcmask), ("dstmask", with.dstmask)] {
        if prefix != 32 {
            let _ = write!(out, " {dashes}{name} {prefix}");
        }
    }
    if with.rate_match {
        let _ = write!(out, " {dashes}rate-match");
        if with.rate_interval != 1 {
            let _ = write!(out, " {dashes}rate-interval {}", with.rate_interval);
        }
    }
}

/// Rules that share a table have the same settings, as with `recent`.
fn drawn(draw: &mut Draw, _: Place) -> String {
    let tables = [
        "table0 --hashlimit-burst 1",
        "table1 --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-srcmask 24",
        "table2 --hashlimit-burst 1 --hashlimit-mode srcip,dstip,dstport",
        "table3 --hashlimit-burst 3 --hashlimit-mode dstip,srcport",
    ];
    let (how, table) = (draw.pick(&["upto", "above"]), draw.pick(&tables));
    format!("-m hashlimit --hashlimit-{how} 1/hour --hashlimit-name {table}")
}
