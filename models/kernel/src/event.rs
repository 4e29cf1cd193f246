//! What happens to a CPU from outside.

use glassnet_hardware::PlugId;
use glassnet_wire::BufId;

use crate::ids::{CpuId, MachineId};

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// `ksoftirqd` of a CPU goes on with pending softirqs.
    Ksoftirqd {
        /// The machine.
        machine: MachineId,
        /// The CPU.
        cpu: CpuId,
    },
    /// A frame reaches a NIC.
    Frame {
        /// The NIC's plug.
        plug: PlugId,
        /// The frame, which the event holds.
        frame: BufId,
    },
    /// Timers of a kernel expire.
    Timers {
        /// The machine.
        machine: MachineId,
    },
    /// A program that sleeps wakes up.
    Wake,
}
