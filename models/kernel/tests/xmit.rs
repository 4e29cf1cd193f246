//! Transmit queues and queueing disciplines: what is true of all of them, whatever comes.

use glassnet_hardware::{Cable, Faults};
use glassnet_kernel::World;
use glassnet_kernel::door::Door;
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, QdiscId};
use glassnet_kernel::net::core::dev_queue::{
    netdev_tx_completed_queue, netdev_tx_reset_queue, netdev_tx_sent_queue, netif_set_real_num_tx_queues,
    netif_tx_start_queue, netif_tx_stop_queue, netif_tx_wake_queue,
};
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::sched::psched::RateSpec;
use glassnet_kernel::net::sched::sch_api::{TcMsg, tc_ctl_tclass, tc_modify_qdisc};
use glassnet_kernel::net::sched::sch_fifo::FifoOpt;
use glassnet_kernel::net::sched::sch_fq::FqOpt;
use glassnet_kernel::net::sched::sch_fq_codel::FqCodelOpt;
use glassnet_kernel::net::sched::sch_generic::{PRIO2BAND, PrioOpt};
use glassnet_kernel::net::sched::sch_htb::{HtbGlob, HtbOpt};
use glassnet_kernel::net::sched::sch_netem::NetemOpt;
use glassnet_kernel::net::sched::sch_tbf::TbfOpt;
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::qdisc::QdiscData;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::qdisc::TC_H_ROOT;
use glassnet_kernel::trace::Level;
use glassnet_sim::{Dice, Nanos};
use glassnet_wire::eth::ETH_P_IP;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// A machine with a card whose cable is fast, and nobody who answers at its end.
struct Card {
    world: World,
    dev: DevId,
    sent: u32,
}

impl Card {
    fn new() -> Card {
        let mut world = World::new(1);
        let machine = world.add_machine("sender", 1);
        let (dev, plug) = world.add_nic(machine, "eth0", &NicSettings::new("e1000e"));
        let end = world.fabric.add_outside();
        world.connect(
            plug,
            end,
            Cable { rate: 100_000_000_000, delay: Nanos::ZERO, faults: Faults::default() },
        );
        // The driver has no ring of its own that could stop the queue.
        world.kernel_mut(machine).config.veth_cables = true;
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        world.enter(machine, CPU, |cx| do_setlink(cx, dev, up).expect("it comes up"));
        Card { world, dev, sent: 0 }
    }

    /// Puts a discipline somewhere.
    fn add(&mut self, parent: u32, handle: u32, kind: &str, options: Option<&dyn QdiscData>) {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let msg = TcMsg { dev: self.dev, parent, handle: handle << 16, flags, kind: Some(kind), options };
        self.world.enter(MACHINE, CPU, |cx| tc_modify_qdisc(cx, &msg)).expect("it is accepted");
    }

    fn add_class(&mut self, parent: u32, classid: u32, opt: HtbOpt) {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let msg =
            TcMsg { dev: self.dev, parent, handle: classid, flags, kind: Some("htb"), options: Some(&opt) };
        self.world.enter(MACHINE, CPU, |cx| tc_ctl_tclass(cx, &msg, false)).expect("it is accepted");
    }

    /// Sends a frame of a flow, with a priority.
    fn send(&mut self, len: usize, flow: u8, priority: u32) {
        let dev = self.dev;
        self.sent += 1;
        self.world.enter(MACHINE, CPU, |cx| {
            let skb = cx.skbs.alloc_skb(len, dev);
            let bytes = cx.skbs.data_mut(skb);
            bytes[12..14].copy_from_slice(&ETH_P_IP.to_be_bytes());
            bytes[14..38].copy_from_slice(&[
                0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, flow,
            ]);
            let pkt = &mut cx.skbs[skb];
            (pkt.protocol, pkt.priority) = (ETH_P_IP, priority);
            pkt.network_header = pkt.data + 14;
            cx.walk(Door::DevQueueXmit { skb });
        });
    }

    /// Lets time pass.
    fn run_until(&mut self, at: Nanos) {
        self.world.wake_at(at);
        while self.world.next_event_at().is_some_and(|next| next <= at) {
            self.world.reset_limit();
            self.world.step().expect("an end");
        }
    }

    /// Frames that the driver got, their bytes, frames that wait, and frames that were dropped.
    fn counted(&self) -> (u32, u64, u32, u32) {
        let kernel = self.world.kernel(MACHINE);
        let netdev = &kernel.devs[self.dev];
        let root = &kernel.qdiscs[netdev.qdisc];
        let dropped =
            [DropReason::QdiscDrop, DropReason::NotSpecified].map(|reason| kernel.drops.get(&reason));
        let dropped = dropped.into_iter().flatten().sum::<u64>() as u32;
        (netdev.stats.tx_packets as u32, netdev.stats.tx_bytes, root.qlen, dropped)
    }

    /// What came is sent, waits, or was dropped; and no packet is lost or held twice.
    fn check(&self) {
        let (sent, _, waits, dropped) = self.counted();
        assert_eq!(self.sent, sent + waits + dropped, "sent {sent}, wait {waits}, dropped {dropped}");
        assert_eq!(self.world.skbs.alive() as u32, waits, "those that wait are alive");
    }

