//! The world: machines, the cables between them, and the clock that moves them.

use std::fmt;

use glassnet_hardware::card::Received;
use glassnet_hardware::{Arrival, Cable, Fabric, PlugId};
use glassnet_sim::{Dice, EventQueue, Nanos};

use crate::Cx;
use crate::Kernel;
use crate::door::Door;
use crate::drivers::nic::{self, NicSettings, cable, link, mac};
use crate::event::{Event, schedule_arrivals};
use crate::ids::{CpuId, DevId, MachineId};
use crate::modules::MODULES;
use crate::net::core::link_watch::linkwatch_turn;
use crate::net::core::{dev, softirq};
use crate::tables::link_watch::SharedLinkWatch;
use crate::tables::netdev::NetDevice;
use crate::tables::skb::SkbPool;
use crate::tables::softnet::{Interrupt, SLICE};
use crate::timer::Kthread;
use crate::trace::{Burners, Context, Level, Missed, TakenInterrupt, Trace};

/// More packets were polled than the limit allows: a bridge loop, most likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless {
    /// The limit, in packets.
    pub limit: u64,
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        write!(
            f,
            "{limit} packets came in since the last command: does a bridge loop, or a generator not end?"
        )
    }
}

impl std::error::Error for Endless {}

/// How long the ends of a cable take to agree, with a card at one of them: 1000BASE-T needs two to three seconds.
const TRAINING: Nanos = Nanos::from_millis(2_500);

/// Packets that the CPUs of all machines may take in between two resets of the count.
pub const PACKET_LIMIT: u64 = 1_000_000;

/// All machines and what they share.
#[derive(Debug)]
pub struct World {
    /// The machines; a [`MachineId`] is a position here.
    pub machines: Vec<Kernel>,
    /// All packets.
    pub skbs: SkbPool,
    /// The cables.
    pub fabric: Fabric,
    link_watch: SharedLinkWatch,
    /// What is observed.
    pub trace: Trace,
    /// Chance.
    pub dice: Dice,
    events: EventQueue<Event>,
    /// Whose NIC each plug is, by the plug's number; a switch's port is nobody's.
    nics: Vec<Option<(MachineId, DevId)>>,
    arrivals: Vec<Arrival>,
    later: Vec<Door>,
    polled: u64,
    wakeups: bool,
}

impl World {
    /// A world without machines, whose chance comes from `seed`.
    pub fn new(seed: u64) -> World {
        World {
            machines: Vec::new(),
            skbs: SkbPool::default(),
            fabric: Fabric::default(),
            link_watch: SharedLinkWatch::default(),
            trace: Trace::default(),
            dice: Dice::new(seed),
            events: EventQueue::default(),
            nics: Vec::new(),
            arrivals: Vec::new(),
            later: Vec::new(),
            polled: 0,
            wakeups: false,
        }
    }

    /// Boots a machine with `cpus` CPUs: its first namespace has a `lo` that is up.
    pub fn add_machine(&mut self, hostname: &str, cpus: usize) -> MachineId {
        let id = MachineId(self.machines.len() as u32);
        self.machines.push(Kernel::new(id, hostname.to_owned(), cpus, MODULES));
        self.enter(id, CpuId(0), crate::net::core::net_namespace::boot);
        id
    }

    /// Puts a NIC into a machine; it is down, with no cable.
    pub fn add_nic(&mut self, machine: MachineId, name: &str, settings: &NicSettings) -> (DevId, PlugId) {
        let (dev, plug) = self.enter(machine, CpuId(0), |cx| nic::probe(cx, name, settings));
        self.nics.resize(plug.0 as usize + 1, None);
        self.nics[plug.0 as usize] = Some((machine, dev));
        (dev, plug)
    }

