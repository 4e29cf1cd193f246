//! The router of random cases on the running kernel: a machine of its own, packet sockets at the far ends of its
//! cables.

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::rig::case::{PORTS, Port};
use glassnet_scenarios::rig::{LISTENERS, Programs, Rig, Said, build};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind, recvfrom, send, sendto,
    setsockopt, socket, sockopt,
};

use super::machine::Machine;
use super::spaces::{compiled_in, prepare, within};
use super::{Host, needs};

/// A router on the running kernel.
pub(super) struct Router {
    machine: Machine,
    ports: Vec<OwnedFd>,
    raw: OwnedFd,
    /// Programs that wait; what they get is nobody's business.
    listeners: Vec<UdpSocket>,
}

/// What undoes a case: rules of both kinds, connections, neighbours that were looked for, sets.
const CLEAN: &str = "nft flush ruleset
for table in $(cat /proc/net/ip_tables_names); do
  iptables-legacy -t $table -F; iptables-legacy -t $table -X
  for chain in PREROUTING INPUT FORWARD OUTPUT POSTROUTING; do iptables-legacy -t $table -P $chain ACCEPT; done
done 2>/dev/null
conntrack -F 2>/dev/null
ip neigh flush all
ipset flush; ipset destroy
nfacct flush
ip route flush cache";

impl Router {
    /// Makes the router.
    pub fn start(host: &Host) -> Result<Router, BackendError> {
        let (machine, own) = prepared("router", host)?;
        let raw = within(&own, || open_raw().map_err(Into::into))
            .map_err(BackendError::failed("cannot open a raw socket"))?;
        let mut rig = Router { machine, ports: Vec::new(), raw, listeners: Vec::new() };
        build(&mut rig)?;
        rig.listeners = within(&own, || LISTENERS.into_iter().map(UdpSocket::bind).collect())
            .map_err(BackendError::failed("cannot open UDP sockets"))?;
        let outside: PathBuf = rig.machine.path("/run/netns/x");
        let outside = File::open(outside).map_err(BackendError::failed("cannot open a namespace"))?;
        rig.ports = within(&outside, || PORTS.into_iter().map(open_port).collect())
            .map_err(BackendError::failed("cannot open packet sockets"))?;
        Ok(rig)
    }
}

/// A machine whose own namespace, which is open then, has the settings that a kernel begins with.
pub(super) fn prepared(name: &str, host: &Host) -> Result<(Machine, File), BackendError> {
    needs::check()?;
    let machine = Machine::start(name, host)?;
    let own = File::open(machine.netns()).map_err(BackendError::failed("cannot open a namespace"))?;
    within(&own, || prepare(&compiled_in(), false))
        .map_err(BackendError::failed("cannot prepare a namespace"))?;
    Ok((machine, own))
}

fn open_raw() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
}

/// A packet socket at the far end of a cable.
fn open_port(port: Port) -> std::io::Result<OwnedFd> {
    let fd = packet_socket(port.name(), SockProtocol::EthAll)?;
    setsockopt(&fd, sockopt::RcvBufForce, &(1 << 20))?;
    Ok(fd)
}

/// A packet socket on a device of this namespace; without a protocol it only sends.
pub(super) fn packet_socket(
    device: &str,
    protocol: impl Into<Option<SockProtocol>>,
) -> std::io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Packet, SockType::Raw, flags, protocol)?;
    let devices = nix::ifaddrs::getifaddrs()?;
    let address = devices
        .filter(|entry| entry.interface_name == device)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .ok_or_else(|| std::io::Error::other(format!("no device {device}")))?;
    bind(fd.as_raw_fd(), &address)?;
    Ok(fd)
}

impl Programs for Router {
    fn run(&mut self, argv: &[&str], stdin: &str) -> Result<Said, BackendError> {
        self.machine.run(argv, stdin)
    }
}

impl Rig for Router {
    fn clean(&mut self) -> Result<(), BackendError> {
        self.run(&["bash", "-c", CLEAN], "")?;
        self.take()?;
        Ok(())
    }

    fn send(&mut self, port: Port, frame: &[u8]) -> Result<(), BackendError> {
        let fd = self.ports[port as usize].as_raw_fd();
        send(fd, frame, MsgFlags::empty())
            .map(|_| ())
            .map_err(|e| BackendError::failed("cannot send a frame")(e.into()))
    }

    fn send_local(&mut self, to: Ipv4Addr, packet: &[u8]) -> Result<(), BackendError> {
        let address = SockaddrIn::from(std::net::SocketAddrV4::new(to, 0));
        // A packet that netfilter drops is told to the sender; that it does not come out is what is compared.
        let _ = sendto(self.raw.as_raw_fd(), packet, &address, MsgFlags::empty());
        Ok(())
    }

    fn take(&mut self) -> Result<Vec<(Port, Vec<u8>)>, BackendError> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        for (port, fd) in PORTS.into_iter().zip(&self.ports) {
            loop {
                match recvfrom::<nix::sys::socket::LinkAddr>(fd.as_raw_fd(), &mut buffer) {
                    // What this socket sent itself is none of its business.
                    Ok((_, Some(from))) if from.pkttype() == PACKET_OUTGOING => {}
                    // The far ends greet IPv6 routers, of which there are none.
                    Ok((14.., _)) if buffer[12..14] == ETH_P_IPV6 => {}
                    Ok((length, _)) => frames.push((port, buffer[..length].to_vec())),
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR | Errno::ENETDOWN) => {}
                    Err(e) => return Err(BackendError::failed("cannot read a packet socket")(e.into())),
                }
            }
        }
        Ok(frames)
    }

    fn wait(&mut self, ms: u64) -> Result<(), BackendError> {
        std::thread::sleep(Duration::from_millis(ms));
        Ok(())
    }
}

/// Ethertype of IPv6.
const ETH_P_IPV6: [u8; 2] = [0x86, 0xdd];
/// `PACKET_OUTGOING` of packet(7).
const PACKET_OUTGOING: u8 = 4;
