//! IPv4 and dispatch to its payload.

use super::bytes::{Bytes, Print, Truncated, checksum, checksum_should_be};
use super::names::{IP_PROTOCOL, bits, lookup};
use super::{Nd, gre, icmp, icmp6, igmp, ip6, tcp, udp};
use crate::services::protocol_name;

const FLAGS: &[(u32, &str)] = &[(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")];
const ECN: [&str; 4] = ["", ",ECT(1)", ",ECT(0)", ",CE"];

/// The network header, for transport printers.
#[derive(Clone, Copy)]
pub struct Network<'a> {
    /// Bytes from the IP header on.
    pub header: Bytes<'a>,
    /// 4 or 6.
    pub version: u8,
    /// The payload is only the first fragment.
    pub fragmented: bool,
}

impl Network<'_> {
    /// Source and destination as tcpdump prints them.
    pub fn addresses(&self, nd: &Nd) -> Result<(String, String), Truncated> {
        if self.version == 6 {
            return Ok((nd.ipv6(self.header.ipv6(8)?), nd.ipv6(self.header.ipv6(24)?)));
        }
        Ok((nd.ipv4(self.header.ipv4(12)?), nd.ipv4(self.header.ipv4(16)?)))
    }

    /// Prints source and destination of a segment of `protocol`: addresses with ports, or ports behind extension
    /// headers.
    pub fn endpoints(&self, nd: &mut Nd, protocol: u8, from: &str, to: &str) -> Print {
        let direct = match self.version {
            6 => self.header.u8(6)? == protocol,
            _ => self.header.u8(9)? == protocol,
        };
        if direct {
            let (source, destination) = self.addresses(nd)?;
            nd.put(&format!("{source}.{from} > {destination}.{to}: "));
        } else {
            nd.put(&format!("{from} > {to}: "));
        }
        Ok(())
    }

    /// Checksum over the pseudo-header and `data`; 0 if the stored one is correct.
    pub fn checksum(&self, protocol: u8, data: &[u8]) -> Result<u16, Truncated> {
        let addresses = if self.version == 6 { self.header.take(8, 32)? } else { self.header.take(12, 8)? };
        let length = (data.len() as u32).to_be_bytes();
        Ok(checksum(&[addresses, &length, &[0, protocol], data]))
    }
}

/// Prints an IPv4 or IPv6 packet without a link-layer header.
pub fn either(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    match p.u8(0)? >> 4 {
        4 => ip(nd, p, length),
        6 => ip6::ip6(nd, p, length),
        other => {
            nd.put(&format!("unknown ip {other}"));
            Ok(())
        }
    }
}

/// Prints an IPv4 packet.
pub fn ip(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "ip";
    match p.u8(0)? >> 4 {
        4 => {}
        6 => {
            nd.put("IP6, wrong link-layer encapsulation");
            nd.invalid();
            return Ok(());
        }
        other => {
            nd.put(&format!("IP{other}"));
            nd.invalid();
            return Ok(());
        }
    }
    if nd.options.link_header == 0 {
        nd.put("IP ");
    }
    if !p.has(0, 20) {
        nd.truncated();
        return Ok(());
    }
    if length < 20 {
        nd.put(&format!("truncated-ip {length}"));
        return Ok(());
    }
    let header = usize::from(p.u8(0)? & 0xf) * 4;
    if header < 20 {
        nd.put(&format!("bad-hlen {header}"));
        return Ok(());
    }
    let total = usize::from(p.u16(2)?);
    if length < total {
        nd.put(&format!("truncated-ip - {} bytes missing! ", total - length));
    }
    if total < header {
        nd.put(&format!("bad-len {total}"));
        return Ok(());
    }
    body(nd, p.first(total), header, total - header)
}

