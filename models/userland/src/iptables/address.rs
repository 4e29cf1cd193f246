//! Addresses, masks, protocols and interfaces, as libxtables parses and prints them.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use glassnet_kernel::tables::xt::{AddrMask, Iface};

use super::ext::XtError;
use super::ext::x6::strtoui;
use crate::hosts::{Hosts, inet_aton};
use crate::services;

fn wrong<T>(text: String) -> Result<T, XtError> {
    Err(XtError::Parameter(text))
}

/// An address of up to four decimal numbers; what is left out is 0 (`10.1` is 10.1.0.0).
fn dotted(text: &str) -> Option<u32> {
    let mut parts = text.split('.');
    let mut addr = 0;
    for at in 0..4 {
        match parts.next() {
            Some(part) => addr |= (strtoui(part, 0, 255)? as u32) << (24 - 8 * at),
            None if at > 0 => break,
            None => return None,
        }
    }
    parts.next().is_none().then_some(addr)
}

/// A mask: a prefix length or four numbers with dots.
fn mask(text: &str) -> Result<u32, XtError> {
    let by_dots = || inet_aton(text).filter(|_| text.split('.').count() == 4).map(u32::from);
    let by_length = || strtoui(text, 0, 32).map(|bits| u32::MAX.checked_shl(32 - bits as u32).unwrap_or(0));
    match by_dots().or_else(by_length) {
        Some(mask) => Ok(mask),
        None => wrong(format!("invalid mask `{text}' specified")),
    }
}

/// The addresses of a name or the one that it spells (`xtables_ipparse_any`).
///
/// # Errors
///
/// ``host/network `NAME' not found``, ``invalid mask `MASK' specified``.
pub fn hosts_and_mask(text: &str, hosts: &Hosts) -> Result<Vec<(u32, u32)>, XtError> {
    let (host, bits) = match text.rsplit_once('/') {
        Some((host, bits)) => (host, mask(bits)?),
        None => (text, u32::MAX),
    };
    // With mask 0 the address is only checked for validity.
    let mut found = match dotted(host) {
        Some(addr) => vec![addr],
        None => hosts
            .addresses(host)
            .into_iter()
            .filter_map(|addr| match addr {
                IpAddr::V4(addr) => Some(u32::from(addr)),
                IpAddr::V6(_) => None,
            })
            .collect(),
    };
    if found.is_empty() {
        return wrong(format!("host/network `{host}' not found"));
    }
    found.iter_mut().for_each(|addr| *addr &= bits);
    let mut unique: Vec<(u32, u32)> = Vec::with_capacity(found.len());
    for addr in found {
        if !unique.contains(&(addr, bits)) {
            unique.push((addr, bits));
        }
    }
    Ok(unique)
}

/// A list of addresses, separated by commas (`xtables_ipparse_multiple`).
///
/// # Errors
///
/// Those of [`hosts_and_mask`].
pub fn address_list(text: &str, hosts: &Hosts) -> Result<Vec<(u32, u32)>, XtError> {
    if !text.contains(',') {
        return hosts_and_mask(text, hosts);
    }
    let mut all = Vec::new();
    for part in text.split(',') {
        all.extend(hosts_and_mask(part.trim_start(), hosts)?);
    }
    Ok(all)
}

/// Prefix length of a contiguous mask.
fn prefix(mask: u32) -> Option<u32> {
    let ones = mask.leading_ones();
    (mask.count_ones() == ones).then_some(ones)
}

/// `/24`, or `/255.0.255.0` for a mask that is not contiguous; nothing for a single address if `short`.
fn push_mask(out: &mut String, mask: u32, short: bool) {
    let _ = match prefix(mask) {
        Some(32) if short => Ok(()),
        Some(bits) => write!(out, "/{bits}"),
        None => write!(out, "/{}", Ipv4Addr::from(mask)),
    };
}

