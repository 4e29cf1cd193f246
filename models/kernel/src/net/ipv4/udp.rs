//! UDP.
//!
//! Kernel: net/ipv4/udp.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum;
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_PARAMETERPROB, ICMP_REDIRECT};
use glassnet_wire::ipv4::{IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr};
use glassnet_wire::udp::{UDP_HLEN, UdpHdr, udp_set_csum};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U16;

use super::af_inet::{
    count_no_route, flow_of, inet_autobind, inet_bound_dev_eq, pmtu_policy, quoted_payload,
    report_icmp_error, sk_dst_check, sk_dst_set, ttl_of,
};
use super::fou_core::gue_err;
use super::icmp::{self, IcmpError};
use super::ip_input::{ip_hdr, snmp};
use super::ip_output::{Cork, IpHeader, ip_append_data, ip_make_header};
use super::route::{dst_mtu, ip_route_output_flow};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{NetnsId, SkbId, SocketId};
use crate::net::core::rps::sock_rps_save_rxhash;
use crate::net::core::sock::{hears_of_full_devices, sock_queue_rcv_skb};
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::route::{RTCF_BROADCAST, RTCF_MULTICAST};
use crate::tables::socket::{PmtuDisc, Queued, SockKind, Socket};

/// Sends a datagram to an address and port; `None`: to where the socket is connected.
///
/// # Errors
///
/// EINVAL without a port, ENOTCONN without a destination; EMSGSIZE, EACCES, and those of routing.
pub fn udp_sendmsg(
    cx: &mut Cx,
    sock: SocketId,
    to: Option<(Ipv4Addr, u16)>,
    payload: &[u8],
) -> Result<usize, Errno> {
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let (netns, local, mark) = (socket.netns, socket.local, socket.opts.mark);
    let connected = to.is_none();
    let to = to.or(socket.remote).ok_or(Errno::ENOTCONN)?;
    if to.1 == 0 {
        return Err(Errno::EINVAL);
    }
    if payload.len() > 0xffff - UDP_HLEN - IPV4_HLEN {
        return Err(Errno::EMSGSIZE);
    }
    if local.1 == 0 {
        let port = udp_lib_get_port(cx, netns).ok_or(Errno::EAGAIN)?;
        inet_autobind(cx, sock, port);
    }
    let lo = cx.k.netns[netns].loopback;
    let skb = cx.skbs.alloc_skb(UDP_HLEN + payload.len(), lo);
    cx.skbs[skb].short_headroom = true;
    cx.skbs.data_mut(skb)[UDP_HLEN..].copy_from_slice(payload);
    cx.skbs[skb].mark = mark;
    cx.within(Func::UdpSendmsg, skb, |cx| match route_and_build(cx, sock, netns, skb, to, connected) {
        Ok(door) => {
            udp_send_skb(cx, sock, skb, door)?;
            Ok(payload.len())
        }
        Err(errno) => {
            cx.discard_skb(skb);
            if errno == Errno::ENOBUFS || cx.k.sockets.get(sock).is_some_and(|socket| socket.nospace) {
                cx.k.netns[netns].ipv4.snmp.udp.SndbufErrors += 1;
            }
            Err(errno)
        }
    })
}

/// Sends a datagram, and counts it. That a device did not take it is an error only for who wants to know.
fn udp_send_skb(cx: &mut Cx, sock: SocketId, skb: SkbId, door: Door) -> Result<(), Errno> {
    let netns = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?.netns;
    let sent = cx.xmit_and_wait(skb, door);
    let counters = &mut cx.k.netns[netns].ipv4.snmp.udp;
    match sent {
        Ok(()) => counters.OutDatagrams += 1,
        Err(Errno::ENOBUFS) => {
            counters.SndbufErrors += 1;
            if !hears_of_full_devices(cx, sock) {
                return Ok(());
            }
        }
        Err(_) => {}
    }
    sent
}

/// A free port (`udp_lib_get_port`).
fn udp_lib_get_port(cx: &mut Cx, netns: NetnsId) -> Option<u16> {
    let count = cx.k.netns[netns].ipv4.local_ports.all().len();
    let start = cx.dice.below(count as u64) as usize;
    let ports = &cx.k.netns[netns].ipv4.local_ports;
    let is_free = |port: &u16| {
        !ports.is_reserved(*port) && cx.k.sockets.bound(netns, SockKind::Udp, *port).next().is_none()
    };
    ports.all().cycle().skip(start).take(count).find(is_free)
}

