//! `-m esp`: Security Parameters Index (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_esp::Esp;
use glassnet_kernel::tables::xt::Match;

use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "esp",
    options: &[Opt::invertible("espspi")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const ANY: (u32, u32) = (0, u32::MAX);

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Esp { invert: false, spis: ANY };
    for option in given {
        let (low, high) = x6::range("esp", option, u64::from(u32::MAX))?;
        with = Esp { invert: option.invert, spis: (low as u32, high as u32) };
    }
    Ok(Match::new(with))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(&Esp { invert, spis: (low, high) }) = with.get() else { return };
    if style == Style::Save {
        // The real tool does not save a full range, though it may be inverted.
        if (low, high) != ANY {
            let _ = write!(out, "{} --espspi {low}", if invert { " !" } else { "" });
            if low != high {
                let _ = write!(out, ":{high}");
            }
        }
        return;
    }
    *out += " esp";
    let not = if invert { "!" } else { "" };
    if (low, high) == ANY && !invert {
        return;
    }
    let _ = match low == high {
        true => write!(out, " spi:{not}{low}"),
        false => write!(out, " spis:{not}{low}:{high}"),
    };
}

fn arbitrary(make: &mut Maker) {
    if !make.is_proto(&["esp"]) {
        return;
    }
    make.add("-m esp");
    make.not();
    let range = make.range(1 << 32);
    make.add(format!("--espspi {range}"));
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["esp"]) {
        return String::new();
    }
    // Packets of cases hold `abcdefgh`.
    let spi = draw.pick(&["0x61626364", "0x65666768", "7:9", "1000:"]);
    format!("-m esp {}--espspi {spi}", draw.not())
}
