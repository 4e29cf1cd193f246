//! Tun and tap devices, and the files by which programs have their packets.
//!
//! Kernel: drivers/net/tun.c, include/uapi/linux/if_tun.h

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{DevId, NetnsId, SkbId, TunFileId};

/// Packets without a link header.
pub const IFF_TUN: u16 = 0x0001;
/// Frames.
pub const IFF_TAP: u16 = 0x0002;
/// The device stays when no program has it.
pub const IFF_PERSIST: u16 = 0x0800;
/// No packet information in front of each packet.
pub const IFF_NO_PI: u16 = 0x1000;
/// Has no effect since Linux 3.8.
pub const IFF_ONE_QUEUE: u16 = 0x2000;
/// The device must not be there yet (`TUNSETIFF` only).
pub const IFF_TUN_EXCL: u16 = 0x8000;

/// What only a tun or tap device has (`struct tun_struct`).
#[derive(Clone, Copy, Debug, Default)]
pub struct TunStruct {
    /// `IFF_*` of this file.
    pub flags: u16,
    /// The user who may attach to it; `None`: only the administrator.
    pub owner: Option<u32>,
    /// The same for a group.
    pub group: Option<u32>,
    /// The file that has its packets.
    pub file: Option<TunFileId>,
}

/// An open `/dev/net/tun` (`struct tun_file`).
#[derive(Debug)]
pub struct TunFile {
    /// The namespace in which it was opened.
    pub netns: NetnsId,
    /// The program that opened it: process id and name.
    pub owner: (u32, String),
    /// The device that it is attached to.
    pub tun: Option<DevId>,
    /// Packets that the device sent and nobody has read yet (`tx_ring`).
    pub tx_ring: VecDeque<SkbId>,
}

/// The open files of a machine.
#[derive(Debug, Default)]
pub struct TunFiles {
    files: BTreeMap<TunFileId, TunFile>,
    opened: u32,
}

impl TunFiles {
    /// Adds a file that is attached to no device.
    pub fn open(&mut self, netns: NetnsId, owner: (u32, String)) -> TunFileId {
        let id = TunFileId(self.opened);
        self.opened += 1;
        self.files.insert(id, TunFile { netns, owner, tun: None, tx_ring: VecDeque::new() });
        id
    }

    /// Removes a file.
    pub fn close(&mut self, id: TunFileId) -> Option<TunFile> {
        self.files.remove(&id)
    }

    /// The file, if it is open.
    pub fn get(&self, id: TunFileId) -> Option<&TunFile> {
        self.files.get(&id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: TunFileId) -> Option<&mut TunFile> {
        self.files.get_mut(&id)
    }

    /// All files, in the order in which they were opened.
    pub fn iter(&self) -> impl Iterator<Item = &TunFile> {
        self.files.values()
    }
}
