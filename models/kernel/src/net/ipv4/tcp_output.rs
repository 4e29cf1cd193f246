//! Output of TCP: what may be sent now, in packets of one segment or several; and smoltcp's segments in Linux's format.
//!
//! Kernel: net/ipv4/tcp_output.c
//! Not modelled: pacing, urgent data, probing of the path MTU.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::checksum;
use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_HLEN, TCP_PSH, TCP_RST, TCP_SYN, TcpHdr};
use zerocopy::{FromBytes, IntoBytes};

use super::tcp_options::{TcpOptions, tcp_options_write, tcp_parse_options};
use super::tcp_sk::{tcp_ext, tcp_sk};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{SkbId, SocketId};
use crate::net::core::sock::{skb_set_hash, skb_set_owner_w};
use crate::netlink::Errno;
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::jiffies::last_tick;
use crate::tables::sysctl::Setting;
use crate::tables::tcp_queue::{TCP_SKB_OVERHEAD, TcpSkb};
use crate::tables::tcp_sock::{TcpSock, before};

/// 0: no timestamps, 1: with an offset for each connection, 2: without.
pub static TCP_TIMESTAMPS: Setting = Setting::new("tcp_timestamps", 1);
/// A connection has the mark of its SYN, if the listener has none.
pub static TCP_FWMARK_ACCEPT: Setting = Setting::new("tcp_fwmark_accept", 0);
static AUTOCORKING: Setting = Setting::new("tcp_autocorking", 1);
static LIMIT_OUTPUT_BYTES: Setting = Setting::new("tcp_limit_output_bytes", 1_048_576);
static MIN_TSO_SEGS: Setting = Setting::new("tcp_min_tso_segs", 2);
static TSO_RTT_LOG: Setting = Setting::new("tcp_tso_rtt_log", 9);
static TSO_WIN_DIVISOR: Setting = Setting::new("tcp_tso_win_divisor", 3);

/// Options of segments, and how many go at once.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::net(&TCP_TIMESTAMPS).range(0, 255),
        Sysctl::net(&TCP_FWMARK_ACCEPT).range(0, 255),
        Sysctl::net(&AUTOCORKING).range(0, 1),
        Sysctl::net(&LIMIT_OUTPUT_BYTES),
        Sysctl::net(&MIN_TSO_SEGS).range(1, 255),
        Sysctl::net(&TSO_RTT_LOG).range(0, 255),
        Sysctl::net(&TSO_WIN_DIVISOR).range(0, 255),
    ],
);

/// Bytes of data in the largest packet (`sk_gso_max_size`): 64 KiB less room for headers. Whatever the device can, TCP makes large
/// packets: what it cannot cut the kernel cuts.
const GSO_MAX_SIZE: u32 = 65_536 - 321;

/// The timestamp clock in milliseconds, common to all machines of a world; each connection has its own offset.
pub fn tcp_time_stamp(cx: &Cx) -> u32 {
    (cx.now.0 / 1_000_000) as u32
}

/// Rewrites a segment of smoltcp as Linux writes it: numbers, options, timestamps, window; without checksum.
fn to_linux_format(tp: &mut TcpSock, clock: u32, segment: &[u8]) -> Vec<u8> {
    let Ok((mut header, _)) = TcpHdr::read_from_prefix(segment) else { return segment.to_vec() };
    let mut options = tcp_parse_options(segment);
    let duplicate = tp.duplicate_sack.filter(|_| tp.sack_ok && header.flags == TCP_ACK);
    let blocks: Vec<u8> = match duplicate {
        // The twice received block is the first, and three have room beside timestamps.
        Some((start, end)) => {
            let told = [start.to_be_bytes(), end.to_be_bytes()].concat();
            told.into_iter().chain(options.sack.iter().copied()).take(24).collect()
        }
        None => options.sack.to_vec(),
    };
    options.sack = &blocks;
    if let Some((value, _)) = &mut options.timestamps {
        *value = clock.wrapping_add(tp.ts_offset);
    }
    if header.flags & TCP_SYN != 0 {
        options.mss = Some(tp.advmss);
        let offers = header.flags & TCP_ACK == 0 || tp.wscale_ok;
        options.window_shift = offers.then_some(tp.rcv_wscale);
        header.window.set(tp.rcv.wnd.min(u32::from(u16::MAX)) as u16);
        tp.rcv.wup = tp.rcv.nxt;
    } else if header.flags & TCP_RST != 0 {
        header.window.set(0);
    } else {
        header.window.set(tp.rcv.select());
    }
    let written = tcp_options_write(&options);
    header.doff_res = TcpHdr::doff(written.len());
    [header.as_bytes(), &written].concat()
}

