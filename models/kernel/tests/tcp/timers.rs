//! When a connection sends again, and when it gives up.
//!
//! The times are those of Linux 6.1.192: 200 ms at least, doubled, each up to an eighth later as timers run in slots.

use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::ipv4::route_errors::ip_rt_update_pmtu;
use glassnet_kernel::net::ipv4::tcp_options::tcp_parse_options;
use glassnet_kernel::net::ipv4::tcp_timer::SYSCTLS;
use glassnet_kernel::net::socket::{SendTo, accept, close, sendto, take_error};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_REPLACE};
use glassnet_kernel::sysctl::At;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::socket::Keepalive;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_wire::Mac;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN};

use crate::net::{MACHINE, Net, ip, net, rtm_newneigh_permanent};
use crate::peer::{ISS, OPTIONS, Peer};

fn set(net: &mut Net, name: &str, value: i64) {
    let row = SYSCTLS.rows.iter().find(|row| row.name == name).expect("a sysctl");
    let netns = net.a;
    net.enter(|cx| row.write(cx, At { netns, of: ConfOf::All }, value)).expect("a value");
}

/// Each time is at most an eighth (and two ticks) later than the one expected.
#[track_caller]
fn assert_late(times: &[u64], expected: &[u64]) {
    let late = |(at, expected): (&u64, &u64)| at >= expected && *at <= expected + expected / 8 + 8;
    assert!(
        times.len() == expected.len() && times.iter().zip(expected).all(late),
        "{times:?}, expected {expected:?}"
    );
}

/// What b sends goes to a card that is not there.
fn lose_answers(net: &mut Net) {
    let (b, dev) = (net.b, net.dev_b);
    let elsewhere = NeighMsg {
        dev,
        dst: ip("10.0.0.1"),
        lladdr: Some(Mac([2, 0, 0, 0, 0, 99])),
        state: Nud::Permanent,
        flags: 0,
        protocol: 0,
    };
    let replace = NLM_F_CREATE | NLM_F_REPLACE;
    net.enter(|cx| rtm_newneigh(cx, b, &elsewhere, replace).expect("a neighbour"));
}

/// A loss probe after 200 ms, then the timer: 200 ms, 400 ms, ...
#[test]
fn a_segment_that_nobody_answers() {
    let mut net = net(1);
    let (client, _) = net.pair();
    net.mute();
    net.world.trace.frames.clear();
    net.send(client, b"hello").expect("sent");
    net.run(30_000);
    assert_late(&net.times("10.0.0.1"), &[0, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600]);
}

/// Each timeout draws another hash for the flow, so that it may take another way (`sk_rethink_txhash`).
#[test]
fn a_flow_whose_packets_are_lost_gets_another_hash() {
    for (rehashes, expected) in [(true, 2), (false, 0)] {
        let mut net = net(1);
        let (client, _) = net.pair();
        net.mute();
        let hash = |net: &mut Net| net.enter(|cx| cx.k.sockets.get(client).map_or(0, |socket| socket.txhash));
        net.enter(|cx| cx.k.sockets.get_mut(client).expect("a socket").opts.txrehash = rehashes);
        let first = hash(&mut net);
        net.send(client, b"hello").expect("sent");
        net.run(1000);
        assert!(first != 0 && (hash(&mut net) != first) == rehashes);
        let counters = &net.world.kernel(MACHINE).netns[net.a].ipv4.snmp.tcp_ext;
        assert_eq!((counters.TCPTimeouts, counters.TcpTimeoutRehash), (2, expected));
    }
}

/// Data that came twice is dropped, and the answer says which it was (RFC 2883).
#[test]
fn a_segment_whose_answer_is_lost() {
    let mut net = net(1);
    let (client, server) = net.pair();
    lose_answers(&mut net);
    net.world.trace.frames.clear();
    net.send(client, b"hello").expect("sent");
    net.run(300);
    assert_eq!(net.recv(server), Ok(Some(b"hello".to_vec())));
    let answers = net.world.trace.frames.iter().filter(|frame| frame.bytes[26..30] == [10, 0, 0, 2]);
    let mut sacks: Vec<usize> =
        answers.map(|frame| tcp_parse_options(&frame.bytes[34..]).sack.len()).collect();
    sacks.dedup();
    assert_eq!(sacks, [0, 8]);
    let drops = &net.world.kernel(MACHINE).drops;
    assert_eq!(drops.get(&DropReason::TcpOldData), Some(&1));
    // A third time: the receiver's answers seem to be lost, and may take another way.
    net.run(500);
    assert_eq!(net.world.kernel(MACHINE).netns[net.b].ipv4.snmp.tcp_ext.TcpDuplicateDataRehash, 1);
}

