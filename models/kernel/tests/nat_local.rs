//! NAT of what the router itself sends, and what becomes of its programs' calls.

mod packets;
mod router;

use std::net::Ipv4Addr;

use glassnet_kernel::ids::SocketId;
use glassnet_kernel::net::ipv4::af_inet::inet_bind;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::fib_rules::rtm_newrule;
use glassnet_kernel::net::ipv4::netfilter::ipt_reject::Reject;
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::xt_ct::Notrack;
use glassnet_kernel::net::netfilter::xt_mark::MarkTg;
use glassnet_kernel::net::netfilter::xt_nat::{Dnat, Masquerade, Redirect};
use glassnet_kernel::net::socket::{SendTo, recv, sendto, socket};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netfilter::Hook;
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, RouteType, RuleAction, RuleMsg};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::xt::{Action, AddrMask, IpMatch, Rule, TableName, Target};
use packets::{UDP, echo, ip, tcp, udp};
use router::{INSIDE, NEW, OUTSIDE, Router, one, rule, shown, to};

impl Router {
    fn client(&mut self, port: u16) -> SocketId {
        let netns = self.netns;
        self.enter(|cx| {
            let id = socket(cx, netns, SockKind::Udp);
            inet_bind(cx, id, Ipv4Addr::UNSPECIFIED, port).expect("a free port");
            id
        })
    }

    fn says(&mut self, id: SocketId, to: &str, port: u16) -> Result<usize, Errno> {
        self.enter(|cx| sendto(cx, id, SendTo::Inet(ip(to), port), b"hello"))
    }
}

fn destined(address: &str) -> IpMatch {
    IpMatch {
        dst: AddrMask { addr: ip(address), mask: Ipv4Addr::BROADCAST, invert: false },
        proto: (UDP, false),
        ..IpMatch::default()
    }
}

/// The source was chosen for the first route, and stays.
#[test]
fn dnat_on_output_routes_anew() {
    let mut router = Router::new();
    let target = Target::new(Dnat(to("10.1.0.5", "10.1.0.5")));
    router.rules(TableName::Nat, vec![(Hook::LocalOut, rule(destined("192.0.2.1"), target))]);
    let id = router.client(4000);
    assert_eq!(router.says(id, "192.0.2.1", 53), Ok(5));
    let seen = router.seen(&[]);
    assert_eq!(one(&seen), (INSIDE, "10.2.0.254:4000>10.1.0.5:53".to_owned()));
    router.send(INSIDE, &udp("10.1.0.5", 53, "10.2.0.254", 4000, b"answer"));
    let got = router.enter(|cx| recv(cx, id)).expect("no error").expect("an answer");
    assert_eq!(got.from, (ip("192.0.2.1"), 53));
}

#[test]
fn a_mark_of_mangle_output_routes_anew() {
    let mut router = Router::new();
    let netns = router.netns;
    router.enter(|cx| {
        let via = |gateway: &str| NexthopMsg { via: gateway.parse().ok(), ..NexthopMsg::default() };
        let route = RouteMsg {
            kind: RouteType::Unicast,
            table: 100,
            protocol: 3,
            nexthops: vec![via("10.1.0.1")],
            ..RouteMsg::default()
        };
        rtm_newroute(cx, netns, &route, NEW).expect("a route");
        let rule = RuleMsg { priority: Some(10), mark: 7, table: 100, ..RuleMsg::default() };
        rtm_newrule(cx, netns, &rule, NEW).expect("a rule");
    });
    let target = Target::new(MarkTg { mark: 7, mask: u32::MAX });
    router.rules(TableName::Mangle, vec![(Hook::LocalOut, rule(destined("192.0.2.1"), target))]);
    let id = router.client(4000);
    router.says(id, "192.0.2.1", 53).expect("sent");
    router.says(id, "192.0.2.2", 53).expect("sent");
    let seen = router.seen(&[]);
    assert_eq!(
        shown(&seen),
        [
            (INSIDE, "10.2.0.254:4000>192.0.2.1:53".to_owned()),
            (OUTSIDE, "10.2.0.254:4000>192.0.2.2:53".to_owned())
        ]
    );
}

#[test]
fn redirect_leads_to_this_machine() {
    let mut router = Router::new();
    let range = NatRange { ports: Some((5353, 5353)), ..NatRange::default() };
    let redirect = || rule(destined("192.0.2.1"), Target::new(Redirect(range)));
    router.rules(TableName::Nat, vec![(Hook::PreRouting, redirect()), (Hook::LocalOut, redirect())]);
    let (server, client) = (router.client(5353), router.client(4000));
    router.send(INSIDE, &udp("10.1.0.1", 4000, "192.0.2.1", 53, b"question"));
    let got = router.enter(|cx| recv(cx, server)).expect("no error").expect("a question");
    assert_eq!((got.from, got.to), ((ip("10.1.0.1"), 4000), ip("10.1.0.254")));
    router.says(server, "10.1.0.1", 4000).expect("sent");
    let seen = router.seen(&[]);
    let answer = "192.0.2.1:53>10.1.0.1:4000".to_owned();
    assert_eq!(shown(&seen).last(), Some(&(INSIDE, answer)));
    router.says(client, "192.0.2.1", 53).expect("sent");
    let got = router.enter(|cx| recv(cx, server)).expect("no error").expect("a question");
    assert_eq!((got.from, got.to), ((ip("10.2.0.254"), 4000), Ipv4Addr::LOCALHOST));
}

