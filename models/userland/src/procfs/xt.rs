//! `/proc/net/xt_recent` and `/proc/net/ipt_hashlimit`: there once a rule uses them.
//!
//! Kernel: net/netfilter/xt_recent.c, net/netfilter/xt_hashlimit.c

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::net::netfilter::xt_hashlimit::HashlimitTables;
use glassnet_kernel::net::netfilter::xt_recent::RecentTables;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::jiffies::{HZ, jiffies};

use super::{DirEntry, Node, Tree, View};

/// jiffies at boot: five minutes before 32 bits overflow.
const INITIAL_JIFFIES: u64 = (1 << 32) - 300 * HZ;

/// The lists of `recent`.
pub const RECENT: Tree = Tree {
    path: "proc/net/xt_recent",
    is_there: |view| recent_tables(view).is_some_and(|tables| !tables.is_empty()),
    list: |view, parts| entries(recent_tables(view).into_iter().flat_map(|t| t.keys()), &Node::RW, parts),
    unlisted: |_, _| None,
    read: |view, parts| of_one(parts, |name| recent(view, name)),
    write: |cx, netns, parts, text| of_one(parts, |name| write_recent(cx, netns, name, text)),
};

/// The tables of `hashlimit`.
pub const HASHLIMIT: Tree = Tree {
    path: "proc/net/ipt_hashlimit",
    is_there: |view| hashlimit_tables(view).is_some_and(|tables| !tables.is_empty()),
    list: |view, parts| entries(hashlimit_tables(view).into_iter().flat_map(|t| t.keys()), &Node::RO, parts),
    unlisted: |_, _| None,
    read: |view, parts| of_one(parts, |name| hashlimit(view, name)),
    // Root may open them, but writes fail.
    write: |_, _, _, _| Err(Errno::EIO),
};

/// Files of a flat directory.
fn entries<'n>(
    mut names: impl Iterator<Item = &'n String>,
    node: &Node,
    parts: &[&str],
) -> Result<Vec<DirEntry>, Errno> {
    match parts {
        [] => Ok(names.map(|name| (name.clone(), node.clone())).collect()),
        [name] if names.any(|known| known == name) => Err(Errno::ENOTDIR),
        _ => Err(Errno::ENOENT),
    }
}

/// Applies `work` to a file of a flat directory.
fn of_one<T>(parts: &[&str], work: impl FnOnce(&str) -> Result<T, Errno>) -> Result<T, Errno> {
    match parts {
        [] => Err(Errno::EISDIR),
        [name] => work(name),
        _ => Err(Errno::ENOENT),
    }
}

fn recent_tables<'v>(view: &'v View) -> Option<&'v RecentTables> {
    view.net().generic.get()
}

fn hashlimit_tables<'v>(view: &'v View) -> Option<&'v HashlimitTables> {
    view.net().generic.get()
}

/// A list of `recent`: addresses with their stamps.
fn recent(view: &View, name: &str) -> Result<String, Errno> {
    let table = recent_tables(view).and_then(|tables| tables.get(name)).ok_or(Errno::ENOENT)?;
    let mut text = String::new();
    for entry in &table.entries {
        let _ = write!(
            text,
            "src={} ttl: {} last_seen: {} oldest_pkt: {}",
            entry.addr,
            entry.ttl,
            INITIAL_JIFFIES + entry.last_seen(),
            entry.index
        );
        let stamps = entry.stamps.iter().map(|stamp| (INITIAL_JIFFIES + stamp).to_string());
        let _ = writeln!(text, " {}", stamps.collect::<Vec<_>>().join(", "));
    }
    Ok(text)
}

/// A table of `hashlimit`: seconds left, key, and credit, cap and cost.
fn hashlimit(view: &View, name: &str) -> Result<String, Errno> {
    let table = hashlimit_tables(view).and_then(|tables| tables.get(name)).ok_or(Errno::ENOENT)?;
    let now = jiffies(view.now);
    let mut text = String::new();
    for entry in table.entries(now) {
        let key = &entry.key;
        let _ = writeln!(
            text,
            "{} {}:{}->{}:{} {} {} {}",
            entry.expires.saturating_sub(now) / HZ,
            key.src,
            key.sport,
            key.dst,
            key.dport,
            entry.credit,
            entry.cap,
            entry.cost
        );
    }
    Ok(text)
}

/// Writes to a list of `recent`: `+ADDRESS`, `-ADDRESS`, or `/` for all. Only the first line of a write counts.
///
/// # Errors
///
/// `EINVAL` for anything else, and for addresses of IPv6, which are not modelled.
fn write_recent(cx: &mut Cx, netns: NetnsId, name: &str, text: &str) -> Result<(), Errno> {
    let now = jiffies(cx.now);
    let tables: &mut RecentTables = cx.k.netns[netns].generic.get_mut();
    let table = tables.get_mut(name).ok_or(Errno::ENOENT)?;
    let text = text.split('\n').next().unwrap_or_default();
    if text.starts_with('/') {
        table.entries.clear();
        return Ok(());
    }
    let (adds, addr) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(addr), _) => (true, in4_pton(addr).ok_or(Errno::EINVAL)?),
        (_, Some(addr)) => (false, in4_pton(addr).ok_or(Errno::EINVAL)?),
        _ => return Err(Errno::EINVAL),
    };
    match (table.lookup(addr, 0), adds) {
        (None, true) => _ = table.insert(addr, 0, now),
        (Some(at), true) => table.update(at, None, now),
        (Some(at), false) => _ = table.entries.remove(at),
        (None, false) => {}
    }
    Ok(())
}

/// Four decimal numbers, leading zeros allowed.
fn in4_pton(text: &str) -> Option<Ipv4Addr> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<u8> =
        text.split('.').map(|part| part.parse().ok().filter(|_| digits(part))).collect::<Option<_>>()?;
    <[u8; 4]>::try_from(parts).ok().map(Ipv4Addr::from)
}
