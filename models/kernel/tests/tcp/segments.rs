//! What each state answers to each segment (RFC 9293, section 3.10.7, as Linux 6.1 does it).

use glassnet_kernel::ids::SocketId;
use glassnet_kernel::net::ipv4::af_inet::inet_connect;
use glassnet_kernel::net::socket::{SendTo, accept, close, sendto, shutdown, socket, take_error};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN};

use crate::net::{MACHINE, ip};
use crate::peer::{ISS, OPTIONS, Peer, Segment};

/// All flags without CWR and ECE.
const ALL_FLAGS: std::ops::Range<u8> = 0..64;

/// A segment to a closed port, or one that a listener cannot take: the RST has the number that is acknowledged, or else
/// acknowledges the segment.
fn reset(flags: u8, (seq, ack): (u32, u32), len: u32) -> Vec<Segment> {
    let control = u32::from(flags & TCP_SYN != 0) + u32::from(flags & TCP_FIN != 0);
    match flags {
        _ if flags & TCP_RST != 0 => vec![],
        _ if flags & TCP_ACK != 0 => vec![(TCP_RST, ack, 0, 0)],
        _ => vec![(TCP_RST | TCP_ACK, 0, seq.wrapping_add(control + len), 0)],
    }
}

#[test]
fn a_closed_port_resets() {
    let mut peer = Peer::new();
    for flags in ALL_FLAGS {
        for (seq, data) in [(7000, &b""[..]), (7000, b"abc"), (u32::MAX, b"abc")] {
            let answers = peer.send(flags, (seq, 9000), data);
            assert_eq!(answers, reset(flags, (seq, 9000), data.len() as u32), "flags {flags:#x}");
        }
    }
    let drops = &peer.net.world.kernel(MACHINE).drops;
    assert_eq!(drops.get(&DropReason::NoSocket), Some(&(64 * 3)));
    assert_eq!(peer.net.tcp(peer.net.b).OutRsts, 32 * 3);
}

#[test]
fn a_listener_takes_a_syn_and_nothing_else() {
    let mut peer = Peer::new();
    let b = peer.net.b;
    peer.net.listener(b, "0.0.0.0", 80, 200);
    let (mut flagged, mut refused) = (0, 0);
    for flags in ALL_FLAGS {
        peer.port = 2000 + u16::from(flags);
        let answers = peer.send(flags, (7000, 9000), b"");
        match flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN) {
            TCP_SYN => {
                assert_eq!(answers.len(), 1);
                assert_eq!((answers[0].0, answers[0].2), (TCP_SYN | TCP_ACK, 7001), "flags {flags:#x}");
            }
            _ if flags & TCP_ACK != 0 => assert_eq!(answers, reset(flags, (7000, 9000), 0)),
            other => {
                assert_eq!(answers, [], "flags {flags:#x}");
                (flagged, refused) =
                    if other & TCP_RST != 0 { (flagged, refused + 1) } else { (flagged + 1, refused) };
            }
        }
    }
    let drops = &peer.net.world.kernel(MACHINE).drops;
    assert_eq!(
        (drops.get(&DropReason::TcpFlags), drops.get(&DropReason::TcpReset)),
        (Some(&flagged), Some(&refused))
    );
}

/// A connection that b ended first: its socket, its next sequence number and the peer's.
fn in_time_wait() -> (Peer, SocketId, u32, u32) {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    peer.net.close(server);
    let (theirs, own) = (next.wrapping_add(1), ISS + 2);
    assert_eq!(peer.send(TCP_FIN | TCP_ACK, (ISS + 1, theirs), b""), [(TCP_ACK, theirs, own, 0)]);
    assert_eq!(peer.net.state(server), Some(TcpState::TimeWait));
    (peer, server, theirs, own)
}

/// What is left of a connection in TIME_WAIT.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    Nothing,
    /// It ends 60 s after it began.
    Same,
    /// It begins again.
    Again,
}

