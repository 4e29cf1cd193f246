//! Common parts of IPv4 sockets: bind, connect, error queue.
//!
//! Kernel: net/ipv4/af_inet.c, net/ipv4/datagram.c, net/ipv4/ip_sockglue.c

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_UDP, Ipv4Hdr};

use super::fib_frontend::inet_addr_type_table;
use super::icmp::IcmpError;
use super::inet_connection_sock::inet_csk_get_port;
use super::ip_input::ip_hdr;
use super::route::{ip_dev_find, ip_route_connect, ipv4_dst_check, keep};
use super::tcp_ipv4::tcp_v4_connect;
use crate::Cx;
use crate::ids::{DevId, NetnsId, SkbId, SocketId};
use crate::net::core::sock::sk_set_txhash;
use crate::netlink::Errno;
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::l3mdev::{RAW_L3MDEV_ACCEPT, TCP_L3MDEV_ACCEPT, UDP_L3MDEV_ACCEPT};
use crate::tables::route::{FlowOut, RTCF_BROADCAST, Rtable, SkDst};
use crate::tables::route_types::{RT_TABLE_LOCAL, RouteType};
use crate::tables::socket::{PmtuDisc, SockError, SockKind, SockOpts, Socket};
use crate::tables::sysctl::Setting;

static IP_NONLOCAL_BIND: Setting = Setting::new("ip_nonlocal_bind", 0);

/// Sysctls of sockets.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::net(&IP_NONLOCAL_BIND).range(0, 1),
        Sysctl::net(&TCP_L3MDEV_ACCEPT).range(0, 1),
        Sysctl::net(&UDP_L3MDEV_ACCEPT).range(0, 1),
        Sysctl::net(&RAW_L3MDEV_ACCEPT).range(0, 1),
    ],
);

/// Binds a socket to an own address and a port (`bind`); zeros mean any.
///
/// # Errors
///
/// EADDRNOTAVAIL if the address is not this namespace's, EADDRINUSE if the port is taken.
pub fn inet_bind(cx: &mut Cx, sock: SocketId, address: Ipv4Addr, port: u16) -> Result<(), Errno> {
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let (netns, kind) = (socket.netns, socket.kind);
    let ipv4 = &cx.k.netns[netns].ipv4;
    let free = cx.k.netns[netns].sysctls.get(&IP_NONLOCAL_BIND) != 0;
    let own = matches!(
        inet_addr_type_table(&ipv4.fib, address, bind_table(cx, socket)),
        RouteType::Local | RouteType::Multicast | RouteType::Broadcast
    );
    if !address.is_unspecified() && !own && !free {
        return Err(Errno::EADDRNOTAVAIL);
    }
    if kind == SockKind::Tcp {
        return inet_csk_get_port(cx, sock, address, port);
    }
    let opts = cx.k.sockets.get(sock).map(|socket| &socket.opts);
    let (shares, reuses) = opts.map_or((false, false), |opts| (opts.reuseport, opts.reuseaddr));
    let bound = opts.map_or(0, |opts| opts.bound_dev_if);
    let clash = |other: &Socket| {
        other.id != sock
            && !(shares && other.opts.reuseport)
            && !(reuses && other.opts.reuseaddr)
            && (other.local.0.is_unspecified() || address.is_unspecified() || other.local.0 == address)
            && (bound == 0 || other.opts.bound_dev_if == 0 || other.opts.bound_dev_if == bound)
    };
    let ports = matches!(kind, SockKind::Udp | SockKind::Ping);
    if ports && port != 0 && cx.k.sockets.bound(netns, kind, port).any(clash) {
        return Err(Errno::EADDRINUSE);
    }
    // Raw sockets have no ports.
    cx.k.sockets.bind(sock, (address, if ports { port } else { 0 }));
    Ok(())
}

/// Binds a socket to a port that is free, whatever its address.
pub fn inet_autobind(cx: &mut Cx, sock: SocketId, port: u16) {
    if let Some(address) = cx.k.sockets.get(sock).map(|socket| socket.local.0) {
        cx.k.sockets.bind(sock, (address, port));
    }
}

