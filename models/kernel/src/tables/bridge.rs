//! A bridge: its ports and its forwarding database.
//!
//! Kernel: net/bridge/br_private.h, net/bridge/br_fdb.c

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::fast_hash::FastHasher;
use super::netdev::NetDevice;
use super::netfilter::BridgeCalls;
use super::vlan_tag::VlanProto;
use crate::ids::DevId;

/// Spanning tree state of a port (`BR_STATE_*`, include/uapi/linux/if_bridge.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortState {
    /// `BR_STATE_DISABLED`: the port is down.
    #[default]
    Disabled,
    /// Takes part in STP only.
    Listening,
    /// Learns addresses, does not forward.
    Learning,
    /// Forwards.
    Forwarding,
    /// Blocked by STP to avoid a loop.
    Blocking,
}

impl PortState {
    /// All, in the order of their numbers.
    pub const ALL: [PortState; 5] = [
        PortState::Disabled,
        PortState::Listening,
        PortState::Learning,
        PortState::Forwarding,
        PortState::Blocking,
    ];

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

/// Flags of a port (`bridge link set dev PORT hairpin on`, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFlags {
    /// Hairpin mode: a frame may be sent back through its ingress port.
    pub hairpin: bool,
    /// BPDU guard: received BPDUs are dropped.
    pub guard: bool,
    /// Root guard: this port never becomes the root port.
    pub root_block: bool,
    /// Fast leave: a group is left on the first IGMP leave, without a query.
    pub fastleave: bool,
    /// Address learning.
    pub learning: bool,
    /// Flooding of unknown unicast.
    pub flood: bool,
    /// Flooding of unknown multicast.
    pub mcast_flood: bool,
    /// Flooding of broadcast.
    pub bcast_flood: bool,
    /// Isolated ports do not reach each other.
    pub isolated: bool,
    /// Only stations with an FDB entry of the port may send.
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
            isolated: false,
            locked: false,
        }
    }
}

/// Counters of a VLAN, in packets and bytes (`struct br_vlan_stats`).
#[derive(Clone, Copy, Debug, Default)]
pub struct VlanStats {
    /// Packets that came in.
    pub rx_packets: u64,
    /// Their bytes without the Ethernet header.
    pub rx_bytes: u64,
    /// Packets that left.
    pub tx_packets: u64,
    /// Their bytes without the Ethernet header.
    pub tx_bytes: u64,
}

/// A VLAN that a port, or a bridge itself, is in (`struct net_bridge_vlan`).
#[derive(Clone, Copy, Debug, Default)]
pub struct BridgeVlan {
    /// Its frames leave without a tag.
    pub untagged: bool,
    /// What was counted for the port by itself.
    pub stats: VlanStats,
}

/// The VLANs of a port, or of a bridge itself (`struct net_bridge_vlan_group`).
#[derive(Clone, Debug, Default)]
pub struct VlanGroup {
    /// The VLAN of frames that come in without a tag; 0: they are dropped.
    pub pvid: u16,
    /// The VLANs by number.
    pub vlans: BTreeMap<u16, BridgeVlan>,
}

/// A bridge port (`struct net_bridge_port`).
#[derive(Clone, Debug)]
pub struct BridgePort {
    /// The bridge.
    pub bridge: DevId,
    /// Port number, from 1.
    pub port_no: u16,
    /// STP state.
    pub state: PortState,
    /// It receives all frames (`BR_PROMISC`).
    pub promisc: bool,
    /// Its bridge filters VLANs: a copy of the bridge's setting, as each frame asks for it.
    pub vlan_filtering: bool,
    /// Port flags.
    pub flags: PortFlags,
    /// STP path cost.
    pub path_cost: u32,
    /// The path cost was set administratively, so link speed no longer changes it (`BR_ADMIN_COST`).
    pub admin_cost: bool,
    /// STP port priority.
    pub priority: u8,
    /// `group_fwd_mask`: link-local groups that are forwarded, a bit each.
    pub group_fwd_mask: u16,
    /// When the timer of its last change of state expires (`forward_delay_timer`), which runs without STP, too; 0: never set.
    pub forward_delay_timer: Nanos,
    /// The VLANs that it is in.
    pub vlgrp: VlanGroup,
}

/// An FDB entry (`struct net_bridge_fdb_entry`).
#[derive(Clone, Copy, Debug)]
pub struct FdbEntry {
    /// MAC address of the station.
    pub mac: Mac,
    /// VLAN ID; 0: untagged.
    pub vlan: u16,
    /// The port of the entry; `None`: the bridge itself.
    pub port: Option<DevId>,
    /// `BR_FDB_LOCAL`: address of a port or of the bridge; frames to it are delivered locally.
    pub is_local: bool,
    /// `BR_FDB_STATIC`: does not age.
    pub is_static: bool,
    /// `BR_FDB_ADDED_BY_USER`.
    pub added_by_user: bool,
    /// `extern_learn`: does not age, but may move to another port.
    pub added_by_external_learn: bool,
    /// `BR_FDB_STICKY`: does not move to another port.
    pub sticky: bool,
    /// When a frame from the station was last received (`updated`).
    pub updated: Nanos,
    /// When a frame to the station was last forwarded (`used`).
    pub used: Nanos,
}