/// A connection from inside has the router's address and port; a program with the same port gets another.
#[test]
fn a_program_gives_way_to_a_masqueraded_connection() {
    let mut router = Router::new();
    let inside = IpMatch {
        src: AddrMask { addr: ip("10.1.0.0"), mask: ip("255.255.255.0"), invert: false },
        ..IpMatch::default()
    };
    let masquerade = Target::new(Masquerade(NatRange::default()));
    router.rules(TableName::Nat, vec![(Hook::PostRouting, rule(inside, masquerade))]);
    let there = udp("10.1.0.1", 4500, "10.2.0.1", 53, b"a");
    assert_eq!(one(&router.send(INSIDE, &there)).1, "10.2.0.254:4500>10.2.0.1:53");
    let id = router.client(4500);
    router.says(id, "10.2.0.1", 53).expect("sent");
    let seen = router.seen(&[]);
    let (side, sent) = one(&seen);
    assert!(
        side == OUTSIDE && sent.starts_with("10.2.0.254:") && sent != "10.2.0.254:4500>10.2.0.1:53",
        "{sent}"
    );
}

#[test]
fn what_is_dropped_on_its_way_out_fails_the_call() {
    let drop = |ip| Rule { action: Action::Drop, ..rule(ip, Target::new(Notrack)) };
    let mut router = Router::new();
    router.rules(TableName::Filter, vec![(Hook::LocalOut, drop(destined("10.2.0.1")))]);
    let id = router.client(4000);
    assert_eq!(router.says(id, "10.2.0.1", 53), Err(Errno::EPERM));
    assert_eq!(router.says(id, "10.2.0.2", 53), Ok(5));
    router.rules(TableName::Mangle, vec![(Hook::PostRouting, drop(destined("10.2.0.2")))]);
    assert_eq!(router.says(id, "10.2.0.2", 53), Err(Errno::EPERM));
    let reject = Target::new(Reject::Icmp(3));
    router.rules(TableName::Filter, vec![(Hook::LocalOut, rule(destined("10.2.0.3"), reject))]);
    assert_eq!(router.says(id, "10.2.0.3", 53), Err(Errno::EPERM));
    assert_eq!(shown(&router.seen(&[])), [(OUTSIDE, "10.2.0.254:4000>10.2.0.2:53".to_owned())]);
    let snmp = &router.world.kernel(glassnet_kernel::ids::MachineId(0)).netns[router.netns].ipv4.snmp;
    assert_eq!((snmp.ip.OutDiscards, snmp.udp.OutDatagrams), (3, 1));
}

/// Rules change the destination or the mark, and there is no way for that: the call returns what routing said.
#[test]
fn a_packet_that_cannot_be_routed_anew_fails_the_call() {
    let mut router = Router::new();
    let netns = router.netns;
    router.enter(|cx| {
        let route = |kind, dst: &str| RouteMsg { kind, dst: ip(dst), dst_len: 32, ..RouteMsg::default() };
        for (kind, dst) in [(RouteType::Prohibit, "10.9.0.1"), (RouteType::Unreachable, "10.9.0.2")] {
            rtm_newroute(cx, netns, &route(kind, dst), NEW).expect("a route");
        }
        let rule =
            RuleMsg { priority: Some(10), mark: 7, action: RuleAction::Prohibit, ..RuleMsg::default() };
        rtm_newrule(cx, netns, &rule, NEW).expect("a rule");
    });
    let id = router.client(4000);
    for (to_address, errno) in [("10.9.0.1", Errno::EACCES), ("10.9.0.2", Errno::EHOSTUNREACH)] {
        let target = Target::new(Dnat(to(to_address, to_address)));
        router.rules(TableName::Nat, vec![(Hook::LocalOut, rule(destined("10.2.0.1"), target))]);
        assert_eq!(router.says(id, "10.2.0.1", 53), Err(errno), "{to_address}");
    }
    let target = Target::new(MarkTg { mark: 7, mask: u32::MAX });
    router.rules(TableName::Mangle, vec![(Hook::LocalOut, rule(destined("10.2.0.5"), target))]);
    assert_eq!(router.says(id, "10.2.0.5", 53), Err(Errno::EACCES));
    let snmp = &router.world.kernel(glassnet_kernel::ids::MachineId(0)).netns[router.netns].ipv4.snmp;
    assert_eq!((snmp.ip.OutDiscards, snmp.udp.OutDatagrams), (3, 0));
}

/// As Linux 6.18 counts: what `ip_send_skb` was given, also by ICMP and for resets; not TCP's own segments.
#[test]
fn answers_that_are_dropped_on_their_way_out_are_counted() {
    let mut router = Router::new();
    let drop = Rule { action: Action::Drop, ..rule(IpMatch::default(), Target::new(Notrack)) };
    router.rules(TableName::Filter, vec![(Hook::LocalOut, drop.clone())]);
    let discards = |router: &Router| {
        router.world.kernel(glassnet_kernel::ids::MachineId(0)).netns[router.netns].ipv4.snmp.ip.OutDiscards
    };
    for (packet, expected) in [
        (echo("10.1.0.1", "10.1.0.254", 8, 7), 1),
        (udp("10.1.0.1", 4000, "10.1.0.254", 53, b"a"), 2),
        (tcp("10.1.0.1", 4000, "10.1.0.254", 80, 2, 7), 3),
    ] {
        assert_eq!(shown(&router.send(INSIDE, &packet)), []);
        assert_eq!(discards(&router), expected);
    }
    router.rules(TableName::Filter, vec![(Hook::Forward, drop)]);
    router.send(INSIDE, &udp("10.1.0.1", 4000, "10.2.0.1", 53, b"a"));
    assert_eq!(discards(&router), 3, "what is forwarded is not sent");
}
