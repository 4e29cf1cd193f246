//! Time and random bytes for bashkit and getrandom on `wasm32-unknown-unknown`, as functions that are linked by name.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use glassnet_sim::{Dice, Nanos};

use crate::lab::SEED;

/// Virtual time of the polled session, µs.
static NOW: AtomicU64 = AtomicU64::new(0);

/// Random numbers of `/dev/urandom`, `mktemp` and the like, for all sessions.
static DICE: Mutex<Option<Dice>> = Mutex::new(None);

/// Clock of a session. There is one thread, so the polled session sets the time for all.
pub(in crate::shell) struct Clock(Nanos);

impl Clock {
    /// A clock at `now`.
    pub fn new(now: Nanos) -> io::Result<Clock> {
        Ok(Clock(now))
    }

    /// Polling of this session's shells begins.
    pub fn enter(&self) -> Entered {
        NOW.store(self.0.0 / 1_000, Ordering::Relaxed);
        Entered
    }

    /// Advances to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.0 = now;
    }
}

/// Nothing to undo.
pub(in crate::shell) struct Entered;

impl Entered {
    /// bashkit parses synchronously here.
    pub fn parse(&mut self) {}
}

/// bashkit's clock (`time_compat/host_clock.rs` there): µs.
#[unsafe(no_mangle)]
extern "Rust" fn __bashkit_host_now_micros() -> u64 {
    NOW.load(Ordering::Relaxed)
}

/// getrandom's custom backend, selected in `.cargo/config.toml`; deterministic.
///
/// # Safety
///
/// `dest` is valid for writes of `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    // SAFETY: getrandom passes memory of this length; it need not be initialised, and is initialised first.
    let bytes = unsafe {
        dest.write_bytes(0, len);
        std::slice::from_raw_parts_mut(dest, len)
    };
    let mut dice = DICE.lock().unwrap_or_else(PoisonError::into_inner);
    dice.get_or_insert_with(|| Dice::new(SEED)).fill(bytes);
    Ok(())
}