    fn queue(&mut self, change: impl FnOnce(&mut glassnet_kernel::Cx, DevId)) {
        let dev = self.dev;
        self.world.enter(MACHINE, CPU, |cx| change(cx, dev));
    }
}

fn rate(rate: u64) -> RateSpec {
    RateSpec { rate, ..RateSpec::default() }
}

#[test]
fn a_stopped_queue_fills_and_drops_and_goes_on_when_it_is_woken() {
    let mut card = Card::new();
    card.add(TC_H_ROOT, 1, "pfifo", Some(&FifoOpt { limit: 5 }));
    card.queue(|cx, dev| netif_tx_stop_queue(&mut cx.k.devs[dev], 0));
    for flow in 1..=8 {
        card.send(100, flow, 0);
        card.check();
    }
    // The first went to the driver at once, which did not take it: it waits before the others, and counts.
    assert_eq!(card.counted(), (0, 0, 5, 3));
    card.queue(|cx, dev| netif_tx_wake_queue(cx, dev, 0));
    card.check();
    assert_eq!(card.counted(), (5, 500, 0, 3));
    assert!(card.world.kernel(MACHINE).cpus[0].stat.net_tx_softirqs > 0, "a softirq sent them");
    card.queue(|cx, dev| {
        netif_tx_stop_queue(&mut cx.k.devs[dev], 0);
        netif_tx_start_queue(&mut cx.k.devs[dev], 0);
    });
    card.send(100, 1, 0);
    assert_eq!(card.counted().0, 6, "a queue that was started again sends at once");
}

#[test]
fn a_byte_queue_limit_stops_the_queue_and_grows_when_the_card_ran_dry() {
    let mut card = Card::new();
    let limit = |card: &Card| card.world.kernel(MACHINE).devs[card.dev].tx[0].dql.limit;
    card.add(TC_H_ROOT, 1, "pfifo", Some(&FifoOpt { limit: 100 }));
    let mut limits = Vec::new();
    for _ in 0..5 {
        card.queue(|cx, dev| {
            assert!(netdev_tx_sent_queue(&mut cx.k.devs[dev].tx[0], 1500), "more than the limit");
        });
        card.send(100, 1, 0);
        assert_eq!(card.counted().2, 1, "it waits");
        card.queue(|cx, dev| netdev_tx_completed_queue(cx, dev, 0, 1, 1500));
        assert_eq!(card.counted().2, 0, "it is sent");
        card.check();
        limits.push(limit(&card));
        if limit(&card) >= 1500 {
            break;
        }
    }
    assert_eq!(limits, [1500], "as much as was sent while the queue was stopped");
    card.queue(|cx, dev| netdev_tx_reset_queue(cx, dev, 0));
    assert_eq!(limit(&card), 0);
}

#[test]
fn a_card_with_several_queues_has_a_discipline_for_each() {
    let mut world = World::new(1);
    let machine = world.add_machine("sender", 2);
    let (dev, _) = world.add_nic(machine, "eth0", &NicSettings::new("e1000e"));
    world.enter(machine, CPU, |cx| {
        let netdev = &mut cx.k.devs[dev];
        (netdev.num_tx_queues, netdev.carrier) = (4, true);
        netdev.tx.resize_with(4, Default::default);
        netif_set_real_num_tx_queues(cx, dev, 4).expect("it has four");
        assert_eq!(netif_set_real_num_tx_queues(cx, dev, 5), Err(Errno::EINVAL));
        do_setlink(cx, dev, LinkSet { up: Some(true), ..LinkSet::default() }).expect("it comes up");
        let kind = |q: QdiscId| cx.k.qdiscs[q].ops.id;
        assert_eq!(kind(cx.k.devs[dev].qdisc), "mq");
        assert_eq!(cx.k.devs[dev].tx.iter().map(|txq| kind(txq.qdisc)).collect::<Vec<_>>(), ["fq_codel"; 4]);
    });
}

/// In any time no more than the burst and what the rate gives goes through, whatever comes when.
#[test]
fn a_tbf_never_lets_more_through_than_burst_and_rate() {
    let mut dice = Dice::new(7);
    for _ in 0..30 {
        let (bytes_a_second, burst) = (1000 + dice.below(1_000_000), 1514 + dice.below(20_000));
        let mut card = Card::new();
        let limit = 1514 + dice.below(100_000) as u32;
        let opt = TbfOpt { rate: rate(bytes_a_second), limit, burst, ..TbfOpt::default() };
        card.add(TC_H_ROOT, 1, "tbf", Some(&opt));
        let begin = card.world.now();
        let (mut sent, mut at) = (vec![(begin, 0)], begin);
        for flow in 0..200 {
            card.send(60 + dice.below(1455) as usize, flow as u8, 0);
            card.check();
            at = Nanos(at.0 + dice.below(2_000_000));
            card.run_until(at);
            card.check();
            sent.push((card.world.cpu_now(MACHINE, CPU), card.counted().1));
        }
        for (from, (since, before)) in sent.iter().enumerate() {
            for (until, after) in &sent[from..] {
                let most =
                    burst + (until.since(*since).0 as u128 * bytes_a_second as u128 / 1_000_000_000) as u64;
                // A frame that was let through may be counted a moment later.
                assert!(after - before <= most + 1515, "{} bytes, at most {most}", after - before);
            }
        }
    }
}

