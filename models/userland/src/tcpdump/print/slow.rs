//! Slow protocols: LACP and markers (IEEE 802.1AX).

use super::bytes::{Bytes, Print};
use super::{Nd, dump};

const LACP: u8 = 1;
const MARKER: u8 = 2;
const OAM: u8 = 3;

/// Flags of a port's state.
const STATE: [&str; 8] = [
    "Activity",
    "Timeout",
    "Aggregation",
    "Synchronization",
    "Collecting",
    "Distributing",
    "Default",
    "Expired",
];

/// Prints a frame of a slow protocol.
///
/// Not modelled: what OAM frames contain.
pub fn slow(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "slow";
    if length < 1 {
        return too_short(nd);
    }
    let subtype = p.u8(0)?;
    let name = match subtype {
        LACP => "LACP",
        MARKER => "MARKER",
        OAM => {
            nd.put(&format!("OAM, length {length}"));
            return Ok(());
        }
        other => {
            nd.put(&format!("unknown ({other}), length {length}"));
            dump::hex(&mut nd.out, "\n\t", p.0);
            return Ok(());
        }
    };
    if length < 2 {
        return too_short(nd);
    }
    let version = p.u8(1)?;
    if version != 1 {
        nd.put(&format!("{name} version {version} packet not supported"));
        return Ok(());
    }
    nd.put(&format!("{name}v{version}, length {length}"));
    if nd.options.verbose == 0 {
        return Ok(());
    }
    parts(nd, p.from(2), length - 2, subtype)
}

fn too_short(nd: &mut Nd) -> Print {
    nd.put(if nd.options.verbose == 0 { " (packet is too short)" } else { "\n\t\t packet is too short" });
    Ok(())
}

/// Prints the parts of a frame, each a line and what it says.
fn parts(nd: &mut Nd, mut p: Bytes, mut length: usize, subtype: u8) -> Print {
    while length > 0 {
        if length < 2 {
            return too_short(nd);
        }
        let (kind, size) = (p.u8(0)?, usize::from(p.u8(1)?));
        let name = match (kind, subtype) {
            (0, _) => "Terminator",
            (1, LACP) => "Actor Information",
            (2, LACP) => "Partner Information",
            (3, LACP) => "Collector Information",
            (1, MARKER) => "Marker Information",
            _ => "Unknown",
        };
        nd.put(&format!("\n\t{name} TLV (0x{kind:02x}), length {size}"));
        if kind == 0 {
            return Ok(());
        }
        if size < 2 {
            nd.put("\n\t    ERROR: illegal length - should be >= 2");
            return Ok(());
        }
        if length < size {
            return too_short(nd);
        }
        let body = Bytes(p.take(0, size)?).from(2);
        part(nd, (kind, subtype), body)?;
        if nd.options.verbose > 1 {
            dump::hex(&mut nd.out, "\n\t  ", body.0);
        }
        (p, length) = (p.from(size), length - size);
    }
    Ok(())
}

fn part(nd: &mut Nd, kind: (u8, u8), body: Bytes) -> Print {
    let size = match kind {
        (1 | 2, LACP) => 18,
        (3, LACP) => 14,
        (1, MARKER) => 14,
        _ => {
            if nd.options.verbose <= 1 {
                dump::hex(&mut nd.out, "\n\t  ", body.0);
            }
            return Ok(());
        }
    };
    if body.len() != size {
        nd.put(&format!("\n\t    ERROR: illegal length - should be {}", size + 2));
        return Ok(());
    }
    let text = match kind {
        (3, _) => format!("\n\t  Max Delay {}", body.u16(0)?),
        (_, MARKER) => {
            let (system, port) = (nd.mac(body.mac(2)?), body.u16(0)?);
            let id = body.u32(8)?;
            format!("\n\t  Request System {system}, Request Port {port}, Request Transaction ID 0x{id:08x}")
        }
        _ => {
            let [priority, key, port_priority, port] =
                [body.u16(0)?, body.u16(8)?, body.u16(10)?, body.u16(12)?];
            let state = body.u8(14)?;
            let flags = STATE.iter().enumerate().filter(|(at, _)| state & 1 << at != 0);
            let flags: Vec<&str> = flags.map(|(_, flag)| *flag).collect();
            let flags = if flags.is_empty() { "none".to_owned() } else { flags.join(", ") };
            format!(
                "\n\t  System {}, System Priority {priority}, Key {key}, Port {port}, Port Priority {port_priority}\
                 \n\t  State Flags [{flags}]",
                nd.mac(body.mac(2)?)
            )
        }
    };
    nd.put(&text);
    Ok(())
}
