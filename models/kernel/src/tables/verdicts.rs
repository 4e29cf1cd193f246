//! Hooks that packets of a connection passed, remembered for the next ones.
//!
//! Nothing of it shows. Functions of a hook that said `Accept` to a packet and left it alone, for reasons that hold for
//! every packet of its connection and direction, need not be asked again until rules, hooks, devices or the state of the
//! connection change: the packet is counted where they counted the first, and their CPU time is charged. What is
//! observed, and what depends on more than the flow, is always asked.

use glassnet_sim::Nanos;

use super::conntrack::{Conn, CtInfo, Dir, Remembered};
use super::netfilter::{HOOKS, Hook, HookState};
use super::xt::counters::Counters;
use crate::ids::DevId;

/// A counter that a packet is counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Of the policy that a table (by [`super::xt::installed::table_number`]) has at a hook.
    Policy {
        /// The hook.
        hook: Hook,
        /// The table.
        table: u32,
    },
    /// Of a rule.
    Rule {
        /// The table.
        table: u32,
        /// Index of the chain.
        chain: u32,
        /// Index of the rule.
        rule: u32,
    },
}

/// What decides beside the connection's tuples: equal for two packets of a direction, all functions say the same. The
/// devices, the packet's mark and the connection's, the connection's `IPS_*` with the first function that was asked
/// (connection tracking's own come before it), and how the packet belongs to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions([u32; 6]);

impl Conditions {
    /// Of a packet with this mark, from this function on.
    #[inline(always)]
    pub fn new(state: &HookState, mark: u32, conn: &Conn, info: CtInfo, from: u16) -> Conditions {
        let device = |dev: Option<DevId>| dev.map_or(u32::MAX, |dev| dev.0);
        let status = u32::from(conn.status) << 16 | u32::from(from);
        Conditions([device(state.input), device(state.output), mark, conn.mark, status, info as u32])
    }
}

/// A hook that was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Of packets like this.
    pub conditions: Conditions,
    /// What the functions cost, ns.
    pub cost: Nanos,
    /// Where they counted the packet.
    pub counters: Vec<Counter>,
}

const _: () = assert!(Remembered::HOOKS == HOOKS.len(), "a number for each hook");

/// In [`super::conntrack::Remembered`]: nothing is known yet.
const UNKNOWN: u8 = 0;
/// In [`super::conntrack::Remembered`]: something depends on more than the flow.
const ALWAYS_ASKED: u8 = u8::MAX;

/// What a namespace's memory has to say of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// It passes as this one did: an index for [`Passages::pass`].
    Passes(u8),
    /// It is to be watched.
    Nothing,
    /// Watching it is of no use.
    AlwaysAsked,
}

/// The passages of a namespace. Many flows share one.
#[derive(Clone, Debug, Default)]
pub struct Passages {
    /// What they were found under: generations of hooks, rules and names of devices.
    stamp: [u32; 3],
    /// Counts the stamps.
    epoch: u32,
    /// With the packets that passed by memory and are not yet counted on its counters.
    list: Vec<(Passage, Counters)>,
}

impl Passages {
    /// Forgets everything if something changed, after [`Passages::settle`].
    #[inline(always)]
    pub fn renew(&mut self, stamp: [u32; 3], count: impl FnMut(Counter, Counters)) {
        if self.stamp != stamp || self.epoch == 0 {
            self.begin(stamp, count);
        }
    }

    #[cold]
    fn begin(&mut self, stamp: [u32; 3], count: impl FnMut(Counter, Counters)) {
        // If it was the rules that changed, nothing is left to count.
        self.settle(count);
        self.stamp = stamp;
        self.epoch += 1;
        self.list.clear();
    }

    /// What is known of packets of a connection.
    #[inline(always)]
    pub fn find(&self, conn: &Conn, dir: Dir, hook: Hook, conditions: &Conditions) -> Known {
        let remembered = &conn.remembered;
        if remembered.epoch != self.epoch {
            return Known::Nothing;
        }
        match remembered.numbers[dir as usize][hook as usize] {
            UNKNOWN => Known::Nothing,
            ALWAYS_ASKED => Known::AlwaysAsked,
            number if self.list[usize::from(number) - 1].0.conditions == *conditions => {
                Known::Passes(number - 1)
            }
            _ => Known::Nothing,
        }
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// A packet of this length, in bytes, passes; returns what it costs.
    #[inline(always)]
    pub fn pass(&mut self, at: u8, len: usize) -> Nanos {
        let (passage, uncounted) = &mut self.list[usize::from(at)];
        uncounted.count(len);
        passage.cost
    }

    /// Counts what passed by memory: before a counter or the place of a rule changes.
    pub fn settle(&mut self, mut count: impl FnMut(Counter, Counters)) {
        self.uncounted().for_each(|(counter, packets)| count(counter, packets));
        self.list.iter_mut().for_each(|(_, uncounted)| *uncounted = Counters::default());
    }

    /// What passed by memory and is not yet counted. Of a passage that nothing passed the rules may be gone by now.
    pub fn uncounted(&self) -> impl Iterator<Item = (Counter, Counters)> {
        let some = self.list.iter().filter(|(_, uncounted)| uncounted.packets > 0);
        some.flat_map(|(passage, uncounted)| {
            passage.counters.iter().map(move |counter| (*counter, *uncounted))
        })
    }

    /// Remembers for a connection how its packets of a direction pass a hook; `None`: that they are always to be asked.
    pub fn keep(&mut self, conn: &mut Conn, info: CtInfo, hook: Hook, passage: Option<Passage>) {
        let number = passage.and_then(|passage| self.number(passage)).unwrap_or(ALWAYS_ASKED);
        if conn.remembered.epoch != self.epoch {
            conn.remembered = Remembered { epoch: self.epoch, ..Remembered::default() };
        }
        conn.remembered.numbers[info.dir() as usize][hook as usize] = number;
    }

    /// The number of a passage, from 1 on; `None` if there are too many.
    fn number(&mut self, passage: Passage) -> Option<u8> {
        let at = self.list.iter().position(|(known, _)| *known == passage).unwrap_or_else(|| {
            self.list.push((passage, Counters::default()));
            self.list.len() - 1
        });
        if at + 1 < usize::from(ALWAYS_ASKED) {
            return Some(at as u8 + 1);
        }
        self.list.truncate(usize::from(ALWAYS_ASKED) - 1);
        None
    }
}

/// A packet that is watched on its way through a hook.
#[derive(Debug, Default)]
pub struct Watch {
    /// One is.
    active: bool,
    /// Something depended on more than its flow.
    more: bool,
    counters: Vec<Counter>,
    /// Which one, counted: on its way another packet may be sent and watched.
    serial: u32,
}

impl Watch {
    /// A packet is watched from now on; returns its serial number.
    pub fn begin(&mut self) -> u32 {
        (self.active, self.more) = (true, false);
        self.counters.clear();
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// It has passed: where it was counted; `None` if something depended on more than its flow.
    pub fn end(&mut self, serial: u32) -> Option<Vec<Counter>> {
        let is_known = self.active && !self.more && self.serial == serial;
        self.active = false;
        is_known.then(|| self.counters.clone())
    }

    /// The packet in hand is counted.
    #[inline]
    pub fn counts(&mut self, counter: Counter) {
        if self.active {
            self.counters.push(counter);
        }
    }

    /// What is done with the packet in hand depends on more than its flow.
    #[inline]
    pub fn depends_on_more(&mut self) {
        self.more = true;
    }
}
