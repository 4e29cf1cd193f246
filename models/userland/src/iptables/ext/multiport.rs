//! `-m multiport`: several ports at once (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_multiport::{Multiport, MultiportSide};
use glassnet_kernel::tables::xt::Match;

use super::words::{canonical, conflicts, incomplete, parameter};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};
use crate::services;

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "multiport",
    options: OPTIONS,
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const OPTIONS: &[Opt] = &[
    Opt::invertible("source-ports").many(),
    Opt::invertible("sports").many(),
    Opt::invertible("destination-ports").many(),
    Opt::invertible("dports").many(),
    Opt::invertible("ports").many(),
    Opt::invertible("port").many(),
];
const ALIASES: &[(&str, &str)] =
    &[("sports", "source-ports"), ("dports", "destination-ports"), ("port", "ports")];
/// Maximum number of ports; a range counts as two.
const MAX: usize = 15;

/// The protocols that have ports: TCP, UDP, UDP-Lite, SCTP, DCCP.
const WITH_PORTS: [u8; 5] = [6, 17, 136, 132, 33];

fn parse(given: &[Given], context: &Context) -> Result<Match, XtError> {
    let given = canonical("multiport", given, ALIASES)?;
    let mut found = None;
    for option in &given {
        check_protocol(context.proto)?;
        let side = match option.name {
            "source-ports" => MultiportSide::Source,
            "destination-ports" => MultiportSide::Destination,
            _ => MultiportSide::Either,
        };
        let ports = ports(option.value(), context.proto.0)?;
        found = Some(Multiport { side, invert: option.invert, ports });
    }
    let Some(found) = found else { return incomplete("multiport expection an option") };
    conflicts(
        "multiport",
        &given,
        &[("source-ports", &["destination-ports", "ports"]), ("destination-ports", &["ports"])],
    )?;
    Ok(Match::new(found))
}

fn check_protocol((proto, inverted): (u8, bool)) -> Result<(), XtError> {
    if proto == 0 && !inverted {
        return parameter("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'");
    }
    if inverted || !WITH_PORTS.contains(&proto) {
        return parameter("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP");
    }
    Ok(())
}

fn ports(text: &str, proto: u8) -> Result<Vec<(u16, u16)>, XtError> {
    let (mut found, mut numbers) = (Vec::new(), 0);
    for part in text.split(',') {
        if numbers == MAX {
            return parameter("too many ports specified");
        }
        let low_high = match part.split_once(':') {
            None => {
                numbers += 1;
                let port = port(part, proto)?;
                (port, port)
            }
            Some(_) if numbers + 2 > MAX => return parameter("too many ports specified"),
            Some((low, high)) => {
                numbers += 2;
                let range = (port(low, proto)?, port(high, proto)?);
                if range.0 >= range.1 {
                    return parameter("invalid portrange specified");
                }
                range
            }
        };
        found.push(low_high);
    }
    Ok(found)
}

fn port(text: &str, proto: u8) -> Result<u16, XtError> {
    let by_name = || match (proto, services::ports_by_name(text)) {
        (6, (tcp, _)) => tcp,
        (17, (_, udp)) => udp,
        _ => None,
    };
    let number = x6::strtoui(text, 0, 0xffff).map(|number| number as u16);
    match number.or_else(by_name) {
        Some(port) => Ok(port),
        None => parameter(format!("invalid port/service `{text}' specified")),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Multiport>() else { return };
    let (side, not) = match (with.side, style) {
        (MultiportSide::Source, _) => ("sports", with.invert),
        (MultiportSide::Destination, _) => ("dports", with.invert),
        (MultiportSide::Either, _) => ("ports", with.invert),
    };
    let _ = match style {
        Style::Save => write!(out, "{} --{side} ", if not { " !" } else { "" }),
        Style::List { .. } => write!(out, " multiport {side} {}", if not { " !" } else { "" }),
    };
    for (at, (low, high)) in with.ports.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        show_port(*low, style, out);
        if low != high {
            out.push(':');
            show_port(*high, style, out);
        }
    }
}

fn show_port(port: u16, style: Style, out: &mut String) {
    let name = match style {
        Style::List { numeric: false, proto: 6 } => services::tcp_port_name(port),
        Style::List { numeric: false, proto: 17 } => services::udp_port_name(port),
        _ => None,
    };
    let _ = match name {
        Some(name) => write!(out, "{name}"),
        None => write!(out, "{port}"),
    };
}

fn arbitrary(make: &mut Maker) {
    if !make.is_proto(&["tcp", "udp", "sctp", "udplite"]) {
        return;
    }
    make.add("-m multiport");
    make.not();
    let side = make.pick(&["sports", "dports", "ports", "source-ports", "destination-ports", "port"]);
    let count = 1 + make.below(7);
    let ports: Vec<String> = (0..count)
        .map(|_| {
            let low = make.below(65_535);
            let high = low + 1 + make.below(65_535 - low);
            if make.one_in(3) { format!("{low}:{high}") } else { low.to_string() }
        })
        .collect();
    make.add(format!("--{side} {}", ports.join(",")));
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["tcp", "udp"]) {
        return String::new();
    }
    let which = draw.pick(&["--ports", "--dports", "--sports"]);
    format!("-m multiport {}{which} {},{}", draw.not(), draw.port(), draw.ports())
}