/// RFC 9293, 3.10.7.4, RFC 1122, 4.2.2.13, and `tcp_timewait_state_process`. The timer of 60 s expires within 62.
#[test]
fn time_wait() {
    use Left::{Again, Nothing, Same};
    const DATA: &[u8] = b"data";
    let (none, acks) = (false, true);
    for (flags, off, data, answers, left) in [
        // Within the window there can only be a bare acknowledgement, or a RST that ends it.
        (TCP_ACK, 0, &b""[..], none, Again),
        (0, 0, b"", none, Again),
        (TCP_RST, 0, b"", none, Nothing),
        (TCP_RST | TCP_ACK, 0, b"", none, Nothing),
        (TCP_RST | TCP_ACK, 0, DATA, none, Nothing),
        (TCP_RST, 1, b"", none, Same),
        (TCP_RST, -1, b"", none, Same),
        (TCP_RST | TCP_ACK, 1, b"", none, Same),
        // Everything else is acknowledged, and begins TIME_WAIT again if it acknowledges.
        (TCP_ACK, -1, b"", acks, Again),
        (TCP_ACK, 1, b"", acks, Again),
        (TCP_ACK, 0, DATA, acks, Again),
        (TCP_ACK | TCP_PSH, -4, DATA, acks, Again),
        (TCP_FIN | TCP_ACK, -1, b"", acks, Again),
        (TCP_FIN | TCP_ACK, 0, b"", acks, Again),
        (TCP_FIN, -1, b"", acks, Same),
        (TCP_PSH, 0, DATA, acks, Same),
        (TCP_SYN | TCP_ACK, 1, b"", acks, Again),
        (TCP_SYN, 0, b"", acks, Same),
        (TCP_SYN, -1, b"", acks, Same),
        (TCP_SYN | TCP_RST, 1, b"", none, Same),
        // A SYN beyond all that was received begins a new connection, if somebody listens.
        (TCP_SYN | TCP_FIN, 1, b"", none, Nothing),
    ] {
        let (mut peer, server, theirs, own) = in_time_wait();
        peer.net.run(30_000);
        let found = peer.send(flags, (own.wrapping_add_signed(off), theirs), data);
        let expected = if answers { vec![(TCP_ACK, theirs, own, 0)] } else { vec![] };
        let what = format!("flags {flags:#x} at {off}, {} bytes", data.len());
        assert_eq!(found, expected, "{what}");
        let state = |peer: &Peer| peer.net.state(server).is_some();
        assert_eq!(state(&peer), left != Nothing, "{what}");
        peer.net.run(29_900);
        assert_eq!(state(&peer), left != Nothing, "{what}");
        peer.net.run(3_000);
        assert_eq!(state(&peer), left == Again, "{what}");
        peer.net.run(27_000);
        assert_eq!(state(&peer), left == Again, "{what}");
        peer.net.run(3_500);
        assert!(!state(&peer), "{what}");
    }
}

#[test]
fn a_new_connection_from_time_wait() {
    let (mut peer, server, _, own) = in_time_wait();
    let answers = peer.send(TCP_SYN, (own + 1, 0), b"");
    assert_eq!((answers.len(), answers[0].0, answers[0].2), (1, TCP_SYN | TCP_ACK, own + 2));
    assert_ne!(peer.net.state(server), Some(TcpState::TimeWait));
    // Nobody listens: it is a segment as any other.
    let (mut peer, server, theirs, own) = in_time_wait();
    let listeners: Vec<SocketId> = {
        let all = peer.net.world.kernel(MACHINE).sockets.iter();
        let listens = |socket: &&glassnet_kernel::tables::socket::Socket| {
            socket.tcp.as_ref().is_some_and(|tp| tp.state == TcpState::Listen)
        };
        all.filter(listens).map(|socket| socket.id).collect()
    };
    listeners.into_iter().for_each(|id| peer.net.close(id));
    assert_eq!(peer.send(TCP_SYN, (own + 1, 0), b""), [(TCP_ACK, theirs, own, 0)]);
    assert_eq!(peer.net.state(server), Some(TcpState::TimeWait));
}

