//! The first file system of the guest: busybox, the modules that its real one needs, and a script that changes to it.

use std::io;
use std::path::Path;

use super::kernel::Kernel;

/// Modules by which the guest reads this machine's files, in the order in which they need each other.
const MODULES: [&str; 11] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "fs/netfs/netfs",
    "fs/fscache/fscache",
    "net/9p/9pnet",
    "net/9p/9pnet_virtio",
    "fs/9p/9p",
    "fs/overlayfs/overlay",
];

/// The mount tag of this machine's files.
pub(super) const ROOT_TAG: &str = "root";

/// The archive (`newc`; Documentation/driver-api/early-userspace/buffer-format.rst). `command` becomes the guest's first process.
pub(super) fn archive(kernel: &Kernel, busybox: &Path, command: &str) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "modules", "proc", "sys", "lower", "upper", "newroot"] {
        archive.add(folder, FOLDER, &[]);
    }
    archive.add("bin/busybox", PROGRAM, &std::fs::read(busybox)?);
    let mut script = String::from("#!/bin/busybox sh\n");
    for module in MODULES {
        let path = kernel.modules().join("kernel").join(format!("{module}.ko"));
        // Some are built in, depending on the kernel's version.
        let Ok(bytes) = std::fs::read(path) else { continue };
        let file = format!("modules/{}.ko", module.rsplit('/').next().unwrap_or(module));
        archive.add(&file, PROGRAM, &bytes);
        script += &format!("/bin/busybox insmod /{file}\n");
    }
    script += &format!(
        "b=/bin/busybox
set -e
trap '$b poweroff -f' EXIT
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro {ROOT_TAG} /lower
$b mount -t tmpfs tmpfs /upper
$b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /newroot
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec $b switch_root /newroot {command}
"
    );
    archive.add("init", PROGRAM, script.as_bytes());
    archive.add("TRAILER!!!", 0, &[]);
    Ok(archive.bytes)
}

/// Modes of inodes.
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        let (size, name_size) = (content.len() as u32, name.len() as u32 + 1);
        // ino, mode, uid, gid, nlink, mtime, filesize, 2 of the device, 2 of a special file's, namesize, check.
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        self.bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_begin_at_multiples_of_four() {
        let mut archive = Archive::default();
        archive.add("ab", PROGRAM, b"hello");
        archive.add("c", FOLDER, b"");
        let at = |needle: &[u8]| archive.bytes.windows(needle.len()).position(|window| window == needle);
        assert_eq!(at(b"ab\0"), Some(110));
        assert_eq!(at(b"hello"), Some(116));
        assert_eq!(archive.bytes[116..].windows(6).position(|window| window == b"070701"), Some(8));
        assert_eq!(archive.bytes.len() % 4, 0);
    }
}
