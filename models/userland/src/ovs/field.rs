//! The fields of a flow by their names in OpenFlow, a row each: how they are read and printed.

use std::net::Ipv4Addr;

use glassnet_kernel::net::openvswitch::flow::{field_to_mac, mac_to_field};
use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey};
use glassnet_wire::Mac;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A MAC address.
    Mac,
    /// An IPv4 address.
    Ip,
    /// A number.
    Decimal,
    /// A number of four digits after `0x`.
    Hex,
    /// A number after `0x`.
    Wide,
}

/// What a packet must be to have a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Every packet has it.
    Nothing,
    /// IPv4.
    Ipv4,
    /// IPv4 or ARP.
    Ip,
    /// ARP.
    Arp,
    /// TCP, UDP or SCTP over IPv4.
    Ports,
    /// This protocol over IPv4.
    Protocol(u64),
}

/// A field.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in actions that copy bits; empty: it has none.
    pub nxm: &'static str,
    /// Its names; the first is printed by tools.
    pub names: &'static [&'static str],
    /// What it is.
    pub field: KeyField,
    /// How it is written.
    pub format: Format,
    /// What a packet must be to have it.
    pub needs: Needs,
    /// Some bits of it may be matched.
    pub maskable: bool,
}

const fn row(
    nxm: &'static str,
    names: &'static [&'static str],
    field: KeyField,
    format: Format,
    needs: Needs,
    maskable: bool,
) -> Field {
    Field { nxm, names, field, format, needs, maskable }
}

/// ICMP.
pub const ICMP: u64 = 1;
/// TCP.
pub const TCP: u64 = 6;
/// UDP.
pub const UDP: u64 = 17;
/// SCTP.
pub const SCTP: u64 = 132;
/// Bits of the type of service that OpenFlow means by it.
pub const DSCP: u64 = 0xfc;
/// Ethertype of IPv4.
pub const IPV4: u64 = 0x0800;
/// Ethertype of ARP.
pub const ARP: u64 = 0x0806;

/// All but `in_port` and those of a VLAN tag, which are read in ways of their own.
#[rustfmt::skip] // A line a field.
pub const FIELDS: &[Field] = &[
    row("NXM_NX_TUN_ID", &["tun_id", "tunnel_id"], KeyField::TunId, Format::Wide, Needs::Nothing, true),
    row("NXM_NX_TUN_IPV4_SRC", &["tun_src"], KeyField::TunSrc, Format::Ip, Needs::Nothing, true),
    row("NXM_NX_TUN_IPV4_DST", &["tun_dst"], KeyField::TunDst, Format::Ip, Needs::Nothing, true),
    row("NXM_OF_ETH_SRC", &["dl_src", "eth_src"], KeyField::EthSrc, Format::Mac, Needs::Nothing, true),
    row("NXM_OF_ETH_DST", &["dl_dst", "eth_dst"], KeyField::EthDst, Format::Mac, Needs::Nothing, true),
    row("NXM_OF_ETH_TYPE", &["dl_type", "eth_type"], KeyField::EthType, Format::Hex, Needs::Nothing, false),
    row("NXM_OF_ARP_SPA", &["arp_spa"], KeyField::Ipv4Src, Format::Ip, Needs::Arp, true),
    row("NXM_OF_ARP_TPA", &["arp_tpa"], KeyField::Ipv4Dst, Format::Ip, Needs::Arp, true),
    row("NXM_OF_IP_SRC", &["nw_src", "ip_src"], KeyField::Ipv4Src, Format::Ip, Needs::Ip, true),
    row("NXM_OF_IP_DST", &["nw_dst", "ip_dst"], KeyField::Ipv4Dst, Format::Ip, Needs::Ip, true),
    row("NXM_OF_ARP_OP", &["arp_op"], KeyField::IpProto, Format::Decimal, Needs::Arp, false),
    row("NXM_OF_IP_PROTO", &["nw_proto", "ip_proto"], KeyField::IpProto, Format::Decimal, Needs::Ip, false),
    row("NXM_NX_ARP_SHA", &["arp_sha"], KeyField::ArpSha, Format::Mac, Needs::Arp, true),
    row("NXM_NX_ARP_THA", &["arp_tha"], KeyField::ArpTha, Format::Mac, Needs::Arp, true),
    row("NXM_OF_IP_TOS", &["nw_tos"], KeyField::IpTos, Format::Decimal, Needs::Ipv4, false),
    row("NXM_NX_IP_TTL", &["nw_ttl"], KeyField::IpTtl, Format::Decimal, Needs::Ipv4, false),
    row("NXM_OF_ICMP_TYPE", &["icmp_type"], KeyField::TpSrc, Format::Decimal, Needs::Protocol(ICMP), false),
    row("NXM_OF_ICMP_CODE", &["icmp_code"], KeyField::TpDst, Format::Decimal, Needs::Protocol(ICMP), false),
    row("", &["tp_src"], KeyField::TpSrc, Format::Decimal, Needs::Ports, true),
    row("", &["tp_dst"], KeyField::TpDst, Format::Decimal, Needs::Ports, true),
    row("NXM_OF_TCP_SRC", &["tcp_src"], KeyField::TpSrc, Format::Decimal, Needs::Protocol(TCP), true),
    row("NXM_OF_TCP_DST", &["tcp_dst"], KeyField::TpDst, Format::Decimal, Needs::Protocol(TCP), true),
    row("NXM_OF_UDP_SRC", &["udp_src"], KeyField::TpSrc, Format::Decimal, Needs::Protocol(UDP), true),
    row("NXM_OF_UDP_DST", &["udp_dst"], KeyField::TpDst, Format::Decimal, Needs::Protocol(UDP), true),
];

