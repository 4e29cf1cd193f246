//! `-m ah`: Security Parameters Index (iptables-extensions(8)).

use glassnet_kernel::net::ipv4::netfilter::ipt_ah::Ah;
use glassnet_kernel::tables::xt::Match;

use super::{Context, Given, MatchExt, Opt, Style, XtError, spi};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "ah",
    options: &[Opt::invertible("ahspi")],
    parse,
    show,
    arbitrary: Some(|make| spi::arbitrary("ah", make)),
    drawn: (1, |draw, place| spi::drawn("ah", draw, place)),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let (invert, spis) = spi::parse("ah", given)?;
    Ok(Match::new(Ah { invert, spis }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(&Ah { invert, spis }) = with.get() else { return };
    spi::show("ah", [" ah ", ""], (invert, spis), style, out);
}
