//! `/proc` and `/sys`: the parts for networking.
//!
//! | module | owns |
//! |---|---|
//! | [`net`], [`inet`] | `/proc/net/*` |
//! | [`sysctl`] | `/proc/sys/net/**` |
//! | [`bonding`] | `/proc/net/bonding/**` |
//! | [`conntrack`] | connections |
//! | [`ip_vs`] | IPVS |
//! | [`vlan`] | `/proc/net/vlan/**` |
//! | [`pktgen`] | `/proc/net/pktgen/**` |
//! | [`xt`] | `/proc/net/xt_recent`, `/proc/net/ipt_hashlimit` |
//! | [`counts`] | `/proc/softirqs`, `/proc/stat` |
//! | [`irq`] | `/proc/interrupts`, `/proc/irq/**` |
//! | [`crate::sysfs`] | `/sys/class/net/**` |
//! | [`number`] | how the kernel reads numbers that are written to these files |
//!
//! A file is a row: a [`File`] if it always exists, in the module of its subject; a directory with variable content is
//! a [`Tree`]. All functions take absolute paths, seen by a [`Caller`].

pub mod bonding;
pub mod conntrack;
pub mod counts;
pub mod inet;
pub mod ip_vs;
pub mod irq;
pub mod net;
pub mod number;
pub mod pktgen;
pub mod sysctl;
mod tcp;
#[cfg(test)]
mod tests;
mod unmodelled;
mod vlan;
pub mod xt;

use std::net::Ipv4Addr;

use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::netns::Netns;
use glassnet_kernel::{Cx, Kernel, World};
use glassnet_sim::Nanos;

use crate::sysfs;

/// A file, directory or link.
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
    /// A read-only file.
    pub const RO: Node = Node::File { mode: 0o444 };
    /// A write-only file.
    pub const WO: Node = Node::File { mode: 0o200 };
}

/// A directory entry.
pub type DirEntry = (String, Node);

/// The calling process: machine, CPU and namespace.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The machine.
    pub machine: MachineId,
    /// The CPU.
    pub cpu: CpuId,
    /// The namespace.
    pub netns: NetnsId,
}

/// A machine as seen from a namespace at a time.
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
    /// The caller's view.
    pub fn new(world: &'w World, caller: Caller) -> View<'w> {
        let Caller { machine, cpu, netns } = caller;
        View { kernel: world.kernel(machine), netns, now: world.cpu_now(machine, cpu) }
    }

    /// The namespace itself.
    pub fn net(&self) -> &'w Netns {
        &self.kernel.netns[self.netns]
    }

    /// Devices in order of ifindex.
    pub fn devs(&self) -> impl Iterator<Item = &'w NetDevice> + use<'w> {
        let kernel = self.kernel;
        self.net().devs.values().map(move |dev| &kernel.devs[*dev])
    }

    /// The device of this name.
    pub fn dev(&self, name: &str) -> Option<&'w NetDevice> {
        self.devs().find(|dev| dev.name == name)
    }

    /// Name of a device.
    pub fn name(&self, dev: DevId) -> &'w str {
        &self.kernel.devs[dev].name
    }
}

/// A file below `/proc`.
pub struct File {
    /// Its path below `/proc`.
    pub path: &'static str,
    /// Its permission bits.
    pub mode: u16,
    /// Content.
    pub read: fn(&View) -> String,
    /// Error of a write by root.
    pub refusal: Errno,
    /// It exists.
    pub is_there: fn(&View) -> bool,
}

impl File {
    /// A world-readable file without write function.
    pub const fn new(path: &'static str, read: fn(&View) -> String) -> File {
        File { path, mode: 0o444, read, refusal: Errno::EIO, is_there: |_| true }
    }
}

/// A directory with variable content. Its functions take the rest of the path.
pub struct Tree {
    /// Its absolute path without the leading slash.
    pub path: &'static str,
    /// It exists.
    pub is_there: fn(&View) -> bool,
    /// Lists a directory; `ENOTDIR` and `ENOENT` as for [`list`].
    pub list: fn(&View, &[&str]) -> Result<Vec<DirEntry>, Errno>,
    /// A path that exists but is not listed.
    pub unlisted: fn(&View, &[&str]) -> Option<Node>,
    /// Reads a file.
    pub read: fn(&View, &[&str]) -> Result<String, Errno>,
    /// Writes a file.
    pub write: fn(&mut Cx, NetnsId, &[&str], &str) -> Result<(), Errno>,
}

