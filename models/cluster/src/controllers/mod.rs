//! Controllers: each looks at all objects and makes them what they are to be (`kube-controller-manager`, `kube-scheduler`).
//!
//! | file | owns |
//! |---|---|
//! | `node.rs` | ranges of pods for nodes |
//! | `deployment.rs` | Deployments: their ReplicaSets |
//! | `replicaset.rs` | ReplicaSets and DaemonSets: their pods |
//! | `scheduler.rs` | nodes for pods |
//! | `endpointslice.rs` | EndpointSlices of services |
//! | `cloud.rs` | addresses of load balancers |
//! | `ingress.rs` | addresses of Ingresses |

mod cloud;
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

use crate::api::{self, ApiServer, Watch};
use crate::error::ApiError;
use crate::object::Object;
use crate::store::Store;

/// A controller looks at the store and changes it.
type Controller = fn(&mut Store, Nanos) -> Result<(), ApiError>;

const MANAGER: &[Controller] = &[
    node::sync,
    deployment::sync,
    replicaset::sync,
    replicaset::sync_daemons,
    endpointslice::sync,
    cloud::sync,
    ingress::sync,
];

/// Entry point of `kube-controller-manager`.
pub fn manager(process: &mut Process) -> Running<'_> {
    Box::pin(run(process, MANAGER))
}

/// Entry point of `kube-scheduler`.
pub fn scheduler(process: &mut Process) -> Running<'_> {
    Box::pin(run(process, &[scheduler::sync]))
}

async fn run(process: &mut Process, controllers: &[Controller]) -> i32 {
    let Some(api) = ApiServer::of(process) else {
        let name = process.name().to_owned();
        process.eprint(format!("{name}: this machine is in no cluster\n"));
        return 1;
    };
    let mut watch = Watch::default();
    loop {
        api::wait(process, &api, &watch, None, |_| false).await;
        let now = process.now();
        if watch.take(&api.store(), now).is_empty() {
            continue;
        }
        for controller in controllers {
            if let Err(error) = api.change(process, *controller) {
                let name = process.name().to_owned();
                process.eprint(format!("{name}: {error}\n"));
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

/// An object is controlled by one with this uid.
fn is_owned_by(meta: &ObjectMeta, uid: Option<&String>) -> bool {
    let mut owners = meta.owner_references.iter().flatten();
    uid.is_some() && owners.any(|owner| owner.controller == Some(true) && Some(&owner.uid) == uid)
}

/// The labels match all that a selector asks for.
pub fn selects(selector: &BTreeMap<String, String>, labels: Option<&BTreeMap<String, String>>) -> bool {
    selector.iter().all(|(key, value)| labels.is_some_and(|labels| labels.get(key) == Some(value)))
}
