//! Opens addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::{Keepalive, SockKind};
use glassnet_kernel::tables::tun::{IFF_NO_PI, IFF_TAP, IFF_TUN};
use glassnet_kernel::world::World;

use super::address::{Address, Kind, resolve, service};
use super::end::{Datagrams, End, Io, Stdio};
use super::options::number;
use super::{Fail, Log, Res, error, not_modelled};
use crate::ifconfig::{Change, set_address};
use crate::process::{Process, Woken};
use crate::sock::{self, Sock};
use crate::tun::TunFd;

/// First free descriptor.
const FIRST_FD: u32 = 5;
/// Backlog of listen(2) unless an option says otherwise.
const BACKLOG: usize = 5;

/// What an address is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Only reading.
    Read,
    /// Only writing.
    Write,
    /// Both.
    Both,
}

/// Descriptors in use, as messages tell them.
#[derive(Clone, Debug, Default)]
pub struct Fds(BTreeSet<u32>);

impl Fds {
    /// Those of a child, which has only what was accepted.
    pub fn of(end: &End) -> Fds {
        Fds(BTreeSet::from([end.fds.0]))
    }

    fn take(&mut self) -> u32 {
        let free = (FIRST_FD..).find(|fd| !self.0.contains(fd)).unwrap_or(FIRST_FD);
        self.0.insert(free);
        free
    }
}

/// An address that is open.
pub enum Opened {
    /// An end.
    End(End),
    /// It accepts again and again.
    Listener(Listener),
}

/// An address and a port as messages have them.
fn af(end: (Ipv4Addr, u16)) -> String {
    format!("AF=2 {}:{}", end.0, end.1)
}

fn failed<T>(call: &str, errno: Errno) -> Res<T> {
    error(format!("{call}: {}", errno.strerror()))
}

/// Opens an address, and waits until it is open.
pub async fn open(
    process: &mut Process,
    log: Log,
    address: &Address,
    used: Use,
    fds: &mut Fds,
) -> Res<Opened> {
    if !address.kind.is_passive() || address.kind == Kind::UdpRecv {
        let mut end = start(process, log, address, used, fds)?;
        if let Some(socket) = end.connecting() {
            match socket.connected(process, None).await {
                Woken::Signal(signal) => return Err(Fail::Signal(signal)),
                Woken::Ready(done) => end.connected(process, log, done)?,
                Woken::Elapsed => {}
            }
        }
        return Ok(Opened::End(end));
    }
    let mut listener = Listener::open(process, address, fds)?;
    if address.set.fork {
        return Ok(Opened::Listener(listener));
    }
    listener.announce(process, log);
    loop {
        let ready = listener.readable();
        if let Woken::Signal(signal) = process.wait(None, move |world| ready(world).then_some(())).await {
            return Err(Fail::Signal(signal));
        }
        if let Some(end) = listener.accept(process, log)? {
            // A connection has a descriptor of its own, and nobody listens any more.
            if address.kind == Kind::TcpListen {
                fds.0.insert(end.fds.0);
                fds.0.remove(&listener.fd);
            }
            return Ok(Opened::End(end));
        }
    }
}

/// The same for the second address, which does not fork.
pub async fn second(
    process: &mut Process,
    log: Log,
    address: &Address,
    used: Use,
    fds: &mut Fds,
) -> Res<End> {
    match open(process, log, address, used, fds).await? {
        Opened::End(end) => Ok(end),
        Opened::Listener(_) => not_modelled("… fork of the second address"),
    }
}

/// Opens an address that waits for nobody; a connection may not be there yet.
pub fn start(process: &mut Process, log: Log, address: &Address, used: Use, fds: &mut Fds) -> Res<End> {
    match address.kind {
        Kind::Stdio | Kind::Stdin | Kind::Stdout => stdio(process, log, address.kind, used),
        Kind::Tun => tun(process, log, address, fds),
        Kind::TcpConnect | Kind::UdpConnect => connect(process, log, address, fds),
        Kind::UdpDatagram | Kind::UdpSendto => {
            let to = remote(address)?;
            let (socket, fd) = socket(process, address, fds)?;
            bind_source(&socket, fd, address)?;
            log.notice(process, &format!("successfully prepared local socket {}", af(socket.local())));
            let mode = if address.kind == Kind::UdpSendto { Datagrams::Only(to) } else { Datagrams::To(to) };
            Ok(End::new(Io::Udp(Arc::new(socket), mode), (fd, fd)))
        }
        Kind::UdpRecv => {
            let listener = Listener::open(process, address, fds)?;
            Ok(End::new(Io::Udp(listener.socket, Datagrams::From), (listener.fd, listener.fd)))
        }
        Kind::TcpListen | Kind::UdpListen | Kind::UdpRecvfrom => {
            not_modelled("… two addresses that wait, with fork")
        }
    }
}