/// A file of a [`Tree`] to which a write may go on until something has happened.
pub struct Blocking {
    /// Its absolute path without the leading slash.
    pub path: &'static str,
    /// It has not happened yet.
    pub goes_on: fn(&View) -> bool,
    /// A signal ends it.
    pub interrupt: fn(&mut Cx, NetnsId),
}

/// The files of `/proc` that exist.
fn files(view: &View) -> impl Iterator<Item = &'static File> {
    let all = counts::FILES.iter().chain(irq::FILES).chain(net::FILES).chain(ip_vs::FILES);
    all.filter(|file| (file.is_there)(view))
}

const BLOCKING: &[&Blocking] = &[&pktgen::CONTROL];
const TREES: &[Tree] = &[
    bonding::TREE,
    irq::TREE,
    pktgen::TREE,
    vlan::TREE,
    xt::HASHLIMIT,
    xt::RECENT,
    sysctl::TREE,
    sysfs::TREE,
];

/// An address as `/proc/net` shows it: the bytes in the order of the wire, as a number of a little-endian machine.
fn hex(address: Ipv4Addr) -> String {
    format!("{:08X}", u32::from_le_bytes(address.octets()))
}

/// Path components; `.` and empty ones are removed, `..` removes the one before.
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

/// Path components, with `/proc/self/net` as `/proc/net`.
fn names(path: &str) -> Vec<&str> {
    let mut parts = split(path);
    if parts.starts_with(&["proc", "self", "net"]) {
        parts.remove(1);
    }
    parts
}

/// The rest of `parts` below `path`.
fn below<'p, 'n>(parts: &'p [&'n str], path: &str) -> Option<&'p [&'n str]> {
    let (front, rest) = parts.split_at_checked(path.split('/').count())?;
    path.split('/').eq(front.iter().copied()).then_some(rest)
}

/// The tree of a path, and the rest of the path.
fn tree<'p, 'n>(view: &View, parts: &'p [&'n str]) -> Option<(&'static Tree, &'p [&'n str])> {
    let there = TREES.iter().filter(|tree| (tree.is_there)(view));
    there.filter_map(|tree| Some((tree, below(parts, tree.path)?))).next()
}

fn file(view: &View, parts: &[&str]) -> Option<&'static File> {
    let path = below(parts, "proc")?;
    files(view).find(|file| file.path.split('/').eq(path.iter().copied()))
}

/// Reads the file at `path`.
///
/// # Errors
///
/// `ENOENT` for no such file, `EISDIR` for a directory, `EACCES` for a write-only file, and those of the kernel's file
/// (`EINVAL` for the carrier of a device that is down).
pub fn read(world: &World, caller: Caller, path: &str) -> Result<String, Errno> {
    let view = View::new(world, caller);
    let parts = names(path);
    match (tree(&view, &parts), file(&view, &parts)) {
        (Some((tree, rest)), _) => (tree.read)(&view, rest),
        (_, Some(file)) => Ok((file.read)(&view)),
        _ if list(world, caller, path).is_ok() => Err(Errno::EISDIR),
        _ => Err(Errno::ENOENT),
    }
}

/// Writes `text` to the file at `path`, as one write(2).
///
/// # Errors
///
/// `ENOENT`, `EISDIR`, `EACCES` as for any file, `EINVAL` and others as the kernel refuses the value, and
/// `EOPNOTSUPP` for a setting that is not modelled yet.
pub fn write(world: &mut World, caller: Caller, path: &str, text: &str) -> Result<(), Errno> {
    if !matches!(node(world, caller, path)?, Node::File { .. }) {
        return Err(Errno::EISDIR);
    }
    let parts = names(path);
    let Caller { machine, cpu, netns } = caller;
    let view = View::new(world, caller);
    match (tree(&view, &parts), file(&view, &parts)) {
        (Some((tree, rest)), _) => world.enter(machine, cpu, |cx| (tree.write)(cx, netns, rest, text)),
        (_, Some(file)) => Err(file.refusal),
        _ => Err(Errno::EACCES),
    }
}

