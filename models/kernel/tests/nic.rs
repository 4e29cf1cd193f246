//! A NIC under load: its ring fills while the CPU is busy, and what has no descriptor is missed.
//!
//! With s the CPU time of a packet, a frame each `gap` and a ring of N descriptors, throughput with NAPI is that of the smaller of
//! 1/gap and 1/s, however large the load; from rest the first loss comes after N / (1/gap - 1/s); and a stall of up to N gaps loses
//! nothing (Mogul and Ramakrishnan, "Eliminating receive livelock in an interrupt-driven kernel", 1997).

use glassnet_hardware::Cable;
use glassnet_kernel::World;
use glassnet_kernel::door::Door;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_sim::Nanos;
use glassnet_wire::eth::ETH_P_IP;

const RECEIVER: MachineId = MachineId(0);
const SENDER: MachineId = MachineId(1);
const CPU: CpuId = CpuId(0);
/// A frame of 60 bytes with preamble, checksum and gap, in bits.
const FRAME_BITS: u64 = 84 * 8;

/// A sender whose cable lets through a frame each `gap` ns, and a receiver that has no route for what it gets.
struct Line {
    world: World,
    sender: DevId,
    receiver: DevId,
}

/// What became of some frames.
#[derive(Debug)]
struct Seen {
    received: u64,
    missed: u64,
    softirqs: u64,
    /// From the first frame until the CPU is done, ns.
    took: u64,
}

fn line(gap: u64, descriptors: u32) -> Line {
    let mut world = World::new(1);
    let [(receiver, a), (sender, b)] = ["receiver", "sender"].map(|name| {
        let machine = world.add_machine(name, 1);
        world.add_nic(machine, "eth0", "e1000e")
    });
    world.connect(a, b, Cable { rate: FRAME_BITS * 1_000_000_000 / gap, delay: Nanos::ZERO });
    for (machine, dev) in [(RECEIVER, receiver), (SENDER, sender)] {
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        world.enter(machine, CPU, |cx| do_setlink(cx, dev, up).expect("it comes up"));
    }
    world.enter(RECEIVER, CPU, |cx| {
        let set = cx.k.devs[receiver].ops.ethtool.set_ringparam.expect("a card has rings");
        set(cx, receiver, descriptors);
    });
    let mut line = Line { world, sender, receiver };
    line.run();
    line
}

impl Line {
    fn run(&mut self) {
        self.world.reset_limit();
        while self.world.step().expect("an end") {}
    }

    /// Packets to a host that the receiver does not route to, as fast as the cable lets them through.
    fn flood(&mut self, frames: u64) -> Seen {
        self.flood_while(frames, Nanos::ZERO)
    }

    /// The same while a task keeps the receiver's CPU busy for a time.
    fn flood_while(&mut self, frames: u64, busy: Nanos) -> Seen {
        let counted = |line: &Self| {
            let kernel = line.world.kernel(RECEIVER);
            let (stats, cpu) = (&kernel.devs[line.receiver].stats, &kernel.cpus[CPU.index()]);
            [stats.rx_packets, stats.rx_missed_errors, u64::from(cpu.stat.net_rx_softirqs)]
        };
        let before = counted(self);
        let (from, to) = (self.sender, self.world.kernel(RECEIVER).devs[self.receiver].addr);
        // Both begin now.
        let begin = self.world.cpu_now(SENDER, CPU).max(self.world.cpu_now(RECEIVER, CPU));
        self.world.kernel_mut(SENDER).cpus[CPU.index()].clock = begin;
        self.world.kernel_mut(RECEIVER).cpus[CPU.index()].clock = begin + busy;
        self.world.enter(SENDER, CPU, |cx| {
            for _ in 0..frames {
                let skb = cx.skbs.alloc_skb(60, from);
                let bytes = cx.skbs.data_mut(skb);
                bytes[..6].copy_from_slice(&to.0);
                bytes[12..34].copy_from_slice(PACKET);
                cx.skbs[skb].protocol = ETH_P_IP;
                cx.walk(Door::DevQueueXmit { skb });
            }
        });
        self.run();
        let after = counted(self);
        let [received, missed, softirqs] = [0, 1, 2].map(|at| after[at] - before[at]);
        assert_eq!(received + missed, frames, "each is received or missed");
        let took = self.world.cpu_now(RECEIVER, CPU).since(begin).0;
        Seen { received, missed, softirqs, took }
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

/// Shortest gap that the sender's CPU keeps up with, ns.
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
    for (descriptors, gap) in [(64, SHORTEST), (256, SHORTEST), (1024, s * 3 / 4)] {
        // While n frames arrive, the CPU takes n * gap / s of them.
        let frames = u64::from(descriptors) * s / (s - gap);
        assert_eq!(line(gap, descriptors).flood(frames * 19 / 20).missed, 0, "{descriptors}");
        assert!(line(gap, descriptors).flood(frames * 21 / 20 + 3).missed > 0, "{descriptors}");
    }
}

#[test]
fn a_stall_is_survived_as_long_as_the_ring_has_room() {
    let gap = service() * 2;
    for descriptors in [64, 256, 1024] {
        let busy = |frames: u64| Nanos(frames * gap);
        let room = u64::from(descriptors);
        assert_eq!(line(gap, descriptors).flood_while(2 * room, busy(room - 2)).missed, 0, "{descriptors}");
        let seen = line(gap, descriptors).flood_while(2 * room, busy(room + 10));
        assert!((8..=12).contains(&seen.missed), "{descriptors}: {seen:?}");
    }
}
