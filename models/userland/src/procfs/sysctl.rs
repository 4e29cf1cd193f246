//! `/proc/sys/net/**`.
//!
//! Kernel: net/core/sysctl_net_core.c, net/ipv4/sysctl_net_ipv4.c, net/ipv4/devinet.c, net/core/neighbour.c

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::{CoreSysctl, INIT_NET};
use glassnet_kernel::netlink::Errno;

use super::number::vector;
use super::{DirEntry, Node, View};

/// A setting of the machine: its file, where it is kept, smallest and largest value.
struct Core {
    name: &'static str,
    get: fn(&CoreSysctl) -> u32,
    set: fn(&mut CoreSysctl, u32),
    range: (i64, i64),
}

const INT_MAX: i64 = i32::MAX as i64;
const INT_MIN: i64 = i32::MIN as i64;

/// Settings under `core`, which only a machine's first namespace shows.
const CORE: &[Core] = &[
    Core {
        name: "dev_weight",
        get: |core| core.dev_weight,
        set: |core, value| core.dev_weight = value,
        range: (INT_MIN, INT_MAX),
    },
    Core {
        name: "netdev_budget",
        get: |core| core.netdev_budget,
        set: |core, value| core.netdev_budget = value,
        range: (INT_MIN, INT_MAX),
    },
    Core {
        name: "netdev_budget_usecs",
        get: |core| core.netdev_budget_usecs,
        set: |core, value| core.netdev_budget_usecs = value,
        range: (0, INT_MAX),
    },
    Core {
        name: "netdev_max_backlog",
        get: |core| core.netdev_max_backlog,
        set: |core, value| core.netdev_max_backlog = value,
        range: (INT_MIN, INT_MAX),
    },
];

fn core(netns: NetnsId, name: &str) -> Option<&'static Core> {
    CORE.iter().find(|entry| netns == INIT_NET && entry.name == name)
}

/// Reads a file below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::read`].
pub fn read(view: &View, parts: &[&str]) -> Result<String, Errno> {
    match parts {
        ["core", name] => {
            let entry = core(view.netns, name).ok_or(Errno::ENOENT)?;
            Ok(format!("{}\n", (entry.get)(&view.kernel.core) as i32))
        }
        _ if list(view, parts).is_ok() => Err(Errno::EISDIR),
        _ => Err(Errno::ENOENT),
    }
}

/// Writes a file below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::write`].
pub fn write(cx: &mut Cx, netns: NetnsId, parts: &[&str], text: &str) -> Result<(), Errno> {
    match parts {
        ["core", name] => {
            let entry = core(netns, name).ok_or(Errno::ENOENT)?;
            (entry.set)(&mut cx.k.core, int(text, entry.range)? as u32);
            Ok(())
        }
        _ => Err(Errno::ENOENT),
    }
}

/// One number in a range (`proc_dointvec_minmax`).
fn int(text: &str, range: (i64, i64)) -> Result<i64, Errno> {
    let value = vector(text, 1)?[0];
    if (range.0..=range.1).contains(&value) { Ok(value) } else { Err(Errno::EINVAL) }
}

/// Lists a directory below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::list`].
pub fn list(view: &View, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    let dir = |name: &str| (name.to_owned(), Node::Dir);
    match parts {
        [] => Ok(vec![dir("core")]),
        ["core"] => {
            let shown = CORE.iter().filter(|_| view.netns == INIT_NET);
            Ok(shown.map(|entry| (entry.name.to_owned(), Node::RW)).collect())
        }
        ["core", name] if core(view.netns, name).is_some() => Err(Errno::ENOTDIR),
        _ => Err(Errno::ENOENT),
    }
}
