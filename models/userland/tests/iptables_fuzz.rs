//! Command lines and dumps that nobody wrote: nothing panics, a refused one changes nothing, and what is saved
//! restores to itself.

use glassnet_kernel::ids::NetnsId;
use glassnet_userland::harness::{self, Outcome};
use glassnet_userland::process::SharedWorld;
use netns::{NODE, machine};
use proptest::prelude::*;

#[path = "shared/netns.rs"]
mod netns;

fn run(at: &(SharedWorld, NetnsId), words: &[&str], input: &str) -> Outcome {
    harness::run(&at.0, (NODE, at.1), words, input).expect("the program ends")
}

/// All rules with their counters, without the lines that hold dates.
fn saved(at: &(SharedWorld, NetnsId), variant: &str) -> String {
    let text = run(at, &[&format!("iptables-{variant}-save"), "-c"], "").stdout;
    text.split_inclusive('\n').filter(|line| !line.starts_with("# ")).collect()
}

/// Words that stand in commands, good ones and bad ones.
#[rustfmt::skip] // A list.
const WORDS: &[&str] = &[
    "-A", "-D", "-I", "-R", "-C", "-P", "-N", "-X", "-F", "-Z", "-E", "-L", "-S", "INPUT", "FORWARD", "OUTPUT", "a",
    "b", "nope", "1", "2", "0", "-1", "99999999999999999999", "-s", "10.0.0.1", "10.0.0.0/8", "1.1.1.1,2.2.2.2", "-d",
    "!", "0/0", "-i", "eth0", "eth+", "+", "-o", "-p", "tcp", "udp", "icmp", "6", "all", "-m", "--dport", "80", "1:2",
    "70000", ":", "--sport", "--tcp-flags", "SYN,ACK", "SYN", "--syn", "--icmp-type", "8", "3/4", "any", "-j", "ACCEPT",
    "DROP", "RETURN", "-g", "-f", "-c", "5", "-v", "-n", "-x", "--line-numbers", "-t", "nat", "raw", "-w", "--", "-",
    "--comment", "comment", "x y", "\"", "\\", "'", "mark", "--mark", "0x1/0x2", "LOG", "--log-prefix", "REJECT",
    "--reject-with", "tcp-reset", "MARK", "--set-xmark", "conntrack", "--ctstate", "NEW", "multiport", "--dports",
    "80,81:82", "statistic", "--mode", "random", "--probability", "0.5", "limit", "--limit", "3/min", "DNAT",
    "--to-destination", "1.2.3.4:5-6", "--h", "--", "-h", "-V", "ä", "\u{0}", "*", "#", "[1:2]", "COMMIT",
    "1234567890123456789012345678901234567890", "-4", "-6", "--set-counters", "--append", "--he", "=", "--table=nat",
    "recent", "--set", "--name", "string", "--hex-string", "|41|", "--algo", "bm", "u32", "--u32", "0&1=2", "set",
    "--match-set", "src,dst", "time", "--timestart", "10:00", "owner", "--uid-owner", "0-5", "--to", "--to-ports",
    "MASQUERADE", "--random", "CT", "--zone", "TCPMSS", "--clamp-mss-to-pmtu", "hashlimit", "--hashlimit-upto",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => any::<String>(),
    ]
}

