//! The classes of `htb`: who may send, who borrows from whom, and whose turn it is.
//!
//! Kernel: net/sched/sch_htb.c

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::psched::RateCfg;
use crate::ids::QdiscId;
use crate::qdisc::BasicStats;

/// Levels of classes; leaves are at level 0, those without a parent at the highest (`TC_HTB_MAXDEPTH`).
pub const MAXDEPTH: usize = 8;
/// Priorities (`TC_HTB_NUMPRIO`).
pub const NUMPRIO: usize = 8;

/// What a class may do (`enum htb_cmode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is over its ceiling.
    CantSend,
    /// It is over its rate.
    MayBorrow,
    /// It may send.
    CanSend,
}

/// Classes that take turns (`struct htb_prio`), by their handles.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    row: BTreeSet<u32>,
    /// Whose turn it is.
    ptr: Option<u32>,
    /// Whose turn it was when it left; 0: nobody left.
    last: u32,
}

impl Turns {
    fn next(&mut self) {
        self.ptr =
            self.ptr.and_then(|id| self.row.range((Bound::Excluded(id), Bound::Unbounded)).next().copied());
    }
}

/// A class (`struct htb_class`).
#[derive(Clone, Debug)]
pub struct Class {
    /// Its parent; `None`: the discipline.
    pub parent: Option<u32>,
    /// Its level.
    pub level: usize,
    /// Children.
    pub children: u32,
    /// The queue of a leaf.
    pub leaf: QdiscId,
    /// Its rate, and its ceiling.
    pub rate: RateCfg,
    /// The most that it may send when others lend.
    pub ceil: RateCfg,
    /// Depths of the buckets, ns.
    pub buffer: i64,
    /// The same of the ceiling.
    pub cbuffer: i64,
    /// What is in the buckets, ns.
    pub tokens: i64,
    /// The same of the ceiling.
    pub ctokens: i64,
    /// When that was, ns.
    pub t_c: i64,
    /// Priority of a leaf; 0 comes first.
    pub prio: u32,
    /// Bytes of a turn.
    pub quantum: i32,
    /// Bytes left in its turn, for each level that it borrows from.
    pub deficit: [i32; MAXDEPTH],
    /// Packets that were sent.
    pub bstats: BasicStats,
    /// Packets that were dropped.
    pub drops: u32,
    /// How often it reached its ceiling.
    pub overlimits: u32,
    /// Packets that it lent, and that it borrowed.
    pub lends: u32,
    /// Packets that it sent with what its parent lent.
    pub borrows: u32,
    mode: Mode,
    /// Priorities at which it, or a leaf below it, has packets; a bit each.
    active: u32,
    /// When its mode changes, with a number that keeps the order, while it waits.
    wait: Option<(i64, u64)>,
    /// Children of an inner class that borrow, a priority each.
    feed: [Turns; NUMPRIO],
}

/// The longest time that tokens are missing for, ns (`mbuffer`).
const MBUFFER: i64 = 60_000_000_000;

impl Class {
    /// A leaf.
    pub fn new(parent: Option<u32>, leaf: QdiscId, now: i64) -> Class {
        Class {
            parent,
            level: 0,
            children: 0,
            leaf,
            rate: RateCfg::default(),
            ceil: RateCfg::default(),
            buffer: 0,
            cbuffer: 0,
            tokens: 0,
            ctokens: 0,
            t_c: now,
            prio: 0,
            quantum: 0,
            deficit: [0; MAXDEPTH],
            bstats: BasicStats::default(),
            drops: 0,
            overlimits: 0,
            lends: 0,
            borrows: 0,
            mode: Mode::CanSend,
            active: 0,
            wait: None,
            feed: Default::default(),
        }
    }

    /// Its mode `diff` after its last reckoning, and how long until it changes.
    fn mode_after(&self, diff: i64) -> (Mode, i64) {
        let ctokens = self.ctokens + diff;
        if ctokens < 0 {
            return (Mode::CantSend, -ctokens);
        }
        let tokens = self.tokens + diff;
        if tokens >= 0 { (Mode::CanSend, diff) } else { (Mode::MayBorrow, -tokens) }
    }
}

