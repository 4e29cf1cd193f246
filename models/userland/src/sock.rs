//! Sockets of programs: system calls, and waiting.

use std::net::Ipv4Addr;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::{MachineId, SocketId};
use glassnet_kernel::net::ipv4::af_inet::{inet_bind, inet_connect};
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::net::socket::{self as sys, SendTo};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::route_types::RouteQuery;
use glassnet_kernel::tables::socket::{Received, SockError, SockKind, SockOpts};
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use crate::process::{BOOT_TIME, Process, Woken};
use crate::stream::writable;
use crate::task::Task;

/// An open socket; closed when dropped, also when a signal kills its program.
pub struct Sock {
    pub(crate) task: Task,
    pub(crate) id: SocketId,
}

impl Drop for Sock {
    fn drop(&mut self) {
        let id = self.id;
        self.call(|cx| sys::close(cx, id));
    }
}

impl Sock {
    /// Opens a socket in the namespace of the program.
    pub fn open(process: &Process, kind: SockKind) -> Sock {
        let netns = process.netns;
        let vrf = process.vrf.as_ref().filter(|_| !matches!(kind, SockKind::Packet { .. }));
        let id = process.syscall(|cx| {
            let id = sys::socket(cx, netns, kind);
            if let Some((vrf, socket)) = vrf.zip(cx.k.sockets.get_mut(id)) {
                socket.opts.bound_dev_if = vrf.ifindex;
            }
            id
        });
        Sock::with(Task::of(process), id)
    }

    fn with(task: Task, id: SocketId) -> Sock {
        let socket = Sock { task, id };
        socket.call(|cx| sys::set_owner(cx, id, socket.task.pid, &socket.task.comm));
        socket
    }

    /// The handle of another socket of the program.
    pub(crate) fn beside(&self, id: SocketId) -> Sock {
        Sock::with(self.task.clone(), id)
    }

    pub(crate) fn call<R>(&self, work: impl FnOnce(&mut Cx) -> R) -> R {
        self.task.call(work)
    }

    /// Changes the socket's options.
    pub fn set(&self, change: impl FnOnce(&mut SockOpts)) {
        self.call(|cx| {
            if let Ok(socket) = sys::get_mut(cx, self.id) {
                change(&mut socket.opts);
            }
        });
    }

    /// `bind(2)` to an address and port.
    ///
    /// # Errors
    ///
    /// As of [`inet_bind`].
    pub fn bind(&self, address: Ipv4Addr, port: u16) -> Result<(), Errno> {
        self.call(|cx| inet_bind(cx, self.id, address, port))
    }

    /// `connect(2)`.
    ///
    /// # Errors
    ///
    /// As of [`inet_connect`].
    pub fn connect(&self, address: Ipv4Addr, port: u16) -> Result<(), Errno> {
        self.call(|cx| inet_connect(cx, self.id, address, port))
    }

    /// `getsockname(2)`.
    pub fn local(&self) -> (Ipv4Addr, u16) {
        self.call(|cx| sys::get(cx, self.id).map_or((Ipv4Addr::UNSPECIFIED, 0), |socket| socket.local))
    }

    /// Binds a packet socket to a device, 0: all.
    ///
    /// # Errors
    ///
    /// As of [`sys::packet_bind`].
    pub fn packet_bind(&self, ifindex: u32) -> Result<(), Errno> {
        self.call(|cx| sys::packet_bind(cx, self.id, ifindex))
    }

    /// Sets promiscuous mode on a packet socket's device, until the socket is closed.
    ///
    /// # Errors
    ///
    /// As of [`sys::packet_promisc`].
    pub fn packet_promiscuous(&self) -> Result<(), Errno> {
        self.call(|cx| sys::packet_promisc(cx, self.id))
    }

    /// Packets received by a packet socket, and those dropped with a full buffer.
    pub fn packet_statistics(&self) -> (u32, u32) {
        self.call(|cx| sys::get(cx, self.id).map_or((0, 0), |socket| (socket.packets, socket.drops)))
    }

    /// Sends a message to an address and port.
    ///
    /// # Errors
    ///
    /// As of [`sys::sendto`].
    pub fn send_to(&self, address: Ipv4Addr, port: u16, data: &[u8]) -> Result<usize, Errno> {
        self.call(|cx| sys::sendto(cx, self.id, SendTo::Inet(address, port), data))
    }

    /// Waits, before a program sends, until the send buffer has room.
    pub async fn wait_for_room(&self, process: &mut Process, deadline: Option<Nanos>) -> Woken<()> {
        if !self.call(|cx| sys::waits_for_room(cx, self.id)) {
            return Woken::Ready(());
        }
        let (machine, id) = (self.task.machine, self.id);
        process.wait(deadline, move |world| writable(world, machine, id).then_some(())).await
    }