/// `tcp_invalid_ratelimit`: one answer in 500 ms to segments without data, so that two ends do not answer each other for
/// ever; data is always answered.
#[test]
fn few_answers_to_segments_out_of_the_window() {
    let (mut peer, _, theirs, own) = in_time_wait();
    let ack = vec![(TCP_ACK, theirs, own, 0)];
    assert_eq!(peer.send(TCP_ACK, (own - 1, theirs), b""), ack);
    assert_eq!(peer.send(TCP_ACK, (own - 1, theirs), b""), []);
    assert_eq!(peer.send(TCP_SYN, (own - 1, 0), b""), []);
    for _ in 0..2 {
        assert_eq!(peer.send(TCP_FIN | TCP_ACK, (own - 1, theirs), b""), ack);
    }
    peer.net.run(480);
    assert_eq!(peer.send(TCP_ACK, (own - 1, theirs), b""), []);
    peer.net.run(15);
    assert_eq!(peer.send(TCP_ACK, (own - 1, theirs), b""), ack);
    assert_eq!(peer.send(TCP_ACK, (own - 1, theirs), b""), []);
}

/// A SYN that comes again gets its SYN-ACK again, once in 500 ms.
#[test]
fn a_syn_that_comes_again() {
    let mut peer = Peer::new();
    let b = peer.net.b;
    let listener = peer.net.listener(b, "0.0.0.0", 80, 5);
    let first = peer.send_with(TCP_SYN, (ISS, 0), OPTIONS, b"");
    assert_eq!(peer.send_with(TCP_SYN, (ISS, 0), OPTIONS, b""), first);
    assert_eq!(peer.send_with(TCP_SYN, (ISS, 0), OPTIONS, b""), []);
    peer.net.run(500);
    assert_eq!(peer.send_with(TCP_SYN, (ISS, 0), OPTIONS, b""), first);
    assert_eq!(peer.send(TCP_ACK, (ISS + 1, first[0].1.wrapping_add(1)), b""), []);
    assert!(peer.net.enter(|cx| accept(cx, listener)).expect("listens").is_some());
    assert_eq!(peer.net.tcp(b).PassiveOpens, 1);
}

/// A RST for a request ends it, and for a connection too, with the error that its program gets.
#[test]
fn a_reset_ends_each_state() {
    let mut peer = Peer::new();
    let b = peer.net.b;
    let listener = peer.net.listener(b, "0.0.0.0", 80, 5);
    peer.send(TCP_SYN, (ISS, 0), b"");
    peer.send(TCP_RST, (ISS + 1, 0), b"");
    assert_eq!(peer.net.tcp(b).AttemptFails, 1);
    let none = peer.net.enter(|cx| accept(cx, listener));
    assert_eq!(none, Ok(None));
    for (fin, errno) in [(false, Errno::ECONNRESET), (true, Errno::EPIPE)] {
        let (mut peer, server, next) = Peer::connected(OPTIONS);
        if fin {
            peer.send(TCP_FIN | TCP_ACK, (ISS + 1, next), b"");
            assert_eq!(peer.net.state(server), Some(TcpState::CloseWait));
        }
        assert_eq!(peer.send(TCP_RST, (ISS + 1 + u32::from(fin), 0), b""), []);
        assert_eq!(peer.net.state(server), Some(TcpState::Close));
        assert_eq!(peer.net.enter(|cx| take_error(cx, server)), Some(errno));
        assert_eq!(peer.net.tcp(peer.net.b).EstabResets, 1);
    }
}

/// The peer took the FIN of a socket that is closed and never ends itself: it is waited for 60 s (`tcp_fin_timeout`). A
/// program that only shut its side down waits for ever.
#[test]
fn fin_wait2_of_an_orphan_ends() {
    for closes in [true, false] {
        let (mut peer, server, next) = Peer::connected(OPTIONS);
        peer.net.enter(|cx| {
            if closes { close(cx, server) } else { shutdown(cx, server, false, true).expect("open") }
        });
        peer.send(TCP_ACK, (ISS + 1, next.wrapping_add(1)), b"");
        assert_eq!(peer.net.state(server), Some(TcpState::FinWait2));
        peer.net.run(59_900);
        assert_eq!(peer.net.state(server), Some(TcpState::FinWait2));
        peer.net.run(3_000);
        assert_eq!(peer.net.state(server).is_none(), closes);
    }
}

