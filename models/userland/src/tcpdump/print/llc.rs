//! IEEE 802.2 LLC, SNAP and spanning-tree messages.

use super::bytes::{Bytes, Print, Truncated};
use super::link::{Addresses, addresses, by_ether_type};
use super::names::{ETHERTYPE, OUI, bits, lookup};
use super::{Nd, ip};

const UI: u16 = 0x03;
const SAP_IP: u8 = 0x06;
const SAP_STP: u8 = 0x42;
const SAP_SNAP: u8 = 0xaa;

const SAP: &[(u32, &str)] = &[
    (0x00, "Null"),
    (0xff, "Global"),
    (0x02, "802.1B I"),
    (0x03, "802.1B G"),
    (0x06, "IP"),
    (0x04, "SNA"),
    (0x0e, "ProWay NM"),
    (0x42, "STP"),
    (0x4e, "RS511"),
    (0x7e, "ISO8208"),
    (0x8e, "ProWay"),
    (0xaa, "SNAP"),
    (0xe0, "IPX"),
    (0xf0, "NetBeui"),
    (0xfe, "OSI"),
];

const COMMAND: &[(u32, &str)] = &[
    (0x03, "ui"),
    (0xe3, "test"),
    (0xaf, "xid"),
    (0x63, "ua"),
    (0x43, "disc"),
    (0x0f, "dm"),
    (0x6f, "sabme"),
    (0x87, "frmr"),
];

/// Result of an LLC frame.
pub struct Printed {
    /// Bytes of LLC (and SNAP) header.
    pub header: usize,
    /// The payload was printed; otherwise the caller dumps it.
    pub known: bool,
}

impl Printed {
    fn known(header: usize) -> Result<Printed, Truncated> {
        Ok(Printed { header, known: true })
    }

    fn unknown(header: usize) -> Result<Printed, Truncated> {
        Ok(Printed { header, known: false })
    }
}

/// An LLC header.
struct Llc {
    dsap: u8,
    ssap: u8,
    dsap_field: u8,
    ssap_field: u8,
    control: u16,
    unnumbered: bool,
    header: usize,
}

/// Prints an LLC frame of `length` bytes.
///
/// Not modelled: IPX, NetBEUI and OSI payloads, which are dumped.
pub fn llc(nd: &mut Nd, p: Bytes, length: usize, link: Addresses) -> Result<Printed, Truncated> {
    nd.protocol = "llc";
    let needed = if p.len() >= 3 && p.u8(2)? & 3 == 3 { 3 } else { 4 };
    if p.len() < needed || length < needed {
        nd.truncated();
        nd.default_print(p);
        return Printed::known(p.len().min(length));
    }
    let header = parse(p)?;
    if nd.options.link_header > 0 {
        print_header(nd, &header);
    }
    let (body, rest) = (p.from(header.header), length - header.header);
    match (header.ssap, header.dsap, header.control) {
        (SAP_SNAP, SAP_SNAP, UI) => {
            let known = snap(nd, body, rest, link)?;
            return Ok(Printed { header: header.header + 5, known });
        }
        (SAP_STP, SAP_STP, UI) => {
            stp(nd, body, rest)?;
            return Printed::known(header.header);
        }
        (SAP_IP, SAP_IP, UI) => {
            ip::ip(nd, body, rest)?;
            return Printed::known(header.header);
        }
        _ => {}
    }
    print_other(nd, &header, body, rest, link)
}

fn parse(p: Bytes) -> Result<Llc, Truncated> {
    let (dsap_field, ssap_field) = (p.u8(0)?, p.u8(1)?);
    let unnumbered = p.u8(2)? & 3 == 3;
    let control = if unnumbered { u16::from(p.u8(2)?) } else { p.u16(2)?.swap_bytes() };
    let header = if unnumbered { 3 } else { 4 };
    Ok(Llc {
        dsap: dsap_field & !1,
        ssap: ssap_field & !1,
        dsap_field,
        ssap_field,
        control,
        unnumbered,
        header,
    })
}

fn sap(value: u8) -> &'static str {
    lookup(SAP, value.into()).unwrap_or("Unknown")
}

