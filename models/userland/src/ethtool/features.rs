//! `ethtool -k`.
//!
//! ethtool: netlink/features.c

use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::netdev_features::{
    ALL_TSO, FCOE_CRC, FCOE_MTU, FRAGLIST, FSO, GRO, GRO_FRAGLIST, GRO_HW, GRO_UDP_FWD, GSO, GSO_ESP,
    GSO_FRAGLIST, GSO_GRE, GSO_GRE_CSUM, GSO_IPXIP4, GSO_IPXIP6, GSO_PARTIAL, GSO_ROBUST, GSO_SCTP,
    GSO_TUNNEL_REMCSUM, GSO_UDP_L4, GSO_UDP_TUNNEL, GSO_UDP_TUNNEL_CSUM, HIGHDMA, HW_CSUM, HW_ESP,
    HW_ESP_TX_CSUM, HW_HSR_DUP, HW_HSR_FWD, HW_HSR_TAG_INS, HW_HSR_TAG_RM, HW_L2FW_DOFFLOAD, HW_MACSEC,
    HW_TC, HW_TLS_RECORD, HW_TLS_RX, HW_TLS_TX, HW_VLAN_CTAG_FILTER, HW_VLAN_CTAG_RX, HW_VLAN_CTAG_TX,
    HW_VLAN_STAG_FILTER, HW_VLAN_STAG_RX, HW_VLAN_STAG_TX, IP_CSUM, IPV6_CSUM, LLTX, LOOPBACK, LRO,
    NETNS_LOCAL, NOCACHE_COPY, NTUPLE, RX_UDP_TUNNEL_PORT, RXALL, RXCSUM, RXFCS, RXHASH, SCTP_CRC, SG, TSO,
    TSO_ECN, TSO_MANGLEID, TSO6, VLAN_CHALLENGED,
};

use super::Said;
use crate::procfs::View;

/// A line of the listing.
#[derive(Clone, Copy)]
enum Line {
    /// One feature.
    Feature(u64),
    /// A feature below a heading.
    Member(u64),
    /// A heading: on if one of its features is.
    Heading(u64),
}

