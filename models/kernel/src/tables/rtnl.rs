//! Messages of rtnetlink to programs that listen.
//!
//! Kernel: net/core/rtnetlink.c (`rtnl_notify`), include/uapi/linux/rtnetlink.h (`RTNLGRP_NEIGH`)

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::bridge::FdbEntry;
use super::neigh_types::{NeighRow, Nud};
use crate::ids::{DevId, NetnsId};
use crate::link::FdbRow;

/// What a message is about.
#[derive(Clone, Debug)]
pub enum RtnlMsg {
    /// A neighbour.
    Neigh(NeighRow),
    /// An entry of a device's own forwarding database.
    Fdb(DevId, FdbRow),
    /// An entry of a bridge's forwarding database, with its state (`NUD_*`).
    BridgeFdb(DevId, FdbEntry, Nud),
    /// A device asks for what it does not know: the link-layer address of an address, or where a station is (`RTM_GETNEIGH`).
    Miss {
        /// The device.
        dev: DevId,
        /// The address.
        dst: Option<Ipv4Addr>,
        /// The station.
        lladdr: Option<Mac>,
    },
}

/// A message.
#[derive(Clone, Debug)]
pub struct RtnlEvent {
    /// When it was sent.
    pub at: Nanos,
    /// What it is about was deleted (`RTM_DELNEIGH`).
    pub deleted: bool,
    /// What it is about.
    pub msg: RtnlMsg,
    /// The device's name: it may be gone when a program prints it.
    pub dev: String,
    /// The name of its bridge.
    pub master: Option<String>,
}

impl RtnlMsg {
    /// The device, and its bridge.
    pub fn devices(&self) -> (DevId, Option<DevId>) {
        match self {
            RtnlMsg::Neigh(row) => (row.msg.dev, None),
            RtnlMsg::Fdb(dev, _) | RtnlMsg::Miss { dev, .. } => (*dev, None),
            RtnlMsg::BridgeFdb(bridge, entry, _) => (entry.port.unwrap_or(*bridge), Some(*bridge)),
        }
    }
}

/// A socket that listens to the messages of a namespace.
#[derive(Debug)]
pub struct RtnlListener {
    id: u32,
    netns: NetnsId,
    queue: VecDeque<RtnlEvent>,
}

/// All of a machine.
#[derive(Debug, Default)]
pub struct RtnlListeners {
    open: Vec<RtnlListener>,
    made: u32,
}

impl RtnlListeners {
    /// Begins to listen; the number is for [`Self::next`] and [`Self::close`].
    pub fn listen(&mut self, netns: NetnsId) -> u32 {
        self.made += 1;
        self.open.push(RtnlListener { id: self.made, netns, queue: VecDeque::new() });
        self.made
    }

    /// The next message of a listener.
    pub fn next(&mut self, id: u32) -> Option<RtnlEvent> {
        self.open.iter_mut().find(|listener| listener.id == id)?.queue.pop_front()
    }

    /// Ends to listen.
    pub fn close(&mut self, id: u32) {
        self.open.retain(|listener| listener.id != id);
    }

    /// Nobody listens.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Queues a message for those that listen in its namespace; false if there are none.
    pub fn send(&mut self, netns: NetnsId, event: &RtnlEvent) -> bool {
        let mut heard = false;
        for listener in self.open.iter_mut().filter(|listener| listener.netns == netns) {
            listener.queue.push_back(event.clone());
            heard = true;
        }
        heard
    }
}
