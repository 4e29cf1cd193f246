//! A packet tap on every device of a network namespace: one AF_PACKET socket bound to no device, with a [ring](super::ring). A VLAN
//! tag that stands beside a frame is written into it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread::JoinHandle;

use glassnet_kernel::tables::vlan_tag::{VlanProto, VlanTag};
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::Direction;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};

use super::ring::{Ring, Taken};

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
    thread: JoinHandle<Seen>,
}

/// What a tap saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub frames: Vec<SeenFrame>,
    /// How many frames it had no room for.
    pub lost: u32,
}

/// Room for long frames of a flood that the reader has not taken yet, in bytes.
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
            Ok(ring) => {
                drop(netns);
                let _ = opened.send(Ok(()));
                reader.read(ring)
            }
            Err(e) => {
                let _ = opened.send(Err(e));
                Seen::default()
            }
        });
        match is_open.recv() {
            Ok(Ok(())) => Ok(Self { stop, thread }),
            Ok(Err(e)) => Err(failed()(e)),
            Err(_) => Err(failed()(std::io::Error::other("its thread is gone"))),
        }
    }

    /// Takes what is still queued, closes the tap and so lets go of the namespace.
    pub fn stop(self) -> Seen {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

fn open(netns: &File) -> std::io::Result<Ring> {
    setns(netns.as_fd(), CloneFlags::CLONE_NEWNET)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    // The kernel stamps frames when they are queued.
    setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
    Ring::new(fd)
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
    fn read(mut self, mut ring: Ring) -> Seen {
        let mut frames = Vec::new();
        let mut last_round = false;
        loop {
            while let Ok(Some(taken)) = ring.take() {
                let mut frame = self.seen(taken);
                // A received frame has the time at which it was queued: one that is seen later is later.
                frame.at_ns = frame.at_ns.max(frames.last().map_or(0, |last: &SeenFrame| last.at_ns));
                frames.push(frame);
            }
            if last_round {
                return Seen { frames, lost: ring.lost() };
            }
            let mut either =
                [ring.socket().as_fd(), self.stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let _ = poll(&mut either, PollTimeout::NONE);
            last_round = either[1].any().unwrap_or(false);
        }
    }

    fn seen(&mut self, Taken { header, address, mut bytes }: Taken) -> SeenFrame {
        if let Some(tag) = vlan_tag(&header) {
            tag.write_into(&mut bytes);
        }
        SeenFrame {
            machine: self.machine.clone(),
            netns: self.netns.clone(),
            device: self.name(address.sll_ifindex as usize),
            direction: direction(address.sll_pkttype),
            at_ns: u128::from(header.tp_sec) * 1_000_000_000 + u128::from(header.tp_nsec),
            raw: !matches!(address.sll_hatype, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK),
            bytes,
        }
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

/// The VLAN tag beside a frame.
fn vlan_tag(header: &libc::tpacket2_hdr) -> Option<VlanTag> {
    const VALID: u32 = libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID;
    let proto = VlanProto::of(header.tp_vlan_tpid).filter(|_| header.tp_status & VALID == VALID)?;
    Some(VlanTag { proto, tci: header.tp_vlan_tci })
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
