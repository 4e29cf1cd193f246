//! Chains of policies and of pods, as lines of `iptables-restore`.
//!
//! A pod that a policy isolates has a chain, to which the packets from and to it jump. It runs through the chains of all policies that
//! select the pod; one that allows the packet marks it, and what is not marked at the end is refused. A policy's chain has the rules of
//! both its directions, so the rules of one direction also let pass in the other.

use std::collections::{BTreeMap, BTreeSet};

use super::Objects;
use super::names::{self, Direction, FORWARD, INPUT, OUTPUT, SetOf};
use super::policies::{Endpoints, Policy, Rule, address};
use super::sets::Sets;

const ADDRESSES: &str = "hash:ip";
const NETWORKS: &str = "hash:net";
const MARK: &str = "0x10000/0x10000";

/// The chains of a sync.
pub struct Chains<'a> {
    version: &'a str,
    declared: BTreeSet<String>,
    /// Names in the order of their declaration.
    order: Vec<String>,
    rules: Vec<String>,
}

/// A pod with a chain.
struct PodIs {
    namespace: String,
    name: String,
}

impl<'a> Chains<'a> {
    pub fn new(version: &'a str) -> Self {
        Self { version, declared: BTreeSet::new(), order: Vec::new(), rules: Vec::new() }
    }

    /// The chain is of this sync.
    pub fn has(&self, chain: &str) -> bool {
        self.declared.contains(chain)
    }

    fn declare(&mut self, chain: &str) {
        if self.declared.insert(chain.to_owned()) {
            self.order.push(chain.to_owned());
        }
    }

    /// The input of `iptables-restore`: what was saved, but for stale chains, and what is new.
    pub fn table(&self, saved: &str, stale: &[String]) -> String {
        let is_kept = |line: &&str| {
            !line.contains("COMMIT") && !stale.iter().any(|chain| line.contains(chain.as_str()))
        };
        let kept: Vec<&str> = saved.lines().filter(is_kept).collect();
        let mut text = String::from("*filter\n");
        let chains = kept.iter().filter(|line| line.starts_with(':')).map(|line| (*line).to_owned());
        for chain in chains.chain(self.order.iter().map(|chain| format!(":{chain}"))) {
            // Behind the policy of a built-in chain it is not read.
            text += &format!("{chain} - [0:0]\n");
        }
        let rules = kept.into_iter().filter(|line| line.starts_with('-'));
        for rule in rules.chain(self.rules.iter().map(String::as_str)) {
            text += &format!("{rule}\n");
        }
        text + "COMMIT\n"
    }

