//! tokio's paused clock, advanced by hand. Only bashkit's parser runs on the runtime.

use std::io;
use std::time::Duration;

use glassnet_sim::Nanos;
use tokio::runtime::{Builder, EnterGuard, Runtime};

/// Clock of a session.
pub(in crate::shell) struct Clock {
    runtime: Runtime,
    now: Nanos,
}

impl Clock {
    /// A clock at `now`.
    pub fn new(now: Nanos) -> io::Result<Clock> {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).max_blocking_threads(1).build()?;
        Ok(Clock { runtime, now })
    }

    /// Shells are polled while this is held.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Waits for bashkit's parser: the text of `eval` and `bash -c` is parsed on the runtime's only blocking thread,
    /// where tasks run in order.
    pub fn wait_for_parser(&self) {
        // Fails only if the thread panics.
        let _ = self.runtime.block_on(self.runtime.spawn_blocking(|| ()));
    }

    /// Advances to `now`.
    pub fn advance(&mut self, now: Nanos) {
        let passed = now.since(self.now);
        self.now = now;
        if passed > Nanos::ZERO {
            self.runtime.block_on(tokio::time::advance(Duration::from_nanos(passed.0)));
        }
    }
}
