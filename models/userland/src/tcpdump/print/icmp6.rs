//! ICMPv6 and neighbour discovery.

use super::bytes::{Bytes, Print, Truncated, checksum_should_be};
use super::ip::Network;
use super::names::{bits, lookup, mac_digits};
use super::{Nd, dump};

const TYPE: &[(u32, &str)] = &[
    (1, "destination unreachable"),
    (2, "packet too big"),
    (3, "time exceeded in-transit"),
    (4, "parameter problem"),
    (128, "echo request"),
    (129, "echo reply"),
    (130, "multicast listener query"),
    (131, "multicast listener report"),
    (132, "multicast listener done"),
    (133, "router solicitation"),
    (134, "router advertisement"),
    (135, "neighbor solicitation"),
    (136, "neighbor advertisement"),
    (137, "redirect"),
    (143, "multicast listener report v2"),
];

/// Prints an ICMPv6 message.
///
/// Not modelled: RPL, mobility, node information.
pub fn icmp6(nd: &mut Nd, p: Bytes, length: usize, network: Network) -> Print {
    nd.protocol = "icmp6";
    if length == 0 {
        nd.put("ICMP6, length 0");
        nd.invalid();
        return Ok(());
    }
    let verbose = nd.options.verbose > 0;
    if verbose && !network.fragmented && p.has(0, length) {
        let stored = p.u16(2)?;
        match network.checksum(58, p.take(0, length)?)? {
            0 => nd.put("[icmp6 sum ok] "),
            sum => {
                let right = checksum_should_be(stored, sum);
                nd.put(&format!("[bad icmp6 cksum 0x{stored:04x} -> 0x{right:04x}!] "));
            }
        }
    }
    let (kind, code) = (p.u8(0)?, p.u8(1)?);
    let name = lookup(TYPE, kind.into());
    nd.put("ICMP6, ");
    nd.put(&name.map_or_else(|| format!("unknown icmp6 type ({kind})"), str::to_owned));
    if verbose && matches!(kind, 133..=137) {
        nd.put(&format!(", length {length}"));
    }
    message(nd, p, length, kind, code)?;
    if !verbose && name.is_some() {
        nd.put(&format!(", length {length}"));
    }
    Ok(())
}

fn message(nd: &mut Nd, p: Bytes, length: usize, kind: u8, code: u8) -> Print {
    match kind {
        1 => unreachable(nd, p, code)?,
        2 => nd.put(&format!(", mtu {}", p.u32(4)?)),
        3 => match code {
            0 => {
                let to = nd.ipv6(p.ipv6(32)?);
                nd.put(&format!(" for {to}"));
            }
            1 => nd.put(" (reassembly)"),
            other => nd.put(&format!(", unknown code ({other})")),
        },
        4 => {
            let what = ["erroneous", "next header", "option", "incomplete header chain"];
            match what.get(usize::from(code)) {
                Some(what) => nd.put(&format!(", {what} - octet {}", p.u32(4)?)),
                None => nd.put(&format!(", code-#{code}")),
            }
        }
        128 | 129 => nd.put(&format!(", id {}, seq {}", p.u16(4)?, p.u16(6)?)),
        130..=132 if p.has(0, 24) => {
            let group = nd.ipv6(p.ipv6(8)?);
            nd.put(&format!("max resp delay: {} addr: {group}", p.u16(4)?));
        }
        133 => return options(nd, p.from(8), length.saturating_sub(8)),
        134 => return router_advertisement(nd, p, length),
        135 => {
            let target = nd.ipv6(p.ipv6(8)?);
            nd.put(&format!(", who has {target}"));
            return options(nd, p.from(24), length.saturating_sub(24));
        }
        136 => return neighbour_advertisement(nd, p, length),
        137 => {
            let (target, destination) = (nd.ipv6(p.ipv6(8)?), nd.ipv6(p.ipv6(24)?));
            nd.put(&format!(", {destination} to {target}"));
            return options(nd, p.from(40), length.saturating_sub(40));
        }
        143 => return listener_report(nd, p, length),
        _ => nd.put(&format!(", length {length}")),
    }
    Ok(())
}

fn unreachable(nd: &mut Nd, p: Bytes, code: u8) -> Print {
    let to = nd.ipv6(p.ipv6(32)?);
    match code {
        0 => nd.put(&format!(", unreachable route {to}")),
        1 => nd.put(&format!(",  unreachable prohibited {to}")),
        2 => {
            let from = nd.ipv6(p.ipv6(16)?);
            nd.put(&format!(", beyond scope {to}, source address {from}"));
        }
        3 => nd.put(&format!(", unreachable address {to}")),
        4 => {
            let port = p.u16(50)?;
            let text = match p.u8(14)? {
                6 => format!("tcp port {}", nd.tcp_port(port)),
                17 => format!("udp port {}", nd.udp_port(port)),
                other => format!("protocol {other} port {port} unreachable"),
            };
            nd.put(&format!(", unreachable port, {to} {text}"));
        }
        other => nd.put(&format!(", unknown unreach code ({other})")),
    }
    Ok(())
}

