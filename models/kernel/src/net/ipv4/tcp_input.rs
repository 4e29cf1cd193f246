//! Input of TCP segments: processed by smoltcp, then applied to the socket.
//!
//! Kernel: net/ipv4/tcp_input.c

use std::net::Ipv4Addr;

use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, TcpHdr};

use super::inet_connection_sock::take_port;
use super::ip_input::{ip_hdr, snmp};
use super::route::{dst_metric, dst_metric_advmss, dst_mtu, ip_route_output_flow};
use super::syncookies::{SynFlood, tcp_syn_flood_action};
use super::tcp::{connection_key, tcp_abort, tcp_done};
use super::tcp_minisocks::{inet_twsk_schedule, send_cookie, tcp_check_req, tcp_fin_time, tcp_time_wait};
use super::tcp_options::{TcpOptions, tcp_header, tcp_options_write, tcp_parse_options, with_options};
use super::tcp_output::{
    TCP_FWMARK_ACCEPT, TCP_TIMESTAMPS, prepare, tcp_time_stamp, tcp_transmit_machines, tcp_write_xmit,
};
use super::tcp_recovery::tcp_ack;
use super::tcp_sk::{tcp_ext, tcp_sk};
use super::tcp_timer::{tcp_reset_timer, tcp_set_keepalive, tcp_set_xmit_timer};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{NetnsId, SkbId, SocketId};
use crate::net::core::sock::{sk_rethink_txhash, sk_set_txhash};
use crate::netlink::Errno;
use crate::note::Note;
use crate::tables::drop_reason::DropReason;
use crate::tables::inet_csk::{TCP_INIT_CWND, TCP_RTO_MIN};
use crate::tables::jiffies::{JIFFY, last_tick};
use crate::tables::l3mdev::TCP_L3MDEV_ACCEPT;
use crate::tables::route::{FlowOut, RTCF_BROADCAST, RTCF_MULTICAST, Rtable};
use crate::tables::route_types::{
    RTAX_CWND, RTAX_INITCWND, RTAX_LOCK, RTAX_QUICKACK, RTAX_RTO_MIN, RTAX_WINDOW,
};
use crate::tables::skb::alloc_truesize;
use crate::tables::snmp::TcpExtMib;
use crate::tables::socket::{SockKind, SockOpts};
use crate::tables::tcp_machine::{Machine, Setup};
use crate::tables::tcp_queue::MAX_TCP_HEADER;
use crate::tables::tcp_rcv::RcvWindow;
use crate::tables::tcp_sock::{TIMESTAMPS, TcpSock, TcpState, before};
use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::tcp::TCP_HLEN;
use zerocopy::FromBytes;

/// Receive buffer of a new connection, and up to where it grows by itself, bytes (`tcp_rmem`).
const RMEM: (u32, u32) = (131_072, 6_291_456);
/// The same of the send buffer (`tcp_wmem`).
const WMEM: (u32, u32) = (16_384, 4_194_304);

/// What a new connection begins with, by its route and its namespace.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// Of the machine.
    pub setup: Setup,
    advmss: u16,
    mtu: u32,
    window: u32,
    window_clamp: Option<u32>,
    rcv_wscale: u8,
    quickack: bool,
    cwnd: u32,
    cwnd_clamp: u32,
    rto_min: Nanos,
    ts_offset: u32,
    inet_id: u16,
    pmtu_generation: u32,
}

