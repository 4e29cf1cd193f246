//! Tracking of TCP: the state machine.
//!
//! Kernel: net/netfilter/nf_conntrack_proto_tcp.c
//!
//! The window check is in [`super::nf_conntrack_tcp_window`].

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_HLEN, TCP_RST, TCP_SYN, TCP_URG, TcpHdr};
use zerocopy::FromBytes;

use super::nf_conntrack_core::{
    Handled, Packet, nf_ct_acct_add, nf_ct_delete, nf_ct_refresh, nf_ct_refresh_acct,
};
use super::nf_conntrack_ecache as ecache;
use super::nf_conntrack_proto::{checksum_wanted, transport_checksum};
use super::nf_conntrack_seqadj::nf_ct_seq_offset;
use super::nf_conntrack_tcp_window::{self as window, Fit, Segment, before};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::tables::conntrack::event::{IPCT_ASSURED, IPCT_PROTOINFO};
use crate::tables::conntrack::proto::{
    TCP_FLAG_BE_LIBERAL, TCP_FLAG_CHALLENGE_ACK, TCP_FLAG_CLOSE_INIT, TCP_FLAG_DATA_UNACKNOWLEDGED,
    TCP_FLAG_MAXACK_SET, TCP_FLAG_SACK_PERM, TCP_FLAG_SIMULTANEOUS_OPEN, TCP_FLAG_WINDOW_SCALE,
};
use crate::tables::conntrack::{
    Conn, CtNet, CtSysctl, Dir, IPS_ASSURED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY, Proto, TcpSeen, TcpState,
    TcpTrack, nfct_time_stamp,
};

/// The flag of a segment that selects the transition (`enum tcp_bit_set`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// SYN alone.
    Syn,
    /// SYN and ACK.
    SynAck,
    /// FIN.
    Fin,
    /// ACK.
    Ack,
    /// RST.
    Rst,
    /// None of them.
    None,
}

impl Kind {
    fn of(flags: u8) -> Kind {
        match flags {
            _ if flags & TCP_RST != 0 => Kind::Rst,
            _ if flags & TCP_SYN != 0 && flags & TCP_ACK != 0 => Kind::SynAck,
            _ if flags & TCP_SYN != 0 => Kind::Syn,
            _ if flags & TCP_FIN != 0 => Kind::Fin,
            _ if flags & TCP_ACK != 0 => Kind::Ack,
            _ => Kind::None,
        }
    }
}

/// Result of a transition: a new state, ignore (`sIG`), or invalid (`sIV`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    To(TcpState),
    Ignore,
    Invalid,
}

/// The state machine: for each direction and kind of segment, a letter for each state that it meets, in the order
/// `NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2`. `s r e f c l t x 2` name
/// the next state, `.` ignores the segment, `-` finds it invalid.
///
/// A SYN/ACK opens only from the other side; a client's SYN in an open connection is ignored, since the connection may
/// be known better to its ends; what follows a FIN moves on to the state of the side that is behind.
const MACHINE: [[&[u8; 10]; 6]; 2] = [
    [b"ss.....ss2", b"--r------r", b"--ffllltx-", b"e-eeccttx-", b"-xxxxxxxxx", b"----------"],
    [b"-2-----s-2", b"-r.......r", b"--ffllltx-", b"-.reccttx.", b"-xxxxxxxxx", b"----------"],
];

fn next_state(dir: Dir, kind: Kind, state: TcpState) -> Next {
    match MACHINE[dir as usize][kind as usize][state as usize] {
        b's' => Next::To(TcpState::SynSent),
        b'r' => Next::To(TcpState::SynRecv),
        b'e' => Next::To(TcpState::Established),
        b'f' => Next::To(TcpState::FinWait),
        b'c' => Next::To(TcpState::CloseWait),
        b'l' => Next::To(TcpState::LastAck),
        b't' => Next::To(TcpState::TimeWait),
        b'x' => Next::To(TcpState::Close),
        b'2' => Next::To(TcpState::SynSent2),
        b'.' => Next::Ignore,
        _ => Next::Invalid,
    }
}

