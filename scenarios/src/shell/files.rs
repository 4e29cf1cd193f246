//! Files of a machine: an in-memory disk, with `/proc`, `/sys`, `/run/netns` and `/dev/tty` on top, served by the
//! kernel.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bashkit::time::{SystemTime, UNIX_EPOCH};
use bashkit::{
    DirEntry, FileSystem, FileSystemExt, FileType, FsLimits, FsUsage, InMemoryFs, Metadata, async_trait,
};
use glassnet_kernel::ids::CpuId;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::world::World;
use glassnet_userland::cni;
use glassnet_userland::process::{BOOT_TIME, Boxed, Files};
use glassnet_userland::procfs::{self, Caller, Node};

use super::limits;
use super::machine::Place;

/// Marks a refused value, as opposed to a file that cannot be opened.
pub(super) const WRITE_ERROR: &str = "write error: ";
/// First line of a file for a shell builtin.
const STUB: &str = "#!/bin/sh\n# bashkit builtin: ";

/// Directories besides those of the files.
const DIRECTORIES: &str = "/etc/iptables /etc/network /etc/sysctl.d /mnt /opt/cni /run /srv /tmp /usr/local/bin /usr/local/sbin \
    /usr/share /var/lib /var/log /var/tmp";

/// Gives all files the time of the installation.
fn stamp_all(disk: &InMemoryFs) {
    let snapshot = disk.snapshot();
    for entry in snapshot.entries() {
        let mut stamping = disk.set_modified_time(&entry.path, boot_time());
        // An in-memory disk does not wait.
        let _ = stamping.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// Creates the files of a newly installed machine.
pub(super) fn furnish(disk: &InMemoryFs, hostname: &str) {
    let files = [
        ("/etc/hostname", format!("{hostname}\n")),
        ("/etc/hosts", format!("127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n")),
        // A machine of a lesson has no name server.
        ("/etc/nsswitch.conf", "hosts: files\n".to_string()),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n".to_string()),
        ("/etc/resolv.conf", String::new()),
        ("/etc/sysctl.conf", String::new()),
        ("/root/.hushlogin", String::new()),
    ];
    for directory in DIRECTORIES.split_whitespace() {
        disk.add_dir(directory, 0o755);
    }
    for (path, text) in files {
        disk.add_file(path, text, 0o644);
    }
    let stub = |name: &str| format!("{STUB}{name}\nexec {name} \"$@\"\n");
    for program in glassnet_cluster::installed() {
        disk.add_file(program.path, stub(program.name()), 0o755);
    }
    for plugin in cni::PLUGINS {
        disk.add_file(plugin.path, stub(plugin.path), 0o755);
    }
    for name in super::builder::file_commands() {
        disk.add_file(format!("/usr/bin/{name}"), stub(name), 0o755);
    }
    stamp_all(disk);
}

/// The files as seen from one namespace.
pub(super) struct MachineFs {
    pub place: Place,
}

/// What serves a path.
enum Owner {
    /// procfs or sysfs, by absolute path.
    Kernel(String),
    /// The directory of namespace names, or a name in it.
    Netns(Option<String>),
    Tty,
    Disk(PathBuf),
}

fn owner(path: &Path) -> Owner {
    let mut path = bashkit::normalize_path(path);
    // Links of Debian's, and the place where container runtimes look for plugins.
    let links = [
        ("/bin", "/usr/bin"),
        ("/opt/cni/bin", "/usr/lib/cni"),
        ("/sbin", "/usr/sbin"),
        ("/var/run", "/run"),
    ];
    for (link, place) in links {
        if let Ok(rest) = path.strip_prefix(link) {
            path = Path::new(place).join(rest);
        }
    }
    let text = path.to_string_lossy();
    let below = |root: &str| text.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    if below("/proc").is_some() || below("/sys").is_some() {
        Owner::Kernel(text.into_owned())
    } else if let Some(name) = below("/run/netns") {
        Owner::Netns(name.strip_prefix('/').map(str::to_string))
    } else if text == "/dev/tty" {
        Owner::Tty
    } else {
        Owner::Disk(path)
    }
}

fn refused(errno: Errno) -> io::Error {
    let kind = match errno {
        Errno::ENOENT => io::ErrorKind::NotFound,
        Errno::EACCES | Errno::EPERM => io::ErrorKind::PermissionDenied,
        Errno::EISDIR => io::ErrorKind::IsADirectory,
        Errno::ENOTDIR => io::ErrorKind::NotADirectory,
        _ => io::ErrorKind::InvalidInput,
    };
    io::Error::new(kind, errno.strerror())
}

fn not_permitted() -> bashkit::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "Operation not permitted").into()
}