fn body(nd: &mut Nd, p: Bytes, header: usize, payload: usize) -> Print {
    if nd.options.verbose > 0 && !verbose(nd, p, header)? {
        let text = format!("{} > {}: ", nd.ipv4(p.ipv4(12)?), nd.ipv4(p.ipv4(16)?));
        nd.put(&text);
        nd.truncated();
        return Ok(());
    }
    let offset = p.u16(6)?;
    let protocol = p.u8(9)?;
    let (source, destination) = (nd.ipv4(p.ipv4(12)?), nd.ipv4(p.ipv4(16)?));
    if offset & 0x1fff != 0 {
        if nd.options.quick <= 1 {
            let name = protocol_text(nd, protocol);
            nd.put(&format!("{source} > {destination}:{name}"));
        }
        return Ok(());
    }
    if !matches!(protocol, 6 | 17 | 33 | 132) {
        nd.put(&format!("{source} > {destination}: "));
    }
    if p.len() < header {
        nd.put(&format!(" [remaining caplen({}) < header length({header})]", p.len()));
        return Err(Truncated);
    }
    let network = Network { header: p, version: 4, fragmented: offset & 0x2000 != 0 };
    payload_of(nd, protocol, p.from(header), payload, network)
}

fn protocol_text(nd: &Nd, protocol: u8) -> String {
    match protocol_name(protocol) {
        Some(name) if nd.options.numeric == 0 => format!(" {name}"),
        _ => format!(" ip-proto-{protocol}"),
    }
}

/// Prints the payload of an IP packet by its protocol number.
///
/// Not modelled: AH, SCTP, OSPF, PIM, VRRP and other payloads, which are printed as an unknown protocol.
pub fn payload_of(nd: &mut Nd, protocol: u8, p: Bytes, length: usize, network: Network) -> Print {
    match (protocol, network.version) {
        (1, 4) => icmp::icmp(nd, p, length, network.fragmented),
        (58, 6) => icmp6::icmp6(nd, p, length, network),
        (1 | 2, 6) | (58, 4) => {
            let needed = if protocol == 58 { 6 } else { 4 };
            let name = lookup(IP_PROTOCOL, protocol.into()).unwrap_or("unknown");
            nd.put(&format!("[{name} requires IPv{needed}]"));
            nd.invalid();
            Ok(())
        }
        (2, _) => igmp::igmp(nd, p, length),
        (4, _) => ip(nd, p, length),
        (6, _) => tcp::tcp(nd, p, length, network),
        (17, _) => udp::udp(nd, p, length, network),
        (41, _) => ip6::ip6(nd, p, length),
        (47, _) => gre::gre(nd, p, length),
        (59, _) => {
            nd.put("no next header");
            Ok(())
        }
        _ => {
            let name = protocol_text(nd, protocol);
            nd.put(&format!("{name} {length}"));
            Ok(())
        }
    }
}

/// Prints the header for `-v`; false if an option is truncated.
fn verbose(nd: &mut Nd, p: Bytes, header: usize) -> Result<bool, Truncated> {
    let (tos, ttl, protocol, offset) = (p.u8(1)?, p.u8(8)?, p.u8(9)?, p.u16(6)?);
    nd.put(&format!("(tos 0x{tos:x}{}", ECN[usize::from(tos & 3)]));
    if ttl > 0 {
        nd.put(&format!(", ttl {ttl}"));
    }
    let flags = bits(FLAGS, "none", ", ", u32::from(offset & 0xe000));
    let name = lookup(IP_PROTOCOL, protocol.into()).unwrap_or("unknown");
    nd.put(&format!(
        ", id {}, offset {}, flags [{flags}], proto {name} ({protocol}), length {}",
        p.u16(4)?,
        u32::from(offset & 0x1fff) * 8,
        p.u16(2)?
    ));
    let mut complete = true;
    if header > 20 {
        nd.put(", options (");
        complete = options(nd, p.from(20).first(header - 20), header - 20).is_ok();
        nd.put(if complete { ")" } else { " [truncated-option])" });
    }
    if !nd.options.no_checksums && p.has(0, header) {
        let sum = checksum(&[p.take(0, header)?]);
        if sum != 0 {
            let stored = p.u16(10)?;
            nd.put(&format!(", bad cksum {stored:x} (->{:x})!", checksum_should_be(stored, sum)));
        }
    }
    nd.put(")\n    ");
    Ok(complete)
}

