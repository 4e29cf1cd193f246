//! Deployments: a ReplicaSet for each template (`pkg/controller/deployment`).

use glassnet_sim::Nanos;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetSpec,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{is_owned_by, owner_of};
use crate::error::ApiError;
use crate::object::{Key, Kind, Object};
use crate::store::{Store, safe_encode, wall_clock};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// FNV-1a (32 bits) of a template. The real hash is of how Go prints the structure.
fn hash(template: &PodTemplateSpec) -> String {
    let text = serde_json::to_vec(template).unwrap_or_default();
    let fnv =
        text.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    safe_encode(fnv)
}

/// A number of pods, or a share of the replicas.
fn share(value: Option<&IntOrString>, replicas: i32, up: bool) -> i32 {
    match value {
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => {
            let percent: i32 = text.trim_end_matches('%').parse().unwrap_or(0);
            let rounded = if up { 99 } else { 0 };
            (percent * replicas + rounded) / 100
        }
        None => 0,
    }
}

/// Makes and scales the ReplicaSets of all Deployments.
pub fn sync(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let all: Vec<Deployment> = store.list::<Deployment>().cloned().collect();
    all.iter().try_for_each(|deployment| one(store, deployment, now))
}

fn one(store: &mut Store, deployment: &Deployment, now: Nanos) -> Result<(), ApiError> {
    let Some(spec) = &deployment.spec else { return Ok(()) };
    let (namespace, name) = names(&deployment.metadata);
    let hash = hash(&spec.template);
    let current = format!("{name}-{hash}");
    let mut sets: Vec<ReplicaSet> = store
        .list::<ReplicaSet>()
        .filter(|set| is_owned_by(&set.metadata, deployment.metadata.uid.as_ref()))
        .cloned()
        .collect();
    let revision = |set: &ReplicaSet| -> i64 {
        let notes = set.metadata.annotations.as_ref();
        notes.and_then(|notes| notes.get(REVISION)?.parse().ok()).unwrap_or(0)
    };
    let latest = sets.iter().map(revision).max().unwrap_or(0);
    match sets.iter().find(|set| set.metadata.name.as_deref() == Some(&current)) {
        None => {
            let set = replica_set(deployment, &current, &hash, latest + 1);
            let made = store.create(set, now)?;
            if let Object::ReplicaSet(set) = &*made {
                sets.push((**set).clone());
            }
        }
        // An older template again (`kubectl rollout undo`).
        Some(set) if revision(set) < latest => {
            store.edit((&namespace, &current), now, |set: &mut ReplicaSet| {
                let notes = set.metadata.annotations.get_or_insert_default();
                notes.insert(REVISION.to_owned(), (latest + 1).to_string());
            })?;
        }
        Some(_) => {}
    }
    scale(store, deployment, &sets, &current, now)?;
    status(store, deployment, &current, now)
}

fn names(meta: &ObjectMeta) -> (String, String) {
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

fn replica_set(deployment: &Deployment, name: &str, hash: &str, revision: i64) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let with_hash = |labels: Option<std::collections::BTreeMap<String, String>>| {
        let mut labels = labels.unwrap_or_default();
        labels.insert(HASH.to_owned(), hash.to_owned());
        Some(labels)
    };
    let mut template = spec.template;
    let meta = template.metadata.get_or_insert_default();
    meta.labels = with_hash(meta.labels.take());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: deployment.metadata.namespace.clone(),
            labels: meta.labels.clone(),
            annotations: Some([(REVISION.to_owned(), revision.to_string())].into()),
            owner_references: Some(vec![owner_of(&deployment.clone().into())]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            selector: LabelSelector { match_labels: with_hash(spec.selector.match_labels), ..spec.selector },
            template: Some(template),
            ..ReplicaSetSpec::default()
        }),
        status: None,
    }
}

