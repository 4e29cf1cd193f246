//! A random network as a lesson.

use std::fmt::Write;

use crate::lesson::Topology;
use crate::plan::Plan;

/// The lesson: its commands, whose output is left open, and in which lines both sides differed.
pub fn lesson(plan: &Plan, differences: &[String]) -> String {
    let mut text = String::new();
    let title = serde_json::Value::String(plan.lesson.clone());
    let _ =
        writeln!(text, "---\ntitle: {title}\ntopology:\n{}---\n# {}", topology(&plan.topology), plan.lesson);
    for block in &plan.blocks {
        text.push_str("\n```console\n");
        for prompt in &block.prompts {
            let _ = writeln!(text, "{}# {}\n…", prompt.machine, prompt.command);
        }
        text.push_str("```\n");
    }
    if !differences.is_empty() {
        let _ = writeln!(
            text,
            "\nWhen this was written, the kernel (-) and the model (+) differed:\n\n```text\n{}\n```",
            differences.join("\n")
        );
    }
    text
}

fn topology(topology: &Topology) -> String {
    let mut text = "  nodes:\n".to_owned();
    for (name, node) in &topology.nodes {
        let nics = node.nics.iter().map(|(nic, of)| match of.address {
            Some(mac) => format!("{nic}: {{ address: \"{mac}\" }}"),
            None => format!("{nic}: {{}}"),
        });
        let nics = nics.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "    {name}: {{ nics: {{ {nics} }} }}");
    }
    if !topology.switches.is_empty() {
        text.push_str("  switches:\n");
    }
    for name in topology.switches.keys() {
        let _ = writeln!(text, "    {name}: {{}}");
    }
    if !topology.links.is_empty() {
        text.push_str("  links:\n");
    }
    for link in &topology.links {
        let [near, far] = &link.endpoints;
        let _ = writeln!(
            text,
            "    - endpoints: [\"{}:{}\", \"{}:{}\"]",
            near.node, near.port, far.node, far.port
        );
    }
    text
}
