//! `ipset` against recordings of the real one: see `ipset/record.sh`.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_userland::harness;
use glassnet_userland::process::SharedWorld;

const NODE: MachineId = MachineId(0);

/// A machine whose kernel knows of `bitmask`, as Linux 6.18 does on which was recorded.
fn machine() -> SharedWorld {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    world.machines[NODE.index()].config.ipset_bitmask = true;
    Arc::new(Mutex::new(world))
}

/// Splits a command as a shell would, with its two kinds of quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(end), letter) if letter == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Numbers after `timeout` may differ by one: on the real machine time passed. A chosen `initval` is its own.
fn same(recorded: &str, played: &str) -> bool {
    let words =
        |text: &str| text.split_inclusive([' ', '\n', '<', '>']).map(str::to_owned).collect::<Vec<_>>();
    let (recorded, played) = (words(recorded), words(played));
    let number = |word: &str| word.trim_end_matches([' ', '\n', '<']).parse::<i64>().ok();
    let near = |at: usize| match (
        recorded[at - 1].trim_end_matches([' ', '>']),
        number(&recorded[at]),
        number(&played[at]),
    ) {
        ("timeout", Some(recorded), Some(played)) => played - recorded == 1,
        ("initval", ..) => true,
        _ => false,
    };
    recorded.len() == played.len()
        && (0..played.len()).all(|at| recorded[at] == played[at] || at > 0 && near(at))
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ipset").join(name);
    let recorded = std::fs::read_to_string(path.with_extension("txt")).expect("a recording");
    let commands = std::fs::read_to_string(path.with_extension("cmd")).expect("commands");
    let world = machine();
    let mut differences = String::new();
    let mut rest = recorded.as_str();
    for line in commands.lines() {
        let (input, command) = line.rsplit_once(" | ").unwrap_or(("", line));
        let input = input.replace("\\n", "\n").replace("\\r", "\r");
        let mut argv = vec!["ipset".to_owned()];
        argv.extend(words(command));
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let outcome = harness::run(&world, (NODE, INIT_NET), &argv, &input).expect("the program ends");
        let text = outcome.stderr + &outcome.stdout;
        let played = format!("$ {line}\n{text}[{}]\n", outcome.status);
        let end = rest[1..].find("\n$ ").map_or(rest.len(), |at| at + 2);
        let (expected, after) = rest.split_at(end);
        rest = after;
        if !same(expected, &played) {
            let _ = write!(differences, "--- recorded\n{expected}--- played\n{played}");
        }
    }
    assert!(differences.is_empty(), "{name}.txt:\n{differences}");
    assert!(rest.is_empty(), "{name}.txt has more:\n{rest}");
}

macro_rules! recordings {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

recordings!(create, grow, more, options, restore, test, types, words_);
