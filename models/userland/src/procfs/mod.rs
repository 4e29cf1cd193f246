//! `/proc` and `/sys`, as far as they show and change the network.
//!
//! | module | owns |
//! |---|---|
//! | [`net`], [`inet`] | `/proc/net/*` |
//! | [`sysctl`] | `/proc/sys/net/**` |
//! | [`conntrack`] | connections and their settings |
//! | [`counts`] | `/proc/softirqs`, `/proc/interrupts` |
//! | [`crate::sysfs`] | `/sys/class/net/**` |
//! | [`number`] | how the kernel reads numbers that are written to these files |
//!
//! All functions take absolute paths and see the machine from one network namespace, as a process in it does.

pub mod conntrack;
pub mod counts;
pub mod inet;
pub mod net;
pub mod number;
pub mod sysctl;
mod tcp;
#[cfg(test)]
mod tests;
mod unmodelled;
pub mod xt;

use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::netns::Netns;
use glassnet_kernel::{Cx, Kernel, World};
use glassnet_sim::Nanos;

use crate::sysfs;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Dir,
    /// A file with its permission bits.
    File {
        /// As in `chmod`, such as `0o644`.
        mode: u16,
    },
    /// A symbolic link to a path relative to the link's directory.
    Link(String),
}

impl Node {
    /// A file that root may read and write.
    pub const RW: Node = Node::File { mode: 0o644 };
    /// A file that nobody writes.
    pub const RO: Node = Node::File { mode: 0o444 };
    /// A file that only takes writes.
    pub const WO: Node = Node::File { mode: 0o200 };
}

/// A name in a directory and what it names.
pub type DirEntry = (String, Node);

/// A machine as it is seen from one of its namespaces at one moment.
#[derive(Clone, Copy)]
pub struct View<'w> {
    /// The machine's kernel.
    pub kernel: &'w Kernel,
    /// The namespace.
    pub netns: NetnsId,
    /// The time.
    pub now: Nanos,
}

impl<'w> View<'w> {
    /// The machine from this namespace, now.
    pub fn new(world: &'w World, machine: MachineId, netns: NetnsId) -> View<'w> {
        View { kernel: world.kernel(machine), netns, now: world.cpu_now(machine, CpuId(0)) }
    }

    /// The namespace itself.
    pub fn net(&self) -> &'w Netns {
        &self.kernel.netns[self.netns]
    }

    /// Its devices in the order of their ifindex.
    pub fn devs(&self) -> impl Iterator<Item = &'w NetDevice> + use<'w> {
        let kernel = self.kernel;
        self.net().devs.values().map(move |dev| &kernel.devs[*dev])
    }

    /// The device of this name.
    pub fn dev(&self, name: &str) -> Option<&'w NetDevice> {
        self.devs().find(|dev| dev.name == name)
    }

    /// The name of a device, as this machine knows it.
    pub fn name(&self, dev: DevId) -> &'w str {
        &self.kernel.devs[dev].name
    }
}

/// A path cut into its names; `.` and doubled slashes vanish, `..` goes up.
pub fn split(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts
}

/// What the file at `path` says.
///
/// # Errors
///
/// `ENOENT` for no such file, `EISDIR` for a directory, `EACCES` for a file that is only written, and what the
/// kernel's own file gives (`EINVAL` for the carrier of a device that is down).
pub fn read(world: &World, machine: MachineId, netns: NetnsId, path: &str) -> Result<String, Errno> {
    let view = View::new(world, machine, netns);
    match split(path).as_slice() {
        ["proc", "sys", "net", rest @ ..] => sysctl::read(&view, rest),
        ["proc", "net", rest @ ..] | ["proc", "self", "net", rest @ ..] => net::read(&view, rest),
        ["proc", name @ ("softirqs" | "interrupts")] => Ok(counts::read(&view, name)),
        ["sys", rest @ ..] => sysfs::read(&view, rest),
        _ if node(world, machine, netns, path).is_ok() => Err(Errno::EISDIR),
        _ => Err(Errno::ENOENT),
    }
}

