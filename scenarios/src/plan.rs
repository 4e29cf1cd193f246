//! Plans: machines, cables and prompts of a lesson, without the expected output.

use std::collections::BTreeSet;

use glassnet_cluster::program;
use glassnet_userland::cni;

use crate::lesson::{Block, CableChange, Lesson, Topology};
use crate::observation::DUMPS;

/// Input of a backend.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The lesson's file name without its folder, for messages and recordings.
    pub lesson: String,
    /// Machines with their NICs, switches, cables.
    pub topology: Topology,
    /// Blocks of prompts.
    pub blocks: Vec<PlannedBlock>,
    /// What is read after each block.
    pub dumps: Vec<Dump>,
}

/// A command whose output is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// The command.
    pub command: String,
    /// Where it is run, as `machine` or `machine/netns`; none: in each namespace.
    pub spaces: Option<BTreeSet<String>>,
}

impl From<&str> for Dump {
    /// Run in each namespace.
    fn from(command: &str) -> Self {
        Self { command: command.to_owned(), spaces: None }
    }
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
    /// What hands do to cables before.
    pub before: Vec<CableChange>,
}

impl From<&Lesson> for Plan {
    fn from(lesson: &Lesson) -> Self {
        Self {
            lesson: lesson.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            topology: lesson.front.topology.clone(),
            blocks: lesson.blocks.iter().map(block).collect(),
            dumps: DUMPS.map(Dump::from).to_vec(),
        }
    }
}

impl Plan {
    /// Programs that the prompts start, of those that exist on a simulated machine, as far as that shows in their text.
    pub fn programs(&self) -> BTreeSet<&'static str> {
        let ends = [';', '|', '&', '(', ')', '`', '\n', '{', '}', '!'];
        let prompts = self.blocks.iter().flat_map(|block| &block.prompts);
        let mut found = BTreeSet::new();
        for simple in prompts.flat_map(|prompt| prompt.command.split(ends)) {
            started(&mut simple.split_whitespace(), &mut found);
        }
        found
    }

    /// Commands to run in a namespace, `machine` or `machine/netns`.
    pub fn dumps_of(&self, space: &str) -> impl Iterator<Item = &str> {
        let is_read = |dump: &&Dump| dump.spaces.as_ref().is_none_or(|spaces| spaces.contains(space));
        self.dumps.iter().filter(is_read).map(|dump| dump.command.as_str())
    }

    /// Names of all NICs.
    pub fn nic_names(&self) -> BTreeSet<String> {
        self.topology.nodes.values().flat_map(|node| node.nics.keys().cloned()).collect()
    }

    /// A machine has a NIC of this name.
    pub fn is_nic(&self, name: &str) -> bool {
        self.topology.nodes.values().any(|node| node.nics.contains_key(name))
    }
}

/// Words of the shell that may stand before a command.
const KEYWORDS: [&str; 6] = ["do", "elif", "else", "if", "then", "while"];

/// Programs that start another, which is among their arguments.
const STARTERS: [&str; 4] = ["nsenter", "sudo", "timeout", "xargs"];

/// The program of a simple command, and the one that it starts.
fn started<'a>(words: &mut impl Iterator<Item = &'a str>, found: &mut BTreeSet<&'static str>) {
    // A plugin is on no PATH, so it is looked for where Debian has it.
    let name = |word: &str| match cni::plugin(word) {
        Some(plugin) => Some(plugin.path),
        None => Some(program(word.rsplit('/').next()?)?.name()),
    };
    let first = words.find(|word| !word.contains('=') && !KEYWORDS.contains(word));
    let Some(own) = first.and_then(name) else { return };
    found.insert(own);
    if own == "ip" && words.any(|word| word == "exec") {
        // Behind the namespace.
        words.next();
        started(words, found);
    } else if STARTERS.contains(&own) {
        found.extend(words.find_map(name));
    }
}

fn block(block: &Block) -> PlannedBlock {
    let prompts = block.prompts.iter().map(|p| PlannedPrompt {
        line: p.line,
        machine: p.machine.clone(),
        command: p.command.clone(),
        before: p.before.clone(),
    });
    PlannedBlock { line: block.line, prompts: prompts.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_wherever_prompts_name_them() {
        let prompt =
            |command: &str| PlannedPrompt { command: command.to_owned(), ..PlannedPrompt::default() };
        let commands = [
            "ip netns exec x ping -c 1 a",
            "x=$(/usr/sbin/iptables -S)|grep y;sleep 1",
            "for i in 1 2; do A=1 arping -c 1 b; done",
            "sudo -E tcpdump -i eth0 arp or icmp",
            "CNI_COMMAND=ADD CNI_PATH=/opt/cni/bin /opt/cni/bin/bridge < conf",
            "echo pinging; ip route; true date",
        ];
        let block = PlannedBlock { line: 1, prompts: commands.map(prompt).to_vec() };
        let plan = Plan { blocks: vec![block], ..Plan::default() };
        let expected =
            ["/usr/lib/cni/bridge", "arping", "ip", "iptables", "ping", "sleep", "sudo", "tcpdump"];
        assert_eq!(plan.programs(), BTreeSet::from(expected));
    }
}
