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
    /// [Runs](SharedLinkWatch::runs) and [full runs](SharedLinkWatch::full_runs) that this machine knows of.
    pub seen: (u64, u64),
}

/// The work of machines that are namespaces of one kernel ([`crate::kernel::Config::veth_cables`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedLinkWatch {
    /// See [`LinkWatch::next_event`].
    pub next_event: u64,
    /// How often it ran.
    pub runs: u64,
    /// How often it also took events that are not urgent.
    pub full_runs: u64,
}
