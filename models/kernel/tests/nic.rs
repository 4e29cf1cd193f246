//! A NIC under load: its ring fills while the CPU is busy, and what has no descriptor is missed.
//!
//! With s the CPU time of a packet, a frame each `gap` and a ring of N descriptors, throughput with NAPI is that of the smaller of
//! 1/gap and 1/s, however large the load; from rest the first loss comes after N / (1/gap - 1/s); and a stall of up to N gaps loses
//! nothing (Mogul and Ramakrishnan, "Eliminating receive livelock in an interrupt-driven kernel", 1997).

use glassnet_hardware::{Cable, Faults, PlugId};
use glassnet_kernel::World;
use glassnet_kernel::door::Door;
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::link::Coalesce;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_sim::Nanos;

const RECEIVER: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// A source that sends a frame each `gap` ns, and a receiver that has no route for what it gets.
struct Line {
    world: World,
    source: PlugId,
    receiver: DevId,
    gap: u64,
}

/// What became of some frames.
#[derive(Debug)]
struct Seen {
    received: u64,
    missed: u64,
    softirqs: u64,
    interrupts: u64,
    /// From the first frame until the CPU is done, ns.
    took: u64,
}

/// Without moderation of interrupts.
fn line(gap: u64, descriptors: u32) -> Line {
    moderated_line(gap, descriptors, 0)
}

fn moderated_line(gap: u64, descriptors: u32, rx_usecs: u32) -> Line {
    let mut world = World::new(1);
    let machine = world.add_machine("receiver", 1);
    let (receiver, plug) = world.add_nic(machine, "eth0", &NicSettings::new("e1000e"));
    let source = world.fabric.add_outside();
    world.connect(source, plug, Cable { rate: 0, delay: Nanos::ZERO, faults: Faults::default() });
    let up = LinkSet { up: Some(true), ..LinkSet::default() };
    world.enter(RECEIVER, CPU, |cx| {
        do_setlink(cx, receiver, up).expect("it comes up");
        let ops = &cx.k.devs[receiver].ops.ethtool;
        ops.set_ringparam.expect("a card has rings")(cx, receiver, descriptors, 256);
        ops.set_coalesce.expect("it moderates")(cx, receiver, Coalesce { rx_usecs }).expect("a value");
    });
    // What it says as it comes up is past.
    world.wake_at(world.now() + Nanos::from_secs(1));
    let mut line = Line { world, source, receiver, gap };
    line.run();
    line
}

impl Line {
    fn run(&mut self) {
        self.world.reset_limit();
        while self.world.step().expect("an end") {}
    }

    /// Packets to a host that the receiver does not route to.
    fn flood(&mut self, frames: u64) -> Seen {
        self.flood_while(frames, Nanos::ZERO)
    }

    /// The same while a task keeps the receiver's CPU busy for a time.
    fn flood_while(&mut self, frames: u64, busy: Nanos) -> Seen {
        let counted = |line: &Self| {
            let kernel = line.world.kernel(RECEIVER);
            let (stats, cpu) = (&kernel.devs[line.receiver].stats, &kernel.cpus[CPU.index()]);
            let interrupts = kernel.irqs.iter().map(|(_, irq)| irq.counts[CPU.index()]).sum();
            [stats.rx_packets, stats.rx_missed_errors, u64::from(cpu.stat.net_rx_softirqs), interrupts]
        };
        let before = counted(self);
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&self.world.kernel(RECEIVER).devs[self.receiver].addr.0);
        frame[12..34].copy_from_slice(PACKET);
        let begin = self.world.cpu_now(RECEIVER, CPU);
        self.world.kernel_mut(RECEIVER).cpus[CPU.index()].clock = begin + busy;
        for at in 0..frames {
            self.world.inject(self.source, &frame, begin + Nanos(at * self.gap));
        }
        self.run();
        let after = counted(self);
        let [received, missed, softirqs, interrupts] = [0, 1, 2, 3].map(|at| after[at] - before[at]);
        assert_eq!(received + missed, frames, "each is received or missed");
        let took = self.world.cpu_now(RECEIVER, CPU).since(begin).0;
        Seen { received, missed, softirqs, interrupts, took }
    }
}

/// IPv4 behind its EtherType: 20 bytes, UDP, from 10.0.0.1 to 10.9.9.9.
const PACKET: &[u8] = &[0x08, 0x00, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0x5d, 0xc7, 10, 0, 0, 1, 10, 9, 9, 9];

/// CPU time of a packet among many, ns.
fn service() -> u64 {
    let seen = line(10, 4096).flood(4_000);
    assert_eq!(seen.missed, 0);
    seen.took / 4_000
}

/// A gap that no CPU keeps up with, ns.
const SHORTEST: u64 = 410;

#[test]
fn nothing_is_missed_below_the_capacity() {
    let s = service();
    for gap in [s * 21 / 20, s * 3 / 2, s * 4] {
        let seen = line(gap, 64).flood(5_000);
        assert_eq!(seen.missed, 0, "a frame each {gap} ns, {s} ns of CPU time each");
    }
}