/// The lines in order.
const LINES: &[(&str, Line)] = &[
    ("rx-checksumming", Line::Feature(RXCSUM)),
    ("tx-checksumming", Line::Heading(IP_CSUM | HW_CSUM | IPV6_CSUM | FCOE_CRC | SCTP_CRC)),
    ("tx-checksum-ipv4", Line::Member(IP_CSUM)),
    ("tx-checksum-ip-generic", Line::Member(HW_CSUM)),
    ("tx-checksum-ipv6", Line::Member(IPV6_CSUM)),
    ("tx-checksum-fcoe-crc", Line::Member(FCOE_CRC)),
    ("tx-checksum-sctp", Line::Member(SCTP_CRC)),
    ("scatter-gather", Line::Heading(SG | FRAGLIST)),
    ("tx-scatter-gather", Line::Member(SG)),
    ("tx-scatter-gather-fraglist", Line::Member(FRAGLIST)),
    ("tcp-segmentation-offload", Line::Heading(ALL_TSO)),
    ("tx-tcp-segmentation", Line::Member(TSO)),
    ("tx-tcp-ecn-segmentation", Line::Member(TSO_ECN)),
    ("tx-tcp-mangleid-segmentation", Line::Member(TSO_MANGLEID)),
    ("tx-tcp6-segmentation", Line::Member(TSO6)),
    ("generic-segmentation-offload", Line::Feature(GSO)),
    ("generic-receive-offload", Line::Feature(GRO)),
    ("large-receive-offload", Line::Feature(LRO)),
    ("rx-vlan-offload", Line::Feature(HW_VLAN_CTAG_RX)),
    ("tx-vlan-offload", Line::Feature(HW_VLAN_CTAG_TX)),
    ("ntuple-filters", Line::Feature(NTUPLE)),
    ("receive-hashing", Line::Feature(RXHASH)),
    ("highdma", Line::Feature(HIGHDMA)),
    ("rx-vlan-filter", Line::Feature(HW_VLAN_CTAG_FILTER)),
    ("vlan-challenged", Line::Feature(VLAN_CHALLENGED)),
    ("tx-lockless", Line::Feature(LLTX)),
    ("netns-local", Line::Feature(NETNS_LOCAL)),
    ("tx-gso-robust", Line::Feature(GSO_ROBUST)),
    ("tx-fcoe-segmentation", Line::Feature(FSO)),
    ("tx-gre-segmentation", Line::Feature(GSO_GRE)),
    ("tx-gre-csum-segmentation", Line::Feature(GSO_GRE_CSUM)),
    ("tx-ipxip4-segmentation", Line::Feature(GSO_IPXIP4)),
    ("tx-ipxip6-segmentation", Line::Feature(GSO_IPXIP6)),
    ("tx-udp_tnl-segmentation", Line::Feature(GSO_UDP_TUNNEL)),
    ("tx-udp_tnl-csum-segmentation", Line::Feature(GSO_UDP_TUNNEL_CSUM)),
    ("tx-gso-partial", Line::Feature(GSO_PARTIAL)),
    ("tx-tunnel-remcsum-segmentation", Line::Feature(GSO_TUNNEL_REMCSUM)),
    ("tx-sctp-segmentation", Line::Feature(GSO_SCTP)),
    ("tx-esp-segmentation", Line::Feature(GSO_ESP)),
    ("tx-udp-segmentation", Line::Feature(GSO_UDP_L4)),
    ("tx-gso-list", Line::Feature(GSO_FRAGLIST)),
    ("fcoe-mtu", Line::Feature(FCOE_MTU)),
    ("tx-nocache-copy", Line::Feature(NOCACHE_COPY)),
    ("loopback", Line::Feature(LOOPBACK)),
    ("rx-fcs", Line::Feature(RXFCS)),
    ("rx-all", Line::Feature(RXALL)),
    ("tx-vlan-stag-hw-insert", Line::Feature(HW_VLAN_STAG_TX)),
    ("rx-vlan-stag-hw-parse", Line::Feature(HW_VLAN_STAG_RX)),
    ("rx-vlan-stag-filter", Line::Feature(HW_VLAN_STAG_FILTER)),
    ("l2-fwd-offload", Line::Feature(HW_L2FW_DOFFLOAD)),
    ("hw-tc-offload", Line::Feature(HW_TC)),
    ("esp-hw-offload", Line::Feature(HW_ESP)),
    ("esp-tx-csum-hw-offload", Line::Feature(HW_ESP_TX_CSUM)),
    ("rx-udp_tunnel-port-offload", Line::Feature(RX_UDP_TUNNEL_PORT)),
    ("tls-hw-tx-offload", Line::Feature(HW_TLS_TX)),
    ("tls-hw-rx-offload", Line::Feature(HW_TLS_RX)),
    ("rx-gro-hw", Line::Feature(GRO_HW)),
    ("tls-hw-record", Line::Feature(HW_TLS_RECORD)),
    ("rx-gro-list", Line::Feature(GRO_FRAGLIST)),
    ("macsec-hw-offload", Line::Feature(HW_MACSEC)),
    ("rx-udp-gro-forwarding", Line::Feature(GRO_UDP_FWD)),
    ("hsr-tag-ins-offload", Line::Feature(HW_HSR_TAG_INS)),
    ("hsr-tag-rm-offload", Line::Feature(HW_HSR_TAG_RM)),
    ("hsr-fwd-offload", Line::Feature(HW_HSR_FWD)),
    ("hsr-dup-offload", Line::Feature(HW_HSR_DUP)),
];

/// Prints the features; those that cannot be changed are marked as fixed.
pub(super) fn features(_: &View, dev: &NetDevice) -> Said {
    let mut text = format!("Features for {}:\n", dev.name);
    for (name, line) in LINES {
        let on_off = |bits: u64| if dev.features & bits != 0 { "on" } else { "off" };
        text += &match *line {
            Line::Heading(bits) => format!("{name}: {}\n", on_off(bits)),
            Line::Feature(bit) => format!("{name}: {}{}\n", on_off(bit), suffix(dev, bit)),
            Line::Member(bit) => format!("\t{name}: {}{}\n", on_off(bit), suffix(dev, bit)),
        };
    }
    Ok(text)
}

fn suffix(dev: &NetDevice, bit: u64) -> &'static str {
    let (is_on, is_wanted) = (dev.features & bit != 0, dev.wanted_features & bit != 0);
    match (is_on, is_wanted) {
        _ if dev.hw_features & bit == 0 => " [fixed]",
        (false, true) => " [requested on]",
        (true, false) => " [requested off]",
        _ => "",
    }
}
