//! A bridge: its ports and its forwarding database.
//!
//! Kernel: net/bridge/br_private.h, net/bridge/br_fdb.c

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::fast_hash::FastHasher;
use super::netdev::NetDevice;
use super::netfilter::BridgeCalls;
use crate::ids::DevId;

/// What a port does with frames (`BR_STATE_*`, include/uapi/linux/if_bridge.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortState {
    /// Nothing: the port is down.
    #[default]
    Disabled,
    /// Spanning tree listens.
    Listening,
    /// Learns addresses and forwards nothing.
    Learning,
    /// Forwards.
    Forwarding,
    /// Spanning tree keeps the port from making a loop.
    Blocking,
}

impl PortState {
    /// The name that `bridge link` prints.
    pub fn name(self) -> &'static str {
        match self {
            PortState::Disabled => "disabled",
            PortState::Listening => "listening",
            PortState::Learning => "learning",
            PortState::Forwarding => "forwarding",
            PortState::Blocking => "blocking",
        }
    }
}

/// Switches of a port (`bridge link set dev PORT hairpin on`, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFlags {
    /// A frame may leave by the port that it came in by.
    pub hairpin: bool,
    /// BPDUs that come in are refused.
    pub guard: bool,
    /// This port never becomes the root port.
    pub root_block: bool,
    /// On a topology change the port's multicast group members are forgotten.
    pub fastleave: bool,
    /// Addresses are learned here.
    pub learning: bool,
    /// Frames to an unknown address leave by this port.
    pub flood: bool,
    /// Frames to an unknown group leave by this port.
    pub mcast_flood: bool,
    /// Broadcasts leave by this port.
    pub bcast_flood: bool,
    /// Multicast is sent to each member by unicast.
    pub mcast_to_unicast: bool,
    /// ARP requests for known neighbours are answered here.
    pub neigh_suppress: bool,
    /// Isolated ports do not reach each other.
    pub isolated: bool,
    /// Only stations with an entry may send.
    pub locked: bool,
}

impl Default for PortFlags {
    fn default() -> Self {
        PortFlags {
            hairpin: false,
            guard: false,
            root_block: false,
            fastleave: false,
            learning: true,
            flood: true,
            mcast_flood: true,
            bcast_flood: true,
            mcast_to_unicast: false,
            neigh_suppress: false,
            isolated: false,
            locked: false,
        }
    }
}

/// A device's place in a bridge (`struct net_bridge_port`).
#[derive(Clone, Debug)]
pub struct BridgePort {
    /// The bridge.
    pub bridge: DevId,
    /// Number of the port, from 1.
    pub port_no: u16,
    /// What it does with frames.
    pub state: PortState,
    /// Its switches.
    pub flags: PortFlags,
    /// Cost of the path for the spanning tree.
    pub path_cost: u32,
    /// A user gave the cost; the port's speed no longer does (`BR_ADMIN_COST`).
    pub admin_cost: bool,
    /// Priority for the spanning tree.
    pub priority: u8,
    /// Which link-local groups are forwarded, a bit each.
    pub group_fwd_mask: u16,
}

/// An entry of the forwarding database (`struct net_bridge_fdb_entry`).
#[derive(Clone, Copy, Debug)]
pub struct FdbEntry {
    /// The station.
    pub mac: Mac,
    /// Its VLAN; 0: none.
    pub vlan: u16,
    /// The port behind which it is; `None`: the bridge itself.
    pub port: Option<DevId>,
    /// The address of a port or of the bridge: frames to it go up.
    pub is_local: bool,
    /// It does not age.
    pub is_static: bool,
    /// A user added it.
    pub added_by_user: bool,
    /// It ages no more but may still move (`extern_learn`).
    pub added_by_external_learn: bool,
    /// It stays when the station shows up elsewhere.
    pub sticky: bool,
    /// When a frame from it came in.
    pub updated: Nanos,
    /// When a frame to it was forwarded.
    pub used: Nanos,
}

impl FdbEntry {
    /// An entry without flags.
    pub fn new(mac: Mac, vlan: u16, port: Option<DevId>, now: Nanos) -> FdbEntry {
        FdbEntry {
            mac,
            vlan,
            port,
            is_local: false,
            is_static: false,
            added_by_user: false,
            added_by_external_learn: false,
            sticky: false,
            updated: now,
            used: now,
        }
    }

    fn key(&self) -> u64 {
        fdb_key(self.mac, self.vlan)
    }
}

fn fdb_key(mac: Mac, vlan: u16) -> u64 {
    mac.to_u64() << 16 | u64::from(vlan)
}

/// The forwarding database: which station is behind which port.
#[derive(Debug, Default)]
pub struct Fdb {
    /// The entries by station and VLAN; only looked up, never iterated.
    entries: HashMap<u64, FdbEntry, BuildHasherDefault<FastHasher>>,
    /// Their keys, oldest first.
    order: Vec<u64>,
}

