//! Frames inside VXLAN and Geneve, on whatever port the devices say.

use std::collections::BTreeMap;

use glassnet_kernel::note::{Note, UdpTunnel};
use glassnet_kernel::trace::{Headers, Trace};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, EthHdr};
use glassnet_wire::geneve::{GENEVE_HLEN, GeneveHdr};
use glassnet_wire::ipv4::{IP_OFFSET, IPPROTO_UDP, Ipv4Hdr};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use glassnet_wire::vxlan::{VXLAN_HLEN, VxlanHdr};
use zerocopy::FromBytes;

use super::summary::summary;

/// The ports to which devices sent, and what they sent there.
pub fn ports(trace: &Trace) -> BTreeMap<u16, UdpTunnel> {
    let port = |note: &Note| match note {
        Note::Tunnel(note) => Some((note.port, note.kind)),
        _ => None,
    };
    trace.notes.iter().filter_map(|note| port(&note.note)).collect()
}

/// The frame inside, as tcpdump prints it behind its VNI; `None`: the packet is none of a tunnel.
pub fn inside(headers: &Headers, ports: &BTreeMap<u16, UdpTunnel>) -> Option<String> {
    let network = match headers.link {
        true => {
            EthHdr::read_from_prefix(&headers.bytes).ok().filter(|(eth, _)| eth.h_proto.get() == ETH_P_IP)?.1
        }
        false => &headers.bytes,
    };
    let (ip, _) = Ipv4Hdr::read_from_prefix(network).ok().filter(|(ip, _)| ip.version() == 4)?;
    if ip.protocol != IPPROTO_UDP || ip.frag_off.get() & IP_OFFSET != 0 {
        return None;
    }
    let (udp, rest) = UdpHdr::read_from_prefix(network.get(ip.header_len()..)?).ok()?;
    let (vni, header_len) = match ports.get(&udp.dest.get())? {
        UdpTunnel::Vxlan => (VxlanHdr::read_from_prefix(rest).ok()?.0.vni(), VXLAN_HLEN),
        UdpTunnel::Geneve => {
            let (header, _) = GeneveHdr::read_from_prefix(rest).ok()?;
            (header.vni(), GENEVE_HLEN + header.options_len())
        }
    };
    let frame = rest.get(header_len..)?;
    let outer = if headers.link { ETH_HLEN } else { 0 } + ip.header_len() + UDP_HLEN + header_len;
    let len = headers.len.saturating_sub(outer);
    let inner = Headers { step: headers.step, link: true, len, bytes: frame.to_vec() };
    Some(format!("VNI {vni}: {}", summary(&inner)))
}
