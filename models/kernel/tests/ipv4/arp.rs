//! Which address a request is from (`arp_announce`).

use glassnet_kernel::door::Door;
use glassnet_kernel::net::socket::{SendTo, sendto};
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::neigh_types::Nud;
use glassnet_wire::arp::ArpHdr;
use glassnet_wire::eth::ETH_HLEN;
use zerocopy::FromBytes;

use crate::net::{Net, add_addr, chain, echo_request, ip, route_via};

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
        glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute(cx, other, &route, crate::net::NEW)
            .expect("a route");
    });
    let id = net.raw_socket(0);
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").local.0 = ip("192.0.2.10"));
    net.ping(id, "10.0.0.2", 8).expect("sent");
    assert_eq!(net.nud(1), [(ip("192.0.2.10"), Nud::Stale), (ip("10.0.0.1"), Nud::Reachable)]);
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
