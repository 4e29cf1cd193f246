//! What kube-proxy is told: the fields of `KubeProxyConfiguration` that decide about its commands, and its version.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Kubernetes as far as kube-proxy's commands differ. Between two of them it wrote one or the other.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Every sync is a whole one; `KUBE-XLB-` chains; the last with the userspace mode here (it left Kubernetes in 1.26).
    #[serde(rename = "1.20")]
    V1_20,
    /// `KUBE-EXT-` and `KUBE-SVL-` chains, partial syncs.
    #[serde(rename = "1.30")]
    V1_30,
    /// Counters of nfacct; hints are followed whenever every endpoint has one.
    #[serde(rename = "1.36")]
    #[default]
    V1_36,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_20 => "1.20",
            Self::V1_30 => "1.30",
            Self::V1_36 => "1.36",
        })
    }
}

/// Field `mode`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Rules of iptables choose the endpoint.
    #[default]
    Iptables,
    /// Virtual servers of IPVS choose the endpoint.
    Ipvs,
    /// kube-proxy itself takes each connection and makes another to the endpoint.
    Userspace,
    /// Rules of nftables choose the endpoint.
    Nftables,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iptables => "iptables",
            Self::Ipvs => "ipvs",
            Self::Userspace => "userspace",
            Self::Nftables => "nftables",
        })
    }
}

/// Field `detectLocalMode`: how traffic of this node's pods is told from other traffic.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum LocalMode {
    /// Its source is in `clusterCIDR`.
    #[default]
    #[serde(alias = "")]
    ClusterCIDR,
    /// Its source is in the node's `podCIDR`.
    NodeCIDR,
    /// It comes from a bridge.
    BridgeInterface,
    /// It comes from a device whose name begins so.
    InterfaceNamePrefix,
}

/// `KubeProxyConfiguration`, and the version of kube-proxy. Other fields are errors.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Config {
    /// Of Kubernetes. Not a field of `KubeProxyConfiguration`.
    pub version: Version,
    /// Who chooses the endpoint.
    pub mode: Mode,
    /// Addresses of all pods; several, of different families, are separated by commas.
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: String,
    /// How traffic of this node's pods is known.
    pub detect_local_mode: LocalMode,
    /// Names for two of the modes above.
    pub detect_local: DetectLocal,
    /// The node's name.
    pub hostname_override: String,
    /// Networks of the node's addresses at which node ports are taken; none means all, `primary` the node's own address.
    pub node_port_addresses: Vec<String>,
    /// Section `iptables`.
    pub iptables: Iptables,
    /// Section `ipvs`.
    pub ipvs: Ipvs,
    /// Section `conntrack`.
    pub conntrack: Conntrack,
}

/// Section `detectLocal`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DetectLocal {
    /// For [`LocalMode::BridgeInterface`].
    pub bridge_interface: String,
    /// For [`LocalMode::InterfaceNamePrefix`].
    pub interface_name_prefix: String,
}

/// Section `iptables`; masquerading is the same for IPVS.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Iptables {
    /// All traffic to cluster addresses is masqueraded.
    pub masquerade_all: bool,
    /// Bit of the packet mark that says "masquerade", 0 to 31.
    #[serde(deserialize_with = "bit")]
    pub masquerade_bit: u8,
    /// Node ports are taken at 127.0.0.1 too (not known to 1.20, which always does).
    pub localhost_node_ports: bool,
    /// Longest time between two syncs.
    #[serde(deserialize_with = "duration")]
    pub sync_period: Duration,
}

impl Default for Iptables {
    fn default() -> Self {
        Self {
            masquerade_all: false,
            masquerade_bit: 14,
            localhost_node_ports: true,
            sync_period: Duration::from_secs(30),
        }
    }
}

/// Section `ipvs`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Ipvs {
    /// Of all virtual servers; empty means `rr`.
    pub scheduler: String,
    /// ARP is answered only for addresses of the device that was asked, and so never for `kube-ipvs0`.
    #[serde(rename = "strictARP")]
    pub strict_arp: bool,
    /// Timeout of TCP connections; 0 leaves the kernel's.
    #[serde(deserialize_with = "duration")]
    pub tcp_timeout: Duration,
    /// Timeout of TCP connections after FIN; 0 leaves the kernel's.
    #[serde(deserialize_with = "duration")]
    pub tcp_fin_timeout: Duration,
    /// Timeout of UDP; 0 leaves the kernel's.
    #[serde(deserialize_with = "duration")]
    pub udp_timeout: Duration,
    /// Longest time between two syncs.
    #[serde(deserialize_with = "duration")]
    pub sync_period: Duration,
}

impl Default for Ipvs {
    fn default() -> Self {
        Self {
            scheduler: String::new(),
            strict_arp: false,
            tcp_timeout: Duration::ZERO,
            tcp_fin_timeout: Duration::ZERO,
            udp_timeout: Duration::ZERO,
            sync_period: Duration::from_secs(30),
        }
    }
}

/// Section `conntrack`. Limits and timeouts of connection tracking are left alone.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Conntrack {
    /// Packets outside of a TCP window are accepted, so INVALID ones are not dropped (1.30 and later).
    pub tcp_be_liberal: bool,
}

fn bit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let bit = u8::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format!("Invalid value: {bit}: must be within the range [0, 31]"));
    if bit < 32 { Ok(bit) } else { Err(wrong()) }
}

/// A duration as Go writes it: `30s`, `1m30s`, `1h`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format!("time: invalid duration {text:?}"));
    let mut rest = text.as_str();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() && rest != "0" {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let units = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let seconds = match &rest[digits..units] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(wrong()),
        };
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        sum += Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        rest = &rest[units..];
    }
    Ok(sum)
}
