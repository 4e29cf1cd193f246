//! A kernel's timers: a function, and the number that it is called with (`struct timer_list`).
//!
//! A timer is never taken back. One that was set again or is no longer wanted is recognised by its function when it
//! expires.

use crate::Cx;

/// A timer.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    /// What it runs.
    pub function: fn(&mut Cx, u32),
    /// What for: the number of a device, a neighbour, a namespace or a socket; 0 where there is only one.
    pub arg: u32,
}