/// Sets the destination of a socket and the source that the route gives it (`connect`).
///
/// # Errors
///
/// What routing says; EACCES for a broadcast address without SO_BROADCAST.
pub fn inet_connect(cx: &mut Cx, sock: SocketId, address: Ipv4Addr, port: u16) -> Result<(), Errno> {
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    if socket.kind == SockKind::Tcp {
        return tcp_v4_connect(cx, sock, address, port);
    }
    let (netns, kind, opts, local) = (socket.netns, socket.kind, socket.opts.clone(), socket.local);
    let proto = match kind {
        SockKind::Udp => IPPROTO_UDP,
        SockKind::Ping => IPPROTO_ICMP,
        SockKind::Raw { protocol } => protocol,
        _ => 0,
    };
    let flow = flow_of(cx, sock, address, proto, (local.1, port))?;
    let routed = ip_route_connect(cx, netns, flow);
    let (route, flow) = count_no_route(cx, netns, routed)?;
    if route.flags & RTCF_BROADCAST != 0 && !opts.broadcast {
        return Err(Errno::EACCES);
    }
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        socket.remote = Some((flow.daddr, port));
        if socket.local.0.is_unspecified() {
            socket.local.0 = flow.saddr;
        }
    }
    sk_set_txhash(cx, sock);
    // Linux binds the socket to a port first; here the first datagram does, and policy rules may depend on the port.
    if kind == SockKind::Udp && (local.1 != 0 || !cx.k.netns[netns].ipv4.fib.rules.custom) {
        let asked = flow_of(cx, sock, flow.daddr, IPPROTO_UDP, (0, 0))?;
        sk_dst_set(cx, sock, asked, (route, flow));
    }
    Ok(())
}

/// The cached route of a connected socket, if it is still valid for this flow (`sk_dst_check`).
pub fn sk_dst_check(cx: &mut Cx, sock: SocketId, asked: &FlowOut) -> Option<(Rtable, FlowOut)> {
    let socket = cx.k.sockets.get(sock)?;
    let netns = socket.netns;
    let mut kept = socket.dst.filter(|dst| dst.asked == without_ports(asked)).map(|dst| dst.kept);
    let found = ipv4_dst_check(cx.k, netns, &mut kept);
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        socket.dst = kept.map(|kept| SkDst { asked: without_ports(asked), kept });
    }
    found
}

/// Caches the route of a connected socket (`sk_dst_set`).
pub fn sk_dst_set(cx: &mut Cx, sock: SocketId, asked: FlowOut, found: (Rtable, FlowOut)) {
    let Some(netns) = cx.k.sockets.get(sock).map(|socket| socket.netns) else { return };
    // Multicast routes depend on more than the tables.
    let lasts = matches!(found.0.kind, RouteType::Unicast | RouteType::Local);
    let kept = keep(cx.k, netns, found).filter(|_| lasts);
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        socket.dst = kept.map(|kept| SkDst { asked: without_ports(&asked), kept });
    }
}

fn without_ports(flow: &FlowOut) -> FlowOut {
    FlowOut { sport: 0, dport: 0, ..*flow }
}

/// Counts `OutNoRoutes` for a datagram without a route; raw sockets do not.
///
/// # Errors
///
/// The one given.
pub fn count_no_route<T>(cx: &mut Cx, netns: NetnsId, routed: Result<T, Errno>) -> Result<T, Errno> {
    if let Err(Errno::ENETUNREACH) = routed {
        cx.k.netns[netns].ipv4.snmp.ip.OutNoRoutes += 1;
    }
    routed
}

/// The flow of a packet of a socket.
///
/// # Errors
///
/// EBADF if the socket is closed, ENODEV if the device that it is bound to is gone.
pub fn flow_of(
    cx: &Cx,
    sock: SocketId,
    daddr: Ipv4Addr,
    proto: u8,
    ports: (u16, u16),
) -> Result<FlowOut, Errno> {
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let opts = &socket.opts;
    let group = daddr.is_multicast();
    let ifindex = match opts.bound_dev_if {
        0 if group => opts.mcast_ifindex,
        bound => bound,
    };
    let oif = match ifindex {
        0 => None,
        ifindex => Some(cx.k.dev_by_index(socket.netns, ifindex).ok_or(Errno::ENODEV)?),
    };
    let saddr = if socket.local.0.is_multicast() || socket.local.0.is_broadcast() {
        Ipv4Addr::UNSPECIFIED
    } else {
        socket.local.0
    };
    Ok(FlowOut {
        daddr,
        saddr,
        oif,
        tos: opts.tos,
        mark: opts.mark,
        proto,
        sport: ports.0,
        dport: ports.1,
        any_source: opts.hdrincl,
        onlink: opts.dontroute,
    })
}

/// DF, and whether the packet may be fragmented in spite of it (`ip_dont_fragment`, `ip_sk_ignore_df`).
pub fn pmtu_policy(opts: &SockOpts, route: &Rtable, len: usize, mtu: u32) -> (bool, bool) {
    let fits = len <= mtu as usize;
    match opts.pmtudisc {
        PmtuDisc::Dont => (false, true),
        PmtuDisc::Want => (fits && !route.mtu_locked, true),
        PmtuDisc::Do | PmtuDisc::Probe => (true, false),
    }
}