/// `ADDRESS/MASK` as in `iptables-save`.
pub fn push_saved(out: &mut String, addr: &AddrMask) {
    let _ = write!(out, "{}", Ipv4Addr::from(addr.addr));
    push_mask(out, addr.mask, false);
}

/// Named networks of `/etc/networks`.
const NETWORKS: &[(u32, &str)] = &[(0x7f00_0000, "loopback"), (0xa9fe_0000, "link-local")];

/// An address as `-L` prints it; with `hosts`, by name if it has one.
pub fn listed(addr: &AddrMask, hosts: Option<&Hosts>) -> String {
    let mut out = String::new();
    let dotted = Ipv4Addr::from(addr.addr);
    let Some(hosts) = hosts else {
        let _ = write!(out, "{dotted}");
        push_mask(&mut out, addr.mask, true);
        return out;
    };
    if addr.mask == 0 && !addr.invert {
        return "anywhere".to_owned();
    }
    let network = || NETWORKS.iter().find(|(net, _)| *net == addr.addr).map(|(_, name)| *name);
    match hosts.name(IpAddr::V4(dotted)).or_else(network) {
        Some(name) => out += name,
        None => {
            let _ = write!(out, "{dotted}");
        }
    }
    push_mask(&mut out, addr.mask, true);
    out
}

/// A protocol by number or name (`xtables_parse_protocol`); `all` is 0.
///
/// # Errors
///
/// An unknown protocol name.
pub fn protocol(text: &str) -> Result<u8, XtError> {
    if let Some(number) = strtoui(text, 0, 255) {
        return Ok(number as u8);
    }
    let lower = text.to_ascii_lowercase();
    let extra = match lower.as_str() {
        "all" => Some(0),
        "icmpv6" => Some(58),
        "ipv6-mh" | "mh" => Some(135),
        _ => None,
    };
    match extra.or_else(|| services::protocol_by_name(&lower)) {
        Some(number) => Ok(number),
        None => wrong(format!("unknown protocol \"{lower}\" specified")),
    }
}

/// A protocol's name, or its number if it has no name or `numeric`.
pub fn push_protocol(out: &mut String, number: u8, numeric: bool) {
    let name = match number {
        0 => Some("all"),
        other => services::protocol_name(other),
    };
    match name.filter(|_| !numeric) {
        Some(name) => *out += name,
        None => {
            let _ = write!(out, "{number}");
        }
    }
}

/// An interface's name; the second value is a warning for standard error.
///
/// # Errors
///
/// A name that is too long or empty.
pub fn interface(text: &str, invert: bool) -> Result<(Iface, Option<String>), XtError> {
    if text.is_empty() {
        return wrong("Empty interface is likely to be undesired".to_owned());
    }
    if text.len() + 1 > 16 {
        return wrong(format!("interface name `{text}' must be shorter than IFNAMSIZ (15)"));
    }
    let weird = text.bytes().any(|byte| byte == b'/' || byte == b' ');
    let warning = weird.then(|| {
        format!(
            "Warning: weird character in interface `{text}' ('/' and ' ' are not allowed by the kernel).\n"
        )
    });
    Ok((Iface { invert, name: text.to_owned() }, warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_short_addresses() {
        let read = |text: &str| hosts_and_mask(text, &Hosts::parse("10.0.0.7 box\n")).map(|list| list[0]);
        assert_eq!(read("1.2.3"), Ok((0x0102_0300, u32::MAX)));
        assert_eq!(read("10.1.2.3/255.0.255.0"), Ok((0x0a00_0200, 0xff00_ff00)));
        assert_eq!(read("1.2.3.4/0"), Ok((0, 0)));
        assert_eq!(read("box/24"), Ok((0x0a00_0000, 0xffff_ff00)));
        assert_eq!(read("1.2.3.4/33"), wrong("invalid mask `33' specified".to_owned()));
        assert_eq!(read("x/8"), wrong("host/network `x' not found".to_owned()));
    }
}