fn print_header(nd: &mut Nd, llc: &Llc) {
    let group = if llc.dsap_field & 1 == 0 { "Individual" } else { "Group" };
    let response = if llc.ssap_field & 1 == 0 { "Command" } else { "Response" };
    nd.put(&format!(
        "LLC, dsap {} (0x{:02x}) {group}, ssap {} (0x{:02x}) {response}",
        sap(llc.dsap),
        llc.dsap,
        sap(llc.ssap),
        llc.ssap
    ));
    let control =
        if llc.unnumbered { format!("0x{:02x}", llc.control) } else { format!("0x{:04x}", llc.control) };
    nd.put(&format!(", ctrl {control}: "));
}

fn print_other(
    nd: &mut Nd,
    llc: &Llc,
    body: Bytes,
    rest: usize,
    link: Addresses,
) -> Result<Printed, Truncated> {
    if nd.options.link_header == 0 {
        let name = |value: u8, what: &str| {
            lookup(SAP, value.into()).map_or_else(|| format!("Unknown {what} 0x{value:02x}"), str::to_owned)
        };
        let text = match (llc.ssap == llc.dsap, link) {
            (true, _) => format!("{}{} ", addresses(link, nd), name(llc.dsap, "DSAP")),
            (false, None) => format!("{} > {} ", name(llc.ssap, "SSAP"), name(llc.dsap, "DSAP")),
            (false, Some((source, destination))) => format!(
                "{} {} > {} {} ",
                nd.mac(source),
                name(llc.ssap, "SSAP"),
                nd.mac(destination),
                name(llc.dsap, "DSAP")
            ),
        };
        nd.put(&text);
    }
    let length = rest + llc.header;
    if llc.unnumbered {
        let command = u32::from(llc.control & 0xef);
        let name = lookup(COMMAND, command).map_or_else(|| format!("{command:02x}"), str::to_owned);
        let flags = flag(llc.ssap_field & 1, llc.control & 0x10 != 0);
        nd.put(&format!("Unnumbered, {name}, Flags [{flags}], length {length}"));
        if llc.control & 0xef == 0xaf && rest == 0 {
            return Printed::known(llc.header);
        }
        if llc.control & 0xef == 0xaf && body.u8(0)? == 0x81 {
            nd.put(&format!(": {:02x} {:02x}", body.u8(1)?, body.u8(2)?));
            return Printed::known(llc.header);
        }
        return Printed::unknown(llc.header);
    }
    let flags = flag(llc.ssap_field & 1, llc.control & 0x100 != 0);
    let (receive, send) = ((llc.control >> 9) & 0x7f, (llc.control >> 1) & 0x7f);
    if llc.control & 1 == 1 {
        let kind = ["Receiver Ready", "Receiver not Ready", "Reject", "?"][usize::from(llc.control >> 2 & 3)];
        nd.put(&format!("Supervisory, {kind}, rcv seq {receive}, Flags [{flags}], length {length}"));
        return Printed::known(llc.header);
    }
    nd.put(&format!("Information, send seq {send}, rcv seq {receive}, Flags [{flags}], length {length}"));
    Printed::unknown(llc.header)
}

fn flag(response: u8, poll: bool) -> &'static str {
    match (response, poll) {
        (0, false) => "Command",
        (_, false) => "Response",
        (0, true) => "Poll",
        (_, true) => "Final",
    }
}