impl Beginning {
    /// Asks route and namespace. `syn`: the peer's SYN came, with timestamps or without; else this is the first
    /// (`tcp_connect_init`, `tcp_openreq_init_rwin`, `tcp_init_transfer`).
    pub fn new(
        cx: &mut Cx,
        netns: NetnsId,
        local: (Ipv4Addr, u16),
        route: &Rtable,
        syn: Option<bool>,
        opts: &SockOpts,
    ) -> Self {
        let sysctl = cx.k.netns[netns].sysctls.get(&TCP_TIMESTAMPS);
        let timestamps = sysctl != 0 && syn != Some(false);
        let asked = Some(opts.maxseg).filter(|mss| *mss > 0).unwrap_or(u16::MAX);
        let advmss = dst_metric_advmss(cx, route).min(asked);
        let metric = |which| dst_metric(cx, route, which);
        let locked = |which| (metric(RTAX_LOCK) & (1_u32 << which) != 0).then(|| metric(which));
        let option = if timestamps && syn.is_some() { TIMESTAMPS } else { 0 };
        let clamp = Some(metric(RTAX_WINDOW)).filter(|window| *window > 0);
        let (window, rcv_wscale) = tcp_select_initial_window(u32::from(advmss).saturating_sub(option), clamp);
        let cwnd_clamp = locked(RTAX_CWND).unwrap_or(u32::MAX);
        let cwnd = Some(metric(RTAX_INITCWND)).filter(|cwnd| *cwnd > 0).unwrap_or(TCP_INIT_CWND);
        let rto_min = locked(RTAX_RTO_MIN)
            .map_or(TCP_RTO_MIN, |ms| Nanos(Nanos::from_millis(u64::from(ms)).0.next_multiple_of(JIFFY)));
        let quickack = metric(RTAX_QUICKACK) != 0;
        let seed = cx.dice.below(u64::MAX);
        let setup = Setup { local, timestamps, seed, now: cx.now };
        let (inet_id, offset) = (cx.dice.below(1 << 16) as u16, cx.dice.below(1 << 32) as u32);
        Beginning {
            setup,
            advmss,
            mtu: dst_mtu(cx, route),
            window: u32::from(window),
            window_clamp: clamp,
            rcv_wscale,
            quickack,
            cwnd: cwnd.min(cwnd_clamp),
            cwnd_clamp,
            rto_min,
            ts_offset: if sysctl == 1 { offset } else { 0 },
            inet_id,
            pmtu_generation: cx.k.netns[netns].ipv4.fib.generation,
        }
    }

    /// Gives it to the connection.
    pub fn give(&self, tp: &mut TcpSock, opts: &SockOpts) {
        (tp.inet_id, tp.ts_offset, tp.pmtu_generation) = (self.inet_id, self.ts_offset, self.pmtu_generation);
        (tp.advmss, tp.rcv_wscale, tp.mtu) = (self.advmss, self.rcv_wscale, self.mtu);
        (tp.peer_mss, tp.user_mss) = (536, opts.maxseg);
        let chosen = opts.rcvbuf_locked;
        let rcvbuf = if chosen { (opts.rcvbuf, None) } else { (RMEM.0, Some(RMEM.1)) };
        tp.rcv =
            RcvWindow::new(rcvbuf, self.window, self.rcv_wscale, self.window_clamp, u32::from(self.advmss));
        tp.sndbuf_locked = opts.sndbuf_locked;
        tp.sndbuf = if tp.sndbuf_locked { opts.sndbuf } else { WMEM.0 };
        (tp.tstamp_ok, tp.quickack) = (self.setup.timestamps, self.quickack);
        (tp.icsk.cwnd, tp.icsk.cwnd_clamp, tp.icsk.rto_min) = (self.cwnd, self.cwnd_clamp, self.rto_min);
    }
}

/// The first window that a connection offers, and the shift of the later ones: as many whole segments as have room, up to the
/// `window` of the route.
fn tcp_select_initial_window(mss: u32, clamp: Option<u32>) -> (u16, u8) {
    /// The greatest receive buffer, bytes (`tcp_rmem`).
    const MOST: u32 = RMEM.1;
    let (mss, most) = (mss.max(1), clamp.unwrap_or(u32::MAX));
    let room = most.min(u32::from(u16::MAX));
    let first = if room > mss { room / mss * mss } else { room };
    (first as u16, most.min(MOST).ilog2().saturating_sub(15).min(14) as u8)
}

/// Passes a packet, from its IPv4 header on, to the socket's smoltcp machine, polls it and sends its segments; then what the
/// connection may send, and an acknowledgement if one is due (`tcp_data_snd_check`, `tcp_ack_snd_check`).
pub fn tcp_run(cx: &mut Cx, sock: SocketId, packet: Option<&[u8]>) {
    tcp_run_with(cx, sock, packet, (0, 0));
}