impl Fdb {
    /// The entry of a station.
    #[inline]
    pub fn find(&self, mac: Mac, vlan: u16) -> Option<&FdbEntry> {
        self.entries.get(&fdb_key(mac, vlan))
    }

    /// The entry of a station, to change it (not its key).
    #[inline]
    pub fn find_mut(&mut self, mac: Mac, vlan: u16) -> Option<&mut FdbEntry> {
        self.entries.get_mut(&fdb_key(mac, vlan))
    }

    /// Adds an entry; replaces one with the same station and VLAN in its place.
    pub fn insert(&mut self, entry: FdbEntry) {
        if self.entries.insert(entry.key(), entry).is_none() {
            self.order.push(entry.key());
        }
    }

    /// Removes the entries that `drop` picks and returns how many they were.
    pub fn remove_if(&mut self, mut drop: impl FnMut(&FdbEntry) -> bool) -> usize {
        let before = self.order.len();
        let entries = &mut self.entries;
        self.order.retain(|key| {
            let gone = drop(&entries[key]);
            if gone {
                entries.remove(key);
            }
            !gone
        });
        before - self.order.len()
    }

    /// All entries, newest first, as the kernel lists them.
    pub fn iter(&self) -> impl Iterator<Item = &FdbEntry> {
        self.order.iter().rev().map(|key| &self.entries[key])
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// No station is known.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// The settings of a bridge that a user can change (`ip link set br0 type bridge …`, `brctl`).
#[derive(Clone, Copy, Debug)]
pub struct BridgeConf {
    /// How long a silent station is remembered.
    pub ageing_time: Nanos,
    /// Time in the listening and in the learning state.
    pub forward_delay: Nanos,
    /// Time between hellos.
    pub hello_time: Nanos,
    /// How long a hello counts.
    pub max_age: Nanos,
    /// The spanning tree protocol runs.
    pub stp_state: bool,
    /// Priority of the bridge in the spanning tree.
    pub priority: u16,
    /// VLANs are kept apart.
    pub vlan_filtering: bool,
    /// Group addresses are learned from IGMP.
    pub mcast_snooping: bool,
    /// Which link-local groups are forwarded, a bit each.
    pub group_fwd_mask: u16,
    /// A user chose the bridge's address; ports no longer do.
    pub addr_is_set: bool,
    /// A user chose the bridge's MTU; ports no longer do.
    pub mtu_is_set: bool,
    /// Which tables this bridge calls whatever its namespace says.
    pub nf_call: BridgeCalls,
}

impl Default for BridgeConf {
    fn default() -> Self {
        BridgeConf {
            ageing_time: Nanos::from_secs(300),
            forward_delay: Nanos::from_secs(15),
            hello_time: Nanos::from_secs(2),
            max_age: Nanos::from_secs(20),
            stp_state: false,
            priority: 0x8000,
            vlan_filtering: false,
            mcast_snooping: true,
            group_fwd_mask: 0,
            addr_is_set: false,
            mtu_is_set: false,
            nf_call: BridgeCalls::default(),
        }
    }
}

/// A bridge (`struct net_bridge`).
#[derive(Debug, Default)]
pub struct Bridge {
    /// Its ports, newest first, as the kernel lists and floods them.
    pub ports: Vec<DevId>,
    /// Who is where.
    pub fdb: Fdb,
    /// Its settings.
    pub conf: BridgeConf,
    /// The timer that forgets silent stations runs.
    pub gc_armed: bool,
}

impl NetDevice {
    /// The bridge, if it is one.
    #[inline]
    pub fn bridge(&self) -> Option<&Bridge> {
        self.netdev_priv()
    }

    /// The bridge, if it is one, to change it.
    #[inline]
    pub fn bridge_mut(&mut self) -> Option<&mut Bridge> {
        self.netdev_priv_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_moves_and_ages() {
        let mut fdb = Fdb::default();
        let (a, b) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        fdb.insert(FdbEntry::new(a, 0, Some(DevId(1)), Nanos(10)));
        fdb.insert(FdbEntry::new(b, 0, Some(DevId(2)), Nanos(20)));
        fdb.find_mut(a, 0).unwrap().port = Some(DevId(2));
        assert_eq!(fdb.find(a, 0).unwrap().port, Some(DevId(2)));
        assert!(fdb.find(a, 7).is_none(), "another VLAN is another station");
        assert_eq!(fdb.iter().map(|entry| entry.mac).collect::<Vec<_>>(), [b, a]);
        assert_eq!(fdb.remove_if(|entry| entry.updated < Nanos(15)), 1);
        assert!(fdb.find(a, 0).is_none());
        assert_eq!(fdb.find(b, 0).unwrap().port, Some(DevId(2)));
    }
}
