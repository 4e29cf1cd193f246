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
//! | `net.rs` | what is known of a network while it is drawn |
//! | `devices.rs` | rows of devices |
//! | `settings.rs` | addresses, routes, rules of routing and of iptables, sysctls |
//! | `events.rs` | rows of events |
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
//! - pauses are shorter than 4 s or longer than a minute: a neighbour is reachable for 15 to 45 s (`neigh_rand_reach_time`);
//! - answers of proxy ARP are not delayed (`proxy_delay` 0; `pneigh_enqueue`);
//! - no two devices of a segment have one address: which answer comes first is the switch's affair;
//! - packets have two fragments at most (which buffer holds what of three depends on room in them);
//! - `arp_notify` is not drawn for cards: whether what is behind the cable is ready as soon is a matter of the card.
//!
//! [`NOT_YET`], [`AT_FIRST`] and [`NOT_COMPARED`] are what the model is known to do otherwise.

mod devices;
mod events;
pub mod lesson;
mod net;
mod settings;
pub mod shrink;

use crate::lesson::Lesson;
use crate::observation::Observation;
use crate::plain::Plain;
use crate::plan::{Dump, Plan, PlannedBlock};
use net::Net;
use serde_json::Value;

/// Words of commands that are not drawn yet, each with the reason.
const NOT_YET: &[(&str, &str)] = &[
    ("nc -N", "timers of TCP are being mended"),
    ("proxy", "answers of proxy ARP are delayed at random, and `proxy_delay` cannot be set yet"),
];

/// Sysctls that each namespace begins with, as the model is known to do otherwise, each with the reason.
const AT_FIRST: &[(&str, &str)] = &[
    ("net.ipv4.conf.all.send_redirects=0", "redirects are being mended"),
    ("net.ipv4.conf.default.send_redirects=0", "redirects are being mended"),
];

/// Fields of tables that are not compared, each with the end of its dump and the reason.
const NOT_COMPARED: &[(&str, &str, &str)] = &[
    ("neigh", "used", "timers of neighbours are being mended"),
    ("neigh", "confirmed", "timers of neighbours are being mended"),
    ("neigh", "updated", "timers of neighbours are being mended"),
    ("addr", "operstate", "states of veth ends are being mended"),
    ("addr", "gc_timer", "timers of a bridge are not told by the model"),
    ("addr", "forward_delay_timer", "timers of a bridge are not told by the model"),
    ("addr", "tso_max_size", "a veth end that stands for a card as a port of a bridge"),
];

/// Ages in whole seconds: the model's CPU takes microseconds, so that a second may be over or not.
const AGES: [&str; 3] = ["used", "confirmed", "updated"];

/// What is read after each block in each namespace.
const DUMPS: [&str; 5] = [
    "ip -j -d -s addr",
    "ip -j -d -s route show table all",
    "ip -j -d -s rule",
    "ip -j -d -s neigh",
    "cat /proc/net/snmp",
];

/// What is read only in namespaces with a command that has this word: dumps cost most of the time of a case.
const DUMPS_OF: [(&str, &str); 3] = [
    (" type bridge", "bridge -j -d -s fdb"),
    ("iptables ", "iptables-save -c"),
    ("iptables ", "cat /proc/net/nf_conntrack"),
];

/// A random network; equal seeds give equal ones.
pub fn plan(seed: u64) -> Plan {
    let mut net = Net::new(seed);
    net.machines();
    net.devices();
    net.settings();
    net.events();
    net.plan(format!("seed {seed}"))
}

/// Takes out what is [not compared](NOT_COMPARED), and lets ages agree that differ by a second.
///
/// Nor is a drop compared that names neither a device nor a reason: what a closed socket had not read ends so in Linux 6.1.
pub fn level(real: &mut Observation, model: &mut Observation) {
    for seen in [&mut *real, &mut *model] {
        seen.journeys.retain(|journey| !journey.steps.is_empty() || journey.end != "NOT_SPECIFIED");
        // A table that has not changed on one side may have on the other.
        let whole = seen.tables();
        seen.blocks.iter_mut().zip(whole).for_each(|(block, tables)| block.tables = tables);
    }
    for (real, model) in real.blocks.iter_mut().zip(&mut model.blocks) {
        for (space, real) in &mut real.tables {
            let Some(model) = model.tables.get_mut(space) else { continue };
            for (dump, real) in real {
                let Some(model) = model.get_mut(dump) else { continue };
                without(dump, real);
                without(dump, model);
                ages(real, model);
            }
        }
    }
}