fn metadata(file_type: FileType, mode: u32) -> Metadata {
    Metadata { file_type, size: 0, mode, modified: boot_time(), created: boot_time() }
}

fn boot_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(BOOT_TIME)
}

/// Without the host's clock: on an installed disk, all files are as old as the machine.
fn without_clock(metadata: Metadata) -> Metadata {
    Metadata { created: boot_time(), ..metadata }
}

fn metadata_of(node: &Node) -> Metadata {
    match node {
        Node::Dir => metadata(FileType::Directory, 0o555),
        Node::File { mode } => metadata(FileType::File, u32::from(*mode)),
        Node::Link(_) => metadata(FileType::Symlink, 0o777),
    }
}

impl MachineFs {
    /// Who serves a path, where the process sees it.
    fn owner(&self, path: &Path) -> Owner {
        let path = bashkit::normalize_path(path);
        let inside = |(place, from): &(String, String)| {
            Some((place.len(), Path::new(from).join(path.strip_prefix(place).ok()?)))
        };
        let mounted = self.place.mounts.iter().filter_map(inside).max_by_key(|(depth, _)| *depth);
        match mounted {
            // The file itself, if that is what is mounted.
            Some((_, from)) => owner(&from.components().collect::<PathBuf>()),
            None => owner(&path),
        }
    }

    /// What is mounted below a directory: the next names on the way there, and whether each is a directory for sure.
    fn mounted_below(&self, path: &Path) -> Vec<(String, Option<PathBuf>)> {
        let path = bashkit::normalize_path(path);
        let next = |(place, from): &(String, String)| {
            let mut rest = Path::new(place).strip_prefix(&path).ok()?.components();
            let name = rest.next()?.as_os_str().to_string_lossy().into_owned();
            Some((name, rest.next().is_none().then(|| PathBuf::from(from))))
        };
        self.place.mounts.iter().filter_map(next).collect()
    }

    fn world<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        look(&mut self.place.machine.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn names(&self) -> Vec<String> {
        let machine = self.place.machine.id;
        self.world(|world| world.kernel(machine).netns_names.keys().cloned().collect())
    }

    /// The shell, on the first CPU.
    fn caller(&self) -> Caller {
        Caller { machine: self.place.machine.id, cpu: CpuId(0), netns: self.place.netns }
    }

    fn node(&self, path: &str) -> io::Result<Node> {
        self.world(|world| procfs::node(world, self.caller(), path)).map_err(refused)
    }

    fn write_kernel(&self, path: &str, content: &[u8]) -> io::Result<()> {
        if content.is_empty() {
            return self.node(path).map(|_| ());
        }
        let text = String::from_utf8_lossy(content).into_owned();
        self.world(|world| procfs::write(world, self.caller(), path, &text)).map_err(|errno| match errno {
            Errno::ENOENT | Errno::EACCES | Errno::EISDIR => refused(errno),
            _ => io::Error::new(io::ErrorKind::InvalidInput, format!("{WRITE_ERROR}{}", errno.strerror())),
        })
    }

    fn netns_metadata(&self, name: Option<&str>) -> io::Result<Metadata> {
        match name {
            None => Ok(metadata(FileType::Directory, 0o755)),
            Some(name) if self.names().iter().any(|known| known == name) => {
                Ok(metadata(FileType::File, 0o444))
            }
            Some(_) => Err(refused(Errno::ENOENT)),
        }
    }

    /// Gives a file of the disk the time of the change: bashkit gave it the host's.
    async fn stamp(&self, path: &Path) -> bashkit::Result<()> {
        let now = self.world(|world| world.now());
        self.place.machine.disk.set_modified_time(path, boot_time() + Duration::from_nanos(now.0)).await
    }

    /// Changes that the disk allows and the kernel's trees refuse.
    fn disk(&self, path: &Path) -> bashkit::Result<(&InMemoryFs, PathBuf)> {
        match self.owner(path) {
            Owner::Disk(path) => Ok((&self.place.machine.disk, path)),
            _ => Err(not_permitted()),
        }
    }
}

/// A write to the kernel that goes on; given up, as by a signal, it is interrupted.
struct Writing<'a> {
    fs: &'a MachineFs,
    path: String,
}

