//! `DNAT`, `SNAT`, `MASQUERADE` and `REDIRECT`, which share parser and printer as in the real tool.
//!
//! All messages were recorded from iptables 1.8.9; both variants print the same.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::xt_nat::{Dnat, Masquerade, Netmap, Redirect, Snat};
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::xt::Target;

use super::x6::{self, mandatory, strtoul};
use super::{Context, Draw, DrawnTarget, Given, Opt, Place, Style, TargetExt, XtError};
use crate::services;

/// `-j DNAT`.
pub const DNAT: TargetExt = TargetExt {
    name: "DNAT",
    options: &[Opt::value("to-destination"), Opt::flag("random"), Opt::flag("persistent")],
    parse: |given, context| {
        let text = mandatory("DNAT", given, "to-destination")?.value();
        let mut range = addresses(text, context, true)?;
        flags(given, &mut range);
        Ok(Target::new(Dnat(range)))
    },
    show: |target, style, out| {
        let Some(Dnat(range)) = target.get() else { return };
        show(range, style, out, "to-destination");
    },
    arbitrary: None,
    drawn: (8, drawn_dnat),
};

/// `-j SNAT`.
pub const SNAT: TargetExt = TargetExt {
    name: "SNAT",
    options: &[
        Opt::value("to-source"),
        Opt::flag("random"),
        Opt::flag("random-fully"),
        Opt::flag("persistent"),
    ],
    parse: |given, context| {
        let text = mandatory("SNAT", given, "to-source")?.value();
        let mut range = addresses(text, context, false)?;
        flags(given, &mut range);
        Ok(Target::new(Snat(range)))
    },
    show: |target, style, out| {
        let Some(Snat(range)) = target.get() else { return };
        show(range, style, out, "to-source");
    },
    arbitrary: None,
    drawn: (6, drawn_snat),
};

/// `-j MASQUERADE`.
pub const MASQUERADE: TargetExt = TargetExt {
    name: "MASQUERADE",
    options: &[Opt::value("to-ports"), Opt::flag("random"), Opt::flag("random-fully")],
    parse: |given, context| {
        let mut range = to_ports(given, context)?;
        // The target's structure has no base port.
        range.base_port = range.base_port.map(|_| 0);
        Ok(Target::new(Masquerade(range)))
    },
    show: |target, style, out| {
        let Some(Masquerade(range)) = target.get() else { return };
        show_to_ports(range, style, out, " masq ports: ");
    },
    arbitrary: None,
    drawn: (3, drawn_masquerade),
};

/// `-j REDIRECT`.
pub const REDIRECT: TargetExt = TargetExt {
    name: "REDIRECT",
    options: &[Opt::value("to-ports"), Opt::flag("random")],
    parse: |given, context| {
        let range = to_ports(given, context)?;
        if range.base_port.is_some() {
            let text = "Shifted portmap ranges not supported with this kernel";
            return Err(XtError::Parameter(text.to_owned()));
        }
        Ok(Target::new(Redirect(range)))
    },
    show: |target, style, out| {
        let Some(Redirect(range)) = target.get() else { return };
        show_to_ports(range, style, out, " redir ports ");
    },
    arbitrary: None,
    drawn: (2, drawn_redirect),
};

fn problem<T>(text: String) -> Result<T, XtError> {
    Err(XtError::Parameter(text))
}

fn flags(given: &[Given], range: &mut NatRange) {
    let has = |name| given.iter().any(|given| given.name == name);
    (range.random, range.random_fully) = (has("random"), has("random-fully"));
    range.persistent = has("persistent");
}

/// Ports need a protocol that has them; the tool accepts an inverted one.
fn ports_allowed(context: &Context) -> Result<(), XtError> {
    // ICMP, TCP, UDP, DCCP, SCTP.
    match context.proto.0 {
        1 | 6 | 17 | 33 | 132 => Ok(()),
        _ => problem("Need TCP, UDP, SCTP or DCCP with port specification".to_owned()),
    }
}

/// `[ADDR[-ADDR]][:PORT[-PORT[/BASE]]]`. Only `DNAT` keeps the base port: the structure of `SNAT` has none, and the tool
/// leaves a 0 there.
fn addresses(text: &str, context: &Context, keeps_base: bool) -> Result<NatRange, XtError> {
    let mut range = NatRange::default();
    let parts: Vec<&str> = text.split(':').collect();
    let address = match parts[..] {
        [address, ports] => {
            ports_allowed(context)?;
            port_range(ports, &mut range)?;
            if !keeps_base {
                range.base_port = range.base_port.map(|_| 0);
            }
            if address.is_empty() {
                return Ok(range);
            }
            address
        }
        _ => text,
    };
    let (first, last) = address.split_once('-').unwrap_or((address, address));
    range.addrs = Some((ipv4(first)?, ipv4(last)?));
    Ok(range)
}

