//! Raw sockets.
//!
//! Kernel: net/ipv4/raw.c

use std::net::Ipv4Addr;

use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_PARAMETERPROB, ICMP_REDIRECT};
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPV4_HLEN, Ipv4Hdr, ip_send_check};

use super::af_inet::{
    flow_of, inet_bound_dev_eq, ip_local_error, pmtu_policy, quoted_payload, report_icmp_error, ttl_of,
};
use super::icmp::{self, IcmpError};
use super::ip_input::ip_hdr;
use super::ip_output::{ALLOC_EXTRA, Cork, IpHeader, ip_append_data, ip_make_header, ip_select_ident};
use super::route::{dst_mtu, ip_route_output_flow};
use super::route_errors::ip_do_redirect;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{NetnsId, SkbId, SocketId};
use crate::net::core::skbuff::skb_dst_set;
use crate::net::core::sock::{hears_of_full_devices, queue_or_drop, skb_set_owner_w, sock_alloc_send_pskb};
use crate::netlink::Errno;
use crate::tables::route::{RTCF_BROADCAST, Rtable};
use crate::tables::skb::{IPSKB_SENT, alloc_truesize};
use crate::tables::socket::{PmtuDisc, SockKind, Socket};

/// Sends from a raw socket: `payload` is what follows the IPv4 header, or the whole packet with IP_HDRINCL.
///
/// # Errors
///
/// EMSGSIZE if it is too long, EACCES for broadcast without SO_BROADCAST, and what routing says.
pub fn raw_sendmsg(cx: &mut Cx, sock: SocketId, to: Ipv4Addr, payload: &[u8]) -> Result<usize, Errno> {
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let SockKind::Raw { protocol } = socket.kind else { return Err(Errno::EOPNOTSUPP) };
    let (netns, opts) = (socket.netns, socket.opts.clone());
    if payload.len() > 0xffff {
        return Err(Errno::EMSGSIZE);
    }
    let lo = cx.k.netns[netns].loopback;
    let skb = cx.skbs.alloc_skb(payload.len(), lo);
    cx.skbs[skb].short_headroom = true;
    cx.skbs.data_mut(skb).copy_from_slice(payload);
    cx.skbs[skb].mark = opts.mark;
    cx.within(Func::RawSendmsg, skb, |cx| match route_and_build(cx, sock, netns, skb, to, protocol) {
        Ok(door) => {
            match cx.xmit_and_wait(skb, door) {
                Err(Errno::ENOBUFS) if !hears_of_full_devices(cx, sock) => {}
                done => done?,
            }
            Ok(payload.len())
        }
        Err(errno) => {
            cx.discard_skb(skb);
            Err(errno)
        }
    })
}

fn route_and_build(
    cx: &mut Cx,
    sock: SocketId,
    netns: NetnsId,
    skb: SkbId,
    to: Ipv4Addr,
    protocol: u8,
) -> Result<Door, Errno> {
    let flow = flow_of(cx, sock, to, protocol, (0, 0))?;
    let (route, flow) = ip_route_output_flow(cx, netns, flow, Some(skb))?;
    let opts = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?.opts.clone();
    if route.flags & RTCF_BROADCAST != 0 && !opts.broadcast {
        return Err(Errno::EACCES);
    }
    if opts.hdrincl {
        return send_with_header(cx, sock, skb, &route, flow.daddr);
    }
    let len = cx.skbs[skb].len() + IPV4_HLEN;
    let mtu = match opts.pmtudisc {
        PmtuDisc::Probe => cx.k.devs[route.dev].mtu,
        _ => dst_mtu(cx, &route),
    };
    let (dont_fragment, ignore_df) = pmtu_policy(&opts, &route, len, mtu);
    ip_append_data(cx, sock, skb, Cork { to: (flow.daddr, 0), mtu, ignore_df, transhdrlen: 0 })?;
    let ttl = ttl_of(&opts, &route);
    let header = IpHeader {
        saddr: flow.saddr,
        daddr: flow.daddr,
        protocol,
        ttl,
        tos: opts.tos,
        dont_fragment,
        ignore_df,
    };
    ip_make_header(cx, netns, skb, route, header);
    Ok(Door::IpPushPendingFrames { skb })
}

