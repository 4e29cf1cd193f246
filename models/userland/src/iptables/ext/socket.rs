//! `-m socket`: a local socket matches the packet (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_socket::SocketMatch;
use glassnet_kernel::tables::xt::Match;

use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "socket",
    options: &[Opt::flag("transparent"), Opt::flag("nowildcard"), Opt::flag("restore-skmark")],
    parse,
    show,
    arbitrary: None,
    drawn: (4, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let is_given = |name: &str| given.iter().any(|given| given.name == name);
    Ok(Match::new(SocketMatch {
        transparent: is_given("transparent"),
        nowildcard: is_given("nowildcard"),
        restore_skmark: is_given("restore-skmark"),
    }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<SocketMatch>() else { return };
    out.push_str(if style == Style::Save { "" } else { " socket" });
    out.push_str(if with.transparent { " --transparent" } else { "" });
    out.push_str(if with.nowildcard { " --nowildcard" } else { "" });
    out.push_str(if with.restore_skmark { " --restore-skmark" } else { "" });
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_in(&["PREROUTING", "INPUT"]) {
        return String::new();
    }
    format!(
        "-m socket{}",
        draw.pick(&["", " --nowildcard", " --transparent", " --nowildcard --restore-skmark"])
    )
}
