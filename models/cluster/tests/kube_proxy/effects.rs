//! What kube-proxy does beside rules: entries of connection tracking, ports, real servers that leave, settings.

use std::time::Duration;

use glassnet_cluster::kube_proxy::Proxier;
use glassnet_cluster::kube_proxy::config::Config;
use glassnet_cluster::kube_proxy::health::{HealthCheck, Listener, Protocol, Purpose};
use serde_json::json;

use crate::machine::Machine;
use crate::recording::{Cluster, config, folder, manifest, steps};
use crate::{now, sync};

fn commands(machine: &mut Machine, program: &str) -> Vec<String> {
    let calls = std::mem::take(&mut machine.calls);
    calls.iter().filter(|call| call.argv[0] == program).map(|call| call.argv.join(" ")).collect()
}

/// The entries that a kube-proxy deletes at each step of `seq-udp`, in which one endpoint comes, is replaced, and goes.
fn cleaned(version: &str, connections: &[&str]) -> Vec<Vec<String>> {
    let case = folder().join("seq-udp");
    let (mut cluster, settings) = manifest(&case);
    let mut machine = Machine::new();
    machine.connections = connections.iter().map(|&line| line.to_owned()).collect();
    let mut proxier = Proxier::new(config(version, "iptables", settings.as_deref())).unwrap();
    sync(&mut proxier, &cluster, &mut machine).unwrap();
    let mut steps: Vec<_> = steps(&case).into_iter().map(|(_, changes)| changes).collect();
    steps.insert(0, Vec::new());
    let mut step = |changes: &Vec<_>| {
        changes.iter().for_each(|(_, object)| cluster.apply(object));
        sync(&mut proxier, &cluster, &mut machine).unwrap();
        commands(&mut machine, "conntrack")
    };
    steps.iter().map(&mut step).collect()
}

#[test]
fn entries_of_udp_that_lead_nowhere_are_deleted() {
    // Up to 1.30: by what changed.
    let all = vec!["conntrack -D --orig-dst 10.96.0.2 -p udp".to_owned()];
    let of = |endpoint: &str| vec![format!("conntrack -D --orig-dst 10.96.0.2 --dst-nat {endpoint} -p udp")];
    let by_change = vec![vec![], all, of("10.244.1.53"), of("10.244.1.54")];
    assert_eq!(cleaned("1.30", &[]), by_change);
    assert_eq!(cleaned("1.20", &[]), by_change);
    // In 1.36: by what the table has. Another port and another protocol's entry are left, and all where nobody serves.
    let lines = [
        "udp      17 29 src=10.244.1.9 dst=10.96.0.2 sport=5000 dport=53 src=10.244.1.53 dst=10.244.1.9 sport=53 dport=5000 [ASSURED] mark=0 use=1",
        "udp      17 29 src=10.244.1.9 dst=10.96.0.2 sport=5001 dport=53 [UNREPLIED] src=10.96.0.2 dst=10.244.1.9 sport=53 dport=5001 mark=0 use=1",
        "udp      17 29 src=10.244.1.9 dst=10.96.0.2 sport=5000 dport=54 src=10.244.1.53 dst=10.244.1.9 sport=54 dport=5000 mark=0 use=1",
    ];
    let list = || "conntrack -L -p udp".to_owned();
    let delete = |from: &str| {
        format!("conntrack -D -p udp --orig-dst 10.96.0.2 --orig-port-dst 53 --reply-src {from}")
    };
    let by_table = vec![
        vec![],
        vec![list(), delete("10.96.0.2")],
        vec![list(), delete("10.96.0.2"), delete("10.244.1.53")],
        vec![],
    ];
    assert_eq!(cleaned("1.36", &lines), by_table);
}

fn check(listeners: &[Listener]) -> &HealthCheck {
    match listeners {
        [
            Listener {
                address: None,
                port: 32000,
                protocol: Protocol::Tcp,
                purpose: Purpose::HealthCheck(check),
            },
        ] => check,
        other => panic!("what is {other:?}?"),
    }
}

#[test]
fn load_balancers_are_told_whether_a_node_has_endpoints() {
    let (mut cluster, _) = manifest(&folder().join("lb-local"));
    for version in ["1.36", "1.20"] {
        let mut proxier = Proxier::new(config(version, "iptables", None)).unwrap();
        sync(&mut proxier, &cluster, &mut Machine::new()).unwrap();
        let checks: Vec<_> = proxier
            .listeners()
            .iter()
            .filter(|listener| matches!(listener.purpose, Purpose::HealthCheck(_)))
            .cloned()
            .collect();
        let check = check(&checks);
        let healthy = if version == "1.36" { ",\n\t\"serviceProxyHealthy\": true" } else { "" };
        let answer = check.answer(true);
        assert_eq!(
            answer.body,
            format!(
                "{{\n\t\"service\": {{\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t}},\n\t\"localEndpoints\": 2{healthy}\n}}"
            )
        );
        assert_eq!(answer.status, 200);
        let weight = answer.headers.into_iter().find(|(name, _)| *name == "X-Load-Balancing-Endpoint-Weight");
        assert_eq!(weight.map(|(_, weight)| weight), (version == "1.36").then(|| "2".to_owned()));
    }
    cluster.slices.clear();
    let mut proxier = Proxier::new(config("1.36", "iptables", None)).unwrap();
    sync(&mut proxier, &cluster, &mut Machine::new()).unwrap();
    assert_eq!(check(proxier.listeners()).answer(true).status, 503);
}

