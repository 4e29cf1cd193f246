//! Features of a device: offloads, and other traits of its driver (`NETIF_F_*`, include/linux/netdev_features.h).
//!
//! A set is a word with a bit each. [`GRO`], [`TSO`] and [`RXHASH`] decide what becomes of packets, and [`NETNS_LOCAL`] is obeyed;
//! [`HW_VLAN_CTAG_TX`] and its like say where a packet's VLAN tag is; checksums are right either way. The others are what `ethtool -k` prints.

/// Checksums of received packets are checked.
pub const RXCSUM: u64 = 1 << 0;
/// Checksums of TCP and UDP over IPv4 are computed.
pub const IP_CSUM: u64 = 1 << 1;
/// Checksums of any protocol are computed.
pub const HW_CSUM: u64 = 1 << 2;
/// Checksums of TCP and UDP over IPv6 are computed.
pub const IPV6_CSUM: u64 = 1 << 3;
/// Checksums of FCoE are computed.
pub const FCOE_CRC: u64 = 1 << 4;
/// Checksums of SCTP are computed.
pub const SCTP_CRC: u64 = 1 << 5;
/// Packets in several pieces are sent.
pub const SG: u64 = 1 << 6;
/// Packets that are a list of packets are sent.
pub const FRAGLIST: u64 = 1 << 7;
/// TCP over IPv4 is segmented.
pub const TSO: u64 = 1 << 8;
/// The same with congestion marks.
pub const TSO_ECN: u64 = 1 << 9;
/// The same with identifiers that do not count up.
pub const TSO_MANGLEID: u64 = 1 << 10;
/// TCP over IPv6 is segmented.
pub const TSO6: u64 = 1 << 11;
/// Segmentation is put off until just before the driver.
pub const GSO: u64 = 1 << 12;
/// Received packets are merged.
pub const GRO: u64 = 1 << 13;
/// The card merges received packets.
pub const LRO: u64 = 1 << 14;
/// VLAN tags are taken off.
pub const HW_VLAN_CTAG_RX: u64 = 1 << 15;
/// VLAN tags are put in.
pub const HW_VLAN_CTAG_TX: u64 = 1 << 16;
/// Flows are steered to queues by rules.
pub const NTUPLE: u64 = 1 << 17;
/// Flows are hashed by the card.
pub const RXHASH: u64 = 1 << 18;
/// Any memory can be sent from.
pub const HIGHDMA: u64 = 1 << 19;
/// Frames of other VLANs are dropped by the card.
pub const HW_VLAN_CTAG_FILTER: u64 = 1 << 20;
/// VLAN devices cannot lie on it.
pub const VLAN_CHALLENGED: u64 = 1 << 21;
/// The driver needs no lock to send.
pub const LLTX: u64 = 1 << 22;
/// The device stays in the namespace that it was made in.
pub const NETNS_LOCAL: u64 = 1 << 23;
/// Segments from untrusted sources are checked.
pub const GSO_ROBUST: u64 = 1 << 24;
/// FCoE is segmented.
pub const FSO: u64 = 1 << 25;
/// GRE is segmented.
pub const GSO_GRE: u64 = 1 << 26;
/// GRE with checksums is segmented.
pub const GSO_GRE_CSUM: u64 = 1 << 27;
/// IP in IPv4 is segmented.
pub const GSO_IPXIP4: u64 = 1 << 28;
/// IP in IPv6 is segmented.
pub const GSO_IPXIP6: u64 = 1 << 29;
/// Tunnels over UDP are segmented.
pub const GSO_UDP_TUNNEL: u64 = 1 << 30;
/// The same with checksums.
pub const GSO_UDP_TUNNEL_CSUM: u64 = 1 << 31;
/// Segments share all but their innermost header.
pub const GSO_PARTIAL: u64 = 1 << 32;
/// Tunnels with remote checksum offload are segmented.
pub const GSO_TUNNEL_REMCSUM: u64 = 1 << 33;
/// SCTP is segmented.
pub const GSO_SCTP: u64 = 1 << 34;
/// ESP is segmented.
pub const GSO_ESP: u64 = 1 << 35;
/// UDP is segmented into datagrams.
pub const GSO_UDP_L4: u64 = 1 << 36;
/// A list of packets is segmented into its packets.
pub const GSO_FRAGLIST: u64 = 1 << 37;
/// FCoE has an MTU of its own.
pub const FCOE_MTU: u64 = 1 << 38;
/// Data of programs is copied past the cache.
pub const NOCACHE_COPY: u64 = 1 << 39;
/// What is sent comes back.
pub const LOOPBACK: u64 = 1 << 40;
/// Received frames keep their checksum.
pub const RXFCS: u64 = 1 << 41;
/// Bad frames are received too.
pub const RXALL: u64 = 1 << 42;
/// Service tags are put in.
pub const HW_VLAN_STAG_TX: u64 = 1 << 43;
/// Service tags are taken off.
pub const HW_VLAN_STAG_RX: u64 = 1 << 44;
/// Frames of other service VLANs are dropped by the card.
pub const HW_VLAN_STAG_FILTER: u64 = 1 << 45;
/// Devices above it have queues of their own.
pub const HW_L2FW_DOFFLOAD: u64 = 1 << 46;
/// Filters of tc run in the card.
pub const HW_TC: u64 = 1 << 47;
/// ESP is encrypted by the card.
pub const HW_ESP: u64 = 1 << 48;
/// The same, and checksums inside are computed.
pub const HW_ESP_TX_CSUM: u64 = 1 << 49;
/// The card is told the ports of tunnels.
pub const RX_UDP_TUNNEL_PORT: u64 = 1 << 50;
/// TLS is encrypted by the card.
pub const HW_TLS_TX: u64 = 1 << 51;
/// TLS is decrypted by the card.
pub const HW_TLS_RX: u64 = 1 << 52;
/// The card merges packets as GRO would.
pub const GRO_HW: u64 = 1 << 53;
/// The card makes records of TLS.
pub const HW_TLS_RECORD: u64 = 1 << 54;
/// Merged packets stay a list of packets.
pub const GRO_FRAGLIST: u64 = 1 << 55;
/// MACsec is done by the card.
pub const HW_MACSEC: u64 = 1 << 56;
/// Forwarded UDP is merged too.
pub const GRO_UDP_FWD: u64 = 1 << 57;
/// HSR tags are put in.
pub const HW_HSR_TAG_INS: u64 = 1 << 58;
/// HSR tags are taken off.
pub const HW_HSR_TAG_RM: u64 = 1 << 59;
/// HSR frames are forwarded by the card.
pub const HW_HSR_FWD: u64 = 1 << 60;
/// HSR frames are doubled by the card.
pub const HW_HSR_DUP: u64 = 1 << 61;

