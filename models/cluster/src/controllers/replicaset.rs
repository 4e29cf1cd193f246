//! ReplicaSets and DaemonSets: as many pods as they ask for (`pkg/controller/replicaset`, `pkg/controller/daemon`).

use glassnet_sim::Nanos;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus, ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Node, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{is_owned_by, owner_of, scheduler};
use crate::error::ApiError;
use crate::object::{Key, Kind, Object};
use crate::store::Store;

/// A pod is ready for traffic.
pub fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Its containers may run or will.
fn is_active(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !["Succeeded", "Failed"].contains(&phase(pod))
}

fn pod_of(owner: &Object, template: &PodTemplateSpec) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    let name = owner.metadata().name.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: owner.metadata().namespace.clone(),
            labels: meta.labels,
            annotations: meta.annotations,
            owner_references: Some(vec![owner_of(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Makes and deletes pods of all ReplicaSets.
pub fn sync(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let all: Vec<ReplicaSet> = store.list::<ReplicaSet>().cloned().collect();
    for set in all {
        let Some(spec) = &set.spec else { continue };
        let owned = |pod: &&Pod| is_owned_by(&pod.metadata, set.metadata.uid.as_ref());
        let mut pods: Vec<Pod> =
            store.list::<Pod>().filter(owned).filter(|pod| is_active(pod)).cloned().collect();
        let wanted = spec.replicas.unwrap_or(1).max(0) as usize;
        for _ in pods.len()..wanted {
            store.create(pod_of(&set.clone().into(), &spec.template.clone().unwrap_or_default()), now)?;
        }
        // First those that do not serve yet, then the youngest.
        pods.sort_by_key(|pod| {
            let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
            (has_node, is_ready(pod), std::cmp::Reverse(pod.metadata.creation_timestamp.clone()))
        });
        for pod in pods.iter().take(pods.len().saturating_sub(wanted)) {
            store.delete(&Object::from(pod.clone()).key(), None, now)?;
        }
        let pods: Vec<&Pod> = store.list::<Pod>().filter(owned).filter(|pod| is_active(pod)).collect();
        let ready = pods.iter().filter(|pod| is_ready(pod)).count() as i32;
        let positive = (ready > 0).then_some(ready);
        let status = ReplicaSetStatus {
            replicas: pods.len() as i32,
            ready_replicas: positive,
            available_replicas: positive,
            fully_labeled_replicas: Some(pods.len() as i32).filter(|count| *count > 0),
            observed_generation: set.metadata.generation,
            ..ReplicaSetStatus::default()
        };
        if set.status.as_ref() != Some(&status) {
            let meta = &set.metadata;
            let place =
                (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
            store.edit(place, now, |set: &mut ReplicaSet| set.status = Some(status))?;
        }
    }
    Ok(())
}

/// Makes and deletes pods of all DaemonSets: one a node.
pub fn sync_daemons(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let all: Vec<DaemonSet> = store.list::<DaemonSet>().cloned().collect();
    for set in all {
        let Some(spec) = &set.spec else { continue };
        let template = spec.template.spec.clone().unwrap_or_default();
        let fits = |node: &&Node| scheduler::selects_node(&template, node);
        let nodes: Vec<String> =
            store.list::<Node>().filter(fits).filter_map(|node| node.metadata.name.clone()).collect();
        let owned = |pod: &&Pod| is_owned_by(&pod.metadata, set.metadata.uid.as_ref());
        let pods: Vec<Pod> =
            store.list::<Pod>().filter(owned).filter(|pod| is_active(pod)).cloned().collect();
        let node_of =
            |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        for node in &nodes {
            if !pods.iter().any(|pod| node_of(pod) == *node) {
                let mut pod = pod_of(&set.clone().into(), &spec.template);
                pod.spec.get_or_insert_default().node_name = Some(node.clone());
                store.create(pod, now)?;
            }
        }
        for pod in pods.iter().filter(|pod| !nodes.contains(&node_of(pod))) {
            store.delete(&Object::from(pod.clone()).key(), None, now)?;
        }
        let pods: Vec<&Pod> = store.list::<Pod>().filter(owned).filter(|pod| is_active(pod)).collect();
        let (count, ready) = (pods.len() as i32, pods.iter().filter(|pod| is_ready(pod)).count() as i32);
        let status = DaemonSetStatus {
            current_number_scheduled: count,
            desired_number_scheduled: nodes.len() as i32,
            number_ready: ready,
            number_available: Some(ready),
            updated_number_scheduled: Some(count),
            observed_generation: set.metadata.generation,
            ..DaemonSetStatus::default()
        };
        let place = Key::new(
            Kind::DaemonSet,
            set.metadata.namespace.as_deref().unwrap_or_default(),
            set.metadata.name.as_deref().unwrap_or_default(),
        );
        if set.status.as_ref() != Some(&status) {
            store.edit((&place.namespace, &place.name), now, |set: &mut DaemonSet| {
                set.status = Some(status)
            })?;
        }
    }
    Ok(())
}
