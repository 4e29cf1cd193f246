//! What is learnt of paths beside the routes, who gets packets to groups and bound sockets, and rules that are refused.

use glassnet_kernel::door::Func;
use glassnet_kernel::net::core::neighbour::{rtm_delneigh, rtm_newneigh};
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::af_inet::{inet_bind, inet_connect};
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::fib_rules::rtm_newrule;
use glassnet_kernel::net::ipv4::route;
use glassnet_kernel::net::ipv4::route_errors::ip_rt_update_pmtu;
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::net::socket::{SendTo, recv, sendto};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::sysctl::At;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::route_types::{
    NexthopMsg, RouteMsg, RouteQuery, RouteType, RuleAction, RuleMsg,
};
use glassnet_kernel::tables::socket::PmtuDisc;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::trace::Level;
use glassnet_wire::Mac;

use crate::net::{NEW, Net, chain, ip};

/// Namespace `n` learns of a path MTU to an address by its device to the right.
fn learn(net: &mut Net, n: usize, address: &str, mtu: u32) {
    let (netns, dev) = (net.netns[n], net.devs[n].1.expect("a device"));
    net.enter(|cx| ip_rt_update_pmtu(cx, netns, dev, ip(address), mtu));
}

/// `fnhe_update_pmtu`: a path is no wider than its device, and one that was as wide as the device stays so; one that was narrower
/// than `min_pmtu` is so until the device is narrower.
#[test]
fn a_path_mtu_follows_its_device() {
    for (told, to, known) in [
        (1400, 1300, 1300),
        (1400, 1450, 1400),
        (1400, 9000, 1400),
        (1500, 9000, 9000),
        (1500, 1300, 1300),
        (500, 9000, 552),
        (500, 540, 540),
    ] {
        let mut net = chain(2);
        learn(&mut net, 0, "10.0.0.2", told);
        let (netns, dev) = (net.netns[0], net.devs[0].1.expect("a device"));
        let answer = net.enter(|cx| {
            do_setlink(cx, dev, LinkSet { mtu: Some(to), ..LinkSet::default() }).expect("an MTU");
            rtm_getroute(cx, netns, &RouteQuery { dst: ip("10.0.0.2"), ..RouteQuery::default() })
        });
        assert_eq!(answer.expect("a route").metrics.mtu(), known, "{told} was told, the device has {to}");
    }
}

/// What a router sent on before does not hide a route that came since, even if another path was learnt in between.
#[test]
fn a_router_takes_a_new_route_at_once() {
    let mut net = chain(3);
    let (router, id) = (net.netns[1], net.raw_socket(0));
    let hears = |net: &mut Net| {
        net.ping(id, "10.0.1.2", 8).expect("sent");
        net.received(id).iter().map(|message| (message.0, message.1)).collect::<Vec<_>>()
    };
    assert_eq!(hears(&mut net), [(0, 0)]);
    let refused =
        RouteMsg { kind: RouteType::Unreachable, dst: ip("10.0.1.2"), dst_len: 32, ..RouteMsg::default() };
    net.enter(|cx| rtm_newroute(cx, router, &refused, NEW)).expect("a new route");
    learn(&mut net, 1, "10.0.1.77", 1400);
    assert_eq!(hears(&mut net), [(3, 1)]);
}

/// `ip_dst_mtu_maybe_forward`: a router does not believe what it is told of a path, for the packets of others, unless
/// `ip_forward_use_pmtu` says so.
#[test]
fn a_router_sends_on_whatever_it_learnt_of_the_path() {
    for (believes, answer) in [(0, (0, 0)), (1, (3, 4))] {
        let mut net = chain(3);
        let at = At { netns: net.netns[1], of: ConfOf::All };
        let row = route::SYSCTLS.row("ip_forward_use_pmtu").expect("a setting");
        net.enter(|cx| row.write(cx, at, believes)).expect("in range");
        learn(&mut net, 1, "10.0.1.2", 1000);
        let id = net.raw_socket(0);
        net.enter(|cx| cx.k.sockets.get_mut(id).expect("open").opts.pmtudisc = PmtuDisc::Do);
        net.ping(id, "10.0.1.2", 1400).expect("sent");
        let heard = net.received(id);
        assert_eq!(heard.iter().map(|heard| (heard.0, heard.1)).collect::<Vec<_>>(), [answer], "{believes}");
    }
}