    /// Lays a cable between two plugs, which gives the NICs at its ends a carrier.
    pub fn connect(&mut self, a: PlugId, b: PlugId, cable: Cable) {
        self.fabric.connect(a, b, cable);
        for plug in [a, b] {
            if let Some((machine, dev)) = self.nic_at(plug) {
                self.enter(machine, CpuId(0), |cx| link::boot(cx, dev));
            }
        }
    }

    /// Somebody pulls a cable out: what is on it is lost, and the cards at its ends have no carrier.
    pub fn pull(&mut self, plug: PlugId) {
        self.fabric.pull(plug, true);
        self.link_down(plug);
    }

    /// Somebody puts a cable back.
    pub fn plug_in(&mut self, plug: PlugId) {
        self.fabric.pull(plug, false);
        self.retrain(plug);
    }

    /// The ends of a cable agree how fast it is: until then there is no carrier.
    fn retrain(&mut self, plug: PlugId) {
        self.link_down(plug);
        for end in self.ends(plug) {
            let is_card =
                self.nic_at(end).is_some_and(|(machine, _)| !self.kernel(machine).config.veth_cables);
            let takes = if is_card { TRAINING } else { Nanos::ZERO };
            self.events.schedule(self.now() + takes, Event::LinkUp { plug: end });
        }
    }

    fn link_down(&mut self, plug: PlugId) {
        self.at_ends(plug, link::down);
    }

    /// The plugs at both ends of a cable.
    fn ends(&self, plug: PlugId) -> impl Iterator<Item = PlugId> + use<> {
        [Some(plug), self.fabric.peer(plug)].into_iter().flatten()
    }

    /// A worker does something about the cards at both ends of a cable.
    fn at_ends(&mut self, plug: PlugId, work: fn(&mut Cx, DevId)) {
        for (machine, dev) in self.ends(plug).filter_map(|end| self.nic_at(end)).collect::<Vec<_>>() {
            self.work(machine, |cx| work(cx, dev));
        }
    }

    /// A worker of a machine (`kworker`) does something, after which the RTNL lock is free.
    fn work(&mut self, machine: MachineId, work: impl FnOnce(&mut Cx)) {
        let at = self.now();
        self.run(machine, CpuId(0), at, Context::Task, |cx| {
            work(cx);
            linkwatch_turn(cx);
        });
    }

    /// Something that is no machine sends a frame from a plug, at a time that is not past.
    pub fn inject(&mut self, plug: PlugId, bytes: &[u8], at: Nanos) {
        let frame = self.skbs.bufs.alloc(bytes.len());
        self.skbs.bufs.bytes_mut(frame).copy_from_slice(bytes);
        self.fabric.transmit(plug, frame, at, (&mut self.skbs.bufs, &mut self.dice), &mut self.arrivals);
        schedule_arrivals(&mut self.events, &mut self.arrivals);
    }

    fn nic_at(&self, plug: PlugId) -> Option<(MachineId, DevId)> {
        self.nics.get(plug.0 as usize).copied().flatten()
    }

    /// The machine with this name.
    pub fn machine(&self, hostname: &str) -> Option<MachineId> {
        self.machines.iter().find(|kernel| kernel.hostname == hostname).map(|kernel| kernel.id)
    }

    /// The kernel of a machine.
    pub fn kernel(&self, machine: MachineId) -> &Kernel {
        &self.machines[machine.index()]
    }

    /// The kernel of a machine, to change what needs no [`Cx`].
    pub fn kernel_mut(&mut self, machine: MachineId) -> &mut Kernel {
        &mut self.machines[machine.index()]
    }

    /// The time of the last event. A CPU that is at work may be ahead of it: see [`World::cpu_now`].
    pub fn now(&self) -> Nanos {
        self.events.now()
    }

    /// The time on a CPU: programs read the clock here.
    #[inline]
    pub fn cpu_now(&self, machine: MachineId, cpu: CpuId) -> Nanos {
        self.events.now().max(self.machines[machine.index()].cpus[cpu.index()].clock)
    }

