//! `glassnet trace` and walks through rules, held against `snapshots/traces`.
//!
//! `INSTA_UPDATE=always cargo test -p glassnet-scenarios --test trace` writes the snapshots anew.

use std::path::Path;

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::trace::{self, Asked, Ending, TraceError};
use glassnet_scenarios::view::{self, Selection, Zoom};

/// A router with a client, a server whose port is published, the outside behind NAT, and a firewall.
const ROUTER: &str = include_str!("trace/router.md");

fn lesson(text: &str) -> Lesson {
    Lesson::parse(Path::new("test.md"), text.to_owned()).expect("a lesson")
}

/// The words of a command line: `-s 10.0.0.2 -d 10.0.1.2 -p 22`.
fn question(words: &str) -> Asked {
    let value = |name: &str| {
        let mut words = words.split(' ');
        words.find(|word| *word == name).and_then(|_| words.next())
    };
    Asked {
        src: value("-s").expect("a source").parse().expect("an address"),
        dst: value("-d").expect("a destination").parse().expect("an address"),
        protocol: match value("--protocol") {
            Some("udp") => trace::Protocol::Udp,
            Some("icmp") => trace::Protocol::Icmp,
            _ => trace::Protocol::Tcp,
        },
        sport: 40_000,
        dport: value("-p").map(|port| port.parse().expect("a port")),
        from: value("--from").map(|host| host.parse().expect("a host")),
        input: value("--in").map(str::to_owned),
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn with_snapshots(test: impl FnOnce()) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in a workspace");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root.join("snapshots/traces"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(test);
}

/// The answer of a host without a listener is told only if it leaves.
#[test]
fn an_answer_that_is_dropped_does_not_go_back() {
    let lesson = |rules: &str| {
        lesson(&format!(
            "---\ntitle: t\ntopology: {{ nodes: {{ n: {{}}, w: {{}} }}, links: [{{ endpoints: [\"n:eth0\", \"w:eth0\"] }}] }}\n---\n\
             ```console\nn# ip addr add 192.168.0.2/24 dev eth0; ip link set eth0 up\nw# ip addr add 192.168.0.1/24 dev eth0; \
             ip link set eth0 up\n{rules}\n```\n"
        ))
    };
    let ask = |rules: &str, protocol: &str| {
        let question = question(&format!("-s 192.168.0.1 -d 192.168.0.2 -p 80 --protocol {protocol}"));
        trace::ask(&lesson(rules), SEED, &question, None).expect("it can be asked")
    };
    for (rules, protocol, end, lost) in [
        ("n# true", "tcp", "a reset goes back", false),
        ("n# true", "udp", "ICMP port unreachable goes back", false),
        ("n# iptables -P OUTPUT DROP", "tcp", "its reset is dropped by", true),
        ("n# iptables -A OUTPUT -p icmp -j DROP", "udp", "its ICMP port unreachable is dropped by", true),
        ("w# iptables -A INPUT -p tcp -j DROP", "tcp", "its reset is dropped by", true),
        (
            "n# iptables -t raw -A OUTPUT -j DROP; ip route del 192.168.0.0/24",
            "tcp",
            "no reset goes back",
            false,
        ),
    ] {
        let answer = ask(rules, protocol);
        assert!(answer.verdict.text.contains(end), "{rules}: {}", answer.verdict.text);
        assert_eq!(
            answer.answers.iter().any(|reply| reply.lost.is_some()),
            lost,
            "{rules}: {:?}",
            answer.answers
        );
    }
}

/// Name, question, how it ends.
const WAYS: &[(&str, &str, Ending)] = &[
    ("published", "-s 10.0.0.2 -d 192.0.2.1 -p 80", Ending::Delivered),
    ("masquerade", "-s 10.0.0.2 -d 192.0.2.9 -p 80", Ending::Refused),
    ("reject", "-s 10.0.0.2 -d 10.0.1.2 -p 22", Ending::Refused),
    ("drop", "-s 10.0.0.2 -d 10.0.1.2 -p 53 --protocol udp", Ending::Dropped),
    ("outside", "-s 192.0.2.200 -d 192.0.2.1 -p 80", Ending::Delivered),
    ("named-device", "-s 8.8.8.8 -d 192.0.2.1 -p 80 --from node1 --in o1", Ending::Delivered),
    ("echo", "-s 10.0.0.2 -d 10.0.1.2 --protocol icmp", Ending::Delivered),
    ("no-route", "-s 10.0.0.2 -d 9.9.9.9 -p 80", Ending::Dropped),
    ("no-neighbour", "-s 10.0.0.2 -d 10.0.0.77 -p 80", Ending::Dropped),
];

#[test]
fn ways_are_as_in_their_snapshots() {
    let lesson = lesson(ROUTER);
    with_snapshots(|| {
        for (name, words, ending) in WAYS {
            let answer = trace::ask(&lesson, SEED, &question(words), None).expect("it can be asked");
            assert_eq!(answer.verdict.ending, *ending, "{name}: {}", answer.verdict.text);
            insta::assert_snapshot!(*name, plain(&trace::text(&[answer], false, true)));
        }
    });
}

#[test]
fn a_way_is_json_too() {
    let lesson = lesson(ROUTER);
    let answer = trace::ask(&lesson, SEED, &question(WAYS[0].1), None).expect("it can be asked");
    let lines = trace::json(&[answer], false, true);
    let values: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(values[0]["ending"], "delivered");
    let hook = values.iter().find(|line| line["hook"]["chain"] == "PREROUTING").expect("a hook");
    assert_eq!(hook["before"]["dst"], "192.0.2.1:80");
    assert_eq!(hook["after"]["dst"], "10.0.1.2:8080");
    let rule = &hook["hook"]["rules"][0];
    assert_eq!((rule["table"].as_str(), rule["number"].as_u64()), (Some("nat"), Some(1)));
    assert_eq!(rule["verdict"], "accept");
    assert_eq!(
        rule["rule"],
        "-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.1.2:8080"
    );
}

#[test]
fn errors_name_the_argument() {
    let lesson = lesson(ROUTER);
    let refused = |words: &str| match trace::ask(&lesson, SEED, &question(words), None) {
        Err(TraceError::Asked(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused("-s 8.8.8.8 -d 192.0.2.1 -p 80"),
        "-s: node1 has no route towards 8.8.8.8: say with --in which device the packet comes in by"
    );
    assert_eq!(
        refused("-s 10.0.0.2 -d 192.0.2.1 -p 80 --from node9"),
        "--from: there is no machine `node9`: there is node1"
    );
    assert_eq!(
        refused("-s 10.0.0.2 -d 192.0.2.1 -p 80 --from node1/x"),
        "--from: node1 has no namespace `x`: it has client, outside, server"
    );
    assert_eq!(
        refused("-s 8.8.8.8 -d 192.0.2.1 -p 80 --in eth9"),
        "--in: node1 has no device `eth9`: it has lo, c1, s1, o1"
    );
}

#[test]
fn an_address_of_two_needs_a_sender() {
    let lesson = lesson(&format!("{ROUTER}\n```console\nnode1# ip -n client link set lo up\n```\n"));
    match trace::ask(&lesson, SEED, &question("-s 127.0.0.1 -d 192.0.2.1 -p 80"), None) {
        Err(TraceError::Asked(text)) => assert_eq!(
            text,
            "-s: 127.0.0.1 is an address of node1 and of node1/client: say which one sends with --from"
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_of_three_backends_gets_a_third() {
    let mut lesson = lesson(include_str!("../lessons/service.md"));
    lesson.blocks.truncate(2);
    let question = question("-s 10.244.0.9 -d 10.96.0.10 -p 80");
    let (answers, whole) = trace::ask_all(&lesson, SEED, &question).expect("it can be asked");
    assert!(whole);
    let third = |probability: f64| (probability - 1.0 / 3.0).abs() < 1e-8;
    assert!(answers.iter().all(|answer| third(answer.probability())), "{answers:?}");
    let sum: f64 = answers.iter().map(trace::Answer::probability).sum();
    assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    with_snapshots(|| insta::assert_snapshot!("service", plain(&trace::text(&answers, true, whole))));
}

/// Two pods on a bridge whose frames meet iptables, a server behind the router, and services on addresses of no device.
const BRIDGED: &str = "\
---
title: Bridged packets and DNAT
topology: { nodes: { node1: {} } }
---
```console
node1# ip link add br0 type bridge; ip addr add 10.0.0.1/24 dev br0; ip link set br0 up
node1# for i in 2 3; do ip netns add pod$i; ip link add v$i type veth peer name eth0 netns pod$i; ip link set v$i master br0 up; ip -n pod$i addr add 10.0.0.$i/24 dev eth0; ip -n pod$i link set eth0 up; ip -n pod$i route add default via 10.0.0.1; done
node1# ip netns add far; ip link add s1 type veth peer name eth0 netns far; ip addr add 10.0.1.1/24 dev s1; ip link set s1 up; ip -n far addr add 10.0.1.2/24 dev eth0; ip -n far link set eth0 up; ip -n far route add default via 10.0.1.1
node1# modprobe br_netfilter; sysctl -q -w net.ipv4.ip_forward=1
node1# iptables -t nat -A PREROUTING -d 10.96.0.1 -p tcp -j DNAT --to-destination 10.0.0.3
node1# iptables -t nat -A PREROUTING -d 10.96.0.2 -p tcp -j DNAT --to-destination 10.0.1.2
node1# iptables -t nat -A PREROUTING -d 10.96.0.3 -p tcp -j REDIRECT
```
";

#[test]
fn a_bridged_packet_that_dnat_changed_goes_where_its_route_leads() {
    let lesson = lesson(BRIDGED);
    for (destination, decision, end) in [
        (
            "10.96.0.1",
            "node1 br0 routing decision: out by br0 again, so the frame stays in the bridge (10.0.0.0/24 in table main)",
            "node1/pod3",
        ),
        (
            "10.96.0.2",
            "node1 br0 routing decision: forward, out by s1 (10.0.1.0/24 in table main)",
            "node1/far",
        ),
        ("10.96.0.3", "node1 br0 routing decision: for this host (10.0.0.1/32 in table local)", "node1"),
    ] {
        let question = question(&format!("-s 10.0.0.2 -d {destination} -p 80"));
        let answer = trace::ask(&lesson, SEED, &question, None).expect("it can be asked");
        let at = |phase: &trace::Phase| format!("{} {} {}", phase.host, phase.device, phase.text);
        let routed =
            answer.phases.iter().find(|phase| phase.host == "node1" && phase.kind == trace::Kind::Route);
        assert_eq!(routed.map(at).as_deref(), Some(decision));
        let last = answer.phases.last().expect("phases");
        assert_eq!(last.host, end, "{}", answer.verdict.text);
    }
}

#[test]
fn a_walk_shows_the_rules_that_were_tried() {
    let lesson = lesson(ROUTER);
    let observed = view::observe(&lesson, SEED, |_| ()).expect("the lesson runs to its end");
    let world = observed.world();
    let story = observed.story(&world);
    let last = story.typed.len();
    let selection = Selection { prompt: Some(last), ..Selection::default() };
    let detail = plain(&view::text(&story, Zoom::Detail, &selection, false));
    for line in [
        "nat:PREROUTING:rule:1 -A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.1.2:8080 (verdict accept)",
        "filter:FORWARD:rule:1 -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT (no match: -m conntrack --ctstate RELATED,ESTABLISHED, but its state is NEW)",
        "filter:FORWARD:rule:2 -A FORWARD -j GUARD (verdict jump GUARD)",
        "filter:GUARD:rules 1-9: no match",
        "filter:GUARD:return:10",
        "filter:FORWARD:rule:3 -A FORWARD -p udp -j DROP (no match: -p udp, but it is tcp)",
        "filter:FORWARD:policy:4 (policy accept)",
        "nat:POSTROUTING:rule:1 -A POSTROUTING -s 10.0.0.0/24 -o o1 -j MASQUERADE (no match: -o o1, but it is s1)",
        "nat: destination 192.0.2.1:80 becomes 10.0.1.2:8080",
        "ip.dst 192.0.2.1 -> 10.0.1.2",
    ] {
        assert!(detail.contains(line), "no line {line}");
    }
    let all = Selection { all_rules: true, ..selection };
    let detail = plain(&view::text(&story, Zoom::Detail, &all, false));
    let line = "filter:GUARD:rule:8 -A GUARD -s 172.16.8.0/24 -j DROP (no match: -s 172.16.8.0/24, but it comes from 10.0.0.2)";
    assert!(detail.contains(line) && !detail.contains("rules 1-9"), "{detail}");
    let hops = plain(&view::text(&story, Zoom::Hops, &selection, false));
    assert!(
        hops.contains("nat PREROUTING: DNAT 192.0.2.1:80 -> 10.0.1.2:8080; routed on, out by s1"),
        "{hops}"
    );
    assert!(hops.contains("nat POSTROUTING: reverse DNAT 10.0.1.2:8080 -> 192.0.2.1:80"), "{hops}");
    let doors = plain(&view::text(&story, Zoom::Doors, &selection, false));
    assert!(doors.contains("the IPv4 hook FORWARD IN=c1 OUT=s1"), "{doors}");
}

#[test]
fn a_walk_names_the_rule_as_it_was_then() {
    let text = format!(
        "{ROUTER}\n```console\nnode1# iptables -I FORWARD 1 -p icmp -j DROP\n\
         node1# ip netns exec client ping -c 1 -W 1 10.0.1.2\nnode1# iptables -F FORWARD\n```\n"
    );
    let lesson = lesson(&text);
    let observed = view::observe(&lesson, SEED, |_| ()).expect("the lesson runs to its end");
    let world = observed.world();
    let story = observed.story(&world);
    let selection = Selection { prompt: Some(story.typed.len() - 1), ..Selection::default() };
    let hops = plain(&view::text(&story, Zoom::Hops, &selection, false));
    assert!(hops.contains("dropped by filter FORWARD rule 1: SKB_DROP_REASON_NETFILTER_DROP"), "{hops}");
    let detail = plain(&view::text(&story, Zoom::Detail, &selection, false));
    assert!(detail.contains("filter:FORWARD:rule:1 -A FORWARD -p icmp -j DROP (verdict drop)"), "{detail}");
}