#[test]
fn what_comes_is_sent_or_waits_or_was_dropped_in_every_discipline() {
    let mut dice = Dice::new(3);
    let prio = PrioOpt { bands: 3, priomap: PRIO2BAND };
    let netem =
        NetemOpt { latency: 3_000_000, jitter: 2_000_000, limit: 20, loss: 1 << 29, ..NetemOpt::default() };
    let fq_codel =
        FqCodelOpt { limit: Some(15), target: Some(500), interval: Some(2000), ..FqCodelOpt::default() };
    let fq = FqOpt { limit: Some(30), flow_limit: Some(6), maxrate: Some(200_000), ..FqOpt::default() };
    let leaves: [(&str, Option<&dyn QdiscData>); 7] = [
        ("pfifo_fast", None),
        ("pfifo_head_drop", Some(&FifoOpt { limit: 4 })),
        ("bfifo", Some(&FifoOpt { limit: 5000 })),
        ("prio", Some(&prio)),
        ("netem", Some(&netem)),
        ("fq_codel", Some(&fq_codel)),
        ("fq", Some(&fq)),
    ];
    for (kind, options) in leaves {
        let mut card = Card::new();
        let opt = TbfOpt { rate: rate(300_000), limit: 50_000, burst: 3000, ..TbfOpt::default() };
        card.add(TC_H_ROOT, 1, "tbf", Some(&opt));
        card.add(1 << 16 | 1, 2, kind, options);
        let mut at = card.world.now();
        for _ in 0..300 {
            card.send(60 + dice.below(1000) as usize, dice.below(5) as u8, dice.below(8) as u32);
            card.check();
            at = Nanos(at.0 + dice.below(3_000_000));
            card.run_until(at);
            card.check();
        }
        card.run_until(Nanos(at.0 + 20_000_000_000));
        card.check();
        assert_eq!(card.counted().2, 0, "{kind}: all is sent in the end");
        let down = LinkSet { up: Some(false), ..LinkSet::default() };
        card.send(900, 1, 0);
        card.send(900, 1, 0);
        card.send(900, 1, 0);
        card.send(900, 1, 0);
        card.queue(|cx, dev| do_setlink(cx, dev, down).expect("it goes down"));
        assert_eq!(card.world.skbs.alive(), 0, "{kind}: what waits is lost when the device goes down");
    }
}

/// Bytes that classes of these rates (of 100 kB/s, all of which they may borrow) send in two seconds, if all have packets.
fn shares(rates: &[u64], ceil: u64) -> Vec<u64> {
    let mut card = Card::new();
    card.world.trace.level = Level::Off;
    card.add(TC_H_ROOT, 1, "htb", Some(&HtbGlob { defcls: 0xff, r2q: 10, ..HtbGlob::default() }));
    let class = |rate_of: u64, ceil: u64| HtbOpt {
        rate: rate(rate_of),
        ceil: rate(ceil),
        buffer: 300_000,
        cbuffer: 300_000,
        quantum: 1514,
        ..HtbOpt::default()
    };
    card.add_class(1 << 16, 1 << 16 | 1, class(100_000, 100_000));
    for (at, rate) in rates.iter().enumerate() {
        card.add_class(1 << 16 | 1, 1 << 16 | (0x10 + at as u32), class(*rate, ceil));
    }
    for _ in 0..500 {
        for at in 0..rates.len() as u32 {
            card.send(1000, at as u8, 1 << 16 | (0x10 + at));
        }
    }
    let begin = card.world.now();
    card.run_until(Nanos(begin.0 + 2_000_000_000));
    card.check();
    let kernel = card.world.kernel(MACHINE);
    let classes = kernel.qdiscs[kernel.devs[card.dev].qdisc].ops.cl_ops.expect("it has classes");
    let of = |at: usize| (classes.leaf)(kernel, kernel.devs[card.dev].qdisc, 1 << 16 | (0x10 + at as u32));
    (0..rates.len()).map(|at| kernel.qdiscs[of(at).expect("a leaf")].bstats.bytes).collect()
}

#[test]
fn htb_gives_each_class_its_rate_and_shares_the_rest() {
    let near = |bytes: u64, expected: u64| bytes.abs_diff(expected) * 10 <= expected + 40_000;
    // All of the rate is promised: each gets its own.
    let given = shares(&[20_000, 80_000], 100_000);
    assert!(near(given[0], 40_000) && near(given[1], 160_000), "{given:?}");
    // Half of it is: the rest is lent in equal turns.
    let given = shares(&[10_000, 40_000], 100_000);
    assert!(near(given[0], 70_000) && near(given[1], 130_000), "{given:?}");
    // Nobody borrows above the ceiling.
    let given = shares(&[10_000, 10_000], 20_000);
    assert!(near(given[0], 40_000) && near(given[1], 40_000), "{given:?}");
}