/// Moves replicas from the old ReplicaSets to the current one, as far as the strategy allows at this moment.
fn scale(
    store: &mut Store,
    deployment: &Deployment,
    sets: &[ReplicaSet],
    current: &str,
    now: Nanos,
) -> Result<(), ApiError> {
    let Some(spec) = &deployment.spec else { return Ok(()) };
    let namespace = deployment.metadata.namespace.clone().unwrap_or_default();
    let replicas = spec.replicas.unwrap_or(1);
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let size = |set: &ReplicaSet| set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let available =
        |set: &ReplicaSet| set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let exists = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas);
    let (new, old): (Vec<&ReplicaSet>, Vec<&ReplicaSet>) =
        sets.iter().partition(|set| set.metadata.name.as_deref() == Some(current));
    let new_size = new.first().map_or(0, |set| size(set));
    let set_size = |store: &mut Store, name: &str, count: i32| {
        store.edit((&namespace, name), now, |set: &mut ReplicaSet| {
            set.spec.get_or_insert_default().replicas = Some(count);
        })
    };
    let old_size: i32 = old.iter().map(|set| size(set)).sum();
    let Some(rolling) = rolling else {
        // `Recreate`: the old ones end before the new ones begin.
        for set in old.iter().filter(|set| size(set) > 0) {
            set_size(store, set.metadata.name.as_deref().unwrap_or_default(), 0)?;
        }
        let left: i32 = old.iter().map(|set| exists(set)).sum();
        return if old_size + left == 0 { set_size(store, current, replicas) } else { Ok(()) };
    };
    let surge = share(rolling.max_surge.as_ref(), replicas, true);
    let mut unavailable = share(rolling.max_unavailable.as_ref(), replicas, false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    let room = replicas + surge - old_size - new_size;
    let wanted = if new_size > replicas { replicas } else { (new_size + room.max(0)).min(replicas) };
    if wanted != new_size {
        set_size(store, current, wanted)?;
    }
    let all_available: i32 = sets.iter().map(available).sum();
    let mut may_end = all_available - (replicas - unavailable);
    for set in old.iter().filter(|set| size(set) > 0) {
        // Those that serve nobody may end at once.
        let idle = (size(set) - available(set)).max(0);
        let end = (may_end.max(0) + idle).min(size(set));
        may_end -= end - idle.min(end);
        if end > 0 {
            set_size(store, set.metadata.name.as_deref().unwrap_or_default(), size(set) - end)?;
        }
    }
    Ok(())
}

fn status(store: &mut Store, deployment: &Deployment, current: &str, now: Nanos) -> Result<(), ApiError> {
    let (namespace, name) = names(&deployment.metadata);
    let sets: Vec<&ReplicaSet> = store
        .list::<ReplicaSet>()
        .filter(|set| is_owned_by(&set.metadata, deployment.metadata.uid.as_ref()))
        .collect();
    let sum = |of: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        sets.iter().filter_map(|set| set.status.as_ref()).map(of).sum()
    };
    let positive = |count: i32| (count > 0).then_some(count);
    let updated = sets.iter().find(|set| set.metadata.name.as_deref() == Some(current));
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let available = sum(|status| status.available_replicas.unwrap_or(0));
    let before = deployment.status.clone().unwrap_or_default();
    let is_available = available >= wanted.min(1).max(wanted - wanted / 4);
    let (state, reason, message) = match is_available {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let known =
        before.conditions.iter().flatten().find(|known| known.type_ == "Available" && known.status == state);
    let since = known.map_or_else(|| Some(wall_clock(now)), |known| known.last_transition_time.clone());
    let condition = DeploymentCondition {
        type_: "Available".to_owned(),
        status: state.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: since.clone(),
        last_update_time: since,
    };
    let status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: positive(sum(|status| status.replicas)),
        ready_replicas: positive(sum(|status| status.ready_replicas.unwrap_or(0))),
        available_replicas: positive(available),
        updated_replicas: positive(
            updated.and_then(|set| set.status.as_ref()).map_or(0, |status| status.replicas),
        ),
        unavailable_replicas: positive(wanted - available),
        conditions: Some(vec![condition]),
        ..DeploymentStatus::default()
    };
    let revision = updated.and_then(|set| set.metadata.annotations.as_ref()?.get(REVISION).cloned());
    if before != status {
        store.edit((&namespace, &name), now, |deployment: &mut Deployment| {
            deployment.status = Some(status);
            if let Some(revision) = revision {
                let notes = deployment.metadata.annotations.get_or_insert_default();
                notes.insert(REVISION.to_owned(), revision);
            }
        })?;
    }
    let over = |set: &&&ReplicaSet| {
        let size = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        size == 0 && set.status.as_ref().map_or(0, |status| status.replicas) == 0
    };
    let limit = deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(10) as usize;
    let sets: Vec<&ReplicaSet> = store
        .list::<ReplicaSet>()
        .filter(|set| is_owned_by(&set.metadata, deployment.metadata.uid.as_ref()))
        .collect();
    let mut idle: Vec<&&ReplicaSet> =
        sets.iter().filter(over).filter(|set| set.metadata.name.as_deref() != Some(current)).collect();
    idle.sort_by_key(|set| set.metadata.creation_timestamp.clone());
    let surplus: Vec<Key> = idle
        .iter()
        .take(idle.len().saturating_sub(limit))
        .map(|set| Key::new(Kind::ReplicaSet, &namespace, set.metadata.name.as_deref().unwrap_or_default()))
        .collect();
    surplus.iter().try_for_each(|key| store.delete(key, None, now))
}
