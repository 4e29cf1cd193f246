//! `tc` against recordings of the real one: `tests/tc/record FILE…` makes them anew.

use std::sync::{Arc, Mutex};

use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_userland::harness;
use words::words;

#[path = "shared/words.rs"]
mod words;

fn check(name: &str, recording: &str) {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    let mut ours = String::new();
    for line in recording.lines() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        // `printf TEXT | tc …` gives the command its standard input.
        let (stdin, command) = match command.strip_prefix("printf ").and_then(|rest| rest.split_once(" | ")) {
            Some((text, command)) => (words(text).concat().replace("\\n", "\n"), command),
            None => (String::new(), command),
        };
        let argv = words(command);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let outcome = harness::run(&world, (machine, INIT_NET), &argv, &stdin).expect("a program that ends");
        ours.push_str(&format!("{line}\n{}{}", outcome.stdout, outcome.stderr));
        if outcome.status != 0 {
            ours.push_str(&format!("[{}]\n", outcome.status));
        }
    }
    let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tc-{name}.txt"));
    std::fs::write(&kept, &ours).expect("a directory for what tests leave behind");
    assert!(ours == recording, "ours is in {}", kept.display());
}

#[test]
fn syntax() {
    check("syntax", include_str!("tc/syntax.txt"));
}

#[test]
fn qdiscs() {
    check("qdiscs", include_str!("tc/qdiscs.txt"));
}

#[test]
fn tbf() {
    check("tbf", include_str!("tc/tbf.txt"));
}

#[test]
fn htb() {
    check("htb", include_str!("tc/htb.txt"));
}
