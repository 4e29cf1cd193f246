use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::packet::{SetOptions, SetPacket};
use super::types::{Adt, Create, Extensions, Iface, Range, Request, SetError, SetType};
use super::*;

fn create(set_type: SetType) -> Create {
    Create {
        set_type,
        ext: Extensions::default(),
        hashsize: None,
        maxelem: None,
        bucketsize: None,
        netmask: None,
        initval: 5,
        range: None,
        size: None,
        bitmask_known: false,
        smp: true,
    }
}

const T0: Nanos = Nanos::ZERO;

fn ip(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

fn packet(saddr: &str) -> SetPacket<'static> {
    SetPacket { saddr: ip(saddr), proto: 6, ports: Some((1000, 80)), len: 60, ..SetPacket::default() }
}

const SRC: SetOptions = SetOptions {
    dim: 1,
    source: 1,
    return_nomatch: false,
    skip_counters: false,
    skip_subcounters: false,
    packets: None,
    bytes: None,
    exist: false,
    timeout: None,
};

#[test]
fn elements_expire_in_virtual_time() {
    let mut sets = IpSets::default();
    let ext = Extensions { timeout: Some(10), ..Extensions::default() };
    sets.create("a", &Create { ext, ..create(SetType::HashIp) }, false, T0).expect("created");
    let one = Request { ip: ip("1.1.1.1"), ..Request::default() };
    sets.adt("a", Adt::Add, &one, false, T0).expect("added");
    let at = |seconds| Nanos::from_secs(seconds);
    assert_eq!(sets.adt("a", Adt::Test, &one, false, at(10)), Ok(()));
    assert!(sets.test_packet(0, &packet("1.1.1.1"), &SRC, at(10)).is_some());
    assert_eq!(sets.adt("a", Adt::Test, &one, false, at(11)), Err(SetError::Exist));
    assert!(sets.test_packet(0, &packet("1.1.1.1"), &SRC, at(11)).is_none());
    assert_eq!(sets.get("a").expect("a").count(at(11)), 0);
    assert_eq!(sets.adt("a", Adt::Add, &one, false, at(11)), Ok(()));
}

#[test]
fn nomatch_is_the_exception_of_a_network() {
    let mut sets = IpSets::default();
    sets.create("n", &create(SetType::HashNet), false, T0).expect("created");
    let net =
        |text: &str, cidr, nomatch| Request { ip: ip(text), cidr: Some(cidr), nomatch, ..Request::default() };
    sets.adt("n", Adt::Add, &net("10.0.0.0", 8, false), false, T0).expect("added");
    sets.adt("n", Adt::Add, &net("10.1.0.0", 16, true), false, T0).expect("added");
    assert!(sets.test_packet(0, &packet("10.2.0.1"), &SRC, T0).is_some());
    assert!(sets.test_packet(0, &packet("10.1.0.1"), &SRC, T0).is_none());
    let options = SetOptions { return_nomatch: true, ..SRC };
    assert!(sets.test_packet(0, &packet("10.1.0.1"), &options, T0).is_some());
    assert!(sets.test_packet(0, &packet("10.2.0.1"), &options, T0).is_none());
}

#[test]
fn a_used_set_stays_and_a_list_uses_its_members() {
    let mut sets = IpSets::default();
    for name in ["a", "b"] {
        sets.create(name, &create(SetType::HashIp), false, T0).expect("created");
    }
    sets.create("l", &create(SetType::ListSet), false, T0).expect("created");
    let member = Request { name: "a".to_owned(), ..Request::default() };
    sets.adt("l", Adt::Add, &member, false, T0).expect("added");
    assert_eq!(sets.destroy(Some("a")), Err(SetError::Busy));
    assert_eq!(sets.rename("a", "c"), Err(SetError::Referenced));
    let element = Request { ip: ip("1.1.1.1"), ..Request::default() };
    sets.adt("b", Adt::Add, &element, false, T0).expect("added");
    assert!(sets.test_packet(2, &packet("1.1.1.1"), &SRC, T0).is_none());
    sets.swap("a", "b").expect("swapped");
    assert!(sets.test_packet(2, &packet("1.1.1.1"), &SRC, T0).is_some());
    assert_eq!(sets.get("a").expect("a").references, 1);
    sets.adt("l", Adt::Del, &member, false, T0).expect("deleted");
    assert_eq!(sets.destroy(None), Ok(()));
}

