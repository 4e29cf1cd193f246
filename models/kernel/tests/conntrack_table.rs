//! The table of connections: nothing leaks whatever becomes of packets, and a million entries are found as fast as a
//! few.

use std::net::Ipv4Addr;
use std::time::Instant;

use glassnet_kernel::hook::Verdict;
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId, SkbId};
use glassnet_kernel::net::netfilter::nf_conntrack_gc::gc_worker;
use glassnet_kernel::net::netfilter::nf_conntrack_netlink::{
    ctnetlink_del_conntrack, ctnetlink_flush_conntrack,
};
use glassnet_kernel::net::netfilter::nf_conntrack_proto::{ipv4_confirm, ipv4_conntrack_in, nf_ct_netns_get};
use glassnet_kernel::tables::conntrack::{Conn, Conntrack, Dir, Tuple};
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::netfilter::{Hook, HookState, Site};
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;
use glassnet_wire::ipv4::ip_send_check;
use proptest::prelude::*;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
const NETNS: NetnsId = NetnsId(0);

fn tuple(flow: u32) -> Tuple {
    Tuple {
        src: Ipv4Addr::from_bits(0x0a00_0000 | flow >> 12),
        dst: Ipv4Addr::new(10, 128, 0, 1),
        sport: 1024 + (flow & 0xfff) as u16,
        dport: 53,
        proto: 17,
    }
}

fn conn(flow: u32) -> Conn {
    let there = tuple(flow);
    Conn::new(NETNS, there, there.inverted().expect("UDP can be answered"), [0, 0])
}

fn state(hook: Hook) -> HookState {
    let site = if hook == Hook::PreRouting { Site::IpRcv } else { Site::IpOutput };
    HookState { site, hook, netns: NETNS, input: None, output: None }
}

/// A UDP packet without a checksum, of flow `flow` or back.
fn udp(cx: &mut Cx, flow: u8, back: bool) -> SkbId {
    let ends = [0x0a00_0000 | u32::from(flow), 0x0a80_0001];
    let (src, dst) = if back { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
    let mut bytes = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0];
    bytes.extend(src.to_be_bytes());
    bytes.extend(dst.to_be_bytes());
    bytes.extend([0, 7, 0, 7, 0, 8, 0, 0]);
    ip_send_check(&mut bytes);
    let lo = cx.k.netns[NETNS].loopback;
    let skb = cx.skbs.alloc_skb(bytes.len(), lo);
    cx.skbs.data_mut(skb).copy_from_slice(&bytes);
    skb
}

/// What happens in the property test.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet of this flow, back or not, is tracked and waits.
    Arrive(u8, bool),
    /// A packet that waits is cloned.
    Clone(u8),
    /// A packet that waits gets through.
    Confirm(u8),
    /// A packet that waits is dropped.
    Drop(u8),
    /// This flow's entry is deleted.
    Delete(u8),
    /// All are.
    Flush,
    /// Time passes, seconds; the collector runs.
    Pass(u8),
    /// The most entries that may be.
    Max(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u8..8, any::<bool>()).prop_map(|(flow, back)| Step::Arrive(flow, back)),
        1 => any::<u8>().prop_map(Step::Clone),
        5 => any::<u8>().prop_map(Step::Confirm),
        3 => any::<u8>().prop_map(Step::Drop),
        1 => any::<u8>().prop_map(Step::Delete),
        1 => Just(Step::Flush),
        1 => (0_u8..50).prop_map(Step::Pass),
        1 => (0_u8..9).prop_map(Step::Max),
    ]
}

