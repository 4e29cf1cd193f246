//! The cluster of a lesson: which of its machines are nodes, and what Kubernetes is to be like.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_cluster::config::{Announce, Config, DnsConfig, NODE_MASK, NodeConfig, PolicyAgent, Range};
use glassnet_cluster::kube_proxy::Proxier;
use glassnet_cluster::kube_proxy::config::{Config as ProxyConfig, Mode, Version};
use glassnet_sim::Nanos;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::LessonError;
use super::flannel::RawFlannel;
use super::topology::{Checker, Topology, parse_delay};

/// The fewest addresses of services, and of a range of pods that has a node's part.
const SERVICES_LEN: std::ops::RangeInclusive<u8> = 8..=28;
const PODS_LEN: std::ops::RangeInclusive<u8> = 8..=NODE_MASK;

/// Addresses of nodes that are given none: 192.168.0.11 and the next ones.
const NODES: ([u8; 3], u8, u8) = ([192, 168, 0], 11, 24);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCluster {
    pods: Option<Spanned<String>>,
    services: Option<Spanned<String>>,
    load_balancers: Option<Spanned<String>>,
    announce: Option<Spanned<String>>,
    router: Option<Spanned<String>>,
    network: Option<Spanned<String>>,
    flannel: Option<Spanned<RawFlannel>>,
    proxy: Option<Spanned<String>>,
    dns: Option<Spanned<String>>,
    dns_forward: Option<Vec<Spanned<String>>>,
    ingress: Option<Spanned<String>>,
    policy: Option<Spanned<String>>,
    version: Option<Spanned<String>>,
    kube_proxy: Option<ProxyConfig>,
    delay: Option<Spanned<String>>,
    nodes: Option<BTreeMap<String, Option<RawClusterNode>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawClusterNode {
    device: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    gateway: Option<Spanned<String>>,
    joins: Option<Spanned<String>>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// An address with the length of a prefix, `192.168.0.11/24`.
fn parse_address(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, len) = text.split_once('/')?;
    let (address, len): (Ipv4Addr, u8) = (address.parse().ok()?, len.parse().ok()?);
    ((1..=32).contains(&len) && !address.is_unspecified()).then_some((address, len))
}

impl Checker<'_> {
    /// A cluster on the machines of a topology.
    pub(super) fn cluster(
        &self,
        raw: Spanned<RawCluster>,
        topology: &Topology,
    ) -> Result<Config, LessonError> {
        let span = self.span(&raw);
        let raw = raw.value;
        let network = self.network(raw.network, raw.flannel)?;
        let range =
            |text: Option<Spanned<String>>, default: &str, len: std::ops::RangeInclusive<u8>| match text {
                None => Ok(Range::parse(default).unwrap_or(Range { first: Ipv4Addr::UNSPECIFIED, len: 0 })),
                Some(text) => {
                    let range = Range::parse(&text.value).filter(|range| len.contains(&range.len));
                    range.ok_or_else(|| {
                        let message = format!("{:?} is no range of addresses", text.value);
                        let help = format!(
                            "such as {default}; the prefix has {} to {} bits",
                            len.start(),
                            len.end()
                        );
                        self.reader.error_with_help(self.span(&text), message, "no range", &help)
                    })
                }
            };
        let pods = range(raw.pods, "10.244.0.0/16", PODS_LEN)?;
        let services = range(raw.services, "10.96.0.0/12", SERVICES_LEN)?;
        let balancers = match raw.load_balancers {
            None => None,
            text => Some(range(text, "192.168.0.128/25", 8..=32)?),
        };
        let has_balancers = balancers.is_some();
        let delay = self.time(raw.delay, "10ms")?.unwrap_or(Nanos(10_000_000));
        let dns = self.cluster_dns(raw.dns, raw.dns_forward)?;
        let ingress = match raw.ingress {
            Some(name) if name.value != "nginx" => {
                let message =
                    format!("not modelled yet: the Ingress controller {:?}; there is nginx", name.value);
                return Err(self.reader.error(self.span(&name), message, "no controller"));
            }
            ingress => ingress.is_some(),
        };
        let policy = self.policy_agent(raw.policy)?;
        let nodes = match raw.nodes {
            None => topology.nodes.keys().map(|name| (name.clone(), None)).collect(),
            Some(nodes) => nodes,
        };
        let mut all = BTreeMap::new();
        for (at, (name, node)) in nodes.into_iter().enumerate() {
            let node = self.cluster_node(node.unwrap_or_default(), (at, &name), topology, span.clone())?;
            all.insert(name, node);
        }
        if all.is_empty() {
            return Err(self.reader.error(span, "the cluster has no nodes", "no node here"));
        }
        let announce = self.announce((raw.announce, raw.router), has_balancers, &all, topology)?;
        let proxy = self.kube_proxy((raw.proxy, raw.version), raw.kube_proxy.unwrap_or_default(), pods)?;
        Ok(Config {
            nodes: all,
            pods,
            services,
            network,
            proxy,
            balancers,
            announce,
            dns,
            policy,
            ingress,
            delay,
        })
    }

    /// A span of time, if there is one.
    fn time(&self, text: Option<Spanned<String>>, example: &str) -> Result<Option<Nanos>, LessonError> {
        let Some(text) = text else { return Ok(None) };
        let Some(time) = parse_delay(&text.value) else {
            let message = format!("{:?} is no time", text.value);
            let help = format!("such as {example}");
            return Err(self.reader.error_with_help(self.span(&text), message, "no time", &help));
        };
        Ok(Some(Nanos(time)))
    }

    /// How addresses of load balancers are announced.
    fn announce(
        &self,
        (how, router): (Option<Spanned<String>>, Option<Spanned<String>>),
        has_balancers: bool,
        nodes: &BTreeMap<String, NodeConfig>,
        topology: &Topology,
    ) -> Result<Option<Announce>, LessonError> {
        let wrong = |text: &Spanned<String>, message: String, label: &str| {
            Err(self.reader.error(self.span(text), message, label))
        };
        let how = match (how, router) {
            (None, None) => return Ok(None),
            (None, Some(router)) => {
                let message = "`router` is for addresses that are announced by routes";
                return wrong(&router, message.to_owned(), "no `announce: routes`");
            }
            (Some(how), router) => (how, router),
        };
        match how {
            (how, _) if !has_balancers => {
                let message = "there are no addresses to announce: `load_balancers` names them";
                wrong(&how, message.to_owned(), "no `load_balancers`")
            }
            (how, None) if how.value == "arp" => Ok(Some(Announce::Arp)),
            (how, None) if how.value == "routes" => {
                wrong(&how, "routes are set at a machine: `router` names it".to_owned(), "no `router`")
            }
            (how, Some(router)) if how.value == "routes" => {
                let name = &router.value;
                if !topology.nodes.contains_key(name) {
                    return wrong(&router, format!("there is no machine `{name}`"), "not in the topology");
                }
                if nodes.contains_key(name) {
                    return wrong(&router, format!("`{name}` is a node of the cluster"), "no router");
                }
                Ok(Some(Announce::Routes { router: router.value }))
            }
            (how, Some(router)) if how.value == "arp" => {
                wrong(&router, "with ARP no router is told".to_owned(), "no `announce: routes`")
            }
            (how, _) => {
                let message =
                    format!("{:?} is no way to announce addresses; there are arp and routes", how.value);
                wrong(&how, message, "arp or routes")
            }
        }
    }

    /// The DNS of a cluster.
    fn cluster_dns(
        &self,
        name: Option<Spanned<String>>,
        forward: Option<Vec<Spanned<String>>>,
    ) -> Result<Option<DnsConfig>, LessonError> {
        let Some(name) = name else {
            return match forward.into_iter().flatten().next() {
                Some(server) => {
                    let message = "`dns_forward` without `dns`";
                    Err(self.reader.error_with_help(
                        self.span(&server),
                        message,
                        "nobody asks it",
                        "add dns: coredns",
                    ))
                }
                None => Ok(None),
            };
        };
        if name.value != "coredns" {
            let message =
                format!("not modelled yet: the DNS {:?} of a cluster; there is coredns", name.value);
            return Err(self.reader.error(self.span(&name), message, "no DNS"));
        }
        let mut forwarders = Vec::new();
        for server in forward.into_iter().flatten() {
            let address = server.value.parse().map_err(|_| {
                let message = format!("{:?} is no address", server.value);
                self.reader.error(self.span(&server), message, "no address")
            })?;
            forwarders.push(address);
        }
        Ok(Some(DnsConfig { forwarders }))
    }

    /// Who enforces NetworkPolicies.
    fn policy_agent(&self, name: Option<Spanned<String>>) -> Result<Option<PolicyAgent>, LessonError> {
        let Some(name) = name else { return Ok(None) };
        match name.value.as_str() {
            "none" => Ok(None),
            "kube-router" => Ok(Some(PolicyAgent::KubeRouter)),
            other => {
                let message =
                    format!("not modelled yet: {other:?} for network policies; there is kube-router");
                Err(self.reader.error(self.span(&name), message, "nobody enforces them"))
            }
        }
    }

    /// What each kube-proxy is told; `none`: there is none.
    fn kube_proxy(
        &self,
        (mode, version): (Option<Spanned<String>>, Option<Spanned<String>>),
        mut config: ProxyConfig,
        pods: Range,
    ) -> Result<Option<ProxyConfig>, LessonError> {
        if let Some(version) = version {
            let known = [Version::V1_20, Version::V1_30, Version::V1_36];
            config.version =
                known.into_iter().find(|known| known.to_string() == version.value).ok_or_else(|| {
                    let message = format!("not modelled yet: version {:?} of Kubernetes", version.value);
                    self.reader.error_with_help(
                        self.span(&version),
                        message,
                        "no version",
                        "there are 1.20, 1.30 and 1.36",
                    )
                })?;
        }
        if config.cluster_cidr.is_empty() {
            config.cluster_cidr = pods.to_string();
        }
        let Some(mode) = mode else { return Ok(Some(config)) };
        config.mode = match mode.value.as_str() {
            "none" => return Ok(None),
            "iptables" => Mode::Iptables,
            "ipvs" => Mode::Ipvs,
            "userspace" => Mode::Userspace,
            "nftables" => Mode::Nftables,
            other => {
                let message = format!("{other:?} is no mode of kube-proxy");
                let help = "iptables, ipvs, userspace, nftables, or none";
                return Err(self.reader.error_with_help(self.span(&mode), message, "no mode", help));
            }
        };
        let Err(error) = Proxier::new(config.clone()) else { return Ok(Some(config)) };
        let (span, message) = (self.span(&mode), error.to_string());
        Err(match config.mode {
            Mode::Userspace => {
                let help = "the userspace mode left Kubernetes in 1.26: version \"1.20\" has it";
                self.reader.error_with_help(span, message, "refused by kube-proxy", help)
            }
            _ => self.reader.error(span, message, "refused by kube-proxy"),
        })
    }

    fn cluster_node(
        &self,
        raw: RawClusterNode,
        (at, name): (usize, &str),
        topology: &Topology,
        span: std::ops::Range<usize>,
    ) -> Result<NodeConfig, LessonError> {
        let Some(machine) = topology.nodes.get(name) else {
            let message = format!("there is no machine `{name}`");
            return Err(self.reader.error(self.key(name, span.start), message, "not in the topology"));
        };
        let device = match raw.device {
            Some(device) if !machine.nics.contains_key(&device.value) => {
                let message = format!("`{name}` has no card `{}`", device.value);
                return Err(self.reader.error(self.span(&device), message, "no card"));
            }
            Some(device) => device.value,
            None => match machine.nics.keys().next() {
                Some(first) => first.clone(),
                None => {
                    let message = format!("the node `{name}` has no card: connect it in `links`");
                    return Err(self.reader.error(span, message, "a cluster needs a network"));
                }
            },
        };
        let address = match raw.address {
            Some(text) => parse_address(&text.value).ok_or_else(|| {
                let message = format!("{:?} is no address with a prefix", text.value);
                self.reader.error_with_help(
                    self.span(&text),
                    message,
                    "no address",
                    "such as 192.168.0.11/24",
                )
            })?,
            None => {
                let ([a, b, c], first, len) = NODES;
                (Ipv4Addr::new(a, b, c, first.saturating_add(at as u8)), len)
            }
        };
        let gateway = match raw.gateway {
            Some(text) => Some(text.value.parse().map_err(|_| {
                let message = format!("{:?} is no address", text.value);
                self.reader.error(self.span(&text), message, "no address")
            })?),
            // Packets to services need a route before they are given another address, so there is one, also without a router.
            None => {
                let (address, len) = address;
                let network = address.to_bits() & u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                (len <= 30).then(|| Ipv4Addr::from_bits(network + 1)).filter(|gateway| *gateway != address)
            }
        };
        let joins = raw.joins.as_ref().map(|text| self.span(text));
        if let Some(span) = joins.filter(|_| at == 0) {
            let message = format!("the first node `{name}` is the control plane: it cannot join later");
            return Err(self.reader.error(span, message, "nobody to join"));
        }
        let joins = self.time(raw.joins, "30s")?.unwrap_or(Nanos::ZERO);
        Ok(NodeConfig { device, address, gateway, labels: raw.labels, joins })
    }
}
