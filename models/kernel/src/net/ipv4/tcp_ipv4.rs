//! TCP over IPv4: connect, receive, reset.
//!
//! Kernel: net/ipv4/tcp_ipv4.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum;
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_TIME_EXCEEDED};
use glassnet_wire::ipv4::{IPPROTO_TCP, Ipv4Hdr};
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_HLEN, TCP_RST, TCP_SYN, TcpHdr};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U32;

use super::af_inet::{count_no_route, flow_of, inet_bound_dev_eq, quoted_payload};
use super::icmp::{self, IcmpError};
use super::inet_connection_sock::{inet_hash_connect, take_port};
use super::ip_input::{ip_hdr, snmp};
use super::ip_output::{IpHeader, ip_make_header, ip4_reply_mark};
use super::route::{ip_route_connect, ip_route_output_flow};
use super::route_errors::ip_do_redirect;
use super::tcp::{connection_key, tcp_done, tcp_tsq_handler};
use super::tcp_input::{Beginning, sequence_len, tcp_conn_request, tcp_rcv, tcp_run, tcp_sync_mss};
use super::tcp_minisocks::{cookie_v4_check, tcp_timewait_state_process};
use super::tcp_options::{TcpOptions, tcp_options_write};
use super::tcp_output::tcp_v4_send_check;
use super::tcp_sk::tcp_sk;
use super::tcp_timer::{tcp_reset_timer, tcp_simple_retransmit};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{NetnsId, SkbId, SocketId};
use crate::module::Module;
use crate::net::core::rps::sock_rps_save_rxhash;
use crate::net::core::sock::{sk_set_txhash, skb_set_hash};
use crate::netlink::Errno;
use crate::note::{Note, SocketNote};
use crate::tables::drop_reason::DropReason;
use crate::tables::inet_hashtables::ConnectionKey;
use crate::tables::route::{FlowOut, RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST};
use crate::tables::skb::PacketType;
use crate::tables::tcp_machine::Machine;
use crate::tables::tcp_sock::{TcpState, before};

/// What it adds to the kernel.
pub static MODULE: Module =
    Module { go_on: Some(tcp_tsq_handler), net_exit: Some(tcp_sk_exit), ..Module::UNNAMED };

/// Begins a connection (`connect(2)` without waiting): its end is a writable socket, or its error.
///
/// # Errors
///
/// EISCONN and EALREADY for a second try, EADDRNOTAVAIL without a free port, and what routing says.
pub fn tcp_v4_connect(cx: &mut Cx, sock: SocketId, address: Ipv4Addr, port: u16) -> Result<(), Errno> {
    let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
    let (netns, local) = (socket.netns, socket.local);
    match socket.tcp.as_ref().map(|tp| tp.state) {
        Some(TcpState::Close) => {}
        Some(TcpState::SynSent | TcpState::SynRecv) => return Err(Errno::EALREADY),
        _ => return Err(Errno::EISCONN),
    }
    let flow = flow_of(cx, sock, address, IPPROTO_TCP, (local.1, port))?;
    let routed = ip_route_connect(cx, netns, flow);
    let (route, flow) = count_no_route(cx, netns, routed)?;
    if route.flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0 {
        return Err(Errno::ENETUNREACH);
    }
    let remote = (flow.daddr, port);
    let own_port = match local.1 {
        0 => inet_hash_connect(cx, netns, sock, flow.saddr, remote)?,
        port => port,
    };
    let own = (flow.saddr, own_port);
    if !cx.k.sockets.tcp_hashinfo.insert_connection(ConnectionKey { netns, local: own, remote }, sock) {
        return Err(Errno::EADDRNOTAVAIL);
    }
    let opts = cx.k.sockets.get(sock).map(|socket| socket.opts.clone()).unwrap_or_default();
    let beginning = Beginning::new(cx, netns, own, &route, None, &opts);
    let machine = Machine::connect(beginning.setup, remote);
    match local.1 {
        0 => take_port(cx, sock, own),
        _ => _ = cx.k.sockets.get_mut(sock).map(|socket| socket.local = own),
    }
    let socket = cx.k.sockets.get_mut(sock).ok_or(Errno::EBADF)?;
    (socket.remote, socket.error) = (Some(remote), None);
    let tp = socket.tcp.as_deref_mut().ok_or(Errno::EOPNOTSUPP)?;
    beginning.give(tp, &socket.opts);
    (tp.state, tp.hashed) = (TcpState::SynSent, true);
    if machine.is_none() {
        tcp_done(cx, sock);
        return Err(Errno::EADDRNOTAVAIL);
    }
    tp.machine = machine;
    sk_set_txhash(cx, sock);
    cx.k.netns[netns].ipv4.snmp.tcp.ActiveOpens += 1;
    cx.k.owned_socket = Some(sock);
    tcp_run(cx, sock, None);
    Ok(())
}

