//! Programs that speak TCP and UDP: nc, curl, python3 -m http.server, ss.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::world::World;
use glassnet_userland::harness::{Outcome, run, run_together};
use glassnet_userland::process::SharedWorld;

const NODE: MachineId = MachineId(0);

/// Namespaces `a` (10.0.0.1) and `b` (10.0.0.2) with a cable between them.
fn bench() -> SharedWorld {
    let mut world = World::new(7);
    world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    for line in [
        "ip netns add a",
        "ip netns add b",
        "ip -n a link add eth0 type veth peer name eth0 netns b",
        "ip -n a addr add 10.0.0.1/24 dev eth0",
        "ip -n b addr add 10.0.0.2/24 dev eth0",
        "ip -n a link set eth0 up",
        "ip -n b link set eth0 up",
        "ip -n a link set lo up",
        "ip -n b link set lo up",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let outcome = run(&world, (NODE, NetnsId(0)), &words, "").expect("ends");
        assert_eq!(outcome.stderr, "", "{line}");
    }
    world
}

fn netns(world: &SharedWorld, name: &str) -> NetnsId {
    world.lock().expect("the world").kernel(NODE).netns_names[name]
}

/// Runs programs at once, each as `NAMESPACE COMMAND`.
fn together(world: &SharedWorld, lines: &[&str], stdin: &str) -> Vec<Outcome> {
    let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
    let programs: Vec<_> = words.iter().map(|words| ((NODE, netns(world, words[0])), &words[1..])).collect();
    run_together(world, &programs, stdin).expect("all end")
}

#[test]
fn nc_to_nc() {
    let world = bench();
    let outcomes = together(&world, &["b nc -l -n -v 81", "a nc -N -n -v 10.0.0.2 81"], "hello\n");
    let said = &outcomes[0].stderr;
    assert!(said.starts_with("Listening on 0.0.0.0 81\nConnection received on 10.0.0.1 "), "{said}");
    assert_eq!(outcomes[0].stdout, "hello\n");
    assert_eq!(outcomes[1].stderr, "Connection to 10.0.0.2 81 port [tcp/*] succeeded!\n");
    assert_eq!((outcomes[0].status, outcomes[1].status), (0, 0));
}
