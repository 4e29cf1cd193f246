//! `queues/rx-*` of a device.
//!
//! Kernel: net/core/net-sysfs.c

use glassnet_kernel::Cx;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::core::rps;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::rps::RxQueue;

use super::{DirEntry, Node};
use crate::procfs::View;
use crate::procfs::number::kstrtoul;

/// A file of a receive queue.
pub struct RxFile {
    name: &'static str,
    show: fn(&RxQueue, usize) -> String,
    store: fn(&mut Cx, DevId, usize, &str) -> Result<(), Errno>,
}

const RX_FILES: &[RxFile] = &[
    RxFile { name: "rps_cpus", show: |queue, cpus| queue.rps_cpus.hex(cpus), store: store_rps_cpus },
    RxFile {
        name: "rps_flow_cnt",
        show: |queue, _| queue.flows.len().to_string(),
        store: store_rps_flow_cnt,
    },
];

fn store_rps_cpus(cx: &mut Cx, dev: DevId, queue: usize, text: &str) -> Result<(), Errno> {
    let cpus = CpuMask::parse(text, cx.k.cpus.len())?;
    rps::set_rps_cpus(cx, dev, queue, cpus);
    Ok(())
}

fn store_rps_flow_cnt(cx: &mut Cx, dev: DevId, queue: usize, text: &str) -> Result<(), Errno> {
    rps::set_rps_flow_cnt(cx, dev, queue, kstrtoul(text)?)
}

/// The number of a receive queue that the device has.
pub fn number(dev: &NetDevice, name: &str) -> Option<usize> {
    let queue = name.strip_prefix("rx-")?.parse().ok()?;
    (queue < dev.num_rx_queues as usize && name == format!("rx-{queue}")).then_some(queue)
}

/// The file of this name.
pub fn find(name: &str) -> Option<&'static RxFile> {
    RX_FILES.iter().find(|file| file.name == name)
}

/// The files of a receive queue.
pub fn files() -> Vec<DirEntry> {
    RX_FILES.iter().map(|file| (file.name.to_owned(), Node::RW)).collect()
}

impl RxFile {
    /// Reads it.
    pub fn show(&self, view: &View, dev: &NetDevice, queue: usize) -> String {
        let told = dev.rx_queues.get(queue).cloned().unwrap_or_default();
        (self.show)(&told, view.kernel.cpus.len())
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// Those of a mask or a number that is none.
    pub fn store(&self, cx: &mut Cx, dev: DevId, queue: usize, text: &str) -> Result<(), Errno> {
        (self.store)(cx, dev, queue, text)
    }
}