/// The segment that the packet at this place of the queue of what was sent goes out in, without checksum.
fn segment_of(tp: &mut TcpSock, clock: u32, (local, remote): (u16, u16), at: usize) -> Vec<u8> {
    let (now, window) = (clock.wrapping_add(tp.ts_offset), tp.rcv.select());
    let skb = &tp.rtx.skbs[at];
    let timestamps = tp.tstamp_ok.then(|| (now, tp.ts_recent.unwrap_or(0)));
    let options = tcp_options_write(&TcpOptions { timestamps, ..TcpOptions::default() });
    // What is cut later is pushed, so that it is not held up where it is merged again.
    let push = if skb.pcount > 1 { TCP_PSH } else { 0 };
    let header = TcpHdr {
        source: local.into(),
        dest: remote.into(),
        seq: skb.seq.into(),
        ack_seq: tp.rcv.nxt.into(),
        doff_res: TcpHdr::doff(options.len()),
        flags: TCP_ACK | skb.flags | push,
        window: window.into(),
        ..TcpHdr::default()
    };
    [header.as_bytes(), &options, &skb.data].concat()
}

/// The checksum of a segment goes into its header (`tcp_v4_send_check`).
pub fn tcp_v4_send_check(segment: &mut [u8], saddr: Ipv4Addr, daddr: Ipv4Addr) {
    segment[16..18].fill(0);
    let pseudo = checksum::pseudo_header(saddr, daddr, IPPROTO_TCP, segment.len() as u16);
    let check = checksum::fold(checksum::sum(pseudo, segment));
    segment[16..18].copy_from_slice(&check.to_be_bytes());
}

/// The next IPv4 identification of a connection (`inet_id`); 0 for a SYN/ACK. A packet of several segments takes as many.
pub fn next_ident(cx: &mut Cx, skb: SkbId) -> u16 {
    let synack = TCP_SYN | TCP_ACK;
    let (at, segs) = (cx.skbs[skb].transport_header, cx.skbs[skb].gso_segs.max(1));
    if cx.skbs.header::<TcpHdr>(skb, at).is_some_and(|th| th.flags & synack == synack) {
        return 0;
    }
    let Some(tp) = cx.skbs[skb].sk.and_then(|sk| tcp_sk(cx, sk)) else { return 0 };
    let ident = tp.inet_id;
    tp.inet_id = ident.wrapping_add(segs);
    ident
}

/// A segment on its way out.
#[derive(Clone, Copy, Default)]
struct Sending {
    /// It was sent before.
    again: bool,
    /// Its segments.
    segs: u32,
    /// Data in each of several, bytes.
    mss: u32,
    /// The memory that it takes until it was sent, bytes.
    truesize: u32,
}

/// Sends a segment of the smoltcp machine, whose connection sends no data: so it has another number.
///
/// # Errors
///
/// As [`tcp_transmit_skb`].
pub fn tcp_transmit_machines(cx: &mut Cx, sock: SocketId, mut segment: Vec<u8>) -> Result<(), Errno> {
    let Some(tp) = tcp_sk(cx, sock) else { return Ok(()) };
    if let Ok((mut header, _)) = TcpHdr::read_from_prefix(&segment)
        && tp.sent_any
        && header.flags & TCP_SYN == 0
        && header.seq.get().wrapping_sub(tp.iss) <= 2
    {
        header.seq.set(tp.snd_nxt);
        segment[..TCP_HLEN].copy_from_slice(header.as_bytes());
    }
    tcp_transmit_skb(cx, sock, &segment)
}

