//! What a hop costs: the model, observed and not, beside the floor. A hop is the slope between a chain of eight and
//! a chain of one, so sending and receiving do not count.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use glassnet_benches::floor::{Events, Floor, Kind};
use glassnet_benches::vxlan::vxlan;
use glassnet_benches::{BURST, Chain, MACHINE, Pair, bridges, routers, routers_ct, setup_namespace};
use glassnet_kernel::World;
use glassnet_kernel::trace::Level;

/// Times `packets` packets over one hop: (eight hops - one hop) / 7.
fn slope(packets: u64, mut long: impl FnMut(), mut short: impl FnMut()) -> Duration {
    let bursts = packets.div_ceil(BURST as u64);
    let mut total = 0_i128;
    for _ in 0..bursts {
        let start = Instant::now();
        long();
        let middle = Instant::now();
        short();
        total += (middle - start).as_nanos() as i128 - middle.elapsed().as_nanos() as i128;
    }
    let hop = total.max(0) as u64 / 7;
    Duration::from_nanos(hop * packets / (bursts * BURST as u64))
}

fn model(c: &mut Criterion, name: &str, chain: impl Fn(usize) -> Chain, level: Level) {
    let (mut long, mut short) = (chain(8), chain(1));
    for chain in [&mut long, &mut short] {
        chain.world.trace.level = level;
    }
    c.bench_function(name, |b| {
        b.iter_custom(|packets| slope(packets, || observed_burst(&mut long), || observed_burst(&mut short)));
    });
}

fn observed_burst(chain: &mut Chain) {
    chain.burst();
    chain.world.trace.steps.clear();
}

fn floor(c: &mut Criterion, name: &str, kind: Kind, events: Events) {
    let (mut long, mut short) = (Floor::new(kind, events, 8), Floor::new(kind, events, 1));
    c.bench_function(name, |b| {
        b.iter_custom(|packets| {
            slope(packets, || assert_eq!(long.burst(), BURST), || assert_eq!(short.burst(), BURST))
        });
    });
}

fn hops(c: &mut Criterion) {
    floor(c, "floor/bridge/an event a hop", Kind::Bridge, Events::EachHop);
    floor(c, "floor/bridge/an event a poll", Kind::Bridge, Events::EachPoll);
    model(c, "hop/bridge", bridges, Level::Off);
    model(c, "hop/bridge/every door observed", bridges, Level::Doors);
    floor(c, "floor/forward/an event a hop", Kind::Forward, Events::EachHop);
    floor(c, "floor/forward/an event a poll", Kind::Forward, Events::EachPoll);
    model(c, "hop/forward", routers, Level::Off);
    model(c, "hop/forward/every door observed", routers, Level::Doors);
    for flows in [4_000, 262_144] {
        let kind = Kind::ForwardCt { flows };
        floor(c, &format!("floor/forward_ct/{flows} flows/an event a hop"), kind, Events::EachHop);
        floor(c, &format!("floor/forward_ct/{flows} flows/an event a poll"), kind, Events::EachPoll);
        model(c, &format!("hop/forward_ct/{flows} flows"), |hops| routers_ct(hops, flows), Level::Off);
    }
}

/// A whole way through a tunnel, sending and receiving with it, beside its floor.
fn tunnels(c: &mut Criterion) {
    floor(c, "floor/vxlan/an event a hop", Kind::Vxlan, Events::EachHop);
    floor(c, "floor/vxlan/an event a poll", Kind::Vxlan, Events::EachPoll);
    for (name, chain) in [("tunnel/vxlan", vxlan as fn() -> Chain), ("tunnel/hostgw", || routers(2))] {
        let mut chain = chain();
        c.bench_function(name, |b| {
            b.iter_custom(|packets| {
                let bursts = packets.div_ceil(BURST as u64);
                let start = Instant::now();
                (0..bursts).for_each(|_| chain.burst());
                start.elapsed().mul_f64(packets as f64 / (bursts * BURST as u64) as f64)
            });
        });
    }
}

fn end_to_end(c: &mut Criterion) {
    for (name, level) in [("udp over a veth", Level::Off), ("udp over a veth, observed", Level::Doors)] {
        let mut pair = Pair::new();
        pair.world.trace.level = level;
        c.bench_function(&format!("end to end/{name}"), |b| {
            b.iter(|| {
                assert_eq!(pair.exchange(), 18);
                pair.world.trace.steps.clear();
            });
        });
    }
}

/// Timers that do nothing: what the event queue and the world's step cost.
fn events(c: &mut Criterion) {
    let mut world = World::new(1);
    let mut at = 0;
    c.bench_function("event", |b| {
        b.iter(|| {
            at += 1;
            world.wake_at(glassnet_sim::Nanos(at));
            world.step().expect("no packet")
        });
    });
}

/// Namespaces on one bridge, which has room for 1023.
const PORTS: usize = 500;

fn setup(c: &mut Criterion) {
    let mut group = c.benchmark_group("setup");
    group.throughput(Throughput::Elements(1));
    group.bench_function("namespace, veth pair and bridge port", |b| {
        b.iter_custom(|count| {
            let mut total = Duration::ZERO;
            for first in (0..count).step_by(PORTS) {
                let mut world = World::new(1);
                let bridge = glassnet_benches::one_bridge(&mut world);
                let start = Instant::now();
                for _ in first..count.min(first + PORTS as u64) {
                    setup_namespace(&mut world, MACHINE, bridge);
                }
                total += start.elapsed();
            }
            total
        });
    });
    group.finish();
}

criterion_group!(benches, hops, tunnels, end_to_end, events, setup);
criterion_main!(benches);
