//! Which packets an OpenFlow flow means: read and printed as `ovs-ofctl` does.

use std::fmt::Write as _;

use glassnet_kernel::net::openvswitch::flow::field_to_mac;
use glassnet_kernel::tables::ip_tunnel::{TUNNEL_CSUM, TUNNEL_DONT_FRAGMENT, TUNNEL_KEY};
use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey, VLAN_CFI};

use super::field::{self, ARP, DSCP, FIELDS, ICMP, IPV4, SCTP, SHORTHANDS, TCP, UDP};
use super::ports::PortNames;

/// Bits of the VLAN in a tag.
pub const VID: u64 = 0x0fff;
/// Bits of the priority in a tag.
pub const PCP: u64 = 0xe000;
/// Where the priority begins.
pub const PCP_SHIFT: u32 = 13;

/// Flags of a tunnel by name.
pub const TUNNEL_FLAGS: [(&str, u64); 3] =
    [("df", TUNNEL_DONT_FRAGMENT as u64), ("csum", TUNNEL_CSUM as u64), ("key", TUNNEL_KEY as u64)];

/// Flags of a tunnel that are set.
pub fn tunnel_flags(flags: u64) -> String {
    let set = TUNNEL_FLAGS.iter().filter(|(_, bit)| flags & bit != 0);
    set.map(|(name, _)| *name).collect::<Vec<_>>().join("|")
}

/// A match: the bits of a packet's fields that count, and how they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Match {
    /// Values.
    pub key: SwFlowKey,
    /// Which bits count.
    pub mask: SwFlowKey,
}

impl Match {
    /// A packet of these fields matches.
    pub fn matches(&self, key: &SwFlowKey) -> bool {
        key.masked(&self.mask) == self.key
    }

    /// Every packet that this one matches `other` matches too (`ofputil` "loose" matching).
    pub fn is_within(&self, other: &Match) -> bool {
        self.mask.masked(&other.mask) == other.mask && self.key.masked(&other.mask) == other.key
    }

    /// Asks for a whole field.
    pub fn set(&mut self, field: KeyField, value: u64) {
        self.set_masked(field, value, field.full());
    }

    /// Asks for some bits of a field.
    pub fn set_masked(&mut self, field: KeyField, value: u64, mask: u64) {
        self.mask[field] |= mask;
        self.key[field] = self.key[field] & !mask | value & mask;
    }

    /// Reads one `name=value` or a word for a kind of packet. False: it is no part of a match.
    pub fn take(&mut self, name: &str, value: Option<&str>, ports: &PortNames) -> Result<bool, String> {
        if let (Some((_, eth_type, proto)), None) = (SHORTHANDS.iter().find(|row| row.0 == name), value) {
            self.set(KeyField::EthType, *eth_type);
            if let Some(proto) = proto {
                self.set(KeyField::IpProto, *proto);
            }
            return Ok(true);
        }
        let Some(value) = value else {
            return match field::by_name(name) {
                Err(refused) if refused.starts_with("not modelled") => Err(refused),
                _ => Ok(false),
            };
        };
        match name {
            "in_port" => {
                let port = ports
                    .parse(value)
                    .ok_or_else(|| format!("{value}: invalid or unknown port for in_port"))?;
                self.set(KeyField::InPort, u64::from(port));
            }
            "dl_vlan" => {
                let vid = field::number(value).filter(|vid| *vid <= 0xffff);
                let vid = vid.ok_or_else(|| format!("{value}: bad syntax for dl_vlan"))?;
                let (key, mask) =
                    if vid == 0xffff { (0, 0xffff) } else { (vid & VID | VLAN_CFI, VID | VLAN_CFI) };
                self.set_masked(KeyField::VlanTci, key, mask);
            }
            "dl_vlan_pcp" => {
                let pcp = field::number(value).filter(|pcp| *pcp <= 7);
                let pcp = pcp.ok_or_else(|| format!("{value}: bad syntax for dl_vlan_pcp"))?;
                self.set_masked(KeyField::VlanTci, pcp << PCP_SHIFT | VLAN_CFI, PCP | VLAN_CFI);
            }
            _ => {
                let field = match field::by_name(name) {
                    Ok(field) => field,
                    Err(refused) if refused.starts_with("not modelled") => return Err(refused),
                    Err(_) => return Ok(false),
                };
                let (value, mask) = field.parse(value)?;
                self.set_masked(field.field, value, mask);
            }
        }
        Ok(true)
    }

