//! IPv4 between namespaces: who answers, by which functions, and what is left in the tables.

mod arp;
mod icmp_messages;
mod learnt;
mod neighbours;
mod net;
mod output_errors;
mod paths;
mod ping_sockets;
mod pmtudisc;
mod ports;
mod send_buffer;

use std::net::Ipv4Addr;

use glassnet_kernel::door::Func;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::core::dev::dev_open;
use glassnet_kernel::net::core::neighbour::{rtm_delneigh, rtm_newneigh};
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::af_inet::inet_connect;
use glassnet_kernel::net::ipv4::fib_frontend::{dump_routes, rtm_newroute};
use glassnet_kernel::net::ipv4::fib_rules::{rtm_delrule, rtm_newrule};
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::net::ipv4::{icmp, route_multipath};
use glassnet_kernel::net::socket::{SendTo, recv, sendto};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_REPLACE, NlError};
use glassnet_kernel::sysctl::At;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::route::{RTCF_BROADCAST, RTCF_DOREDIRECT, RTCF_LOCAL, RTCF_MULTICAST};
use glassnet_kernel::tables::route_types::{
    NexthopMsg, RTAX_MTU, RouteAnswer, RouteMsg, RouteQuery, RouteType, RuleMsg, Scope,
};
use glassnet_kernel::tables::socket::PmtuDisc;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::trace::{Level, Step};
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use net::{MACHINE, NEW, Net, add_addr, chain, echo_request, ip, route_via};

#[test]
fn an_echo_over_one_cable() {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    assert_eq!(net.ping(id, "10.0.0.2", 56), Ok(64));
    assert_eq!(net.received(id), [(0, 0, Ipv4Addr::new(10, 0, 0, 2))]);
    assert_eq!(net.nud(0), [(Ipv4Addr::new(10, 0, 0, 2), Nud::Reachable)]);
    assert_eq!(net.nud(1), [(Ipv4Addr::new(10, 0, 0, 1), Nud::Delay)]);
    net.run(200);
    assert_eq!(net.nud(0), [(Ipv4Addr::new(10, 0, 0, 2), Nud::Stale)]);
    assert_eq!(net.nud(1), [(Ipv4Addr::new(10, 0, 0, 1), Nud::Stale)]);
    // The kernel too calls an echo reply that only raw sockets wanted a drop.
    assert_eq!(net.drops(), [(DropReason::NoSocket, 1)]);
    assert_eq!(net.world.skbs.alive(), 0);
}

#[test]
fn silence_is_told_to_the_sender() {
    let mut net = chain(2);
    let lo = net.world.kernel(MACHINE).netns[net.netns[0]].loopback;
    net.enter(|cx| dev_open(cx, lo)).expect("nothing keeps lo down");
    let id = net.raw_socket(0);
    assert_eq!(net.ping(id, "10.0.0.9", 56), Ok(64));
    net.run(2);
    assert_eq!(net.nud(0), [(Ipv4Addr::new(10, 0, 0, 9), Nud::Incomplete)]);
    net.run(4);
    assert_eq!(net.nud(0), [(Ipv4Addr::new(10, 0, 0, 9), Nud::Failed)]);
    assert_eq!(net.errors(id), [(Errno::EHOSTUNREACH, Ipv4Addr::new(10, 0, 0, 1), 0)]);
    assert!(net.drops().contains(&(DropReason::NeighFailed, 1)));
    let left = net.received(id).len();
    assert_eq!((left, net.world.skbs.alive()), (1, 0));
}

#[test]
fn routers_forward_and_count_hops() {
    let mut net = chain(4);
    let id = net.raw_socket(0);
    net.ping(id, "10.0.2.2", 56).expect("sent");
    assert_eq!(net.received(id), [(0, 0, Ipv4Addr::new(10, 0, 2, 2))]);
    for (ttl, router) in [(1, "10.0.0.2"), (2, "10.0.1.2")] {
        net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.ttl = Some(ttl));
        net.ping(id, "10.0.2.2", 56).expect("sent");
        assert_eq!(net.errors(id), [(Errno::EHOSTUNREACH, router.parse().expect("an address"), 0)]);
        assert_eq!(net.received(id), [(11, 0, router.parse().expect("an address"))]);
    }
    let snmp = &net.world.kernel(MACHINE).netns[net.netns[1]].ipv4.snmp;
    assert_eq!((snmp.ip.ForwDatagrams, snmp.ip.InHdrErrors), (4, 1));
    // Each router dropped one.
    assert!(net.drops().contains(&(DropReason::IpInhdr, 2)), "{:?}", net.drops());
    assert_eq!(net.world.skbs.alive(), 0);
}

