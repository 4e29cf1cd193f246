//! Programs that speak TCP and UDP: nc, curl, python3 -m http.server, ss.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::harness::{Launch, MemoryFiles, run, run_launches};
use glassnet_userland::process::SharedWorld;
use words::words;

#[path = "shared/words.rs"]
mod words;

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

/// The files that `record.sh` serves.
fn files() -> MemoryFiles {
    let files = [
        ("/tmp/golden-www/index.html", "<h1>hello</h1>\n"),
        ("/tmp/golden-www/sub/a.txt", "data\n"),
        ("/tmp/golden-www/sub/b c&d.txt", "x\n"),
        ("/tmp/golden-www/sub/dir/y", "y\n"),
    ];
    let owned = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    MemoryFiles(Mutex::new(owned.into()))
}

/// `NAMESPACE COMMAND` or `NAMESPACE 'TEXT' | COMMAND`.
fn launch(world: &SharedWorld, line: &str, at: usize) -> Launch {
    let (ns, command) = line.split_once(' ').expect("a namespace and a command");
    let (stdin, command) = match command.strip_prefix('\'').and_then(|rest| rest.split_once("' | ")) {
        Some((text, command)) => (text.replace("\\r", "\r").replace("\\n", "\n"), command),
        None => (String::new(), command),
    };
    let delay = Nanos::from_millis(300 * at as u64);
    Launch { place: (NODE, netns(world, ns)), argv: words(command), env: Default::default(), stdin, delay }
}