    /// As `ovs-ofctl` prints it, without the priority.
    pub fn format(&self, ports: &PortNames) -> String {
        let mut text = String::new();
        let word = self.kind();
        if let Some(word) = word {
            let _ = write!(text, "{word},");
        }
        for (name, field) in
            [("tun_id", KeyField::TunId), ("tun_src", KeyField::TunSrc), ("tun_dst", KeyField::TunDst)]
        {
            self.format_field(&mut text, name, field);
        }
        for (name, field) in [("tun_tos", KeyField::TunTos), ("tun_ttl", KeyField::TunTtl)] {
            if self.mask[field] != 0 {
                let _ = write!(text, "{name}={},", self.key[field]);
            }
        }
        if self.mask[KeyField::TunFlags] != 0 {
            let _ = write!(text, "tun_flags={},", self.tunnel_flags());
        }
        if self.mask[KeyField::InPort] != 0 {
            let _ = write!(text, "in_port={},", ports.name(self.key[KeyField::InPort] as u32));
        }
        self.format_vlan(&mut text);
        for (name, field) in [("dl_src", KeyField::EthSrc), ("dl_dst", KeyField::EthDst)] {
            self.format_field(&mut text, name, field);
        }
        if word.is_none() {
            self.format_field(&mut text, "dl_type", KeyField::EthType);
        }
        let is_arp = word == Some("arp");
        for field in [KeyField::Ipv4Src, KeyField::Ipv4Dst] {
            let name = match (is_arp, field) {
                (true, KeyField::Ipv4Src) => "arp_spa",
                (true, _) => "arp_tpa",
                (false, KeyField::Ipv4Src) => "nw_src",
                (false, _) => "nw_dst",
            };
            self.format_field(&mut text, name, field);
        }
        if is_arp || word == Some("ip") {
            self.format_field(&mut text, if is_arp { "arp_op" } else { "nw_proto" }, KeyField::IpProto);
        }
        for (name, field) in [("arp_sha", KeyField::ArpSha), ("arp_tha", KeyField::ArpTha)] {
            self.format_field(&mut text, name, field);
        }
        for (name, bits) in [("nw_tos", DSCP), ("nw_ecn", !DSCP & 0xff)] {
            if self.mask[KeyField::IpTos] & bits != 0 {
                let _ = write!(text, "{name}={},", self.key[KeyField::IpTos] & bits);
            }
        }
        self.format_field(&mut text, "nw_ttl", KeyField::IpTtl);
        if self.mask[KeyField::IpFrag] != 0 {
            text +=
                ["nw_frag=no,", "nw_frag=first,", "nw_frag=later,"][self.key[KeyField::IpFrag] as usize % 3];
        }
        let [src, dst] = if word == Some("icmp") { ["icmp_type", "icmp_code"] } else { ["tp_src", "tp_dst"] };
        self.format_field(&mut text, src, KeyField::TpSrc);
        self.format_field(&mut text, dst, KeyField::TpDst);
        text.pop();
        text
    }

    fn format_field(&self, text: &mut String, name: &str, field: KeyField) {
        let mask = self.mask[field];
        if let (true, Some(row)) = (mask != 0, FIELDS.iter().find(|row| row.names.contains(&name))) {
            let _ = write!(text, "{name}={},", row.value(self.key[field], mask));
        }
    }

    /// Flags of a tunnel that count: `+` those that are set, `-` the others.
    pub fn tunnel_flags(&self) -> String {
        let (key, mask) = (self.key[KeyField::TunFlags], self.mask[KeyField::TunFlags]);
        let counts = TUNNEL_FLAGS.iter().filter(|(_, bit)| mask & bit != 0);
        counts.map(|(name, bit)| format!("{}{name}", if key & bit != 0 { '+' } else { '-' })).collect()
    }

    fn format_vlan(&self, text: &mut String) {
        let (tci, mask) = (self.key[KeyField::VlanTci], self.mask[KeyField::VlanTci]);
        if mask & tci & VLAN_CFI != 0 {
            if mask & VID == VID {
                let _ = write!(text, "dl_vlan={},", tci & VID);
            }
            if mask & PCP != 0 {
                let _ = write!(text, "dl_vlan_pcp={},", tci >> PCP_SHIFT);
            }
        } else if mask == 0xffff {
            let _ = write!(text, "vlan_tci={tci:#06x},");
        }
    }

    /// Fields that count only of packets of another kind do not count; how it was before, if that changed something.
    pub fn normalize(&mut self) -> Option<Match> {
        let before = *self;
        for field in KeyField::ALL.into_iter().filter(|field| *field > KeyField::EthType) {
            let of_field = FIELDS.iter().filter(|row| row.field == field);
            let is_there = of_field.into_iter().any(|row| field::has(&before.key, &before.mask, row.needs));
            if !is_there {
                (self.key[field], self.mask[field]) = (0, 0);
            }
        }
        (*self != before).then_some(before)
    }

