//! What a door works with: one machine's kernel, on one of its CPUs, at one moment.

use glassnet_hardware::{Arrival, Fabric};
use glassnet_sim::{Dice, EventQueue, Nanos};

use crate::Kernel;
use crate::chance::{CERTAIN, Chance, Chooser, Whose};
use crate::door::{Door, Func};
use crate::event::Event;
use crate::ids::{CpuId, MachineId, NetnsId, SkbId, SocketId};
use crate::netlink::Errno;
use crate::note::Note;
use crate::tables::conntrack::{CtId, CtInfo, NfCt};
use crate::tables::drop_reason::DropReason;
use crate::tables::link_watch::SharedLinkWatch;
use crate::tables::rtnl::{RtnlEvent, RtnlMsg};
use crate::tables::skb::{IPSKB_SENT, SkbPool, XMIT_AWAITED};
use crate::timer::Timer;
use crate::trace::{Context, Level, Noted, Span, StepKind, Trace};

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
    /// What machines share that are namespaces of one kernel.
    pub link_watch: &'w mut SharedLinkWatch,
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
    /// Since when it is in this context.
    pub(crate) since: Nanos,
    /// The softirq is [suspended](Cx::suspend).
    pub(crate) suspends: bool,
    /// It goes on where it stopped, and has not reached that place yet.
    pub(crate) resumes: bool,
    /// Somebody wants to see the doors.
    pub(crate) observed: bool,
}

