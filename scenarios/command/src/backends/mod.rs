//! The real kernels that the model can be held against.
//!
//! A backend is a folder here and a row in [`BACKENDS`].

#[cfg(target_os = "linux")]
pub mod host;

use glassnet_scenarios::backend::Backend;
use glassnet_scenarios::error::BackendError;

/// A backend that `--on` names.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What `--on` takes.
    pub name: &'static str,
    /// What help says of it.
    pub help: &'static str,
    open: fn() -> Result<Box<dyn Backend>, BackendError>,
}

/// A function of a backend that is compiled on Linux only; elsewhere it is refused.
macro_rules! on_linux {
    ($open:path) => {{
        #[cfg(target_os = "linux")]
        {
            $open
        }
        #[cfg(not(target_os = "linux"))]
        {
            || Err(BackendError::Missing(vec!["kernel: this is not Linux".to_owned()]))
        }
    }};
}

/// All backends.
pub const BACKENDS: &[Entry] = &[Entry {
    name: "host",
    help: "This machine's kernel, in namespaces that are gone afterwards; needs root",
    open: on_linux!(host::open),
}];

impl Entry {
    /// The backend.
    ///
    /// # Errors
    ///
    /// [`BackendError::Missing`] on a system on which it cannot run.
    pub fn open(&self) -> Result<Box<dyn Backend>, BackendError> {
        (self.open)()
    }
}
