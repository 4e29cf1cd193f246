//! A canary: a machine beside those of a plan that sends known packets before the first prompt and after the last, so that a
//! [backend](crate::backend) that does not see them is found blind, and its silence is not taken for agreement.
//!
//! Its packets are gratuitous ARP requests (`arp_notify`) on a veth pair: they need no program but `ip`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde_json::Value;

use crate::lesson::Node;
use crate::observation::{Capabilities, DUMPS, Direction, Tables};
use crate::observation::{Captured, Printed};
use crate::plan::{Plan, PlannedPrompt};

/// Name of the machine; no lesson's machine is called so, as a prompt cannot name it.
pub const MACHINE: &str = "glassnet canary";

/// Addresses that the two packets announce.
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// The ends of the veth pair.
const DEVICES: [&str; 2] = ["canary0", "canary1"];

/// The tracepoints of each packet.
const STEPS: [&str; 4] =
    ["net_dev_queue canary0", "net_dev_start_xmit canary0", "netif_rx canary1", "netif_receive_skb canary1"];

/// Tables that name the canary: each dump that lists devices or addresses.
const NAMED: [(&str, &str); 3] =
    [("ip -j addr", "192.0.2.2"), ("ip -j -s link", "canary1"), ("ip -j route show table all", "192.0.2.2")];

/// What the kernel logs of the two prompts.
const LOGGED: [&str; 2] =
    ["6 device canary0 entered promiscuous mode", "6 device canary0 left promiscuous mode"];

/// What a backend observes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eye {
    /// Packet taps.
    Frames,
    /// Tracepoints.
    Tracepoints,
    /// Dumps of tables and counters.
    Tables,
    /// Output and status of prompts.
    Output,
    /// The kernel's log.
    Log,
}

impl Eye {
    /// All.
    pub const ALL: [Self; 5] = [Self::Frames, Self::Tracepoints, Self::Tables, Self::Output, Self::Log];
}

impl Display for Eye {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Frames => "frames",
            Self::Tracepoints => "tracepoints",
            Self::Tables => "tables",
            Self::Output => "output",
            Self::Log => "log",
        })
    }
}

/// The plan with the canary's machine.
pub fn beside(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.topology.nodes.insert(MACHINE.to_owned(), Node { cpus: 1, nics: BTreeMap::new() });
    plan
}

/// What the canary does before the first prompt and after the last.
pub fn prompts() -> [PlannedPrompt; 2] {
    let [near, far] = DEVICES;
    let make = format!(
        "ip link add {near} type veth peer name {far}; ip link set {far} up; \
         ip link set {near} promisc on; echo 1 >/proc/sys/net/ipv4/conf/{near}/arp_notify; "
    );
    let again =
        format!("ip link set {near} promisc off; ip link set {near} down; ip addr flush dev {near}; ");
    let announced = |first: String, address: &str| {
        let then = format!("ip addr add {address}/32 dev {near}; ip link set {near} up; ");
        first + &then + &format!("ip addr show {near} | grep {address}")
    };
    let [before, after] = ADDRESSES;
    [announced(make, before), announced(again, after)].map(|command| PlannedPrompt {
        line: 0,
        machine: MACHINE.to_owned(),
        command,
    })
}

/// Takes what was observed of the canary out of an observation; fails with the eye that missed something, and what.
///
/// `printed` and `logged` are of [`prompts`], which were the first and the last of `count` prompts; `tables` are of its machine
/// after them.
///
/// # Errors
///
/// What was not seen.
pub fn take(
    captured: &mut Captured,
    printed: [Printed; 2],
    logged: &[Vec<String>; 2],
    tables: &Tables,
    count: usize,
    sees: &Capabilities,
) -> Result<(), (Eye, String)> {
    for (said, address) in printed.iter().zip(ADDRESSES) {
        if said.status != 0 || !said.output.contains(address) {
            return Err((Eye::Output, format!("no {address} in {said:?}")));
        }
    }
    for (lines, expected) in logged.iter().zip(LOGGED) {
        if sees.log && !lines.iter().any(|line| line == expected) {
            return Err((Eye::Log, format!("no `{expected}`")));
        }
    }
    frames(captured, count, sees)?;
    journeys(captured, count, sees)?;
    named(tables, sees)
}

fn frames(captured: &mut Captured, count: usize, sees: &Capabilities) -> Result<(), (Eye, String)> {
    let (own, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut captured.frames).into_iter().partition(|frame| frame.machine == MACHINE);
    captured.frames = rest;
    captured.macs.retain(|mac| mac.machine != MACHINE);
    for (prompt, address) in [0, count - 1].into_iter().zip(ADDRESSES) {
        let [a, b, c, d] = address.parse::<std::net::Ipv4Addr>().map_or([0; 4], |address| address.octets());
        let announced = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
        for (device, direction) in DEVICES.into_iter().zip([Direction::Out, Direction::Broadcast]) {
            let is_it = |frame: &crate::observation::Frame| {
                (frame.device.as_str(), frame.direction, frame.prompt) == (device, direction, prompt)
                    && frame.bytes.contains(&announced)
            };
            if sees.frames.has(device) && own.iter().filter(|frame| is_it(frame)).count() != 1 {
                return Err((Eye::Frames, format!("not one ARP request for {address} on {device}")));
            }
        }
    }
    Ok(())
}

fn journeys(captured: &mut Captured, count: usize, sees: &Capabilities) -> Result<(), (Eye, String)> {
    let of_canary = |step: &String| step.split(' ').nth(1).is_some_and(|device| DEVICES.contains(&device));
    let (own, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut captured.journeys).into_iter().partition(|way| way.steps.iter().any(of_canary));
    captured.journeys = rest;
    captured.events.retain(|event| !DEVICES.iter().any(|device| event.text.contains(device)));
    for prompt in [0, count - 1] {
        let names = |way: &crate::observation::Journey| {
            let steps =
                way.steps.iter().map(|step| step.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "));
            way.prompt == prompt && steps.eq(STEPS)
        };
        if sees.tracepoints && own.iter().filter(|way| names(way)).count() != 1 {
            let seen: Vec<_> = own.iter().map(|way| format!("{:?} ⇒ {}", way.steps, way.end)).collect();
            return Err((Eye::Tracepoints, format!("not one {STEPS:?}, but {}", seen.join(", "))));
        }
    }
    Ok(())
}

/// Each dump that it can make is there, and those that name the canary do.
fn named(tables: &Tables, sees: &Capabilities) -> Result<(), (Eye, String)> {
    let Some(of_canary) = tables.get(MACHINE) else { return Err((Eye::Tables, "none".to_owned())) };
    let made: BTreeSet<_> = of_canary.keys().map(String::as_str).collect();
    if let Some(dump) = DUMPS.into_iter().find(|dump| !made.contains(dump)) {
        return Err((Eye::Tables, format!("no `{dump}`")));
    }
    for (dump, name) in NAMED {
        let text = of_canary.get(dump).map(Value::to_string).unwrap_or_default();
        if sees.tables.has(dump) && !text.contains(name) {
            return Err((Eye::Tables, format!("no {name} in `{dump}`")));
        }
    }
    Ok(())
}
