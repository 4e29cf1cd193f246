//! `-m state`: the old spelling of `conntrack --ctstate` (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_conntrack::State;
use glassnet_kernel::tables::xt::Match;

use super::conntrack::{STATES, abbreviated, show_bits};
use super::words::parameter;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "state",
    options: &[Opt::invertible("state")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("state", given, "state")?;
    let (mut state, mut rest) = (0, given.value());
    while let Some((word, more)) = rest.split_once(',') {
        state |= known(word, rest)?;
        rest = more;
    }
    if rest.is_empty() {
        return parameter("\"--state\" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED");
    }
    state |= known(rest, rest)?;
    Ok(Match::new(State { invert: given.invert, state }))
}

fn known(word: &str, rest: &str) -> Result<u16, XtError> {
    match abbreviated(word, &STATES[..5]) {
        Some(bit) => Ok(bit),
        None => parameter(format!("Bad state \"{}\"", if word.is_empty() { rest } else { word })),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<State>() else { return };
    if with.invert {
        out.push_str(" !");
    }
    out.push_str(if style == Style::Save { " --state" } else { " state" });
    show_bits(with.state, &STATES[..5], out);
}

fn arbitrary(make: &mut Maker) {
    make.add("-m state");
    make.not();
    let states = make.some(&["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"]);
    make.add(format!("--state {states}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    let states = draw.some(&["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]);
    format!("-m state {}--state {states}", draw.not())
}
