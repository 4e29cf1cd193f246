//! What a cluster is like: the front matter's `cluster`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use serde::Serialize;

use crate::kube_proxy::config::{Config as ProxyConfig, Mode};

/// A range of IPv4 addresses, `10.244.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its first address.
    pub first: Ipv4Addr,
    /// Length of its prefix, bits.
    pub len: u8,
}

impl Range {
    /// Reads a range; the part behind the prefix must be zero.
    pub fn parse(text: &str) -> Option<Range> {
        let (address, len) = text.split_once('/')?;
        let (first, len): (Ipv4Addr, u8) = (address.parse().ok()?, len.parse().ok()?);
        let range = Range { first, len };
        (len <= 32 && first.to_bits() & (range.size() - 1) as u32 == 0).then_some(range)
    }

    /// How many addresses it has.
    pub fn size(self) -> u64 {
        1 << (32 - u32::from(self.len))
    }

    /// The address at this place in it, wrapped at its end.
    pub fn at(self, index: u64) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() + (index % self.size()) as u32)
    }

    /// The address is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u64::from(address.to_bits().wrapping_sub(self.first.to_bits())) < self.size()
    }

    /// The n-th part of it with prefixes of this length.
    pub fn part(self, len: u8, index: u64) -> Option<Range> {
        let size = 1u64 << (32 - u32::from(len));
        (len >= self.len && (index + 1) * size <= self.size())
            .then(|| Range { first: self.at(index * size), len })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}/{}", self.first, self.len)
    }
}

/// A machine of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its card.
    pub device: String,
    /// Its address, and the length of the prefix of its network.
    pub address: (Ipv4Addr, u8),
    /// Its default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Labels beside those that the kubelet gives it.
    pub labels: BTreeMap<String, String>,
    /// Its kubelet starts so late, and the node joins the cluster then.
    pub joins: Nanos,
}

/// How addresses of load balancers are announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announce {
    /// One node answers ARP for an address.
    Arp,
    /// A machine that is no node has routes to the nodes.
    Routes {
        /// Its name.
        router: String,
    },
}

/// Who makes nodes keep to NetworkPolicies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyAgent {
    /// kube-router on each node, with its firewall only.
    KubeRouter,
}

/// Names in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// Who is asked for names of others; without them there are none.
    pub forwarders: Vec<Ipv4Addr>,
}

/// How pods of different nodes reach each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// By routes that the cloud sets.
    #[default]
    Kubenet,
    /// By flannel.
    Flannel(FlannelConfig),
}

/// flannel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlannelConfig {
    /// Its backend.
    pub backend: FlannelBackend,
    /// The interface between nodes (`--iface`); without it, that of the default route.
    pub interface: Option<String>,
}

/// A backend of flannel, with those of its settings that are given, as `net-conf.json` has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FlannelBackend {
    /// Its name.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The network identifier.
    #[serde(rename = "VNI", skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// The UDP port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Packets have VXLAN's group policy.
    #[serde(rename = "GBP", skip_serializing_if = "Option::is_none")]
    pub gbp: Option<bool>,
    /// The device learns where stations are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning: Option<bool>,
    /// Nodes of one link reach each other without the tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_routing: Option<bool>,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its nodes by the names of their machines. The first is the control plane too.
    pub nodes: BTreeMap<String, NodeConfig>,
    /// Addresses of pods; each node has a /24 of them.
    pub pods: Range,
    /// Addresses of services.
    pub services: Range,
    /// How pods reach each other.
    pub network: Network,
    /// What each kube-proxy is told, but for the names of nodes; without it there is none.
    pub proxy: Option<ProxyConfig>,
    /// Addresses that the cloud gives to load balancers; without it they stay pending.
    pub balancers: Option<Range>,
    /// How these addresses are brought to nodes; without it they are not.
    pub announce: Option<Announce>,
    /// Its DNS, if it has one.
    pub dns: Option<DnsConfig>,
    /// Who enforces NetworkPolicies; without it they are objects that have no effect.
    pub policy: Option<PolicyAgent>,
    /// It has a controller of Ingresses.
    pub ingress: bool,
    /// How long an agent takes to learn of a change, ns.
    pub delay: Nanos,
}

impl Config {
    /// Clients of services are answered by sockets of kube-proxy.
    pub fn has_userspace_proxy(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.mode == Mode::Userspace)
    }

    /// flannel, if it is the network.
    pub fn flannel(&self) -> Option<&FlannelConfig> {
        match &self.network {
            Network::Flannel(flannel) => Some(flannel),
            Network::Kubenet => None,
        }
    }

    /// Packets between nodes pass a process of flannel.
    pub fn has_userspace_network(&self) -> bool {
        self.flannel().is_some_and(|flannel| flannel.backend.kind == "udp")
    }
}

/// Length of the prefix of a node's range of pods (`--node-cidr-mask-size`).
pub const NODE_MASK: u8 = 24;

/// Ports that services may have on nodes (`--service-node-port-range`).
pub const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
