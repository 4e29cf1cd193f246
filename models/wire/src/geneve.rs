//! The Geneve header (RFC 8926 section 3.4; `struct genevehdr`, include/net/geneve.h).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of the header without options, bytes.
pub const GENEVE_HLEN: usize = 8;
/// The assigned port (`GENEVE_UDP_PORT`).
pub const GENEVE_PORT: u16 = 6081;
/// Some options must be understood.
pub const GENEVE_CRIT_OPT: u8 = 0x40;

/// A Geneve header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GeneveHdr {
    /// The version, and how many four bytes of options follow.
    pub ver_opt_len: u8,
    /// `GENEVE_CRIT_OPT`, and that it is for whoever receives it; the others are reserved.
    pub flags: u8,
    /// Ethertype of what is inside.
    pub proto_type: U16,
    /// The VNI.
    pub vni: [u8; 3],
    /// Reserved.
    pub rsvd: u8,
}

impl GeneveHdr {
    /// The header of a packet of this Ethertype in the network with this number, without options.
    pub fn new(vni: u32, proto_type: u16) -> GeneveHdr {
        let [_, a, b, c] = vni.to_be_bytes();
        GeneveHdr { ver_opt_len: 0, flags: 0, proto_type: U16::new(proto_type), vni: [a, b, c], rsvd: 0 }
    }

    /// The number of its network.
    pub fn vni(&self) -> u32 {
        let [a, b, c] = self.vni;
        u32::from_be_bytes([0, a, b, c])
    }

    /// It is for whoever receives it (`oam`).
    pub fn is_oam(&self) -> bool {
        self.flags & 0x80 != 0
    }

    /// The only version is 0.
    pub fn version(&self) -> u8 {
        self.ver_opt_len >> 6
    }

    /// Bytes of options behind it.
    pub fn options_len(&self) -> usize {
        usize::from(self.ver_opt_len & 0x3f) * 4
    }
}
