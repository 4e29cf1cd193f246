//! IPv6.

use super::Nd;
use super::bytes::{Bytes, Print};
use super::ip::{Network, payload_of};
use super::names::{IP_PROTOCOL, lookup};

const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// Prints an IPv6 packet.
///
/// Not modelled: jumbo payloads, routing and mobility headers.
pub fn ip6(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "ip6";
    if !p.has(0, 40) {
        nd.truncated();
        return Ok(());
    }
    if length < 40 {
        nd.put(&format!("truncated-ip6 {length}"));
        return Ok(());
    }
    if nd.options.link_header == 0 {
        nd.put("IP6 ");
    }
    let version = p.u8(0)? >> 4;
    if version != 6 {
        nd.put(&format!("version error: {version} != 6"));
        return Ok(());
    }
    let payload = usize::from(p.u16(4)?);
    if length < payload + 40 {
        nd.put(&format!("truncated-ip6 - {} bytes missing!", payload + 40 - length));
    }
    let next = p.u8(6)?;
    if nd.options.verbose > 0 {
        verbose(nd, p, next, payload)?;
    }
    let p = p.first(payload + 40);
    if !matches!(next, 6 | 17 | 33 | 132) {
        let text = format!("{} > {}: ", nd.ipv6(p.ipv6(8)?), nd.ipv6(p.ipv6(24)?));
        nd.put(&text);
    }
    headers(nd, p, next, payload)
}

fn verbose(nd: &mut Nd, p: Bytes, next: u8, payload: usize) -> Print {
    let flow = p.u32(0)?;
    nd.put("(");
    if flow & 0x0ff0_0000 != 0 {
        nd.put(&format!("class 0x{:02x}, ", (flow & 0x0ff0_0000) >> 20));
    }
    if flow & 0x000f_ffff != 0 {
        nd.put(&format!("flowlabel 0x{:05x}, ", flow & 0x000f_ffff));
    }
    let name = lookup(IP_PROTOCOL, next.into()).unwrap_or("unknown");
    let limit = p.u8(7)?;
    nd.put(&format!("hlim {limit}, next-header {name} ({next}) payload length: {payload}) "));
    Ok(())
}

/// Prints the extension headers up to the payload.
fn headers(nd: &mut Nd, p: Bytes, first: u8, payload: usize) -> Print {
    let (mut next, mut at, mut fragmented) = (first, 40, false);
    let end = 40 + payload;
    loop {
        if at > end {
            nd.truncated();
            return Ok(());
        }
        match next {
            HOP_BY_HOP => {
                nd.put("HBH ");
                options(nd, p.from(at))?;
            }
            DESTINATION => {
                nd.put("DSTOPT ");
                options(nd, p.from(at))?;
            }
            FRAGMENT => {
                fragmented = true;
                if !fragment(nd, p.from(at), end - at)? {
                    return Ok(());
                }
                next = p.u8(at)?;
                at += 8;
                nd.protocol = "ip6";
                continue;
            }
            _ => {
                let network = Network { header: p, version: 6, fragmented };
                return payload_of(nd, next, p.from(at), end - at, network);
            }
        }
        next = p.u8(at)?;
        at += (usize::from(p.u8(at + 1)?) + 1) * 8;
    }
}

/// Prints a fragment header; false if the payload is missing.
fn fragment(nd: &mut Nd, p: Bytes, rest: usize) -> Result<bool, super::Truncated> {
    let field = p.u16(2)?;
    let (offset, id) = (field & 0xfff8, p.u32(4)?);
    if nd.options.verbose > 0 {
        nd.put(&format!("frag (0x{id:08x}:{offset}|{})", rest.saturating_sub(8)));
    } else {
        nd.put(&format!("frag ({offset}|{})", rest.saturating_sub(8)));
    }
    nd.put(" ");
    Ok(offset == 0)
}

fn options(nd: &mut Nd, p: Bytes) -> Print {
    if nd.options.verbose == 0 {
        return Ok(());
    }
    let length = (usize::from(p.u8(1)?) + 1) * 8;
    let mut at = 2;
    while at < length {
        let kind = p.u8(at)?;
        if kind == 0 {
            nd.put("(pad1)");
            at += 1;
            continue;
        }
        let size = usize::from(p.u8(at + 1)?);
        match kind {
            1 => nd.put("(padn)"),
            5 => nd.put(&format!("(rtalert: 0x{:04x}) ", p.u16(at + 2)?)),
            other => nd.put(&format!("(opt_type 0x{other:02x}: len={size})")),
        }
        at += size + 2;
    }
    nd.put(" ");
    Ok(())
}