/// Timeout of a state.
fn timeout_of(net: &CtNet, state: TcpState) -> Nanos {
    let which = match state {
        TcpState::None | TcpState::SynSent => CtSysctl::TcpTimeoutSynSent,
        TcpState::SynRecv => CtSysctl::TcpTimeoutSynRecv,
        TcpState::Established => CtSysctl::TcpTimeoutEstablished,
        TcpState::FinWait => CtSysctl::TcpTimeoutFinWait,
        TcpState::CloseWait => CtSysctl::TcpTimeoutCloseWait,
        TcpState::LastAck => CtSysctl::TcpTimeoutLastAck,
        TcpState::TimeWait => CtSysctl::TcpTimeoutTimeWait,
        TcpState::Close => CtSysctl::TcpTimeoutClose,
        // No sysctl.
        TcpState::SynSent2 => return Nanos::from_secs(120),
    };
    net.timeout(which)
}

/// Result of the state machine, before the window check.
enum Step {
    /// From one state to another, if the segment is in the window.
    Check(TcpState, TcpState),
    /// From one state to another, without a window check.
    Trust(TcpState, TcpState),
    /// Accepted without a change.
    Accept,
    Invalid,
    /// The connection is closed; the segment creates a new one.
    Reopen,
}

/// Handles a segment (`nf_conntrack_tcp_packet`).
pub(super) fn nf_conntrack_tcp_packet(cx: &mut Cx, packet: Packet) -> Handled {
    cx.call(Func::NfConntrackTcpPacket, packet.skb);
    let data = cx.skbs.data(packet.skb);
    let len = data.len();
    let bytes = data.get(packet.dataoff..).unwrap_or(&[]);
    let Ok((th, _)) = TcpHdr::ref_from_prefix(bytes) else { return Handled::Invalid };
    if is_broken(cx, packet, th, bytes) {
        return Handled::Invalid;
    }
    let (kind, dir) = (Kind::of(th.flags), packet.info.dir());
    let segment = Segment::new(th, bytes);
    let Some((conn, net)) = cx.k.conntrack.conn_and_net(packet.id) else { return Handled::Invalid };
    if !conn.is_confirmed() && !tcp_new(conn, net, &segment, kind) {
        return Handled::Invalid;
    }
    let (assured, replied) = (conn.has(IPS_ASSURED), conn.has(IPS_SEEN_REPLY));
    let acked_offset = nf_ct_seq_offset(conn, dir.other(), segment.ack.wrapping_sub(1));
    let Proto::Tcp(track) = &mut conn.proto else { return Handled::Invalid };
    let (old, new) = match step(track, net, &segment, (kind, dir), (assured, replied)) {
        Step::Trust(old, new) => (old, new),
        Step::Check(old, new) => {
            match window::tcp_in_window(track, net, dir, kind == Kind::Ack, &segment, acked_offset) {
                Fit::In => (old, new),
                Fit::Ignore => return Handled::Accept,
                Fit::Out => {
                    shorten_after_invalid(conn, net, cx.now, (kind, dir));
                    return Handled::Invalid;
                }
            }
        }
        Step::Accept => return Handled::Accept,
        Step::Invalid => return Handled::Invalid,
        Step::Reopen => {
            return if nf_ct_delete(cx, packet.id) { Handled::Repeat } else { Handled::Drop };
        }
    };
    (track.last_index, track.last_dir, track.state) = (kind as u8, dir as u8, new);
    if old != new && new == TcpState::FinWait {
        track.seen[dir as usize].flags |= TCP_FLAG_CLOSE_INIT;
    }
    let timeout = choose_timeout(track, net, kind, new);
    if old != new {
        ecache::cache(conn, IPCT_PROTOINFO);
    }
    finish(cx, packet, (kind, len), (old, new), timeout)
}