/// Data and the FIN behind it are sent again in one segment, pushed.
#[test]
fn a_fin_joins_the_data_that_is_sent_again() {
    let mut net = net(1);
    let (client, _) = net.pair();
    net.mute();
    net.send(client, b"hello").expect("sent");
    net.enter(|cx| close(cx, client));
    net.run(1_000);
    let last = *net.frames().last().expect("segments");
    assert_eq!((last.1, last.2), (TCP_FIN | TCP_PSH | TCP_ACK, 5));
}

/// Without loss probes, the timer alone.
#[test]
fn tcp_early_retrans_off() {
    let mut net = net(1);
    set(&mut net, "tcp_early_retrans", 0);
    let (client, _) = net.pair();
    net.mute();
    net.world.trace.frames.clear();
    net.send(client, b"hello").expect("sent");
    net.run(7_000);
    assert_late(&net.times("10.0.0.1"), &[0, 200, 600, 1400, 3000, 6200]);
}

/// Of much data, ten segments leave at first, and one at a time after the timer.
#[test]
fn much_that_nobody_answers() {
    let mut net = net(1);
    let (client, _) = net.pair();
    net.mute();
    net.world.trace.frames.clear();
    net.send(client, &[7; 60_000]).expect("sent");
    net.run(3_000);
    let times = net.times("10.0.0.1");
    // Two packets of half the congestion window each.
    assert_eq!(times.iter().filter(|at| **at < 5).count(), 2, "{times:?}");
    let lengths: Vec<usize> = net.frames().iter().map(|frame| frame.2).collect();
    assert_eq!(lengths, [5 * 1448, 5 * 1448, 1448, 1448, 1448, 1448]);
    // A loss probe (here something new) soon after, and then the first segment again.
    assert!(times[2] >= 8 && times[2] <= 20, "{times:?}");
    assert_late(&times[3..].iter().map(|at| at - times[2]).collect::<Vec<_>>(), &[200, 600, 1400]);
}

#[test]
fn a_syn_that_nobody_answers() {
    let mut net = net(1);
    let a = net.a;
    net.enter(|cx| rtm_newneigh_permanent(cx, a));
    net.mute();
    set(&mut net, "tcp_syn_retries", 3);
    let client = net.connect(a, "10.0.0.2", 80);
    net.run(14_000);
    assert_late(&net.times("10.0.0.1"), &[0, 1000, 3000, 7000]);
    assert_eq!(net.state(client), Some(TcpState::SynSent));
    net.run(3_000);
    assert_eq!(net.enter(|cx| take_error(cx, client)), Some(Errno::ETIMEDOUT));
}

/// A SYN-ACK is repeated by its own timer, six in all, and then the request is forgotten.
#[test]
fn a_syn_ack_that_nobody_answers() {
    let mut net = net(1);
    let (a, b) = (net.a, net.b);
    net.listener(b, "0.0.0.0", 80, 5);
    lose_answers(&mut net);
    let client = net.connect(a, "10.0.0.2", 80);
    net.enter(|cx| close(cx, client));
    net.run(75_000);
    assert_late(&net.times("10.0.0.2"), &[0, 1000, 3000, 7000, 15_000, 31_000]);
    assert!(net.flags().iter().filter(|flags| **flags == TCP_SYN | TCP_ACK).count() == 6);
    let sockets = net.enter(|cx| cx.k.sockets.iter().filter(|socket| socket.tcp.is_some()).count());
    assert_eq!(sockets, 1, "only the listener is left");
}

/// With data that nobody answers, a connection lasts 924.6 s (`tcp_retries2` 15), or as long as the setting says.
#[test]
fn when_a_connection_gives_up() {
    for (retries, from, to) in [(15, 920_000, 1_060_000), (3, 3_000, 7_000)] {
        let mut net = net(1);
        set(&mut net, "tcp_retries2", retries);
        let (client, _) = net.pair();
        net.mute();
        net.send(client, b"hello").expect("sent");
        net.run(from);
        assert_eq!(net.state(client), Some(TcpState::Established), "{retries} retries");
        net.run(to - from);
        assert_eq!(net.enter(|cx| take_error(cx, client)), Some(Errno::ETIMEDOUT), "{retries} retries");
    }
}