impl Future for Writing<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let caller = self.fs.caller();
        if !self.fs.world(|world| procfs::is_writing(world, caller, &self.path)) {
            return Poll::Ready(());
        }
        self.fs.place.machine.sleepers.register(cx.waker());
        Poll::Pending
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let caller = self.fs.caller();
        self.fs.world(|world| procfs::interrupt_write(world, caller, &self.path));
    }
}

#[async_trait]
impl FileSystem for MachineFs {
    async fn read_file(&self, path: &Path) -> bashkit::Result<Vec<u8>> {
        match self.owner(path) {
            Owner::Kernel(path) => {
                let text = self.world(|world| procfs::read(world, self.caller(), &path)).map_err(refused)?;
                Ok(text.into_bytes())
            }
            Owner::Netns(name) => Ok(self.netns_metadata(name.as_deref()).map(|_| Vec::new())?),
            Owner::Tty => Ok(Vec::new()),
            // It has no end; no file may be longer than this.
            Owner::Disk(path) if path == Path::new("/dev/zero") => Ok(vec![0; limits::FILE_LIMIT as usize]),
            Owner::Disk(path) => self.place.machine.disk.read_file(&path).await,
        }
    }

    async fn write_file(&self, path: &Path, content: &[u8]) -> bashkit::Result<()> {
        match self.owner(path) {
            Owner::Kernel(path) => {
                self.write_kernel(&path, content)?;
                Writing { fs: self, path }.await;
                Ok(())
            }
            Owner::Netns(_) => Err(not_permitted()),
            Owner::Tty => {
                self.place.machine.terminal.show(content);
                Ok(())
            }
            Owner::Disk(path) => {
                let disk = &self.place.machine.disk;
                let before = disk.stat(&path).await;
                disk.write_file(&path, content).await?;
                // bashkit makes a new file of it; the mode of an old one stays.
                if let Ok(before) = before {
                    disk.chmod(&path, before.mode).await?;
                }
                self.stamp(&path).await
            }
        }
    }

    async fn append_file(&self, path: &Path, content: &[u8]) -> bashkit::Result<()> {
        match self.owner(path) {
            Owner::Disk(path) => {
                self.place.machine.disk.append_file(&path, content).await?;
                self.stamp(&path).await
            }
            _ => self.write_file(path, content).await,
        }
    }

    async fn mkdir(&self, path: &Path, recursive: bool) -> bashkit::Result<()> {
        let (disk, path) = self.disk(path)?;
        disk.mkdir(&path, recursive).await?;
        self.stamp(&path).await
    }

    async fn remove(&self, path: &Path, recursive: bool) -> bashkit::Result<()> {
        let (disk, path) = self.disk(path)?;
        disk.remove(&path, recursive).await
    }

    async fn stat(&self, path: &Path) -> bashkit::Result<Metadata> {
        match self.owner(path) {
            Owner::Kernel(path) => Ok(metadata_of(&self.node(&path)?)),
            Owner::Netns(name) => Ok(self.netns_metadata(name.as_deref())?),
            Owner::Tty => Ok(metadata(FileType::File, 0o666)),
            Owner::Disk(own) => match self.place.machine.disk.stat(&own).await {
                // The way to what is mounted.
                Err(_) if !self.mounted_below(path).is_empty() => Ok(metadata(FileType::Directory, 0o755)),
                found => Ok(without_clock(found?)),
            },
        }
    }

    async fn read_dir(&self, path: &Path) -> bashkit::Result<Vec<DirEntry>> {
        match self.owner(path) {
            Owner::Kernel(path) => {
                let nodes = self.world(|world| procfs::list(world, self.caller(), &path)).map_err(refused)?;
                Ok(nodes
                    .into_iter()
                    .map(|(name, node)| DirEntry { name, metadata: metadata_of(&node) })
                    .collect())
            }
            Owner::Netns(_) => {
                let entry = |name| DirEntry { name, metadata: metadata(FileType::File, 0o444) };
                Ok(self.names().into_iter().map(entry).collect())
            }
            Owner::Tty => Err(refused(Errno::ENOTDIR).into()),
            Owner::Disk(own) => {
                let (disk, mounted) = (&self.place.machine.disk, self.mounted_below(path));
                let entries = match disk.read_dir(&own).await {
                    Err(_) if !mounted.is_empty() => Vec::new(),
                    found => found?,
                };
                let is_mounted = |entry: &DirEntry| mounted.iter().any(|(name, _)| *name == entry.name);
                let mut all: Vec<DirEntry> = entries
                    .into_iter()
                    .filter(|entry| !is_mounted(entry))
                    .map(|entry| DirEntry { metadata: without_clock(entry.metadata), ..entry })
                    .collect();
                for (name, from) in mounted {
                    let found = match from {
                        Some(from) => without_clock(disk.stat(&from).await?),
                        None => metadata(FileType::Directory, 0o755),
                    };
                    if !all.iter().any(|entry| entry.name == name) {
                        all.push(DirEntry { name, metadata: found });
                    }
                }
                Ok(all)
            }
        }
    }

