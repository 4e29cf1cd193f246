//! The floor: the same bytes parsed, looked up and rewritten, with no model around them.
//!
//! What a hop costs here is what any simulator pays that keeps real packets and real tables; the ratio of a model's
//! hop to it says what the model itself costs.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault};
use std::net::Ipv4Addr;

use glassnet_kernel::tables::fast_hash::FastHasher;
use glassnet_sim::{EventQueue, Nanos};
use glassnet_wire::eth::{ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{IPPROTO_UDP, InAddr, Ipv4Hdr, ip_fast_csum};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use glassnet_wire::vxlan::{VXLAN_HLEN, VXLAN_PORT, VxlanHdr};
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BURST, DEST, SOURCE};

/// What a hop does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Learns the source and looks the destination up.
    Bridge,
    /// Looks the destination address up, lowers the TTL and writes new addresses.
    Forward,
    /// The same after it found the packet's flow by addresses, ports and protocol, of so many that it knows, and noted
    /// in it when it was seen.
    ForwardCt {
        /// How many.
        flows: u32,
    },
    /// Looks the destination up, writes outer headers with a source port that follows from the flow; then reads them, finds the
    /// network by its number and learns the source.
    Vxlan,
}

/// How packets get from hop to hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// An event for each packet and hop.
    EachHop,
    /// An event for a poll of up to 64 packets.
    EachPoll,
}

/// Addresses, then ports and protocol, and when the flow was seen last.
type Flows = HashMap<(u64, u64), Nanos, BuildHasherDefault<FastHasher>>;
type Stations = HashMap<u64, (u32, Nanos), BuildHasherDefault<FastHasher>>;

/// Outer headers of VXLAN.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Outer {
    eth: EthHdr,
    ip: Ipv4Hdr,
    udp: UdpHdr,
    vxlan: VxlanHdr,
}

/// Room for them before a packet.
const HEADROOM: usize = size_of::<Outer>();

/// The network of the tunnel.
const VNI: u32 = 1;

struct Hop {
    stations: Stations,
    networks: HashMap<u32, u32, BuildHasherDefault<FastHasher>>,
    routes: HashMap<u32, u32, BuildHasherDefault<FastHasher>>,
    flows: Flows,
    queue: VecDeque<u32>,
}

/// Packets and hops without a model.
pub struct Floor {
    kind: Kind,
    events: Events,
    hops: Vec<Hop>,
    packets: Vec<[u8; HEADROOM + 64]>,
    queue: EventQueue<(u16, u32)>,
    now: Nanos,
    flow: u32,
}

impl Floor {
    /// A chain of `hops` hops.
    pub fn new(kind: Kind, events: Events, hops: usize) -> Floor {
        let hop = || {
            let mut stations = Stations::default();
            stations.insert(SOURCE.to_u64() << 16, (1, Nanos::ZERO));
            stations.insert(DEST.to_u64() << 16, (2, Nanos::ZERO));
            let routes = (0..4).map(|n| (0x0a00_0000 + n, n)).collect();
            let flows = match kind {
                Kind::ForwardCt { flows } => both_ways(flows),
                _ => Flows::default(),
            };
            let networks = [(VNI, 1)].into_iter().collect();
            Hop { stations, networks, routes, flows, queue: VecDeque::new() }
        };
        Floor {
            kind,
            events,
            hops: (0..hops).map(|_| hop()).collect(),
            packets: vec![[0; HEADROOM + 64]; BURST],
            queue: EventQueue::default(),
            now: Nanos::ZERO,
            flow: 0,
        }
    }

    /// Sends a burst of packets through all hops; returns how many came out.
    pub fn burst(&mut self) -> usize {
        for packet in self.packets.iter_mut().map(|buffer| &mut buffer[HEADROOM..]) {
            packet[..6].copy_from_slice(&DEST.0);
            packet[6..12].copy_from_slice(&SOURCE.0);
            packet[12..36].copy_from_slice(&[
                0x08, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0,
            ]);
            if let Kind::ForwardCt { flows } = self.kind {
                packet[34..38].copy_from_slice(&self.flow.to_be_bytes());
                self.flow = (self.flow + 1) % flows;
            }
        }
        for packet in 0..BURST as u32 {
            self.send(0, packet);
        }
        let mut out = 0;
        while let Some((_, (hop, packet))) = self.queue.pop() {
            match self.events {
                Events::EachHop => out += self.pass(hop, packet),
                Events::EachPoll => {
                    while let Some(packet) = self.hops[usize::from(hop)].queue.pop_front() {
                        out += self.pass(hop, packet);
                    }
                }
            }
        }
        out
    }

    fn send(&mut self, hop: u16, packet: u32) {
        self.now += Nanos(1);
        let queue = &mut self.hops[usize::from(hop)].queue;
        match self.events {
            Events::EachHop => self.queue.schedule(self.now, (hop, packet)),
            Events::EachPoll => {
                if queue.is_empty() {
                    self.queue.schedule(self.now, (hop, 0));
                }
                queue.push_back(packet);
            }
        }
    }

