//! The Configuration Testing Protocol, by which bonds tell switches where an address is.

use super::Nd;
use super::bytes::{Bytes, Print};

/// Prints a frame that comes back to where it was sent from. Its numbers are little-endian.
pub fn loopback(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "loopback";
    nd.put("Loopback");
    if length < 2 {
        nd.invalid();
        return Ok(());
    }
    let skip = usize::from(p.u16(0)?.swap_bytes());
    nd.put(&format!(", skipCount {skip}{}", if skip % 8 == 0 { "" } else { " (bogus)" }));
    if skip > length - 2 {
        nd.invalid();
        return Ok(());
    }
    p.take(2, skip)?;
    message(nd, p.from(2 + skip), length - 2 - skip)
}

fn message(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    if length < 2 {
        nd.invalid();
        return Ok(());
    }
    let function = p.u16(0)?.swap_bytes();
    let (text, size) = match function {
        1 if length >= 4 => (format!("Reply, receipt number {}", p.u16(2)?.swap_bytes()), 4),
        2 if length >= 8 => (format!("Forward Data, forwarding address {}", nd.mac(p.mac(2)?)), 8),
        1 | 2 => {
            nd.put(if function == 1 { ", Reply" } else { ", Forward Data" });
            nd.invalid();
            return Ok(());
        }
        other => {
            nd.put(&format!(",  invalid ({other})"));
            p.take(0, length)?;
            return Ok(());
        }
    };
    nd.put(&format!(", {text}, data ({} octets)", length - size));
    p.take(0, length)?;
    Ok(())
}
