//! The real kernels that the model can be held against.
//!
//! A backend is a folder here and a row in [`BACKENDS`].

#[cfg(target_os = "linux")]
mod boot;
#[cfg(target_os = "linux")]
mod guest;
#[cfg(target_os = "linux")]
pub mod host;
#[cfg(target_os = "linux")]
pub mod qemu;
#[cfg(target_os = "linux")]
pub mod uml;

use std::ffi::OsString;

use glassnet_scenarios::backend::Backend;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::functions::Recording;
use glassnet_scenarios::lesson::Lesson;

/// A real kernel that `--on` names.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What `--on` takes.
    pub name: &'static str,
    /// What help says of it.
    pub help: &'static str,
    /// Whether it can run here.
    pub check: fn() -> Result<(), BackendError>,
    /// How it is reached.
    pub way: Way,
}

/// How a real kernel is reached.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// It is the running kernel, or this process speaks with it.
    Here(fn() -> Result<Box<dyn Backend>, BackendError>),
    /// It is booted, and runs this program with these arguments.
    Guest(fn(Vec<OsString>) -> Result<Ran, BackendError>),
    /// It is booted for one lesson, and tells which functions ran; nothing else is compared.
    Traced(fn(&Lesson) -> Result<Traced, BackendError>),
}

/// What a kernel that was booted for a lesson told.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// The functions that ran.
    pub recording: Recording,
    /// All functions of the model's table that this kernel can trace, with all modules loaded.
    pub available: Vec<String>,
}

/// What this program did in a kernel that was booted for it.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// Its exit status.
    pub status: u8,
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error.
    pub errors: Vec<u8>,
}

/// A function of a backend that is compiled on Linux only; elsewhere it is refused.
macro_rules! on_linux {
    ($function:path $(, $argument:ident)?) => {{
        #[cfg(target_os = "linux")]
        {
            $function
        }
        #[cfg(not(target_os = "linux"))]
        {
            |$($argument)?| {
                $(_ = $argument;)?
                Err(BackendError::Missing(vec!["kernel: this is not Linux".to_owned()]))
            }
        }
    }};
}

/// All real kernels, the best first: what the model is one of (Linux 6.1), and what repeats itself.
pub const BACKENDS: &[Entry] = &[
    Entry {
        name: "uml",
        help: "Linux 6.1 as User Mode Linux, in virtual time; needs `glassnet referee build` once, no privileges",
        check: on_linux!(uml::check),
        way: Way::Guest(on_linux!(uml::run, arguments)),
    },
    Entry {
        name: "host",
        help: "This machine's kernel, in namespaces that are gone afterwards; needs root",
        check: on_linux!(host::check),
        way: Way::Here(on_linux!(host::open)),
    },
    Entry {
        name: "qemu",
        help: "Debian's Linux 6.1 with real drivers in QEMU: only which functions run is compared; needs `glassnet referee build \
               qemu` once, no privileges",
        check: on_linux!(qemu::check),
        way: Way::Traced(on_linux!(qemu::record, lesson)),
    },
];

/// Runs what a backend starts this program again for, if that is why it was started: `main` calls this first.
#[cfg(target_os = "linux")]
pub fn reentered() -> Option<std::process::ExitCode> {
    host::reentered().or_else(uml::reentered).or_else(qemu::reentered)
}

/// Whether a program is where shells look for it; of an absolute path, whether it exists.
#[cfg(target_os = "linux")]
fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // The last one is no place of commands, but what is there is started by its path.
    let more = ["/usr/sbin", "/sbin", "/usr/share/openvswitch/scripts"].map(std::path::PathBuf::from);
    let mut places = std::env::split_paths(&path).chain(more);
    places.any(|place| place.join(tool).exists())
}

/// This program's folder among the user's caches.
#[cfg(target_os = "linux")]
fn cache() -> Option<std::path::PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(std::path::Path::new(&home).join(".cache"))
    })?;
    Some(cache.join("glassnet"))
}

/// The end of what a console shows.
#[cfg(target_os = "linux")]
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
