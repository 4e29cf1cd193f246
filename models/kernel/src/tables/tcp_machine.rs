//! TCP's protocol machine: one smoltcp socket behind one smoltcp interface, on virtual time.
//!
//! smoltcp decides about states, handshakes, and what is received in order; it sends SYN, FIN, RST and acknowledgements. Data
//! is sent by the kernel, because smoltcp knows neither large packets nor what Linux does about losses: smoltcp's connection
//! sends none, and whoever passes segments to and from it translates the numbers. Routes, addresses, headers of IPv4, windows
//! and the look of the options are the kernel's too: whole packets go in, TCP segments come out. When something is sent again
//! the kernel says: smoltcp's own timer does not expire until then ([`Machine::expire`]), which turns smoltcp's clock forward.

use std::fmt;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpListenEndpoint};

use glassnet_wire::ipv4::IPV4_HLEN;

/// Room for what comes out of order, bytes: the greatest window that Linux offers (half of `tcp_rmem`).
const ROOM: usize = 6_291_456 / 2;

/// An address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// What a machine starts with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Own address and port.
    pub local: Endpoint,
    /// It offers timestamps.
    pub timestamps: bool,
    /// Seed of the initial sequence number.
    pub seed: u64,
    /// The time.
    pub now: Nanos,
}

/// One connection's machine.
pub struct Machine {
    iface: Interface,
    pipe: Pipe,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// How far smoltcp's clock is ahead of the time, µs.
    ahead: i64,
    /// smoltcp's clock when it ran last.
    clock: Instant,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Machine {
    fn new(setup: Setup) -> Machine {
        let mut pipe = Pipe { received: None, sent: Vec::new() };
        let iface = interface(&mut pipe, setup.local.0, setup.seed, setup.now);
        let mut socket = tcp::Socket::new(
            tcp::SocketBuffer::new(vec![0; ROOM]),
            // What is to be sent is the kernel's.
            tcp::SocketBuffer::new(Vec::new()),
        );
        socket.set_ack_delay(None);
        // The clock is written in when the segment leaves: smoltcp's generator knows no virtual time.
        socket.set_tsval_generator(setup.timestamps.then_some(no_clock));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        let clock = instant(setup.now);
        Machine { iface, pipe, sockets, handle, ahead: 0, clock }
    }

    /// A machine that is about to send its SYN. None for an address or port that no connection can have.
    pub fn connect(mut setup: Setup, remote: Endpoint) -> Option<Machine> {
        // Linux asks even where it has no address of its own, from 0.0.0.0; smoltcp takes the dummy address (RFC 7600).
        if setup.local.0.is_unspecified() {
            setup.local.0 = Ipv4Addr::new(192, 0, 0, 8);
        }
        let mut machine = Machine::new(setup);
        let socket = machine.sockets.get_mut::<tcp::Socket>(machine.handle);
        let to = (address(remote.0), remote.1);
        socket.connect(machine.iface.context(), to, endpoint(setup.local)).ok()?;
        Some(machine)
    }

    /// A machine that waits for a SYN. None for an address or port that no connection can have.
    pub fn listen(setup: Setup) -> Option<Machine> {
        let mut machine = Machine::new(setup);
        machine.socket().listen(endpoint(setup.local)).ok()?;
        Some(machine)
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn peek(&self) -> &tcp::Socket<'static> {
        self.sockets.get(self.handle)
    }

    /// Takes in a packet, from its IPv4 header on; gives the segments that leave, each from its TCP header on, without
    /// checksum.
    pub fn run(&mut self, packet: Option<Vec<u8>>, now: Nanos) -> Vec<Vec<u8>> {
        self.pipe.received = packet;
        let clock = Instant::from_micros(instant(now).total_micros() + self.ahead).max(self.clock);
        self.clock = match self.own_timer() {
            // It is not due before the kernel says so.
            Some(at) if at <= clock => at - Duration::from_micros(1),
            _ => clock,
        };
        self.iface.poll(self.clock, &mut self.pipe, &mut self.sockets);
        std::mem::take(&mut self.pipe.sent)
    }

    /// The timer expired: what was sent first and not acknowledged is sent again, or a window probe is.
    pub fn expire(&mut self, now: Nanos) -> Vec<Vec<u8>> {
        if let Some(at) = self.own_timer() {
            self.ahead = at.total_micros() - instant(now).total_micros();
            self.clock = at;
        }
        self.iface.poll(self.clock, &mut self.pipe, &mut self.sockets);
        std::mem::take(&mut self.pipe.sent)
    }

    /// When smoltcp's timer is due, by its own clock.
    fn own_timer(&mut self) -> Option<Instant> {
        self.iface.poll_at(self.clock, &self.sockets).filter(|at| *at > self.clock)
    }

    /// Something is left to be done at once.
    pub fn is_due(&mut self) -> bool {
        self.iface.poll_at(self.clock, &self.sockets).is_some_and(|at| at <= self.clock)
    }

    /// Its state.
    pub fn state(&self) -> tcp::State {
        self.peek().state()
    }

    /// Takes what was received in order.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.peek().recv_queue()];
        let len = self.socket().recv_slice(&mut bytes).unwrap_or(0);
        bytes.truncate(len);
        bytes
    }

    /// The peer sends no more.
    pub fn peer_closed(&self) -> bool {
        use tcp::State::{CloseWait, Closing, LastAck, TimeWait};
        matches!(self.state(), CloseWait | Closing | LastAck | TimeWait)
    }

    /// The program sends no more: a FIN follows what was written.
    pub fn close(&mut self) {
        self.socket().close();
    }

    /// Ends the connection with a RST.
    pub fn abort(&mut self) {
        self.socket().abort();
    }
}

fn interface(pipe: &mut Pipe, local: Ipv4Addr, seed: u64, now: Nanos) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut iface = Interface::new(config, pipe, instant(now));
    // There is room for two addresses.
    iface.update_ip_addrs(|addrs| _ = addrs.push(IpCidr::new(address(local), 32)));
    iface
}

fn address(address: Ipv4Addr) -> IpAddress {
    IpAddress::Ipv4(address)
}

fn endpoint((ip, port): Endpoint) -> IpListenEndpoint {
    IpListenEndpoint { addr: Some(address(ip)), port }
}

fn instant(now: Nanos) -> Instant {
    Instant::from_micros((now.0 / 1_000) as i64)
}

fn no_clock() -> u32 {
    1
}

/// The device that the machine thinks it has: a packet in, segments out.
struct Pipe {
    received: Option<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Sending<'a>(&'a mut Vec<Vec<u8>>);

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        packet.drain(..IPV4_HLEN.min(len));
        self.0.push(packet);
        result
    }
}

impl Device for Pipe {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let packet = self.received.take()?;
        Some((Received(packet), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::from(u16::MAX);
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}