#[test]
fn health_checks_are_answered_where_node_ports_are_taken() {
    let (cluster, _) = manifest(&folder().join("lb-local"));
    let asked = |version: &str| {
        let settings = Some("nodePortAddresses=['192.168.0.0/24']");
        let mut proxier = Proxier::new(config(version, "iptables", settings)).unwrap();
        sync(&mut proxier, &cluster, &mut Machine::new()).unwrap();
        let checks =
            proxier.listeners().iter().filter(|listener| matches!(listener.purpose, Purpose::HealthCheck(_)));
        checks.map(|listener| listener.address).collect::<Vec<_>>()
    };
    assert_eq!(asked("1.20"), [None]);
    assert_eq!(asked("1.36"), [Some([192, 168, 0, 1].into())]);
}

#[test]
fn node_ports_are_held_by_1_20_only() {
    let (cluster, _) = manifest(&folder().join("nodeport"));
    let held = |version: &str, settings: Option<&str>| {
        let mut proxier = Proxier::new(config(version, "iptables", settings)).unwrap();
        sync(&mut proxier, &cluster, &mut Machine::new()).unwrap();
        proxier.listeners().iter().map(|listener| (listener.address, listener.port)).collect::<Vec<_>>()
    };
    assert_eq!(held("1.20", None), [(None, 30080)]);
    assert_eq!(
        held("1.20", Some("nodePortAddresses=['192.168.0.0/24']")),
        [(Some([192, 168, 0, 1].into()), 30080)]
    );
    assert_eq!(held("1.20", Some("nodePortAddresses=['192.168.9.0/24']")), []);
    assert_eq!(held("1.36", None), []);
}

#[test]
fn a_real_server_with_connections_leaves_when_they_have_ended() {
    let (mut cluster, _) = manifest(&folder().join("clusterip-3"));
    let all = cluster.clone();
    let slice = cluster.slices.values_mut().next().unwrap();
    slice.endpoints.as_mut().unwrap().remove(0);
    let mut machine = Machine::new();
    let mut proxier = Proxier::new(config("1.36", "ipvs", None)).unwrap();
    let mut at = |seconds, cluster: &Cluster, machine: &mut Machine| {
        now(proxier.sync(&cluster.objects(), Duration::from_secs(seconds), machine)).unwrap();
        let mut commands = commands(machine, "ipvsadm");
        commands.retain(|command| !command.starts_with("ipvsadm -L"));
        commands
    };
    at(100, &all, &mut machine);
    machine.busy.insert("10.244.1.2:8080".to_owned());
    assert_eq!(at(110, &cluster, &mut machine), ["ipvsadm -e -t 10.96.0.10:80 -r 10.244.1.2:8080 -m -w 0"]);
    assert!(at(130, &cluster, &mut machine).is_empty());
    // It comes back before its connections have ended.
    let back = [
        "ipvsadm -d -t 10.96.0.10:80 -r 10.244.1.2:8080",
        "ipvsadm -a -t 10.96.0.10:80 -r 10.244.1.2:8080 -m -w 1",
    ];
    assert_eq!(at(140, &all, &mut machine), back);
    at(150, &cluster, &mut machine);
    machine.busy.clear();
    assert_eq!(at(230, &cluster, &mut machine), ["ipvsadm -d -t 10.96.0.10:80 -r 10.244.1.2:8080"]);
    assert!(at(300, &cluster, &mut machine).is_empty());
}

#[test]
fn settings_that_a_version_does_not_have_are_refused() {
    let refused = |version, mode| Proxier::new(config(version, mode, None)).err().unwrap().to_string();
    assert_eq!(refused("1.36", "userspace"), "unknown proxy mode \"userspace\"");
    assert_eq!(refused("1.20", "nftables"), "unknown proxy mode \"nftables\"");
    assert_eq!(refused("1.36", "nftables"), "not modelled yet: mode nftables of kube-proxy 1.36");
    assert_eq!(refused("1.20", "ipvs"), "not modelled yet: mode ipvs of kube-proxy 1.20");
    let wrong = |value| serde_json::from_value::<Config>(value).unwrap_err().to_string();
    assert!(wrong(json!({"proxyMode": "iptables"})).starts_with("unknown field `proxyMode`"));
    assert!(
        wrong(json!({"iptables": {"syncPeriod": "soon"}})).starts_with("time: invalid duration \"soon\"")
    );
    assert!(
        wrong(json!({"iptables": {"masqueradeBit": 32}}))
            .starts_with("Invalid value: 32: must be within the range [0, 31]")
    );
}

