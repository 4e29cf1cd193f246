//! Addresses, masks, protocols and interfaces, as libxtables parses and prints them.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::xt::{AddrMask, Iface};

use super::ext::XtError;
use super::ext::words::ipaddr;
use super::ext::x6::strtoui;
use crate::hosts::{Hosts, inet_aton};
use crate::services;

fn wrong<T>(text: String) -> Result<T, XtError> {
    Err(XtError::Parameter(text))
}

/// A mask: a prefix length or four numbers with dots.
fn mask(text: &str) -> Result<Ipv4Addr, XtError> {
    let by_dots = || inet_aton(text).filter(|_| text.split('.').count() == 4);
    let by_length = || strtoui(text, 0, 32).map(|bits| inet_make_mask(bits as u8));
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
pub fn hosts_and_mask(text: &str, hosts: &Hosts) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>, XtError> {
    let (host, bits) = match text.rsplit_once('/') {
        Some((host, bits)) => (host, mask(bits)?),
        None => (text, Ipv4Addr::BROADCAST),
    };
    // With mask 0 the address is only checked for validity.
    let mut found = match ipaddr(host) {
        Some(addr) => vec![addr],
        None => hosts
            .addresses(host)
            .into_iter()
            .filter_map(|addr| match addr {
                IpAddr::V4(addr) => Some(addr),
                IpAddr::V6(_) => None,
            })
            .collect(),
    };
    if found.is_empty() {
        return wrong(format!("host/network `{host}' not found"));
    }
    found.iter_mut().for_each(|addr| *addr &= bits);
    let mut unique: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::with_capacity(found.len());
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
pub fn address_list(text: &str, hosts: &Hosts) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>, XtError> {
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
fn prefix(mask: Ipv4Addr) -> Option<u32> {
    let ones = mask.to_bits().leading_ones();
    (mask.to_bits().count_ones() == ones).then_some(ones)
}

/// `/24`, or `/255.0.255.0` for a mask that is not contiguous; nothing for a single address if `short`.
fn push_mask(out: &mut String, mask: Ipv4Addr, short: bool) {
    let _ = match prefix(mask) {
        Some(32) if short => Ok(()),
        Some(bits) => write!(out, "/{bits}"),
        None => write!(out, "/{}", mask),
    };
}

/// `ADDRESS/MASK` as in `iptables-save`.
pub fn push_saved(out: &mut String, addr: &AddrMask) {
    let _ = write!(out, "{}", addr.addr);
    push_mask(out, addr.mask, false);
}

/// Named networks of `/etc/networks`.
const NETWORKS: &[(Ipv4Addr, &str)] =
    &[(Ipv4Addr::new(127, 0, 0, 0), "loopback"), (Ipv4Addr::new(169, 254, 0, 0), "link-local")];

/// An address as `-L` prints it; with `hosts`, by name if it has one.
pub fn listed(addr: &AddrMask, hosts: Option<&Hosts>) -> String {
    let mut out = String::new();
    let dotted = addr.addr;
    let Some(hosts) = hosts else {
        let _ = write!(out, "{dotted}");
        push_mask(&mut out, addr.mask, true);
        return out;
    };
    if addr.mask.is_unspecified() && !addr.invert {
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
        let ok = |addr: [u8; 4], mask: [u8; 4]| Ok((addr.into(), mask.into()));
        assert_eq!(read("1.2.3"), ok([1, 2, 3, 0], [255; 4]));
        assert_eq!(read("10.1.2.3/255.0.255.0"), ok([10, 0, 2, 0], [255, 0, 255, 0]));
        assert_eq!(read("1.2.3.4/0"), ok([0; 4], [0; 4]));
        assert_eq!(read("box/24"), ok([10, 0, 0, 0], [255, 255, 255, 0]));
        assert_eq!(read("1.2.3.4/33"), wrong("invalid mask `33' specified".to_owned()));
        assert_eq!(read("x/8"), wrong("host/network `x' not found".to_owned()));
    }
}
