//! IPVS in a router: a client inside, servers outside, and a service at 10.9.0.1.

mod packets;
mod router;

use glassnet_kernel::ids::MachineId;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::fib_rules::rtm_newrule;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_core::ip_vs_init;
use glassnet_kernel::net::netfilter::ipvs::ip_vs_ctl::{self, ip_vs_add_dest, ip_vs_add_service};
use glassnet_kernel::net::netfilter::xt_ipvs::Ipvs;
use glassnet_kernel::sysctl::At;
use glassnet_kernel::tables::ip_vs::svc::{DestSpec, SVC_F_PERSISTENT, ServiceSpec, SvcKey, TunType};
use glassnet_kernel::tables::netfilter::Hook;
use glassnet_kernel::tables::route_types::{RuleAction, RuleMsg};
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::tables::xt::{Action, Counters, IpMatch, Match, Rule, TableName};
use glassnet_sim::Nanos;
use glassnet_wire::ipv4::ip_send_check;
use packets::{ICMP, TCP, UDP, ip, ipv4, show, tcp, udp, with_check};
use router::{INSIDE, OUTSIDE, Router, add_addr, one};

const CLIENT: &str = "10.1.0.1";
const SERVICE: &str = "10.9.0.1";
const SERVER: &str = "10.2.0.5";

/// How packets get to a server (`IP_VS_CONN_F_*`).
const MASQ: u32 = 0;
const TUNNEL: u32 = 2;
const DROUTE: u32 = 3;

/// A router with a service of a protocol and port, and servers that it chooses in turn; `persistent`: for how many seconds it
/// sends a client to the same one, 0: not at all.
fn director(protocol: u8, port: u16, fwd: u32, servers: &[&str], persistent: u32) -> Router {
    let mut router = Router::new();
    let netns = router.netns;
    let key = SvcKey::Addr(protocol, ip(SERVICE), port);
    router.enter(|cx| {
        let lo = cx.k.netns[netns].loopback;
        add_addr(cx, lo, "10.9.0.1/32");
        ip_vs_init(cx);
        let service = ServiceSpec {
            key,
            scheduler: "rr".to_owned(),
            pe: String::new(),
            flags: if persistent > 0 { SVC_F_PERSISTENT } else { 0 },
            timeout: persistent,
            netmask: u32::MAX,
        };
        ip_vs_add_service(cx, netns, &service).expect("a new service");
        for server in servers {
            let dest = DestSpec {
                addr: ip(server),
                port,
                fwd,
                weight: 1,
                u_threshold: 0,
                l_threshold: 0,
                tun_type: TunType::Ipip,
                tun_port: 0,
                tun_flags: 0,
            };
            ip_vs_add_dest(cx, netns, key, dest).expect("a new destination");
        }
    });
    router
}

fn set(router: &mut Router, name: &str, value: i64) {
    let row = ip_vs_ctl::SYSCTLS.row(name).expect("a setting");
    let at = At { netns: router.netns, of: ConfOf::All };
    router.enter(|cx| row.write(cx, at, value)).expect("in range");
}

/// Lets time pass.
fn wait(router: &mut Router, seconds: u64) {
    let until = router.world.now() + Nanos::from_secs(seconds);
    router.world.wake_at(until);
    while router.world.next_event_at().is_some_and(|at| at <= until) {
        router.world.step().expect("an end");
    }
}

fn query(port: u16) -> Vec<u8> {
    udp(CLIENT, port, SERVICE, 53, b"who")
}

/// `decrement_ttl`: a packet to a server is one that a router sends on.
#[test]
fn the_time_to_live_is_lowered() {
    let mut router = director(UDP, 53, MASQ, &[SERVER], 0);
    for (ttl, answer) in [(64, Ok(63)), (2, Ok(1)), (1, Err("10.9.0.1>10.1.0.1 11/0 0"))] {
        let mut packet = query(4000);
        packet[8] = ttl;
        ip_send_check(&mut packet);
        let seen = router.send(INSIDE, &packet);
        assert_eq!(seen.len(), 1);
        match answer {
            Ok(lowered) => {
                assert_eq!(one(&seen), (OUTSIDE, "10.1.0.1:4000>10.2.0.5:53".to_owned()));
                assert_eq!(seen[0].1[8], lowered);
            }
            Err(error) => assert_eq!(one(&seen), (INSIDE, error.to_owned())),
        }
    }
    let snmp = &router.world.kernel(MachineId(0)).netns[router.netns].ipv4.snmp;
    assert_eq!(snmp.ip.InHdrErrors, 1);
}

