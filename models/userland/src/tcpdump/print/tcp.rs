//! TCP.

use std::collections::BTreeMap;

use super::bytes::{Bytes, Print, Truncated, checksum_should_be};
use super::ip::Network;
use super::names::{bits, lookup};
use super::{Nd, bgp, domain, text};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

const FLAGS: &[(u32, &str)] =
    &[(0x01, "F"), (0x02, "S"), (0x04, "R"), (0x08, "P"), (0x10, "."), (0x20, "U"), (0x40, "E"), (0x80, "W")];

/// Initial sequence numbers of connections.
pub type Conversations = BTreeMap<(Vec<u8>, Vec<u8>, u16, u16), Start>;

/// Initial sequence numbers of both directions; `sequence` is that of the side with the lower port.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start {
    sequence: u32,
    acknowledged: u32,
}

/// Sequence numbers of a segment, relative to the initial ones.
struct Numbers {
    sequence: u32,
    acknowledgement: u32,
    /// Base of SACK blocks.
    selective: u32,
}

/// Prints a TCP segment.
///
/// Not modelled: MPTCP options and application payloads other than those of BGP, DNS and HTTP.
pub fn tcp(nd: &mut Nd, p: Bytes, length: usize, network: Network) -> Print {
    nd.protocol = "tcp";
    if !p.has(2, 2) {
        let (source, destination) = network.addresses(nd)?;
        nd.put(&format!("{source} > {destination}:"));
        nd.truncated();
        return Ok(());
    }
    let (source_port, port) = (p.u16(0)?, p.u16(2)?);
    let (from, to) = (nd.tcp_port(source_port), nd.tcp_port(port));
    network.endpoints(nd, 6, &from, &to)?;
    if !p.has(0, 20) {
        nd.truncated();
        return Ok(());
    }
    let header = usize::from(p.u8(12)? >> 4) * 4;
    if header < 20 {
        let rest = (length as u32).wrapping_sub(header as u32);
        nd.put(&format!(" tcp {rest} [bad hdr length {header} - too short, < 20]"));
        return Ok(());
    }
    let too_long = format!(" [bad hdr length {header} - too long, > {length}]");
    if nd.options.quick > 0 {
        let rest = (length as u32).wrapping_sub(header as u32);
        nd.put(&format!("tcp {rest}"));
        if header > length {
            nd.put(&too_long);
        }
        return Ok(());
    }
    let flags = p.u8(13)?;
    nd.put(&format!("Flags [{}]", bits(FLAGS, "none", "", flags.into())));
    let numbers = relative(nd, p, network, flags)?;
    if header > length {
        nd.put(&too_long);
        return Ok(());
    }
    verify(nd, p, length, network)?;
    print_numbers(nd, p, flags, &numbers, length - header)?;
    if header > 20 && !print_options(nd, p.from(20), header - 20, &numbers)? {
        return Ok(());
    }
    payload(nd, p, header, length - header, flags)
}

/// Sequence numbers relative to the first segment seen, unless `-S`.
fn relative(nd: &mut Nd, p: Bytes, network: Network, flags: u8) -> Result<Numbers, Truncated> {
    let (mut sequence, mut acknowledgement) = (p.u32(4)?, p.u32(8)?);
    if nd.options.absolute_sequence || flags & ACK == 0 {
        return Ok(Numbers { sequence, acknowledgement, selective: 0 });
    }
    let (source, destination) = match network.version {
        6 => (network.header.take(8, 16)?, network.header.take(24, 16)?),
        _ => (network.header.take(12, 4)?, network.header.take(16, 4)?),
    };
    let (from, to) = (p.u16(0)?, p.u16(2)?);
    let reversed = from > to || (from == to && source > destination);
    let key = if reversed {
        (destination.to_vec(), source.to_vec(), to, from)
    } else {
        (source.to_vec(), destination.to_vec(), from, to)
    };
    let known = nd.conversations.get(&key).copied();
    let start = match known {
        Some(start) if flags & SYN == 0 => {
            let (mine, theirs) = if reversed {
                (start.acknowledged, start.sequence)
            } else {
                (start.sequence, start.acknowledged)
            };
            sequence = sequence.wrapping_sub(mine);
            acknowledgement = acknowledgement.wrapping_sub(theirs);
            start
        }
        _ => {
            let before = acknowledgement.wrapping_sub(1);
            let start = if reversed {
                Start { acknowledged: sequence, sequence: before }
            } else {
                Start { sequence, acknowledged: before }
            };
            nd.conversations.insert(key, start);
            start
        }
    };
    let selective = if reversed { start.sequence } else { start.acknowledged };
    Ok(Numbers { sequence, acknowledgement, selective })
}

