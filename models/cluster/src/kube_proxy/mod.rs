//! kube-proxy: from services and their endpoints to the commands that make a node carry their traffic.
//!
//! | module | owns |
//! |---|---|
//! | [`agent`] | the program: it watches, and syncs |
//! | [`config`] | what it is told: mode, version, networks |
//! | `services`, `endpoints` | what it takes from Services and EndpointSlices; which endpoints a node uses |
//! | `changes` | what it knows, and what of it has changed since the last sync |
//! | `local`, `net` | how this node's pods are told from others, addresses of node ports, networks |
//! | `tables`, `names` | the programs of iptables, the names of chains |
//! | `iptables`, `iptables_1_20` | the iptables mode |
//! | `ipvs`, `ipset` | the IPVS mode |
//! | `userspace` | the userspace mode |
//! | `conntrack` | entries of connection tracking that lead nowhere |
//! | [`health`] | ports that are to be open, and answers of health checks |
//! | [`explain`] | the objects behind rules and virtual servers, for views |
//! | `sockets` | opens them, and carries what the userspace mode proxies |
//!
//! What the real one does by netlink or by writing to `/proc/sys` is a command of the tool that does the same: `sysctl -w`, `nfacct`,
//! `conntrack`, `ipvsadm`, `ip addr`. Of the rest, what it runs is what the real one runs, in the same order.
//!
//! A mode is a file with a `Proxier` that has `new`, `start` and `sync`, and a row in [`Mode`]'s counterpart here.
//!
//! Not modelled: IPv6; limits and timeouts of connection tracking; the watch over the canary chains (they are made, but nobody looks
//! whether they are still there); events and metrics.

pub mod agent;
mod changes;
pub mod config;
mod conntrack;
mod endpoints;
pub mod explain;
pub mod health;
mod ipset;
mod iptables;
mod iptables_1_20;
mod ipvs;
mod local;
mod names;
mod net;
mod services;
mod sockets;
mod tables;
mod userspace;

use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::command::{Answer, Run};
use changes::Known;
use config::{Config, LocalMode, Mode, Version};
use endpoints::Place;
use health::Listener;
use local::LocalDetector;

/// What a sync looks at.
pub struct Objects<'a> {
    /// All services.
    pub services: Vec<&'a Service>,
    /// All slices of endpoints.
    pub slices: Vec<&'a EndpointSlice>,
    /// The node on which this kube-proxy runs.
    pub node: Option<&'a Node>,
    /// Addresses of that node's devices, without those of `kube-ipvs0`.
    pub addresses: &'a [Ipv4Addr],
}

/// Why kube-proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A mode that this version does not have, in the words of kube-proxy.
    #[error("unknown proxy mode {0:?}")]
    UnknownMode(&'static str),
    /// A way to know local traffic that this version does not have.
    #[error("unknown detect-local-mode: {0:?}")]
    UnknownLocalMode(&'static str),
    /// Real, but not here.
    #[error("not modelled yet: {0}")]
    NotModelled(String),
}

/// A command that failed, because of which a sync stopped. Try again after the sync period.
#[derive(Debug, thiserror::Error)]
#[error("{command}: exit status {status}: {stderr}")]
pub struct SyncError {
    command: String,
    status: i32,
    stderr: String,
}

impl SyncError {
    fn new(command: &str, answer: &Answer) -> Self {
        Self {
            command: command.to_owned(),
            status: answer.status,
            stderr: answer.stderr.trim_end().to_owned(),
        }
    }
}

/// What rules depend on beside services and endpoints.
pub struct Around<'a> {
    config: &'a Config,
    place: &'a Place,
    detector: Option<&'a LocalDetector>,
    node_address: Option<Ipv4Addr>,
    addresses: &'a [Ipv4Addr],
    now: Duration,
}

/// The state of a mode.
enum Proxied {
    Iptables(iptables::Proxier),
    Iptables120(iptables_1_20::Proxier),
    Ipvs(ipvs::Proxier),
    Userspace(userspace::Proxier),
}

/// A kube-proxy.
pub struct Proxier {
    config: Config,
    known: Known,
    mode: Proxied,
    is_started: bool,
    /// What the rules were made for: if it changes, all are written again.
    made_for: Option<(Place, Option<LocalDetector>, Option<Ipv4Addr>)>,
    listeners: Vec<Listener>,
}

