//! kube-router as a program of its node. A change asks for a sync; those that come during one ask for one more.

use std::sync::Arc;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Process, Running};
use k8s_openapi::api::core::v1::{Node, Pod};

use super::{Controller, Objects, SyncError};
use crate::api::{self, ApiServer, News, Watch};
use crate::command::{NodeShell, hostname};
use crate::config::PolicyAgent;
use crate::object::{Kept, Kind, Object};
use crate::store::nanoseconds;

/// Longest time between two syncs (`--iptables-sync-period`).
const LONGEST: Nanos = Nanos(300_000_000_000);

/// It runs in a pod, which starts when kube-proxy has written its first rules. Sooner, it would lose some of them: what others write
/// between its `iptables-save` and its `iptables-restore` is gone, as with the real one.
const START: Nanos = Nanos(500_000_000);

const WATCHED: &[Kind] = &[Kind::Namespace, Kind::NetworkPolicy, Kind::Node, Kind::Pod];

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let api = ApiServer::of(process);
        let api = api.filter(|api| api.store().config.policy == Some(PolicyAgent::KubeRouter));
        let Some(api) = api else {
            process.eprint("kube-router: this machine is no node of a cluster with it\n");
            return 1;
        };
        // An agent has no signal handlers.
        let _ = process.sleep(START).await;
        let (mut watch, mut again, mut is_due) = (Watch::of(WATCHED), None::<Nanos>, true);
        loop {
            api::wait(process, &api, &mut watch, again, |_| false).await;
            let now = process.now();
            is_due |= watch.take(&api.store(), now).iter().any(asks_for_sync);
            is_due |= again.is_some_and(|at| at <= now);
            let Some(controller) = controller(process, &api, &watch).filter(|_| is_due) else { continue };
            (again, is_due) = (Some(now + LONGEST), false);
            if let Err(error) = sync(process, &api, &watch, &controller).await {
                process.eprint(format!("kube-router: {error}\n"));
            }
        }
    })
}

/// The controller of this node, when its address is known.
fn controller(process: &Process, api: &ApiServer, watch: &Watch) -> Option<Controller> {
    let own = hostname(process);
    let node = watch.all::<Node>().find(|node| node.metadata.name.as_ref() == Some(&own))?;
    let addresses = node.status.as_ref()?.addresses.iter().flatten();
    let node_ip = addresses.into_iter().find(|address| address.type_ == "InternalIP")?.address.clone();
    Some(Controller { node_ip, services: api.store().config.services })
}

async fn sync(
    process: &mut Process,
    api: &Arc<ApiServer>,
    watch: &Watch,
    controller: &Controller,
) -> Result<(), SyncError> {
    let version = nanoseconds(process.now()).to_string();
    let objects = Objects {
        policies: watch.all().collect(),
        pods: watch.all().collect(),
        namespaces: watch.all().collect(),
    };
    let mut shell = NodeShell { process, api: api.clone() };
    controller.sync(&objects, &version, &mut shell).await
}

/// Rules depend on what has changed.
fn asks_for_sync(news: &News) -> bool {
    let both = (news.before.as_deref(), news.object.as_deref());
    match news.key.kind {
        Kind::NetworkPolicy => true,
        Kind::Namespace => labels(both.0) != labels(both.1),
        Kind::Pod => {
            let (Some(before), Some(after)) = both else { return true };
            labels(Some(before)) != labels(Some(after)) || place(before) != place(after)
        }
        _ => false,
    }
}

fn labels(object: Option<&Object>) -> Option<&std::collections::BTreeMap<String, String>> {
    object?.metadata().labels.as_ref()
}

/// Phase and address of a pod.
fn place(object: &Object) -> Option<(Option<&String>, Option<&String>)> {
    let status = Pod::of(object)?.status.as_ref()?;
    Some((status.phase.as_ref(), status.pod_ip.as_ref()))
}
