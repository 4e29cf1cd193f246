//! How rules tell traffic of this node's pods from other traffic, and the addresses at which node ports are taken.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Node;

use super::config::{Config, LocalMode};
use super::net::Cidr;

/// Matches of a rule for packets that come from this node's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDetector {
    /// For packets from them.
    pub if_local: String,
    /// For all others.
    pub if_not_local: String,
}

impl LocalDetector {
    /// None if nothing tells them apart: then all packets count as theirs.
    pub fn new(config: &Config, node: Option<&Node>) -> Option<Self> {
        let matching = match config.detect_local_mode {
            LocalMode::ClusterCIDR => format!("-s {}", config.cluster_cidr.split(',').find_map(Cidr::parse)?),
            LocalMode::NodeCIDR => format!("-s {}", pod_cidr(node?)?),
            LocalMode::BridgeInterface => format!("-i {}", config.detect_local.bridge_interface),
            LocalMode::InterfaceNamePrefix => format!("-i {}+", config.detect_local.interface_name_prefix),
        };
        Some(Self { if_not_local: format!("! {matching}"), if_local: matching })
    }
}

fn pod_cidr(node: &Node) -> Option<Cidr> {
    let spec = node.spec.as_ref()?;
    spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr).find_map(|text| Cidr::parse(text))
}

/// The address of a node: its first internal one, or else external one.
pub fn node_address(node: Option<&Node>) -> Option<Ipv4Addr> {
    let addresses = node?.status.as_ref()?.addresses.as_ref()?;
    let of_kind = |kind: &str| {
        addresses
            .iter()
            .filter(|address| address.type_ == kind)
            .find_map(|address| address.address.parse().ok())
    };
    of_kind("InternalIP").or_else(|| of_kind("ExternalIP"))
}

/// Where node ports are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// At all addresses of the node.
    All,
    /// At those that are in these networks.
    In(Vec<Cidr>),
    /// At the node's own address.
    Primary,
}

impl NodePortAddresses {
    /// From the configuration.
    pub fn new(config: &Config) -> Self {
        let texts = &config.node_port_addresses;
        let networks: Vec<_> = texts.iter().filter_map(|text| Cidr::parse(text)).collect();
        if texts.iter().any(|text| text == "primary") {
            Self::Primary
        } else if networks.is_empty() || networks.iter().any(|network| network.is_everything()) {
            Self::All
        } else {
            Self::In(networks)
        }
    }

    /// Whether addresses of 127.0.0.0/8 may be among them.
    pub fn has_loopback(&self) -> bool {
        match self {
            Self::All => true,
            Self::Primary => false,
            Self::In(networks) => networks.iter().any(|network| network.has_loopback()),
        }
    }

    /// Those of the node's addresses, in order.
    pub fn of_node(&self, addresses: &[Ipv4Addr], own: Option<Ipv4Addr>) -> Vec<Ipv4Addr> {
        let mut found: Vec<_> = match self {
            Self::All => addresses.to_vec(),
            Self::Primary => own.into_iter().collect(),
            Self::In(networks) => {
                let is_in = |address: &&Ipv4Addr| networks.iter().any(|network| network.contains(**address));
                addresses.iter().filter(is_in).copied().collect()
            }
        };
        found.sort_unstable();
        found.dedup();
        found
    }
}