/// Prints a SNAP header and its payload; false if the payload is unknown.
fn snap(nd: &mut Nd, p: Bytes, length: usize, link: Addresses) -> Result<bool, Truncated> {
    nd.protocol = "snap";
    let (organisation, kind) = (p.u24(0)?, p.u16(3)?);
    if length < 5 {
        nd.truncated();
        return Ok(true);
    }
    let oui = lookup(OUI, organisation).unwrap_or("Unknown");
    let table = if [0x00_0000, 0x00_00f8, 0x08_0007].contains(&organisation) { ETHERTYPE } else { &[] };
    let name = lookup(table, kind.into()).unwrap_or("Unknown");
    let rest = length - 5;
    if nd.options.link_header > 0 {
        let what = if organisation == 0 { "ethertype" } else { "pid" };
        nd.put(&format!("oui {oui} (0x{organisation:06x}), {what} {name} (0x{kind:04x}), length {rest}: "));
    }
    let body = p.from(5);
    if matches!(organisation, 0x00_0000 | 0x00_00f8) && by_ether_type(nd, kind, body, rest)? {
        return Ok(true);
    }
    if organisation == 0x00_000c && matches!(kind, 0x010b | 0x010c) {
        stp(nd, body, rest)?;
        return Ok(true);
    }
    if nd.options.link_header == 0 {
        let text = if organisation == 0 {
            format!("{}SNAP, ethertype {name} (0x{kind:04x}), length {rest}: ", addresses(link, nd))
        } else {
            format!(
                "{}SNAP, oui {oui} (0x{organisation:06x}), pid {name} (0x{kind:04x}), length {rest}: ",
                addresses(link, nd)
            )
        };
        nd.put(&text);
    }
    Ok(false)
}

const STP_FLAGS: &[(u32, &str)] = &[
    (0x01, "Topology change"),
    (0x02, "Proposal"),
    (0x10, "Learn"),
    (0x20, "Forward"),
    (0x40, "Agreement"),
    (0x80, "Topology change ACK"),
];

/// Prints a bridge protocol data unit of 802.1D or 802.1w.
///
/// Not modelled: the bodies of 802.1s and 802.1aq.
fn stp(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "stp";
    if length < 4 {
        nd.invalid();
        return Ok(());
    }
    if p.u16(0)? != 0 {
        nd.put(&format!("unknown STP version, length {length}"));
        return Ok(());
    }
    let version = p.u8(2)?;
    let protocol = match version {
        0 => "802.1d",
        2 => "802.1w",
        3 => "802.1s",
        4 => "802.1aq",
        other => {
            nd.put(&format!("STP Unknown STP protocol (0x{other:02x})"));
            return Ok(());
        }
    };
    nd.put(&format!("STP {protocol}"));
    let kind = p.u8(3)?;
    let name = match kind {
        0x00 => "Config".to_owned(),
        0x02 => "Rapid STP".to_owned(),
        0x80 => "Topology Change".to_owned(),
        other => format!("Unknown BPDU Type (0x{other:02x})"),
    };
    nd.put(&format!(", {name}"));
    match (kind, version) {
        (0x00, _) | (0x02, 2) => {
            let least = if kind == 0 { 35 } else { 36 };
            if length < least {
                nd.invalid();
                return Ok(());
            }
            config(nd, p, length, version)
        }
        _ => Ok(()),
    }
}

fn config(nd: &mut Nd, p: Bytes, length: usize, version: u8) -> Print {
    let flags = bits(STP_FLAGS, "none", ", ", p.u8(4)?.into());
    nd.put(&format!(", Flags [{flags}]"));
    let bridge = bridge_id(p.take(17, 8)?);
    nd.put(&format!(", bridge-id {bridge}.{:04x}, length {length}", p.u16(25)?));
    if nd.options.verbose == 0 {
        return Ok(());
    }
    let seconds = |at: usize| p.u16(at).map(|ticks| format!("{:.2}s", f64::from(ticks) / 256.0));
    nd.put(&format!(
        "\n\tmessage-age {}, max-age {}, hello-time {}, forwarding-delay {}",
        seconds(27)?,
        seconds(29)?,
        seconds(31)?,
        seconds(33)?
    ));
    nd.put(&format!("\n\troot-id {}, root-pathcost {}", bridge_id(p.take(5, 8)?), p.u32(13)?));
    if version == 2 {
        let role = ["Unknown", "Alternate", "Root", "Designated"][usize::from(p.u8(4)? >> 2 & 3)];
        nd.put(&format!(", port-role {role}"));
    }
    Ok(())
}

fn bridge_id(id: &[u8]) -> String {
    let mac: Vec<_> = id[2..].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{:02x}{:02x}.{}", id[0], id[1], mac.join(":"))
}