/// `len`: bytes of data in the packet; `truesize`: its memory.
fn tcp_run_with(cx: &mut Cx, sock: SocketId, packet: Option<&[u8]>, (len, truesize): (usize, u32)) {
    tcp_sync_mss(cx, sock);
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let (state, acked, was_there) = (tp.state, std::mem::take(&mut tp.acked), tp.is_synchronised());
    let packet = packet.map(|packet| for_machine(tp, packet));
    let Some(machine) = tp.machine.as_mut() else { return };
    let segments = machine.run(packet, now);
    tp.state = TcpState::from(machine.state());
    let data = machine.receive();
    // What was missing came, and more is there behind it.
    tp.ack.now |= data.len() > len;
    let is_news = !data.is_empty() || tp.state != state;
    if !data.is_empty() {
        tp.rcv.push(data, truesize);
    }
    let segments = take_acknowledgements(tp, segments, was_there);
    for segment in segments {
        // A timer repeats what has to arrive.
        let _ = tcp_transmit_machines(cx, sock, segment);
    }
    tcp_settle(cx, sock, state);
    if is_news {
        cx.sock_def_wakeup(sock);
    }
    let sent_new = tcp_write_xmit(cx, sock, false);
    tcp_check_space(cx, sock, acked);
    tcp_ack_snd_check(cx, sock);
    tcp_set_xmit_timer(cx, sock, acked, sent_new);
    tcp_reset_timer(cx, sock);
    cx.wake_up();
}

/// Of smoltcp's segments, those that leave at once. A FIN is sent with the connection's data; an acknowledgement of what came in
/// order waits until it is clear whether something goes with it, that of a FIN too, since most programs close at once
/// (`inet_csk_enter_pingpong_mode` in `tcp_fin`).
fn take_acknowledgements(tp: &mut TcpSock, segments: Vec<Vec<u8>>, was_there: bool) -> Vec<Vec<u8>> {
    let mut leave = Vec::with_capacity(segments.len());
    for segment in segments {
        let Ok((header, _)) = TcpHdr::read_from_prefix(&segment) else { continue };
        let ack = header.ack_seq.get();
        let mut waits = false;
        if header.flags & TCP_ACK != 0 && header.flags & TCP_RST == 0 {
            let advances = was_there && before(tp.rcv.nxt, ack);
            tp.rcv.nxt = ack;
            if !was_there {
                tp.rcv.wup = ack;
            }
            waits = advances
                && header.flags == TCP_ACK
                && matches!(
                    tp.state,
                    TcpState::Established | TcpState::CloseWait | TcpState::FinWait1 | TcpState::FinWait2
                )
                && tcp_parse_options(&segment).sack.is_empty();
        }
        if waits {
            tp.ack.pingpong |= tp.state == TcpState::CloseWait;
            (tp.ack.scheduled, tp.last_ack) = (true, segment);
        } else if header.flags & TCP_FIN == 0 {
            leave.push(segment);
        }
    }
    leave
}

/// The send buffer is as large as twice the window needs.
fn tcp_sndbuf_expand(tp: &mut TcpSock) {
    let per_segment = alloc_truesize(tp.mss() as usize + MAX_TCP_HEADER);
    let segments = tp.icsk.cwnd.max(TCP_INIT_CWND);
    tp.sndbuf = tp.sndbuf.max((2 * segments).saturating_mul(per_segment).min(WMEM.1));
}

/// Something was acknowledged, for whose room a program waits: the send buffer follows the congestion window (`tcp_new_space`).
fn tcp_check_space(cx: &mut Cx, sock: SocketId, acked: bool) {
    let Some(tp) = tcp_sk(cx, sock).filter(|tp| acked && tp.nospace) else { return };
    if !tp.sndbuf_locked && tp.rtx.in_flight() < tp.icsk.cwnd {
        tcp_sndbuf_expand(tp);
    }
    tp.nospace = !tp.is_writable();
    if !tp.nospace {
        cx.sock_def_wakeup(sock);
    }
}

/// Sends the acknowledgement that is due, or lets it wait (`__tcp_ack_snd_check`).
fn tcp_ack_snd_check(cx: &mut Cx, sock: SocketId) {
    let tick = last_tick(cx.now);
    let Some(tp) = tcp_sk(cx, sock).filter(|tp| tp.ack.scheduled) else { return };
    if !tp.ack.is_due(&tp.rcv, tp.quickack) {
        return tp.ack.delay(tick, tp.icsk.srtt());
    }
    tcp_send_ack(cx, sock);
}

