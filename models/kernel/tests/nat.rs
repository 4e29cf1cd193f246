//! NAT and REJECT in a router between two networks: what comes out for what goes in.
//!
//! `10.1.0.0/24` is inside, `10.2.0.0/24` outside; the router has `.254` in both. What the tests expect was seen on Linux
//! 6.18 with the same rules.

mod packets;
mod router;

use std::net::Ipv4Addr;

use glassnet_kernel::ids::MachineId;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::devinet::rtm_deladdr;
use glassnet_kernel::net::ipv4::netfilter::ipt_reject::Reject;
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::x_tables::{xt_replace_table, xt_table};
use glassnet_kernel::net::netfilter::xt_nat::{Dnat, Masquerade, Netmap, Snat};
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::netfilter::Hook;
use glassnet_kernel::tables::xt::{AddrMask, IpMatch, Policy, TABLES, Table, TableName, Target, Variant};
use glassnet_kernel::trace::Level;
use glassnet_wire::checksum::checksum;
use packets::{ICMP, TCP, UDP, echo, ip, tcp, udp, with_check};
use proptest::prelude::*;
use router::{INSIDE, OUTSIDE, Router, add_addr, one, rule, shown, to};

#[test]
fn snat_rewrites_both_ways() {
    let mut router = Router::new();
    router.nat(Hook::PostRouting, Target::new(Snat(to("10.2.0.254", "10.2.0.254"))));
    for (there, back, made, restored) in [
        (
            udp("10.1.0.1", 4000, "10.2.0.1", 53, b"who"),
            udp("10.2.0.1", 53, "10.2.0.254", 4000, b"me"),
            "10.2.0.254:4000>10.2.0.1:53",
            "10.2.0.1:53>10.1.0.1:4000",
        ),
        (
            tcp("10.1.0.1", 4000, "10.2.0.1", 80, 2, 8),
            tcp("10.2.0.1", 80, "10.2.0.254", 4000, 0x12, 8),
            "10.2.0.254:4000>10.2.0.1:80",
            "10.2.0.1:80>10.1.0.1:4000",
        ),
        (
            echo("10.1.0.1", "10.2.0.1", 8, 77),
            echo("10.2.0.1", "10.2.0.254", 0, 77),
            "10.2.0.254>10.2.0.1 8/0 77",
            "10.2.0.1>10.1.0.1 0/0 77",
        ),
    ] {
        assert_eq!(one(&router.send(INSIDE, &there)), (OUTSIDE, made.to_owned()));
        assert_eq!(one(&router.send(OUTSIDE, &back)), (INSIDE, restored.to_owned()));
    }
}

/// Chains without rules are passed without a call when nobody observes.
#[test]
fn an_unobserved_packet_is_counted_and_takes_time_as_an_observed_one() {
    let pass = |level: Level| {
        let mut router = Router::new();
        router.world.trace.level = level;
        router.nat(Hook::PostRouting, Target::new(Masquerade(NatRange::default())));
        for variant in [Variant::Legacy, Variant::Nft] {
            for name in [TableName::Raw, TableName::Mangle, TableName::Filter, TableName::Security] {
                let netns = router.netns;
                let mut table = Table::initial(name);
                if (variant, name) == (Variant::Nft, TableName::Security) {
                    let base = table.chain_mut("FORWARD").and_then(|chain| chain.base.as_mut());
                    base.expect("built in").policy = Policy::Drop;
                }
                router.enter(|cx| xt_replace_table(cx, netns, variant, table).expect("empty chains"));
            }
        }
        router.send(INSIDE, &udp("10.1.0.1", 4000, "10.2.0.1", 53, b"who"));
        router.send(INSIDE, &echo("10.1.0.1", "10.1.0.254", 8, 77));
        let tables = [Variant::Legacy, Variant::Nft]
            .into_iter()
            .flat_map(|variant| TABLES.map(|name| (variant, name)))
            .filter_map(|(variant, name)| {
                xt_table(router.world.kernel(MachineId(0)), router.netns, variant, name)
            });
        let tables: Vec<Table> = tables.collect();
        (tables, router.enter(|cx| cx.now))
    };
    let (tables, now) = pass(Level::Off);
    assert_eq!((&tables, now), (&pass(Level::Detail).0, pass(Level::Doors).1));
    let met = |table: &Table| {
        table.chains.iter().filter_map(|chain| chain.base.as_ref()).any(|base| base.counters.packets > 0)
    };
    assert_eq!((tables.len(), tables.iter().all(met)), (9, true));
}