/// Closes the connection of a packet that was answered with a RST (`nf_ct_set_closing`). Linux 6.18
/// does so only for confirmed connections.
pub fn nf_ct_set_closing(cx: &mut Cx, skb: SkbId) {
    let now = cx.now;
    let Some((id, _)) = cx.nf_ct_get(skb) else { return };
    let Some((conn, net)) = cx.k.conntrack.conn_and_net(id) else { return };
    if !conn.is_confirmed() {
        return;
    }
    let Proto::Tcp(track) = &mut conn.proto else { return };
    let old = std::mem::replace(&mut track.state, TcpState::Close);
    if old == TcpState::Close || conn.has(IPS_FIXED_TIMEOUT) {
        return;
    }
    nf_ct_refresh(conn, now, net.timeout(CtSysctl::TcpTimeoutClose));
    ecache::cache(conn, IPCT_PROTOINFO);
}

/// The segment is valid: sets state and timeout, or deletes a connection that was refused at once.
fn finish(
    cx: &mut Cx,
    packet: Packet,
    (kind, len): (Kind, usize),
    (old, new): (TcpState, TcpState),
    mut timeout: Nanos,
) -> Handled {
    let (now, dir) = (cx.now, packet.info.dir());
    let Some((conn, net)) = cx.k.conntrack.conn_and_net(packet.id) else { return Handled::Invalid };
    if !conn.has(IPS_SEEN_REPLY) {
        if kind == Kind::Rst {
            // Refused: the entry is deleted.
            nf_ct_acct_add(conn, dir, len);
            nf_ct_delete(cx, packet.id);
            return Handled::Accept;
        }
        if kind == Kind::Syn && old == TcpState::SynSent {
            // A retransmitted SYN does not extend the timeout.
            return Handled::Accept;
        }
        let unacknowledged = net.timeout(CtSysctl::TcpTimeoutUnacknowledged);
        if new == TcpState::Established && timeout > unacknowledged {
            timeout = unacknowledged;
        }
    } else if !conn.has(IPS_ASSURED)
        && matches!(old, TcpState::SynRecv | TcpState::Established)
        && new == TcpState::Established
    {
        conn.status |= IPS_ASSURED;
        ecache::cache(conn, IPCT_ASSURED);
    }
    nf_ct_refresh_acct(conn, now, dir, len, timeout);
    Handled::Accept
}

/// Wrong length, checksum or flags (`tcp_error`).
fn is_broken(cx: &Cx, packet: Packet, th: &TcpHdr, bytes: &[u8]) -> bool {
    let hlen = th.header_len();
    if hlen < TCP_HLEN || bytes.len() < hlen {
        return true;
    }
    if checksum_wanted(cx, packet.skb, packet.state)
        && transport_checksum(cx.skbs.data(packet.skb), bytes, bytes.len(), IPPROTO_TCP) != 0
    {
        return true;
    }
    const SYN_ACK: u8 = TCP_SYN | TCP_ACK;
    const SYN_URG: u8 = TCP_SYN | TCP_URG;
    const RST_ACK: u8 = TCP_RST | TCP_ACK;
    const FIN_ACK: u8 = TCP_FIN | TCP_ACK;
    const FIN_ACK_URG: u8 = TCP_FIN | TCP_ACK | TCP_URG;
    const ACK_URG: u8 = TCP_ACK | TCP_URG;
    let flags = th.flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST | TCP_URG);
    !matches!(
        flags,
        TCP_SYN | SYN_URG | SYN_ACK | TCP_RST | RST_ACK | FIN_ACK | FIN_ACK_URG | TCP_ACK | ACK_URG
    )
}

/// The first segment of a connection; false if it cannot create one (`tcp_new`).
fn tcp_new(conn: &mut Conn, net: &CtNet, segment: &Segment, kind: Kind) -> bool {
    let mut track = TcpTrack { last_index: Kind::None as u8, ..TcpTrack::default() };
    let maxwin = u32::from(segment.win).max(1);
    let first = &mut track.seen[0];
    match next_state(Dir::Original, kind, TcpState::None) {
        Next::To(TcpState::SynSent) => {
            window::tcp_options(segment, first);
            (first.end, first.maxwin, first.maxend) = (segment.end, maxwin, segment.end);
        }
        Next::To(_) if net.is_on(CtSysctl::TcpLoose) => {
            // Picked up in mid-connection: the window scale is unknown.
            (first.end, first.maxwin) = (segment.end, maxwin);
            first.maxend = segment.end.wrapping_add(maxwin);
            for side in &mut track.seen {
                side.flags = TCP_FLAG_SACK_PERM | TCP_FLAG_BE_LIBERAL;
            }
        }
        _ => return false,
    }
    conn.proto = Proto::Tcp(Box::new(track));
    true
}

