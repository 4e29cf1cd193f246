//! The conntrack table of a machine.
//!
//! Kernel: net/netfilter/nf_conntrack_core.c

use std::collections::BTreeMap;

use super::event::Message;
use super::expect::Expectations;
use super::index::{Index, tag_of};
use super::nat::BySource;
use super::{Conn, CtId, CtNet, Dir, EventKind, IPS_CONFIRMED, IPS_DYING, IPS_NAT_CLASH, Tuple};
use crate::ids::NetnsId;

/// How many buckets of the kernel's table early drop searches (`NF_CT_EVICTION_RANGE`).
const EVICTION_RANGE: u64 = 8;

/// From this many tuples on the table exceeds a CPU's private cache.
const LARGE: usize = 16_384;

/// An event listener (a `NFNL_SUBSYS_CTNETLINK` socket).
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its namespace.
    pub netns: NetnsId,
    /// Subscribed message types ([`super::EventKind::bit`]).
    pub kinds: u8,
    /// It is told of expectations, not of connections.
    pub expectations: bool,
    /// Unread messages.
    pub queue: std::collections::VecDeque<Message>,
}

impl Listener {
    /// It subscribed to messages of this type in a namespace, about connections or `about_expectations`.
    pub fn hears(&self, netns: NetnsId, kind: EventKind, about_expectations: bool) -> bool {
        self.netns == netns && self.kinds & kind.bit() != 0 && self.expectations == about_expectations
    }
}

/// All connections of a machine, confirmed or not.
///
/// A connection is refcounted: each packet whose `nfct` names it holds a reference, and so does the table
/// once it is confirmed. Handles are reused after the last reference is dropped.
#[derive(Debug)]
pub struct Conntrack {
    conns: Vec<Conn>,
    free: Vec<u32>,
    index: Index,
    nets: Vec<CtNet>,
    made: u64,
    /// `nf_conntrack_max`: maximum entries of each namespace; 0: unlimited.
    pub max: u32,
    /// `nf_conntrack_buckets`: size of the kernel's hash table, which decides which entries early drop scans.
    pub buckets: u32,
    /// Event listeners by number.
    pub listeners: BTreeMap<u32, Listener>,
    /// The process on whose behalf the table is being changed.
    pub on_behalf_of: Option<u32>,
    /// The garbage collector should drop entries early (`conntrack_gc_work.early_drop`).
    pub gc_early_drop: bool,
    /// The garbage collector's timer is armed.
    pub gc_scheduled: bool,
    /// Connections that helpers expect.
    pub expectations: Expectations,
    /// `nf_conntrack_expect_max`: maximum expectations of each namespace.
    pub expect_max: u32,
    /// Connections by original source, for NAT.
    pub by_source: BySource,
}

