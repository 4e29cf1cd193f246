//! What stands behind a rule or a virtual server of a node: the service, the endpoint, and why it is there.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the objects behind chains and addresses |
//! | `rows.rs` | the table of what the rules of each chain are for |
//!
//! Names of chains are made again from the objects, as kube-proxy makes them; comments are not read, since large clusters have none.

mod rows;

pub(crate) use rows::target;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use glassnet_kernel::tables::xt::Rule;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::config::{Config, LocalMode};
use super::services::{self, Protocol, ServicePort, ServicePortName};
use super::{endpoints, names};
use crate::api::ApiServer;
use crate::history::History;
use crate::object::{Key, Kind};

/// A service port, as views name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIs {
    /// The service's namespace.
    pub namespace: String,
    /// The service's name.
    pub name: String,
    /// The port's name, or its number if it has none.
    pub port: String,
}

impl fmt::Display for ServiceIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}/{} port {}", self.namespace, self.name, self.port)
    }
}

/// An endpoint, as views name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointIs {
    /// `address:port`.
    pub address: String,
    /// Namespace and name of the pod, if it is one.
    pub pod: Option<(String, String)>,
    /// Its node, if that is known.
    pub node: Option<String>,
    /// The pod was deleted.
    pub is_gone: bool,
}

impl fmt::Display for EndpointIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pod {
            Some((namespace, name)) if namespace == "default" => {
                write!(f, "endpoint pod {name} ({})", self.address)?
            }
            Some((namespace, name)) => write!(f, "endpoint pod {namespace}/{name} ({})", self.address)?,
            None => write!(f, "endpoint {}", self.address)?,
        }
        match &self.node {
            _ if self.is_gone => f.write_str(", which is gone"),
            Some(node) => write!(f, " on {node}"),
            None => Ok(()),
        }
    }
}

/// What stands behind a rule or a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The agent that made it.
    pub agent: &'static str,
    /// The service port that it is for.
    pub service: Option<ServiceIs>,
    /// The endpoint that it leads to.
    pub endpoint: Option<EndpointIs>,
    /// The network policies that it is for, `namespace/name`.
    pub policies: Vec<String>,
    /// Why it stands there.
    pub why: String,
}

impl Explained {
    /// Service, endpoint and policies; empty if it is for none.
    pub fn objects(&self) -> String {
        let service = self.service.iter().map(ServiceIs::to_string);
        let endpoint = self.endpoint.iter().map(EndpointIs::to_string);
        let policies = self.policies.iter().map(|policy| format!("policy {policy}"));
        service.chain(endpoint).chain(policies).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.objects();
        let colon = if objects.is_empty() || self.why.is_empty() { "" } else { ": " };
        write!(f, "{}: {objects}{colon}{}", self.agent, self.why)
    }
}

/// A packet at a rule or a virtual server.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When.
    pub at: Nanos,
    /// The packet's protocol.
    pub protocol: u8,
    /// The packet's destination.
    pub dst: (Ipv4Addr, u16),
}

/// The objects behind the rules and virtual servers of a cluster's nodes.
#[derive(Debug)]
pub struct Objects {
    /// The cluster's objects.
    pub history: History,
    proxy: Option<Config>,
    /// Service ports by the hash in their chains' names.
    hashes: BTreeMap<String, ServicePortName>,
    /// Endpoints by their chains' names.
    chains: BTreeMap<String, (ServicePortName, String)>,
    /// Service ports by what packets to them may have as destination port.
    ports: BTreeMap<(Protocol, u16), BTreeSet<ServicePortName>>,
}

impl Objects {
    /// The objects of the world's cluster, if it has one.
    pub fn in_world(world: &World) -> Option<Objects> {
        Some(Objects::new(History::new(&ApiServer::in_world(world)?.store())))
    }

    fn new(history: History) -> Objects {
        let proxy = history.config.proxy.clone();
        let (mut hashes, mut chains, mut ports) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let version = proxy.as_ref().map(|proxy| proxy.version).unwrap_or_default();
        for service in history.versions::<Service>() {
            for (name, port) in services::ports(service, version) {
                for number in [port.port, port.node_port, port.health_check_node_port] {
                    let known: &mut BTreeSet<_> = ports.entry((name.protocol, number)).or_default();
                    known.insert(name.clone());
                }
                hashes.insert(port.hash, name);
            }
        }
        for slice in history.versions::<EndpointSlice>() {
            let Some(slice) = endpoints::slice(slice, "", version) else { continue };
            for (port, protocol, number) in slice.ports {
                let name = ServicePortName { service: slice.service.clone(), port, protocol };
                for (address, _) in &slice.endpoints {
                    let text = format!("{address}:{number}");
                    let chain = names::endpoint_chain(&name.to_string(), protocol.as_str(), &text);
                    chains.insert(chain, (name.clone(), text));
                }
            }
        }
        Objects { history, proxy, hashes, chains, ports }
    }

