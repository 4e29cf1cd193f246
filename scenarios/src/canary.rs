//! A canary: a machine beside those of a plan that sends known packets before the first prompt and after the last, so that a
//! [backend](crate::backend) that does not see them is found blind, and its silence is not taken for agreement.
//!
//! Its packets are gratuitous ARP requests (`arp_notify`) on a veth pair: they need no program but `ip`.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::lesson::Node;
use crate::observation::{Capabilities, DUMPS, Direction, Tables};
use crate::observation::{Captured, Printed};
use crate::plan::{Plan, PlannedPrompt};

/// Name of the machine; no lesson's machine is called so, as a prompt cannot name it.
pub const MACHINE: &str = "glassnet canary";

/// Addresses that the two packets announce.
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

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
    plan.topology.nodes.insert(MACHINE.to_owned(), Node::default());
    plan
}

/// The canary of one run.
#[derive(Debug)]
pub struct Canary {
    /// The ends of its veth pair. No run beside it on the same kernel has devices of these names.
    devices: [String; 2],
}

/// What was observed of a canary.
#[derive(Debug)]
pub struct CanarySeen {
    /// By its [prompts](Canary::prompts).
    pub printed: [Printed; 2],
    /// By the kernel, with them.
    pub logged: [Vec<String>; 2],
    /// The tables of its machine after them.
    pub tables: Tables,
}

impl Canary {
    /// A canary for the next run.
    pub fn of_a_run() -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed) % 10_000;
        Self { devices: ["a", "b"].map(|end| format!("c{}n{run}{end}", std::process::id())) }
    }

    /// What it does before the first prompt and after the last.
    pub fn prompts(&self) -> [PlannedPrompt; 2] {
        let [near, far] = &self.devices;
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
            ..PlannedPrompt::default()
        })
    }

    /// Takes what was observed of it out of an observation; fails with the eye that missed something, and what.
    ///
    /// Its prompts were the first and the last of `count`.
    ///
    /// # Errors
    ///
    /// What was not seen.
    pub fn take(
        &self,
        captured: &mut Captured,
        seen: &CanarySeen,
        count: usize,
        sees: &Capabilities,
    ) -> Result<(), (Eye, String)> {
        for (said, address) in seen.printed.iter().zip(ADDRESSES) {
            if said.status != 0 || !said.output.contains(address) {
                return Err((Eye::Output, format!("no {address} in {said:?}")));
            }
        }
        for (lines, how) in seen.logged.iter().zip(["entered", "left"]) {
            let expected = format!("6 device {} {how} promiscuous mode", self.devices[0]);
            if sees.log && !lines.contains(&expected) {
                return Err((Eye::Log, format!("no `{expected}`")));
            }
        }
        self.frames(captured, count, sees)?;
        self.journeys(captured, count, sees)?;
        self.named(&seen.tables, sees)
    }

    fn frames(
        &self,
        captured: &mut Captured,
        count: usize,
        sees: &Capabilities,
    ) -> Result<(), (Eye, String)> {
        let (own, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut captured.frames).into_iter().partition(|frame| frame.machine == MACHINE);
        captured.frames = rest;
        captured.macs.retain(|mac| mac.machine != MACHINE);
        captured.reach_times.retain(|time| time.machine != MACHINE);
        for (prompt, address) in [0, count - 1].into_iter().zip(ADDRESSES) {
            let [a, b, c, d] =
                address.parse::<std::net::Ipv4Addr>().map_or([0; 4], |address| address.octets());
            let announced = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
            for (device, direction) in self.devices.iter().zip([Direction::Out, Direction::Broadcast]) {
                let is_it = |frame: &crate::observation::Frame| {
                    (&frame.device, frame.direction, frame.prompt) == (device, direction, prompt)
                        && frame.bytes.contains(&announced)
                };
                if sees.frames.has(device) && own.iter().filter(|frame| is_it(frame)).count() != 1 {
                    return Err((Eye::Frames, format!("not one ARP request for {address} on {device}")));
                }
            }
        }
        Ok(())
    }

    fn journeys(
        &self,
        captured: &mut Captured,
        count: usize,
        sees: &Capabilities,
    ) -> Result<(), (Eye, String)> {
        let [near, far] = &self.devices;
        let of_canary =
            |step: &String| step.split(' ').nth(1).is_some_and(|device| device == near || device == far);
        let (own, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut captured.journeys)
            .into_iter()
            .partition(|way| way.steps.iter().any(of_canary));
        captured.journeys = rest;
        captured.events.retain(|event| !self.devices.iter().any(|device| event.text.contains(device)));
        let steps = [
            ("net_dev_queue", near),
            ("net_dev_start_xmit", near),
            ("netif_rx", far),
            ("netif_receive_skb", far),
        ]
        .map(|(tracepoint, device)| format!("{tracepoint} {device}"));
        for prompt in [0, count - 1] {
            let names = |way: &crate::observation::Journey| {
                let seen =
                    way.steps.iter().map(|step| step.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "));
                way.prompt == prompt && seen.eq(steps.iter().cloned())
            };
            if sees.tracepoints && own.iter().filter(|way| names(way)).count() != 1 {
                let seen: Vec<_> = own.iter().map(|way| format!("{:?} ⇒ {}", way.steps, way.end)).collect();
                return Err((Eye::Tracepoints, format!("not one {steps:?}, but {}", seen.join(", "))));
            }
        }
        Ok(())
    }

    /// Each dump that it can make is there, and those that name the canary do.
    fn named(&self, tables: &Tables, sees: &Capabilities) -> Result<(), (Eye, String)> {
        let Some(of_canary) = tables.get(MACHINE) else { return Err((Eye::Tables, "none".to_owned())) };
        let made: BTreeSet<_> = of_canary.keys().map(String::as_str).collect();
        if let Some(dump) = DUMPS.into_iter().find(|dump| !made.contains(dump)) {
            return Err((Eye::Tables, format!("no `{dump}`")));
        }
        let [_, address] = ADDRESSES;
        for (dump, name) in [
            ("ip -j addr", address),
            ("ip -j -s link", &self.devices[1]),
            ("ip -j route show table all", address),
        ] {
            let text = of_canary.get(dump).map(Value::to_string).unwrap_or_default();
            if sees.tables.has(dump) && !text.contains(name) {
                return Err((Eye::Tables, format!("no {name} in `{dump}`")));
            }
        }
        Ok(())
    }
}