    /// The word for the kind of packet.
    fn kind(&self) -> Option<&'static str> {
        let is_known = self.mask[KeyField::EthType] != 0;
        match (is_known, self.key[KeyField::EthType], self.mask[KeyField::IpProto]) {
            (true, ARP, _) => Some("arp"),
            (true, IPV4, 0) => Some("ip"),
            (true, IPV4, _) => Some(protocol(self.key[KeyField::IpProto]).unwrap_or("ip")),
            _ => None,
        }
    }
}

fn protocol(number: u64) -> Option<&'static str> {
    match number {
        ICMP => Some("icmp"),
        TCP => Some("tcp"),
        UDP => Some("udp"),
        SCTP => Some("sctp"),
        _ => None,
    }
}

/// All fields of a packet (`flow_format`), as `ofproto/trace` prints them.
pub fn flow_format(key: &SwFlowKey) -> String {
    let get = |field| key[field];
    let ip = |field| field::masked_ip(key[field], 0xffff_ffff);
    let kind = match get(KeyField::EthType) {
        IPV4 => Some(protocol(get(KeyField::IpProto)).unwrap_or("ip")),
        ARP => Some("arp"),
        _ => None,
    };
    let mut text = kind.map(|kind| format!("{kind},")).unwrap_or_default();
    text += &flow_tunnel(key);
    let _ = write!(text, "in_port={},", super::ports::number(get(KeyField::InPort) as u32));
    let tci = get(KeyField::VlanTci);
    match tci & VLAN_CFI {
        0 => text += "vlan_tci=0x0000,",
        _ => _ = write!(text, "dl_vlan={},dl_vlan_pcp={},vlan_tci1=0x0000,", tci & VID, tci >> PCP_SHIFT),
    }
    let [src, dst] = [KeyField::EthSrc, KeyField::EthDst].map(|field| field_to_mac(get(field)));
    let _ = write!(text, "dl_src={src},dl_dst={dst}");
    if kind.is_none() {
        let _ = write!(text, ",dl_type={:#06x}", get(KeyField::EthType));
    }
    match (get(KeyField::EthType), kind) {
        (ARP, _) => {
            let [sha, tha] = [KeyField::ArpSha, KeyField::ArpTha].map(|field| field_to_mac(get(field)));
            let _ = write!(
                text,
                ",arp_spa={},arp_tpa={},arp_op={},arp_sha={sha},arp_tha={tha}",
                ip(KeyField::Ipv4Src),
                ip(KeyField::Ipv4Dst),
                get(KeyField::IpProto)
            );
        }
        (IPV4, kind) => {
            let _ = write!(text, ",nw_src={},nw_dst={}", ip(KeyField::Ipv4Src), ip(KeyField::Ipv4Dst));
            if kind == Some("ip") {
                let _ = write!(text, ",nw_proto={}", get(KeyField::IpProto));
            }
            let tos = get(KeyField::IpTos);
            let frag = ["no", "first", "later"][get(KeyField::IpFrag) as usize % 3];
            let ttl = get(KeyField::IpTtl);
            let _ = write!(text, ",nw_tos={},nw_ecn={},nw_ttl={ttl},nw_frag={frag}", tos & 0xfc, tos & 3);
            let ports = (get(KeyField::TpSrc), get(KeyField::TpDst));
            let _ = match kind {
                Some("icmp") => write!(text, ",icmp_type={},icmp_code={}", ports.0, ports.1),
                Some("tcp") => write!(text, ",tp_src={},tp_dst={},tcp_flags=0", ports.0, ports.1),
                Some("udp" | "sctp") => write!(text, ",tp_src={},tp_dst={}", ports.0, ports.1),
                _ => Ok(()),
            };
        }
        _ => {}
    }
    text
}

/// The tunnel that a packet came through, or is to go through.
fn flow_tunnel(key: &SwFlowKey) -> String {
    let tunnel = key.tunnel();
    let id = format!("tun_id={:#x},", tunnel.tun_id);
    if tunnel.dst.is_unspecified() {
        return if tunnel.tun_id == 0 { String::new() } else { id };
    }
    let id = if tunnel.tun_flags & TUNNEL_KEY == 0 { "" } else { &id };
    let flags = match tunnel.tun_flags {
        0 => "0".to_owned(),
        flags => tunnel_flags(u64::from(flags)),
    };
    format!(
        "{id}tun_src={},tun_dst={},tun_ipv6_src=::,tun_ipv6_dst=::,tun_gbp_id=0,tun_gbp_flags=0,tun_tos={},tun_ttl={},\
         tun_erspan_ver=0,gtpu_flags=0,gtpu_msgtype=0,tun_flags={flags},",
        tunnel.src, tunnel.dst, tunnel.tos, tunnel.ttl
    )
}