/// IP_HDRINCL: fields that the program left zero are filled in (`raw_send_hdrinc`).
fn send_with_header(
    cx: &mut Cx,
    sock: SocketId,
    skb: SkbId,
    route: &Rtable,
    daddr: Ipv4Addr,
) -> Result<Door, Errno> {
    let len = cx.skbs[skb].len();
    let mtu = cx.k.devs[route.dev].mtu;
    if len > mtu as usize {
        ip_local_error(cx, sock, Errno::EMSGSIZE, (daddr, 0), mtu);
        return Err(Errno::EMSGSIZE);
    }
    let netns = cx.k.devs[route.dev].netns;
    let prefsrc = super::fib_semantics::inet_select_addr(
        cx.k,
        route.dev,
        daddr,
        crate::tables::route_types::Scope::UNIVERSE,
    );
    let packet = cx.skbs.data_mut(skb);
    let header_len = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    if header_len < IPV4_HLEN || packet.len() < header_len {
        return Err(Errno::EINVAL);
    }
    cx.skbs[skb].truesize = alloc_truesize(len + ALLOC_EXTRA);
    if let Err(errno) = sock_alloc_send_pskb(cx, sock) {
        cx.k.netns[netns].ipv4.snmp.ip.OutDiscards += 1;
        return Err(errno);
    }
    skb_set_owner_w(cx, skb, sock);
    let packet = cx.skbs.data_mut(skb);
    if packet[12..16] == [0; 4] {
        packet[12..16].copy_from_slice(&prefsrc.octets());
    }
    packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    // The program leaves the identification to the kernel.
    if packet[4..6] == [0; 2] && packet[6] & 0x40 == 0 {
        let id = ip_select_ident(cx, netns, 1);
        cx.skbs.data_mut(skb)[4..6].copy_from_slice(&id.to_be_bytes());
    }
    let packet = cx.skbs.data_mut(skb);
    ip_send_check(packet);
    let kind = (packet[9] == IPPROTO_ICMP).then(|| packet.get(header_len).copied().unwrap_or(0));
    if let Some(kind) = kind {
        icmp::icmp_out_count(cx, netns, kind);
    }
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = pkt.data;
    pkt.transport_header = pkt.data + header_len as u32;
    pkt.protocol = glassnet_wire::eth::ETH_P_IP;
    pkt.dev = route.dev;
    skb_dst_set(cx, skb, *route);
    cx.skbs[skb].ip.flags |= IPSKB_SENT;
    Ok(Door::IpLocalOutHook { skb })
}

/// Delivers copies of a packet to the matching raw sockets of its protocol; true if there is one (`raw_local_deliver`).
pub fn raw_local_deliver(cx: &mut Cx, skb: SkbId, protocol: u8) -> bool {
    let Some(iph) = ip_hdr(cx, skb).copied() else { return false };
    let dev = cx.skbs[skb].dev;
    let netns = cx.k.devs[dev].netns;
    let wants = |socket: &Socket| {
        (socket.local.0.is_unspecified() || socket.local.0 == iph.daddr.get())
            && socket.remote.is_none_or(|remote| remote.0 == iph.saddr.get())
            && inet_bound_dev_eq(cx, socket, skb, iph.daddr.get())
    };
    let here = cx.k.sockets.bound(netns, SockKind::Raw { protocol }, 0);
    let listeners: Vec<SocketId> = here.filter(|socket| wants(socket)).map(|socket| socket.id).collect();
    for id in &listeners {
        if protocol == IPPROTO_ICMP && filtered(cx, *id, skb) {
            continue;
        }
        let clone = cx.skb_clone(skb);
        raw_rcv(cx, *id, clone);
    }
    !listeners.is_empty()
}

/// The socket filters this ICMP type out (`ICMP_FILTER`).
fn filtered(cx: &Cx, id: SocketId, skb: SkbId) -> bool {
    let kind = cx.skbs.data(skb).first().copied().unwrap_or(0);
    let filter = cx.k.sockets.get(id).map_or(0, |socket| socket.opts.icmp_filter);
    kind < 32 && filter & 1 << kind != 0
}

/// Queues the packet from its IPv4 header on.
fn raw_rcv(cx: &mut Cx, id: SocketId, skb: SkbId) {
    cx.call(Func::RawRcv, skb);
    cx.nf_reset_ct(skb);
    let pkt = &mut cx.skbs[skb];
    pkt.data = pkt.network_header;
    queue_or_drop(cx, id, skb);
}

/// Reports an ICMP error to the raw sockets that may have sent the packet (`raw_icmp_error`, `raw_err`).
pub fn raw_icmp_error(cx: &mut Cx, skb: SkbId, inner: &Ipv4Hdr, error: IcmpError) {
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let redirect = error.kind == ICMP_REDIRECT;
    let (source, dest) = (inner.saddr.get(), inner.daddr.get());
    let sent_it = |socket: &Socket| {
        (socket.local.0.is_unspecified() || socket.local.0 == source)
            && socket.remote.is_none_or(|remote| remote.0 == dest)
            && (redirect || socket.opts.recverr || socket.remote.is_some())
    };
    let here = cx.k.sockets.bound(netns, SockKind::Raw { protocol: inner.protocol }, 0);
    let ids: Vec<SocketId> = here.filter(|socket| sent_it(socket)).map(|socket| socket.id).collect();
    for id in ids {
        let Some(opts) = cx.k.sockets.get(id).map(|socket| socket.opts.clone()) else { continue };
        let (errno, hard) = match (error.kind, error.code) {
            (ICMP_REDIRECT, _) => {
                ip_do_redirect(cx, skb, dest, error.info);
                continue;
            }
            (ICMP_DEST_UNREACH, icmp::ICMP_FRAG_NEEDED) => (Errno::EMSGSIZE, opts.pmtudisc != PmtuDisc::Dont),
            (ICMP_DEST_UNREACH, code) => icmp::icmp_err_convert(code),
            (ICMP_PARAMETERPROB, _) => (Errno::EPROTO, true),
            _ => (Errno::EHOSTUNREACH, false),
        };
        let payload = quoted_payload(cx, skb, inner);
        report_icmp_error(cx, id, skb, error, (errno, hard), (dest, 0), payload);
    }
}
