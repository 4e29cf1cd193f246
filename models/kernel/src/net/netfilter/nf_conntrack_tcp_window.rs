//! The TCP window check.
//!
//! Kernel: net/netfilter/nf_conntrack_proto_tcp.c (`tcp_in_window`)
//!
//! After Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter": a segment is in the window if it (I) does
//! not end beyond the receiver's window, (II) does not start too far before it, (III) does not acknowledge data that
//! was not sent, and (IV) does not acknowledge too old data.

use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_HLEN, TCP_RST, TCP_SYN, TcpHdr};

use crate::tables::conntrack::proto::{
    TCP_FLAG_BE_LIBERAL, TCP_FLAG_DATA_UNACKNOWLEDGED, TCP_FLAG_MAXACK_SET, TCP_FLAG_SACK_PERM,
    TCP_FLAG_WINDOW_SCALE,
};
use crate::tables::conntrack::{CtNet, CtSysctl, Dir, TcpSeen, TcpState, TcpTrack};

/// Least allowed age of an ACK, bytes (`MAXACKWINCONST`).
const MAXACKWINCONST: u32 = 66_000;
/// The largest window scale (RFC 7323).
const TCP_MAX_WSCALE: u8 = 14;
const OPT_EOL: u8 = 0;
const OPT_NOP: u8 = 1;
const OPT_WINDOW: u8 = 3;
const OPT_SACK_PERM: u8 = 4;
const OPT_SACK: u8 = 5;

/// `a` comes before `b` in sequence space.
#[inline]
pub(super) fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[inline]
fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// Fields of a segment.
pub(super) struct Segment<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement.
    pub ack: u32,
    /// End sequence number; SYN and FIN count one each.
    pub end: u32,
    /// Window field, unscaled.
    pub win: u16,
    flags: u8,
    options: &'a [u8],
}

