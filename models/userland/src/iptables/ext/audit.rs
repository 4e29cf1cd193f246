//! `-j AUDIT`: a record in the audit log (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_audit::Audit;
use glassnet_kernel::tables::xt::Target;

use super::words::parameter;
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "AUDIT",
    options: &[Opt::value("type")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const TYPES: [(&str, Audit); 3] =
    [("accept", Audit::Accept), ("drop", Audit::Drop), ("reject", Audit::Reject)];

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let given = x6::mandatory("AUDIT", given, "type")?;
    match TYPES.iter().find(|known| known.0.eq_ignore_ascii_case(given.value())) {
        Some((_, audit)) => Ok(Target::new(*audit)),
        None => parameter(format!("Bad action type value \"{}\"", given.value())),
    }
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(target) = target.get::<Audit>() else { return };
    let name = TYPES.iter().find(|known| known.1 == *target).map_or("", |known| known.0);
    let text = if style == Style::Save { "--type" } else { "AUDIT" };
    let _ = write!(out, " {text} {name}");
}

fn arbitrary(make: &mut Maker) {
    let kind = make.pick(&["accept", "drop", "reject"]);
    make.add(format!("-j AUDIT --type {kind}"));
}

fn drawn(draw: &mut Draw, _: Place) -> DrawnTarget {
    DrawnTarget::plain(format!("-j AUDIT --type {}", draw.pick(&["accept", "drop", "reject"])))
}
