//! TCP between namespaces: handshakes, data, ends, refusals, losses; and that it repeats bit for bit.

mod losses;
mod net;
mod peer;
mod segments;
mod sending;
mod timers;

use glassnet_kernel::Cx;
use glassnet_kernel::door::Func;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{NetnsId, SocketId};
use glassnet_kernel::net::core::net_namespace::{cleanup_net, copy_net_ns};
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::ipv4::af_inet::{inet_bind, inet_connect};
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::net::ipv4::tcp_options::tcp_parse_options;
use glassnet_kernel::net::ipv4::tcp_output::tcp_v4_send_check;
use glassnet_kernel::net::socket::{SendTo, accept, close, sendto, shutdown, socket, take_error};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::route_types::{Metrics, NexthopMsg, RTAX_ADVMSS, RouteMsg, RouteType, Scope};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_kernel::trace::Level;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN};

use net::{MACHINE, Net, add_addr, ip, net, rtm_newneigh_permanent, up};

#[test]
fn a_connection_from_syn_to_time_wait() {
    let mut net = net(1);
    let (client, server) = net.pair();
    assert_eq!(net.flags(), [TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK]);
    assert_eq!(net.send(client, b"hello"), Ok(5));
    assert_eq!(net.recv(server), Ok(Some(b"hello".to_vec())));
    assert_eq!(net.recv(server), Ok(None));
    assert_eq!(net.send(server, b"world"), Ok(5));
    assert_eq!(net.recv(client), Ok(Some(b"world".to_vec())));
    net.close(client);
    assert_eq!((net.state(client), net.state(server)), (Some(TcpState::FinWait1), Some(TcpState::CloseWait)));
    net.run(40);
    assert_eq!(net.state(client), Some(TcpState::FinWait2), "the delayed acknowledgement came");
    assert_eq!(net.recv(server), Ok(Some(Vec::new())), "the end");
    net.close(server);
    assert_eq!((net.state(client), net.state(server)), (Some(TcpState::TimeWait), None));
    let data = TCP_PSH | TCP_ACK;
    let end = TCP_FIN | TCP_ACK;
    assert_eq!(net.flags()[3..], [data, TCP_ACK, data, TCP_ACK, end, TCP_ACK, end, TCP_ACK]);
    net.run(59_000);
    assert_eq!(net.state(client), Some(TcpState::TimeWait));
    // Timers so far away expire on every second second only.
    net.run(3_100);
    assert_eq!(net.state(client), None);
    assert_eq!((net.tcp(net.a).ActiveOpens, net.tcp(net.b).PassiveOpens), (1, 1));
}

/// The FIN that comes after the socket was closed is queued for nobody, and purged with the socket (`sk_stream_kill_queues`); a
/// program that waits for the end reads it.
#[test]
fn the_last_fin_is_purged_with_a_closed_socket() {
    for (waits, purged) in [(false, 1), (true, 0)] {
        let mut net = net(1);
        let (client, server) = net.pair();
        net.world.trace.level = Level::Doors;
        // The server's FIN acknowledges the client's.
        net.enter(|cx| if waits { _ = shutdown(cx, client, false, true) } else { close(cx, client) });
        net.close(server);
        assert_eq!(net.state(client), Some(TcpState::TimeWait));
        let purges = net.world.trace.steps.iter().filter(|step| step.func == Func::SkStreamKillQueues);
        assert_eq!(purges.count(), purged);
    }
}

#[test]
fn a_fin_and_its_answer_share_a_segment_if_the_program_closes_at_once() {
    let mut net = net(1);
    let (client, server) = net.pair();
    net.close(client);
    net.close(server);
    let end = TCP_FIN | TCP_ACK;
    assert_eq!(net.flags()[3..], [end, end, TCP_ACK]);
}

