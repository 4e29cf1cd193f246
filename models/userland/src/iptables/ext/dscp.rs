//! `-m dscp` and `-j DSCP`: the upper six bits of TOS (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_dscp::{DscpMt, DscpTg};
use glassnet_kernel::tables::xt::{Match, TableName, Target};

use super::words::{conflicts, incomplete, parameter};
use super::{Context, Draw, DrawnTarget, Given, Maker, MatchExt, Opt, Place, Style, TargetExt, XtError, x6};

/// The match.
pub const EXT: MatchExt = MatchExt {
    name: "dscp",
    options: &[Opt::invertible("dscp"), Opt::invertible("dscp-class")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

/// The target.
pub const TARGET: TargetExt = TargetExt {
    name: "DSCP",
    options: &[Opt::value("set-dscp"), Opt::value("set-dscp-class")],
    parse: parse_target,
    show: show_target,
    arbitrary: Some(arbitrary_target),
    drawn: (1, drawn_target),
};

/// The classes of DiffServ by name (RFC 2474, RFC 2597, RFC 3246).
#[rustfmt::skip]
const CLASSES: [(&str, u8); 22] = [
    ("CS0", 0x00), ("CS1", 0x08), ("CS2", 0x10), ("CS3", 0x18), ("CS4", 0x20), ("CS5", 0x28), ("CS6", 0x30),
    ("CS7", 0x38), ("BE", 0x00), ("AF11", 0x0a), ("AF12", 0x0c), ("AF13", 0x0e), ("AF21", 0x12), ("AF22", 0x14),
    ("AF23", 0x16), ("AF31", 0x1a), ("AF32", 0x1c), ("AF33", 0x1e), ("AF41", 0x22), ("AF42", 0x24),
    ("AF43", 0x26), ("EF", 0x2e),
];

fn class(text: &str) -> Result<u8, XtError> {
    match CLASSES.iter().find(|class| class.0.eq_ignore_ascii_case(text)) {
        Some((_, dscp)) => Ok(*dscp),
        None => parameter(format!("Invalid DSCP value `{text}'")),
    }
}

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut found = None;
    for option in given {
        let dscp = match option.name {
            "dscp" => x6::uint("dscp", option, 0, 63)? as u8,
            _ => class(option.value())?,
        };
        found = Some(DscpMt { invert: option.invert, dscp });
    }
    let Some(found) = found else { return incomplete("DSCP match: Parameter --dscp is required") };
    conflicts("dscp", given, &[("dscp", &["dscp-class"])])?;
    Ok(Match::new(found))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<DscpMt>() else { return };
    let _ = match (style, with.invert) {
        (Style::Save, false) => write!(out, " --dscp 0x{:02x}", with.dscp),
        (Style::Save, true) => write!(out, " ! --dscp 0x{:02x}", with.dscp),
        (_, false) => write!(out, " DSCP match 0x{:02x}", with.dscp),
        (_, true) => write!(out, " DSCP match !0x{:02x}", with.dscp),
    };
}

fn parse_target(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut found = None;
    for option in given {
        let dscp = match option.name {
            "set-dscp" => x6::uint("DSCP", option, 0, 63)? as u8,
            _ => class(option.value())?,
        };
        found = Some(DscpTg { dscp });
    }
    let Some(found) = found else { return incomplete("DSCP target: Parameter --set-dscp is required") };
    conflicts("DSCP", given, &[("set-dscp", &["set-dscp-class"])])?;
    Ok(Target::new(found))
}

fn show_target(target: &Target, style: Style, out: &mut String) {
    let Some(target) = target.get::<DscpTg>() else { return };
    let text = if style == Style::Save { "--set-dscp" } else { "DSCP set" };
    let _ = write!(out, " {text} 0x{:02x}", target.dscp);
}

fn arbitrary(make: &mut Maker) {
    make.add("-m dscp");
    make.not();
    if make.one_in(2) {
        let class = make.pick(&["CS0", "CS1", "CS7", "BE", "AF11", "af23", "AF43", "EF"]);
        make.add(format!("--dscp-class {class}"));
    } else {
        let dscp = make.number(64);
        make.add(format!("--dscp {dscp}"));
    }
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    let what = draw.pick(&["--dscp 0x00", "--dscp 0x04", "--dscp-class EF"]);
    format!("-m dscp {}{what}", draw.not())
}

fn arbitrary_target(make: &mut Maker) {
    if make.table == TableName::Mangle {
        let dscp = make.number(64);
        make.add(format!("-j DSCP --set-dscp {dscp}"));
    }
}

fn drawn_target(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "mangle" {
        return DrawnTarget::NONE;
    }
    let what = ["--set-dscp 0x04", "--set-dscp-class EF"];
    DrawnTarget::plain(format!("-j DSCP {}", draw.pick(&what)))
}
