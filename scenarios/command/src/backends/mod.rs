//! The real kernels that the model can be held against.
//!
//! A backend is a folder here and a row in [`BACKENDS`].

#[cfg(target_os = "linux")]
pub mod host;
#[cfg(target_os = "linux")]
pub mod uml;

use std::ffi::OsString;

use glassnet_scenarios::backend::Backend;
use glassnet_scenarios::error::BackendError;

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
                $(drop($argument);)?
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
];

/// Runs what a backend starts this program again for, if that is why it was started: `main` calls this first.
#[cfg(target_os = "linux")]
pub fn reentered() -> Option<std::process::ExitCode> {
    host::reentered().or_else(uml::reentered)
}

/// Whether a program is where shells look for it; of an absolute path, whether it exists.
#[cfg(target_os = "linux")]
fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.any(|place| place.join(tool).exists())
}
