//! What waits for the work of link watch, and when that runs.
//!
//! Kernel: net/core/link_watch.c (`lweventlist`, `linkwatch_nextevent`)

use glassnet_sim::Nanos;

use crate::ids::DevId;

/// Link watch of a machine.
#[derive(Clone, Debug, Default)]
pub struct LinkWatch {
    /// Devices whose carrier changed, in the order of their events.
    pub events: Vec<DevId>,
    /// The tick (jiffies) from which on events that are not urgent are taken again.
    pub next_event: u64,
    /// The work runs without delay (`LW_URGENT`).
    pub urgent: bool,
    /// When the work runs.
    pub due: Option<Nanos>,
}