fn verify(nd: &mut Nd, p: Bytes, length: usize, network: Network) -> Print {
    if nd.options.verbose == 0 || nd.options.no_checksums || network.fragmented || !p.has(0, length) {
        return Ok(());
    }
    let stored = p.u16(16)?;
    nd.put(&format!(", cksum 0x{stored:04x}"));
    match network.checksum(6, p.take(0, length)?)? {
        0 => nd.put(" (correct)"),
        sum => nd.put(&format!(" (incorrect -> 0x{:04x})", checksum_should_be(stored, sum))),
    }
    Ok(())
}

fn print_numbers(nd: &mut Nd, p: Bytes, flags: u8, numbers: &Numbers, payload: usize) -> Print {
    if nd.options.verbose > 1 || payload > 0 || flags & (SYN | FIN | RST) != 0 {
        nd.put(&format!(", seq {}", numbers.sequence));
        if payload > 0 {
            nd.put(&format!(":{}", numbers.sequence.wrapping_add(payload as u32)));
        }
    }
    if flags & ACK != 0 {
        nd.put(&format!(", ack {}", numbers.acknowledgement));
    }
    nd.put(&format!(", win {}", p.u16(14)?));
    if flags & URG != 0 {
        nd.put(&format!(", urg {}", p.u16(18)?));
    }
    Ok(())
}

const OPTION: &[(u32, &str)] = &[
    (0, "eol"),
    (1, "nop"),
    (2, "mss"),
    (3, "wscale"),
    (4, "sackOK"),
    (5, "sack"),
    (6, "echo"),
    (7, "echoreply"),
    (8, "TS"),
    (11, "cc"),
    (12, "ccnew"),
    (13, ""),
    (19, "md5"),
    (20, "scps"),
    (28, "uto"),
    (29, "tcp-ao"),
    (30, "mptcp"),
    (34, "tfo"),
    (254, "exp"),
];

/// Prints the options; false if they are malformed and the line ends here.
fn print_options(nd: &mut Nd, p: Bytes, length: usize, numbers: &Numbers) -> Result<bool, Truncated> {
    nd.put(", options [");
    let mut at = 0;
    while at < length {
        if at > 0 {
            nd.put(",");
        }
        let kind = p.u8(at)?;
        let size = match kind {
            0 | 1 => 1,
            _ => usize::from(p.u8(at + 1)?),
        };
        if kind > 1 && (size < 2 || size > length - at - 1) && size != length - at {
            nd.put(if at > 0 { "[bad opt]]" } else { "[bad opt]" });
            return Ok(false);
        }
        let name = lookup(OPTION, kind.into()).map_or_else(|| format!("unknown-{kind}"), str::to_owned);
        nd.put(&name);
        let rest = Bytes(p.take(at, length - at)?).from(if kind > 1 { 2 } else { 1 });
        let Ok(used) = option(nd, kind, rest, size.saturating_sub(2), numbers) else {
            nd.put("[bad opt]]");
            return Ok(false);
        };
        let header = if kind > 1 { 2 } else { 1 };
        if used + header != size {
            nd.put(&format!("[len {size}]"));
        }
        at += used + header;
        if kind == 0 {
            break;
        }
    }
    nd.put("]");
    Ok(true)
}

