//! `-m ah`: Security Parameters Index (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::ipv4::netfilter::ipt_ah::Ah;
use glassnet_kernel::tables::xt::Match;

use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "ah",
    options: &[Opt::invertible("ahspi")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const ANY: (u32, u32) = (0, u32::MAX);

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Ah { invert: false, spis: ANY };
    for option in given {
        let (low, high) = x6::range("ah", option, u64::from(u32::MAX))?;
        with = Ah { invert: option.invert, spis: (low as u32, high as u32) };
    }
    Ok(Match::new(with))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(&Ah { invert, spis: (low, high) }) = with.get() else { return };
    if style == Style::Save {
        // The real tool does not save a full range, though it may be inverted.
        if (low, high) != ANY {
            let _ = write!(out, "{} --ahspi {low}", if invert { " !" } else { "" });
            if low != high {
                let _ = write!(out, ":{high}");
            }
        }
        return;
    }
    *out += " ah ";
    let not = if invert { "!" } else { "" };
    if (low, high) == ANY && !invert {
        return;
    }
    let _ = match low == high {
        true => write!(out, "spi:{not}{low}"),
        false => write!(out, "spis:{not}{low}:{high}"),
    };
}

fn arbitrary(make: &mut Maker) {
    if !make.is_proto(&["ah"]) {
        return;
    }
    make.add("-m ah");
    make.not();
    let range = make.range(1 << 32);
    make.add(format!("--ahspi {range}"));
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["ah"]) {
        return String::new();
    }
    // Packets of cases hold `abcdefgh`.
    let spi = draw.pick(&["0x61626364", "0x65666768", "7:9", "1000:"]);
    format!("-m ah {}--ahspi {spi}", draw.not())
}
