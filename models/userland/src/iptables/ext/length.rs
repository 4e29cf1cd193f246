//! `-m length`: the length of the IP packet (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_length::Length;
use glassnet_kernel::tables::xt::Match;

use super::words::show_range;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "length",
    options: &[Opt::invertible("length")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("length", given, "length")?;
    let (low, high) = x6::range("length", given, 0xffff)?;
    Ok(Match::new(Length { invert: given.invert, range: (low as u16, high as u16) }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Length>() else { return };
    out.push_str(match (style, with.invert) {
        (Style::Save, false) => " --length ",
        (Style::Save, true) => " ! --length ",
        (_, false) => " length ",
        (_, true) => " length !",
    });
    show_range((u32::from(with.range.0), u32::from(with.range.1)), out);
}

fn arbitrary(make: &mut Maker) {
    make.add("-m length");
    make.not();
    let range = make.range(65_536);
    make.add(format!("--length {range}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m length {}--length {}", draw.not(), draw.pick(&["28", "40:100", "60", ":50", "44"]))
}
