//! What this process does with kernels that it boots.

#![allow(clippy::disallowed_methods, reason = "a boot takes real time")]

use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

/// Waits for the end of a guest; false if it was ended because it took longer than the limit, wall time.
pub(super) fn wait(guest: &mut Child, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if guest.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    guest.kill()?;
    guest.wait()?;
    Ok(false)
}
