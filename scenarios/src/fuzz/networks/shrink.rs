//! Making a random network smaller.

use std::collections::BTreeSet;

use super::dumps;
use super::net::number;
use crate::fuzz::shrink::{halves, smallest};
use crate::lesson::{Endpoint, Topology};
use crate::plan::Plan;

/// The smallest plan found for which `differs` holds, with at most `budget` attempts.
pub fn shrink(plan: &Plan, budget: usize, differs: impl FnMut(&Plan) -> bool) -> Plan {
    smallest(plan, budget, candidates, differs)
}

/// Smaller plans, the largest cuts first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    for part in halves(plan.blocks.len()) {
        let mut smaller = plan.clone();
        smaller.blocks.drain(part);
        all.push(smaller);
    }
    all.extend(plan.topology.nodes.keys().map(|node| without_node(plan, node)));
    all.extend((0..plan.topology.links.len()).map(|at| without_link(plan, at)));
    let prompts: usize = plan.blocks.iter().map(|block| block.prompts.len()).sum();
    all.extend(halves(prompts).into_iter().map(|part| without_prompts(plan, &part)));
    for (block, prompt) in places(plan) {
        for command in shorter(&plan.blocks[block].prompts[prompt].command) {
            let mut smaller = plan.clone();
            smaller.blocks[block].prompts[prompt].command = command;
            all.push(smaller);
        }
    }
    all.retain(|plan| plan.blocks.iter().any(|block| !block.prompts.is_empty()));
    for plan in &mut all {
        plan.blocks.retain(|block| !block.prompts.is_empty());
        number(&mut plan.blocks);
        plan.dumps = dumps(&plan.blocks);
    }
    all
}

/// Without a machine: its cables and prompts go with it.
fn without_node(plan: &Plan, node: &str) -> Plan {
    let mut smaller = plan.clone();
    smaller.topology.nodes.remove(node);
    smaller.topology.links.retain(|link| link.endpoints.iter().all(|end| end.node != node));
    for block in &mut smaller.blocks {
        block.prompts.retain(|prompt| prompt.machine != node);
    }
    unplug(&mut smaller.topology);
    smaller
}

/// Without a cable.
fn without_link(plan: &Plan, at: usize) -> Plan {
    let mut smaller = plan.clone();
    smaller.topology.links.remove(at);
    unplug(&mut smaller.topology);
    smaller
}

/// Takes cards and ports away that have no cable.
fn unplug(topology: &mut Topology) {
    let ends: BTreeSet<Endpoint> =
        topology.links.iter().flat_map(|link| link.endpoints.iter().cloned()).collect();
    let is_cabled = |node: &str, port: &str| ends.iter().any(|end| end.node == node && end.port == port);
    topology.switches.retain(|switch, of| {
        of.ports.retain(|port| is_cabled(switch, port));
        !of.ports.is_empty()
    });
    for (name, node) in &mut topology.nodes {
        node.nics.retain(|nic, _| is_cabled(name, nic));
    }
}

fn without_prompts(plan: &Plan, part: &std::ops::Range<usize>) -> Plan {
    let mut smaller = plan.clone();
    let mut at = 0;
    for block in &mut smaller.blocks {
        block.prompts.retain(|_| {
            at += 1;
            !part.contains(&(at - 1))
        });
    }
    smaller
}

/// Indexes of all prompts.
fn places(plan: &Plan) -> Vec<(usize, usize)> {
    let of = |(block, prompts): (usize, usize)| (0..prompts).map(move |prompt| (block, prompt));
    plan.blocks.iter().map(|block| block.prompts.len()).enumerate().flat_map(of).collect()
}

/// The command without one or two of its last words, or without an option of a program.
fn shorter(command: &str) -> Vec<String> {
    let words: Vec<&str> = command.split(' ').collect();
    let is_tool = matches!(words[0], "ip" | "bridge") && !command.starts_with("ip netns exec");
    let without = |from: usize, to: usize| [&words[..from], &words[to..]].concat().join(" ");
    let mut all = Vec::new();
    if is_tool {
        all.extend(
            (6..words.len()).filter(|from| from + 2 <= words.len()).map(|from| without(from, from + 2)),
        );
        all.extend(
            words.len().checked_sub(1).filter(|last| *last >= 5).map(|last| without(last, words.len())),
        );
    } else {
        let options = (0..words.len()).filter(|at| matches!(words[*at], "-s" | "-M" | "-t" | "-m" | "-I"));
        all.extend(options.filter(|at| at + 2 < words.len()).map(|at| without(at, at + 2)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::*;

    #[test]
    fn what_does_not_matter_goes() {
        let whole = (0..).map(plan).find(|plan| {
            plan.topology.nodes.len() > 1 && plan.blocks.iter().flat_map(|block| &block.prompts).any(pings)
        });
        let whole = whole.expect("a ping");
        let small =
            shrink(&whole, 1000, |plan| plan.blocks.iter().flat_map(|block| &block.prompts).any(pings));
        assert_eq!(
            (small.blocks.len(), small.blocks[0].prompts.len(), small.topology.nodes.len()),
            (1, 1, 1)
        );
        assert!(small.topology.links.is_empty() && small.topology.switches.is_empty());
    }

    fn pings(prompt: &crate::plan::PlannedPrompt) -> bool {
        prompt.command.contains("ping -c")
    }
}
