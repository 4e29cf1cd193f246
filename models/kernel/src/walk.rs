//! The walk: one loop that opens door after door.
//!
//! Tracing, timing and the limit on endless walks live here and nowhere else.

use crate::cost;
use crate::cx::Cx;
use crate::door::{Door, Func};
use crate::ids::SkbId;
use crate::trace::{Step, StepKind};

impl Cx<'_> {
    /// Walks from `door` until the packet's way ends, and then through whatever was put off with
    /// [`Cx::afterwards`], last put off first.
    pub fn walk(&mut self, door: Door) {
        let base = self.later.len();
        let mut door = door;
        loop {
            while !matches!(door, Door::End) {
                self.charge();
                if self.observed {
                    self.record_door(&door);
                }
                door = door.open(self);
            }
            if self.later.len() == base {
                return;
            }
            door = self.later.pop().expect("longer than base");
        }
    }

    /// The door that always comes next. An observed walk returns to the loop for it; otherwise it is opened at
    /// once, which saves the loop a turn.
    #[inline(always)]
    pub fn pass(&mut self, door: Door) -> Door {
        if self.observed {
            return door;
        }
        self.charge();
        door.open(self)
    }

    /// The CPU has spent its time on one more function.
    #[inline(always)]
    fn charge(&mut self) {
        self.now.0 += cost::FUNCTION.0;
    }

    /// Puts a door off until the way of the packet in hand has ended: the caller of a function that it has
    /// called goes on.
    #[inline]
    pub fn afterwards(&mut self, door: Door) {
        self.later.push(door);
    }

    /// A function is asked about a packet, and returns.
    #[inline]
    pub fn call(&mut self, func: Func, skb: SkbId) {
        self.charge();
        if self.observed {
            self.record_skb(func, StepKind::Call, skb);
        }
    }

    /// A function runs that is about no packet yet.
    #[inline]
    pub fn call_without_skb(&mut self, func: Func) {
        self.charge();
        if self.observed {
            self.record(func, StepKind::Call, 0, u32::MAX);
        }
    }

    #[inline(never)]
    fn record_door(&mut self, door: &Door) {
        if let Some((func, skb)) = door.func() {
            self.record_skb(func, StepKind::Door, skb);
        }
    }

    #[inline(never)]
    pub(crate) fn record_skb(&mut self, func: Func, kind: StepKind, skb: SkbId) {
        let (packet, dev) = (self.skbs[skb].packet, self.skbs[skb].dev);
        let label = self.k.devs.get(dev).map_or(u32::MAX, |dev| dev.label);
        self.record(func, kind, packet, label);
    }

    fn record(&mut self, func: Func, kind: StepKind, packet: u32, dev: u32) {
        let step = Step {
            at: self.now,
            packet,
            dev,
            func,
            kind,
            context: self.context,
            cpu: self.cpu.0 as u8,
            machine: self.k.id,
        };
        self.trace.steps.push(step);
    }
}
