//! Which connections come from where: NAT gives a source that it knows the same address again.
//!
//! Kernel: net/netfilter/nf_nat_core.c (`nf_nat_bysource`)

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::{Conn, CtId, Tuple};
use crate::ids::NetnsId;
use crate::tables::fast_hash::FastHasher;

/// Where a connection comes from: namespace, zone, address, port or identifier, protocol.
type Source = (u64, u64);

fn source(netns: NetnsId, zone: u16, tuple: &Tuple) -> Source {
    let place = u64::from(netns.0) << 16 | u64::from(zone);
    let end = u64::from(tuple.src) << 32 | u64::from(tuple.sport) << 16 | u64::from(tuple.proto);
    (place, end)
}

/// The connections about whose source NAT has decided, by that source.
#[derive(Debug, Default)]
pub struct BySource(HashMap<Source, Vec<CtId>, BuildHasherDefault<FastHasher>>);

impl BySource {
    /// NAT has decided about the source of a connection.
    pub fn add(&mut self, id: CtId, conn: &Conn) {
        self.0.entry(source(conn.netns, conn.zone[0], &conn.tuples[0])).or_default().push(id);
    }

    /// A connection is no more.
    pub fn remove(&mut self, id: CtId, conn: &Conn) {
        let key = source(conn.netns, conn.zone[0], &conn.tuples[0]);
        let Some(known) = self.0.get_mut(&key) else { return };
        known.retain(|other| *other != id);
        if known.is_empty() {
            self.0.remove(&key);
        }
    }

    /// The connections from the source of a tuple, newest first.
    pub fn from(&self, netns: NetnsId, zone: u16, tuple: &Tuple) -> impl Iterator<Item = CtId> {
        let known = self.0.get(&source(netns, zone, tuple));
        known.into_iter().flatten().rev().copied()
    }

    /// How many sources are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No source is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
