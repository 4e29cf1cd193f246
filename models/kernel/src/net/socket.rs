//! System calls on sockets.
//!
//! Kernel: net/socket.c, net/core/datagram.c

use std::net::Ipv4Addr;

use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_P_ALL, EthHdr};
use glassnet_wire::ipv4::Ipv4Hdr;
use glassnet_wire::udp::{UDP_HLEN, UdpHdr};

use super::core::dev_rx_mode::dev_set_promiscuity;
use super::core::sock::{TXREHASH, sock_alloc_send_pskb};
use super::ipv4::icmp::IP_NO_PMTU_DISC;
use super::ipv4::{inet_connection_sock, ping, raw, tcp, udp};
use super::packet::af_packet::packet_sendmsg;
use crate::Cx;
use crate::door::Func;
use crate::ids::{NetnsId, SocketId};
use crate::net::core::rps::sock_rps_record_flow;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::socket::{Owner, PmtuDisc, Queued, Received, SockError, SockKind, Socket};

/// Creates a socket in a namespace (`socket(2)`).
pub fn socket(cx: &mut Cx, netns: NetnsId, kind: SockKind) -> SocketId {
    let id = cx.k.sockets.open(kind, netns);
    if let Some(socket) = cx.k.sockets.get_mut(id) {
        // `sock_init_data`
        (socket.opts.rcvbuf, socket.opts.sndbuf) = (cx.k.core.rmem_default, cx.k.core.wmem_default);
        // `inet_create`
        let sysctls = &cx.k.netns[netns].sysctls;
        if sysctls.get(&IP_NO_PMTU_DISC) != 0 {
            socket.opts.pmtudisc = PmtuDisc::Dont;
        }
        socket.opts.txrehash = sysctls.get(&TXREHASH) != 0;
    }
    if matches!(kind, SockKind::Packet { .. }) {
        cx.k.packet_sockets += 1;
        cx.k.netns[netns].taps.push(id);
    }
    id
}

/// Records the program that owns a socket, with its lowest free file descriptor.
pub fn set_owner(cx: &mut Cx, id: SocketId, pid: u32, comm: &str) {
    let taken = |fd: u32| {
        cx.k.sockets
            .iter()
            .any(|socket| socket.owner.as_ref().is_some_and(|own| (own.pid, own.fd) == (pid, fd)))
    };
    // 0 to 2 are the standard streams.
    let fd = (3..).find(|fd| !taken(*fd)).unwrap_or(3);
    if let Some(socket) = cx.k.sockets.get_mut(id) {
        socket.owner = Some(Owner { pid, comm: comm.to_owned(), fd });
    }
}

/// The socket behind a handle.
///
/// # Errors
///
/// `EBADF` if it was closed.
pub fn get<'a>(cx: &'a Cx, id: SocketId) -> Result<&'a Socket, Errno> {
    cx.k.sockets.get(id).ok_or(Errno::EBADF)
}

/// The socket behind a handle, to set its options.
///
/// # Errors
///
/// `EBADF` if it was closed.
pub fn get_mut<'a>(cx: &'a mut Cx, id: SocketId) -> Result<&'a mut Socket, Errno> {
    cx.k.sockets.get_mut(id).ok_or(Errno::EBADF)
}

/// Binds a packet socket to a device; 0: all (`packet_bind`).
///
/// # Errors
///
/// `ENODEV` if there is no such device.
pub fn packet_bind(cx: &mut Cx, id: SocketId, ifindex: u32) -> Result<(), Errno> {
    let netns = get(cx, id)?.netns;
    if ifindex != 0 {
        cx.k.dev_by_index(netns, ifindex).ok_or(Errno::ENODEV)?;
    }
    get_mut(cx, id)?.ifindex = ifindex;
    Ok(())
}

/// Sets promiscuous mode on a packet socket's device (`PACKET_MR_PROMISC`) until the socket is closed.
///
/// # Errors
///
/// `ENODEV` if it is not bound to a device.
pub fn packet_promisc(cx: &mut Cx, id: SocketId) -> Result<(), Errno> {
    let socket = get(cx, id)?;
    let dev = cx.k.dev_by_index(socket.netns, socket.ifindex).ok_or(Errno::ENODEV)?;
    dev_set_promiscuity(cx, dev, 1);
    get_mut(cx, id)?.promisc = Some(dev);
    Ok(())
}

/// A packet socket of all protocols is a capture's, with a ring.
fn is_ring(kind: SockKind) -> bool {
    matches!(kind, SockKind::Packet { protocol: ETH_P_ALL, .. })
}

