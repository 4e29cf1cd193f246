//! `/proc/sys/net/**`: the sysctls of the kernel's modules as files.
//!
//! Kernel: fs/proc/proc_sysctl.c

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::sysctl::{At, Sysctl, SysctlTable};
use glassnet_kernel::tables::sysctl::ConfOf;

use super::number::vector;
use super::{DirEntry, Node, Tree, View, unmodelled};

/// The directory of settings.
pub const TREE: Tree = Tree { path: "proc/sys/net", is_there: |_| true, list, unlisted: node, read, write };

/// A node below `/proc/sys/net`, listed or not.
enum Entry {
    File(&'static Sysctl, At, u16),
    /// A file that Linux has and the model does not.
    NotModelled,
}

/// Sysctl tables of a directory.
fn tables<'a>(view: &'a View, dirs: &'a [&str]) -> impl Iterator<Item = (&'static SysctlTable, At)> + 'a {
    view.kernel.modules.iter().flat_map(|module| module.sysctls).filter_map(move |table| {
        let of = match table.dir.strip_prefix("net/")?.strip_suffix("/*") {
            Some(above) if dirs.split_last().is_some_and(|(_, dirs)| is(above, dirs)) => {
                of(view, dirs.last()?)?
            }
            None if is(&table.dir[4..], dirs) => ConfOf::All,
            _ => return None,
        };
        let at = At { netns: view.netns, of };
        (table.is_there)(view.kernel, at).then_some((*table, at))
    })
}

fn is(path: &str, names: &[&str]) -> bool {
    path.split('/').eq(names.iter().copied())
}

/// The device, `all` or `default` of a directory.
fn of(view: &View, name: &str) -> Option<ConfOf> {
    match name {
        "all" => Some(ConfOf::All),
        "default" => Some(ConfOf::Default),
        name => view.dev(name).map(|dev| ConfOf::Dev(dev.id)),
    }
}

fn entry(view: &View, parts: &[&str]) -> Option<Entry> {
    let (name, dirs) = parts.split_last()?;
    let found = tables(view, dirs).find_map(|(table, at)| {
        let row = table.row(name)?;
        Some(Entry::File(row, at, row.mode_in(view.netns)?))
    });
    found.or_else(|| unmodelled::is_known(view.netns == INIT_NET, parts).then_some(Entry::NotModelled))
}

/// The node at a path below `/proc/sys/net`, listed or not.
fn node(view: &View, parts: &[&str]) -> Option<Node> {
    entry(view, parts).map(|entry| match entry {
        Entry::File(_, _, mode) => Node::File { mode },
        Entry::NotModelled => Node::RW,
    })
}

/// Reads a file below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::read`].
fn read(view: &View, parts: &[&str]) -> Result<String, Errno> {
    match entry(view, parts) {
        Some(Entry::File(_, _, mode)) if mode & 0o444 == 0 => Err(Errno::EACCES),
        Some(Entry::File(Sysctl { word: Some(word), .. }, at, _)) => Ok((word.get)(view.kernel, at) + "\n"),
        Some(Entry::File(row, at, _)) => Ok(format!("{}\n", (row.get)(view.kernel, at, row))),
        Some(Entry::NotModelled) => Err(Errno::EOPNOTSUPP),
        None if list(view, parts).is_ok() => Err(Errno::EISDIR),
        None => Err(Errno::ENOENT),
    }
}

/// Writes a file below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::write`].
fn write(cx: &mut Cx, netns: NetnsId, parts: &[&str], text: &str) -> Result<(), Errno> {
    let view = View { kernel: cx.k, netns, now: cx.now };
    match entry(&view, parts).ok_or(Errno::ENOENT)? {
        Entry::File(_, _, mode) if mode & 0o200 == 0 => Err(Errno::EACCES),
        Entry::File(Sysctl { word: Some(word), .. }, at, _) => {
            (word.set)(cx, at, text.lines().next().unwrap_or("").trim_ascii_start())
        }
        Entry::File(row, at, _) => row.write(cx, at, vector(text, 1)?[0]),
        Entry::NotModelled => Err(Errno::EOPNOTSUPP),
    }
}

/// Lists a directory below `/proc/sys/net`.
///
/// # Errors
///
/// See [`super::list`].
fn list(view: &View, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    let mut entries: Vec<DirEntry> = Vec::new();
    for (table, _) in tables(view, parts) {
        let shown = table.rows.iter().filter_map(|row| Some((row, row.mode_in(view.netns)?)));
        entries.extend(shown.map(|(row, mode)| (row.name.to_owned(), Node::File { mode })));
    }
    let mut dirs = subdirectories(view, parts);
    dirs.sort();
    dirs.dedup();
    let is_dir = tables(view, parts).next().is_some() || !dirs.is_empty();
    entries.extend(dirs.into_iter().map(|name| (name, Node::Dir)));
    match entry(view, parts) {
        _ if is_dir => Ok(entries),
        Some(_) => Err(Errno::ENOTDIR),
        None => Err(Errno::ENOENT),
    }
}

/// Subdirectories: the next component of every deeper table.
fn subdirectories(view: &View, parts: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for table in view.kernel.modules.iter().flat_map(|module| module.sysctls) {
        let mut path = table.dir.split('/').skip(1);
        if !parts.iter().all(|part| path.next() == Some(part)) {
            continue;
        }
        let is_there = |of| (table.is_there)(view.kernel, At { netns: view.netns, of });
        match path.next() {
            Some("*") => {
                let fixed = [("all", ConfOf::All), ("default", ConfOf::Default)].into_iter();
                let devs = view.devs().map(|dev| (dev.name.as_str(), ConfOf::Dev(dev.id)));
                names.extend(
                    fixed.chain(devs).filter(|(_, of)| is_there(*of)).map(|(name, _)| name.to_owned()),
                );
            }
            Some(name) if table.dir.ends_with('*') || is_there(ConfOf::All) => names.push(name.to_owned()),
            _ => {}
        }
    }
    names
}
