//! What happens to a CPU from outside, and to hardware.

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
    /// A CPU goes on with softirqs that were [suspended](crate::Cx::suspend).
    Softirq {
        /// The machine.
        machine: MachineId,
        /// The CPU.
        cpu: CpuId,
    },
    /// A NIC's interrupt reaches a CPU that was at work.
    Interrupt {
        /// The NIC's plug.
        plug: PlugId,
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
