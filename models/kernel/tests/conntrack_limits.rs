//! What becomes of packets when two begin one connection at once, and when the table is full.

use glassnet_kernel::door::Door;
use glassnet_kernel::hook::Verdict;
use glassnet_kernel::ids::{DevId, MachineId, NetnsId, SkbId};
use glassnet_kernel::net::netfilter::nf_conntrack_gc::gc_worker;
use glassnet_kernel::net::netfilter::nf_conntrack_proto::{ipv4_confirm, ipv4_conntrack_in, nf_ct_netns_get};
use glassnet_kernel::tables::conntrack::{CtStats, CtSysctl, NfCt};
use glassnet_kernel::tables::netfilter::{Hook, HookState, Site};
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;

use packets::{tcp, udp};
use router::Router;

mod packets;
mod router;

/// A packet on its way through the machine: tracked, and not yet confirmed.
fn tracked(cx: &mut Cx, place: &Place, packet: &[u8]) -> Option<SkbId> {
    let skb = cx.skbs.alloc_skb(packet.len(), place.lo);
    cx.skbs.data_mut(skb).copy_from_slice(packet);
    let verdict = ipv4_conntrack_in(cx, skb, &place.state(Hook::PreRouting, Site::IpRcv), 0);
    let accepted = matches!(verdict, Verdict::Accept);
    if !accepted {
        cx.walk(Door::Consume { skb });
    }
    accepted.then_some(skb)
}

/// The packet leaves: true unless it is dropped.
fn leaves(cx: &mut Cx, place: &Place, skb: SkbId) -> bool {
    let verdict = ipv4_confirm(cx, skb, &place.state(Hook::PostRouting, Site::IpOutput), 0);
    cx.walk(Door::Consume { skb });
    matches!(verdict, Verdict::Accept)
}

struct Place {
    netns: NetnsId,
    lo: DevId,
}

impl Place {
    fn state(&self, hook: Hook, site: Site) -> HookState {
        HookState { site, hook, netns: self.netns, input: None, output: None }
    }
}

/// A router that tracks connections, with one bucket, so that every entry is in the part that early drop looks at.
fn router() -> (Router, Place) {
    let mut router = Router::new();
    let netns = router.netns;
    let lo = router.enter(|cx| {
        nf_ct_netns_get(cx.k, netns);
        cx.k.conntrack.buckets = 1;
        cx.k.netns[netns].loopback
    });
    (router, Place { netns, lo })
}

fn stats(world: &World, place: &Place) -> CtStats {
    world.kernel(MachineId(0)).conntrack.net(place.netns).stats
}

fn query(port: u16) -> Vec<u8> {
    udp("10.1.0.2", port, "10.2.0.2", 53, b"query")
}

fn answer(port: u16) -> Vec<u8> {
    udp("10.2.0.2", 53, "10.1.0.2", port, b"answer")
}

/// `nf_ct_resolve_clash`: UDP has no handshake, so that two queries of one flow may be under way before either is confirmed.
#[test]
fn the_second_of_two_queries_that_race_joins_the_connection_of_the_first() {
    let (mut router, place) = router();
    router.enter(|cx| {
        cx.k.conntrack.net_mut(place.netns).set_sysctl(CtSysctl::Acct, 1);
        let both = [0; 2].map(|_| tracked(cx, &place, &query(7)).expect("accepted"));
        assert_eq!(both.map(|skb| leaves(cx, &place, skb)), [true, true]);
    });
    let seen = stats(&router.world, &place);
    assert_eq!((seen.clash_resolve, seen.insert_failed, seen.drop), (1, 0, 0));
    assert_eq!(router.connections(), ["10.1.0.2:7>10.2.0.2:53 10.2.0.2:53>10.1.0.2:7"]);
    let table = &router.world.kernel(MachineId(0)).conntrack;
    let conn = table.confirmed().first().and_then(|id| table.get(*id)).expect("a connection");
    let there = conn.acct.as_ref().expect("counters")[0];
    assert_eq!((there.packets, there.bytes), (2, 2 * 33), "both are counted");
}

