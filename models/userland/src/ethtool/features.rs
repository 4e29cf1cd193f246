//! `ethtool -k` and `-K`.
//!
//! ethtool: netlink/features.c

use glassnet_kernel::net::core::dev_features::{Changed, ethnl_set_features};
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

use super::{NO_DEVICE, Said};
use crate::process::Process;
use crate::procfs::View;
use crate::stop::Stop;

/// The exit status if the kernel refuses.
const REFUSED: i32 = 92;

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

/// What the kernel calls each feature, in its order (`netdev_features_strings`, net/ethtool/common.c).
const NAMES: &[(&str, u64)] = &[
    ("tx-scatter-gather", SG),
    ("tx-checksum-ipv4", IP_CSUM),
    ("tx-checksum-ip-generic", HW_CSUM),
    ("tx-checksum-ipv6", IPV6_CSUM),
    ("highdma", HIGHDMA),
    ("tx-scatter-gather-fraglist", FRAGLIST),
    ("tx-vlan-hw-insert", HW_VLAN_CTAG_TX),
    ("rx-vlan-hw-parse", HW_VLAN_CTAG_RX),
    ("rx-vlan-filter", HW_VLAN_CTAG_FILTER),
    ("vlan-challenged", VLAN_CHALLENGED),
    ("tx-generic-segmentation", GSO),
    ("tx-lockless", LLTX),
    ("netns-local", NETNS_LOCAL),
    ("rx-gro", GRO),
    ("rx-lro", LRO),
    ("tx-tcp-segmentation", TSO),
    ("tx-gso-robust", GSO_ROBUST),
    ("tx-tcp-ecn-segmentation", TSO_ECN),
    ("tx-tcp-mangleid-segmentation", TSO_MANGLEID),
    ("tx-tcp6-segmentation", TSO6),
    ("tx-fcoe-segmentation", FSO),
    ("tx-gre-segmentation", GSO_GRE),
    ("tx-gre-csum-segmentation", GSO_GRE_CSUM),
    ("tx-ipxip4-segmentation", GSO_IPXIP4),
    ("tx-ipxip6-segmentation", GSO_IPXIP6),
    ("tx-udp_tnl-segmentation", GSO_UDP_TUNNEL),
    ("tx-udp_tnl-csum-segmentation", GSO_UDP_TUNNEL_CSUM),
    ("tx-gso-partial", GSO_PARTIAL),
    ("tx-tunnel-remcsum-segmentation", GSO_TUNNEL_REMCSUM),
    ("tx-sctp-segmentation", GSO_SCTP),
    ("tx-esp-segmentation", GSO_ESP),
    ("tx-udp-segmentation", GSO_UDP_L4),
    ("tx-gso-list", GSO_FRAGLIST),
    ("tx-checksum-fcoe-crc", FCOE_CRC),
    ("tx-checksum-sctp", SCTP_CRC),
    ("fcoe-mtu", FCOE_MTU),
    ("rx-ntuple-filter", NTUPLE),
    ("rx-hashing", RXHASH),
    ("rx-checksum", RXCSUM),
    ("tx-nocache-copy", NOCACHE_COPY),
    ("loopback", LOOPBACK),
    ("rx-fcs", RXFCS),
    ("rx-all", RXALL),
    ("tx-vlan-stag-hw-insert", HW_VLAN_STAG_TX),
    ("rx-vlan-stag-hw-parse", HW_VLAN_STAG_RX),
    ("rx-vlan-stag-filter", HW_VLAN_STAG_FILTER),
    ("l2-fwd-offload", HW_L2FW_DOFFLOAD),
    ("hw-tc-offload", HW_TC),
    ("esp-hw-offload", HW_ESP),
    ("esp-tx-csum-hw-offload", HW_ESP_TX_CSUM),
    ("rx-udp_tunnel-port-offload", RX_UDP_TUNNEL_PORT),
    ("tls-hw-tx-offload", HW_TLS_TX),
    ("tls-hw-rx-offload", HW_TLS_RX),
    ("rx-gro-hw", GRO_HW),
    ("tls-hw-record", HW_TLS_RECORD),
    ("rx-gro-list", GRO_FRAGLIST),
    ("macsec-hw-offload", HW_MACSEC),
    ("rx-udp-gro-forwarding", GRO_UDP_FWD),
    ("hsr-tag-ins-offload", HW_HSR_TAG_INS),
    ("hsr-tag-rm-offload", HW_HSR_TAG_RM),
    ("hsr-fwd-offload", HW_HSR_FWD),
    ("hsr-dup-offload", HW_HSR_DUP),
];

/// Never switched by a user (`NETIF_F_NEVER_CHANGE`).
const NEVER_CHANGE: u64 = VLAN_CHALLENGED | LLTX | NETNS_LOCAL;

