//! What a door works with: one machine's kernel, on one of its CPUs, at one moment.

use glassnet_hardware::{Arrival, Fabric};
use glassnet_sim::{Dice, EventQueue, Nanos};

use crate::Kernel;
use crate::door::{Door, Func};
use crate::ids::{CpuId, MachineId, SkbId};
use crate::tables::drop_reason::DropReason;
use crate::tables::skb::SkbPool;
use crate::timer::Timer;
use crate::trace::{Context, Level, Note, StepKind, Trace};
use crate::world::Event;

/// A CPU at work: the kernel it runs and what all machines share.
pub struct Cx<'w> {
    /// The machine's kernel.
    pub k: &'w mut Kernel,
    /// All packets.
    pub skbs: &'w mut SkbPool,
    /// What happens later.
    pub events: &'w mut EventQueue<Event>,
    /// The cables.
    pub fabric: &'w mut Fabric,
    /// Where the cables' arrivals are collected before they become events.
    pub arrivals: &'w mut Vec<Arrival>,
    /// Chance.
    pub dice: &'w mut Dice,
    /// What the observer sees.
    pub trace: &'w mut Trace,
    /// Doors that were put off.
    pub(crate) later: &'w mut Vec<Door>,
    /// How many packets were polled since the count was reset.
    pub(crate) polled: &'w mut u64,
    /// A task may have something to do.
    pub(crate) wakeups: &'w mut bool,
    /// The CPU.
    pub cpu: CpuId,
    /// In which context it runs.
    pub context: Context,
    /// The CPU's clock.
    pub now: Nanos,
    /// Somebody wants to see the doors.
    pub(crate) observed: bool,
}

impl Cx<'_> {
    /// Drops a packet, and says why (`kfree_skb_reason`, net/core/skbuff.c).
    #[cold]
    pub fn kfree_skb(&mut self, skb: SkbId, reason: DropReason) -> Door {
        self.now += crate::cost::FUNCTION;
        if self.observed {
            self.record_skb(Func::KfreeSkbReason, StepKind::Drop(reason), skb);
        }
        *self.k.drops.entry(reason).or_default() += 1;
        self.skbs.release(skb);
        Door::End
    }

    /// Frees a packet that did what it was for (`consume_skb`, net/core/skbuff.c).
    #[inline]
    pub fn consume_skb(&mut self, skb: SkbId) -> Door {
        self.call(Func::ConsumeSkb, skb);
        self.skbs.release(skb);
        Door::End
    }

    /// A second handle of a packet (`skb_clone`, net/core/skbuff.c).
    pub fn skb_clone(&mut self, skb: SkbId) -> SkbId {
        self.call(Func::SkbClone, skb);
        self.skbs.clone_skb(skb)
    }

    /// A remark about the last step, made only if somebody looks that closely. `key` says in one word what it
    /// is about.
    #[inline]
    pub fn note(&mut self, key: &'static str, text: impl FnOnce(&Self) -> String) {
        if self.observed {
            self.write_note(key, text);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_note(&mut self, key: &'static str, text: impl FnOnce(&Self) -> String) {
        if self.trace.level == Level::Detail {
            let text = text(self);
            let step = self.trace.steps.len().saturating_sub(1);
            self.trace.notes.push(Note { step, key, text });
        }
    }

    /// Sets a timer of this machine.
    pub fn set_timer(&mut self, at: Nanos, timer: Timer) {
        self.events.schedule(at, Event::Timer { machine: self.machine(), timer });
    }

    /// Programs that wait for something should look again.
    #[inline]
    pub fn wake_up(&mut self) {
        *self.wakeups = true;
    }

    /// The machine.
    pub fn machine(&self) -> MachineId {
        self.k.id
    }
}
