//! `-j TPROXY`: hands packets to a transparent proxy (iptables-extensions(8)).

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::xt_tproxy::Tproxy;
use glassnet_kernel::tables::xt::{TableName, Target};

use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, nat, x6};

/// The extension.
pub const TARGET: TargetExt = TargetExt {
    name: NAME,
    options: &[Opt::value("on-port"), Opt::value("on-ip"), Opt::value("tproxy-mark")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (3, drawn),
};

const NAME: &str = "TPROXY";

fn parse(given: &[Given], context: &Context) -> Result<Target, XtError> {
    let mut target = Tproxy { port: 0, address: Ipv4Addr::UNSPECIFIED, mark: (0, 0) };
    for option in given {
        match option.name {
            "on-port" => target.port = x6::port(option.value())?,
            "on-ip" => target.address = nat::host_address(option.value(), context)?,
            _ => target.mark = x6::mark_mask(NAME, option)?,
        }
    }
    x6::mandatory(NAME, given, "on-port")?;
    Ok(Target::new(target))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(&Tproxy { port, address, mark: (mark, mask) }) = target.get() else { return };
    let _ = match style {
        Style::Save => write!(out, " --on-port {port} --on-ip {address} --tproxy-mark 0x{mark:x}/0x{mask:x}"),
        Style::List { .. } => write!(out, " TPROXY redirect {address}:{port} mark 0x{mark:x}/0x{mask:x}"),
    };
}

fn arbitrary(make: &mut Maker) {
    if make.table != TableName::Mangle || make.chain != "PREROUTING" || !make.is_proto(&["tcp", "udp "]) {
        return;
    }
    let port = make.below(1 << 16);
    make.add(format!("-j TPROXY --on-port {port}"));
    if make.one_in(2) {
        let (address, mark) = (make.addr(), make.mark());
        make.add(format!("--on-ip {address} --tproxy-mark {mark}"));
    }
}

/// No socket of a case is transparent.
fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "mangle" || !place.is_in(&["PREROUTING"]) {
        return DrawnTarget::NONE;
    }
    let (proto, mark) = (draw.pick(&["tcp", "udp"]), draw.pick(&["", " --tproxy-mark 0x1/0x1"]));
    DrawnTarget::of(proto, format!("-j TPROXY --on-port {}{mark}", draw.port()))
}
