//! Packets of the UDP backend in user space: from the tun device into datagrams, and back. Each crosses from the kernel to flanneld and back
//! again, on both nodes, and flanneld counts as a router at each crossing.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use glassnet_userland::process::Process;
use glassnet_userland::sock::Sock;
use glassnet_userland::tun::TunFd;
use glassnet_wire::checksum::{checksum, replace};
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_HLEN};
use glassnet_wire::ipv4::IPPROTO_ICMP;

use crate::config::Range;

/// Bytes of a header of IPv4 without options.
const HEADER: usize = 20;
/// Bytes of a longest header, which an error about it must be shorter than.
const LONGEST_HEADER: usize = 60;
/// The code of "network unreachable" (RFC 792).
const NET_UNREACH: u8 = 0;
/// How far an error may go.
const ERROR_TTL: u8 = 8;

/// Subnets of other nodes, and where their flannelds listen.
#[derive(Default)]
pub(super) struct Table(Mutex<Vec<(Range, (Ipv4Addr, u16))>>);

fn lock(table: &Table) -> MutexGuard<'_, Vec<(Range, (Ipv4Addr, u16))>> {
    table.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Packets to a subnet go there from now on.
pub(super) fn set_route(table: &Table, subnet: Range, to: (Ipv4Addr, u16)) {
    let mut all = lock(table);
    match all.iter_mut().find(|(known, _)| *known == subnet) {
        Some((_, known)) => *known = to,
        None => all.push((subnet, to)),
    }
}

/// Packets to a subnet go nowhere any more.
pub(super) fn remove_route(table: &Table, subnet: Range) {
    let mut all = lock(table);
    if let Some(at) = all.iter().position(|(known, _)| *known == subnet) {
        all.swap_remove(at);
    }
}

/// What carries packets.
pub(super) struct Proxy {
    tun: TunFd,
    /// The tun device's address, from which errors come.
    address: Ipv4Addr,
    socket: Sock,
    /// How much is read of a packet.
    most: usize,
    table: Arc<Table>,
}

impl Proxy {
    pub(super) fn new(
        (tun, address): (TunFd, Ipv4Addr),
        socket: Sock,
        most: usize,
        table: Arc<Table>,
    ) -> Proxy {
        Proxy { tun, address, socket, most, table }
    }

    /// Carries packets for ever. While there are some, it looks at both sides in turn without waiting.
    pub(super) async fn serve(self, process: &mut Process) -> Infallible {
        loop {
            let (tun, socket) = (self.tun.readable(), self.socket.readable());
            process.wait(None, move |world| (tun(world) || socket(world)).then_some(())).await;
            while self.tun_to_udp() | self.udp_to_tun() {}
        }
    }

    /// Carries a packet out. False: there was none.
    fn tun_to_udp(&self) -> bool {
        let Ok(Some(mut packet)) = self.tun.read(self.most) else { return false };
        if packet.len() < HEADER {
            return false;
        }
        let to = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
        let found = {
            let mut all = lock(&self.table);
            // The last one is found first next time.
            let at = all.iter().position(|(subnet, _)| subnet.contains(to));
            at.map(|at| {
                all.swap(0, at);
                all[0].1
            })
        };
        match found {
            None => self.refuse(&packet),
            // What cannot be sent is lost.
            Some((node, port)) if decrement_ttl(&mut packet) => {
                let _ = self.socket.send_to(node, port, &packet);
            }
            Some(_) => {}
        }
        true
    }

    /// Carries a packet in. False: there was none.
    fn udp_to_tun(&self) -> bool {
        let Ok(Some(message)) = self.socket.receive() else { return false };
        let mut packet = message.data.to_vec();
        packet.truncate(self.most);
        if packet.len() < HEADER {
            return false;
        }
        if decrement_ttl(&mut packet) {
            // A device that is down takes nothing.
            let _ = self.tun.write(&packet);
        }
        true
    }

    /// Tells the sender of a packet that no node has its destination.
    fn refuse(&self, packet: &[u8]) {
        if let Some(error) = net_unreachable(packet, self.address) {
            // It is told once, if at all.
            let _ = self.tun.write(&error);
        }
    }
}

/// The ICMP error about a packet; none about other ICMP, nor about fragments behind the first.
fn net_unreachable(packet: &[u8], from: Ipv4Addr) -> Option<Vec<u8>> {
    let len = usize::from(packet[0] & 0xf) * 4;
    let is_later_fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff != 0;
    if len >= LONGEST_HEADER || packet[9] == IPPROTO_ICMP || is_later_fragment {
        return None;
    }
    let mut quoted = packet.get(..packet.len().min(len + 8))?.to_vec();
    quoted.resize(len + 8, 0);
    let mut icmp = vec![0; ICMP_HLEN];
    (icmp[0], icmp[1]) = (ICMP_DEST_UNREACH, NET_UNREACH);
    icmp.extend(quoted);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let total = u16::try_from(HEADER + icmp.len()).ok()?;
    let mut error = vec![0x45, 0];
    error.extend(total.to_be_bytes());
    error.extend([0, 0, 0, 0, ERROR_TTL, IPPROTO_ICMP, 0, 0]);
    error.extend(from.octets());
    error.extend(&packet[12..16]);
    let sum = checksum(&error);
    error[10..12].copy_from_slice(&sum.to_be_bytes());
    error.extend(icmp);
    Some(error)
}

/// Takes one from a packet's TTL. False: nothing is left, and the packet goes no further.
fn decrement_ttl(packet: &mut [u8]) -> bool {
    let word = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let old = word(packet, 8);
    packet[8] = packet[8].wrapping_sub(1);
    if packet[8] == 0 {
        return false;
    }
    let sum = replace(word(packet, 10), old, word(packet, 8));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use etherparse::{Icmpv4Type, PacketBuilder, SlicedPacket, TransportSlice};

    use super::*;

    fn packet(ttl: u8) -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 244, 1, 2], [10, 244, 9, 9], ttl).udp(1000, 2000);
        builder.write(&mut packet, b"hello world").expect("a packet");
        packet
    }

    #[test]
    fn a_crossing_is_a_hop() {
        let mut here = packet(64);
        assert!(decrement_ttl(&mut here));
        assert_eq!(here, packet(63));
        assert!(!decrement_ttl(&mut packet(1)));
    }

    #[test]
    fn who_sends_to_nowhere_is_told() {
        let error = net_unreachable(&packet(64), Ipv4Addr::new(10, 244, 1, 0)).expect("an error");
        let sliced = SlicedPacket::from_ip(&error).expect("a packet");
        let Some(TransportSlice::Icmpv4(icmp)) = sliced.transport else { panic!("no ICMP: {sliced:?}") };
        let Icmpv4Type::DestinationUnreachable(_) = icmp.icmp_type() else { panic!("{icmp:?}") };
        assert_eq!(icmp.payload(), &packet(64)[..28]);
        assert_eq!((checksum(&error[..20]), checksum(&error[20..])), (0, 0));
        // None about such an error.
        assert_eq!(net_unreachable(&error, Ipv4Addr::LOCALHOST), None);
    }
}
