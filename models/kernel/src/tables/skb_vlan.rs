//! VLAN tags of packets: beside them, or in the frame.
//!
//! Kernel: include/linux/if_vlan.h, net/core/skbuff.c

use glassnet_wire::eth::{ETH_HLEN, ETH_P_802_2, ETH_P_802_3_MIN};

use super::skb::SkbPool;
use super::vlan_tag::{ADDRESSES, VLAN_HLEN, VlanProto, VlanTag};
use crate::ids::SkbId;

impl SkbPool {
    /// The whole frame as it would be on a wire: with the tag that stands beside it.
    pub fn tagged_frame(&self, id: SkbId) -> Vec<u8> {
        let mut frame = self.frame(id).to_vec();
        if let Some(tag) = self[id].vlan_tag {
            tag.write_into(&mut frame);
        }
        frame
    }

    /// Puts the tag that stands beside a frame into it; the data begins at the Ethernet header (`__vlan_hwaccel_push_inside`).
    #[cold]
    pub fn push_tag(&mut self, id: SkbId) {
        let Some(tag) = self[id].vlan_tag.take() else { return };
        self.push(id, VLAN_HLEN);
        let [a, b] = tag.proto.ethertype().to_be_bytes();
        let [c, d] = tag.tci.to_be_bytes();
        let data = self.data_mut(id);
        data.copy_within(VLAN_HLEN..VLAN_HLEN + ADDRESSES, 0);
        data[ADDRESSES..ADDRESSES + VLAN_HLEN].copy_from_slice(&[a, b, c, d]);
        let skb = &mut self[id];
        skb.mac_header = skb.data;
    }

    /// Takes the tag out of a frame whose data begins behind the Ethernet header, and puts it beside it. False if the frame ends
    /// in the tag.
    #[cold]
    pub fn pull_tag(&mut self, id: SkbId) -> bool {
        let (Some(proto), Some([a, b, c, d])) =
            (VlanProto::of(self[id].protocol), self.data(id).first_chunk::<VLAN_HLEN>().copied())
        else {
            return false;
        };
        let behind = u16::from_be_bytes([c, d]);
        self.push_mac_header(id);
        let data = self.data_mut(id);
        data.copy_within(..ADDRESSES, VLAN_HLEN);
        let skb = &mut self[id];
        skb.vlan_tag = Some(VlanTag { proto, tci: u16::from_be_bytes([a, b]) });
        skb.protocol = if behind >= ETH_P_802_3_MIN { behind } else { ETH_P_802_2 };
        skb.mac_header += VLAN_HLEN as u32;
        skb.data = skb.mac_header + ETH_HLEN as u32;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DevId;

    #[test]
    fn a_tag_goes_into_a_frame_and_comes_out_again() {
        let mut pool = SkbPool::default();
        let id = pool.alloc_skb(20, DevId(0));
        let frame: Vec<u8> = (0..12).chain([8, 0]).chain(14..20).collect();
        pool.data_mut(id).copy_from_slice(&frame);
        let tag = VlanTag { proto: VlanProto::Dot1Ad, tci: 0x600a };
        assert_eq!((tag.vid(), tag.priority()), (10, 3));
        pool[id].vlan_tag = Some(tag);
        let tagged = pool.tagged_frame(id);
        assert_eq!(tagged[12..18], [0x88, 0xa8, 0x60, 0x0a, 8, 0]);
        pool.push_tag(id);
        assert_eq!(pool.data(id), tagged);
        pool[id].protocol = 0x88a8;
        assert!(pool.pull(id, ETH_HLEN) && pool.pull_tag(id));
        assert_eq!((pool[id].vlan_tag, pool[id].protocol), (Some(tag), 0x0800));
        assert_eq!((pool.frame(id), pool.data(id)), (&frame[..], &frame[14..]));
    }

    #[test]
    fn a_frame_that_ends_in_its_tag_has_none() {
        let mut pool = SkbPool::default();
        let id = pool.alloc_skb(3, DevId(0));
        pool[id].protocol = 0x8100;
        assert!(!pool.pull_tag(id));
    }
}