fn ipv4(text: &str) -> Result<Ipv4Addr, XtError> {
    text.parse().map_err(|_| XtError::Parameter(format!("Bad IP address \"{text}\"")))
}

/// `PORT[-PORT[/BASE]]`.
fn port_range(text: &str, range: &mut NatRange) -> Result<(), XtError> {
    let (first, rest) = leading_port(text)?;
    range.ports = Some((first, first));
    if rest.is_empty() {
        return Ok(());
    }
    let Some(end) = rest.strip_prefix('-') else {
        return problem(format!("Garbage after port value: `{rest}'"));
    };
    // The end of a range has no name.
    let Some((last, rest)) = leading_number(end) else { return problem(format!("Port `{end}' not valid")) };
    if last < first {
        return problem(format!("Port range `{end}' funky"));
    }
    range.ports = Some((first, last));
    if rest.is_empty() {
        return Ok(());
    }
    let Some(base) = rest.strip_prefix('/') else {
        return problem(format!("Garbage after port range: `{rest}'"));
    };
    range.base_port = match leading_number(base).map(|(number, _)| number).or_else(|| service(base)) {
        Some(port) if port > 0 => Some(port),
        _ => return problem(format!("Port `{base}' not valid")),
    };
    Ok(())
}

/// A number and the rest, or the whole text as a service name.
fn leading_port(text: &str) -> Result<(u16, &str), XtError> {
    leading_number(text)
        .or_else(|| service(text).map(|port| (port, "")))
        .ok_or_else(|| XtError::Parameter(format!("Port `{text}' not valid")))
}

fn leading_number(text: &str) -> Option<(u16, &str)> {
    let (number, rest) = strtoul(text)?;
    u16::try_from(number).ok().map(|number| (number, rest))
}

fn service(name: &str) -> Option<u16> {
    let (tcp, udp) = services::ports_by_name(name);
    tcp.or(udp)
}

/// The option of `MASQUERADE` and `REDIRECT`.
fn to_ports(given: &[Given], context: &Context) -> Result<NatRange, XtError> {
    let mut range = NatRange::default();
    flags(given, &mut range);
    if let Some(ports) = given.iter().find(|given| given.name == "to-ports") {
        ports_allowed(context)?;
        if ports.value().contains(':') {
            return problem("Invalid port:port syntax - use dash".to_owned());
        }
        port_range(ports.value(), &mut range)?;
    }
    Ok(range)
}

fn show(range: &NatRange, style: Style, out: &mut String, option: &str) {
    match style {
        Style::Save => out.extend([" --", option, " "]),
        Style::List { .. } => out.push_str(" to:"),
    }
    if let Some((first, last)) = range.addrs {
        out.push_str(&first.to_string());
        if last != first {
            out.extend(["-", &last.to_string()]);
        }
    }
    if range.ports.is_some() {
        out.push(':');
        show_ports(range, out);
    }
    show_flags(range, style, out);
}

fn show_to_ports(range: &NatRange, style: Style, out: &mut String, list: &str) {
    if range.ports.is_some() {
        out.push_str(if style == Style::Save { " --to-ports " } else { list });
        show_ports(range, out);
    }
    show_flags(range, style, out);
}

fn show_ports(range: &NatRange, out: &mut String) {
    let Some((first, last)) = range.ports else { return };
    // Writing to a string does not fail.
    let _ = write!(out, "{first}");
    if last != first {
        let _ = write!(out, "-{last}");
    }
    if let Some(base) = range.base_port {
        let _ = write!(out, "/{base}");
    }
}

fn show_flags(range: &NatRange, style: Style, out: &mut String) {
    let flags =
        [(range.random, "random"), (range.random_fully, "random-fully"), (range.persistent, "persistent")];
    for (_, name) in flags.into_iter().filter(|(set, _)| *set) {
        out.extend([if style == Style::Save { " --" } else { " " }, name]);
    }
}

/// `-j NETMAP`.
pub const NETMAP: TargetExt = TargetExt {
    name: "NETMAP",
    options: &[Opt::value("to")],
    parse: |given, context| {
        let text = mandatory("NETMAP", given, "to")?.value();
        let (host, mask) = match text.split_once('/') {
            Some((host, mask)) => (host, inet_make_mask(x6::prefix("NETMAP", "to", mask)?)),
            None => (text, Ipv4Addr::BROADCAST),
        };
        let address = host_address(host, context)? & mask;
        let range = NatRange { addrs: Some((address, address | !mask)), ..NatRange::default() };
        Ok(Target::new(Netmap(range)))
    },
    show: |target, style, out| {
        let Some(Netmap(NatRange { addrs: Some((first, last)), .. })) = target.get() else { return };
        let text = if style == Style::Save { " --to " } else { " to:" };
        let len = (first.to_bits() ^ last.to_bits()).leading_zeros();
        let _ = write!(out, "{text}{first}/{len}");
    },
    arbitrary: None,
    drawn: (1, drawn_netmap),
};

