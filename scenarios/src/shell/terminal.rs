//! A machine's terminal: the output of its programs in order of virtual time.

use std::sync::{Mutex, MutexGuard};

/// Gets each piece of output at once.
pub type Watcher = Box<dyn FnMut(&[u8]) + Send>;

#[derive(Default)]
struct State {
    shown: Vec<u8>,
    watcher: Option<Watcher>,
}

/// The terminal of one machine.
#[derive(Default)]
pub(super) struct Terminal {
    state: Mutex<State>,
}

impl Terminal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Appends output.
    pub(super) fn show(&self, bytes: &[u8]) {
        let mut state = self.lock();
        state.shown.extend_from_slice(bytes);
        if let Some(watcher) = &mut state.watcher {
            watcher(bytes);
        }
    }

    /// Takes the output since the last call.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().shown)
    }

    /// From now on, `watcher` gets all output at once.
    pub(super) fn watch(&self, watcher: Watcher) {
        self.lock().watcher = Some(watcher);
    }
}
