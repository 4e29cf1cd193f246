//! kube-proxy held against recordings of the real one.

mod cost;
mod effects;
mod machine;
mod random;
mod recording;
mod scale;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glassnet_cluster::kube_proxy::health::{Listener, Purpose};
use glassnet_cluster::kube_proxy::{Proxier, SyncError};
use machine::{Call, Machine, words};
use recording::{Cluster, calls, canonical, config, folder, manifest, steps};

/// All cases; which of them were recorded with which version is said by their files.
const CASES: [&str; 40] = [
    "affinity",
    "affinity-nodeport",
    "clusterip-0",
    "clusterip-1",
    "clusterip-10",
    "clusterip-3",
    "detect-node-cidr",
    "detect-none",
    "detect-prefix",
    "empty",
    "external-ip",
    "external-ip-local",
    "headless",
    "hints-missing",
    "hints-zone",
    "internal-local",
    "internal-local-none",
    "ipvs-scheduler",
    "kubernetes",
    "lb",
    "lb-local",
    "lb-proxy-mode",
    "lb-ranges",
    "lb-ranges-node",
    "masquerade-all",
    "multi-port",
    "no-localhost-nodeports",
    "nodeport",
    "nodeport-0",
    "nodeport-addresses",
    "nodeport-local",
    "nodeport-local-none",
    "not-ready",
    "proxy-name-label",
    "same-name",
    "seq-life",
    "seq-udp",
    "terminating-all",
    "terminating-mixed",
    "udp",
];

/// Runs a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// A node's shell may poll it on any thread.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

fn sync(proxier: &mut Proxier, cluster: &Cluster, machine: &mut Machine) -> Result<(), SyncError> {
    let objects = cluster.objects();
    now(sendable(proxier.sync(&objects, Duration::from_secs(10), machine)))
}

fn restores(calls: &[Call]) -> Vec<&Call> {
    calls.iter().filter(|call| call.argv[0] == "iptables-restore").collect()
}

fn same_call(ours: &Call, real: &Call, place: &str) {
    assert_eq!((&ours.argv, ours.status), (&real.argv, real.status), "{place}");
    if ours.stdin != real.stdin {
        similar(&canonical(&ours.stdin), &canonical(&real.stdin), place);
    }
}

fn similar<T: Ord + std::fmt::Debug>(ours: &[T], real: &[T], place: &str) {
    if ours != real {
        let missing: Vec<_> = real.iter().filter(|line| !ours.contains(line)).collect();
        let extra: Vec<_> = ours.iter().filter(|line| !real.contains(line)).collect();
        panic!("{place}:\nmissing {missing:#?}\nextra {extra:#?}\n(neither: the order differs)");
    }
}

/// The recordings of a version and mode: each case's folder, and the manifest that it has.
fn recorded(label: &str, mode: &str, count: usize) -> Vec<(&'static str, std::path::PathBuf)> {
    let file = format!("{label}.{mode}.txt");
    let found: Vec<_> = CASES
        .iter()
        .map(|case| (*case, folder().join(case)))
        .filter(|(_, folder)| folder.join(&file).exists())
        .collect();
    assert_eq!(found.len(), count, "recordings of {label} {mode}");
    found
}

fn read(case: &Path, name: &str) -> String {
    fs::read_to_string(case.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", case.display()))
}

#[test]
fn every_case_is_known() {
    let folders =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let found: BTreeSet<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(found, CASES.iter().map(|&case| case.to_owned()).collect());
}

/// Chains of the recorded state, each with its rules in words.
fn saved_tables(text: &str) -> BTreeMap<String, BTreeMap<String, Vec<Vec<String>>>> {
    let mut tables = BTreeMap::<_, BTreeMap<String, Vec<_>>>::new();
    let mut table = String::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if let Some(chain) = line.strip_prefix(':') {
            tables
                .entry(table.clone())
                .or_default()
                .insert(chain.split(' ').next().unwrap().to_owned(), Vec::new());
        } else if line.starts_with("-A ") {
            let words = words(line);
            tables.get_mut(&table).unwrap().get_mut(&words[1]).unwrap().push(words[2..].to_vec());
        }
    }
    tables
}

