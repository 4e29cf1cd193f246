//! ARP for IPv4 over Ethernet (RFC 826; `struct arphdr`, include/uapi/linux/if_arp.h).

use std::net::Ipv4Addr;

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Mac;
use crate::ipv4::InAddr;

/// Ethernet as a hardware type.
pub const ARPHRD_ETHER: u16 = 1;
/// IEEE 802 networks as a hardware type.
pub const ARPHRD_IEEE802: u16 = 6;
/// "Who has …?"
pub const ARPOP_REQUEST: u16 = 1;
/// "… is at …"
pub const ARPOP_REPLY: u16 = 2;

/// An ARP packet for IPv4 over Ethernet, 28 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ArpHdr {
    /// Hardware type, [`ARPHRD_ETHER`].
    pub ar_hrd: U16,
    /// Protocol type, `ETH_P_IP`.
    pub ar_pro: U16,
    /// Length of a hardware address in bytes, 6.
    pub ar_hln: u8,
    /// Length of a protocol address in bytes, 4.
    pub ar_pln: u8,
    /// Operation.
    pub ar_op: U16,
    /// Sender's hardware address.
    pub ar_sha: [u8; 6],
    /// Sender's IPv4 address.
    pub ar_sip: InAddr,
    /// Target's hardware address.
    pub ar_tha: [u8; 6],
    /// Target's IPv4 address.
    pub ar_tip: InAddr,
}

impl ArpHdr {
    /// A packet with operation `op`; addresses as (hardware, IPv4) of sender and target.
    pub fn new(op: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> ArpHdr {
        ArpHdr {
            ar_hrd: U16::new(ARPHRD_ETHER),
            ar_pro: U16::new(crate::eth::ETH_P_IP),
            ar_hln: 6,
            ar_pln: 4,
            ar_op: U16::new(op),
            ar_sha: sender.0.0,
            ar_sip: InAddr::new(sender.1),
            ar_tha: target.0.0,
            ar_tip: InAddr::new(target.1),
        }
    }
}
