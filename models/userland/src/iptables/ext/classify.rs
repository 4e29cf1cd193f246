//! `-j CLASSIFY`: chooses the class of a queueing discipline (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_classify::Classify;
use glassnet_kernel::tables::xt::Target;

use super::words::parameter;
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "CLASSIFY",
    options: &[Opt::value("set-class")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let given = x6::mandatory("CLASSIFY", given, "set-class")?;
    let class = || {
        let (major, rest) = scan_hex(given.value())?;
        let (minor, _) = scan_hex(rest.strip_prefix(':')?)?;
        Some((major << 16) | (minor & 0xffff))
    };
    match class() {
        Some(priority) => Ok(Target::new(Classify { priority })),
        None => parameter(format!("Bad class value \"{}\"", given.value())),
    }
}

/// A number as `scanf("%x")` reads it, and what follows it.
fn scan_hex(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start();
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let end = text.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).unwrap_or(u64::MAX);
    Some((if negative { value.wrapping_neg() } else { value } as u32, rest))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(&Classify { priority }) = target.get() else { return };
    let (major, minor) = (priority >> 16, priority & 0xffff);
    let _ = match style {
        Style::Save => write!(out, " --set-class {major:04x}:{minor:04x}"),
        Style::List { .. } => write!(out, " CLASSIFY set {major:x}:{minor:x}"),
    };
}

fn arbitrary(make: &mut Maker) {
    if matches!(make.chain, "FORWARD" | "OUTPUT" | "POSTROUTING") {
        let (major, minor) = (make.below(1 << 16), make.below(1 << 16));
        make.add(format!("-j CLASSIFY --set-class {major:x}:{minor:x}"));
    }
}

fn drawn(_: &mut Draw, place: Place) -> DrawnTarget {
    if !place.leaves() {
        return DrawnTarget::NONE;
    }
    DrawnTarget::plain("-j CLASSIFY --set-class 1:2")
}