fn take(cx: &mut Cx, waiting: &mut Vec<SkbId>, step: Step) {
    let pick = |waiting: &Vec<SkbId>, at: u8| (!waiting.is_empty()).then(|| usize::from(at) % waiting.len());
    match step {
        Step::Arrive(flow, back) => {
            let skb = udp(cx, flow, back);
            match ipv4_conntrack_in(cx, skb, &state(Hook::PreRouting), 0) {
                Verdict::Accept => waiting.push(skb),
                _ => _ = cx.kfree_skb(skb, DropReason::NetfilterDrop),
            }
        }
        Step::Clone(at) => {
            if let Some(at) = pick(waiting, at) {
                let clone = cx.skb_clone(waiting[at]);
                waiting.push(clone);
            }
        }
        Step::Confirm(at) => {
            if let Some(at) = pick(waiting, at) {
                let skb = waiting.swap_remove(at);
                match ipv4_confirm(cx, skb, &state(Hook::PostRouting), 0) {
                    Verdict::Accept => _ = cx.consume_skb(skb),
                    _ => _ = cx.kfree_skb(skb, DropReason::NetfilterDrop),
                }
            }
        }
        Step::Drop(at) => {
            if let Some(at) = pick(waiting, at) {
                let skb = waiting.swap_remove(at);
                cx.kfree_skb(skb, DropReason::NetfilterDrop);
            }
        }
        Step::Delete(at) => {
            let all = cx.k.conntrack.confirmed();
            if !all.is_empty() {
                ctnetlink_del_conntrack(cx, all[usize::from(at) % all.len()], 1);
            }
        }
        Step::Flush => ctnetlink_flush_conntrack(cx, NETNS, 1),
        Step::Pass(secs) => {
            cx.now += Nanos::from_secs(u64::from(secs));
            gc_worker(cx, 0);
        }
        Step::Max(max) => cx.k.conntrack.max = u32::from(max),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_leaks(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new(1);
        world.add_machine("node1", 1);
        let left = world.enter(MACHINE, CPU, |cx| {
            nf_ct_netns_get(cx.k, NETNS);
            // A small table, so that early drop finds something.
            cx.k.conntrack.buckets = 4;
            let mut waiting = Vec::new();
            for step in steps {
                take(cx, &mut waiting, step);
                let table = &cx.k.conntrack;
                let confirmed = table.confirmed().len();
                assert!(table.alive() >= confirmed && table.hashed() >= confirmed);
                assert_eq!(table.net(NETNS).count as usize, table.alive());
            }
            for skb in waiting {
                cx.kfree_skb(skb, DropReason::NetfilterDrop);
            }
            let after_packets = (cx.k.conntrack.alive(), cx.k.conntrack.hashed());
            for id in cx.k.conntrack.confirmed() {
                ctnetlink_del_conntrack(cx, id, 1);
            }
            (after_packets, cx.k.conntrack.alive(), cx.k.conntrack.hashed(), cx.skbs.alive())
        });
        prop_assert_eq!(left.0.0 * 2, left.0.1, "only what is in the table is left, under both tuples");
        prop_assert_eq!((left.1, left.2, left.3), (0, 0, 0));
    }
}

/// Look-ups of random flows, each after the other, ns each.
fn look_up(table: &Conntrack, flows: u32) -> f64 {
    let mut flow = 1_u32;
    let count = 200_000;
    #[allow(clippy::disallowed_methods, reason = "a measurement is in real time")]
    let start = Instant::now();
    for _ in 0..count {
        flow = flow.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wanted = tuple((flow >> 4) % flows);
        let (id, dir) = table.find(NETNS, [0, 0], &wanted).expect("it is there");
        // The next flow depends on what was found, so look-ups do not overlap.
        flow ^= u32::from(dir == Dir::Reply) ^ (table.get(id).map_or(0, |conn| conn.mark));
    }
    start.elapsed().as_nanos() as f64 / f64::from(count)
}

/// A million entries: each is found in both directions, gone once removed. `--nocapture` shows the times.
#[test]
fn a_million_connections() {
    let mut table = Conntrack::default();
    let mut ids = Vec::new();
    for flows in [4_096_u32, 262_144, 1_000_000] {
        for flow in ids.len() as u32..flows {
            let id = table.alloc(conn(flow));
            table.insert(id);
            table.put(id);
            ids.push(id);
        }
        let memory = table.memory() / flows as usize;
        println!("{flows} flows: {:.0} ns a look-up, {memory} bytes an entry", look_up(&table, flows));
        assert!(memory < 1024, "{memory} bytes an entry");
    }
    for flow in (0..1_000_000).step_by(997) {
        let there = tuple(flow);
        let back = there.inverted().expect("UDP can be answered");
        assert_eq!(table.find(NETNS, [0, 0], &there), Some((ids[flow as usize], Dir::Original)));
        assert_eq!(table.find(NETNS, [0, 0], &back), Some((ids[flow as usize], Dir::Reply)));
        assert_eq!(table.find(NETNS, [1, 0], &there), None);
        assert_eq!(table.find(NetnsId(1), [0, 0], &there), None);
    }
    assert_eq!((table.hashed(), table.net(NETNS).count), (2_000_000, 1_000_000));
    for id in ids {
        assert!(table.remove(id));
    }
    assert_eq!((table.hashed(), table.alive(), table.net(NETNS).count), (0, 0, 0));
    assert_eq!(table.find(NETNS, [0, 0], &tuple(5)), None);
}

/// `CT --zone-reply 1`: the answer of an older connection may begin one of its own.
#[test]
fn a_clash_is_looked_for_in_the_zone_of_each_direction() {
    let mut table = Conntrack::default();
    let old = conn(1);
    let (netns, [original, reply]) = (old.netns, old.tuples);
    let id = table.alloc(old);
    table.insert(id);
    let zone = [0, 1];
    assert_eq!(table.find(netns, zone, &original), Some((id, Dir::Original)), "a packet belongs to it");
    assert_eq!(table.find_hashed(netns, zone, zone[0], &reply), None, "its reply is in zone 0");
    assert_eq!(table.find_hashed(netns, zone, zone[1], &original), None, "nobody's reply is in zone 1");
    let mut to_itself = conn(2);
    let addr = Ipv4Addr::new(10, 0, 0, 5);
    to_itself.tuples = [Tuple { src: addr, dst: addr, sport: 7, dport: 7, proto: 6 }; 2];
    for (zone, dir) in [([0, 0], Dir::Reply), ([1, 0], Dir::Original)] {
        to_itself.zone = zone;
        let id = table.alloc(to_itself.clone());
        table.insert(id);
        assert_eq!(table.find(netns, zone, &to_itself.tuples[0]), Some((id, dir)));
    }
}

/// The answer of an older connection began one of its own (`CT --zone-reply 1`): the next packet of that direction belongs
/// to the newer one.
#[test]
fn the_newest_of_connections_with_one_tuple_is_found() {
    let mut table = Conntrack::default();
    let (old, mut new) = (conn(1), conn(1));
    (new.tuples, new.zone) = ([old.tuples[1], old.tuples[0]], [0, 1]);
    let reply = old.tuples[1];
    let enter = |table: &mut Conntrack, conn: Conn| {
        let id = table.alloc(conn);
        table.insert(id);
        id
    };
    let old = enter(&mut table, old);
    assert_eq!(table.find(NETNS, [0, 0], &reply), Some((old, Dir::Reply)));
    let new = enter(&mut table, new);
    assert_eq!(table.find(NETNS, [0, 0], &reply), Some((new, Dir::Original)));
    for flow in 10..200 {
        enter(&mut table, conn(flow));
    }
    assert_eq!(table.find(NETNS, [0, 0], &reply), Some((new, Dir::Original)), "the table has grown");
    assert!(table.remove(new));
    assert_eq!(table.find(NETNS, [0, 0], &reply), Some((old, Dir::Reply)));
}
