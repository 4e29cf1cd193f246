//! Link-layer headers: Ethernet with VLAN tags, Linux cooked captures, raw IP.

use super::bytes::{Bytes, Print};
use super::names::{ETHERTYPE, lookup};
use super::{LinkType, Nd, arp, ip, ip6, llc, loopback, slow};

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;
const IPV6: u16 = 0x86dd;
const SLOW: u16 = 0x8809;
const LOOPBACK: u16 = 0x9000;
const VLAN_TAGS: [u16; 4] = [0x8100, 0x9100, 0x9200, 0x88a8];
/// Greatest length in an Ethernet type field.
const MAX_LENGTH: u16 = 1500;

/// Source and destination of a frame, for printers that repeat them.
pub type Addresses = Option<([u8; 6], [u8; 6])>;

/// Prints a packet from its link-layer header on.
pub fn packet(nd: &mut Nd, link: LinkType, p: Bytes, length: usize) -> Print {
    match link {
        LinkType::Ethernet => {
            nd.header_length = ethernet(nd, p, length)?;
            Ok(())
        }
        LinkType::Raw => ip::either(nd, p, length),
        LinkType::LinuxSll => cooked(nd, p, length, &COOKED_1),
        LinkType::LinuxSll2 => cooked(nd, p, length, &COOKED_2),
    }
}

/// Prints an Ethernet frame; returns the length of its header.
///
/// Not modelled: MACsec, Arista's time stamps, Alteon jumbo frames.
pub fn ethernet(nd: &mut Nd, p: Bytes, length: usize) -> Result<usize, super::Truncated> {
    nd.protocol = "ether";
    if length < p.len() {
        nd.put(&format!("[length {length} < caplen {}]", p.len()));
        nd.invalid();
        return Ok(length);
    }
    if p.len() < 14 || length < 14 {
        nd.truncated();
        return Ok(p.len());
    }
    let (destination, source) = (p.mac(0)?, p.mac(6)?);
    let link = nd.options.link_header > 0;
    if link {
        let text = format!("{} > {}, ", nd.mac(source), nd.mac(destination));
        nd.put(&text);
    }
    let mut kind = p.u16(12)?;
    let mut header = 14;
    let mut length_printed = false;
    while VLAN_TAGS.contains(&kind) {
        if p.len() < header + 4 || length < header + 4 {
            nd.protocol = "vlan";
            nd.truncated();
            return Ok(p.len());
        }
        if link {
            let separator = if length_printed { ", ".to_owned() } else { format!(", length {length}: ") };
            let text = format!("{}{separator}{}, ", ether_type(nd, kind), tag(p.u16(header)?));
            nd.put(&text);
            length_printed = true;
        }
        kind = p.u16(header + 2)?;
        header += 4;
    }
    let body = Frame { p, length, header, kind, length_printed, addresses: Some((source, destination)) };
    if kind <= MAX_LENGTH { body.print_802_3(nd) } else { body.print_ethernet_2(nd) }
}

struct Frame<'a> {
    p: Bytes<'a>,
    length: usize,
    header: usize,
    kind: u16,
    length_printed: bool,
    addresses: Addresses,
}

impl Frame<'_> {
    fn print_802_3(&self, nd: &mut Nd) -> Result<usize, super::Truncated> {
        let length = (self.length - self.header).min(usize::from(self.kind));
        let body = self.p.from(self.header).first(length);
        if nd.options.link_header > 0 {
            nd.put("802.3");
            if !self.length_printed {
                nd.put(&format!(", length {length}: "));
            }
        }
        let printed = llc::llc(nd, body, length, self.addresses)?;
        if !printed.known {
            nd.default_print(body);
        }
        Ok(self.header + printed.header)
    }

    fn print_ethernet_2(&self, nd: &mut Nd) -> Result<usize, super::Truncated> {
        let link = nd.options.link_header > 0;
        let body = self.p.from(self.header);
        if link {
            let separator =
                if self.length_printed { ", ".to_owned() } else { format!(", length {}: ", self.length) };
            let text = format!("{}{separator}", ether_type(nd, self.kind));
            nd.put(&text);
        }
        if !by_ether_type(nd, self.kind, body, self.length - self.header)? {
            if let (false, Some((source, destination))) = (link, self.addresses) {
                let kind = ether_type(nd, self.kind);
                let text =
                    format!("{} > {}, {kind}, length {}: ", nd.mac(source), nd.mac(destination), self.length);
                nd.put(&text);
            }
            nd.default_print(body);
        }
        Ok(self.header)
    }
}

fn ether_type(nd: &Nd, kind: u16) -> String {
    let name = lookup(ETHERTYPE, kind.into());
    match (nd.options.quick > 0, name) {
        (false, name) => format!("ethertype {} (0x{kind:04x})", name.unwrap_or("Unknown")),
        (true, Some(name)) => name.to_owned(),
        (true, None) => format!("Unknown Ethertype (0x{kind:04x})"),
    }
}

