//! What is said in ICMP messages, and about which packets nothing is said.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::route_errors::ip_rt_update_pmtu;
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::net::socket::{SendTo, recv, sendto, socket};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::route_types::RouteQuery;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_wire::checksum::checksum;

use crate::net::{Net, chain, echo_request, ip};

/// An ICMP message with its checksum.
fn message(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0], rest].concat();
    let check = checksum(&message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    message
}

/// An IPv4 packet from the first namespace, its header completed by the kernel.
fn packet(to: &str, frag_off: u16, proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 9];
    packet.extend(frag_off.to_be_bytes());
    packet.extend([64, proto, 0, 0, 10, 0, 0, 1]);
    packet.extend(ip(to).octets());
    packet.extend_from_slice(payload);
    packet
}

fn send_raw(net: &mut Net, to: &str, packet: &[u8]) {
    let (netns, to) = (net.netns[0], SendTo::Inet(ip(to), 0));
    net.enter(|cx| {
        let raw = socket(cx, netns, SockKind::Raw { protocol: 255 });
        cx.k.sockets.get_mut(raw).expect("just opened").opts.hdrincl = true;
        sendto(cx, raw, to, packet).expect("sent");
        cx.k.sockets.close(raw);
    });
}

/// The answers of type 14: identifier and sequence, and the three times, in ms since midnight.
fn times(net: &mut Net, at: u64) -> Vec<u32> {
    net.wait_until(at);
    let netns = net.netns[0];
    let raw = net.enter(|cx| {
        let raw = socket(cx, netns, SockKind::Raw { protocol: 1 });
        let request = message(13, 0, &[0x12, 0x34, 0, 7, 0, 0, 1, 0, 9, 9, 9, 9, 9, 9, 9, 9]);
        sendto(cx, raw, SendTo::Inet(ip("10.0.0.2"), 0), &request).expect("sent");
        raw
    });
    net.enter(|cx| {
        let answers = std::iter::from_fn(|| recv(cx, raw).ok().flatten()).collect::<Vec<_>>();
        let answer = answers.iter().find(|answer| answer.data[20] == 14).expect("an answer");
        assert_eq!(answer.data[24..28], [0x12, 0x34, 0, 7]);
        answer.data[28..40]
            .chunks(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            .collect()
    })
}

/// RFC 792: the time that was asked with comes back, and the receiver's time of day twice. The machines start at 22:13:20.
#[test]
fn a_time_stamp_is_in_milliseconds_since_midnight() {
    let mut net = chain(2);
    let start = ((22 * 60 + 13) * 60 + 20) * 1000;
    assert_eq!(times(&mut net, 2), [256, start + 2000, start + 2000]);
    assert_eq!(times(&mut net, 7), [256, start + 7000, start + 7000]);
    // After midnight.
    let midnight = 86_400_000 - start;
    let at = u64::from(midnight) / 1000 + 3;
    assert_eq!(times(&mut net, at), [256, 3000, 3000]);
}

/// RFC 1122 3.2.2: no errors about ICMP errors, nor about fragments behind the first.
#[test]
fn about_some_packets_nothing_is_said() {
    let mut net = chain(3);
    let id = net.raw_socket(0);
    let mut hears = |packet: &[u8]| {
        // The rate of errors is limited.
        let later = net.world.now().0 / 1_000_000_000 + 10;
        net.wait_until(later);
        send_raw(&mut net, "10.0.1.77", packet);
        net.run(later + 9);
        let all = net.received(id);
        all.iter().filter(|message| message.0 == 3).count()
    };
    let target = "10.0.1.77";
    assert_eq!(hears(&packet(target, 0, 99, &[1; 8])), 1, "nobody is there");
    assert_eq!(hears(&packet(target, 0x2000, 99, &[1; 8])), 1, "a first fragment");
    assert_eq!(hears(&packet(target, 0x2001, 99, &[1; 8])), 0, "a later fragment");
    assert_eq!(hears(&packet(target, 0, 1, &echo_request(1, 8))), 1, "a question");
    for kind in [3, 4, 5, 11, 12, 19] {
        assert_eq!(hears(&packet(target, 0, 1, &message(kind, 0, &[0; 12]))), 0, "type {kind}");
    }
}

/// The pointer of a parameter problem is told to the sender of the packet that is quoted.
#[test]
fn a_parameter_problem_has_a_pointer() {
    let mut net = chain(2);
    let id = net.raw_socket(1);
    net.ping(id, "10.0.0.1", 8).expect("sent");
    net.received(id);
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.recverr = true);
    let mut quoted = packet("10.0.0.1", 0, 1, &echo_request(1, 8));
    quoted[12..16].copy_from_slice(&[10, 0, 0, 2]);
    let len = quoted.len() as u16;
    quoted[2..4].copy_from_slice(&len.to_be_bytes());
    let problem = message(12, 0, &[&[20, 0, 0, 0][..], &quoted].concat());
    send_raw(&mut net, "10.0.0.2", &packet("10.0.0.2", 0, 1, &problem));
    assert_eq!(net.errors(id), [(Errno::EPROTO, Ipv4Addr::new(10, 0, 0, 1), 20)]);
}

