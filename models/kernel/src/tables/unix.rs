//! Unix sockets on which programs listen, by path.
//!
//! Kernel: net/unix/af_unix.c
//!
//! Not modelled: what is said on a connection. A client gets what the listening program gave, and speaks with that.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The listening sockets of a machine.
#[derive(Default)]
pub struct UnixListeners {
    all: BTreeMap<String, Arc<dyn Any + Send + Sync>>,
}

impl UnixListeners {
    /// A program listens; clients speak with `service`.
    pub fn bind(&mut self, path: &str, service: Arc<dyn Any + Send + Sync>) {
        self.all.insert(path.to_owned(), service);
    }

    /// A program listens no more.
    pub fn close(&mut self, path: &str) {
        self.all.remove(path);
    }

    /// What listens there, if it is a `T`.
    pub fn connect<T: Any + Send + Sync>(&self, path: &str) -> Option<Arc<T>> {
        self.all.get(path)?.clone().downcast().ok()
    }
}

impl fmt::Debug for UnixListeners {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}