#[test]
fn a_long_packet_is_cut_and_put_together_again() {
    let mut net = chain(3);
    let id = net.raw_socket(0);
    assert_eq!(net.ping(id, "10.0.1.2", 4000), Ok(4008));
    assert_eq!(net.received(id), [(0, 0, Ipv4Addr::new(10, 0, 1, 2))]);
    let snmp = &net.world.kernel(MACHINE).netns[net.netns[2]].ipv4.snmp.ip;
    assert_eq!((snmp.ReasmReqds, snmp.ReasmOKs, snmp.FragCreates, snmp.FragOKs), (3, 1, 3, 1));
    assert_eq!(net.world.skbs.alive(), 0);
    assert_eq!(net.ping(id, "10.0.1.2", 65_508), Err(Errno::EMSGSIZE));
}

/// Fragments behind the first stay with the packet, and are freed with it by `kfree_skb_list_reason`; the last one's buffer is
/// that of the packet, so it is there as a clone. The recorded tracepoints of Linux 6.1 say so too.
#[test]
fn fragments_are_freed_with_their_packet() {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    net.world.trace.level = Level::Doors;
    net.ping(id, "10.0.0.2", 4000).expect("sent");
    let freed =
        |net: &Net| net.world.trace.steps.iter().filter(|step| step.func == Func::KfreeSkbList).count();
    assert_eq!(net.received(id).len(), 1);
    assert_eq!(freed(&net), 4, "two of the request's, two of the reply's");
    assert_eq!((net.world.skbs.alive(), net.drops()), (0, vec![(DropReason::NoSocket, 1)]));
}

#[test]
fn a_narrow_link_is_learned() {
    let mut net = chain(3);
    let narrow = net.devs[1].1.expect("a device");
    net.enter(|cx| cx.k.devs[narrow].mtu = 1000);
    let id = net.raw_socket(0);
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.pmtudisc = PmtuDisc::Do);
    net.ping(id, "10.0.1.2", 1400).expect("sent");
    assert_eq!(net.errors(id), [(Errno::EMSGSIZE, Ipv4Addr::new(10, 0, 0, 2), 1000)]);
    assert_eq!(net.received(id), [(3, 4, Ipv4Addr::new(10, 0, 0, 2))]);
    // Now the sender itself knows.
    assert_eq!(net.ping(id, "10.0.1.2", 1400), Err(Errno::EMSGSIZE));
    assert_eq!(net.errors(id), [(Errno::EMSGSIZE, Ipv4Addr::UNSPECIFIED, 1000)]);
    assert_eq!(net.ping(id, "10.0.1.2", 972), Ok(980));
    assert_eq!(net.received(id), [(0, 0, Ipv4Addr::new(10, 0, 1, 2))]);
    assert!(net.drops().contains(&(DropReason::PktTooBig, 1)));
}

#[test]
fn without_forwarding_a_packet_for_others_ends() {
    let mut net = chain(3);
    let router = net.netns[1];
    net.enter(|cx| devinet_conf_proc(cx, router, ConfOf::All, Conf::Forwarding, 0));
    let id = net.raw_socket(0);
    net.ping(id, "10.0.1.2", 56).expect("sent");
    assert_eq!((net.received(id), net.drops()), (vec![], vec![(DropReason::IpInaddrerrors, 1)]));
}

#[test]
fn rp_filter_drops_what_would_not_go_back() {
    let mut net = chain(3);
    let (router, dev) = (net.netns[1], net.devs[1].0.expect("a device"));
    let id = net.raw_socket(0);
    let sender = net.devs[0].1.expect("a device");
    net.enter(|cx| {
        add_addr(cx, sender, "192.168.7.1/24");
        devinet_conf_proc(cx, cx.k.devs[sender].netns, ConfOf::All, Conf::ArpAnnounce, 2);
        cx.k.sockets.get_mut(id).expect("open").local.0 = ip("192.168.7.1");
        devinet_conf_proc(cx, router, ConfOf::Dev(dev), Conf::RpFilter, 1);
    });
    net.ping(id, "10.0.1.2", 56).expect("sent");
    net.run(5);
    assert!(net.drops().contains(&(DropReason::IpRpfilter, 1)), "{:?}", net.drops());
}

#[test]
fn an_address_brings_its_routes() {
    let net = chain(2);
    let show = |route: &RouteMsg| {
        format!("{:?} {}/{} {} {}", route.kind, route.dst, route.dst_len, route.table, route.scope.0)
    };
    let routes = dump_routes(net.world.kernel(MACHINE), net.netns[0]);
    assert_eq!(
        routes.iter().map(show).collect::<Vec<_>>(),
        ["Unicast 10.0.0.0/24 254 253", "Local 10.0.0.1/32 255 254", "Broadcast 10.0.0.255/32 255 253"]
    );
}

