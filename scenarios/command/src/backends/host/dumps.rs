//! Tables and counters of a network namespace, as the tools and `/proc` tell them.

use std::collections::BTreeMap;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{DUMPS, dump_value};
use serde_json::Value;

use super::machine::Machine;

/// Reads all tables of one namespace of a machine.
pub(super) fn read(machine: &Machine, netns: &str) -> Result<BTreeMap<String, Value>, BackendError> {
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
    let out = command.output().map_err(BackendError::failed("cannot read tables"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    Ok(DUMPS
        .iter()
        .zip(text.split('\x1e'))
        .map(|(line, said)| ((*line).to_owned(), dump_value(said)))
        .collect())
}
