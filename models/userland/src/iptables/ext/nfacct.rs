//! `-m nfacct`: counts on an accounting object (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::nfnetlink_acct::NFACCT_NAME_LEN;
use glassnet_kernel::net::netfilter::xt_nfacct::Nfacct;
use glassnet_kernel::tables::xt::Match;

use super::words::{parameter, truncated};
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "nfacct",
    options: &[Opt::value("nfacct-name")],
    parse,
    show,
    arbitrary: None,
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let name = x6::mandatory("nfacct", given, "nfacct-name")?.value();
    if name.is_empty() {
        return parameter("Argument must have a minimum length of 1 characters\n");
    }
    Ok(Match::new(Nfacct { name: truncated(name, NFACCT_NAME_LEN) }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Nfacct>() else { return };
    let _ = match style {
        Style::Save => write!(out, " --nfacct-name  {}", with.name),
        Style::List { .. } => write!(out, " nfacct-name  {}", with.name),
    };
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    match draw.accounts {
        0 => String::new(),
        count => format!("-m nfacct --nfacct-name acct{}", draw.below(count)),
    }
}
