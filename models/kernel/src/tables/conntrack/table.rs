//! All connections of a machine.
//!
//! Kernel: net/netfilter/nf_conntrack_core.c

use std::collections::BTreeMap;

use super::event::CtEvent;
use super::index::{Index, tag_of};
use super::nat::BySource;
use super::{Conn, CtId, CtNet, Dir, IPS_CONFIRMED, IPS_DYING, IPS_NAT_CLASH, Tuple};
use crate::ids::NetnsId;

/// How many buckets of the kernel's table early drop searches (`NF_CT_EVICTION_RANGE`).
const EVICTION_RANGE: u64 = 8;

/// Tuples from which on the table does not stay in a CPU's own cache.
const LARGE: usize = 16_384;

/// A program that listens to events (a `NFNL_SUBSYS_CTNETLINK` socket).
#[derive(Clone, Debug)]
pub struct Listener {
    /// Of which namespace.
    pub netns: NetnsId,
    /// [`super::EventKind::bit`]s.
    pub kinds: u8,
    /// What it has not read yet.
    pub queue: std::collections::VecDeque<CtEvent>,
}

/// All connections of a machine, confirmed or not.
///
/// A connection lives as long as somebody holds it: each packet whose `nfct` names it, and the table once it is
/// confirmed. A handle is given out again when nobody holds it any more.
#[derive(Debug)]
pub struct Conntrack {
    conns: Vec<Conn>,
    free: Vec<u32>,
    index: Index,
    nets: Vec<CtNet>,
    made: u64,
    /// `nf_conntrack_max`: entries that each namespace may have; 0: any number.
    pub max: u32,
    /// `nf_conntrack_buckets`: size of the kernel's hash table, which decides what early drop finds.
    pub buckets: u32,
    /// `nf_conntrack_expect_max`.
    pub expect_max: u32,
    /// Programs that listen, by number.
    pub listeners: BTreeMap<u32, Listener>,
    /// The program on whose behalf the table changes just now.
    pub on_behalf_of: Option<u32>,
    /// The garbage collector is to drop entries early (`conntrack_gc_work.early_drop`).
    pub gc_early_drop: bool,
    /// The garbage collector's timer is set.
    pub gc_scheduled: bool,
    /// Where connections come from, for NAT.
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
            expect_max: 4096,
            listeners: BTreeMap::new(),
            on_behalf_of: None,
            gc_early_drop: false,
            gc_scheduled: false,
            by_source: BySource::default(),
        }
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a tuple (`hash_conntrack_raw`). The kernel's is seeded; this one is not, so runs are alike.
#[inline]
fn hash(netns: NetnsId, zone: u16, tuple: &Tuple) -> u32 {
    let addresses = u64::from(tuple.src) << 32 | u64::from(tuple.dst);
    let ports = u64::from(tuple.sport) << 48 | u64::from(tuple.dport) << 32 | u64::from(tuple.proto);
    let place = u64::from(netns.0) << 16 | u64::from(zone);
    let half = mix(addresses ^ 0x9e37_79b9_7f4a_7c15, ports ^ 0xd1b5_4a32_d192_ed03);
    tag_of(mix(half ^ place, 0xa076_1d64_78bd_642f))
}

static DEFAULT_NET: std::sync::LazyLock<CtNet> = std::sync::LazyLock::new(CtNet::default);

impl Conntrack {
    /// The connection, if the handle is in use.
    #[inline]
    pub fn get(&self, id: CtId) -> Option<&Conn> {
        self.conns.get(id.0 as usize).filter(|conn| conn.refs > 0)
    }

    /// The connection, to change it. Tuples of a confirmed connection must not be changed.
    #[inline]
    pub fn get_mut(&mut self, id: CtId) -> Option<&mut Conn> {
        self.conns.get_mut(id.0 as usize).filter(|conn| conn.refs > 0)
    }

    /// The connection, to change it, and what its namespace has of its own.
    #[inline]
    pub fn conn_and_net(&mut self, id: CtId) -> Option<(&mut Conn, &CtNet)> {
        let conn = self.conns.get_mut(id.0 as usize).filter(|conn| conn.refs > 0)?;
        let net = self.nets.get(conn.netns.index()).unwrap_or(&DEFAULT_NET);
        Some((conn, net))
    }

    /// What a namespace has of its own.
    #[inline]
    pub fn net(&self, netns: NetnsId) -> &CtNet {
        self.nets.get(netns.index()).unwrap_or(&DEFAULT_NET)
    }

    /// What a namespace has of its own, to change it.
    #[inline]
    pub fn net_mut(&mut self, netns: NetnsId) -> &mut CtNet {
        if self.nets.len() <= netns.index() {
            self.nets.resize_with(netns.index() + 1, CtNet::default);
        }
        &mut self.nets[netns.index()]
    }