/// `ipvs_mt`: a rule may ask for the service of the connection that a packet is of, as the client knows it.
#[test]
fn rules_ask_for_the_service_of_a_packet() {
    let port = |invert, port| Ipvs { vport: Some((invert, port)), ..Ipvs::default() };
    let addr = |invert, addr, bits| Ipvs { vaddr: Some((invert, ip(addr), bits)), ..Ipvs::default() };
    for (with, matches) in [
        (port(false, 53), true),
        (port(false, 54), false),
        (port(true, 53), false),
        (port(true, 54), true),
        (addr(false, SERVICE, 32), true),
        (addr(false, SERVER, 32), false),
        (addr(false, "10.9.0.77", 24), true),
        (Ipvs { method: Some((false, MASQ)), ..Ipvs::default() }, true),
        (Ipvs { method: Some((false, DROUTE)), ..Ipvs::default() }, false),
        (Ipvs { proto: Some((false, TCP)), ..Ipvs::default() }, false),
    ] {
        let mut router = director(UDP, 53, MASQ, &[SERVER], 0);
        let rule = Rule {
            ip: IpMatch::default(),
            matches: vec![Match::new(with)],
            action: Action::Drop,
            counters: Counters::default(),
        };
        router.rules(TableName::Mangle, vec![(Hook::PostRouting, rule)]);
        assert_eq!(router.send(INSIDE, &query(4000)).is_empty(), matches, "{with:?}");
    }
}

/// A tunnel must have room for packets of 68 bytes, as IPv4 asks of every network.
#[test]
fn a_server_behind_a_tunnel() {
    for (mtu, passes) in [(1500, true), (88, true), (87, false)] {
        let mut router = director(UDP, 53, TUNNEL, &[SERVER], 0);
        let dev = router.sides[OUTSIDE].dev;
        let set = LinkSet { mtu: Some(mtu), ..LinkSet::default() };
        router.enter(|cx| do_setlink(cx, dev, set)).expect("an MTU");
        let seen = router.send(INSIDE, &query(4000));
        assert_eq!(seen.len(), usize::from(passes), "MTU {mtu}");
        for (side, packet) in seen {
            assert_eq!((side, packet[9], &packet[16..20]), (OUTSIDE, 4, &[10, 2, 0, 5][..]));
            assert_eq!(show(&packet[20..]), "10.1.0.1:4000>10.9.0.1:53");
        }
    }
}

/// `snat_reroute`: an answer is routed as one of the service, not of the server, if the setting says so.
#[test]
fn answers_are_routed_by_the_address_of_the_service() {
    for (setting, passes) in [(1, false), (0, true)] {
        let mut router = director(UDP, 53, MASQ, &[SERVER], 0);
        set(&mut router, "snat_reroute", setting);
        let (netns, src, action) = (router.netns, (ip(SERVICE), 32), RuleAction::Unreachable);
        assert_eq!(router.send(INSIDE, &query(4000)).len(), 1);
        let rule = RuleMsg { priority: Some(10), src, action, ..RuleMsg::default() };
        router.enter(|cx| rtm_newrule(cx, netns, &rule, router::NEW)).expect("a new rule");
        let seen = router.send(OUTSIDE, &udp(SERVER, 53, CLIENT, 4000, b"me"));
        let answers = seen.iter().filter(|(_, packet)| packet[9] == UDP).count();
        assert_eq!(answers, usize::from(passes), "snat_reroute {setting}");
    }
}

