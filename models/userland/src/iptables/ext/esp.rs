//! `-m esp`: Security Parameters Index (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_esp::Esp;
use glassnet_kernel::tables::xt::Match;

use super::{Context, Given, MatchExt, Opt, Style, XtError, spi};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "esp",
    options: &[Opt::invertible("espspi")],
    parse,
    show,
    arbitrary: Some(|make| spi::arbitrary("esp", make)),
    drawn: (1, |draw, place| spi::drawn("esp", draw, place)),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let (invert, spis) = spi::parse("esp", given)?;
    Ok(Match::new(Esp { invert, spis }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(&Esp { invert, spis }) = with.get() else { return };
    spi::show("esp", [" esp", " "], (invert, spis), style, out);
}
