//! Output of TCP segments: smoltcp's segments in Linux's format.
//!
//! Kernel: net/ipv4/tcp_output.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum;
use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_HLEN, TCP_PSH, TCP_RST, TCP_SYN, TcpHdr};
use zerocopy::FromBytes;

use super::tcp::tcp_sk;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{SkbId, SocketId};
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::sysctl::Setting;
use crate::tables::tcp_sock::TcpSock;

/// 0: no timestamps, 1: with an offset for each connection, 2: without.
pub static TCP_TIMESTAMPS: Setting = Setting::new("tcp_timestamps", 1);
/// A connection has the mark of its SYN, if the listener has none.
pub static TCP_FWMARK_ACCEPT: Setting = Setting::new("tcp_fwmark_accept", 0);

/// Options of segments.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[Sysctl::net(&TCP_TIMESTAMPS).range(0, 255), Sysctl::net(&TCP_FWMARK_ACCEPT).range(0, 255)],
);

/// End of the options.
const TCPOPT_EOL: u8 = 0;
/// No operation, for alignment.
const TCPOPT_NOP: u8 = 1;
/// Maximum segment size, bytes.
const TCPOPT_MSS: u8 = 2;
/// Window scale.
const TCPOPT_WINDOW: u8 = 3;
/// SACK permitted.
const TCPOPT_SACK_PERM: u8 = 4;
/// SACK blocks.
const TCPOPT_SACK: u8 = 5;
/// Timestamps.
const TCPOPT_TIMESTAMP: u8 = 8;

/// Options of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions<'a> {
    /// MSS, bytes.
    pub mss: Option<u16>,
    /// Window scale.
    pub window_shift: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// SACK blocks: left and right edge, 8 bytes each.
    pub sack: &'a [u8],
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
}

/// Reads the options of a segment (`tcp_parse_options`), up to the first malformed one.
pub fn tcp_parse_options(segment: &[u8]) -> TcpOptions<'_> {
    let mut found = TcpOptions::default();
    let Ok((header, _)) = TcpHdr::read_from_prefix(segment) else { return found };
    let mut rest = segment.get(TCP_HLEN..header.header_len()).unwrap_or(&[]);
    while let [kind, after @ ..] = rest {
        if *kind == TCPOPT_EOL {
            break;
        }
        if *kind == TCPOPT_NOP {
            rest = after;
            continue;
        }
        let Some(value) = rest.get(1).and_then(|len| rest.get(2..usize::from(*len))) else {
            break;
        };
        rest = &rest[2 + value.len()..];
        match (*kind, value) {
            (TCPOPT_MSS, [high, low]) => found.mss = Some(u16::from_be_bytes([*high, *low])),
            (TCPOPT_WINDOW, [shift]) => found.window_shift = Some(*shift),
            (TCPOPT_SACK_PERM, []) => found.sack_permitted = true,
            (TCPOPT_SACK, blocks) => found.sack = blocks,
            (TCPOPT_TIMESTAMP, [a, b, c, d, e, f, g, h]) => {
                let stamp = |bytes| u32::from_be_bytes(bytes);
                found.timestamps = Some((stamp([*a, *b, *c, *d]), stamp([*e, *f, *g, *h])));
            }
            _ => {}
        }
    }
    found
}

/// Replaces the window scale of a segment by what means nothing.
pub fn hide_window_scale(segment: &mut [u8]) {
    let end = TcpHdr::read_from_prefix(segment).map_or(0, |(header, _)| header.header_len());
    let Some(options) = segment.get_mut(TCP_HLEN..end) else { return };
    let mut at = 0;
    while at < options.len() && options[at] != TCPOPT_EOL {
        let len = match options[at] {
            TCPOPT_NOP => 1,
            _ => options.get(at + 1).map_or(0, |len| usize::from(*len)),
        };
        if len == 0 || at + len > options.len() {
            return;
        }
        if options[at] == TCPOPT_WINDOW {
            options[at..at + len].fill(TCPOPT_NOP);
        }
        at += len;
    }
}