/// Fibre Channel over Ethernet (`NETIF_F_ALL_FCOE`).
pub const ALL_FCOE: u64 = FCOE_CRC | FCOE_MTU | FSO;
/// TCP in all its forms (`NETIF_F_ALL_TSO`).
pub const ALL_TSO: u64 = TSO | TSO_ECN | TSO_MANGLEID | TSO6;
/// What the kernel can segment itself (`NETIF_F_GSO_SOFTWARE`).
pub const GSO_SOFTWARE: u64 = ALL_TSO | GSO_SCTP | GSO_UDP_L4 | GSO_FRAGLIST;
/// Tunnels (`NETIF_F_GSO_ENCAP_ALL`).
pub const GSO_ENCAP_ALL: u64 =
    GSO_GRE | GSO_GRE_CSUM | GSO_IPXIP4 | GSO_IPXIP6 | GSO_UDP_TUNNEL | GSO_UDP_TUNNEL_CSUM;
/// Everything that is segmented (`NETIF_F_GSO_MASK`).
pub const GSO_MASK: u64 =
    GSO_SOFTWARE | GSO_ENCAP_ALL | GSO_ROBUST | FSO | GSO_PARTIAL | GSO_TUNNEL_REMCSUM | GSO_ESP;
/// Checksums of what is sent (`NETIF_F_CSUM_MASK`).
pub const CSUM_MASK: u64 = IP_CSUM | HW_CSUM | IPV6_CSUM;
/// A device over others has them if one of those has (`NETIF_F_ONE_FOR_ALL`).
pub const ONE_FOR_ALL: u64 = GSO_SOFTWARE | GSO_ROBUST | SG | HIGHDMA | FRAGLIST | VLAN_CHALLENGED;
/// It has them if all of those have (`NETIF_F_ALL_FOR_ALL`).
pub const ALL_FOR_ALL: u64 = NOCACHE_COPY | FSO;
/// What the kernel does for every device (`NETIF_F_SOFT_FEATURES`).
pub const SOFT_FEATURES: u64 = GSO | GRO;
/// What it can do for every device (`NETIF_F_SOFT_FEATURES_OFF`).
pub const SOFT_FEATURES_OFF: u64 = GRO_FRAGLIST | GRO_UDP_FWD;
