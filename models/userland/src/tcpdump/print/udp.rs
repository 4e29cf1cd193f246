//! UDP, VXLAN and Geneve.

use glassnet_wire::geneve::GENEVE_PORT;
use glassnet_wire::vxlan::VXLAN_PORT;

use super::bytes::{Bytes, Print, checksum_should_be};
use super::ip::Network;
use super::{Nd, domain, link};

/// Prints a UDP datagram.
///
/// Not modelled: application payloads other than DNS, VXLAN and Geneve; they print as `UDP, length`.
pub fn udp(nd: &mut Nd, p: Bytes, length: usize, network: Network) -> Print {
    nd.protocol = "udp";
    if !p.has(2, 2) {
        let (source, destination) = network.addresses(nd)?;
        nd.put(&format!("{source} > {destination}: "));
        nd.truncated();
        return Ok(());
    }
    let (source_port, port) = (p.u16(0)?, p.u16(2)?);
    let (from, to) = (nd.udp_port(source_port), nd.udp_port(port));
    network.endpoints(nd, 17, &from, &to)?;
    if length < 8 {
        nd.put(&format!("truncated-udp {length}"));
        return Ok(());
    }
    if !p.has(4, 2) {
        nd.truncated();
        return Ok(());
    }
    let said = usize::from(p.u16(4)?);
    if said < 8 {
        nd.put(&format!("truncated-udplength {said}"));
        return Ok(());
    }
    let said = said - 8;
    let payload = said.min(length - 8);
    if nd.options.vxlan {
        return vxlan(nd, p.from(8), payload);
    }
    if nd.options.verbose > 0 && !nd.options.no_checksums && !network.fragmented {
        verify(nd, p, payload, network)?;
    }
    if nd.options.quick == 0 && (source_port == VXLAN_PORT || port == VXLAN_PORT) {
        return vxlan(nd, p.from(8), payload);
    }
    if nd.options.quick == 0 && (source_port == GENEVE_PORT || port == GENEVE_PORT) {
        return geneve(nd, p.from(8), payload);
    }
    if nd.options.quick == 0 && (source_port == domain::PORT || port == domain::PORT) {
        return domain::domain(nd, p.from(8), payload);
    }
    if said > payload && !network.fragmented {
        nd.put(&format!("UDP, bad length {said} > {payload}"));
    } else {
        nd.put(&format!("UDP, length {said}"));
    }
    Ok(())
}

fn verify(nd: &mut Nd, p: Bytes, payload: usize, network: Network) -> Print {
    let stored = p.u16(6)?;
    if network.version == 4 {
        if nd.options.verbose < 2 {
            return Ok(());
        }
        if stored == 0 {
            nd.put("[no cksum] ");
            return Ok(());
        }
    }
    if !p.has(8, payload) {
        return Ok(());
    }
    match network.checksum(17, p.take(0, payload + 8)?)? {
        0 => nd.put("[udp sum ok] "),
        sum => {
            let right = checksum_should_be(stored, sum);
            nd.put(&format!("[bad udp cksum 0x{stored:04x} -> 0x{right:04x}!] "));
        }
    }
    Ok(())
}

fn vxlan(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "vxlan";
    nd.put("VXLAN");
    if length < 8 {
        nd.invalid();
        return Ok(());
    }
    let flags = p.u8(0)?;
    let names = if flags & 8 != 0 { "I" } else { "invalid" };
    nd.put(&format!(", flags [{names}] (0x{flags:02x}), "));
    nd.put(&format!("vni {}\n", p.u24(4)?));
    p.u8(7)?;
    link::ethernet(nd, p.from(8), length - 8).map(drop)
}

/// Prints a Geneve header and what is inside.
///
/// Not modelled: the names of options, and what is inside other than frames and IPv4.
fn geneve(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "geneve";
    nd.put("Geneve");
    if length < 8 {
        nd.put(" [|geneve]");
        return Ok(());
    }
    let (version, options) = (p.u8(0)? >> 6, usize::from(p.u8(0)? & 0x3f) * 4);
    if version != 0 {
        nd.put(&format!(" ERROR: unknown-version {version}"));
        return Ok(());
    }
    let flags = p.u8(1)?;
    let (oam, critical) = (flags & 0x80 != 0, flags & 0x40 != 0);
    let names = match (oam, critical) {
        (false, false) => "none",
        (true, false) => "O",
        (false, true) => "C",
        (true, true) => "OC",
    };
    nd.put(&format!(", Flags [{names}], vni 0x{:x}", p.u24(4)?));
    if p.u8(7)? != 0 {
        nd.put(&format!(", rsvd 0x{:x}", p.u8(7)?));
    }
    let protocol = p.u16(2)?;
    if nd.options.link_header > 0 {
        nd.put(&format!(", proto {} (0x{protocol:04x})", if protocol == 0x6558 { "TEB" } else { "unknown" }));
    }
    if options > 0 {
        nd.put(&format!(", options [{options} bytes]"));
    }
    nd.put(if nd.options.verbose > 0 { "\n\t" } else { ": " });
    if protocol == 0x6558 && length >= 8 + options {
        return link::ethernet(nd, p.from(8 + options), length - 8 - options).map(drop);
    }
    nd.put(&format!("geneve-proto-0x{protocol:x}"));
    Ok(())
}
