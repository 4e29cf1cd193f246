//! Tracking of SCTP.
//!
//! Kernel: net/netfilter/nf_conntrack_proto_sctp.c; the chunks are those of RFC 9260.

use super::nf_conntrack_core::{Handled, Packet, nf_ct_refresh_acct};
use super::nf_conntrack_ecache as ecache;
use super::nf_conntrack_proto::checksum_wanted;
use super::nf_nat_proto::sctp_compute_cksum;
use crate::Cx;
use crate::door::Func;
use crate::tables::conntrack::event::{IPCT_ASSURED, IPCT_PROTOINFO};
use crate::tables::conntrack::{CtSysctl, Dir, IPS_ASSURED, Proto, SctpState, SctpTrack};

/// Length of the common header, bytes.
const SCTP_HLEN: usize = 12;
/// `DATA`.
const DATA: u8 = 0;
/// `INIT`.
const INIT: u8 = 1;
/// `INIT ACK`.
const INIT_ACK: u8 = 2;
/// `HEARTBEAT`.
const HEARTBEAT: u8 = 4;
/// `HEARTBEAT ACK`.
const HEARTBEAT_ACK: u8 = 5;
/// `ABORT`.
const ABORT: u8 = 6;
/// `SHUTDOWN`.
const SHUTDOWN: u8 = 7;
/// `SHUTDOWN ACK`.
const SHUTDOWN_ACK: u8 = 8;
/// `ERROR`.
const ERROR: u8 = 9;
/// `COOKIE ECHO`.
const COOKIE_ECHO: u8 = 10;
/// `COOKIE ACK`.
const COOKIE_ACK: u8 = 11;
/// `SHUTDOWN COMPLETE`.
const SHUTDOWN_COMPLETE: u8 = 14;
/// The T flag of `ABORT` and `SHUTDOWN COMPLETE`: the verification tag is the receiver's own.
const FLAG_T: u8 = 1;

/// A chunk of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    kind: u8,
    flags: u8,
    /// Length with its header, bytes.
    len: u16,
    /// `Initiate Tag` of `INIT` and `INIT ACK`; `None` if the chunk is cut off before it ends.
    init_tag: Option<u32>,
}

/// The chunks of an SCTP packet, which begins at its common header.
fn chunks(packet: &[u8]) -> impl Iterator<Item = Chunk> {
    let mut at = SCTP_HLEN;
    std::iter::from_fn(move || {
        let &[kind, flags, high, low] = packet.get(at..)?.first_chunk()?;
        let len = u16::from_be_bytes([high, low]);
        // The fixed part of INIT and INIT ACK has 16 bytes.
        let fixed = packet.get(at + 4..at + 20);
        let init_tag = fixed.and_then(|fixed| fixed.first_chunk()).map(|tag| u32::from_be_bytes(*tag));
        at += usize::from(len).next_multiple_of(4);
        Some(Chunk { kind, flags, len, init_tag })
    })
}

/// The chunks, if they can stand together (`do_basic_checks`): `INIT`, `INIT ACK` and `SHUTDOWN COMPLETE` alone, `COOKIE
/// ECHO` and `COOKIE ACK` first, none without a length.
fn checked_chunks(packet: &[u8]) -> Option<Vec<Chunk>> {
    let (mut found, mut is_alone) = (Vec::new(), false);
    for chunk in chunks(packet) {
        is_alone |= matches!(chunk.kind, INIT | INIT_ACK | SHUTDOWN_COMPLETE);
        let is_first = is_alone || matches!(chunk.kind, COOKIE_ACK | COOKIE_ECHO);
        if is_first && !found.is_empty() || chunk.len == 0 {
            return None;
        }
        found.push(chunk);
    }
    (!found.is_empty()).then_some(found)
}

