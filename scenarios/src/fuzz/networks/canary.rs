//! A network in which each eye of a [backend](crate::backend) must see something: without it, one that sees nothing would agree
//! with everything.

use super::net::number;
use crate::backend::{Backend, observe_plain};
use crate::canary::Eye;
use crate::error::BackendError;
use crate::lesson::Node;
use crate::observation::{BlockSeen, Frame, Journey, Observation};
use crate::plan::{Dump, Plan, PlannedBlock, PlannedPrompt};

/// The machine.
const MACHINE: &str = "a";

/// The commands; the last is a ping over a veth pair.
const COMMANDS: [&str; 8] = [
    "ip netns add x",
    "ip link add v0 type veth peer name v1 netns x",
    "ip link set v0 promisc on",
    "ip link set v0 up",
    "ip -n x link set v1 up",
    "ip addr add 192.0.2.1/24 dev v0",
    "ip -n x addr add 192.0.2.2/24 dev v1",
    "ping -c 1 -W 1 192.0.2.2",
];

/// What the kernel logs of them.
const LOGGED: &str = "6 device v0 entered promiscuous mode";

/// The table that must name the neighbour.
const NEIGHBOURS: &str = "ip -j -d -s neigh";

/// Runs the network and looks whether each eye saw its part.
///
/// # Errors
///
/// [`BackendError::Blind`] with the first that did not, else as [`observe_plain`].
pub fn check(backend: &dyn Backend) -> Result<(), BackendError> {
    let seen = observe_plain(backend, &plan())?;
    match missed(&seen) {
        None => Ok(()),
        Some((eye, what)) => {
            Err(BackendError::Blind { kernel: backend.version(), eye, what: what.to_owned() })
        }
    }
}

fn plan() -> Plan {
    let prompt = |command: &str| PlannedPrompt {
        machine: MACHINE.into(),
        command: command.into(),
        ..PlannedPrompt::default()
    };
    let mut blocks = vec![PlannedBlock { line: 0, prompts: COMMANDS.map(prompt).into() }];
    number(&mut blocks);
    let mut plan =
        Plan { lesson: "canary".into(), blocks, dumps: vec![Dump::from(NEIGHBOURS)], ..Plan::default() };
    plan.topology.nodes.insert(MACHINE.into(), Node::default());
    plan
}

fn missed(seen: &Observation) -> Option<(Eye, &'static str)> {
    let ping = COMMANDS.len() - 1;
    let is_answered = seen.prompts.last().is_some_and(|prompt| prompt.output.contains(" 1 received"));
    let frames = |device: &str| {
        let is_its = |frame: &&Frame| frame.device == device && frame.prompt == ping;
        seen.frames.iter().filter(is_its).count()
    };
    let step = |journey: &Journey| journey.steps.iter().any(|step| step.starts_with("netif_rx v1"));
    let neighbours = seen.blocks.iter().find_map(|block| block.tables.get(MACHINE)?.get(NEIGHBOURS));
    let logged = |block: &BlockSeen| block.log.iter().any(|line| line == LOGGED);
    if !is_answered {
        Some((Eye::Output, "no answer in ping's words"))
    } else if ["v0", "v1"].iter().any(|device| frames(device) != 4) {
        Some((Eye::Frames, "not two frames of ARP and two of ICMP on each end"))
    } else if !seen.journeys.iter().any(step) {
        Some((Eye::Tracepoints, "no packet that v1 received"))
    } else if !neighbours.is_some_and(|table| table.to_string().contains("192.0.2.2")) {
        Some((Eye::Tables, "no neighbour 192.0.2.2"))
    } else if seen.sees.log && !seen.blocks.iter().any(logged) {
        Some((Eye::Log, "no promiscuous v0"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::Simulator;

    #[test]
    fn the_model_sees_it_and_each_blind_eye_is_found() {
        let seen = observe_plain(&Simulator::default(), &plan()).expect("it runs");
        assert_eq!(missed(&seen), None);
        for eye in Eye::ALL {
            let mut blind = seen.clone();
            match eye {
                Eye::Frames => blind.frames.clear(),
                Eye::Tracepoints => blind.journeys.clear(),
                Eye::Tables => blind.blocks.iter_mut().for_each(|block| block.tables.clear()),
                Eye::Log => blind.blocks.iter_mut().for_each(|block| block.log.clear()),
                Eye::Output => blind.prompts.clear(),
            }
            assert_eq!(missed(&blind).map(|(found, _)| found), Some(eye));
        }
    }
}
