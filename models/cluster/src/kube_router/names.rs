//! Names of chains and sets: a prefix, and a hash of what they are for.

use crate::hash::hash;

/// Begins the name of a policy's chain.
pub const POLICY: &str = "KUBE-NWPLCY-";
/// Begins the name of a pod's chain.
pub const POD: &str = "KUBE-POD-FW-";
/// Begins the name of a set of sources.
pub const SOURCES: &str = "KUBE-SRC-";
/// Begins the name of a set of destinations.
pub const DESTINATIONS: &str = "KUBE-DST-";

pub const INPUT: &str = "KUBE-ROUTER-INPUT";
pub const FORWARD: &str = "KUBE-ROUTER-FORWARD";
pub const OUTPUT: &str = "KUBE-ROUTER-OUTPUT";

/// The chain of a policy.
pub fn policy_chain(namespace: &str, name: &str, version: &str) -> String {
    format!("{POLICY}{}", hash(&[namespace, name, version]))
}

/// The chain of a pod.
pub fn pod_chain(namespace: &str, name: &str, version: &str) -> String {
    format!("{POD}{}", hash(&[namespace, name, version]))
}

/// What the addresses of a set are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOf {
    /// The pods that the policy selects.
    Selected,
    /// The pods of a rule's peers.
    Pods(usize),
    /// The address blocks of a rule's peers.
    Blocks(usize),
    /// The pods in which the named port of a rule has one number.
    NamedPort(usize, usize),
}

/// Which way traffic goes that a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the pods that the policy selects.
    Ingress,
    /// From the pods that the policy selects.
    Egress,
}

impl Direction {
    /// As policies write it in their types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }
}

/// The set of a policy's direction.
pub fn set(direction: Direction, namespace: &str, policy: &str, of: SetOf) -> String {
    let (peers, selected, rule) = match direction {
        Direction::Ingress => (SOURCES, DESTINATIONS, "ingressrule"),
        Direction::Egress => (DESTINATIONS, SOURCES, "egressrule"),
    };
    let (prefix, of) = match of {
        SetOf::Selected => (selected, String::new()),
        SetOf::Pods(number) => (peers, format!("{rule}{number}pod")),
        SetOf::Blocks(number) => (peers, format!("{rule}{number}ipblock")),
        SetOf::NamedPort(number, port) => (DESTINATIONS, format!("{rule}{number}{port}namedport")),
    };
    format!("{prefix}{}", hash(&[namespace, policy, &of]))
}
