//! Several CPUs: which of them handles what a card receives, and how they share their time.

use glassnet_hardware::{Cable, Faults, PlugId};
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::link::Coalesce;
use glassnet_kernel::net::core::rps::{set_rps_cpus, set_rps_flow_cnt, set_sock_flow_entries};
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::socket::{set_owner, socket};
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;

const MACHINE: MachineId = MachineId(0);

/// A machine with so many CPUs, and a card that gets frames from elsewhere.
struct Lab {
    world: World,
    source: PlugId,
    dev: DevId,
}

fn lab(driver: &str, cpus: usize) -> Lab {
    let mut world = World::new(7);
    let machine = world.add_machine("m", cpus);
    let (dev, plug) = world.add_nic(machine, "eth0", &NicSettings::new(driver));
    let source = world.fabric.add_outside();
    world.connect(source, plug, Cable { rate: 0, delay: Nanos::ZERO, faults: Faults::default() });
    world.enter(MACHINE, CpuId(0), |cx| {
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        do_setlink(cx, dev, up).expect("it comes up");
        let set = cx.k.devs[dev].ops.ethtool.set_coalesce.expect("it moderates");
        set(cx, dev, Coalesce { rx_usecs: 0 }).expect("a value");
    });
    world.wake_at(world.now() + Nanos::from_secs(1));
    let mut lab = Lab { world, source, dev };
    lab.run();
    lab
}

impl Lab {
    fn run(&mut self) {
        self.world.reset_limit();
        while self.world.step().expect("an end") {}
    }

    /// A TCP segment of a flow, which nobody waits for and no route leads to.
    fn frame(&self, flow: u16) -> Vec<u8> {
        let mut frame = self.world.kernel(MACHINE).devs[self.dev].addr.0.to_vec();
        frame.extend([0x02, 0, 0, 0, 0, 9, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0x5d, 0xbe]);
        frame.extend([10, 0, 0, 1, 10, 9, 9, 9]);
        frame.extend(flow.to_be_bytes());
        frame.extend([0, 80]);
        frame.resize(60, 0);
        frame
    }

    /// Frames of so many flows in turn, one each `gap` ns; returns how many packets each CPU handled.
    fn flood(&mut self, frames: u64, flows: u16, gap: u64) -> Vec<u32> {
        let processed = |lab: &Lab| {
            lab.world.kernel(MACHINE).cpus.iter().map(|cpu| cpu.stat.processed).collect::<Vec<u32>>()
        };
        let (before, begin) = (processed(self), self.world.now() + Nanos::from_millis(1));
        for at in 0..frames {
            let frame = self.frame((at % u64::from(flows)) as u16);
            self.world.inject(self.source, &frame, begin + Nanos(at * gap));
        }
        self.run();
        processed(self).iter().zip(before).map(|(after, before)| after - before).collect()
    }
}

#[test]
fn rss_spreads_flows_and_keeps_each_on_its_cpu() {
    let mut lab = lab("igb", 4);
    let handled = lab.flood(4_000, 200, 5_000);
    assert_eq!(handled.iter().sum::<u32>(), 4_000);
    assert!(handled.iter().all(|count| (500..1_600).contains(count)), "{handled:?}");
    let of_one = lab.flood(100, 1, 5_000);
    assert_eq!(of_one.iter().filter(|count| **count > 0).count(), 1, "{of_one:?}");
}

#[test]
fn without_rss_one_cpu_does_all_and_rps_gives_it_away() {
    let mut lab = lab("e1000e", 4);
    let alone = lab.flood(1_000, 200, 5_000);
    assert_eq!(alone, [1_000, 0, 0, 0]);
    let dev = lab.dev;
    lab.world.enter(MACHINE, CpuId(0), |cx| set_rps_cpus(cx, dev, 0, CpuMask(0b1110)));
    let spread = lab.flood(3_000, 200, 5_000);
    // The CPU of the interrupt gives all away before it looks at one.
    assert_eq!((spread[0], spread.iter().sum::<u32>()), (0, 3_000));
    assert!(spread[1..].iter().all(|count| (500..1_600).contains(count)), "{spread:?}");
    let cpus = &lab.world.kernel(MACHINE).cpus;
    assert!(cpus[1..].iter().all(|cpu| cpu.stat.received_rps > 0 && cpu.stat.call_interrupts > 0));
    assert_eq!(cpus[0].stat.received_rps, 0);
}

#[test]
fn rps_lets_several_cpus_take_what_one_cannot() {
    let missed = |rps: u64| {
        let mut lab = lab("e1000e", 4);
        let dev = lab.dev;
        lab.world.enter(MACHINE, CpuId(0), |cx| set_rps_cpus(cx, dev, 0, CpuMask(rps)));
        lab.flood(20_000, 200, 450);
        lab.world.kernel(MACHINE).devs[dev].stats.rx_missed_errors
    };
    let (alone, spread) = (missed(0), missed(0b1110));
    assert!(alone > 2_000 && spread < alone / 4, "{alone} missed alone, {spread} with three more CPUs");
}

