//! GRE (RFC 2784, RFC 2890).

use super::bytes::{Bytes, Print};
use super::names::{ETHERTYPE, bits, lookup};
use super::{Nd, ip, ip6, link};

const CHECKSUM: u16 = 0x8000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ROUTING: u16 = 0x4000;
const FLAGS: &[(u32, &str)] = &[
    (0x8000, "checksum present"),
    (0x4000, "routing present"),
    (0x2000, "key present"),
    (0x1000, "sequence# present"),
    (0x0800, "source routing present"),
    (0x0080, "ack present"),
];

/// Prints a GRE header and what is behind it.
///
/// Not modelled: version 1 (PPTP), routes.
pub fn gre(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "gre";
    let flags = p.u16(0)?;
    let version = flags & 7;
    nd.put(&format!("GREv{version}"));
    if version != 0 || flags & ROUTING != 0 {
        nd.put(" not modelled yet");
        return Ok(());
    }
    if nd.options.verbose > 0 {
        nd.put(&format!(", Flags [{}]", bits(FLAGS, "none", ", ", u32::from(flags))));
    }
    let (protocol, mut at) = (p.u16(2)?, 4);
    if flags & CHECKSUM != 0 {
        if nd.options.verbose > 0 {
            nd.put(&format!(", sum 0x{:x}", p.u16(at)?));
        }
        nd.put(&format!(", off 0x{:x}", p.u16(at + 2)?));
        at += 4;
    }
    if flags & KEY != 0 {
        nd.put(&format!(", key=0x{:x}", p.u32(at)?));
        at += 4;
    }
    if flags & SEQUENCE != 0 {
        nd.put(&format!(", seq {}", p.u32(at)?));
        at += 4;
    }
    if nd.options.link_header > 0 {
        let name = lookup(ETHERTYPE, protocol.into()).unwrap_or("unknown");
        nd.put(&format!(", proto {name} (0x{protocol:04x})"));
    }
    nd.put(&format!(", length {length}"));
    nd.put(if nd.options.verbose > 0 { "\n\t" } else { ": " });
    let (inside, rest) = (p.from(at), length.saturating_sub(at));
    match protocol {
        0x0800 => ip::ip(nd, inside, rest),
        0x86dd => ip6::ip6(nd, inside, rest),
        0x6558 => link::ethernet(nd, inside, rest).map(|_| ()),
        other => {
            nd.put(&format!("gre-proto-0x{other:x}"));
            Ok(())
        }
    }
}
