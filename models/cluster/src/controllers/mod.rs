//! Controllers: each makes objects what they are to be (`kube-controller-manager`, `kube-scheduler`). Those of which there are many are
//! looked at when something of them has changed, others each time.
//!
//! | file | owns |
//! |---|---|
//! | `node.rs` | ranges of pods for nodes, their taints |
//! | `deployment.rs` | Deployments: their ReplicaSets |
//! | `replicaset.rs` | ReplicaSets: their pods |
//! | `daemon.rs` | DaemonSets: their pods |
//! | `scheduler.rs`, `affinity.rs` | nodes for pods |
//! | `endpointslice.rs` | EndpointSlices of services |
//! | `cloud.rs` | addresses of load balancers |
//! | `ingress.rs` | addresses of Ingresses |

mod affinity;
mod cloud;
mod daemon;
mod deployment;
mod endpointslice;
mod ingress;
mod node;
mod replicaset;
mod scheduler;

use std::collections::BTreeMap;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Process, Running};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::{self, ApiServer, News, Watch};
use crate::error::ApiError;
use crate::object::{Kept, Kind, Object};
use crate::store::Store;

pub use affinity::matches_labels;
pub use cloud::balancer_addresses;

/// When a controller is to look again, if nothing changes before.
type Again = Result<Option<Nanos>, ApiError>;

/// A controller looks at the store, and at what has changed since it looked last, and changes the store.
type Controller = fn(&mut Store, &[News], Nanos) -> Again;

const MANAGER: &[Controller] = &[
    node::sync,
    deployment::sync,
    replicaset::sync,
    daemon::sync,
    endpointslice::sync,
    cloud::sync,
    ingress::sync,
];

const MANAGED: &[Kind] = &[
    Kind::DaemonSet,
    Kind::Deployment,
    Kind::EndpointSlice,
    Kind::Ingress,
    Kind::Node,
    Kind::Pod,
    Kind::ReplicaSet,
    Kind::Service,
];

/// Looks at each object of a type; when to look again.
fn each<T: Kept + Clone>(store: &mut Store, now: Nanos, one: fn(&mut Store, &T, Nanos) -> Again) -> Again {
    let all: Vec<T> = store.list::<T>().cloned().collect();
    let mut again = None;
    for object in &all {
        again = [again, one(store, object, now)?].into_iter().flatten().min();
    }
    Ok(again)
}

/// Entry point of `kube-controller-manager`.
pub fn manager(process: &mut Process) -> Running<'_> {
    Box::pin(run(process, MANAGER, MANAGED))
}

/// Entry point of `kube-scheduler`.
pub fn scheduler(process: &mut Process) -> Running<'_> {
    Box::pin(run(process, &[scheduler::sync], &[Kind::Node, Kind::Pod]))
}

async fn run(process: &mut Process, controllers: &[Controller], kinds: &'static [Kind]) -> i32 {
    let Some(api) = ApiServer::of(process) else {
        let name = process.name().to_owned();
        process.eprint(format!("{name}: this machine is in no cluster\n"));
        return 1;
    };
    let (mut watch, mut again) = (Watch::of(kinds), None::<Nanos>);
    loop {
        api::wait(process, &api, &mut watch, again, |_| false).await;
        let now = process.now();
        let news = watch.take(&api.store(), now);
        if news.is_empty() && again.is_none_or(|at| at > now) {
            continue;
        }
        again = None;
        for controller in controllers {
            match api.change(process, |store, now| controller(store, &news, now)) {
                Ok(next) => again = [again, next].into_iter().flatten().min(),
                Err(error) => {
                    let name = process.name().to_owned();
                    process.eprint(format!("{name}: {error}\n"));
                }
            }
        }
    }
}

/// An owner that deletes what it owns with itself.
fn owner_of(object: &Object) -> OwnerReference {
    let (kind, meta) = (object.kind(), object.metadata());
    OwnerReference {
        api_version: kind.api_version().to_owned(),
        kind: kind.name().to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Namespace and name.
fn place(meta: &ObjectMeta) -> (&str, &str) {
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

/// The labels match all that a selector asks for.
pub fn selects(selector: &BTreeMap<String, String>, labels: Option<&BTreeMap<String, String>>) -> bool {
    selector.iter().all(|(key, value)| labels.is_some_and(|labels| labels.get(key) == Some(value)))
}