    fn pass(&mut self, at: u16, packet: u32) -> usize {
        let now = self.now;
        let hop = &mut self.hops[usize::from(at)];
        let Some((room, bytes)) = self.packets[packet as usize].split_first_chunk_mut() else { return 0 };
        let Some(bytes) = bytes.first_chunk_mut() else { return 0 };
        let port = match self.kind {
            Kind::Bridge => bridge(hop, bytes, now),
            Kind::Forward => forward(hop, bytes),
            Kind::ForwardCt { .. } => track(hop, bytes, now).and_then(|()| forward(hop, bytes)),
            Kind::Vxlan => encapsulate(hop, room, bytes).and_then(|()| decapsulate(hop, room, bytes, now)),
        };
        if port.is_none() || usize::from(at) + 1 == self.hops.len() {
            return usize::from(port.is_some());
        }
        self.send(at + 1, packet);
        0
    }
}

fn bridge(hop: &mut Hop, bytes: &mut [u8; 64], now: Nanos) -> Option<u32> {
    let (eth, _) = EthHdr::ref_from_prefix(bytes).ok()?;
    hop.stations.get_mut(&(eth.source().to_u64() << 16))?.1 = now;
    Some(hop.stations.get(&(eth.dest().to_u64() << 16))?.0)
}

fn forward(hop: &mut Hop, bytes: &mut [u8; 64]) -> Option<u32> {
    let (eth, rest) = bytes.split_at_mut(14);
    let (ip, _) = Ipv4Hdr::mut_from_prefix(rest).ok()?;
    if ip.version() != 4 || ip.ttl <= 1 {
        return None;
    }
    let port = *hop.routes.get(&ip.daddr.get().to_bits())?;
    ip.decrease_ttl();
    eth[..6].copy_from_slice(&DEST.0);
    eth[6..12].copy_from_slice(&SOURCE.0);
    Some(port)
}

fn encapsulate(hop: &Hop, room: &mut [u8; HEADROOM], bytes: &[u8; 64]) -> Option<()> {
    let (eth, rest) = EthHdr::ref_from_prefix(bytes).ok()?;
    let (remote, _) = hop.stations.get(&(eth.dest().to_u64() << 16))?;
    let flow = BuildHasherDefault::<FastHasher>::default().hash_one(flow_of(rest)?);
    let len = (VXLAN_HLEN + bytes.len() + UDP_HLEN) as u16;
    let mut outer = Outer {
        eth: EthHdr::new(DEST, SOURCE, ETH_P_IP),
        ip: Ipv4Hdr {
            version_ihl: 0x45,
            tot_len: U16::new(size_of::<Ipv4Hdr>() as u16 + len),
            ttl: 64,
            protocol: IPPROTO_UDP,
            daddr: InAddr::new(Ipv4Addr::from_bits(*remote)),
            ..Ipv4Hdr::default()
        },
        udp: UdpHdr {
            source: U16::new(flow as u16 | 0x8000),
            dest: U16::new(VXLAN_PORT),
            len: U16::new(len),
            check: U16::new(0),
        },
        vxlan: VxlanHdr::new(VNI),
    };
    outer.ip.check = U16::new(ip_fast_csum(&outer.ip));
    room.copy_from_slice(outer.as_bytes());
    Some(())
}

fn decapsulate(hop: &mut Hop, room: &[u8; HEADROOM], bytes: &[u8; 64], now: Nanos) -> Option<u32> {
    let outer = Outer::ref_from_bytes(room).ok()?;
    if ip_fast_csum(&outer.ip) != 0 || outer.udp.dest.get() != VXLAN_PORT || !outer.vxlan.is_plain() {
        return None;
    }
    let port = *hop.networks.get(&outer.vxlan.vni())?;
    let (eth, _) = EthHdr::ref_from_prefix(bytes).ok()?;
    hop.stations.get_mut(&(eth.source().to_u64() << 16))?.1 = now;
    Some(port)
}

/// Flows by number, which stands where packets have their ports; and what their answers look like.
fn both_ways(flows: u32) -> Flows {
    let (source, dest) = (0x0a00_0001_u64, 0x0a00_0002_u64);
    let both = |flow: u32| {
        let there = (source << 32 | dest, u64::from(flow) << 8 | 17);
        let back = (dest << 32 | source, u64::from(flow.rotate_left(16)) << 8 | 17);
        [(there, Nanos::ZERO), (back, Nanos::ZERO)]
    };
    (0..flows).flat_map(both).collect()
}

fn track(hop: &mut Hop, bytes: &[u8; 64], now: Nanos) -> Option<()> {
    *hop.flows.get_mut(&flow_of(&bytes[size_of::<EthHdr>()..])?)? = now;
    Some(())
}

/// Addresses, then ports and protocol.
fn flow_of(packet: &[u8]) -> Option<(u64, u64)> {
    let (ip, rest) = Ipv4Hdr::ref_from_prefix(packet).ok()?;
    let ports = u32::from_be_bytes(*rest.first_chunk()?);
    let addresses = u64::from(ip.saddr.get().to_bits()) << 32 | u64::from(ip.daddr.get().to_bits());
    Some((addresses, u64::from(ports) << 8 | u64::from(ip.protocol)))
}
