//! `/dev/net/tun` of programs: system calls, and waiting.

use glassnet_kernel::drivers::tun::{
    tun_chr_close, tun_chr_ioctl, tun_chr_open, tun_do_read, tun_get_user, tun_set_iff,
};
use glassnet_kernel::ids::{NetnsId, TunFileId};
use glassnet_kernel::netlink::{Errno, NlError};
use glassnet_kernel::tables::tun::TunStruct;
use glassnet_kernel::world::World;

use crate::process::Process;
use crate::task::Task;

/// An open `/dev/net/tun`; closed when dropped, also when a signal kills its program.
pub struct TunFd {
    task: Task,
    id: TunFileId,
}

impl Drop for TunFd {
    fn drop(&mut self) {
        let id = self.id;
        self.task.call(|cx| tun_chr_close(cx, id));
    }
}

impl TunFd {
    /// Opens the file in a namespace.
    pub fn open(process: &Process, netns: NetnsId) -> TunFd {
        let task = Task::of(process);
        let id = process.syscall(|cx| tun_chr_open(cx, netns, (task.pid, task.comm.clone())));
        TunFd { task, id }
    }

    /// Attaches to a device (`TUNSETIFF`), and returns its name.
    ///
    /// # Errors
    ///
    /// As of [`tun_set_iff`].
    pub fn set_iff(&self, name: &str, flags: u16) -> Result<String, NlError> {
        self.task.call(|cx| tun_set_iff(cx, self.id, name, flags))
    }

    /// Changes the device.
    ///
    /// # Errors
    ///
    /// As of [`tun_chr_ioctl`].
    pub fn change(&self, change: impl FnOnce(&mut TunStruct)) -> Result<(), Errno> {
        self.task.call(|cx| tun_chr_ioctl(cx, self.id, change))
    }

    /// Reads a packet of at most `max` bytes, if one waits.
    ///
    /// # Errors
    ///
    /// As of [`tun_do_read`].
    pub fn read(&self, max: usize) -> Result<Option<Vec<u8>>, Errno> {
        self.task.call(|cx| tun_do_read(cx, self.id, max))
    }

    /// Writes a packet.
    ///
    /// # Errors
    ///
    /// As of [`tun_get_user`].
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.task.call(|cx| tun_get_user(cx, self.id, bytes))
    }

    /// Writing would not block: the device is up.
    pub fn writable(&self) -> impl Fn(&World) -> bool + Send + use<> {
        let (machine, id) = (self.task.machine, self.id);
        move |world| {
            let kernel = world.kernel(machine);
            let tun = kernel.tun_files.get(id).and_then(|file| file.tun);
            tun.is_none_or(|dev| kernel.devs.get(dev).is_some_and(|dev| dev.is_up()))
        }
    }

    /// Reading would not block.
    pub fn readable(&self) -> impl Fn(&World) -> bool + Send + use<> {
        let (machine, id) = (self.task.machine, self.id);
        move |world| {
            let file = world.kernel(machine).tun_files.get(id);
            file.is_some_and(|file| file.tun.is_none() || !file.tx_ring.is_empty())
        }
    }
}
