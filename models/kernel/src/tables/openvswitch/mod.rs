//! Datapaths of Open vSwitch: ports, flows, and what waits for the daemon.
//!
//! Kernel: net/openvswitch/datapath.h, net/openvswitch/vport.h

pub mod flow;
pub mod flow_table;

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{DevId, NetnsId};
use flow::SwFlowKey;
use flow_table::FlowTable;

/// The port that is the datapath's own device (`OVSP_LOCAL`).
pub const OVSP_LOCAL: u32 = 0;

/// A kind of port (`OVS_VPORT_TYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VportType {
    /// A device that was there before.
    Netdev,
    /// A device that the datapath made, whose other end is the datapath.
    Internal,
}

/// A port (`struct vport`).
#[derive(Clone, Copy, Debug)]
pub struct Vport {
    /// Its number in the datapath.
    pub port_no: u32,
    /// Its device.
    pub dev: DevId,
    /// What kind of port it is.
    pub kind: VportType,
}

/// Counters of a datapath (`struct dp_stats_percpu`).
#[derive(Clone, Copy, Debug, Default)]
pub struct DpStats {
    /// Packets for which there was a flow.
    pub n_hit: u64,
    /// Packets for which there was none.
    pub n_missed: u64,
    /// Packets that no daemon took.
    pub n_lost: u64,
    /// Masks that were tried.
    pub n_mask_hit: u64,
    /// Packets whose mask was in the cache.
    pub n_cache_hit: u64,
}

/// Why the daemon gets a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpcallCmd {
    /// There is no flow for it (`OVS_PACKET_CMD_MISS`).
    Miss,
    /// An action says so (`OVS_PACKET_CMD_ACTION`).
    Action,
}

/// A packet for the daemon (`struct dp_upcall_info` and what is sent with it).
#[derive(Clone, Debug)]
pub struct Upcall {
    /// Why.
    pub cmd: UpcallCmd,
    /// What the datapath read in it.
    pub key: SwFlowKey,
    /// The frame, with its VLAN tag.
    pub frame: Vec<u8>,
    /// Which packet of the user's view it is.
    pub packet: u32,
    /// Its flow's hash, which it keeps when it comes back.
    pub hash: u32,
}

/// Most packets that wait for the daemon: what its socket's buffer holds, roughly.
pub const UPCALL_QUEUE: usize = 1024;

/// A datapath (`struct datapath`), named as its own device.
#[derive(Debug)]
pub struct Datapath {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub netns: NetnsId,
    /// Its ports, by number.
    pub ports: BTreeMap<u32, Vport>,
    /// Its flows.
    pub table: FlowTable,
    /// Its counters.
    pub stats: DpStats,
    /// A daemon reads [`Self::upcalls`] (`upcall_portids`).
    pub has_daemon: bool,
    /// Packets that wait for the daemon.
    pub upcalls: VecDeque<Upcall>,
}

impl Datapath {
    /// The port of this device.
    pub fn port_of(&self, dev: DevId) -> Option<&Vport> {
        self.ports.values().find(|port| port.dev == dev)
    }

    /// The datapath's own device.
    pub fn local(&self) -> Option<DevId> {
        self.ports.get(&OVSP_LOCAL).map(|port| port.dev)
    }
}

/// A port as its device knows it (`rx_handler_data`, `struct internal_dev`).
#[derive(Clone, Copy, Debug)]
pub struct VportRef {
    /// The datapath, as an index into [`Datapaths`].
    pub dp: DpId,
    /// Its number there.
    pub port_no: u32,
}

/// A datapath of the machine; handles are not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DpId(pub u32);

/// The datapaths of a machine.
#[derive(Debug, Default)]
pub struct Datapaths {
    all: BTreeMap<DpId, Datapath>,
    made: u32,
}

impl Datapaths {
    /// Adds a datapath without ports.
    pub fn add(&mut self, netns: NetnsId, name: &str) -> DpId {
        let id = DpId(self.made);
        self.made += 1;
        let dp = Datapath {
            name: name.to_owned(),
            netns,
            ports: BTreeMap::new(),
            table: FlowTable::default(),
            stats: DpStats::default(),
            has_daemon: false,
            upcalls: VecDeque::new(),
        };
        self.all.insert(id, dp);
        id
    }

    /// Removes one.
    pub fn remove(&mut self, id: DpId) -> Option<Datapath> {
        self.all.remove(&id)
    }

    /// The datapath, if it exists.
    pub fn get(&self, id: DpId) -> Option<&Datapath> {
        self.all.get(&id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: DpId) -> Option<&mut Datapath> {
        self.all.get_mut(&id)
    }

    /// The datapaths of a namespace.
    pub fn of(&self, netns: NetnsId) -> impl Iterator<Item = (DpId, &Datapath)> {
        self.all.iter().filter(move |(_, dp)| dp.netns == netns).map(|(id, dp)| (*id, dp))
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = (DpId, &Datapath)> {
        self.all.iter().map(|(id, dp)| (*id, dp))
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
