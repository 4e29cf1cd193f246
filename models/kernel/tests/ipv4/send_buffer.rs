//! What a datagram socket may send before what it sent is freed.

use glassnet_kernel::net::core::sock::set_sndbuf;
use glassnet_kernel::net::socket::{self, SendTo};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;

use crate::net::{Net, chain, ip};

/// Sends a datagram of 1000 bytes, which take 2304 with their buffer.
fn send(net: &mut Net, id: glassnet_kernel::ids::SocketId, to: &str) -> Result<usize, Errno> {
    net.enter(|cx| socket::sendto(cx, id, SendTo::Inet(ip(to), 9), &[0; 1000]))
}

/// A buffer of 4608 bytes has room for a packet as long as it is not full. Packets wait for an address here, until it is known that
/// nobody answers.
#[test]
fn a_full_send_buffer_takes_nothing_until_half_of_it_is_free() {
    let mut net = chain(2);
    let id = net.udp(0, 5000);
    net.enter(|cx| set_sndbuf(cx, id, 1));
    assert!(!net.enter(|cx| socket::waits_for_room(cx, id)));
    assert_eq!([(); 2].map(|()| send(&mut net, id, "10.0.0.9")), [Ok(1000), Ok(1000)]);
    assert!(net.enter(|cx| socket::waits_for_room(cx, id)));
    assert_eq!(send(&mut net, id, "10.0.0.9"), Err(Errno::EAGAIN));
    let snmp = net.snmp(0);
    assert_eq!((snmp.udp.OutDatagrams, snmp.udp.SndbufErrors, snmp.ip.OutDiscards), (2, 1, 1));
    let writeable = |net: &mut Net| net.enter(|cx| socket::get(cx, id).expect("open").is_writeable());
    assert!(!writeable(&mut net));
    net.run(4);
    assert!(writeable(&mut net));
    assert!(!net.enter(|cx| socket::waits_for_room(cx, id)));
}

/// A socket that was closed has its packets still, so no other gets its handle.
#[test]
fn the_handle_of_a_closed_socket_is_free_when_its_packets_are() {
    let mut net = chain(2);
    let id = net.udp(0, 5000);
    assert_eq!(send(&mut net, id, "10.0.0.9"), Ok(1000));
    let netns = net.netns[0];
    net.enter(|cx| socket::close(cx, id));
    let other = net.enter(|cx| socket::socket(cx, netns, SockKind::Udp));
    assert_ne!(other, id);
    net.run(4);
    assert_eq!(net.enter(|cx| socket::get(cx, other).expect("open").wmem_alloc), 0);
    assert_eq!(net.enter(|cx| socket::socket(cx, netns, SockKind::Udp)), id);
}

/// The limits of the machine hold for what programs ask for.
#[test]
fn a_program_gets_twice_what_it_asks_for_within_limits() {
    let mut net = chain(2);
    let id = net.udp(0, 5000);
    let sndbuf = |net: &mut Net, size: u32| {
        net.enter(|cx| {
            set_sndbuf(cx, id, size);
            socket::get(cx, id).expect("open").opts.sndbuf
        })
    };
    assert_eq!(
        [0, 2304, 3000, 212_992, 500_000].map(|size| sndbuf(&mut net, size)),
        [4608, 4608, 6000, 425_984, 425_984]
    );
}