/// Receives a segment: verifies the checksum and looks up the socket.
///
/// Kernel: net/ipv4/tcp_ipv4.c
/// Not modelled: early demultiplexing, socket filters, MD5 signatures, the backlog of a socket in use.
pub fn tcp_v4_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    if cx.skbs[skb].pkt_type != PacketType::Host {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    snmp(cx, skb).tcp.InSegs += 1;
    let header = cx.skbs.header::<TcpHdr>(skb, cx.skbs[skb].data).copied();
    let fits = |th: &TcpHdr| th.header_len() >= TCP_HLEN && th.header_len() <= cx.skbs[skb].len();
    let Some(th) = header.filter(fits) else {
        if header.is_some_and(|th| th.header_len() < TCP_HLEN) {
            snmp(cx, skb).tcp.InErrs += 1;
            return cx.kfree_skb(skb, DropReason::PktTooSmall);
        }
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    if !tcp_checksum_is_right(cx, skb) {
        let counters = &mut snmp(cx, skb).tcp;
        counters.InCsumErrors += 1;
        counters.InErrs += 1;
        return cx.kfree_skb(skb, DropReason::TcpCsum);
    }
    let found = inet_lookup(cx, skb, &th);
    cx.nf_reset_ct(skb);
    match found {
        Some(sock) => match tcp_sk(cx, sock).map(|tp| tp.state) {
            Some(TcpState::TimeWait) => tcp_timewait_state_process(cx, sock, skb, &th),
            _ => {
                cx.skbs[skb].sk = Some(sock);
                cx.pass(Door::TcpV4DoRcv { skb })
            }
        },
        None => {
            tcp_v4_send_reset(cx, skb, &th);
            cx.kfree_skb(skb, DropReason::NoSocket)
        }
    }
}

fn tcp_checksum_is_right(cx: &Cx, skb: SkbId) -> bool {
    let Some(iph) = ip_hdr(cx, skb) else { return false };
    let data = cx.skbs.data(skb);
    let pseudo = checksum::pseudo_header(iph.saddr.get(), iph.daddr.get(), IPPROTO_TCP, data.len() as u16);
    cx.skbs[skb].ip_summed || checksum::fold(checksum::sum(pseudo, data)) == 0
}

/// Looks up a connection, then a listener (`__inet_lookup`).
pub fn inet_lookup(cx: &mut Cx, skb: SkbId, th: &TcpHdr) -> Option<SocketId> {
    cx.call(Func::InetLookupEstablished, skb);
    let iph = *ip_hdr(cx, skb)?;
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let key = ConnectionKey {
        netns,
        local: (iph.daddr.get(), th.dest.get()),
        remote: (iph.saddr.get(), th.source.get()),
    };
    let accepts = |sock: &SocketId| {
        let socket = cx.k.sockets.get(*sock);
        socket.is_none_or(|socket| inet_bound_dev_eq(cx, socket, skb, key.local.0))
    };
    match cx.k.sockets.tcp_hashinfo.connection(&key).filter(accepts) {
        Some(sock) => {
            cx.note(|cx| Note::Socket(describe(cx, sock)));
            Some(sock)
        }
        None => inet_lookup_listener(cx, skb, th),
    }
}

/// The listener with the best score (`__inet_lookup_listener`).
pub fn inet_lookup_listener(cx: &mut Cx, skb: SkbId, th: &TcpHdr) -> Option<SocketId> {
    cx.call(Func::InetLookupListener, skb);
    let daddr = ip_hdr(cx, skb)?.daddr.get();
    let dev = cx.skbs[skb].dev;
    let netns = cx.k.devs[dev].netns;
    let score = |sock: &&SocketId| {
        let socket = cx.k.sockets.get(**sock)?;
        let fits = (socket.local.0.is_unspecified() || socket.local.0 == daddr)
            && inet_bound_dev_eq(cx, socket, skb, daddr);
        fits.then(|| u32::from(!socket.local.0.is_unspecified()) + u32::from(socket.opts.bound_dev_if != 0))
    };
    let listeners = cx.k.sockets.tcp_hashinfo.listeners(netns, th.dest.get());
    let scored = listeners.iter().filter_map(|sock| Some((score(&sock)?, *sock)));
    // The first with the best score.
    let best = scored.fold(None, |best: Option<(u32, SocketId)>, next| match best {
        Some(best) if best.0 >= next.0 => Some(best),
        _ => Some(next),
    });
    let found = best.map(|best| best.1);
    cx.note(|cx| Note::Socket(found.and_then(|sock| describe(cx, sock))));
    found
}

fn describe(cx: &Cx, sock: SocketId) -> Option<SocketNote> {
    let socket = cx.k.sockets.get(sock)?;
    let connected = socket.tcp.as_ref().and_then(|tp| Some((tp.state, socket.remote?)));
    Some(SocketNote { local: socket.local, connected })
}

/// Name of a state, as in the kernel.
pub fn state_name(state: TcpState) -> &'static str {
    match state {
        TcpState::Established => "ESTABLISHED",
        TcpState::SynSent => "SYN_SENT",
        TcpState::SynRecv => "SYN_RECV",
        TcpState::FinWait1 => "FIN_WAIT1",
        TcpState::FinWait2 => "FIN_WAIT2",
        TcpState::TimeWait => "TIME_WAIT",
        TcpState::Close => "CLOSE",
        TcpState::CloseWait => "CLOSE_WAIT",
        TcpState::LastAck => "LAST_ACK",
        TcpState::Listen => "LISTEN",
        TcpState::Closing => "CLOSING",
    }
}

