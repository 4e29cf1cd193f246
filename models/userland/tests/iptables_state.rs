//! Rules with a memory against counters recorded from Linux: see `iptables_state/record.sh`.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_userland::harness;

const NODE: MachineId = MachineId(0);

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iptables_state").join(name);
    let recorded = std::fs::read_to_string(path.with_extension("txt")).expect("a recording");
    let commands = std::fs::read_to_string(path.with_extension("cmd")).expect("commands");
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    world.machines[NODE.index()].config.ipset_bitmask = true;
    let world = Arc::new(Mutex::new(world));
    let mut differences = String::new();
    let mut rest = recorded.as_str();
    for line in commands.lines() {
        let argv: Vec<&str> = line.split(' ').collect();
        let outcome = harness::run(&world, (NODE, INIT_NET), &argv, "").expect("the program ends");
        let text = if argv[0] == "ping" { String::new() } else { outcome.stderr + &outcome.stdout };
        let played = format!("$ {line}\n{text}[{}]\n", outcome.status);
        let end = rest[1..].find("\n$ ").map_or(rest.len(), |at| at + 2);
        let (expected, after) = rest.split_at(end);
        rest = after;
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (expected, played) = (lines(expected), lines(&played));
        for at in 0..expected.len().max(played.len()) {
            let (real, model) = (expected.get(at), played.get(at));
            // Counters of policies are tried elsewhere.
            let is_chain = real.is_some_and(|line| line.starts_with("Chain "));
            if real != model && !is_chain {
                let _ = writeln!(differences, "$ {line}\n- {real:?}\n+ {model:?}");
            }
        }
    }
    assert!(differences.is_empty(), "{name}.txt:\n{differences}");
}

#[test]
fn legacy() {
    check("legacy");
}

#[test]
fn nft() {
    check("nft");
}
