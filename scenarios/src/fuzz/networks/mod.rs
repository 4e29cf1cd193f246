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
//! - answers of proxy ARP are not delayed (`proxy_delay` 0; `pneigh_enqueue`).
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
    ("arp_announce", "the sender address of requests is being mended"),
    ("mtu", "what becomes of frames longer than the far end's MTU is being mended"),
    ("nc -N", "timers of TCP are being mended"),
];

/// Sysctls that each namespace begins with, as the model is known to do otherwise, each with the reason.
const AT_FIRST: &[(&str, &str)] = &[
    ("net.ipv4.conf.all.send_redirects=0", "redirects are being mended"),
    ("net.ipv4.conf.default.send_redirects=0", "redirects are being mended"),
];

/// Fields of tables that are not compared, each with the reason.
const NOT_COMPARED: &[(&str, &str)] = &[
    ("confirmed", "timers of neighbours are being mended"),
    ("operstate", "states of veth ends are being mended"),
    ("gc_timer", "timers of a bridge are not told by the model"),
    ("forward_delay_timer", "timers of a bridge are not told by the model"),
    ("tso_max_size", "a veth end that stands for a card as a port of a bridge"),
];

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

/// Takes out of the tables what is [not compared](NOT_COMPARED).
pub fn leave_out(seen: &mut Observation) {
    let tables = seen.blocks.iter_mut().flat_map(|block| block.tables.values_mut());
    tables.flat_map(|table| table.values_mut()).for_each(without);
}

fn without(value: &mut Value) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(without),
        Value::Object(fields) => {
            NOT_COMPARED.iter().for_each(|(field, _)| drop(fields.remove(*field)));
            fields.values_mut().for_each(without);
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
