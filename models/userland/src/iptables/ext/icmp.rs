//! `-m icmp`: types and codes (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::ipv4::netfilter::ipt_icmp::Icmp;
use glassnet_kernel::tables::xt::Match;

use super::words::parameter;
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "icmp",
    options: &[Opt::invertible("icmp-type")],
    parse,
    show,
    arbitrary: None,
    drawn: (1, drawn),
};

/// Any type.
const ANY: u8 = 255;

/// Names of types and codes. An alias follows its first name.
#[rustfmt::skip] // A table.
const NAMES: &[(&str, u8, Option<u8>)] = &[
    ("any", ANY, None),
    ("echo-reply", 0, None), ("pong", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)), ("host-unreachable", 3, Some(1)), ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)), ("fragmentation-needed", 3, Some(4)), ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)), ("host-unknown", 3, Some(7)), ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)), ("TOS-network-unreachable", 3, Some(11)),
    ("TOS-host-unreachable", 3, Some(12)), ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)), ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)), ("host-redirect", 5, Some(1)), ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)),
    ("echo-request", 8, None), ("ping", 8, None),
    ("router-advertisement", 9, None), ("router-solicitation", 10, None),
    ("time-exceeded", 11, None), ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)), ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None), ("ip-header-bad", 12, Some(0)), ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None), ("timestamp-reply", 14, None),
    ("address-mask-request", 17, None), ("address-mask-reply", 18, None),
];

fn codes(code: Option<u8>) -> (u8, u8) {
    code.map_or((0, 255), |code| (code, code))
}

/// A name, an unambiguous abbreviation, or `TYPE[/CODE[:CODE]]`.
fn parse_type(text: &str) -> Result<(u8, (u8, u8)), XtError> {
    let begins = |name: &str| name.get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text));
    let mut named = NAMES.iter().filter(|(name, ..)| begins(name));
    match (named.next(), named.next()) {
        (Some((first, ..)), Some((second, ..))) => {
            return parameter(format!("Ambiguous ICMP type `{text}': `{first}' or `{second}'?"));
        }
        (Some((_, kind, code)), None) => return Ok((*kind, codes(*code))),
        _ => {}
    }
    let Some(((kind, last), rest)) = range(text) else {
        return parameter(format!("Unknown ICMP type `{text}'"));
    };
    let (code, rest) = match rest.strip_prefix('/') {
        None => ((0, 255), rest),
        Some(code) => match range(code) {
            Some(found) => found,
            None => return parameter(format!("Unknown ICMP code `{text}'")),
        },
    };
    match rest.chars().next() {
        Some(letter) => parameter(format!("unknown character {letter}")),
        None if kind != last => parameter("ICMP type range not supported"),
        None => Ok((kind, code)),
    }
}

/// `N` or `N:N` at the start of a text, each up to 255, and the rest.
fn range(text: &str) -> Option<((u8, u8), &str)> {
    let number = |text| x6::strtoul(text).filter(|(number, _)| *number <= 255);
    let (low, rest) = number(text)?;
    let (high, rest) = match rest.strip_prefix(':') {
        Some(high) => number(high)?,
        None => (low, rest),
    };
    Some(((low as u8, high as u8), rest))
}

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("icmp", given, "icmp-type")?;
    let (kind, code) = parse_type(given.value())?;
    Ok(Match::new(Icmp { invert: given.invert, kind, code }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(icmp) = with.get::<Icmp>() else { return };
    let (kind, code) = (icmp.kind, icmp.code);
    match style {
        Style::Save => {
            *out += if icmp.invert { " ! --icmp-type " } else { " --icmp-type " };
            let _ = match (kind, code) {
                (ANY, _) => write!(out, "any"),
                (_, (0, 255)) => write!(out, "{kind}"),
                (_, (code, _)) => write!(out, "{kind}/{code}"),
            };
        }
        Style::List { numeric, .. } => {
            *out += " icmp";
            let name = NAMES.iter().find(|row| row.1 == kind && codes(row.2) == code).filter(|_| !numeric);
            if let Some((name, ..)) = name {
                let _ = write!(out, " {}{name}", if icmp.invert { "!" } else { "" });
                return;
            }
            let _ = write!(out, "{}type {kind}", if icmp.invert { " !" } else { "" });
            let _ = match code {
                (0, 255) => Ok(()),
                (code, last) if code == last => write!(out, " code {code}"),
                (low, high) => write!(out, " codes {low}-{high}"),
            };
        }
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["icmp"]) {
        return String::new();
    }
    let kind = draw.pick(&["echo-request", "echo-reply", "destination-unreachable", "any", "3/3", "11"]);
    format!("-m icmp {}--icmp-type {kind}", draw.not())
}