/// Handles a segment for a socket.
///
/// Kernel: net/ipv4/tcp_ipv4.c
/// Not modelled: MD5 signatures.
pub fn tcp_v4_do_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    let header = cx.skbs.header::<TcpHdr>(skb, cx.skbs[skb].data).copied();
    let (Some(sock), Some(th)) = (cx.skbs[skb].sk, header) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    if tcp_sk(cx, sock).is_none_or(|tp| tp.state != TcpState::Listen) {
        sock_rps_save_rxhash(cx, sock, skb);
        return tcp_rcv(cx, sock, skb, &th);
    }
    if th.flags & TCP_SYN == 0
        && let Some(end) = cookie_v4_check(cx, sock, skb, &th)
    {
        return end;
    }
    cx.within(Func::TcpRcvStateProcess, skb, |cx| {
        if th.flags & TCP_ACK != 0 {
            tcp_v4_send_reset(cx, skb, &th);
            return cx.kfree_skb(skb, DropReason::NotSpecified);
        }
        match th.flags & (TCP_RST | TCP_SYN | TCP_FIN) {
            TCP_SYN => tcp_conn_request(cx, sock, skb),
            flags if flags & TCP_RST != 0 => cx.kfree_skb(skb, DropReason::TcpReset),
            _ => cx.kfree_skb(skb, DropReason::TcpFlags),
        }
    })
}