#[test]
fn throughput_is_flat_above_the_capacity() {
    let s = service();
    for gap in [SHORTEST, s * 2 / 3, s * 9 / 10] {
        let seen = line(gap, 256).flood(20_000);
        let each = seen.took / seen.received;
        assert!(seen.missed > 0 && each.abs_diff(s) * 50 < s, "{each} ns each, {s} alone: {seen:?}");
    }
}

#[test]
fn the_busier_the_cpu_the_fewer_the_interrupts() {
    let s = service();
    let [idle, busy, overloaded] = [s * 4, s * 21 / 20, SHORTEST].map(|gap| line(gap, 256).flood(5_000));
    assert_eq!(idle.softirqs, 5_000, "one each");
    assert!(busy.softirqs < 2_500, "{busy:?}");
    assert!(overloaded.softirqs <= overloaded.received / 64 + 12, "a full poll each: {overloaded:?}");
}

#[test]
fn the_first_loss_comes_when_the_ring_is_full() {
    let s = service();
    for (descriptors, gap) in [(64, SHORTEST), (256, SHORTEST), (1024, s * 2 / 3)] {
        // While n frames arrive, the CPU takes n * gap / s of them. One descriptor is never used, and the driver gives those that
        // it emptied back sixteen at a time.
        let frames = |descriptors: u32| u64::from(descriptors) * s / (s - gap);
        assert_eq!(line(gap, descriptors).flood(frames(descriptors - 17)).missed, 0, "{descriptors}");
        assert!(line(gap, descriptors).flood(frames(descriptors) + 3).missed > 0, "{descriptors}");
    }
}

#[test]
fn a_stall_is_survived_as_long_as_the_ring_has_room() {
    let gap = service() * 2;
    for descriptors in [64, 256, 1024] {
        let busy = |frames: u64| Nanos(frames * gap);
        let room = u64::from(descriptors);
        assert_eq!(line(gap, descriptors).flood_while(2 * room, busy(room - 10)).missed, 0, "{descriptors}");
        let seen = line(gap, descriptors).flood_while(2 * room, busy(room + 10));
        // Those that came to a full ring, and those that come before its first sixteen descriptors are given back.
        assert!((11..=20).contains(&seen.missed), "{descriptors}: {seen:?}");
    }
}

#[test]
fn interrupts_are_as_far_apart_as_they_are_told_to_be() {
    let gap = service() * 4;
    for usecs in [10, 50, 250] {
        let seen = moderated_line(gap, 4096, usecs).flood(4_000);
        let most = 4_000 * gap / (u64::from(usecs) * 1_000) + 2;
        let interrupts = seen.interrupts;
        assert!(interrupts <= most && interrupts * 10 > most * 9, "{usecs} us: {seen:?}, at most {most}");
        assert_eq!(seen.missed, 0);
    }
    // From rest the first frame waits for nothing.
    assert!(moderated_line(gap, 4096, 10_000).flood(1).took < 10_000);
}

/// A sender at a cable of 1 Gbit/s, and what became of the frames that it sent at once.
#[test]
fn a_slow_cable_fills_the_transmit_ring_and_then_the_queueing_discipline() {
    let mut world = World::new(1);
    let machine = world.add_machine("sender", 1);
    let (dev, plug) = world.add_nic(machine, "eth0", &NicSettings::new("e1000e"));
    let far = world.fabric.add_outside();
    let cable = Cable { rate: 1_000_000_000, delay: Nanos::ZERO, faults: Faults::default() };
    world.connect(plug, far, cable);
    let up = LinkSet { up: Some(true), ..LinkSet::default() };
    world.enter(machine, CPU, |cx| do_setlink(cx, dev, up).expect("it comes up"));
    world.wake_at(world.now() + Nanos::from_secs(1));
    while world.step().expect("an end") {}
    let (alive, before, begin) =
        (world.skbs.alive(), world.kernel(machine).devs[dev].stats.tx_packets, world.now());
    const FRAMES: u64 = 2_000;
    let mut waited = (false, false);
    for _ in 0..FRAMES {
        world.enter(machine, CPU, |cx| {
            let skb = cx.skbs.alloc_skb(1000, dev);
            cx.skbs.data_mut(skb)[12..34].copy_from_slice(PACKET);
            cx.walk(Door::DevQueueXmit { skb });
            let txq = &cx.k.devs[dev].tx[0];
            waited = (waited.0 | txq.is_stopped(), waited.1 | (cx.k.qdiscs[txq.qdisc].qlen > 0));
        });
    }
    assert_eq!(waited, (true, true), "the queue was stopped, and frames waited");
    world.reset_limit();
    while world.step().expect("an end") {}
    let kernel = world.kernel(machine);
    let sent = kernel.devs[dev].stats.tx_packets - before;
    let dropped: u64 = kernel.drops.values().sum();
    assert_eq!((sent + dropped, world.skbs.alive()), (FRAMES, alive), "each is sent or dropped, and freed");
    // Frames of 1,000 bytes and 24 more on the wire.
    let least = sent * 1024 * 8;
    let took = world.now().since(begin).0;
    assert!(took >= least && took < least * 11 / 10, "{took} ns for {sent} frames");
    let interrupts: u64 = kernel.irqs.iter().map(|(_, irq)| irq.counts.iter().sum::<u64>()).sum();
    assert!(interrupts > 10 && interrupts < sent / 4, "{interrupts} interrupts told of {sent} frames");
}
