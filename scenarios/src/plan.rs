//! Plans: machines, cables and prompts of a lesson, without the expected output.

use std::collections::BTreeSet;

use crate::lesson::{Block, Lesson, Topology};

/// Input of a backend.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The lesson's file name without its folder, for messages and recordings.
    pub lesson: String,
    /// Machines with their NICs, switches, cables.
    pub topology: Topology,
    /// Blocks of prompts.
    pub blocks: Vec<PlannedBlock>,
}

/// A block of prompts.
#[derive(Clone, Debug, Default)]
pub struct PlannedBlock {
    /// Line of the block in the lesson.
    pub line: usize,
    /// Its prompts.
    pub prompts: Vec<PlannedPrompt>,
}

/// A prompt.
#[derive(Clone, Debug, Default)]
pub struct PlannedPrompt {
    /// Line in the lesson, from 1.
    pub line: usize,
    /// Machine.
    pub machine: String,
    /// The command, verbatim.
    pub command: String,
}

impl From<&Lesson> for Plan {
    fn from(lesson: &Lesson) -> Self {
        Self {
            lesson: lesson.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            topology: lesson.front.topology.clone(),
            blocks: lesson.blocks.iter().map(block).collect(),
        }
    }
}

impl Plan {
    /// Names of all NICs.
    pub fn nic_names(&self) -> BTreeSet<String> {
        self.topology.nodes.values().flat_map(|node| node.nics.keys().cloned()).collect()
    }
}

fn block(block: &Block) -> PlannedBlock {
    let prompts = block.prompts.iter().map(|p| PlannedPrompt {
        line: p.line,
        machine: p.machine.clone(),
        command: p.command.clone(),
    });
    PlannedBlock { line: block.line, prompts: prompts.collect() }
}
