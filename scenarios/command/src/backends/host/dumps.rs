//! Tables and counters of a network namespace, as the tools and `/proc` tell them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::process::{Command, Stdio};

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{DUMPS, dump_value};
use serde_json::Value;

use super::spaces::within;

/// Reads all tables of a network namespace.
pub(super) fn read(netns: &File) -> Result<BTreeMap<String, Value>, BackendError> {
    let read_all = || DUMPS.iter().map(|line| Ok((*line, dump(line)?))).collect::<io::Result<Vec<_>>>();
    let said = within(netns, read_all).map_err(BackendError::failed("cannot read tables"))?;
    said.into_iter().map(|(line, said)| Ok((line.to_owned(), understood(line, &said)?))).collect()
}

/// What was asked for as JSON is JSON, if it is anything.
fn understood(line: &str, said: &str) -> Result<Value, BackendError> {
    let value = dump_value(said);
    if line.contains(" -j") && !said.is_empty() && value.is_string() {
        let first = said.lines().next().unwrap_or_default().to_owned();
        return Err(BackendError::NotUnderstood { what: format!("the output of `{line}`"), line: first });
    }
    Ok(value)
}

/// What a dump prints on standard output, in the namespace of this thread. A file is read here: to start `cat` takes longer
/// than all else.
fn dump(line: &str) -> io::Result<String> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    if program == "cat" {
        let files = words.map(|file| match file.strip_prefix("/proc/net/") {
            // `/proc/net` is that of the process, not of the thread.
            Some(file) => format!("/proc/thread-self/net/{file}"),
            None => file.to_owned(),
        });
        return Ok(files.map(|file| fs::read_to_string(file).unwrap_or_default()).collect());
    }
    let mut command = Command::new(program);
    command.args(words).env_clear().env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    match command.stdin(Stdio::null()).output() {
        Ok(out) if !out.status.success() => {
            let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
            Err(io::Error::other(format!("`{line}` failed: {said}")))
        }
        Ok(out) => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        // It is not compared then.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e),
    }
}