fn stdio(process: &mut Process, log: Log, kind: Kind, used: Use) -> Res<End> {
    let (reads, writes, text) = match (kind, used) {
        (Kind::Stdin, _) => (true, false, "reading from stdin"),
        (Kind::Stdout, _) => (false, true, "writing to stdout"),
        (_, Use::Read) => (true, false, "using stdin for reading"),
        (_, Use::Write) => (false, true, "using stdout for writing"),
        (_, Use::Both) => (true, true, "reading from and writing to stdio"),
    };
    log.notice(process, text);
    let fds = match (reads, writes) {
        (true, true) => (0, 1),
        (true, false) => (0, 0),
        _ => (1, 1),
    };
    Ok(End::new(Io::Stdio(Stdio { reads, writes }), fds))
}

fn tun(process: &mut Process, log: Log, address: &Address, fds: &mut Fds) -> Res<End> {
    let set = &address.set;
    log.notice(process, "creating tunnel network interface");
    let fd = fds.take();
    let tun = TunFd::open(process, process.netns);
    let flags = if set.tap { IFF_TAP } else { IFF_TUN } | if set.no_pi { IFF_NO_PI } else { 0 };
    // The kernel is given a name of at most 15 bytes.
    let name: String = set.tun_name.chars().take(15).collect();
    let name = match tun.set_iff(&name, flags) {
        Ok(name) => name,
        Err(refused) => return failed(&format!("ioctl({fd}, TUNSETIFF, {{\"{name}\"}}"), refused.errno),
    };
    let network = address.params.first().map(|text| network(text)).transpose()?;
    // A socket that the address and the flags are set by; it stays open.
    fds.take();
    let netns = process.netns;
    let Some(dev) = process.syscall(|cx| cx.k.dev_by_name(netns, &name)) else {
        return failed("ioctl(SIOCSIFADDR)", Errno::ENODEV);
    };
    if let Some((address, len)) = network {
        let change = Change { address: Some(address), netmask: Some(len), ..Change::default() };
        if let Err(refused) = set_address(process, dev, &change) {
            return failed("ioctl(SIOCSIFADDR)", refused.errno);
        }
    }
    let change = LinkSet {
        up: set.up.then_some(true),
        promisc: set.promisc.then_some(true),
        arp: set.noarp.then_some(false),
        ..LinkSet::default()
    };
    if let Err(refused) = process.syscall(|cx| do_setlink(cx, dev, change)) {
        return failed("ioctl(SIOCSIFFLAGS)", refused.errno);
    }
    Ok(End::new(Io::Tun(tun), (fd, fd)))
}

/// `ADDRESS/BITS`.
fn network(text: &str) -> Res<(Ipv4Addr, u8)> {
    let Some((host, bits)) = text.split_once('/') else {
        return error(format!("xioparsenetwork_ip4(\"{text}\",,): missing netmask delimiter"));
    };
    let Ok(len) = number(bits, text) else {
        return error(format!("not a valid netmask in \"{text}\""));
    };
    if len > 32 {
        return error(format!("netmask \"{text}\" is too large"));
    }
    Ok((resolve(host, "0,0,0")?, len as u8))
}

/// Host and port of the other end.
fn remote(address: &Address) -> Res<(Ipv4Addr, u16)> {
    let [host, port] = address.params.as_slice() else { return error("wrong number of parameters") };
    let port = service(host, port, "0")?;
    let protocol = if address.kind == Kind::TcpConnect { "1,6" } else { "2,17" };
    Ok((resolve(host, &format!("0,{protocol}"))?, port))
}

fn socket(process: &Process, address: &Address, fds: &mut Fds) -> Res<(Sock, u32)> {
    let set = &address.set;
    let is_tcp = matches!(address.kind, Kind::TcpConnect | Kind::TcpListen);
    let device = match &set.device {
        None => None,
        Some(name) => match sock::device(process, name, |dev| dev.ifindex) {
            Some(ifindex) => Some(ifindex),
            None => {
                let (fd, len) = (fds.take(), name.len() + 1);
                return failed(&format!("setsockopt({fd}, 1, 25, \"{name}\", {len})"), Errno::ENODEV);
            }
        },
    };
    let socket = Sock::open(process, if is_tcp { SockKind::Tcp } else { SockKind::Udp });
    socket.set(|opts| {
        (opts.reuseaddr, opts.reuseport) = (set.reuseaddr, set.reuseport);
        (opts.broadcast, opts.ttl, opts.tos) = (set.broadcast, set.ttl, set.tos);
        opts.bound_dev_if = device.unwrap_or(opts.bound_dev_if);
        opts.nodelay = set.nodelay;
        opts.keepalive = set.keepalive.then(Keepalive::default);
    });
    Ok((socket, fds.take()))
}

fn bind(socket: &Sock, fd: u32, to: (Ipv4Addr, u16)) -> Res {
    match socket.bind(to.0, to.1) {
        Ok(()) => Ok(()),
        Err(errno) => failed(&format!("bind({fd}, {{{}}}, 16)", af(to)), errno),
    }
}

/// Binds to what `bind` and `sourceport` say.
fn bind_source(socket: &Sock, fd: u32, address: &Address) -> Res {
    // UDP-DATAGRAM has no use for a port of its own.
    let port = address.set.source_port.filter(|_| address.kind != Kind::UdpDatagram);
    let Some((host, bound)) = address.set.bind.or(port.map(|_| (Ipv4Addr::UNSPECIFIED, 0))) else {
        return Ok(());
    };
    bind(socket, fd, (host, port.unwrap_or(bound)))
}

