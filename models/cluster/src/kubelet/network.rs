//! The network of a node's pods: kubenet, or what a CNI configuration says.

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_userland::process::Process;
use k8s_openapi::api::core::v1::Node;

use super::flannel::Flannel;
use super::kubenet::Kubenet;
use super::run;
use crate::api::ApiServer;
use crate::config;

/// The network of a node's pods.
pub(super) enum Network {
    Kubenet(Kubenet),
    Flannel(Flannel),
}

/// A pod's place in it.
#[derive(Clone, Debug)]
pub(super) struct Attached {
    /// Name of the pod's network namespace.
    pub netns: String,
    /// The pod's address.
    pub address: Ipv4Addr,
}

/// The name of a pod's network namespace.
pub fn netns_name(uid: &str) -> String {
    format!("cni-{uid}")
}

impl Network {
    /// That of a cluster.
    pub(super) fn of(network: &config::Network) -> Network {
        match network {
            config::Network::Kubenet => Network::Kubenet(Kubenet::default()),
            config::Network::Flannel(_) => Network::Flannel(Flannel::default()),
        }
    }

    /// Pods can have a network.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Kubenet(kubenet) => kubenet.is_ready(),
            Self::Flannel(flannel) => flannel.is_ready(),
        }
    }

    /// Sets it up, if what it needs is there now.
    pub(super) async fn set_up(&mut self, process: &mut Process, api: &Arc<ApiServer>, node: &Node) {
        match self {
            Self::Kubenet(kubenet) => kubenet.set_up(process, api, node).await,
            Self::Flannel(flannel) => flannel.set_up(process, api).await,
        }
    }

    /// Makes the network of a pod.
    ///
    /// # Errors
    ///
    /// Why it cannot have one.
    pub(super) async fn add(
        &mut self,
        process: &mut Process,
        api: &Arc<ApiServer>,
        uid: &str,
    ) -> Result<Attached, String> {
        match self {
            Self::Kubenet(kubenet) => kubenet.add(process, api, uid).await,
            Self::Flannel(flannel) => flannel.add(process, api, uid).await,
        }
    }

    /// Removes the network of a pod.
    pub(super) async fn remove(&mut self, process: &mut Process, api: &Arc<ApiServer>, attached: &Attached) {
        let bridge = match self {
            Self::Kubenet(kubenet) => &mut kubenet.bridge,
            Self::Flannel(flannel) => &mut flannel.bridge,
        };
        bridge.remove(process, api, attached).await;
    }
}

/// What a node needs before any network: answers that a bridge carries from pod to pod must pass connection tracking too.
pub(super) async fn prepare(process: &mut Process, api: &Arc<ApiServer>) {
    run(process, api, "modprobe br_netfilter").await;
    run(process, api, "sysctl -w net.bridge.bridge-nf-call-iptables=1").await;
    run(process, api, "sysctl -w net.ipv4.ip_forward=1").await;
}