/// `ip_rt_update_pmtu`: a path MTU below `min_pmtu` (552) is taken as 552.
#[test]
fn a_path_mtu_has_a_least_value() {
    for (told, learnt) in [(1400, 1400), (552, 552), (551, 552), (68, 552)] {
        let mut net = chain(2);
        let (netns, dev) = (net.netns[0], net.devs[0].1.expect("a device"));
        let answer = net.enter(|cx| {
            ip_rt_update_pmtu(cx, netns, dev, ip("10.0.0.2"), told);
            rtm_getroute(cx, netns, &RouteQuery { dst: ip("10.0.0.2"), ..RouteQuery::default() })
        });
        assert_eq!(answer.expect("a route").metrics.mtu(), learnt, "{told}");
    }
}

/// RFC 3168: packets are counted by the two bits of their TOS.
#[test]
fn packets_are_counted_by_their_congestion_bits() {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    for (tos, count) in [(0_u8, 1), (1, 2), (2, 3), (3, 4)] {
        net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.tos = tos);
        for _ in 0..count {
            net.ping(id, "10.0.0.2", 8).expect("sent");
        }
    }
    let seen = &net.snmp(1).ip_ext;
    assert_eq!((seen.InNoECTPkts, seen.InECT1Pkts, seen.InECT0Pkts, seen.InCEPkts), (1, 2, 3, 4));
}

/// `icmp_global_allow`: 50 errors at once to whomever (`icmp_msgs_burst`). When they are used up, 1000 a second
/// (`icmp_msgs_per_sec`) since the last refill, if that is 20 ms ago. Answers to echo requests are not limited.
#[test]
fn errors_to_all_are_limited_together() {
    let mut net = chain(2);
    let mut refuse = |hosts: std::ops::Range<u8>, wait: u64| {
        net.pass(wait);
        let before = (net.snmp(1).icmp.OutMsgs, net.snmp(1).icmp.OutRateLimitGlobal);
        for host in hosts {
            let mut packet = packet("10.0.0.2", 0, 99, &[1; 8]);
            packet[12..16].copy_from_slice(&[10, 0, 0, host]);
            send_raw(&mut net, "10.0.0.2", &packet);
        }
        let icmp = &net.snmp(1).icmp;
        (icmp.OutMsgs - before.0, icmp.OutRateLimitGlobal - before.1)
    };
    assert_eq!(refuse(10..70, 2_000), (50, 10));
    assert_eq!(refuse(70..100, 10), (0, 30));
    // 30 ms and a few ticks since the last refill.
    let (sent, limited) = refuse(100..150, 20);
    assert!((28..=40).contains(&sent) && sent + limited == 50, "{sent}");
    assert_eq!(refuse(150..195, 5_000), (45, 0));
    // Five are left, and only then it is filled.
    assert_eq!(refuse(195..250, 5_000), (55, 0));
    let id = net.raw_socket(0);
    for _ in 0..100 {
        net.ping(id, "10.0.0.2", 8).expect("sent");
    }
    assert_eq!(net.received(id).len(), 100);
}

/// `icmpv4_xrlim_allow`: 6 errors at once to a host, and one more each second (`icmp_ratelimit`), 6 at most.
#[test]
fn errors_to_one_are_limited() {
    let mut net = chain(2);
    for (wait, sent) in [(0, 6), (900, 0), (200, 1), (2_500, 2), (300, 0), (200, 1), (60_000, 6)] {
        net.pass(wait);
        let before = net.snmp(1).icmp.OutMsgs;
        for _ in 0..10 {
            send_raw(&mut net, "10.0.0.2", &packet("10.0.0.2", 0, 99, &[1; 8]));
        }
        assert_eq!(net.snmp(1).icmp.OutMsgs - before, sent, "after {wait} ms");
    }
}
