//! The world: machines, the cables between them, and the clock that moves them.

use std::fmt;

use glassnet_hardware::{Arrival, Cable, Fabric, PlugId};
use glassnet_sim::{Dice, EventQueue, Nanos};

use crate::Cx;
use crate::Kernel;
use crate::door::Door;
use crate::drivers::nic;
use crate::event::Event;
use crate::ids::{CpuId, DevId, MachineId};
use crate::modules::MODULES;
use crate::net::core::softirq;
use crate::tables::skb::SkbPool;
use crate::trace::{Context, Level, Trace};

/// More packets were polled than the limit allows: a bridge loop, most likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless {
    /// The limit, in packets.
    pub limit: u64,
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        write!(f, "{limit} packets came in since the last command: is there a bridge loop?")
    }
}

impl std::error::Error for Endless {}

/// The CPU that takes the interrupts of all NICs.
const IRQ_CPU: CpuId = CpuId(0);

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
    pub fn add_nic(&mut self, machine: MachineId, name: &str, driver: &str) -> (DevId, PlugId) {
        let plug = self.fabric.add_plug();
        let dev = self.enter(machine, CpuId(0), |cx| nic::probe(cx, name, driver, plug));
        self.nics.resize(plug.0 as usize + 1, None);
        self.nics[plug.0 as usize] = Some((machine, dev));
        (dev, plug)
    }

    /// Lays a cable between two plugs, which gives the NICs at its ends a carrier.
    pub fn connect(&mut self, a: PlugId, b: PlugId, cable: Cable) {
        self.fabric.connect(a, b, cable);
        for plug in [a, b] {
            if let Some((machine, dev)) = self.nic_at(plug) {
                self.enter(machine, CpuId(0), |cx| nic::link_up(cx, dev));
            }
        }
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
        self.finish_softirqs(machine, cpu);
        done
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
            arrivals: &mut self.arrivals,
            dice: &mut self.dice,
            trace: &mut self.trace,
            later: &mut self.later,
            polled: &mut self.polled,
            wakeups: &mut self.wakeups,
            cpu,
            context,
            now,
            suspends: false,
            resumes: false,
            observed,
        };
        let result = work(&mut cx);
        softirq::local_bh_enable(&mut cx);
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
            Event::Interrupt { plug } => self.interrupt(plug, at),
            Event::Frame { plug, frame } => match self.nic_at(plug) {
                Some((machine, dev)) => {
                    let kernel = &mut self.machines[machine.index()];
                    if nic::dma(kernel, &mut self.skbs.bufs, dev, frame) {
                        let clock = kernel.cpus[IRQ_CPU.index()].clock;
                        // A CPU that is at work is interrupted when it looks.
                        if clock > at && kernel.config.exec_time > Nanos::ZERO {
                            self.events.schedule(clock, Event::Interrupt { plug });
                        } else {
                            self.interrupt(plug, at);
                        }
                    }
                }
                None => self.skbs.bufs.release(frame),
            },
            Event::Timers { machine } => {
                // All in one softirq: what they send is received when the last has run.
                let mut timers = self.kernel_mut(machine).timers.expire(at);
                let run = |cx: &mut Cx<'_>| timers.by_ref().for_each(|timer| (timer.function)(cx, timer.arg));
                self.run(machine, CpuId(0), at, Context::Timer, run);
            }
            Event::Wake => self.wakeups = true,
        }
        Ok(true)
    }

    fn interrupt(&mut self, plug: PlugId, at: Nanos) {
        if let Some((machine, dev)) = self.nic_at(plug) {
            self.run(machine, IRQ_CPU, at, Context::HardIrq, |cx| nic::interrupt(cx, dev));
        }
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

    /// True if a task may have something to do since the last time that this was asked.
    pub fn take_wakeups(&mut self) -> bool {
        std::mem::take(&mut self.wakeups)
    }
}
