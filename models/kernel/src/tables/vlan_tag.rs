//! VLAN tags.
//!
//! Kernel: include/linux/if_vlan.h

use glassnet_wire::eth::ETH_HLEN;

/// Length of a VLAN tag, bytes.
pub const VLAN_HLEN: usize = 4;
/// The VLAN ID in a tag; the greatest one is reserved.
pub const VLAN_VID_MASK: u16 = 0x0fff;
/// Where the priority begins in a tag.
pub const VLAN_PRIO_SHIFT: u32 = 13;
/// Bytes of both addresses, behind which a tag stands.
pub const ADDRESSES: usize = 12;

/// What an Ethertype says of a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum VlanProto {
    /// `ETH_P_8021Q`: a tag of a customer.
    #[default]
    Dot1Q = 0x8100,
    /// `ETH_P_8021AD`: a tag of a service provider.
    Dot1Ad = 0x88a8,
}

impl VlanProto {
    /// The tag that an Ethertype announces (`eth_type_vlan`).
    #[inline]
    pub const fn of(ethertype: u16) -> Option<VlanProto> {
        match ethertype {
            0x8100 => Some(VlanProto::Dot1Q),
            0x88a8 => Some(VlanProto::Dot1Ad),
            _ => None,
        }
    }

    /// The Ethertype.
    pub const fn ethertype(self) -> u16 {
        self as u16
    }
}

/// Where the Ethertype behind all tags of a frame stands, if the frame is that long (`__vlan_get_protocol`).
pub fn ethertype_offset(frame: &[u8]) -> usize {
    let kind = |at: usize| frame.get(at..).and_then(|kind| kind.first_chunk().copied());
    let mut at = ADDRESSES;
    while kind(at).map(u16::from_be_bytes).and_then(VlanProto::of).is_some() {
        at += VLAN_HLEN;
    }
    at
}

/// A tag beside a packet (`vlan_proto` and `vlan_tci` of `struct sk_buff`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Which kind of tag.
    pub proto: VlanProto,
    /// Priority, whether it may be dropped, and the VLAN ID.
    pub tci: u16,
}

impl VlanTag {
    /// The VLAN ID; 0: only a priority.
    #[inline]
    pub const fn vid(self) -> u16 {
        self.tci & VLAN_VID_MASK
    }

    /// The priority.
    pub const fn priority(self) -> usize {
        (self.tci >> VLAN_PRIO_SHIFT) as usize
    }

    /// Writes the tag into a frame, behind its addresses. A frame without an Ethernet header stays as it is.
    pub fn write_into(self, frame: &mut Vec<u8>) {
        if frame.len() >= ETH_HLEN {
            let [a, b] = self.proto.ethertype().to_be_bytes();
            let [c, d] = self.tci.to_be_bytes();
            frame.splice(ADDRESSES..ADDRESSES, [a, b, c, d]);
        }
    }
}
