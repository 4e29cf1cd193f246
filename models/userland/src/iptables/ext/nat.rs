//! `DNAT`, `SNAT`, `MASQUERADE` and `REDIRECT`: one reader and one printer, as the real four share theirs.
//!
//! Every sentence was recorded from iptables 1.8.9; both variants print the same.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::xt_nat::{Dnat, Masquerade, Netmap, Redirect, Snat};
use glassnet_kernel::tables::xt::Target;

use super::x6::{mandatory, strtoui, strtoul};
use super::{Context, Given, Opt, Style, TargetExt, XtError};
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
};

/// `-j MASQUERADE`.
pub const MASQUERADE: TargetExt = TargetExt {
    name: "MASQUERADE",
    options: &[Opt::value("to-ports"), Opt::flag("random"), Opt::flag("random-fully")],
    parse: |given, context| {
        let mut range = to_ports(given, context)?;
        // The target's structure has no room for a base port.
        range.base_port = range.base_port.map(|_| 0);
        Ok(Target::new(Masquerade(range)))
    },
    show: |target, style, out| {
        let Some(Masquerade(range)) = target.get() else { return };
        show_to_ports(range, style, out, " masq ports: ");
    },
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
};

fn problem<T>(text: String) -> Result<T, XtError> {
    Err(XtError::Parameter(text))
}

fn flags(given: &[Given], range: &mut NatRange) {
    let has = |name| given.iter().any(|given| given.name == name);
    (range.random, range.random_fully) = (has("random"), has("random-fully"));
    range.persistent = has("persistent");
}

/// Ports need a protocol that has them; an inverted one will do for the tool.
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

fn ipv4(text: &str) -> Result<u32, XtError> {
    let bad = |_| XtError::Parameter(format!("Bad IP address \"{text}\""));
    text.parse::<Ipv4Addr>().map(u32::from).map_err(bad)
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
    let (last, rest) = leading_port(end)?;
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

/// A number with what follows it, or the whole text as the name of a service.
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
        out.push_str(&Ipv4Addr::from(first).to_string());
        if last != first {
            out.extend(["-", &Ipv4Addr::from(last).to_string()]);
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
            Some((host, mask)) => (host, prefix(mask)?),
            None => (text, u32::MAX),
        };
        let address = host_address(host, context)? & mask;
        let range = NatRange { addrs: Some((address, address | !mask)), ..NatRange::default() };
        Ok(Target::new(Netmap(range)))
    },
    show: |target, style, out| {
        let Some(Netmap(NatRange { addrs: Some((first, last)), .. })) = target.get() else { return };
        let text = if style == Style::Save { " --to " } else { " to:" };
        let _ = write!(out, "{text}{}/{}", Ipv4Addr::from(*first), (first ^ last).leading_zeros());
    },
};

/// The mask after the slash: a length, or an address. One that is no prefix counts as 32, as in the real tool.
fn prefix(text: &str) -> Result<u32, XtError> {
    let length = match strtoui(text, 0, u64::from(u32::MAX)) {
        Some(length) => length.min(32) as u32,
        None => match crate::hosts::inet_aton(text).map(u32::from) {
            Some(mask) if mask.leading_ones() + mask.trailing_zeros() == 32 => mask.leading_ones(),
            Some(_) => 32,
            None => {
                let text =
                    "bad value for option \"--to\", neither a valid network mask nor valid CIDR (0-32).";
                return super::x6::error("NETMAP", text);
            }
        },
    };
    Ok(u32::MAX.checked_shl(32 - length).unwrap_or(0))
}

fn host_address(text: &str, context: &Context) -> Result<u32, XtError> {
    let known =
        crate::hosts::inet_aton(text).or_else(|| context.hosts.ipv4(text).map(|(address, _)| address));
    known.map(u32::from).ok_or_else(|| {
        let number_like = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let why =
            if number_like { "Name or service not known" } else { "Temporary failure in name resolution" };
        XtError::Parameter(format!("getaddrinfo: {why}\n"))
    })
}