impl<'a> Segment<'a> {
    /// From a header whose lengths were checked; `bytes` begins at the TCP header.
    #[inline]
    pub(super) fn new(th: &TcpHdr, bytes: &'a [u8]) -> Segment<'a> {
        let hlen = th.header_len();
        let (seq, flags) = (th.seq.get(), th.flags);
        let extra = u32::from(flags & TCP_SYN != 0) + u32::from(flags & TCP_FIN != 0);
        let payload = bytes.len().saturating_sub(hlen) as u32;
        Segment {
            seq,
            ack: th.ack_seq.get(),
            end: seq.wrapping_add(payload).wrapping_add(extra),
            win: th.window.get(),
            flags,
            options: bytes.get(TCP_HLEN..hlen).unwrap_or(&[]),
        }
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Kind and content of each option, up to the first malformed one.
    fn options(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.options;
        std::iter::from_fn(move || {
            loop {
                match *rest {
                    [OPT_EOL, ..] | [] => return None,
                    [OPT_NOP, ref more @ ..] => rest = more,
                    [kind, len, ..] if len >= 2 && usize::from(len) <= rest.len() => {
                        let (this, more) = rest.split_at(usize::from(len));
                        rest = more;
                        return Some((kind, &this[2..]));
                    }
                    _ => return None,
                }
            }
        })
    }
}

/// Reads the options of a SYN (`tcp_options`). Without any option, those of an earlier SYN stay.
pub(super) fn tcp_options(segment: &Segment, side: &mut TcpSeen) {
    if segment.options.is_empty() {
        return;
    }
    side.scale = 0;
    side.flags &= TCP_FLAG_BE_LIBERAL;
    for (kind, content) in segment.options() {
        match (kind, content) {
            (OPT_SACK_PERM, []) => side.flags |= TCP_FLAG_SACK_PERM,
            (OPT_WINDOW, [scale]) => {
                side.scale = (*scale).min(TCP_MAX_WSCALE);
                side.flags |= TCP_FLAG_WINDOW_SCALE;
            }
            _ => {}
        }
    }
}

/// The right edge of the highest SACK block, at least `ack` (`tcp_sack`).
fn tcp_sack(segment: &Segment, ack: u32) -> u32 {
    let mut sack = ack;
    for (kind, content) in segment.options() {
        if kind != OPT_SACK || content.is_empty() || content.len() % 8 != 0 {
            continue;
        }
        for block in content.chunks_exact(8) {
            let edge = u32::from_be_bytes([block[4], block[5], block[6], block[7]]);
            if after(edge, sack) {
                sack = edge;
            }
        }
    }
    sack
}

/// Result of the window check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// In the window.
    In,
    /// Accepted, but not recorded.
    Ignore,
    /// Out of the window.
    Out,
}

/// A segment's numbers, with those that it lacks filled in.
struct Numbers {
    seq: u32,
    end: u32,
    ack: u32,
    sack: u32,
    win: u32,
}

/// Checks a segment against the windows of both sides and updates them (`tcp_in_window`). `plain_ack`: the segment was
/// classified as ACK. `acked_offset`: by how many bytes NAT moved what it acknowledges.
pub(super) fn tcp_in_window(
    track: &mut TcpTrack,
    net: &CtNet,
    dir: Dir,
    plain_ack: bool,
    segment: &Segment,
    acked_offset: i32,
) -> Fit {
    let state = track.state;
    let [original, reply] = &mut track.seen;
    let (sender, receiver) = match dir {
        Dir::Original => (original, reply),
        Dir::Reply => (reply, original),
    };
    let mut n = Numbers {
        seq: segment.seq,
        end: segment.end,
        ack: segment.ack,
        sack: segment.ack,
        win: u32::from(segment.win),
    };
    if receiver.flags & TCP_FLAG_SACK_PERM != 0 {
        n.sack = tcp_sack(segment, segment.ack);
    }
    n.ack = n.ack.wrapping_sub_signed(acked_offset);
    n.sack = n.sack.wrapping_sub_signed(acked_offset);
    if let Some(fit) = begin(state, sender, receiver, dir, segment, &n) {
        return fit;
    }
    if !segment.has(TCP_ACK) || segment.has(TCP_RST) && n.ack == 0 {
        // Without an ACK; some stacks set the flag in a RST with ACK number 0.
        (n.ack, n.sack) = (receiver.end, receiver.end);
    }
    if segment.has(TCP_RST) && n.seq == 0 && state == TcpState::SynSent {
        // A RST in reply to a SYN.
        (n.seq, n.end) = (sender.end, sender.end);
    }
    let fit = fits(sender, receiver, &n);
    let liberal = sender.flags & TCP_FLAG_BE_LIBERAL != 0 || net.is_on(CtSysctl::TcpBeLiberal);
    if fit != Fit::In {
        return if liberal { Fit::In } else { fit };
    }
    move_on(sender, receiver, &n, segment);
    if plain_ack {
        count_retransmission(track, dir, &n, segment.win);
    }
    Fit::In
}

/// Initializes a side's window from its first segment, or from a new SYN with another sequence number.
fn begin(
    state: TcpState,
    sender: &mut TcpSeen,
    receiver: &mut TcpSeen,
    dir: Dir,
    segment: &Segment,
    n: &Numbers,
) -> Option<Fit> {
    let opening = matches!(state, TcpState::SynSent | TcpState::SynRecv);
    if sender.maxwin == 0 {
        if segment.has(TCP_SYN) {
            tcp_init_sender(sender, receiver, segment, n, dir);
            // Simultaneous open.
            return (!segment.has(TCP_ACK)).then_some(Fit::In);
        }
        sender.end = n.end;
        sender.maxwin = (n.win << sender.scale).max(1);
        sender.maxend = n.end.wrapping_add(sender.maxwin);
        if receiver.maxwin == 0 {
            (receiver.end, receiver.maxend) = (n.sack, n.sack);
        } else if n.sack == receiver.end.wrapping_add(1) {
            // Probably the reply to a keepalive.
            receiver.end = receiver.end.wrapping_add(1);
        }
        return None;
    }
    if segment.has(TCP_SYN) && after(n.end, sender.end) && opening {
        tcp_init_sender(sender, receiver, segment, n, dir);
        return (dir == Dir::Reply && !segment.has(TCP_ACK)).then_some(Fit::In);
    }
    None
}

/// Initializes the sender from a SYN; windows are scaled only if both sides offered it.
fn tcp_init_sender(sender: &mut TcpSeen, receiver: &mut TcpSeen, segment: &Segment, n: &Numbers, dir: Dir) {
    (sender.end, sender.maxend, sender.maxwin) = (n.end, n.end, n.win.max(1));
    tcp_options(segment, sender);
    let both = sender.flags & receiver.flags & TCP_FLAG_WINDOW_SCALE != 0;
    if dir == Dir::Reply && !both {
        (sender.scale, receiver.scale) = (0, 0);
    }
}

fn fits(sender: &mut TcpSeen, receiver: &TcpSeen, n: &Numbers) -> Fit {
    let oldest_ack = receiver.end.wrapping_sub(sender.maxwin.max(MAXACKWINCONST)).wrapping_sub(1);
    let oldest_end = sender.end.wrapping_sub(receiver.maxwin).wrapping_sub(1);
    let acks_sent_data = before(n.sack, receiver.end.wrapping_add(1));
    if !before(n.seq, sender.maxend.wrapping_add(1)) {
        let overshot = n.end.wrapping_sub(sender.maxend).wrapping_add(1);
        let a_bit_too_much = receiver.maxwin != 0
            && after(n.end, oldest_end)
            && after(n.sack, oldest_ack)
            && overshot <= receiver.maxwin
            && acks_sent_data;
        if a_bit_too_much {
            // Otherwise the receiver's ACK of this segment would be found invalid.
            sender.end = n.end;
            sender.flags |= TCP_FLAG_DATA_UNACKNOWLEDGED;
            return Fit::Ignore;
        }
        return Fit::Out;
    }
    if !acks_sent_data {
        return Fit::Out;
    }
    if receiver.maxwin != 0 && !after(n.end, oldest_end) || !after(n.sack, oldest_ack) {
        return Fit::Ignore;
    }
    Fit::In
}

fn move_on(sender: &mut TcpSeen, receiver: &mut TcpSeen, n: &Numbers, segment: &Segment) {
    let win = if segment.has(TCP_SYN) { n.win } else { n.win << sender.scale };
    sender.maxwin = sender.maxwin.max(win.wrapping_add(n.sack.wrapping_sub(n.ack)));
    if after(n.end, sender.end) {
        sender.end = n.end;
        sender.flags |= TCP_FLAG_DATA_UNACKNOWLEDGED;
    }
    if segment.has(TCP_ACK) {
        if sender.flags & TCP_FLAG_MAXACK_SET == 0 || after(n.ack, sender.maxack) {
            sender.maxack = n.ack;
        }
        sender.flags |= TCP_FLAG_MAXACK_SET;
    }
    if receiver.maxwin != 0 && after(n.end, sender.maxend) {
        receiver.maxwin = receiver.maxwin.wrapping_add(n.end.wrapping_sub(sender.maxend));
    }
    let allowed = n.sack.wrapping_add(win);
    if after(allowed, receiver.maxend.wrapping_sub(1)) {
        receiver.maxend = allowed.wrapping_add(u32::from(win == 0));
    }
    if n.ack == receiver.end {
        receiver.flags &= !TCP_FLAG_DATA_UNACKNOWLEDGED;
    }
}

fn count_retransmission(track: &mut TcpTrack, dir: Dir, n: &Numbers, win: u16) {
    let this = (dir as u8, n.seq, n.ack, n.end, win);
    if this == (track.last_dir, track.last_seq, track.last_ack, track.last_end, track.last_win) {
        track.retrans = track.retrans.saturating_add(1);
    } else {
        (track.last_dir, track.last_seq, track.last_ack, track.last_end, track.last_win) = this;
        track.retrans = 0;
    }
}
