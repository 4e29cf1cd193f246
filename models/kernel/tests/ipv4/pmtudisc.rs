//! How large a packet may be that a socket sends, by `IP_MTU_DISCOVER`.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::af_inet::inet_connect;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::socket::{SendTo, recv, sendto, socket};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::route_types::{Metrics, RTAX_LOCK, RTAX_MTU};
use glassnet_kernel::tables::socket::{PmtuDisc, SockKind};

use crate::net::{NEW, Net, chain, ip, route_via};

/// Two namespaces; from the left one two networks are reached by routes with an MTU of 1000, the second one locked.
fn narrow() -> Net {
    let mut net = chain(2);
    let netns = net.netns[0];
    net.enter(|cx| {
        for (dst, lock) in [("10.9.0.0/24", 0), ("10.9.1.0/24", 1 << RTAX_MTU)] {
            let mut route = route_via(dst, "10.0.0.2");
            route.metrics = Metrics::default();
            (route.metrics.0[RTAX_MTU], route.metrics.0[RTAX_LOCK]) = (1000, lock);
            rtm_newroute(cx, netns, &route, NEW).expect("a new route");
        }
    });
    net
}

/// An IPv4 packet without payload of its own, for a socket that gives the header.
fn packet(dst: Ipv4Addr, size: usize) -> Vec<u8> {
    let mut packet = vec![0; size];
    (packet[0], packet[8], packet[9]) = (0x45, 64, 253);
    (packet[4], packet[5]) = (0, 1);
    packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
    packet[16..20].copy_from_slice(&dst.octets());
    packet
}

/// Sends a packet of `size` bytes: the error, or the lengths of what came out, with `D` for "do not fragment".
fn sent(kind: &str, dst: Ipv4Addr, discover: PmtuDisc, size: usize) -> String {
    let mut net = narrow();
    let (left, right) = (net.netns[0], net.netns[1]);
    let result = net.enter(|cx| {
        let tap = socket(cx, right, SockKind::Packet { protocol: 0x0800, cooked: true });
        let (sock, header) = match kind {
            "raw" => (SockKind::Raw { protocol: 253 }, 20),
            "hdrincl" => (SockKind::Raw { protocol: 255 }, 0),
            _ => (SockKind::Udp, 28),
        };
        let sock = socket(cx, left, sock);
        let opts = &mut cx.k.sockets.get_mut(sock).expect("open").opts;
        (opts.pmtudisc, opts.hdrincl) = (discover, kind == "hdrincl");
        let data = if kind == "hdrincl" { packet(dst, size) } else { vec![b'x'; size - header] };
        let to = match kind {
            "connected" => {
                inet_connect(cx, sock, dst, 9)?;
                SendTo::Connected
            }
            _ => SendTo::Inet(dst, 9),
        };
        sendto(cx, sock, to, &data).map(|_| tap)
    });
    let tap = match result {
        Ok(tap) => tap,
        Err(Errno::EMSGSIZE) => return "EMSGSIZE".to_owned(),
        Err(errno) => panic!("{errno:?}"),
    };
    net.pass(100);
    let mut seen = Vec::new();
    while let Ok(Some(frame)) = net.enter(|cx| recv(cx, tap)) {
        if frame.data[16..20] == dst.octets() {
            let length = u16::from_be_bytes([frame.data[2], frame.data[3]]);
            seen.push(format!("{length}{}", if frame.data[6] & 0x40 == 0 { "" } else { "D" }));
        }
    }
    seen.join(" ")
}

/// Linux 6.1: kind of socket, destination, option, size of the packet, and what becomes of it.
#[test]
fn what_fits_is_as_recorded() {
    let mut wrong = Vec::new();
    for row in include_str!("../recordings/pmtudisc.txt").lines() {
        let (asked, expected) = row.split_once('|').expect("two columns");
        let words: Vec<&str> = asked.split_whitespace().collect();
        let discover = match words[2] {
            "dont" => PmtuDisc::Dont,
            "want" => PmtuDisc::Want,
            "do" => PmtuDisc::Do,
            _ => PmtuDisc::Probe,
        };
        let seen = sent(words[0], ip(words[1]), discover, words[3].parse().expect("a number"));
        if seen != expected.trim() {
            wrong.push(format!("{row}   here: {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