/// Fields of a reply without a socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply {
    /// `TCP_*`.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement.
    pub ack_seq: u32,
    /// The window, bytes by its shift.
    pub window: u16,
    /// Value and echo.
    pub timestamps: Option<(u32, u32)>,
    /// Hash of the flow that the socket drew; 0: none.
    pub txhash: u32,
}

/// Replies with a RST to a segment without a connection (`tcp_v4_send_reset`).
pub fn tcp_v4_send_reset(cx: &mut Cx, skb: SkbId, th: &TcpHdr) {
    let local = cx.skbs[skb].dst.is_some_and(|route| route.flags & RTCF_LOCAL != 0);
    if th.flags & TCP_RST != 0 || !local {
        return;
    }
    let reply = if th.flags & TCP_ACK != 0 {
        Reply { flags: TCP_RST, seq: th.ack_seq.get(), ..Reply::default() }
    } else {
        let next = th.seq.get().wrapping_add(sequence_len(th, cx.skbs[skb].len()));
        Reply { flags: TCP_RST | TCP_ACK, ack_seq: next, ..Reply::default() }
    };
    snmp(cx, skb).tcp.OutRsts += 1;
    tcp_v4_send_reply(cx, Func::TcpV4SendReset, skb, th, reply);
}

/// Sends a reply to a segment (`ip_send_unicast_reply`).
pub fn tcp_v4_send_reply(cx: &mut Cx, func: Func, skb: SkbId, th: &TcpHdr, reply: Reply) {
    let Some(iph) = ip_hdr(cx, skb).copied() else { return };
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let (saddr, daddr) = (iph.daddr.get(), iph.saddr.get());
    let options = tcp_options_write(&TcpOptions { timestamps: reply.timestamps, ..TcpOptions::default() });
    let header = TcpHdr {
        source: th.dest,
        dest: th.source,
        seq: U32::new(reply.seq),
        ack_seq: U32::new(reply.ack_seq),
        doff_res: TcpHdr::doff(options.len()),
        flags: reply.flags,
        window: reply.window.into(),
        ..TcpHdr::default()
    };
    let lo = cx.k.netns[netns].loopback;
    let new = cx.skbs.alloc_skb(TCP_HLEN + options.len(), lo);
    let bytes = cx.skbs.data_mut(new);
    bytes[..TCP_HLEN].copy_from_slice(header.as_bytes());
    bytes[TCP_HLEN..].copy_from_slice(&options);
    tcp_v4_send_check(bytes, saddr, daddr);
    // Counted even if no route leads back.
    cx.k.netns[netns].ipv4.snmp.tcp.OutSegs += 1;
    let mark = ip4_reply_mark(cx, netns, skb);
    cx.skbs[new].mark = mark;
    skb_set_hash(&mut cx.skbs[new], reply.txhash);
    cx.within(func, new, |cx| {
        let flow = FlowOut {
            daddr,
            saddr,
            tos: iph.tos,
            mark,
            proto: IPPROTO_TCP,
            sport: th.dest.get(),
            dport: th.source.get(),
            oif: cx.k.devs.l3mdev_master(cx.skbs[skb].dev),
            ..FlowOut::default()
        };
        let Ok((route, _)) = ip_route_output_flow(cx, netns, flow, Some(new)) else {
            cx.discard_skb(new);
            return;
        };
        let header = IpHeader {
            saddr,
            daddr,
            protocol: IPPROTO_TCP,
            ttl: 0,
            // Without ECN, which the connection's end has not agreed to.
            tos: iph.tos & !3,
            dont_fragment: true,
            ignore_df: false,
        };
        ip_make_header(cx, netns, new, route, header);
        cx.walk(Door::IpPushPendingFrames { skb: new });
    })
}