/// Each line of an output with a marker, another for a last line without an end.
fn marked(marker: char, text: &str) -> String {
    let line = |line: &str| match line.strip_suffix('\n') {
        Some(line) => format!("{marker}> {line}\n"),
        None => format!("{marker}~ {line}\n"),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Takes out what differs from run to run: ephemeral ports, times, speeds.
fn canonical(text: &str) -> String {
    let mut canonical = String::new();
    for line in text.lines() {
        // The progress meter: not what it says of speeds and times.
        let meter = |part: &str| part.split_whitespace().take(6).collect::<Vec<_>>().join(" ");
        let line = match line.contains(":--") {
            true => line.split('\r').map(meter).collect::<Vec<_>>().join(" CR "),
            false => line.to_owned(),
        };
        canonical += &mask(&line);
        canonical.push('\n');
    }
    canonical
}

/// The real `ss` lists sockets in the order of a hash that is seeded anew at each boot.
fn in_order(text: &str) -> String {
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match commands.last_mut() {
            Some(last) if !line.starts_with("$ ") => last.push(line),
            _ => commands.push(vec![line]),
        }
    }
    for lines in commands.iter_mut().filter(|lines| lines[0].contains(" ss ")) {
        lines.sort();
    }
    commands.concat().join("\n") + "\n"
}

fn mask(line: &str) -> String {
    if let Some(at) = line.find("Date: ") {
        return format!("{}Date: …", &line[..at]);
    }
    if let (Some(from), Some(to)) = (line.find(" - - ["), line.find("] ")) {
        return format!("{} - - [… {}", &line[..from], &line[to..]);
    }
    let words = line.split(' ').map(|word| match word.parse::<u32>() {
        Ok(32_768..=60_999) => "PORT".to_owned(),
        // Milliseconds that the real machine needed.
        Ok(1..=20) if line.contains(" ms") => "0".to_owned(),
        Ok(900..1100) => "1000".to_owned(),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ").replace("999ms", "1000ms").replace("1001ms", "1000ms")
}

/// Plays these cases of the recording.
fn check(wanted: &[&str]) {
    let recorded = include_str!("net/cases.txt");
    let mut differences = String::new();
    for case in recorded.split("\n# ").map(|case| case.trim_start_matches("# ")) {
        let (name, rest) = case.split_once('\n').expect("a name and commands");
        if !wanted.contains(&name) {
            continue;
        }
        let lines: Vec<&str> = rest.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let world = bench();
        let launches = lines.iter().enumerate().map(|(at, line)| launch(&world, line, at)).collect();
        let outcomes = run_launches(&world, launches, Arc::new(files())).expect("all programs end");
        let mut played = String::new();
        for (line, outcome) in lines.iter().zip(&outcomes) {
            let (errors, output) = (marked('2', &outcome.stderr), marked('1', &outcome.stdout));
            played += &format!("$ {line}\n{errors}{output}[{}]\n", outcome.status);
        }
        let (played, expected) = (in_order(&canonical(&played)), in_order(&canonical(rest.trim_end())));
        if played != expected {
            differences += &format!("# {name}\n--- recorded\n{expected}--- played\n{played}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn every_recorded_case_is_played() {
    let recorded = include_str!("net/cases.txt");
    let names: Vec<&str> = recorded.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert_eq!(names, [NC, CURL, SS].concat());
}

const NC: &[&str] = &[
    "nc to nc",
    "the server speaks first",
    "quit after the end of input",
    "a port range",
    "names of ports",
    "refused",
    "nobody there",
    "no route",
    "an unreachable host",
    "loopback by name",
    "a name that nobody knows",
    "datagrams",
    "datagrams to nobody",
    "source address and port",
    "a source that is not ours",
    "a listener at an address that is not ours",
    "a reader that leaves",
    "bad command lines",
];

const CURL: &[&str] = &[
    "a page",
    "errors of a page",
    "redirects",
    "sources of curl",
    "curl cannot connect",
    "the progress meter",
    "broken servers",
    "bad command lines of curl",
    "requests by hand",
    "bad command lines of the server",
];

const SS: &[&str] = &["sockets listed", "bad filters"];

#[test]
fn ss_as_recorded() {
    check(SS);
}

#[test]
fn nc_as_recorded() {
    check(NC);
}

#[test]
fn curl_and_the_http_server_as_recorded() {
    check(CURL);
}

/// Runs programs at once, the first half a second before the others.
fn together(lines: &[&str]) -> Vec<glassnet_userland::harness::Outcome> {
    let world = bench();
    let launches = lines.iter().enumerate().map(|(at, line)| launch(&world, line, at)).collect();
    run_launches(&world, launches, Arc::new(files())).expect("all programs end")
}

/// An ICMP error that comes while `connect` still has the socket does not end the attempt, but who polls hears of it
/// (`sock_owned_by_user` in `tcp_v4_err`); who does not poll gets it with the next SYN.
#[test]
fn a_refusal_during_connect_is_heard_by_who_polls() {
    for (command, seconds, fails) in [("nc -v -w 2 10.0.0.2 80", 0, 0), ("nc -v 10.0.0.2 80", 1, 1)] {
        let world = bench();
        let words = ["iptables", "-A", "INPUT", "-j", "REJECT", "--reject-with", "icmp-port-unreachable"];
        run(&world, (NODE, netns(&world, "b")), &words, "").expect("ends");
        let words: Vec<&str> = command.split(' ').collect();
        let (place, began) = ((NODE, netns(&world, "a")), world.lock().expect("the world").now());
        let outcome = run(&world, place, &words, "").expect("ends");
        assert_eq!(
            (outcome.status, outcome.stderr.as_str()),
            (1, "nc: connect to 10.0.0.2 port 80 (tcp) failed: Connection refused\n"),
            "{command}"
        );
        let world = world.lock().expect("the world");
        assert_eq!(world.now().since(began).0 / 1_000_000_000, seconds, "{command}");
        assert_eq!(world.kernel(NODE).netns[place.1].ipv4.snmp.tcp.AttemptFails, fails, "{command}");
    }
}

#[test]
fn iperf3_measures_what_it_sent() {
    let outcomes = together(&["b iperf3 -s -1", "a iperf3 -c 10.0.0.2 -n 1M"]);
    assert_eq!((outcomes[0].status, outcomes[1].status), (0, 0), "{outcomes:?}");
    let text = &outcomes[1].stdout;
    assert!(text.starts_with("Connecting to host 10.0.0.2, port 5201\n[  5] local 10.0.0.1 port "), "{text}");
    assert!(text.contains("1.00 MBytes") && text.ends_with("receiver\n\niperf Done.\n"), "{text}");
    let outcomes = together(&["b iperf3 -s -1 -p 5300", "a iperf3 -c 10.0.0.2 -p 5300 -u -b 10M -t 2"]);
    let text = &outcomes[1].stdout;
    let second = "[  5]   1.00-2.00   sec  1.19 MBytes  10.0 Mbits/sec  86";
    assert!(text.contains(second) && text.contains(" (0%)  receiver"), "{text}");
    assert!(outcomes[0].stdout.contains("Server listening on 5300 (test #1)"), "{outcomes:?}");
    let refused = together(&["a iperf3 -c 10.0.0.2"]);
    assert_eq!(refused[0].stderr, "iperf3: error - unable to connect to server: Connection refused\n");
}

#[test]
fn iperf3_has_streams_directions_and_json() {
    let client = |options: &str| {
        let outcomes = together(&["b iperf3 -s -1", &format!("a iperf3 -c 10.0.0.2 {options}")]);
        assert_eq!((outcomes[0].status, outcomes[1].status), (0, 0), "{outcomes:?}");
        (outcomes[0].stdout.clone(), outcomes[1].stdout.clone())
    };
    let (server, text) = client("-n 4M -P 2");
    assert!(text.contains("[  7] local 10.0.0.1 port ") && text.contains("[SUM]   0.00-"), "{text}");
    assert!(server.contains("[  6] local 10.0.0.2 port 5201 ") && server.contains("[SUM]"), "{server}");
    let (server, text) = client("-n 1M -R -f m");
    assert!(text.contains("\nReverse mode, remote host 10.0.0.2 is sending\n"), "{text}");
    assert!(text.contains(" Mbits/sec    0             sender\n"), "{text}");
    assert!(server.contains("Retr  Cwnd") && !server.contains("receiver"), "{server}");
    let (_, text) = client("-n 1M -J");
    assert!(text.starts_with("{\n\t\"start\":\t{") && text.contains("\"snd_cwnd\":\t"), "{text}");
    let (_, text) = client("-n 256K -w 16K -M 500 -l 1K");
    assert!(text.contains("sender"), "{text}");
    let (server, text) = client("-u -b 1M -t 2 -O 1 -i 0.5 -P 2");
    assert!(text.contains("(omitted)\n[  7]") && text.contains("(0%)  receiver"), "{text}");
    assert!(server.contains("[SUM]"), "{server}");
}

fn at_b(world: &SharedWorld, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let outcome = run(world, (NODE, netns(world, "b")), &words, "").expect("ends");
    assert_eq!((outcome.stderr.as_str(), outcome.status), ("", 0), "{line}");
}

/// As on Linux 6.1: an idle `curl` asks its silent server every five seconds; one that does not answer three times is gone.
#[test]
fn curl_asks_a_silent_server_whether_it_is_there() {
    let world = bench();
    let probes = |world: &SharedWorld| {
        let netns = netns(world, "a");
        let world = world.lock().expect("the world");
        world.kernel(NODE).netns[netns].ipv4.snmp.tcp_ext.TCPKeepAlive
    };
    let ask = |world: &SharedWorld, curl: &str| {
        let lines = ["b timeout 80 nc -d -l 80", curl, "a ss -Htno state established"];
        let launches = lines.iter().enumerate().map(|(at, line)| launch(world, line, at)).collect();
        run_launches(world, launches, Arc::new(files())).expect("all programs end")
    };
    let outcomes = ask(&world, "a curl -s --keepalive-time 5 -m 40 10.0.0.2");
    assert_eq!((outcomes[1].status, probes(&world)), (28, 7), "time is over, and it never asked in vain");
    assert!(outcomes[2].stdout.contains(" timer:(keepalive,4.7"), "{}", outcomes[2].stdout);
    let world = bench();
    let outcomes = ask(&world, "a curl -s --no-keepalive -m 40 10.0.0.2");
    assert_eq!((outcomes[1].status, probes(&world)), (28, 0));
    assert!(!outcomes[2].stdout.contains("timer"), "{}", outcomes[2].stdout);
}

#[test]
fn a_server_that_is_gone_costs_its_client_the_connection() {
    let world = bench();
    let a = netns(&world, "a");
    let words = ["sysctl", "-qw", "net.ipv4.tcp_keepalive_probes=3"];
    assert_eq!(run(&world, (NODE, a), &words, "").expect("ends").status, 0);
    let lines =
        ["b timeout 80 nc -d -l 80", "a curl -s --keepalive-time 5 10.0.0.2", "b iptables -A INPUT -j DROP"];
    let launches = lines.iter().enumerate().map(|(at, line)| launch(&world, line, at)).collect();
    let outcomes = run_launches(&world, launches, Arc::new(files())).expect("all programs end");
    assert_eq!(outcomes[1].status, 56, "Recv failure: Connection timed out");
    at_b(&world, "iptables -D INPUT -j DROP");
    let world = world.lock().expect("the world");
    let snmp = &world.kernel(NODE).netns[a].ipv4.snmp;
    let counts = (snmp.tcp_ext.TCPKeepAlive, snmp.tcp_ext.TCPAbortOnTimeout, snmp.tcp.OutRsts);
    // One reset for the server that is gone, one for its FIN, which comes later.
    assert_eq!(counts, (3, 1, 2));
}
