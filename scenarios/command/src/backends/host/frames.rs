//! A packet tap on every device of a network namespace: one AF_PACKET socket bound to no device. A VLAN tag that stands beside a
//! frame is written into it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IoSliceMut, PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use glassnet_kernel::tables::vlan_tag::{VlanProto, VlanTag};
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::Direction;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
    setsockopt, socket, sockopt,
};

/// A frame with the wall-clock time that the kernel stamped on it.
#[derive(Clone, Debug)]
pub(super) struct SeenFrame {
    pub machine: String,
    pub netns: String,
    pub device: String,
    pub direction: Direction,
    /// Nanoseconds since the epoch.
    pub at_ns: u128,
    /// The device's packets have no link header.
    pub raw: bool,
    pub bytes: Vec<u8>,
}

/// A thread that reads one tap.
pub(super) struct Tap {
    /// Its closing tells the thread to end. The thread sleeps until then or until a frame comes: in virtual time it would
    /// otherwise wake a hundred times in each second of a day that nobody waits for.
    stop: PipeWriter,
    thread: JoinHandle<Vec<SeenFrame>>,
}

/// Room for the frames of a flood that the reader has not taken yet, in bytes.
const RECEIVE_BUFFER: usize = 64 << 20;

impl Tap {
    /// Opens the tap; every frame after this returns is seen.
    pub fn start(netns: &File, machine: &str, name: &str) -> Result<Self, BackendError> {
        let failed = || BackendError::failed("cannot open a packet tap");
        let netns = netns.try_clone().map_err(failed())?;
        let (stopped, stop) = pipe().map_err(failed())?;
        let (opened, is_open) = mpsc::channel();
        let reader = Reader { machine: machine.into(), netns: name.into(), stopped, names: BTreeMap::new() };
        let thread = std::thread::spawn(move || match open(&netns) {
            Ok(socket) => {
                drop(netns);
                let _ = opened.send(Ok(()));
                reader.read(&socket)
            }
            Err(e) => {
                let _ = opened.send(Err(e));
                Vec::new()
            }
        });
        match is_open.recv() {
            Ok(Ok(())) => Ok(Self { stop, thread }),
            Ok(Err(e)) => Err(failed()(e)),
            Err(_) => Err(failed()(std::io::Error::other("its thread is gone"))),
        }
    }

    /// Takes what is still queued, closes the tap and so lets go of the namespace.
    pub fn stop(self) -> Vec<SeenFrame> {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

fn open(netns: &File) -> std::io::Result<OwnedFd> {
    setns(netns.as_fd(), CloneFlags::CLONE_NEWNET)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
    tell_tags(&fd)?;
    Ok(fd)
}

/// The socket tells what the kernel knows of each frame besides its bytes: a VLAN tag that a device took out, or would put in.
fn tell_tags(fd: &OwnedFd) -> std::io::Result<()> {
    let (on, len) = (1_i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the option's value is an int that lives during the call.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, (&raw const on).cast(), len)
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

struct Reader {
    machine: String,
    netns: String,
    /// Closed at the other end when the tap is.
    stopped: PipeReader,
    /// Last known name of each ifindex, for a device that is gone when its frame is read.
    names: BTreeMap<usize, String>,
}

impl Reader {
    fn read(mut self, socket: &OwnedFd) -> Vec<SeenFrame> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        let mut last_round = false;
        loop {
            while let Ok(Some(mut frame)) = self.next(socket, &mut buffer) {
                // A received frame has the time at which it was queued: one that is seen later is later.
                frame.at_ns = frame.at_ns.max(frames.last().map_or(0, |last: &SeenFrame| last.at_ns));
                frames.push(frame);
            }
            if last_round {
                return frames;
            }
            let mut either =
                [socket.as_fd(), self.stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let _ = poll(&mut either, PollTimeout::NONE);
            last_round = either[1].any().unwrap_or(false);
        }
    }

    /// The next queued frame; none when the queue is empty. A device that goes down leaves an error in the
    /// queue, which is not a frame and not an end.
    fn next(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> Result<Option<SeenFrame>, Errno> {
        loop {
            match self.receive(socket, buffer) {
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ENETDOWN | Errno::EINTR) => {}
                Err(e) => return Err(e),
                Ok(frame) => return Ok(Some(frame)),
            }
        }
    }

    fn receive(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> Result<SeenFrame, Errno> {
        let mut parts = [IoSliceMut::new(buffer)];
        let mut space = nix::cmsg_space!(nix::sys::time::TimeSpec, libc::tpacket_auxdata);
        let got = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
        let (index, kind, length) =
            (got.address.map_or(0, |a| a.ifindex()), got.address.map_or(0, |a| a.pkttype()), got.bytes);
        let raw =
            got.address.is_some_and(|a| !matches!(a.hatype(), libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK));
        let messages: Vec<ControlMessageOwned> = got.cmsgs()?.collect();
        let at_ns = messages.iter().find_map(stamp).unwrap_or_default();
        let tag = messages.iter().find_map(vlan_tag);
        let (machine, netns) = (self.machine.clone(), self.netns.clone());
        let device = self.name(index);
        let mut bytes = buffer[..length].to_vec();
        if let Some(tag) = tag {
            tag.write_into(&mut bytes);
        }
        Ok(SeenFrame { machine, netns, device, direction: direction(kind), at_ns, raw, bytes })
    }

    fn name(&mut self, index: usize) -> String {
        // The thread lives in the namespace, so this asks there.
        let now = nix::net::if_::if_indextoname(index as u32).ok().and_then(|n| n.into_string().ok());
        if let Some(name) = now {
            self.names.insert(index, name);
        }
        self.names.get(&index).cloned().unwrap_or_else(|| format!("if{index}"))
    }
}

fn stamp(message: &ControlMessageOwned) -> Option<u128> {
    match message {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(*at).as_nanos()),
        _ => None,
    }
}

/// The VLAN tag beside a frame: the last two numbers of `struct tpacket_auxdata`, if its first says that they hold.
fn vlan_tag(message: &ControlMessageOwned) -> Option<VlanTag> {
    const VALID: u32 = libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID;
    let ControlMessageOwned::Unknown(message) = message else { return None };
    let header = message.cmsg_header;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
        return None;
    }
    let (status, rest) = message.data_bytes.split_first_chunk()?;
    let [.., a, b, c, d] = *rest.first_chunk::<16>()?;
    let proto = VlanProto::of(u16::from_ne_bytes([c, d]))?;
    let is_there = u32::from_ne_bytes(*status) & VALID == VALID;
    is_there.then_some(VlanTag { proto, tci: u16::from_ne_bytes([a, b]) })
}

/// `sll_pkttype` of packet(7).
fn direction(kind: u8) -> Direction {
    match kind {
        0 => Direction::Host,
        1 => Direction::Broadcast,
        2 => Direction::Multicast,
        3 => Direction::OtherHost,
        _ => Direction::Out,
    }
}
