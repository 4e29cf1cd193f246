//! What is learnt of a path and how long it holds, how often a router tells of a better one, and how packets are cut.

use glassnet_kernel::door::Door;
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::ip_output::fragments;
use glassnet_kernel::net::ipv4::route_errors::ip_rt_update_pmtu;
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::route_types::RouteQuery;
use glassnet_wire::Mac;
use glassnet_wire::checksum::checksum;
use glassnet_wire::ipv4::ip_send_check;
use proptest::prelude::*;

use crate::net::{MACHINE, NEW, Net, chain, ip, route_via};

/// The path MTU to 10.0.0.2; 0: none was learnt.
fn path_mtu(net: &mut Net) -> u32 {
    let netns = net.netns[0];
    let query = RouteQuery { dst: ip("10.0.0.2"), ..RouteQuery::default() };
    net.enter(|cx| rtm_getroute(cx, netns, &query)).expect("a route").metrics.mtu()
}

fn tell(net: &mut Net, mtu: u32) {
    let (netns, dev) = (net.netns[0], net.devs[0].1.expect("a device"));
    net.enter(|cx| ip_rt_update_pmtu(cx, netns, dev, ip("10.0.0.2"), mtu));
}

/// A path MTU is only lowered, for 600 s (`mtu_expires`). Told again it holds as long anew, but not before half of that is over;
/// one below `min_pmtu` holds to the end whatever is told.
#[test]
fn a_path_mtu_is_lowered_and_holds_for_ten_minutes() {
    let mut net = chain(2);
    for (told, known) in [(1501, 0), (1500, 1500), (1400, 1400), (1401, 1400), (1000, 1000), (1200, 1000)] {
        tell(&mut net, told);
        assert_eq!(path_mtu(&mut net), known, "{told} was told");
    }
    for (first, again, renewed) in
        [(1000, 1000, false), (1000, 999, true), (500, 552, false), (500, 500, false)]
    {
        for (at, half) in [(299, false), (301, true)] {
            let mut net = chain(2);
            tell(&mut net, first);
            net.wait_until(at);
            tell(&mut net, again);
            let holds = (renewed || half) && first == 1000;
            for (later, known) in [(598, true), (602, holds), (at + 598, holds), (at + 602, false)] {
                net.wait_until(later);
                assert_eq!(path_mtu(&mut net) != 0, known, "{first} and at {at} s {again}: after {later} s");
            }
        }
    }
}

/// `ip_rt_send_redirect`: 9 to a sender, the waits between them doubling from 40 ms, and again after 20.48 s without.
#[test]
fn redirects_get_rarer() {
    let mut net = chain(2);
    let (left, router) = (net.netns[0], net.netns[1]);
    let dev = net.devs[1].0.expect("a device");
    net.enter(|cx| {
        rtm_newroute(cx, left, &route_via("10.9.0.0/16", "10.0.0.2"), NEW).expect("a new route");
        rtm_newroute(cx, router, &route_via("10.9.0.0/16", "10.0.0.77"), NEW).expect("a new route");
        let (dst, lladdr) = (ip("10.0.0.77"), Some(Mac([2, 0, 0, 0, 0, 77])));
        let neigh = NeighMsg { dev, dst, lladdr, state: Nud::Permanent, flags: 0, protocol: 0 };
        rtm_newneigh(cx, router, &neigh, NEW).expect("a neighbour");
    });
    net.conf(0, Conf::AcceptRedirects, 0);
    let id = net.raw_socket(0);
    let mut told = Vec::new();
    // A packet each 20 ms, for 40 s.
    let step = 20;
    for n in 0..2000 {
        net.ping(id, "10.9.0.1", 8).expect("sent");
        if !net.received(id).is_empty() {
            told.push(n * step);
        }
        let next = glassnet_sim::Nanos::from_millis((n + 1) * step);
        net.pass((next.since(net.world.now()).0).div_ceil(1_000_000));
    }
    // The wait is more than 20 ms doubled as often as one was told.
    let mut expected = vec![0];
    for n in 1..9 {
        expected.push(expected[n - 1] + (20 << n) + step);
    }
    assert_eq!(told, expected);
    // A packet within the silence begins it anew.
    for (silence, again) in [(20_400, 0), (20_500, 1)] {
        net.pass(silence);
        net.ping(id, "10.9.0.1", 8).expect("sent");
        assert_eq!(net.received(id).len(), again, "after {silence} ms");
    }
}