#[test]
fn what_a_route_is_refused_for() {
    let mut net = chain(2);
    let netns = net.netns[0];
    let mut check = |msg: RouteMsg, expected: Result<(), NlError>| {
        let done = net.enter(|cx| rtm_newroute(cx, netns, &msg, NEW));
        assert_eq!(done, expected, "{msg:?}");
    };
    let bad_gateway = |errno| Err(NlError::with(errno, "Nexthop has invalid gateway"));
    check(route_via("10.9.0.0/16", "172.16.0.1"), bad_gateway(Errno::ENETUNREACH));
    check(route_via("10.9.0.0/16", "10.0.0.255"), bad_gateway(Errno::EINVAL));
    check(route_via("10.7.0.0/16", "10.0.0.1"), Ok(()));
    check(route_via("10.9.0.0/16", "10.0.0.2"), Ok(()));
    check(route_via("10.9.0.0/16", "10.0.0.2"), Err(Errno::EEXIST.into()));
    let invalid = Err(NlError::with(Errno::EINVAL, "Invalid prefix for given prefix length"));
    check(route_via("10.9.0.1/16", "10.0.0.2"), invalid);
    let no_device = RouteMsg { scope: Scope::LINK, ..route_via("10.8.0.0/16", "x") };
    check(no_device, Err(Errno::ENODEV.into()));
}

/// What `ip route get` says, without `uid`.
fn show_answer(net: &Net, netns: NetnsId, answer: &RouteAnswer) -> String {
    let k = net.world.kernel(MACHINE);
    let name = |dev: DevId| k.devs[dev].name.clone();
    assert_eq!(k.devs[answer.oif.expect("a device")].netns, netns);
    let mut text = match answer.kind {
        RouteType::Unicast => String::new(),
        kind => format!("{kind:?} ").to_lowercase(),
    };
    text += &answer.dst.to_string();
    if !answer.src.is_unspecified() {
        text += &format!(" from {}", answer.src);
    }
    if let Some(via) = answer.via {
        text += &format!(" via {via}");
    }
    text += &format!(" dev {}", name(answer.oif.expect("a device")));
    if let Some(prefsrc) = answer.prefsrc.filter(|_| answer.src.is_unspecified()) {
        text += &format!(" src {prefsrc}");
    }
    let flags = [
        (RTCF_LOCAL, "local"),
        (RTCF_BROADCAST, "brd"),
        (RTCF_MULTICAST, "mc"),
        (RTCF_DOREDIRECT, "redirect"),
    ];
    let flags: Vec<&str> = flags.iter().filter(|flag| answer.rtcf & flag.0 != 0).map(|flag| flag.1).collect();
    if !flags.is_empty() {
        text += &format!(" <{}>", flags.join(","));
    }
    if answer.metrics.mtu() != 0 {
        text += &format!(" mtu {}", answer.metrics.mtu());
    }
    text
}

/// Answers of Linux 6.18 in the same network.
#[test]
fn routes_are_chosen_as_the_kernel_does() {
    let mut net = chain(3);
    let (a, b) = (net.netns[0], net.netns[1]);
    let (v0, v1) = (net.devs[0].1.expect("a device"), net.devs[1].0.expect("a device"));
    net.enter(|cx| {
        for ns in [a, b] {
            dev_open(cx, cx.k.netns[ns].loopback).expect("nothing keeps lo down");
        }
        add_addr(cx, v0, "10.0.0.11/24");
        add_addr(cx, cx.k.netns[a].loopback, "172.16.0.1/32");
        rtm_newroute(cx, a, &route_via("0.0.0.0/0", "10.0.0.2"), NEW).expect("a new route");
        let mut route = route_via("192.168.5.0/24", "10.0.0.2");
        (route.prefsrc, route.priority) = ("172.16.0.1".parse().ok(), 7);
        route.metrics.0[RTAX_MTU] = 1300;
        rtm_newroute(cx, a, &route, NEW).expect("a new route");
    });
    let mut check = |netns: NetnsId, query: RouteQuery, expected: Result<&str, Errno>| {
        let answer = net.enter(|cx| rtm_getroute(cx, netns, &query));
        let got = answer.map(|answer| show_answer(&net, netns, &answer)).map_err(|error| error.errno);
        assert_eq!(got, expected.map(str::to_owned), "{query:?}");
    };
    let to = |dst: &str| RouteQuery { dst: ip(dst), ..RouteQuery::default() };
    check(a, to("10.0.0.2"), Ok("10.0.0.2 dev v0 src 10.0.0.1"));
    check(a, to("10.0.0.1"), Ok("local 10.0.0.1 dev lo src 10.0.0.1 <local>"));
    check(a, to("10.0.0.255"), Ok("broadcast 10.0.0.255 dev v0 src 10.0.0.1 <local,brd>"));
    check(a, to("10.0.1.2"), Ok("10.0.1.2 via 10.0.0.2 dev v0 src 10.0.0.1"));
    check(a, to("192.168.5.1"), Ok("192.168.5.1 via 10.0.0.2 dev v0 src 172.16.0.1 mtu 1300"));
    check(a, to("127.0.0.2"), Ok("local 127.0.0.2 dev lo src 127.0.0.1 <local>"));
    check(a, to("224.0.0.1"), Ok("multicast 224.0.0.1 dev v0 src 10.0.0.1 <local,mc>"));
    check(a, to("255.255.255.255"), Ok("broadcast 255.255.255.255 dev v0 src 10.0.0.1 <local,brd>"));
    check(a, to("0.0.0.0"), Ok("local 0.0.0.0 dev lo src 127.0.0.1 <local>"));
    let from = |dst: &str, src: &str| RouteQuery { src: ip(src), ..to(dst) };
    check(a, from("8.8.8.8", "172.16.0.1"), Ok("8.8.8.8 from 172.16.0.1 via 10.0.0.2 dev v0"));
    check(a, from("8.8.8.8", "9.9.9.9"), Err(Errno::ENETUNREACH));
    let input = |dst: &str, src: &str| RouteQuery { iif: Some(v1), ..from(dst, src) };
    check(b, input("10.0.1.2", "10.0.0.1"), Ok("10.0.1.2 from 10.0.0.1 dev v1"));
    check(b, input("10.0.0.2", "10.0.0.1"), Ok("local 10.0.0.2 from 10.0.0.1 dev lo <local>"));
    check(b, input("10.0.0.99", "10.0.0.1"), Ok("10.0.0.99 from 10.0.0.1 dev v0-p <redirect>"));
    check(b, input("10.0.1.2", "10.0.0.2"), Err(Errno::EINVAL));
    check(b, input("99.0.1.2", "10.0.0.1"), Err(Errno::ENETUNREACH));
    check(b, input("10.0.1.255", "10.0.0.1"), Ok("broadcast 10.0.1.255 from 10.0.0.1 dev lo <local,brd>"));
}

