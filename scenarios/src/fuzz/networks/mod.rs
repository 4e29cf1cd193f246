//! Random networks: whole small networks, and what happens in them.
//!
//! A network is a [plan](Plan) of [plain commands](crate::plain): machines, cables and switches; a block that makes devices,
//! one that gives them addresses, routes and settings; and a block for each event. Real kernel and model run it, and are
//! compared in full after each block: what was printed, frames on each device, the ways of packet buffers with their drop
//! reasons, tables and counters. A plan is a lesson ([`lesson`]), so that what differs can be read, kept, and run by
//! `glassnet verify`.
//!
//! | file | owns |
//! |---|---|
//! | `canary.rs` | a network that shows that a backend sees |
//! | `net.rs` | what is known of a network while it is drawn |
//! | `devices.rs` | rows of devices |
//! | `bonds.rs` | rows of bonds |
//! | `over.rs` | rows of devices over others |
//! | `tunnels.rs` | rows of tunnels |
//! | `settings.rs` | addresses, routes, rules of routing and of iptables, sysctls |
//! | `events.rs` | rows of events |
//! | `changes.rs` | events that change devices |
//! | `ipvs.rs` | a director of IPVS between a client and servers, and its rows of events |
//! | `lesson.rs` | a plan as a lesson |
//! | `shrink.rs` | making a plan smaller |
//!
//! A new device is a row of `devices.rs`, and a new event one of `events.rs`.
//!
//! # What is not drawn
//!
//! What depends on random numbers of the kernel cannot be compared, so it is drawn only where their values do not matter:
//!
//! - a multipath route has one next hop twice: the key of the hash is random (`flow_hash_from_keys`);
//! - pauses are shorter than 4 s or longer than a minute;
//! - answers of proxy ARP are not delayed (`proxy_delay` 0; `pneigh_enqueue`);
//! - no two devices of a segment have one address, and no machine has two cards in one: which answer comes first is the
//!   switch's affair;
//! - packets have two fragments at most (which buffer holds what of three depends on room in them);
//! - `arp_notify` is not drawn for cards: whether what is behind the cable is ready as soon is a matter of the card.
//!
//! [`NOT_COMPARED`] is what the model is known to do otherwise.

mod bonds;
pub mod canary;
mod changes;
mod devices;
mod events;
mod ipvs;
pub mod lesson;
mod net;
mod over;
mod settings;
pub mod shrink;
mod tunnels;

use crate::lesson::Lesson;
use crate::observation::{Direction, Frame, Observation};
use crate::plain::Plain;
use crate::plan::{Dump, Plan, PlannedBlock};
use net::Net;
use serde_json::Value;

/// Fields of tables that are not compared, each with the end of its dump and the reason.
const NOT_COMPARED: &[(&str, &str, &str)] =
    &[("addr", "tso_max_size", "a veth end that stands for a card as a port of a bridge")];

/// What is read after each block in each namespace.
const DUMPS: [&str; 5] = [
    "ip -j -d -s addr",
    "ip -j -d -s route show table all",
    "ip -j -d -s rule",
    "ip -j -d -s neigh",
    "cat /proc/net/snmp",
];

/// What is read only in namespaces with a command that has one of these words: dumps cost most of the time of a case.
const DUMPS_OF: [(&[&str], &str); 7] = [
    (&[" type bridge", " type vxlan"], "bridge -j -d -s fdb"),
    (&[" vlan_filtering 1"], "bridge -j vlan"),
    (&[" type bond"], "cat /proc/net/bonding/bd0"),
    (&["iptables "], "iptables-save -c"),
    (&["iptables "], "cat /proc/net/nf_conntrack"),
    (&["ipvsadm "], "cat /proc/net/ip_vs"),
    (&["ipvsadm "], "cat /proc/net/ip_vs_conn"),
];

/// A random network; equal seeds give equal ones.
pub fn plan(seed: u64) -> Plan {
    let mut net = Net::new(seed);
    net.machines();
    net.devices();
    net.over();
    net.settings();
    net.tunnels();
    net.events();
    net.plan(format!("seed {seed}"))
}

/// A random network with a director of IPVS; equal seeds give equal ones.
pub fn balanced(seed: u64) -> Plan {
    let mut net = Net::new(seed);
    net.balanced();
    net.plan(format!("IPVS, seed {seed}"))
}

/// Takes out what is [not compared](NOT_COMPARED).
pub fn level(real: &mut Observation, model: &mut Observation) {
    for seen in [real, model] {
        let early = seen.frames.iter_mut().filter(|frame| header_comes_later(frame));
        early.for_each(|frame| frame.bytes.replace_range(..ADDRESSES.len(), ADDRESSES));
        for tables in seen.blocks.iter_mut().flat_map(|block| block.tables.values_mut()) {
            tables.iter_mut().for_each(|(dump, value)| without(dump, value));
        }
    }
}

/// The Ethernet addresses of a frame, in place of others.
const ADDRESSES: &str = "000000000000000000000000";

/// A tap sees in it the link header that is written when it leaves by another device: it has the same bytes (known divergences: taps on
/// ipvlan devices and VRFs).
fn header_comes_later(frame: &Frame) -> bool {
    let is_such = ["iv", "vf"].iter().any(|stem| frame.device.starts_with(stem));
    is_such && frame.direction == Direction::Out && frame.bytes.len() >= ADDRESSES.len()
}

