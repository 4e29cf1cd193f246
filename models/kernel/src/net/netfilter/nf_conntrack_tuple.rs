//! Tuples: what identifies the connection of a packet.
//!
//! Kernel: include/net/netfilter/nf_conntrack_tuple.h, net/netfilter/nf_conntrack_core.c (`nf_ct_get_tuple`)

use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr};
use zerocopy::FromBytes;

use crate::tables::conntrack::Tuple;

/// UDP-Lite.
pub const IPPROTO_UDPLITE: u8 = 136;
/// SCTP.
pub const IPPROTO_SCTP: u8 = 132;
/// DCCP.
pub const IPPROTO_DCCP: u8 = 33;

/// The tuple of a packet that begins with its IPv4 header, and the offset of the payload (`nf_ct_get_tuplepr`). `None`
/// for later fragments and truncated packets.
#[inline]
pub fn nf_ct_get_tuple(packet: &[u8]) -> Option<(Tuple, usize)> {
    let (iph, _) = Ipv4Hdr::ref_from_prefix(packet).ok()?;
    let dataoff = iph.header_len();
    if iph.fragment_offset() != 0 || dataoff < IPV4_HLEN || dataoff > packet.len() {
        return None;
    }
    let (src, dst, proto) = (iph.saddr.get(), iph.daddr.get(), iph.protocol);
    let first = |len: usize| packet.get(dataoff..dataoff + len);
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (sport, dport) = match proto {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP => {
            let ports = first(4)?;
            (word(ports, 0), word(ports, 2))
        }
        IPPROTO_ICMP => {
            let icmp = first(8)?;
            (word(icmp, 4), word(icmp, 0))
        }
        _ => (0, 0),
    };
    Some((Tuple { src, dst, sport, dport, proto }, dataoff))
}