#[test]
fn a_machine_answers_itself() {
    let mut net = chain(2);
    let lo = net.world.kernel(MACHINE).netns[net.netns[0]].loopback;
    net.enter(|cx| dev_open(cx, lo)).expect("nothing keeps lo down");
    let id = net.raw_socket(0);
    for own in ["127.0.0.1", "127.1.2.3", "10.0.0.1"] {
        net.ping(id, own, 56).expect("sent");
        assert_eq!(net.received(id), [(0, 0, own.parse().expect("an address"))]);
    }
    // Three requests and their answers, as Linux counts them on `lo`: without an Ethernet header.
    let stats = &net.world.kernel(MACHINE).devs[lo].stats;
    assert_eq!((stats.rx_packets, stats.rx_bytes, stats.tx_bytes), (6, 6 * 84, 6 * 84));
    assert_eq!(net.world.skbs.alive(), 0);
}

#[test]
fn a_router_stands_in_for_others_with_proxy_arp() {
    let mut net = chain(3);
    let (first, second) = (net.netns[0], net.devs[0].1.expect("a device"));
    // The sender takes everything to be on its link.
    let direct = RouteMsg {
        dst: ip("10.0.1.0"),
        dst_len: 25,
        scope: Scope::LINK,
        nexthops: vec![NexthopMsg { dev: Some(second), ..NexthopMsg::default() }],
        ..RouteMsg::default()
    };
    net.enter(|cx| rtm_newroute(cx, first, &direct, NEW)).expect("a new route");
    let id = net.raw_socket(0);
    net.ping(id, "10.0.1.2", 56).expect("sent");
    assert_eq!(net.received(id), []);
    net.run(5);
    net.conf(1, Conf::ProxyArp, 1);
    let at_once = net.devs[1].0.expect("a device");
    net.enter(|cx| cx.k.inet.get_mut(at_once).expect("an address").arp.proxy_delay = Nanos::ZERO);
    let (asks, out) = net.devs[1];
    let mut media = |ids: [i32; 2]| {
        for (dev, medium) in [asks, out].into_iter().flatten().zip(ids) {
            let netns = net.netns[1];
            net.enter(|cx| devinet_conf_proc(cx, netns, ConfOf::Dev(dev), Conf::MediumId, medium));
        }
        net.ping(id, "10.0.1.2", 56).expect("sent");
        net.run(20);
        !net.received(id).is_empty()
    };
    // One medium, or none where it stands in.
    assert_eq!([[3, 3], [-1, 0], [3, -1]].map(&mut media), [false; 3]);
    assert!(media([3, 4]));
    media([0, 0]);
    net.ping(id, "10.0.1.2", 56).expect("sent");
    assert!(net.received(id).contains(&(0, 0, Ipv4Addr::new(10, 0, 1, 2))));
    assert!(net.nud(0).contains(&(Ipv4Addr::new(10, 0, 1, 2), Nud::Reachable)));
}

