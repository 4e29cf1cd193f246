//! The VXLAN header (RFC 7348 section 5; `struct vxlanhdr`, include/net/vxlan.h).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of the header in bytes.
pub const VXLAN_HLEN: usize = 8;
/// The only flag that must be set: the VNI is valid (`VXLAN_HF_VNI`).
pub const VXLAN_HF_VNI: u32 = 1 << 27;
/// The assigned port.
pub const VXLAN_PORT: u16 = 4789;
/// VNIs are below this one (`VXLAN_N_VID`).
pub const VXLAN_N_VID: u32 = 1 << 24;

/// A VXLAN header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct VxlanHdr {
    /// Flags; the others are reserved.
    pub vx_flags: U32,
    /// The VNI, and a reserved byte behind it.
    pub vx_vni: U32,
}

impl VxlanHdr {
    /// The header of a frame in the network with this number.
    pub fn new(vni: u32) -> VxlanHdr {
        VxlanHdr { vx_flags: U32::new(VXLAN_HF_VNI), vx_vni: U32::new(vni << 8) }
    }

    /// The number of its network.
    pub fn vni(&self) -> u32 {
        self.vx_vni.get() >> 8
    }

    /// It has a number, and what is reserved is zero.
    pub fn is_plain(&self) -> bool {
        self.vx_flags.get() == VXLAN_HF_VNI && self.vx_vni.get() & 0xff == 0
    }
}