/// A connection of TCP begins with one SYN; of two that race, one is dropped.
#[test]
fn the_second_of_two_syns_that_race_is_dropped() {
    let (mut router, place) = router();
    router.enter(|cx| {
        let syn = tcp("10.1.0.2", 7, "10.2.0.2", 80, 2, 100);
        let both = [0; 2].map(|_| tracked(cx, &place, &syn).expect("accepted"));
        assert_eq!(both.map(|skb| leaves(cx, &place, skb)), [true, false]);
    });
    let seen = stats(&router.world, &place);
    assert_eq!((seen.clash_resolve, seen.insert_failed, seen.drop), (0, 1, 1));
    assert_eq!(router.connections().len(), 1);
}

/// `early_drop`: what was never answered is forgotten for the sake of what begins.
#[test]
fn a_full_table_forgets_what_was_not_answered() {
    let (mut router, place) = router();
    router.enter(|cx| {
        cx.k.conntrack.max = 3;
        for port in [1, 2, 3] {
            let skb = tracked(cx, &place, &query(port)).expect("there is room");
            assert!(leaves(cx, &place, skb));
        }
        // The second is answered, and so is assured once it has lasted 2 s.
        for packet in [answer(2), query(2)] {
            cx.now += Nanos::from_secs(3);
            let skb = tracked(cx, &place, &packet).expect("known");
            assert!(leaves(cx, &place, skb));
        }
        let skb = tracked(cx, &place, &query(4)).expect("room was made");
        assert!(leaves(cx, &place, skb));
    });
    let seen = stats(&router.world, &place);
    assert_eq!((seen.early_drop, seen.drop), (2, 0));
    let ports: Vec<String> = router.connections().iter().map(|conn| conn[..10].to_owned()).collect();
    assert_eq!(ports, ["10.1.0.2:2", "10.1.0.2:4"]);
}

/// If all are assured, what begins is dropped, the log says so, and closing connections of TCP go with the next look (`gc_worker`).
#[test]
fn a_full_table_of_assured_connections_drops_what_begins() {
    let (mut router, place) = router();
    router.enter(|cx| {
        cx.k.conntrack.max = 2;
        let closing = [
            tcp("10.1.0.2", 1, "10.2.0.2", 80, 0x02, 100),
            tcp("10.2.0.2", 80, "10.1.0.2", 1, 0x12, 8),
            tcp("10.1.0.2", 1, "10.2.0.2", 80, 0x10, 101),
            tcp("10.1.0.2", 1, "10.2.0.2", 80, 0x11, 101),
        ];
        for packet in closing.into_iter().chain([query(2), answer(2)]) {
            let skb = tracked(cx, &place, &packet).expect("accepted");
            assert!(leaves(cx, &place, skb));
        }
        cx.now += Nanos::from_secs(3);
        let skb = tracked(cx, &place, &query(2)).expect("known");
        assert!(leaves(cx, &place, skb));
        assert_eq!(tracked(cx, &place, &query(3)), None, "all are assured");
        gc_worker(cx, 0);
    });
    let kernel = router.world.kernel(MachineId(0));
    assert_eq!(kernel.conntrack.net(place.netns).stats.early_drop, 0);
    let full: Vec<&str> = kernel.log.lines().map(|line| line.text.as_str()).collect();
    assert_eq!(full, ["nf_conntrack: nf_conntrack: table full, dropping packet"]);
    assert_eq!(router.connections(), ["10.1.0.2:2>10.2.0.2:53 10.2.0.2:53>10.1.0.2:2"]);
}

/// NAT gave the second packet another source, so that its answers would not be mistaken: a query stays, for one answer, but a SYN
/// is dropped (`nf_ct_resolve_clash_harder`).
#[test]
fn a_query_that_races_from_another_source_stays_and_a_syn_is_dropped() {
    for (packet, inserted) in [(tcp("10.1.0.2", 7, "10.2.0.2", 53, 2, 100), 0), (query(7), 1)] {
        let (mut router, place) = router();
        router.enter(|cx| {
            let both = [0; 2].map(|_| tracked(cx, &place, &packet).expect("accepted"));
            let NfCt::Conn(id, _) = cx.skbs[both[1]].nfct else { panic!("no connection") };
            cx.k.conntrack.get_mut(id).expect("a connection").tuples[1].dport = 9;
            assert_eq!(both.map(|skb| leaves(cx, &place, skb)), [true, inserted == 1]);
        });
        let seen = stats(&router.world, &place);
        assert_eq!((seen.clash_resolve, seen.insert_failed), (inserted, 1 - inserted));
    }
}
