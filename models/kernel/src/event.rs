//! What happens to a CPU from outside, and to hardware.

use glassnet_hardware::{Arrival, PlugId};
use glassnet_sim::EventQueue;
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
    /// A NIC raises an interrupt.
    Interrupt {
        /// The NIC's plug.
        plug: PlugId,
        /// The vector.
        vector: u32,
    },
    /// A CPU interrupts another: packets are in its backlog.
    CallFunction {
        /// The machine.
        machine: MachineId,
        /// The CPU that is interrupted.
        cpu: CpuId,
    },
    /// A CPU that was at work takes the interrupts that came meanwhile.
    PendingInterrupts {
        /// The machine.
        machine: MachineId,
        /// The CPU.
        cpu: CpuId,
    },
    /// The ends of a cable have to agree anew how fast it is.
    Retrain {
        /// One of them.
        plug: PlugId,
    },
    /// The ends of a cable have agreed.
    LinkUp {
        /// One of them.
        plug: PlugId,
    },
    /// A frame, which the event holds, reaches a NIC or a switch.
    Frame {
        /// The plug that it reaches.
        plug: PlugId,
        /// The frame.
        frame: BufId,
        /// Its checksum is right.
        intact: bool,
    },
    /// Timers of a CPU expire.
    Timers {
        /// The machine.
        machine: MachineId,
        /// The CPU that set them.
        cpu: CpuId,
    },
    /// A thread of the kernel has a turn.
    Kthread {
        /// The machine.
        machine: MachineId,
        /// Its number among [`Kernel::kthreads`](crate::Kernel::kthreads).
        thread: u32,
    },
    /// A program that sleeps wakes up.
    Wake,
}

/// The frames that cables carry arrive in time.
#[inline]
pub(crate) fn schedule_arrivals(events: &mut EventQueue<Event>, arrivals: &mut Vec<Arrival>) {
    for Arrival { at, plug, frame, intact } in arrivals.drain(..) {
        events.schedule(at, Event::Frame { plug, frame, intact });
    }
}
