//! What a rule costs that does not match, beside the least that a rule can cost, and what it takes to put 50,000 rules
//! in force.
//!
//! A rule is the slope between tables of many rules and of none. The floor holds a packet against an array of rules
//! that are only a source with its mask and a destination port.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use glassnet_benches::rules::{Bench, Kind, kube_proxy};
use glassnet_kernel::tables::xt::Variant;

const MANY: usize = 10_000;

/// The time of `count` rules, as a slope.
fn slope(count: u64, mut of_many: impl FnMut(), mut of_none: impl FnMut()) -> Duration {
    let rounds = count.div_ceil(MANY as u64);
    let mut total = 0_i128;
    for _ in 0..rounds {
        let start = Instant::now();
        of_many();
        let middle = Instant::now();
        of_none();
        total += (middle - start).as_nanos() as i128 - middle.elapsed().as_nanos() as i128;
    }
    let all = rounds * MANY as u64;
    Duration::from_nanos((total.max(0) as u128 * u128::from(count) / u128::from(all)) as u64)
}

fn a_rule(c: &mut Criterion) {
    let floor: Vec<(u32, u32, u16)> = (0..MANY as u32).map(|n| (n, u32::MAX, n as u16)).collect();
    let packet = black_box((0x0a00_0001_u32, 53_u16));
    c.bench_function("floor/a rule that does not match", |b| {
        b.iter_custom(|count| {
            let scan = |rules: &[(u32, u32, u16)]| {
                let agrees = |rule: &(u32, u32, u16)| packet.0 & rule.1 == rule.0 && packet.1 == rule.2;
                black_box(black_box(rules).iter().position(agrees));
            };
            slope(count, || scan(&floor), || scan(&floor[..0]))
        });
    });
    for kind in Kind::ALL {
        let mut many = Bench::new(kind, MANY, Variant::Nft);
        let mut none = Bench::new(kind, 0, Variant::Nft);
        c.bench_function(&format!("a rule that does not match/{}", kind.name()), |b| {
            b.iter_custom(|count| slope(count, || many.send(), || none.send()));
        });
    }
}

fn a_table(c: &mut Criterion) {
    let mut group = c.benchmark_group("a table of rules that do not match");
    for rules in [0, 100, 1_000, 10_000] {
        let mut bench = Bench::new(Kind::Service, rules, Variant::Nft);
        group.bench_function(BenchmarkId::from_parameter(rules), |b| b.iter(|| bench.send()));
    }
    group.finish();
}

fn commit(c: &mut Criterion) {
    let mut bench = Bench::new(Kind::Service, 0, Variant::Nft);
    let mut group = c.benchmark_group("commit");
    group.sample_size(10);
    group.bench_function("50,000 rules of kube-proxy", |b| {
        b.iter_batched(|| kube_proxy(50_000), |table| bench.put(table), criterion::BatchSize::LargeInput);
    });
    group.bench_function("the last of 5,000 rules appended one by one", |b| {
        b.iter_custom(|rounds| {
            let mut total = Duration::ZERO;
            for _ in 0..rounds {
                let mut bench = Bench::new(Kind::Service, 5_000, Variant::Nft);
                let start = Instant::now();
                bench.append(1);
                total += start.elapsed();
            }
            total
        });
    });
    group.finish();
}

criterion_group!(benches, a_rule, a_table, commit);
criterion_main!(benches);