    /// Takes a new, unconfirmed connection in; the caller holds it.
    pub fn alloc(&mut self, mut conn: Conn) -> CtId {
        self.made += 1;
        conn.counted = conn.acct.is_some();
        (conn.seq, conn.refs) = (self.made, 1);
        self.net_mut(conn.netns).count += 1;
        self.place(conn)
    }

    /// Takes a template in, which is counted nowhere but calls itself confirmed (`nf_ct_tmpl_alloc`); the caller holds it.
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

    /// One more packet holds it (`nf_conntrack_get`).
    #[inline]
    pub fn hold(&mut self, id: CtId) {
        self.conns[id.0 as usize].refs += 1;
    }

    /// A holder lets go (`nf_ct_put`); true if it was the last and the connection is gone.
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
        let (netns, template) = (conn.netns, conn.has(super::IPS_TEMPLATE));
        if !template {
            self.net_mut(netns).count -= 1;
        }
        self.free.push(id.0);
        true
    }

    /// Who has this tuple; `zone` is the zone of each direction (`__nf_conntrack_find_get`, without taking hold).
    /// Expired ones are found too.
    #[inline]
    pub fn find(&self, netns: NetnsId, zone: [u16; 2], tuple: &Tuple) -> Option<(CtId, Dir)> {
        let found = self.find_hashed(netns, zone, zone[0], tuple);
        if found.is_none() && zone[0] != zone[1] {
            return self.find_hashed(netns, zone, zone[1], tuple);
        }
        found
    }

    /// The same, only of those that were entered by this zone.
    #[inline]
    pub fn find_hashed(&self, netns: NetnsId, zone: [u16; 2], by: u16, tuple: &Tuple) -> Option<(CtId, Dir)> {
        let place = self.index.find(hash(netns, by, tuple), |place| {
            let (conn, dir) = (&self.conns[(place >> 1) as usize], (place & 1) as usize);
            conn.tuples[dir] == *tuple && conn.netns == netns && conn.zone[dir] == zone[dir]
        })?;
        // Of a connection to itself, whose two tuples are the same, the kernel finds the reply: it went into the chain last,
        // if both directions have one zone.
        let conn = &self.conns[(place >> 1) as usize];
        let to_itself = conn.tuples[0] == conn.tuples[1] && conn.zone[0] == conn.zone[1];
        let reply = place & 1 == 1 || to_itself;
        Some((CtId(place >> 1), if reply { Dir::Reply } else { Dir::Original }))
    }

    /// Another connection than `except` has this tuple in the reply's zone, and is not the same flow
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

    /// Enters a connection under both tuples; the table holds it from now on (`__nf_conntrack_hash_insert`).
    pub fn insert(&mut self, id: CtId) {
        let conn = &mut self.conns[id.0 as usize];
        debug_assert!(!conn.is_confirmed());
        conn.status |= IPS_CONFIRMED;
        conn.refs += 1;
        for (tag, place) in self.tags(id) {
            self.index.insert(tag, place);
        }
    }

    /// The tags under which a connection stands in the index, with its places.
    fn tags(&self, id: CtId) -> impl Iterator<Item = (u32, u32)> + use<> {
        let conn = &self.conns[id.0 as usize];
        let tags =
            [0, 1].map(|dir| (hash(conn.netns, conn.zone[dir], &conn.tuples[dir]), id.0 << 1 | dir as u32));
        tags.into_iter().skip(usize::from(conn.has(IPS_NAT_CLASH)))
    }

    /// Removes a connection from the table, which lets it go (`clean_from_lists` and the last part of
    /// `nf_ct_delete`); false if another did so before.
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

    /// The confirmed connections, in the order in which they were made.
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

    /// Places, free ones included: every handle is smaller. For those who look at all of them in turn.
    pub fn places(&self) -> u32 {
        self.conns.len() as u32
    }

    /// Connections that somebody holds, templates included, for tests that look for leaks.
    pub fn alive(&self) -> usize {
        self.conns.len() - self.free.len()
    }

    /// Tuples in the index: two a connection.
    pub fn hashed(&self) -> usize {
        self.index.len()
    }

    /// Bytes of memory that the table takes.
    pub fn memory(&self) -> usize {
        self.conns.capacity() * size_of::<Conn>() + self.free.capacity() * 4 + self.index.memory()
    }

    /// What stands in the few buckets of the kernel's table where early drop would look for a victim when this tuple
    /// is to be entered.
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

    /// Reads what a look-up of this tuple will read first, so that the memory is on its way.
    #[inline]
    pub fn touch_index(&self, netns: NetnsId, tuple: &Tuple) -> u32 {
        self.index.touch(hash(netns, 0, tuple))
    }

    /// Reads a little of the connection that [`Conntrack::touch_index`] found.
    #[inline]
    pub fn touch_conn(&self, place: u32) -> u32 {
        self.conns.get((place >> 1) as usize).map_or(0, |conn| conn.refs)
    }

    /// There are so many entries that a look-up most likely waits for the memory.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.index.len() > LARGE
    }
}
