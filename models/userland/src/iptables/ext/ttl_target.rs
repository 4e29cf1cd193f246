//! `-j TTL`: changes the time to live (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::tables::xt::Target;
use glassnet_kernel::tables::xt::targets::{Ttl, TtlMode};

use super::words::{conflicts, parameter};
use super::{Context, Given, Opt, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "TTL",
    options: &[Opt::value("ttl-set"), Opt::value("ttl-inc"), Opt::value("ttl-dec")],
    parse,
    show,
};

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut found = None;
    for option in given {
        let (mode, min) = match option.name {
            "ttl-set" => (TtlMode::Set, 0),
            "ttl-inc" => (TtlMode::Inc, 1),
            _ => (TtlMode::Dec, 1),
        };
        found = Some(Ttl { mode, ttl: x6::uint("TTL", option, min, 255)? as u8 });
    }
    let Some(found) = found else { return parameter("TTL: You must specify an action") };
    conflicts("TTL", given, &[("ttl-set", &["ttl-inc", "ttl-dec"]), ("ttl-inc", &["ttl-dec"])])?;
    Ok(Target::Ttl(found))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Target::Ttl(Ttl { mode, ttl }) = *target else { return };
    let _ = match (style, mode) {
        (Style::Save, TtlMode::Set) => write!(out, " --ttl-set {ttl}"),
        (Style::Save, TtlMode::Inc) => write!(out, " --ttl-inc {ttl}"),
        (Style::Save, TtlMode::Dec) => write!(out, " --ttl-dec {ttl}"),
        (_, TtlMode::Set) => write!(out, " TTL set to {ttl}"),
        (_, TtlMode::Inc) => write!(out, " TTL increment by {ttl}"),
        (_, TtlMode::Dec) => write!(out, " TTL decrement by {ttl}"),
    };
}
