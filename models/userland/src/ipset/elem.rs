//! Parsing and printing of elements.

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::tables::ipset::adt::with_ports;
use glassnet_kernel::tables::ipset::types::{Adt, Iface, Request, SetType};
use glassnet_kernel::tables::ipset::{IpSet, Listed, Storage};

use super::words::{address, cidr, icmp, number, port, proto, show_icmp, split, unescape};
use super::{Fail, MAX_NAME, syntax};
use crate::hosts::Hosts;
use crate::services;

const IPPROTO_ICMP: u8 = 1;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_ICMPV6: u8 = 58;

/// Parses an element of a set of this type.
pub fn parse(set_type: SetType, what: Adt, text: &str, hosts: &Hosts) -> Result<Request, Fail> {
    let mut request = Request::default();
    if set_type == SetType::ListSet {
        parse_member(text, &mut request)?;
        return Ok(request);
    }
    let parts = parts(set_type, text)?;
    match set_type {
        SetType::BitmapPort => parse_port(parts[0], "tcp", &mut request)?,
        _ => parse_first(parts[0], &mut request, hosts)?,
    }
    if set_type == SetType::HashNetIface {
        request.iface = Some(parse_iface(parts[1])?);
    } else if parts.len() > 1 {
        parse_proto_port(parts[1], &mut request)?;
    }
    if let Some(third) = parts.get(2) {
        match set_type {
            SetType::HashIpPortIp if split(third, '/').or(split(third, '-')).is_some() => {
                return syntax(format!("plain IP address must be supplied: {third}"));
            }
            SetType::HashIpPortIp => request.ip2 = address(unescape(third)?, hosts)?,
            _ => parse_second(third, &mut request, hosts)?,
        }
    }
    if what == Adt::Test && set_type == SetType::HashIpPortNet {
        request.ip2_to = None;
    }
    Ok(request)
}