#[test]
fn a_port_without_a_listener_refuses() {
    let mut net = net(1);
    let a = net.a;
    let client = net.connect(a, "10.0.0.2", 81);
    assert_eq!(net.flags(), [TCP_SYN, TCP_RST | TCP_ACK]);
    assert_eq!(net.enter(|cx| take_error(cx, client)), Some(Errno::ECONNREFUSED));
    assert_eq!(net.state(client), Some(TcpState::Close));
    assert_eq!(net.world.kernel(MACHINE).drops.get(&DropReason::NoSocket), Some(&1));
    assert_eq!((net.tcp(net.b).OutRsts, net.tcp(net.a).AttemptFails), (1, 1));
    assert_eq!((net.tcp(net.a).OutSegs, net.tcp(net.b).OutSegs), (1, 1));
    // The socket can be used again.
    net.enter(|cx| close(cx, client));
    assert_eq!(net.state(client), None);
}

#[test]
fn a_host_that_is_not_there_is_unreachable_and_silence_times_out() {
    let mut net = net(1);
    let a = net.a;
    let nobody = net.connect(a, "10.0.0.9", 80);
    net.run(3_500);
    assert_eq!(net.enter(|cx| take_error(cx, nobody)), Some(Errno::EHOSTUNREACH));
    let no_route = net.enter(|cx| {
        let id = socket(cx, a, SockKind::Tcp);
        inet_connect(cx, id, ip("10.9.9.9"), 80)
    });
    assert_eq!(no_route, Err(Errno::ENETUNREACH));
    // Nothing comes back: the SYN is sent seven times in 127 s.
    let silent = net.connect(a, "10.0.0.2", 80);
    assert_eq!(net.state(silent), Some(TcpState::Close), "refused");
    let dev = net.dev_b;
    net.enter(|cx| rtm_newneigh_permanent(cx, a));
    net.enter(|cx| do_setlink(cx, dev, up(false)).expect("a device"));
    let before = (net.tcp(a).OutSegs, net.tcp(a).RetransSegs);
    let late = net.connect(a, "10.0.0.2", 80);
    net.run(126_000);
    let sent = (net.tcp(a).OutSegs - before.0, net.tcp(a).RetransSegs - before.1);
    assert_eq!((net.state(late), sent), (Some(TcpState::SynSent), (1, 6)));
    // So far away, a timer expires up to 2 s late.
    net.run(5_000);
    assert_eq!(net.enter(|cx| take_error(cx, late)), Some(Errno::ETIMEDOUT));
}

#[test]
fn a_segment_that_the_device_did_not_take_is_no_retransmission() {
    let mut net = net(1);
    let (client, server) = net.pair();
    let (dev, a) = (net.dev_b, net.a);
    net.enter(|cx| rtm_newneigh_permanent(cx, a));
    net.enter(|cx| do_setlink(cx, dev, up(false)).expect("a device"));
    assert_eq!(net.send(client, b"lost"), Ok(4));
    net.enter(|cx| do_setlink(cx, dev, up(true)).expect("a device"));
    assert_eq!(net.recv(server), Ok(None));
    net.run(1_500);
    assert_eq!(net.recv(server), Ok(Some(b"lost".to_vec())));
    assert_eq!(net.tcp(a).RetransSegs, 0, "a window probe sent it");
}

