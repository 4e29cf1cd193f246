//! The actions of filters of a machine (`struct tc_action`, include/net/act_api.h).
//!
//! Filters share actions that have the same index.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use crate::action::{ActionData, TcAct, TcActionOps};
use crate::ids::{NetnsId, TcActionId};
use crate::qdisc::{BasicStats, QueueStats};

/// When it was made and used, in jiffies (`struct tcf_t`).
#[derive(Clone, Copy, Debug)]
pub struct ActionTimes {
    /// Made.
    pub install: u64,
    /// Used last; before it was used, made.
    pub lastuse: u64,
    /// Used first.
    pub firstuse: Option<u64>,
}

/// An action.
#[derive(Debug)]
pub struct TcAction {
    /// Its kind.
    pub ops: &'static TcActionOps,
    /// Its namespace.
    pub netns: NetnsId,
    /// Its number among those of its kind in the namespace.
    pub index: u32,
    /// Who has it.
    pub refcnt: u32,
    /// How many of them are filters.
    pub bindcnt: u32,
    /// What it says of packets, unless it finds something else.
    pub action: TcAct,
    /// What it was told, and what it remembers.
    pub data: Box<dyn ActionData>,
    /// Packets that it saw.
    pub bstats: BasicStats,
    /// What became of them.
    pub qstats: QueueStats,
    /// When.
    pub tm: ActionTimes,
    /// It stands in the line of a filter, without the word `action` (`TCA_OLD_COMPAT`).
    pub is_old: bool,
}

/// The actions of a machine.
#[derive(Debug, Default)]
pub struct TcActions {
    /// The log has that an action's device is gone, which it is told once.
    pub gone_told: bool,
    slots: Vec<Option<TcAction>>,
    by_index: BTreeMap<(NetnsId, &'static str, u32), TcActionId>,
}

impl TcActions {
    /// Adds one that somebody has; `index` 0: the lowest free one is chosen.
    pub fn insert(&mut self, mut action: TcAction) -> TcActionId {
        let (netns, kind) = (action.netns, action.ops.kind);
        if action.index == 0 {
            let taken = |index: &u32| self.by_index.contains_key(&(netns, kind, *index));
            action.index = (1..).find(|index| !taken(index)).unwrap_or(1);
        }
        let at = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let id = TcActionId(at as u32);
        self.by_index.insert((netns, kind, action.index), id);
        self.slots[at] = Some(action);
        id
    }

    /// The one of a kind with this index.
    pub fn find(&self, netns: NetnsId, kind: &'static str, index: u32) -> Option<TcActionId> {
        self.by_index.get(&(netns, kind, index)).copied()
    }

    /// All of a kind, in the order of their indices.
    pub fn of_kind(&self, netns: NetnsId, kind: &'static str) -> Vec<TcActionId> {
        let range = (netns, kind, 0)..=(netns, kind, u32::MAX);
        self.by_index.range(range).map(|(_, id)| *id).collect()
    }

    /// All.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut TcAction> {
        self.slots.iter_mut().flatten()
    }

    /// Somebody has it no more; it ends when that was the last. `binds`: a filter (`__tcf_idr_release`).
    pub fn release(&mut self, id: TcActionId, binds: bool) {
        let Some(action) = self.slots[id.index()].as_mut() else { return };
        action.refcnt -= 1;
        action.bindcnt -= u32::from(binds);
        if action.refcnt == 0 {
            self.by_index.remove(&(action.netns, action.ops.kind, action.index));
            self.slots[id.index()] = None;
        }
    }
}

impl Index<TcActionId> for TcActions {
    type Output = TcAction;
    fn index(&self, id: TcActionId) -> &TcAction {
        self.slots[id.index()].as_ref().expect("an action that somebody has")
    }
}

impl IndexMut<TcActionId> for TcActions {
    fn index_mut(&mut self, id: TcActionId) -> &mut TcAction {
        self.slots[id.index()].as_mut().expect("an action that somebody has")
    }
}
