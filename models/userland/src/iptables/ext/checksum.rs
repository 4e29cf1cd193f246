//! `-j CHECKSUM`: fills in the checksum that is left to the device (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_checksum::Checksum;
use glassnet_kernel::tables::xt::{TableName, Target};

use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "CHECKSUM",
    options: &[Opt::flag("checksum-fill")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    x6::mandatory("CHECKSUM", given, "checksum-fill")?;
    Ok(Target::new(Checksum))
}

fn show(_: &Target, style: Style, out: &mut String) {
    *out += if style == Style::Save { " --checksum-fill" } else { " CHECKSUM fill" };
}

fn arbitrary(make: &mut Maker) {
    if make.table == TableName::Mangle {
        make.add("-j CHECKSUM --checksum-fill");
    }
}

fn drawn(_: &mut Draw, place: Place) -> DrawnTarget {
    match place.table {
        "mangle" => DrawnTarget::plain("-j CHECKSUM --checksum-fill"),
        _ => DrawnTarget::NONE,
    }
}