    /// What stands behind a rule that matched a packet.
    pub fn rule(&self, table: &str, chain: &str, rule: &Rule, seen: &Seen) -> Option<Explained> {
        let to = rows::target(rule);
        let row = rows::find(table, chain, to, rule, self)?;
        let in_name = [to, chain].iter().find_map(|chain| self.port_of_chain(chain));
        let name =
            in_name.or_else(|| self.port_of_destination(seen, row.is_of_destination).map(|(name, _)| name));
        let port = name.and_then(|name| self.port(name, seen.at));
        let endpoint = [to, chain].iter().find_map(|chain| self.chains.get(*chain));
        Some(Explained {
            agent: row.agent,
            service: name.map(|name| service_is(name, port.as_ref())),
            endpoint: endpoint.map(|(_, text)| self.endpoint(text, seen.at)),
            policies: Vec::new(),
            why: row.why(rule, port.as_ref(), seen, self),
        })
    }

    /// What stands behind a virtual server of IPVS; `dest` is the destination that it chose.
    pub fn virtual_server(&self, seen: &Seen, dest: Option<(Ipv4Addr, u16)>) -> Option<Explained> {
        let (name, port) = self.port_of_destination(seen, true)?;
        Some(Explained {
            agent: "kube-proxy",
            service: Some(service_is(name, Some(&port))),
            endpoint: dest.map(|(address, port)| self.endpoint(&format!("{address}:{port}"), seen.at)),
            policies: Vec::new(),
            why: format!("a virtual server for its {}", address_of(&port, seen)),
        })
    }

    /// The service port that has an address and port at a time.
    pub fn service_at(&self, protocol: u8, dst: (Ipv4Addr, u16), at: Nanos) -> Option<String> {
        let (name, port) = self.port_of_destination(&Seen { at, protocol, dst }, true)?;
        Some(service_is(name, Some(&port)).to_string())
    }

    /// The service port of a chain's name.
    fn port_of_chain(&self, chain: &str) -> Option<&ServicePortName> {
        let of_endpoint = self.chains.get(chain).map(|(name, _)| name);
        of_endpoint.or_else(|| self.hashes.get(chain.rsplit_once('-')?.1))
    }

    /// The service port that has a packet's destination.
    fn port_of_destination(&self, seen: &Seen, is_wanted: bool) -> Option<(&ServicePortName, ServicePort)> {
        let protocol = match seen.protocol {
            IPPROTO_TCP => Protocol::Tcp,
            IPPROTO_UDP => Protocol::Udp,
            _ => return None,
        };
        let known = self.ports.get(&(protocol, seen.dst.1)).filter(|_| is_wanted)?;
        known.iter().find_map(|name| {
            let port = self.port(name, seen.at)?;
            (!address_of(&port, seen).is_empty()).then_some((name, port))
        })
    }

    fn port(&self, name: &ServicePortName, at: Nanos) -> Option<ServicePort> {
        let (namespace, service) = &name.service;
        let service = self.history.at::<Service>(&Key::new(Kind::Service, namespace, service), at)?;
        let version = self.proxy.as_ref()?.version;
        services::ports(service, version).into_iter().find(|(known, _)| known == name).map(|(_, port)| port)
    }

    /// An endpoint by its text, `address:port`.
    pub fn endpoint(&self, text: &str, at: Nanos) -> EndpointIs {
        let address = text.rsplit_once(':').and_then(|(address, _)| address.parse().ok());
        let holder = address.and_then(|address| self.history.holder(address, at));
        let is_pod = |holder: &&crate::history::Holder| holder.key.kind == Kind::Pod;
        let pod = holder.as_ref().filter(is_pod);
        EndpointIs {
            address: text.to_owned(),
            pod: pod.map(|pod| (pod.key.namespace.clone(), pod.key.name.clone())),
            is_gone: pod.is_some_and(|pod| pod.is_gone),
            node: holder.map(|holder| holder.node).filter(|node| !node.is_empty()),
        }
    }

    /// All traffic to cluster addresses is masqueraded.
    fn masquerades_all(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.iptables.masquerade_all)
    }

    /// The pods that rules tell from other senders.
    fn local_pods(&self) -> &'static str {
        match self.proxy.as_ref().map(|proxy| proxy.detect_local_mode) {
            None | Some(LocalMode::ClusterCIDR) => "pod of this cluster",
            Some(_) => "pod of this node",
        }
    }
}

fn service_is(name: &ServicePortName, port: Option<&ServicePort>) -> ServiceIs {
    let (namespace, service) = name.service.clone();
    let number = port.map_or(String::new(), |port| port.port.to_string());
    let port = if name.port.is_empty() { number } else { name.port.clone() };
    ServiceIs { namespace, name: service, port }
}

/// Which of a service's addresses a packet's destination is; empty: none.
fn address_of(port: &ServicePort, seen: &Seen) -> String {
    let (address, number) = seen.dst;
    if number == port.port && address == port.cluster_ip {
        return format!("cluster address {address}");
    }
    if number == port.port && port.external_ips.contains(&address) {
        return format!("external address {address}");
    }
    if number == port.port && port.load_balancer_ips.contains(&address) {
        return format!("load balancer's address {address}");
    }
    match number {
        0 => String::new(),
        _ if number == port.node_port => format!("node port {number}"),
        _ if number == port.health_check_node_port => format!("health check node port {number}"),
        _ => String::new(),
    }
}
