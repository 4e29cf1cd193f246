//! TCP sockets of programs: listen, accept, connect, read, write.

use glassnet_kernel::ids::{MachineId, SocketId};
use glassnet_kernel::net::socket as sys;
use glassnet_kernel::net::socket::SendTo;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use std::net::Ipv4Addr;

use crate::process::{Process, Woken};
use crate::sock::Sock;

/// Size of a read, bytes.
pub const BUFSIZE: usize = 16_384;

/// Writing to this socket would not block.
pub fn writable(world: &World, machine: MachineId, id: SocketId) -> bool {
    world.kernel(machine).sockets.get(id).is_some_and(|socket| {
        let has_room = || socket.tcp.as_ref().map_or_else(|| socket.is_writeable(), |tp| tp.is_writable());
        socket.error.is_some() || has_room()
    })
}

/// An error is queued: `poll(2)` returns, though the connection goes on (`POLLERR`).
fn error_queued(world: &World, machine: MachineId, id: SocketId) -> bool {
    let socket = world.kernel(machine).sockets.get(id);
    socket.and_then(|socket| socket.tcp.as_ref()).is_some_and(|tp| tp.error_queued)
}

/// As [`Process::wait`], by `poll(2)`, which may end up to a thousandth of its time late: it ends with what else the CPU is woken for
/// then, whose work comes first (`select_estimate_accuracy` in fs/select.c).
async fn poll<T>(
    process: &mut Process,
    deadline: Option<Nanos>,
    mut ready: impl FnMut(&mut World) -> Option<T> + Send,
) -> Woken<T> {
    /// How late it may be at most.
    const MAX_SLACK: Nanos = Nanos::from_millis(100);
    let began = process.now();
    let woken = process.wait(deadline, &mut ready).await;
    let (Woken::Elapsed, Some(at)) = (&woken, deadline) else { return woken };
    let slack = Nanos(at.since(began).0 / 1000).min(MAX_SLACK);
    let next = {
        let world = process.world();
        let cpu = process.cpu(&world);
        world.kernel(process.machine).timers[cpu.index()].next_in(at..=at + slack)
    };
    match next {
        Some(next) => process.wait(Some(next), ready).await,
        None => woken,
    }
}

impl Sock {
    /// Opens a TCP socket in the namespace of the program.
    pub fn stream(process: &Process) -> Sock {
        Sock::open(process, SockKind::Tcp)
    }

    /// `listen(2)`.
    ///
    /// # Errors
    ///
    /// As of [`sys::listen`].
    pub fn listen(&self, backlog: usize) -> Result<(), Errno> {
        self.call(|cx| sys::listen(cx, self.id, backlog))
    }

    /// Accepts the next connection, if there is one.
    ///
    /// # Errors
    ///
    /// As of [`sys::accept`].
    pub fn accept(&self) -> Result<Option<Sock>, Errno> {
        let child = self.call(|cx| sys::accept(cx, self.id))?;
        Ok(child.map(|id| self.beside(id)))
    }

    /// The other end (`getpeername(2)`).
    pub fn peer(&self) -> Option<(Ipv4Addr, u16)> {
        self.call(|cx| sys::get(cx, self.id).ok().and_then(|socket| socket.remote))
    }

    /// Reads up to `max` bytes: `None` if no data is available, no bytes at end of stream.
    ///
    /// # Errors
    ///
    /// As of [`sys::recv_stream`].
    pub fn read(&self, max: usize) -> Result<Option<Vec<u8>>, Errno> {
        self.call(|cx| sys::recv_stream(cx, self.id, max))
    }

    /// Writes; returns the number of bytes accepted.
    ///
    /// # Errors
    ///
    /// As of [`sys::sendto`].
    pub fn write(&self, data: &[u8]) -> Result<usize, Errno> {
        self.call(|cx| sys::sendto(cx, self.id, SendTo::Connected, data))
    }

    /// `shutdown(2)`.
    ///
    /// # Errors
    ///
    /// As of [`sys::shutdown`].
    pub fn shutdown(&self, read: bool, write: bool) -> Result<(), Errno> {
        self.call(|cx| sys::shutdown(cx, self.id, read, write))
    }

    /// Sender of the next datagram (`MSG_PEEK`).
    pub fn peek_sender(&self) -> Option<(Ipv4Addr, u16)> {
        let from = self.call(|cx| sys::peek_from(cx, self.id))?;
        Some((from.0, from.1))
    }

    /// Takes the pending error (`SO_ERROR`).
    pub fn take_error(&self) -> Option<Errno> {
        self.call(|cx| sys::take_error(cx, self.id))
    }

    /// Waits for connect(2): success, or the error. With a deadline the program polls, and so hears of an error that does not
    /// end the attempt.
    pub async fn connected(
        &self,
        process: &mut Process,
        deadline: Option<Nanos>,
    ) -> Woken<Result<(), Errno>> {
        let (machine, id, polls) = (self.task.machine, self.id, deadline.is_some());
        let ready = move |world: &mut World| {
            (writable(world, machine, id) || polls && error_queued(world, machine, id)).then_some(())
        };
        match poll(process, deadline, ready).await {
            Woken::Ready(()) => Woken::Ready(self.take_error().map_or(Ok(()), Err)),
            Woken::Elapsed => Woken::Elapsed,
            Woken::Signal(signal) => Woken::Signal(signal),
        }
    }

    /// Writes all of `data`.
    pub async fn write_all(
        &self,
        process: &mut Process,
        mut data: &[u8],
        deadline: Option<Nanos>,
    ) -> Woken<Result<(), Errno>> {
        let (machine, id) = (self.task.machine, self.id);
        while !data.is_empty() {
            match self.write(data) {
                Ok(0) => {}
                Ok(taken) => {
                    data = &data[taken..];
                    continue;
                }
                Err(errno) => return Woken::Ready(Err(errno)),
            }
            match process.wait(deadline, move |world| writable(world, machine, id).then_some(())).await {
                Woken::Ready(()) => {}
                Woken::Elapsed => return Woken::Elapsed,
                Woken::Signal(signal) => return Woken::Signal(signal),
            }
        }
        Woken::Ready(Ok(()))
    }
}
