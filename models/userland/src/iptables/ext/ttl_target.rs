//! `-j TTL`: changes the time to live (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_hl::{TtlTg, TtlTgMode};
use glassnet_kernel::tables::xt::{TableName, Target};

use super::words::{conflicts, incomplete};
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "TTL",
    options: &[Opt::value("ttl-set"), Opt::value("ttl-inc"), Opt::value("ttl-dec")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut found = None;
    for option in given {
        let (mode, min) = match option.name {
            "ttl-set" => (TtlTgMode::Set, 0),
            "ttl-inc" => (TtlTgMode::Inc, 1),
            _ => (TtlTgMode::Dec, 1),
        };
        found = Some(TtlTg { mode, ttl: x6::uint("TTL", option, min, 255)? as u8 });
    }
    let Some(found) = found else { return incomplete("TTL: You must specify an action") };
    conflicts("TTL", given, &[("ttl-set", &["ttl-inc", "ttl-dec"]), ("ttl-dec", &["ttl-inc"])])?;
    Ok(Target::new(found))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(&TtlTg { mode, ttl }) = target.get() else { return };
    let _ = match (style, mode) {
        (Style::Save, TtlTgMode::Set) => write!(out, " --ttl-set {ttl}"),
        (Style::Save, TtlTgMode::Inc) => write!(out, " --ttl-inc {ttl}"),
        (Style::Save, TtlTgMode::Dec) => write!(out, " --ttl-dec {ttl}"),
        (_, TtlTgMode::Set) => write!(out, " TTL set to {ttl}"),
        (_, TtlTgMode::Inc) => write!(out, " TTL increment by {ttl}"),
        (_, TtlTgMode::Dec) => write!(out, " TTL decrement by {ttl}"),
    };
}

fn arbitrary(make: &mut Maker) {
    if make.table != TableName::Mangle {
        return;
    }
    let (option, ttl) = (make.pick(&["set", "inc", "dec"]), 1 + make.below(255));
    make.add(format!("-j TTL --ttl-{option} {ttl}"));
}

fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "mangle" {
        return DrawnTarget::NONE;
    }
    let what = ["--ttl-set 10", "--ttl-dec 1", "--ttl-inc 2"];
    DrawnTarget::plain(format!("-j TTL {}", draw.pick(&what)))
}
