//! ReplicaSets: as many pods as they ask for (`pkg/controller/replicaset`).

use std::collections::BTreeMap;

use glassnet_sim::Nanos;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::affinity::matches_labels;
use super::{Again, each, owner_of, place};
use crate::api::News;
use crate::error::ApiError;
use crate::events::{Happened, Recorder, reference};
use crate::object::{Kind, Object};
use crate::store::{Store, nanoseconds};

/// A pod is ready for traffic.
pub fn is_ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// Since when a pod is ready, seconds since 1970.
fn ready_since(pod: &Pod) -> Option<i64> {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(0, |time| time.0.as_second()))
}

/// A pod is available when it has been ready for so many seconds; otherwise when it will be, if it stays ready.
pub fn availability(pod: &Pod, least: i32, now: Nanos) -> Result<(), Option<Nanos>> {
    let Some(since) = ready_since(pod) else { return Err(None) };
    let wall = nanoseconds(now);
    let at = (since.max(0) as u64 + least.max(0) as u64) * 1_000_000_000;
    if least <= 0 || at <= wall { Ok(()) } else { Err(Some(Nanos(now.0 + (at - wall)))) }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Its containers may run or will.
pub fn is_active(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !["Succeeded", "Failed"].contains(&phase(pod))
}

/// A pod that an owner makes from its template.
pub fn pod_of(owner: &Object, template: &PodTemplateSpec) -> Pod {
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

/// Makes a pod, and tells of it.
pub fn create(
    store: &mut Store,
    (owner, component): (&Object, &str),
    pod: Pod,
    now: Nanos,
) -> Result<(), ApiError> {
    let made = store.create(pod, now);
    let recorder = Recorder { component, host: None };
    match &made {
        Ok(pod) => {
            let message = format!("Created pod: {}", pod.metadata().name.as_deref().unwrap_or_default());
            let what = Happened::normal("SuccessfulCreate", &message);
            recorder.tell(store, now, reference(owner), what);
        }
        Err(error) => {
            let message = format!("Error creating: {error}");
            recorder.tell(store, now, reference(owner), Happened::warning("FailedCreate", &message));
        }
    }
    made.map(|_| ())
}

/// Deletes a pod, and tells of it.
pub fn delete(
    store: &mut Store,
    (owner, component): (&Object, &str),
    pod: &Pod,
    now: Nanos,
) -> Result<(), ApiError> {
    store.delete(&Object::from(pod.clone()).key(), None, now)?;
    let message = format!("Deleted pod: {}", pod.metadata.name.as_deref().unwrap_or_default());
    let recorder = Recorder { component, host: None };
    recorder.tell(store, now, reference(owner), Happened::normal("SuccessfulDelete", &message));
    Ok(())
}

/// Makes and deletes pods of all ReplicaSets.
pub fn sync(store: &mut Store, news: &[News], now: Nanos) -> Again {
    if !news.is_empty() {
        adopt(store, now)?;
    }
    each(store, now, one)
}

fn one(store: &mut Store, set: &ReplicaSet, now: Nanos) -> Again {
    let Some(spec) = &set.spec else { return Ok(None) };
    let owner = Object::from(set.clone());
    let by = (&owner, "replicaset-controller");
    let uid = set.metadata.uid.as_ref();
    let mut pods: Vec<Pod> = store.owned::<Pod>(uid).filter(|pod| is_active(pod)).cloned().collect();
    let wanted = spec.replicas.unwrap_or(1).max(0) as usize;
    for _ in pods.len()..wanted {
        create(store, by, pod_of(&owner, &spec.template.clone().unwrap_or_default()), now)?;
    }
    // First those that do not serve yet, then the youngest.
    pods.sort_by_key(|pod| {
        let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        (has_node, is_ready(pod), std::cmp::Reverse(pod.metadata.creation_timestamp.clone()))
    });
    for pod in pods.iter().take(pods.len().saturating_sub(wanted)) {
        delete(store, by, pod, now)?;
    }
    let pods: Vec<&Pod> = store.owned::<Pod>(uid).filter(|pod| is_active(pod)).collect();
    let least = spec.min_ready_seconds.unwrap_or(0);
    let ages: Vec<_> = pods.iter().map(|pod| availability(pod, least, now)).collect();
    let (ready, available) = (
        pods.iter().filter(|pod| is_ready(pod)).count() as i32,
        ages.iter().filter(|age| age.is_ok()).count() as i32,
    );
    let labels = spec.template.as_ref().and_then(|template| template.metadata.as_ref()?.labels.as_ref());
    let empty = BTreeMap::new();
    let labeled = |pod: &&&Pod| super::selects(labels.unwrap_or(&empty), pod.metadata.labels.as_ref());
    let positive = |count: i32| (count > 0).then_some(count);
    let status = ReplicaSetStatus {
        replicas: pods.len() as i32,
        ready_replicas: positive(ready),
        available_replicas: positive(available),
        fully_labeled_replicas: positive(pods.iter().filter(labeled).count() as i32),
        observed_generation: set.metadata.generation,
        ..ReplicaSetStatus::default()
    };
    if set.status.as_ref() != Some(&status) {
        store.edit(place(&set.metadata), now, |set: &mut ReplicaSet| set.status = Some(status))?;
    }
    Ok(ages.into_iter().filter_map(Result::err).flatten().min())
}

/// Pods without a controller belong to the ReplicaSet that selects them; one whose labels no longer match is let go.
fn adopt(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let sets: Vec<ReplicaSet> = store.list::<ReplicaSet>().cloned().collect();
    for set in sets {
        let Some(spec) = &set.spec else { continue };
        let uid = set.metadata.uid.as_ref();
        let is_selected = |pod: &&Pod| matches_labels(&spec.selector, pod.metadata.labels.as_ref());
        let lost: Vec<Pod> = store
            .owned::<Pod>(uid)
            .filter(|pod| pod.metadata.deletion_timestamp.is_none() && !is_selected(pod))
            .cloned()
            .collect();
        for pod in lost {
            store.edit(place(&pod.metadata), now, |pod: &mut Pod| {
                let owners = pod.metadata.owner_references.get_or_insert_default();
                owners.retain(|owner| Some(&owner.uid) != uid);
                if owners.is_empty() {
                    pod.metadata.owner_references = None;
                }
            })?;
        }
        let is_free = |pod: &&Pod| {
            let mut owners = pod.metadata.owner_references.iter().flatten();
            pod.metadata.namespace == set.metadata.namespace
                && is_active(pod)
                && !owners.any(|owner| owner.controller == Some(true))
        };
        let found: Vec<Pod> = store
            .in_namespace(Kind::Pod, set.metadata.namespace.as_deref().unwrap_or_default())
            .filter_map(|object| <Pod as crate::object::Kept>::of(object))
            .filter(|pod| is_free(pod) && is_selected(pod))
            .cloned()
            .collect();
        for pod in found {
            let owner = owner_of(&set.clone().into());
            store.edit(place(&pod.metadata), now, |pod: &mut Pod| {
                pod.metadata.owner_references.get_or_insert_default().push(owner);
            })?;
        }
    }
    Ok(())
}
