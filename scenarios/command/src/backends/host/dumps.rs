//! Tables and counters of a network namespace, as the tools and `/proc` tell them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::process::{Command, Stdio};

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::dump_value;
use serde_json::Value;

use super::spaces::within;

/// Reads tables of a network namespace.
pub(super) fn read<'a>(
    netns: &File,
    dumps: impl Iterator<Item = &'a str> + Send,
) -> Result<BTreeMap<String, Value>, BackendError> {
    let read_all = || dumps.map(|line| Ok((line.to_owned(), dump_value(&dump(line)?)))).collect();
    within(netns, read_all).map_err(BackendError::failed("cannot read tables"))
}

/// What a dump prints on standard output, in the namespace of this thread. A file is read here: to start `cat` takes longer
/// than all else.
pub(super) fn dump(line: &str) -> io::Result<String> {
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
    match command.stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(out) => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        // It is not compared then.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e),
    }
}