#[test]
fn a_packet_adds_its_element_and_is_counted() {
    let mut sets = IpSets::default();
    let ext = Extensions { counters: true, timeout: Some(0), ..Extensions::default() };
    sets.create("p", &Create { ext, ..create(SetType::HashIpPort) }, false, T0).expect("created");
    let options = SetOptions { dim: 2, source: 1, ..SRC };
    sets.change_packet(0, Adt::Add, &packet("1.1.1.1"), &options, T0).expect("added");
    assert_eq!(sets.change_packet(0, Adt::Add, &packet("1.1.1.1"), &options, T0), Err(SetError::Exist));
    assert!(sets.test_packet(0, &packet("1.1.1.1"), &SRC, T0).is_none(), "two words are needed");
    assert!(sets.test_packet(0, &packet("1.1.1.1"), &options, T0).is_some());
    let set = sets.get("p").expect("p");
    let ext = sets.elements(set, T0)[0].ext.clone().expect("counters");
    assert_eq!((ext.packets, ext.bytes), (2, 120));
    sets.change_packet(0, Adt::Del, &packet("1.1.1.1"), &options, T0).expect("deleted");
    assert_eq!(sets.get("p").expect("p").count(T0), 0);
}

/// Output of Linux 6.18 for the same commands with `initval 0x5` (`ipset save`).
#[test]
fn buckets_grow_and_are_listed_as_in_the_kernel() {
    let mut sets = IpSets::default();
    sets.create(
        "a",
        &Create { hashsize: Some(64), bitmask_known: true, ..create(SetType::HashIp) },
        false,
        T0,
    )
    .expect("created");
    for last in 1..=8 {
        let element = Request { ip: Ipv4Addr::new(10, 0, 0, last), ..Request::default() };
        sets.adt("a", Adt::Add, &element, false, T0).expect("added");
    }
    let set = sets.get("a").expect("a");
    let order: Vec<u8> = sets.elements(set, T0).iter().map(|element| element.key.ip.octets()[3]).collect();
    assert_eq!((order, set.memory()), (vec![6, 4, 1, 3, 8, 5, 2, 7], 496));
}

/// `Size in memory` of `ipset list`: Debian's 6.1 says 200, the same sources without `CONFIG_SMP` 192.
#[test]
fn a_kernel_for_one_cpu_has_no_locks() {
    let memory = |smp| {
        let mut sets = IpSets::default();
        sets.create("a", &Create { smp, ..create(SetType::HashIp) }, false, T0).expect("created");
        sets.get("a").expect("a").memory()
    };
    assert_eq!((memory(true), memory(false)), (200, 192));
}

/// Recorded on Linux 6.18.
#[test]
fn counters_stay_where_an_element_was() {
    let mut sets = IpSets::default();
    let ext = Extensions { counters: true, ..Extensions::default() };
    let port = Request { port: 5, ..Request::default() };
    let one = Request { ip: ip("1.1.1.1"), ..Request::default() };
    let counted = |request: &Request| Request { packets: Some(3), bytes: Some(4), ..request.clone() };
    sets.create(
        "b",
        &Create { ext, range: Some(Range::Port(0, 9)), ..create(SetType::BitmapPort) },
        false,
        T0,
    )
    .expect("b");
    sets.create("h", &Create { ext, ..create(SetType::HashIp) }, false, T0).expect("h");
    let shown = |sets: &IpSets, name: &str| {
        let ext = sets.elements(sets.get(name).expect("a set"), T0)[0].ext.clone().expect("counters");
        (ext.packets, ext.bytes)
    };
    for (name, request, after_del) in [("b", &port, (3, 4)), ("h", &one, (0, 0))] {
        sets.adt(name, Adt::Add, &counted(request), false, T0).expect("added");
        sets.adt(name, Adt::Add, request, true, T0).expect("added again");
        assert_eq!(shown(&sets, name), (3, 4), "{name}");
        sets.adt(name, Adt::Del, request, false, T0).expect("deleted");
        sets.adt(name, Adt::Add, request, false, T0).expect("added anew");
        assert_eq!(shown(&sets, name), after_del, "{name}: the hash gave its bucket back");
    }
}