#[test]
fn arp_ignore_and_static_neighbours() {
    let mut net = chain(2);
    net.conf(1, Conf::ArpIgnore, 8);
    let id = net.raw_socket(0);
    net.ping(id, "10.0.0.2", 56).expect("sent");
    assert_eq!(net.received(id), []);
    let (netns, dev, peer) =
        (net.netns[0], net.devs[0].1.expect("a device"), net.devs[1].0.expect("a device"));
    let lladdr = Some(net.world.kernel(MACHINE).devs[peer].addr);
    let msg =
        NeighMsg { dev, dst: [10, 0, 0, 2].into(), lladdr, state: Nud::Permanent, flags: 0, protocol: 0 };
    // What waited goes out at once.
    assert_eq!(net.enter(|cx| rtm_newneigh(cx, netns, &msg, NEW)), Err(Errno::EEXIST.into()));
    assert_eq!(net.enter(|cx| rtm_newneigh(cx, netns, &msg, NLM_F_CREATE | NLM_F_REPLACE)), Ok(()));
    assert_eq!(net.received(id), [(0, 0, Ipv4Addr::new(10, 0, 0, 2))]);
    assert_eq!(net.nud(0), [(Ipv4Addr::new(10, 0, 0, 2), Nud::Permanent)]);
    assert_eq!(net.enter(|cx| rtm_delneigh(cx, netns, &msg)), Ok(()));
    assert_eq!(net.enter(|cx| rtm_delneigh(cx, netns, &msg)), Err(Errno::ENOENT.into()));
}

#[test]
fn a_router_tells_of_a_better_one() {
    let mut net = chain(2);
    let (router, left) = (net.netns[1], net.netns[0]);
    let dev = net.devs[0].1.expect("a device");
    net.enter(|cx| {
        rtm_newroute(cx, left, &route_via("10.9.0.0/16", "10.0.0.2"), NEW).expect("a new route");
        rtm_newroute(cx, router, &route_via("10.9.0.0/16", "10.0.0.77"), NEW).expect("a new route");
        devinet_conf_proc(cx, left, ConfOf::All, Conf::AcceptRedirects, 1);
    });
    let id = net.raw_socket(0);
    net.ping(id, "10.9.0.1", 56).expect("sent");
    assert_eq!(net.received(id), [(5, 1, Ipv4Addr::new(10, 0, 0, 2))]);
    let query = RouteQuery { dst: ip("10.9.0.1"), ..RouteQuery::default() };
    // The first only starts the search for the better one's address.
    let answer = net.enter(|cx| rtm_getroute(cx, left, &query)).expect("a route");
    assert_eq!((answer.via, answer.expires), (Some(ip("10.0.0.2")), None));
    assert!(net.nud(0).contains(&(ip("10.0.0.77"), Nud::Incomplete)));
    let better = NeighMsg {
        dev,
        dst: ip("10.0.0.77"),
        lladdr: Some(Mac([2, 0, 0, 0, 0, 77])),
        state: Nud::Stale,
        flags: 0,
        protocol: 0,
    };
    net.enter(|cx| rtm_newneigh(cx, left, &better, NLM_F_CREATE | NLM_F_REPLACE)).expect("a neighbour");
    net.wait_until(1);
    net.ping(id, "10.9.0.1", 56).expect("sent");
    let answer = net.enter(|cx| rtm_getroute(cx, left, &query)).expect("a route");
    assert_eq!((answer.via, answer.oif), (Some(ip("10.0.0.77")), Some(dev)));
    let taken_at = net.world.now().0 / 1_000_000_000;
    assert_eq!(answer.expires, Some(300_000_000_000));
    net.wait_until(taken_at + 299);
    assert_eq!(net.enter(|cx| rtm_getroute(cx, left, &query)).expect("a route").via, Some(ip("10.0.0.77")));
    net.wait_until(taken_at + 302);
    assert_eq!(net.enter(|cx| rtm_getroute(cx, left, &query)).expect("a route").via, Some(ip("10.0.0.2")));
}

/// Timers run in ticks, and later the further they are away: a second takes up to 32 ms more, and three of them up to
/// 96 ms.
#[test]
fn a_neighbour_fails_after_three_seconds_and_a_bit() {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    net.ping(id, "10.0.0.9", 56).expect("sent");
    net.wait_until(3);
    assert_eq!(net.nud(0), [(ip("10.0.0.9"), Nud::Incomplete)]);
    let failed_at = loop {
        net.world.step().expect("no loop");
        if net.nud(0) == [(ip("10.0.0.9"), Nud::Failed)] {
            break net.world.now();
        }
    };
    assert!(failed_at > Nanos::from_millis(3000) && failed_at <= Nanos::from_millis(3096), "{failed_at:?}");
}

