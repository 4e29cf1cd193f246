//! `-m rpfilter`: reverse path filter (iptables-extensions(8)).

use glassnet_kernel::net::ipv4::netfilter::ipt_rpfilter::Rpfilter;
use glassnet_kernel::tables::xt::Match;

use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "rpfilter",
    options: &[Opt::flag("loose"), Opt::flag("validmark"), Opt::flag("accept-local"), Opt::flag("invert")],
    parse,
    show,
    arbitrary: None,
    drawn: (8, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let is_given = |name: &str| given.iter().any(|given| given.name == name);
    Ok(Match::new(Rpfilter {
        loose: is_given("loose"),
        validmark: is_given("validmark"),
        accept_local: is_given("accept-local"),
        invert: is_given("invert"),
    }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Rpfilter>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    out.push_str(if style == Style::Save { "" } else { " rpfilter" });
    let flags = [
        (with.loose, "loose"),
        (with.validmark, "validmark"),
        (with.accept_local, "accept-local"),
        (with.invert, "invert"),
    ];
    for (_, name) in flags.into_iter().filter(|(on, _)| *on) {
        out.push(' ');
        out.push_str(dashes);
        out.push_str(name);
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if place.chain != "PREROUTING" || !matches!(place.table, "raw" | "mangle") {
        return String::new();
    }
    let flags = ["--loose", "--validmark", "--accept-local", "--invert"].map(|flag| (flag, draw.one_in(3)));
    let flags = flags.into_iter().filter(|(_, on)| *on).map(|(flag, _)| format!(" {flag}"));
    format!("-m rpfilter{}", flags.collect::<String>())
}
