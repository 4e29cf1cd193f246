//! tokio's paused clock, advanced by hand. Only bashkit's parser runs on the runtime.

use std::io;
use std::sync::mpsc::{Sender, channel};
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
    pub fn enter(&self) -> Entered<'_> {
        Entered { _guard: self.runtime.enter(), runtime: &self.runtime, parser: hold(&self.runtime) }
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

/// bashkit's parser waits while this is not dropped: the text of `eval` and `bash -c` is parsed on the runtime's only blocking thread,
/// where tasks run in order.
type Held = Sender<()>;

fn hold(runtime: &Runtime) -> Held {
    let (held, released) = channel();
    runtime.spawn_blocking(move || released.recv());
    held
}

/// Shells are polled. Their texts are parsed between polls only: which shell goes on first would depend on real time.
pub(in crate::shell) struct Entered<'a> {
    _guard: EnterGuard<'a>,
    runtime: &'a Runtime,
    parser: Held,
}

impl Entered<'_> {
    /// Waits for bashkit's parser.
    pub fn parse(&mut self) {
        let parsed = self.runtime.spawn_blocking(|| ());
        self.parser = hold(self.runtime);
        // Fails only if the thread panics.
        let _ = self.runtime.block_on(parsed);
    }
}