/// Writes options in Linux's order and with its padding (`tcp_options_write`).
pub fn tcp_options_write(options: &TcpOptions) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    if let Some(mss) = options.mss {
        bytes.extend_from_slice(&[TCPOPT_MSS, 4]);
        bytes.extend_from_slice(&mss.to_be_bytes());
    }
    match (options.timestamps, options.sack_permitted) {
        (Some(_), true) => bytes.extend_from_slice(&[TCPOPT_SACK_PERM, 2]),
        (Some(_), false) => bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_NOP]),
        (None, true) => bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERM, 2]),
        (None, false) => {}
    }
    if let Some((value, echo)) = options.timestamps {
        bytes.extend_from_slice(&[TCPOPT_TIMESTAMP, 10]);
        bytes.extend_from_slice(&value.to_be_bytes());
        bytes.extend_from_slice(&echo.to_be_bytes());
    }
    if let Some(shift) = options.window_shift {
        bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_WINDOW, 3, shift]);
    }
    if !options.sack.is_empty() {
        bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK, 2 + options.sack.len() as u8]);
        bytes.extend_from_slice(options.sack);
    }
    bytes
}

/// The timestamp clock in milliseconds, common to all machines of a world; each connection has its own offset.
pub fn tcp_time_stamp(cx: &Cx) -> u32 {
    (cx.now.0 / 1_000_000) as u32
}

/// Rewrites a segment of smoltcp as Linux writes it: options, timestamps, window; without checksum.
fn to_linux_format(cx: &Cx, tp: &TcpSock, segment: &[u8]) -> Vec<u8> {
    let Ok((mut header, _)) = TcpHdr::read_from_prefix(segment) else { return segment.to_vec() };
    let mut options = tcp_parse_options(segment);
    let payload = segment.get(header.header_len()..).unwrap_or(&[]);
    let duplicate = tp.duplicate_sack.filter(|_| tp.sack_ok && payload.is_empty() && header.flags == TCP_ACK);
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
        *value = tcp_time_stamp(cx).wrapping_add(tp.ts_offset);
    }
    let window = header.window.get();
    if header.flags & TCP_SYN != 0 {
        options.mss = Some(tp.advmss);
        let offers = header.flags & TCP_ACK == 0 || tp.wscale_ok;
        options.window_shift = offers.then_some(tp.rcv_wscale);
        header.window.set(window.min(tp.first_window));
    } else if tp.wscale_ok {
        let unit = 1 << tp.rcv_wscale;
        // The full window is rounded up, as Linux does not lose its remainder to the scale.
        let whole = window >= tp.first_window;
        let scaled = if whole { u32::from(window).div_ceil(unit) } else { u32::from(window) / unit };
        header.window.set(scaled as u16);
    }
    if header.flags & TCP_RST != 0 {
        header.window.set(0);
    }
    // The FIN joins the last data, which was pushed (`tcp_send_fin`).
    if header.flags & TCP_FIN != 0 && !payload.is_empty() {
        header.flags |= TCP_PSH;
    }
    let written = tcp_options_write(&options);
    header.doff_res = ((TCP_HLEN + written.len()) as u8 / 4) << 4;
    let mut bytes = Vec::with_capacity(TCP_HLEN + written.len() + payload.len());
    bytes.extend_from_slice(zerocopy::IntoBytes::as_bytes(&header));
    bytes.extend_from_slice(&written);
    bytes.extend_from_slice(payload);
    bytes
}

/// The checksum of a segment goes into its header (`tcp_v4_send_check`).
pub fn tcp_v4_send_check(segment: &mut [u8], saddr: Ipv4Addr, daddr: Ipv4Addr) {
    segment[16..18].fill(0);
    let pseudo = checksum::pseudo_header(saddr, daddr, IPPROTO_TCP, segment.len() as u16);
    let check = checksum::fold(checksum::sum(pseudo, segment));
    segment[16..18].copy_from_slice(&check.to_be_bytes());
}

/// The next IPv4 identification of a connection (`inet_id`); 0 for a SYN/ACK.
pub fn next_ident(cx: &mut Cx, skb: SkbId) -> u16 {
    let synack = TCP_SYN | TCP_ACK;
    let at = cx.skbs[skb].transport_header;
    if cx.skbs.header::<TcpHdr>(skb, at).is_some_and(|th| th.flags & synack == synack) {
        return 0;
    }
    let Some(tp) = cx.skbs[skb].sk.and_then(|sk| tcp_sk(cx, sk)) else { return 0 };
    let ident = tp.inet_id;
    tp.inet_id = ident.wrapping_add(1);
    ident
}

