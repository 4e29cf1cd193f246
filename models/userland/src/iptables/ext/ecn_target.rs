//! `-j ECN`: sets the bits of Explicit Congestion Notification (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::ipv4::netfilter::ipt_ecn::EcnTg;
use glassnet_kernel::tables::xt::{TableName, Target};

use super::words::{conflicts, incomplete};
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: NAME,
    options: &[
        Opt::flag("ecn-tcp-remove"),
        Opt::value("ecn-tcp-cwr"),
        Opt::value("ecn-tcp-ece"),
        Opt::value("ecn-ip-ect"),
    ],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const NAME: &str = "ECN";

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut target = EcnTg::default();
    for option in given {
        match option.name {
            // It forgets an operation that came before.
            "ecn-tcp-remove" => target = EcnTg { ece: Some(false), cwr: Some(false), ect: None },
            "ecn-tcp-cwr" => target.cwr = Some(x6::uint(NAME, option, 0, 1)? == 1),
            "ecn-tcp-ece" => target.ece = Some(x6::uint(NAME, option, 0, 1)? == 1),
            _ => target.ect = Some(x6::uint(NAME, option, 0, 3)? as u8),
        }
    }
    if given.is_empty() {
        return incomplete("ECN target: An operation is required");
    }
    conflicts(NAME, given, &[("ecn-tcp-remove", &["ecn-tcp-cwr", "ecn-tcp-ece"])])?;
    Ok(Target::new(target))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(&EcnTg { ece, cwr, ect }) = target.get() else { return };
    let save = style == Style::Save;
    if !save {
        *out += " ECN";
    }
    if (ece, cwr) == (Some(false), Some(false)) {
        *out += if save { " --ecn-tcp-remove" } else { " TCP remove" };
    } else {
        for (value, option, name) in [(ece, "ecn-tcp-ece", "ECE"), (cwr, "ecn-tcp-cwr", "CWR")] {
            let _ = match (value.map(u8::from), save) {
                (None, _) => Ok(()),
                (Some(value), true) => write!(out, " --{option} {value}"),
                (Some(value), false) => write!(out, " {name}={value}"),
            };
        }
    }
    let _ = match (ect, save) {
        (None, _) => Ok(()),
        (Some(ect), true) => write!(out, " --ecn-ip-ect {ect}"),
        (Some(ect), false) => write!(out, " ECT codepoint={ect}"),
    };
}

fn arbitrary(make: &mut Maker) {
    if make.table != TableName::Mangle {
        return;
    }
    let ect = make.below(4);
    make.add(format!("-j ECN --ecn-ip-ect {ect}"));
    if make.is_proto(&["tcp"]) {
        let more = make.pick(&["--ecn-tcp-remove", "--ecn-tcp-cwr 1", "--ecn-tcp-ece 0 --ecn-tcp-cwr 1"]);
        make.add(more);
    }
}

fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "mangle" {
        return DrawnTarget::NONE;
    }
    if draw.one_in(2) {
        return DrawnTarget::plain(format!("-j ECN --ecn-ip-ect {}", draw.below(4)));
    }
    let what = draw.pick(&["--ecn-tcp-remove", "--ecn-tcp-cwr 1", "--ecn-tcp-ece 1 --ecn-ip-ect 2"]);
    DrawnTarget::of("tcp", format!("-j ECN {what}"))
}
