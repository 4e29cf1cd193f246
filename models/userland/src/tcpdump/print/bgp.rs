//! BGP: OPEN, UPDATE, NOTIFICATION, KEEPALIVE and ROUTE-REFRESH.
//!
//! Not modelled: routes of other families than IPv4 unicast, extended communities, and rarer attributes: they are shown as bytes.

use super::Nd;
use super::bytes::{Bytes, Print, Truncated};
use super::dump::hex;

/// The port of BGP.
pub const PORT: u16 = 179;

/// Length of a message's header, bytes; the first sixteen of them are ones.
const HEADER: usize = 19;
const MARKER: usize = 16;

const MESSAGES: [&str; 6] = ["Unknown", "Open", "Update", "Notification", "Keepalive", "Route Refresh"];
const ATTRIBUTES: &[(u8, &str)] = &[
    (1, "Origin"),
    (2, "AS Path"),
    (3, "Next Hop"),
    (4, "Multi Exit Discriminator"),
    (5, "Local Preference"),
    (6, "Atomic Aggregate"),
    (7, "Aggregator"),
    (8, "Community"),
    (9, "Originator ID"),
    (10, "Cluster List"),
    (14, "Multi-Protocol Reach NLRI"),
    (15, "Multi-Protocol Unreach NLRI"),
    (16, "Extended Community"),
    (17, "AS4 Path"),
    (18, "AS4 Aggregator"),
    (32, "Large Community"),
    (128, "Attribute Set"),
];
const CAPABILITIES: &[(u8, &str)] = &[
    (1, "Multiprotocol Extensions"),
    (2, "Route Refresh"),
    (3, "Cooperative Route Filtering"),
    (5, "Extended Next Hop Encoding"),
    (64, "Graceful Restart"),
    (65, "32-Bit AS Number"),
    (67, "Dynamic Capability"),
    (69, "Multiple Paths"),
    (70, "Enhanced Route Refresh"),
    (71, "Long-lived Graceful Restart"),
    (128, "Route Refresh (Cisco)"),
];
const ERRORS: &[(u8, &str)] = &[
    (1, "Message Header Error"),
    (2, "OPEN Message Error"),
    (3, "UPDATE Message Error"),
    (4, "Hold Timer Expired"),
    (5, "Finite State Machine Error"),
    (6, "Cease"),
    (7, "ROUTE-REFRESH Message Error"),
];
/// Subcodes of errors.
const SUBCODES: &[(u8, u8, &str)] = &[
    (1, 1, "Connection Not Synchronized"),
    (1, 2, "Bad Message Length"),
    (1, 3, "Bad Message Type"),
    (2, 1, "Unsupported Version Number"),
    (2, 2, "Bad Peer AS"),
    (2, 3, "Bad BGP Identifier"),
    (2, 4, "Unsupported Optional Parameter"),
    (2, 5, "Authentication Failure"),
    (2, 6, "Unacceptable Hold Time"),
    (2, 7, "Capability Message Error"),
    (3, 1, "Malformed Attribute List"),
    (3, 2, "Unrecognized Well-known Attribute"),
    (3, 3, "Missing Well-known Attribute"),
    (3, 4, "Attribute Flags Error"),
    (3, 5, "Attribute Length Error"),
    (3, 6, "Invalid ORIGIN Attribute"),
    (3, 7, "AS Routing Loop"),
    (3, 8, "Invalid NEXT_HOP Attribute"),
    (3, 9, "Optional Attribute Error"),
    (3, 10, "Invalid Network Field"),
    (3, 11, "Malformed AS_PATH"),
    (5, 0, "Unspecified Error"),
    (5, 1, "In OpenSent State"),
    (5, 2, "In OpenConfirm State"),
    (5, 3, "In Established State"),
    (6, 1, "Maximum Number of Prefixes Reached"),
    (6, 2, "Administrative Shutdown"),
    (6, 3, "Peer Unconfigured"),
    (6, 4, "Administrative Reset"),
    (6, 5, "Connection Rejected"),
    (6, 6, "Other Configuration Change"),
    (6, 7, "Connection Collision Resolution"),
    (6, 8, "Out of Resources"),
    (6, 9, "Hard Reset"),
    (6, 10, "BFD Down"),
];

