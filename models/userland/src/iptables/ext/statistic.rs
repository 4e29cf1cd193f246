//! `-m statistic`: every nth packet, or random ones (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::extension::Kept;
use glassnet_kernel::net::netfilter::xt_statistic::{Statistic, StatisticMode};
use glassnet_kernel::tables::xt::Match;

use super::words::{conflicts, incomplete, parameter};
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::value("mode"),
        Opt::invertible("probability"),
        Opt::invertible("every"),
        Opt::value("packet"),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (2, drawn),
};

const NAME: &str = "statistic";
/// A probability of one.
const ONE: f64 = 2_147_483_648.0;

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let find = |name: &str| given.iter().find(|given| given.name == name);
    let (mut probability, mut every, mut packet, mut nth) = (None, None, 0, false);
    for option in given {
        let value = option.value();
        match option.name {
            "mode" if value == "random" => {}
            "mode" if value == "nth" => nth = true,
            "mode" => return parameter(format!("Bad mode \"{value}\"")),
            "probability" => probability = Some(((fraction(option)? * ONE).round() as u32, option.invert)),
            "every" => {
                every = Some((x6::uint(NAME, option, 1, u64::from(u32::MAX))? as u32, option.invert));
            }
            _ => packet = x6::uint(NAME, option, 0, u64::from(u32::MAX))? as u32,
        }
    }
    conflicts(NAME, given, &[("probability", &["every", "packet"])])?;
    if (nth || probability.is_some()) && every.is_some() && find("packet").is_none() {
        return incomplete(format!("{NAME}: option \"--every\" also requires \"--packet\".\n"));
    }
    let (mode, invert) = match (nth, probability, every) {
        (false, None, _) => return incomplete("--probability must be specified when using random mode"),
        (false, Some((value, invert)), _) => (StatisticMode::Random(value), invert),
        (true, _, None) if find("packet").is_some() && packet == 0 => {
            return incomplete(format!("{NAME}: option \"--packet\" also requires \"--every\".\n"));
        }
        (true, _, None) if find("packet").is_some() => return packet_range(),
        (true, _, None) => {
            return incomplete("--every and --packet must be specified when using nth mode");
        }
        (true, _, Some((every, _))) if packet >= every => return packet_range(),
        (true, _, Some((every, invert))) => {
            (StatisticMode::Nth { every, packet, count: Kept(every - 1 - packet) }, invert)
        }
    };
    x6::mandatory(NAME, given, "mode")?;
    Ok(Match::new(Statistic { invert, mode }))
}

fn packet_range<T>() -> Result<T, XtError> {
    incomplete("the --packet p must be 0 <= p <= n-1")
}

fn fraction(given: &Given) -> Result<f64, XtError> {
    match given.value().trim_start().parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => x6::error(NAME, "bad value for option \"--probability\", or out of range (0-1)."),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Statistic>() else { return };
    let (lead, dashes) = if style == Style::Save { (" --mode", "--") } else { (" statistic mode", "") };
    let not = if with.invert { " !" } else { "" };
    let _ = match with.mode {
        StatisticMode::Random(value) => {
            write!(out, "{lead} random{not} {dashes}probability {:.11}", f64::from(value) / ONE)
        }
        // The listing omits the default.
        StatisticMode::Nth { every, packet: 0, .. } if style != Style::Save => {
            write!(out, "{lead} nth{not} every {every}")
        }
        StatisticMode::Nth { every, packet, .. } => {
            write!(out, "{lead} nth{not} {dashes}every {every} {dashes}packet {packet}")
        }
    };
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    let not = draw.not();
    if draw.one_in(3) {
        return format!("-m statistic --mode random {not}--probability {}", draw.pick(&["1.0", "0"]));
    }
    let every = draw.below(3) + 2;
    format!("-m statistic --mode nth {not}--every {every} --packet {}", draw.below(every))
}