#[test]
fn rfs_follows_the_reader_and_keeps_the_order() {
    let mut lab = lab("e1000e", 4);
    let dev = lab.dev;
    lab.world.enter(MACHINE, CpuId(0), |cx| {
        set_sock_flow_entries(cx, 1024).expect("entries");
        set_rps_flow_cnt(cx, dev, 0, 1024).expect("flows");
        set_rps_cpus(cx, dev, 0, CpuMask(0b0010));
    });
    // Nobody reads: RPS decides.
    let unread = lab.flood(100, 1, 5_000);
    assert_eq!((unread[1], unread[3]), (100, 0));
    // A program on CPU 3 reads the flow.
    let hash = 0x1234_5678;
    let table = &mut lab.world.kernel_mut(MACHINE).core.rps_sock_flow_table;
    table.record(hash, CpuId(3));
    assert_eq!((table.reader(hash), table.reader(hash ^ 0x400)), (Some(CpuId(3)), None));
}

#[test]
fn ksoftirqd_takes_turns_with_a_program_that_wants_the_cpu() {
    let took = |burners: u32| {
        let mut lab = lab("e1000e", 1);
        lab.world.kernel_mut(MACHINE).cpus[0].burners = burners;
        let begin = lab.world.now();
        let dev = lab.dev;
        let handled = u64::from(lab.flood(100_000, 8, 300)[0]);
        let missed = lab.world.kernel(MACHINE).devs[dev].stats.rx_missed_errors;
        assert_eq!(handled + missed, 100_000);
        let busy = lab.world.cpu_now(MACHINE, CpuId(0)).since(begin).0;
        (handled, busy)
    };
    let (alone, _) = took(0);
    let (beside, _) = took(1);
    let share = beside as f64 / alone as f64;
    assert!((0.4..0.65).contains(&share), "{beside} of {alone} packets beside a program that burns CPU time");
}

#[test]
fn the_time_of_a_cpu_is_accounted_for() {
    let mut lab = lab("e1000e", 1);
    let before = lab.world.kernel(MACHINE).cpus[0].time;
    let begin = lab.world.now() + Nanos::from_millis(1);
    lab.flood(20_000, 8, 300);
    let kernel = lab.world.kernel(MACHINE);
    let (after, end) = (kernel.cpus[0].time, kernel.cpus[0].clock);
    let busy = after.busy().since(before.busy()).0;
    let elapsed = end.since(begin).0;
    assert!(busy.abs_diff(elapsed) * 100 < elapsed, "busy for {busy} of {elapsed} ns");
    assert!(after.softirq.since(before.softirq) > after.irq.since(before.irq));
}

#[test]
fn to_wake_a_program_costs_who_wakes_it_and_the_switch_costs_the_program() {
    let cpu = CpuId(0);
    let spent = |exec_time: Nanos, sleeps: bool, is_woken: bool| {
        let mut world = World::new(7);
        world.add_machine("m", 1);
        let kernel = world.kernel_mut(MACHINE);
        kernel.config.exec_time = exec_time;
        (kernel.profile.wake_up, kernel.profile.context_switch) = (Nanos(700), Nanos(900));
        let id = world.enter(MACHINE, cpu, |cx| {
            let id = socket(cx, INIT_NET, SockKind::Udp);
            set_owner(cx, id, 100, "reader");
            id
        });
        if sleeps {
            world.sleep(MACHINE, 100);
        }
        let begin = world.cpu_now(MACHINE, cpu);
        // The second finds it awake.
        for _ in 0..if is_woken { 2 } else { 0 } {
            world.enter(MACHINE, cpu, |cx| cx.sock_def_wakeup(id));
        }
        let woken = world.cpu_now(MACHINE, cpu);
        world.go_on(MACHINE, cpu, 100);
        let ran = world.cpu_now(MACHINE, cpu);
        world.go_on(MACHINE, cpu, 100);
        assert_eq!(world.cpu_now(MACHINE, cpu), ran, "it is awake");
        (woken.since(begin).0, ran.since(woken).0)
    };
    let takes_time = Nanos::from_millis(1);
    assert_eq!(spent(takes_time, true, true), (700, 900));
    // A timer woke it.
    assert_eq!(spent(takes_time, true, false), (0, 1_600));
    assert_eq!(spent(takes_time, false, true), (0, 0));
    assert_eq!(spent(Nanos::ZERO, true, true), (0, 0), "computing takes no time");
}

#[test]
fn a_timer_expires_on_the_cpu_that_set_it() {
    let mut lab = lab("e1000e", 4);
    let written = lab.world.kernel(MACHINE).log.written();
    for cpu in [2, 0, 3] {
        lab.world.enter(MACHINE, CpuId(cpu), |cx| {
            let expired = |cx: &mut Cx, set_on| cx.printk(6, format!("set on {set_on}, ran on {}", cx.cpu.0));
            cx.set_timer(cx.now + Nanos::from_millis(10), expired, cpu);
        });
    }
    lab.run();
    let mut lines: Vec<&str> =
        lab.world.kernel(MACHINE).log.since(written).map(|line| line.text.as_str()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["set on 0, ran on 0", "set on 2, ran on 2", "set on 3, ran on 3"]);
}
