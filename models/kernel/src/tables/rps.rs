//! Receive packet steering: which CPUs a receive queue spreads its flows over, and where the readers of flows run.
//!
//! Kernel: include/linux/netdevice.h (`struct rps_map`, `struct rps_dev_flow_table`, `struct rps_sock_flow_table`)

use super::cpumask::CpuMask;
use crate::ids::CpuId;

/// What a receive queue was told (`struct netdev_rx_queue`).
#[derive(Clone, Debug, Default)]
pub struct RxQueue {
    /// The CPUs, as a user sets them; none: packets stay where they are.
    pub rps_cpus: CpuMask,
    /// The same as a list, which is indexed.
    pub rps_map: Vec<CpuId>,
    /// The CPU that each of its flows last went to; a power of two, or empty.
    pub flows: Vec<RpsDevFlow>,
}

/// A flow of a queue (`struct rps_dev_flow`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RpsDevFlow {
    /// Where its packets go; `None`: nowhere yet.
    pub cpu: Option<CpuId>,
    /// How many packets had been appended to that CPU's backlog behind the last one of it.
    pub last_qtail: u32,
}

/// Which CPU reads a flow, by the flow's hash (`struct rps_sock_flow_table`); a power of two, or empty. Beside the CPU stands
/// the part of the hash that is no index, to tell flows apart.
#[derive(Clone, Debug, Default)]
pub struct SockFlows {
    entries: Vec<Option<(u32, CpuId)>>,
    cpus: u32,
}

impl SockFlows {
    /// A table of so many entries for a machine of so many CPUs, empty.
    pub fn new(entries: usize, cpus: usize) -> SockFlows {
        SockFlows { entries: vec![None; entries], cpus: cpus.next_power_of_two() as u32 }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There are none: flows are not recorded.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn index(&self, hash: u32) -> usize {
        hash as usize & (self.entries.len() - 1)
    }

    fn ident(&self, hash: u32) -> u32 {
        hash & !(self.cpus - 1)
    }

    /// A CPU reads a flow.
    pub fn record(&mut self, hash: u32, cpu: CpuId) {
        let (at, ident) = (self.index(hash), self.ident(hash));
        self.entries[at] = Some((ident, cpu));
    }

    /// The CPU that read a flow last.
    pub fn reader(&self, hash: u32) -> Option<CpuId> {
        let (ident, cpu) = (*self.entries.get(self.index(hash))?)?;
        (ident == self.ident(hash)).then_some(cpu)
    }
}