#[test]
fn two_sources_with_one_port_get_two_and_the_identifier_of_an_echo_too() {
    let mut router = Router::new();
    router.nat(Hook::PostRouting, Target::new(Masquerade(NatRange::default())));
    let first = one(&router.send(INSIDE, &udp("10.1.0.1", 4000, "10.2.0.1", 53, b"a")));
    assert_eq!(first.1, "10.2.0.254:4000>10.2.0.1:53");
    let second = one(&router.send(INSIDE, &udp("10.1.0.2", 4000, "10.2.0.1", 53, b"b"))).1;
    assert!(second.starts_with("10.2.0.254:") && second != first.1, "{second}");
    let port: u16 = second[11..].split('>').next().expect("a port").parse().expect("a number");
    assert!(port >= 1024, "{port}");
    let back = udp("10.2.0.1", 53, "10.2.0.254", port, b"c");
    assert_eq!(one(&router.send(OUTSIDE, &back)), (INSIDE, "10.2.0.1:53>10.1.0.2:4000".to_owned()));
    // To another destination the port is free.
    let other = one(&router.send(INSIDE, &udp("10.1.0.3", 4000, "10.2.0.2", 53, b"a")));
    assert_eq!(other.1, "10.2.0.254:4000>10.2.0.2:53");
    assert_eq!(one(&router.send(INSIDE, &echo("10.1.0.1", "10.2.0.1", 8, 5))).1, "10.2.0.254>10.2.0.1 8/0 5");
    let second = one(&router.send(INSIDE, &echo("10.1.0.2", "10.2.0.1", 8, 5))).1;
    assert!(second.starts_with("10.2.0.254>10.2.0.1 8/0 ") && !second.ends_with(" 5"), "{second}");
}

#[test]
fn when_all_ports_are_taken_the_packet_is_dropped() {
    let mut router = Router::new();
    let range = NatRange { ports: Some((7000, 7001)), ..to("10.2.0.254", "10.2.0.254") };
    router.nat(Hook::PostRouting, Target::new(Snat(range)));
    for n in 1..=2 {
        assert_eq!(router.send(INSIDE, &udp(&format!("10.1.0.{n}"), 300, "10.2.0.1", 53, b"a")).len(), 1);
    }
    assert_eq!(router.send(INSIDE, &udp("10.1.0.3", 300, "10.2.0.1", 53, b"a")).len(), 0);
    assert_eq!(router.connections().len(), 2);
    assert_eq!(router.send(INSIDE, &udp("10.1.0.3", 300, "10.2.0.2", 53, b"a")).len(), 1);
}

/// A port is published, as Docker does, and reached from outside, from inside by the outer address (hairpin), and from the
/// router itself is another test.
#[test]
fn dnat_and_hairpin() {
    let mut router = Router::new();
    let from_inside = IpMatch {
        src: AddrMask { addr: ip("10.1.0.0"), mask: ip("255.255.255.0"), invert: false },
        ..IpMatch::default()
    };
    let published = IpMatch {
        dst: AddrMask { addr: ip("10.2.0.254"), mask: Ipv4Addr::BROADCAST, invert: false },
        proto: (UDP, false),
        ..IpMatch::default()
    };
    let server = NatRange { ports: Some((80, 80)), ..to("10.1.0.5", "10.1.0.5") };
    router.rules(
        TableName::Nat,
        vec![
            (Hook::PreRouting, rule(published, Target::new(Dnat(server)))),
            (Hook::PostRouting, rule(from_inside, Target::new(Masquerade(NatRange::default())))),
        ],
    );
    let there = udp("10.2.0.1", 4000, "10.2.0.254", 8080, b"a");
    assert_eq!(one(&router.send(OUTSIDE, &there)), (INSIDE, "10.2.0.1:4000>10.1.0.5:80".to_owned()));
    let back = udp("10.1.0.5", 80, "10.2.0.1", 4000, b"b");
    assert_eq!(one(&router.send(INSIDE, &back)), (OUTSIDE, "10.2.0.254:8080>10.2.0.1:4000".to_owned()));
    let there = udp("10.1.0.1", 4000, "10.2.0.254", 8080, b"a");
    let seen = router.send(INSIDE, &there);
    assert_eq!(shown(&seen), [(INSIDE, "10.1.0.254:4000>10.1.0.5:80".to_owned())]);
    let back = udp("10.1.0.5", 80, "10.1.0.254", 4000, b"b");
    assert_eq!(one(&router.send(INSIDE, &back)), (INSIDE, "10.2.0.254:8080>10.1.0.1:4000".to_owned()));
}

