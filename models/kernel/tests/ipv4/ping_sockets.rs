//! Ping sockets: they send echo requests and nothing else, and get their own answers and errors.

use glassnet_kernel::ids::SocketId;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::af_inet::inet_bind;
use glassnet_kernel::net::socket::{SendTo, recv, sendto, socket};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::socket::{PmtuDisc, SockKind};

use crate::net::{Net, chain, echo_request, ip};

fn open(net: &mut Net) -> SocketId {
    let netns = net.netns[0];
    net.enter(|cx| socket(cx, netns, SockKind::Ping))
}

fn ident(net: &mut Net, id: SocketId) -> u16 {
    net.enter(|cx| cx.k.sockets.get(id).expect("open").local.1)
}

/// Type and identifier of the messages that came in; a ping socket gets them from the ICMP header on.
fn messages(net: &mut Net, id: SocketId) -> Vec<(u8, u16)> {
    let mut all = Vec::new();
    net.enter(|cx| {
        while let Ok(Some(message)) = recv(cx, id) {
            all.push((message.data[0], u16::from_be_bytes([message.data[4], message.data[5]])));
        }
    });
    all
}

fn send(net: &mut Net, id: SocketId, to: &str, message: &[u8]) -> Result<usize, Errno> {
    let to = SendTo::Inet(ip(to), 0);
    net.enter(|cx| sendto(cx, id, to, message))
}

#[test]
fn each_socket_has_an_identifier_and_gets_its_own_answers() {
    let mut net = chain(2);
    let [one, two] = [open(&mut net), open(&mut net)];
    for id in [one, two] {
        assert_eq!(send(&mut net, id, "10.0.0.2", &echo_request(1, 56)), Ok(64));
    }
    let idents = [ident(&mut net, one), ident(&mut net, two)];
    assert!(idents[0] != idents[1] && !idents.contains(&0), "{idents:?}");
    assert_eq!(messages(&mut net, one), [(0, idents[0])]);
    assert_eq!(messages(&mut net, two), [(0, idents[1])]);
    assert_eq!(net.snmp(0).ip.OutRequests, 2);
    assert_eq!(net.drops(), [], "nobody else was asked");
    assert_eq!(net.enter(|cx| inet_bind(cx, two, ip("0.0.0.0"), idents[0])), Err(Errno::EADDRINUSE));
    net.enter(|cx| cx.k.sockets.close(one));
    net.run(3);
    assert_eq!(net.world.skbs.alive(), 0);
}

#[test]
fn anything_but_an_echo_request_is_refused() {
    let mut net = chain(2);
    let id = open(&mut net);
    let with = |at: usize, value: u8| {
        let mut message = echo_request(1, 8);
        message[at] = value;
        message
    };
    for wrong in [with(0, 0), with(0, 13), with(1, 1), echo_request(1, 0)[..7].to_vec()] {
        assert_eq!(send(&mut net, id, "10.0.0.2", &wrong), Err(Errno::EINVAL), "{wrong:?}");
    }
    assert_eq!(send(&mut net, id, "10.0.0.2", &vec![8; 0x1_0000]), Err(Errno::EMSGSIZE));
    assert_eq!(send(&mut net, id, "192.0.2.1", &echo_request(1, 8)), Err(Errno::ENETUNREACH));
    assert_eq!(send(&mut net, id, "10.0.0.255", &echo_request(1, 8)), Err(Errno::EACCES));
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.broadcast = true);
    assert_eq!(send(&mut net, id, "10.0.0.255", &echo_request(1, 8)), Ok(16));
    assert_eq!(send(&mut net, id, "10.0.0.2", &echo_request(1, 0)), Ok(8), "a header is enough");
}

#[test]
fn what_does_not_fit_the_mtu_is_cut_or_refused() {
    let mut net = chain(2);
    let id = open(&mut net);
    assert_eq!(send(&mut net, id, "10.0.0.2", &echo_request(1, 1473)), Ok(1481));
    assert_eq!((net.snmp(0).ip.FragOKs, net.snmp(0).ip.FragCreates), (1, 2));
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.pmtudisc = PmtuDisc::Do);
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.recverr = true);
    assert_eq!(send(&mut net, id, "10.0.0.2", &echo_request(1, 1472)), Ok(1480));
    assert_eq!(send(&mut net, id, "10.0.0.2", &echo_request(1, 1473)), Err(Errno::EMSGSIZE));
    assert_eq!(net.errors(id), [(Errno::EMSGSIZE, ip("0.0.0.0"), 1500)]);
}

#[test]
fn an_error_comes_to_the_socket_whose_packet_it_quotes() {
    let mut net = chain(3);
    let narrow = net.devs[1].1.expect("a device");
    let [one, two] = [open(&mut net), open(&mut net)];
    for id in [one, two] {
        net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.recverr = true);
        assert_eq!(send(&mut net, id, "10.0.1.2", &echo_request(1, 8)), Ok(16));
    }
    net.enter(|cx| cx.k.sockets.get_mut(two).expect("open").opts.ttl = Some(1));
    assert_eq!(send(&mut net, two, "10.0.1.2", &echo_request(2, 8)), Ok(16));
    assert_eq!(net.errors(two), [(Errno::EHOSTUNREACH, ip("10.0.0.2"), 0)]);
    net.enter(|cx| do_setlink(cx, narrow, LinkSet { mtu: Some(1000), ..LinkSet::default() }))
        .expect("an MTU");
    assert_eq!(send(&mut net, one, "10.0.1.2", &echo_request(2, 1400)), Ok(1408));
    assert_eq!(net.errors(one), [(Errno::EMSGSIZE, ip("10.0.0.2"), 1000)]);
    assert_eq!(net.errors(two), []);
    assert!(net.drops().iter().all(|drop| drop.0 != DropReason::NoSocket));
}