/// Prints an option's body; returns the number of bytes parsed. Options of fixed size are parsed with that size even
/// if their length field is smaller.
fn option(nd: &mut Nd, kind: u8, rest: Bytes, length: usize, numbers: &Numbers) -> Result<usize, Truncated> {
    let body = rest.first(length);
    let (text, used) = match kind {
        0 | 1 | 4 => (String::new(), 0),
        2 => (format!(" {}", rest.u16(0)?), 2),
        3 => (format!(" {}", rest.u8(0)?), 1),
        5 if !length.is_multiple_of(8) => (" invalid sack".to_owned(), length),
        5 => (selective(body, numbers)?, length),
        6 | 7 | 11..=13 => (format!(" {}", rest.u32(0)?), 4),
        8 => (format!(" val {} ecr {}", rest.u32(0)?, rest.u32(4)?), 8),
        28 => (user_timeout(rest.u16(0)?), 2),
        34 => (format!(" {}", fast_open(body.0)), length),
        254 => match body.u16(0)? {
            0xf989 => (format!("-tfo{}", fast_open(&body.0[2..])), length),
            other => (format!("-{other:04x}"), length),
        },
        _ if length == 0 => (String::new(), 0),
        _ => (format!(" 0x{}", hex(body.0)), length),
    };
    nd.put(&text);
    Ok(used)
}

/// RFC 5482: the lowest bit selects minutes.
fn user_timeout(value: u16) -> String {
    let seconds = if value & 1 == 1 { u32::from(value >> 1) * 60 } else { u32::from(value >> 1) };
    format!(" 0x{value:x} {seconds}")
}

fn selective(body: Bytes, numbers: &Numbers) -> Result<String, Truncated> {
    let mut text = format!(" {} ", body.len() / 8);
    for block in 0..body.len() / 8 {
        let edge = |at: usize| body.u32(block * 8 + at).map(|edge| edge.wrapping_sub(numbers.selective));
        text += &format!("{{{}:{}}}", edge(0)?, edge(4)?);
    }
    Ok(text)
}

fn fast_open(cookie: &[u8]) -> String {
    match cookie.len() {
        0 => " cookiereq".to_owned(),
        length if length % 2 != 0 || !(4..=16).contains(&length) => " (invalid)".to_owned(),
        _ => format!(" cookie {}", hex(cookie)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn payload(nd: &mut Nd, p: Bytes, header: usize, length: usize, flags: u8) -> Print {
    nd.put(&format!(", length {length}"));
    if length == 0 {
        return Ok(());
    }
    if p.len() < header {
        nd.put(&format!(" [remaining caplen({}) < header length({header})]", p.len()));
        return Err(Truncated);
    }
    let body = p.from(header);
    if flags & RST != 0 && nd.options.verbose > 0 {
        reset_reason(nd, body, length);
        return Ok(());
    }
    let ports = [p.u16(0)?, p.u16(2)?];
    if ports.contains(&domain::PORT) && length > 2 {
        nd.put(" ");
        return domain::domain(nd, body.from(2), length - 2);
    }
    if ports.contains(&bgp::PORT) {
        return bgp::bgp(nd, body, length);
    }
    if ports.contains(&80) || ports.contains(&8080) {
        nd.put(": ");
        return text::http(nd, body, length);
    }
    Ok(())
}

/// RFC 1122 4.2.2.12: a RST may contain a reason as text.
fn reset_reason(nd: &mut Nd, body: Bytes, length: usize) {
    let shown = length.min(30);
    let cut = if body.has(0, length) { "" } else { "!" };
    let more = if length > shown { "+" } else { "" };
    let text: String = body.first(shown).0.iter().map(|byte| text::visible(*byte)).collect();
    nd.put(&format!(" [{cut}RST{more} {text}]"));
}
