//! `conntrack` against a recording of the real one: see `conntrack/record.sh`.

use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::ids::{CpuId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::netfilter::nf_conntrack_proto::nf_ct_netns_get;
use glassnet_userland::harness;
use words::words;

#[path = "shared/recording.rs"]
mod recording;
#[path = "shared/words.rs"]
mod words;

const NODE: MachineId = MachineId(0);

/// The kernel lists connections in the order of a seeded hash, and on the real machine time passed.
fn same(recorded: &str, played: &str) -> bool {
    // Numbers of connections are the kernel's secret.
    let id = |line: &str| match (line.find("<id>"), line.find("</id>")) {
        (Some(from), Some(to)) => line[..from].to_owned() + &line[to..],
        _ => line.to_owned(),
    };
    let lines = |text: &str| {
        let aged = (990..1000).fold(text.to_owned(), |text, age| text.replace(&age.to_string(), "1000"));
        let mut lines: Vec<String> = aged.lines().map(id).collect();
        lines.sort();
        lines
    };
    lines(recorded) == lines(played)
}

fn check(name: &str) {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    world.enter(NODE, CpuId(0), |cx| nf_ct_netns_get(cx.k, INIT_NET));
    let world = Arc::new(Mutex::new(world));
    let run = |row: &str| {
        let words = words(row);
        let argv: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome = harness::run(&world, (NODE, INIT_NET), &argv, "").expect("the program ends");
        (outcome.stderr + &outcome.stdout, outcome.status)
    };
    recording::check(("conntrack", name, name), run, same);
}

#[test]
fn filters() {
    check("filters");
}

#[test]
fn sctp() {
    check("sctp");
}
