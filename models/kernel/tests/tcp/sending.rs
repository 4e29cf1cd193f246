//! What holds a sender back, and what does not.

use glassnet_kernel::net::ipv4::syncookies;
use glassnet_kernel::net::ipv4::tcp_output;
use glassnet_kernel::net::sched::psched::RateSpec;
use glassnet_kernel::net::sched::sch_api::{TcMsg, tc_modify_qdisc};
use glassnet_kernel::net::sched::sch_tbf::TbfOpt;
use glassnet_kernel::net::socket::{SendTo, close, sendto, shutdown};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::sysctl::{At, SysctlTable};
use glassnet_kernel::tables::qdisc::TC_H_ROOT;
use glassnet_kernel::tables::snmp::TcpExtMib;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_PSH, TCP_SYN};

use crate::net::{MACHINE, Net};
use crate::peer::{ISS, OPTIONS, Peer};

const MSS: usize = 1460;

fn set(net: &mut Net, table: &SysctlTable, name: &str, value: i64) {
    let row = table.row(name).expect("a setting");
    let netns = net.b;
    net.enter(|cx| row.write(cx, At { netns, of: ConfOf::All }, value)).expect("in range");
}

fn tcp_ext(peer: &Peer) -> &TcpExtMib {
    &peer.net.world.kernel(MACHINE).netns[peer.net.b].ipv4.snmp.tcp_ext
}

/// The lengths of the data that was heard.
fn lengths(peer: &Peer) -> Vec<usize> {
    peer.heard().iter().map(|segment| segment.3).collect()
}

/// `tcp_should_autocork`: while a packet of a connection waits in the host's own queue, small writes are gathered.
#[test]
fn small_writes_are_gathered_behind_what_waits_in_the_host() {
    for (autocorking, seen, count) in [(1, vec![MSS, 10, 5], 1), (0, vec![MSS, 10, 2, 3], 0)] {
        let (mut peer, server, _) = Peer::connected(OPTIONS);
        set(&mut peer.net, &tcp_output::SYSCTLS, "tcp_autocorking", autocorking);
        let dev = peer.net.dev_b;
        // A full segment leaves at once, and the next bytes a while later.
        let rate = RateSpec { rate: 125_000, ..RateSpec::default() };
        let opt = TbfOpt { rate, limit: 50_000, burst: 1_514, ..TbfOpt::default() };
        peer.net.enter(|cx| {
            let flags = NLM_F_CREATE | NLM_F_EXCL;
            let msg = TcMsg {
                dev,
                parent: TC_H_ROOT,
                handle: 1 << 16,
                flags,
                kind: Some("tbf"),
                options: Some(&opt),
            };
            tc_modify_qdisc(cx, &msg).expect("it is accepted");
            cx.k.sockets.get_mut(server).expect("open").opts.nodelay = true;
        });
        peer.net.world.trace.frames.clear();
        for data in [&[7; MSS][..], b"0123456789", b"at", b"ime"] {
            peer.net.enter(|cx| sendto(cx, server, SendTo::Connected, data)).expect("taken");
        }
        peer.net.run(5);
        assert_eq!(lengths(&peer), seen, "tcp_autocorking {autocorking}");
        assert_eq!(tcp_ext(&peer).TCPAutoCorking, count);
    }
}

/// The congestion window holds back data, however little it is, but no FIN (`tcp_cwnd_test`).
#[test]
fn a_fin_goes_whatever_the_congestion_window_is() {
    let (mut peer, server, next) = Peer::connected(OPTIONS);
    peer.net.enter(|cx| cx.k.sockets.get_mut(server).expect("open").opts.nodelay = true);
    peer.window = 0x2000;
    peer.send(TCP_ACK, (ISS + 1, next), b"");
    let write = |peer: &mut Peer, data: &[u8]| {
        peer.net.world.trace.frames.clear();
        peer.net.enter(|cx| sendto(cx, server, SendTo::Connected, data)).expect("taken");
        peer.net.run(1);
        lengths(peer).iter().sum::<usize>()
    };
    assert_eq!(write(&mut peer, &[7; 10 * MSS]), 10 * MSS);
    assert_eq!(write(&mut peer, &[8; 100]), 0);
    peer.net.enter(|cx| shutdown(cx, server, false, true)).expect("a connection");
    peer.net.run(1);
    let heard = peer.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].0 & TCP_FIN, heard[0].3), (TCP_FIN, 100));
}