#[test]
fn a_sync_is_due_after_the_period_of_its_mode() {
    let settings = Some("iptables.syncPeriod=1h, ipvs.syncPeriod=1m30s");
    let period = |mode| Proxier::new(config("1.36", mode, settings)).unwrap().sync_period();
    assert_eq!([period("iptables"), period("ipvs")], [Duration::from_secs(3600), Duration::from_secs(90)]);
    let (cluster, _) = manifest(&folder().join("clusterip-3"));
    let mut machine = Machine::new();
    let mut proxier = Proxier::new(config("1.36", "iptables", None)).unwrap();
    assert_eq!(proxier.sync_period(), Duration::from_secs(30));
    // A full one is due after an hour.
    let mut lines = |seconds| {
        machine.calls.clear();
        now(proxier.sync(&cluster.objects(), Duration::from_secs(seconds), &mut machine)).unwrap();
        let restored = machine.calls.iter().find(|call| call.argv[0] == "iptables-restore").unwrap();
        restored.stdin.lines().filter(|line| line.starts_with("-A KUBE-SEP-")).count()
    };
    assert_eq!([lines(10), lines(40), lines(3700)], [6, 0, 6]);
}

#[test]
fn rules_are_written_again_when_the_node_changes() {
    let (mut cluster, _) = manifest(&folder().join("detect-node-cidr"));
    let settings = Some("detectLocalMode=NodeCIDR");
    let mut machine = Machine::new();
    let mut proxier = Proxier::new(config("1.36", "iptables", settings)).unwrap();
    sync(&mut proxier, &cluster, &mut machine).unwrap();
    let spec = cluster.nodes.get_mut("node1").unwrap().spec.as_mut().unwrap();
    spec.pod_cidrs = Some(vec!["10.244.9.0/24".to_owned()]);
    sync(&mut proxier, &cluster, &mut machine).unwrap();
    let rules = &machine.tables["nat"]["KUBE-SVC-LOLE4ISW44XBNF3G"];
    assert!(rules[0].contains(&"10.244.9.0/24".to_owned()), "{rules:?}");
}

#[test]
fn node_ports_are_taken_where_the_configuration_says() {
    let (cluster, _) = manifest(&folder().join("nodeport"));
    let jumps = |networks: &str| {
        let mut machine = Machine::new();
        let settings = format!("nodePortAddresses=[{networks}]");
        let mut proxier = Proxier::new(config("1.36", "iptables", Some(&settings))).unwrap();
        sync(&mut proxier, &cluster, &mut machine).unwrap();
        let chains = &machine.tables["nat"];
        let jumps = chains["KUBE-SERVICES"].iter().filter(|rule| rule.contains(&"KUBE-NODEPORTS".to_owned()));
        let to: Vec<_> = jumps.map(|rule| rule[4..rule.len() - 2].join(" ")).collect();
        (to, machine.sysctls.contains_key("net.ipv4.conf.all.route_localnet"))
    };
    let addresses = |list: &[&str], at_localhost: bool| {
        (list.iter().map(|&to| to.to_owned()).collect::<Vec<_>>(), at_localhost)
    };
    assert_eq!(jumps(""), addresses(&["-m addrtype --dst-type LOCAL"], true));
    assert_eq!(jumps("192.168.0.0/24, 0.0.0.0/0"), addresses(&["-m addrtype --dst-type LOCAL"], true));
    assert_eq!(jumps("'fd00::/64'"), addresses(&["-m addrtype --dst-type LOCAL"], true));
    assert_eq!(jumps("primary"), addresses(&["-d 192.168.0.1"], false));
    assert_eq!(jumps("127.0.0.0/8, 192.168.0.0/16"), addresses(&["-d 127.0.0.1", "-d 192.168.0.1"], true));
    assert_eq!(jumps("172.16.0.0/12"), addresses(&[], false));
}

#[test]
fn what_the_kernel_does_not_count_has_no_counter() {
    let (cluster, _) = manifest(&folder().join("nodeport"));
    let (mut with, mut without) = (Machine::new(), Machine::new());
    without.counts = false;
    for machine in [&mut with, &mut without] {
        let mut proxier = Proxier::new(config("1.36", "iptables", None)).unwrap();
        sync(&mut proxier, &cluster, machine).unwrap();
    }
    assert_eq!(with.tables["nat"]["KUBE-NODEPORTS"].len(), 2);
    assert_eq!(without.tables["nat"]["KUBE-NODEPORTS"].len(), 1);
    let invalid =
        |machine: &Machine| machine.tables["filter"]["KUBE-FORWARD"][0].contains(&"nfacct".to_owned());
    assert!(invalid(&with) && !invalid(&without));
}
