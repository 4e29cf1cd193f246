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

use super::{DirEntry, Node, View};

/// What the kernel's clock shows at boot: five minutes before 32 bits overflow.
const INITIAL_JIFFIES: u64 = (1 << 32) - 300 * HZ;

/// The directories that are there.
pub fn directories(view: &View) -> Vec<DirEntry> {
    let there = ["xt_recent", "ipt_hashlimit"].into_iter().filter(|name| files(view, name).is_some());
    there.map(|name| (name.to_owned(), Node::Dir)).collect()
}

/// The files of one of them, if it is there.
pub fn files(view: &View, directory: &str) -> Option<Vec<DirEntry>> {
    let kept = &view.net().generic;
    let (names, node): (Vec<&String>, Node) = match directory {
        "xt_recent" => (kept.get::<RecentTables>()?.keys().collect(), Node::RW),
        "ipt_hashlimit" => (kept.get::<HashlimitTables>()?.keys().collect(), Node::RO),
        _ => return None,
    };
    (!names.is_empty()).then(|| names.into_iter().map(|name| (name.clone(), node.clone())).collect())
}

/// A list of `recent`, each address with its times.
pub fn recent(view: &View, name: &str) -> Result<String, Errno> {
    let tables: Option<&RecentTables> = view.net().generic.get();
    let table = tables.and_then(|tables| tables.get(name)).ok_or(Errno::ENOENT)?;
    let mut text = String::new();
    for entry in &table.entries {
        let _ = write!(
            text,
            "src={} ttl: {} last_seen: {} oldest_pkt: {}",
            Ipv4Addr::from(entry.addr),
            entry.ttl,
            INITIAL_JIFFIES + entry.last_seen(),
            entry.index
        );
        let stamps = entry.stamps.iter().map(|stamp| (INITIAL_JIFFIES + stamp).to_string());
        let _ = writeln!(text, " {}", stamps.collect::<Vec<_>>().join(", "));
    }
    Ok(text)
}

/// A table of `hashlimit`: seconds left, whom, and credit, cap and cost.
pub fn hashlimit(view: &View, name: &str) -> Result<String, Errno> {
    let tables: Option<&HashlimitTables> = view.net().generic.get();
    let table = tables.and_then(|tables| tables.get(name)).ok_or(Errno::ENOENT)?;
    let now = jiffies(view.now);
    let mut text = String::new();
    for entry in table.entries(now) {
        let key = &entry.key;
        let _ = writeln!(
            text,
            "{} {}:{}->{}:{} {} {} {}",
            entry.expires.saturating_sub(now) / HZ,
            Ipv4Addr::from(key.src),
            key.sport,
            Ipv4Addr::from(key.dst),
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
pub fn write_recent(cx: &mut Cx, netns: NetnsId, name: &str, text: &str) -> Result<(), Errno> {
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

/// Four decimal numbers, which may begin with zeros.
fn in4_pton(text: &str) -> Option<u32> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<u8> =
        text.split('.').map(|part| part.parse().ok().filter(|_| digits(part))).collect::<Option<_>>()?;
    Some(u32::from_be_bytes(parts.try_into().ok()?))
}