/// The write to the file at `path` goes on: whoever wrote waits.
pub fn is_writing(world: &World, caller: Caller, path: &str) -> bool {
    blocking(path).is_some_and(|file| (file.goes_on)(&View::new(world, caller)))
}

/// A signal ends a write to the file at `path` that [goes on](is_writing).
pub fn interrupt_write(world: &mut World, caller: Caller, path: &str) {
    let Some(file) = blocking(path).filter(|file| (file.goes_on)(&View::new(world, caller))) else { return };
    let Caller { machine, cpu, netns } = caller;
    world.enter(machine, cpu, |cx| (file.interrupt)(cx, netns));
}

fn blocking(path: &str) -> Option<&'static Blocking> {
    let parts = names(path);
    BLOCKING.iter().copied().find(|file| below(&parts, file.path).is_some_and(<[&str]>::is_empty))
}

/// Lists the directory at `path`, sorted by name.
///
/// # Errors
///
/// `ENOENT` for no such directory, `ENOTDIR` for a file.
pub fn list(world: &World, caller: Caller, path: &str) -> Result<Vec<DirEntry>, Errno> {
    let view = View::new(world, caller);
    let parts = names(path);
    let mut entries = match tree(&view, &parts) {
        Some((tree, rest)) => (tree.list)(&view, rest)?,
        None => directory(&view, &parts)?,
    };
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// Lists a directory of `/proc`.
fn directory(view: &View, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    let mut entries: Vec<DirEntry> = match parts {
        ["proc", "self"] => return Ok(vec![("net".to_owned(), Node::Dir)]),
        ["proc"] => {
            vec![("net".to_owned(), Node::Link("self/net".to_owned())), ("self".to_owned(), Node::Dir)]
        }
        _ => Vec::new(),
    };
    let files = files(view).map(|file| (format!("proc/{}", file.path), Node::File { mode: file.mode }));
    let trees =
        TREES.iter().filter(|tree| (tree.is_there)(view)).map(|tree| (tree.path.to_owned(), Node::Dir));
    for (path, node) in files.chain(trees) {
        let mut names = path.split('/');
        if !parts.iter().all(|part| names.next() == Some(part)) {
            continue;
        }
        let Some(name) = names.next() else { return Err(Errno::ENOTDIR) };
        if entries.iter().all(|entry| entry.0 != name) {
            let node = if names.next().is_some() { Node::Dir } else { node };
            entries.push((name.to_owned(), node));
        }
    }
    if entries.is_empty() { Err(Errno::ENOENT) } else { Ok(entries) }
}

/// The node at `path`, following all links.
///
/// # Errors
///
/// `ENOENT` if there is none.
pub fn node(world: &World, caller: Caller, path: &str) -> Result<Node, Errno> {
    let view = View::new(world, caller);
    let parts = names(path);
    if list(world, caller, path).is_ok() {
        return Ok(Node::Dir);
    }
    if let Some(node) = tree(&view, &parts).and_then(|(tree, rest)| (tree.unlisted)(&view, rest)) {
        return Ok(node);
    }
    match lookup(world, caller, &split(path))? {
        Node::Link(_) => Ok(Node::Dir),
        node => Ok(node),
    }
}

/// Target of the symbolic link at `path`.
///
/// # Errors
///
/// `ENOENT` if there is none, `EINVAL` if it is not a link.
pub fn read_link(world: &World, caller: Caller, path: &str) -> Result<String, Errno> {
    match lookup(world, caller, &split(path))? {
        Node::Link(target) => Ok(target),
        Node::Dir | Node::File { .. } => Err(Errno::EINVAL),
    }
}

fn lookup(world: &World, caller: Caller, parts: &[&str]) -> Result<Node, Errno> {
    let Some((name, parent)) = parts.split_last() else { return Ok(Node::Dir) };
    let parent = format!("/{}", parent.join("/"));
    let entries = list(world, caller, &parent)?;
    entries.into_iter().find(|entry| entry.0 == *name).map(|entry| entry.1).ok_or(Errno::ENOENT)
}