fn connect(process: &mut Process, log: Log, address: &Address, fds: &mut Fds) -> Res<End> {
    let to = remote(address)?;
    log.notice(process, &format!("opening connection to {}", af(to)));
    let (socket, fd) = socket(process, address, fds)?;
    bind_source(&socket, fd, address)?;
    if let Err(errno) = socket.connect(to.0, to.1) {
        return failed(&connect_call(fd, to), errno);
    }
    let socket = Arc::new(socket);
    if address.kind == Kind::TcpConnect {
        return Ok(End::new(Io::Connecting(socket, to), (fd, fd)));
    }
    log.notice(process, &connected_from(&socket));
    Ok(End::new(Io::Udp(socket, Datagrams::Connected), (fd, fd)))
}

/// What is told of a connection that is there.
pub fn connected_from(socket: &Sock) -> String {
    format!("successfully connected from local address {}", af(socket.local()))
}

/// What is told of one that failed.
pub fn connect_call(fd: u32, to: (Ipv4Addr, u16)) -> String {
    format!("connect({fd}, {}, 16)", af(to))
}

/// A socket at which an address waits.
pub struct Listener {
    address: Address,
    socket: Arc<Sock>,
    fd: u32,
    at: (Ipv4Addr, u16),
}

impl Listener {
    fn open(process: &Process, address: &Address, fds: &mut Fds) -> Res<Listener> {
        let port = service("NULL", address.params.first().map_or("", String::as_str), "2")?;
        let at = (address.set.bind.map_or(Ipv4Addr::UNSPECIFIED, |bind| bind.0), port);
        let (socket, fd) = socket(process, address, fds)?;
        bind(&socket, fd, at)?;
        if address.kind == Kind::TcpListen {
            let backlog = address.set.backlog.unwrap_or(BACKLOG);
            if let Err(errno) = socket.listen(backlog) {
                return failed(&format!("listen({fd}, {backlog})"), errno);
            }
        }
        Ok(Listener { address: address.clone(), socket: Arc::new(socket), fd, at })
    }

    /// Tells that it waits.
    pub fn announce(&self, process: &mut Process, log: Log) {
        let what = match self.address.kind {
            Kind::TcpListen => "listening on",
            Kind::UdpListen => "listening on UDP",
            _ => "receiving on",
        };
        log.notice(process, &format!("{what} {}", af(self.at)));
    }

    /// Somebody is there.
    pub fn readable(&self) -> Box<dyn Fn(&World) -> bool + Send> {
        Box::new(self.socket.readable())
    }

    /// Whether somebody is there.
    pub fn has_one(&self, process: &Process) -> bool {
        self.readable()(&process.world())
    }

    /// Takes who is there.
    pub fn accept(&mut self, process: &mut Process, log: Log) -> Res<Option<End>> {
        match self.address.kind {
            Kind::TcpListen => self.accept_tcp(process, log),
            Kind::UdpListen => self.accept_udp(process, log),
            _ => self.accept_datagram(process, log),
        }
    }

    fn accept_tcp(&mut self, process: &mut Process, log: Log) -> Res<Option<End>> {
        let accepted = match self.socket.accept() {
            Ok(accepted) => accepted,
            Err(errno) => return failed(&format!("accept({}, {{}}, 16)", self.fd), errno),
        };
        let Some(connection) = accepted else { return Ok(None) };
        let peer = connection.peer().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        let local = connection.local();
        log.notice(process, &format!("accepting connection from {} on {}", af(peer), af(local)));
        let fd = self.fd + 1;
        Ok(Some(End::new(Io::Tcp(Arc::new(connection)), (fd, fd))))
    }

    /// The socket is connected to the sender of the first datagram; with `fork` another one waits.
    fn accept_udp(&mut self, process: &mut Process, log: Log) -> Res<Option<End>> {
        let Some(peer) = self.socket.peek_sender() else {
            self.socket.take_error();
            return Ok(None);
        };
        log.notice(process, &format!("accepting UDP connection from {}", af(peer)));
        if let Err(errno) = self.socket.connect(peer.0, peer.1) {
            return failed(&connect_call(self.fd, peer), errno);
        }
        let socket = Arc::clone(&self.socket);
        if self.address.set.fork {
            self.socket = Listener::open(process, &self.address, &mut Fds::default())?.socket;
        }
        Ok(Some(End::new(Io::Udp(socket, Datagrams::Connected), (self.fd, self.fd))))
    }

    fn accept_datagram(&mut self, process: &mut Process, log: Log) -> Res<Option<End>> {
        let Ok(Some(message)) = self.socket.receive() else { return Ok(None) };
        log.notice(process, &format!("receiving packet from {}", af(message.from)));
        let mode = Datagrams::Answer { to: message.from, first: Some(message.data) };
        Ok(Some(End::new(Io::Udp(Arc::clone(&self.socket), mode), (self.fd, self.fd))))
    }
}