/// A closed connection whose FIN nobody answers is gone after 102.2 s (`tcp_orphan_retries` 0 stands for 8).
#[test]
fn when_an_orphan_gives_up() {
    let mut net = net(1);
    let (client, _) = net.pair();
    net.mute();
    net.enter(|cx| close(cx, client));
    net.run(100_000);
    assert_eq!(net.state(client), Some(TcpState::FinWait1));
    net.run(60_000);
    assert_eq!(net.state(client), None);
}

/// A path MTU that somebody else learnt holds for the next segment.
#[test]
fn segments_follow_the_path_mtu() {
    let mut net = net(1);
    net.tso_off();
    let (client, server) = net.pair();
    let a = net.a;
    let dev = net.enter(|cx| cx.k.dev_by_name(a, "eth0")).expect("a device");
    net.enter(|cx| ip_rt_update_pmtu(cx, a, dev, ip("10.0.0.2"), 1000));
    net.send(client, &[7; 5000]).expect("sent");
    assert_eq!(net.recv(server).map(|got| got.map(|got| got.len())), Ok(Some(5000)));
    assert_eq!(net.frames().iter().map(|frame| frame.2).max(), Some(948));
}

fn set_b(net: &mut Net, name: &str, value: i64) {
    let row = SYSCTLS.rows.iter().find(|row| row.name == name).expect("a sysctl");
    let netns = net.b;
    net.enter(|cx| row.write(cx, At { netns, of: ConfOf::All }, value)).expect("a value");
}

/// When b sent something since the frames were cleared, ms after the first of them.
fn sent_at(peer: &Peer) -> Vec<u64> {
    let times: Vec<u64> = peer.segments().iter().map(|(at, _)| *at).collect();
    times.iter().map(|at| at - times[0]).collect()
}

/// Loss probes are for connections with SACK (`tcp_schedule_loss_probe`), and for `tcp_early_retrans` 3 and 4.
#[test]
fn who_gets_a_loss_probe() {
    let without_sack = &[2, 4, 5, 0xb4, 1, 3, 3, 7];
    for (options, setting, probes) in [
        (OPTIONS, 3, true),
        (OPTIONS, 4, true),
        (OPTIONS, 2, false),
        (OPTIONS, 1, false),
        (&without_sack[..], 3, false),
    ] {
        let (mut peer, server, _) = Peer::connected(options);
        set_b(&mut peer.net, "tcp_early_retrans", setting);
        peer.net.world.trace.frames.clear();
        peer.net.send(server, b"hello").expect("sent");
        peer.net.run(1_700);
        let times = if probes { &[0, 200, 400, 800, 1600][..] } else { &[0, 200, 600, 1400] };
        assert_late(&sent_at(&peer), times);
    }
}

/// A round trip of 100 ms: the timeout is 300 ms. The probe of one segment would wait for a delayed answer, until 400 ms, so that
/// the timeout is first; of several it waits for two round trips and two ticks.
#[test]
fn when_a_loss_probe_is_due() {
    for (len, probe) in [(100, 300), (4000, 208)] {
        let (mut peer, server, next) = Peer::connected(OPTIONS);
        let mut next = next;
        for _ in 0..40 {
            peer.net.enter(|cx| sendto(cx, server, SendTo::Connected, b"ping")).expect("sent");
            peer.net.run(98);
            next = next.wrapping_add(4);
            peer.send(TCP_ACK, (ISS + 1, next), b"");
        }
        peer.net.world.trace.frames.clear();
        peer.net.send(server, &vec![7; len]).expect("sent");
        peer.net.run(280 + 40);
        let times = sent_at(&peer);
        let first = times.iter().find(|at| **at > 50).expect("something is sent again");
        assert!((probe..=probe + 24).contains(first), "{len} bytes: {times:?}");
    }
}

/// The peer closed its window: it is asked after 200 ms and then at doubled times, with a number that it acknowledged before,
/// until `tcp_retries2` questions had no answer. Each answer begins the count anew.
#[test]
fn a_closed_window_is_asked_for() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    set_b(&mut peer.net, "tcp_retries2", 4);
    peer.window = 0;
    peer.send(TCP_ACK, (ISS + 1, next), b"");
    peer.net.world.trace.frames.clear();
    let start = peer.net.world.now().0 / 1_000_000;
    peer.net.send(server, b"hello").expect("taken");
    peer.net.run(3_400);
    let asked = |peer: &Peer| {
        let all = peer.heard();
        assert!(all.iter().all(|probe| *probe == (TCP_ACK, next.wrapping_sub(1), ISS + 1, 0)), "{all:?}");
        all.len()
    };
    assert_eq!(asked(&peer), 4);
    let times: Vec<u64> = peer.segments().iter().map(|(at, _)| at - start).collect();
    assert_late(&times, &[200, 600, 1400, 3000]);
    // The window is still closed, but the peer is there.
    for _ in 0..3 {
        peer.send(TCP_ACK, (ISS + 1, next), b"");
        peer.net.run(2_000);
    }
    assert_ne!(peer.net.state(server), Some(TcpState::Close));
    // No answer any more.
    peer.net.run(60_000);
    assert_eq!(peer.net.enter(|cx| take_error(cx, server)), Some(Errno::ETIMEDOUT));
}

