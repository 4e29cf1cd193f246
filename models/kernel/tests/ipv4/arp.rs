//! Which address a request is from (`arp_announce`), who is heard, and when others are answered for (`proxy_delay`).

use glassnet_kernel::net::ipv4::sysctl_net_ipv4::ARP_SYSCTLS;
use glassnet_kernel::net::socket::{SendTo, packet_bind, sendto, socket};
use glassnet_kernel::sysctl::At;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::neigh_types::Nud;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_wire::Mac;
use glassnet_wire::arp::{ARPOP_REPLY, ARPOP_REQUEST, ArpHdr};
use glassnet_wire::eth::{ETH_HLEN, ETH_P_ARP};
use zerocopy::{FromBytes, IntoBytes};

use crate::net::{MACHINE, Net, add_addr, chain, echo_request, ip, route_via};

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

/// How long the first namespace waits for an answer for the third, in ms, with a `proxy_delay` in hundredths of a second.
fn answered_after(delay: i64, queue: i64) -> Option<u64> {
    let mut net = chain(3);
    net.conf(1, Conf::ProxyArp, 1);
    let (router, asks) = (net.netns[1], net.devs[1].0.expect("a device"));
    for (name, value) in [("proxy_delay", delay), ("proxy_qlen", queue)] {
        let row = ARP_SYSCTLS.row(name).expect("a row");
        let at = At { netns: router, of: ConfOf::Dev(asks) };
        net.enter(|cx| row.write(cx, at, value)).expect("a value");
    }
    let first = net.devs[0].1.expect("a device");
    net.enter(|cx| add_addr(cx, first, "10.0.1.9/25"));
    net.world.trace.capture = true;
    let id = net.raw_socket(0);
    net.ping(id, "10.0.1.2", 8).expect("sent");
    net.run(20);
    let frames = net.world.trace.frames.iter().filter(|frame| frame.bytes[12..14] == [8, 6]);
    let told = |op: u16| {
        let mut times = frames.clone().filter(|frame| frame.bytes[20..22] == op.to_be_bytes());
        times.next().map(|frame| frame.at.0 / 1_000_000)
    };
    told(ARPOP_REPLY).map(|at| at - told(ARPOP_REQUEST).expect("a request"))
}

#[test]
fn answers_for_others_come_after_a_random_delay() {
    assert_eq!(answered_after(0, 64), Some(0));
    let later: Vec<u64> =
        [80, 160, 800].map(|delay| answered_after(delay, 64)).into_iter().flatten().collect();
    assert!(later.len() == 3 && later[0] > 3 && later[0] <= 800, "{later:?}");
    assert_eq!(answered_after(0, 0), Some(0), "what is not delayed needs no queue");
}
