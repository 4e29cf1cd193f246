//! `ipset` against recordings of the real one: see `ipset/record.sh`.

use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_userland::harness;
use glassnet_userland::process::SharedWorld;
use words::words;

#[path = "shared/recording.rs"]
mod recording;
#[path = "shared/words.rs"]
mod words;

const NODE: MachineId = MachineId(0);

/// A machine whose kernel knows of `bitmask`, as Linux 6.18 does on which was recorded.
fn machine() -> SharedWorld {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    world.machines[NODE.index()].config.ipset_bitmask = true;
    Arc::new(Mutex::new(world))
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
    let world = machine();
    let run = |row: &str| {
        let (input, command) = row.rsplit_once(" | ").unwrap_or(("", row));
        let input = input.replace("\\n", "\n").replace("\\r", "\r");
        let words = words(command);
        let argv: Vec<&str> = ["ipset"].into_iter().chain(words.iter().map(String::as_str)).collect();
        let outcome = harness::run(&world, (NODE, INIT_NET), &argv, &input).expect("the program ends");
        (outcome.stderr + &outcome.stdout, outcome.status)
    };
    recording::check(("ipset", name, name), run, same);
}

macro_rules! recordings {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

recordings!(create, grow, more, nonsense, old, options, restore, test, types, words_);