    /// Sends the payload of a frame to a MAC address.
    ///
    /// # Errors
    ///
    /// As of [`sys::sendto`].
    pub fn send_frame(&self, to: Mac, data: &[u8]) -> Result<usize, Errno> {
        self.call(|cx| sys::sendto(cx, self.id, SendTo::Link(to), data))
    }

    /// Takes the next message, if there is one.
    ///
    /// # Errors
    ///
    /// As of [`sys::recv`].
    pub fn receive(&self) -> Result<Option<Received>, Errno> {
        self.call(|cx| sys::recv(cx, self.id))
    }

    /// A message can be received.
    pub fn has_message(&self) -> bool {
        self.call(|cx| sys::get(cx, self.id).is_ok_and(|socket| !socket.receive_queue.is_empty()))
    }

    /// The next queued error (`MSG_ERRQUEUE`).
    pub fn receive_error(&self) -> Option<SockError> {
        self.call(|cx| sys::recv_error(cx, self.id).ok().flatten())
    }

    /// Condition of a wait: receiving from it would not block.
    pub fn readable(&self) -> impl Fn(&World) -> bool + Send + use<> {
        let (machine, id) = (self.task.machine, self.id);
        move |world| readable(world, machine, id)
    }

    /// Condition of a wait: writing to it would not block.
    pub fn writable(&self) -> impl Fn(&World) -> bool + Send + use<> {
        let (machine, id) = (self.task.machine, self.id);
        move |world| writable(world, machine, id)
    }

    /// Waits for a message or error, the deadline, or a handled signal.
    pub async fn wait(&self, process: &mut Process, deadline: Option<Nanos>) -> Woken<()> {
        let (machine, id) = (self.task.machine, self.id);
        process.wait(deadline, move |world| readable(world, machine, id).then_some(())).await
    }
}

/// Receiving from this socket would not block.
pub fn readable(world: &World, machine: MachineId, id: SocketId) -> bool {
    world.kernel(machine).sockets.get(id).is_some_and(|socket| {
        socket.tcp.as_ref().is_some_and(|tp| tp.is_readable())
            || !socket.receive_queue.is_empty()
            || !socket.error_queue.is_empty()
            || socket.error.is_some()
    })
}

/// Condition for [`Process::wait`]: one of these sockets is readable.
pub fn wait_any(sockets: Vec<&Sock>) -> impl FnMut(&mut World) -> Option<()> + Send + use<> {
    let sockets: Vec<_> = sockets.into_iter().map(|socket| (socket.task.machine, socket.id)).collect();
    move |world| sockets.iter().any(|(machine, id)| readable(world, *machine, *id)).then_some(())
}

/// Nanoseconds since 1970 at a point in virtual time.
pub fn wall(at: Nanos) -> u64 {
    BOOT_TIME * 1_000_000_000 + at.0
}

/// A number below `bound` from the world's dice.
pub fn random(process: &Process, bound: u64) -> u64 {
    process.world().dice.below(bound)
}

/// Reads the device of this name in the program's namespace.
pub fn device<R>(process: &Process, name: &str, look: impl FnOnce(&NetDevice) -> R) -> Option<R> {
    let world = process.world();
    let kernel = world.kernel(process.machine);
    kernel.dev_by_name(process.netns, name).map(|dev| look(&kernel.devs[dev]))
}

/// The IPv4 addresses of a device of the program's namespace.
pub fn addresses(process: &Process, name: &str) -> Vec<Ipv4Addr> {
    let world = process.world();
    let kernel = world.kernel(process.machine);
    let dev = kernel.dev_by_name(process.netns, name).and_then(|dev| kernel.inet.get(dev));
    dev.map_or_else(Vec::new, |dev| dev.addrs.iter().map(|ifa| ifa.local).collect())
}

/// Devices of the program's namespace: ifindex and name, in order of ifindex.
pub fn interfaces(process: &Process) -> Vec<(u32, String)> {
    let world = process.world();
    let kernel = world.kernel(process.machine);
    let Some(netns) = kernel.netns.get(process.netns) else { return Vec::new() };
    netns.devs.iter().map(|(ifindex, dev)| (*ifindex, kernel.devs[*dev].name.clone())).collect()
}

/// The netmask of the first IPv4 address of a device, `0.0.0.0` if it has none.
pub fn netmask(process: &Process, name: &str) -> Ipv4Addr {
    let world = process.world();
    let kernel = world.kernel(process.machine);
    let dev = kernel.dev_by_name(process.netns, name).and_then(|dev| kernel.inet.get(dev));
    dev.and_then(|dev| dev.addrs.first()).map_or(Ipv4Addr::UNSPECIFIED, |ifa| ifa.mask)
}

/// Output device of the route to an address.
pub fn route_device(process: &Process, address: Ipv4Addr) -> Option<String> {
    let query = RouteQuery { dst: address, ..RouteQuery::default() };
    let netns = process.netns;
    process.syscall(|cx| {
        let answer = rtm_getroute(cx, netns, &query).ok()?;
        answer.oif.map(|dev| cx.k.devs[dev].name.clone())
    })
}