/// TTL of a packet of a socket; 0: the default.
pub fn ttl_of(opts: &SockOpts, route: &Rtable) -> u8 {
    if route.kind == RouteType::Multicast { opts.mcast_ttl } else { opts.ttl.unwrap_or(0) }
}

/// The socket accepts a packet to this address by the device that it came in by (`inet_bound_dev_eq`): its L3 master or the device
/// itself. A packet of this host to itself came in by the device that has the address (`inet_iif`), not by `lo` or the L3 master.
pub fn inet_bound_dev_eq(cx: &Cx, socket: &Socket, skb: SkbId, daddr: Ipv4Addr) -> bool {
    let pkt = &cx.skbs[skb];
    let dev = &cx.k.devs[pkt.dev];
    let sdif = if dev.l3mdev_fib_table.is_some() { pkt.ip.iif } else { 0 };
    let bound = socket.opts.bound_dev_if;
    if bound == 0 {
        if sdif == 0 {
            return true;
        }
        let sysctls = &cx.k.netns[socket.netns].sysctls;
        return match socket.kind {
            SockKind::Tcp => sysctls.get(&TCP_L3MDEV_ACCEPT) != 0,
            SockKind::Udp => sysctls.get(&UDP_L3MDEV_ACCEPT) != 0,
            SockKind::Raw { .. } => sysctls.get(&RAW_L3MDEV_ACCEPT) != 0,
            _ => true,
        };
    }
    let looped = dev.is_loopback() || sdif == dev.ifindex;
    let dif = if looped { has_address(cx, skb, daddr).unwrap_or(pkt.dev) } else { pkt.dev };
    bound == cx.k.devs[dif].ifindex || bound == sdif
}

/// The device of the local route that a packet of this host to itself was sent by.
fn has_address(cx: &Cx, skb: SkbId, daddr: Ipv4Addr) -> Option<DevId> {
    let pkt = &cx.skbs[skb];
    let netns = cx.k.devs[pkt.dev].netns;
    let info =
        pkt.dst.and_then(|route| route.info).and_then(|info| cx.k.netns[netns].ipv4.fib.infos.find(info));
    let dev = info.and_then(|info| info.nexthops.first()?.dev).filter(|dev| cx.k.devs.get(*dev).is_some());
    dev.or_else(|| ip_dev_find(cx, netns, daddr))
}

/// The table by which a socket's own address is an address of this machine.
fn bind_table(cx: &Cx, socket: &Socket) -> u32 {
    let dev = cx.k.dev_by_index(socket.netns, socket.opts.bound_dev_if);
    dev.and_then(|dev| cx.k.devs.l3mdev_fib_table(dev)).unwrap_or(RT_TABLE_LOCAL)
}

/// An ICMP message about a packet of this socket (`ip_icmp_error`): queued with IP_RECVERR, and the next call fails
/// if `hard`.
pub fn report_icmp_error(
    cx: &mut Cx,
    id: SocketId,
    skb: SkbId,
    error: IcmpError,
    (errno, hard): (Errno, bool),
    to: (Ipv4Addr, u16),
    payload: Vec<u8>,
) {
    let now = cx.now;
    let Some(offender) = ip_hdr(cx, skb).map(|iph| (iph.saddr.get(), iph.ttl)) else { return };
    let Some(socket) = cx.k.sockets.get_mut(id) else { return };
    let queued = socket.opts.recverr;
    if queued {
        socket.error_queue.push_back(SockError {
            at: now,
            errno,
            from_icmp: true,
            kind: error.kind,
            code: error.code,
            info: error.info,
            offender: offender.0,
            to,
            data: payload,
            ttl: offender.1,
        });
    }
    if queued || hard {
        socket.error = Some(errno);
        cx.sock_def_wakeup(id);
    }
}

/// This machine found that a packet cannot be sent (`ip_local_error`): queued with IP_RECVERR.
pub fn ip_local_error(cx: &mut Cx, id: SocketId, errno: Errno, to: (Ipv4Addr, u16), info: u32) {
    let now = cx.now;
    let Some(socket) = cx.k.sockets.get_mut(id) else { return };
    if !socket.opts.recverr {
        return;
    }
    socket.error_queue.push_back(SockError {
        at: now,
        errno,
        from_icmp: false,
        kind: 0,
        code: 0,
        info,
        offender: Ipv4Addr::UNSPECIFIED,
        to,
        data: Vec::new(),
        ttl: 0,
    });
    socket.error = Some(errno);
    cx.sock_def_wakeup(id);
}

/// The payload of a quoted packet.
pub fn quoted_payload(cx: &Cx, skb: SkbId, inner: &Ipv4Hdr) -> Vec<u8> {
    let at = glassnet_wire::icmp::ICMP_HLEN + inner.header_len();
    cx.skbs.data(skb).get(at..).map_or(Vec::new(), <[u8]>::to_vec)
}