/// Sends a segment without data.
///
/// # Errors
///
/// It did not leave this host: no route, `EPERM` if netfilter dropped it, `ENOBUFS` if the device did not take it.
pub fn tcp_transmit_skb(cx: &mut Cx, sock: SocketId, segment: &[u8]) -> Result<(), Errno> {
    let clocks = (tcp_time_stamp(cx), cx.now);
    let Some(tp) = tcp_sk(cx, sock) else { return Ok(()) };
    let (bytes, again) = prepare(tp, clocks, segment);
    transmit(cx, sock, bytes, Sending { again, segs: 1, ..Sending::default() })
}

/// A segment of smoltcp as it leaves, and what the connection remembers of it: true if it left before. `clock`: that of timestamps.
pub fn prepare(tp: &mut TcpSock, (clock, now): (u32, Nanos), segment: &[u8]) -> (Vec<u8>, bool) {
    let bytes = to_linux_format(tp, clock, segment);
    let again = TcpHdr::read_from_prefix(&bytes).is_ok_and(|(header, _)| note_sent(tp, &header, now));
    (bytes, again)
}

/// Sends the packet at this place of the queue of what was sent (`__tcp_transmit_skb`).
fn transmit_queued(cx: &mut Cx, sock: SocketId, at: usize, again: bool) -> Result<(), Errno> {
    let (clock, tick) = (tcp_time_stamp(cx), last_tick(cx.now));
    let Some(socket) = cx.k.sockets.get_mut(sock) else { return Ok(()) };
    let ports = (socket.local.1, socket.remote.map_or(0, |to| to.1));
    let Some(tp) = socket.tcp.as_deref_mut() else { return Ok(()) };
    let bytes = segment_of(tp, clock, ports, at);
    let skb = &tp.rtx.skbs[at];
    if !skb.data.is_empty() {
        tp.ack.data_sent(tick);
    }
    let sending = Sending { again, segs: skb.pcount, mss: tp.mss(), truesize: skb.truesize() };
    transmit(cx, sock, bytes, sending)
}

fn transmit(cx: &mut Cx, sock: SocketId, mut bytes: Vec<u8>, sending: Sending) -> Result<(), Errno> {
    let Some(socket) = cx.k.sockets.get(sock) else { return Ok(()) };
    let (netns, mark, local, hash) = (socket.netns, socket.opts.mark, socket.local, socket.txhash);
    let (Some(remote), Ok((header, _))) = (socket.remote, TcpHdr::read_from_prefix(&bytes)) else {
        return Ok(());
    };
    let (is_several, flags) = (sending.segs > 1, header.flags);
    if is_several {
        // Whoever cuts it computes the rest.
        let pseudo = checksum::pseudo_header(local.0, remote.0, IPPROTO_TCP, bytes.len() as u16);
        bytes[16..18].copy_from_slice(&(!checksum::fold(pseudo)).to_be_bytes());
    } else {
        tcp_v4_send_check(&mut bytes, local.0, remote.0);
    }
    let lo = cx.k.netns[netns].loopback;
    let skb = cx.skbs.alloc_skb(bytes.len(), lo);
    cx.skbs.data_mut(skb).copy_from_slice(&bytes);
    if sending.truesize > 0 {
        cx.skbs[skb].truesize = sending.truesize;
        skb_set_owner_w(cx, skb, sock);
    } else {
        skb_set_hash(&mut cx.skbs[skb], hash);
    }
    let tp = tcp_sk(cx, sock);
    let confirms = tp.is_some_and(|tp| {
        if flags & TCP_ACK != 0 {
            tp.ack.sent(sending.segs);
        }
        tp.dst_pending_confirm
    });
    let pkt = &mut cx.skbs[skb];
    (pkt.sk, pkt.mark, pkt.dst_pending_confirm) = (Some(sock), mark, confirms);
    pkt.transport_header = pkt.data;
    if is_several {
        (pkt.gso_size, pkt.gso_segs, pkt.ip_summed) = (sending.mss as u16, sending.segs as u16, true);
    }
    let synack = flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK;
    // What is to be acknowledged stays in the queue; a SYN/ACK is made anew.
    cx.skbs[skb].is_tcp_clone = sending.truesize > 0 || flags & (TCP_SYN | TCP_FIN) != 0 && !synack;
    let (counters, segs) = (&mut cx.k.netns[netns].ipv4.snmp.tcp, u64::from(sending.segs));
    // Retransmissions are not counted, but a SYN/ACK is made anew.
    counters.OutSegs += if !sending.again || synack { segs } else { 0 };
    counters.OutRsts += u64::from(flags & TCP_RST != 0);
    let func = if synack { Func::TcpMakeSynack } else { Func::TcpTransmitSkb };
    let send = |cx: &mut Cx| cx.within(func, skb, |cx| cx.xmit_and_wait(skb, Door::IpQueueXmit { skb }));
    let sent = if sending.again { cx.within(Func::TcpRetransmitSkb, skb, send) } else { send(cx) };
    if let Some(tp) = tcp_sk(cx, sock).filter(|_| confirms && sent.is_ok()) {
        tp.dst_pending_confirm = false;
    }
    if !sending.again {
        return sent;
    }
    let snmp = &mut cx.k.netns[netns].ipv4.snmp;
    // A SYN/ACK is counted once it has left.
    if sent.is_ok() || !synack {
        snmp.tcp.RetransSegs += segs;
        snmp.tcp_ext.TCPSynRetrans += u64::from(flags & TCP_SYN != 0);
    }
    if sent.is_err() && !synack {
        snmp.tcp_ext.TCPRetransFail += segs;
    }
    sent
}

