//! What the backend needs of the host, looked for before anything is made.

use std::path::Path;

use super::HostError;

/// Tools that a run itself uses; what a lesson's prompts use is the lesson's own affair.
const TOOLS: [&str; 5] = ["bash", "ip", "bridge", "nsenter", "unshare"];

/// Says all that is missing at once.
pub(super) fn check() -> Result<(), HostError> {
    let mut missing = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        missing.push("privileges: this needs root (for namespaces, packet taps and tracepoints)".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for tool in TOOLS {
        let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        if !places.into_iter().any(|p| p.join(tool).exists()) {
            missing.push(format!("tool: {tool} is not in PATH"));
        }
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
    if missing.is_empty() { Ok(()) } else { Err(HostError::Missing(missing)) }
}