/// Data for a socket that is closed is refused (RFC 1122, 4.2.2.13).
#[test]
fn data_for_a_closed_socket_resets() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    peer.net.enter(|cx| close(cx, server));
    let answers = peer.send(TCP_ACK | TCP_PSH, (ISS + 1, next.wrapping_add(1)), b"late");
    assert!(answers.iter().any(|answer| answer.0 & TCP_RST != 0), "{answers:?}");
    assert_eq!(peer.net.state(server), None);
}

/// `shutdown(2)` of each direction, in each state that it is for.
#[test]
fn what_may_be_shut_down() {
    let (mut peer, server, _) = Peer::connected(OPTIONS);
    let shut = |peer: &mut Peer, id, read, write| peer.net.enter(|cx| shutdown(cx, id, read, write));
    assert_eq!(peer.net.recv(server), Ok(None));
    assert_eq!(shut(&mut peer, server, true, false), Ok(()));
    assert_eq!(peer.net.recv(server), Ok(Some(Vec::new())), "the end");
    assert_eq!(shut(&mut peer, server, false, false), Ok(()));
    assert_eq!(peer.net.recv(server), Ok(Some(Vec::new())), "it stays shut");
    assert_eq!(peer.net.send(server, b"x"), Ok(1));
    peer.net.world.trace.frames.clear();
    for _ in 0..2 {
        assert_eq!(shut(&mut peer, server, false, true), Ok(()));
        assert_eq!(peer.net.send(server, b"x"), Err(Errno::EPIPE));
    }
    assert_eq!(peer.heard().iter().filter(|segment| segment.0 & TCP_FIN != 0).count(), 1);
    let b = peer.net.b;
    let listener = peer.net.listener(b, "0.0.0.0", 81, 1);
    assert_eq!(shut(&mut peer, listener, true, true), Err(Errno::ENOTCONN));
    let new = peer.net.enter(|cx| socket(cx, b, SockKind::Tcp));
    assert_eq!(shut(&mut peer, new, true, true), Err(Errno::ENOTCONN));
    assert_eq!(peer.net.enter(|cx| sendto(cx, new, SendTo::Connected, b"x")), Err(Errno::EPIPE));
    assert_eq!(peer.net.recv(new), Err(Errno::ENOTCONN));
}

/// The errors of `connect(2)` for each code of "destination unreachable" (RFC 1122, 4.2.3.9), and for other ICMP errors.
#[test]
fn icmp_errors_end_an_attempt() {
    use Errno::{ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT, EOPNOTSUPP, EPROTO};
    let unreachable = [
        (0, ENETUNREACH),
        (1, EHOSTUNREACH),
        (2, ENOPROTOOPT),
        (3, ECONNREFUSED),
        (5, EOPNOTSUPP),
        (6, ENETUNREACH),
        (7, EHOSTDOWN),
        (9, ENETUNREACH),
        (10, EHOSTUNREACH),
        (11, ENETUNREACH),
        (12, EHOSTUNREACH),
        (13, EHOSTUNREACH),
        (14, EHOSTUNREACH),
        (15, EHOSTUNREACH),
    ];
    let all = unreachable.map(|(code, errno)| (3, code, Some(errno)));
    let others = [(11, 0, Some(EHOSTUNREACH)), (12, 0, Some(EPROTO)), (4, 0, None), (5, 1, None)];
    for (kind, code, errno) in all.into_iter().chain(others) {
        let mut peer = Peer::new();
        let b = peer.net.b;
        let id = peer.net.connect(b, "10.0.0.9", 80);
        let (_, syn) = peer.segments().pop().expect("a SYN");
        // About another connection, or a number that was not sent.
        let mut other = syn.clone();
        other[0] ^= 1;
        peer.icmp_error(kind, code, &other[..8]);
        let mut early = syn.clone();
        early[4] ^= 0x40;
        peer.icmp_error(kind, code, &early[..8]);
        peer.icmp_error(kind, code, &syn[..7]);
        assert_eq!(peer.net.state(id), Some(TcpState::SynSent), "{kind}/{code}");
        peer.icmp_error(kind, code, &syn[..8]);
        assert_eq!(peer.net.enter(|cx| take_error(cx, id)), errno, "{kind}/{code}");
        let state = if errno.is_some() { TcpState::Close } else { TcpState::SynSent };
        assert_eq!(peer.net.state(id), Some(state), "{kind}/{code}");
        assert_eq!(peer.net.tcp(b).AttemptFails, u64::from(errno.is_some()));
    }
}

