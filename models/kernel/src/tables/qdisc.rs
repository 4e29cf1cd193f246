//! Queueing disciplines (`struct Qdisc`, include/net/sch_generic.h).

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};

use glassnet_sim::Nanos;

use crate::filter::TcfBlock;
use crate::ids::{DevId, QdiscId, SkbId};
use crate::qdisc::{BasicStats, NOOP_QDISC_OPS, QdiscOps, QdiscStats, QueueStats};

/// It is none of a device's own: `noop`.
pub const TCQ_F_BUILTIN: u16 = 1;
/// It sees what comes in.
pub const TCQ_F_INGRESS: u16 = 2;
/// A packet need not be queued while the queue is empty.
pub const TCQ_F_CAN_BYPASS: u16 = 4;
/// It gives the queues of the device disciplines of their own.
pub const TCQ_F_MQROOT: u16 = 8;
/// All its packets go to one transmit queue.
pub const TCQ_F_ONETXQUEUE: u16 = 0x10;
/// It is the device's own choice, and has no parent.
pub const TCQ_F_NOPARENT: u16 = 0x40;
/// Shown only on request (`tc qdisc show … invisible`).
pub const TCQ_F_INVISIBLE: u16 = 0x80;
/// It works without a lock: whether it is empty is told by [`QdiscState`].
pub const TCQ_F_NOLOCK: u16 = 0x100;

/// The parent of a root.
pub const TC_H_ROOT: u32 = 0xffff_ffff;
/// The parent of `ingress` and `clsact`.
pub const TC_H_INGRESS: u32 = 0xffff_fff1;
/// The class of what comes in, of both (`TC_H_MIN_INGRESS`).
pub const TC_H_MIN_INGRESS: u32 = 0xfff2;
/// The class of what goes out, of `clsact` (`TC_H_MIN_EGRESS`).
pub const TC_H_MIN_EGRESS: u32 = 0xfff3;

/// The discipline's part of a handle (`TC_H_MAJ`).
pub const fn tc_h_maj(handle: u32) -> u32 {
    handle & 0xffff_0000
}

/// The class's part of a handle (`TC_H_MIN`).
pub const fn tc_h_min(handle: u32) -> u32 {
    handle & 0xffff
}

/// `__QDISC_STATE_*` and `__QDISC_STATE2_RUNNING`.
#[derive(Clone, Copy, Debug, Default)]
pub struct QdiscState {
    /// It is in a CPU's output queue.
    pub scheduled: bool,
    /// Its device is down: packets are dropped.
    pub deactivated: bool,
    /// There is something to do that nobody does at the moment.
    pub missed: bool,
    /// The device's queue is stopped and packets wait.
    pub draining: bool,
    /// Its packets are being sent.
    pub running: bool,
}

/// A queueing discipline.
#[derive(Debug)]
pub struct Qdisc {
    /// Its kind.
    pub ops: &'static QdiscOps,
    /// Its device.
    pub dev: DevId,
    /// The device's transmit queue that it is for.
    pub queue: u16,
    /// Its handle; 0: none.
    pub handle: u32,
    /// The handle of its parent.
    pub parent: u32,
    /// `TCQ_F_*`.
    pub flags: u16,
    /// How many disciplines are above it.
    pub depth: u32,
    /// When it became known to its device, as a count; 0: it is not (`qdisc_hash_add`).
    pub hash_seq: u32,
    /// How many places it has (`refcnt`).
    pub refcnt: u32,
    /// Its state.
    pub state: QdiscState,
    /// Its packets, if it keeps them in one list.
    pub q: VecDeque<SkbId>,
    /// How many packets wait, also in disciplines below it.
    pub qlen: u32,
    /// Packets that it let go.
    pub bstats: BasicStats,
    /// Counters of its queue.
    pub qstats: QueueStats,
    /// Its filters, and those of its classes; 0 is the discipline itself.
    pub filters: BTreeMap<u32, TcfBlock>,
    /// Packets that go before all others: the device did not take them, or somebody looked at them.
    pub gso_skb: VecDeque<SkbId>,
    /// A packet for another transmit queue than those before it.
    pub skb_bad_txq: VecDeque<SkbId>,
    /// Most packets or bytes that may wait.
    pub limit: u32,
    /// When it is looked at again (`struct qdisc_watchdog`), if it waits for a time.
    pub watchdog: Option<Nanos>,
    private: Option<Box<dyn Any + Send + Sync>>,
}

impl Qdisc {
    /// One without packets or settings (`qdisc_alloc`).
    pub fn new(ops: &'static QdiscOps, dev: DevId, queue: u16) -> Qdisc {
        Qdisc {
            ops,
            dev,
            queue,
            handle: 0,
            parent: 0,
            flags: ops.static_flags,
            depth: 0,
            hash_seq: 0,
            refcnt: 1,
            state: QdiscState::default(),
            q: VecDeque::new(),
            qlen: 0,
            bstats: BasicStats::default(),
            qstats: QueueStats::default(),
            filters: BTreeMap::new(),
            gso_skb: VecDeque::new(),
            skb_bad_txq: VecDeque::new(),
            limit: 0,
            watchdog: None,
            private: None,
        }
    }

