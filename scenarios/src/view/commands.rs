//! What the agents of a cluster ran, as a shell script for the real machines.

use std::fmt::Write as _;

use glassnet_cluster::api::ApiServer;
use glassnet_cluster::command::Ran;
use glassnet_kernel::World;
use shlex::Quoter;

/// Which commands to show.
#[derive(Clone, Debug, Default)]
pub struct CommandsOf {
    /// Only those of this node.
    pub node: Option<String>,
    /// Only those of this agent.
    pub agent: Option<String>,
}

/// The script. Each command stands below its time, its node and its agent.
///
/// # Errors
///
/// The lesson has no cluster, or no such node or agent in it.
pub fn commands(world: &World, of: &CommandsOf) -> Result<String, String> {
    let Some(api) = ApiServer::in_world(world) else {
        return Err("the lesson has no cluster".to_owned());
    };
    let all = api.ran();
    for (what, name, known) in [
        ("node", &of.node, all.iter().map(|ran| &ran.node).collect::<std::collections::BTreeSet<_>>()),
        ("agent", &of.agent, all.iter().map(|ran| &ran.agent).collect()),
    ] {
        if let Some(name) = name.as_ref().filter(|name| !known.contains(name)) {
            let known = known.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("no {what} `{name}` ran a command; there are {known}"));
        }
    }
    let is = |wanted: &Option<String>, name: &String| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let mut script = String::from("#!/usr/bin/env bash\n");
    if api.store().config.has_userspace_proxy() {
        script.push_str("# Not here: the sockets of kube-proxy, which itself carries connections in the userspace mode.\n");
    }
    if api.store().config.has_userspace_network() {
        script.push_str("# Not here: flanneld, which has the tun device and itself carries packets.\n");
    }
    for ran in all.iter().filter(|ran| is(&of.node, &ran.node) && is(&of.agent, &ran.agent)) {
        write_command(&mut script, ran);
    }
    Ok(script)
}

fn write_command(script: &mut String, ran: &Ran) {
    let seconds = ran.at.0 as f64 / 1e9;
    // Writing to a string does not fail.
    let _ = writeln!(script, "\n# {seconds:.6} s, {}, {}", ran.node, ran.agent);
    script.push_str(&shell_text(ran));
}

/// A command as it is typed, with its standard input, and a newline. One that goes on by itself does so.
pub fn shell_text(ran: &Ran) -> String {
    let words = ran.command.argv.iter().map(String::as_str);
    let quoted = Quoter::new().allow_nul(true).join(words).unwrap_or_default();
    let stdin = &ran.command.stdin;
    match (&ran.goes_on_in, stdin.is_empty()) {
        (Some(folder), _) => format!("(cd {folder}; {quoted} > /dev/null 2>&1 &)\n"),
        (None, true) => format!("{quoted}\n"),
        (None, false) => {
            let end = if stdin.ends_with('\n') { "" } else { "\n" };
            format!("{quoted} << 'EOF'\n{stdin}{end}EOF\n")
        }
    }
}