fn without(dump: &str, value: &mut Value) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(|row| without(dump, row)),
        Value::Object(fields) => {
            let rows = NOT_COMPARED.iter().filter(|(of, _, _)| dump.ends_with(of));
            rows.for_each(|(_, field, _)| drop(fields.remove(*field)));
            fields.values_mut().for_each(|value| without(dump, value));
        }
        // How many hold a connection: the taps do, too.
        Value::String(text) if dump.ends_with("nf_conntrack") => {
            let line = |line: &str| {
                let words = line.split(' ').filter(|word| !word.starts_with("use="));
                words.collect::<Vec<_>>().join(" ") + "\n"
            };
            *text = text.lines().map(line).collect();
        }
        _ => {}
    }
}

fn ages(real: &Value, model: &mut Value) {
    let (Value::Array(real), Value::Array(model)) = (real, model) else { return };
    let timeless = |row: &Value| {
        let mut row = row.clone();
        row.as_object_mut()
            .into_iter()
            .for_each(|fields| fields.retain(|name, _| !AGES.contains(&name.as_str())));
        row
    };
    for real in real {
        let Some(model) = model.iter_mut().find(|row| timeless(row) == timeless(real)) else { continue };
        for field in AGES {
            let (Some(is), Some(age)) = (real[field].as_u64(), model.get_mut(field)) else { continue };
            if age.as_u64().is_some_and(|age| age.abs_diff(is) == 1) {
                *age = is.into();
            }
        }
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
    let spaces = |word: &str| {
        let prompts = blocks.iter().flat_map(|block| &block.prompts);
        let with_word = prompts.filter(|prompt| prompt.command.contains(word));
        with_word.map(|prompt| space(&prompt.machine, &prompt.command)).collect()
    };
    let rows = DUMPS_OF.map(|(word, dump)| Dump { command: dump.to_owned(), spaces: Some(spaces(word)) });
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

    /// What every kind of device, setting and event says; what [`NOT_YET`] names is left out.
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "netns add", "type veth", "type bridge", "type dummy", " master ", "addr add", "route add default", " table 7", "nexthop via",
        "onlink", "blackhole", "unreachable", "prohibit", "throw", "rule add", "fwmark", "goto", "rp_filter=", "forwarding=",
        "arp_ignore=", "arp_announce=", "arp_filter=", "accept_local=", "src_valid_mark=", "proxy_arp=", "ip_forward=1", "MASQUERADE",
        "DNAT", "-j DROP", "nc -dlku", "nc -u", "nc -N", "ping -c", "-s 1472", "-M do", "-t 1", "-I ", "-m 1", "route get", "arping",
        " down", " up", "addr del", "addr flush", "route del", "rule del", "neigh del", "neigh replace", "nomaster", "fdb add",
        "hairpin", "isolated", " mtu ", "sleep 0.00002", "sleep 80000",
    ];

    #[test]
    fn everything_is_drawn() {
        let all: String = (0..3000).map(|seed| lesson::lesson(&plan(seed), &[])).collect();
        let is_left_out = |word: &str| NOT_YET.iter().any(|(left_out, _)| word.contains(left_out));
        let missing: Vec<_> =
            WORDS.iter().filter(|word| !is_left_out(word) && !all.contains(**word)).collect();
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

    #[test]
    fn an_age_may_differ_by_a_second() {
        let row = |age: u64, state: &str| serde_json::json!([{ "mac": "a", "updated": age, "state": state }]);
        let leveled = |mut model: Value| {
            ages(&row(9, "x"), &mut model);
            model
        };
        assert_eq!(leveled(row(10, "x")), row(9, "x"));
        assert_eq!(leveled(row(11, "x")), row(11, "x"));
        assert_eq!(leveled(row(10, "y")), row(10, "y"));
    }
}
