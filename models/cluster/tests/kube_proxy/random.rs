//! Random clusters that change: what a node has after many syncs is what one sync from nothing writes.

use glassnet_cluster::kube_proxy::Proxier;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::recording::{Cluster, config};
use crate::sync;

/// What happens between two syncs.
#[derive(Clone, Debug)]
enum Event {
    Service(u8, u32),
    Slice(u8, u8, Vec<(u8, u32)>),
    NoService(u8),
    NoSlice(u8, u8),
    Zone(bool),
    /// `iptables-restore` fails once.
    Failure,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_u8, any::<u32>()).prop_map(|(service, bits)| Event::Service(service, bits)),
        6 => (0..4_u8, 0..2_u8, prop::collection::vec((1..6_u8, any::<u32>()), 0..5))
            .prop_map(|(service, slice, endpoints)| Event::Slice(service, slice, endpoints)),
        1 => (0..4_u8).prop_map(Event::NoService),
        1 => (0..4_u8, 0..2_u8).prop_map(|(service, slice)| Event::NoSlice(service, slice)),
        1 => any::<bool>().prop_map(Event::Zone),
        1 => Just(Event::Failure),
    ]
}

/// Takes a number of bits off.
fn take(bits: &mut u32, count: u32) -> u32 {
    let taken = *bits % (1 << count);
    *bits >>= count;
    taken
}

fn service(number: u8, mut bits: u32) -> Value {
    let policy = |bits: &mut u32| if take(bits, 1) == 0 { "Cluster" } else { "Local" };
    let kind = ["ClusterIP", "NodePort", "LoadBalancer", "ClusterIP"][take(&mut bits, 2) as usize];
    let node_port = |port: u16| if kind == "ClusterIP" { 0 } else { port + u16::from(number) };
    let protocol = ["TCP", "UDP", "TCP", "SCTP"][take(&mut bits, 2) as usize];
    let mut ports =
        vec![json!({"name": "a", "port": 80, "protocol": protocol, "nodePort": node_port(30000)})];
    if take(&mut bits, 1) == 1 {
        ports.push(json!({"name": "b", "port": 443, "protocol": "TCP", "nodePort": node_port(31000)}));
    }
    let external_ips: &[String] =
        if take(&mut bits, 2) == 0 { &[format!("203.0.113.{number}")] } else { &[] };
    let ranges: &[&str] = match take(&mut bits, 2) {
        0 => &["198.51.100.0/24"],
        1 => &["192.168.0.0/16", "10.0.0.1/8"],
        _ => &[],
    };
    let ip = if take(&mut bits, 3) == 0 {
        "None".to_owned()
    } else {
        format!("10.96.{}.{number}", take(&mut bits, 1))
    };
    let ingress =
        if kind == "LoadBalancer" { vec![json!({"ip": format!("192.0.2.{number}")})] } else { Vec::new() };
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("s{number}"), "namespace": "default"},
        "spec": {
            "type": kind, "clusterIP": ip, "clusterIPs": [ip], "ports": ports, "externalIPs": external_ips,
            "loadBalancerSourceRanges": ranges, "internalTrafficPolicy": policy(&mut bits),
            "externalTrafficPolicy": policy(&mut bits), "healthCheckNodePort": 32000 + u16::from(number),
            "sessionAffinity": if take(&mut bits, 2) == 0 { "ClientIP" } else { "None" },
        },
        "status": {"loadBalancer": {"ingress": ingress}},
    })
}

fn slice(service: u8, number: u8, endpoints: &[(u8, u32)]) -> Value {
    let endpoint = |&(address, mut bits): &(u8, u32)| {
        let bit = |bits: &mut u32| take(bits, 1) == 1;
        let mut hints = json!({});
        if bit(&mut bits) {
            hints["forZones"] = json!([{"name": if bit(&mut bits) { "zone-a" } else { "zone-b" }}]);
        }
        if bit(&mut bits) {
            hints["forNodes"] = json!([{"name": if bit(&mut bits) { "node1" } else { "node2" }}]);
        }
        json!({
            "addresses": [format!("10.244.1.{address}")], "nodeName": if bit(&mut bits) { "node1" } else { "node2" },
            "conditions": {"ready": take(&mut bits, 2) > 0, "serving": bit(&mut bits), "terminating": bit(&mut bits)},
            "hints": hints,
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("s{service}-{number}"), "namespace": "default", "labels": {"kubernetes.io/service-name": format!("s{service}")},
        },
        "ports": [
            {"name": "a", "port": 8080, "protocol": "TCP"}, {"name": "a", "port": 8080, "protocol": "UDP"},
            {"name": "b", "port": 8443, "protocol": "TCP"},
        ],
        "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn node(in_a: bool) -> Value {
    let zone = if in_a { "zone-a" } else { "zone-b" };
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1", "labels": {"topology.kubernetes.io/zone": zone}},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]},
    })
}

fn happen(event: &Event, cluster: &mut Cluster, machine: &mut Machine) {
    let key = |name: String| ("default".to_owned(), name);
    match event {
        Event::Service(number, bits) => cluster.apply(&service(*number, *bits)),
        Event::Slice(service, number, endpoints) => cluster.apply(&slice(*service, *number, endpoints)),
        Event::NoService(number) => drop(cluster.services.remove(&key(format!("s{number}")))),
        Event::NoSlice(service, number) => drop(cluster.slices.remove(&key(format!("s{service}-{number}")))),
        Event::Zone(in_a) => cluster.apply(&node(*in_a)),
        Event::Failure => machine.broken = Some("iptables-restore"),
    }
}

/// What a node has. The rules of the userspace mode stand in the order in which services came.
fn state(machine: &Machine, mode: &str) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut tables = machine.tables.clone();
    if mode == "userspace" {
        tables.values_mut().flat_map(|chains| chains.values_mut()).for_each(|rules| rules.sort());
    }
    (tables, machine.virtual_server_lines(), machine.set_lines(), machine.links.clone())
}

fn changes_come_to_the_same(version: &str, mode: &str, events: &[Event]) {
    let mut cluster = Cluster::default();
    cluster.apply(&node(true));
    let mut machine = Machine::new();
    let mut proxier = Proxier::new(config(version, mode, None)).unwrap();
    sync(&mut proxier, &cluster, &mut machine).unwrap();
    for event in events {
        happen(event, &mut cluster, &mut machine);
        if sync(&mut proxier, &cluster, &mut machine).is_err() {
            sync(&mut proxier, &cluster, &mut machine).unwrap();
        }
        machine.broken = None;
        let mut fresh = Machine::new();
        let mut from_nothing = Proxier::new(config(version, mode, None)).unwrap();
        sync(&mut from_nothing, &cluster, &mut fresh).unwrap();
        assert_eq!(state(&machine, mode), state(&fresh, mode), "{version} {mode} after {event:?}");
        assert_eq!(proxier.listeners(), from_nothing.listeners(), "{version} {mode} after {event:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn partial_syncs_come_to_what_a_full_one_writes(events in prop::collection::vec(event(), 1..24)) {
        changes_come_to_the_same("1.36", "iptables", &events);
        changes_come_to_the_same("1.30", "iptables", &events);
    }

    #[test]
    fn other_modes_come_to_what_they_write_from_nothing(events in prop::collection::vec(event(), 1..24)) {
        changes_come_to_the_same("1.20", "iptables", &events);
        changes_come_to_the_same("1.36", "ipvs", &events);
        changes_come_to_the_same("1.20", "userspace", &events);
    }
}