/// A rule that is right more often than not.
fn rule() -> impl Strategy<Value = String> {
    #[rustfmt::skip] // A list.
    let parts = proptest::sample::subsequence(vec![
        "-s 10.1.2.3", "! -d 10.0.0.0/255.0.255.0", "-o eth+", "-p tcp", "-m tcp --dport 80", "--sport 1:", "--syn",
        "! --tcp-flags SYN,ACK NONE", "-m comment --comment \"it's \\\"so\\\" \\\\ \"", "-m mark ! --mark 0x5/0xff",
        "-m multiport ! --dports 1,2:3", "-m conntrack --ctstate NEW,ESTABLISHED", "-m limit --limit 5/sec --limit-burst 7",
        "-m statistic --mode nth --every 3 --packet 1", "-m length --length 40:1500", "-m addrtype --dst-type LOCAL",
        "-m iprange --src-range 1.1.1.1-2.2.2.2", "-m ttl --ttl-gt 3", "-m recent --name x --rcheck --seconds 5",
        "-m string --algo bm --string \"a b\"", "-m u32 --u32 \"6&0xFF=1\"", "-m pkttype --pkt-type broadcast",
        "-c 5 7", "-m tos --tos 0x10", "-m dscp --dscp 5", "-m mac --mac-source 02:00:00:00:00:01",
    ], 0..6);
    #[rustfmt::skip] // A list.
    let targets = vec![
        "", "-j ACCEPT", "-j DROP", "-j RETURN", "-j a", "-g b", "-j LOG --log-prefix \"x y\"", "-j REJECT",
        "-j MARK --set-mark 3", "-j CONNMARK --save-mark", "-j NFLOG --nflog-group 2", "-j CLASSIFY --set-class 1:2",
        "-j SET --add-set s src", "-j nope",
    ];
    (proptest::sample::select(vec!["FORWARD", "OUTPUT", "a", "b"]), parts, proptest::sample::select(targets))
        .prop_map(|(chain, parts, target)| format!("-A {chain} {} {target}\n", parts.join(" ")))
}

fn dump() -> impl Strategy<Value = String> {
    let rules = proptest::collection::vec(prop_oneof![9 => rule(), 1 => junk()], 0..12);
    rules.prop_map(|rules| {
        format!("*filter\n:FORWARD DROP [3:4]\n:b - [0:0]\n:a - [0:0]\n{}COMMIT\n", rules.concat())
    })
}

/// A line of words.
fn junk() -> impl Strategy<Value = String> {
    proptest::collection::vec(word(), 0..9).prop_map(|words| words.join(" ") + "\n")
}

fn variant() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["nft", "legacy"])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fuzz_command_lines(lines in proptest::collection::vec(proptest::collection::vec(word(), 0..9), 1..8), variant in variant()) {
        let at = machine();
        run(&at, &["iptables", "-N", "a"], "");
        for line in &lines {
            let before = saved(&at, variant);
            let program = format!("iptables-{variant}");
            let words: Vec<&str> =
                [program.as_str()].into_iter().chain(line.iter().map(String::as_str)).collect();
            let outcome = run(&at, &words, "");
            if outcome.status != 0 && variant == "nft" {
                prop_assert_eq!(before, saved(&at, variant), "{:?}: {:?}", line, outcome);
            }
        }
    }

    #[test]
    fn fuzz_dumps(good in dump(), bad in proptest::collection::vec(junk(), 0..6), cut in 0usize..600, variant in variant()) {
        let at = machine();
        let restore = format!("iptables-{variant}-restore");
        run(&at, &[&restore], &good);
        let before = saved(&at, variant);
        let mut text = format!("{good}*filter\n{}COMMIT\n", bad.concat());
        // A dump that ends in the middle.
        let end = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
        text.truncate(end);
        let tested = run(&at, &[&restore, "--test"], &text);
        prop_assert_eq!(&before, &saved(&at, variant), "{:?}", tested);
        run(&at, &[&restore, "-c"], &text);
    }

    #[test]
    fn fuzz_what_is_saved_restores_to_itself(dump in dump(), variant in variant()) {
        let at = machine();
        let restore = format!("iptables-{variant}-restore");
        let outcome = run(&at, &[&restore, "-c"], &dump);
        let first = saved(&at, variant);
        if outcome.status != 0 && variant == "nft" {
            prop_assert_eq!(&first, "", "{:?}", outcome);
        }
        let again = run(&at, &[&restore, "-c"], &first);
        prop_assert_eq!((again.status, again.stderr.as_str()), (0, ""), "{}", first);
        prop_assert_eq!(saved(&at, variant), first);
    }
}
