//! `-m helper`: the helper that expected a connection (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_helper::Helper;
use glassnet_kernel::tables::xt::Match;

use super::words::{save_string, truncated};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "helper",
    options: &[Opt::invertible("helper")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

/// Longest name, bytes.
const NAME_LEN: usize = 29;

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let option = x6::mandatory("helper", given, "helper")?;
    Ok(Match::new(Helper { invert: option.invert, name: truncated(option.value(), NAME_LEN) }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(Helper { invert, name }) = with.get() else { return };
    let not = if *invert { " !" } else { "" };
    match style {
        Style::Save => {
            *out += &format!("{not} --helper");
            save_string(name, out);
        }
        Style::List { .. } => {
            let _ = write!(out, " helper match{not} \"{name}\"");
        }
    }
}

fn arbitrary(make: &mut Maker) {
    make.add("-m helper");
    make.not();
    let name = make.pick(&["ftp", "ftp-2121", "sip"]);
    make.add(format!("--helper {name}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m helper {}--helper ftp", draw.not())
}