impl Proxier {
    /// Prepares one; nothing is run before the first sync.
    ///
    /// # Errors
    ///
    /// What this version refuses, or what is not modelled.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if config.version == Version::V1_20 {
            match config.detect_local_mode {
                LocalMode::BridgeInterface => return Err(ConfigError::UnknownLocalMode("BridgeInterface")),
                LocalMode::InterfaceNamePrefix => {
                    return Err(ConfigError::UnknownLocalMode("InterfaceNamePrefix"));
                }
                LocalMode::ClusterCIDR | LocalMode::NodeCIDR => {}
            }
        }
        let mode = match (config.mode, config.version) {
            (Mode::Iptables, Version::V1_30 | Version::V1_36) => {
                Proxied::Iptables(iptables::Proxier::new(&config))
            }
            (Mode::Iptables, Version::V1_20) => Proxied::Iptables120(iptables_1_20::Proxier::new(&config)),
            (Mode::Ipvs, Version::V1_30 | Version::V1_36) => Proxied::Ipvs(ipvs::Proxier::new(&config)),
            (Mode::Userspace, Version::V1_20) => Proxied::Userspace(userspace::Proxier::new(&config)),
            (Mode::Userspace, Version::V1_30 | Version::V1_36) => {
                return Err(ConfigError::UnknownMode("userspace"));
            }
            (Mode::Nftables, Version::V1_20) => return Err(ConfigError::UnknownMode("nftables")),
            (mode, version) => {
                return Err(ConfigError::NotModelled(format!("mode {mode} of kube-proxy {version}")));
            }
        };
        let known = Known::default();
        Ok(Self { config, known, mode, is_started: false, made_for: None, listeners: Vec::new() })
    }

    /// Makes the node carry the traffic of all services; `now` is the time since the node's start.
    ///
    /// # Errors
    ///
    /// A command that failed.
    pub async fn sync<R: Run>(
        &mut self,
        objects: &Objects<'_>,
        now: Duration,
        run: &mut R,
    ) -> Result<(), SyncError> {
        let version = self.config.version;
        let place = place(&self.config, objects.node);
        let changes = self.known.update(objects, &place.node, version);
        let detector = LocalDetector::new(&self.config, objects.node);
        let node_address = local::node_address(objects.node);
        let made_for = Some((place.clone(), detector.clone(), node_address));
        if self.made_for != made_for {
            self.mode.forget();
            self.made_for = made_for;
        }
        let around = Around {
            config: &self.config,
            place: &place,
            detector: detector.as_ref(),
            node_address,
            addresses: objects.addresses,
            now,
        };
        if !self.is_started {
            self.mode.start(&self.config, run).await?;
            self.is_started = true;
        }
        match &mut self.mode {
            Proxied::Iptables(mode) => mode.sync(&around, &self.known, &changes, run).await?,
            Proxied::Iptables120(mode) => mode.sync(&around, &self.known, run).await?,
            Proxied::Ipvs(mode) => mode.sync(&around, &self.known, run).await?,
            Proxied::Userspace(mode) => mode.sync(&around, &self.known, run).await?,
        }
        self.listeners = match &self.mode {
            Proxied::Userspace(mode) => mode.listeners(&self.known, objects.addresses),
            _ => health::checks(&self.known, &self.config, objects.addresses, node_address),
        };
        if matches!(self.mode, Proxied::Iptables120(_)) {
            self.listeners.extend(health::held(&self.known, &self.config, objects.addresses));
        }
        if !matches!(self.mode, Proxied::Userspace(_)) {
            conntrack::clean(&self.known, &changes, version, run).await;
        }
        Ok(())
    }

    /// A sync is due at the latest so long after the last, whatever has changed.
    pub fn sync_period(&self) -> Duration {
        match self.config.mode {
            Mode::Ipvs => self.config.ipvs.sync_period,
            _ => self.config.iptables.sync_period,
        }
    }

    /// The ports that are to be open since the last sync.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }
}

impl Proxied {
    fn forget(&mut self) {
        match self {
            Self::Iptables(mode) => mode.forget(),
            // Everything is written each time.
            Self::Iptables120(_) | Self::Ipvs(_) | Self::Userspace(_) => {}
        }
    }

    async fn start<R: Run>(&mut self, config: &Config, run: &mut R) -> Result<(), SyncError> {
        match self {
            Self::Iptables(mode) => mode.start(config, run).await,
            Self::Iptables120(mode) => mode.start(run).await,
            Self::Ipvs(mode) => mode.start(config, run).await,
            Self::Userspace(mode) => mode.start(run).await,
        }
    }
}

fn place(config: &Config, node: Option<&Node>) -> Place {
    let metadata = node.map(|node| &node.metadata);
    let name = metadata.and_then(|metadata| metadata.name.clone()).unwrap_or_default();
    let labels = metadata.and_then(|metadata| metadata.labels.as_ref());
    let zone =
        labels.and_then(|labels| labels.get("topology.kubernetes.io/zone")).cloned().unwrap_or_default();
    let node = if config.hostname_override.is_empty() { name } else { config.hostname_override.clone() };
    Place { node, zone }
}