/// Splits an element at its commas.
fn parts(set_type: SetType, text: &str) -> Result<Vec<&str>, Fail> {
    let wanted = usize::from(set_type.dimension());
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() < 3 {
        let Some((part, after)) = split(rest, ',') else { break };
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    let name = set_type.name();
    match (parts.len(), wanted) {
        (have, wanted) if have == wanted => Ok(parts),
        (2.., 1) => syntax(format!("Elem separator in {text}, but settype {name} supports none.")),
        (3.., 2) => syntax(format!("Two elem separators in {text}, but settype {name} supports one.")),
        (4.., _) => syntax(format!("Three elem separators in {text}, but settype {name} supports two.")),
        (2, 3) if !text.ends_with(',') => syntax(format!("Third element is missing from {text}.")),
        _ => syntax(format!("Second element is missing from {text}.")),
    }
}

fn parse_member(text: &str, request: &mut Request) -> Result<(), Fail> {
    let parts: Vec<&str> = text.split(',').collect();
    let too_long = parts.iter().find(|name| name.len() > MAX_NAME);
    if let Some(name) = too_long {
        return syntax(format!("setname '{name}' is longer than {MAX_NAME} characters"));
    }
    request.place = match parts.as_slice() {
        [_] => None,
        [_, "before", other] => Some((true, (*other).to_owned())),
        [_, "after", other] => Some((false, (*other).to_owned())),
        _ => {
            let text = "you must specify elements as setname,[before|after],setname";
            return Err(Fail::Other(text.to_owned()));
        }
    };
    request.name = parts[0].to_owned();
    Ok(())
}

/// `IP`, `IP/CIDR` or `FROM-TO`: address, last address, prefix.
pub fn parse_ip(text: &str, hosts: &Hosts) -> Result<(Ipv4Addr, Option<Ipv4Addr>, Option<u8>), Fail> {
    if let Some((ip, prefix)) = split(text, '/') {
        let prefix = cidr(prefix, 0)?;
        return Ok((address(unescape(ip)?, hosts)?, None, Some(prefix)));
    }
    if let Some((from, to)) = split(text, '-') {
        let to = address(unescape(to)?, hosts)?;
        return Ok((address(unescape(from)?, hosts)?, Some(to), None));
    }
    Ok((address(unescape(text)?, hosts)?, None, None))
}

fn parse_first(text: &str, request: &mut Request, hosts: &Hosts) -> Result<(), Fail> {
    (request.ip, request.ip_to, request.cidr) = parse_ip(text, hosts)?;
    Ok(())
}

fn parse_second(text: &str, request: &mut Request, hosts: &Hosts) -> Result<(), Fail> {
    (request.ip2, request.ip2_to, request.cidr2) = parse_ip(text, hosts)?;
    Ok(())
}

fn parse_iface(text: &str) -> Result<Iface, Fail> {
    let (physdev, name) = match text.strip_prefix("physdev:") {
        Some(name) => (true, name),
        None => (false, text),
    };
    if name.len() > 15 {
        return syntax(format!("interface name '{name}' is longer than 15 characters"));
    }
    Ok(Iface { name: name.into(), physdev, wildcard: false })
}

/// `[PROTO:]PORT` or a range of ports.
fn parse_port(text: &str, default: &str, request: &mut Request) -> Result<(), Fail> {
    let (protocol, ports) = match split(text, ':') {
        Some((name, ports)) => (name.to_owned(), ports),
        None => (default.to_owned(), text),
    };
    (request.port, request.port_to) = parse_ports(ports, &protocol)?;
    Ok(())
}

/// `PORT` or `FROM-TO`.
pub fn parse_ports(text: &str, protocol: &str) -> Result<(u16, Option<u16>), Fail> {
    if let Some((from, to)) = split(text, '-') {
        let to = port(to, protocol)?;
        return Ok((port(from, protocol)?, Some(to)));
    }
    Ok((port(text, protocol)?, None))
}

fn parse_proto_port(text: &str, request: &mut Request) -> Result<(), Fail> {
    let Some((name, ports)) = split(text, ':') else {
        request.proto = IPPROTO_TCP;
        (request.port, request.port_to) = parse_ports(text, "tcp")?;
        return Ok(());
    };
    request.proto = match unescape(name)? {
        "icmpv6" | "ipv6-icmp" => IPPROTO_ICMPV6,
        name => proto(name)?,
    };
    match request.proto {
        IPPROTO_ICMP => request.port = icmp(ports)?,
        IPPROTO_ICMPV6 => {
            return syntax(
                "Protocol ICMPv6 can be used with family inet6 only\nInvalid add command: missing setname",
            );
        }
        known if with_ports(known) => {
            let name = services::protocol_name(known).unwrap_or(name);
            (request.port, request.port_to) = parse_ports(ports, name)?;
        }
        _ if number(ports, 0, 65535) != Ok(0) => {
            return syntax(format!("Protocol {name} can be used with pseudo port value 0 only."));
        }
        _ => {}
    }
    Ok(())
}

/// The program refuses ranges for `test`.
pub fn refuse_ranges(set_type: SetType, what: Adt, request: &Request) -> Result<(), Fail> {
    if what != Adt::Test || matches!(set_type, SetType::HashIp | SetType::ListSet) {
        return Ok(());
    }
    let family = if set_type == SetType::BitmapPort { "unspec" } else { "inet" };
    let is_first_net = matches!(set_type, SetType::HashNet | SetType::HashNetPort | SetType::HashNetIface);
    let refused = [
        (request.ip_to.is_some(), "FROM-TO IP range"),
        (request.cidr.is_some() && !is_first_net, "IP/CIDR range"),
        (request.port_to.is_some(), "FROM-TO port range"),
    ];
    match refused.iter().find(|(is_given, _)| *is_given) {
        Some((_, what)) => {
            let name = set_type.name();
            let text =
                format!("{what} is not allowed in command test with set type {name} and family {family}");
            Err(Fail::Other(text))
        }
        None => Ok(()),
    }
}

fn show_port(port: u16, protocol: u8) -> String {
    let name = services::protocol_name(protocol).map_or_else(|| protocol.to_string(), str::to_owned);
    match protocol {
        IPPROTO_ICMP => format!("{name}:{}", show_icmp(port)),
        _ => format!("{name}:{port}"),
    }
}

fn show_iface(iface: &Iface) -> String {
    format!("{}{}", if iface.physdev { "physdev:" } else { "" }, iface.name)
}

/// The element of a request, as `test` prints it.
pub fn show_request(set_type: SetType, request: &Request) -> String {
    let ip = |ip: Ipv4Addr, to: Option<Ipv4Addr>, cidr: Option<u8>| {
        let mut text = ip.to_string();
        if let Some(to) = to {
            let _ = write!(text, "-{}", to);
        }
        if let Some(cidr) = cidr.filter(|cidr| *cidr != 32) {
            let _ = write!(text, "/{cidr}");
        }
        text
    };
    let first = ip(request.ip, request.ip_to, request.cidr);
    match set_type {
        SetType::BitmapPort => request.port.to_string(),
        SetType::ListSet => match &request.place {
            // Further parts as given.
            Some((_, other)) => format!("{} after {other}", request.name),
            None => request.name.clone(),
        },
        SetType::BitmapIp | SetType::HashIp | SetType::HashNet => first,
        // Without `physdev:`.
        SetType::HashNetIface => {
            let name = request.iface.as_ref().map_or("", |iface| &*iface.name);
            format!("{first},{name}")
        }
        SetType::HashIpPort | SetType::HashNetPort => {
            format!("{first},{}", show_port(request.port, request.proto))
        }
        SetType::HashIpPortIp | SetType::HashIpPortNet => {
            let second = ip(request.ip2, request.ip2_to, request.cidr2);
            format!("{first},{},{second}", show_port(request.port, request.proto))
        }
    }
}

/// An element as `list` and `save` print it, without its options.
pub fn show(set: &IpSet, element: &Listed) -> String {
    let key = &element.key;
    let net = |ip: Ipv4Addr| match key.cidr {
        32 => ip.to_string(),
        cidr => format!("{ip}/{cidr}"),
    };
    let ip = key.ip;
    match set.set_type {
        SetType::ListSet => element.name.clone(),
        SetType::BitmapPort => key.port.to_string(),
        SetType::BitmapIp | SetType::HashIp => match &set.storage {
            // A network is printed with its first address.
            Storage::Hash(_) | Storage::Bitmap(_) | Storage::List(_) => ip.to_string(),
        },
        SetType::HashNet => net(key.ip),
        SetType::HashNetIface => {
            format!("{},{}", net(key.ip), element.iface.as_ref().map_or(String::new(), show_iface))
        }
        SetType::HashIpPort => format!("{ip},{}", show_port(key.port, key.proto)),
        SetType::HashNetPort => format!("{},{}", net(key.ip), show_port(key.port, key.proto)),
        SetType::HashIpPortIp => {
            format!("{ip},{},{}", show_port(key.port, key.proto), key.ip2)
        }
        SetType::HashIpPortNet => format!("{ip},{},{}", show_port(key.port, key.proto), net(key.ip2)),
    }
}