impl Cx<'_> {
    /// The CPU goes on in another context, and returns the one it was in. What it did until now is counted as that one's.
    pub(crate) fn switch_context(&mut self, context: Context) -> Context {
        let spent = self.now.since(std::mem::replace(&mut self.since, self.now));
        let time = &mut self.k.cpus[self.cpu.index()].time;
        let of_context = match self.context {
            Context::Task => &mut time.system,
            Context::HardIrq => &mut time.irq,
            Context::SoftIrq | Context::Timer | Context::Ksoftirqd => &mut time.softirq,
        };
        *of_context += spent;
        if self.observed {
            self.record_span(spent);
        }
        std::mem::replace(&mut self.context, context)
    }

    /// Keeps what the CPU did in the context that ends.
    #[cold]
    fn record_span(&mut self, spent: Nanos) {
        let (first, end) = (self.trace.span_first, self.trace.steps.len());
        self.trace.span_first = end;
        if self.trace.level == Level::Detail && (end > first || spent > Nanos::ZERO) {
            let (machine, cpu, context, to) = (self.k.id, self.cpu, self.context, self.now);
            let from = Nanos(to.0 - spent.0);
            let program = self.trace.program.clone().filter(|_| context == Context::Task);
            self.trace.spans.push(Span { machine, cpu, context, program, from, to, first, end });
        }
    }

    /// Drops a packet, and says why (`kfree_skb_reason`, net/core/skbuff.c).
    #[cold]
    pub fn kfree_skb(&mut self, skb: SkbId, reason: DropReason) -> Door {
        if self.observed {
            self.record_skb(Func::KfreeSkbReason, StepKind::Drop(reason), skb);
        }
        self.charge(Func::KfreeSkbReason);
        *self.k.drops.entry(reason).or_default() += 1;
        self.discard_skb(skb);
        Door::End
    }

    /// Frees a packet that did what it was for (`consume_skb`, net/core/skbuff.c).
    #[inline]
    pub fn consume_skb(&mut self, skb: SkbId) -> Door {
        self.call(Func::ConsumeSkb, skb);
        self.discard_skb(skb);
        Door::End
    }

    /// Frees a packet by another function than `consume_skb`, although it did what it was for. Of some Linux 6.1 tells with the
    /// tracepoint of drops and `SKB_DROP_REASON_NOT_SPECIFIED`.
    pub fn free_skb(&mut self, skb: SkbId, by: Func) {
        self.call(by, skb);
        self.discard_skb(skb);
    }

    /// Frees a buffer whose end is none of a packet's way, so nothing of it is traced: Linux would have allocated it later,
    /// once its route was known; or it is a slot of a ring.
    #[inline]
    pub fn discard_skb(&mut self, skb: SkbId) {
        let pkt = &self.skbs[skb];
        if pkt.has_frag_list | pkt.is_charged {
            self.skb_release_head_state(skb);
        }
        self.nf_reset_ct(skb);
        self.skbs.release(skb);
    }

    #[cold]
    fn skb_release_head_state(&mut self, skb: SkbId) {
        self.skb_orphan(skb);
        for (fragment, _) in self.skbs.take_frag_list(skb) {
            self.free_skb(fragment, Func::KfreeSkbList);
        }
    }

    /// A packet belongs to no socket any more (`skb_orphan`, include/linux/skbuff.h).
    #[inline]
    pub fn skb_orphan(&mut self, skb: SkbId) {
        if self.skbs[skb].is_charged {
            self.sock_wfree(skb);
        }
        self.skbs[skb].sk = None;
    }

    /// A packet still is its socket's, but its memory no longer counts for it (`skb_orphan_partial`, net/core/sock.c).
    #[cold]
    pub fn skb_orphan_partial(&mut self, skb: SkbId) {
        if self.skbs[skb].is_charged {
            self.sock_wfree(skb);
        }
    }

    /// The memory of a packet no longer counts for its socket (`sock_wfree`, net/core/sock.c).
    #[cold]
    fn sock_wfree(&mut self, skb: SkbId) {
        let pkt = &mut self.skbs[skb];
        pkt.is_charged = false;
        let Some(id) = pkt.sk else { return };
        let freed = self.k.sockets.wfree(id, pkt.truesize);
        if freed.wakes {
            self.sock_def_wakeup(id);
        }
        if freed.goes_on
            && let Some(go_on) = self.k.modules.iter().find_map(|module| module.go_on)
        {
            self.set_timer(self.now, go_on, id.0);
        }
    }

    /// A packet of this machine cannot be sent: what transmit functions and hooks return to their callers, up to who called
    /// to send it. Below `ip_send_skb` that is counted.
    #[cold]
    pub fn xmit_failed(&mut self, skb: SkbId, errno: Errno) {
        let (netns, flags) = (self.k.devs[self.skbs[skb].dev].netns, self.skbs[skb].ip.flags);
        self.xmit_failed_of(skb, netns, flags, errno);
    }

    /// The same for one that was sent in a namespace with these flags, where it no longer is.
    #[cold]
    pub fn xmit_failed_of(&mut self, skb: SkbId, netns: NetnsId, flags: u16, errno: Errno) {
        if flags & IPSKB_SENT != 0 {
            self.k.netns[netns].ipv4.snmp.ip.OutDiscards += 1;
        }
        if flags & XMIT_AWAITED != 0 {
            self.k.xmit_error = Some((skb, errno));
        }
    }

    /// Walks with a packet, and waits for what becomes of it while it is on its way out.
    ///
    /// # Errors
    ///
    /// `EPERM` if netfilter dropped it, `ENOBUFS` if the device did not take it, and what a rule or a route gave.
    pub fn xmit_and_wait(&mut self, skb: SkbId, door: Door) -> Result<(), Errno> {
        self.skbs[skb].ip.flags |= XMIT_AWAITED;
        (self.k.xmit_error, self.k.xmit_congested) = (None, None);
        self.walk(door);
        match self.k.xmit_error.take() {
            Some((failed, errno)) if failed == skb => Err(errno),
            _ => Ok(()),
        }
    }

    /// The same for a device over another one, which counts what that one takes: true if it was taken. Whoever waits farther out
    /// learns of it, too.
    pub fn xmit_within(&mut self, skb: SkbId, door: Door) -> bool {
        let (is_awaited, outer) = (self.skbs[skb].ip.flags & XMIT_AWAITED != 0, self.k.xmit_error.take());
        let sent = self.xmit_and_wait(skb, door);
        self.k.xmit_error = match sent {
            Err(errno) if is_awaited => Some((skb, errno)),
            _ => outer,
        };
        sent.is_ok()
    }

    /// Who sends a packet knows from here on that it was taken, whatever becomes of it.
    #[inline]
    pub fn xmit_succeeded(&mut self, skb: SkbId) {
        self.skbs[skb].ip.flags &= !(IPSKB_SENT | XMIT_AWAITED);
    }

    /// The same, but a queue is full: it dropped this packet, or another one. Who sends more of them stops.
    #[cold]
    pub fn xmit_congested(&mut self, skb: SkbId) {
        if self.skbs[skb].ip.flags & XMIT_AWAITED != 0 {
            self.k.xmit_congested = Some(skb);
        }
        self.xmit_succeeded(skb);
    }

    /// A second handle of a packet (`skb_clone`, net/core/skbuff.c).
    pub fn skb_clone(&mut self, skb: SkbId) -> SkbId {
        self.call(Func::SkbClone, skb);
        let clone = self.skbs.clone_skb(skb);
        self.nf_copy_ct(clone, skb);
        clone
    }

    /// A copy of a packet with bytes of its own (`pskb_copy`, include/linux/skbuff.h).
    pub fn pskb_copy(&mut self, skb: SkbId) -> SkbId {
        self.call(Func::PskbCopyFclone, skb);
        let copy = self.skbs.copy_skb(skb);
        self.nf_copy_ct(copy, skb);
        copy
    }

    /// What connection tracking knows of a packet is forgotten (`nf_reset_ct`, include/linux/skbuff.h).
    #[inline]
    pub fn nf_reset_ct(&mut self, skb: SkbId) {
        match std::mem::take(&mut self.skbs[skb].nfct) {
            NfCt::Conn(id, _) | NfCt::Template(id) => _ = self.k.conntrack.put(id),
            NfCt::None | NfCt::Untracked | NfCt::RelatedToNone => {}
        }
    }

    /// What connection tracking knows of a packet holds for another one too (`__nf_copy`, include/linux/skbuff.h).
    pub fn nf_copy_ct(&mut self, to: SkbId, from: SkbId) {
        self.nf_reset_ct(to);
        let nfct = self.skbs[from].nfct;
        if let NfCt::Conn(id, _) | NfCt::Template(id) = nfct {
            self.k.conntrack.hold(id);
        }
        self.skbs[to].nfct = nfct;
    }

    /// Says what connection tracking knows of a packet, which takes over the caller's hold on the connection
    /// (`nf_ct_set`, include/net/netfilter/nf_conntrack.h).
    #[inline]
    pub fn nf_ct_set(&mut self, skb: SkbId, nfct: NfCt) {
        self.nf_reset_ct(skb);
        self.skbs[skb].nfct = nfct;
    }

    /// A packet's connection, and how it belongs to it (`nf_ct_get`).
    #[inline]
    pub fn nf_ct_get(&self, skb: SkbId) -> Option<(CtId, CtInfo)> {
        match self.skbs[skb].nfct {
            NfCt::Conn(id, info) => Some((id, info)),
            _ => None,
        }
    }

    /// A remark about the last step, made only if somebody looks that closely.
    #[inline]
    pub fn note(&mut self, note: impl FnOnce(&Self) -> Note) {
        if self.observed {
            self.write_note(note);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_note(&mut self, note: impl FnOnce(&Self) -> Note) {
        if self.trace.level == Level::Detail {
            let note = note(self);
            let step = self.trace.steps.len().saturating_sub(1);
            self.trace.notes.push(Noted { step, note });
        }
    }

    /// Writes a line to the kernel's log (`printk`); `level` is 0 (`KERN_EMERG`) to 7 (`KERN_DEBUG`).
    #[cold]
    pub fn printk(&mut self, level: u8, text: String) {
        let now = self.now;
        self.k.log.push(now, level, text);
    }

    /// The same, unless packets made the kernel write too much of late (`net_ratelimit`).
    #[cold]
    pub fn printk_limited(&mut self, level: u8, lines: impl FnOnce(&Self) -> Vec<String>) {
        let now = self.now;
        if self.k.log.net_ratelimit(now) {
            lines(self).into_iter().for_each(|line| self.printk(level, line));
        }
    }

    /// Decides by chance about a packet: "yes" in `probability` of 2^31 cases.
    pub fn chance(&mut self, skb: SkbId, probability: u32) -> bool {
        if probability == 0 || probability >= CERTAIN {
            return probability != 0;
        }
        let mut by_dice = || self.dice.below(u64::from(CERTAIN)) < u64::from(probability);
        let (whose, packet) = (self.trace.script.whose, self.skbs[skb].packet);
        if whose != Whose::Dice && whose != Whose::Packet(packet) {
            return by_dice();
        }
        let fall = self.trace.script.next();
        let yes = fall.map_or_else(by_dice, |fall| fall == 0);
        let by = Chooser::Rule { note: self.trace.notes.len() };
        let shares = vec![probability, CERTAIN - probability];
        self.trace.script.met.push(Chance { packet, by, shares, outcome: usize::from(!yes) });
        yes
    }

    /// The packet is the one whose decisions are kept, and perhaps given.
    pub fn is_scripted(&self, skb: SkbId) -> bool {
        self.trace.script.whose == Whose::Packet(self.skbs[skb].packet)
    }

    /// Sets a timer, which expires on this CPU, as [`Timer`] says.
    pub fn set_timer(&mut self, at: Nanos, function: fn(&mut Cx, u32), arg: u32) {
        let at = at.max(self.events.now());
        let cpu = self.cpu;
        if self.k.timers[cpu.index()].add(self.now, at, Timer { function, arg }) {
            self.events.schedule(at, Event::Timers { machine: self.machine(), cpu });
        }
    }

    /// Calls a function once in a worker (`schedule_work`): a task, which has its turn after the softirqs, of other machines too where
    /// computing takes no time, and before programs.
    pub fn schedule_work(&mut self, function: fn(&mut Cx, u32), arg: u32) {
        let settled = Nanos(self.k.config.settle_time.0 / 2);
        self.set_timer(self.now + settled, function, arg);
    }

    /// The time as a queueing discipline measures it (`ktime_get`): where computing takes no time, that of the event.
    pub fn ktime(&self) -> Nanos {
        if self.k.config.exec_time == Nanos::ZERO { self.events.now() } else { self.now }
    }

    /// Programs that wait for something should look again.
    #[inline]
    pub fn wake_up(&mut self) {
        *self.wakeups = true;
    }

    /// The same for something that happened to a socket (`sock_def_readable`, `sock_def_wakeup`). To wake a program that sleeps costs
    /// the CPU time that has something for it.
    #[inline]
    pub fn sock_def_wakeup(&mut self, id: SocketId) {
        self.wake_up();
        if !self.k.asleep.is_empty() {
            self.try_to_wake_up(id);
        }
    }

    #[cold]
    fn try_to_wake_up(&mut self, id: SocketId) {
        let Some(owner) = self.k.sockets.get(id).and_then(|socket| socket.owner.as_ref()) else { return };
        if let Some(is_woken @ false) = self.k.asleep.get_mut(&owner.pid) {
            *is_woken = true;
            self.now += self.k.profile.wake_up;
        }
    }

    /// Tells programs of the namespace that listen (`rtnl_notify`, net/core/rtnetlink.c).
    #[inline]
    pub fn rtnl_notify(
        &mut self,
        netns: NetnsId,
        deleted: bool,
        msg: impl FnOnce(&Kernel) -> Option<RtnlMsg>,
    ) {
        if self.k.rtnl.is_empty() {
            return;
        }
        let Some(msg) = msg(self.k) else { return };
        let name = |dev| self.k.devs.get(dev).map_or(String::new(), |dev| dev.name.clone());
        let (dev, master) = msg.devices();
        let (dev, master) = (name(dev), master.map(name));
        if self.k.rtnl.send(netns, &RtnlEvent { at: self.now, deleted, msg, dev, master }) {
            self.wake_up();
        }
    }

    /// The machine.
    pub fn machine(&self) -> MachineId {
        self.k.id
    }
}
