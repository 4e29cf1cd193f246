//! From a lesson to what the backend runs.

use std::collections::BTreeSet;

use super::{Cable, Plan, PlannedBlock, PlannedMachine, PlannedNic, PlannedPrompt};
use crate::lesson::{Block, Endpoint, Lesson, Link, Node};

impl From<&Lesson> for Plan {
    fn from(lesson: &Lesson) -> Self {
        let topology = &lesson.front.topology;
        Self {
            lesson: lesson.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            machines: topology.nodes.iter().map(|(name, node)| machine(name, node)).collect(),
            switches: topology.switches.keys().cloned().collect(),
            cables: topology.links.iter().map(cable).collect(),
            blocks: lesson.blocks.iter().map(block).collect(),
        }
    }
}

impl Plan {
    /// Names of all NICs.
    pub fn nic_names(&self) -> BTreeSet<String> {
        self.machines.iter().flat_map(|m| m.nics.iter().map(|n| n.name.clone())).collect()
    }
}

fn machine(name: &str, node: &Node) -> PlannedMachine {
    let nic = |(name, nic): (&String, &crate::lesson::Nic)| PlannedNic {
        name: name.clone(),
        address: nic.address.map(|mac| mac.to_string()),
    };
    PlannedMachine { name: name.to_owned(), nics: node.nics.iter().map(nic).collect() }
}

fn cable(link: &Link) -> Cable {
    let end = |e: &Endpoint| (e.node.clone(), e.port.clone());
    let [a, b] = &link.endpoints;
    Cable { ends: [end(a), end(b)] }
}

fn block(block: &Block) -> PlannedBlock {
    let prompts = block.prompts.iter().map(|p| PlannedPrompt {
        line: p.line,
        machine: p.machine.clone(),
        command: p.command.clone(),
    });
    PlannedBlock { line: block.line, prompts: prompts.collect() }
}
