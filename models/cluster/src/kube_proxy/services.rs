//! Ports of services: what kube-proxy takes from a Service, for each of its ports.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1 as core;

use super::config::Version;
use super::names;
use super::net::Cidr;

/// Namespace and name of an object.
pub type Name = (String, String);

/// A protocol of services, printed as iptables names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, also where nothing is said.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// As objects write it.
    pub fn of(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one port of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePortName {
    /// The service.
    pub service: Name,
    /// The port's name, which may be empty.
    pub port: String,
    /// The port's protocol.
    pub protocol: Protocol,
}

impl fmt::Display for ServicePortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = &self.service;
        write!(f, "{namespace}/{name}")?;
        if !self.port.is_empty() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// A range of `loadBalancerSourceRanges`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRange {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub network: Cidr,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `namespace/name` or `namespace/name:port`, as comments and hashes have it.
    pub text: String,
    /// The hash in its chains' names.
    pub hash: String,
    /// The cluster address.
    pub cluster_ip: Ipv4Addr,
    /// The port at the cluster address and at external ones.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port at the node's addresses; 0 if there is none.
    pub node_port: u16,
    /// Field `externalIPs`.
    pub external_ips: Vec<Ipv4Addr>,
    /// Addresses of load balancers that deliver packets with that address as destination.
    pub load_balancer_ips: Vec<Ipv4Addr>,
    /// Who may come by these; nobody named means everybody.
    pub source_ranges: Vec<SourceRange>,
    /// Seconds for which a client stays with its endpoint, if it does.
    pub affinity: Option<u32>,
    /// The port at which load balancers ask whether this node has endpoints; 0 if there is none.
    pub health_check_node_port: u16,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// 1.30: an annotation asks for the topology of hints.
    pub asks_for_hints: bool,
}

impl ServicePort {
    /// Whether it is reached by more than the cluster address.
    pub fn is_external(&self) -> bool {
        self.node_port != 0 || !self.load_balancer_ips.is_empty() || !self.external_ips.is_empty()
    }

    /// Whether traffic may go to endpoints of all nodes. It may from this node's pods to external addresses, whatever the policy for others.
    pub fn uses_cluster_endpoints(&self) -> bool {
        !self.internal_local || self.is_external()
    }

    /// Whether some traffic goes to endpoints of this node only.
    pub fn uses_local_endpoints(&self) -> bool {
        self.internal_local || (self.external_local && self.is_external())
    }
}

/// The label by which a service says that another proxy serves it.
pub const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";
/// The label of a headless service's slices.
pub const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

/// Whether a label stands on an object.
pub fn is_labelled(labels: Option<&BTreeMap<String, String>>, label: &str) -> bool {
    labels.is_some_and(|labels| labels.contains_key(label))
}

/// The ports of a service; none for a headless one, an `ExternalName`, one without IPv4, and one that another proxy serves.
pub fn ports(service: &core::Service, version: Version) -> Vec<(ServicePortName, ServicePort)> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let labels = service.metadata.labels.as_ref();
    if spec.type_.as_deref() == Some("ExternalName")
        || is_labelled(labels, PROXY_NAME_LABEL)
        || is_labelled(labels, HEADLESS_LABEL)
    {
        return Vec::new();
    }
    let addresses = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let Some(cluster_ip) = addresses.filter_map(|text| text.parse::<Ipv4Addr>().ok()).next() else {
        return Vec::new();
    };
    let name = (
        service.metadata.namespace.clone().unwrap_or_default(),
        service.metadata.name.clone().unwrap_or_default(),
    );
    let mut ports = Vec::new();
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = Protocol::of(port.protocol.as_deref()) else { continue };
        let key =
            ServicePortName { service: name.clone(), port: port.name.clone().unwrap_or_default(), protocol };
        let text = key.to_string();
        let hash = names::service_hash(&text, protocol.as_str());
        let numbers = Numbers {
            port: number(Some(port.port)),
            node_port: number(port.node_port),
            protocol,
            cluster_ip,
        };
        ports.push((key, service_port(service, spec, numbers, version, text, hash)));
    }
    ports
}

struct Numbers {
    port: u16,
    node_port: u16,
    protocol: Protocol,
    cluster_ip: Ipv4Addr,
}

fn number(port: Option<i32>) -> u16 {
    port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default()
}

fn service_port(
    service: &core::Service,
    spec: &core::ServiceSpec,
    numbers: Numbers,
    version: Version,
    text: String,
    hash: String,
) -> ServicePort {
    let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
    let has_external_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    // Up to 1.22 external addresses alone did not make a policy count.
    let may_be_local =
        matches!(kind, "NodePort" | "LoadBalancer") || (has_external_ips && version > Version::V1_20);
    let external_local = may_be_local && spec.external_traffic_policy.as_deref() == Some("Local");
    let checks_health = kind == "LoadBalancer" && external_local;
    ServicePort {
        text,
        hash,
        cluster_ip: numbers.cluster_ip,
        port: numbers.port,
        protocol: numbers.protocol,
        node_port: numbers.node_port,
        external_ips: spec.external_ips.iter().flatten().filter_map(|text| text.parse().ok()).collect(),
        load_balancer_ips: load_balancer_ips(service, version),
        source_ranges: source_ranges(spec),
        affinity: affinity(spec),
        health_check_node_port: if checks_health { number(spec.health_check_node_port) } else { 0 },
        external_local,
        internal_local: version > Version::V1_20 && spec.internal_traffic_policy.as_deref() == Some("Local"),
        asks_for_hints: version == Version::V1_30 && asks_for_hints(service),
    }
}

/// Since 1.30 an address with `ipMode: Proxy` is the load balancer's own business.
fn load_balancer_ips(service: &core::Service, version: Version) -> Vec<Ipv4Addr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_ref());
    let is_ours = |ingress: &&core::LoadBalancerIngress| {
        version == Version::V1_20 || ingress.ip_mode.as_deref() != Some("Proxy")
    };
    ingress
        .into_iter()
        .flatten()
        .filter(is_ours)
        .filter_map(|ingress| ingress.ip.as_ref()?.parse().ok())
        .collect()
}

fn source_ranges(spec: &core::ServiceSpec) -> Vec<SourceRange> {
    let texts = spec.load_balancer_source_ranges.iter().flatten();
    texts
        .filter_map(|text| Some(SourceRange { text: text.trim().to_owned(), network: Cidr::parse(text)? }))
        .collect()
}

/// Three hours, as the API server has it, where no time is said.
fn affinity(spec: &core::ServiceSpec) -> Option<u32> {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let client_ip = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = client_ip.and_then(|client_ip| client_ip.timeout_seconds);
    Some(seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(10800))
}

fn asks_for_hints(service: &core::Service) -> bool {
    let annotations = service.metadata.annotations.as_ref();
    let value = |name| annotations.and_then(|annotations| annotations.get(name));
    let old = value("service.kubernetes.io/topology-aware-hints");
    let mode = old.or_else(|| value("service.kubernetes.io/topology-mode"));
    mode.is_some_and(|mode| !matches!(mode.as_str(), "" | "disabled" | "Disabled"))
}
