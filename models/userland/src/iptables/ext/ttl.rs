//! `-m ttl`: the time to live (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_hl::{TtlMt, TtlMtMode};
use glassnet_kernel::tables::xt::Match;

use super::words::{canonical, conflicts, incomplete};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt =
    MatchExt { name: "ttl", options: OPTIONS, parse, show, arbitrary: Some(arbitrary), drawn: (2, drawn) };

const OPTIONS: &[Opt] = &[
    Opt::value("ttl-lt"),
    Opt::value("ttl-gt"),
    Opt::invertible("ttl-eq").many(),
    Opt::invertible("ttl").many(),
];

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = canonical("ttl", given, &[("ttl", "ttl-eq")])?;
    let mut found = None;
    for option in &given {
        let mode = match (option.name, option.invert) {
            ("ttl-lt", _) => TtlMtMode::Lt,
            ("ttl-gt", _) => TtlMtMode::Gt,
            (_, false) => TtlMtMode::Eq,
            (_, true) => TtlMtMode::Ne,
        };
        found = Some(TtlMt { mode, ttl: x6::uint("ttl", option, 0, 255)? as u8 });
    }
    let Some(found) = found else {
        return incomplete("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt");
    };
    conflicts("ttl", &given, &[("ttl-lt", &["ttl-gt", "ttl-eq"]), ("ttl-gt", &["ttl-eq"])])?;
    Ok(Match::new(found))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<TtlMt>() else { return };
    let (save, list) = match with.mode {
        TtlMtMode::Eq => ("--ttl-eq", "=="),
        TtlMtMode::Ne => ("! --ttl-eq", "!="),
        TtlMtMode::Lt => ("--ttl-lt", "<"),
        TtlMtMode::Gt => ("--ttl-gt", ">"),
    };
    let _ = match style {
        Style::Save => write!(out, " {save} {}", with.ttl),
        Style::List { .. } => write!(out, " TTL match TTL {list} {}", with.ttl),
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-m ttl");
    let option = make.pick(&["--ttl-eq", "! --ttl-eq", "--ttl", "--ttl-lt", "--ttl-gt"]);
    let ttl = make.number(256);
    make.add(format!("{option} {ttl}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    let what = ["--ttl-eq 64", "--ttl-lt 10", "--ttl-gt 63", "! --ttl-eq 63", "--ttl-eq 1"];
    format!("-m ttl {}", draw.pick(&what))
}