/// Words for kinds of packets: Ethertype, and IP protocol.
pub const SHORTHANDS: &[(&str, u64, Option<u64>)] = &[
    ("ip", IPV4, None),
    ("ipv4", IPV4, None),
    ("arp", ARP, None),
    ("icmp", IPV4, Some(ICMP)),
    ("tcp", IPV4, Some(TCP)),
    ("udp", IPV4, Some(UDP)),
    ("sctp", IPV4, Some(SCTP)),
];

/// What Open vSwitch can match and this model cannot yet.
const UNMODELLED: &[&str] = &[
    "ipv6",
    "tcp6",
    "udp6",
    "sctp6",
    "icmp6",
    "rarp",
    "mpls",
    "mplsm",
    "tun_flags",
    "tun_gbp_flags",
    "tun_gbp_id",
    "tun_ipv6_dst",
    "tun_ipv6_src",
    "tun_tos",
    "tun_ttl",
    "ct_state",
    "ct_zone",
    "ct_mark",
    "ct_label",
    "ct_nw_src",
    "ct_nw_dst",
    "metadata",
    "tcp_flags",
    "nw_ecn",
    "ip_dscp",
    "ip_ecn",
    "nw_frag",
    "ip_frag",
    "ipv6_src",
    "ipv6_dst",
    "icmpv6_type",
    "icmpv6_code",
    "nd_target",
    "pkt_mark",
    "recirc_id",
    "dp_hash",
    "conj_id",
    "sctp_src",
    "sctp_dst",
    "vlan_vid",
    "vlan_pcp",
    "vlan_tci",
];

/// The field of a name.
pub fn by_name(name: &str) -> Result<&'static Field, String> {
    let found = FIELDS.iter().find(|field| field.names.contains(&name));
    let is_unmodelled = UNMODELLED.contains(&name)
        || ["reg", "xreg", "tun_metadata"].iter().any(|known| name.starts_with(known));
    found.ok_or_else(|| match is_unmodelled {
        true => format!("not modelled yet: match {name}"),
        false => format!("unknown field {name}"),
    })
}

/// A number, also after `0x`.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A MAC address.
pub fn mac(text: &str) -> Option<u64> {
    text.parse::<Mac>().ok().map(mac_to_field)
}

