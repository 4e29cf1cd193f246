//! What a kernel's timers do when they expire.

use crate::Cx;
use crate::ids::DevId;

/// A timer. One that was set again or is no longer wanted is recognised when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A bridge forgets silent stations.
    FdbCleanup(DevId),
}

impl Timer {
    /// Runs the timer's function.
    pub fn expire(self, cx: &mut Cx) {
        match self {
            Timer::FdbCleanup(bridge) => crate::net::bridge::br_fdb::br_fdb_cleanup(cx, bridge),
        }
    }
}