fn route_and_build(
    cx: &mut Cx,
    sock: SocketId,
    netns: NetnsId,
    skb: SkbId,
    to: (Ipv4Addr, u16),
    connected: bool,
) -> Result<Door, Errno> {
    let sport = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?.local.1;
    let flow = flow_of(cx, sock, to.0, IPPROTO_UDP, (sport, to.1))?;
    let (route, flow) = match sk_dst_check(cx, sock, &flow).filter(|_| connected) {
        Some(kept) => kept,
        None => {
            let routed = ip_route_output_flow(cx, netns, flow, Some(skb));
            let found = count_no_route(cx, netns, routed)?;
            if connected {
                sk_dst_set(cx, sock, flow, found);
            }
            found
        }
    };
    let opts = &cx.k.sockets.get(sock).ok_or(Errno::EBADF)?.opts;
    if route.flags & RTCF_BROADCAST != 0 && !opts.broadcast {
        return Err(Errno::EACCES);
    }
    let udp_len = cx.skbs[skb].len();
    let len = udp_len + IPV4_HLEN;
    let mtu = match opts.pmtudisc {
        PmtuDisc::Probe => cx.k.devs[route.dev].mtu,
        _ => dst_mtu(cx, &route),
    };
    let (dont_fragment, ignore_df) = pmtu_policy(opts, &route, len, mtu);
    let (ttl, tos) = (ttl_of(opts, &route), opts.tos);
    ip_append_data(cx, sock, skb, Cork { to, mtu, ignore_df, transhdrlen: UDP_HLEN })?;
    let header = UdpHdr {
        source: U16::new(sport),
        dest: U16::new(to.1),
        len: U16::new(udp_len as u16),
        check: U16::new(0),
    };
    let data = cx.skbs.data_mut(skb);
    data[..UDP_HLEN].copy_from_slice(header.as_bytes());
    udp_set_csum(data, flow.saddr, flow.daddr);
    let header = IpHeader {
        saddr: flow.saddr,
        daddr: flow.daddr,
        protocol: IPPROTO_UDP,
        ttl,
        tos,
        dont_fragment,
        ignore_df,
    };
    ip_make_header(cx, netns, skb, route, header);
    Ok(Door::IpSendSkb { skb })
}

/// Receives a datagram: verifies the checksum and looks up the socket.
///
/// Kernel: net/ipv4/udp.c
/// Not modelled: UDP-Lite.
pub fn udp_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    let (Some(iph), Some(udp)) =
        (ip_hdr(cx, skb).copied(), cx.skbs.header::<UdpHdr>(skb, cx.skbs[skb].data).copied())
    else {
        snmp(cx, skb).udp.InErrors += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let len = usize::from(udp.len.get());
    if len < UDP_HLEN || len > cx.skbs[skb].len() {
        snmp(cx, skb).udp.InErrors += 1;
        return cx.kfree_skb(skb, DropReason::PktTooSmall);
    }
    cx.skbs.trim(skb, len);
    let (saddr, daddr) = (iph.saddr.get(), iph.daddr.get());
    let pseudo = checksum::pseudo_header(saddr, daddr, IPPROTO_UDP, len as u16);
    let wrong = udp.check.get() != 0
        && !cx.skbs[skb].ip_summed
        && checksum::fold(checksum::sum(pseudo, cx.skbs.data(skb))) != 0;
    if wrong {
        let counters = &mut snmp(cx, skb).udp;
        counters.InCsumErrors += 1;
        counters.InErrors += 1;
        return cx.kfree_skb(skb, DropReason::UdpCsum);
    }
    let flags = cx.skbs[skb].dst.map_or(0, |route| route.flags);
    if flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0 {
        return mcast_deliver(cx, skb, (saddr, udp.source.get()), (daddr, udp.dest.get()));
    }
    match udp_lookup(cx, skb, (saddr, udp.source.get()), (daddr, udp.dest.get())) {
        Some(id) => queue_rcv(cx, id, skb),
        None => {
            cx.nf_reset_ct(skb);
            snmp(cx, skb).udp.NoPorts += 1;
            let error = IcmpError { kind: ICMP_DEST_UNREACH, code: icmp::ICMP_PORT_UNREACH, info: 0 };
            icmp::icmp_send_then_drop(cx, skb, error, DropReason::NoSocket)
        }
    }
}

/// Appends a datagram to a socket's queue; a tunnel's socket gives it to the tunnel.
fn queue_rcv(cx: &mut Cx, id: SocketId, skb: SkbId) -> Door {
    cx.call(Func::UdpQueueRcvSkb, skb);
    cx.nf_reset_ct(skb);
    if let Some(tunnel) = cx.k.sockets.get(id).and_then(|socket| socket.tunnel) {
        snmp(cx, skb).udp.InDatagrams += 1;
        return (tunnel.encap_rcv)(cx, id, skb);
    }
    sock_rps_save_rxhash(cx, id, skb);
    let (ifindex, pkt_type) = (cx.skbs[skb].ip.iif, cx.skbs[skb].pkt_type);
    let arphrd = cx.k.devs[cx.skbs[skb].dev].arphrd;
    if sock_queue_rcv_skb(cx, id, Queued { skb, at: cx.now, ifindex, arphrd, pkt_type }) {
        return Door::End;
    }
    let counters = &mut snmp(cx, skb).udp;
    counters.RcvbufErrors += 1;
    counters.InErrors += 1;
    cx.kfree_skb(skb, DropReason::SocketRcvbuff)
}

