//! kubenet: a bridge `cbr0` on each node.
//!
//! It was a part of the kubelet until Kubernetes 1.24. Hairpin mode is `hairpin-veth`.

use std::sync::Arc;

use glassnet_userland::process::Process;
use k8s_openapi::api::core::v1::Node;

use super::bridge::{Bridge, Plan};
use super::network::{self, Attached};
use crate::api::ApiServer;
use crate::command::{Command, NodeShell, Run};
use crate::config::Range;

/// kubenet on a node.
#[derive(Debug, Default)]
pub(super) struct Kubenet {
    range: Option<Range>,
    pub bridge: Bridge,
}

impl Kubenet {
    /// The node has a range of pods.
    pub(super) fn is_ready(&self) -> bool {
        self.range.is_some()
    }

    /// Takes the node's range of pods, if it has one. What leaves the cluster gets the node's address.
    pub(super) async fn set_up(&mut self, process: &mut Process, api: &Arc<ApiServer>, node: &Node) {
        let range = node.spec.as_ref().and_then(|spec| Range::parse(spec.pod_cidr.as_deref()?));
        if range.is_none() {
            return;
        }
        self.range = range;
        network::prepare(process, api).await;
        let inside = api.store().config.pods;
        let comment = "kubenet: SNAT for outbound traffic from cluster";
        let mut rule = Command::words("iptables -w -t nat -A POSTROUTING -m comment --comment");
        rule.argv.push(comment.to_owned());
        let rest = format!("-m addrtype ! --dst-type LOCAL ! -d {inside} -j MASQUERADE");
        rule.argv.extend(Command::words(&rest).argv);
        NodeShell { process, api: api.clone() }.run(rule).await;
    }

    /// Makes the network of a pod.
    ///
    /// # Errors
    ///
    /// No address is left.
    pub(super) async fn add(
        &mut self,
        process: &mut Process,
        api: &Arc<ApiServer>,
        uid: &str,
    ) -> Result<Attached, String> {
        let range = self
            .range
            .ok_or("Kubenet does not have netConfig. This is most likely due to lack of PodCIDR")?;
        let plan = Plan { name: "cbr0", range, mtu: None, route: None };
        self.bridge.add(process, api, (uid, plan)).await
    }
}