/// An error from outside about a packet that NAT rewrote: its sender finds its own packet quoted.
#[test]
fn an_icmp_error_and_what_it_quotes_are_translated() {
    let mut router = Router::new();
    router.nat(Hook::PostRouting, Target::new(Snat(to("10.2.0.254", "10.2.0.254"))));
    for there in [udp("10.1.0.1", 4000, "10.2.0.1", 53, b"a"), tcp("10.1.0.1", 4000, "10.2.0.1", 80, 2, 7)] {
        let out = router.send(INSIDE, &there);
        let mut error = vec![3, 3, 0, 0, 0, 0, 0, 0];
        error.extend_from_slice(&out[0].1[..28]);
        let error = with_check("10.2.0.1", "10.2.0.254", ICMP, error, 2);
        let seen = router.send(OUTSIDE, &error);
        assert_eq!(one(&seen), (INSIDE, "10.2.0.1>10.1.0.1 3/3 0".to_owned()));
        let quote = &seen[0].1[28..];
        assert_eq!(checksum(&quote[..20]), 0);
        assert_eq!((&quote[12..20], &quote[20..24]), (&there[12..20], &there[20..24]));
        // The error of a router in between comes from the router.
        let mut error = vec![11, 0, 0, 0, 0, 0, 0, 0];
        error.extend_from_slice(&out[0].1[..28]);
        let error = with_check("10.2.0.9", "10.2.0.254", ICMP, error, 2);
        assert_eq!(one(&router.send(OUTSIDE, &error)), (INSIDE, "10.2.0.9>10.1.0.1 11/0 0".to_owned()));
    }
}

#[test]
fn netmap_keeps_the_host_part() {
    let mut router = Router::new();
    router.nat(Hook::PreRouting, Target::new(Netmap(to("10.2.0.0", "10.2.0.255"))));
    let seen = router.send(INSIDE, &udp("10.1.0.1", 4000, "10.77.3.7", 53, b"a"));
    assert_eq!(one(&seen), (OUTSIDE, "10.1.0.1:4000>10.2.0.7:53".to_owned()));
    let back = router.send(OUTSIDE, &udp("10.2.0.7", 53, "10.1.0.1", 4000, b"a"));
    assert_eq!(one(&back), (INSIDE, "10.77.3.7:53>10.1.0.1:4000".to_owned()));
}

#[test]
fn masqueraded_connections_end_with_their_device_or_address() {
    let mut router = Router::new();
    router.nat(Hook::PostRouting, Target::new(Masquerade(NatRange::default())));
    let (netns, dev) = (router.netns, router.sides[OUTSIDE].dev);
    let packet = udp("10.1.0.1", 4000, "10.2.0.1", 53, b"a");
    router.send(INSIDE, &packet);
    assert_eq!(router.connections(), ["10.1.0.1:4000>10.2.0.1:53 10.2.0.1:53>10.2.0.254:4000"]);
    router.enter(|cx| {
        let msg = AddrMsg::new(dev, Ipv4Addr::new(10, 2, 0, 254), 24);
        rtm_deladdr(cx, netns, &msg).expect("the address is there");
    });
    assert_eq!(router.connections(), [""; 0]);
    router.enter(|cx| add_addr(cx, dev, "10.2.0.254/24"));
    router.send(INSIDE, &packet);
    assert_eq!(router.connections().len(), 1);
    router.enter(|cx| do_setlink(cx, dev, LinkSet { up: Some(false), ..LinkSet::default() }).expect("down"));
    assert_eq!(router.connections(), [""; 0]);
}

#[test]
fn reject_answers_with_each_type() {
    for code in [0, 1, 2, 3, 9, 10, 13] {
        let mut router = Router::new();
        let filter = vec![(Hook::Forward, rule(IpMatch::default(), Target::new(Reject::Icmp(code))))];
        router.rules(TableName::Filter, filter);
        let packet = udp("10.1.0.1", 4000, "10.2.0.1", 53, b"a");
        let seen = router.send(INSIDE, &packet);
        assert_eq!(one(&seen), (INSIDE, format!("10.1.0.254>10.1.0.1 3/{code} 0")));
        // The time to live was lowered before FORWARD.
        assert_eq!(seen[0].1[28..36], [&packet[..8]].concat());
        assert_eq!(seen[0].1[36], 63);
    }
}

#[test]
fn reject_is_silent_where_the_kernel_is() {
    let mut router = Router::new();
    let filter = vec![(Hook::Forward, rule(IpMatch::default(), Target::new(Reject::Icmp(3))))];
    router.rules(TableName::Filter, filter);
    let mut broken = udp("10.1.0.1", 4000, "10.2.0.1", 53, b"a");
    broken[28] ^= 1;
    assert_eq!(shown(&router.send(INSIDE, &broken)), []);
    // Without a checksum there is nothing to be wrong.
    broken[26..28].fill(0);
    assert_eq!(router.send(INSIDE, &broken).len(), 1);
    let mut later = udp("10.1.0.1", 4000, "10.2.0.1", 53, b"abcdefgh");
    later[6..8].copy_from_slice(&[0, 5]);
    later[10..12].fill(0);
    let check = checksum(&later[..20]);
    later[10..12].copy_from_slice(&check.to_be_bytes());
    assert_eq!(shown(&router.send(INSIDE, &later)), []);
    let mut error = vec![3, 3, 0, 0, 0, 0, 0, 0];
    error.extend_from_slice(&udp("10.2.0.1", 53, "10.1.0.1", 4000, b"a")[..28]);
    let error = with_check("10.1.0.1", "10.2.0.1", ICMP, error, 2);
    assert_eq!(shown(&router.send(INSIDE, &error)), []);
}

