//! The program that has something open.

use glassnet_kernel::Cx;
use glassnet_kernel::ids::{CpuId, MachineId};

use crate::process::{Process, SharedWorld};

/// Who makes the system calls on an open socket or file, also when its [`Process`] is lent to somebody else, or gone.
#[derive(Clone)]
pub(crate) struct Task {
    world: SharedWorld,
    pub(crate) machine: MachineId,
    cpu: CpuId,
    pub(crate) pid: u32,
    pub(crate) comm: String,
}

impl Task {
    pub(crate) fn of(process: &Process) -> Task {
        let cpu = process.cpu(&process.world());
        let (machine, pid, comm) = (process.machine, process.pid, process.name().to_owned());
        Task { world: process.world.clone(), machine, cpu, pid, comm }
    }

    /// A system call.
    pub(crate) fn call<R>(&self, work: impl FnOnce(&mut Cx) -> R) -> R {
        let mut world = self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        world.trace.in_program(Some(|| format!("{} {}", self.comm, self.pid)));
        let done = world.syscall(self.machine, self.cpu, work);
        world.trace.in_program(None::<fn() -> String>);
        done
    }
}