fn step(
    track: &mut TcpTrack,
    net: &CtNet,
    segment: &Segment,
    (kind, dir): (Kind, Dir),
    (assured, replied): (bool, bool),
) -> Step {
    let old = track.state;
    let new = match next_state(dir, kind, old) {
        Next::Invalid => return Step::Invalid,
        Next::Ignore => return ignore(track, segment, (kind, dir)),
        Next::To(TcpState::SynSent) if old >= TcpState::TimeWait => {
            let closed = (track.seen[0].flags | track.seen[1].flags) & TCP_FLAG_CLOSE_INIT != 0;
            let aborted = track.last_dir == dir as u8 && track.last_index == Kind::Rst as u8;
            return if closed || aborted { Step::Reopen } else { ignore(track, segment, (kind, dir)) };
        }
        Next::To(new) => new,
    };
    match new {
        TcpState::TimeWait if old == TcpState::LastAck && is_challenge_ack(track, kind, dir) => {
            track.last_flags &= !TCP_FLAG_CHALLENGE_ACK;
            Step::Accept
        }
        TcpState::SynSent2 => {
            track.last_flags |= TCP_FLAG_SIMULTANEOUS_OPEN;
            Step::Check(old, new)
        }
        TcpState::SynRecv if dir == Dir::Reply && kind == Kind::Ack => {
            let simultaneous = track.last_flags & TCP_FLAG_SIMULTANEOUS_OPEN != 0;
            Step::Check(old, if simultaneous { TcpState::Established } else { new })
        }
        TcpState::Close if kind == Kind::Rst => reset(track, net, segment, dir, (assured, replied)),
        _ => Step::Check(old, new),
    }
}

/// After an ignored SYN, an ACK of the other side may be a challenge ACK (RFC 5961).
fn is_challenge_ack(track: &TcpTrack, kind: Kind, dir: Dir) -> bool {
    kind == Kind::Ack
        && track.last_dir != dir as u8
        && track.last_index == Kind::Syn as u8
        && track.last_flags & TCP_FLAG_CHALLENGE_ACK != 0
}

/// An ignored segment passes and is recorded, since conntrack may be out of sync with the endpoints.
fn ignore(track: &mut TcpTrack, segment: &Segment, (kind, dir): (Kind, Dir)) -> Step {
    let answers_ignored_syn = kind == Kind::SynAck
        && track.last_index == Kind::Syn as u8
        && track.last_dir != dir as u8
        && segment.ack == track.last_end;
    if answers_ignored_syn {
        // Both endpoints agree on the SYN that was ignored: it is valid.
        track.last_flags &= !TCP_FLAG_CHALLENGE_ACK;
        let (end, maxwin) = (track.last_end, u32::from(track.last_win).max(1));
        track.seen[usize::from(track.last_dir)] = TcpSeen {
            end,
            maxend: end,
            maxwin,
            scale: track.last_wscale,
            flags: track.last_flags,
            maxack: track.seen[usize::from(track.last_dir)].maxack,
        };
        let liberal = track.seen[dir as usize].flags & TCP_FLAG_BE_LIBERAL;
        track.seen[dir as usize] = TcpSeen { flags: liberal, ..TcpSeen::default() };
        return Step::Check(TcpState::SynSent, TcpState::SynRecv);
    }
    (track.last_index, track.last_dir) = (kind as u8, dir as u8);
    (track.last_seq, track.last_end, track.last_win) = (segment.seq, segment.end, segment.win);
    if kind == Kind::Syn && dir == Dir::Original {
        let mut offered = TcpSeen::default();
        window::tcp_options(segment, &mut offered);
        track.last_wscale = if offered.flags & TCP_FLAG_WINDOW_SCALE != 0 { offered.scale } else { 0 };
        track.last_flags = offered.flags & (TCP_FLAG_WINDOW_SCALE | TCP_FLAG_SACK_PERM);
        if track.state == TcpState::LastAck {
            track.last_flags |= TCP_FLAG_CHALLENGE_ACK;
        }
    }
    if track.state == TcpState::SynSent && kind == Kind::Ack && dir == Dir::Reply {
        track.last_ack = segment.ack;
    }
    Step::Accept
}