fn spend(tokens: i64, depth: i64, diff: i64, rate: &RateCfg, len: u32) -> i64 {
    let left = (diff + tokens).min(depth) - rate.l2t_ns(len);
    if left <= -MBUFFER { 1 - MBUFFER } else { left }
}

/// A row of classes that may send, or the children of a class that borrow.
#[derive(Clone, Copy, Debug)]
enum At {
    Row(usize),
    Feed(u32),
}

/// All classes of a discipline.
#[derive(Debug, Default)]
pub struct Classes {
    by_id: BTreeMap<u32, Class>,
    /// The kernel's hash table, whose order is that of lists.
    buckets: Vec<Vec<u32>>,
    rows: [[Turns; NUMPRIO]; MAXDEPTH],
    /// Classes whose mode changes at a time, for each level.
    waits: [BTreeSet<(i64, u64, u32)>; MAXDEPTH],
    waited: u64,
    /// When the first of a level changes (`near_ev_cache`).
    near: [i64; MAXDEPTH],
    /// The time of the reckoning, ns.
    pub now: i64,
    /// How often a class reached its ceiling.
    pub overlimits: u32,
}

fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let prio = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(prio)
    })
}

impl Classes {
    /// The class of a handle.
    pub fn get(&self, id: u32) -> Option<&Class> {
        self.by_id.get(&id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Class> {
        self.by_id.get_mut(&id)
    }

    fn class(&self, id: u32) -> &Class {
        &self.by_id[&id]
    }

    fn class_mut(&mut self, id: u32) -> &mut Class {
        self.by_id.get_mut(&id).expect("a class in a row exists")
    }

    /// Adds a class.
    pub fn insert(&mut self, id: u32, class: Class) {
        if self.buckets.is_empty() {
            self.buckets = vec![Vec::new(); 4];
        }
        if let Some(parent) = class.parent.and_then(|parent| self.get_mut(parent)) {
            parent.children += 1;
        }
        self.by_id.insert(id, class);
        Self::hash(&mut self.buckets, id);
        if self.by_id.len() * 4 > self.buckets.len() * 3 {
            let mut wider = vec![Vec::new(); self.buckets.len() * 2];
            self.buckets.iter().flatten().for_each(|id| Self::hash(&mut wider, *id));
            self.buckets = wider;
        }
    }

    fn hash(buckets: &mut [Vec<u32>], id: u32) {
        let mixed = id ^ (id >> 8);
        let at = (mixed ^ (mixed >> 4)) as usize & (buckets.len() - 1);
        buckets[at].insert(0, id);
    }

    /// All handles, in the order of the kernel's hash table.
    pub fn ids(&self) -> Vec<u32> {
        self.buckets.iter().flatten().copied().collect()
    }

    /// Takes a class out, which no longer has packets.
    pub fn remove(&mut self, id: u32) -> Option<Class> {
        self.deactivate(id);
        self.stop_waiting(id);
        self.buckets.iter_mut().for_each(|bucket| bucket.retain(|other| *other != id));
        let class = self.by_id.remove(&id)?;
        if let Some(parent) = class.parent.and_then(|parent| self.get_mut(parent)) {
            parent.children -= 1;
        }
        Some(class)
    }

    /// A leaf gets children: it lends from now on. Its queue is returned.
    pub fn make_inner(&mut self, id: u32) -> QdiscId {
        self.deactivate(id);
        self.stop_waiting(id);
        let above = self.class(id).parent.map_or(MAXDEPTH, |parent| self.class(parent).level);
        let class = self.class_mut(id);
        (class.mode, class.level, class.feed) = (Mode::CanSend, above - 1, Default::default());
        std::mem::replace(&mut class.leaf, QdiscId::NOOP)
    }

    /// A class lost its last child: it is a leaf again.
    pub fn make_leaf(&mut self, id: u32, leaf: QdiscId, now: i64) {
        self.stop_waiting(id);
        let class = self.class_mut(id);
        (class.level, class.leaf, class.feed) = (0, leaf, Default::default());
        (class.tokens, class.ctokens, class.t_c) = (class.buffer, class.cbuffer, now);
        class.mode = Mode::CanSend;
    }

    /// Nothing waits any more.
    pub fn reset(&mut self) {
        for class in self.by_id.values_mut() {
            (class.active, class.mode, class.wait, class.feed) = (0, Mode::CanSend, None, Default::default());
        }
        (self.rows, self.waits) = (Default::default(), Default::default());
    }

    fn turns(&mut self, at: At, prio: usize) -> &mut Turns {
        match at {
            At::Row(level) => &mut self.rows[level][prio],
            At::Feed(id) => &mut self.class_mut(id).feed[prio],
        }
    }

    /// A leaf has packets.
    pub fn activate(&mut self, id: u32) {
        let class = self.class_mut(id);
        if class.active == 0 {
            class.active = 1 << class.prio;
            self.activate_prios(id);
        }
    }

    /// A leaf has none any more.
    pub fn deactivate(&mut self, id: u32) {
        if self.get(id).is_some_and(|class| class.active != 0) {
            self.deactivate_prios(id);
            self.class_mut(id).active = 0;
        }
    }

    /// The class takes its turns: in its row if it may send, and among its siblings if it borrows.
    fn activate_prios(&mut self, id: u32) {
        let (mut id, mut mask) = (id, self.class(id).active);
        while self.class(id).mode == Mode::MayBorrow
            && let Some(parent) = self.class(id).parent
            && mask != 0
        {
            for prio in bits(mask) {
                let feed = &mut self.class_mut(parent).feed[prio].row;
                if !feed.is_empty() {
                    // The parent takes its turns already.
                    mask &= !(1 << prio);
                }
                feed.insert(id);
            }
            self.class_mut(parent).active |= mask;
            id = parent;
        }
        let (mode, level) = (self.class(id).mode, self.class(id).level);
        if mode == Mode::CanSend {
            bits(mask).for_each(|prio| _ = self.rows[level][prio].row.insert(id));
        }
    }

    /// The opposite, with the mode that the class had.
    fn deactivate_prios(&mut self, id: u32) {
        let (mut id, mut mask) = (id, self.class(id).active);
        while self.class(id).mode == Mode::MayBorrow
            && let Some(parent) = self.class(id).parent
            && mask != 0
        {
            let mut gone = 0;
            for prio in bits(mask) {
                let turns = &mut self.class_mut(parent).feed[prio];
                if turns.ptr == Some(id) {
                    (turns.last, turns.ptr) = (id, None);
                }
                turns.row.remove(&id);
                gone |= u32::from(turns.row.is_empty()) << prio;
            }
            mask = gone;
            self.class_mut(parent).active &= !mask;
            id = parent;
        }
        let (mode, level) = (self.class(id).mode, self.class(id).level);
        if mode == Mode::CanSend {
            for prio in bits(mask) {
                let turns = &mut self.rows[level][prio];
                if turns.ptr == Some(id) {
                    turns.next();
                }
                turns.row.remove(&id);
            }
        }
    }

    /// Sets the mode of a class `diff` after its last reckoning; returns how long until it changes.
    fn change_mode(&mut self, id: u32, diff: i64) -> i64 {
        let (new, until) = self.class(id).mode_after(diff);
        let (old, active) = (self.class(id).mode, self.class(id).active);
        if new == old {
            return until;
        }
        if new == Mode::CantSend {
            self.class_mut(id).overlimits += 1;
            self.overlimits += 1;
        }
        if active != 0 && old != Mode::CantSend {
            self.deactivate_prios(id);
        }
        self.class_mut(id).mode = new;
        if active != 0 && new != Mode::CantSend {
            self.activate_prios(id);
        }
        until
    }

    fn wait(&mut self, id: u32, delay: i64) {
        let at = if delay == 0 { self.now + 1 } else { self.now + delay };
        self.waited += 1;
        let (level, seq) = (self.class(id).level, self.waited);
        self.class_mut(id).wait = Some((at, seq));
        self.near[level] = self.near[level].min(at);
        self.waits[level].insert((at, seq, id));
    }

    fn stop_waiting(&mut self, id: u32) {
        let Some(class) = self.by_id.get_mut(&id) else { return };
        if let Some((at, seq)) = class.wait.take() {
            self.waits[class.level].remove(&(at, seq, id));
        }
    }

    /// A leaf sent a packet with what a class at `level` lent it: it and those above it pay.
    pub fn charge(&mut self, leaf: u32, level: usize, len: u32) {
        let mut next = Some(leaf);
        while let Some(id) = next {
            let now = self.now;
            let class = self.class_mut(id);
            let diff = (now - class.t_c).min(MBUFFER);
            if class.level >= level {
                class.lends += u32::from(class.level == level);
                class.tokens = spend(class.tokens, class.buffer, diff, &class.rate, len);
            } else {
                class.borrows += 1;
                class.tokens += diff;
            }
            class.ctokens = spend(class.ctokens, class.cbuffer, diff, &class.ceil, len);
            class.t_c = now;
            if class.level > 0 {
                class.bstats.bytes += u64::from(len);
                class.bstats.packets += 1;
            }
            let old = class.mode;
            next = class.parent;
            let until = self.change_mode(id, 0);
            let new = self.class(id).mode;
            if old != new {
                self.stop_waiting(id);
                if new != Mode::CanSend {
                    self.wait(id, until);
                }
            }
        }
    }

    /// Changes the modes whose time has come at a level; returns when the next one changes.
    pub fn do_events(&mut self, level: usize) -> i64 {
        const SECOND: i64 = 1_000_000_000;
        if self.now < self.near[level] {
            return self.near[level];
        }
        let next = loop {
            let Some((at, _, id)) = self.waits[level].first().copied() else { break self.now + SECOND };
            if at > self.now {
                break at;
            }
            self.stop_waiting(id);
            let diff = (self.now - self.class(id).t_c).min(MBUFFER);
            let until = self.change_mode(id, diff);
            if self.class(id).mode != Mode::CanSend {
                self.wait(id, until);
            }
        };
        self.near[level] = next;
        next
    }

    /// Priorities at which a class of a level may send.
    pub fn prios(&self, level: usize) -> Vec<usize> {
        (0..NUMPRIO).filter(|prio| !self.rows[level][*prio].row.is_empty()).collect()
    }

    /// Some class of a level may send at a priority.
    pub fn has_row(&self, level: usize, prio: usize) -> bool {
        !self.rows[level][prio].row.is_empty()
    }

    /// The leaf whose turn it is.
    pub fn lookup_leaf(&mut self, level: usize, prio: usize) -> Option<u32> {
        if !self.has_row(level, prio) {
            return None;
        }
        let mut path = vec![At::Row(level)];
        // The kernel gives up, too.
        for _ in 0..65_535 {
            let at = *path.last()?;
            let turns = self.turns(at, prio);
            if turns.ptr.is_none() && turns.last != 0 {
                turns.ptr = turns.row.range(turns.last..).next().copied();
            }
            turns.last = 0;
            let ptr = turns.ptr;
            match ptr {
                None => {
                    turns.ptr = turns.row.first().copied();
                    if path.len() > 1 {
                        path.pop();
                        let above = *path.last()?;
                        self.turns(above, prio).next();
                    }
                }
                Some(id) if self.class(id).level == 0 => return Some(id),
                Some(id) => path.push(At::Feed(id)),
            }
        }
        None
    }

    /// The turn of a leaf is over: of one that borrows, among its siblings.
    pub fn next_turn(&mut self, leaf: u32, level: usize, prio: usize) {
        let at = match self.class(leaf).parent.filter(|_| level > 0) {
            Some(parent) => At::Feed(parent),
            None => At::Row(0),
        };
        self.turns(at, prio).next();
    }
}
