//! Tunnels over UDP: their sockets, and their header.
//!
//! Kernel: net/ipv4/udp_tunnel_core.c

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_wire::ipv4::{IPPROTO_UDP, Ipv4Hdr};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr, udp_set_csum};
use zerocopy::big_endian::U16;

use super::af_inet::{inet_bind, inet_connect};
use super::ip_output::IpHeader;
use super::ip_tunnel_core::iptunnel_xmit;
use crate::Cx;
use crate::door::{Door, Func};
use crate::encap::UdpTunnelSockCfg;
use crate::ids::{DevId, NetnsId, SkbId, SocketId};
use crate::net::core::flow_dissector::skb_get_hash;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_tunnel::{IpTunnelInfo, IpTunnelKey, TUNNEL_CSUM};
use crate::tables::route::Rtable;
use crate::tables::socket::SockKind;

/// What a tunnel's socket is bound to (`struct udp_port_cfg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPortCfg {
    /// Its address, or any, and its port.
    pub local: (Ipv4Addr, u16),
    /// The only sender of its datagrams.
    pub peer: Option<(Ipv4Addr, u16)>,
    /// The ifindex of the device that they come in by; 0: any.
    pub bind_ifindex: u32,
}

impl UdpPortCfg {
    /// A port of every address.
    pub fn of_port(port: u16) -> UdpPortCfg {
        UdpPortCfg { local: (Ipv4Addr::UNSPECIFIED, port), peer: None, bind_ifindex: 0 }
    }
}

/// Opens a kernel's socket whose datagrams a tunnel takes (`udp_sock_create4`, `setup_udp_tunnel_sock`).
///
/// # Errors
///
/// `EADDRINUSE` if the port is taken, `EADDRNOTAVAIL` if the address is not this host's; without a route to the sender what routing says.
pub fn udp_sock_create4(
    cx: &mut Cx,
    netns: NetnsId,
    cfg: UdpPortCfg,
    tunnel: &'static UdpTunnelSockCfg,
) -> Result<SocketId, Errno> {
    let sock = cx.k.sockets.open(SockKind::Udp, netns);
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        socket.opts.bound_dev_if = cfg.bind_ifindex;
    }
    let bound = inet_bind(cx, sock, cfg.local.0, cfg.local.1);
    let connected = bound.and_then(|()| match cfg.peer {
        Some((addr, port)) => inet_connect(cx, sock, addr, port),
        None => Ok(()),
    });
    if let Err(errno) = connected {
        udp_tunnel_sock_release(cx, sock);
        return Err(errno);
    }
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        (socket.tunnel, socket.opts.mcast_loop) = (Some(tunnel), false);
    }
    cx.k.sockets.udp_encap_needed = true;
    Ok(sock)
}

/// Closes it.
pub fn udp_tunnel_sock_release(cx: &mut Cx, sock: SocketId) {
    cx.k.sockets.close(sock);
}

/// The outer source port: the same for all packets of a flow (`udp_flow_src_port`). A range of no ports stands for the
/// namespace's own choice.
pub fn udp_flow_src_port(cx: &mut Cx, skb: SkbId, range: (u16, u16)) -> u16 {
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let (min, max) = if range.0 >= range.1 { cx.k.netns[netns].ipv4.local_ports.range } else { range };
    let hash = skb_get_hash(cx, skb);
    let hash = hash ^ hash << 16;
    ((u64::from(hash) * u64::from(max - min)) >> 32) as u16 + min
}

/// Puts a UDP header in front, with a checksum for packets between two ends if those are given.
pub fn udp_push_header(
    cx: &mut Cx,
    skb: SkbId,
    (source, dest): (u16, u16),
    ends: Option<(Ipv4Addr, Ipv4Addr)>,
) {
    cx.skbs.push(skb, UDP_HLEN);
    let at = cx.skbs[skb].data;
    let len = cx.skbs[skb].len() as u16;
    if let Some(udp) = cx.skbs.header_mut::<UdpHdr>(skb, at) {
        let (source, dest) = (U16::new(source), U16::new(dest));
        *udp = UdpHdr { source, dest, len: U16::new(len), check: U16::new(0) };
    }
    if let Some((saddr, daddr)) = ends {
        udp_set_csum(cx.skbs.data_mut(skb), saddr, daddr);
    }
}

/// A frame that came out of a datagram is received by its device; `None`: it is dropped.
pub fn udp_tunnel_received(cx: &mut Cx, skb: SkbId, dev: Option<DevId>) -> Door {
    let Some(dev) = dev else { return cx.kfree_skb(skb, DropReason::NotSpecified) };
    let len = cx.skbs[skb].len();
    cx.k.devs[dev].stats.count_rx(len, false);
    Door::GroCellsReceive { skb }
}

/// What the outer headers of a datagram say, with the number of its network (`udp_tun_rx_dst`).
pub fn udp_tun_rx_dst(iph: &Ipv4Hdr, udp: &UdpHdr, tun_flags: u16, tun_id: u64) -> Arc<IpTunnelInfo> {
    let csum = if udp.check.get() == 0 { 0 } else { TUNNEL_CSUM };
    Arc::new(IpTunnelInfo::received(IpTunnelKey {
        tun_id,
        src: iph.saddr.get(),
        dst: iph.daddr.get(),
        tun_flags: tun_flags | csum,
        tos: iph.tos,
        ttl: iph.ttl,
        tp_src: udp.source.get(),
        tp_dst: udp.dest.get(),
    }))
}

/// Puts a UDP header in front and sends the packet; `csum`: with a checksum.
///
/// Kernel: net/ipv4/udp_tunnel_core.c
pub fn udp_tunnel_xmit_skb(
    cx: &mut Cx,
    (skb, tunnel): (SkbId, DevId),
    route: Rtable,
    header: IpHeader,
    ports: (u16, u16),
    csum: bool,
) {
    cx.within(Func::UdpTunnelXmitSkb, skb, |cx| {
        udp_push_header(cx, skb, ports, csum.then_some((header.saddr, header.daddr)));
        let xnet = cx.k.devs[tunnel].netns != cx.k.devs[route.dev].netns;
        iptunnel_xmit(cx, skb, tunnel, route, IpHeader { protocol: IPPROTO_UDP, ..header }, xnet);
    });
}