/// The state machine: for each direction and kind of chunk, a letter for each state that it meets, in the order of
/// [`SctpState`]. `0 w c e s r a h` name the next state: `CLOSED`, `COOKIE_WAIT`, `COOKIE_ECHOED`, `ESTABLISHED`,
/// `SHUTDOWN_SENT`, `SHUTDOWN_RECD`, `SHUTDOWN_ACK_SENT`, `HEARTBEAT_SENT`; `.` is the same, `-` is invalid.
#[rustfmt::skip] // A table.
const MACHINE: [[(u8, &[u8; 9]); 11]; 2] = [
    [
        (INIT, b"0....00.w"), (INIT_ACK, b"0.......0"), (ABORT, b"000000000"), (SHUTDOWN, b"0...s...0"),
        (SHUTDOWN_ACK, b"a....aaaa"), (ERROR, b"0.......0"), (COOKIE_ECHO, b"0.c.....0"), (COOKIE_ACK, b"0..e....0"),
        (SHUTDOWN_COMPLETE, b"0......00"), (HEARTBEAT, b"h........"), (HEARTBEAT_ACK, b"0........"),
    ],
    [
        (INIT, b"-.......-"), (INIT_ACK, b"-w......-"), (ABORT, b"-0000000-"), (SHUTDOWN, b"-...r...-"),
        (SHUTDOWN_ACK, b"-....aaa-"), (ERROR, b"-..0....-"), (COOKIE_ECHO, b"-.c.....-"), (COOKIE_ACK, b"-..e....-"),
        (SHUTDOWN_COMPLETE, b"-......0-"), (HEARTBEAT, b"-........"), (HEARTBEAT_ACK, b"-.......e"),
    ],
];

/// The state after a chunk (`sctp_new_state`); `None`: invalid.
fn sctp_new_state(dir: Dir, state: SctpState, kind: u8) -> Option<SctpState> {
    let Some((_, row)) = MACHINE[dir as usize].iter().find(|row| row.0 == kind) else { return Some(state) };
    Some(match row[state as usize] {
        b'0' => SctpState::Closed,
        b'w' => SctpState::CookieWait,
        b'c' => SctpState::CookieEchoed,
        b'e' => SctpState::Established,
        b's' => SctpState::ShutdownSent,
        b'r' => SctpState::ShutdownRecd,
        b'a' => SctpState::ShutdownAckSent,
        b'h' => SctpState::HeartbeatSent,
        b'-' => return None,
        _ => state,
    })
}

/// The timeout of a state.
fn timeout_of(state: SctpState) -> CtSysctl {
    match state {
        SctpState::None | SctpState::Closed => CtSysctl::SctpTimeoutClosed,
        SctpState::CookieWait => CtSysctl::SctpTimeoutCookieWait,
        SctpState::CookieEchoed => CtSysctl::SctpTimeoutCookieEchoed,
        SctpState::Established => CtSysctl::SctpTimeoutEstablished,
        SctpState::ShutdownSent => CtSysctl::SctpTimeoutShutdownSent,
        SctpState::ShutdownRecd => CtSysctl::SctpTimeoutShutdownRecd,
        SctpState::ShutdownAckSent => CtSysctl::SctpTimeoutShutdownAckSent,
        SctpState::HeartbeatSent => CtSysctl::SctpTimeoutHeartbeatSent,
    }
}

