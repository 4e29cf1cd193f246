//! Look-ups in the table of connections, at several sizes, with the memory of an entry; the floor is a load of one cache
//! line that depends on the one before.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::tables::conntrack::{Conn, Conntrack, Tuple};
use std::hint::black_box;
use std::net::Ipv4Addr;

const NETNS: NetnsId = NetnsId(0);
const SIZES: [u32; 3] = [4_096, 262_144, 1_000_000];

fn tuple(flow: u32) -> Tuple {
    let (src, sport) = (Ipv4Addr::from_bits(0x0a00_0000 | flow >> 12), 1024 + (flow & 0xfff) as u16);
    Tuple { src, dst: Ipv4Addr::new(10, 128, 0, 1), sport, dport: 53, proto: 17 }
}

fn table(flows: u32) -> Conntrack {
    let mut table = Conntrack::default();
    for flow in 0..flows {
        let there = tuple(flow);
        let back = there.inverted().expect("UDP can be answered");
        let id = table.alloc(Conn::new(NETNS, there, back, [0, 0]));
        table.insert(id);
        table.put(id);
    }
    table
}

/// The next of a row of flows that memory cannot guess.
fn next(flow: u32) -> u32 {
    flow.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

fn look_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("conntrack/look-up");
    for flows in SIZES {
        let table = table(flows);
        println!("{flows} flows: {} bytes an entry", table.memory() / flows as usize);
        let mut flow = 1;
        group.bench_function(BenchmarkId::from_parameter(flows), |b| {
            b.iter(|| {
                flow = next(flow);
                let found = table.find(NETNS, [0, 0], &tuple((flow >> 4) % flows));
                // The next one waits for this one.
                flow ^= found.and_then(|(id, _)| table.get(id)).map_or(0, |conn| conn.mark);
            });
        });
    }
    group.finish();
}

fn floor(c: &mut Criterion) {
    let mut group = c.benchmark_group("floor/conntrack/one line");
    for flows in SIZES {
        // As many lines as a table of this size has for its entries.
        let lines = vec![[0_u64; 8]; flows as usize];
        let mut flow = 1;
        group.bench_function(BenchmarkId::from_parameter(flows), |b| {
            b.iter(|| {
                flow = next(flow);
                flow ^= black_box(&lines)[((flow >> 4) % flows) as usize][0] as u32;
            });
        });
    }
    group.finish();
}

criterion_group!(benches, look_up, floor);
criterion_main!(benches);
