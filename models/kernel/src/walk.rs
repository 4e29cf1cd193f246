//! The walk: one loop that opens door after door.
//!
//! Tracing, timing and the limit on endless walks live here and nowhere else.

use crate::cx::Cx;
use crate::door::{Door, Func};
use crate::drivers::nic;
use crate::ids::SkbId;
use crate::trace::{Birth, HEADER_BYTES, Headers, Level, Polled, Queue, Step, StepKind};
use glassnet_sim::Nanos;

impl Cx<'_> {
    /// Walks from `door` until the packet's way ends, and then through whatever was put off with
    /// [`Cx::afterwards`], last put off first.
    pub fn walk(&mut self, door: Door) {
        let base = self.later.len();
        let outer = if self.observed { self.begin_walk() } else { (0, None) };
        let mut door = door;
        loop {
            while !matches!(door, Door::End) {
                if self.observed {
                    self.record_door(&door);
                }
                door = door.open(self);
            }
            if self.later.len() == base {
                if self.observed {
                    self.end_walk(outer);
                }
                return;
            }
            door = self.later.pop().expect("longer than base");
        }
    }

    /// Opens a door, and returns the next one for the caller to open.
    pub(crate) fn enter_door(&mut self, door: Door) -> Door {
        let in_hand = self.trace.in_hand;
        if self.observed {
            self.record_door(&door);
        }
        let next = door.open(self);
        self.trace.in_hand = in_hand;
        next
    }

    /// The door that always comes next. An observed walk returns to the loop for it; otherwise it is opened at
    /// once, which saves the loop a turn.
    #[inline(always)]
    pub fn pass(&mut self, door: Door) -> Door {
        if self.observed {
            return door;
        }
        door.open(self)
    }

    /// The CPU spends its time on a function.
    #[inline(always)]
    pub(crate) fn charge(&mut self, func: Func) {
        self.now.0 += self.k.profile.of(func).0;
    }

    /// The CPU copies so many bytes.
    #[inline]
    pub(crate) fn copy(&mut self, bytes: usize) {
        self.now.0 += self.k.profile.copied_kib.0 * bytes as u64 / 1024;
    }

    /// A program hands the kernel a message of so many bytes, or takes one.
    #[inline]
    pub(crate) fn system_call(&mut self, bytes: usize) {
        self.now += self.k.profile.system_call;
        self.copy(bytes);
    }

    /// The CPU searches routing tables whose sizes are [doubled](crate::tables::fib::Searched) so often.
    #[inline]
    pub(crate) fn charge_size(&mut self, doublings: u32) {
        self.now.0 += self.k.profile.route_doubling.0 * u64::from(doublings);
    }

    /// Puts a door off until the way of the packet in hand has ended: the caller of a function that it has
    /// called goes on.
    #[inline]
    pub fn afterwards(&mut self, door: Door) {
        self.later.push(door);
    }

    /// A function is asked about a packet, or runs before there is one. It calls no other function of the table, so it
    /// is left when its own time is over.
    #[inline]
    pub fn call(&mut self, func: Func, skb: impl Into<Option<SkbId>>) {
        if self.observed {
            self.enter(func, skb.into());
            self.leave(self.k.profile.of(func));
        }
        self.charge(func);
    }

    /// The same for a function that calls others: it is left when `body` ends.
    #[inline(always)]
    pub fn within<T>(
        &mut self,
        func: Func,
        skb: impl Into<Option<SkbId>>,
        body: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if self.observed {
            self.enter(func, skb.into());
        }
        self.charge(func);
        let done = body(self);
        if self.observed {
            self.leave(Nanos::ZERO);
        }
        done
    }

    /// The same for a function of a softirq, which may be suspended: what goes on with it enters it no second time.
    pub(crate) fn within_resumable<T>(&mut self, func: Func, body: impl FnOnce(&mut Self) -> T) -> T {
        let cpu = self.cpu.index();
        let entered = if self.resumes { self.k.cpus[cpu].suspended.pop() } else { None };
        if self.observed {
            match entered {
                Some(step) => self.trace.open.push(step),
                None => self.enter(func, None),
            }
        }
        if !self.resumes {
            self.charge(func);
        }
        let done = body(self);
        if self.observed && self.suspends {
            self.k.cpus[cpu].suspended.extend(self.trace.open.pop());
        } else if self.observed {
            self.leave(Nanos::ZERO);
        }
        done
    }

    /// A poll that has taken `work` packets looks before the next one: true if the softirq is suspended here, because something
    /// else happens first. Where computing takes no time, nothing does. The first packet is always taken.
    #[inline]
    pub fn suspend(&mut self, work: u32) -> bool {
        let overtaken = || self.events.next_at().is_some_and(|at| at < self.now);
        self.suspends = work > 0 && overtaken() && self.k.config.exec_time > Nanos::ZERO;
        self.resumes = false;
        self.suspends
    }

    #[inline(never)]
    fn enter(&mut self, func: Func, skb: Option<SkbId>) {
        self.trace.open.push(self.trace.steps.len());
        match skb {
            Some(skb) => self.record_skb(func, StepKind::Call, skb),
            None => self.record(func, StepKind::Call, SkbId(u32::MAX), 0, u32::MAX),
        }
    }

    /// The function that was entered last returns after `more` time.
    #[inline(never)]
    fn leave(&mut self, more: Nanos) {
        let open = self.trace.open.pop().expect("a function was entered");
        // None: it was suspended, and what was observed before is told.
        if let Some(step) = self.trace.steps.get_mut(open) {
            step.left = Some(self.now + more);
        }
    }

    /// A walk begins; returns what holds for the one around it.
    #[inline(never)]
    fn begin_walk(&mut self) -> (u32, Option<usize>) {
        (self.trace.in_hand, self.trace.door.take())
    }

    #[inline(never)]
    fn end_walk(&mut self, (in_hand, door): (u32, Option<usize>)) {
        self.leave_door();
        (self.trace.in_hand, self.trace.door) = (in_hand, door);
    }

    fn leave_door(&mut self) {
        // None behind the index: what was observed before is told.
        if let Some(step) = self.trace.door.take().and_then(|door| self.trace.steps.get_mut(door)) {
            step.handed_on = Some(self.now);
        }
    }

    #[inline(never)]
    fn record_door(&mut self, door: &Door) {
        if let Some((func, skb)) = door.func() {
            self.leave_door();
            self.trace.door = Some(self.trace.steps.len());
            self.record_skb(func, StepKind::Door, skb);
        }
    }

    #[inline(never)]
    pub(crate) fn record_skb(&mut self, func: Func, kind: StepKind, skb: SkbId) {
        let (packet, dev) = (self.skbs[skb].packet, self.skbs[skb].dev);
        let label = self.k.devs.get(dev).map_or(u32::MAX, |dev| dev.label);
        self.record(func, kind, skb, packet, label);
        if self.trace.level == Level::Detail {
            self.record_packet(skb, packet);
            self.record_depths(skb, label);
        }
    }

    /// Keeps the lengths of the queues that this CPU and a packet on a device have to do with, where they changed.
    #[cold]
    fn record_depths(&mut self, skb: SkbId, label: u32) {
        let (now, machine, dev, mapping) =
            (self.now, self.k.id, self.skbs[skb].dev, self.skbs[skb].queue_mapping);
        let sd = &self.k.cpus[self.cpu.index()];
        let backlog = sd.input_pkt_queue.len() + sd.process_queue.len();
        self.trace.depth(now, machine, Queue::Backlog(self.cpu), backlog as u32);
        let Some(netdev) = self.k.devs.get(dev) else { return };
        for (queue, tx) in netdev.tx.iter().enumerate() {
            let waiting = self.k.qdiscs[tx.qdisc].qlen;
            self.trace.depth(now, machine, Queue::Qdisc(label, queue as u16), waiting);
        }
        // What came in by a ring says by which.
        let ring = u32::from(mapping).checked_sub(1);
        if let Some((ring, filled)) =
            ring.and_then(|ring| Some((ring, nic::rx_filled(netdev, self.fabric, ring)?)))
        {
            self.trace.depth(now, machine, Queue::RxRing(label, ring), filled);
        }
    }

    /// What the innermost function that was entered polled in all.
    #[cold]
    pub(crate) fn record_polled(&mut self, work: u32, budget: u32, squeezed: bool) {
        if let Some(step) = self.trace.open.last().copied().filter(|_| self.trace.level == Level::Detail) {
            self.trace.polled.push(Polled { step, work, budget, squeezed });
        }
    }

    /// Keeps whose packet it is and what its headers say, where that is news.
    #[cold]
    fn record_packet(&mut self, skb: SkbId, packet: u32) {
        let step = self.trace.steps.len() - 1;
        let cause = std::mem::replace(&mut self.trace.in_hand, packet);
        let last = match self.trace.seen.get(&packet) {
            Some(last) => *last,
            None => {
                let cause = if cause == packet { 0 } else { cause };
                self.trace.births.push(Birth { step, packet, cause });
                None
            }
        };
        let headers = self.headers(skb, step);
        let known = last.map(|last| &self.trace.headers[last]);
        let is_news = known.is_none_or(|known| (known.link, &known.bytes) != (headers.link, &headers.bytes));
        let last = if is_news && headers.len > 0 {
            self.trace.headers.push(headers);
            Some(self.trace.headers.len() - 1)
        } else {
            last
        };
        self.trace.seen.insert(packet, last);
    }

    fn headers(&self, skb: SkbId, step: usize) -> Headers {
        let pkt = &self.skbs[skb];
        // Behind the Ethernet header, with up to two VLAN tags.
        let link = matches!(pkt.network_header.wrapping_sub(pkt.mac_header) as usize, 14 | 18 | 22);
        let start = if link { pkt.mac_header } else { pkt.network_header };
        let bytes = self.skbs.bufs.bytes(pkt.buf).get(start as usize..pkt.tail as usize).unwrap_or_default();
        let mut kept = bytes[..bytes.len().min(HEADER_BYTES)].to_vec();
        if let Some(tag) = pkt.vlan_tag.filter(|_| link) {
            tag.write_into(&mut kept);
        }
        let len = bytes.len() + kept.len() - bytes.len().min(HEADER_BYTES);
        Headers { step, link, len, bytes: kept }
    }

    fn record(&mut self, func: Func, kind: StepKind, skb: SkbId, packet: u32, dev: u32) {
        let step = Step {
            at: self.now,
            left: None,
            handed_on: None,
            packet,
            skb: skb.0,
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