/// Short and long names of features, or of several (`off_flag_def`).
const FLAGS: &[([&str; 2], u64)] = &[
    (["rx", "rx-checksumming"], RXCSUM),
    (["tx", "tx-checksumming"], IP_CSUM | HW_CSUM | IPV6_CSUM | FCOE_CRC | SCTP_CRC),
    (["sg", "scatter-gather"], SG | FRAGLIST),
    (["tso", "tcp-segmentation-offload"], ALL_TSO),
    (["ufo", "udp-fragmentation-offload"], 0),
    (["gso", "generic-segmentation-offload"], GSO),
    (["gro", "generic-receive-offload"], GRO),
    (["lro", "large-receive-offload"], LRO),
    (["rxvlan", "rx-vlan-offload"], HW_VLAN_CTAG_RX),
    (["txvlan", "tx-vlan-offload"], HW_VLAN_CTAG_TX),
    (["ntuple", "ntuple-filters"], NTUPLE),
    (["rxhash", "receive-hashing"], RXHASH),
];

/// What the model's devices cannot be told to do, though real ones can.
const NOT_MODELLED: u64 = RXFCS | RXALL | NTUPLE | HW_TC | GRO_FRAGLIST | GRO_UDP_FWD;

/// `-K DEVICE FEATURE on|off …`.
pub(super) fn set(process: &Process, name: &str, words: &[&str]) -> Said {
    let (mut wanted, mut mask, mut offset) = (0, 0, first_offset(name));
    for pair in words.chunks(2) {
        let on = match pair.get(1) {
            Some(&"on") => true,
            Some(&"off") => false,
            other => return Err(neither(other.unwrap_or(&"(null)"))),
        };
        let bits = FLAGS.iter().find(|(names, _)| names.contains(&pair[0])).map(|(_, bits)| *bits);
        let known = || NAMES.iter().find(|(name, _)| *name == pair[0]);
        let Some(bits) = bits.or_else(|| known().map(|(_, bit)| *bit)) else {
            return Err(refused(&format!("bit name not found (offset {offset})"), "Operation not supported"));
        };
        mask |= bits;
        wanted = if on { wanted | bits } else { wanted & !bits };
        let names = NAMES.iter().filter(|(_, bit)| bit & bits != 0);
        offset +=
            names.map(|(name, _)| BIT + attribute(name) + if on { ATTRIBUTE } else { 0 }).sum::<usize>();
    }
    if mask & NEVER_CHANGE != 0 {
        return Err(refused("attempt to change non-ethtool features", "Invalid argument"));
    }
    let id = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        let dev = view.dev(name).ok_or_else(|| Stop::error(REFUSED, NO_DEVICE))?;
        let of_kind = if dev.ops.kind == Some("veth") { GRO } else { 0 };
        let more = wanted & dev.hw_features & !dev.features & (NOT_MODELLED | of_kind);
        if let Some((feature, _)) = NAMES.iter().find(|(_, bit)| bit & more != 0) {
            return Err(Stop::error(2, format!("not modelled yet: ethtool -K {feature} on\n")));
        }
        dev.id
    };
    say(process.syscall(|cx| ethnl_set_features(cx, id, wanted, mask)), wanted, mask)
}

fn refused(what: &str, error: &str) -> Stop {
    Stop::error(REFUSED, format!("netlink error: {what}\nnetlink error: {error}\n"))
}

fn neither(word: &str) -> Stop {
    let text =
        format!("ethtool (-K): flag '{word}' for parameter '(null)' is not followed by 'on' or 'off'\n");
    Stop::error(1, text)
}

/// Tells what is not as it was asked for, or was not asked for (`show_feature_changes`).
fn say(Changed { refused, changed, active }: Changed, wanted: u64, mask: u64) -> Said {
    let mut text = String::new();
    if refused != 0 || changed & !mask != 0 {
        text += "Actual changes:\n";
        for (name, bit) in NAMES.iter().filter(|(_, bit)| (refused | changed) & bit != 0) {
            let on_off = |bits: u64| if bits & bit != 0 { "on" } else { "off" };
            text += &format!("{name}: {}", on_off(active));
            if refused & bit != 0 {
                text += &format!(" [requested {}]", on_off(wanted));
            } else if mask & bit == 0 {
                text += " [not requested]";
            }
            text.push('\n');
        }
    }
    if refused == mask {
        return Err(Stop {
            status: 1,
            stdout: text,
            stderr: "Could not change any device features\n".to_owned(),
        });
    }
    Ok(text)
}

/// The size of an attribute's header, of a flag, and of what encloses a feature, bytes.
const ATTRIBUTE: usize = 4;
const BIT: usize = 4;

/// The size of an attribute with a name, bytes.
fn attribute(name: &str) -> usize {
    ATTRIBUTE + (name.len() + 1).next_multiple_of(4)
}

/// Where the first feature's name stands in the message to the kernel, bytes: behind the headers of the message and of the
/// request, with the device's name and flags.
fn first_offset(dev: &str) -> usize {
    const HEADERS: usize = 20;
    const FLAGS: usize = 8;
    HEADERS + ATTRIBUTE + attribute(dev) + FLAGS + 2 * ATTRIBUTE + BIT
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