impl Field {
    /// Reads a value with a mask, if one is given.
    pub fn parse(&self, text: &str) -> Result<(u64, u64), String> {
        let full = self.field.full();
        let (value, mask) = match text.split_once('/') {
            Some((value, mask)) if self.maskable => (value, Some(mask)),
            Some(_) => {
                let name = self.names[0];
                return Err(format!("{text}: invalid mask for field {name}"));
            }
            None => (text, None),
        };
        match self.format {
            Format::Mac => {
                let one = |text: &str| mac(text).ok_or_else(|| format!("{text}: invalid Ethernet address"));
                Ok((one(value)?, mask.map_or(Ok(full), one)?))
            }
            Format::Ip => {
                let one = |text: &str| text.parse::<Ipv4Addr>().ok().map(|ip| u64::from(u32::from(ip)));
                let wrong = || format!("{text}: invalid IP address");
                let too_long = || format!("{text}: IPv4 network prefix bits not between 0 and 32, inclusive");
                let mask = match mask {
                    None => full,
                    Some(mask) => match mask.parse::<u32>() {
                        Ok(len @ 0..=32) => u64::from(u32::MAX.checked_shl(32 - len).unwrap_or(0)),
                        Ok(_) => return Err(too_long()),
                        Err(_) => one(mask).ok_or_else(wrong)?,
                    },
                };
                Ok((one(value).ok_or_else(wrong)?, mask))
            }
            Format::Wide => {
                let one = |part: &str, what: &str| {
                    number(part).ok_or_else(|| format!("{text}: bad syntax for {} {what}", self.names[0]))
                };
                Ok((one(value, "value")?, mask.map_or(Ok(full), |mask| one(mask, "mask"))?))
            }
            Format::Decimal | Format::Hex => {
                let one = |text: &str| {
                    let name = self.names[0].replace("tp_", "tcp_");
                    let value = number(text).ok_or_else(|| format!("{text}: bad syntax for {name}"))?;
                    let width = if full > 0xff { 2 } else { 1 };
                    let too_large = || format!("{text}: value too large for {width}-byte field {name}");
                    (value <= full).then_some(value).ok_or_else(too_large)
                };
                let whole = if self.field == KeyField::IpTos { DSCP } else { full };
                Ok((one(value)?, mask.map_or(Ok(whole), one)?))
            }
        }
    }

    /// Prints a value under a mask, which has at least one bit.
    pub fn value(&self, value: u64, mask: u64) -> String {
        let is_exact = mask == self.field.full() || self.field == KeyField::IpTos;
        match self.format {
            Format::Mac if is_exact => field_to_mac(value).to_string(),
            Format::Mac => format!("{}/{}", field_to_mac(value), field_to_mac(mask)),
            Format::Ip => masked_ip(value, mask),
            Format::Decimal if is_exact => value.to_string(),
            Format::Decimal => format!("{value:#x}/{mask:#x}"),
            Format::Hex => format!("{value:#06x}"),
            Format::Wide if is_exact => format!("{value:#x}"),
            Format::Wide => format!("{value:#x}/{mask:#x}"),
        }
    }
}

/// An IPv4 address with its mask, as a prefix length where it is one.
pub fn masked_ip(value: u64, mask: u64) -> String {
    let (ip, mask) = (Ipv4Addr::from(value as u32), mask as u32);
    match mask.leading_ones() {
        32 => ip.to_string(),
        len if mask.count_ones() == len => format!("{ip}/{len}"),
        _ => format!("{ip}/{}", Ipv4Addr::from(mask)),
    }
}

/// A packet or a match has what a field needs, as far as `key` says.
pub fn has(key: &SwFlowKey, mask: &SwFlowKey, needs: Needs) -> bool {
    let is = |field: KeyField, value: u64| mask[field] == field.full() && key[field] == value;
    let ipv4 = is(KeyField::EthType, IPV4);
    match needs {
        Needs::Nothing => true,
        Needs::Ipv4 => ipv4,
        Needs::Arp => is(KeyField::EthType, ARP),
        Needs::Ip => ipv4 || is(KeyField::EthType, ARP),
        Needs::Ports => ipv4 && [TCP, UDP, SCTP].iter().any(|proto| is(KeyField::IpProto, *proto)),
        Needs::Protocol(proto) => ipv4 && is(KeyField::IpProto, proto),
    }
}
