use glassnet_sim::Nanos;

use super::packet::{SetOptions, SetPacket};
use super::types::{Adt, Create, Extensions, Request, SetError, SetType};
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
    }
}

const T0: Nanos = Nanos::ZERO;

fn ip(text: &str) -> u32 {
    text.parse::<std::net::Ipv4Addr>().expect("an address").into()
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

/// What Linux 6.18 printed for the same commands with `initval 0x5`: see `ipset save`.
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
        let element = Request { ip: ip("10.0.0.0") + last, ..Request::default() };
        sets.adt("a", Adt::Add, &element, false, T0).expect("added");
    }
    let set = sets.get("a").expect("a");
    let order: Vec<u32> = sets.elements(set, T0).iter().map(|element| element.key.ip & 0xff).collect();
    assert_eq!((order, set.memory()), (vec![6, 4, 1, 3, 8, 5, 2, 7], 496));
}