/// A RST closes the connection only if its sequence number is plausible.
fn reset(
    track: &TcpTrack,
    net: &CtNet,
    segment: &Segment,
    dir: Dir,
    (assured, replied): (bool, bool),
) -> Step {
    let old = track.state;
    let mut new = TcpState::Close;
    if matches!(
        old,
        TcpState::FinWait | TcpState::LastAck | TcpState::TimeWait | TcpState::Close | TcpState::CloseWait
    ) {
        return Step::Trust(old, new);
    }
    let last = |kind: Kind| track.last_index == kind as u8;
    let peer = &track.seen[dir.other() as usize];
    if peer.flags & TCP_FLAG_MAXACK_SET != 0 && !last(Kind::Syn) {
        let established = old == TcpState::Established && assured;
        if segment.seq == 0 && !established {
            return Step::Check(old, new);
        }
        if before(segment.seq, peer.maxack) && !net.is_on(CtSysctl::TcpIgnoreInvalidRst) {
            return Step::Invalid;
        }
        let follows_last = last(Kind::Ack) && track.last_dir == dir as u8 && segment.seq == track.last_end;
        if !established || segment.seq == peer.maxack || follows_last {
            return Step::Check(old, new);
        }
        // Not the exact sequence number: a challenge ACK may follow.
        new = old;
    }
    let answers_syn = replied && last(Kind::Syn) && track.last_dir != dir as u8;
    let answers_ignored = (answers_syn || !assured && last(Kind::Ack)) && segment.ack == track.last_end;
    let answers_challenge = old == TcpState::SynSent
        && last(Kind::Ack)
        && track.last_dir == Dir::Reply as u8
        && segment.seq == track.last_ack;
    if answers_ignored || answers_challenge { Step::Trust(old, new) } else { Step::Check(old, new) }
}

fn choose_timeout(track: &TcpTrack, net: &CtNet, kind: Kind, new: TcpState) -> Nanos {
    let own = timeout_of(net, new);
    let retrans = net.timeout(CtSysctl::TcpTimeoutMaxRetrans);
    let unacknowledged = net.timeout(CtSysctl::TcpTimeoutUnacknowledged);
    let waits = (track.seen[0].flags | track.seen[1].flags) & TCP_FLAG_DATA_UNACKNOWLEDGED != 0;
    if i64::from(track.retrans) >= net.sysctl(CtSysctl::TcpMaxRetrans) && own > retrans {
        retrans
    } else if kind == Kind::Rst {
        net.timeout(CtSysctl::TcpTimeoutClose)
    } else if waits && own > unacknowledged {
        unacknowledged
    } else if track.last_win == 0 && own > retrans {
        retrans
    } else {
        own
    }
}

/// Shortens the timeout after a FIN or RST outside the window that the other side answers with its own
/// (`nf_tcp_handle_invalid`).
fn shorten_after_invalid(conn: &mut Conn, net: &CtNet, now: Nanos, (kind, dir): (Kind, Dir)) {
    if !conn.has(IPS_ASSURED) || conn.has(IPS_FIXED_TIMEOUT) || !matches!(kind, Kind::Rst | Kind::Fin) {
        return;
    }
    let left = conn.timeout.since(nfct_time_stamp(now));
    let Proto::Tcp(track) = &mut conn.proto else { return };
    let ends = [Kind::Fin as u8, Kind::Rst as u8];
    if track.last_dir == dir as u8 || !ends.contains(&track.last_index) {
        (track.last_index, track.last_dir) = (kind as u8, dir as u8);
        return;
    }
    let unacknowledged = net.timeout(CtSysctl::TcpTimeoutUnacknowledged);
    if left >= Nanos::from_secs(120) && left > unacknowledged {
        conn.timeout = nfct_time_stamp(now) + unacknowledged;
    }
}
