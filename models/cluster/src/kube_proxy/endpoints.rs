//! Endpoints: what kube-proxy takes from EndpointSlices, and which endpoints of a service port a node uses.

use std::net::Ipv4Addr;

use k8s_openapi::api::discovery::v1 as discovery;

use super::config::Version;
use super::services::{HEADLESS_LABEL, Name, PROXY_NAME_LABEL, Protocol, ServicePort, is_labelled};

/// An endpoint of a service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// `address:port`.
    pub text: String,
    /// Its chain's name.
    pub chain: String,
    /// What decides whether it is used.
    pub state: State,
}

/// What decides whether an endpoint is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// It is on this node.
    pub is_local: bool,
    /// Condition `ready`.
    pub is_ready: bool,
    /// Condition `serving`.
    pub is_serving: bool,
    /// Condition `terminating`.
    pub is_terminating: bool,
    /// Zones that it is meant for.
    pub zone_hints: Vec<String>,
    /// Nodes that it is meant for.
    pub node_hints: Vec<String>,
}

impl State {
    fn is_last_resort(&self) -> bool {
        self.is_serving && self.is_terminating
    }
}

/// What a slice says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The service that it belongs to.
    pub service: Name,
    /// Ports: name, protocol, number.
    pub ports: Vec<(String, Protocol, u16)>,
    /// Addresses and their state.
    pub endpoints: Vec<(Ipv4Addr, State)>,
}

/// Reads a slice; none if it is of no concern. 1.20 takes ready endpoints only, and neither terminating ones nor hints.
pub fn slice(slice: &discovery::EndpointSlice, node: &str, version: Version) -> Option<Slice> {
    let labels = slice.metadata.labels.as_ref();
    if slice.address_type != "IPv4"
        || is_labelled(labels, PROXY_NAME_LABEL)
        || is_labelled(labels, HEADLESS_LABEL)
    {
        return None;
    }
    let service = labels?.get(crate::object::SERVICE_NAME)?.clone();
    let mut ports = Vec::new();
    for port in slice.ports.iter().flatten() {
        let number = port.port.and_then(|number| u16::try_from(number).ok());
        if let (Some(protocol), Some(number)) = (Protocol::of(port.protocol.as_deref()), number) {
            ports.push((port.name.clone().unwrap_or_default(), protocol, number));
        }
    }
    let mut endpoints = Vec::new();
    for endpoint in slice.endpoints.iter().flatten() {
        let Some(address) = endpoint.addresses.first().and_then(|text| text.parse().ok()) else { continue };
        let state = state(endpoint, node);
        match version {
            Version::V1_20 if state.is_ready => endpoints.push((
                address,
                State { is_local: state.is_local, is_ready: true, is_serving: true, ..State::default() },
            )),
            Version::V1_20 => {}
            _ => endpoints.push((address, state)),
        }
    }
    Some(Slice { service: (slice.metadata.namespace.clone().unwrap_or_default(), service), ports, endpoints })
}

fn state(endpoint: &discovery::Endpoint, node: &str) -> State {
    let conditions = endpoint.conditions.as_ref();
    let is_ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    let hints = endpoint.hints.as_ref();
    State {
        is_local: endpoint.node_name.as_deref() == Some(node),
        is_ready,
        is_serving: conditions.and_then(|conditions| conditions.serving).unwrap_or(is_ready),
        is_terminating: conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
        zone_hints: hints
            .and_then(|hints| hints.for_zones.as_ref())
            .into_iter()
            .flatten()
            .map(|zone| zone.name.clone())
            .collect(),
        node_hints: hints
            .and_then(|hints| hints.for_nodes.as_ref())
            .into_iter()
            .flatten()
            .map(|node| node.name.clone())
            .collect(),
    }
}

/// Where kube-proxy runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The node's name.
    pub node: String,
    /// The node's zone; empty if it has none.
    pub zone: String,
}

/// The endpoints of a service port, by what they are used for.
#[derive(Debug, Default)]
pub struct Used<'a> {
    /// For traffic to which the policy Cluster applies.
    pub cluster: Vec<&'a Endpoint>,
    /// For traffic to which the policy Local applies.
    pub local: Vec<&'a Endpoint>,
    /// Those that this node reaches, by one policy or the other.
    pub reachable: Vec<&'a Endpoint>,
    /// Whether any node has an endpoint.
    pub any: bool,
}