/// Records what smoltcp sent; true for a SYN that was sent before.
fn note_sent(tp: &mut TcpSock, header: &TcpHdr, now: Nanos) -> bool {
    if header.flags & TCP_SYN == 0 {
        return false;
    }
    let again = std::mem::replace(&mut tp.sent_any, true);
    if again {
        tp.total_retrans += 1;
        // The answer may be to either.
        tp.icsk.timed = None;
        return true;
    }
    let seq = header.seq.get();
    let next = seq.wrapping_add(1);
    (tp.iss, tp.snd_una, tp.snd_nxt, tp.snd_sml, tp.write_seq) = (seq, seq, next, seq, next);
    tp.icsk.timed = Some((next, now));
    false
}

/// The settings of a connection's namespace, as far as its output reads them.
struct Settings {
    autocorking: bool,
    limit: u64,
    min_segs: u32,
    rtt_log: u32,
    divisor: u32,
    nodelay: bool,
}

fn settings(cx: &Cx, sock: SocketId) -> Option<Settings> {
    let socket = cx.k.sockets.get(sock)?;
    let sysctls = &cx.k.netns[socket.netns].sysctls;
    Some(Settings {
        autocorking: sysctls.get(&AUTOCORKING) != 0,
        limit: sysctls.get(&LIMIT_OUTPUT_BYTES).max(0) as u64,
        min_segs: sysctls.get(&MIN_TSO_SEGS) as u32,
        rtt_log: sysctls.get(&TSO_RTT_LOG) as u32,
        divisor: sysctls.get(&TSO_WIN_DIVISOR) as u32,
        nodelay: socket.opts.nodelay,
    })
}

/// Segments in a packet: about a millisecond's at the connection's rate, more to a near peer (`tcp_tso_autosize`).
fn tcp_tso_segs(tp: &TcpSock, settings: &Settings) -> u32 {
    let mss = tp.mss();
    let near = tp.icsk.min_rtt().checked_shr(settings.rtt_log).unwrap_or(0);
    let bonus = if near < 32 { GSO_MAX_SIZE >> near } else { 0 };
    let bytes = ((tp.icsk.pacing_rate(mss) >> 10) + u64::from(bonus)).min(u64::from(GSO_MAX_SIZE));
    (bytes as u32 / mss).max(settings.min_segs)
}

