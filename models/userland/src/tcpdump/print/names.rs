//! Names that tcpdump prints for numbers: addresses, ports, EtherTypes, protocols.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Nd;
use crate::services::{tcp_port_name, udp_port_name};

/// Name tables.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Hosts of `/etc/hosts`: the first name of each address.
    pub hosts: BTreeMap<IpAddr, String>,
    /// Interface names by index, for captures on `any`.
    pub interfaces: BTreeMap<u32, String>,
}

/// A MAC address as tcpdump prints it without a name.
pub fn mac_digits(mac: &[u8]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// The text for `value` in `table`.
pub fn lookup(table: &[(u32, &'static str)], value: u32) -> Option<&'static str> {
    table.iter().find(|row| row.0 == value).map(|row| row.1)
}

/// Names of the bits set in `value`, or `none`.
pub fn bits(table: &[(u32, &'static str)], none: &str, separator: &str, value: u32) -> String {
    let set: Vec<_> = table.iter().filter(|row| row.0 & value == row.0).map(|row| row.1).collect();
    if set.is_empty() { none.to_owned() } else { set.join(separator) }
}

impl Nd<'_> {
    /// A MAC address, with its vendor unless `-n`.
    pub fn mac(&self, mac: [u8; 6]) -> String {
        if self.options.numeric > 0 {
            return mac_digits(&mac);
        }
        if mac == [0xff; 6] {
            return "Broadcast".to_owned();
        }
        let oui = u32::from_be_bytes([0, mac[0], mac[1], mac[2]]);
        format!("{} (oui {})", mac_digits(&mac), lookup(OUI, oui).unwrap_or("Unknown"))
    }

    /// An IPv4 address or, without `-n`, the host's name.
    pub fn ipv4(&self, address: Ipv4Addr) -> String {
        self.host(IpAddr::V4(address))
    }

    /// An IPv6 address or, without `-n`, the host's name.
    pub fn ipv6(&self, address: Ipv6Addr) -> String {
        self.host(IpAddr::V6(address))
    }

    fn host(&self, address: IpAddr) -> String {
        if self.options.numeric == 0
            && let Some(name) = self.names.hosts.get(&address)
        {
            let short = name.split('.').next().unwrap_or(name);
            return if self.options.no_domain { short.to_owned() } else { name.clone() };
        }
        address.to_string()
    }

    /// A TCP port, by name without `-n`.
    pub fn tcp_port(&self, port: u16) -> String {
        self.port(port, tcp_port_name(port))
    }

    /// A UDP port, by name without `-n`.
    pub fn udp_port(&self, port: u16) -> String {
        self.port(port, udp_port_name(port))
    }

    fn port(&self, port: u16, name: Option<&str>) -> String {
        match name {
            Some(name) if self.options.numeric == 0 => name.to_owned(),
            _ => port.to_string(),
        }
    }
}

/// Organisations by the first three bytes of a MAC address.
pub const OUI: &[(u32, &str)] = &[
    (0x00_0000, "Ethernet"),
    (0x00_000c, "Cisco"),
    (0x00_005e, "IANA"),
    (0x00_0081, "Nortel Networks SONMP"),
    (0x00_00f8, "Cisco bridged"),
    (0x00_80c2, "Ethernet bridged"),
    (0x00_a03e, "ATM Forum"),
    (0x00_e02f, "DOCSIS Spanning Tree"),
    (0x08_0007, "Appletalk"),
    (0x00_9069, "Juniper"),
    (0x08_0009, "Hewlett-Packard"),
    (0x00_120f, "IEEE 802.3 Private"),
    (0x00_12bb, "ANSI/TIA"),
    (0x00_1b21, "DCBX"),
    (0x00_2320, "Nicira Networks"),
    (0x5c_16c7, "Big Switch Networks"),
    (0xb0_d2f5, "Vello Systems"),
    (0x00_2481, "HP"),
    (0x00_04ea, "HP-Labs"),
    (0x74_8771, "Infoblox Inc"),
    (0xa4_2305, "Open Networking Lab"),
    (0x00_049f, "Freescale"),
    (0x00_15ad, "Netronome"),
    (0x00_1018, "Broadcom"),
    (0x00_e004, "PMC-Sierra"),
    (0xd0_f0db, "Ericsson"),
];

/// EtherTypes.
pub const ETHERTYPE: &[(u32, &str)] = &[
    (0x0800, "IPv4"),
    (0x8847, "MPLS unicast"),
    (0x8848, "MPLS multicast"),
    (0x86dd, "IPv6"),
    (0x8100, "802.1Q"),
    (0x9100, "802.1Q-9100"),
    (0x88a8, "802.1Q-QinQ"),
    (0x9200, "802.1Q-9200"),
    (0x88e5, "802.1AE MACsec"),
    (0x0806, "ARP"),
    (0x8035, "Reverse ARP"),
    (0x6000, "MOP DL"),
    (0x6558, "TEB"),
    (0x809b, "Appletalk"),
    (0x80f3, "Appletalk ARP"),
    (0x8137, "IPX"),
    (0x880b, "PPP"),
    (0x8809, "Slow Protocols"),
    (0x8863, "PPPoE D"),
    (0x8864, "PPPoE S"),
    (0x888e, "EAPOL"),
    (0x8870, "Jumbo"),
    (0x894f, "NSH"),
    (0x9000, "Loopback"),
    (0x8902, "CFM"),
    (0x88cc, "LLDP"),
    (0x88ca, "TIPC"),
    (0x88a2, "AoE"),
    (0x88f7, "PTP"),
];

/// IP protocols as `-v` names them.
pub const IP_PROTOCOL: &[(u32, &str)] = &[
    (0, "Options"),
    (1, "ICMP"),
    (2, "IGMP"),
    (4, "IPIP"),
    (6, "TCP"),
    (8, "EGP"),
    (9, "IGRP"),
    (17, "UDP"),
    (33, "DCCP"),
    (41, "IPv6"),
    (43, "Routing"),
    (44, "Fragment"),
    (46, "RSVP"),
    (47, "GRE"),
    (50, "ESP"),
    (51, "AH"),
    (55, "Mobile IP"),
    (58, "ICMPv6"),
    (88, "EIGRP"),
    (89, "OSPF"),
    (103, "PIM"),
    (108, "Compressed IP"),
    (112, "VRRP"),
    (113, "PGM"),
    (132, "SCTP"),
    (135, "Mobility"),
    (143, "Ethernet"),
];
