//! What the API server does with an object before it stores it: values that are not given, and checks.
//!
//! | file | owns |
//! |---|---|
//! | `names.rs` | what names and labels may be |
//! | `service.rs` | services: their addresses and ports |
//! | `pod.rs` | pods and their templates |
//! | `workload.rs` | Deployments, ReplicaSets and DaemonSets |

pub mod names;
mod pod;
mod service;
mod workload;

pub use service::{addresses, node_ports};

use crate::error::{ApiError, Cause};
use crate::object::Object;
use crate::store::Store;

/// Fills in what is not given, and checks the object. `before` is the object that it replaces.
///
/// # Errors
///
/// [`ApiError::Invalid`] with every field that is wrong.
pub fn admit(store: &mut Store, object: &mut Object, before: Option<&Object>) -> Result<(), ApiError> {
    let name = object.metadata().name.clone().unwrap_or_default();
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        let wrong = match object {
            Object::Service(_) => names::dns_1035_label(&name),
            Object::Namespace(_) => names::dns_1123_label(&name),
            _ => names::dns_1123_subdomain(&name),
        };
        causes.extend(wrong.map(|why| Cause::invalid("metadata.name", &name, why)));
    }
    causes.extend(names::labels("metadata.labels", object.metadata().labels.as_ref()));
    match object {
        Object::Service(service) => {
            let old = match before {
                Some(Object::Service(old)) => Some(&**old),
                _ => None,
            };
            service::admit(store, service, old, &mut causes);
        }
        Object::Pod(pod) => pod::admit(&mut pod.spec, before.is_none(), &mut causes),
        Object::Deployment(deployment) => workload::deployment(deployment, &mut causes),
        Object::ReplicaSet(set) => workload::replica_set(set, &mut causes),
        Object::DaemonSet(set) => workload::daemon_set(set, &mut causes),
        Object::ConfigMap(_) | Object::EndpointSlice(_) | Object::Namespace(_) | Object::Node(_) => {}
    }
    match causes.is_empty() {
        true => Ok(()),
        false => Err(ApiError::Invalid { kind: object.kind(), name, causes }),
    }
}

/// More than metadata and status differ.
pub fn spec_changed(object: &Object, before: &Object) -> bool {
    match (object, before) {
        (Object::Service(new), Object::Service(old)) => new.spec != old.spec,
        (Object::Pod(new), Object::Pod(old)) => new.spec != old.spec,
        (Object::Deployment(new), Object::Deployment(old)) => new.spec != old.spec,
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) => new.spec != old.spec,
        (Object::DaemonSet(new), Object::DaemonSet(old)) => new.spec != old.spec,
        (Object::Node(new), Object::Node(old)) => new.spec != old.spec,
        _ => false,
    }
}