/// Sends an acknowledgement by itself (`tcp_send_ack`).
pub fn tcp_send_ack(cx: &mut Cx, sock: SocketId) {
    let Some(segment) = tcp_sk(cx, sock).map(|tp| tp.last_ack.clone()) else { return };
    if !segment.is_empty() {
        // The peer asks again for one that did not leave this host.
        let _ = tcp_transmit_machines(cx, sock, segment);
    }
}

/// A packet as the machine gets it. Its connection sends no data, so acknowledgements are of its SYN or FIN only; the window is
/// never closed, and windows are not scaled.
fn for_machine(tp: &TcpSock, packet: &[u8]) -> Vec<u8> {
    let Some((at, mut header)) = tcp_header(packet) else { return packet.to_vec() };
    let segment = &packet[at..];
    let payload = segment.get(header.header_len()..).unwrap_or(&[]);
    let mut options = segment.get(TCP_HLEN..header.header_len()).unwrap_or(&[]).to_vec();
    header.window.set(u16::MAX);
    if header.flags & TCP_SYN != 0 {
        options = tcp_options_write(&TcpOptions { window_shift: Some(0), ..tcp_parse_options(segment) });
    }
    if tp.is_synchronised() && header.flags & TCP_ACK != 0 {
        let ack = header.ack_seq.get();
        let behind_syn = match () {
            // What was never sent cannot be acknowledged.
            () if before(tp.snd_nxt, ack) => u16::MAX.into(),
            () if tp.fin_acked() => 2,
            () => 1,
        };
        header.ack_seq.set(tp.iss.wrapping_add(behind_syn));
    }
    with_options(&packet[..at], header, &options, payload)
}

/// The machine of a new connection takes the SYN in as it did when its SYN/ACK, a cookie, left.
pub fn run_again(cx: &mut Cx, sock: SocketId, syn: &[u8]) {
    let (now, clock) = (cx.now, tcp_time_stamp(cx));
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let packet = for_machine(tp, syn);
    let Some(machine) = tp.machine.as_mut() else { return };
    let segments = machine.run(Some(packet), now);
    tp.state = TcpState::from(machine.state());
    for segment in take_acknowledgements(tp, segments, false) {
        prepare(tp, (clock, now), &segment);
    }
    // Nobody knows when it left.
    tp.icsk.timed = None;
}

/// Segments follow the path MTU, whoever learnt it (`tcp_current_mss`). True if it got smaller.
pub fn tcp_sync_mss(cx: &mut Cx, sock: SocketId) -> bool {
    let Some(socket) = cx.k.sockets.get(sock) else { return false };
    let (netns, Some(tp)) = (socket.netns, socket.tcp.as_deref()) else { return false };
    let (ipv4, known) = (&cx.k.netns[netns].ipv4, tp.pmtu_generation);
    let generation = ipv4.fib.generation;
    if generation == known && ipv4.exceptions.is_empty() {
        return false;
    }
    let mtu = route_of(cx, sock).map(|route| dst_mtu(cx, &route));
    let (Some(mtu), Some(tp)) = (mtu, tcp_sk(cx, sock)) else { return false };
    tp.pmtu_generation = generation;
    std::mem::replace(&mut tp.mtu, mtu) > mtu
}

/// The route of a connection. Linux has it at hand, or searches again with the segment, which is the search on record.
pub fn route_of(cx: &mut Cx, sock: SocketId) -> Option<Rtable> {
    let socket = cx.k.sockets.get(sock)?;
    let (netns, local, remote) = (socket.netns, socket.local, socket.remote?);
    let by = (socket.opts.mark, socket.opts.bound_dev_if);
    let (observed, now) = (std::mem::take(&mut cx.observed), cx.now);
    let route = route_to(cx, netns, local, remote, by);
    (cx.observed, cx.now) = (observed, now);
    route
}