/// Sends a segment of the smoltcp machine (`__tcp_transmit_skb`).
pub fn tcp_transmit_skb(cx: &mut Cx, sock: SocketId, segment: &[u8]) {
    let Some(socket) = cx.k.sockets.get(sock) else { return };
    let (netns, mark, local) = (socket.netns, socket.opts.mark, socket.local);
    let (Some(remote), Some(tp)) = (socket.remote, socket.tcp.as_deref()) else { return };
    let mut bytes = to_linux_format(cx, tp, segment);
    tcp_v4_send_check(&mut bytes, local.0, remote.0);
    let Ok((header, payload)) = TcpHdr::read_from_prefix(&bytes) else { return };
    let data = payload.len() + TCP_HLEN - header.header_len();
    let again = note_sent(cx, sock, &header, data);
    if !again
        && (data > 0 || header.flags & TCP_FIN != 0)
        && let Some(tp) = tcp_sk(cx, sock)
    {
        tp.last_segment = segment.to_vec();
    }
    let lo = cx.k.netns[netns].loopback;
    let skb = cx.skbs.alloc_skb(bytes.len(), lo);
    cx.skbs.data_mut(skb).copy_from_slice(&bytes);
    let synack = header.flags & (TCP_SYN | TCP_ACK) == TCP_SYN | TCP_ACK;
    let confirms = tcp_sk(cx, sock).is_some_and(|tp| std::mem::take(&mut tp.dst_pending_confirm));
    let pkt = &mut cx.skbs[skb];
    (pkt.sk, pkt.mark, pkt.dst_pending_confirm) = (Some(sock), mark, confirms);
    pkt.transport_header = pkt.data;
    let snmp = &mut cx.k.netns[netns].ipv4.snmp;
    snmp.tcp_ext.TCPSynRetrans += u64::from(again && header.flags & TCP_SYN != 0);
    let counters = &mut snmp.tcp;
    // Retransmissions are not counted, but a SYN/ACK is made anew.
    counters.OutSegs += u64::from(!again || synack);
    counters.OutRsts += u64::from(header.flags & TCP_RST != 0);
    counters.RetransSegs += u64::from(again);
    let func = if synack { Func::TcpMakeSynack } else { Func::TcpTransmitSkb };
    let transmit = |cx: &mut Cx| cx.within(func, skb, |cx| cx.walk(Door::IpQueueXmit { skb }));
    if again {
        cx.within(Func::TcpRetransmitSkb, skb, transmit);
    } else {
        transmit(cx);
    }
}

/// Records what was sent; true for a retransmission.
fn note_sent(cx: &mut Cx, sock: SocketId, header: &TcpHdr, payload: usize) -> bool {
    let now = cx.now;
    let Some(tp) = tcp_sk(cx, sock) else { return false };
    let control = u32::from(header.flags & TCP_SYN != 0) + u32::from(header.flags & TCP_FIN != 0);
    let (seq, len) = (header.seq.get(), control + payload as u32);
    if header.flags & TCP_ACK != 0 {
        (tp.rcv_nxt, tp.held_ack) = (header.ack_seq.get(), None);
    }
    let end = seq.wrapping_add(len);
    if !tp.sent_any {
        (tp.sent_any, tp.snd_una, tp.snd_nxt, tp.snd_sml) = (true, seq, end, seq);
        tp.icsk.timed = Some((end, now));
        return false;
    }
    let again = len > 0 && before(seq, tp.snd_nxt);
    if again {
        tp.total_retrans += 1;
        // The answer may be to either.
        tp.icsk.timed = None;
    }
    if before(tp.snd_nxt, end) {
        if payload > 0 && (payload as u32) < tp.mss() {
            tp.snd_sml = end;
        }
        tp.snd_nxt = end;
        if !again && tp.icsk.timed.is_none() {
            tp.icsk.timed = Some((end, now));
        }
    }
    again
}

/// `a` is before `b` in sequence space.
pub fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_written_as_linux_orders_them() {
        let options = TcpOptions {
            mss: Some(1460),
            window_shift: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 0)),
            ..TcpOptions::default()
        };
        let written = tcp_options_write(&options);
        let syn = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(written, syn);
        let mut segment = vec![0; TCP_HLEN];
        segment[12] = 0xa0;
        segment.extend_from_slice(&written);
        assert_eq!(tcp_parse_options(&segment), options);
    }

    #[test]
    fn broken_options_end_the_list() {
        for broken in [&[8, 10, 1, 1][..], &[2, 0, 1, 1], &[2, 1, 1, 1], &[3, 3, 3, 7]] {
            let mut segment = vec![0; TCP_HLEN];
            segment[12] = 0x60;
            segment.extend_from_slice(broken);
            assert_eq!(tcp_parse_options(&segment).mss, None, "{broken:?}");
        }
    }
}