#[test]
fn routes_that_refuse() {
    let mut net = chain(3);
    let (sender, router) = (net.netns[0], net.netns[1]);
    let refuse = |kind, n: u8| RouteMsg {
        kind,
        dst: Ipv4Addr::new(10, 50 + n, 0, 0),
        dst_len: 16,
        ..RouteMsg::default()
    };
    let kinds = [RouteType::Blackhole, RouteType::Unreachable, RouteType::Prohibit, RouteType::Throw];
    net.enter(|cx| {
        rtm_newroute(cx, sender, &route_via("10.48.0.0/12", "10.0.0.2"), NEW).expect("a new route");
        for (n, kind) in kinds.into_iter().enumerate() {
            rtm_newroute(cx, router, &refuse(kind, n as u8), NEW).expect("a new route");
        }
    });
    let id = net.raw_socket(0);
    let from = Ipv4Addr::new(10, 0, 0, 2);
    for (n, expected) in
        [vec![], vec![(3, 1, from)], vec![(3, 13, from)], vec![(3, 0, from)]].iter().enumerate()
    {
        net.ping(id, &format!("10.{}.0.1", 50 + n), 56).expect("sent");
        assert_eq!(&net.received(id), expected);
        net.errors(id);
        // The router has told this sender enough for now.
        let later = net.world.now() + Nanos::from_secs(5);
        net.world.wake_at(later);
        net.run(later.0 / 1_000_000_000);
    }
    let own = net.raw_socket(1);
    let errno = [Errno::EINVAL, Errno::EHOSTUNREACH, Errno::EACCES, Errno::ENETUNREACH];
    for (n, errno) in errno.into_iter().enumerate() {
        assert_eq!(net.ping(own, &format!("10.{}.0.1", 50 + n), 56), Err(errno));
    }
}

#[test]
fn errors_are_told_at_a_limited_rate() {
    let mut net = chain(2);
    let (id, closed) = (net.raw_socket(0), net.udp(0, 4000));
    for _ in 0..20 {
        net.enter(|cx| sendto(cx, closed, SendTo::Inet(ip("10.0.0.2"), 9), b"hello")).expect("sent");
    }
    // Six at once for one destination, then one a second.
    assert_eq!(net.received(id), vec![(3, 3, Ipv4Addr::new(10, 0, 0, 2)); 6]);
    assert_eq!((net.snmp(1).udp.NoPorts, net.snmp(1).icmp.OutMsgs), (20, 6));
    assert_eq!(net.drops().last(), Some(&(DropReason::NoSocket, 20)).filter(|_| net.drops().len() == 1));
}

#[test]
fn datagrams_arrive() {
    let mut net = chain(3);
    let (client, server) = (net.udp(0, 0), net.udp(2, 53));
    net.enter(|cx| sendto(cx, client, SendTo::Inet(ip("10.0.1.2"), 53), b"question")).expect("sent");
    let got = net.enter(|cx| recv(cx, server)).expect("no error").expect("a datagram");
    assert_eq!((&got.data[..], got.from.0), (&b"question"[..], ip("10.0.0.1")));
    net.enter(|cx| sendto(cx, server, SendTo::Inet(got.from.0, got.from.1), &[7; 3000])).expect("sent");
    let got = net.enter(|cx| recv(cx, client)).expect("no error").expect("a datagram");
    assert_eq!((got.data.len(), got.from), (3000, (ip("10.0.1.2"), 53)));
    assert_eq!(net.world.skbs.alive(), 0);
}

#[test]
fn a_connected_socket_keeps_its_route_as_long_as_it_holds() {
    let mut net = chain(3);
    let (id, _server) = (net.udp(0, 1000), net.udp(2, 9));
    net.world.trace.level = Level::Doors;
    let lookups = |net: &mut Net| {
        net.world.trace.steps.clear();
        let sent = net.enter(|cx| sendto(cx, id, SendTo::Connected, b"x"));
        let is_lookup = |step: &&Step| step.func == Func::IpRouteOutputFlow;
        (sent, net.world.trace.steps.iter().filter(is_lookup).count())
    };
    assert_eq!(lookups(&mut net), (Err(Errno::ENOTCONN), 0));
    net.enter(|cx| inet_connect(cx, id, ip("10.0.1.2"), 9)).expect("a route");
    assert_eq!(lookups(&mut net), (Ok(1), 0));
    let routes = net.netns[0];
    net.enter(|cx| rtm_newroute(cx, routes, &route_via("10.0.1.2/32", "10.0.0.2"), NEW))
        .expect("a new route");
    assert_eq!(lookups(&mut net), (Ok(1), 1));
    assert_eq!(lookups(&mut net), (Ok(1), 0));
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.tos = 8);
    assert_eq!(lookups(&mut net), (Ok(1), 1));
    let sender = net.devs[0].1.expect("a device");
    let down = LinkSet { up: Some(false), ..LinkSet::default() };
    net.enter(|cx| do_setlink(cx, sender, down)).expect("down");
    assert_eq!(lookups(&mut net), (Err(Errno::ENETUNREACH), 1));
}

#[test]
fn a_missing_fragment_is_told_after_thirty_seconds() {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    net.ping(id, "10.0.0.2", 10).expect("sent");
    net.received(id);
    // The first half of a packet, with a header of the program's own.
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.hdrincl = true);
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0x20, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend_from_slice(&echo_request(1, 56));
    net.enter(|cx| sendto(cx, id, SendTo::Inet(ip("10.0.0.2"), 0), &packet)).expect("sent");
    net.run(29);
    assert_eq!(net.received(id), []);
    net.run(31);
    assert_eq!(net.received(id), [(11, 1, Ipv4Addr::new(10, 0, 0, 2))]);
    assert_eq!((net.snmp(1).ip.ReasmTimeout, net.snmp(1).ip.ReasmFails), (1, 1));
    assert!(net.drops().contains(&(DropReason::NotSpecified, 1)));
    assert_eq!(net.world.skbs.alive(), 0);
}

