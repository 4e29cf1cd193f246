//! What is in tunnels over UDP, on whatever port the devices say.

use std::collections::BTreeMap;

use glassnet_kernel::note::{Note, UdpTunnel};
use glassnet_kernel::trace::{Headers, Trace};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, ETH_P_TEB, EthHdr};
use glassnet_wire::geneve::{GENEVE_HLEN, GeneveHdr};
use glassnet_wire::gre::Gre;
use glassnet_wire::gue::Gue;
use glassnet_wire::ipv4::{IP_OFFSET, IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_UDP, Ipv4Hdr};
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

/// The frame or the packet inside, as tcpdump prints it behind the VNI or the kind of tunnel; `None`: the packet is none of a tunnel.
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
    let (what, header_len, link) = match ports.get(&udp.dest.get())? {
        UdpTunnel::Vxlan => {
            (format!("VNI {}", VxlanHdr::read_from_prefix(rest).ok()?.0.vni()), VXLAN_HLEN, true)
        }
        UdpTunnel::Geneve => {
            let (header, _) = GeneveHdr::read_from_prefix(rest).ok()?;
            (format!("VNI {}", header.vni()), GENEVE_HLEN + header.options_len(), true)
        }
        UdpTunnel::Fou(protocol) => {
            let (link, len) = carried(*protocol, rest)?;
            ("FOU".to_owned(), len, link)
        }
        UdpTunnel::Gue => {
            let gue = Gue::parse(rest)?;
            let (link, len) = carried(gue.protocol, rest.get(gue.len..)?)?;
            ("GUE".to_owned(), gue.len + len, link)
        }
    };
    let frame = rest.get(header_len..)?;
    let outer = if headers.link { ETH_HLEN } else { 0 } + ip.header_len() + UDP_HLEN + header_len;
    let len = headers.len.saturating_sub(outer);
    let inner = Headers { step: headers.step, link, len, bytes: frame.to_vec() };
    Some(format!("{what}: {}", summary(&inner)))
}

/// Whether what an IP protocol carries begins with an Ethernet header, and behind how many bytes.
fn carried(protocol: u8, bytes: &[u8]) -> Option<(bool, usize)> {
    match protocol {
        IPPROTO_IPIP => Some((false, 0)),
        IPPROTO_GRE => Gre::parse(bytes).map(|(gre, len)| (gre.protocol == ETH_P_TEB, len)),
        _ => None,
    }
}
