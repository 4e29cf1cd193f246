//! ICMP.

use super::Nd;
use super::bytes::{Bytes, Print, Truncated, checksum, checksum_should_be};
use super::ip;

/// Offset of RFC 4884 extensions in an ICMP message, bytes.
const EXTENSION_AT: usize = 136;

/// Prints an ICMP message.
///
/// Not modelled: the objects of RFC 4884 extensions.
pub fn icmp(nd: &mut Nd, p: Bytes, length: usize, fragmented: bool) -> Print {
    nd.protocol = "icmp";
    let (kind, code) = (p.u8(0)?, p.u8(1)?);
    let text = message(nd, p, kind, code)?;
    nd.put(&format!("ICMP {text}, length {length}"));
    if nd.options.verbose == 0 {
        return Ok(());
    }
    if !fragmented && p.has(0, length) {
        let sum = checksum(&[p.take(0, length)?]);
        if sum != 0 {
            let stored = p.u16(2)?;
            let right = checksum_should_be(stored, sum);
            nd.put(&format!(" (wrong icmp cksum {stored:x} (->{right:x})!)"));
        }
    }
    if matches!(kind, 3 | 4 | 5 | 11 | 12) {
        nd.put("\n\t");
        let inner = p.from(8);
        let inner_length = usize::from(inner.u16(2)?);
        ip::ip(nd, inner.first(inner_length), inner_length)?;
    }
    nd.protocol = "icmp";
    if length > EXTENSION_AT && matches!(kind, 3 | 11 | 12) {
        extension(nd, p, length)?;
    }
    Ok(())
}

fn message(nd: &Nd, p: Bytes, kind: u8, code: u8) -> Result<String, Truncated> {
    Ok(match kind {
        0 | 8 => {
            let what = if kind == 8 { "request" } else { "reply" };
            format!("echo {what}, id {}, seq {}", p.u16(4)?, p.u16(6)?)
        }
        3 => unreachable(nd, p, code)?,
        4 => "source quench".to_owned(),
        5 => redirect(nd, p, code)?,
        9 => router_advertisement(nd, p)?,
        10 => "router solicitation".to_owned(),
        11 => {
            p.take(24, 4)?;
            match code {
                0 => "time exceeded in-transit".to_owned(),
                1 => "ip reassembly time exceeded".to_owned(),
                other => format!("time exceeded-#{other}"),
            }
        }
        12 if code != 0 => format!("parameter problem - code {code}"),
        12 => format!("parameter problem - octet {}", p.u8(4)?),
        13 => format!("time stamp query id {} seq {}", p.u16(4)?, p.u16(6)?),
        14 => format!(
            "time stamp reply id {} seq {}: org {}, recv {}, xmit {}",
            p.u16(4)?,
            p.u16(6)?,
            time_of_day(p.u32(8)?),
            time_of_day(p.u32(12)?),
            time_of_day(p.u32(16)?)
        ),
        15 => "information request".to_owned(),
        16 => "information reply".to_owned(),
        17 => "address mask request".to_owned(),
        18 => format!("address mask is 0x{:08x}", p.u32(8)?),
        other => format!("type-#{other}"),
    })
}

/// Destination of the packet quoted by an error.
fn inner_destination(nd: &Nd, p: Bytes) -> Result<String, Truncated> {
    Ok(nd.ipv4(p.ipv4(24)?))
}

fn unreachable(nd: &Nd, p: Bytes, code: u8) -> Result<String, Truncated> {
    if code == 3 {
        return port_unreachable(nd, p);
    }
    let to = inner_destination(nd, p)?;
    Ok(match code {
        0 => format!("net {to} unreachable"),
        1 => format!("host {to} unreachable"),
        2 => format!("{to} protocol {} unreachable", p.u8(17)?),
        4 => match p.u16(6)? {
            0 => format!("{to} unreachable - need to frag"),
            mtu => format!("{to} unreachable - need to frag (mtu {mtu})"),
        },
        5 => format!("{to} unreachable - source route failed"),
        6 => format!("net {to} unreachable - unknown"),
        7 => format!("host {to} unreachable - unknown"),
        8 => format!("{to} unreachable - source host isolated"),
        9 => format!("net {to} unreachable - admin prohibited"),
        10 => format!("host {to} unreachable - admin prohibited"),
        11 => format!("net {to} unreachable - tos prohibited"),
        12 => format!("host {to} unreachable - tos prohibited"),
        13 => format!("host {to} unreachable - admin prohibited filter"),
        14 => format!("host {to} unreachable - host precedence violation"),
        15 => format!("host {to} unreachable - precedence cutoff"),
        other => format!("{to} unreachable - #{other}"),
    })
}

fn port_unreachable(nd: &Nd, p: Bytes) -> Result<String, Truncated> {
    let protocol = p.u8(17)?;
    let port = p.u16(8 + usize::from(p.u8(8)? & 0xf) * 4 + 2)?;
    let to = inner_destination(nd, p)?;
    Ok(match protocol {
        6 => format!("{to} tcp port {} unreachable", nd.tcp_port(port)),
        17 => format!("{to} udp port {} unreachable", nd.udp_port(port)),
        other => format!("{to} protocol {other} port {port} unreachable"),
    })
}

fn redirect(nd: &Nd, p: Bytes, code: u8) -> Result<String, Truncated> {
    let (to, gateway) = (inner_destination(nd, p)?, nd.ipv4(p.ipv4(4)?));
    Ok(match code {
        0 => format!("redirect {to} to net {gateway}"),
        1 => format!("redirect {to} to host {gateway}"),
        2 => format!("redirect-tos {to} to net {gateway}"),
        3 => format!("redirect-tos {to} to host {gateway}"),
        other => format!("redirect-#{other} {to} to {gateway}"),
    })
}

fn router_advertisement(nd: &Nd, p: Bytes) -> Result<String, Truncated> {
    let (count, size, lifetime) = (p.u8(4)?, p.u8(5)?, p.u16(6)?);
    let (h, m, s) = (lifetime / 3600, lifetime % 3600 / 60, lifetime % 60);
    let lifetime = match lifetime {
        0..60 => s.to_string(),
        60..3600 => format!("{m}:{s:02}"),
        _ => format!("{h}:{m:02}:{s:02}"),
    };
    let mut text = format!("router advertisement lifetime {lifetime} {count}:");
    if size != 2 {
        text += &format!(" [size {size}]");
        return Ok(text);
    }
    for entry in 0..usize::from(count) {
        let at = 8 + entry * 8;
        text += &format!(" {{{} {}}}", nd.ipv4(p.ipv4(at)?), p.u32(at + 4)?);
    }
    Ok(text)
}

fn time_of_day(milliseconds: u32) -> String {
    let seconds = milliseconds / 1000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}.{:03}", milliseconds % 1000)
}

fn extension(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    p.take(0, EXTENSION_AT + 5)?;
    let size = length - EXTENSION_AT;
    let body = p.from(EXTENSION_AT);
    let sum = if body.has(0, size) { Some(checksum(&[body.take(0, size)?])) } else { None };
    if p.u8(5)? == 0 && sum.is_some_and(|sum| sum != 0) {
        return Ok(());
    }
    let version = body.u8(0)? >> 4;
    nd.put(&format!("\n\tICMP Multi-Part extension v{version}"));
    if version != 2 {
        nd.put(" packet not supported");
        return Ok(());
    }
    if let Some(sum) = sum {
        let wrong = if sum == 0 { "" } else { "in" };
        nd.put(&format!(", checksum 0x{:04x} ({wrong}correct), length {size}", body.u16(2)?));
    }
    Ok(())
}
