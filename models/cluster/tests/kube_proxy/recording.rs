//! Recordings of real kube-proxies, and what in them is chance.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use glassnet_cluster::kube_proxy::Objects;
use glassnet_cluster::kube_proxy::config::Config;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use crate::machine::{Call, words};

/// Where they are kept.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/recordings/kubernetes/kube-proxy")
}

/// Objects of a cluster, by kind, namespace and name.
#[derive(Clone, Default)]
pub struct Cluster {
    pub services: BTreeMap<(String, String), Service>,
    pub slices: BTreeMap<(String, String), EndpointSlice>,
    pub nodes: BTreeMap<String, Node>,
}

impl Cluster {
    pub fn apply(&mut self, object: &Value) {
        let (kind, key) = key(object);
        let object = object.clone();
        match kind {
            "Service" => drop(self.services.insert(key, serde_json::from_value(object).unwrap())),
            "EndpointSlice" => drop(self.slices.insert(key, serde_json::from_value(object).unwrap())),
            "Node" => drop(self.nodes.insert(key.1, serde_json::from_value(object).unwrap())),
            "ServiceCIDR" => {}
            other => panic!("what is a {other}?"),
        }
    }

    pub fn delete(&mut self, object: &Value) {
        match key(object) {
            ("Service", key) => drop(self.services.remove(&key)),
            ("EndpointSlice", key) => drop(self.slices.remove(&key)),
            (other, _) => panic!("who deletes a {other}?"),
        }
    }

    pub fn objects(&self) -> Objects<'_> {
        const ADDRESSES: &[std::net::Ipv4Addr] =
            &[std::net::Ipv4Addr::LOCALHOST, std::net::Ipv4Addr::new(192, 168, 0, 1)];
        Objects {
            services: self.services.values().collect(),
            slices: self.slices.values().collect(),
            node: self.nodes.get("node1"),
            addresses: ADDRESSES,
        }
    }
}

fn key(object: &Value) -> (&str, (String, String)) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    (text("/kind"), (text("/metadata/namespace").to_owned(), text("/metadata/name").to_owned()))
}

/// Reads `manifest.yaml`: the objects, and its second comment if that sets the configuration.
pub fn manifest(case: &Path) -> (Cluster, Option<String>) {
    let text = fs::read_to_string(case.join("manifest.yaml")).unwrap();
    let mut cluster = Cluster::default();
    for document in text.split("\n---\n") {
        cluster.apply(&serde_saphyr::from_str(document).unwrap());
    }
    let settings = text.lines().nth(1).and_then(|line| line.strip_prefix("# kube-proxy: "));
    (cluster, settings.map(str::to_owned))
}

/// A step: what it is, and its changes (verb and object).
pub fn steps(case: &Path) -> Vec<(String, Vec<(String, Value)>)> {
    let text = fs::read_to_string(case.join("steps.yaml")).unwrap();
    let steps: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
    let change = |change: &Value| (change["verb"].as_str().unwrap().to_owned(), change["object"].clone());
    let step = |step: Value| {
        (
            step["say"].as_str().unwrap().to_owned(),
            step["do"].as_array().unwrap().iter().map(change).collect(),
        )
    };
    steps.into_iter().map(step).collect()
}

/// The configuration that all cases share, with what a comment sets.
pub fn config(version: &str, mode: &str, settings: Option<&str>) -> Config {
    let mut config = json!({
        "version": version, "mode": mode, "clusterCIDR": "10.244.0.0/16", "detectLocalMode": "ClusterCIDR", "hostnameOverride": "node1",
    });
    let mut rest = settings.unwrap_or_default();
    while let Some((name, after)) = rest.split_once('=') {
        let end = match after.strip_prefix('[') {
            Some(list) => list.find(']').unwrap() + 2,
            None => after.find(", ").unwrap_or(after.len()),
        };
        rest = after[end..].trim_start_matches(", ");
        let value: Value = serde_saphyr::from_str(&after[..end]).unwrap();
        // The name that the field has had since, in another version of the configuration.
        let name = name.replace("linux.", "iptables.");
        match name.split_once('.') {
            Some(("nftables", _)) => {}
            Some((section, field)) => config[section][field] = value,
            None => config[name.as_str()] = value,
        }
    }
    serde_json::from_value(config).unwrap()
}

/// Reads calls: a line of words, perhaps with a status, then lines of input.
pub fn calls(text: &str) -> Vec<Call> {
    let mut calls = Vec::<Call>::new();
    for line in text.lines() {
        if let Some(input) = line.strip_prefix("| ") {
            calls.last_mut().unwrap().stdin.push_str(&format!("{input}\n"));
        } else if !line.is_empty() {
            let (command, status) = line.split_once("   # exit ").unwrap_or((line, "0"));
            calls.push(Call { argv: words(command), stdin: String::new(), status: status.parse().unwrap() });
        }
    }
    calls
}

/// Chains whose rules stand in the order in which kube-proxy walks through its services.
const SHARED: [&str; 4] =
    ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"];

/// An input of `iptables-restore` without its chance: declarations and deletions are sorted; so are rules by their chains, and in the
/// shared chains by their services. The jump to the node ports must be the last.
pub fn canonical(input: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for table in input.split_inclusive("COMMIT\n") {
        let rules = |chain: &str| {
            table
                .lines()
                .filter(|line| line.starts_with(&format!("-A {chain} ")))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        if table.starts_with("*nat") && table.contains("KUBE-NODEPORTS") {
            assert!(rules("KUBE-SERVICES").last().unwrap().contains("this must be the last rule"), "{table}");
        }
        let mut sorted: Vec<_> = table.lines().map(str::to_owned).collect();
        sorted.sort_by_key(|line| {
            let words = words(line);
            let (kind, chain) =
                (words[0].chars().take(2).collect::<String>(), words.get(1).cloned().unwrap_or_default());
            let comment = words
                .iter()
                .position(|word| word == "--comment")
                .map(|at| words[at + 1].clone())
                .unwrap_or_default();
            let service = comment.split(' ').next().unwrap().to_owned();
            match kind.as_str() {
                "-A" if SHARED.contains(&chain.as_str()) => (1, chain, service),
                "-A" => (1, chain, String::new()),
                "-X" => (2, chain, String::new()),
                _ if line.starts_with(':') => (0, line.clone(), String::new()),
                _ if line.starts_with('*') => (-1, String::new(), String::new()),
                _ => (3, String::new(), String::new()),
            }
        });
        lines.extend(sorted);
    }
    lines
}