/// Writes `text` to the file at `path`, as one `write` does.
///
/// # Errors
///
/// `ENOENT`, `EISDIR`, `EACCES` as for any file, `EINVAL` and others as the kernel refuses the value, and
/// `EOPNOTSUPP` for a setting that is not modelled yet.
pub fn write(
    world: &mut World,
    machine: MachineId,
    netns: NetnsId,
    path: &str,
    text: &str,
) -> Result<(), Errno> {
    if !matches!(node(world, machine, netns, path)?, Node::File { .. }) {
        return Err(Errno::EISDIR);
    }
    let parts = split(path);
    let write = |cx: &mut Cx| match parts.as_slice() {
        ["proc", "sys", "net", rest @ ..] => sysctl::write(cx, netns, rest, text),
        ["proc", "net", "xt_recent", name] | ["proc", "self", "net", "xt_recent", name] => {
            xt::write_recent(cx, netns, name, text)
        }
        ["sys", rest @ ..] => sysfs::write(cx, netns, rest, text),
        // The superuser may open these, and then they take nothing.
        ["proc", "net", "ipt_hashlimit", _] | ["proc", "softirqs" | "interrupts"] => Err(Errno::EIO),
        _ => Err(Errno::EACCES),
    };
    world.enter(machine, CpuId(0), write)
}

/// The names in the directory at `path`, in the order of the alphabet.
///
/// # Errors
///
/// `ENOENT` for no such directory, `ENOTDIR` for a file.
pub fn list(world: &World, machine: MachineId, netns: NetnsId, path: &str) -> Result<Vec<DirEntry>, Errno> {
    let view = View::new(world, machine, netns);
    let mut entries = match split(path).as_slice() {
        ["proc"] => root(&view),
        ["proc", "self"] | ["proc", "sys"] => vec![("net".to_owned(), Node::Dir)],
        ["proc", "sys", "net", rest @ ..] => sysctl::list(&view, rest)?,
        ["proc", "net", rest @ ..] | ["proc", "self", "net", rest @ ..] => net::list(&view, rest)?,
        ["sys", rest @ ..] => sysfs::list(&view, rest)?,
        ["proc", "softirqs" | "interrupts"] => return Err(Errno::ENOTDIR),
        _ => return Err(Errno::ENOENT),
    };
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

fn root(_view: &View) -> Vec<DirEntry> {
    vec![
        ("net".to_owned(), Node::Link("self/net".to_owned())),
        ("self".to_owned(), Node::Dir),
        ("sys".to_owned(), Node::Dir),
        ("softirqs".to_owned(), Node::RO),
        ("interrupts".to_owned(), Node::RO),
    ]
}

/// What `path` names, after all links are followed.
///
/// # Errors
///
/// `ENOENT` if it names nothing.
pub fn node(world: &World, machine: MachineId, netns: NetnsId, path: &str) -> Result<Node, Errno> {
    let parts = split(path);
    if matches!(parts.as_slice(), ["proc"] | ["sys"]) || list(world, machine, netns, path).is_ok() {
        return Ok(Node::Dir);
    }
    if let ["proc", "sys", "net", rest @ ..] = parts.as_slice() {
        return sysctl::node(&View::new(world, machine, netns), rest).ok_or(Errno::ENOENT);
    }
    match lookup(world, machine, netns, &parts)? {
        Node::Link(_) => Ok(Node::Dir),
        node => Ok(node),
    }
}

/// Where the symbolic link at `path` leads.
///
/// # Errors
///
/// `ENOENT` if there is nothing, `EINVAL` if it is no link.
pub fn read_link(world: &World, machine: MachineId, netns: NetnsId, path: &str) -> Result<String, Errno> {
    match lookup(world, machine, netns, &split(path))? {
        Node::Link(target) => Ok(target),
        Node::Dir | Node::File { .. } => Err(Errno::EINVAL),
    }
}

fn lookup(world: &World, machine: MachineId, netns: NetnsId, parts: &[&str]) -> Result<Node, Errno> {
    let Some((name, parent)) = parts.split_last() else { return Ok(Node::Dir) };
    let parent = format!("/{}", parent.join("/"));
    let entries = list(world, machine, netns, &parent)?;
    entries.into_iter().find(|entry| entry.0 == *name).map(|entry| entry.1).ok_or(Errno::ENOENT)
}
