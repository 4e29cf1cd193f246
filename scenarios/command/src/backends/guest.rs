//! What first processes of booted kernels have in common.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use glassnet_scenarios::error::BackendError;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

/// Where the folder of the job is seen.
pub(super) const FOLDER: &str = "/dev/job";

/// Puts the links into `/dev` that programs look for.
pub(super) fn link_streams() -> Result<(), BackendError> {
    for (name, of) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        symlink(format!("/proc/self/{of}"), format!("/dev/{name}"))
            .map_err(BackendError::failed("cannot prepare /dev"))?;
    }
    Ok(())
}

/// Mounts a file system of this kind.
pub(super) fn mount_kind(kind: &str, at: &str, source: &str, options: &str) -> Result<(), BackendError> {
    mount(Some(source), at, Some(kind), MsFlags::empty(), Some(options))
        .map_err(io::Error::from)
        .map_err(BackendError::failed(format!("cannot mount {at}")))
}

/// Keeps the fallback devices of tunnels out of new namespaces.
pub(super) fn no_fallback_tunnels() -> Result<(), BackendError> {
    const FALLBACK_TUNNELS: &str = "/proc/sys/net/core/fb_tunnels_only_for_init_net";
    fs::write(FALLBACK_TUNNELS, "1").map_err(BackendError::failed(FALLBACK_TUNNELS))
}

/// Switches the machine off.
pub(super) fn switch_off() -> Result<Infallible, nix::Error> {
    nix::unistd::sync();
    reboot(RebootMode::RB_POWER_OFF)
}
