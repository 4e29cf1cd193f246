//! What the backend needs of the host, looked for before anything is made.

use std::collections::BTreeSet;
use std::path::Path;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{DUMPS, Sight};

use crate::backends::is_there;

/// Tools that a run itself uses; what a lesson's prompts use is the lesson's own affair.
const TOOLS: [&str; 5] = ["bash", "ip", "bridge", "nsenter", "unshare"];

/// Says all that is missing at once.
pub fn check() -> Result<(), BackendError> {
    let mut missing = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        missing.push("privileges: this needs root (for namespaces, packet taps and tracepoints)".to_owned());
    }
    for tool in TOOLS.into_iter().filter(|tool| !is_there(tool)) {
        missing.push(format!("tool: {tool} is not in PATH"));
    }
    for kind in ["net", "mnt", "pid", "uts", "ipc"] {
        if !Path::new("/proc/self/ns").join(kind).exists() {
            missing.push(format!("kernel: no {kind} namespaces"));
        }
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|l| l.ends_with("tracefs")) {
        missing.push("kernel: no tracefs, so no tracepoints and no drop reasons".to_owned());
    }
    if missing.is_empty() { Ok(()) } else { Err(BackendError::Missing(missing)) }
}

/// The dumps whose program is there.
pub(super) fn tables() -> Sight {
    let program = |dump: &str| dump.split(' ').next().unwrap_or("").to_owned();
    let missing: BTreeSet<String> =
        DUMPS.iter().filter(|dump| !is_there(&program(dump))).map(|dump| (*dump).to_owned()).collect();
    Sight::without(missing)
}
