//! Ping sockets: ICMP echo without privileges.
//!
//! Kernel: net/ipv4/ping.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum::checksum;
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_HLEN, ICMP_REDIRECT};
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPV4_HLEN, Ipv4Hdr};

use super::af_inet::{
    count_no_route, flow_of, inet_autobind, inet_bound_dev_eq, pmtu_policy, quoted_payload,
    report_icmp_error, ttl_of,
};
use super::icmp::{self, IcmpError};
use super::ip_output::{Cork, IpHeader, ip_append_data, ip_make_header};
use super::route::{dst_mtu, ip_route_output_flow};
use super::route_errors::ip_do_redirect;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{NetnsId, SkbId, SocketId};
use crate::net::core::sock::queue_or_drop;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::route::RTCF_BROADCAST;
use crate::tables::socket::{PmtuDisc, SockKind, Socket};

/// Sends an echo request: `message` begins with the ICMP header, whose identifier becomes the socket's port.
///
/// # Errors
///
/// EINVAL for anything but an echo request, EMSGSIZE, and what routing says.
pub fn ping_v4_sendmsg(cx: &mut Cx, sock: SocketId, to: Ipv4Addr, message: &[u8]) -> Result<usize, Errno> {
    if message.len() > 0xffff {
        return Err(Errno::EMSGSIZE);
    }
    if message.len() < ICMP_HLEN || message[0] != ICMP_ECHO || message[1] != 0 {
        return Err(Errno::EINVAL);
    }
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let (netns, local, mark) = (socket.netns, socket.local, socket.opts.mark);
    if local.1 == 0 {
        let port = free_ident(cx, netns);
        inet_autobind(cx, sock, port);
    }
    let port = cx.k.sockets.get(sock).map_or(0, |socket| socket.local.1);
    let lo = cx.k.netns[netns].loopback;
    let skb = cx.skbs.alloc_skb(message.len(), lo);
    cx.skbs[skb].short_headroom = true;
    let data = cx.skbs.data_mut(skb);
    data.copy_from_slice(message);
    data[4..6].copy_from_slice(&port.to_be_bytes());
    data[2..4].fill(0);
    let check = checksum(data);
    data[2..4].copy_from_slice(&check.to_be_bytes());
    cx.skbs[skb].mark = mark;
    cx.within(Func::PingV4Sendmsg, skb, |cx| match route_and_build(cx, sock, netns, skb, to) {
        Ok(door) => {
            cx.xmit_and_wait(skb, door)?;
            Ok(message.len())
        }
        Err(errno) => {
            cx.discard_skb(skb);
            Err(errno)
        }
    })
}

/// A free identifier (`ping_get_port`).
fn free_ident(cx: &Cx, netns: NetnsId) -> u16 {
    let taken = |ident: u16| cx.k.sockets.bound(netns, SockKind::Ping, ident).next().is_some();
    (1..=u16::MAX).find(|ident| !taken(*ident)).unwrap_or(0)
}

fn route_and_build(
    cx: &mut Cx,
    sock: SocketId,
    netns: NetnsId,
    skb: SkbId,
    to: Ipv4Addr,
) -> Result<Door, Errno> {
    let flow = flow_of(cx, sock, to, IPPROTO_ICMP, (0, 0))?;
    let routed = ip_route_output_flow(cx, netns, flow, Some(skb));
    let (route, flow) = count_no_route(cx, netns, routed)?;
    let opts = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?.opts.clone();
    if route.flags & RTCF_BROADCAST != 0 && !opts.broadcast {
        return Err(Errno::EACCES);
    }
    let len = cx.skbs[skb].len() + IPV4_HLEN;
    let mtu = dst_mtu(cx, &route);
    let (dont_fragment, ignore_df) = pmtu_policy(&opts, &route, len, mtu);
    ip_append_data(cx, sock, skb, Cork { to: (flow.daddr, 0), mtu, ignore_df, transhdrlen: ICMP_HLEN })?;
    let header = IpHeader {
        saddr: flow.saddr,
        daddr: flow.daddr,
        protocol: IPPROTO_ICMP,
        ttl: ttl_of(&opts, &route),
        tos: opts.tos,
        dont_fragment,
        ignore_df,
    };
    ip_make_header(cx, netns, skb, route, header);
    Ok(Door::IpPushPendingFrames { skb })
}

fn ping_lookup(cx: &Cx, skb: SkbId, ident: u16, own_address: Ipv4Addr) -> Option<SocketId> {
    let dev = cx.skbs[skb].dev;
    let netns = cx.k.devs[dev].netns;
    let fits = |socket: &&Socket| {
        (socket.local.0.is_unspecified() || socket.local.0 == own_address)
            && inet_bound_dev_eq(cx, socket, skb, own_address)
    };
    cx.k.sockets.bound(netns, SockKind::Ping, ident).find(fits).map(|socket| socket.id)
}

/// Delivers an echo reply to its ping socket.
///
/// # Errors
///
/// [`DropReason::NoSocket`] if no socket has the identifier.
pub fn ping_rcv(cx: &mut Cx, skb: SkbId) -> Result<(), DropReason> {
    cx.within(Func::PingRcv, skb, |cx| {
        let data = cx.skbs.data(skb);
        let ident = data.get(4..6).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        let own = super::ip_input::ip_hdr(cx, skb).map_or(Ipv4Addr::UNSPECIFIED, |iph| iph.daddr.get());
        let id = ping_lookup(cx, skb, ident, own).ok_or(DropReason::NoSocket)?;
        let clone = cx.skb_clone(skb);
        queue_or_drop(cx, id, clone);
        Ok(())
    })
}

/// Reports an ICMP error to the ping socket that sent the request.
pub fn ping_err(cx: &mut Cx, skb: SkbId, inner: &Ipv4Hdr, error: IcmpError) {
    let payload = quoted_payload(cx, skb, inner);
    let Some(ident) = payload.get(4..6).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]])) else {
        return;
    };
    let Some(id) = ping_lookup(cx, skb, ident, inner.saddr.get()) else { return };
    let pmtudisc = cx.k.sockets.get(id).map_or(PmtuDisc::Want, |socket| socket.opts.pmtudisc);
    let (errno, hard) = match (error.kind, error.code) {
        (ICMP_REDIRECT, _) => return ip_do_redirect(cx, skb, inner.daddr.get(), error.info),
        (ICMP_DEST_UNREACH, icmp::ICMP_FRAG_NEEDED) => (Errno::EMSGSIZE, pmtudisc != PmtuDisc::Dont),
        (ICMP_DEST_UNREACH, code) => icmp::icmp_err_convert(code),
        _ => (Errno::EHOSTUNREACH, false),
    };
    report_icmp_error(cx, id, skb, error, (errno, hard), (inner.daddr.get(), 0), payload);
}