/// Handles a change of state (`tcp_set_state` and its callers).
fn tcp_settle(cx: &mut Cx, sock: SocketId, before: TcpState) {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let after = tp.state;
    let handshake = matches!(before, TcpState::SynSent | TcpState::SynRecv);
    let goes_on =
        !matches!(after, TcpState::SynSent | TcpState::SynRecv | TcpState::Close | TcpState::Listen);
    if handshake && goes_on {
        (tp.icsk.timer, tp.icsk.retransmits) = (None, 0);
        tp.rcv.begin(if tp.tstamp_ok { TIMESTAMPS } else { 0 }, now);
        if !tp.sndbuf_locked {
            tcp_sndbuf_expand(tp);
        }
        tcp_set_keepalive(cx, sock);
    }
    if before == TcpState::SynRecv && goes_on {
        tcp_child_established(cx, sock);
    }
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let orphan = tp.orphan;
    match after {
        TcpState::Close if before != TcpState::Close => tcp_closed(cx, sock, before),
        TcpState::TimeWait if before != TcpState::TimeWait => tcp_time_wait(cx, sock),
        _ if orphan && tp.unread() > 0 => {
            tcp_ext(cx, sock, |counters| counters.TCPAbortOnData += 1);
            tcp_abort(cx, sock);
        }
        TcpState::FinWait2 if orphan && tp.ends_at.is_none() => {
            let wait = tcp_fin_time(cx, sock);
            inet_twsk_schedule(cx, sock, wait);
        }
        _ => {}
    }
}

fn tcp_closed(cx: &mut Cx, sock: SocketId, before: TcpState) {
    let Some(netns) = cx.k.sockets.get(sock).map(|socket| socket.netns) else { return };
    let counters = &mut cx.k.netns[netns].ipv4.snmp.tcp;
    match before {
        TcpState::SynSent | TcpState::SynRecv => counters.AttemptFails += 1,
        TcpState::Established | TcpState::CloseWait => counters.EstabResets += 1,
        _ => {}
    }
    tcp_done(cx, sock);
}

/// Completes a handshake: the connection enters the accept queue (`inet_csk_complete_hashdance`).
fn tcp_child_established(cx: &mut Cx, sock: SocketId) {
    let Some(netns) = cx.k.sockets.get(sock).map(|socket| socket.netns) else { return };
    cx.k.netns[netns].ipv4.snmp.tcp.PassiveOpens += 1;
    let parent = tcp_sk(cx, sock).and_then(|tp| tp.parent);
    let requests = parent.and_then(|parent| tcp_sk(cx, parent)).and_then(|tp| tp.requests.as_mut());
    if let Some(requests) = requests {
        requests.young.retain(|young| *young != sock);
        requests.accept.push_back(sock);
    }
    if let Some(parent) = parent {
        cx.sock_def_wakeup(parent);
    }
}

/// Handles a segment of a connection.
pub fn tcp_rcv(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr) -> Door {
    if tcp_sk(cx, sock).is_some_and(|tp| tp.state == TcpState::SynRecv)
        && let Some(end) = tcp_check_req(cx, sock, skb, th)
    {
        return end;
    }
    tcp_child_process(cx, sock, skb, th)
}

/// Handles a segment of a connection that is no request, or is none with this segment.
pub fn tcp_child_process(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr) -> Door {
    let Some(tp) = tcp_sk(cx, sock) else { return cx.kfree_skb(skb, DropReason::TcpClose) };
    let (before, unread) = (tp.state, tp.unread());
    let established = before == TcpState::Established;
    let (len, truesize) = (cx.skbs[skb].len().saturating_sub(th.header_len()), cx.skbs[skb].truesize);
    let func = if established { Func::TcpRcvEstablished } else { Func::TcpRcvStateProcess };
    cx.within(func, skb, |cx| {
        let packet = packet_bytes(cx, skb);
        let reset = th.flags & TCP_RST != 0;
        if reset {
            expect_reset(cx, sock, before);
        }
        let old = set_duplicate_sack(cx, sock, skb, th);
        let probe = is_probe(cx, sock, skb, th);
        note_received(cx, sock, skb, th, !old && !probe);
        tcp_run_with(cx, sock, Some(&packet), (len, truesize));
        if reset {
            forget_expected_reset(cx, sock);
        }
        if old {
            if let Some(tp) = tcp_sk(cx, sock) {
                tp.duplicate_sack = None;
            }
            return cx.kfree_skb(skb, DropReason::TcpOldData);
        }
        if let Some(end) = end_of_orphans_fin(cx, sock, before, skb, th) {
            return end;
        }
        if probe {
            return cx.kfree_skb(skb, DropReason::TcpInvalidSequence);
        }
        let more = tcp_sk(cx, sock).is_some_and(|tp| tp.unread() > unread);
        if more {
            cx.call(Func::TcpDataQueue, skb);
        }
        cx.consume_skb(skb)
    })
}

