//! The ring of a packet socket (`PACKET_RX_RING`, Documentation/networking/packet_mmap.rst): the kernel copies the beginning of each
//! frame into it when the frame passes the tap. A socket without one gets a handle of the packet, and finds in it what others write
//! afterwards.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::libc::{
    self, PACKET_COPY_THRESH, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, SOL_PACKET, TP_STATUS_COPY,
    TP_STATUS_KERNEL, TP_STATUS_USER, sockaddr_ll, tpacket_req, tpacket_stats, tpacket_versions,
    tpacket2_hdr,
};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::socket::{MsgFlags, recv};

/// Bytes of a slot: the kernel's header, an address, and a frame of an Ethernet's MTU. Of what is longer, as before it is cut into
/// segments, the socket gets a handle, too.
const SLOT: usize = 2048;
/// Slots for the frames of a flood that the reader has not taken yet.
const SLOTS: usize = 4096;
/// The kernel allocates the ring in blocks of so many bytes.
const BLOCK: usize = 1 << 16;
const LENGTH: NonZeroUsize = NonZeroUsize::new(SLOT * SLOTS).expect("not 0");
/// Where the address stands in a slot.
const ADDRESS: usize = size_of::<tpacket2_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);

/// A frame as it passed the tap.
pub(super) struct Taken {
    /// The header of its slot.
    pub header: tpacket2_hdr,
    /// Whence, and whereto.
    pub address: sockaddr_ll,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// A ring, mapped into memory.
pub(super) struct Ring {
    socket: OwnedFd,
    start: NonNull<u8>,
    next: usize,
}

// SAFETY: the memory belongs to the ring alone, wherever that is.
unsafe impl Send for Ring {}

impl Ring {
    /// Gives a socket a ring, before it is bound to anything.
    pub fn new(socket: OwnedFd) -> io::Result<Ring> {
        set(&socket, PACKET_VERSION, &(tpacket_versions::TPACKET_V2 as libc::c_int))?;
        set(&socket, PACKET_COPY_THRESH, &1_i32)?;
        let [block, blocks, slot, slots] = [BLOCK, SLOT * SLOTS / BLOCK, SLOT, SLOTS].map(|n| n as u32);
        let request = tpacket_req {
            tp_block_size: block,
            tp_block_nr: blocks,
            tp_frame_size: slot,
            tp_frame_nr: slots,
        };
        set(&socket, PACKET_RX_RING, &request)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, of the length that the ring has.
        let start = unsafe { mmap(None, LENGTH, access, MapFlags::MAP_SHARED, &socket, 0) }?.cast();
        Ok(Ring { socket, start, next: 0 })
    }

    /// The socket, to wait for it.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The next frame; none if there is none yet.
    pub fn take(&mut self) -> Result<Option<Taken>, Errno> {
        // SAFETY: `next` is a slot of the mapping, whose header, at its aligned beginning, has the status first.
        let (slot, status) = unsafe {
            let slot = self.start.add(self.next * SLOT);
            (slot, slot.cast::<AtomicU32>().as_ref())
        };
        let said = status.load(Ordering::Acquire);
        if said & TP_STATUS_USER == 0 {
            return Ok(None);
        }
        // SAFETY: the slot is this side's until the status is given back; the kernel wrote both, and the frame inside of the slot.
        let (header, address, seen) = unsafe {
            let header = slot.cast::<tpacket2_hdr>().read();
            let address = slot.add(ADDRESS).cast::<sockaddr_ll>().read();
            let from = usize::from(header.tp_mac).min(SLOT);
            let length = (header.tp_snaplen as usize).min(SLOT - from);
            (header, address, std::slice::from_raw_parts(slot.add(from).as_ptr(), length).to_vec())
        };
        status.store(TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % SLOTS;
        let mut bytes = seen;
        if said & TP_STATUS_COPY != 0 {
            let mut whole = vec![0; header.tp_len as usize];
            let length = self.receive(&mut whole)?;
            bytes.extend_from_slice(whole[..length].get(bytes.len()..).unwrap_or_default());
        }
        Ok(Some(Taken { header, address, bytes }))
    }

    /// The whole of a long frame. A device that goes down leaves an error at the socket, which is not the frame.
    fn receive(&self, whole: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match recv(self.socket.as_raw_fd(), whole, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::ENETDOWN | Errno::EINTR) => {}
                received => return received,
            }
        }
    }

    /// How many frames found no room since this was asked last.
    pub fn lost(&self) -> u32 {
        let mut stats = tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of::<tpacket_stats>() as libc::socklen_t;
        // SAFETY: the kernel writes as much as `length` says.
        let done = unsafe {
            let to = (&raw mut stats).cast();
            libc::getsockopt(self.socket.as_raw_fd(), SOL_PACKET, PACKET_STATISTICS, to, &raw mut length)
        };
        if done == 0 { stats.tp_drops } else { 0 }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and nobody else knows of it.
        let _unmapped = unsafe { munmap(self.start.cast(), LENGTH.get()) };
    }
}

fn set<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let (value, length) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the value lives during the call, and is as long.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), SOL_PACKET, option, value, length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