#[test]
fn everybody_answers_a_broadcast_that_may() {
    let mut net = chain(2);
    let id = net.raw_socket(0);
    assert_eq!(net.ping(id, "10.0.0.255", 56), Err(Errno::EACCES));
    net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.broadcast = true);
    net.ping(id, "10.0.0.255", 56).expect("sent");
    assert_eq!(net.received(id), []);
    let netns = net.netns[1];
    let answers = icmp::SYSCTLS.row("icmp_echo_ignore_broadcasts").expect("a row");
    net.enter(|cx| answers.write(cx, At { netns, of: ConfOf::All }, 0)).expect("in range");
    net.ping(id, "10.0.0.255", 56).expect("sent");
    assert_eq!(net.received(id), [(0, 0, Ipv4Addr::new(10, 0, 0, 2))]);
}

/// The `n`th address after one.
fn after(text: &str, n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(ip(text).to_bits() + n)
}

#[test]
fn multipath_shares_by_weight() {
    let mut net = chain(3);
    let (router, left, right) =
        (net.netns[1], net.devs[1].0.expect("a device"), net.devs[1].1.expect("a device"));
    let hop = |via: &str, weight| NexthopMsg { via: via.parse().ok(), weight, ..NexthopMsg::default() };
    let msg = RouteMsg {
        dst: ip("10.64.0.0"),
        dst_len: 10,
        nexthops: vec![hop("10.0.0.1", 1), hop("10.0.1.2", 3)],
        ..RouteMsg::default()
    };
    net.enter(|cx| rtm_newroute(cx, router, &msg, NEW)).expect("a new route");
    let mut count = [0; 2];
    for n in 0..1000 {
        let query = RouteQuery { dst: after("10.64.0.0", n * 7), ..RouteQuery::default() };
        let oif = net.enter(|cx| rtm_getroute(cx, router, &query)).expect("a route").oif;
        count[usize::from(oif == Some(right))] += 1;
        assert!(oif == Some(left) || oif == Some(right));
    }
    assert!((200..300).contains(&count[0]), "{count:?}");
}

#[test]
fn policy_rules_choose_the_table() {
    let mut net = chain(3);
    let netns = net.netns[1];
    let in_table = RouteMsg { table: 100, ..route_via("0.0.0.0/0", "10.0.1.2") };
    let rule = RuleMsg { priority: Some(10), src: (ip("10.0.0.0"), 24), table: 100, ..RuleMsg::default() };
    net.enter(|cx| {
        rtm_newroute(cx, netns, &in_table, NEW).expect("a new route");
        rtm_newrule(cx, netns, &rule, NEW).expect("a new rule");
        assert_eq!(rtm_newrule(cx, netns, &rule, NEW), Err(Errno::EEXIST.into()));
    });
    let ask = |net: &mut Net, src: &str| {
        let query = RouteQuery { dst: ip("8.8.8.8"), src: ip(src), ..RouteQuery::default() };
        let answer = net.enter(|cx| rtm_getroute(cx, netns, &query));
        answer.map(|answer| (answer.table, answer.via)).map_err(|error| error.errno)
    };
    assert_eq!(ask(&mut net, "10.0.0.2"), Ok((100, Some(ip("10.0.1.2")))));
    assert_eq!(ask(&mut net, "10.0.1.1"), Err(Errno::ENETUNREACH));
    net.enter(|cx| rtm_delrule(cx, netns, &rule)).expect("the rule");
    assert_eq!(ask(&mut net, "10.0.0.2"), Err(Errno::ENETUNREACH));
    assert_eq!(net.enter(|cx| rtm_delrule(cx, netns, &rule)), Err(Errno::ENOENT.into()));
}

/// The next hop of a packet that comes in at the router of [`chain`], as `ip route get` asks.
fn hop(net: &mut Net, (src, dst): (Ipv4Addr, Ipv4Addr), proto: u8, (sport, dport): (u16, u16)) -> Ipv4Addr {
    let (router, iif) = (net.netns[1], net.devs[1].0);
    let query = RouteQuery { dst, src, iif, ip_proto: proto, sport, dport, ..RouteQuery::default() };
    net.enter(|cx| rtm_getroute(cx, router, &query)).expect("a route").via.expect("a gateway")
}

fn two_ways() -> Net {
    let mut net = chain(3);
    let router = net.netns[1];
    let hop = |via: &str| NexthopMsg { via: via.parse().ok(), weight: 1, ..NexthopMsg::default() };
    for dst in ["10.64.0.0", "10.128.0.0"] {
        let nexthops = ["10.0.1.2", "10.0.1.3"].map(hop).into();
        let msg = RouteMsg { dst: ip(dst), dst_len: 10, nexthops, ..RouteMsg::default() };
        net.enter(|cx| rtm_newroute(cx, router, &msg, NEW)).expect("a new route");
    }
    net
}

