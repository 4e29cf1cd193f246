//! IGMP.

use super::Nd;
use super::bytes::{Bytes, Print, checksum};

const RECORD: [&str; 7] = ["", "is_in", "is_ex", "to_in", "to_ex", "allow", "block"];

/// Prints an IGMP message.
///
/// Not modelled: DVMRP, PIM version 1 and mtrace bodies.
pub fn igmp(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "igmp";
    if nd.options.quick > 0 {
        nd.put("igmp");
        return Ok(());
    }
    match p.u8(0)? {
        0x11 => query(nd, p, length)?,
        0x12 => {
            let group = nd.ipv4(p.ipv4(4)?);
            nd.put(&format!("igmp v1 report {group}"));
            if length != 8 {
                nd.put(&format!(" [len {length}]"));
            }
        }
        0x16 => {
            let group = nd.ipv4(p.ipv4(4)?);
            nd.put(&format!("igmp v2 report {group}"));
        }
        0x17 => {
            let group = nd.ipv4(p.ipv4(4)?);
            nd.put(&format!("igmp leave {group}"));
        }
        0x22 => {
            nd.put("igmp v3 report");
            report(nd, p, length)?;
        }
        other => nd.put(&format!("igmp-{other}")),
    }
    if nd.options.verbose > 0 && length >= 4 && p.has(0, length) && checksum(&[p.take(0, length)?]) != 0 {
        nd.put(&format!(" bad igmp cksum {:x}!", p.u16(2)?));
    }
    Ok(())
}

fn query(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.put("igmp query");
    if length >= 12 {
        return query_3(nd, p, length);
    }
    match p.u8(1)? {
        0 => nd.put(" v1"),
        100 => nd.put(" v2"),
        other => nd.put(&format!(" v2 [max resp time {other}]")),
    }
    if p.u32(4)? != 0 {
        let group = nd.ipv4(p.ipv4(4)?);
        nd.put(&format!(" [gaddr {group}]"));
    }
    if length != 8 {
        nd.put(&format!(" [len {length}]"));
    }
    Ok(())
}

fn query_3(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.put(" v3");
    if length & 3 != 0 {
        nd.put(&format!(" [invalid len {length}]"));
        return Ok(());
    }
    let code = u32::from(p.u8(1)?);
    let tenths = if code < 128 { code } else { ((code & 0xf) | 0x10) << (((code & 0x70) >> 4) + 3) };
    if code != 100 {
        let time =
            if tenths < 600 { format!("{:.1}s", f64::from(tenths) * 0.1) } else { relative(tenths / 10) };
        nd.put(&format!(" [max resp time {time}]"));
    }
    if p.u32(4)? == 0 {
        return Ok(());
    }
    let group = nd.ipv4(p.ipv4(4)?);
    nd.put(&format!(" [gaddr {group}"));
    let sources = usize::from(p.u16(10)?);
    if sources > 0 {
        if length < 12 + sources * 4 {
            nd.put(" [invalid number of sources]");
        } else if nd.options.verbose > 1 {
            print_sources(nd, p.from(12), sources)?;
        } else {
            nd.put(&format!(", {sources} source(s)"));
        }
    }
    nd.put("]");
    Ok(())
}

fn print_sources(nd: &mut Nd, p: Bytes, sources: usize) -> Print {
    nd.put(" {");
    for source in 0..sources {
        let address = nd.ipv4(p.ipv4(source * 4)?);
        nd.put(&format!(" {address}"));
    }
    nd.put(" }");
    Ok(())
}

fn report(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    if length < 16 || length & 3 != 0 {
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
        if length < at + 8 {
            nd.put(" [invalid number of groups]");
            return Ok(());
        }
        let group = nd.ipv4(p.ipv4(at + 4)?);
        let kind = p.u8(at)?;
        let kind = match RECORD.get(usize::from(kind)) {
            Some(name) if kind > 0 => (*name).to_owned(),
            _ => format!(" [v3-report-#{kind}]"),
        };
        nd.put(&format!(" [gaddr {group} {kind}"));
        let sources = usize::from(p.u16(at + 2)?);
        if length < at + 8 + sources * 4 {
            nd.put(&format!(" [invalid number of sources {sources}]"));
            return Ok(());
        }
        if nd.options.verbose == 1 {
            nd.put(&format!(", {sources} source(s)"));
        } else {
            print_sources(nd, p.from(at + 8), sources)?;
        }
        nd.put("]");
        at += 8 + sources * 4;
    }
    Ok(())
}

/// Seconds in the form `5m1s`.
fn relative(mut seconds: u32) -> String {
    let mut text = String::new();
    for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
        if seconds >= unit {
            text += &format!("{}{name}", seconds / unit);
            seconds %= unit;
        }
    }
    text
}