/// How long a packet of the write queue may get (`tcp_xmit_size_goal`): full segments, half of the peer's greatest window.
pub fn tcp_xmit_size_goal(tp: &TcpSock) -> u32 {
    let mss = tp.mss();
    let half = if tp.max_window > 536 { (tp.max_window / 2).max(68) } else { tp.max_window };
    (GSO_MAX_SIZE.min(half) / mss).max(1) * mss
}

/// A small segment waits while another one is under way (`tcp_nagle_check`).
fn waits_by_nagle(tp: &TcpSock, settings: &Settings) -> bool {
    let small = before(tp.snd_una, tp.snd_sml) && !before(tp.snd_nxt, tp.snd_sml);
    !settings.nodelay && !tp.rtx.skbs.is_empty() && small
}

/// What became of the first packet of the write queue.
enum Next {
    /// It goes, this many bytes of it.
    Send(u32),
    /// It waits; `true`: because of the congestion window.
    Wait(bool),
}

/// Whether the first packet of the write queue may go (the tests of `tcp_write_xmit`). `in_flight`: segments; `probe`: it goes
/// whatever the congestion window says.
fn next_to_send(tp: &TcpSock, settings: &Settings, in_flight: u32, probe: bool, now: Nanos) -> Next {
    let Some(skb) = tp.write_queue.front() else { return Next::Wait(false) };
    let (mss, len, cwnd) = (tp.mss(), skb.data.len() as u32, tp.icsk.cwnd);
    let is_last = tp.write_queue.len() == 1;
    // The congestion window does not hold up a FIN.
    let is_fin = skb.flags & TCP_FIN != 0 && len <= mss;
    let quota = match cwnd.saturating_sub(in_flight) {
        0 if probe || is_fin => 1,
        0 => return Next::Wait(true),
        free => free.min((cwnd / 2).max(1)),
    };
    let window = tp.snd_una.wrapping_add(tp.snd_wnd).wrapping_sub(skb.seq);
    let window = if (window as i32) < 0 { 0 } else { window };
    if len.min(mss) > window {
        return Next::Wait(false);
    }
    if len <= mss {
        let small = len < mss && skb.flags & TCP_FIN == 0 && is_last;
        return if small && waits_by_nagle(tp, settings) { Next::Wait(false) } else { Next::Send(len) };
    }
    let segs = tcp_tso_segs(tp, settings);
    if !probe && let Some(by_cwnd) = tcp_tso_should_defer(tp, settings, (in_flight, window), segs, now) {
        return Next::Wait(by_cwnd);
    }
    let most = mss * quota.min(segs);
    if most <= window && !is_last {
        return Next::Send(most.min(len));
    }
    let needed = len.min(window);
    let part = needed % mss;
    Next::Send(match () {
        () if most <= needed => most,
        () if part > 0 && waits_by_nagle(tp, settings) => needed - part,
        () => needed,
    })
}

/// A packet waits for more to go with it, since the next acknowledgement will come soon (`tcp_tso_should_defer`): `Some(true)` for
/// the congestion window, `Some(false)` for the peer's.
fn tcp_tso_should_defer(
    tp: &TcpSock,
    settings: &Settings,
    (in_flight, send_win): (u32, u32),
    segs: u32,
    now: Nanos,
) -> Option<bool> {
    let (skb, head) = (tp.write_queue.front()?, tp.rtx.skbs.front()?);
    let last = tp.rtx.skbs.back()?.sent;
    if tp.icsk.is_recovering() || now.since(last) > Nanos::from_millis(1) {
        return None;
    }
    let (mss, cwnd, len) = (tp.mss(), tp.icsk.cwnd, skb.data.len() as u32);
    let cong_win = cwnd.saturating_sub(in_flight).saturating_mul(mss);
    let limit = send_win.min(cong_win);
    let chunk = tp.snd_wnd.min(cwnd.saturating_mul(mss)).checked_div(settings.divisor);
    let enough = limit >= segs * mss
        || tp.write_queue.len() > 1 && limit >= len
        || chunk.is_some_and(|chunk| limit >= chunk);
    let half_rtt = tp.icsk.srtt().map_or(Nanos::ZERO, |srtt| Nanos(srtt.0 / 2));
    if enough || now.since(head.sent) < half_rtt {
        return None;
    }
    match cong_win < send_win {
        true if cong_win <= len => Some(true),
        false if send_win <= len => Some(false),
        _ if skb.flags & TCP_FIN != 0 => None,
        // More of the same may come from the program.
        _ => Some(false),
    }
}