/// `ip_vs_service_find`: connections to port 20 and to unprivileged ports may be FTP's, and go where the client's others go; those
/// to other ports are for the router itself, which refuses them.
#[test]
fn which_connections_may_be_of_ftp() {
    for (port, is_data) in [(21, true), (20, true), (1023, false), (1024, true), (80, false), (40_000, true)]
    {
        let mut router = director(TCP, 21, MASQ, &[SERVER], 300);
        let seen = router.send(INSIDE, &tcp(CLIENT, 4000, SERVICE, port, 2, 7));
        let expected = match is_data {
            true => (OUTSIDE, format!("10.1.0.1:4000>10.2.0.5:{port}")),
            false => (INSIDE, format!("10.9.0.1:{port}>10.1.0.1:4000")),
        };
        assert_eq!(one(&seen), expected);
    }
}

/// An ICMP error about a connection goes to its server, in fragments where it is too long for the way, even if its sender does not
/// want it cut: nobody can be told, as there are no errors about errors.
#[test]
fn an_icmp_error_to_a_server_is_cut_where_it_must_be() {
    for fwd in [MASQ, DROUTE] {
        let mut router = director(UDP, 53, fwd, &[SERVER], 0);
        assert_eq!(router.send(INSIDE, &query(4000)).len(), 1);
        let dev = router.sides[OUTSIDE].dev;
        let set = LinkSet { mtu: Some(576), ..LinkSet::default() };
        router.enter(|cx| do_setlink(cx, dev, set)).expect("an MTU");
        let quoted = udp(SERVICE, 53, CLIENT, 4000, &[7; 700]);
        let error = with_check(CLIENT, SERVICE, ICMP, [&[3, 1, 0, 0, 0, 0, 0, 0][..], &quoted].concat(), 2);
        let mut packet = ipv4(CLIENT, SERVICE, ICMP, &error[20..]);
        packet[6] = 0x40;
        ip_send_check(&mut packet);
        let seen = router.send(INSIDE, &packet);
        let lengths: Vec<(usize, usize)> = seen.iter().map(|(side, packet)| (*side, packet.len())).collect();
        assert_eq!(lengths, [(OUTSIDE, 572), (OUTSIDE, 20 + packet.len() - 572)], "{fwd}");
    }
}

/// `ip_vs_conn_expire`: what a client's server is, is known as long as one of its connections lives, however short the persistence.
#[test]
fn a_client_keeps_its_server_while_a_connection_lives() {
    let mut router = director(UDP, 53, MASQ, &[SERVER, "10.2.0.6"], 10);
    let server = |router: &mut Router, source: &str, port| {
        let seen = router.send(INSIDE, &udp(source, port, SERVICE, 53, b"who"));
        one(&seen).1.split('>').next_back().map(str::to_owned).expect("a server")
    };
    let first = server(&mut router, CLIENT, 4000);
    wait(&mut router, 30);
    assert_eq!(server(&mut router, CLIENT, 4001), first);
    assert_ne!(server(&mut router, "10.1.0.2", 4000), first);
    // Connections of UDP live for 300 s, and a minute later at most their server is forgotten.
    wait(&mut router, 500);
    let others = ["10.1.0.3", CLIENT].map(|source| server(&mut router, source, 4002));
    assert_ne!(others[0], others[1], "in turn");
}

/// A SYN with the ports of a connection that was reset begins another (`conn_reuse_mode`); the server's counts are right after.
#[test]
fn a_connection_with_the_ports_of_one_that_is_over() {
    let mut router = director(TCP, 80, MASQ, &[SERVER], 0);
    let counts = |router: &mut Router| {
        let netns = router.netns;
        router.enter(|cx| {
            let services = &cx.k.ip_vs.services;
            let service =
                services.list(netns).into_iter().find_map(|id| services.svc(id)).expect("a service");
            let dest = services.dest(service.destinations[0]).expect("a destination");
            (dest.activeconns, dest.inactconns(), dest.persistconns)
        })
    };
    // SYN, ACK, RST, and from the beginning.
    for (flags, expected) in
        [(0x02, (1, 0, 0)), (0x10, (1, 0, 0)), (0x04, (0, 1, 0)), (0x02, (1, 0, 0)), (0x10, (1, 0, 0))]
    {
        assert_eq!(router.send(INSIDE, &tcp(CLIENT, 4000, SERVICE, 80, flags, 7)).len(), 1);
        wait(&mut router, 1);
        assert_eq!(counts(&mut router), expected, "flags {flags:#x}");
    }
}