/// Closes a socket and discards its queue.
pub fn close(cx: &mut Cx, id: SocketId) {
    if cx.k.sockets.get(id).is_some_and(|socket| socket.kind == SockKind::Tcp) {
        // A connection stays in the kernel until both sides are closed.
        return tcp::tcp_close(cx, id);
    }
    let Some(socket) = cx.k.sockets.close(id) else { return };
    for queued in &socket.receive_queue {
        match socket.kind {
            kind if is_ring(kind) => cx.discard_skb(queued.skb),
            // `udp_destruct_common`
            SockKind::Udp => _ = cx.kfree_skb(queued.skb, DropReason::NotSpecified),
            _ => cx.free_skb(queued.skb, Func::SkbQueuePurge),
        }
    }
    if let Some(dev) = socket.promisc
        && cx.k.devs.get(dev).is_some()
    {
        dev_set_promiscuity(cx, dev, -1);
    }
    if matches!(socket.kind, SockKind::Packet { .. }) {
        cx.k.packet_sockets -= 1;
        if cx.k.netns.get(socket.netns).is_some() {
            cx.k.netns[socket.netns].taps.retain(|tap| *tap != id);
        }
    }
}

/// Destination of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendTo {
    /// An IPv4 address and, for UDP, a port.
    Inet(Ipv4Addr, u16),
    /// An Ethernet address, for cooked packet sockets.
    Link(Mac),
    /// The connected address, or that in the frame.
    Connected,
}

/// Sends a message (`sendto(2)`); raised softirqs run before it returns.
///
/// # Errors
///
/// The socket's pending error, and those of sending.
pub fn sendto(cx: &mut Cx, id: SocketId, to: SendTo, data: &[u8]) -> Result<usize, Errno> {
    let socket = get_mut(cx, id)?;
    // Raw sockets do not check the pending error (`ip_append_data` with header included).
    if !matches!(socket.kind, SockKind::Raw { .. } | SockKind::Tcp)
        && let Some(errno) = socket.error.take()
    {
        return Err(errno);
    }
    let kind = socket.kind;
    sock_rps_record_flow(cx, id);
    cx.system_call(data.len());
    sendmsg(cx, id, (to, kind), data)
}