fn without(dump: &str, value: &mut Value) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(|row| without(dump, row)),
        Value::Object(fields) => {
            let rows = NOT_COMPARED.iter().filter(|(of, _, _)| dump.ends_with(of));
            rows.for_each(|(_, field, _)| drop(fields.remove(*field)));
            fields.values_mut().for_each(|value| without(dump, value));
        }
        _ => {}
    }
}

/// A network that was kept as a lesson.
pub fn kept(lesson: &Lesson) -> Plan {
    let mut plan = Plan::from(lesson);
    plan.dumps = dumps(&plan.blocks);
    plan
}

/// The dumps for these blocks.
pub(super) fn dumps(blocks: &[PlannedBlock]) -> Vec<Dump> {
    let spaces = |words: &[&str]| {
        let prompts = blocks.iter().flat_map(|block| &block.prompts);
        let with_word = prompts.filter(|prompt| words.iter().any(|word| prompt.command.contains(word)));
        with_word.map(|prompt| space(&prompt.machine, &prompt.command)).collect()
    };
    let rows = DUMPS_OF.map(|(words, dump)| Dump { command: dump.to_owned(), spaces: Some(spaces(words)) });
    DUMPS.map(Dump::from).into_iter().chain(rows).collect()
}

/// The namespace that a command is about.
fn space(machine: &str, command: &str) -> String {
    match Plain::parse(command) {
        Ok(plain) if !plain.netns.is_empty() => format!("{machine}/{}", plain.netns),
        _ => machine.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::observe_plain;
    use crate::simulator::Simulator;

    fn commands(plan: &Plan) -> impl Iterator<Item = &str> {
        plan.blocks.iter().flat_map(|block| &block.prompts).map(|prompt| prompt.command.as_str())
    }

    #[test]
    fn the_same_seed_gives_the_same_network_and_another_seed_another() {
        let text = |seed| lesson::lesson(&plan(seed), &[]);
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn a_network_is_a_lesson_of_plain_commands() {
        for seed in 0..300 {
            let drawn = plan(seed);
            for command in commands(&drawn) {
                assert!(Plain::parse(command).is_ok(), "seed {seed}: {command}");
            }
            let text = lesson::lesson(&drawn, &["something".to_owned()]);
            let lesson = Lesson::parse("network.md".as_ref(), text.clone());
            let kept = kept(&lesson.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}")));
            assert_eq!(kept.topology, drawn.topology, "seed {seed}");
            assert_eq!(commands(&kept).collect::<Vec<_>>(), commands(&drawn).collect::<Vec<_>>());
            assert_eq!(kept.dumps, drawn.dumps);
        }
    }

    /// What every kind of device, setting and event says.
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "netns add", "type veth", "type bridge", "type dummy", " master ", "type vlan", "802.1ad", "type macvlan", "type ipvlan", "type vrf", "type bond", "type vxlan", "type geneve",
        "type ipip", "type gre ", "type gretap", "vlan_filtering", "bridge vlan", "vrf exec", "addr add", "route add default", " table 7", "nexthop via",
        "onlink", "blackhole", "unreachable", "prohibit", "throw", "rule add", "fwmark", "goto", "rp_filter=", "forwarding=",
        "arp_ignore=", "arp_announce=", "arp_filter=", "accept_local=", "src_valid_mark=", "proxy_arp=", "ip_forward=1", "MASQUERADE",
        "DNAT", "-j DROP", "nc -dlku", "nc -u", "nc -N", "ping -c", "-s 1472", "-M do", "-t 1", "-I ", "-m 1", "route get", "arping",
        " down", " up", "addr del", "addr flush", "route del", "rule del", "neigh del", "neigh replace", "nomaster", "fdb add",
        "hairpin", "isolated", " mtu ", "fou add", "encap gue", "encap fou", " external", "encap ip", "mode 802.3ad", "mode balance-tlb", "arp_interval", "type ifb", "tuntap", "mirred", "fwmark_reflect", "append 00:00:00:00:00:00", "netns x", "link del", "type macvlan mode", "type bond primary", "sleep 0.00002", "sleep 80000",
    ];

    #[test]
    fn everything_is_drawn() {
        let all: String = (0..3000).map(|seed| lesson::lesson(&plan(seed), &[])).collect();
        let missing: Vec<_> = WORDS.iter().filter(|word| !all.contains(**word)).collect();
        assert!(missing.is_empty(), "{missing:?} never come");
    }

    /// Pings that are never answered test little: more than a quarter must be.
    #[test]
    fn packets_arrive() {
        let (mut answered, mut all) = (0, 0);
        for seed in 0..60 {
            let plan = Plan { dumps: Vec::new(), ..plan(seed) };
            let seen = observe_plain(&Simulator::default(), &plan).expect("it runs");
            for ping in seen.prompts.iter().filter(|prompt| prompt.command.contains("ping -c")) {
                all += 1;
                answered += usize::from(ping.output.contains("bytes from"));
            }
        }
        assert!(answered * 4 > all, "{answered} of {all}");
    }
}