/// Too much of it waits in this host's queues and rings (`tcp_small_queue_check`).
fn tcp_small_queue_check(cx: &mut Cx, sock: SocketId, settings: &Settings, truesize: u32) -> bool {
    let Some(socket) = cx.k.sockets.get_mut(sock) else { return false };
    let Some(tp) = socket.tcp.as_deref_mut() else { return false };
    let limit = u64::from(2 * truesize).max(tp.icsk.pacing_rate(tp.mss()) >> 10).min(settings.limit);
    let full = u64::from(socket.wmem_alloc) > limit && !tp.rtx.skbs.is_empty();
    tp.throttled |= full;
    full
}

/// Sends what may be sent (`tcp_write_xmit`); `probe`: one packet, whatever the congestion window says. True if something went.
pub fn tcp_write_xmit(cx: &mut Cx, sock: SocketId, probe: bool) -> bool {
    let Some(settings) = settings(cx, sock) else { return false };
    let now = cx.now;
    let Some(mut in_flight) = tcp_sk(cx, sock).map(|tp| tp.rtx.in_flight()) else { return false };
    let mut sent = 0;
    let mut by_cwnd = false;
    loop {
        let Some(tp) = tcp_sk(cx, sock).filter(|tp| tp.is_synchronised()) else { return false };
        let len = match next_to_send(tp, &settings, in_flight, probe, now) {
            Next::Send(len) => len,
            Next::Wait(limited) => {
                by_cwnd = limited && !tp.write_queue.is_empty();
                break;
            }
        };
        let truesize = tp.write_queue.front().map_or(0, TcpSkb::truesize);
        if tcp_small_queue_check(cx, sock, &settings, truesize) {
            break;
        }
        let Ok(segs) = transmit_unsent(cx, sock, len) else { break };
        in_flight += segs;
        sent += segs;
        if probe {
            break;
        }
    }
    if let Some(tp) = tcp_sk(cx, sock)
        && (sent > 0 || by_cwnd)
    {
        let out = tp.rtx.packets_out();
        tp.icsk.cwnd_validate(by_cwnd || in_flight >= tp.icsk.cwnd, out, (tp.snd_una, tp.snd_nxt));
    }
    sent > 0
}

/// Sends something new because a timer says so, as far as the peer's window lets it (`tcp_write_wakeup`). False: it lets nothing.
pub fn tcp_write_wakeup(cx: &mut Cx, sock: SocketId) -> bool {
    let Some(tp) = tcp_sk(cx, sock) else { return false };
    let (mss, end) = (tp.mss(), tp.snd_una.wrapping_add(tp.snd_wnd));
    let Some(skb) = tp.write_queue.front_mut().filter(|skb| before(skb.seq, end)) else { return false };
    let window = end.wrapping_sub(skb.seq);
    let whole = skb.data.len() as u32;
    let len = whole.min(window).min(mss);
    if len < whole {
        skb.flags |= TCP_PSH;
    }
    // What did not leave this host is tried again when the timer expires next.
    let _ = transmit_unsent(cx, sock, len);
    true
}

/// Sends `len` bytes of the first packet of the write queue; its segments. What does not leave this host stays there.
fn transmit_unsent(cx: &mut Cx, sock: SocketId, len: u32) -> Result<u32, Errno> {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return Ok(0) };
    let small = tp.snd_sml;
    let Some((at, segs)) = take_unsent(tp, len, now) else { return Ok(0) };
    let sent = transmit_queued(cx, sock, at, false);
    if let (Err(errno), Some(tp)) = (sent, tcp_sk(cx, sock)) {
        if let Some(skb) = tp.rtx.skbs.pop_back() {
            (tp.snd_nxt, tp.snd_sml) = (skb.seq, small);
            tp.write_queue.push_front(skb);
        }
        return Err(errno);
    }
    tcp_ext(cx, sock, |counters| counters.TCPOrigDataSent += u64::from(segs));
    Ok(segs)
}