const OPTION: &[(u32, &str)] = &[
    (0, "EOL"),
    (1, "NOP"),
    (68, "timestamp"),
    (130, "security"),
    (7, "RR"),
    (137, "SSRR"),
    (131, "LSRR"),
    (148, "RA"),
    (82, "traceroute"),
];

fn options(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    let mut at = 0;
    while at < length {
        if at > 0 {
            nd.put(",");
        }
        let code = p.u8(at)?;
        let name = lookup(OPTION, code.into()).map_or_else(|| format!("unknown {code}"), str::to_owned);
        nd.put(&name);
        let size = if code <= 1 { 1 } else { usize::from(p.u8(at + 1)?) };
        if (code > 1 && size < 2) || size > length - at {
            nd.put(&format!(" [bad length {size}]"));
            return Ok(());
        }
        let option = Bytes(p.take(at, size)?);
        match code {
            0 => return Ok(()),
            68 => timestamp(nd, option, size)?,
            7 | 131 | 137 => route(nd, option, size)?,
            148 if size < 4 => nd.put(&format!(" [bad length {size}]")),
            148 if option.u16(2)? != 0 => nd.put(&format!(" value {}", option.u16(2)?)),
            _ => {}
        }
        at += size;
    }
    Ok(())
}

fn route(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    if length < 3 {
        nd.put(&format!(" [bad length {length}]"));
        return Ok(());
    }
    if (length + 1) & 3 != 0 {
        nd.put(&format!(" [bad length {length}]"));
    }
    let pointer = usize::from(p.u8(2)?).wrapping_sub(1);
    if pointer < 3 || pointer.wrapping_add(1) & 3 != 0 || pointer > length + 1 {
        nd.put(&format!(" [bad ptr {}]", p.u8(2)?));
    }
    for at in (3..length).step_by(4) {
        let hop = nd.ipv4(p.ipv4(at)?);
        let comma = if pointer > at { "," } else { "" };
        nd.put(&format!(" {hop}{comma}"));
    }
    Ok(())
}

fn timestamp(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    if length < 4 {
        nd.put(&format!("[bad length {length}]"));
        return Ok(());
    }
    nd.put(" TS{");
    let kind = p.u8(3)? & 0xf;
    let step = if kind == 0 { 4 } else { 8 };
    if (length - 4) & (step - 1) != 0 {
        nd.put(&format!("[bad length {length}]"));
    }
    let pointer = usize::from(p.u8(2)?).wrapping_sub(1);
    if pointer < 4 || pointer.wrapping_sub(4) & (step - 1) != 0 || pointer > length + 1 {
        nd.put(&format!("[bad ptr {}]", p.u8(2)?));
    }
    let mut at = 0;
    match kind {
        0 | 1 | 3 => {
            nd.put(["TSONLY", "TS+ADDR", "", "PRESPEC"][usize::from(kind)]);
            at = 4;
            while at < length {
                let mark = if pointer == at { " ^ " } else { " " };
                let host = if step == 8 { nd.ipv4(p.ipv4(at)?) } else { String::new() };
                nd.put(&format!("{mark}{}@{host}", p.u32(at + step - 4)?));
                at += step;
            }
        }
        other => nd.put(&format!("[bad ts type {other}]")),
    }
    if pointer == at {
        nd.put(" ^ ");
    }
    match p.u8(3)? >> 4 {
        0 => nd.put("}"),
        missed => nd.put(&format!(" [{missed} hops not recorded]}} ")),
    }
    Ok(())
}