impl Default for Conntrack {
    fn default() -> Self {
        Conntrack {
            conns: Vec::new(),
            free: Vec::new(),
            index: Index::default(),
            nets: Vec::new(),
            made: 0,
            max: 262_144,
            buckets: 262_144,
            listeners: BTreeMap::new(),
            on_behalf_of: None,
            gc_early_drop: false,
            gc_scheduled: false,
            expectations: Expectations::default(),
            expect_max: 4096,
            by_source: BySource::default(),
        }
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Hash of a tuple (`hash_conntrack_raw`). The kernel's is seeded; this one is not, for reproducible runs.
#[inline]
fn hash(netns: NetnsId, zone: u16, tuple: &Tuple) -> u32 {
    let addresses = u64::from(tuple.src.to_bits()) << 32 | u64::from(tuple.dst.to_bits());
    let ports = u64::from(tuple.sport) << 48 | u64::from(tuple.dport) << 32 | u64::from(tuple.proto);
    let place = u64::from(netns.0) << 16 | u64::from(zone);
    let half = mix(addresses ^ 0x9e37_79b9_7f4a_7c15, ports ^ 0xd1b5_4a32_d192_ed03);
    tag_of(mix(half ^ place, 0xa076_1d64_78bd_642f))
}

static DEFAULT_NET: std::sync::LazyLock<CtNet> = std::sync::LazyLock::new(CtNet::default);

impl Conntrack {
    /// The connection, if the handle is valid.
    #[inline]
    pub fn get(&self, id: CtId) -> Option<&Conn> {
        self.conns.get(id.0 as usize).filter(|conn| conn.refs > 0)
    }

    /// The connection, mutable. Tuples of a confirmed connection must not be changed.
    #[inline]
    pub fn get_mut(&mut self, id: CtId) -> Option<&mut Conn> {
        self.conns.get_mut(id.0 as usize).filter(|conn| conn.refs > 0)
    }

    /// The connection, mutable, and the per-namespace state.
    #[inline]
    pub fn conn_and_net(&mut self, id: CtId) -> Option<(&mut Conn, &CtNet)> {
        let conn = self.conns.get_mut(id.0 as usize).filter(|conn| conn.refs > 0)?;
        let net = self.nets.get(conn.netns.index()).unwrap_or(&DEFAULT_NET);
        Some((conn, net))
    }

    /// Per-namespace state.
    #[inline]
    pub fn net(&self, netns: NetnsId) -> &CtNet {
        self.nets.get(netns.index()).unwrap_or(&DEFAULT_NET)
    }

    /// Per-namespace state, mutable.
    #[inline]
    pub fn net_mut(&mut self, netns: NetnsId) -> &mut CtNet {
        if self.nets.len() <= netns.index() {
            self.nets.resize_with(netns.index() + 1, CtNet::default);
        }
        &mut self.nets[netns.index()]
    }

    /// Allocates an unconfirmed connection; the caller owns the reference.
    pub fn alloc(&mut self, mut conn: Conn) -> CtId {
        self.made += 1;
        conn.counted = conn.acct.is_some();
        (conn.seq, conn.refs) = (self.made, 1);
        self.net_mut(conn.netns).count += 1;
        self.place(conn)
    }

    /// Allocates a template: not counted, marked confirmed (`nf_ct_tmpl_alloc`); the caller owns the
    /// reference.
    pub fn alloc_template(&mut self, mut conn: Conn) -> CtId {
        conn.status |= super::IPS_TEMPLATE | IPS_CONFIRMED;
        conn.refs = 1;
        self.place(conn)
    }

    fn place(&mut self, conn: Conn) -> CtId {
        if let Some(at) = self.free.pop() {
            self.conns[at as usize] = conn;
            return CtId(at);
        }
        self.conns.push(conn);
        CtId(self.conns.len() as u32 - 1)
    }

    /// Takes a reference (`nf_conntrack_get`).
    #[inline]
    pub fn hold(&mut self, id: CtId) {
        self.conns[id.0 as usize].refs += 1;
    }

    /// Drops a reference (`nf_ct_put`); true if it was the last and the connection was freed.
    #[inline]
    pub fn put(&mut self, id: CtId) -> bool {
        let conn = &mut self.conns[id.0 as usize];
        debug_assert!(conn.refs > 0, "a connection was let go more often than held");
        conn.refs -= 1;
        conn.refs == 0 && self.forget(id)
    }

    #[cold]
    fn forget(&mut self, id: CtId) -> bool {
        let conn = &self.conns[id.0 as usize];
        debug_assert!(
            !conn.is_confirmed() || conn.has(IPS_DYING | super::IPS_TEMPLATE),
            "the table holds what is in it"
        );
        if conn.has(super::IPS_SRC_NAT_DONE) {
            self.by_source.remove(id, conn);
        }
        let (netns, template, master) = (conn.netns, conn.has(super::IPS_TEMPLATE), conn.master());
        if let Some(master) = master {
            self.put(master);
        }
        if !template {
            self.net_mut(netns).count -= 1;
        }
        self.free.push(id.0);
        true
    }

    /// Looks up a tuple; `zone` is by direction (`__nf_conntrack_find_get`, without taking a reference).
    /// Expired entries are found too.
    #[inline]
    pub fn find(&self, netns: NetnsId, zone: [u16; 2], tuple: &Tuple) -> Option<(CtId, Dir)> {
        let found = self.find_hashed(netns, zone, zone[0], tuple);
        if found.is_none() && zone[0] != zone[1] {
            return self.find_hashed(netns, zone, zone[1], tuple);
        }
        found
    }

    /// The same, restricted to entries of this zone. Of several, the newest is found; of a connection to itself, whose tuples
    /// are equal, the reply, which is hashed last.
    #[inline]
    pub fn find_hashed(&self, netns: NetnsId, zone: [u16; 2], by: u16, tuple: &Tuple) -> Option<(CtId, Dir)> {
        let place = self.index.find(hash(netns, by, tuple), |place| {
            let (conn, dir) = (&self.conns[(place >> 1) as usize], (place & 1) as usize);
            conn.tuples[dir] == *tuple && conn.netns == netns && conn.zone[dir] == zone[dir]
        })?;
        Some((CtId(place >> 1), if place & 1 == 1 { Dir::Reply } else { Dir::Original }))
    }

    /// The reply tuple is in use by a connection other than `except` that is not the same flow
    /// (`nf_conntrack_tuple_taken`).
    pub fn taken_by(&self, tuple: &Tuple, except: CtId) -> Option<CtId> {
        let ignored = self.get(except)?;
        let (netns, zone) = (ignored.netns, ignored.zone);
        let place = self.index.find(hash(netns, zone[1], tuple), |place| {
            let (conn, dir) = (&self.conns[(place >> 1) as usize], (place & 1) as usize);
            let same_flow = conn.tuples[0] == ignored.tuples[0] && conn.zone[0] == zone[0];
            place >> 1 != except.0
                && conn.tuples[dir] == *tuple
                && conn.netns == netns
                && conn.zone[dir] == zone[dir]
                && !same_flow
        })?;
        Some(CtId(place >> 1))
    }

    /// Inserts both tuples, the reply last; the table takes a reference (`__nf_conntrack_hash_insert`).
    pub fn insert(&mut self, id: CtId) {
        let conn = &mut self.conns[id.0 as usize];
        debug_assert!(!conn.is_confirmed());
        conn.status |= IPS_CONFIRMED;
        conn.refs += 1;
        for (tag, place) in self.tags(id) {
            self.index.insert(tag, place);
        }
    }

    /// Tags and slots of a connection in the index.
    fn tags(&self, id: CtId) -> impl Iterator<Item = (u32, u32)> + use<> {
        let conn = &self.conns[id.0 as usize];
        let tags =
            [0, 1].map(|dir| (hash(conn.netns, conn.zone[dir], &conn.tuples[dir]), id.0 << 1 | dir as u32));
        tags.into_iter().skip(usize::from(conn.has(IPS_NAT_CLASH)))
    }

    /// Unhashes a connection and drops the table's reference (`clean_from_lists` and the last part of
    /// `nf_ct_delete`); false if it was unhashed already.
    pub fn remove(&mut self, id: CtId) -> bool {
        let conn = &mut self.conns[id.0 as usize];
        if conn.has(IPS_DYING) || !conn.is_confirmed() {
            return false;
        }
        conn.status |= IPS_DYING;
        for (tag, place) in self.tags(id) {
            let was_there = self.index.remove(tag, place);
            debug_assert!(was_there);
        }
        self.put(id);
        true
    }

    /// The confirmed connections, in the order of creation.
    pub fn confirmed(&self) -> Vec<CtId> {
        let alive =
            |conn: &Conn| conn.refs > 0 && conn.has(IPS_CONFIRMED) && !conn.has(IPS_DYING | IPS_NAT_CLASH);
        let mut found: Vec<(u64, CtId)> = (0..)
            .zip(&self.conns)
            .filter(|(_, conn)| alive(conn))
            .map(|(at, conn)| (conn.seq, CtId(at)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|entry| entry.1).collect()
    }

    /// Upper bound of all handles, free ones included, for iterating over the table.
    pub fn places(&self) -> u32 {
        self.conns.len() as u32
    }

    /// Connections with references, templates included, for leak tests.
    pub fn alive(&self) -> usize {
        self.conns.len() - self.free.len()
    }

    /// Number of hashed tuples: two a connection.
    pub fn hashed(&self) -> usize {
        self.index.len()
    }

    /// Memory use of the table in bytes.
    pub fn memory(&self) -> usize {
        self.conns.capacity() * size_of::<Conn>() + self.free.capacity() * 4 + self.index.memory()
    }

    /// Entries of the kernel's hash buckets that early drop would scan when this tuple is inserted.
    pub fn eviction_range(&self, netns: NetnsId, zone: u16, tuple: &Tuple) -> Vec<CtId> {
        let buckets = u64::from(self.buckets.max(1));
        let first = (u64::from(hash(netns, zone, tuple)) * buckets) >> 32;
        let mut found = Vec::new();
        for bucket in first..first + EVICTION_RANGE.min(buckets) {
            let bucket = bucket % buckets;
            let start = ((bucket << 32).div_ceil(buckets)) as u32;
            let end = (((bucket + 1) << 32).div_ceil(buckets) - 1) as u32;
            found.extend(self.index.range(start, end).into_iter().map(|place| CtId(place >> 1)));
        }
        found.dedup();
        found
    }

    /// Prefetches what a look-up of this tuple reads first.
    #[inline]
    pub fn touch_index(&self, netns: NetnsId, tuple: &Tuple) -> u32 {
        self.index.touch(hash(netns, 0, tuple))
    }

    /// Prefetches the connection that [`Conntrack::touch_index`] found.
    #[inline]
    pub fn touch_conn(&self, place: u32) -> u32 {
        self.conns.get((place >> 1) as usize).map_or(0, |conn| conn.refs)
    }

    /// The table is so large that a look-up most likely misses the cache.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.index.len() > LARGE
    }
}
