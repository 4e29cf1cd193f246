//! MACVLAN: a device with an address of its own over another one, and what that one knows of those over it.
//!
//! Kernel: include/linux/if_macvlan.h, drivers/net/macvlan.c

use std::collections::{BTreeMap, VecDeque};

use glassnet_wire::Mac;

use super::eth_hash::eth_hash;
use super::mc_filter::McFilter;
use crate::ids::{DevId, SkbId};

/// Whom a device reaches of those beside it (`MACVLAN_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Nobody.
    Private = 1,
    /// Whoever a switch outside sends its frames back to.
    Vepa = 2,
    /// All of them.
    Bridge = 4,
    /// There are none: it takes all that the device below receives.
    Passthru = 8,
}

impl MacvlanMode {
    /// All, by their words.
    pub const ALL: [(MacvlanMode, &'static str); 4] = [
        (MacvlanMode::Private, "private"),
        (MacvlanMode::Vepa, "vepa"),
        (MacvlanMode::Bridge, "bridge"),
        (MacvlanMode::Passthru, "passthru"),
    ];

    /// The word.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| name)
    }
}

/// How many frames to groups may wait for the devices over another one, unless they want more
/// (`MACVLAN_DEFAULT_BC_QUEUE_LEN`).
pub const DEFAULT_BC_QUEUE_LEN: u32 = 1000;

/// A device (`struct macvlan_dev`).
#[derive(Debug)]
pub struct MacvlanDev {
    /// The device below.
    pub lowerdev: DevId,
    /// Whom it reaches.
    pub mode: MacvlanMode,
    /// `MACVLAN_FLAG_*`.
    pub flags: u16,
    /// How many frames to groups may wait.
    pub bc_queue_len_req: u32,
    /// The groups that it listens to.
    pub mc_filter: McFilter,
}

/// The device below keeps its mode as it is in a pass-through (`MACVLAN_FLAG_NOPROMISC`).
pub const MACVLAN_FLAG_NOPROMISC: u16 = 1;

/// What a device knows of those over it (`struct macvlan_port`).
#[derive(Debug, Default)]
pub struct MacvlanPort {
    /// All, the oldest first.
    pub vlans: Vec<DevId>,
    /// Those that are up, by their addresses.
    hash: BTreeMap<Mac, (DevId, u64)>,
    added: u64,
    /// The groups that any of them listens to.
    pub mc_filter: McFilter,
    /// Frames to groups that wait for their turn, with the device over this one that sent each, if one did.
    pub bc_queue: VecDeque<(SkbId, Option<DevId>)>,
    /// How many may wait.
    pub bc_queue_len_used: u32,
    /// The only one over it takes all that this one receives.
    pub passthru: bool,
    /// The address that this one had before.
    pub perm_addr: Mac,
}

impl MacvlanPort {
    /// Of a device with this address, over which there is none yet.
    pub fn new(perm_addr: Mac) -> MacvlanPort {
        MacvlanPort { perm_addr, ..MacvlanPort::default() }
    }

    /// The device that is up with an address.
    #[inline]
    pub fn lookup(&self, addr: Mac) -> Option<DevId> {
        self.hash.get(&addr).map(|(dev, _)| *dev)
    }

    /// A device comes up.
    pub fn hash_add(&mut self, addr: Mac, dev: DevId) {
        self.added += 1;
        self.hash.insert(addr, (dev, self.added));
    }

    /// It goes down.
    pub fn hash_del(&mut self, addr: Mac) {
        self.hash.remove(&addr);
    }

    /// All that are up in the kernel's order: list after list, and of a list the newest first.
    pub fn up(&self) -> Vec<DevId> {
        let mut all: Vec<_> = self.hash.iter().collect();
        all.sort_by_key(|(addr, (_, added))| (eth_hash(**addr), std::cmp::Reverse(*added)));
        all.into_iter().map(|(_, (dev, _))| *dev).collect()
    }
}