    /// Adds the chain of each policy, and refreshes its sets; the names of these.
    pub fn add_policies(&mut self, policies: &[Policy], sets: &mut Sets) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for policy in policies {
            let chain = names::policy_chain(&policy.namespace, &policy.name, self.version);
            self.declare(&chain);
            for (direction, rules) in &policy.rules {
                let (direction, chain) = (*direction, chain.clone());
                let mut part = Part { policy, direction, chain, chains: self, sets, used: &mut used };
                let selected = part.set(SetOf::Selected, ADDRESSES, with_timeout(&policy.selected));
                for (number, rule) in rules.iter().enumerate() {
                    part.add(number, rule, &selected);
                }
            }
        }
        used
    }

    /// Adds the chains of the node's pods that are isolated.
    pub fn add_pods(&mut self, policies: &[Policy], objects: &Objects, node_ip: &str) {
        let mut closed = BTreeSet::new();
        for direction in [Direction::Ingress, Direction::Egress] {
            for (address, pod) in isolated(policies, objects, node_ip, direction) {
                let chain = names::pod_chain(&pod.namespace, &pod.name, self.version);
                self.declare(&chain);
                for policy in policies.iter().filter(|policy| policy.selected.contains(&address)) {
                    let to = names::policy_chain(&policy.namespace, &policy.name, self.version);
                    let comment = format!("run through nw policy {}", policy.name);
                    self.rules.push(format!("-I {chain} 1 -m comment --comment \"{comment}\" -j {to}"));
                }
                match direction {
                    Direction::Ingress => self.add_ingress(&chain, &address, &pod),
                    Direction::Egress => self.add_egress(&chain, &address, &pod),
                }
                if closed.insert(chain.clone()) {
                    self.close(&chain, &pod);
                }
            }
        }
    }

    /// Ways into a pod.
    fn add_ingress(&mut self, chain: &str, address: &str, pod: &PodIs) {
        let PodIs { namespace, name } = pod;
        let local = "rule to permit the traffic traffic to pods when source is the pod's local node";
        self.rules.push(format!(
            "-I {chain} 1 -m comment --comment \"{local}\" -m addrtype --src-type LOCAL -d {address} -j ACCEPT"
        ));
        self.add_stateful(chain);
        let comment = format!(
            "rule to jump traffic destined to POD name:{name} namespace: {namespace} to chain {chain}"
        );
        let jump = format!("-m comment --comment \"{comment}\" -d {address} -j {chain}");
        // Routed, from the node itself, and carried by its bridge from pod to pod.
        self.rules.push(format!("-I {FORWARD} 1 {jump}"));
        self.rules.push(format!("-I {OUTPUT} 1 {jump}"));
        self.rules.push(format!("-I {FORWARD} 1 -m physdev --physdev-is-bridged {jump}"));
    }

    /// Ways out of a pod.
    fn add_egress(&mut self, chain: &str, address: &str, pod: &PodIs) {
        let PodIs { namespace, name } = pod;
        self.add_stateful(chain);
        let comment =
            format!("rule to jump traffic from POD name:{name} namespace: {namespace} to chain {chain}");
        let jump = format!("-m comment --comment \"{comment}\" -s {address} -j {chain}");
        for top in [INPUT, FORWARD, OUTPUT] {
            self.rules.push(format!("-A {top} {jump}"));
        }
        self.rules.push(format!("-I {FORWARD} 1 -m physdev --physdev-is-bridged {jump}"));
    }

    fn add_stateful(&mut self, chain: &str) {
        self.rules.push(format!(
            "-I {chain} 1 -m comment --comment \"rule for stateful firewall for pod\" \
             -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        ));
    }

    /// What no policy marked is logged and refused; the mark of what may pass is taken off.
    fn close(&mut self, chain: &str, pod: &PodIs) {
        let PodIs { namespace, name } = pod;
        let mark = format!("-m mark ! --mark {MARK}");
        self.rules.push(format!(
            "-A {chain} -m comment --comment \"rule to log dropped traffic POD name:{name} namespace: {namespace}\" {mark} \
             -j NFLOG --nflog-group 100 -m limit --limit 10/minute --limit-burst 10"
        ));
        self.rules.push(format!(
            "-A {chain} -m comment --comment \"rule to REJECT traffic destined for POD name:{name} namespace: {namespace}\" {mark} \
             -j REJECT"
        ));
        self.rules.push(format!("-A {chain} -j MARK --set-mark 0/0x10000"));
    }
}

/// Pods of the node that a policy isolates for a direction, by address.
fn isolated(
    policies: &[Policy],
    objects: &Objects,
    node_ip: &str,
    direction: Direction,
) -> BTreeMap<String, PodIs> {
    let mut found = BTreeMap::new();
    for pod in &objects.pods {
        let host_ip = pod.status.as_ref().and_then(|status| status.host_ip.as_deref());
        let Some(address) = address(pod).filter(|_| host_ip == Some(node_ip)) else { continue };
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let is_isolated = policies.iter().any(|policy| {
            policy.namespace == namespace && policy.isolates(direction) && policy.selected.contains(address)
        });
        if is_isolated {
            let name = pod.metadata.name.clone().unwrap_or_default();
            found.insert(address.to_owned(), PodIs { namespace, name });
        }
    }
    found
}

fn with_timeout<'a>(addresses: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    addresses.into_iter().map(|address| format!("{address} timeout 0")).collect()
}

/// The rules of a policy's direction.
struct Part<'a, 'b> {
    policy: &'a Policy,
    direction: Direction,
    chain: String,
    chains: &'a mut Chains<'b>,
    sets: &'a mut Sets,
    used: &'a mut BTreeSet<String>,
}

impl Part<'_, '_> {
    /// Fills a set of the policy; its name.
    fn set(&mut self, of: SetOf, kind: &str, entries: Vec<String>) -> String {
        let name = names::set(self.direction, &self.policy.namespace, &self.policy.name, of);
        self.sets.refresh(&name, kind, entries);
        self.used.insert(name.clone());
        name
    }

