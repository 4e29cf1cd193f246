//! Network namespaces (`struct net`, include/net/net_namespace.h).

use std::collections::BTreeMap;

use crate::ids::{DevId, NetnsId, SocketId};

/// A network namespace: devices, addresses, routes, neighbours and sockets of its own.
#[derive(Debug)]
pub struct Netns {
    /// Its handle.
    pub id: NetnsId,
    /// Its devices by ifindex.
    pub devs: BTreeMap<u32, DevId>,
    /// The ifindex that was given out last.
    pub last_ifindex: u32,
    /// Its `lo`.
    pub loopback: DevId,
    /// Packet sockets that listen on all devices.
    pub taps: Vec<SocketId>,
}

impl Netns {
    /// A namespace without devices; `loopback` is where its `lo` will be.
    pub fn new(id: NetnsId, loopback: DevId) -> Netns {
        Netns { id, devs: BTreeMap::new(), last_ifindex: 0, loopback, taps: Vec::new() }
    }

    /// The next free ifindex (`dev_new_index`, net/core/dev.c).
    pub fn new_ifindex(&mut self) -> u32 {
        loop {
            self.last_ifindex += 1;
            if !self.devs.contains_key(&self.last_ifindex) {
                return self.last_ifindex;
            }
        }
    }
}
