//! What bashkit and getrandom ask of their embedder on `wasm32-unknown-unknown`: the time, and random bytes. Both are
//! functions that are found by their names when the module is linked.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use glassnet_sim::{Dice, Nanos};

use crate::lab::SEED;

/// Virtual time of the session that is polled, µs.
static NOW: AtomicU64 = AtomicU64::new(0);

/// For `/dev/urandom`, `mktemp` and the like of all sessions of this module.
static DICE: Mutex<Option<Dice>> = Mutex::new(None);

/// A clock of one session. There is one thread, so the session that is polled sets the time for all.
pub(in crate::shell) struct Clock(Nanos);

impl Clock {
    /// A clock that shows `now`.
    pub fn new(now: Nanos) -> io::Result<Clock> {
        Ok(Clock(now))
    }

    /// From now on, shells of this session are polled.
    pub fn enter(&self) -> Entered {
        NOW.store(self.0.0 / 1_000, Ordering::Relaxed);
        Entered
    }

    /// Here bashkit parses in place.
    pub fn wait_for_parser(&self) {}

    /// Moves on to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.0 = now;
    }
}

/// Nothing is undone when polling ends.
pub(in crate::shell) struct Entered;

/// bashkit's clock (`time_compat/host_clock.rs` there): µs.
#[unsafe(no_mangle)]
extern "Rust" fn __bashkit_host_now_micros() -> u64 {
    NOW.load(Ordering::Relaxed)
}

/// getrandom's custom backend, which `.cargo/config.toml` chooses: the same bytes on each run.
///
/// # Safety
///
/// `dest` is valid for writes of `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    // SAFETY: getrandom hands over memory of this length, which need not be initialised and is so first.
    let bytes = unsafe {
        dest.write_bytes(0, len);
        std::slice::from_raw_parts_mut(dest, len)
    };
    let mut dice = DICE.lock().unwrap_or_else(PoisonError::into_inner);
    dice.get_or_insert_with(|| Dice::new(SEED)).fill(bytes);
    Ok(())
}
