//! Connections by original source, so that NAT maps a known source to the same address again.
//!
//! Kernel: net/netfilter/nf_nat_core.c (`nf_nat_bysource`)

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::{Conn, CtId, Tuple};
use crate::ids::NetnsId;
use crate::tables::fast_hash::FastHasher;

/// Key of the by-source table: namespace, zone, address, port or identifier, protocol.
type Source = (u64, u64);

fn source(netns: NetnsId, zone: u16, tuple: &Tuple) -> Source {
    let place = u64::from(netns.0) << 16 | u64::from(zone);
    let end = u64::from(tuple.src.to_bits()) << 32 | u64::from(tuple.sport) << 16 | u64::from(tuple.proto);
    (place, end)
}

/// The by-source table: connections whose SNAT has been set up.
#[derive(Debug, Default)]
pub struct BySource(HashMap<Source, Vec<CtId>, BuildHasherDefault<FastHasher>>);

impl BySource {
    /// Inserts a connection whose SNAT was set up.
    pub fn add(&mut self, id: CtId, conn: &Conn) {
        self.0.entry(source(conn.netns, conn.zone[0], &conn.tuples[0])).or_default().push(id);
    }

    /// Removes a destroyed connection.
    pub fn remove(&mut self, id: CtId, conn: &Conn) {
        let key = source(conn.netns, conn.zone[0], &conn.tuples[0]);
        let Some(known) = self.0.get_mut(&key) else { return };
        known.retain(|other| *other != id);
        if known.is_empty() {
            self.0.remove(&key);
        }
    }

    /// The connections with the source of a tuple, newest first.
    pub fn from(&self, netns: NetnsId, zone: u16, tuple: &Tuple) -> impl Iterator<Item = CtId> {
        let known = self.0.get(&source(netns, zone, tuple));
        known.into_iter().flatten().rev().copied()
    }

    /// Number of sources.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The table is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