fn name(table: &[(u8, &'static str)], number: u8, unknown: &'static str) -> &'static str {
    table.iter().find(|(known, _)| *known == number).map_or(unknown, |(_, name)| name)
}

/// Prints the messages of a segment.
pub fn bgp(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "bgp";
    nd.put(": BGP");
    if nd.options.verbose == 0 {
        return Ok(());
    }
    let mut rest = p.first(length);
    while rest.len() > 0 {
        // A segment may begin within a message.
        if rest.u8(0)? != 0xff {
            rest = rest.from(1);
            continue;
        }
        if rest.len() < HEADER {
            return Ok(());
        }
        if rest.take(0, MARKER)? != [0xff; MARKER] {
            rest = rest.from(1);
            continue;
        }
        let length = usize::from(rest.u16(MARKER)?);
        if length < HEADER {
            nd.put("\n[invalid bgp message length]");
            return Err(Truncated);
        }
        if rest.len() < length {
            return Err(Truncated);
        }
        message(nd, rest.first(length))?;
        rest = rest.from(length);
    }
    Ok(())
}

/// The bytes of what is shown in detail.
fn bytes(nd: &mut Nd, indent: &str, bytes: &[u8]) {
    let mut text = String::new();
    hex(&mut text, &format!("\n{indent}"), bytes);
    nd.put(&text);
}

fn message(nd: &mut Nd, p: Bytes) -> Print {
    let kind = p.u8(18)?;
    let called = MESSAGES.get(usize::from(kind)).copied().unwrap_or("Unknown");
    nd.put(&format!("\n\t{called} Message ({kind}), length: {}", p.len()));
    match kind {
        1 => open(nd, p)?,
        2 => update(nd, p)?,
        3 => notification(nd, p)?,
        4 => {}
        5 => family(nd, "\n\t  ", p.u16(19)?, p.u8(22)?),
        _ => {
            nd.put(&format!("\n\t  no Message {kind} decoder"));
            bytes(nd, "\t  ", p.0);
        }
    }
    if nd.options.verbose > 1 && kind == 5 {
        bytes(nd, "\t  ", p.0);
    }
    Ok(())
}

fn family(nd: &mut Nd, before: &str, afi: u16, safi: u8) {
    let afi_name = match afi {
        1 => "IPv4",
        2 => "IPv6",
        _ => "Unknown AFI",
    };
    let safi_name = match safi {
        1 => "Unicast",
        2 => "Multicast",
        3 => "Unicast+Multicast",
        4 => "labeled Unicast",
        _ => "Unknown SAFI",
    };
    nd.put(&format!("{before}AFI {afi_name} ({afi}), SAFI {safi_name} ({safi})"));
}

fn open(nd: &mut Nd, p: Bytes) -> Print {
    let (version, asn, hold, id) = (p.u8(19)?, p.u16(20)?, p.u16(22)?, p.ipv4(24)?);
    let length = usize::from(p.u8(28)?);
    nd.put(&format!("\n\t  Version {version}, my AS {asn}, Holdtime {hold}s, ID {id}"));
    nd.put(&format!("\n\t  Optional parameters, length: {length}"));
    let mut at = 0;
    let options = Bytes(p.take(29, length)?);
    while at < length {
        let (kind, size) = (options.u8(at)?, usize::from(options.u8(at + 1)?));
        let called =
            name(&[(1, "Authentication Information"), (2, "Capabilities Advertisement")], kind, "Unknown");
        nd.put(&format!("\n\t    Option {called} ({kind}), length: {size}"));
        let body = Bytes(options.take(at + 2, size)?);
        if kind == 2 {
            capabilities(nd, body)?;
        } else {
            nd.put(&format!("\n\t      no decoder for option {kind}"));
        }
        at += 2 + size;
    }
    Ok(())
}

fn capabilities(nd: &mut Nd, p: Bytes) -> Print {
    let mut at = 0;
    while at < p.len() {
        let (code, size) = (p.u8(at)?, usize::from(p.u8(at + 1)?));
        let called = name(CAPABILITIES, code, "Unknown");
        nd.put(&format!("\n\t      {called} ({code}), length: {size}"));
        let body = Bytes(p.take(at + 2, size)?);
        match code {
            1 => family(nd, "\n\t\t", body.u16(0)?, body.u8(3)?),
            64 => graceful_restart(nd, body)?,
            2 | 71 | 128 => {}
            65 => nd.put(&format!("\n\t\t 4 Byte AS {}", body.u32(0)?)),
            69 => {
                for entry in body.0.chunks_exact(4) {
                    let entry = Bytes(entry);
                    family(nd, "\n\t\t", entry.u16(0)?, entry.u8(2)?);
                    let way = name(&[(1, "Receive"), (2, "Send"), (3, "Both")], entry.u8(3)?, "Bogus (0x00)");
                    nd.put(&format!(", Send/Receive: {way}"));
                }
            }
            _ => {
                nd.put(&format!("\n\t\tno decoder for Capability {code}"));
                if nd.options.verbose <= 1 {
                    bytes(nd, "\t\t", body.0);
                }
            }
        }
        if nd.options.verbose > 1 {
            bytes(nd, "\t\t", body.0);
        }
        at += 2 + size;
    }
    Ok(())
}

fn graceful_restart(nd: &mut Nd, body: Bytes) -> Print {
    let word = body.u16(0)?;
    let flags = if word & 0x8000 != 0 { "R" } else { "none" };
    nd.put(&format!("\n\t\tRestart Flags: [{flags}], Restart Time {}s", word & 0xfff));
    for entry in body.from(2).0.chunks_exact(4) {
        let entry = Bytes(entry);
        family(nd, "\n\t\t  ", entry.u16(0)?, entry.u8(2)?);
        let kept = if entry.u8(3)? & 0x80 != 0 { "yes" } else { "no" };
        nd.put(&format!(", Forwarding state preserved: {kept}"));
    }
    Ok(())
}

fn update(nd: &mut Nd, p: Bytes) -> Print {
    let withdrawn = usize::from(p.u16(19)?);
    let body = Bytes(p.take(21, withdrawn)?);
    if withdrawn > 0 {
        nd.put("\n\t  Withdrawn routes:");
        prefixes(nd, body)?;
    }
    let at = 21 + withdrawn;
    let size = usize::from(p.u16(at)?);
    if size == 0 && p.len() == at + 2 {
        nd.put("\n\t  End-of-Rib Marker (empty NLRI)");
        return Ok(());
    }
    attributes(nd, Bytes(p.take(at + 2, size)?))?;
    let nlri = p.from(at + 2 + size);
    if nlri.len() > 0 {
        nd.put("\n\t  Updated routes:");
        prefixes(nd, nlri)?;
    }
    Ok(())
}

/// Prefixes fit into the bytes when each has so many before it; `None`: they do not.
fn fits(p: Bytes, before: usize, least: u8) -> Option<bool> {
    let mut at = 0;
    while at < p.len() {
        let bits = p.u8(at + before).ok()?;
        if bits > 32 || bits < least {
            return Some(false);
        }
        at += before + 1 + usize::from(bits.div_ceil(8));
    }
    Some(at == p.len())
}

fn prefixes(nd: &mut Nd, p: Bytes) -> Print {
    // Whether routes have numbers nobody says here: they do if they cannot be without.
    let numbered = fits(p, 4, 0) == Some(true) && fits(p, 0, 1) != Some(true);
    let before = if numbered { 4 } else { 0 };
    let mut at = 0;
    while at < p.len() {
        let id = if numbered { format!("   Path Id: {}", p.u32(at)?) } else { String::new() };
        at += before;
        let bits = p.u8(at)?;
        if bits > 32 {
            nd.put("\n\t    (illegal prefix length)");
            return Ok(());
        }
        let size = usize::from(bits.div_ceil(8));
        let mut octets = [0; 4];
        octets[..size].copy_from_slice(p.take(at + 1, size)?);
        // Bits behind the length are not shown.
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        let address = std::net::Ipv4Addr::from_bits(u32::from_be_bytes(octets) & mask);
        nd.put(&format!("\n\t    {address}/{bits}{id}"));
        at += 1 + size;
    }
    Ok(())
}

fn attributes(nd: &mut Nd, p: Bytes) -> Print {
    let mut at = 0;
    while at < p.len() {
        let (flags, code) = (p.u8(at)?, p.u8(at + 1)?);
        let extended = flags & 0x10 != 0;
        let size = if extended { usize::from(p.u16(at + 2)?) } else { usize::from(p.u8(at + 2)?) };
        let head = if extended { 4 } else { 3 };
        let body = Bytes(p.take(at + head, size)?);
        let signs: String = [(0x80, 'O'), (0x40, 'T'), (0x20, 'P'), (0x10, 'E')]
            .iter()
            .filter(|(bit, _)| flags & bit != 0)
            .map(|(_, sign)| *sign)
            .collect();
        let called = name(ATTRIBUTES, code, "Unknown Attribute");
        nd.put(&format!("\n\t  {called} ({code}), length: {size}"));
        if flags != 0 {
            let other = if flags & 0xf != 0 { format!("+{:x}", flags & 0xf) } else { String::new() };
            nd.put(&format!(", Flags [{signs}{other}]: "));
        }
        attribute(nd, code, body)?;
        if nd.options.verbose > 1
            && body.len() > 0
            && code != 32
            && ATTRIBUTES.iter().any(|(known, _)| *known == code)
        {
            bytes(nd, "\t    ", body.0);
        }
        at += head + size;
    }
    Ok(())
}

fn attribute(nd: &mut Nd, code: u8, p: Bytes) -> Print {
    match code {
        1 => nd.put(name(&[(0, "IGP"), (1, "EGP"), (2, "Incomplete")], p.u8(0)?, "Unknown Origin Typecode")),
        2 | 17 => as_path(nd, p)?,
        3 | 9 => nd.put(&p.ipv4(0)?.to_string()),
        4 | 5 => nd.put(&p.u32(0)?.to_string()),
        6 => {}
        7 if p.len() == 8 => nd.put(&format!(" AS #{}, origin {}", p.u32(0)?, p.ipv4(4)?)),
        7 => nd.put(&format!(" AS #{}, origin {}", p.u16(0)?, p.ipv4(2)?)),
        8 => {
            for at in 0..p.len() / 4 {
                nd.put(&community(p.u32(at * 4)?, (at + 1) * 4 < p.len()));
            }
        }
        10 => {
            let all: Result<Vec<String>, Truncated> =
                (0..p.len() / 4).map(|at| p.ipv4(at * 4).map(|id| id.to_string())).collect();
            nd.put(&all?.join(", "));
        }
        32 => {
            for entry in p.0.chunks_exact(12) {
                let entry = Bytes(entry);
                nd.put(&format!("\n\t    {}:{}:{}", entry.u32(0)?, entry.u32(4)?, entry.u32(8)?));
            }
        }
        _ => {
            nd.put(&format!("\n\t    no Attribute {code} decoder"));
            bytes(nd, "\t    ", p.0);
        }
    }
    Ok(())
}

/// A community, with what stands between it and the next; names stand alone.
fn community(number: u32, goes_on: bool) -> String {
    match number {
        0 => " gshut".to_owned(),
        0xffff_ff01 => " NO_EXPORT".to_owned(),
        0xffff_ff02 => " NO_ADVERTISE".to_owned(),
        0xffff_ff03 => " NO_EXPORT_SUBCONFED".to_owned(),
        _ => format!("{}:{}{}", number >> 16, number & 0xffff, if goes_on { ", " } else { "" }),
    }
}

fn as_path(nd: &mut Nd, p: Bytes) -> Print {
    if p.len() == 0 {
        nd.put("empty");
        return Ok(());
    }
    // Numbers have four bytes if they fill the attribute so.
    let fills = |width: usize| {
        let mut at = 0;
        while at < p.len() {
            let (Ok(kind), Ok(count)) = (p.u8(at), p.u8(at + 1)) else { return false };
            if !(1..=4).contains(&kind) || count == 0 {
                return false;
            }
            at += 2 + usize::from(count) * width;
        }
        at == p.len()
    };
    let width = if fills(2) { 2 } else { 4 };
    let mut at = 0;
    while at < p.len() {
        let (kind, count) = (p.u8(at)?, usize::from(p.u8(at + 1)?));
        let (open, close) = match kind {
            1 => ("{ ", "} "),
            2 => ("", ""),
            3 => ("(", ") "),
            4 => ("({ ", "}) "),
            _ => ("?", "?"),
        };
        nd.put(open);
        for number in 0..count {
            let at = at + 2 + number * width;
            let asn = if width == 2 { u32::from(p.u16(at)?) } else { p.u32(at)? };
            nd.put(&format!("{asn} "));
        }
        nd.put(close.trim_end());
        at += 2 + count * width;
    }
    Ok(())
}

fn notification(nd: &mut Nd, p: Bytes) -> Print {
    let (code, subcode) = (p.u8(19)?, p.u8(20)?);
    nd.put(&format!(", {} ({code})", name(ERRORS, code, "Unknown Error")));
    let known = SUBCODES.iter().find(|(known, sub, _)| (*known, *sub) == (code, subcode));
    let said = known.map_or("Unknown", |(.., said)| said);
    match code {
        5 => nd.put(&format!(" subcode {said} ({subcode})")),
        1..=3 | 6 => nd.put(&format!(", subcode {said} ({subcode})")),
        _ => {}
    }
    if code != 6 {
        return Ok(());
    }
    if subcode == 1 && p.len() >= HEADER + 9 {
        family(nd, ", ", p.u16(21)?, p.u8(23)?);
        nd.put(&format!(", Max Prefixes: {}", p.u32(24)?));
    }
    if (subcode == 2 || subcode == 4) && p.len() > HEADER + 2 {
        let length = usize::from(p.u8(21)?);
        let text = p.from(22).first(length);
        let text: String = text.0.iter().map(|byte| super::text::visible(*byte)).collect();
        nd.put(&format!(", Shutdown Communication (length: {length}): \"{text}\""));
    }
    Ok(())
}
