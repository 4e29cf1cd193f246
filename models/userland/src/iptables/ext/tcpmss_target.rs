//! `-j TCPMSS`: rewrites the MSS of a SYN (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_tcpmss::TcpmssTg;
use glassnet_kernel::tables::xt::Target;

use super::words::incomplete;
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "TCPMSS",
    options: &[Opt::value("set-mss"), Opt::flag("clamp-mss-to-pmtu")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (2, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut found = None;
    for option in given {
        let mss = match option.name {
            "set-mss" => Some(x6::uint("TCPMSS", option, 0, 65515)? as u16),
            _ => None,
        };
        found = Some(TcpmssTg { mss });
    }
    match found {
        Some(found) => Ok(Target::new(found)),
        None => incomplete("TCPMSS target: At least one parameter is required"),
    }
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(target) = target.get::<TcpmssTg>() else { return };
    let _ = match (style, target.mss) {
        (Style::Save, Some(mss)) => write!(out, " --set-mss {mss}"),
        (Style::Save, None) => write!(out, " --clamp-mss-to-pmtu"),
        (_, Some(mss)) => write!(out, " TCPMSS set {mss}"),
        (_, None) => write!(out, " TCPMSS clamp to PMTU"),
    };
}

fn arbitrary(make: &mut Maker) {
    if !make.is_proto(&["tcp"]) {
        return;
    }
    let flags = make.pick(&["SYN,RST SYN", "FIN,SYN,RST,ACK SYN", "SYN SYN"]);
    make.add(format!("-m tcp --tcp-flags {flags} -j TCPMSS"));
    if make.one_in(2) && matches!(make.chain, "FORWARD" | "OUTPUT" | "POSTROUTING") {
        make.add("--clamp-mss-to-pmtu");
    } else {
        let mss = make.below(65_516);
        make.add(format!("--set-mss {mss}"));
    }
}

fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "mangle" {
        return DrawnTarget::NONE;
    }
    let leaves = place.leaves();
    let how = if leaves { "--clamp-mss-to-pmtu" } else { "--set-mss 1200" };
    let how = draw.pick(&["--set-mss 1000", how]);
    DrawnTarget::of("tcp", format!("-m tcp --tcp-flags SYN,RST SYN -j TCPMSS {how}"))
}
