//! Security Parameters Indexes: what `-m ah` and `-m esp` have in common (iptables-extensions(8)).

use std::fmt::Write;

use super::{Draw, Given, Maker, Place, Style, XtError, x6};

/// First and last index, and whether the range is inverted.
pub(super) type Spis = (bool, (u32, u32));

const ANY: (u32, u32) = (0, u32::MAX);

/// Reads the one option.
pub(super) fn parse(name: &'static str, given: &[Given]) -> Result<Spis, XtError> {
    let mut spis = (false, ANY);
    for option in given {
        let (low, high) = x6::range(name, option, u64::from(u32::MAX))?;
        spis = (option.invert, (low as u32, high as u32));
    }
    Ok(spis)
}

/// Writes the option, or for lists the index behind the match's title: its two parts are written even for any index, and
/// only before one.
pub(super) fn show(
    name: &str,
    [title, gap]: [&str; 2],
    (invert, (low, high)): Spis,
    style: Style,
    out: &mut String,
) {
    if style == Style::Save {
        // The real tool does not save a full range, though it may be inverted.
        if (low, high) != ANY {
            let _ = write!(out, "{} --{name}spi {low}", if invert { " !" } else { "" });
            if low != high {
                let _ = write!(out, ":{high}");
            }
        }
        return;
    }
    *out += title;
    let not = if invert { "!" } else { "" };
    if (low, high) == ANY && !invert {
        return;
    }
    let _ = match low == high {
        true => write!(out, "{gap}spi:{not}{low}"),
        false => write!(out, "{gap}spis:{not}{low}:{high}"),
    };
}

/// Any way to write it.
pub(super) fn arbitrary(name: &str, make: &mut Maker) {
    if !make.is_proto(&[name]) {
        return;
    }
    make.add(format!("-m {name}"));
    make.not();
    let range = make.range(1 << 32);
    make.add(format!("--{name}spi {range}"));
}

/// A match that packets of random cases meet.
pub(super) fn drawn(name: &str, draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&[name]) {
        return String::new();
    }
    // Packets of cases hold `abcdefgh`.
    let spi = draw.pick(&["0x61626364", "0x65666768", "7:9", "1000:"]);
    format!("-m {name} {}--{name}spi {spi}", draw.not())
}