/// Takes `len` bytes of the first packet of the write queue; it is under way now (`tcp_event_new_data_sent`). Returns its place
/// in the queue of what was sent, and its segments.
fn take_unsent(tp: &mut TcpSock, len: u32, now: Nanos) -> Option<(usize, u32)> {
    let (mss, mut skb) = (tp.mss(), tp.write_queue.pop_front()?);
    if len < skb.data.len() as u32 {
        let rest = skb.split(len as usize, mss);
        tp.wmem_queued += TCP_SKB_OVERHEAD;
        tp.write_queue.push_front(rest);
    }
    skb.set_segs(mss);
    skb.sent = now;
    tp.snd_nxt = skb.end();
    if (skb.data.len() as u32) < skb.pcount * mss && !skb.data.is_empty() {
        tp.snd_sml = skb.end();
    }
    let (at, segs) = (tp.rtx.skbs.len(), skb.pcount);
    tp.rtx.skbs.push_back(skb);
    Some((at, segs))
}

/// A small packet waits for what is under way in this host, since the program may write more (`tcp_should_autocork`).
pub fn tcp_should_autocork(cx: &mut Cx, sock: SocketId) -> bool {
    let Some(settings) = settings(cx, sock) else { return false };
    let Some(socket) = cx.k.sockets.get_mut(sock) else { return false };
    let Some(tp) = socket.tcp.as_deref_mut() else { return false };
    let goal = tcp_xmit_size_goal(tp);
    let Some(last) = tp.write_queue.back() else { return false };
    let corks = settings.autocorking
        && (last.data.len() as u32) < goal
        && !tp.rtx.skbs.is_empty()
        // The kernel's count begins with one for the socket itself.
        && socket.wmem_alloc >= last.truesize();
    if corks {
        let again = std::mem::replace(&mut tp.throttled, true);
        tcp_ext(cx, sock, |counters| counters.TCPAutoCorking += u64::from(!again));
    }
    corks
}

/// Sends the packet at this place of the queue of what was sent again, `segs` segments of it at most (`tcp_retransmit_skb`).
///
/// # Errors
///
/// As [`tcp_transmit_skb`].
pub fn tcp_retransmit_skb(cx: &mut Cx, sock: SocketId, at: usize, segs: u32) -> Result<(), Errno> {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return Ok(()) };
    let mss = tp.mss();
    if tp.rtx.cut(at, segs.max(1), mss) {
        tp.wmem_queued += TCP_SKB_OVERHEAD;
    }
    collapse(tp, at, mss);
    let Some(skb) = tp.rtx.skbs.get_mut(at) else { return Ok(()) };
    skb.set_segs(mss);
    (skb.sent, skb.ever_retrans) = (now, true);
    let segs = skb.pcount;
    tp.total_retrans += segs;
    tp.icsk.timed = None;
    transmit_queued(cx, sock, at, true)?;
    if let Some(tp) = tcp_sk(cx, sock) {
        tp.icsk.prr_out += segs;
        if let Some(skb) = tp.rtx.skbs.get_mut(at) {
            skb.retrans = true;
        }
    }
    Ok(())
}

/// Small packets that follow go with it, as far as they fit one segment (`tcp_retrans_try_collapse`).
fn collapse(tp: &mut TcpSock, at: usize, mss: u32) {
    while let (Some(skb), Some(next)) = (tp.rtx.skbs.get(at), tp.rtx.skbs.get(at + 1)) {
        let fits = skb.pcount == 1 && next.pcount == 1 && skb.data.len() + next.data.len() <= mss as usize;
        if !fits || next.sacked || skb.flags & TCP_FIN != 0 {
            return;
        }
        let Some(next) = tp.rtx.skbs.remove(at + 1) else { return };
        let skb = &mut tp.rtx.skbs[at];
        tp.wmem_queued -= TCP_SKB_OVERHEAD;
        skb.data.extend(next.data);
        skb.flags |= next.flags;
    }
}