    /// What a rule allows.
    fn add(&mut self, number: usize, rule: &Rule, selected: &str) {
        if !rule.pods.is_empty() {
            let peers = self.set(SetOf::Pods(number), ADDRESSES, with_timeout(&rule.pods));
            let comment = "rule to ACCEPT traffic from source pods to dest pods selected by policy name";
            self.add_ports(rule, comment, Some(&peers), selected);
            self.add_named(number, rule, comment, Some(&peers), selected, ADDRESSES);
            // Also if no pod has the names that its ports have.
            let has_ports =
                rule.ports.as_ref().is_some_and(|ports| !ports.numbers.is_empty() || !ports.named.is_empty());
            if rule.ports.is_some() && !has_ports {
                self.allow(comment, self.ends(Some(&peers), selected), None);
            }
        }
        if rule.all {
            let comment = match self.direction {
                Direction::Ingress => {
                    "rule to ACCEPT traffic from all sources to dest pods selected by policy name:"
                }
                Direction::Egress => {
                    "rule to ACCEPT traffic from source pods to all destinations selected by policy name:"
                }
            };
            self.add_ports(rule, comment, None, selected);
            self.add_named(number, rule, comment, None, selected, ADDRESSES);
        }
        if !rule.blocks.is_empty() {
            let peers = self.set(SetOf::Blocks(number), NETWORKS, rule.blocks.clone());
            let comment = match self.direction {
                Direction::Ingress => {
                    "rule to ACCEPT traffic from specified ipBlocks to dest pods selected by policy name:"
                }
                Direction::Egress => {
                    "rule to ACCEPT traffic from source pods to specified ipBlocks selected by policy name:"
                }
            };
            self.add_ports(rule, comment, Some(&peers), selected);
            // Names stand for ports of pods, which a block has not.
            if self.direction == Direction::Ingress {
                self.add_named(number, rule, comment, Some(&peers), selected, NETWORKS);
            }
        }
    }

    /// Sources and destinations of what is allowed.
    fn ends<'c>(&self, peers: Option<&'c str>, selected: &'c str) -> (Option<&'c str>, Option<&'c str>) {
        match self.direction {
            Direction::Ingress => (peers, Some(selected)),
            Direction::Egress => (Some(selected), peers),
        }
    }

    /// Ports with numbers, or all.
    fn add_ports(&mut self, rule: &Rule, comment: &str, peers: Option<&str>, selected: &str) {
        let ends = self.ends(peers, selected);
        match &rule.ports {
            None => self.allow(comment, ends, None),
            Some(ports) => {
                for (protocol, port) in &ports.numbers {
                    self.allow(comment, ends, Some((protocol, port.as_deref())));
                }
            }
        }
    }

    /// Ports with names: a set of pods for each number that a name stands for.
    fn add_named(
        &mut self,
        number: usize,
        rule: &Rule,
        comment: &str,
        peers: Option<&str>,
        selected: &str,
        kind: &str,
    ) {
        let named = rule.ports.iter().flat_map(|ports| &ports.named);
        for (at, Endpoints { protocol, port, addresses }) in named.enumerate() {
            let port = Some((protocol.as_str(), Some(port.as_str())));
            if self.direction == Direction::Egress && peers.is_none() {
                self.allow(comment, (Some(selected), None), port);
                continue;
            }
            let pods = self.set(SetOf::NamedPort(number, at), kind, with_timeout(addresses));
            let source = match self.direction {
                Direction::Ingress => peers,
                Direction::Egress => Some(selected),
            };
            self.allow(comment, (source, Some(&pods)), port);
        }
    }

    /// Marks what is allowed, and leaves the chain with it.
    fn allow(
        &mut self,
        comment: &str,
        (sources, destinations): (Option<&str>, Option<&str>),
        port: Option<(&str, Option<&str>)>,
    ) {
        let Policy { namespace, name, .. } = self.policy;
        let mut rule =
            format!("-A {} -m comment --comment \"{comment} {name} namespace {namespace}\"", self.chain);
        if let Some(set) = sources {
            rule += &format!(" -m set --match-set {set} src");
        }
        if let Some(set) = destinations {
            rule += &format!(" -m set --match-set {set} dst");
        }
        if let Some((protocol, port)) = port {
            rule += &format!(" -p {protocol}");
            rule += &port.map_or_else(String::new, |port| format!(" --dport {port}"));
        }
        self.chains.rules.push(format!("{rule} -j MARK --set-xmark {MARK}"));
        self.chains.rules.push(format!("{rule} -m mark --mark {MARK} -j RETURN"));
    }
}