    /// Runs `work` as a system call of a task on a CPU, and then the softirqs that it raised.
    #[inline]
    pub fn enter<R>(&mut self, machine: MachineId, cpu: CpuId, work: impl FnOnce(&mut Cx) -> R) -> R {
        let done = self.run_task(machine, cpu, work);
        self.machines[machine.index()].owned_socket = None;
        done
    }

    /// The same for a program's system call: what follows at once is [done](Self::settle) before it returns.
    pub fn syscall<R>(&mut self, machine: MachineId, cpu: CpuId, work: impl FnOnce(&mut Cx) -> R) -> R {
        let done = self.run_task(machine, cpu, work);
        // Too many packets are told by the next step.
        let _endless = self.settle();
        self.machines[machine.index()].owned_socket = None;
        done
    }

    /// A task gets its CPU when the softirqs there are done, and goes on when those that it raised are.
    #[inline]
    fn run_task<R>(&mut self, machine: MachineId, cpu: CpuId, work: impl FnOnce(&mut Cx) -> R) -> R {
        self.finish_softirqs(machine, cpu);
        let at = self.cpu_now(machine, cpu);
        let done = self.run(machine, cpu, at, Context::Task, work);
        self.task_ran(machine, cpu, at);
        self.finish_softirqs(machine, cpu);
        done
    }

    /// A task had a CPU since `at`, which `ksoftirqd` may have wanted too; returns how long.
    #[inline]
    fn task_ran(&mut self, machine: MachineId, cpu: CpuId, at: Nanos) -> Nanos {
        let sd = &mut self.machines[machine.index()].cpus[cpu.index()];
        let ran = sd.clock.since(at);
        if sd.ksoftirqd {
            sd.lag -= ran.0 as i64;
        }
        ran
    }

    /// A thread of the kernel has a turn, or waits until softirqs leave it the CPU. Programs that use up their time have theirs
    /// in between.
    fn turn(&mut self, machine: MachineId, thread: u32, at: Nanos) {
        let Kthread { comm, cpu, netns, turn, .. } = self.machines[machine.index()].kthreads[thread as usize];
        let again = Event::Kthread { machine, thread };
        if self.cpu_taken(machine, cpu) {
            return self.machines[machine.index()].cpus[cpu.index()].waiting.push(thread);
        }
        let at = at.max(self.cpu_now(machine, cpu));
        self.trace.in_program(Some(|| format!("{comm}_{}", cpu.0)));
        let next = self.run(machine, cpu, at, Context::Task, |cx| turn(cx, netns));
        self.trace.in_program(None::<fn() -> String>);
        let ran = self.task_ran(machine, cpu, at);
        let Some(mut next) = next else { return };
        let kernel = &mut self.machines[machine.index()];
        let (thread, burners) = (&mut kernel.kthreads[thread as usize], kernel.cpus[cpu.index()].burners);
        thread.ran += ran;
        if burners > 0 && thread.ran >= SLICE {
            next = next.max(at + ran) + Nanos(SLICE.0 * u64::from(burners));
            thread.ran = Nanos::ZERO;
        }
        self.events.schedule(next, again);
    }

    /// Softirqs have the CPU of a task, so that it must wait although it is ready; it is woken when they leave it.
    pub fn cpu_taken(&mut self, machine: MachineId, cpu: CpuId) -> bool {
        let kernel = &mut self.machines[machine.index()];
        let sd = &mut kernel.cpus[cpu.index()];
        let by_softirqs = sd.softirq.is_some() || sd.ksoftirqd && sd.lag <= 0;
        let is_taken = by_softirqs && kernel.config.exec_time > Nanos::ZERO;
        sd.wanted |= is_taken;
        is_taken
    }

    /// A program waits until it is woken. Where computing takes no time, to sleep costs none either.
    pub fn sleep(&mut self, machine: MachineId, pid: u32) {
        let kernel = &mut self.machines[machine.index()];
        if kernel.config.exec_time > Nanos::ZERO {
            kernel.asleep.entry(pid).or_insert(false);
        }
    }

