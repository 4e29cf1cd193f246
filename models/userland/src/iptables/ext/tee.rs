//! `-j TEE`: a copy for another host (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_tee::Tee;
use glassnet_kernel::tables::xt::Target;

use super::words::truncated;
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, nat, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: "TEE",
    options: &[Opt::value("gateway"), Opt::value("oif")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

/// Longest name of a device, bytes.
const IFNAME_LEN: usize = 15;

fn parse(given: &[Given], context: &Context) -> Result<Target, XtError> {
    let gateway = nat::host_address(x6::mandatory("TEE", given, "gateway")?.value(), context)?;
    let oif = given.iter().find(|option| option.name == "oif");
    Ok(Target::new(Tee { gateway, oif: oif.map(|oif| truncated(oif.value(), IFNAME_LEN)) }))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(Tee { gateway, oif }) = target.get() else { return };
    let save = style == Style::Save;
    let _ = write!(out, "{}{gateway}", if save { " --gateway " } else { " TEE gw:" });
    if let Some(oif) = oif {
        let _ = write!(out, "{}{oif}", if save { " --oif " } else { " oif=" });
    }
}

fn arbitrary(make: &mut Maker) {
    let gateway = make.addr();
    make.add(format!("-j TEE --gateway {gateway}"));
    if make.one_in(2) {
        let oif = make.device();
        make.add(format!("--oif {oif}"));
    }
}

fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table == "nat" {
        return DrawnTarget::NONE;
    }
    let oif = draw.pick(&["", "", " --oif s0", " --oif c0"]);
    DrawnTarget::plain(format!("-j TEE --gateway {}{oif}", draw.host()))
}
