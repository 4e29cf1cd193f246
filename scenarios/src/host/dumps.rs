//! Tables and counters of a network namespace, as the tools and `/proc` tell them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::HostError;
use super::machine::Machine;

/// What is read after each block, in each namespace. The simulator's collector runs the same lines.
pub const DUMPS: [&str; 10] = [
    "ip -j addr",
    "ip -j -s link",
    "ip -j route show table all",
    "ip -j rule",
    "ip -j neigh",
    "bridge -j -d link",
    "bridge -j fdb",
    "cat /proc/net/snmp",
    "cat /proc/net/arp",
    "cat /proc/sys/net/ipv4/ip_forward",
];

/// Reads all tables of one namespace of a machine.
pub(super) fn read(machine: &Machine, netns: &str) -> Result<BTreeMap<String, Value>, HostError> {
    let script: String = DUMPS.iter().map(|line| format!("{line}\nprintf '\\036'\n")).collect();
    let mut argv = vec![];
    if !netns.is_empty() && !netns.starts_with("pid:") {
        argv.extend(["ip", "netns", "exec", netns]);
    }
    argv.extend(["bash", "-c", &script]);
    let mut command = machine.command(&argv);
    if let Some(pid) = netns.strip_prefix("pid:") {
        command = std::process::Command::new("nsenter");
        command.args(["-t", pid, "-n", "bash", "-c", &script]);
    }
    let out = command.output().map_err(HostError::failed("cannot read tables"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    Ok(DUMPS.iter().zip(text.split('\x1e')).map(|(line, said)| ((*line).to_owned(), value(said))).collect())
}

/// JSON where the tool speaks it, else the text.
pub fn value(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|_| Value::String(said.to_owned()))
}
