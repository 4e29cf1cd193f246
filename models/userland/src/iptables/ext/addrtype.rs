//! `-m addrtype`: type of an address (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_addrtype::Addrtype;
use glassnet_kernel::tables::xt::Match;

use super::words::{conflicts, incomplete, parameter};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "addrtype",
    options: OPTIONS,
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (2, drawn),
};

const OPTIONS: &[Opt] = &[
    Opt::invertible("src-type"),
    Opt::invertible("dst-type"),
    Opt::flag("limit-iface-in"),
    Opt::flag("limit-iface-out"),
];

/// The types by number (`RTN_*`).
pub const TYPES: [&str; 12] = [
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Addrtype::default();
    for option in given {
        match option.name {
            "src-type" => with.source = Some((option.invert, types(option.value())?)),
            "dst-type" => with.dest = Some((option.invert, types(option.value())?)),
            "limit-iface-in" => with.limit_in = true,
            _ => with.limit_out = true,
        }
    }
    if with.source.is_none() && with.dest.is_none() {
        return incomplete("addrtype: you must specify --src-type or --dst-type");
    }
    conflicts("addrtype", given, &[("limit-iface-in", &["limit-iface-out"])])?;
    Ok(Match::new(with))
}

fn types(text: &str) -> Result<u16, XtError> {
    let (mut found, mut rest) = (0, text);
    while let Some((word, more)) = rest.split_once(',') {
        match kind(word) {
            Some(bit) => found |= bit,
            // The real tool's message has these quotes and the rest of the list.
            None => return parameter(format!("addrtype: bad type `{rest}'")),
        }
        rest = more;
    }
    match kind(rest) {
        Some(bit) => Ok(found | bit),
        None => parameter(format!("addrtype: bad type \"{rest}\"")),
    }
}

fn kind(word: &str) -> Option<u16> {
    let begins = |name: &&str| name.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
    TYPES.iter().position(begins).filter(|_| !word.is_empty()).map(|at| 1 << at)
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Addrtype>() else { return };
    let save = style == Style::Save;
    if !save {
        out.push_str(" ADDRTYPE match");
    }
    for (name, types) in [("src-type", with.source), ("dst-type", with.dest)] {
        let Some((not, types)) = types else { continue };
        let _ = match (save, not) {
            (true, false) => write!(out, " --{name} "),
            (true, true) => write!(out, " ! --{name} "),
            (false, false) => write!(out, " {name} "),
            (false, true) => write!(out, " {name} !"),
        };
        let names = TYPES.iter().enumerate().filter(|(at, _)| types & (1 << at) != 0);
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        out.push_str(&names.join(","));
    }
    for (name, limited) in [("in", with.limit_in), ("out", with.limit_out)] {
        if limited {
            let _ = write!(out, " {}{name}", if save { "--limit-iface-" } else { "limit-" });
        }
    }
}

fn arbitrary(make: &mut Maker) {
    make.add("-m addrtype");
    let sides: &[&str] = [&["src"][..], &["dst"], &["src", "dst"]][make.below(3) as usize];
    for side in sides {
        make.not();
        let types = make.some(&TYPES);
        make.add(format!("--{side}-type {types}"));
    }
    let limited = make.below(3);
    match make.chain {
        "PREROUTING" | "INPUT" | "FORWARD" if limited == 0 => make.add("--limit-iface-in"),
        "OUTPUT" | "POSTROUTING" | "FORWARD" if limited == 1 => make.add("--limit-iface-out"),
        _ => {}
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    const TYPES: [&str; 6] = ["LOCAL", "UNICAST", "BROADCAST", "MULTICAST", "UNSPEC", "BLACKHOLE"];
    let which = draw.pick(&["--dst-type", "--src-type"]);
    let limit = match draw.below(4) {
        0 if place.comes_in() => " --limit-iface-in",
        1 if place.leaves() => " --limit-iface-out",
        _ => "",
    };
    format!("-m addrtype {}{which} {}{limit}", draw.not(), draw.some(&TYPES))
}
