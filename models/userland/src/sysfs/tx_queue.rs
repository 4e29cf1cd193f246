//! `queues/tx-N` of a device, with `byte_queue_limits`.
//!
//! Kernel: net/core/net-sysfs.c

use glassnet_kernel::Cx;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::tables::jiffies::HZ;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::netdev_queue::{DQL_MAX_LIMIT, Dql, NetdevQueue};

use crate::numbers::decimal;
use crate::procfs::{DirEntry, Node, View};

/// Writes a file of a queue, whose number is given.
type Store = fn(&mut Cx, DevId, usize, &str) -> Result<(), Errno>;

/// A file of a transmit queue.
pub struct TxFile {
    name: &'static str,
    show: fn(&View, &NetDevice, &NetdevQueue) -> Result<String, Errno>,
    store: Option<Store>,
}

/// The files of a queue.
const FILES: &[TxFile] = &[
    TxFile {
        name: "traffic_class",
        // There are none, so no queue is of one.
        show: |_, dev, _| if dev.tx.len() > 1 { Err(Errno::EINVAL) } else { Err(Errno::ENOENT) },
        store: None,
    },
    TxFile {
        name: "tx_maxrate",
        show: |_, _, _| Ok("0".to_owned()),
        store: Some(|_, _, _, _| Err(Errno::EOPNOTSUPP)),
    },
    TxFile { name: "tx_timeout", show: |_, _, queue| Ok(queue.trans_timeout.to_string()), store: None },
    TxFile { name: "xps_cpus", show: show_xps_cpus, store: Some(store_xps_cpus) },
];

/// The files below `byte_queue_limits`.
const LIMITS: &[TxFile] = &[
    TxFile {
        name: "hold_time",
        show: |_, _, queue| Ok((queue.dql.slack_hold_time * 1000 / HZ).to_string()),
        store: Some(|cx, dev, at, text| {
            let ms = unsigned(text)?;
            cx.k.devs[dev].tx[at].dql.slack_hold_time = (u64::from(ms) * HZ).div_ceil(1000);
            Ok(())
        }),
    },
    TxFile {
        name: "inflight",
        show: |_, _, queue| Ok(queue.dql.num_queued.wrapping_sub(queue.dql.num_completed).to_string()),
        store: None,
    },
    TxFile {
        name: "limit",
        show: |_, _, queue| Ok(queue.dql.limit.to_string()),
        store: Some(|cx, dev, at, text| set_limit(cx, dev, at, text, |dql| &mut dql.limit)),
    },
    TxFile {
        name: "limit_max",
        show: |_, _, queue| Ok(queue.dql.max_limit.to_string()),
        store: Some(|cx, dev, at, text| set_limit(cx, dev, at, text, |dql| &mut dql.max_limit)),
    },
    TxFile {
        name: "limit_min",
        show: |_, _, queue| Ok(queue.dql.min_limit.to_string()),
        store: Some(|cx, dev, at, text| set_limit(cx, dev, at, text, |dql| &mut dql.min_limit)),
    },
];

fn unsigned(text: &str) -> Result<u32, Errno> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let digits = decimal(text).filter(|number| number.rest.is_empty()).ok_or(Errno::EINVAL)?;
    digits.value.and_then(|value| u32::try_from(value).ok()).ok_or(Errno::ERANGE)
}

fn set_limit(
    cx: &mut Cx,
    dev: DevId,
    at: usize,
    text: &str,
    field: fn(&mut Dql) -> &mut u32,
) -> Result<(), Errno> {
    let limit = if matches!(text, "max" | "max\n") { DQL_MAX_LIMIT } else { unsigned(text)? };
    if limit > DQL_MAX_LIMIT {
        return Err(Errno::EINVAL);
    }
    *field(&mut cx.k.devs[dev].tx[at].dql) = limit;
    Ok(())
}

/// A mask of the machine's CPUs, in hexadecimal digits.
fn show_xps_cpus(view: &View, dev: &NetDevice, queue: &NetdevQueue) -> Result<String, Errno> {
    if dev.tx.len() < 2 {
        return Err(Errno::ENOENT);
    }
    Ok(CpuMask(queue.xps_cpus).hex(view.kernel.cpus.len()))
}

fn store_xps_cpus(cx: &mut Cx, dev: DevId, at: usize, text: &str) -> Result<(), Errno> {
    if cx.k.devs[dev].tx.len() < 2 {
        return Err(Errno::ENOENT);
    }
    cx.k.devs[dev].tx[at].xps_cpus = CpuMask::parse(text, cx.k.cpus.len())?.0;
    Ok(())
}

/// The queue and the files that a path below `queues` is about.
fn resolve<'p, 'n>(dev: &NetDevice, parts: &'p [&'n str]) -> Option<(usize, &'p [&'n str])> {
    let (queue, rest) = parts.split_first()?;
    let at: usize = queue.strip_prefix("tx-")?.parse().ok()?;
    (at < dev.real_num_tx_queues as usize && **queue == format!("tx-{at}")).then_some((at, rest))
}

/// The file at a path below `queues`, and the number of its queue.
pub fn find(dev: &NetDevice, parts: &[&str]) -> Option<(&'static TxFile, usize)> {
    let (at, rest) = resolve(dev, parts)?;
    let (table, name) = match rest {
        [name] => (FILES, name),
        ["byte_queue_limits", name] => (LIMITS, name),
        _ => return None,
    };
    table.iter().find(|attr| attr.name == *name).map(|attr| (attr, at))
}

/// The directory at a path below `queues`.
pub fn list(dev: &NetDevice, parts: &[&str]) -> Option<Vec<DirEntry>> {
    if parts.is_empty() {
        return Some((0..dev.real_num_tx_queues).map(|at| (format!("tx-{at}"), Node::Dir)).collect());
    }
    let (_, rest) = resolve(dev, parts)?;
    let files = |table: &[TxFile]| {
        let mode = |attr: &TxFile| if attr.store.is_some() { Node::RW } else { Node::RO };
        table.iter().map(|attr| (attr.name.to_owned(), mode(attr))).collect::<Vec<_>>()
    };
    match rest {
        [] => {
            let mut entries = files(FILES);
            entries.push(("byte_queue_limits".to_owned(), Node::Dir));
            Some(entries)
        }
        ["byte_queue_limits"] => Some(files(LIMITS)),
        _ => None,
    }
}

impl TxFile {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// `ENOENT` where a device with one queue has nothing to choose.
    pub fn read(&self, view: &View, dev: &NetDevice, at: usize) -> Result<String, Errno> {
        (self.show)(view, dev, &dev.tx[at])
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// `EACCES` if it is only read, and those of a bad value.
    pub fn write(&self, cx: &mut Cx, dev: DevId, at: usize, text: &str) -> Result<(), Errno> {
        self.store.ok_or(Errno::EACCES)?(cx, dev, at, text)
    }
}
