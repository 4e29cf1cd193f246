//! Ingresses: an agent on each node that writes the configuration of `nginx` from them, as ingress-nginx does.
//!
//! A Deployment runs `nginx` in pods of the namespace `ingress-nginx`, behind a service that lets it out: a load balancer where the cluster
//! has addresses for some, node ports otherwise. What is proxied goes to endpoints, past their service's address.
//!
//! | file | owns |
//! |---|---|
//! | `nginx.rs` | `nginx.conf` |
//! | `addon.rs` | the objects: class, Deployment, service |

mod addon;
mod nginx;

pub use addon::objects;

use std::sync::Arc;

use glassnet_userland::process::{Process, Running};
use k8s_openapi::api::core::v1::Pod;

use crate::api::{self, ApiServer, Watch};
use crate::command::{Command, NodeShell, Run, hostname};
use crate::object::Kind;

/// The version of ingress-nginx whose behaviour this has.
pub const RELEASE: &str = "1.12.0";

/// The namespace of its objects, the name of its Deployment and service, and the label of its pods.
pub const NAMESPACE: &str = "ingress-nginx";
/// The name of its Deployment and service.
pub const NAME: &str = "ingress-nginx-controller";
/// The label of its pods, and its value.
const LABEL: (&str, &str) = ("app.kubernetes.io/name", "ingress-nginx");
/// The controller's name in classes.
pub const CONTROLLER: &str = "k8s.io/ingress-nginx";

/// Where the configuration is.
const FOLDER: &str = "/run/ingress-nginx";

/// A pod runs the controller's `nginx`.
pub fn is_controller(pod: &Pod) -> bool {
    pod.metadata.namespace.as_deref() == Some(NAMESPACE)
        && pod.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL.0)).map(String::as_str)
            == Some(LABEL.1)
}

const WATCHED: &[Kind] = &[Kind::EndpointSlice, Kind::Ingress, Kind::IngressClass, Kind::Pod, Kind::Service];

/// Entry point of `nginx-ingress-controller`.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let api = ApiServer::of(process).filter(|api| api.store().config.ingress);
        let Some(api) = api else {
            process.eprint("nginx-ingress-controller: this machine is no node of a cluster with Ingresses\n");
            return 1;
        };
        let mut shell = NodeShell { process, api: api.clone() };
        shell.run(Command::words(&format!("mkdir -p {FOLDER}"))).await;
        let (mut watch, mut text) = (Watch::of(WATCHED), String::new());
        loop {
            let wanted = nginx::configuration(&watch);
            if wanted != text {
                text = wanted;
                write(process, &api, &watch, &text).await;
            }
            api::wait(process, &api, &mut watch, None, |_| false).await;
            let now = process.now();
            watch.take(&api.store(), now);
        }
    })
}

/// Writes the configuration, and tells the servers of this node's pods.
async fn write(process: &mut Process, api: &Arc<ApiServer>, watch: &Watch, text: &str) {
    let node = hostname(process);
    let mut tee = Command::words(&format!("tee {FOLDER}/nginx.conf"));
    tee.stdin = text.to_owned();
    NodeShell { process, api: api.clone() }.run(tee).await;
    let is_here = |pod: &&Pod| {
        let spec = pod.spec.as_ref();
        spec.and_then(|spec| spec.node_name.as_ref()) == Some(&node)
            && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            && is_controller(pod)
    };
    let pods = watch.all::<Pod>().filter(is_here);
    for uid in pods.filter_map(|pod| pod.metadata.uid.clone()).collect::<Vec<_>>() {
        let line = format!(
            "ip netns exec cni-{uid} nginx -p /run/containers/{uid} -c {FOLDER}/nginx.conf -s reload"
        );
        NodeShell { process, api: api.clone() }.run(Command::words(&line)).await;
    }
}
