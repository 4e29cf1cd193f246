//! How many neighbours there may be, and which of them go.

use std::net::Ipv4Addr;

use glassnet_kernel::net::core::neighbour::{dump_neigh, neigh_create, rtm_newneigh};
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::skb::alloc_truesize;
use glassnet_wire::Mac;

use crate::net::{MACHINE, NEW, Net, chain};

/// The n-th neighbour in the state, on the device towards the second namespace.
fn add(net: &mut Net, n: u32, state: Nud) {
    let (netns, dev) = (net.netns[0], net.devs[0].1.expect("a device"));
    let dst = Ipv4Addr::from_bits(0x0a00_0100 + n);
    let lladdr = state.valid().then_some(Mac([2, 0, 0, 1, (n >> 8) as u8, n as u8]));
    let msg = NeighMsg { dev, dst, lladdr, state, flags: 0, protocol: 0 };
    net.enter(|cx| rtm_newneigh(cx, netns, &msg, NEW)).expect("a new neighbour");
}

fn count(net: &Net, state: Nud) -> usize {
    let rows = dump_neigh(net.world.kernel(MACHINE), net.netns[0], net.world.now());
    rows.iter().filter(|row| row.msg.state == state).count()
}

/// `neigh_periodic_work`: below `gc_thresh1` (128) nothing goes; above, failed entries and those that nobody used for
/// `gc_stale_time` (60 s).
#[test]
fn failed_and_unused_neighbours_go_once_there_are_many() {
    let mut net = chain(2);
    (0..60).for_each(|n| add(&mut net, n, Nud::Failed));
    (60..127).for_each(|n| add(&mut net, n, Nud::Stale));
    net.wait_until(300);
    assert_eq!([Nud::Failed, Nud::Stale].map(|state| count(&net, state)), [60, 67]);
    add(&mut net, 127, Nud::Permanent);
    add(&mut net, 128, Nud::Stale);
    net.wait_until(340);
    assert_eq!([Nud::Failed, Nud::Stale, Nud::Permanent].map(|state| count(&net, state)), [0, 1, 1]);
    // Two are few again.
    net.wait_until(700);
    assert_eq!(count(&net, Nud::Stale), 1);
}

/// `neigh_alloc`: permanent neighbours do not count. Of the others there are at most `gc_thresh3` (1,024); those older than 5 s
/// make room, down to `gc_thresh2` (512).
#[test]
fn a_full_table_makes_room_if_it_can() {
    let mut net = chain(2);
    (0..1500).for_each(|n| add(&mut net, n, Nud::Permanent));
    (1500..2524).for_each(|n| add(&mut net, n, Nud::Stale));
    let dev = net.devs[0].1.expect("a device");
    assert_eq!(net.enter(|cx| neigh_create(cx, dev, Ipv4Addr::new(10, 0, 99, 99))), None, "none is old");
    let id = net.raw_socket(0);
    let _ = net.ping(id, "10.0.0.2", 56);
    assert!(net.drops().contains(&(DropReason::NeighCreatefail, 1)), "{:?}", net.drops());
    add(&mut net, 2600, Nud::Permanent);
    net.wait_until(10);
    add(&mut net, 2601, Nud::Stale);
    assert_eq!([Nud::Stale, Nud::Permanent].map(|state| count(&net, state)), [513, 1501]);
    // From 512 on, old ones go each 5 s.
    net.wait_until(12);
    add(&mut net, 2602, Nud::Stale);
    assert_eq!(count(&net, Nud::Stale), 514);
    net.wait_until(16);
    add(&mut net, 2603, Nud::Stale);
    assert_eq!(count(&net, Nud::Stale), 513);
}

/// While an address is asked for, no more packets wait than `unres_qlen_bytes` (212,992) take, each with its whole buffer; the oldest go
/// first.
#[test]
fn packets_that_wait_for_an_address_are_limited() {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    let fits = 212_992 / alloc_truesize(1028 + 31);
    for _ in 0..fits {
        net.ping(id, "10.0.0.9", 1000).expect("sent");
    }
    assert_eq!(net.drops(), []);
    net.ping(id, "10.0.0.9", 1000).expect("sent");
    net.ping(id, "10.0.0.9", 1000).expect("sent");
    assert_eq!(net.drops(), [(DropReason::NeighQueuefull, 2)]);
    net.run(5);
    let failed = net.drops().iter().find(|drop| drop.0 == DropReason::NeighFailed).map(|drop| drop.1);
    assert_eq!(failed, Some(u64::from(fits)));
}
