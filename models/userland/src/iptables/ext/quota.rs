//! `-m quota`: a number of bytes (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::extension::Kept;
use glassnet_kernel::net::netfilter::xt_quota::Quota;
use glassnet_kernel::tables::xt::Match;

use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "quota",
    options: &[Opt::invertible("quota")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let option = x6::mandatory("quota", given, "quota")?;
    let quota = x6::uint("quota", option, 0, u64::MAX)?;
    Ok(Match::new(Quota { invert: option.invert, quota, left: Kept(quota) }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(Quota { invert, quota, .. }) = with.get() else { return };
    let _ = match style {
        Style::Save => write!(out, "{} --quota {quota}", if *invert { " !" } else { "" }),
        Style::List { .. } => write!(out, " quota: {quota} bytes"),
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-m quota");
    make.not();
    let quota = make.number(1 << 40);
    make.add(format!("--quota {quota}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m quota {}--quota {}", draw.not(), draw.pick(&[0, 50, 100, 200, 1000]))
}