    /// A program that waited has its CPU again, which costs time. What nobody else woke was woken by a timer of this CPU.
    pub fn go_on(&mut self, machine: MachineId, cpu: CpuId, pid: u32) {
        if let Some(is_woken) = self.machines[machine.index()].asleep.remove(&pid) {
            let profile = &self.machines[machine.index()].profile;
            let wake_up = if is_woken { Nanos::ZERO } else { profile.wake_up };
            let cost = wake_up + profile.context_switch;
            if cost > Nanos::ZERO {
                self.run_task(machine, cpu, |cx| cx.now += cost);
            }
        }
    }

    /// A program that uses up all the time of a CPU begins or ends.
    pub fn burn(&mut self, machine: MachineId, cpu: CpuId, begins: bool) {
        let now = self.now();
        let sd = &mut self.machines[machine.index()].cpus[cpu.index()];
        sd.time = sd.time_at(now);
        sd.burnt = (now, sd.time.busy());
        sd.burners = sd.burners.saturating_add_signed(if begins { 1 } else { -1 });
        if self.trace.level == Level::Detail {
            self.trace.burners.push(Burners { at: now, machine, cpu, programs: sd.burners });
        }
    }

    /// Steps until no softirq of a CPU is suspended.
    #[inline]
    fn finish_softirqs(&mut self, machine: MachineId, cpu: CpuId) {
        while self.machines[machine.index()].cpus[cpu.index()].softirq.is_some() {
            // Too many packets are told by the next step.
            if !self.step().is_ok_and(|stepped| stepped) {
                return;
            }
        }
    }

    /// Runs `work` on a CPU from `at` on, or from when the CPU is free, and then the softirqs that it raised.
    #[inline]
    fn run<R>(
        &mut self,
        machine: MachineId,
        cpu: CpuId,
        at: Nanos,
        context: Context,
        work: impl FnOnce(&mut Cx) -> R,
    ) -> R {
        let observed = self.trace.level != Level::Off;
        self.trace.enter();
        let kernel = &mut self.machines[machine.index()];
        let now = at.max(kernel.cpus[cpu.index()].clock);
        let mut cx = Cx {
            k: kernel,
            skbs: &mut self.skbs,
            events: &mut self.events,
            fabric: &mut self.fabric,
            link_watch: &mut self.link_watch,
            arrivals: &mut self.arrivals,
            dice: &mut self.dice,
            trace: &mut self.trace,
            later: &mut self.later,
            polled: &mut self.polled,
            wakeups: &mut self.wakeups,
            cpu,
            context,
            now,
            since: now,
            suspends: false,
            resumes: false,
            observed,
        };
        if !cx.k.cpus[cpu.index()].interrupts.is_empty() {
            Self::take_interrupts(&mut cx, &self.nics);
        }
        let result = work(&mut cx);
        softirq::local_bh_enable(&mut cx);
        cx.switch_context(context);
        let now = cx.now;
        self.machines[machine.index()].cpus[cpu.index()].clock = now;
        result
    }