    async fn exists(&self, path: &Path) -> bashkit::Result<bool> {
        match self.owner(path) {
            Owner::Disk(own) if self.mounted_below(path).is_empty() => {
                self.place.machine.disk.exists(&own).await
            }
            _ => Ok(self.stat(path).await.is_ok()),
        }
    }

    async fn rename(&self, from: &Path, to: &Path) -> bashkit::Result<()> {
        let (disk, from) = self.disk(from)?;
        disk.rename(&from, &self.disk(to)?.1).await
    }

    async fn copy(&self, from: &Path, to: &Path) -> bashkit::Result<()> {
        let content = self.read_file(from).await?;
        self.write_file(to, &content).await
    }

    async fn symlink(&self, target: &Path, link: &Path) -> bashkit::Result<()> {
        let (disk, link) = self.disk(link)?;
        disk.symlink(target, &link).await?;
        self.stamp(&link).await
    }

    async fn read_link(&self, path: &Path) -> bashkit::Result<PathBuf> {
        match self.owner(path) {
            Owner::Kernel(path) => match self.node(&path)? {
                Node::Link(target) => Ok(PathBuf::from(target)),
                _ => Err(refused(Errno::EINVAL).into()),
            },
            Owner::Disk(path) => self.place.machine.disk.read_link(&path).await,
            Owner::Netns(_) | Owner::Tty => Err(refused(Errno::EINVAL).into()),
        }
    }

    async fn chmod(&self, path: &Path, mode: u32) -> bashkit::Result<()> {
        let (disk, path) = self.disk(path)?;
        disk.chmod(&path, mode).await
    }

    async fn set_modified_time(&self, path: &Path, time: SystemTime) -> bashkit::Result<()> {
        // bashkit's `touch` takes the host's clock for the present.
        #[allow(clippy::disallowed_methods, reason = "to tell the host's clock from a time that was given")]
        let ago = SystemTime::now().duration_since(time);
        match self.owner(path) {
            Owner::Disk(path) if ago.is_ok_and(|ago| ago < Duration::from_secs(1)) => self.stamp(&path).await,
            Owner::Disk(path) => self.place.machine.disk.set_modified_time(&path, time).await,
            // Devices and what the kernel serves keep no time.
            _ => self.stat(path).await.map(|_| ()),
        }
    }
}

#[async_trait]
impl FileSystemExt for MachineFs {
    fn usage(&self) -> FsUsage {
        self.place.machine.disk.usage()
    }

    fn limits(&self) -> FsLimits {
        self.place.machine.disk.limits()
    }
}

/// The same files, for programs.
pub(super) struct ProgramFiles(pub Arc<MachineFs>);

fn to_io(error: bashkit::Error) -> io::Error {
    match error {
        bashkit::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

impl Files for ProgramFiles {
    fn read<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<Vec<u8>>> {
        Box::pin(async move { self.0.read_file(Path::new(path)).await.map_err(to_io) })
    }

    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        Box::pin(async move { self.0.write_file(Path::new(path), bytes).await.map_err(to_io) })
    }

    fn append<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        Box::pin(async move { self.0.append_file(Path::new(path), bytes).await.map_err(to_io) })
    }

    fn remove<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<()>> {
        Box::pin(async move { FileSystem::remove(&*self.0, Path::new(path), false).await.map_err(to_io) })
    }

    fn make_dir<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<()>> {
        Box::pin(async move { self.0.mkdir(Path::new(path), true).await.map_err(to_io) })
    }

    fn list<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<Vec<(String, bool)>>> {
        Box::pin(async move {
            let entries = self.0.read_dir(Path::new(path)).await.map_err(to_io)?;
            let is_dir = |entry: &DirEntry| entry.metadata.file_type == FileType::Directory;
            Ok(entries.into_iter().map(|entry| (entry.name.clone(), is_dir(&entry))).collect())
        })
    }
}