/// The FIN that ends a connection whose socket was closed is queued like data, and purged with the socket
/// (`sk_stream_kill_queues`); in FIN_WAIT2 only a `struct inet_timewait_sock` is left, which queues nothing.
fn end_of_orphans_fin(
    cx: &mut Cx,
    sock: SocketId,
    before: TcpState,
    skb: SkbId,
    th: &TcpHdr,
) -> Option<Door> {
    let tp = tcp_sk(cx, sock).filter(|tp| tp.orphan && th.flags & TCP_FIN != 0)?;
    match (before, tp.state) {
        (TcpState::FinWait1, TcpState::Closing | TcpState::TimeWait) => {
            cx.free_skb(skb, Func::SkStreamKillQueues);
            Some(Door::End)
        }
        (TcpState::FinWait2, TcpState::TimeWait) => Some(cx.kfree_skb(skb, DropReason::NotSpecified)),
        _ => None,
    }
}

/// Everything in a segment was received before: the answer says so (`tcp_dsack_set`).
fn set_duplicate_sack(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr) -> bool {
    let (seq, len) = (th.seq.get(), sequence_len(th, cx.skbs[skb].len()));
    let Some(tp) = tcp_sk(cx, sock) else { return false };
    let in_order = !matches!(tp.state, TcpState::SynSent | TcpState::SynRecv);
    let end = seq.wrapping_add(len);
    let old = in_order && len > 0 && th.flags & (TCP_SYN | TCP_RST) == 0 && !before(tp.rcv.nxt, end);
    if !old {
        return false;
    }
    tp.duplicate_sack = Some((seq, end));
    // A third time: the acknowledgements seem to be lost (`tcp_rcv_spurious_retrans`).
    let again = tp.duplicate_start.replace(seq) == Some(seq);
    if again && sk_rethink_txhash(cx, sock) {
        tcp_ext(cx, sock, |counters| counters.TcpDuplicateDataRehash += 1);
    }
    true
}

/// An empty segment whose number was acknowledged before: the peer asks for an acknowledgement (`tcp_sequence`).
fn is_probe(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr) -> bool {
    let len = sequence_len(th, cx.skbs[skb].len());
    let Some(tp) = tcp_sk(cx, sock) else { return false };
    let in_order = !matches!(tp.state, TcpState::SynSent | TcpState::SynRecv | TcpState::Close);
    in_order && len == 0 && th.flags & (TCP_SYN | TCP_RST) == 0 && before(th.seq.get(), tp.rcv.nxt)
}

/// Nobody may enter its queue (`sk_acceptq_is_full`).
pub fn parent_is_full(cx: &mut Cx, parent: Option<SocketId>) -> bool {
    let requests = parent.and_then(|parent| tcp_sk(cx, parent)).and_then(|tp| tp.requests.as_ref());
    requests.is_some_and(|requests| requests.is_full())
}

/// Counts a connection that has no room.
pub fn count_overflow(cx: &mut Cx, skb: SkbId) {
    let counters = &mut snmp(cx, skb).tcp_ext;
    counters.ListenOverflows += 1;
    counters.ListenDrops += 1;
}

/// Sets the error that the program gets if the RST is accepted (`tcp_reset`).
fn expect_reset(cx: &mut Cx, sock: SocketId, state: TcpState) {
    let errno = match state {
        TcpState::SynSent => Errno::ECONNREFUSED,
        TcpState::CloseWait => Errno::EPIPE,
        _ => Errno::ECONNRESET,
    };
    if let Some(socket) = cx.k.sockets.get_mut(sock) {
        socket.error.get_or_insert(errno);
    }
}

fn forget_expected_reset(cx: &mut Cx, sock: SocketId) {
    if let Some(socket) = cx.k.sockets.get_mut(sock)
        && socket.tcp.as_ref().is_some_and(|tp| tp.state != TcpState::Close)
    {
        socket.error = None;
    }
}