    /// Lets the next event happen. False if there is none.
    ///
    /// # Errors
    ///
    /// [`Endless`] if more than [`PACKET_LIMIT`] packets came in since [`World::reset_limit`].
    pub fn step(&mut self) -> Result<bool, Endless> {
        if self.polled > PACKET_LIMIT {
            return Err(Endless { limit: PACKET_LIMIT });
        }
        let Some((at, event)) = self.events.pop() else { return Ok(false) };
        match event {
            Event::Ksoftirqd { machine, cpu } => {
                self.run(machine, cpu, at, Context::Ksoftirqd, softirq::run_ksoftirqd);
            }
            Event::Softirq { machine, cpu } => {
                self.run(machine, cpu, at, Context::SoftIrq, softirq::resume);
            }
            Event::Retrain { plug } => self.retrain(plug),
            Event::LinkUp { plug } => {
                if let Some((machine, dev)) = self.nic_at(plug) {
                    self.work(machine, |cx| link::up(cx, dev));
                }
            }
            Event::Interrupt { plug, vector } => self.interrupt(plug, vector, at),
            Event::CallFunction { machine, cpu } => {
                self.machines[machine.index()].cpus[cpu.index()].stat.call_interrupts += 1;
                self.interrupt_cpu(machine, cpu, at, Interrupt::Rps);
            }
            Event::PendingInterrupts { machine, cpu } => self.run(machine, cpu, at, Context::HardIrq, |_| ()),
            Event::Frame { plug, frame, intact } => self.arrive(Arrival { at, plug, frame, intact }),
            Event::Timers { machine, cpu } => {
                // All in one softirq: what they send is received when the last has run.
                let mut timers = self.kernel_mut(machine).timers[cpu.index()].expire(at);
                let run = |cx: &mut Cx<'_>| timers.by_ref().for_each(|timer| (timer.function)(cx, timer.arg));
                self.run(machine, cpu, at, Context::Timer, run);
            }
            Event::Kthread { machine, thread } => self.turn(machine, thread, at),
            Event::Wake => self.wakeups = true,
        }
        Ok(true)
    }

    /// A frame has reached the end of a cable: a card, which fills a descriptor, or a switch, which sends it on.
    fn arrive(&mut self, arrival: Arrival) {
        let Arrival { at, plug, frame, intact } = arrival;
        if !self.fabric.is_connected(plug) {
            return self.skbs.bufs.release(frame);
        }
        let Some((machine, dev)) = self.nic_at(plug) else {
            self.fabric.forward(arrival, (&mut self.skbs.bufs, &mut self.dice), &mut self.arrivals);
            return schedule_arrivals(&mut self.events, &mut self.arrivals);
        };
        let kernel = &mut self.machines[machine.index()];
        // The ends of veth pairs take everything.
        let is_card = !kernel.config.veth_cables;
        let bytes = self.skbs.bufs.bytes(frame);
        let takes = |netdev: &&mut NetDevice| netdev.is_up() && (!is_card || mac::accepts(netdev, bytes));
        let netdev = kernel.devs.get_mut(dev).filter(takes);
        let (Some(netdev), Some(card)) = (netdev, self.fabric.card(plug)) else {
            return self.skbs.bufs.release(frame);
        };
        if !intact {
            netdev.stats.rx_errors += 1;
            netdev.stats.rx_crc_errors += 1;
            return self.skbs.bufs.release(frame);
        }
        let received = card.receive(frame, &self.skbs.bufs, at);
        if received != Received::Missed && is_card {
            mac::count_received(netdev, self.skbs.bufs.bytes(frame));
        }
        match received {
            Received::Missed => {
                netdev.stats.rx_missed_errors += 1;
                if self.trace.level == Level::Detail {
                    let (dev, packet) = (netdev.label, cable::packet_of(&self.skbs.bufs, frame));
                    let step = self.trace.steps.len();
                    self.trace.missed.push(Missed { at, machine, step, dev, packet });
                }
                self.skbs.bufs.release(frame);
            }
            Received::Quiet => {}
            Received::Interrupt { vector, at: now } if now == at => self.interrupt(plug, vector as u32, at),
            Received::Interrupt { vector, at } => {
                self.events.schedule(at, Event::Interrupt { plug, vector: vector as u32 });
            }
        }
    }

    /// A card raises an interrupt.
    fn interrupt(&mut self, plug: PlugId, vector: u32, at: Nanos) {
        let Some((machine, dev)) = self.nic_at(plug) else { return };
        let kernel = &mut self.machines[machine.index()];
        let Some((irq, id)) = nic::irq(kernel, dev, vector as usize) else { return };
        let raised = self.fabric.card(plug).is_some_and(|card| card.raise(vector as usize, at));
        if !raised {
            return;
        }
        kernel.irqs.count(irq, id);
        self.interrupt_cpu(machine, id, at, Interrupt::Nic(plug, vector));
    }