    /// There are filters for the packets of a class; 0: of the discipline itself.
    pub fn has_filters(&self, class: u32) -> bool {
        self.filters.get(&class).is_some_and(|block| !block.chain(0).is_empty())
    }

    /// It has one of these flags.
    #[inline]
    pub fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// There is nothing to send as far as a discipline without a lock knows (`nolock_qdisc_is_empty`).
    pub fn nolock_is_empty(&self) -> bool {
        !(self.state.missed || self.state.draining)
    }

    /// A packet of this length is in the queue now.
    pub fn count_in(&mut self, len: u32) {
        self.qlen += 1;
        self.qstats.backlog = self.qstats.backlog.wrapping_add(len);
    }

    /// A packet of this length left the queue.
    pub fn count_out(&mut self, len: u32) {
        self.qlen = self.qlen.wrapping_sub(1);
        self.qstats.backlog = self.qstats.backlog.wrapping_sub(len);
    }

    /// A packet of this length is sent.
    pub fn count_sent(&mut self, len: u32) {
        self.bstats.packets += 1;
        self.bstats.bytes += u64::from(len);
    }

    /// Its counters.
    pub fn stats(&self) -> QdiscStats {
        QdiscStats { bstats: self.bstats, qstats: self.qstats, qlen: self.qlen }
    }

    /// Sets what only its kind knows of it.
    pub fn set_priv(&mut self, private: impl Any + Send + Sync) {
        self.private = Some(Box::new(private));
    }

    /// What only its kind knows of it, if it is of the kind that keeps a `T` (`qdisc_priv`).
    pub fn qdisc_priv<T: Any>(&self) -> Option<&T> {
        self.private.as_deref()?.downcast_ref()
    }

    /// The same, to change it.
    pub fn qdisc_priv_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.private.as_deref_mut()?.downcast_mut()
    }
}

/// The disciplines of a machine. The first is `noop`.
#[derive(Debug)]
pub struct Qdiscs {
    slots: Vec<Option<Qdisc>>,
    free: Vec<QdiscId>,
    /// Packets that the discipline at work dropped; they are freed when it is done (`to_free`).
    pub to_free: Vec<SkbId>,
    hash_seq: u32,
    /// The handle that was chosen last for a discipline without one.
    pub autohandle: u32,
}

impl Qdiscs {
    /// Adds a discipline.
    pub fn insert(&mut self, qdisc: Qdisc) -> QdiscId {
        if let Some(id) = self.free.pop() {
            self.slots[id.index()] = Some(qdisc);
            return id;
        }
        self.slots.push(Some(qdisc));
        QdiscId(self.slots.len() as u32 - 1)
    }

    /// Removes a discipline.
    pub fn remove(&mut self, id: QdiscId) -> Option<Qdisc> {
        let qdisc = self.slots.get_mut(id.index())?.take()?;
        self.free.push(id);
        Some(qdisc)
    }

    /// The device knows a discipline below its root; `invisible`: it is shown only on request (`qdisc_hash_add`).
    pub fn hash_add(&mut self, id: QdiscId, invisible: bool) {
        let qdisc = &self[id];
        if qdisc.parent == TC_H_ROOT || qdisc.has(TCQ_F_INGRESS) {
            return;
        }
        self.hash_seq += 1;
        let seq = self.hash_seq;
        let qdisc = &mut self[id];
        qdisc.hash_seq = seq;
        qdisc.flags |= if invisible { TCQ_F_INVISIBLE } else { 0 };
    }

    /// The discipline, if it exists.
    pub fn get(&self, id: QdiscId) -> Option<&Qdisc> {
        self.slots.get(id.index())?.as_ref()
    }

    /// The discipline, if it exists, to change it.
    pub fn get_mut(&mut self, id: QdiscId) -> Option<&mut Qdisc> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (QdiscId, &Qdisc)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| Some((QdiscId(at as u32), slot.as_ref()?)))
    }
}

impl Default for Qdiscs {
    fn default() -> Qdiscs {
        let mut noop = Qdisc::new(&NOOP_QDISC_OPS, DevId(u32::MAX), 0);
        noop.flags |= TCQ_F_BUILTIN;
        Qdiscs {
            slots: vec![Some(noop)],
            free: Vec::new(),
            to_free: Vec::new(),
            hash_seq: 0,
            autohandle: 0x8000_0000,
        }
    }
}

impl std::ops::Index<QdiscId> for Qdiscs {
    type Output = Qdisc;
    #[inline]
    fn index(&self, id: QdiscId) -> &Qdisc {
        self.slots[id.index()].as_ref().expect("a discipline that is attached")
    }
}

impl std::ops::IndexMut<QdiscId> for Qdiscs {
    #[inline]
    fn index_mut(&mut self, id: QdiscId) -> &mut Qdisc {
        self.slots[id.index()].as_mut().expect("a discipline that is attached")
    }
}
