//! Who may have a port that another socket has.

use glassnet_kernel::ids::SocketId;
use glassnet_kernel::net::core::dev::dev_open;
use glassnet_kernel::net::ipv4::af_inet::inet_bind;
use glassnet_kernel::net::socket::socket;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::{SockKind, SockOpts};

use crate::net::{Net, chain, ip};

/// What may be said of a socket before it is bound.
type Say = fn(&mut SockOpts);

fn bind(
    net: &mut Net,
    n: usize,
    kind: SockKind,
    address: &str,
    port: u16,
    say: Say,
) -> (SocketId, Result<(), Errno>) {
    let netns = net.netns[n];
    net.enter(|cx| {
        let id = socket(cx, netns, kind);
        say(&mut cx.k.sockets.get_mut(id).expect("open").opts);
        (id, inet_bind(cx, id, ip(address), port))
    })
}

fn nothing(_: &mut SockOpts) {}

/// Binds two sockets to a port: the second one's result.
fn second(kind: SockKind, addresses: [&str; 2], say: [Say; 2]) -> Result<(), Errno> {
    let mut net = chain(2);
    let netns = net.netns[0];
    net.enter(|cx| dev_open(cx, cx.k.netns[netns].loopback)).expect("nothing keeps lo down");
    assert_eq!(bind(&mut net, 0, kind, addresses[0], 53, say[0]).1, Ok(()));
    bind(&mut net, 0, kind, addresses[1], 53, say[1]).1
}

#[test]
fn a_port_is_taken_for_an_address_or_for_all() {
    for kind in [SockKind::Udp, SockKind::Tcp] {
        for (addresses, done) in [
            (["10.0.0.1", "10.0.0.1"], Err(Errno::EADDRINUSE)),
            (["0.0.0.0", "10.0.0.1"], Err(Errno::EADDRINUSE)),
            (["10.0.0.1", "0.0.0.0"], Err(Errno::EADDRINUSE)),
            (["127.0.0.1", "10.0.0.1"], Ok(())),
        ] {
            assert_eq!(second(kind, addresses, [nothing; 2]), done, "{kind:?} {addresses:?}");
        }
    }
}

#[test]
fn both_must_want_to_share() {
    let share: Say = |opts| opts.reuseport = true;
    let same = ["10.0.0.1"; 2];
    for kind in [SockKind::Udp, SockKind::Tcp] {
        assert_eq!(second(kind, same, [share, share]), Ok(()), "{kind:?}");
        assert_eq!(second(kind, same, [share, nothing]), Err(Errno::EADDRINUSE), "{kind:?}");
        assert_eq!(second(kind, same, [nothing, share]), Err(Errno::EADDRINUSE), "{kind:?}");
    }
    let again: Say = |opts| opts.reuseaddr = true;
    assert_eq!(second(SockKind::Tcp, same, [again, again]), Ok(()), "neither listens");
    assert_eq!(second(SockKind::Tcp, same, [again, nothing]), Err(Errno::EADDRINUSE));
}

/// Sockets of other devices, protocols and namespaces are no rivals.
#[test]
fn others_do_not_mind() {
    let first: Say = |opts| opts.bound_dev_if = 1;
    let other: Say = |opts| opts.bound_dev_if = 2;
    let same = ["10.0.0.1"; 2];
    assert_eq!(second(SockKind::Tcp, same, [first, other]), Ok(()));
    assert_eq!(second(SockKind::Tcp, same, [first, first]), Err(Errno::EADDRINUSE));
    assert_eq!(second(SockKind::Tcp, same, [first, nothing]), Err(Errno::EADDRINUSE));
    let mut net = chain(2);
    assert_eq!(bind(&mut net, 0, SockKind::Udp, "0.0.0.0", 53, nothing).1, Ok(()));
    assert_eq!(bind(&mut net, 0, SockKind::Tcp, "0.0.0.0", 53, nothing).1, Ok(()));
    assert_eq!(bind(&mut net, 1, SockKind::Udp, "0.0.0.0", 53, nothing).1, Ok(()));
    let (id, done) = bind(&mut net, 0, SockKind::Udp, "0.0.0.0", 54, nothing);
    assert_eq!(done, Ok(()));
    assert_eq!(
        net.enter(|cx| inet_bind(cx, id, ip("10.0.9.9"), 55)),
        Err(Errno::EADDRNOTAVAIL),
        "not an own address"
    );
}