fn sendmsg(cx: &mut Cx, id: SocketId, to: (SendTo, SockKind), data: &[u8]) -> Result<usize, Errno> {
    match to {
        (_, SockKind::Tcp) => tcp::tcp_sendmsg(cx, id, data),
        (SendTo::Link(mac), SockKind::Packet { .. }) => packet_sendmsg(cx, id, mac, data),
        (SendTo::Connected, SockKind::Packet { .. }) => packet_sendmsg(cx, id, Mac::ZERO, data),
        (SendTo::Inet(to, _), SockKind::Raw { .. }) => raw::raw_sendmsg(cx, id, to, data),
        (SendTo::Inet(to, _), SockKind::Ping) => ping::ping_v4_sendmsg(cx, id, to, data),
        (SendTo::Inet(to, port), SockKind::Udp) => udp::udp_sendmsg(cx, id, Some((to, port)), data),
        (SendTo::Connected, SockKind::Udp) => udp::udp_sendmsg(cx, id, None, data),
        (SendTo::Connected, kind) => match get(cx, id)?.remote {
            Some((to, port)) => sendmsg(cx, id, (SendTo::Inet(to, port), kind), data),
            None => Err(Errno::ENOTCONN),
        },
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// A program that sends waits first until the send buffer has room (`sock_alloc_send_pskb`). Raw sockets for which the kernel writes the header never wait, nor does TCP here.
pub fn waits_for_room(cx: &mut Cx, id: SocketId) -> bool {
    let waits = |socket: &Socket| match socket.kind {
        SockKind::Raw { .. } => socket.opts.hdrincl,
        SockKind::Tcp => false,
        SockKind::Ping | SockKind::Udp | SockKind::Packet { .. } => true,
    };
    cx.k.sockets.get(id).is_some_and(waits) && sock_alloc_send_pskb(cx, id) == Err(Errno::EAGAIN)
}

/// Receives the next message, if there is one (`recvmsg(2)` without blocking).
///
/// # Errors
///
/// The socket's pending error.
pub fn recv(cx: &mut Cx, id: SocketId) -> Result<Option<Received>, Errno> {
    sock_rps_record_flow(cx, id);
    let socket = cx.k.sockets.get_mut(id).ok_or(Errno::EBADF)?;
    if let Some(errno) = socket.error.take() {
        return Err(errno);
    }
    let Some(queued) = socket.receive_queue.pop_front() else { return Ok(None) };
    let kind = socket.kind;
    let netns = socket.netns;
    socket.rmem_alloc -= cx.skbs[queued.skb].truesize;
    if kind == SockKind::Udp {
        cx.k.netns[netns].ipv4.snmp.udp.InDatagrams += 1;
    }
    if matches!(kind, SockKind::Raw { .. }) {
        return Ok(Some(cx.within(Func::RawRecvmsg, queued.skb, |cx| take(cx, kind, queued))));
    }
    Ok(Some(take(cx, kind, queued)))
}

/// Reads a message, and is done with its buffer.
fn take(cx: &mut Cx, kind: SockKind, queued: Queued) -> Received {
    let skb = queued.skb;
    let received = read(cx, kind, queued);
    match is_ring(kind) {
        // The program reads the ring without the kernel.
        true => cx.copy(received.data.len()),
        false => cx.system_call(received.data.len()),
    }
    match kind {
        SockKind::Udp => cx.free_skb(skb, Func::SkbConsumeUdp),
        _ if is_ring(kind) => cx.discard_skb(skb),
        _ => _ = cx.consume_skb(skb),
    }
    received
}

fn read(cx: &Cx, kind: SockKind, queued: Queued) -> Received {
    let skb = &cx.skbs[queued.skb];
    let mut data = cx.skbs.data(queued.skb);
    let (mut from, mut to, mut ttl, mut mac) =
        ((Ipv4Addr::UNSPECIFIED, 0), Ipv4Addr::UNSPECIFIED, 0, Mac::ZERO);
    let mut link_len = 0;
    if let SockKind::Packet { cooked, .. } = kind {
        link_len = match queued.arphrd.header_len() {
            _ if cooked => 0,
            0 => skb.network_header.saturating_sub(skb.data) as usize,
            len => len,
        };
        let eth = cx.skbs.header::<EthHdr>(queued.skb, skb.mac_header);
        mac = eth.filter(|_| queued.arphrd.header_len() != 0).map_or(mac, EthHdr::source);
    } else if let Some(ip) = cx.skbs.header::<Ipv4Hdr>(queued.skb, skb.network_header) {
        (from.0, to, ttl) = (ip.saddr.get(), ip.daddr.get(), ip.ttl);
    }
    if let SockKind::Udp = kind {
        from.1 = cx.skbs.header::<UdpHdr>(queued.skb, skb.transport_header).map_or(0, |udp| udp.source.get());
        data = data.get(UDP_HLEN..).unwrap_or(&[]);
    }
    Received {
        at: queued.at,
        data: data.to_vec(),
        from,
        to,
        ifindex: queued.ifindex,
        arphrd: queued.arphrd,
        link_len,
        ttl,
        pkt_type: queued.pkt_type,
        protocol: skb.protocol,
        vlan_tag: skb.vlan_tag,
        mac,
    }
}

/// Listens on a TCP socket (`listen(2)`).
///
/// # Errors
///
/// EOPNOTSUPP for other sockets, EINVAL for a connected one, EADDRINUSE.
pub fn listen(cx: &mut Cx, id: SocketId, backlog: usize) -> Result<(), Errno> {
    inet_connection_sock::inet_csk_listen_start(cx, id, backlog)
}

/// Accepts a connection, if there is one (`accept(2)` without blocking).
///
/// # Errors
///
/// EINVAL if the socket does not listen.
pub fn accept(cx: &mut Cx, id: SocketId) -> Result<Option<SocketId>, Errno> {
    inet_connection_sock::inet_csk_accept(cx, id)
}

/// Reads up to `max` bytes of a connection; `None` if no data is available, no bytes at end of stream.
///
/// # Errors
///
/// The socket's pending error, ENOTCONN.
pub fn recv_stream(cx: &mut Cx, id: SocketId, max: usize) -> Result<Option<Vec<u8>>, Errno> {
    sock_rps_record_flow(cx, id);
    let read = tcp::tcp_recvmsg(cx, id, max);
    if let Ok(Some(bytes)) = &read {
        cx.system_call(bytes.len());
    }
    read
}

/// Shuts down one or both directions (`shutdown(2)`).
///
/// # Errors
///
/// ENOTCONN.
pub fn shutdown(cx: &mut Cx, id: SocketId, read: bool, write: bool) -> Result<(), Errno> {
    tcp::tcp_shutdown(cx, id, read, write)
}

/// Who sent the next message (`recvmsg` with `MSG_PEEK`).
pub fn peek_from(cx: &mut Cx, id: SocketId) -> Option<(Ipv4Addr, u16)> {
    let socket = cx.k.sockets.get(id)?;
    let (kind, queued) = (socket.kind, *socket.receive_queue.front()?);
    if kind == SockKind::Udp {
        // The queue still holds the packet, so it is not freed.
        cx.call(Func::SkbConsumeUdp, None);
    }
    Some(read(cx, kind, queued).from)
}

/// Takes the pending error (`SO_ERROR`): one that ended the connection, or else one that did not.
pub fn take_error(cx: &mut Cx, id: SocketId) -> Option<Errno> {
    let socket = cx.k.sockets.get_mut(id)?;
    socket.error.take().or_else(|| socket.tcp.as_mut().and_then(|tp| tp.soft_error.take()))
}

/// Takes the next queued error (`recvmsg` with `MSG_ERRQUEUE`).
///
/// # Errors
///
/// `EBADF` if the socket was closed.
pub fn recv_error(cx: &mut Cx, id: SocketId) -> Result<Option<SockError>, Errno> {
    let socket = get_mut(cx, id)?;
    let error = socket.error_queue.pop_front();
    if error.is_some() {
        socket.error = None;
    }
    Ok(error)
}
