//! Tunnels over UDP: their sockets, and their header.
//!
//! Kernel: net/ipv4/udp_tunnel_core.c

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_wire::ipv4::{IPPROTO_UDP, Ipv4Hdr};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr, udp_set_csum};
use zerocopy::big_endian::U16;

use super::af_inet::inet_bind;
use super::ip_output::IpHeader;
use super::ip_tunnel_core::iptunnel_xmit;
use crate::Cx;
use crate::door::{Door, Func};
use crate::encap::UdpTunnelSockCfg;
use crate::ids::{DevId, NetnsId, SkbId, SocketId};
use crate::net::core::flow_dissector::skb_get_hash;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::inet::LOCAL_PORT_RANGE;
use crate::tables::ip_tunnel::{IpTunnelInfo, IpTunnelKey, TUNNEL_CSUM};
use crate::tables::route::Rtable;
use crate::tables::socket::SockKind;

/// Opens a kernel's socket on a port of every address, bound to a device by its ifindex or to none (0), whose datagrams a tunnel takes
/// (`udp_sock_create4`, `setup_udp_tunnel_sock`).
///
/// # Errors
///
/// `EADDRINUSE` if the port is taken.
pub fn udp_sock_create4(
    cx: &mut Cx,
    netns: NetnsId,
    (port, bind_ifindex): (u16, u32),
    tunnel: &'static UdpTunnelSockCfg,
) -> Result<SocketId, Errno> {
    let sock = cx.k.sockets.open(SockKind::Udp, netns);
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        socket.opts.bound_dev_if = bind_ifindex;
    }
    if let Err(errno) = inet_bind(cx, sock, Ipv4Addr::UNSPECIFIED, port) {
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
/// kernel's own choice.
pub fn udp_flow_src_port(cx: &mut Cx, skb: SkbId, range: (u16, u16)) -> u16 {
    let (min, max) = if range.0 >= range.1 { LOCAL_PORT_RANGE } else { range };
    let hash = skb_get_hash(cx, skb);
    let hash = hash ^ hash << 16;
    ((u64::from(hash) * u64::from(max - min)) >> 32) as u16 + min
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
    (source, dest): (u16, u16),
    csum: bool,
) {
    cx.within(Func::UdpTunnelXmitSkb, skb, |cx| {
        cx.skbs.push(skb, UDP_HLEN);
        let at = cx.skbs[skb].data;
        let len = cx.skbs[skb].len() as u16;
        if let Some(udp) = cx.skbs.header_mut::<UdpHdr>(skb, at) {
            let (source, dest) = (U16::new(source), U16::new(dest));
            *udp = UdpHdr { source, dest, len: U16::new(len), check: U16::new(0) };
        }
        if csum {
            udp_set_csum(cx.skbs.data_mut(skb), header.saddr, header.daddr);
        }
        let xnet = cx.k.devs[tunnel].netns != cx.k.devs[route.dev].netns;
        iptunnel_xmit(cx, skb, tunnel, route, IpHeader { protocol: IPPROTO_UDP, ..header }, xnet);
    });
}
