//! Frames inside VXLAN, on whatever port the devices say.

use std::collections::BTreeSet;

use glassnet_kernel::note::Note;
use glassnet_kernel::trace::{Headers, Trace};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::{IP_OFFSET, IPPROTO_UDP, Ipv4Hdr};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};
use glassnet_wire::vxlan::{VXLAN_HLEN, VxlanHdr};
use zerocopy::FromBytes;

use super::summary::summary;

/// The ports to which devices sent.
pub fn ports(trace: &Trace) -> BTreeSet<u16> {
    let port = |note: &Note| match note {
        Note::Tunnel(note) => Some(note.port),
        _ => None,
    };
    trace.notes.iter().filter_map(|note| port(&note.note)).collect()
}

/// The frame inside, as tcpdump prints it behind its VNI; `None`: the packet is none of a VXLAN.
pub fn inside(headers: &Headers, ports: &BTreeSet<u16>) -> Option<String> {
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
    if !ports.contains(&udp.dest.get()) {
        return None;
    }
    let (vxlan, frame) = VxlanHdr::read_from_prefix(rest).ok()?;
    let outer = if headers.link { ETH_HLEN } else { 0 } + ip.header_len() + UDP_HLEN + VXLAN_HLEN;
    let len = headers.len.saturating_sub(outer);
    let inner = Headers { step: headers.step, link: true, len, bytes: frame.to_vec() };
    Some(format!("VNI {}: {}", vxlan.vni(), summary(&inner)))
}