/// The lines of the kernel's log after a packet with these addresses came in, on a device whose `log_martians` is set or not.
fn logged(source: &str, dest: &str, logs: bool) -> Vec<String> {
    let mut net = chain(2);
    net.conf(1, Conf::LogMartians, i32::from(logs));
    let (dev, to) = (net.devs[0].1.expect("a device"), net.devs[1].0.expect("a device"));
    net.enter(|cx| {
        let mut frame = [cx.k.devs[to].addr.0, cx.k.devs[dev].addr.0].concat();
        frame.extend([8, 0, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0]);
        frame.extend(ip(source).octets());
        frame.extend(ip(dest).octets());
        frame.extend([0, 7, 0, 7, 0, 8, 0, 0]);
        ip_send_check(&mut frame[14..]);
        let skb = cx.skbs.alloc_skb(frame.len(), dev);
        cx.skbs.data_mut(skb).copy_from_slice(&frame);
        cx.skbs[skb].protocol = 0x0800;
        cx.walk(Door::DevQueueXmit { skb });
    });
    net.world.kernel(MACHINE).log.lines().map(|line| line.text.clone()).collect()
}

/// `log_martians`: addresses that cannot be on a network, and sources of this host. Not groups.
#[test]
fn martians_are_logged_if_asked() {
    for (source, dest, kind) in [
        ("10.0.0.1", "10.0.0.2", None),
        // Since Linux 5.3 only 0.0.0.0 itself is none of a host.
        ("0.0.0.5", "10.0.0.2", None),
        ("127.0.0.1", "10.0.0.2", Some("source")),
        ("224.0.0.1", "10.0.0.2", Some("source")),
        ("255.255.255.255", "10.0.0.2", Some("source")),
        ("0.0.0.0", "10.0.0.2", Some("source")),
        ("10.0.0.2", "10.0.0.2", Some("source")),
        ("10.0.0.1", "0.0.0.0", Some("destination")),
        ("10.0.0.1", "127.0.0.1", Some("destination")),
        ("0.0.0.0", "127.0.0.1", Some("source")),
        ("127.0.0.1", "224.0.0.1", None),
    ] {
        assert_eq!(logged(source, dest, false), [""; 0], "{source} to {dest}");
        let lines = logged(source, dest, true);
        let first = match kind {
            Some("source") => vec![format!("IPv4: martian source {dest} from {source}, on dev v0-p")],
            Some(_) => vec![format!("IPv4: martian destination {dest} from {source}, dev v0-p")],
            None => vec![],
        };
        assert_eq!(lines[..first.len().min(lines.len())], first, "{source} to {dest}");
        assert_eq!(lines.len(), first.len() + usize::from(kind == Some("source")), "{lines:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// RFC 791: fragments are as long as the MTU lets them be, in units of 8 bytes, and together they are the packet.
    #[test]
    fn fragments_are_the_packet(
        len in 9_usize..4000,
        mtu in 28_u32..2000,
        offset in 0_u16..1000,
        more: bool,
        dont: bool,
    ) {
        let mut net = chain(2);
        let dev = net.devs[0].1.expect("a device");
        let payload: Vec<u8> = (0..len).map(|n| (n * 7 / 3) as u8).collect();
        let room = (mtu as usize - 20) & !7;
        net.enter(|cx| {
            let skb = cx.skbs.alloc_skb(20 + len, dev);
            let packet = cx.skbs.data_mut(skb);
            packet[..20].copy_from_slice(&[0x45, 6, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            packet[2..4].copy_from_slice(&(20 + len as u16).to_be_bytes());
            let frag_off = offset | u16::from(more) << 13 | u16::from(dont) << 14;
            packet[6..8].copy_from_slice(&frag_off.to_be_bytes());
            packet[20..].copy_from_slice(&payload);
            ip_send_check(packet);
            let header = cx.skbs.data(skb)[..20].to_vec();
            let at = cx.skbs[skb].data;
            cx.skbs[skb].network_header = at;
            let pieces = fragments(cx, skb, mtu).expect("eight bytes fit");
            assert_eq!(pieces.source, Some(skb));
            assert_eq!(pieces.skbs.len(), len.div_ceil(room));
            let mut whole = Vec::new();
            for (n, piece) in pieces.skbs.iter().enumerate() {
                let packet = cx.skbs.data(*piece).to_vec();
                let last = n + 1 == pieces.skbs.len();
                assert_eq!(packet.len(), 20 + if last { len - n * room } else { room });
                assert_eq!(packet[2..4], (packet.len() as u16).to_be_bytes());
                let fragment = u16::from_be_bytes([packet[6], packet[7]]);
                assert_eq!(fragment & 0x1fff, offset + (n * room / 8) as u16);
                assert_eq!((fragment >> 13 & 1 != 0, fragment >> 14 & 1 != 0), (!last || more, dont));
                assert_eq!(checksum(&packet[..20]), 0);
                assert_eq!([&packet[..2], &packet[4..6], &packet[8..10], &packet[12..20]].concat(), [&header[..2], &header[4..6], &header[8..10], &header[12..20]].concat());
                whole.extend_from_slice(&packet[20..]);
                cx.discard_skb(*piece);
            }
            assert_eq!(whole, payload);
            cx.discard_skb(skb);
        });
        assert_eq!(net.world.skbs.alive(), 0);
    }
}
