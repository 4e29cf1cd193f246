//! The groups that a device over another one listens to (`mc_filter` of macvlan, `mac_filters` of ipvlan).

use glassnet_wire::Mac;

use super::netdev::{IFF_ALLMULTI, IFF_BROADCAST, IFF_PROMISC, NetDevice};

/// Groups that are listened to. The kernel's is a hash of 256 bits, which also lets a few others in.
#[derive(Clone, Debug, Default)]
pub struct McFilter {
    /// All.
    all: bool,
    /// These.
    groups: Vec<Mac>,
}

impl McFilter {
    /// Those of a device.
    pub fn of(dev: &NetDevice) -> McFilter {
        let broadcast = (dev.flags & IFF_BROADCAST != 0).then_some(dev.broadcast);
        McFilter {
            all: dev.flags & (IFF_PROMISC | IFF_ALLMULTI) != 0,
            groups: dev.mc.iter().map(|group| group.0).chain(broadcast).collect(),
        }
    }

    /// A group is among them.
    pub fn has(&self, group: Mac) -> bool {
        self.all || self.groups.contains(&group)
    }
}
