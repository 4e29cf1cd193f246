//! The backends by name.

use glassnet_sim::Nanos;

use super::daemon::Daemon;
use super::interface::Interface;
use super::net_conf::NetConf;
use super::proxy::Proxy;
use super::routes::RouteNetwork;
use super::subnets::{Event, Subnets};
use super::udp::Udp;
use super::vxlan::Vxlan;
use super::{host_gw, ipip};
use crate::config::Range;

/// Backends of this release that are not modelled, sorted.
const OTHERS: [&str; 7] = ["ali-vpc", "alloc", "aws-vpc", "extension", "gce", "ipsec", "tencent-vpc"];

/// A running backend.
pub(super) enum Backend {
    Routes(RouteNetwork),
    Udp(Udp),
    Vxlan(Vxlan),
}

/// A backend with its lease, and what carries packets in user space, if something does.
pub(super) type Registered = (Backend, Range, Option<Proxy>);

impl Backend {
    /// Starts the backend that the configuration names.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it could not be started.
    pub(super) async fn register(
        daemon: &mut Daemon<'_>,
        subnets: &mut Subnets,
        (outside, conf): (&Interface, &NetConf),
    ) -> Result<Registered, String> {
        let kind = conf.kind.to_lowercase();
        let failed = |why: String| format!("Error registering network: {why}");
        match kind.as_str() {
            "host-gw" => {
                host_gw::check(outside).map_err(|why| format!("Error fetching backend: {why}"))?;
                let (network, subnet) = host_gw::register(daemon, subnets, outside).map_err(failed)?;
                Ok((Backend::Routes(network), subnet, None))
            }
            "ipip" => {
                let registered = ipip::register(daemon, subnets, (outside, conf)).await;
                let (network, subnet) = registered.map_err(failed)?;
                Ok((Backend::Routes(network), subnet, None))
            }
            "udp" => {
                let registered = Udp::register(daemon, subnets, (outside, conf)).await;
                let (network, subnet, proxy) = registered.map_err(failed)?;
                Ok((Backend::Udp(network), subnet, Some(proxy)))
            }
            "vxlan" => {
                let registered = Vxlan::register(daemon, subnets, (outside, conf)).await;
                let (network, subnet) = registered.map_err(failed)?;
                Ok((Backend::Vxlan(network), subnet, None))
            }
            other if OTHERS.contains(&other) => {
                Err(format!("Error fetching backend: not modelled yet: the backend {other} of flannel"))
            }
            other => Err(format!("Error fetching backend: unknown backend type: {other}")),
        }
    }

    /// The MTU of pods.
    pub(super) fn mtu(&self) -> u32 {
        match self {
            Self::Routes(network) => network.mtu(),
            Self::Udp(network) => network.mtu(),
            Self::Vxlan(network) => network.mtu(),
        }
    }

    /// Says that it begins to watch other nodes.
    pub(super) fn begin(&self, daemon: &mut Daemon<'_>) {
        match self {
            Self::Routes(_) => daemon.info("route_network.go:53", "Watching for new subnet leases"),
            Self::Udp(_) => daemon.info("udp_network_amd64.go:100", "Watching for new subnet leases"),
            Self::Vxlan(_) => daemon.info("vxlan_network.go:59", "watching for new subnet leases"),
        }
    }

    /// Another node came, changed or went.
    pub(super) async fn handle(&mut self, daemon: &mut Daemon<'_>, event: &Event) {
        match self {
            Self::Routes(network) => network.handle(daemon, event).await,
            Self::Udp(network) => network.handle(daemon, event),
            Self::Vxlan(network) => network.handle(daemon, event).await,
        }
    }

    /// When it is to be looked at without an event.
    pub(super) fn due(&self) -> Option<Nanos> {
        match self {
            Self::Routes(network) => Some(network.due),
            Self::Udp(_) | Self::Vxlan(_) => None,
        }
    }

    /// Looks after what it has made, if it is time to.
    pub(super) async fn keep(&mut self, daemon: &mut Daemon<'_>) {
        match self {
            Self::Routes(network) => network.keep(daemon).await,
            Self::Udp(_) | Self::Vxlan(_) => {}
        }
    }
}
