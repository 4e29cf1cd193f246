//! Numbers, addresses and ports as `ipset` parses them.

use std::net::Ipv4Addr;

use super::{Fail, syntax};
use crate::hosts::{Hosts, inet_aton};
use crate::numbers::base0;
use crate::services;

/// A number as `strtoull(3)` with base 0, from `min` to `max`.
pub fn number(text: &str, min: u64, max: u64) -> Result<u64, Fail> {
    let trimmed = text.trim_start();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let Some(digits) = base0(digits).filter(|digits| digits.rest.is_empty()) else {
        return syntax(format!("'{text}' is invalid as number"));
    };
    match digits.value.map(|number| if negative { number.wrapping_neg() } else { number }) {
        Some(number) if (min..=max).contains(&number) => Ok(number),
        _ => syntax(format!("'{text}' is out of range {min}-{max}")),
    }
}

/// A prefix length from `min` to 32.
pub fn cidr(text: &str, min: u8) -> Result<u8, Fail> {
    let value = number(text, 0, 255)?;
    match value >= u64::from(min) && value <= 32 {
        true => Ok(value as u8),
        false => syntax(format!("'{text}' is out of range {min}-32")),
    }
}

/// An IPv4 address or a name of `/etc/hosts`.
pub fn address(text: &str, hosts: &Hosts) -> Result<Ipv4Addr, Fail> {
    let found = inet_aton(text).or_else(|| hosts.ipv4(text).map(|(address, _)| address));
    match found {
        Some(address) => Ok(address),
        None => syntax(format!("cannot parse {text}: resolving to IPv4 address failed")),
    }
}

/// Splits at the first `separator` outside of brackets, if something follows it.
pub fn split(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut hidden = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '[' => hidden = true,
            ']' => hidden = false,
            _ if letter == separator && !hidden => {
                let (before, after) = (&text[..at], &text[at + 1..]);
                return (!before.is_empty() && !after.is_empty()).then_some((before, after));
            }
            _ => {}
        }
    }
    None
}

/// Removes the brackets around a name with a dash.
pub fn unescape(text: &str) -> Result<&str, Fail> {
    match text.strip_prefix('[') {
        None => Ok(text),
        Some(inner) => match inner.find(']') {
            Some(end) => Ok(&inner[..end]),
            None => syntax(format!("cannot find closing escape character ']' in {text}")),
        },
    }
}

/// A port by number, or by its service name with this protocol.
pub fn port(text: &str, proto: &str) -> Result<u16, Fail> {
    let text = unescape(text)?;
    let error = match number(text, 0, 65535) {
        Ok(port) => return Ok(port as u16),
        Err(Fail::Other(error)) => error,
        Err(other) => return Err(other),
    };
    let (tcp, udp) = services::ports_by_name(text);
    let named = if proto == "udp" { udp } else { tcp };
    // The second message is a bug of the program.
    let confused =
        format!("{error}\nSyntax error: 'tcp' is invalid as number\ncannot parse '{text}' as a {proto} port");
    named.ok_or(Fail::Other(confused))
}

/// A protocol by number or name.
pub fn proto(text: &str) -> Result<u8, Fail> {
    let found = match number(text, 0, 255) {
        Ok(proto) => Some(proto as u8),
        Err(_) => services::protocol_by_name(text),
    };
    match found {
        Some(0) if text != "0" => syntax(format!("Unsupported protocol '{text}'")),
        Some(proto) => Ok(proto),
        None => syntax(format!("cannot parse '{text}' as a protocol")),
    }
}

/// ICMP types and codes by name; the first alias is printed.
#[rustfmt::skip]
const ICMP: &[(&str, u8, u8)] = &[
    ("echo-reply", 0, 0), ("pong", 0, 0), ("network-unreachable", 3, 0), ("host-unreachable", 3, 1),
    ("protocol-unreachable", 3, 2), ("port-unreachable", 3, 3), ("fragmentation-needed", 3, 4),
    ("source-route-failed", 3, 5), ("network-unknown", 3, 6), ("host-unknown", 3, 7),
    ("network-prohibited", 3, 9), ("host-prohibited", 3, 10), ("TOS-network-unreachable", 3, 11),
    ("TOS-host-unreachable", 3, 12), ("communication-prohibited", 3, 13),
    ("host-precedence-violation", 3, 14), ("precedence-cutoff", 3, 15), ("source-quench", 4, 0),
    ("network-redirect", 5, 0), ("host-redirect", 5, 1), ("TOS-network-redirect", 5, 2),
    ("TOS-host-redirect", 5, 3), ("echo-request", 8, 0), ("ping", 8, 0), ("router-advertisement", 9, 0),
    ("router-solicitation", 10, 0), ("ttl-zero-during-transit", 11, 0),
    ("ttl-zero-during-reassembly", 11, 1), ("ip-header-bad", 12, 0), ("required-option-missing", 12, 1),
    ("timestamp-request", 13, 0), ("timestamp-reply", 14, 0), ("address-mask-request", 17, 0),
    ("address-mask-reply", 18, 0),
];

/// Type and code of ICMP by name or as `TYPE/CODE`, as one number.
pub fn icmp(text: &str) -> Result<u16, Fail> {
    if let Some((_, kind, code)) = ICMP.iter().find(|(name, ..)| *name == text) {
        return Ok(u16::from(*kind) << 8 | u16::from(*code));
    }
    match text.split_once('/') {
        Some((kind, code)) => Ok((number(kind, 0, 255)? << 8 | number(code, 0, 255)?) as u16),
        None => Err(Fail::Other(format!("Cannot parse {text} as an ICMP type/code."))),
    }
}

/// Type and code of ICMP as they are printed.
pub fn show_icmp(port: u16) -> String {
    let (kind, code) = ((port >> 8) as u8, port as u8);
    match ICMP.iter().find(|row| (row.1, row.2) == (kind, code)) {
        Some((name, ..)) => (*name).to_owned(),
        None => format!("{kind}/{code}"),
    }
}