#[test]
fn much_data_arrives_in_order_in_full_segments() {
    let mut net = net(1);
    let (client, server) = net.pair();
    let data: Vec<u8> = (0..200_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let (mut sent, mut got) = (0, Vec::new());
    for _ in 0..100 {
        sent += net.send(client, &data[sent..]).expect("a connection");
        got.extend(net.recv(server).expect("a connection").unwrap_or_default());
    }
    assert_eq!((sent, got.len()), (data.len(), data.len()));
    assert!(got == data);
    let longest = net.frames().iter().map(|frame| frame.2).max();
    assert_eq!(longest, Some(18 * 1448), "half of what the buffer has room for, in full segments");
    assert_eq!(net.tcp(net.a).RetransSegs, 0);
    assert!(net.tcp(net.a).OutSegs >= 200_000 / 1448, "each segment counts");
}

/// Without TSO the kernel cuts packets before the driver gets them.
#[test]
fn packets_are_cut_without_tso() {
    let mut net = net(1);
    net.tso_off();
    let (client, server) = net.pair();
    assert_eq!(net.send(client, &[7; 20_000]), Ok(20_000));
    net.run(50);
    assert_eq!(net.recv(server).map(|got| got.map(|got| got.len())), Ok(Some(20_000)));
    let longest = net.frames().iter().map(|frame| frame.2).max();
    assert_eq!(longest, Some(1448), "MTU 1500 less headers and timestamps");
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    let mut net = net(1);
    let (client, server) = net.pair();
    let mut sent = 0;
    for _ in 0..20 {
        sent += net.send(client, &[7; 50_000]).expect("a connection");
    }
    // The window of 64 KiB, and a send buffer that grew with the congestion window.
    assert!((150_000..600_000).contains(&sent), "{sent}");
    let mut got = 0;
    for _ in 0..20 {
        got += net.recv(server).expect("a connection").unwrap_or_default().len();
        net.run(10);
    }
    assert_eq!(got, sent);
}

#[test]
fn closing_with_unread_data_resets() {
    let mut net = net(1);
    let (client, server) = net.pair();
    net.send(client, b"unread").expect("sent");
    net.close(server);
    assert_eq!(net.flags().last(), Some(&(TCP_RST | TCP_ACK)));
    assert_eq!(net.recv(client), Err(Errno::ECONNRESET));
    assert_eq!(net.send(client, b"more"), Err(Errno::EPIPE));
    assert_eq!(net.state(server), None);
}

#[test]
fn a_listener_takes_one_more_than_its_backlog() {
    let mut net = net(1);
    let (a, b) = (net.a, net.b);
    let listener = net.listener(b, "10.0.0.2", 80, 1);
    let clients: Vec<SocketId> = (0..3).map(|_| net.connect(a, "10.0.0.2", 80)).collect();
    let states: Vec<_> = clients.iter().map(|id| net.state(*id)).collect();
    assert_eq!(states, [Some(TcpState::Established), Some(TcpState::Established), Some(TcpState::SynSent)]);
    assert!(net.world.kernel(MACHINE).netns[b].ipv4.snmp.tcp_ext.ListenOverflows > 0);
    // Somebody is accepted, so the next SYN finds room.
    net.enter(|cx| accept(cx, listener)).expect("listens").expect("a connection");
    net.run(1_500);
    assert_eq!(net.state(clients[2]), Some(TcpState::Established));
    // A listener that goes takes those along that nobody accepted.
    net.close(listener);
    assert_eq!(net.recv(clients[1]), Err(Errno::ECONNRESET));
    assert_eq!(net.state(clients[0]), Some(TcpState::Established));
}

#[test]
fn ports_are_taken_and_let_go() {
    let mut net = net(1);
    let (a, b) = (net.a, net.b);
    let first = net.listener(b, "0.0.0.0", 80, 1);
    let again = |net: &mut Net, address: &str, reuse: bool| {
        net.enter(|cx| {
            let id = socket(cx, b, SockKind::Tcp);
            cx.k.sockets.get_mut(id).expect("open").opts.reuseaddr = reuse;
            let bound = inet_bind(cx, id, ip(address), 80);
            close(cx, id);
            bound
        })
    };
    assert_eq!(again(&mut net, "10.0.0.2", false), Err(Errno::EADDRINUSE));
    assert_eq!(again(&mut net, "10.0.0.2", true), Err(Errno::EADDRINUSE), "it listens");
    assert_eq!(again(&mut net, "10.0.0.7", true), Err(Errno::EADDRNOTAVAIL));
    net.listener(a, "0.0.0.0", 80, 1);
    // A connection that the server closed first holds the port in TIME_WAIT.
    let client = net.connect(a, "10.0.0.2", 80);
    let server = net.enter(|cx| accept(cx, first)).expect("listens").expect("a connection");
    net.close(server);
    net.close(client);
    net.close(first);
    assert_eq!(net.state(server), Some(TcpState::TimeWait));
    assert_eq!(again(&mut net, "0.0.0.0", false), Err(Errno::EADDRINUSE));
    net.run(62_100);
    assert_eq!(again(&mut net, "0.0.0.0", false), Ok(()));
}

#[test]
fn a_namespace_sees_its_own_listeners_and_loopback_works() {
    let mut net = net(1);
    let (a, b) = (net.a, net.b);
    let listener = net.listener(b, "0.0.0.0", 80, 5);
    let other = net.connect(a, "127.0.0.1", 80);
    assert_eq!(net.enter(|cx| take_error(cx, other)), Some(Errno::ECONNREFUSED));
    let here = net.connect(b, "127.0.0.1", 80);
    let server = net.enter(|cx| accept(cx, listener)).expect("listens").expect("a connection");
    net.send(here, b"hi").expect("sent");
    assert_eq!(net.recv(server), Ok(Some(b"hi".to_vec())));
    // The namespace goes, and what nobody holds goes with it.
    net.close(here);
    net.enter(|cx| cleanup_net(cx, b));
    net.run(100_000);
    assert_eq!(net.state(here), None);
}

#[test]
fn shutdown_ends_one_direction() {
    let mut net = net(1);
    let (client, server) = net.pair();
    net.enter(|cx| shutdown(cx, client, false, true)).expect("a connection");
    net.run(50);
    assert_eq!(net.send(client, b"x"), Err(Errno::EPIPE));
    assert_eq!(net.recv(server), Ok(Some(Vec::new())));
    net.send(server, b"still").expect("the other way is open");
    assert_eq!(net.recv(client), Ok(Some(b"still".to_vec())));
    net.close(server);
    assert_eq!(net.state(client), Some(TcpState::TimeWait));
    assert_eq!(net.recv(client), Ok(Some(Vec::new())));
}

#[test]
fn a_wrong_checksum_is_dropped_with_its_reason() {
    let mut net = net(1);
    let b = net.b;
    net.listener(b, "0.0.0.0", 80, 1);
    let a = net.a;
    // A SYN by a raw socket, with no checksum.
    let mut syn = vec![0; 20];
    syn[..4].copy_from_slice(&[0x30, 0x39, 0, 80]);
    (syn[12], syn[13]) = (0x50, TCP_SYN);
    net.enter(|cx| {
        let raw = socket(cx, a, SockKind::Raw { protocol: 6 });
        sendto(cx, raw, SendTo::Inet(ip("10.0.0.2"), 0), &syn).expect("sent");
        sendto(cx, raw, SendTo::Inet(ip("10.0.0.2"), 0), &syn[..12]).expect("sent");
    });
    net.run(10);
    let drops = &net.world.kernel(MACHINE).drops;
    assert_eq!(drops.get(&DropReason::TcpCsum), Some(&1));
    // What has not even a header has no reason in Linux 6.1.
    assert_eq!(drops.get(&DropReason::NotSpecified), Some(&1));
    assert_eq!((net.tcp(b).InCsumErrors, net.tcp(b).InErrs), (1, 1));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let frames = |seed| {
        let mut net = net(seed);
        let (client, server) = net.pair();
        net.send(client, &[9; 5000]).expect("sent");
        net.close(server);
        net.close(client);
        assert_eq!(net.world.skbs.bufs.held(), net.world.skbs.alive(), "no buffer is lost");
        net.world.trace.frames.iter().map(|frame| frame.bytes.clone()).collect::<Vec<_>>()
    };
    assert_eq!(frames(3), frames(3));
    assert_ne!(frames(3), frames(4));
}

#[test]
fn a_syn_looks_like_linux() {
    let mut net = net(1);
    net.pair();
    let tcp = |frame: &&glassnet_kernel::trace::Frame| frame.bytes[12..14] == [8, 0];
    let frames: Vec<&[u8]> =
        net.world.trace.frames.iter().filter(tcp).map(|frame| &frame.bytes[14..]).collect();
    let syn = frames[0];
    // TTL 64, DF; window 64240; MSS 1460, SACK permitted, timestamps, window scale 7.
    assert_eq!((syn[8], &syn[6..8], &syn[34..36]), (64, &[0x40, 0][..], &64_240u16.to_be_bytes()[..]));
    assert_eq!(syn[40..48], [2, 4, 5, 180, 4, 2, 8, 10]);
    assert_eq!(syn[56..60], [1, 3, 3, 7]);
    let synack = frames.iter().find(|ip| ip[33] == TCP_SYN | TCP_ACK).expect("an answer");
    assert_eq!((&synack[4..6], &synack[34..36]), (&[0, 0][..], &65_160u16.to_be_bytes()[..]));
    let ack = frames.iter().find(|ip| ip[33] == TCP_ACK).expect("the third segment");
    assert_eq!((ack[34..36].to_vec(), &ack[40..44]), (502u16.to_be_bytes().to_vec(), &[1, 1, 8, 10][..]));
}

/// A segment with a right checksum, from 10.0.0.1 to 10.0.0.2.
fn segment(ports: (u16, u16), (seq, ack): (u32, u32), flags: u8, tail: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&ports.0.to_be_bytes());
    bytes.extend_from_slice(&ports.1.to_be_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&ack.to_be_bytes());
    let options = if tail.len() >= 12 && flags & 1 != 0 { 8 } else { 5 };
    bytes.extend_from_slice(&[options << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(tail);
    tcp_v4_send_check(&mut bytes, ip("10.0.0.1"), ip("10.0.0.2"));
    bytes
}

#[test]
fn fuzz_segments_never_panic_and_nothing_leaks() {
    for seed in 0..60 {
        let mut net = net(seed);
        let (client, server) = net.pair();
        net.send(client, b"before").expect("sent");
        net.send(server, &[1; 3000]).expect("sent");
        let a = net.a;
        let port = net.enter(|cx| cx.k.sockets.get(client).expect("open").local.1);
        let raw = net.enter(|cx| socket(cx, a, SockKind::Raw { protocol: 6 }));
        for step in 0..200 {
            let known = net
                .world
                .kernel(MACHINE)
                .sockets
                .get(client)
                .and_then(|socket| socket.tcp.as_ref().map(|tp| (tp.snd_nxt, tp.rcv.nxt)));
            let (seq, ack) = known.unwrap_or((1, 1));
            let dice = &mut net.world.dice;
            let mut near = |at: u32| {
                let span = [1, 8, 3000, 70_000, 1 << 31][dice.below(5) as usize];
                at.wrapping_add(dice.below(span) as u32).wrapping_sub(dice.below(span) as u32)
            };
            let numbers = (near(seq), near(ack));
            let flags = [0x10, 0x18, 0x11, 0x12, 0x02, 0x04, 0x14, dice.below(256) as u8];
            let flags = flags[dice.below(8) as usize];
            let mut tail = vec![0; dice.below(40) as usize * dice.below(40) as usize];
            dice.fill(&mut tail);
            let source = if dice.below(8) == 0 { dice.below(65_536) as u16 } else { port };
            let bytes = segment((source, 80), numbers, flags, &tail);
            net.enter(|cx| _ = sendto(cx, raw, SendTo::Inet(ip("10.0.0.2"), 0), &bytes));
            if step % 10 == 0 {
                net.run(300);
                _ = net.recv(server);
                _ = net.send(server, &[2; 500]);
            }
        }
        for id in [client, server, raw] {
            net.close(id);
        }
        net.run(1_200_000);
        let open: Vec<_> = net.world.kernel(MACHINE).sockets.iter().map(|socket| socket.id).collect();
        assert!(open.len() <= 7, "the listener and what it did not accept: {open:?}");
    }
}

/// A cable between two namespaces, with an address at each end.
fn cable(cx: &mut Cx, (left, right): (NetnsId, NetnsId), name: &str, addrs: (&str, &str), mtu: u32) {
    let set = || LinkSet { up: Some(true), mtu: Some(mtu), ..LinkSet::default() };
    let peer = LinkNew {
        name: Some(name.into()),
        set: LinkSet { netns: Some(right), ..set() },
        ..LinkNew::default()
    };
    let info = Some(VethOptions { peer }.into());
    let new = LinkNew { name: Some(name.into()), set: LinkSet { info, ..set() }, ifindex: None, link: None };
    let dev = rtm_newlink(cx, left, new).expect("a new cable");
    let peer = cx.k.devs[dev].link.expect("a peer");
    add_addr(cx, dev, addrs.0);
    add_addr(cx, peer, addrs.1);
}

fn default_route(cx: &mut Cx, netns: NetnsId, via: &str) {
    let nexthop = NexthopMsg { via: via.parse().ok(), ..NexthopMsg::default() };
    let route =
        RouteMsg { kind: RouteType::Unicast, protocol: 3, nexthops: vec![nexthop], ..RouteMsg::default() };
    rtm_newroute(cx, netns, &route, NLM_F_CREATE | NLM_F_EXCL).expect("a new route");
}

/// The MSS that both SYNs offered.
fn offered(net: &Net) -> Vec<u16> {
    let tcp =
        net.world.trace.frames.iter().filter(|frame| frame.bytes[23] == 6 && frame.bytes[12..14] == [8, 0]);
    let of_b = tcp.filter(|frame| frame.dev == net.world.kernel(MACHINE).devs[net.dev_b].label);
    of_b.filter_map(|frame| tcp_parse_options(&frame.bytes[34..]).mss).collect()
}

/// `ip route … advmss`; without it what the MTU leaves, but 256 at least (`min_adv_mss`).
#[test]
fn each_side_asks_for_segments_by_its_route() {
    let mut net = net(1);
    let a = net.a;
    let route = |dev, advmss| {
        let mut metrics = Metrics::default();
        metrics.0[RTAX_ADVMSS] = advmss;
        let nexthops = vec![NexthopMsg { dev, ..NexthopMsg::default() }];
        RouteMsg {
            dst: ip("10.0.0.2"),
            dst_len: 32,
            scope: Scope::LINK,
            nexthops,
            metrics,
            ..RouteMsg::default()
        }
    };
    let dev = net.world.kernel(MACHINE).devs[net.dev_b].link;
    net.enter(|cx| rtm_newroute(cx, a, &route(dev, 500), NLM_F_CREATE | NLM_F_EXCL)).expect("a new route");
    net.pair();
    assert_eq!(offered(&net), [500, 1460]);
    net.world.trace.frames.clear();
    let narrow = net.dev_b;
    net.enter(|cx| do_setlink(cx, narrow, LinkSet { mtu: Some(68), ..LinkSet::default() }))
        .expect("the least MTU");
    net.connect(a, "10.0.0.2", 80);
    assert_eq!(offered(&net), [500, 256]);
}

#[test]
fn a_narrow_path_is_learnt_and_data_still_arrives() {
    let mut net = net(1);
    let far = net.enter(|cx| {
        let (router, far) = (copy_net_ns(cx), copy_net_ns(cx));
        devinet_conf_proc(cx, router, ConfOf::All, Conf::Forwarding, 1);
        (router, far)
    });
    let a = net.a;
    net.enter(|cx| {
        cable(cx, (a, far.0), "wide", ("10.1.0.1", "10.1.0.2"), 1500);
        cable(cx, (far.0, far.1), "narrow", ("10.2.0.1", "10.2.0.2"), 1000);
        default_route(cx, a, "10.1.0.2");
        default_route(cx, far.1, "10.2.0.1");
    });
    let listener = net.listener(far.1, "0.0.0.0", 80, 1);
    let client = net.connect(a, "10.2.0.2", 80);
    let server = net.enter(|cx| accept(cx, listener)).expect("listens").expect("a connection");
    // The far end offers segments of its own MTU; the answer is what must learn of the path.
    assert_eq!(net.send(client, &[5; 4000]), Ok(4000));
    net.run(3_000);
    assert_eq!(net.recv(server).map(|bytes| bytes.map(|bytes| bytes.len())), Ok(Some(4000)));
    // A listener behind the narrow link, whose peer is told of 1500 by a route of its own.
    let back = net.listener(a, "0.0.0.0", 81, 1);
    let client = net.connect(far.1, "10.1.0.1", 81);
    let server = net.enter(|cx| accept(cx, back)).expect("listens").expect("a connection");
    net.enter(|cx| {
        let dev = cx.k.dev_by_name(far.1, "narrow").expect("a device");
        let wider = LinkSet { mtu: Some(1500), ..LinkSet::default() };
        do_setlink(cx, dev, wider).expect("a wider device");
    });
    net.close(client);
    let client = net.connect(far.1, "10.1.0.1", 81);
    let second = net.enter(|cx| accept(cx, back)).expect("listens").expect("a connection");
    assert_eq!(net.send(second, &[6; 4000]), Ok(4000));
    net.run(3_000);
    assert_eq!(net.recv(client).map(|bytes| bytes.map(|bytes| bytes.len())), Ok(Some(4000)));
    assert!(net.tcp(a).RetransSegs > 0, "the first segments were too long for the router");
    net.close(server);
}
