//! Which address a request is from (`arp_announce`), who is heard, and when others are answered for (`proxy_arp`).

use glassnet_kernel::door::Door;
use glassnet_kernel::ids::{DevId, SocketId};
use glassnet_kernel::net::core::dev::dev_close;
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::socket::{SendTo, packet_bind, sendto, socket};
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::neigh_parms::{NeighParms, NeighVar};
use glassnet_kernel::tables::neigh_types::{NTF_PROXY, NeighMsg, Nud};
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, Scope};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::arp::{ARPOP_REPLY, ARPOP_REQUEST, ArpHdr};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ARP};
use zerocopy::{FromBytes, IntoBytes};

use crate::net::{MACHINE, NEW, Net, add_addr, chain, echo_request, ip, route_via};

/// Sends from an own address, and returns whose address the request gave.
fn asks_as(announce: i32, from: &str) -> String {
    let mut net: Net = chain(3);
    net.conf(1, Conf::ArpAnnounce, announce);
    let id = net.raw_socket(1);
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").local.0 = ip(from));
    net.world.trace.capture = true;
    let message = echo_request(1, 8);
    net.enter(|cx| sendto(cx, id, SendTo::Inet(ip("10.0.0.1"), 0), &message)).expect("sent");
    let first = &net.world.trace.frames.first().expect("a request").bytes[ETH_HLEN..];
    ArpHdr::read_from_prefix(first).expect("ARP").0.ar_sip.get().to_string()
}

/// A local address of any device will do by default; the level 1 wants one of the target's subnet, the level 2 the
/// device's own.
#[test]
fn a_request_is_from_any_own_address() {
    assert_eq!(asks_as(0, "10.0.1.1"), "10.0.1.1");
    assert_eq!(asks_as(1, "10.0.1.1"), "10.0.0.2");
    assert_eq!(asks_as(2, "10.0.1.1"), "10.0.0.2");
    assert_eq!(asks_as(0, "10.0.0.2"), "10.0.0.2");
}

/// Who is asked learns the address that the request gave.
#[test]
fn the_other_side_learns_that_address() {
    let mut net = chain(2);
    let lo = net.enter(|cx| cx.k.netns.iter_mut().nth(1).expect("the first namespace of the chain").loopback);
    let other = net.netns[1];
    net.enter(|cx| {
        add_addr(cx, lo, "192.0.2.10/32");
        let route = route_via("192.0.2.10/32", "10.0.0.1");
        rtm_newroute(cx, other, &route, NEW).expect("a route");
    });
    let id = net.raw_socket(0);
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").local.0 = ip("192.0.2.10"));
    net.ping(id, "10.0.0.2", 8).expect("sent");
    assert_eq!(net.nud(1), [(ip("192.0.2.10"), Nud::Stale), (ip("10.0.0.1"), Nud::Reachable)]);
}

/// A sender that takes everything to be on its link, and a router that answers for what is behind it.
fn proxied() -> (Net, SocketId, DevId) {
    let mut net = chain(3);
    let (first, out, asks) = (net.netns[0], net.devs[0].1, net.devs[1].0.expect("a device"));
    let direct = RouteMsg {
        dst: ip("10.0.1.0"),
        dst_len: 25,
        scope: Scope::LINK,
        nexthops: vec![NexthopMsg { dev: out, ..NexthopMsg::default() }],
        ..RouteMsg::default()
    };
    net.enter(|cx| rtm_newroute(cx, first, &direct, NEW)).expect("a new route");
    net.conf(1, Conf::ProxyArp, 1);
    let id = net.raw_socket(0);
    (net, id, asks)
}

fn set_parms(net: &mut Net, dev: DevId, set: impl FnOnce(&mut NeighParms)) {
    net.enter(|cx| set(&mut cx.k.inet.get_mut(dev).expect("an address").arp));
}

/// A machine that has the address itself is to be first: the answer comes within `proxy_delay`, 0.8 s by default.
#[test]
fn an_answer_for_another_machine_waits() {
    let (mut net, id, asks) = proxied();
    net.ping(id, "10.0.1.2", 8).expect("sent");
    assert_eq!(net.received(id), []);
    net.run(1);
    assert_eq!(net.received(id), [(0, 0, ip("10.0.1.2"))]);
    assert!(net.world.now() < Nanos::from_millis(840), "{}", net.world.now());

    set_parms(&mut net, asks, |parms| parms.set(NeighVar::ProxyDelay, 0));
    net.ping(id, "10.0.1.1", 8).expect("sent");
    assert_eq!(net.received(id), [(0, 0, ip("10.0.1.1"))]);
    assert_eq!(net.world.skbs.alive(), 0);
}