/// Compares what tables hold: all chains, how many rules each has, and the rules of built-in chains word by word (`iptables-save`
/// spells other rules differently; that the rules are the same is seen in the input).
fn same_tables(machine: &Machine, saved: &str, place: &str) {
    let tables = saved_tables(saved);
    assert!(tables.contains_key("filter") && tables.contains_key("nat"), "{place}");
    for (table, chains) in tables {
        let ours = &machine.tables[&table];
        similar(
            &ours.keys().collect::<Vec<_>>(),
            &chains.keys().collect::<Vec<_>>(),
            &format!("{place}: chains of {table}"),
        );
        for (chain, rules) in chains {
            assert_eq!(ours[&chain].len(), rules.len(), "{place}: {table} {chain}");
            if !chain.starts_with("KUBE-") {
                assert_eq!(ours[&chain], rules, "{place}: {table} {chain}");
            }
        }
    }
}

/// The first syncs of all cases: what `iptables-restore` gets, and which chains and jumps there are then.
fn iptables_mode(label: &str, version: &str, count: usize) {
    let mut exact = 0;
    for (case, folder) in recorded(label, "iptables", count) {
        let (cluster, settings) = manifest(&folder);
        let real = calls(&read(&folder, &format!("{label}.iptables.input.txt")));
        assert!(!real.is_empty(), "{case}");
        let mut machine = Machine::new();
        let mut proxier = Proxier::new(config(version, "iptables", settings.as_deref())).unwrap();
        for _ in &real {
            sync(&mut proxier, &cluster, &mut machine).unwrap();
        }
        let ours = restores(&machine.calls);
        assert_eq!(ours.len(), real.len(), "{case}");
        for (ours, real) in ours.iter().zip(&real) {
            same_call(ours, real, &format!("{label} {case}"));
            exact += usize::from(ours.stdin == real.stdin);
        }
        if !case.starts_with("seq-") {
            same_tables(
                &machine,
                &read(&folder, &format!("{label}.iptables.txt")),
                &format!("{label} {case}"),
            );
        }
    }
    // Cases of one service port leave nothing to chance.
    assert!(exact >= count - 4, "{exact} of {count} inputs are equal byte for byte");
}

#[test]
fn iptables_1_36() {
    iptables_mode("v1.36.2", "1.36", 39);
}

#[test]
fn iptables_1_30() {
    iptables_mode("v1.30.5", "1.30", 37);
}

#[test]
fn iptables_1_20() {
    iptables_mode("v1.20.2", "1.20", 36);
    let (cluster, settings) = manifest(&folder().join("detect-prefix"));
    drop(cluster);
    let refused = Proxier::new(config("1.20", "iptables", settings.as_deref())).err().unwrap();
    assert_eq!(refused.to_string(), "unknown detect-local-mode: \"InterfaceNamePrefix\"");
}

/// The IPVS mode: the inputs of `iptables-restore`, virtual servers, sets, addresses and sysctls.
#[test]
fn ipvs_1_36() {
    let cases = recorded("v1.36.2", "ipvs", 21);
    for (case, folder) in cases {
        let (cluster, settings) = manifest(&folder);
        let real = calls(&read(&folder, "v1.36.2.ipvs.input.txt"));
        assert!(!real.is_empty(), "{case}");
        let mut machine = Machine::new();
        let mut proxier = Proxier::new(config("1.36", "ipvs", settings.as_deref())).unwrap();
        for _ in &real {
            sync(&mut proxier, &cluster, &mut machine).unwrap();
        }
        let ours = restores(&machine.calls);
        assert_eq!(ours.len(), real.len(), "{case}");
        for (ours, real) in ours.iter().zip(&real) {
            assert_eq!(*ours, real, "{case}");
        }
        let state = read(&folder, "v1.36.2.ipvs.txt");
        let parts: Vec<_> = state.split("$ ").skip(1).map(|part| part.split_once('\n').unwrap()).collect();
        assert_eq!(parts.len(), 5, "{case}");
        for (command, text) in parts {
            let lines: BTreeSet<_> =
                text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect();
            let place = format!("{case}: {command}");
            match command {
                "iptables-save" => same_tables(&machine, text, &place),
                "ipvsadm -S -n" => assert_eq!(machine.virtual_server_lines(), lines, "{place}"),
                "ipset save" => assert_eq!(machine.set_lines(), lines, "{place}"),
                "ip -br -4 addr show kube-ipvs0" => {
                    let addresses: BTreeSet<_> = text.split_whitespace().skip(2).map(str::to_owned).collect();
                    assert_eq!(machine.links["kube-ipvs0"], addresses, "{place}");
                }
                _ => {
                    for line in lines {
                        let (name, value) = line.split_once(' ').unwrap();
                        let ours = machine.sysctls.get(&format!("net.ipv4.{}", name.replace('/', ".")));
                        // Linux's own values, where kube-proxy leaves them.
                        let left = if name == "vs/conn_reuse_mode" { "1" } else { "0" };
                        assert_eq!(ours.map_or(left, String::as_str), value, "{place}: {name}");
                    }
                }
            }
        }
    }
}

