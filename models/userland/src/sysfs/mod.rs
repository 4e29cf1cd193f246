//! `/sys/class/net`.
//!
//! | module | owns |
//! |---|---|
//! | [`device`] | files of every device, and its `statistics` |
//! | [`bonding`] | `bonding_masters`, `bonding/*` of a bond and `bonding_slave/*` of a slave |
//! | [`bridge`] | `bridge/*` of a bridge and `brport/*` of a port |
//! | [`tun`] | `tun_flags`, `owner` and `group` of a tun or tap |
//! | [`rx_queue`], [`tx_queue`] | `queues/rx-N` and `queues/tx-N` |
//!
//! Kernel: net/core/net-sysfs.c, net/bridge/br_sysfs_br.c, net/bridge/br_sysfs_if.c, drivers/net/bonding/bond_sysfs.c
//!
//! `/sys/devices/virtual/net`, to which the links of a real kernel lead, is the same directory here.

pub mod bonding;
pub mod bridge;
pub mod device;
pub mod rx_queue;
pub mod tun;
pub mod tx_queue;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::bridge::br_attrs::BrAttr;
use glassnet_kernel::net::bridge::br_attrs_bridge::BRIDGE_ATTRS;
use glassnet_kernel::net::bridge::br_attrs_port::PORT_ATTRS;
use glassnet_kernel::netlink::{Errno, NlError};
use glassnet_kernel::tables::netdev::NetDevice;

use self::tx_queue::TxFile;
use crate::procfs::{DirEntry, Node, Tree, View};

/// The whole of `/sys`.
pub const TREE: Tree = Tree { path: "sys", is_there: |_| true, list, unlisted: |_, _| None, read, write };

/// Reads a file; no newline at the end.
pub type Show = fn(&View, &NetDevice) -> Result<String, Errno>;
/// Writes a file.
pub type Store = fn(&mut Cx, DevId, &str) -> Result<(), Errno>;

/// A file in a device's directory.
pub struct Attr {
    /// Its name.
    pub name: &'static str,
    /// Reads it.
    pub show: Show,
    /// Writes it; `None`: it is only read.
    pub store: Option<Store>,
}

impl Attr {
    /// A file that is only read.
    pub const fn ro(name: &'static str, show: Show) -> Attr {
        Attr { name, show, store: None }
    }

    /// A file that is read and written.
    pub const fn rw(name: &'static str, show: Show, store: Store) -> Attr {
        Attr { name, show, store: Some(store) }
    }

    fn entry(&self) -> DirEntry {
        (self.name.to_owned(), if self.store.is_some() { Node::RW } else { Node::RO })
    }
}