/// Takes in what a segment says of the connection. `valid`: it is in the window (`tcp_validate_incoming`).
fn note_received(cx: &mut Cx, sock: SocketId, skb: SkbId, th: &TcpHdr, valid: bool) {
    let segment = cx.skbs.data(skb).to_vec();
    let options = tcp_parse_options(&segment);
    let (size, truesize) = (cx.skbs[skb].gso_size, cx.skbs[skb].truesize);
    let (now, clock) = (cx.now, tcp_time_stamp(cx));
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let state = tp.state;
    if th.flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK && state == TcpState::SynSent {
        let shift = options.window_shift;
        (tp.wscale_ok, tp.snd_wscale) = (shift.is_some(), shift.unwrap_or(0));
        (tp.sack_ok, tp.counts_syn) = (options.sack_permitted, true);
        tp.tstamp_ok &= options.timestamps.is_some();
        tp.clamp_mss(options.mss);
        tp.snd_wnd = u32::from(th.window.get());
        tp.max_window = tp.snd_wnd;
    }
    if th.flags & TCP_RST != 0 {
        return;
    }
    tp.ts_recent = options.timestamps.map(|(value, _)| value);
    if th.flags & TCP_ACK == 0 || !valid {
        return;
    }
    let len = sequence_len(th, segment.len());
    tcp_ack(cx, sock, th, &options, len, state == TcpState::Established);
    let Some(tp) = tcp_sk(cx, sock) else { return };
    let data = segment.len().saturating_sub(th.header_len()) as u32;
    match state {
        // Windows are scaled from now on.
        TcpState::SynSent => tp.predicted = (tp.snd_wscale == 0).then(|| th.window.get()),
        TcpState::SynRecv => tp.predict(),
        _ if data > 0 => tp.predict(),
        _ => {}
    }
    if data == 0 || !tp.is_synchronised() && state != TcpState::SynRecv {
        return;
    }
    if let Some((_, echo)) = options.timestamps {
        tp.rcv.measured(clock.wrapping_add(tp.ts_offset).wrapping_sub(echo));
    }
    tp.ack.measure(&mut tp.rcv, if size > 0 { u32::from(size) } else { data });
    tp.ack.data_received(&tp.rcv, last_tick(now), tp.icsk.rto);
    tp.rcv.grow(data, truesize);
    // Whether it is acknowledged the machine says.
    tp.ack.scheduled = false;
}

/// The packet's bytes from its IPv4 header on.
pub fn packet_bytes(cx: &Cx, skb: SkbId) -> Vec<u8> {
    let pkt = &cx.skbs[skb];
    let bytes = cx.skbs.bufs.bytes(pkt.buf);
    bytes.get(pkt.network_header as usize..pkt.tail as usize).map_or(Vec::new(), <[u8]>::to_vec)
}

/// Handles a SYN to a listener: creates a socket for the connection, whose machine sends the SYN/ACK
/// (`tcp_conn_request`).
pub fn tcp_conn_request(cx: &mut Cx, listener: SocketId, skb: SkbId) -> Door {
    cx.within(Func::TcpConnRequest, skb, |cx| {
        let flags = cx.skbs[skb].dst.map_or(0, |route| route.flags);
        if flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0 {
            snmp(cx, skb).tcp_ext.ListenDrops += 1;
            return cx.consume_skb(skb);
        }
        let flood = tcp_syn_flood_action(cx, listener);
        if flood == SynFlood::Drop {
            snmp(cx, skb).tcp_ext.ListenDrops += 1;
        } else if parent_is_full(cx, Some(listener)) {
            count_overflow(cx, skb);
            cx.note(|_| Note::ListenOverflow);
        } else if flood == SynFlood::Cookie {
            send_cookie(cx, listener, skb);
        } else {
            let packet = packet_bytes(cx, skb);
            if let Some(child) = make_child(cx, listener, skb, &packet, None) {
                if let Some(requests) = tcp_sk(cx, listener).and_then(|tp| tp.requests.as_mut()) {
                    requests.young.push(child);
                }
                tcp_run(cx, child, Some(&packet));
            }
        }
        cx.consume_skb(skb)
    })
}

