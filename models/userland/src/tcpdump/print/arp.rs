//! ARP.

use super::bytes::{Bytes, Print, Truncated};
use super::names::{ETHERTYPE, lookup, mac_digits};
use super::{Nd, dump};

const HARDWARE: &[(u32, &str)] =
    &[(1, "Ethernet"), (6, "TokenRing"), (7, "ArcNet"), (24, "IEEE 1394"), (32, "InfiniBand")];

const OPERATION: &[(u32, &str)] = &[
    (1, "Request"),
    (2, "Reply"),
    (3, "Reverse Request"),
    (4, "Reverse Reply"),
    (8, "Inverse Request"),
    (9, "Inverse Reply"),
    (10, "NACK Reply"),
];

/// Printed fields of an ARP packet.
struct Arp<'a> {
    protocol: u16,
    sender_mac: &'a [u8],
    sender: &'a [u8],
    target_mac: &'a [u8],
    target: &'a [u8],
}

/// Prints an ARP or RARP packet of `length` bytes on the wire.
///
/// Not modelled: ATM and Frame Relay hardware.
pub fn arp(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "arp";
    let (hardware, protocol, operation) = (p.u16(0)?, p.u16(2)?, p.u16(6)?);
    let (mac_len, ip_len) = (usize::from(p.u8(4)?), usize::from(p.u8(5)?));
    let packet = fields(p, protocol, mac_len, ip_len)?;
    if nd.options.link_header == 0 {
        nd.put("ARP, ");
    }
    let known = (protocol == 0x0800 || protocol == 0x1000) && ip_len == 4 && mac_len != 0;
    let verbose = nd.options.verbose > 0;
    if !known || verbose {
        let hardware = named(HARDWARE, hardware.into(), || format!("Unknown Hardware ({hardware})"));
        let protocol = named(ETHERTYPE, protocol.into(), || format!("Unknown Protocol (0x{protocol:04x})"));
        nd.put(&format!("{hardware} (len {mac_len}), {protocol} (len {ip_len})"));
        if !verbose {
            nd.put(&format!(", length {length}"));
            return Ok(());
        }
        nd.put(", ");
    }
    nd.put(&named(OPERATION, operation.into(), || format!("Unknown ({operation})")));
    nd.put(" ");
    if !print_operation(nd, operation, &packet) {
        dump::hex_and_ascii(&mut nd.out, p.0);
        return Ok(());
    }
    nd.put(&format!(", length {length}"));
    Ok(())
}

fn fields(p: Bytes, protocol: u16, mac_len: usize, ip_len: usize) -> Result<Arp, Truncated> {
    let sender = 8 + mac_len;
    let target_mac = sender + ip_len;
    let target = target_mac + mac_len;
    Ok(Arp {
        protocol,
        sender_mac: p.take(8, mac_len)?,
        sender: p.take(sender, ip_len)?,
        target_mac: p.take(target_mac, mac_len)?,
        target: p.take(target, ip_len)?,
    })
}

fn named(table: &[(u32, &'static str)], value: u32, unknown: impl Fn() -> String) -> String {
    lookup(table, value).map_or_else(unknown, str::to_owned)
}

/// Prints the operation; false if tcpdump prints a hex dump.
fn print_operation(nd: &mut Nd, operation: u16, arp: &Arp) -> bool {
    let text = match operation {
        1 => {
            let hint = if arp.target_mac.iter().any(|byte| *byte != 0) {
                format!(" ({})", link_address(nd, arp.target_mac))
            } else {
                String::new()
            };
            format!("who-has {}{hint} tell {}", ip(nd, arp, arp.target), ip(nd, arp, arp.sender))
        }
        2 => format!("{} is-at {}", ip(nd, arp, arp.sender), link_address(nd, arp.sender_mac)),
        3 | 8 => {
            format!("who-is {} tell {}", link_address(nd, arp.target_mac), link_address(nd, arp.sender_mac))
        }
        4 => format!("{} at {}", link_address(nd, arp.target_mac), ip(nd, arp, arp.target)),
        9 => format!("{} at {}", link_address(nd, arp.sender_mac), ip(nd, arp, arp.sender)),
        _ => return false,
    };
    nd.put(&text);
    true
}

fn ip(nd: &Nd, arp: &Arp, address: &[u8]) -> String {
    let is_ip = arp.protocol == 0x0800 || arp.protocol == 0x1000;
    match <[u8; 4]>::try_from(address) {
        Ok(octets) if is_ip => nd.ipv4(octets.into()),
        _ if is_ip => "<wrong len>".to_owned(),
        _ => "<wrong proto type>".to_owned(),
    }
}

fn link_address(nd: &Nd, mac: &[u8]) -> String {
    match <[u8; 6]>::try_from(mac) {
        Ok(mac) => nd.mac(mac),
        Err(_) if mac.is_empty() => "<empty>".to_owned(),
        Err(_) => mac_digits(mac),
    }
}
