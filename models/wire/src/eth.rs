//! The Ethernet header (`struct ethhdr`, include/uapi/linux/if_ether.h).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Mac;

/// Length of the header in bytes.
pub const ETH_HLEN: usize = 14;
/// Least length of a frame in bytes, without its checksum.
pub const ETH_ZLEN: usize = 60;
/// IPv4.
pub const ETH_P_IP: u16 = 0x0800;
/// Address Resolution Protocol.
pub const ETH_P_ARP: u16 = 0x0806;
/// An Ethernet frame inside of a tunnel's packet (`ETH_P_TEB`).
pub const ETH_P_TEB: u16 = 0x6558;
/// Configuration Testing Protocol: a frame that comes back to where it was sent from.
pub const ETH_P_LOOPBACK: u16 = 0x9000;
/// IPv6.
pub const ETH_P_IPV6: u16 = 0x86dd;
/// In a packet socket: every protocol.
pub const ETH_P_ALL: u16 = 0x0003;
/// A frame with an IEEE 802.2 LLC header instead of an ethertype.
pub const ETH_P_802_2: u16 = 0x0004;
/// From this value on the third field is an ethertype, below it is a length (`ETH_P_802_3_MIN`).
pub const ETH_P_802_3_MIN: u16 = 0x0600;

/// An Ethernet header as it stands in a frame.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct EthHdr {
    /// Destination address.
    pub h_dest: [u8; 6],
    /// Source address.
    pub h_source: [u8; 6],
    /// Ethertype, or the length of an 802.3 frame.
    pub h_proto: U16,
}

impl EthHdr {
    /// A header with these fields.
    pub fn new(dest: Mac, source: Mac, proto: u16) -> EthHdr {
        EthHdr { h_dest: dest.0, h_source: source.0, h_proto: U16::new(proto) }
    }

    /// The destination address.
    pub fn dest(&self) -> Mac {
        Mac(self.h_dest)
    }

    /// The source address.
    pub fn source(&self) -> Mac {
        Mac(self.h_source)
    }
}
