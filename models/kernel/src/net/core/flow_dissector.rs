//! Which flow a packet belongs to, as a hash.
//!
//! Kernel: net/core/flow_dissector.c

use std::net::Ipv4Addr;

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::ipv4::{IP_MF, IP_OFFSET, Ipv4Hdr};
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::ids::SkbId;
use crate::tables::siphash::siphash;

/// Hashed fields of a flow (`struct flow_keys`); others are 0.
#[derive(Clone, Copy, Debug)]
pub struct FlowKeys {
    /// Ethertype, where it is hashed.
    pub n_proto: u16,
    /// Source and destination.
    pub addrs: [Ipv4Addr; 2],
    /// Ports.
    pub ports: [u16; 2],
    /// Protocol.
    pub proto: u8,
}

impl Default for FlowKeys {
    fn default() -> Self {
        FlowKeys { n_proto: 0, addrs: [Ipv4Addr::UNSPECIFIED; 2], ports: [0; 2], proto: 0 }
    }
}

/// A hash, the same for both directions and never 0. What is hashed is `struct flow_keys` from `basic` on.
pub fn flow_hash_from_keys(cx: &Cx, keys: FlowKeys) -> u32 {
    /// Offsets in bytes of protocol, ports and addresses; the rest is 0 here.
    const PROTO: usize = 2;
    const PORTS: usize = 28;
    const ADDRS: usize = 36;
    let mut addrs = keys.addrs.map(|addr| addr.octets());
    let mut ports = keys.ports.map(u16::to_be_bytes);
    // As numbers of a little-endian machine.
    addrs.sort_unstable_by_key(|octets| u32::from_le_bytes(*octets));
    ports.sort_unstable_by_key(|bytes| u16::from_le_bytes(*bytes));
    // Without addresses, the keys end before their place.
    let len = if matches!(keys.n_proto, 0 | ETH_P_IP) { 48 } else { 40 };
    let mut bytes = [0; 48];
    bytes[..PROTO].copy_from_slice(&keys.n_proto.to_be_bytes());
    bytes[PROTO] = keys.proto;
    bytes[PORTS..PORTS + 4].copy_from_slice(ports.as_flattened());
    bytes[ADDRS..ADDRS + 8].copy_from_slice(addrs.as_flattened());
    (siphash(&bytes[..len], cx.k.config.flow_hash_key) as u32).max(1)
}

/// The hash of a received packet's flow, of addresses and ports, which is kept (`skb_get_hash`).
pub fn skb_get_hash(cx: &mut Cx, skb: SkbId) -> u32 {
    let pkt = &cx.skbs[skb];
    if pkt.hash != 0 {
        return pkt.hash;
    }
    let (n_proto, at) = (pkt.protocol, pkt.network_header);
    let ip = if n_proto == ETH_P_IP { cx.skbs.header::<Ipv4Hdr>(skb, at) } else { None };
    let keys = ip.map(|iph| FlowKeys {
        n_proto,
        addrs: [iph.saddr.get(), iph.daddr.get()],
        ports: ports(cx, skb, iph),
        proto: iph.protocol,
    });
    let keys = keys.unwrap_or(FlowKeys { n_proto, ..FlowKeys::default() });
    let hash = flow_hash_from_keys(cx, keys);
    (cx.skbs[skb].hash, cx.skbs[skb].l4_hash) = (hash, keys.ports != [0; 2]);
    hash
}

/// Ports, or SPI. 0 for all fragments, also the first, so that they take the same path.
pub fn ports(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr) -> [u16; 2] {
    ports_at(cx, skb, iph, cx.skbs[skb].network_header + iph.header_len() as u32)
}

/// The same, of a header whose payload begins elsewhere.
pub fn ports_at(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr, transport: u32) -> [u16; 2] {
    let at = ports_offset(iph.protocol).filter(|_| iph.frag_off.get() & (IP_MF | IP_OFFSET) == 0);
    let ports = at.and_then(|at| cx.skbs.header::<[U16; 2]>(skb, transport + at));
    ports.map_or([0; 2], |ports| ports.map(U16::get))
}

/// Offset of the ports in the IPv4 payload (`proto_ports_offset`): TCP, UDP, DCCP, ESP, AH, SCTP, UDP-Lite.
fn ports_offset(proto: u8) -> Option<u32> {
    match proto {
        6 | 17 | 33 | 50 | 132 | 136 => Some(0),
        51 => Some(4),
        _ => None,
    }
}