/// Puts a name in the place of each port that is chosen by chance, and the calls after the last change in the order of services.
fn without_ports(calls: &[Call]) -> Vec<Call> {
    let value = |call: &Call, option: &str| {
        let at = call.argv.iter().position(|word| word == option)?;
        Some(call.argv[at + 1].clone())
    };
    let mut names = BTreeMap::new();
    for call in calls {
        if let (Some(port), Some(service)) = (value(call, "--to-ports"), value(call, "--comment")) {
            names.insert(port, service);
        }
    }
    let mut calls = calls.to_vec();
    for word in calls.iter_mut().flat_map(|call| &mut call.argv) {
        let (before, port) =
            word.rsplit_once(':').map_or(("", word.as_str()), |(address, port)| (address, port));
        if let Some(service) = names.get(port) {
            *word = format!("{before}:port of {service}");
        }
    }
    let last_change = calls.iter().rposition(|call| call.argv.contains(&"-A".to_owned())).unwrap();
    calls[last_change + 1..].sort_by_key(|call| value(call, "--comment"));
    calls
}

#[test]
fn userspace_1_20() {
    for (case, folder) in recorded("v1.20.2", "userspace", 6) {
        let (cluster, settings) = manifest(&folder);
        let real = calls(&read(&folder, "v1.20.2.userspace.calls.txt"));
        assert!(real.len() > 30, "{case}");
        let mut machine = Machine::new();
        let mut proxier = Proxier::new(config("1.20", "userspace", settings.as_deref())).unwrap();
        sync(&mut proxier, &cluster, &mut machine).unwrap();
        let (ours, real) = (without_ports(&machine.calls), without_ports(&real));
        similar(&ours, &real, case);
        let state = read(&folder, "v1.20.2.userspace.txt");
        let (rules, sockets) = state.split_once("\n$ ss -Hltun\n").unwrap();
        same_tables(&machine, rules.split_once('\n').unwrap().1, case);
        // kube-proxy's own health and metrics, and the API server, listen at 127.0.0.1.
        let open = sockets.lines().filter(|line| !line.contains("127.0.0.1"));
        let kinds = |line: &str| line.split_whitespace().next().unwrap().to_owned();
        let mut real: Vec<_> = open.map(kinds).collect();
        let mut ours: Vec<_> =
            proxier.listeners().iter().map(|listener| listener.protocol.to_string()).collect();
        real.sort();
        ours.sort();
        assert_eq!(ours, real, "{case}");
        for service in cluster.services.keys() {
            let proxy = |listener: &&Listener| matches!(&listener.purpose, Purpose::Proxy { service: name, .. } if name.service == *service);
            assert!(proxier.listeners().iter().any(|listener| proxy(&listener)), "{case}: {service:?}");
        }
    }
}

/// Partial syncs: the calls of each step.
#[test]
fn sequences() {
    for case in ["seq-life", "seq-udp"] {
        let folder = folder().join(case);
        let (mut cluster, settings) = manifest(&folder);
        let text = read(&folder, "v1.36.2.iptables.calls.txt");
        let mut parts = text.split("# ").skip(1).map(|part| part.split_once('\n').unwrap());
        let mut machine = Machine::new();
        let mut proxier = Proxier::new(config("1.36", "iptables", settings.as_deref())).unwrap();
        sync(&mut proxier, &cluster, &mut machine).unwrap();
        same_call(restores(&machine.calls)[0], &calls(parts.next().unwrap().1)[0], case);
        for (say, mut changes) in steps(&folder) {
            let (name, part) = parts.next().unwrap();
            assert_eq!(name, say);
            let place = format!("{case}: {say}");
            machine.calls.clear();
            // Which watch tells its news first is chance: here it was that of slices.
            changes.sort_by_key(|(_, object)| object["kind"] != "EndpointSlice");
            for (verb, object) in changes {
                match verb.as_str() {
                    "apply" => cluster.apply(&object),
                    _ => cluster.delete(&object),
                }
                sync(&mut proxier, &cluster, &mut machine).unwrap();
            }
            // The real one cleans connection tracking by netlink.
            machine.calls.retain(|call| call.argv[0] != "conntrack");
            let real = calls(part);
            assert_eq!(machine.calls.len(), real.len(), "{place}");
            for (ours, real) in machine.calls.iter().zip(&real) {
                same_call(ours, real, &place);
            }
        }
        assert_eq!(parts.count(), 0);
        same_tables(&machine, &read(&folder, "v1.36.2.iptables.txt"), case);
    }
}
