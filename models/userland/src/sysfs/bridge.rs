//! The files of bridges and of their ports.
//!
//! Kernel: net/bridge/br_sysfs_br.c, net/bridge/br_sysfs_if.c

use glassnet_kernel::Cx;
use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::bridge::br_attrs::{Access, BrAttr, Unit};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::Mac;

use super::{Attr, errno};
use crate::procfs::number::kstrtoul;
use crate::procfs::{DirEntry, Node, View};

/// `brforward`: the forwarding database in a binary form, which only `brctl` reads; empty as text.
pub const FORWARD: &[Attr] = &[Attr::ro("brforward", |_, _| Err(Errno::EOPNOTSUPP))];

/// A bridge identifier as sysfs and `brctl` print it.
pub fn bridge_id(id: u64) -> String {
    format!("{:04x}.{:012x}", id >> 48, id & 0xffff_ffff_ffff)
}

/// The files of a table's attributes, by name.
pub fn files(table: &[&BrAttr]) -> Vec<DirEntry> {
    let files = table.iter().filter_map(|attr| Some((attr.file?.to_owned(), node(attr))));
    let mut files: Vec<DirEntry> = files.collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

fn node(attr: &BrAttr) -> Node {
    match attr.access {
        Access::ReadOnly(_) | Access::Timer(_) => Node::RO,
        // Only netlink sets the state.
        Access::ReadWrite(..) if attr.unit == Unit::State => Node::RO,
        Access::ReadWrite(..) | Access::Fixed(_) => Node::RW,
        Access::WriteOnly(_) => Node::WO,
    }
}

/// Reads an attribute's file; no newline at the end.
///
/// # Errors
///
/// `EACCES` if it is only written, `ENOENT` if the device does not have it.
pub fn show(attr: &BrAttr, view: &View, dev: &NetDevice) -> Result<String, Errno> {
    if let Access::WriteOnly(_) = attr.access {
        return Err(Errno::EACCES);
    }
    let value = attr.get(view.kernel, dev, view.now).ok_or(Errno::ENOENT)?;
    Ok(match attr.unit {
        Unit::Number | Unit::Bool | Unit::ClockT | Unit::Timer | Unit::State => value.to_string(),
        Unit::Hex | Unit::GroupMask | Unit::EtherType => format!("{value:#x}"),
        Unit::BridgeId => bridge_id(value),
        Unit::Mac => {
            let [_, _, mac @ ..] = value.to_be_bytes();
            Mac(mac).to_string()
        }
        Unit::Device => String::new(),
    })
}

/// Writes an attribute's file.
///
/// # Errors
///
/// `EACCES` if it is only read, `EINVAL` for a text that is not a number, `EOPNOTSUPP` for what is not modelled, and
/// those of the attribute.
pub fn store(attr: &BrAttr, cx: &mut Cx, dev: DevId, text: &str) -> Result<(), Errno> {
    match node(attr) {
        Node::RO => Err(Errno::EACCES),
        _ if attr.unit == Unit::Device => Err(Errno::EOPNOTSUPP),
        _ => attr.write(cx, dev, kstrtoul(text)?).map_err(errno),
    }
}