fn tag(tci: u16) -> String {
    let drop_eligible = if tci & 0x1000 != 0 { ", DEI" } else { "" };
    format!("vlan {}, p {}{drop_eligible}", tci & 0xfff, tci >> 13)
}

/// Prints the payload of an EtherType; false if there is no printer.
pub fn by_ether_type(nd: &mut Nd, kind: u16, p: Bytes, length: usize) -> Result<bool, super::Truncated> {
    match kind {
        IPV4 => ip::ip(nd, p, length)?,
        IPV6 => ip6::ip6(nd, p, length)?,
        ARP | RARP => arp::arp(nd, p, length)?,
        SLOW => slow::slow(nd, p, length)?,
        LOOPBACK => loopback::loopback(nd, p, length)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Offsets of the fields of a cooked header.
struct Cooked {
    name: &'static str,
    header: usize,
    protocol: usize,
    address_length: usize,
    address: usize,
}

const COOKED_1: Cooked = Cooked { name: "sll", header: 16, protocol: 14, address_length: 5, address: 6 };
const COOKED_2: Cooked = Cooked { name: "sll2", header: 20, protocol: 0, address_length: 11, address: 12 };

const DIRECTION: &[(u32, &str)] = &[(0, "In"), (1, "B"), (2, "M"), (3, "P"), (4, "Out")];

/// Prints a packet with a Linux cooked header.
fn cooked(nd: &mut Nd, p: Bytes, length: usize, layout: &Cooked) -> Print {
    nd.protocol = layout.name;
    p.take(0, layout.header)?;
    let direction = if layout.header == 20 {
        let name = nd.names.interfaces.get(&p.u32(4)?).map_or("?", String::as_str);
        let name = format!("{name:<5} ");
        nd.put(&name);
        u32::from(p.u8(10)?)
    } else {
        u32::from(p.u16(0)?)
    };
    let name = lookup(DIRECTION, direction).unwrap_or("?");
    nd.put(&if layout.header == 20 { format!("{name:<3} ") } else { format!("{name:>3} ") });
    if nd.options.link_header > 0 {
        cooked_header(nd, p, length, layout)?;
    }
    let mut kind = p.u16(layout.protocol)?;
    let mut header = layout.header;
    while kind == 0x8100 {
        if p.len() < header + 4 {
            nd.protocol = "vlan";
            nd.truncated();
            return Ok(());
        }
        if nd.options.link_header > 0 {
            nd.put(&format!("{}, ", tag(p.u16(header)?)));
        }
        kind = match p.u16(header + 2)? {
            length if length <= MAX_LENGTH => LLC_PROTOCOL,
            other => other,
        };
        if nd.options.quick == 0 {
            nd.put(&format!("ethertype {}, ", lookup(ETHERTYPE, kind.into()).unwrap_or("Unknown")));
        }
        header += 4;
    }
    cooked_body(nd, p, length, layout, (kind, header))
}

/// `LINUX_SLL_P_802_2`: an LLC header follows.
const LLC_PROTOCOL: u16 = 4;

fn cooked_body(nd: &mut Nd, p: Bytes, length: usize, layout: &Cooked, (kind, header): (u16, usize)) -> Print {
    let (body, rest) = (p.from(header), length - header);
    nd.header_length = header;
    if kind == LLC_PROTOCOL {
        let printed = llc::llc(nd, body, rest, None)?;
        nd.header_length += printed.header;
        if !printed.known {
            nd.default_print(body);
        }
    } else if kind <= MAX_LENGTH {
        nd.default_print(body);
    } else if !by_ether_type(nd, kind, body, rest)? {
        if nd.options.link_header == 0 {
            cooked_header(nd, p, length, layout)?;
        }
        nd.default_print(body);
    }
    Ok(())
}

fn cooked_header(nd: &mut Nd, p: Bytes, length: usize, layout: &Cooked) -> Print {
    if layout.header == 20 {
        nd.put(&format!("ifindex {} ", p.u32(4)?));
    }
    if p.u8(layout.address_length)? == 6 {
        let mac = nd.mac(p.mac(layout.address)?);
        nd.put(&format!("{mac} "));
    }
    if nd.options.quick == 0 {
        let kind = p.u16(layout.protocol)?;
        let name = match kind {
            1 => "802.3".to_owned(),
            LLC_PROTOCOL => "802.2".to_owned(),
            _ => format!("ethertype {} (0x{kind:04x})", lookup(ETHERTYPE, kind.into()).unwrap_or("Unknown")),
        };
        nd.put(&format!("{name}, length {length}: "));
    }
    Ok(())
}

/// A frame's addresses as LLC and SNAP repeat them.
pub fn addresses(addresses: Addresses, nd: &Nd) -> String {
    addresses.map_or_else(String::new, |(source, destination)| {
        format!("{} > {} ", nd.mac(source), nd.mac(destination))
    })
}