/// A connection in SYN_RECV. `syn`: its packet, from the IPv4 header on, as it came with `skb` or earlier; `chance`: the seed of
/// its sequence number and the offset of its timestamps, if they are known.
pub fn make_child(
    cx: &mut Cx,
    listener: SocketId,
    skb: SkbId,
    syn: &[u8],
    chance: Option<(u64, u32)>,
) -> Option<SocketId> {
    let iph = *ip_hdr(cx, skb)?;
    let (at, th) = tcp_header(syn)?;
    let local = (iph.daddr.get(), th.dest.get());
    let remote = (iph.saddr.get(), th.source.get());
    let (netns, mut opts) = cx.k.sockets.get(listener).map(|socket| (socket.netns, socket.opts.clone()))?;
    // `inet_request_mark`
    if opts.mark == 0 && cx.k.netns[netns].sysctls.get(&TCP_FWMARK_ACCEPT) != 0 {
        opts.mark = cx.skbs[skb].mark;
    }
    // `inet_request_bound_dev_if`
    if opts.bound_dev_if == 0 && cx.k.netns[netns].sysctls.get(&TCP_L3MDEV_ACCEPT) != 0 {
        let master = cx.k.devs.l3mdev_master(cx.skbs[skb].dev);
        opts.bound_dev_if = master.map_or(0, |master| cx.k.devs[master].ifindex);
    }
    let Some(route) = route_to(cx, netns, local, remote, (opts.mark, opts.bound_dev_if)) else {
        let snmp = &mut cx.k.netns[netns].ipv4.snmp;
        snmp.ip.OutNoRoutes += 1;
        snmp.tcp_ext.ListenDrops += 1;
        return None;
    };
    let options = tcp_parse_options(&syn[at..]);
    let mut beginning = Beginning::new(cx, netns, local, &route, Some(options.timestamps.is_some()), &opts);
    if let Some((seed, offset)) = chance {
        beginning.setup.seed = seed;
        beginning.ts_offset = if beginning.ts_offset == 0 { 0 } else { offset };
    }
    let machine = Machine::listen(beginning.setup)?;
    let child = cx.k.sockets.open(SockKind::Tcp, netns);
    take_port(cx, child, local);
    let socket = cx.k.sockets.get_mut(child)?;
    (socket.remote, socket.opts) = (Some(remote), opts);
    let key = connection_key(socket)?;
    let tp = socket.tcp.as_deref_mut()?;
    tp.state = TcpState::SynRecv;
    (tp.machine, tp.parent) = (Some(machine), Some(listener));
    beginning.give(tp, &socket.opts);
    tp.clamp_mss(options.mss);
    (tp.wscale_ok, tp.snd_wscale) = (options.window_shift.is_some(), options.window_shift.unwrap_or(0));
    (tp.sack_ok, tp.snd_wnd) = (options.sack_permitted, u32::from(th.window.get()));
    (tp.max_window, tp.ts_recent) = (tp.snd_wnd, options.timestamps.map(|(value, _)| value));
    tp.hashed = true;
    sk_set_txhash(cx, child);
    cx.k.sockets.tcp_hashinfo.insert_connection(key, child);
    Some(child)
}

/// The route to the peer.
fn route_to(
    cx: &mut Cx,
    netns: NetnsId,
    local: (Ipv4Addr, u16),
    remote: (Ipv4Addr, u16),
    (mark, bound_dev_if): (u32, u32),
) -> Option<Rtable> {
    let flow = FlowOut {
        daddr: remote.0,
        saddr: local.0,
        oif: cx.k.dev_by_index(netns, bound_dev_if),
        mark,
        proto: IPPROTO_TCP,
        sport: local.1,
        dport: remote.1,
        ..FlowOut::default()
    };
    ip_route_output_flow(cx, netns, flow, None).ok().map(|(route, _)| route)
}

/// An answer to a segment out of the window would be one too many, which is counted (`__tcp_oow_rate_limited`).
pub fn tcp_oow_rate_limited(cx: &mut Cx, sock: SocketId, skipped: fn(&mut TcpExtMib)) -> bool {
    /// `tcp_invalid_ratelimit`.
    const RATELIMIT: Nanos = Nanos::from_millis(500);
    let tick = last_tick(cx.now);
    let Some(tp) = tcp_sk(cx, sock) else { return true };
    let limited = tp.last_oow_ack.is_some_and(|at| tick.since(at) < RATELIMIT);
    if limited {
        tcp_ext(cx, sock, skipped);
    } else {
        tp.last_oow_ack = Some(tick);
    }
    limited
}

/// Length in sequence space.
pub fn sequence_len(th: &TcpHdr, segment_len: usize) -> u32 {
    let control = u32::from(th.flags & TCP_SYN != 0) + u32::from(th.flags & TCP_FIN != 0);
    control + segment_len.saturating_sub(th.header_len()) as u32
}