    /// A CPU is interrupted: it takes the interrupt at once, or when it has done what it is at.
    fn interrupt_cpu(&mut self, machine: MachineId, cpu: CpuId, at: Nanos, interrupt: Interrupt) {
        let kernel = &mut self.machines[machine.index()];
        let sd = &mut kernel.cpus[cpu.index()];
        sd.interrupts.push_back(interrupt);
        if sd.clock <= at || kernel.config.exec_time == Nanos::ZERO {
            self.run(machine, cpu, at, Context::HardIrq, |_| ());
        } else if sd.interrupts.len() == 1 {
            self.events.schedule(sd.clock, Event::PendingInterrupts { machine, cpu });
        }
    }

    /// The interrupts that wait for a CPU come before whatever it does next.
    #[cold]
    fn take_interrupts(cx: &mut Cx, nics: &[Option<(MachineId, DevId)>]) {
        let context = cx.switch_context(Context::HardIrq);
        while let Some(interrupt) = cx.k.cpus[cx.cpu.index()].interrupts.pop_front() {
            if cx.observed {
                Self::record_interrupt(cx, nics, interrupt);
            }
            match interrupt {
                Interrupt::Nic(plug, vector) => {
                    if let Some((_, dev)) = nics.get(plug.0 as usize).copied().flatten() {
                        nic::interrupt(cx, dev, vector as usize);
                    }
                }
                Interrupt::Rps => dev::rps_trigger_softirq(cx),
            }
        }
        cx.switch_context(context);
    }

    #[cold]
    fn record_interrupt(cx: &mut Cx, nics: &[Option<(MachineId, DevId)>], interrupt: Interrupt) {
        if cx.trace.level != Level::Detail {
            return;
        }
        let irq = match interrupt {
            Interrupt::Nic(plug, vector) => {
                let dev = nics.get(plug.0 as usize).copied().flatten();
                let irq = dev.and_then(|(_, dev)| nic::irq(cx.k, dev, vector as usize));
                irq.map(|(irq, _)| {
                    (irq, cx.k.irqs.get(irq).and_then(|desc| desc.action.clone()).unwrap_or_default())
                })
            }
            Interrupt::Rps => None,
        };
        let (at, step) = (cx.now, cx.trace.steps.len());
        cx.trace.interrupts.push(TakenInterrupt { at, step, irq });
    }

    /// The longest [`settle_time`](crate::kernel::Config::settle_time) of the machines.
    pub fn settle_time(&self) -> Nanos {
        self.machines.iter().map(|kernel| kernel.config.settle_time).max().unwrap_or(Nanos::ZERO)
    }

    /// Lets happen what follows at once, for [`World::settle_time`].
    ///
    /// # Errors
    ///
    /// As [`World::step`].
    pub fn settle(&mut self) -> Result<(), Endless> {
        let time = self.settle_time();
        let end = self.now() + time;
        while time > Nanos::ZERO && self.next_event_at().is_some_and(|at| at < end) {
            self.step()?;
        }
        Ok(())
    }

    /// Begins a new count of packets for the limit in [`World::step`].
    pub fn reset_limit(&mut self) {
        self.polled = 0;
    }

    /// When the next event is due.
    pub fn next_event_at(&self) -> Option<Nanos> {
        self.events.next_at()
    }

    /// Schedules a wake-up of the tasks.
    pub fn wake_at(&mut self, at: Nanos) {
        self.events.schedule(at, Event::Wake);
    }

    /// Programs that wait for something should look again.
    pub fn wake_programs(&mut self) {
        self.wakeups = true;
    }

    /// True if a task may have something to do since the last time that this was asked.
    pub fn take_wakeups(&mut self) -> bool {
        std::mem::take(&mut self.wakeups)
    }
}
