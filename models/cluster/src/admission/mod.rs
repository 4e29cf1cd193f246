//! What the API server does with an object before it stores it: values that are not given, and checks.
//!
//! | file | owns |
//! |---|---|
//! | `names.rs` | what names and labels may be |
//! | `ingress.rs` | Ingresses and their classes |
//! | `network_policy.rs` | NetworkPolicies |
//! | `service.rs` | services: their addresses and ports |
//! | `pod.rs`, `container.rs`, `volume.rs` | pods and their templates |
//! | `fields.rs` | what becomes of each of their fields |
//! | `config.rs` | ConfigMaps and Secrets |
//! | `workload.rs` | Deployments, ReplicaSets and DaemonSets |

mod config;
mod container;
mod fields;
mod ingress;
pub mod names;
mod network_policy;
mod pod;
mod service;
mod volume;
mod workload;

pub use config::key;
pub use service::{addresses, node_ports};

use k8s_openapi::api::core::v1::{Namespace, Pod};

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
        Object::Pod(pod) => {
            let old = match before {
                Some(Object::Pod(old)) => Some(&**old),
                _ => None,
            };
            pod::admit(pod, old, &mut causes);
        }
        // What has not changed was looked at before.
        Object::Deployment(_) | Object::ReplicaSet(_) | Object::DaemonSet(_)
            if before.is_some_and(|before| !spec_changed(object, before)) => {}
        Object::Deployment(deployment) => workload::deployment(deployment, &mut causes),
        Object::ReplicaSet(set) => workload::replica_set(set, &mut causes),
        Object::DaemonSet(set) => workload::daemon_set(set, &mut causes),
        Object::Namespace(namespace) => self::namespace(namespace, &name),
        Object::ConfigMap(map) => config::config_map(map, before, &mut causes),
        Object::Secret(secret) => config::secret(secret, before, &mut causes),
        Object::Ingress(ingress) => self::ingress::ingress(store, ingress, before.is_none(), &mut causes),
        Object::IngressClass(class) => ingress::class(class, &mut causes),
        Object::NetworkPolicy(policy) => network_policy::admit(policy, &mut causes),
        Object::EndpointSlice(_) | Object::Event(_) | Object::Node(_) => {}
    }
    let selectors = match (&*object, before) {
        (Object::Deployment(new), Some(Object::Deployment(old))) => {
            new.spec.as_ref().map(|new| &new.selector).zip(old.spec.as_ref().map(|old| &old.selector))
        }
        (Object::ReplicaSet(new), Some(Object::ReplicaSet(old))) => {
            new.spec.as_ref().map(|new| &new.selector).zip(old.spec.as_ref().map(|old| &old.selector))
        }
        (Object::DaemonSet(new), Some(Object::DaemonSet(old))) => {
            new.spec.as_ref().map(|new| &new.selector).zip(old.spec.as_ref().map(|old| &old.selector))
        }
        _ => None,
    };
    if let Some((new, _)) = selectors.filter(|(new, old)| new != old) {
        causes.push(Cause::invalid("spec.selector", new, "field is immutable"));
    }
    match causes.is_empty() {
        true => Ok(()),
        false => Err(ApiError::Invalid { kind: object.kind(), name, causes }),
    }
}

/// Fills in a namespace.
fn namespace(namespace: &mut Namespace, name: &str) {
    let labels = namespace.metadata.labels.get_or_insert_default();
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    let spec = namespace.spec.get_or_insert_default();
    let _ = spec.finalizers.get_or_insert_with(|| vec!["kubernetes".to_owned()]);
    let status = namespace.status.get_or_insert_default();
    let _ = status.phase.get_or_insert_with(|| "Active".to_owned());
}

/// More than metadata and status differ.
pub fn spec_changed(object: &Object, before: &Object) -> bool {
    match (object, before) {
        (Object::Service(new), Object::Service(old)) => new.spec != old.spec,
        (Object::Pod(new), Object::Pod(old)) => {
            // That it gets its node is no change of what is wanted.
            let bound = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
            new.spec != old.spec && bound(new) == bound(old)
        }
        (Object::Deployment(new), Object::Deployment(old)) => new.spec != old.spec,
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) => new.spec != old.spec,
        (Object::DaemonSet(new), Object::DaemonSet(old)) => new.spec != old.spec,
        (Object::Node(new), Object::Node(old)) => new.spec != old.spec,
        (Object::Ingress(new), Object::Ingress(old)) => new.spec != old.spec,
        (Object::IngressClass(new), Object::IngressClass(old)) => new.spec != old.spec,
        (Object::NetworkPolicy(new), Object::NetworkPolicy(old)) => new.spec != old.spec,
        _ => false,
    }
}