#[test]
fn a_network_of_another_interface_hides_shorter_prefixes() {
    let mut sets = IpSets::default();
    sets.create("n", &create(SetType::HashNetIface), false, T0).expect("n");
    let add = |sets: &mut IpSets, net: &str, cidr: u8, name: &str| {
        let iface = Some(Iface { name: name.into(), physdev: false, wildcard: false });
        let request = Request { ip: ip(net), cidr: Some(cidr), iface, ..Request::default() };
        sets.adt("n", Adt::Add, &request, false, T0).expect("added");
    };
    add(&mut sets, "10.0.0.0", 16, "br0");
    let packet = SetPacket { input: Some("br0"), ..packet("10.0.2.2") };
    let options = SetOptions { dim: 2, source: 3, ..SRC };
    assert!(sets.test_packet(0, &packet, &options, T0).is_some());
    add(&mut sets, "10.0.2.0", 24, "c0");
    assert!(sets.test_packet(0, &packet, &options, T0).is_none());
}

#[test]
fn an_element_whose_counters_do_not_fit_is_passed_over() {
    let mut sets = IpSets::default();
    let ext = Extensions { counters: true, ..Extensions::default() };
    sets.create("n", &Create { ext, ..create(SetType::HashNet) }, false, T0).expect("n");
    for (cidr, packets, nomatch) in [(24, 0, true), (16, 9, false)] {
        let request = Request {
            ip: ip("10.0.0.0"),
            cidr: Some(cidr),
            packets: Some(packets),
            nomatch,
            ..Request::default()
        };
        sets.adt("n", Adt::Add, &request, false, T0).expect("added");
    }
    let more_than_2 = SetOptions { packets: Some((false, std::cmp::Ordering::Greater, 2)), ..SRC };
    assert!(sets.test_packet(0, &packet("10.0.0.1"), &more_than_2, T0).is_some(), "the longer one counts 1");
    assert!(sets.test_packet(0, &packet("10.0.0.1"), &SRC, T0).is_none(), "`nomatch` counts too");
    let of = |sets: &IpSets, at: usize| {
        sets.elements(sets.get("n").expect("n"), T0)[at].ext.clone().map(|ext| ext.packets)
    };
    assert_eq!([of(&sets, 0), of(&sets, 1)].iter().flatten().sum::<u64>(), 2 + 10);
}

/// Ports from 1000 to 1063 fill a word of the bitmap; its ends are elements, what is beyond is not.
#[test]
fn a_bitmap_has_its_ends_and_is_empty_after_a_flush() {
    let mut sets = IpSets::default();
    let range = Some(Range::Port(1000, 1063));
    sets.create("a", &Create { range, ..create(SetType::BitmapPort) }, false, T0).expect("created");
    let port = |port| Request { port, ..Request::default() };
    for inside in [1000, 1063] {
        assert_eq!(sets.adt("a", Adt::Test, &port(inside), false, T0), Err(SetError::Exist));
        assert_eq!(sets.adt("a", Adt::Add, &port(inside), false, T0), Ok(()));
        assert_eq!(sets.adt("a", Adt::Test, &port(inside), false, T0), Ok(()));
    }
    assert!(sets.adt("a", Adt::Add, &port(1064), false, T0).is_err());
    assert!(sets.adt("a", Adt::Test, &port(999), false, T0).is_err());
    assert_eq!(sets.get("a").expect("a").count(T0), 2);
    sets.flush(Some("a")).expect("flushed");
    assert_eq!(sets.get("a").expect("a").count(T0), 0);
    assert_eq!(sets.adt("a", Adt::Test, &port(1000), false, T0), Err(SetError::Exist));
}
