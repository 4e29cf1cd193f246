//! A cluster of many services: the size of what kube-proxy writes, to the byte, and how long it takes here.

use std::time::{Duration, Instant};

use glassnet_cluster::command::{Answer, Command, Run};
use glassnet_cluster::kube_proxy::Proxier;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::recording::{Cluster, config};
use crate::{now, sync};

/// Runs nothing, and measures what `iptables-restore` would have got.
#[derive(Default)]
struct Scale {
    lines: usize,
    bytes: usize,
    /// Declarations of chains, as `iptables-save` would print them.
    chains: String,
}

impl Run for Scale {
    async fn run(&mut self, command: Command) -> Answer {
        if command.argv[0] == "iptables-restore" {
            (self.lines, self.bytes) = (command.stdin.lines().count(), command.stdin.len());
            let declared = command.stdin.lines().filter(|line| line.starts_with(':'));
            self.chains = declared.map(|line| format!("{line}\n")).collect();
        }
        let stdout = if command.argv[0] == "iptables-save" { self.chains.clone() } else { String::new() };
        Answer { status: 0, stdout, stderr: String::new() }
    }
}

fn address(first: usize, index: usize) -> String {
    format!("10.{}.{}.{}", first + index / 62500, index / 250 % 250, index % 250 + 1)
}

/// Service `index` as the recordings had it.
fn service(index: usize) -> Value {
    let ip = address(96, index);
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("svc-{index}"), "namespace": "default", "resourceVersion": "1"},
        "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]},
    })
}

/// Its slice, with so many endpoints.
fn slice(index: usize, count: usize) -> Value {
    let endpoint = |number: usize| {
        let node = if number == 0 { "node2" } else { "node1" };
        json!({
            "addresses": [address(128, 2 * index + number)], "nodeName": node,
            "conditions": {"ready": true, "serving": true, "terminating": false},
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("svc-{index}-a"), "namespace": "default", "resourceVersion": count.to_string(),
            "labels": {"kubernetes.io/service-name": format!("svc-{index}")},
        },
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": (0..count).map(endpoint).collect::<Vec<_>>(),
    })
}

/// The address of service `index`.
pub fn service_address(index: usize) -> std::net::Ipv4Addr {
    address(96, index).parse().unwrap()
}

/// So many services with two endpoints each.
pub fn cluster(count: usize) -> Cluster {
    let mut cluster = Cluster::default();
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}, "spec": {"podCIDR": "10.244.1.0/24"}}));
    for index in 0..count {
        cluster.apply(&service(index));
        cluster.apply(&slice(index, 2));
    }
    cluster
}

/// One endpoint less is a handful of commands in the IPVS mode, however many services there are.
#[test]
fn a_change_of_ipvs_does_not_depend_on_the_number_of_services() {
    let [few, many] = [100, 2000].map(|count| {
        let mut cluster = cluster(count);
        let mut machine = Machine::new();
        let mut proxier = Proxier::new(config("1.36", "ipvs", None)).unwrap();
        sync(&mut proxier, &cluster, &mut machine).unwrap();
        assert_eq!(machine.virtual_servers.len(), count);
        machine.calls.clear();
        cluster.apply(&slice(0, 1));
        sync(&mut proxier, &cluster, &mut machine).unwrap();
        machine.calls.len()
    });
    assert_eq!(few, many);
}

/// Lines and bytes of the first sync, and of the sync after one endpoint went, as the real kube-proxies wrote them. A service has
/// eleven lines; above a thousand endpoints, comments are left out.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is real time")]
fn inputs_are_as_long_as_the_real_ones() {
    for (version, count, first, second) in [
        ("1.36", 1000, (11_023, 863_427), (1_029, 137_122)),
        ("1.36", 10_000, (110_023, 8_693_099), (10_029, 1_373_734)),
        ("1.20", 1000, (11_020, 863_287), (11_018, 863_056)),
        ("1.20", 10_000, (110_020, 8_692_959), (110_018, 8_692_728)),
    ] {
        let mut cluster = cluster(count);
        let mut scale = Scale::default();
        let mut proxier = Proxier::new(config(version, "iptables", None)).unwrap();
        let mut sync = |cluster: &Cluster, seconds| {
            let objects = cluster.objects();
            let start = Instant::now();
            now(proxier.sync(&objects, Duration::from_secs(seconds), &mut scale)).unwrap();
            (start.elapsed(), (scale.lines, scale.bytes))
        };
        let (took_first, wrote_first) = sync(&cluster, 10);
        cluster.apply(&slice(0, 1));
        let (took_second, wrote_second) = sync(&cluster, 20);
        println!("{version}, {count} services: {took_first:?}, then {took_second:?}");
        // Measured: 0.5 s and 0.06 s, unoptimised, beside other work. What grows with the square would take minutes.
        assert!(
            took_first < Duration::from_secs(10) && took_second < Duration::from_secs(5),
            "{took_first:?} {took_second:?}"
        );
        assert_eq!(wrote_first, first, "{version}, {count} services");
        assert_eq!(wrote_second, second, "{version}, {count} services, one endpoint less");
    }
}
