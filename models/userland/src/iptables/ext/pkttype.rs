//! `-m pkttype`: packet type of the frame (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_pkttype::Pkttype;
use glassnet_kernel::tables::xt::Match;

use super::words::parameter;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "pkttype",
    options: &[Opt::invertible("pkt-type")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

/// Names of the types; the first one of a number is printed.
const TYPES: [(&str, u8); 7] = [
    ("unicast", 0),
    ("broadcast", 1),
    ("multicast", 2),
    ("otherhost", 3),
    ("host", 0),
    ("bcast", 1),
    ("mcast", 2),
];

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("pkttype", given, "pkt-type")?;
    match TYPES.iter().find(|known| known.0.eq_ignore_ascii_case(given.value())) {
        Some((_, kind)) => Ok(Match::new(Pkttype { invert: given.invert, kind: *kind })),
        None => parameter(format!("Bad packet type '{}'", given.value())),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Pkttype>() else { return };
    let name = TYPES.iter().find(|known| known.1 == with.kind).map_or("???", |known| known.0);
    let _ = match (style, with.invert) {
        (Style::Save, false) => write!(out, " --pkt-type {name}"),
        (Style::Save, true) => write!(out, " ! --pkt-type {name}"),
        (_, false) => write!(out, " PKTTYPE = {name}"),
        (_, true) => write!(out, " PKTTYPE != {name}"),
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-m pkttype");
    make.not();
    let kind = make.pick(&["unicast", "broadcast", "multicast", "host", "bcast", "mcast", "otherhost"]);
    make.add(format!("--pkt-type {kind}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m pkttype {}--pkt-type {}", draw.not(), draw.pick(&["unicast", "broadcast", "multicast"]))
}
