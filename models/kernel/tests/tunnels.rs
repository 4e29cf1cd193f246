//! Tunnels of a router: what a packet tells the one that was in it, and what is not sent.

mod packets;
mod router;

use glassnet_kernel::door::Door;
use glassnet_kernel::ids::{DevId, MachineId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::ipv4::ip_tunnel::TunnelOptions;
use glassnet_kernel::tables::ip_tunnel::IpTunnelParm;
use glassnet_kernel::tables::netdev::DevStats;
use glassnet_wire::ipv4::ip_send_check;
use packets::{ip, ipv4, udp};
use router::{INSIDE, OUTSIDE, Router};

fn tunnel(router: &mut Router, kind: &'static str, options: TunnelOptions) -> DevId {
    let netns = router.netns;
    let info = Some(LinkInfo::with(kind, options));
    let set = LinkSet { up: Some(true), info, ..LinkSet::default() };
    let new = LinkNew { name: Some("tunnel".into()), set, ..LinkNew::default() };
    router.enter(|cx| rtm_newlink(cx, netns, new)).expect("a new tunnel")
}

fn stats(router: &Router, dev: DevId) -> DevStats {
    router.world.kernel(MachineId(0)).devs[dev].stats
}

/// A packet with these two bits for congestion.
fn with_ecn(mut packet: Vec<u8>, ecn: u8) -> Vec<u8> {
    packet[1] = 0x28 | ecn;
    ip_send_check(&mut packet);
    packet
}

/// RFC 6040: a mark of congestion, or ECT(1), is told to the packet inside. One that does not understand it is logged, and with a mark
/// dropped and counted as an error of its frame.
#[test]
fn a_packet_in_a_tunnel_learns_of_congestion() {
    for (outer, inner, seen) in [
        (0, 0, Some(0)),
        (0, 1, Some(1)),
        (0, 2, Some(2)),
        (0, 3, Some(3)),
        (1, 0, Some(0)),
        (1, 1, Some(1)),
        (1, 2, Some(1)),
        (2, 0, Some(0)),
        (2, 1, Some(1)),
        (2, 2, Some(2)),
        (2, 3, Some(3)),
        (3, 0, None),
        (3, 1, Some(3)),
        (3, 2, Some(3)),
        (3, 3, Some(3)),
    ] {
        let mut router = Router::new();
        let parms = IpTunnelParm {
            saddr: ip("10.1.0.254"),
            daddr: ip("10.1.0.1"),
            protocol: 4,
            ..IpTunnelParm::default()
        };
        let dev = tunnel(&mut router, "ipip", TunnelOptions { parms, ..TunnelOptions::default() });
        let inside = with_ecn(udp("10.3.0.1", 4000, "10.2.0.1", 53, b"x"), inner);
        let packet = with_ecn(ipv4("10.1.0.1", "10.1.0.254", 4, &inside), outer);
        let came: Vec<(usize, u8)> =
            router.send(INSIDE, &packet).iter().map(|(side, packet)| (*side, packet[1] & 3)).collect();
        assert_eq!(came, seen.map(|ecn| (OUTSIDE, ecn)).into_iter().collect::<Vec<_>>(), "{outer} {inner}");
        let dropped = u64::from(seen.is_none());
        let DevStats { rx_frame_errors, rx_errors, rx_packets, .. } = stats(&router, dev);
        assert_eq!((rx_frame_errors, rx_errors, rx_packets), (dropped, dropped, 1 - dropped));
        let log = router.world.kernel(MachineId(0)).log.lines();
        let told = log.filter(|line| line.text.contains("non-ECT from 10.1.0.1")).count();
        assert_eq!(told, usize::from(inner == 0 && outer != 0), "{outer} {inner}");
    }
}

/// `gre_fb_xmit`: a frame that does not say where it is to go is dropped by a tunnel that has no other end.
#[test]
fn a_frame_that_does_not_say_where_to_go() {
    let mut router = Router::new();
    let options = TunnelOptions { collect_md: true, ..TunnelOptions::default() };
    let dev = tunnel(&mut router, "gretap", options);
    let before = stats(&router, dev).tx_dropped;
    router.enter(|cx| {
        let skb = cx.skbs.alloc_skb(60, dev);
        cx.skbs.data_mut(skb)[12..14].copy_from_slice(&[0x88, 0xb5]);
        cx.skbs[skb].protocol = 0x88b5;
        cx.walk(Door::DevQueueXmit { skb });
    });
    let DevStats { tx_dropped, tx_packets, .. } = stats(&router, dev);
    assert_eq!((tx_dropped, tx_packets), (before + 1, 0));
}
