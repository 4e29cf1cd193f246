//! `nstat` against the real one of iproute2 6.1.0, which was given the model's `/proc/net/snmp` and `netstat`.

use std::sync::{Arc, Mutex};

use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::harness::{self, Launch, MemoryFiles};
use words::words;

#[path = "shared/words.rs"]
mod words;

const HISTORY: &str = "/tmp/.nstat.u0";

/// Runs the commands of a recording, which share their files, and compares all that they print. `echo TEXT > FILE`
/// writes a history.
#[test]
fn counters_and_their_history() {
    let recording = include_str!("nstat/session.txt");
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 2);
    let world = Arc::new(Mutex::new(world));
    let files = Arc::new(MemoryFiles::default());
    let mut ours = String::new();
    for command in recording.lines().filter_map(|line| line.strip_prefix("$ ")) {
        ours.push_str(&format!("$ {command}\n"));
        if let Some(text) = command.strip_prefix("echo ").and_then(|rest| rest.strip_suffix(" > history")) {
            let text = text.trim_matches('\'').replace("\\n", "\n");
            files.0.lock().expect("no panic").insert(HISTORY.to_owned(), text.into_bytes());
            continue;
        }
        let launch = Launch {
            env: Default::default(),
            place: (machine, INIT_NET),
            argv: words(command),
            stdin: String::new(),
            delay: Nanos::ZERO,
        };
        let outcome = harness::run_launches(&world, vec![launch], files.clone()).expect("ends").remove(0);
        if command.starts_with("nstat") {
            ours.push_str(&format!("{}{}[{}]\n", outcome.stdout, outcome.stderr, outcome.status));
        }
    }
    assert_eq!(ours, recording);
}
