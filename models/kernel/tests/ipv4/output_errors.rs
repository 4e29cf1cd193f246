//! A packet that cannot leave: what its sender is told, and what is counted.

use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::socket::{SendTo, sendto};
use glassnet_kernel::netlink::Errno;

use crate::net::{MACHINE, Net, chain, ip};

/// Two namespaces; the left one's device takes 9000 bytes, the far end 1500.
fn mismatch() -> Net {
    let mut net = chain(2);
    let wide = net.devs[0].1.expect("a device");
    net.enter(|cx| do_setlink(cx, wide, LinkSet { mtu: Some(9000), ..LinkSet::default() }).expect("wider"));
    let id = net.raw_socket(0);
    net.ping(id, "10.0.0.2", 56).expect("sent");
    assert_eq!(net.received(id).len(), 1);
    net
}

#[test]
fn a_frame_that_the_far_end_does_not_take() {
    let mut net = mismatch();
    let (near, far) = (net.devs[0].1.expect("a device"), net.devs[1].0.expect("a device"));
    let raw = net.raw_socket(0);
    assert_eq!(net.ping(raw, "10.0.0.2", 1600), Err(Errno::ENOBUFS));
    // Without IP_RECVERR, the program is told nothing.
    net.enter(|cx| cx.k.sockets.get_mut(raw).expect("open").opts.recverr = false);
    assert_eq!(net.ping(raw, "10.0.0.2", 1600), Ok(1608));
    let udp = net.udp(0, 1000);
    let to = SendTo::Inet(ip("10.0.0.2"), 9);
    assert_eq!(net.enter(|cx| sendto(cx, udp, to, &[0; 2000])), Ok(2000));
    let devs = &net.world.kernel(MACHINE).devs;
    assert_eq!((devs[near].stats.tx_dropped, devs[far].stats.rx_dropped), (3, 3));
    let snmp = net.snmp(0);
    assert_eq!((snmp.ip.OutDiscards, snmp.udp.SndbufErrors, snmp.udp.OutDatagrams), (3, 1, 0));
    assert_eq!(net.world.skbs.alive(), 0);
}

#[test]
fn the_other_fragments_are_dropped_with_the_first() {
    let mut net = mismatch();
    let raw = net.raw_socket(0);
    assert_eq!(net.ping(raw, "10.0.0.2", 9500), Err(Errno::ENOBUFS));
    let near = net.devs[0].1.expect("a device");
    assert_eq!(net.world.kernel(MACHINE).devs[near].stats.tx_dropped, 1);
    let mib = &net.snmp(0).ip;
    assert_eq!((mib.FragFails, mib.FragOKs, mib.FragCreates, mib.OutDiscards), (1, 0, 0, 1));
    assert_eq!(net.world.skbs.alive(), 0);
}

/// The answer to a ping is the kernel's own packet: it is counted, and nobody is told. The same holds for what waited
/// for the neighbour's address when its sender's call returned, which is not even counted.
#[test]
fn who_does_not_wait_is_not_told() {
    let mut net = chain(2);
    let wide = net.devs[0].1.expect("a device");
    net.enter(|cx| do_setlink(cx, wide, LinkSet { mtu: Some(9000), ..LinkSet::default() }).expect("wider"));
    let raw = net.raw_socket(0);
    assert_eq!(net.ping(raw, "10.0.0.2", 1600), Ok(1608));
    assert_eq!(net.snmp(0).ip.OutDiscards, 0);
    let near = net.devs[0].1.expect("a device");
    assert_eq!(net.world.kernel(MACHINE).devs[near].stats.tx_dropped, 1);
}
