//! Command lines and lessons that nobody would type: each ends, with a message or without, and never in a panic.

use std::path::Path;

use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::{lab, shell::Session};
use proptest::prelude::*;

/// Words of the programs' languages, and some that belong to none.
const WORDS: &[&str] = &[
    "ip",
    "bridge",
    "brctl",
    "ping",
    "arping",
    "arp",
    "tcpdump",
    "traceroute",
    "tracepath",
    "sysctl",
    "ethtool",
    "nsenter",
    "netns",
    "link",
    "addr",
    "route",
    "neigh",
    "rule",
    "fdb",
    "add",
    "del",
    "set",
    "show",
    "get",
    "flush",
    "exec",
    "dev",
    "lo",
    "eth0",
    "br0",
    "v0",
    "type",
    "veth",
    "peer",
    "name",
    "master",
    "nomaster",
    "up",
    "down",
    "via",
    "10.0.0.1",
    "10.0.0.1/24",
    "256.1.1.1",
    "10.0.0.1/99",
    "default",
    "lladdr",
    "00:11:22:33:44:55",
    "zz:1",
    "mtu",
    "9999999999999999999",
    "-1",
    "0",
    "address",
    "-c",
    "1",
    "-w",
    "-i",
    "-s",
    "65536",
    "-j",
    "-d",
    "-br",
    "-n",
    "nowhere",
    "/proc/sys/net/ipv4/ip_forward",
    "cat",
    "echo",
    ">",
    "|",
    ";",
    "&&",
    "$(",
    ")",
    "'",
    "\"",
    "&",
    "wait",
    "table",
    "local",
    "main",
    "42",
    "nud",
    "permanent",
    "metric",
    "scope",
    "host",
    "src",
    "--net=/run/netns/x",
    "é",
];

const TOPOLOGY: &str = "---\ntitle: t\ntopology: { nodes: { n: { nics: { eth0: {} } } } }\n---\n";

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn fuzz_commands(lines in prop::collection::vec(prop::collection::vec(prop::sample::select(WORDS), 1..9), 1..5)) {
        let lesson = Lesson::parse(Path::new("fuzz.md"), TOPOLOGY.to_owned()).unwrap();
        let mut session = Session::new(lab::build(&lesson.front.topology, lab::SEED)).unwrap();
        for words in lines {
            // An error is an answer too; only a panic or a hang is not.
            let _ = session.run("n", &words.join(" "));
        }
    }

    #[test]
    fn fuzz_lessons(at in any::<prop::sample::Index>(), len in 0usize..40, junk in "[ -~\\n`#{}:é]{0,12}") {
        let whole = include_str!("../lessons/two-hosts.md");
        let start = whole.floor_char_boundary(at.index(whole.len()));
        let end = whole.floor_char_boundary((start + len).min(whole.len()));
        let text = [&whole[..start], &junk, &whole[end..]].concat();
        if let Err(error) = Lesson::parse(Path::new("fuzz.md"), text) {
            prop_assert!(!error.message.is_empty() && error.line > 0);
        }
    }
}