/// A datagram to a group comes back to its own host only if that listens to the group; one that no socket wants is counted, and
/// nobody is told.
#[test]
fn datagrams_to_a_group() {
    let mut net = chain(2);
    let (left, dev) = (net.netns[0], net.devs[0].1);
    let nexthops = vec![NexthopMsg { dev, ..NexthopMsg::default() }];
    let groups = RouteMsg {
        kind: RouteType::Unicast,
        dst: ip("224.0.0.0"),
        dst_len: 4,
        nexthops,
        ..RouteMsg::default()
    };
    net.enter(|cx| rtm_newroute(cx, left, &groups, NEW)).expect("a new route");
    let id = net.udp(0, 1000);
    net.world.trace.level = Level::Doors;
    // Every host listens to 224.0.0.1.
    for (group, returned, arrived) in [("239.1.1.1", 0, 0), ("224.0.0.1", 1, 1), ("239.1.1.1", 1, 1)] {
        net.world.trace.steps.clear();
        net.enter(|cx| sendto(cx, id, SendTo::Inet(ip(group), 9), b"all")).expect("sent");
        let mut steps = net.world.trace.steps.iter();
        assert_eq!(steps.any(|step| step.func == Func::IpMcOutput), group == "224.0.0.1", "{group}");
        net.pass(100);
        let ignored = |n: usize| (net.snmp(n).ip_ext.InMcastPkts, net.snmp(n).udp.IgnoredMulti);
        assert_eq!(ignored(0), (returned, returned), "{group}");
        assert_eq!(ignored(1).1, arrived, "{group}");
    }
    assert_eq!((net.snmp(1).udp.NoPorts, net.snmp(1).icmp.OutMsgs), (0, 0));
}

/// `raw_v4_match`: a raw socket gets what came to its own address, and from the address that it is connected to.
#[test]
fn a_raw_socket_gets_packets_of_its_own_addresses() {
    for (bound, peer, count) in [
        (None, None, 1),
        (Some("10.0.0.2"), None, 1),
        (Some("10.0.0.3"), None, 0),
        (None, Some("10.0.0.1"), 1),
        (None, Some("10.0.0.7"), 0),
        (Some("10.0.0.2"), Some("10.0.0.1"), 1),
        (Some("10.0.0.2"), Some("10.0.0.7"), 0),
        (Some("10.0.0.3"), Some("10.0.0.1"), 0),
    ] {
        let mut net = chain(2);
        let second = net.devs[1].0.expect("a device");
        net.enter(|cx| crate::net::add_addr(cx, second, "10.0.0.3/24"));
        let (sender, hears) = (net.raw_socket(0), net.raw_socket(1));
        net.enter(|cx| {
            cx.k.sockets.get_mut(hears).expect("open").opts.icmp_filter = 0;
            if let Some(address) = bound {
                inet_bind(cx, hears, ip(address), 0).expect("an own address");
            }
            if let Some(address) = peer {
                inet_connect(cx, hears, ip(address), 0).expect("a route");
            }
        });
        net.ping(sender, "10.0.0.2", 8).expect("sent");
        let heard = net.enter(|cx| std::iter::from_fn(|| recv(cx, hears).ok().flatten()).count());
        assert_eq!(heard, count, "bound to {bound:?}, connected to {peer:?}");
    }
}

/// `fib_nl_newrule`: the table of an L3 master is not one that the rule names.
#[test]
fn a_rule_names_a_table_or_leaves_it_to_the_master() {
    let mut net = chain(2);
    let netns = net.netns[0];
    for (l3mdev, table, action, errno) in [
        (true, 0, RuleAction::ToTable, None),
        (true, 100, RuleAction::ToTable, Some(Errno::EINVAL)),
        (true, 100, RuleAction::Prohibit, Some(Errno::EINVAL)),
        (false, 100, RuleAction::ToTable, None),
        (false, 0, RuleAction::Prohibit, None),
    ] {
        let rule = RuleMsg { priority: Some(10), table, l3mdev, action, ..RuleMsg::default() };
        let answer = net.enter(|cx| rtm_newrule(cx, netns, &rule, NEW));
        assert_eq!(
            answer.err().map(|error| error.errno),
            errno,
            "l3mdev {l3mdev}, table {table}, {action:?}"
        );
    }
}

/// A connected socket sends to its own peer, even if that was forgotten and another neighbour became known since.
#[test]
fn a_neighbour_that_was_forgotten_is_asked_for_again() {
    let mut net = chain(2);
    let (sender, hears) = (net.udp(0, 1000), net.udp(1, 9));
    let (netns, dev) = (net.netns[0], net.devs[0].1.expect("a device"));
    let entry = |dst: &str| NeighMsg {
        dev,
        dst: ip(dst),
        lladdr: Some(Mac([2, 0, 0, 0, 0, 77])),
        state: Nud::Permanent,
        flags: 0,
        protocol: 0,
    };
    net.enter(|cx| inet_connect(cx, sender, ip("10.0.0.2"), 9)).expect("a route");
    for send in 1..=3 {
        net.enter(|cx| sendto(cx, sender, SendTo::Connected, b"x")).expect("sent");
        net.pass(100);
        let heard = net.enter(|cx| std::iter::from_fn(|| recv(cx, hears).ok().flatten()).count());
        assert_eq!(heard, 1, "datagram {send}");
        if send == 2 {
            net.enter(|cx| {
                rtm_delneigh(cx, netns, &entry("10.0.0.2")).expect("it is known");
                rtm_newneigh(cx, netns, &entry("10.0.0.77"), NEW).expect("a neighbour");
            });
        }
    }
}
