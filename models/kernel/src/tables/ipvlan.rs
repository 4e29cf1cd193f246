//! IPVLAN: a device over another one that has that one's MAC address and IP addresses of its own, and what the one below knows of
//! those over it.
//!
//! Kernel: drivers/net/ipvlan/ipvlan.h, include/uapi/linux/if_link.h

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use super::mc_filter::McFilter;
use crate::ids::{DevId, NetnsId, SkbId};

/// How packets go between the devices and the one below (`IPVLAN_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// As frames: each device asks for neighbours itself.
    L2,
    /// As packets, which the namespace of the device below routes; what comes in does not pass its hooks.
    L3,
    /// The same, and what comes in passes its hooks.
    L3s,
}

impl IpvlanMode {
    /// All, by their words.
    pub const ALL: [(IpvlanMode, &'static str); 3] =
        [(IpvlanMode::L2, "l2"), (IpvlanMode::L3, "l3"), (IpvlanMode::L3s, "l3s")];

    /// The word.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| name)
    }

    /// The devices neither ask for neighbours nor answer.
    pub fn is_noarp(self) -> bool {
        self != IpvlanMode::L2
    }
}

/// The devices do not reach each other (`IPVLAN_F_PRIVATE`).
pub const IPVLAN_F_PRIVATE: u16 = 1;
/// They reach each other only by a switch outside (`IPVLAN_F_VEPA`).
pub const IPVLAN_F_VEPA: u16 = 2;

/// How many frames to groups may wait for the devices over another one (`IPVLAN_QBACKLOG_LIMIT`).
pub const IPVLAN_QBACKLOG_LIMIT: usize = 1000;

/// A device (`struct ipvl_dev`).
#[derive(Debug)]
pub struct IpvlDev {
    /// The device below.
    pub phy_dev: DevId,
    /// Its addresses.
    pub addrs: Vec<Ipv4Addr>,
    /// The groups that it listens to.
    pub mac_filters: McFilter,
    /// What it is to write to the log.
    pub msg_enable: u32,
}

/// What a device knows of those over it (`struct ipvl_port`).
#[derive(Debug)]
pub struct IpvlPort {
    /// The namespace that it was in last.
    pub pnet: NetnsId,
    /// The mode of all of them.
    pub mode: IpvlanMode,
    /// `IPVLAN_F_*`, of all of them.
    pub flags: u16,
    /// All, the oldest first.
    pub ipvlans: Vec<DevId>,
    /// Those that are up, by their addresses.
    pub hlhead: BTreeMap<Ipv4Addr, DevId>,
    /// Frames to groups that wait for their turn, with the device over this one that sent each, if one did.
    pub backlog: VecDeque<(SkbId, Option<DevId>)>,
    /// The next `dev_id`.
    dev_id_start: u16,
}

impl IpvlPort {
    /// The first and the last `dev_id`.
    const DEV_IDS: (u16, u16) = (1, 0xfffd);

    /// Of a device in this namespace, over which there is none yet.
    pub fn new(pnet: NetnsId) -> IpvlPort {
        IpvlPort {
            pnet,
            mode: IpvlanMode::L3,
            flags: 0,
            ipvlans: Vec::new(),
            hlhead: BTreeMap::new(),
            backlog: VecDeque::new(),
            dev_id_start: Self::DEV_IDS.0,
        }
    }

    /// A number by which a new device differs from the others with its MAC address.
    pub fn next_dev_id(&mut self) -> u16 {
        let (first, last) = Self::DEV_IDS;
        let next = self.dev_id_start;
        self.dev_id_start = if next == last { first } else { next + 1 };
        next
    }

    /// They do not reach each other (`ipvlan_is_private`).
    pub fn is_private(&self) -> bool {
        self.flags & IPVLAN_F_PRIVATE != 0
    }

    /// They reach each other only by a switch outside (`ipvlan_is_vepa`).
    pub fn is_vepa(&self) -> bool {
        self.flags & IPVLAN_F_VEPA != 0
    }
}
