//! The frames of the Link Aggregation Control Protocol (IEEE 802.1AX section 6.4.2; `struct lacpdu`, include/net/bond_3ad.h).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Mac;

/// The Ethertype of slow protocols (`ETH_P_SLOW`).
pub const ETH_P_SLOW: u16 = 0x8809;
/// The group address of slow protocols, which no bridge forwards by itself (`lacpdu_mcast_addr`).
pub const LACPDU_MCAST_ADDR: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 0x02]);
/// The subtype of LACP among the slow protocols.
pub const AD_TYPE_LACPDU: u8 = 1;
/// The subtype of markers, by which a system learns what has left a link.
pub const AD_TYPE_MARKER: u8 = 2;

/// The port begins the exchange; otherwise it answers only (`LACP_STATE_*`, include/uapi/linux/if_bonding.h).
pub const LACP_STATE_LACP_ACTIVITY: u8 = 0x01;
/// It wants to hear from its partner every second; otherwise every 30 s.
pub const LACP_STATE_LACP_TIMEOUT: u8 = 0x02;
/// It may be one of several.
pub const LACP_STATE_AGGREGATION: u8 = 0x04;
/// It belongs to the right aggregator.
pub const LACP_STATE_SYNCHRONIZATION: u8 = 0x08;
/// It takes frames.
pub const LACP_STATE_COLLECTING: u8 = 0x10;
/// It sends frames.
pub const LACP_STATE_DISTRIBUTING: u8 = 0x20;
/// What it says of its partner are defaults.
pub const LACP_STATE_DEFAULTED: u8 = 0x40;
/// It did not hear from its partner in time.
pub const LACP_STATE_EXPIRED: u8 = 0x80;

/// What an LACPDU says of one end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct PortInfo {
    /// Kind of this part: 1 for the sender (the actor), 2 for its partner.
    pub tlv_type: u8,
    /// Length of this part in bytes, 20.
    pub length: u8,
    /// Priority of the system; the lower number decides.
    pub system_priority: U16,
    /// Address of the system.
    pub system: [u8; 6],
    /// The key: ports with the same may be aggregated.
    pub key: U16,
    /// Priority of the port.
    pub port_priority: U16,
    /// Number of the port.
    pub port: U16,
    /// `LACP_STATE_*`.
    pub state: u8,
    /// Zeros.
    pub reserved: [u8; 3],
}

/// An LACPDU behind its Ethernet header, 110 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Lacpdu {
    /// [`AD_TYPE_LACPDU`].
    pub subtype: u8,
    /// Version, 1.
    pub version_number: u8,
    /// The sender.
    pub actor: PortInfo,
    /// What the sender knows of its partner.
    pub partner: PortInfo,
    /// Kind of the part about the collector, 3.
    pub tlv_type_collector_info: u8,
    /// Its length in bytes, 16.
    pub collector_information_length: u8,
    /// How long the sender may hold frames back, tens of microseconds.
    pub collector_max_delay: U16,
    /// Zeros: what is reserved, and the part that ends the LACPDU.
    pub reserved: [[u8; 8]; 8],
}

const _: () = assert!(size_of::<Lacpdu>() == 110);

impl Lacpdu {
    /// An LACPDU about two ports.
    pub fn new(actor: PortInfo, partner: PortInfo) -> Lacpdu {
        Lacpdu {
            subtype: AD_TYPE_LACPDU,
            version_number: 1,
            actor,
            partner,
            tlv_type_collector_info: 3,
            collector_information_length: 16,
            collector_max_delay: U16::ZERO,
            reserved: [[0; 8]; 8],
        }
    }
}