/// An IPv4 address, or the first of a host name (`XTTYPE_HOST`).
///
/// # Errors
///
/// ``getaddrinfo: …``.
pub fn host_address(text: &str, context: &Context) -> Result<Ipv4Addr, XtError> {
    let known =
        crate::hosts::inet_aton(text).or_else(|| context.hosts.ipv4(text).map(|(address, _)| address));
    known.ok_or_else(|| {
        // What cannot be a name of a host is not asked for.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number_like = is_number || text.contains('/');
        let why =
            if number_like { "Name or service not known" } else { "Temporary failure in name resolution" };
        XtError::Parameter(format!("getaddrinfo: {why}\n"))
    })
}

/// Chains with destination NAT.
fn changes_dest(place: Place) -> bool {
    place.table == "nat" && place.is_in(&["PREROUTING", "OUTPUT"])
}

/// Chains with source NAT.
fn changes_source(place: Place) -> bool {
    place.table == "nat" && place.is_in(&["POSTROUTING", "INPUT"])
}

fn drawn_dnat(draw: &mut Draw, place: Place) -> DrawnTarget {
    if !changes_dest(place) {
        return DrawnTarget::NONE;
    }
    let proto = draw.pick(&["tcp", "udp"]);
    let (host, port) = (draw.host(), draw.port());
    let to = |to: String| format!("-j DNAT --to-destination {to}");
    match draw.below(7) {
        0 => DrawnTarget::of(proto, to(format!("{host}:{port}"))),
        1 => DrawnTarget::of(proto, to(format!(":{port}"))),
        2 => {
            let (last, how) = (draw.pick(&[3, 5]), draw.pick(&["", " --persistent"]));
            DrawnTarget::plain(to(format!("10.0.1.2-10.0.1.{last}{how}")))
        }
        3 => DrawnTarget::of(proto, to(format!("10.0.1.2-10.0.1.4:{port} --persistent"))),
        4 => DrawnTarget::of(proto, to(format!("{host}:2000-2002{}", draw.pick(&["", " --random"])))),
        _ => DrawnTarget::plain(to(host.to_string())),
    }
}

/// Rules of a case do not compare the ports of these ranges.
fn drawn_snat(draw: &mut Draw, place: Place) -> DrawnTarget {
    if !changes_source(place) {
        return DrawnTarget::NONE;
    }
    let proto = draw.pick(&["tcp", "udp"]);
    let random = draw.pick(&["", "", " --random", " --random-fully"]);
    let ports = format!("2000-{}", 2000 + draw.below(3));
    let to = |to: String| format!("-j SNAT --to-source {to}");
    match draw.below(5) {
        0 => DrawnTarget::of(proto, to(format!("10.0.1.100:{ports}{random}"))),
        1 => DrawnTarget::of(proto, to(format!(":{ports}{random}"))),
        2 => {
            let how = draw.pick(&["", " --persistent"]);
            DrawnTarget::plain(to(format!("10.0.1.100-10.0.1.103{how}")))
        }
        _ => DrawnTarget::plain(to(format!("10.0.1.{}", draw.pick(&[1, 100])))),
    }
}

fn drawn_masquerade(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "nat" || place.chain != "POSTROUTING" {
        return DrawnTarget::NONE;
    }
    let random = draw.pick(&["", "", " --random", " --random-fully"]);
    match draw.below(3) {
        0 => {
            let proto = draw.pick(&["tcp", "udp"]);
            DrawnTarget::of(proto, format!("-j MASQUERADE --to-ports 3000-3001{random}"))
        }
        _ => DrawnTarget::plain("-j MASQUERADE"),
    }
}

fn drawn_redirect(draw: &mut Draw, place: Place) -> DrawnTarget {
    if !changes_dest(place) {
        return DrawnTarget::NONE;
    }
    if draw.one_in(2) {
        return DrawnTarget::plain("-j REDIRECT");
    }
    let proto = draw.pick(&["tcp", "udp"]);
    DrawnTarget::of(proto, format!("-j REDIRECT --to-ports {}", draw.port()))
}

fn drawn_netmap(draw: &mut Draw, place: Place) -> DrawnTarget {
    if !changes_dest(place) && !changes_source(place) {
        return DrawnTarget::NONE;
    }
    let (net, bits) = (draw.below(3), draw.pick(&[24, 28]));
    DrawnTarget::plain(format!("-j NETMAP --to 10.0.{net}.0/{bits}"))
}
