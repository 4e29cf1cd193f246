//! `nfacct` and `-m nfacct` against a recording of the real ones: see `nfacct/record.sh`.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::harness::{self, Launch, MemoryFiles};
use glassnet_userland::process::SharedWorld;
use netns::{NODE, machine};
use words::words;

#[path = "shared/netns.rs"]
mod netns;
#[path = "shared/recording.rs"]
mod recording;
#[path = "shared/words.rs"]
mod words;

fn run(world: &SharedWorld, netns: NetnsId, row: &str) -> (String, i32) {
    let mut words = words(row);
    let mut input = String::new();
    if let Some(at) = words.iter().position(|word| word == "<<<") {
        input = words[at + 1..].concat() + "\n";
        words.truncate(at);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = harness::run(world, (NODE, netns), &words, &input).expect("the program ends");
    if words[0] == "ping" {
        return (String::new(), outcome.status);
    }
    let mut text = outcome.stderr + &outcome.stdout;
    if let Some((head, tail)) = text.split_once("\"timestamp\" : ") {
        let rest = tail.trim_start_matches(|letter: char| letter.is_ascii_digit());
        text = format!("{head}\"timestamp\" : TIME{rest}");
    }
    // The recording has no empty lines at the end.
    let end = text.trim_end_matches('\n').len();
    (if end == 0 { String::new() } else { text[..end].to_owned() + "\n" }, outcome.status)
}

#[test]
fn session() {
    let (world, netns) = machine();
    let run = |row: &str| run(&world, netns, row);
    recording::check(("nfacct", "session", "session"), run, |recorded, played| recorded == played);
}

/// Recorded with `stdbuf -oL nfacct monitor` beside four pings to itself: an object is told once, as it reaches its quota.
#[test]
fn monitor_tells_what_reaches_its_quota() {
    let mut world = World::new(1);
    let machine: MachineId = world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    let setup = [
        "ip link set lo up",
        "nfacct add q1 packet 3",
        "nfacct add q2 byte 200",
        "iptables -A INPUT -m nfacct --nfacct-name q1",
        "iptables -A INPUT -m nfacct --nfacct-name q2",
    ];
    for command in setup {
        let outcome = harness::run(&world, (machine, INIT_NET), &words_of(command), "").expect("ends");
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{command}");
    }
    let launch = |command: &str, delay| Launch {
        env: Default::default(),
        place: (machine, INIT_NET),
        argv: words(command),
        stdin: String::new(),
        delay: Nanos::from_secs(delay),
    };
    let launches = vec![launch("timeout -s INT 9 nfacct monitor", 0), launch("ping -c 4 127.0.0.1", 1)];
    let outcomes = harness::run_launches(&world, launches, Arc::new(MemoryFiles::default())).expect("ends");
    let expected = "\
{ pkts = 00000000000000000003, bytes = 00000000000000000252, quota = 00000000000000000003, mode = packet, overquota = yes } = q1;
{ pkts = 00000000000000000003, bytes = 00000000000000000252, quota = 00000000000000000200, mode = byte, overquota = yes } = q2;
";
    assert_eq!((outcomes[0].stdout.as_str(), outcomes[0].status), (expected, 124));
}

fn words_of(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}
