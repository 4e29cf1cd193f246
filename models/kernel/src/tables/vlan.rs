//! What a VLAN device knows.
//!
//! Kernel: include/linux/if_vlan.h, net/8021q/vlan.h

use glassnet_wire::Mac;

use super::netdev::NetDevice;
use super::vlan_tag::{VLAN_PRIO_SHIFT, VlanProto};
use crate::ids::DevId;

/// The frame shows its VLAN in the header (`VLAN_FLAG_*`): its tag is taken out before protocols see it.
pub const VLAN_FLAG_REORDER_HDR: u32 = 0x1;
/// Registers its VLAN by GVRP.
pub const VLAN_FLAG_GVRP: u32 = 0x2;
/// It may be up while the device below it is down.
pub const VLAN_FLAG_LOOSE_BINDING: u32 = 0x4;
/// Registers its VLAN by MVRP.
pub const VLAN_FLAG_MVRP: u32 = 0x8;
/// Its carrier follows the ports of the bridge below it that are in its VLAN.
pub const VLAN_FLAG_BRIDGE_BINDING: u32 = 0x10;

/// What a VLAN device knows (`struct vlan_dev_priv`, and its counters).
#[derive(Clone, Debug)]
pub struct VlanDev {
    /// Which kind of tag.
    pub vlan_proto: VlanProto,
    /// The VLAN ID.
    pub vlan_id: u16,
    /// `VLAN_FLAG_*`.
    pub flags: u32,
    /// The device below it.
    pub real_dev: DevId,
    /// That one's address when it was last looked at.
    pub real_dev_addr: Mac,
    /// The packet priority of each priority in a tag.
    pub ingress_priority_map: [u32; 8],
    /// Priorities of packets, each with what stands for it in the tag's bits.
    pub egress_priority_map: Vec<(u32, u16)>,
}

impl VlanDev {
    /// Sets what a packet priority becomes in the tag. The mapping to 0 of a priority that has none is not kept.
    pub fn set_egress_priority(&mut self, priority: u32, in_tag: u16) {
        let qos = in_tag << VLAN_PRIO_SHIFT;
        match self.egress_priority_map.iter_mut().find(|(from, _)| *from == priority) {
            Some((_, to)) => *to = qos,
            None if in_tag != 0 => self.egress_priority_map.push((priority, qos)),
            None => {}
        }
    }

    /// The packet priorities in the kernel's order: a hash table's, with the newest first in each of its lists.
    pub fn egress_priorities(&self) -> impl Iterator<Item = (u32, u16)> {
        let mut all: Vec<(u32, u16)> = self.egress_priority_map.iter().rev().copied().collect();
        all.sort_by_key(|(from, _)| from & 0xf);
        all.into_iter()
    }

    /// What a packet priority becomes in the tag.
    pub fn egress_qos_mask(&self, priority: u32) -> u16 {
        self.egress_priority_map.iter().find(|(from, _)| *from == priority).map_or(0, |(_, qos)| *qos)
    }
}

impl NetDevice {
    /// What it knows as a VLAN device, if it is one.
    #[inline]
    pub fn vlan_dev_priv(&self) -> Option<&VlanDev> {
        self.netdev_priv()
    }

    /// The same, to change it.
    pub fn vlan_dev_priv_mut(&mut self) -> Option<&mut VlanDev> {
        self.netdev_priv_mut()
    }
}