/// Handles a packet.
pub(super) fn nf_conntrack_sctp_packet(cx: &mut Cx, packet: Packet) -> Handled {
    cx.call(Func::NfConntrackSctpPacket, packet.skb);
    let data = &cx.skbs.data(packet.skb)[packet.dataoff..];
    let Some(header) = data.first_chunk::<SCTP_HLEN>() else { return Handled::Invalid };
    if checksum_wanted(cx, packet.skb, packet.state) && header[8..] != sctp_compute_cksum(data) {
        return Handled::Invalid;
    }
    let vtag = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let Some(chunks) = checked_chunks(data) else { return Handled::Invalid };
    let (now, len, dir) = (cx.now, cx.skbs[packet.skb].len(), packet.info.dir());
    let Some((conn, net)) = cx.k.conntrack.conn_and_net(packet.id) else { return Handled::Invalid };
    let is_new = !conn.is_confirmed();
    if is_new {
        match sctp_new(&chunks, vtag) {
            Some(track) => conn.proto = Proto::Sctp(Box::new(track)),
            None => return Handled::Invalid,
        }
    }
    let Proto::Sctp(track) = &mut conn.proto else { return Handled::Invalid };
    let before = track.state;
    let step = run(track, &chunks, vtag, dir, is_new);
    let after = track.state;
    if after != before {
        ecache::cache(conn, IPCT_PROTOINFO);
        if after == SctpState::Established && !conn.has(IPS_ASSURED) {
            conn.status |= IPS_ASSURED;
            ecache::cache(conn, IPCT_ASSURED);
        }
    }
    match step {
        Step::Invalid => Handled::Invalid,
        Step::NoRefresh => Handled::Accept,
        Step::Done => {
            nf_ct_refresh_acct(conn, now, dir, len, net.timeout(timeout_of(after)));
            Handled::Accept
        }
    }
}

/// What is kept of the first packet of a connection (`sctp_new`); `None`: it cannot begin one.
fn sctp_new(chunks: &[Chunk], vtag: u32) -> Option<SctpTrack> {
    let has = |kinds: &[u8]| chunks.iter().any(|chunk| kinds.contains(&chunk.kind));
    if has(&[ABORT, SHUTDOWN_COMPLETE, COOKIE_ACK]) {
        return None;
    }
    let mut track = SctpTrack::default();
    for chunk in chunks {
        // A chunk that has no part in the machine cannot begin a connection.
        let next = sctp_new_state(Dir::Original, SctpState::None, chunk.kind)?;
        match chunk.kind {
            _ if next == SctpState::None => return None,
            INIT if vtag != 0 => return None,
            INIT => track.vtag[Dir::Reply as usize] = chunk.init_tag?,
            HEARTBEAT => track.vtag[Dir::Original as usize] = vtag,
            SHUTDOWN_ACK => track.vtag[Dir::Reply as usize] = vtag,
            _ => {}
        }
    }
    Some(track)
}

/// How a packet's chunks went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The packet belongs to the connection.
    Done,
    /// The same, but the timeout is left as it is.
    NoRefresh,
    /// It is invalid; chunks before the wrong one have had their effect.
    Invalid,
}

/// Takes the chunks of a packet in turn: checks verification tags (RFC 9260, sections 8.5 and 8.5.1) and moves the state.
fn run(track: &mut SctpTrack, chunks: &[Chunk], vtag: u32, dir: Dir, is_new: bool) -> Step {
    let (own, other) = (dir as usize, dir.other() as usize);
    let special = [INIT, SHUTDOWN_COMPLETE, COOKIE_ECHO, ABORT, SHUTDOWN_ACK, HEARTBEAT, HEARTBEAT_ACK];
    if !chunks.iter().any(|chunk| special.contains(&chunk.kind)) && vtag != track.vtag[own] {
        return Step::Invalid;
    }
    let has_data = chunks.iter().any(|chunk| chunk.kind == DATA);
    let mut no_refresh = false;
    for chunk in chunks {
        let fits = match chunk.kind {
            INIT => vtag == 0,
            ABORT | SHUTDOWN_COMPLETE if chunk.flags & FLAG_T != 0 => vtag == track.vtag[other],
            ABORT | SHUTDOWN_COMPLETE | COOKIE_ECHO => vtag == track.vtag[own],
            HEARTBEAT => match heartbeat(track, vtag, dir, has_data || no_refresh) {
                Beat::Known => true,
                Beat::Wrong => false,
                Beat::Other => {
                    no_refresh = true;
                    continue;
                }
            },
            HEARTBEAT_ACK => heartbeat_ack(track, vtag, dir, has_data || no_refresh),
            _ => true,
        };
        let Some(next) = sctp_new_state(dir, track.state, chunk.kind).filter(|_| fits) else {
            return Step::Invalid;
        };
        match chunk.kind {
            COOKIE_ACK => track.init = [false, false],
            INIT => {
                let Some(tag) = chunk.init_tag else { return Step::Invalid };
                // A repeated INIT with the tag that is known is no new one.
                if track.state == SctpState::None || track.vtag[other] != tag {
                    let both = track.init == [true, true];
                    track.init[other] &= !both;
                    track.init[own] = true;
                }
                track.vtag[other] = tag;
                // An INIT that is only repeated does not keep the entry alive.
                no_refresh |= next == SctpState::Closed && track.state == SctpState::Closed && !is_new;
            }
            INIT_ACK => {
                let Some(tag) = chunk.init_tag else { return Step::Invalid };
                let known = track.vtag[other];
                let is_other = known != tag;
                if !track.init[other] && known != 0 && is_other || track.init == [true, true] && is_other {
                    return Step::Invalid;
                }
                track.vtag[other] = tag;
            }
            _ => {}
        }
        track.state = next;
    }
    if no_refresh { Step::NoRefresh } else { Step::Done }
}