/// Handles an ICMP error about a segment of this host.
pub fn tcp_v4_err(cx: &mut Cx, skb: SkbId, inner: &Ipv4Hdr, error: IcmpError) {
    let payload = quoted_payload(cx, skb, inner);
    let Some(&[a, b, c, d, s0, s1, s2, s3]) = payload.get(..8) else { return };
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let key = ConnectionKey {
        netns,
        local: (inner.saddr.get(), u16::from_be_bytes([a, b])),
        remote: (inner.daddr.get(), u16::from_be_bytes([c, d])),
    };
    let Some(sock) = cx.k.sockets.tcp_hashinfo.connection(&key) else {
        snmp(cx, skb).icmp.InErrors += 1;
        return;
    };
    let seq = u32::from_be_bytes([s0, s1, s2, s3]);
    let owned = cx.k.owned_socket == Some(sock);
    let Some(tp) = tcp_sk(cx, sock) else { return };
    if tp.is_over() || before(seq, tp.snd_una) || before(tp.snd_nxt, seq) {
        return;
    }
    let errno = match (error.kind, error.code) {
        (ICMP_REDIRECT, _) if owned => return,
        (ICMP_REDIRECT, _) => return ip_do_redirect(cx, skb, inner.daddr.get(), error.info),
        (ICMP_DEST_UNREACH, icmp::ICMP_FRAG_NEEDED) => return tcp_v4_mtu_reduced(cx, sock),
        (ICMP_DEST_UNREACH, code) => icmp::icmp_err_convert(code).0,
        (ICMP_PARAMETERPROB, _) => Errno::EPROTO,
        (ICMP_TIME_EXCEEDED, _) => Errno::EHOSTUNREACH,
        _ => return,
    };
    let ends_handshake = error.kind != ICMP_DEST_UNREACH
        || matches!(error.code, icmp::ICMP_NET_UNREACH | icmp::ICMP_HOST_UNREACH);
    match tp.state {
        TcpState::SynSent if owned => {
            // The answer came while `connect` still had the socket: who polls is told, and the connection goes on.
            (tp.soft_error, tp.error_queued) = (Some(errno), true);
            cx.sock_def_wakeup(sock);
        }
        TcpState::SynSent => tcp_fails(cx, sock, errno),
        TcpState::SynRecv if ends_handshake => tcp_done(cx, sock),
        TcpState::SynRecv => {}
        _ => {
            tp.soft_error = Some(errno);
            if cx.k.sockets.get(sock).is_some_and(|socket| socket.opts.recverr) {
                _ = cx.k.sockets.get_mut(sock).map(|socket| socket.error = Some(errno));
                cx.sock_def_wakeup(sock);
            }
        }
    }
}

/// Ends the connection with an error.
fn tcp_fails(cx: &mut Cx, sock: SocketId, errno: Errno) {
    let Some(socket) = cx.k.sockets.get_mut(sock) else { return };
    let netns = socket.netns;
    socket.error = Some(errno);
    cx.k.netns[netns].ipv4.snmp.tcp.AttemptFails += 1;
    tcp_done(cx, sock);
}

/// The path MTU got smaller: what was too long is sent again at once.
fn tcp_v4_mtu_reduced(cx: &mut Cx, sock: SocketId) {
    if tcp_sync_mss(cx, sock) {
        tcp_simple_retransmit(cx, sock);
        tcp_reset_timer(cx, sock);
    }
}

/// Deletes the orphaned connections of a namespace (`tcp_sk_exit`).
fn tcp_sk_exit(cx: &mut Cx, netns: NetnsId) {
    let is_here = |socket: &&crate::tables::socket::Socket| socket.netns == netns && socket.tcp.is_some();
    let ids: Vec<SocketId> = cx.k.sockets.iter().filter(is_here).map(|socket| socket.id).collect();
    for sock in ids {
        if let Some(key) = cx.k.sockets.get(sock).and_then(connection_key) {
            cx.k.sockets.tcp_hashinfo.remove_connection(&key, sock);
        }
        super::inet_connection_sock::inet_put_port(cx, sock);
        cx.k.sockets.close(sock);
    }
}
