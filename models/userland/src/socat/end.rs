//! What is open: reading from it and writing to it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::world::World;

use super::open::{connect_call, connected_from};
use super::{Log, Res, error};
use crate::process::Process;
use crate::sock::Sock;
use crate::tun::TunFd;

/// Condition of a wait.
pub type Ready = Box<dyn Fn(&World) -> bool + Send>;

/// Standard input and output.
#[derive(Clone, Copy, Debug)]
pub struct Stdio {
    /// It is read from.
    pub reads: bool,
    /// It is written to.
    pub writes: bool,
}

/// With whom a UDP socket speaks.
#[derive(Debug)]
pub enum Datagrams {
    /// With whom it is connected to.
    Connected,
    /// It sends to one address, and receives from all.
    To((Ipv4Addr, u16)),
    /// It sends to one address, and receives from that.
    Only((Ipv4Addr, u16)),
    /// It receives from all.
    From,
    /// It answers the sender of one datagram, which is not read yet if it is here.
    Answer {
        /// The sender.
        to: (Ipv4Addr, u16),
        /// The datagram.
        first: Option<Vec<u8>>,
    },
}

/// What is behind an end.
pub enum Io {
    /// The program's own.
    Stdio(Stdio),
    /// A tun or tap device.
    Tun(TunFd),
    /// A connection that is not there yet, and to whom.
    Connecting(Arc<Sock>, (Ipv4Addr, u16)),
    /// A connection.
    Tcp(Arc<Sock>),
    /// Datagrams.
    Udp(Arc<Sock>, Datagrams),
}

/// An open address.
pub struct End {
    io: Io,
    /// Descriptors for reading and writing.
    pub fds: (u32, u32),
}

impl End {
    /// An end with its descriptors.
    pub fn new(io: Io, fds: (u32, u32)) -> End {
        End { io, fds }
    }

    /// The socket of a connection that is not there yet.
    pub fn connecting(&self) -> Option<Arc<Sock>> {
        match &self.io {
            Io::Connecting(socket, _) => Some(Arc::clone(socket)),
            _ => None,
        }
    }

    /// A connection is there, or failed.
    pub fn connected(&mut self, process: &mut Process, log: Log, done: Result<(), Errno>) -> Res {
        let Io::Connecting(socket, to) = &self.io else { return Ok(()) };
        if let Err(errno) = done {
            let call = connect_call(self.fds.0, *to);
            // The queue of errors is asked first, and is empty.
            log.warning(process, &format!("recvmsg(): {}", Errno::EAGAIN.strerror()));
            return error(format!("{call}: {}", errno.strerror()));
        }
        log.notice(process, &connected_from(socket));
        self.io = Io::Tcp(Arc::clone(socket));
        Ok(())
    }

    /// It is read from standard input.
    pub fn reads_stdin(&self) -> bool {
        matches!(self.io, Io::Stdio(Stdio { reads: true, .. }))
    }

    /// Reading would not block; of standard input that is asked otherwise.
    pub fn readable(&self) -> Ready {
        match &self.io {
            Io::Stdio(_) => Box::new(|_| false),
            Io::Tun(tun) => Box::new(tun.readable()),
            Io::Udp(_, Datagrams::Answer { first, .. }) => {
                let there = first.is_some();
                Box::new(move |_| there)
            }
            Io::Connecting(socket, _) | Io::Tcp(socket) | Io::Udp(socket, _) => Box::new(socket.readable()),
        }
    }

    /// Writing would not block.
    pub fn writable(&self) -> Ready {
        match &self.io {
            Io::Stdio(_) => Box::new(|_| true),
            Io::Tun(tun) => Box::new(tun.writable()),
            Io::Connecting(socket, _) | Io::Tcp(socket) | Io::Udp(socket, _) => Box::new(socket.writable()),
        }
    }

    /// Reads at most `max` bytes; none at the end, `None` if there is nothing now. `input` is what was read from standard input.
    pub fn read(&mut self, max: usize, input: &mut Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Errno> {
        let cut = |mut bytes: Vec<u8>| {
            bytes.truncate(max);
            bytes
        };
        match &mut self.io {
            Io::Stdio(stdio) if stdio.reads => Ok(input.take()),
            Io::Stdio(_) => Err(Errno::EBADF),
            Io::Tun(tun) => tun.read(max),
            Io::Connecting(..) => Ok(None),
            Io::Tcp(socket) => socket.read(max),
            // After its one datagram it is at the end.
            Io::Udp(_, Datagrams::Answer { first, .. }) => Ok(Some(cut(first.take().unwrap_or_default()))),
            Io::Udp(socket, mode) => {
                while let Some(message) = socket.receive()? {
                    match mode {
                        Datagrams::Only(from) if *from != message.from => {}
                        _ => return Ok(Some(cut(message.data))),
                    }
                }
                Ok(None)
            }
        }
    }

    /// Writes; returns how many bytes were taken.
    pub fn write(&self, process: &mut Process, bytes: &[u8]) -> Result<usize, Errno> {
        match &self.io {
            Io::Stdio(stdio) if stdio.writes => {
                process.print(bytes);
                Ok(bytes.len())
            }
            Io::Stdio(_) => Err(Errno::EBADF),
            Io::Tun(tun) => tun.write(bytes),
            Io::Connecting(..) => Ok(0),
            Io::Tcp(socket) | Io::Udp(socket, Datagrams::Connected) => socket.write(bytes),
            Io::Udp(socket, Datagrams::To(to) | Datagrams::Only(to) | Datagrams::Answer { to, .. }) => {
                socket.send_to(to.0, to.1, bytes)
            }
            Io::Udp(_, Datagrams::From) => Err(Errno::EDESTADDRREQ),
        }
    }

    /// Nothing more is written.
    pub fn shutdown(&self) {
        if let Io::Tcp(socket) = &self.io {
            // The other end may have closed meanwhile.
            let _closed = socket.shutdown(false, true);
        }
    }
}