/// `tcp_cleanup_rbuf`: the window is told when the program made it at least twice as wide, unless it reads no more.
#[test]
fn a_reader_tells_of_a_wider_window() {
    for (segments, shut, told) in [(40, false, 1), (40, true, 0), (5, false, 0)] {
        let (mut peer, server, next) = Peer::connected(OPTIONS);
        let mut seq = ISS + 1;
        for _ in 0..segments {
            peer.send(TCP_ACK, (seq, next), &[7; 1_000]);
            seq += 1_000;
        }
        peer.net.run(500);
        if shut {
            peer.net.enter(|cx| shutdown(cx, server, true, false)).expect("a connection");
        }
        peer.net.world.trace.frames.clear();
        assert_eq!(peer.net.recv(server).map(|got| got.map(|got| got.len())), Ok(Some(segments * 1_000)));
        peer.net.run(1);
        assert_eq!(peer.heard(), vec![(TCP_ACK, next, seq, 0); told], "{segments} segments, shut {shut}");
    }
}

/// A number acknowledges only in a segment that has the flag and is not old (RFC 9293, 3.10.7.4). What is not
/// acknowledged is sent again.
#[test]
fn what_acknowledges_nothing() {
    for (flags, seq, data, again) in [
        (TCP_ACK, ISS + 1, &b""[..], false),
        (TCP_ACK | TCP_PSH, ISS + 1, b"new", false),
        (TCP_PSH, ISS + 1, b"new", true),
        (0, ISS + 1, b"", true),
        (TCP_ACK | TCP_PSH, ISS, b"x", true),
    ] {
        let (mut peer, server, next) = Peer::connected(OPTIONS);
        peer.net.send(server, b"hello").expect("taken");
        peer.send(flags, (seq, next.wrapping_add(5)), data);
        peer.net.world.trace.frames.clear();
        peer.net.run(1_000);
        let repeated = peer.heard().iter().any(|segment| (segment.1, segment.3) == (next, 5));
        assert_eq!(repeated, again, "flags {flags:#x}, number {seq}");
    }
}

/// `tcp_orphan_retries`: an ICMP error alone does not end a connection that no program holds; what counts is that the timeout
/// cannot double any more.
#[test]
fn an_orphan_outlives_an_icmp_error() {
    let (mut peer, server, _) = Peer::connected(OPTIONS);
    peer.net.world.trace.frames.clear();
    peer.net.enter(|cx| close(cx, server));
    peer.net.run(2);
    let (_, fin) = peer.segments().pop().expect("a FIN");
    peer.icmp_error(3, 1, &fin[..8]);
    peer.net.run(100_000);
    assert_eq!(peer.net.state(server), Some(TcpState::FinWait1));
    peer.net.run(30_000);
    assert_eq!(peer.net.state(server), None);
}

/// `tcp_syn_flood_action`: the log tells once of a listener with more requests than its backlog, and what becomes of them;
/// not if cookies are sent always.
#[test]
fn the_log_tells_of_a_flood() {
    let line = |action: &str| {
        let begin = "TCP: request_sock_TCP: Possible SYN flooding on port 80.";
        format!("{begin} {action}.  Check SNMP counters.")
    };
    for (setting, lines) in
        [(0, vec![line("Dropping request")]), (1, vec![line("Sending cookies")]), (2, vec![])]
    {
        let mut peer = Peer::new();
        let b = peer.net.b;
        set(&mut peer.net, &syncookies::SYSCTLS, "tcp_syncookies", setting);
        peer.net.listener(b, "0.0.0.0", 80, 2);
        for port in 2000..2008 {
            peer.port = port;
            peer.send(TCP_SYN, (ISS, 0), b"");
        }
        let log = &peer.net.world.kernel(MACHINE).log;
        let told: Vec<String> = log.lines().map(|line| line.text.clone()).collect();
        assert_eq!(told, lines, "tcp_syncookies {setting}");
    }
}