impl FdbEntry {
    /// A local entry: an address of the port, or of the bridge.
    pub fn local(mac: Mac, vlan: u16, port: Option<DevId>, now: Nanos) -> FdbEntry {
        FdbEntry { is_local: true, is_static: true, ..FdbEntry::new(mac, vlan, port, now) }
    }

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

/// The forwarding database (FDB): MAC address and VLAN to port.
#[derive(Debug, Default)]
pub struct Fdb {
    /// The entries by station and VLAN; only looked up, never iterated.
    entries: HashMap<u64, FdbEntry, BuildHasherDefault<FastHasher>>,
    /// Keys in order of insertion.
    order: Vec<u64>,
}

impl Fdb {
    /// Looks up a station's entry.
    #[inline]
    pub fn find(&self, mac: Mac, vlan: u16) -> Option<&FdbEntry> {
        self.entries.get(&fdb_key(mac, vlan))
    }

    /// Looks up a station's entry for writing (its key must not change).
    #[inline]
    pub fn find_mut(&mut self, mac: Mac, vlan: u16) -> Option<&mut FdbEntry> {
        self.entries.get_mut(&fdb_key(mac, vlan))
    }

    /// Inserts an entry, or replaces the one with the same station and VLAN.
    pub fn insert(&mut self, entry: FdbEntry) {
        if self.entries.insert(entry.key(), entry).is_none() {
            self.order.push(entry.key());
        }
    }

    /// Deletes the entries that `drop` selects and returns their number.
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

    /// All entries, newest first, in the kernel's dump order.
    pub fn iter(&self) -> impl Iterator<Item = &FdbEntry> {
        self.order.iter().rev().map(|key| &self.entries[key])
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The database is empty.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// Attributes of a bridge that a user can set (`ip link set br0 type bridge …`, `brctl`).
#[derive(Clone, Copy, Debug)]
pub struct BridgeConf {
    /// Ageing time of learned entries.
    pub ageing_time: Nanos,
    /// Forward delay: time in the listening and in the learning state.
    pub forward_delay: Nanos,
    /// Hello time.
    pub hello_time: Nanos,
    /// Max age of received BPDUs.
    pub max_age: Nanos,
    /// STP is enabled.
    pub stp_state: bool,
    /// Bridge priority.
    pub priority: u16,
    /// VLAN filtering.
    pub vlan_filtering: bool,
    /// Which kind of tag tells the VLAN.
    pub vlan_proto: VlanProto,
    /// The VLAN that new ports are in; 0: none.
    pub default_pvid: u16,
    /// Packets are counted by VLAN.
    pub vlan_stats_enabled: bool,
    /// The same for each port by itself.
    pub vlan_stats_per_port: bool,
    /// IGMP snooping.
    pub mcast_snooping: bool,
    /// `group_fwd_mask`: link-local groups that are forwarded, a bit each.
    pub group_fwd_mask: u16,
    /// The MAC address was set by a user; ports no longer determine it.
    pub addr_is_set: bool,
    /// The MTU was set by a user; ports no longer determine it.
    pub mtu_is_set: bool,
    /// Bridge netfilter hooks enabled for this bridge, whatever its namespace's sysctls say.
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
            vlan_proto: VlanProto::Dot1Q,
            default_pvid: 1,
            vlan_stats_enabled: false,
            vlan_stats_per_port: false,
            mcast_snooping: true,
            group_fwd_mask: 0,
            addr_is_set: false,
            mtu_is_set: false,
            nf_call: BridgeCalls::default(),
        }
    }
}

impl BridgeConf {
    /// A bridge of service providers leaves the customers' link-local groups to them.
    fn is_of_providers(&self) -> bool {
        self.vlan_filtering && self.vlan_proto == VlanProto::Dot1Ad
    }

    /// The last byte of the group that BPDUs are sent to (`recalculate_group_addr`).
    pub fn group(&self) -> u8 {
        if self.is_of_providers() { 0x08 } else { 0x00 }
    }

    /// Link-local groups that are forwarded in any case, a bit each (`br_recalculate_fwd_mask`).
    pub fn group_fwd_mask_required(&self) -> u16 {
        /// `BR_GROUPFWD_8021AD`
        const OF_CUSTOMERS: u16 = 0xb801;
        if self.is_of_providers() { OF_CUSTOMERS & !(1 << self.group()) } else { 0 }
    }
}

/// The work that deletes aged entries.
#[derive(Clone, Copy, Debug)]
pub struct FdbGc {
    /// When its timer was set.
    pub set: Nanos,
    /// What it was set for.
    pub expires: Nanos,
    /// There is an event for it: without entries that age it finds nothing to do.
    pub armed: bool,
}

/// A bridge (`struct net_bridge`).
#[derive(Debug, Default)]
pub struct Bridge {
    /// Ports, newest first: the kernel's list and flooding order.
    pub ports: Vec<DevId>,
    /// The address that it had when it was told last of one.
    pub addr: Mac,
    /// Forwarding database.
    pub fdb: Fdb,
    /// Attributes.
    pub conf: BridgeConf,
    /// The VLANs that the bridge itself is in.
    pub vlgrp: VlanGroup,
    /// What was counted in each VLAN.
    pub vlan_stats: BTreeMap<u16, VlanStats>,
    /// When the FDB is next searched for aged entries (`gc_work`); none while the bridge is down.
    pub gc: Option<FdbGc>,
}

impl NetDevice {
    /// The bridge, if it is one.
    #[inline]
    pub fn bridge(&self) -> Option<&Bridge> {
        self.netdev_priv()
    }

    /// The bridge, mutable, if it is one.
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