#[test]
fn reject_resets() {
    let mut router = Router::new();
    let tcp_only = IpMatch { proto: (TCP, false), ..IpMatch::default() };
    router.rules(TableName::Filter, vec![(Hook::Forward, rule(tcp_only, Target::new(Reject::TcpReset)))]);
    let seen = router.send(INSIDE, &tcp("10.1.0.1", 4000, "10.2.0.1", 80, 2, 7));
    assert_eq!(one(&seen), (INSIDE, "10.2.0.1:80>10.1.0.1:4000".to_owned()));
    let reset = &seen[0].1;
    assert_eq!(reset[..12], [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, reset[10], reset[11]]);
    // The SYN counts as one byte.
    assert_eq!(reset[24..36], [0, 0, 0, 0, 0, 0, 0, 8, 0x50, 0x14, 0, 0]);
    let seen = router.send(INSIDE, &tcp("10.1.0.1", 4000, "10.2.0.1", 80, 0x10, 7));
    assert_eq!(seen[0].1[24..36], [0, 0, 0, 9, 0, 0, 0, 0, 0x50, 0x04, 0, 0]);
    assert_eq!(shown(&router.send(INSIDE, &tcp("10.1.0.1", 4000, "10.2.0.1", 80, 4, 7))), []);
}

/// `gre_manip_pkt`: addresses of GRE are rewritten like others, but a destination only in versions that the kernel knows, and none
/// in a packet whose header is cut short.
#[test]
fn gre_is_rewritten_by_its_version() {
    let packet = |dst: &str, version: u8, len: usize| {
        let protocol = if version == 1 { 0x880b_u16 } else { 0x0800 };
        let header = [&[0x20, version][..], &protocol.to_be_bytes(), &[0, 0, 0, 7, 1, 2, 3, 4]].concat();
        packets::ipv4("10.1.0.1", dst, 47, &header[..len])
    };
    for (version, len, snat, dnat) in [
        (0, 12, 1, 1),
        (0, 8, 1, 1),
        (0, 7, 0, 0),
        (1, 12, 1, 1),
        (2, 12, 1, 0),
        (5, 12, 1, 0),
        (7, 12, 1, 0),
    ] {
        let mut router = Router::new();
        router.nat(Hook::PostRouting, Target::new(Snat(to("10.2.0.254", "10.2.0.254"))));
        let seen = router.send(INSIDE, &packet("10.2.0.1", version, len));
        assert_eq!(seen.len(), snat, "version {version}, {len} bytes");
        assert!(seen.iter().all(|(_, packet)| packet[12..16] == [10, 2, 0, 254]));
        let mut router = Router::new();
        router.nat(Hook::PreRouting, Target::new(Dnat(to("10.2.0.5", "10.2.0.5"))));
        let seen = router.send(INSIDE, &packet("10.2.0.1", version, len));
        assert_eq!(seen.len(), dnat, "version {version}, {len} bytes");
        assert!(seen.iter().all(|(_, packet)| packet[16..20] == [10, 2, 0, 5]));
    }
}

proptest! {
    #[test]
    fn checksums_are_right_whatever_is_rewritten(
        sport in 1u16.., dport in 1u16.., data in prop::collection::vec(any::<u8>(), 0..64),
        new in 1u32..0xdfff_ffff, port in 1u16..,
    ) {
        // Sources that no router would send on.
        prop_assume!(new >> 24 != 127);
        let mut router = Router::new();
        let new = Ipv4Addr::from_bits(new).to_string();
        let range = NatRange { ports: Some((port, port)), ..to(&new, &new) };
        router.nat(Hook::PostRouting, Target::new(Snat(range)));
        let packet = udp("10.1.0.1", sport, "10.2.0.1", dport, &data);
        let seen = router.send(INSIDE, &packet);
        prop_assert_eq!(one(&seen), (OUTSIDE, format!("{new}:{port}>10.2.0.1:{dport}")));
        prop_assert_eq!(&seen[0].1[28..], &data[..]);
        let packet = tcp("10.1.0.1", sport, "10.2.0.2", dport, 2, u32::from(port));
        prop_assert_eq!(one(&router.send(INSIDE, &packet)), (OUTSIDE, format!("{new}:{port}>10.2.0.2:{dport}")));
    }
}