/// Which endpoints a node uses: ready ones; if there is none, those that terminate but still serve.
pub fn used<'a>(
    endpoints: &'a [Endpoint],
    service: &ServicePort,
    place: &Place,
    version: Version,
) -> Used<'a> {
    let mut used = Used::default();
    let mut topology = Topology::None;
    if service.uses_cluster_endpoints() {
        topology = topology_of(endpoints, service, place, version);
        let is_used = |endpoint: &&Endpoint| endpoint.state.is_ready && topology.has(&endpoint.state, place);
        used.cluster = either(endpoints, is_used, |endpoint| endpoint.state.is_last_resort());
        used.any = !used.cluster.is_empty();
    }
    if !service.uses_local_endpoints() {
        used.reachable.clone_from(&used.cluster);
        return used;
    }
    used.any |= endpoints.iter().any(|endpoint| endpoint.state.is_ready || endpoint.state.is_last_resort());
    let is_ready = |endpoint: &&Endpoint| endpoint.state.is_local && endpoint.state.is_ready;
    let is_last_resort = |endpoint: &&Endpoint| endpoint.state.is_local && endpoint.state.is_last_resort();
    used.local = either(endpoints, is_ready, is_last_resort);
    let every_local_is_cluster =
        topology == Topology::None && used.local.iter().all(|endpoint| endpoint.state.is_ready);
    used.reachable = match (service.uses_cluster_endpoints(), every_local_is_cluster) {
        (false, _) => used.local.clone(),
        (true, true) => used.cluster.clone(),
        (true, false) => merged(endpoints, &used.cluster, &used.local),
    };
    used
}

/// Those that are in one list or the other; both have the order of the whole.
fn merged<'a>(
    endpoints: &'a [Endpoint],
    cluster: &[&'a Endpoint],
    local: &[&'a Endpoint],
) -> Vec<&'a Endpoint> {
    let (mut cluster, mut local) = (cluster.iter().peekable(), local.iter().peekable());
    let is_in = |endpoint: &&Endpoint| {
        let is_it = |other: &&&Endpoint| std::ptr::eq(**other, *endpoint);
        let in_cluster = cluster.next_if(is_it).is_some();
        local.next_if(is_it).is_some() || in_cluster
    };
    endpoints.iter().filter(is_in).collect()
}

/// The first kind of endpoints that there is.
fn either<'a>(
    endpoints: &'a [Endpoint],
    first: impl Fn(&&'a Endpoint) -> bool,
    second: impl Fn(&&'a Endpoint) -> bool,
) -> Vec<&'a Endpoint> {
    let found: Vec<_> = endpoints.iter().filter(first).collect();
    if found.is_empty() { endpoints.iter().filter(second).collect() } else { found }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    None,
    SameNode,
    SameZone,
}

impl Topology {
    fn has(self, state: &State, place: &Place) -> bool {
        match self {
            Self::None => true,
            Self::SameNode => state.node_hints.contains(&place.node),
            Self::SameZone => state.zone_hints.contains(&place.zone),
        }
    }
}

/// Hints count if every ready endpoint has one, and one of them is for this place.
fn topology_of(endpoints: &[Endpoint], service: &ServicePort, place: &Place, version: Version) -> Topology {
    let may = match version {
        Version::V1_20 => false,
        Version::V1_30 => service.asks_for_hints,
        Version::V1_36 => true,
    };
    let ready = || endpoints.iter().map(|endpoint| &endpoint.state).filter(|state| state.is_ready);
    if !may || ready().next().is_none() {
        return Topology::None;
    }
    let counts =
        |topology: Topology, all_have: bool| all_have && ready().any(|state| topology.has(state, place));
    if version == Version::V1_36
        && counts(Topology::SameNode, ready().all(|state| !state.node_hints.is_empty()))
    {
        Topology::SameNode
    } else if counts(Topology::SameZone, ready().all(|state| !state.zone_hints.is_empty())) {
        Topology::SameZone
    } else {
        Topology::None
    }
}
