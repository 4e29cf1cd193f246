//! Rules with a memory against counters recorded from Linux: see `iptables_state/record.sh`.

use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_userland::harness;

#[path = "shared/recording.rs"]
mod recording;

const NODE: MachineId = MachineId(0);

/// Counters of policies are tried elsewhere.
fn same(recorded: &str, played: &str) -> bool {
    let is_same = |(recorded, played): (&str, &str)| recorded == played || recorded.starts_with("Chain ");
    recorded.lines().count() == played.lines().count() && recorded.lines().zip(played.lines()).all(is_same)
}

fn check(name: &str) {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    world.machines[NODE.index()].config.ipset_bitmask = true;
    let world = Arc::new(Mutex::new(world));
    let run = |row: &str| {
        let argv: Vec<&str> = row.split(' ').collect();
        let outcome = harness::run(&world, (NODE, INIT_NET), &argv, "").expect("the program ends");
        let text = if argv[0] == "ping" { String::new() } else { outcome.stderr + &outcome.stdout };
        (text, outcome.status)
    };
    recording::check(("iptables_state", name, name), run, same);
}

#[test]
fn legacy() {
    check("legacy");
}

#[test]
fn nft() {
    check("nft");
}
