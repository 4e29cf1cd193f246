//! A card without NAPI: each frame is an interrupt, which comes before everything else, so that beyond some load nothing is left
//! for the packets that were taken (receive livelock).
//!
//! With h the CPU time of an interrupt and s that of a packet behind it, a load of λ gives a throughput of λ up to 1/(h + s), and
//! (1 - λh)/s beyond it (Mogul and Ramakrishnan, "Eliminating receive livelock in an interrupt-driven kernel", 1997; Salah and
//! El-Badawi, "Evaluating system performance in gigabit networks", 2003).

use glassnet_hardware::{Cable, Faults, PlugId};
use glassnet_kernel::World;
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_sim::Nanos;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// A receiver without a route for what it gets.
struct Line {
    world: World,
    source: PlugId,
    dev: DevId,
}

/// What happened in a time of load.
#[derive(Debug)]
struct Seen {
    /// Packets that the stack handled, of those that came.
    handled: u64,
    missed: u64,
    dropped: u64,
    interrupts: u64,
    irq_ns: u64,
    softirq_ns: u64,
}

fn line(driver: &str) -> Line {
    let mut world = World::new(1);
    let machine = world.add_machine("receiver", 1);
    // The laws are those of a driver for which an interrupt that takes several frames is not cheaper than as many interrupts.
    assert!(world.kernel_mut(machine).profile.set("interrupt", Nanos(45)));
    let (dev, plug) = world.add_nic(machine, "eth0", &NicSettings::new(driver));
    let source = world.fabric.add_outside();
    world.connect(source, plug, Cable { rate: 0, delay: Nanos::ZERO, faults: Faults::default() });
    let up = LinkSet { up: Some(true), ..LinkSet::default() };
    world.enter(MACHINE, CPU, |cx| do_setlink(cx, dev, up).expect("it comes up"));
    world.wake_at(world.now() + Nanos::from_secs(1));
    let mut line = Line { world, source, dev };
    line.run_until(Nanos(u64::MAX));
    line
}

impl Line {
    fn run_until(&mut self, end: Nanos) {
        self.world.reset_limit();
        while self.world.next_event_at().is_some_and(|at| at < end) && self.world.step().expect("an end") {}
    }

    fn counted(&self) -> [u64; 6] {
        let kernel = self.world.kernel(MACHINE);
        let (stats, cpu) = (&kernel.devs[self.dev].stats, &kernel.cpus[0]);
        let interrupts = kernel.irqs.iter().map(|(_, irq)| irq.counts[0]).sum();
        let (processed, dropped) = (u64::from(cpu.stat.processed), u64::from(cpu.stat.dropped));
        [processed, stats.rx_missed_errors, dropped, interrupts, cpu.time.irq.0, cpu.time.softirq.0]
    }

    /// A frame each `gap` ns for `time`, and what had happened when the last one came.
    fn load(&mut self, gap: u64, time: Nanos) -> Seen {
        let before = self.counted();
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&self.world.kernel(MACHINE).devs[self.dev].addr.0);
        frame[12..34].copy_from_slice(&[
            8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0x5d, 0xc7, 10, 0, 0, 1, 10, 9, 9, 9,
        ]);
        let begin = self.world.cpu_now(MACHINE, CPU) + Nanos::from_micros(1);
        let (frames, end) = (time.0 / gap, begin + time);
        for at in 0..frames {
            self.world.inject(self.source, &frame, begin + Nanos(at * gap));
        }
        self.run_until(end);
        let after = self.counted();
        let [handled, missed, dropped, interrupts, irq_ns, softirq_ns] =
            [0, 1, 2, 3, 4, 5].map(|at| after[at] - before[at]);
        Seen { handled, missed, dropped, interrupts, irq_ns, softirq_ns }
    }
}

const TIME: Nanos = Nanos::from_millis(40);

/// h and s, ns, of frames that come one by one.
fn alone() -> (u64, u64) {
    let seen = line("ne2k-pci").load(20_000, TIME);
    assert_eq!((seen.missed, seen.dropped, seen.interrupts), (0, 0, seen.handled));
    (seen.irq_ns / seen.handled, seen.softirq_ns / seen.handled)
}

#[test]
fn all_is_handled_up_to_what_interrupt_and_packet_cost_together() {
    let (h, s) = alone();
    for percent in [50, 80, 97] {
        let gap = (h + s) * 100 / percent;
        let seen = line("ne2k-pci").load(gap, TIME);
        assert_eq!((seen.missed, seen.dropped), (0, 0), "{percent} %: {seen:?}");
        assert!(seen.handled + 1 >= TIME.0 / gap, "{percent} %: {seen:?}");
        assert_eq!(seen.interrupts, seen.handled, "an interrupt a frame");
    }
}

#[test]
fn beyond_that_throughput_falls_until_nothing_is_left() {
    let (h, s) = alone();
    let gaps = [(h + s) * 3 / 4, h * 3 / 2, h * 6 / 5, h, h * 2 / 3];
    let seen = gaps.map(|gap| line("ne2k-pci").load(gap, TIME));
    for (gap, seen) in gaps.iter().zip(&seen) {
        // The CPU is never idle: what interrupts leave is all that packets get. An interrupt that comes while a packet is handled
        // waits for its end, so one may tell of two frames.
        let (frames, each) = (TIME.0 / gap, seen.softirq_ns / seen.handled);
        assert!(seen.irq_ns + seen.softirq_ns + 2 * (h + s) > TIME.0, "{gap}: {seen:?}");
        assert!(each <= s && each > s / 2 && seen.irq_ns <= frames * h, "{gap}: {seen:?}");
    }
    assert!(seen.windows(2).all(|pair| pair[1].handled < pair[0].handled), "{seen:?}");
    assert!(seen[4].handled * 10 < seen[0].handled && seen[4].missed > 0, "{seen:?}");
}

#[test]
fn a_card_that_is_polled_keeps_its_throughput() {
    let (h, s) = alone();
    let polled = [(h + s) / 2, h, h * 2 / 3].map(|gap| line("e1000e").load(gap, TIME));
    let [first, .., last] = &polled;
    assert!(last.handled.abs_diff(first.handled) * 50 < first.handled, "{polled:?}");
    assert!(last.missed > 0 && last.dropped == 0 && last.interrupts * 20 < last.handled, "{polled:?}");
}