/// How well a socket fits a datagram, none if it does not (`compute_score`).
fn compute_score(
    cx: &Cx,
    socket: &Socket,
    skb: SkbId,
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
) -> Option<u32> {
    let fits = (socket.local.0.is_unspecified() || socket.local.0 == to.0)
        && socket.remote.is_none_or(|remote| remote == from)
        && inet_bound_dev_eq(cx, socket, skb, to.0);
    fits.then(|| {
        u32::from(!socket.local.0.is_unspecified())
            + 4 * u32::from(socket.remote.is_some())
            + 4 * u32::from(socket.opts.bound_dev_if != 0)
    })
}

/// The socket of a datagram from one end to the other (`__udp4_lib_lookup`).
pub fn udp_lookup(cx: &Cx, skb: SkbId, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Option<SocketId> {
    let score = |socket: &Socket| Some((compute_score(cx, socket, skb, from, to)?, socket.id));
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    cx.k.sockets.bound(netns, SockKind::Udp, to.1).filter_map(score).max().map(|best| best.1)
}

/// Every socket that fits gets a datagram to a group or to everybody (`__udp4_lib_mcast_deliver`).
fn mcast_deliver(cx: &mut Cx, skb: SkbId, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Door {
    let any = to.0.is_multicast() || to.0.is_broadcast();
    let fits = |socket: &Socket| {
        let bound_to = if any || socket.local.0.is_unspecified() { to } else { (socket.local.0, to.1) };
        compute_score(cx, socket, skb, from, bound_to).is_some()
    };
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let here = cx.k.sockets.bound(netns, SockKind::Udp, to.1);
    let ids: Vec<SocketId> = here.filter(|socket| fits(socket)).map(|socket| socket.id).collect();
    let Some((first, others)) = ids.split_first() else {
        snmp(cx, skb).udp.IgnoredMulti += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    for id in others {
        let clone = cx.skb_clone(skb);
        let door = queue_rcv(cx, *id, clone);
        cx.walk(door);
    }
    queue_rcv(cx, *first, skb)
}

/// An ICMP error about a datagram of a UDP socket (`__udp4_lib_err`).
pub fn udp_err(cx: &mut Cx, skb: SkbId, inner: &Ipv4Hdr, error: IcmpError) {
    let payload = quoted_payload(cx, skb, inner);
    let Some(ports) = payload.get(..4) else { return };
    let sport = u16::from_be_bytes([ports[0], ports[1]]);
    let dport = u16::from_be_bytes([ports[2], ports[3]]);
    let (own, to) = ((inner.saddr.get(), sport), (inner.daddr.get(), dport));
    let sender = udp_lookup(cx, skb, to, own);
    let Some((id, socket)) = sender.and_then(|id| Some((id, cx.k.sockets.get(id)?))) else {
        // A tunnel sends from any port to the one that it is bound to itself, and nobody waits for its errors, or to another
        // (`__udp4_lib_err_encap`).
        let listener = udp_lookup(cx, skb, (to.0, sport), (own.0, dport));
        let tunnel = listener.and_then(|id| cx.k.sockets.get(id)?.tunnel);
        if !tunnel.is_some_and(|tunnel| tunnel.err_lookup) && !gue_err(cx, skb, inner, error) {
            snmp(cx, skb).icmp.InErrors += 1;
        }
        return;
    };
    if socket.tunnel.is_some() {
        return;
    }
    let (connected, opts) = (socket.remote.is_some(), socket.opts.clone());
    let (errno, hard) = match (error.kind, error.code) {
        (ICMP_REDIRECT, _) => return,
        (ICMP_DEST_UNREACH, icmp::ICMP_FRAG_NEEDED) if opts.pmtudisc == PmtuDisc::Dont => return,
        (ICMP_DEST_UNREACH, icmp::ICMP_FRAG_NEEDED) => (Errno::EMSGSIZE, true),
        (ICMP_DEST_UNREACH, code) => icmp::icmp_err_convert(code),
        (ICMP_PARAMETERPROB, _) => (Errno::EPROTO, true),
        _ => (Errno::EHOSTUNREACH, false),
    };
    if !opts.recverr && (!hard || !connected) {
        return;
    }
    let data = payload.get(UDP_HLEN..).map_or(Vec::new(), <[u8]>::to_vec);
    report_icmp_error(cx, id, skb, error, (errno, hard), to, data);
}
