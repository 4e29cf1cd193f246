//! What policies say of the pods that there are.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Objects;
use super::names::Direction;
use crate::controllers::matches_labels;

/// A policy.
#[derive(Debug)]
pub struct Policy {
    pub namespace: String,
    pub name: String,
    /// Addresses of the pods that it selects.
    pub selected: BTreeSet<String>,
    /// The rules of each direction for which it isolates pods.
    pub rules: Vec<(Direction, Vec<Rule>)>,
}

impl Policy {
    /// It isolates the pods that it selects for a direction.
    pub fn isolates(&self, direction: Direction) -> bool {
        self.rules.iter().any(|(known, _)| *known == direction)
    }
}

/// A rule of a policy: what it allows.
#[derive(Debug)]
pub struct Rule {
    /// Every source, or every destination.
    pub all: bool,
    /// Addresses of the peers' pods.
    pub pods: BTreeSet<String>,
    /// Entries of a set for the peers' blocks.
    pub blocks: Vec<String>,
    /// `None`: every port.
    pub ports: Option<Ports>,
}

/// Ports of a rule.
#[derive(Debug, Default)]
pub struct Ports {
    /// Protocols, each with a port; `None`: all of its ports.
    pub numbers: Vec<(String, Option<String>)>,
    /// What names of ports stand for.
    pub named: Vec<Endpoints>,
}

/// Pods in which a named port has one number.
#[derive(Clone, Debug)]
pub struct Endpoints {
    pub protocol: String,
    pub port: String,
    pub addresses: Vec<String>,
}

/// What names of ports stand for: pods by name, protocol and number.
type Named = BTreeMap<(String, String), BTreeMap<String, Endpoints>>;

/// The address of a pod, if it has one.
pub fn address(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref().filter(|address| !address.is_empty())
}

/// Reads all policies.
pub fn read(objects: &Objects) -> Vec<Policy> {
    objects.policies.iter().map(|policy| read_one(policy, objects)).collect()
}

fn read_one(policy: &NetworkPolicy, objects: &Objects) -> Policy {
    let namespace = policy.metadata.namespace.clone().unwrap_or_default();
    let spec = policy.spec.clone().unwrap_or_default();
    let types = spec.policy_types.unwrap_or_default();
    let has = |direction: Direction| types.iter().any(|known| known == direction.name());
    let own = pods(objects, &namespace, spec.pod_selector.as_ref());
    let selected = own.iter().filter_map(|pod| address(pod)).map(str::to_owned).collect();
    let mut rules = Vec::new();
    if has(Direction::Ingress) || !has(Direction::Egress) {
        let named = named_ports(&own);
        let ingress = spec.ingress.into_iter().flatten().map(|rule| {
            let mut read = peers(rule.from.unwrap_or_default(), &namespace, objects).0;
            read.ports = rule.ports.filter(|ports| !ports.is_empty()).map(|all| ports(&all, &named));
            read
        });
        rules.push((Direction::Ingress, ingress.collect()));
    }
    if has(Direction::Egress) {
        let egress = spec.egress.into_iter().flatten().map(|rule| {
            let (mut read, mut found) = peers(rule.to.unwrap_or_default(), &namespace, objects);
            if read.all {
                // A name stands for what it stands for in the policy's own namespace.
                found = pods(objects, &namespace, None);
            }
            let named = named_ports(&found);
            read.ports = rule.ports.filter(|ports| !ports.is_empty()).map(|all| ports(&all, &named));
            read
        });
        rules.push((Direction::Egress, egress.collect()));
    }
    Policy { namespace, name: policy.metadata.name.clone().unwrap_or_default(), selected, rules }
}

fn is_selected(meta: &ObjectMeta, selector: Option<&LabelSelector>) -> bool {
    selector.is_none_or(|selector| matches_labels(selector, meta.labels.as_ref()))
}

/// Pods of a namespace that a selector selects; without one, all.
fn pods<'a>(objects: &Objects<'a>, namespace: &str, selector: Option<&LabelSelector>) -> Vec<&'a Pod> {
    let is_wanted = |pod: &&Pod| {
        pod.metadata.namespace.as_deref() == Some(namespace) && is_selected(&pod.metadata, selector)
    };
    objects.pods.iter().copied().filter(is_wanted).collect()
}

/// A rule without its ports, and the pods of its peers.
fn peers<'a>(all: Vec<NetworkPolicyPeer>, namespace: &str, objects: &Objects<'a>) -> (Rule, Vec<&'a Pod>) {
    let mut found = Vec::new();
    let mut rule = Rule { all: all.is_empty(), pods: BTreeSet::new(), blocks: Vec::new(), ports: None };
    for peer in all {
        let selector = peer.pod_selector.as_ref();
        match (&peer.namespace_selector, selector, &peer.ip_block) {
            (Some(wanted), ..) => {
                let namespaces = objects.namespaces.iter().map(|namespace| &namespace.metadata);
                for meta in namespaces.filter(|meta| is_selected(meta, Some(wanted))) {
                    found.extend(pods(objects, meta.name.as_deref().unwrap_or_default(), selector));
                }
            }
            (None, Some(_), _) => found.extend(pods(objects, namespace, selector)),
            (None, None, Some(block)) => rule.blocks.extend(entries(block)),
            (None, None, None) => {}
        }
    }
    rule.pods = found.iter().filter_map(|pod| address(pod)).map(str::to_owned).collect();
    (rule, found)
}

/// A block as entries of a set of networks, which cannot have a prefix of no bits.
fn entries(block: &IPBlock) -> Vec<String> {
    let entry = |network: &str, option: &str| match network.ends_with("/0") {
        true => vec![format!("0.0.0.0/1 timeout 0{option}"), format!("128.0.0.0/1 timeout 0{option}")],
        false => vec![format!("{network} timeout 0{option}")],
    };
    let excepts = block.except.iter().flatten().flat_map(|network| entry(network, " nomatch"));
    entry(&block.cidr, "").into_iter().chain(excepts).collect()
}

fn named_ports(pods: &[&Pod]) -> Named {
    let mut named = Named::new();
    for pod in pods {
        let Some(address) = address(pod) else { continue };
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        for port in containers.flat_map(|container| container.ports.iter().flatten()) {
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let number = port.container_port.to_string();
            let known = named.entry((port.name.clone().unwrap_or_default(), protocol.clone())).or_default();
            let endpoints = known.entry(number.clone());
            let endpoints = endpoints.or_insert(Endpoints { protocol, port: number, addresses: Vec::new() });
            endpoints.addresses.push(address.to_owned());
        }
    }
    named
}

/// Ports with what names stand for. A name that no pod has stands for nothing. The end of a range is not looked at: to kube-router 1.2
/// a range is its first port.
fn ports(all: &[NetworkPolicyPort], named: &Named) -> Ports {
    let mut ports = Ports::default();
    for port in all {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        match &port.port {
            None => ports.numbers.push((protocol, None)),
            Some(IntOrString::Int(number)) => ports.numbers.push((protocol, Some(number.to_string()))),
            Some(IntOrString::String(name)) => {
                let known = named.get(&(name.clone(), protocol)).into_iter().flat_map(BTreeMap::values);
                ports.named.extend(known.cloned());
            }
        }
    }
    ports
}
