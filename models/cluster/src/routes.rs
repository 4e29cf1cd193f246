//! Routes to the pods of other nodes. In a cloud its router has them (`pkg/controller/route` of a cloud provider); where nodes are on one
//! link and there is no such router, each node has them.

use std::collections::BTreeMap;

use glassnet_userland::process::{Process, Running};
use k8s_openapi::api::core::v1::Node;

use crate::api::{self, ApiServer, Watch};
use crate::command::{Command, NodeShell, Run, hostname};
use crate::object::{Kept, Key, Kind};

/// Entry point of `cloud-route-controller`.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let Some(api) = ApiServer::of(process) else {
            process.eprint("cloud-route-controller: this machine is no node of a cluster\n");
            return 1;
        };
        let (own, mut watch) = (hostname(process), Watch::of(&[Kind::Node]));
        let mut routes: BTreeMap<String, String> = BTreeMap::new();
        loop {
            api::wait(process, &api, &mut watch, None, |_| false).await;
            let now = process.now();
            if watch.take(&api.store(), now).is_empty() {
                continue;
            }
            // A node that has not joined yet has no address.
            if !watch.objects.contains_key(&Key::new(Kind::Node, "", &own)) {
                continue;
            }
            let nodes = watch.objects.values().filter_map(|object| Node::of(object));
            let others = nodes.filter(|node| node.metadata.name.as_ref() != Some(&own));
            let wanted: BTreeMap<String, String> = others.filter_map(route).collect();
            let mut shell = NodeShell { process, api: api.clone() };
            for (range, _) in routes.iter().filter(|(range, _)| !wanted.contains_key(*range)) {
                shell.run(Command::words(&format!("ip route del {range}"))).await;
            }
            for (range, via) in wanted.iter().filter(|(range, via)| routes.get(*range) != Some(via)) {
                shell.run(Command::words(&format!("ip route replace {range} via {via}"))).await;
            }
            routes = wanted;
        }
    })
}

/// A node's range of pods, and its address.
fn route(node: &Node) -> Option<(String, String)> {
    let range = node.spec.as_ref()?.pod_cidr.clone()?;
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let address = addresses.iter().find(|address| address.type_ == "InternalIP")?;
    Some((range, address.address.clone()))
}
