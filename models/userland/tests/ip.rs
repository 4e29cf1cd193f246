//! `ip` against recordings of the real one: `tests/ip/record FILE…` makes them anew.

use std::sync::{Arc, Mutex};

use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_userland::harness;

/// The words of a command: blanks separate, quotes keep together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for char in line.chars() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// Runs the commands of a recording and compares everything that they print.
fn check(name: &str, recording: &str) {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 2);
    let world = Arc::new(Mutex::new(world));
    let mut ours = String::new();
    for line in recording.lines() {
        if line.starts_with('#') {
            ours.push_str(line);
            ours.push('\n');
        }
        let Some(command) = line.strip_prefix("$ ") else { continue };
        let argv = words(command);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let outcome = harness::run(&world, (machine, INIT_NET), &argv, "").expect("a program that ends");
        ours.push_str(&format!("{line}\n{}{}", outcome.stdout, outcome.stderr));
        if outcome.status != 0 {
            ours.push_str(&format!("[{}]\n", outcome.status));
        }
    }
    let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ip-{name}.txt"));
    std::fs::write(&kept, &ours).expect("a directory for what tests leave behind");
    let differences = first_difference(&ours, recording);
    assert!(ours == recording, "ours is in {}\n{differences}", kept.display());
}

fn first_difference(ours: &str, theirs: &str) -> String {
    let (mut command, mut count) = ("", 0);
    let mut text = String::new();
    for (a, b) in ours.lines().zip(theirs.lines()) {
        if b.starts_with("$ ") {
            command = b;
        }
        if a != b {
            text.push_str(&format!("{command}\n  ours   {a}\n  theirs {b}\n"));
            count += 1;
            if count > 2 || a.starts_with("$ ") != b.starts_with("$ ") {
                break;
            }
        }
    }
    text
}

macro_rules! recordings {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("ip/", stringify!($name), ".txt")));
        })*
    };
}

recordings!(netns link_veth link_errors link_bridge addr route neigh rule global);
