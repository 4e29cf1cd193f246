//! What an observer sees: every door that a packet passes, and every frame on a device.
//!
//! A walk that nobody observes pays one branch a door. Steps are small and hold no text: names are looked up when
//! they are shown.

use std::collections::BTreeMap;

use glassnet_sim::Nanos;

use crate::chance::Script;
use crate::door::Func;
use crate::ids::{CpuId, MachineId, NetnsId};
use crate::note::Note;
use crate::tables::arphrd::Arphrd;
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
    /// When a door had handed the packet on; `None` for a call and a drop.
    pub handed_on: Option<Nanos>,
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
    /// What kind of link the device is.
    pub arphrd: Arphrd,
    /// The frame from its link header on.
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

/// A time that a CPU spent in one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// On which machine.
    pub machine: MachineId,
    /// Which CPU.
    pub cpu: CpuId,
    /// In which context.
    pub context: Context,
    /// The program whose system call it is, with its process id; `None`: it is none.
    pub program: Option<String>,
    /// From when on.
    pub from: Nanos,
    /// Until when.
    pub to: Nanos,
    /// Its first step, as an index into [`Trace::steps`].
    pub first: usize,
    /// The step behind its last one.
    pub end: usize,
}

/// A CPU takes an interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenInterrupt {
    /// When, by the clock of the CPU.
    pub at: Nanos,
    /// Its first step, as an index into [`Trace::steps`].
    pub step: usize,
    /// Its number, and who handles it; `None`: it comes from another CPU.
    pub irq: Option<(u32, String)>,
}

/// What a call of `net_rx_action` or `__napi_poll` did in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// The call, as an index into [`Trace::steps`].
    pub step: usize,
    /// Packets that it took.
    pub work: u32,
    /// Packets that it might take: the budget of `net_rx_action`, the weight of a poll.
    pub budget: u32,
    /// `net_rx_action` stopped with work left (`time_squeeze`).
    pub squeezed: bool,
}

/// A queue of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queue {
    /// The backlog of a CPU.
    Backlog(CpuId),
    /// Filled descriptors of a card's receive ring; the device is an index into the machine's labels.
    RxRing(u32, u32),
    /// The queueing discipline of a device's transmit queue.
    Qdisc(u32, u16),
}

/// The length of a queue, when a CPU had to do with it and it had changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// When, by the clock of the CPU.
    pub at: Nanos,
    /// On which machine.
    pub machine: MachineId,
    /// The step that found it so, as an index into [`Trace::steps`].
    pub step: usize,
    /// Which queue.
    pub queue: Queue,
    /// Packets in it.
    pub packets: u32,
}

/// A card had no descriptor for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// When.
    pub at: Nanos,
    /// On which machine.
    pub machine: MachineId,
    /// How many steps had happened.
    pub step: usize,
    /// Which device, as an index into the machine's labels.
    pub dev: u32,
    /// Which packet; 0: it came from no machine.
    pub packet: u32,
}

/// So many programs use up all the time of a CPU from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burners {
    /// When.
    pub at: Nanos,
    /// On which machine.
    pub machine: MachineId,
    /// Which CPU.
    pub cpu: CpuId,
    /// How many.
    pub programs: u32,
}

/// The record of an observed run. What CPUs did as a whole (spans, interrupts, polls, depths, missed frames, burners) is recorded at
/// [`Level::Detail`].
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
    /// What the CPUs did, in the order in which it happened: for each CPU in the order of time, without overlap.
    pub spans: Vec<Span>,
    /// Interrupts that CPUs took.
    pub interrupts: Vec<TakenInterrupt>,
    /// What polls did.
    pub polled: Vec<Polled>,
    /// Lengths of queues.
    pub depths: Vec<Depth>,
    /// Frames that found no descriptor.
    pub missed: Vec<Missed>,
    /// Programs that use up all the time of a CPU.
    pub burners: Vec<Burners>,
    /// The program that makes a system call.
    pub(crate) program: Option<String>,
    /// Calls that were entered and not left yet, as indexes into [`Trace::steps`]; the innermost is last.
    pub(crate) open: Vec<usize>,
    /// The door that is open in the innermost walk, as an index into [`Trace::steps`].
    pub(crate) door: Option<usize>,
    /// The first step in the present context of the CPU at work.
    pub(crate) span_first: usize,
    /// Last known lengths of queues.
    pub(crate) known_depths: BTreeMap<(MachineId, Queue), u32>,
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
        self.span_first = self.steps.len();
        if self.level == Level::Detail && self.entries.last() != Some(&self.steps.len()) {
            self.entries.push(self.steps.len());
        }
    }

    /// A program makes a system call (`Some`), or it has returned.
    pub fn in_program(&mut self, program: Option<impl FnOnce() -> String>) {
        if self.level == Level::Detail {
            self.program = program.map(|name| name());
        }
    }

    /// The length of a queue is this now.
    pub(crate) fn depth(&mut self, at: Nanos, machine: MachineId, queue: Queue, packets: u32) {
        let known = self.known_depths.entry((machine, queue)).or_default();
        if *known != packets {
            *known = packets;
            let step = self.steps.len().saturating_sub(1);
            self.depths.push(Depth { at, machine, step, queue, packets });
        }
    }
}