/// What a path in a device's directory leads to.
enum File {
    /// A file of [`device`], or `brforward`.
    Attr(&'static Attr),
    /// An option of a bond, by name.
    Bond(String),
    /// An attribute of a bridge or of a port.
    Bridge(&'static BrAttr),
    /// A file of a receive queue.
    RxQueue(&'static rx_queue::RxFile, usize),
    /// A file of a transmit queue.
    TxQueue(&'static TxFile, usize),
}

/// The error number of a refused netlink request.
pub fn errno(error: NlError) -> Errno {
    error.errno
}

/// Splits a path below `/sys` into a device's name and the rest.
fn device_path<'p, 'n>(parts: &'p [&'n str]) -> Option<(&'n str, &'p [&'n str])> {
    match parts {
        ["class", "net", dev, rest @ ..] | ["devices", "virtual", "net", dev, rest @ ..] => {
            Some((*dev, rest))
        }
        _ => None,
    }
}

/// A line, if there is a text.
fn line(text: String) -> String {
    if text.is_empty() { text } else { text + "\n" }
}

/// The file that makes and deletes bonds.
fn is_masters(view: &View, parts: &[&str]) -> bool {
    parts == ["class", "net", bonding::MASTERS] && view.kernel.config.bonding
}

/// Resolves the links below a device's directory (`master/…`, `brif/v1/…`).
fn follow<'w, 'n>(
    view: &View<'w>,
    dev: &'w NetDevice,
    parts: &[&'n str],
) -> Option<(&'w NetDevice, Vec<&'n str>)> {
    match parts {
        ["master", rest @ ..] => follow(view, &view.kernel.devs[dev.master()?], rest),
        ["brport", "bridge", rest @ ..] => follow(view, &view.kernel.devs[dev.master()?], rest),
        ["brif", port, rest @ ..] => {
            let port = view.dev(port).filter(|port| port.master() == Some(dev.id))?;
            let (port, mut tail) = (port, vec!["brport"]);
            tail.extend(rest);
            match tail.as_slice() {
                ["brport", "bridge", ..] => follow(view, dev, &rest[1..]),
                _ => Some((port, tail)),
            }
        }
        [link, rest @ ..] if link.starts_with("upper_") || link.starts_with("lower_") => {
            let target = view.dev(&link[6..])?;
            let linked = if link.starts_with("upper_") {
                target.lowers.contains(&dev.id)
            } else {
                dev.lowers.contains(&target.id)
            };
            linked.then(|| follow(view, target, rest))?
        }
        parts => Some((dev, parts.to_vec())),
    }
}

fn resolve<'w, 'n>(view: &View<'w>, parts: &[&'n str]) -> Option<(&'w NetDevice, Vec<&'n str>)> {
    let (name, rest) = device_path(parts)?;
    follow(view, view.dev(name)?, rest)
}

fn find(dev: &NetDevice, parts: &[&str]) -> Option<File> {
    let (table, name): (&'static [Attr], &str) = match parts {
        [name] if *name == "brforward" && dev.bridge().is_some() => (bridge::FORWARD, name),
        [name] if dev.tun().is_some() && tun::FILES.iter().any(|attr| attr.name == *name) => {
            (tun::FILES, name)
        }
        [name] => (device::FILES, name),
        ["statistics", name] => (device::STATISTICS, name),
        ["queues", rx, name] if rx.starts_with("rx-") => {
            return Some(File::RxQueue(rx_queue::find(name)?, rx_queue::number(dev, rx)?));
        }
        ["queues", rest @ ..] => {
            return tx_queue::find(dev, rest).map(|(attr, at)| File::TxQueue(attr, at));
        }
        ["bonding", name] if dev.bond().is_some() && bonding::has(name) => {
            return Some(File::Bond((*name).to_owned()));
        }
        ["bonding_slave", name] => (bonding::SLAVE, name),
        ["bridge", name] if dev.bridge().is_some() => return find_attr(BRIDGE_ATTRS, name),
        ["brport", name] if dev.port.is_some() => return find_attr(PORT_ATTRS, name),
        _ => return None,
    };
    table.iter().find(|attr| attr.name == name).map(File::Attr)
}

fn find_attr(table: &[&'static BrAttr], name: &str) -> Option<File> {
    table.iter().find(|attr| attr.file == Some(name)).map(|attr| File::Bridge(attr))
}

/// Reads a file below `/sys`.
///
/// # Errors
///
/// See [`crate::procfs::read`].
fn read(view: &View, parts: &[&str]) -> Result<String, Errno> {
    if is_masters(view, parts) {
        return Ok(line(bonding::masters(view)));
    }
    let found = resolve(view, parts).and_then(|(dev, rest)| Some((dev, find(dev, &rest)?)));
    let Some((dev, file)) = found else {
        return Err(if list(view, parts).is_ok() { Errno::EISDIR } else { Errno::ENOENT });
    };
    let text = match file {
        File::Attr(attr) => (attr.show)(view, dev)?,
        // The files of a bond are empty if there is nothing to tell.
        File::Bond(name) => return Ok(line(bonding::show(view, dev, &name)?)),
        File::Bridge(attr) => bridge::show(attr, view, dev)?,
        File::RxQueue(file, queue) => file.show(view, dev, queue),
        File::TxQueue(attr, at) => attr.read(view, dev, at)?,
    };
    Ok(text + "\n")
}

/// Writes a file below `/sys`.
///
/// # Errors
///
/// See [`crate::procfs::write`].
fn write(cx: &mut Cx, netns: NetnsId, parts: &[&str], text: &str) -> Result<(), Errno> {
    let view = View { kernel: cx.k, netns, now: cx.now };
    if is_masters(&view, parts) {
        return bonding::store_masters(cx, netns, text);
    }
    let (dev, rest) = resolve(&view, parts).ok_or(Errno::ENOENT)?;
    let id = dev.id;
    match find(dev, &rest).ok_or(Errno::ENOENT)? {
        File::Attr(attr) => attr.store.ok_or(Errno::EACCES)?(cx, id, text),
        File::Bond(name) => bonding::store(cx, id, &name, text),
        File::Bridge(attr) => bridge::store(attr, cx, id, text),
        File::RxQueue(file, queue) => file.store(cx, id, queue, text),
        File::TxQueue(attr, at) => attr.write(cx, id, at, text),
    }
}

/// Lists a directory below `/sys`.
///
/// # Errors
///
/// See [`crate::procfs::list`].
fn list(view: &View, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    match parts {
        [] => return Ok(vec![dir("class"), dir("devices")]),
        ["class"] | ["devices", "virtual"] => return Ok(vec![dir("net")]),
        ["devices"] => return Ok(vec![dir("virtual")]),
        ["class", "net"] => {
            let link = |dev: &NetDevice| Node::Link(format!("../../devices/virtual/net/{}", dev.name));
            let mut entries: Vec<DirEntry> = view.devs().map(|dev| (dev.name.clone(), link(dev))).collect();
            if view.kernel.config.bonding {
                entries.push((bonding::MASTERS.to_owned(), Node::RW));
            }
            return Ok(entries);
        }
        ["devices", "virtual", "net"] => return Ok(view.devs().map(|dev| dir(&dev.name)).collect()),
        _ => {}
    }
    let (dev, rest) = resolve(view, parts).ok_or(Errno::ENOENT)?;
    list_device(view, dev, &rest)
}

fn dir(name: &str) -> DirEntry {
    (name.to_owned(), Node::Dir)
}

fn files(table: &[Attr]) -> Vec<DirEntry> {
    table.iter().map(Attr::entry).collect()
}

fn list_device(view: &View, dev: &NetDevice, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    match parts {
        [] => Ok(top(view, dev)),
        ["statistics"] => Ok(files(device::STATISTICS)),
        ["queues"] => {
            let rx = (0..dev.num_rx_queues).map(|queue| dir(&format!("rx-{queue}")));
            Ok(rx.chain(tx_queue::list(dev, &[]).unwrap_or_default()).collect())
        }
        ["queues", rx] if rx_queue::number(dev, rx).is_some() => Ok(rx_queue::files()),
        ["queues", rest @ ..] if tx_queue::list(dev, rest).is_some() => {
            Ok(tx_queue::list(dev, rest).unwrap_or_default())
        }
        ["bridge"] if dev.bridge().is_some() => Ok(bridge::files(BRIDGE_ATTRS)),
        ["bonding"] if dev.bond().is_some() => Ok(bonding::files()),
        ["bonding_slave"] if bonding::master(view, dev).is_some() => Ok(files(bonding::SLAVE)),
        ["brport"] if dev.port.is_some() => {
            let master = dev.master().ok_or(Errno::ENOENT)?;
            let mut entries = bridge::files(PORT_ATTRS);
            entries.push(("bridge".to_owned(), Node::Link(format!("../../{}", view.name(master)))));
            Ok(entries)
        }
        ["brif"] => {
            let ports = &dev.bridge().ok_or(Errno::ENOENT)?.ports;
            let link = |port: &DevId| Node::Link(format!("../../{}/brport", view.name(*port)));
            Ok(ports.iter().map(|port| (view.name(*port).to_owned(), link(port))).collect())
        }
        _ if find(dev, parts).is_some() => Err(Errno::ENOTDIR),
        _ => Err(Errno::ENOENT),
    }
}

/// A device's own directory.
fn top(view: &View, dev: &NetDevice) -> Vec<DirEntry> {
    let mut entries = files(device::FILES);
    entries.extend([dir("statistics"), dir("queues")]);
    entries.push(("subsystem".to_owned(), Node::Link("../../../../class/net".to_owned())));
    let link = |prefix: &str, other: &str, target: &str| {
        (format!("{prefix}{other}"), Node::Link(format!("../{target}")))
    };
    if dev.bridge().is_some() {
        entries.extend([dir("bridge"), dir("brif")]);
        entries.extend(files(bridge::FORWARD));
    }
    let here = |other: &DevId| view.kernel.devs[*other].netns == dev.netns;
    for lower in dev.lowers.iter().copied().filter(here) {
        entries.push(link("lower_", view.name(lower), view.name(lower)));
    }
    for upper in dev.uppers.iter().map(|upper| upper.dev).filter(here) {
        entries.push(link("upper_", view.name(upper), view.name(upper)));
    }
    if dev.tun().is_some() {
        entries.extend(files(tun::FILES));
    }
    if dev.bond().is_some() {
        entries.push(dir("bonding"));
    }
    if let Some(master) = dev.master() {
        let master = view.name(master);
        entries.push(dir(if dev.port.is_some() { "brport" } else { "bonding_slave" }));
        entries.push(link("master", "", master));
    }
    entries
}
