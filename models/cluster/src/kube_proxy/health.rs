//! What listens on a node for kube-proxy. Which program does is the caller's business: here it is data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use super::changes::Known;
use super::config::{Config, Version};
use super::local::NodePortAddresses;
use super::services::Name;
pub use super::services::{Protocol, ServicePortName};

/// A port that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// At one address, or at all.
    pub address: Option<Ipv4Addr>,
    /// Its number.
    pub port: u16,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// What for.
    pub purpose: Purpose,
}

/// What a port is open for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody else may take it. Nothing is answered: packets go elsewhere before they come here.
    Held(ServicePortName),
    /// Load balancers ask by HTTP whether the node has endpoints of a service.
    HealthCheck(HealthCheck),
    /// Connections are carried on to an endpoint (userspace mode).
    Proxy {
        /// The service port.
        service: ServicePortName,
        /// The endpoints, which take turns.
        endpoints: Vec<SocketAddrV4>,
        /// Seconds for which a client stays with its endpoint, if it does.
        affinity: Option<u32>,
    },
}

/// The answer of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    service: Name,
    local_endpoints: usize,
    version: Version,
}

impl HealthCheck {
    /// 200 if the node has endpoints of the service, else 503.
    pub fn status(&self) -> u16 {
        if self.local_endpoints > 0 { 200 } else { 503 }
    }

    /// Headers of the response, beside those of HTTP itself.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ];
        if self.version >= Version::V1_30 {
            headers.push(("X-Load-Balancing-Endpoint-Weight", self.local_endpoints.to_string()));
        }
        headers
    }

    /// The response's body.
    pub fn body(&self) -> String {
        let (namespace, name) = &self.service;
        let count = self.local_endpoints;
        let healthy = if self.version >= Version::V1_30 { ",\n\t\"serviceProxyHealthy\": true" } else { "" };
        format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\"localEndpoints\": {count}{healthy}\n}}"
        )
    }
}

/// Ports of health checks, one for a service.
pub fn checks(known: &Known, version: Version) -> Vec<Listener> {
    let mut ports = BTreeMap::<&Name, (u16, BTreeSet<Ipv4Addr>)>::new();
    for (name, service) in &known.ports {
        if service.health_check_node_port != 0 {
            ports.entry(&name.service).or_default().0 = service.health_check_node_port;
        }
    }
    if ports.is_empty() {
        return Vec::new();
    }
    for (name, endpoints) in &known.endpoints {
        if let Some((_, addresses)) = ports.get_mut(&name.service) {
            let is_counted = |state: &super::endpoints::State| state.is_local && state.is_ready;
            addresses.extend(
                endpoints
                    .iter()
                    .filter(|endpoint| is_counted(&endpoint.state))
                    .map(|endpoint| endpoint.address),
            );
        }
    }
    let listener = |(name, (port, addresses)): (&Name, (u16, BTreeSet<Ipv4Addr>))| {
        let check = HealthCheck { service: name.clone(), local_endpoints: addresses.len(), version };
        Listener { address: None, port, protocol: Protocol::Tcp, purpose: Purpose::HealthCheck(check) }
    };
    ports.into_iter().map(listener).collect()
}

/// Ports that the iptables mode of 1.20 opens so that nobody else takes them: node ports, and external addresses that are the node's own.
pub fn held(known: &Known, config: &Config, addresses: &[Ipv4Addr]) -> Vec<Listener> {
    let node_ports = NodePortAddresses::new(config);
    let mut held = Vec::new();
    for (name, service) in &known.ports {
        let mut hold = |address, port| {
            held.push(Listener {
                address,
                port,
                protocol: service.protocol,
                purpose: Purpose::Held(name.clone()),
            });
        };
        for address in service
            .external_ips
            .iter()
            .filter(|address| addresses.contains(address) && service.protocol != Protocol::Sctp)
        {
            hold(Some(*address), service.port);
        }
        if service.node_port != 0 && service.protocol != Protocol::Sctp {
            match &node_ports {
                NodePortAddresses::All => hold(None, service.node_port),
                some => some
                    .of_node(addresses, None)
                    .into_iter()
                    .for_each(|address| hold(Some(address), service.node_port)),
            }
        }
    }
    held
}