/// As Linux 6.18 answers to `ip route get`, but for which of the two it is.
#[test]
fn both_ways_of_a_pair_of_hosts_take_the_same_next_hop() {
    let mut net = two_ways();
    for n in 1..50 {
        let (a, b) = (after("10.64.0.0", n), after("10.128.0.0", n));
        let there = hop(&mut net, (a, b), 17, (7, 9));
        assert_eq!(hop(&mut net, (b, a), 17, (9, 7)), there);
        assert_eq!(hop(&mut net, (a, b), 6, (n as u16, 53)), there, "ports do not count");
    }
}

/// As Linux 6.1 answered to `ip route get`, with the key that its memory held.
#[test]
fn the_hash_is_the_kernels() {
    let mut net = chain(2);
    let (netns, hop) =
        (net.netns[0], |via: &str| NexthopMsg { via: via.parse().ok(), ..NexthopMsg::default() });
    let nexthops = ["10.0.0.2", "10.0.0.3"].map(hop).into();
    let msg = RouteMsg { dst: ip("10.9.0.0"), dst_len: 16, nexthops, ..RouteMsg::default() };
    net.enter(|cx| {
        cx.k.config.flow_hash_key = [0x0ab4_bdbb_c809_173a, 0xfe6a_1409_c853_1939];
        rtm_newroute(cx, netns, &msg, NEW).expect("a new route");
    });
    let taken = (1..=8).map(|n| {
        let query = RouteQuery { dst: after("10.9.0.0", n), src: ip("10.0.0.1"), ..RouteQuery::default() };
        let answer = net.enter(|cx| rtm_getroute(cx, netns, &query)).expect("a route");
        answer.via.expect("a gateway").octets()[3]
    });
    assert_eq!(taken.collect::<Vec<u8>>(), [2, 3, 2, 3, 2, 2, 3, 3]);
}

/// As Linux 6.18 answers to `ip route get`, but for which of the two it is.
#[test]
fn with_hash_policy_1_ports_count() {
    let (mut net, mut others) = (two_ways(), [0; 2]);
    let policy = route_multipath::SYSCTLS.row("fib_multipath_hash_policy").expect("a row");
    let at = At { netns: net.netns[1], of: ConfOf::All };
    for (value, answer) in [(4, Err(Errno::EINVAL)), (2, Err(Errno::EOPNOTSUPP)), (1, Ok(()))] {
        assert_eq!(net.enter(|cx| policy.write(cx, at, value)), answer, "{value}");
    }
    for n in 1..200 {
        let (a, b) = (after("10.64.0.0", n), after("10.128.0.0", n));
        let there = hop(&mut net, (a, b), 17, (100, 200));
        assert_eq!(hop(&mut net, (b, a), 17, (200, 100)), there, "both ways are one");
        assert_eq!(hop(&mut net, (a, b), 17, (200, 100)), there, "ports are sorted by themselves");
        others[0] += u32::from(hop(&mut net, (a, b), 17, (101, 200)) != there);
        others[1] += u32::from(hop(&mut net, (a, b), 6, (100, 200)) != there);
    }
    assert!(others.iter().all(|count| (70..130).contains(count)), "{others:?}");
}

/// `icmp_ignore_bogus_error_responses` off: an error about a broadcast is told to nobody but the log.
#[test]
fn an_error_about_a_broadcast_is_bogus() {
    let mut net = chain(2);
    let (sender, hears) = (net.raw_socket(0), net.raw_socket(1));
    let at = At { netns: net.netns[1], of: ConfOf::All };
    let row = icmp::SYSCTLS.row("icmp_ignore_bogus_error_responses").expect("a setting");
    net.enter(|cx| cx.k.sockets.get_mut(hears).expect("open").opts.icmp_filter = 0);
    let mut send = |to: &str, value: i64| {
        net.enter(|cx| row.write(cx, at, value)).expect("a setting");
        let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0];
        message.extend_from_slice(&ip("10.0.0.2").octets());
        message.extend_from_slice(&ip(to).octets());
        message.extend_from_slice(&[8, 0, 0, 0, 0, 0, 0, 0]);
        let check = glassnet_wire::checksum::checksum(&message);
        message[2..4].copy_from_slice(&check.to_be_bytes());
        net.enter(|cx| sendto(cx, sender, SendTo::Inet(ip("10.0.0.2"), 0), &message)).expect("sent");
        net.errors(hears).len()
    };
    assert_eq!(
        [("10.0.0.255", 1), ("10.0.0.9", 0), ("10.0.0.255", 0)].map(|(to, value)| send(to, value)),
        [1, 1, 0]
    );
    let log: Vec<&str> = net.world.kernel(MACHINE).log.lines().map(|line| line.text.as_str()).collect();
    let logged = "10.0.0.1 sent an invalid ICMP type 3, code 1 error to a broadcast: 10.0.0.255 on v0-p";
    assert_eq!(log, [logged]);
}