/// One more than `proxy_qlen` waits, and none when the device goes down.
#[test]
fn few_requests_wait_for_such_answers() {
    let (mut net, id, asks) = proxied();
    set_parms(&mut net, asks, |parms| parms.set(NeighVar::ProxyQlen, 1));
    for last in 2..6 {
        net.ping(id, &format!("10.0.1.{last}"), 8).expect("sent");
    }
    assert_eq!(net.world.kernel(MACHINE).neigh.proxy_queue.len(), 2);
    assert_eq!(net.drops(), [(DropReason::NotSpecified, 2)]);
    net.enter(|cx| dev_close(cx, asks));
    assert!(net.world.kernel(MACHINE).neigh.proxy_queue.is_empty());
    assert_eq!(net.drops(), [(DropReason::NotSpecified, 4)]);
}

/// `ip neigh add proxy` holds until the device goes down.
#[test]
fn addresses_that_are_answered_for_go_with_the_device() {
    let (mut net, _, asks) = proxied();
    let other = net.netns[1];
    let dst = ip("192.0.2.1");
    let msg = NeighMsg { dev: asks, dst, lladdr: None, state: Nud::None, flags: NTF_PROXY, protocol: 0 };
    net.enter(|cx| rtm_newneigh(cx, other, &msg, NEW)).expect("a new one");
    assert_eq!(net.world.kernel(MACHINE).neigh.proxies.len(), 1);
    net.enter(|cx| dev_close(cx, asks));
    assert!(net.world.kernel(MACHINE).neigh.proxies.is_empty());
}

/// What the first namespace knows of the second after a packet of it that comes within `locktime` of the last one.
fn heard(op: u16, target: Mac) -> (Mac, Nud) {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    net.ping(id, "10.0.0.2", 8).expect("sent");
    let (netns, dev) = (net.netns[1], net.devs[1].0.expect("a device"));
    let other = Mac([2, 0, 0, 0, 0, 0x77]);
    let target = if target == Mac::ZERO { other } else { target };
    let packet = ArpHdr::new(op, (other, ip("10.0.0.2")), (target, ip("10.0.0.2")));
    net.enter(|cx| {
        let id = socket(cx, netns, SockKind::Packet { protocol: ETH_P_ARP, cooked: true });
        packet_bind(cx, id, cx.k.devs[dev].ifindex).expect("a device");
        sendto(cx, id, SendTo::Link(Mac::BROADCAST), packet.as_bytes()).expect("sent");
    });
    let kernel = net.world.kernel(MACHINE);
    let (_, entry) = kernel.neigh.iter().find(|(_, entry)| entry.ip == ip("10.0.0.2")).expect("a neighbour");
    (entry.ha, entry.nud)
}

/// Who announces its own address is heard at once; a reply must also be addressed to its sender, or else it only says that the
/// entry may be stale.
#[test]
fn an_announcement_changes_an_entry_within_locktime() {
    let other = Mac([2, 0, 0, 0, 0, 0x77]);
    assert_eq!(heard(ARPOP_REQUEST, Mac::BROADCAST), (other, Nud::Stale));
    assert_eq!(heard(ARPOP_REPLY, Mac::ZERO), (other, Nud::Stale));
    let (old, state) = heard(ARPOP_REPLY, Mac::BROADCAST);
    assert!(old != other && state == Nud::Reachable);
}

/// An answer to a request of this hardware type and protocol, or none.
fn answers(hardware: u16, protocol: u16, operation: u16) -> bool {
    let mut net = chain(2);
    let dev = net.devs[0].1.expect("a device");
    net.world.trace.capture = true;
    net.enter(|cx| {
        let mut frame = [0xff; 6].to_vec();
        frame.extend(cx.k.devs[dev].addr.0);
        frame.extend([8, 6]);
        frame.extend([hardware, protocol].map(u16::to_be_bytes).concat());
        frame.extend([6, 4]);
        frame.extend(operation.to_be_bytes());
        frame.extend(cx.k.devs[dev].addr.0);
        frame.extend([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        let skb = cx.skbs.alloc_skb(frame.len(), dev);
        cx.skbs.data_mut(skb).copy_from_slice(&frame);
        cx.skbs[skb].protocol = 0x0806;
        cx.walk(Door::DevQueueXmit { skb });
    });
    // A reply has the operation 2.
    net.world.trace.frames.iter().any(|frame| frame.bytes[12..14] == [8, 6] && frame.bytes[20..22] == [0, 2])
}

#[test]
fn only_requests_for_ipv4_on_ethernet_are_answered() {
    assert!(answers(1, 0x0800, 1));
    assert!(!answers(7, 0x0800, 1), "ARCNET");
    assert!(!answers(1, 0x86dd, 1), "another protocol");
    assert!(!answers(1, 0x0800, 3), "a reverse request");
}
