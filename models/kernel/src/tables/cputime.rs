//! What the CPUs do with their time.
//!
//! Kernel: include/linux/kernel_stat.h (`struct kernel_cpustat`), kernel/sched/cputime.c

use glassnet_sim::Nanos;

/// A CPU's time since boot, by what it was at; the rest it was idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Programs.
    pub user: Nanos,
    /// The kernel on behalf of programs.
    pub system: Nanos,
    /// Interrupts.
    pub irq: Nanos,
    /// Softirqs, also those of `ksoftirqd`.
    pub softirq: Nanos,
}

impl CpuTime {
    /// Time that the CPU was not idle.
    pub fn busy(&self) -> Nanos {
        self.user + self.system + self.irq + self.softirq
    }
}