/// A request ends if the peer's host or network is not there, or the way to it is too long; a connection outlives all of it,
/// and a program that asked for errors is told.
#[test]
fn icmp_errors_about_requests_and_connections() {
    for (kind, code, ends, errno) in [
        (3, 0, true, Errno::ENETUNREACH),
        (3, 1, true, Errno::EHOSTUNREACH),
        (3, 2, false, Errno::ENOPROTOOPT),
        (3, 3, false, Errno::ECONNREFUSED),
        (3, 13, false, Errno::EHOSTUNREACH),
        (11, 0, true, Errno::EHOSTUNREACH),
        (12, 0, true, Errno::EPROTO),
    ] {
        let mut peer = Peer::new();
        let b = peer.net.b;
        let listener = peer.net.listener(b, "0.0.0.0", 80, 5);
        let answer = peer.send(TCP_SYN, (ISS, 0), b"")[0];
        let (_, synack) = peer.segments().pop().expect("a SYN-ACK");
        peer.icmp_error(kind, code, &synack[..8]);
        let answers = peer.send(TCP_ACK, (ISS + 1, answer.1.wrapping_add(1)), b"");
        let accepted = peer.net.enter(|cx| accept(cx, listener)).expect("listens");
        assert_eq!(answers.iter().any(|answer| answer.0 == TCP_RST), ends, "{kind}/{code}");
        assert_eq!(accepted.is_none(), ends, "{kind}/{code}");

        for told in [false, true] {
            let (mut peer, server, _) = Peer::connected(OPTIONS);
            peer.net.enter(|cx| cx.k.sockets.get_mut(server).expect("open").opts.recverr = told);
            peer.net.world.trace.frames.clear();
            peer.net.send(server, b"hello").expect("sent");
            let (_, data) = peer.segments().pop().expect("data");
            peer.icmp_error(kind, code, &data[..8]);
            assert_eq!(peer.net.state(server), Some(TcpState::Established), "{kind}/{code}");
            let again = peer.net.send(server, b"again");
            assert_eq!(again, if told { Err(errno) } else { Ok(5) }, "{kind}/{code}");
            // It is the reason if nobody answers until the end.
            if !told {
                peer.net.run(1_060_000);
                assert_eq!(peer.net.enter(|cx| take_error(cx, server)), Some(errno), "{kind}/{code}");
            }
        }
    }
}

/// `connect(2)` to a port that refuses, and to one whose SYN-ACK acknowledges something else (RFC 9293, 3.10.7.3).
#[test]
fn answers_to_a_syn() {
    for (flags, off, errno) in
        [(TCP_RST | TCP_ACK, 1, Some(Errno::ECONNREFUSED)), (TCP_RST, 1, None), (TCP_RST | TCP_ACK, 2, None)]
    {
        let mut peer = Peer::new();
        let b = peer.net.b;
        let id = peer.net.enter(|cx| {
            let id = socket(cx, b, SockKind::Tcp);
            inet_connect(cx, id, ip("10.0.0.9"), 1234).expect("a route");
            id
        });
        let syn = peer.heard()[0];
        let port = peer.net.enter(|cx| cx.k.sockets.get(id).expect("open").local.1);
        let mut bytes = peer.segment(flags, (77, syn.1.wrapping_add(off)), &[], b"");
        bytes[2..4].copy_from_slice(&port.to_be_bytes());
        peer.bytes(bytes);
        assert_eq!(peer.net.enter(|cx| take_error(cx, id)), errno, "flags {flags:#x} {off}");
        let state = if errno.is_some() { TcpState::Close } else { TcpState::SynSent };
        assert_eq!(peer.net.state(id), Some(state), "flags {flags:#x} {off}");
    }
}