fn router_advertisement(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    if nd.options.verbose == 0 {
        return Ok(());
    }
    let flags = p.u8(5)?;
    let names = bits(
        &[(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent")],
        "none",
        ", ",
        flags.into(),
    );
    let preference = ["medium", "high", "rsv", "low"][usize::from(flags >> 3 & 3)];
    nd.put(&format!(
        "\n\thop limit {}, Flags [{names}], pref {preference}, router lifetime {}s, reachable time {}ms, retrans timer {}ms",
        p.u8(4)?,
        p.u16(6)?,
        p.u32(8)?,
        p.u32(12)?
    ));
    options(nd, p.from(16), length.saturating_sub(16))
}

fn neighbour_advertisement(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    let target = nd.ipv6(p.ipv6(8)?);
    nd.put(&format!(", tgt is {target}"));
    if nd.options.verbose > 0 {
        let names: &[(u32, &'static str)] = &[(0x80, "router"), (0x40, "solicited"), (0x20, "override")];
        let flags = bits(names, "none", ", ", p.u8(4)?.into());
        nd.put(&format!(", Flags [{flags}]"));
    }
    options(nd, p.from(24), length.saturating_sub(24))
}

fn options(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    if nd.options.verbose == 0 {
        return Ok(());
    }
    let mut at = 0;
    while at < length && at < p.len() {
        let (kind, units) = (p.u8(at)?, p.u8(at + 1)?);
        let size = usize::from(units) * 8;
        if size == 0 || !p.has(at, size) {
            nd.truncated();
            return Ok(());
        }
        let name = match kind {
            1 => "source link-address",
            2 => "destination link-address",
            3 => "prefix info",
            4 => "redirected header",
            5 => "mtu",
            25 => "rdnss",
            31 => "dnssl",
            _ => "unknown",
        };
        nd.put(&format!("\n\t  {name} option ({kind}), length {size} ({units}): "));
        let body = Bytes(p.take(at, size)?);
        option(nd, kind, body)?;
        at += size;
    }
    Ok(())
}

fn option(nd: &mut Nd, kind: u8, body: Bytes) -> Print {
    match kind {
        1 | 2 => nd.put(&mac_digits(&body.0[2..])),
        3 => {
            let prefix = nd.ipv6(body.ipv6(16)?);
            let names: &[(u32, &'static str)] = &[(0x80, "onlink"), (0x40, "auto"), (0x20, "router")];
            let flags = bits(names, "none", ", ", body.u8(3)?.into());
            let time = |at: usize| {
                Ok::<_, Truncated>(match body.u32(at)? {
                    u32::MAX => "infinity".to_owned(),
                    seconds => format!("{seconds}s"),
                })
            };
            let (valid, preferred) = (time(4)?, time(8)?);
            nd.put(&format!(
                "{prefix}/{}, Flags [{flags}], valid time {valid}, pref. time {preferred}",
                body.u8(2)?
            ));
        }
        5 => nd.put(&format!(" {}", body.u32(4)?)),
        _ => {
            unknown(nd, &body.0[2..]);
            return Ok(());
        }
    }
    if nd.options.verbose > 1 {
        unknown(nd, &body.0[2..]);
    }
    Ok(())
}

fn unknown(nd: &mut Nd, bytes: &[u8]) {
    dump::hex(&mut nd.out, "\n\t    ", bytes);
}

fn listener_report(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    if length < 8 {
        nd.put(&format!(" [invalid len {length}]"));
        return Ok(());
    }
    let groups = p.u16(6)?;
    nd.put(&format!(", {groups} group record(s)"));
    if nd.options.verbose == 0 {
        return Ok(());
    }
    let mut at = 8;
    for _ in 0..groups {
        if length < at + 20 {
            nd.put(" [invalid number of groups]");
            return Ok(());
        }
        let group = nd.ipv6(p.ipv6(at + 4)?);
        let names = [(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];
        let kind = lookup(&names, p.u8(at)?.into()).unwrap_or("[v2-report]");
        let sources = usize::from(p.u16(at + 2)?);
        nd.put(&format!(" [gaddr {group} {kind}"));
        if nd.options.verbose == 1 {
            nd.put(&format!(", {sources} source(s)]"));
        } else {
            nd.put(" {");
            for source in 0..sources {
                let address = nd.ipv6(p.ipv6(at + 20 + source * 16)?);
                nd.put(&format!(" {address}"));
            }
            nd.put(" }]");
        }
        at += 20 + sources * 16;
    }
    Ok(())
}
