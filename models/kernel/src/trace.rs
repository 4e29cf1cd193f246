//! What an observer sees: every door that a packet passes, and every frame on a device.
//!
//! A walk that nobody observes pays one branch a door. Steps are small and hold no text: names are looked up when
//! they are shown.

use std::collections::BTreeMap;

use glassnet_sim::Nanos;

use crate::chance::Script;
use crate::door::Func;
use crate::ids::{MachineId, NetnsId};
use crate::note::Note;
use crate::tables::drop_reason::DropReason;
use crate::tables::skb::PacketType;
use crate::tables::xt::{Table, Variant};

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Off,
    /// Every door and every look-up.
    Doors,
    /// Also what each look-up found, the headers, and which packet made which.
    Detail,
}

/// In which context a CPU runs (include/linux/preempt.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// On behalf of a program.
    Task,
    /// An interrupt handler.
    HardIrq,
    /// A softirq, after an interrupt or a task.
    SoftIrq,
    /// The function of a timer, which is a softirq (`TIMER_SOFTIRQ`).
    Timer,
    /// A softirq, in the thread that takes over under load.
    Ksoftirqd,
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The packet passed into this function.
    Door,
    /// The function was called about the packet and returned.
    Call,
    /// The packet was dropped.
    Drop(DropReason),
}

/// A function that a packet met.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// When it was entered, by the clock of its CPU.
    pub at: Nanos,
    /// When a call returned; `None` for a door, which hands the packet on, and a drop.
    pub left: Option<Nanos>,
    /// Which packet (`Skb::packet`).
    pub packet: u32,
    /// Which buffer: clones differ, and a number comes back once its buffer is freed; `u32::MAX` for none.
    pub skb: u32,
    /// Which device, as an index into the machine's [labels](crate::Kernel::labels).
    pub dev: u32,
    /// Which function.
    pub func: Func,
    /// Door, call or drop.
    pub kind: StepKind,
    /// In which context.
    pub context: Context,
    /// On which CPU.
    pub cpu: u8,
    /// On which machine.
    pub machine: MachineId,
}

/// A frame that a device sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When, by the clock of the CPU.
    pub at: Nanos,
    /// On which machine.
    pub machine: MachineId,
    /// Which device, as an index into the machine's labels.
    pub dev: u32,
    /// Which packet.
    pub packet: u32,
    /// Which way, and for whom.
    pub pkt_type: PacketType,
    /// The frame from its Ethernet header on.
    pub bytes: Vec<u8>,
}

/// A remark about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The step, as an index into [`Trace::steps`].
    pub step: usize,
    /// The remark.
    pub note: Note,
}

/// The headers of a packet as a step found them, if they are not those that an earlier step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The step, as an index into [`Trace::steps`].
    pub step: usize,
    /// They begin with an Ethernet header; otherwise with the network header.
    pub link: bool,
    /// Length of the packet from there on, bytes.
    pub len: usize,
    /// The first of its bytes, at most [`HEADER_BYTES`].
    pub bytes: Vec<u8>,
}

/// How many bytes of a packet are kept as its headers: an ICMP error with the header that it quotes fits.
pub const HEADER_BYTES: usize = 128;

/// The first step of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The step, as an index into [`Trace::steps`].
    pub step: usize,
    /// The packet (`Skb::packet`).
    pub packet: u32,
    /// The packet on whose behalf it was made: what it answers, reports, is a part of, or resolves an address
    /// for; 0: none.
    pub cause: u32,
}

/// A table as the first packet found it that met it after it was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenTable {
    /// On which machine.
    pub machine: MachineId,
    /// In which namespace.
    pub netns: NetnsId,
    /// Of which set of tables.
    pub variant: Variant,
    /// Its chains and rules; counters are those of that moment.
    pub table: Table,
}

/// A packet meets a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The step, as an index into [`Trace::steps`]; the notes about rules up to the next visit are of this table.
    pub step: usize,
    /// How many notes there were.
    pub note: usize,
    /// The table, as an index into [`Trace::tables`].
    pub table: u32,
}

/// The record of an observed run.
#[derive(Debug, Default)]
pub struct Trace {
    /// What is recorded.
    pub level: Level,
    /// Frames are recorded too.
    pub capture: bool,
    /// Steps in the order in which they happened.
    pub steps: Vec<Step>,
    /// Remarks, by step.
    pub notes: Vec<Noted>,
    /// Frames in the order in which they were seen.
    pub frames: Vec<Frame>,
    /// Headers that changed, by step.
    pub headers: Vec<Headers>,
    /// Tables that packets met.
    pub tables: Vec<SeenTable>,
    /// Which packet met which table, by step.
    pub visits: Vec<Visit>,
    /// How chance is to decide.
    pub script: Script,
    /// First steps of packets, by step.
    pub births: Vec<Birth>,
    /// How many steps had happened each time that a CPU began something new: a system call, an interrupt, a timer.
    pub entries: Vec<usize>,
    /// Calls that were entered and not left yet, as indexes into [`Trace::steps`]; the innermost is last.
    pub(crate) open: Vec<usize>,
    /// Which packet is in hand, 0: none. What is made now is made on its behalf.
    pub(crate) in_hand: u32,
    /// For each packet seen, its last entry in `headers`, if any.
    pub(crate) seen: BTreeMap<u32, Option<usize>>,
}

impl Trace {
    /// The packet of the last step meets a table, which `seen` is the number of if an earlier one met it as it is now.
    /// Returns the number.
    pub(crate) fn visit(&mut self, seen: Option<u32>, table: impl FnOnce() -> SeenTable) -> u32 {
        let table = seen.filter(|seen| (*seen as usize) < self.tables.len()).unwrap_or_else(|| {
            self.tables.push(table());
            self.tables.len() as u32 - 1
        });
        self.visits.push(Visit { step: self.steps.len().saturating_sub(1), note: self.notes.len(), table });
        table
    }

    /// A CPU begins something new: no packet is in hand.
    pub(crate) fn enter(&mut self) {
        self.in_hand = 0;
        if self.level == Level::Detail && self.entries.last() != Some(&self.steps.len()) {
            self.entries.push(self.steps.len());
        }
    }
}