/// How a heartbeat's verification tag is taken.
enum Beat {
    Known,
    /// Another tag, which the answer may confirm.
    Other,
    Wrong,
}

fn heartbeat(track: &mut SctpTrack, vtag: u32, dir: Dir, has_more: bool) -> Beat {
    let own = dir as usize;
    match track.vtag[own] {
        0 => track.vtag[own] = vtag,
        known if known == vtag => track.heartbeat_failed = None,
        _ if has_more => return Beat::Wrong,
        _ => {
            track.heartbeat_failed = Some(dir);
            return Beat::Other;
        }
    }
    Beat::Known
}

fn heartbeat_ack(track: &mut SctpTrack, vtag: u32, dir: Dir, has_more: bool) -> bool {
    let (own, other) = (dir as usize, dir.other() as usize);
    match track.vtag[own] {
        0 => track.vtag[own] = vtag,
        known if known == vtag => track.heartbeat_failed = None,
        _ if has_more || track.heartbeat_failed != Some(dir.other()) => return false,
        _ => {
            track.heartbeat_failed = None;
            (track.vtag[own], track.vtag[other]) = (vtag, 0);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of these chunks: kind, flags, and 16 more bytes that begin with a tag where there is one.
    fn packet(chunks: &[(u8, Option<u32>)]) -> Vec<u8> {
        let mut bytes = vec![0; SCTP_HLEN];
        for (kind, tag) in chunks {
            let more = tag.map_or(Vec::new(), |tag| [&tag.to_be_bytes()[..], &[0; 12]].concat());
            bytes.extend([*kind, 0, 0, 4 + more.len() as u8]);
            bytes.extend(more);
        }
        bytes
    }

    /// One chunk, with this flag byte.
    fn one(kind: u8, flags: u8, tag: Option<u32>) -> [Chunk; 1] {
        let len = if tag.is_some() { 20 } else { 4 };
        [Chunk { kind, flags, len, init_tag: tag }]
    }

    /// An association that is set up: the packets of the original direction have the tag 7, those of the other 9.
    fn established() -> SctpTrack {
        SctpTrack { state: SctpState::Established, vtag: [7, 9], ..SctpTrack::default() }
    }

    /// RFC 9260, section 6.10: INIT, INIT ACK and SHUTDOWN COMPLETE are alone; COOKIE ECHO and COOKIE ACK come first.
    #[test]
    fn chunks_that_cannot_stand_together() {
        let fits = |chunks: &[(u8, Option<u32>)]| checked_chunks(&packet(chunks)).is_some();
        let tag = |kind| (kind < 3).then_some(5);
        assert!(!fits(&[]));
        let (alone, first) = ([INIT, INIT_ACK, SHUTDOWN_COMPLETE], [COOKIE_ECHO, COOKIE_ACK]);
        for a in 0..=15 {
            assert!(fits(&[(a, tag(a))]), "{a}");
            for b in 0..=15 {
                let may = !alone.contains(&a) && !alone.contains(&b) && !first.contains(&b);
                assert_eq!(fits(&[(a, tag(a)), (b, tag(b))]), may, "{a} then {b}");
                assert_eq!(fits(&[(DATA, None), (a, tag(a)), (b, tag(b))]), may && !first.contains(&a));
            }
        }
    }

    /// A chunk is padded to 4 bytes; without a length it ends the packet's tracking.
    #[test]
    fn the_next_chunk_begins_at_a_multiple_of_four() {
        for len in 0..=12_u8 {
            let mut bytes = vec![0; SCTP_HLEN];
            bytes.extend([DATA, 3, 0, len]);
            bytes.resize(SCTP_HLEN + usize::from(len).div_ceil(4).max(1) * 4, 0);
            bytes.extend([ABORT, 1, 0, 4]);
            let found = checked_chunks(&bytes);
            let expected = (len > 0).then(|| [(DATA, 3), (ABORT, 1)].to_vec());
            let shown =
                found.map(|all| all.iter().map(|chunk| (chunk.kind, chunk.flags)).collect::<Vec<_>>());
            assert_eq!(shown, expected, "length {len}");
        }
        // The initiate tag is read if the whole fixed part is there.
        let whole = packet(&[(INIT, Some(0x0102_0304))]);
        let tag = |bytes: &[u8]| checked_chunks(bytes).map(|all| all[0].init_tag);
        assert_eq!(tag(&whole), Some(Some(0x0102_0304)));
        assert_eq!(tag(&whole[..whole.len() - 1]), Some(None));
        assert_eq!(tag(&whole[..SCTP_HLEN + 4]), Some(None));
        assert_eq!(tag(&whole[..SCTP_HLEN + 3]), None, "no whole chunk header");
    }

    /// RFC 9260, sections 8.5 and 8.5.1: which verification tags each chunk may have.
    #[test]
    fn verification_tags() {
        for kind in 0..=15 {
            for (dir, own, other) in [(Dir::Original, 7, 9), (Dir::Reply, 9, 7)] {
                for vtag in [0, 7, 9, 8] {
                    for flags in [0, FLAG_T, 2] {
                        let fits = match kind {
                            INIT => vtag == 0,
                            ABORT | SHUTDOWN_COMPLETE if flags == FLAG_T => vtag == other,
                            // Linux takes any (section 8.5.1 E leaves it to the end points), and asks for a heartbeat's
                            // answer first.
                            SHUTDOWN_ACK | HEARTBEAT => true,
                            _ => vtag == own,
                        };
                        let step = match kind {
                            _ if !fits => Step::Invalid,
                            HEARTBEAT if vtag != own => Step::NoRefresh,
                            _ => Step::Done,
                        };
                        let tag = (kind == INIT || kind == INIT_ACK).then_some(other);
                        let mut track = established();
                        let found = run(&mut track, &one(kind, flags, tag), vtag, dir, false);
                        assert_eq!(found, step, "chunk {kind}, flags {flags}, {dir:?}, tag {vtag}");
                        if step == Step::Invalid {
                            assert_eq!(track, established(), "chunk {kind}: nothing is taken of it");
                        }
                    }
                }
            }
        }
    }

    /// What may be the first packet of a connection, and which tags it tells (RFC 9260, section 8.4).
    #[test]
    fn what_begins_a_connection() {
        for kind in 0..=15 {
            for vtag in [0, 5] {
                let begun = sctp_new(&one(kind, 0, Some(3)), vtag);
                let tags = match kind {
                    INIT if vtag == 0 => Some([0, 3]),
                    HEARTBEAT => Some([vtag, 0]),
                    SHUTDOWN_ACK => Some([0, vtag]),
                    INIT_ACK | SHUTDOWN | ERROR | COOKIE_ECHO | HEARTBEAT_ACK => Some([0, 0]),
                    _ => None,
                };
                let expected = tags.map(|vtag| SctpTrack { vtag, ..SctpTrack::default() });
                assert_eq!(begun, expected, "chunk {kind} with the tag {vtag}");
            }
        }
        assert_eq!(sctp_new(&one(INIT, 0, None), 0), None, "an INIT that is cut off");
        // One chunk that cannot is enough.
        let two = |second| checked_chunks(&packet(&[(HEARTBEAT, None), (second, None)])).expect("fits");
        for second in [ABORT, DATA] {
            assert_eq!(sctp_new(&two(second), 5), None, "HEARTBEAT and chunk {second}");
        }
        assert!(sctp_new(&two(ERROR), 5).is_some());
    }

    /// What a chunk does in each state. Who shuts down can be told by the direction of SHUTDOWN.
    #[test]
    fn each_chunk_in_each_state() {
        use SctpState as S;
        for state in SctpState::ALL {
            for dir in [Dir::Original, Dir::Reply] {
                let original = dir == Dir::Original;
                let next = |kind| sctp_new_state(dir, state, kind);
                // The other direction cannot be the first, nor answer what was not asked.
                if !original && state == S::None {
                    assert_eq!((1..=11).filter_map(next).filter(|next| *next != S::None).count(), 0);
                    continue;
                }
                if !original && state == S::HeartbeatSent {
                    assert_eq!(next(HEARTBEAT_ACK), Some(S::Established));
                    for kind in
                        [INIT, INIT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK, ERROR, COOKIE_ECHO, COOKIE_ACK]
                    {
                        assert_eq!(next(kind), None, "chunk {kind}");
                    }
                    continue;
                }
                let begins = original && matches!(state, S::None | S::HeartbeatSent);
                let shuts = matches!(state, S::ShutdownSent | S::ShutdownRecd | S::ShutdownAckSent);
                let or_closed = |happens: bool, to: S| match begins {
                    true => Some(S::Closed),
                    false => Some(if happens { to } else { state }),
                };
                assert_eq!(next(ABORT), Some(S::Closed), "{state:?}");
                assert_eq!(next(DATA), Some(state), "{state:?}");
                let shutdown = if original { S::ShutdownSent } else { S::ShutdownRecd };
                assert_eq!(next(SHUTDOWN), or_closed(state == S::Established, shutdown), "{state:?}");
                assert_eq!(
                    next(COOKIE_ECHO),
                    or_closed(state == S::CookieWait, S::CookieEchoed),
                    "{state:?}"
                );
                assert_eq!(
                    next(COOKIE_ACK),
                    or_closed(state == S::CookieEchoed, S::Established),
                    "{state:?}"
                );
                assert_eq!(next(INIT_ACK), or_closed(!original && state == S::Closed, S::CookieWait));
                assert_eq!(next(ERROR), or_closed(!original && state == S::CookieEchoed, S::Closed));
                let acked = if shuts || begins { S::ShutdownAckSent } else { state };
                assert_eq!(next(SHUTDOWN_ACK), Some(acked), "{state:?}");
                assert_eq!(next(SHUTDOWN_COMPLETE), or_closed(state == S::ShutdownAckSent, S::Closed));
                let init = match state {
                    S::None => S::Closed,
                    S::ShutdownSent | S::ShutdownRecd if original => S::Closed,
                    S::HeartbeatSent => S::CookieWait,
                    _ => state,
                };
                assert_eq!(next(INIT), Some(init), "{state:?} {dir:?}");
                let beat = if state == S::None { S::HeartbeatSent } else { state };
                assert_eq!(next(HEARTBEAT), Some(beat));
                let answer = if state == S::None { S::Closed } else { state };
                assert_eq!(next(HEARTBEAT_ACK), Some(answer));
            }
        }
    }

    /// A heartbeat with another tag counts once its answer, from the other side, confirms it.
    #[test]
    fn a_heartbeat_with_another_tag() {
        let beat = |track: &mut SctpTrack, kind, vtag, dir| run(track, &one(kind, 0, None), vtag, dir, false);
        let (original, reply) = (Dir::Original, Dir::Reply);
        let mut track = established();
        assert_eq!(beat(&mut track, HEARTBEAT, 70, original), Step::NoRefresh);
        assert_eq!(track, SctpTrack { heartbeat_failed: Some(original), ..established() });
        let waits = track;
        // The same side cannot confirm it.
        assert_eq!(beat(&mut track, HEARTBEAT_ACK, 70, original), Step::Invalid);
        assert_eq!(track, waits);
        assert_eq!(beat(&mut track, HEARTBEAT_ACK, 90, reply), Step::Done);
        assert_eq!(track, SctpTrack { vtag: [0, 90], ..established() });
        assert_eq!(beat(&mut track, HEARTBEAT, 70, original), Step::Done);
        assert_eq!(track, SctpTrack { vtag: [70, 90], ..established() });
        // One with the tag that is known, or its answer, ends the doubt.
        for (kind, vtag, dir) in
            [(HEARTBEAT, 7, original), (HEARTBEAT_ACK, 9, reply), (HEARTBEAT_ACK, 7, original)]
        {
            let mut track = waits;
            assert_eq!(beat(&mut track, kind, vtag, dir), Step::Done);
            assert_eq!(track, established());
            assert_eq!(beat(&mut track, HEARTBEAT_ACK, 90, reply), Step::Invalid);
        }
        // The first packet of a direction tells its tag.
        let half = SctpTrack { vtag: [7, 0], ..established() };
        for kind in [HEARTBEAT, HEARTBEAT_ACK] {
            let mut track = half;
            assert_eq!(beat(&mut track, kind, 9, reply), Step::Done);
            assert_eq!(track, established());
        }
        // With data beside it, or twice in a packet, another tag is wrong.
        for kinds in [[HEARTBEAT, DATA], [DATA, HEARTBEAT], [HEARTBEAT, HEARTBEAT], [DATA, HEARTBEAT_ACK]] {
            let mut track = if kinds[1] == HEARTBEAT_ACK { waits } else { established() };
            let chunks = checked_chunks(&packet(&kinds.map(|kind| (kind, None)))).expect("fits");
            assert_eq!(run(&mut track, &chunks, 90, reply, false), Step::Invalid, "{kinds:?}");
        }
    }

    /// An INIT counts if its tag is new; an INIT ACK must have the tag that is known, unless an INIT asked for it.
    #[test]
    fn an_association_that_is_set_up_again() {
        let (original, reply) = (Dir::Original, Dir::Reply);
        let init = |track: &mut SctpTrack, tag, dir| run(track, &one(INIT, 0, Some(tag)), 0, dir, false);
        let init_ack = |track: &mut SctpTrack, tag, dir: Dir| {
            let vtag = track.vtag[dir as usize];
            run(track, &one(INIT_ACK, 0, Some(tag)), vtag, dir, false)
        };
        let mut track = established();
        assert_eq!(init(&mut track, 9, original), Step::Done);
        assert_eq!(track, established(), "the tag is known");
        assert_eq!(init_ack(&mut track, 8, reply), Step::Invalid, "nobody asked");
        assert_eq!(init_ack(&mut track, 7, reply), Step::Done);
        assert_eq!(track, established());
        assert_eq!(init(&mut track, 90, original), Step::Done);
        assert_eq!(track, SctpTrack { init: [true, false], vtag: [7, 90], ..established() });
        assert_eq!(init_ack(&mut track, 70, reply), Step::Done);
        assert_eq!(track, SctpTrack { init: [true, false], vtag: [70, 90], ..established() });
        // Both ask at once: the tags of the INITs must come back.
        assert_eq!(init(&mut track, 71, reply), Step::Done);
        let both = SctpTrack { init: [true, true], vtag: [71, 90], ..established() };
        assert_eq!(track, both);
        for (tag, dir, step) in
            [(72, reply, Step::Invalid), (71, reply, Step::Done), (91, original, Step::Invalid)]
        {
            assert_eq!(init_ack(&mut track, tag, dir), step, "{tag}");
            assert_eq!(track, both);
        }
        // A third is the only one again.
        assert_eq!(init(&mut track, 92, original), Step::Done);
        assert_eq!(track, SctpTrack { init: [true, false], vtag: [71, 92], ..established() });
        track.state = SctpState::CookieEchoed;
        assert_eq!(run(&mut track, &one(COOKIE_ACK, 0, None), 71, original, false), Step::Done);
        assert_eq!(track, SctpTrack { vtag: [71, 92], ..established() });
        for kind in [INIT, INIT_ACK] {
            let vtag = if kind == INIT { 0 } else { 71 };
            assert_eq!(run(&mut track, &one(kind, 0, None), vtag, original, false), Step::Invalid, "cut off");
        }
        // No tag is known of the other side: any is taken.
        let mut half = SctpTrack { vtag: [0, 9], ..established() };
        assert_eq!(init_ack(&mut half, 70, reply), Step::Done);
        assert_eq!(half.vtag, [70, 9]);
    }

    /// An INIT that is only repeated does not keep a closed association in the table.
    #[test]
    fn a_repeated_init_keeps_nothing_alive() {
        let closed = |state| SctpTrack { state, ..established() };
        for (state, is_new, step) in [
            (SctpState::Closed, false, Step::NoRefresh),
            (SctpState::Closed, true, Step::Done),
            (SctpState::ShutdownSent, false, Step::Done),
            (SctpState::Established, false, Step::Done),
            (SctpState::None, true, Step::Done),
        ] {
            let init = one(INIT, 0, Some(3));
            assert_eq!(run(&mut closed(state), &init, 0, Dir::Original, is_new), step, "{state:?} {is_new}");
        }
    }

    #[test]
    fn an_association_from_init_to_shutdown_complete() {
        let chunks = |kind, tag| checked_chunks(&packet(&[(kind, tag)])).expect("fits");
        let mut track = sctp_new(&chunks(INIT, Some(7)), 0).expect("begins");
        let steps = [
            (INIT, Some(7), 0, Dir::Original, SctpState::Closed),
            (INIT_ACK, Some(9), 7, Dir::Reply, SctpState::CookieWait),
            (COOKIE_ECHO, None, 9, Dir::Original, SctpState::CookieEchoed),
            (COOKIE_ACK, None, 7, Dir::Reply, SctpState::Established),
            (DATA, None, 9, Dir::Original, SctpState::Established),
            (SHUTDOWN, None, 7, Dir::Reply, SctpState::ShutdownRecd),
            (SHUTDOWN_ACK, None, 9, Dir::Original, SctpState::ShutdownAckSent),
            (SHUTDOWN_COMPLETE, None, 7, Dir::Reply, SctpState::Closed),
        ];
        for (at, (kind, tag, vtag, dir, state)) in steps.into_iter().enumerate() {
            let step = run(&mut track, &chunks(kind, tag), vtag, dir, at == 0);
            assert_eq!((step, track.state), (Step::Done, state), "chunk {kind}");
        }
        assert_eq!(run(&mut track, &chunks(DATA, None), 8, Dir::Original, false), Step::Invalid);
        assert_eq!(sctp_new(&chunks(DATA, None), 9), None);
    }
}