/// The window opens: what waits is sent at once.
#[test]
fn a_window_that_opens() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    peer.window = 0;
    peer.send(TCP_ACK, (ISS + 1, next), b"");
    peer.net.send(server, b"hello").expect("taken");
    peer.net.run(1_000);
    peer.window = 0x2000;
    let data = peer.send(TCP_ACK, (ISS + 1, next), b"");
    assert_eq!(data, [(TCP_ACK | TCP_PSH, next, ISS + 1, 5)]);
}

/// How long a FIN is repeated for a socket that is closed: `tcp_orphan_retries` doublings, 0 stands for 8.
#[test]
fn orphans_give_up_by_their_sysctl() {
    for (retries, from, to) in [(1, 550, 1_850), (3, 2_900, 7_400), (0, 100_000, 130_000)] {
        let (mut peer, server, _) = Peer::connected(OPTIONS);
        set_b(&mut peer.net, "tcp_orphan_retries", retries);
        peer.net.enter(|cx| close(cx, server));
        peer.net.run(from);
        assert_eq!(peer.net.state(server), Some(TcpState::FinWait1), "{retries} retries");
        peer.net.run(to - from);
        assert_eq!(peer.net.state(server), None, "{retries} retries");
    }
}

/// `SO_KEEPALIVE`: after the idle time a question each interval, with a number that was acknowledged before; after
/// `tcp_keepalive_probes` of them the connection ends with a RST.
#[test]
fn a_silent_peer_is_asked() {
    for (own, idle, interval) in
        [(Keepalive { idle: 20, intvl: 3 }, 20_000, 3_000), (Keepalive { idle: 0, intvl: 0 }, 30_000, 5_000)]
    {
        let mut peer = Peer::new();
        let b = peer.net.b;
        for (name, value) in
            [("tcp_keepalive_time", 30), ("tcp_keepalive_intvl", 5), ("tcp_keepalive_probes", 3)]
        {
            set_b(&mut peer.net, name, value);
        }
        let listener = peer.net.listener(b, "0.0.0.0", 80, 5);
        peer.net.enter(|cx| cx.k.sockets.get_mut(listener).expect("open").opts.keepalive = Some(own));
        let answer = peer.send_with(TCP_SYN, (ISS, 0), OPTIONS, b"")[0];
        let next = answer.1.wrapping_add(1);
        peer.send(TCP_ACK, (ISS + 1, next), b"");
        let server = peer.net.enter(|cx| accept(cx, listener)).expect("listens").expect("a connection");
        let probe = (TCP_ACK, next.wrapping_sub(1), ISS + 1, 0);
        let slack = |time: u64| time + time / 8 + 8;
        // Something comes in the meantime: the idle time begins anew.
        peer.net.run(idle / 2);
        assert_eq!(peer.send(TCP_ACK, (ISS + 1, next), b""), []);
        peer.net.world.trace.frames.clear();
        peer.net.run(idle - 100);
        assert_eq!(peer.heard(), []);
        peer.net.run(slack(idle) - idle + 100);
        assert_eq!(peer.heard(), [probe]);
        // An answer: all is well.
        assert_eq!(peer.send(TCP_ACK, (ISS + 1, next), b""), []);
        peer.net.world.trace.frames.clear();
        peer.net.run(slack(idle) + 2 * slack(interval));
        let times = sent_at(&peer);
        assert_late(&times, &[0, interval, 2 * interval][..times.len()]);
        assert!(times.len() >= 2 && peer.heard().iter().all(|sent| *sent == probe), "{:?}", peer.heard());
        peer.net.run(2 * slack(interval));
        assert_eq!(peer.heard().last().map(|sent| sent.0 & TCP_RST), Some(TCP_RST));
        assert_eq!(peer.heard().len(), 4, "three questions and a RST");
        assert_eq!(peer.net.enter(|cx| take_error(cx, server)), Some(Errno::ETIMEDOUT));
    }
}
