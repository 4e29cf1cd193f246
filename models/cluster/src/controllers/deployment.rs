//! Deployments: a ReplicaSet for each template (`pkg/controller/deployment`).

use glassnet_sim::Nanos;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetSpec,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Again, each, owner_of, place};
use crate::api::News;
use crate::error::ApiError;
use crate::events::{Happened, Recorder, reference};
use crate::object::{Key, Kind, Object};
use crate::store::{Store, nanoseconds, safe_encode, wall_clock};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
const CONTROLLER: Recorder = Recorder { component: "deployment-controller", host: None };

/// FNV-1a (32 bits) of a template. The real hash is of how Go prints the structure.
pub fn hash(template: &PodTemplateSpec) -> String {
    let text = serde_json::to_vec(template).unwrap_or_default();
    let fnv =
        text.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    safe_encode(fnv)
}

/// A number of pods, or a share of the replicas.
pub fn share(value: Option<&IntOrString>, replicas: i32, up: bool) -> i32 {
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
pub fn sync(store: &mut Store, _: &[News], now: Nanos) -> Again {
    each(store, now, one)
}

fn revision(set: &ReplicaSet) -> i64 {
    let notes = set.metadata.annotations.as_ref();
    notes.and_then(|notes| notes.get(REVISION)?.parse().ok()).unwrap_or(0)
}

fn owned(store: &Store, deployment: &Deployment) -> Vec<ReplicaSet> {
    store.owned::<ReplicaSet>(deployment.metadata.uid.as_ref()).cloned().collect()
}

fn one(store: &mut Store, deployment: &Deployment, now: Nanos) -> Again {
    let Some(spec) = &deployment.spec else { return Ok(None) };
    let (namespace, name) = place(&deployment.metadata);
    let hash = hash(&spec.template);
    let current = format!("{name}-{hash}");
    let mut sets = owned(store, deployment);
    let latest = sets.iter().map(revision).max().unwrap_or(0);
    let is_paused = spec.paused == Some(true);
    let mut made = None;
    match sets.iter().find(|set| set.metadata.name.as_deref() == Some(&current)) {
        None if is_paused => {}
        None => {
            let set = store.create(replica_set(deployment, &current, &hash, latest + 1), now)?;
            if let Object::ReplicaSet(set) = &*set {
                sets.push((**set).clone());
            }
            made = Some(current.clone());
        }
        // An older template again (`kubectl rollout undo`).
        Some(set) if revision(set) < latest && !is_paused => {
            store.edit((namespace, &current), now, |set: &mut ReplicaSet| {
                let notes = set.metadata.annotations.get_or_insert_default();
                notes.insert(REVISION.to_owned(), (latest + 1).to_string());
            })?;
        }
        Some(_) => {}
    }
    match is_paused {
        true => scale_paused(store, deployment, &sets, now)?,
        false => scale(store, deployment, &sets, &current, now)?,
    }
    status(store, deployment, (&current, made.is_some()), now)
}

/// The most pods that a Deployment may have.
fn most(deployment: &Deployment) -> i32 {
    let spec = deployment.spec.clone().unwrap_or_default();
    let replicas = spec.replicas.unwrap_or(1);
    let rolling = spec.strategy.and_then(|strategy| strategy.rolling_update);
    replicas + rolling.map_or(0, |rolling| share(rolling.max_surge.as_ref(), replicas, true))
}

/// Gives a ReplicaSet its size, and notes what the Deployment wants.
fn set_size(
    store: &mut Store,
    deployment: &Deployment,
    set: &ReplicaSet,
    size: i32,
    now: Nanos,
) -> Result<(), ApiError> {
    let spec = deployment.spec.clone().unwrap_or_default();
    let (before, wanted, most) = (self::size(set), spec.replicas.unwrap_or(1), most(deployment));
    store.edit(place(&set.metadata), now, |set: &mut ReplicaSet| {
        set.spec.get_or_insert_default().replicas = Some(size);
        let notes = set.metadata.annotations.get_or_insert_default();
        notes.insert(DESIRED.to_owned(), wanted.to_string());
        notes.insert(MOST.to_owned(), most.to_string());
    })?;
    if size != before {
        let way = if size > before { "up" } else { "down" };
        let name = place(&set.metadata).1;
        let message = format!("Scaled {way} replica set {name} from {before} to {size}");
        let about = reference(&Object::from(deployment.clone()));
        CONTROLLER.tell(store, now, about, Happened::normal("ScalingReplicaSet", &message));
    }
    Ok(())
}

fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
}

/// While it is paused, only the number of pods is followed, by the ReplicaSet that has some.
fn scale_paused(
    store: &mut Store,
    deployment: &Deployment,
    sets: &[ReplicaSet],
    now: Nanos,
) -> Result<(), ApiError> {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let active: Vec<&ReplicaSet> = sets.iter().filter(|set| size(set) > 0).collect();
    let only = match active.as_slice() {
        [only] => Some(*only),
        [] => sets.iter().max_by_key(|set| revision(set)),
        _ => None,
    };
    match only.filter(|set| size(set) != wanted) {
        Some(set) => set_size(store, deployment, set, wanted, now),
        None => Ok(()),
    }
}

fn replica_set(deployment: &Deployment, name: &str, hash: &str, revision: i64) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let with_hash = |labels: Option<std::collections::BTreeMap<String, String>>| {
        let mut labels = labels.unwrap_or_default();
        labels.insert(HASH.to_owned(), hash.to_owned());
        Some(labels)
    };
    let most = most(deployment);
    let mut notes = deployment.metadata.annotations.clone().unwrap_or_default();
    notes.remove("kubectl.kubernetes.io/last-applied-configuration");
    let own = [(REVISION, revision), (MOST, most.into()), (DESIRED, spec.replicas.unwrap_or(1).into())];
    notes.extend(own.map(|(key, number)| (key.to_owned(), number.to_string())));
    let mut template = spec.template;
    let meta = template.metadata.get_or_insert_default();
    meta.labels = with_hash(meta.labels.take());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: deployment.metadata.namespace.clone(),
            labels: meta.labels.clone(),
            annotations: Some(notes),
            owner_references: Some(vec![owner_of(&deployment.clone().into())]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            selector: LabelSelector { match_labels: with_hash(spec.selector.match_labels), ..spec.selector },
            template: Some(template),
            min_ready_seconds: spec.min_ready_seconds,
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
    let replicas = spec.replicas.unwrap_or(1);
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let available =
        |set: &ReplicaSet| set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let exists = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas);
    let (new, old): (Vec<&ReplicaSet>, Vec<&ReplicaSet>) =
        sets.iter().partition(|set| set.metadata.name.as_deref() == Some(current));
    let Some(new) = new.first() else { return Ok(()) };
    let old_size: i32 = old.iter().map(|set| size(set)).sum();
    let Some(rolling) = rolling else {
        // `Recreate`: the old ones end before the new ones begin.
        for set in old.iter().filter(|set| size(set) > 0) {
            set_size(store, deployment, set, 0, now)?;
        }
        let left: i32 = old.iter().map(|set| exists(set)).sum();
        let is_due = old_size + left == 0 && size(new) != replicas;
        return if is_due { set_size(store, deployment, new, replicas, now) } else { Ok(()) };
    };
    let surge = share(rolling.max_surge.as_ref(), replicas, true);
    let mut unavailable = share(rolling.max_unavailable.as_ref(), replicas, false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    let room = replicas + surge - old_size - size(new);
    let wanted = if size(new) > replicas { replicas } else { (size(new) + room.max(0)).min(replicas) };
    if wanted != size(new) {
        set_size(store, deployment, new, wanted, now)?;
    }
    let all_available: i32 = sets.iter().map(available).sum();
    let mut may_end = all_available - (replicas - unavailable);
    for set in old.iter().filter(|set| size(set) > 0) {
        // Those that serve nobody may end at once.
        let idle = (size(set) - available(set)).max(0);
        let end = (may_end.max(0) + idle).min(size(set));
        may_end -= end - idle.min(end);
        if end > 0 {
            set_size(store, deployment, set, size(set) - end, now)?;
        }
    }
    Ok(())
}

/// What a Deployment's conditions are made of.
struct State<'a> {
    before: &'a DeploymentStatus,
    now_status: &'a DeploymentStatus,
    current: &'a str,
    /// The ReplicaSet was made now.
    is_new: bool,
    available: bool,
}

fn condition(kind: &str, state: &str, reason: &str, message: &str, now: Nanos) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: state.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(wall_clock(now)),
        last_update_time: Some(wall_clock(now)),
    }
}

/// Puts a condition behind the others, unless it says what it said. Its time of transition stays while its status does.
fn put(all: &mut Vec<DeploymentCondition>, mut new: DeploymentCondition, is_progress: bool) {
    let known = all.iter().find(|known| known.type_ == new.type_);
    if let Some(known) = known {
        let same = known.status == new.status && known.reason == new.reason;
        if same && !is_progress {
            return;
        }
        if known.status == new.status {
            new.last_transition_time.clone_from(&known.last_transition_time);
        }
    }
    all.retain(|known| known.type_ != new.type_);
    all.push(new);
}

/// The conditions of a Deployment, and when it has made no progress for too long.
fn conditions(
    deployment: &Deployment,
    state: &State,
    now: Nanos,
) -> (Vec<DeploymentCondition>, Option<Nanos>) {
    let spec = deployment.spec.clone().unwrap_or_default();
    let mut all = state.before.conditions.clone().unwrap_or_default();
    let set = state.current;
    let progressing = |reason: &str, message: &str| condition("Progressing", "True", reason, message, now);
    if state.is_new {
        let message = format!("Created new replica set {set:?}");
        put(&mut all, progressing("NewReplicaSetCreated", &message), true);
    }
    let (status, reason, message) = match state.available {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    put(&mut all, condition("Available", status, reason, message, now), false);
    let wanted = spec.replicas.unwrap_or(1);
    let (is, was) = (state.now_status, state.before);
    let number = |number: Option<i32>| number.unwrap_or(0);
    let is_complete = number(is.updated_replicas) == wanted
        && number(is.replicas) == wanted
        && number(is.available_replicas) == wanted;
    let old = |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
    let has_moved = number(is.updated_replicas) > number(was.updated_replicas)
        || old(is) < old(was)
        || number(is.ready_replicas) > number(was.ready_replicas)
        || number(is.available_replicas) > number(was.available_replicas);
    let known = all.iter().find(|known| known.type_ == "Progressing").cloned();
    let reason_of = known.as_ref().and_then(|known| known.reason.as_deref()).unwrap_or_default();
    if spec.paused == Some(true) {
        let paused = condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now);
        put(&mut all, paused, false);
        return (all, None);
    }
    if reason_of == "DeploymentPaused" {
        let resumed = condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now);
        put(&mut all, resumed, false);
    }
    if is_complete {
        let message = format!("ReplicaSet {set:?} has successfully progressed.");
        put(&mut all, progressing("NewReplicaSetAvailable", &message), false);
        return (all, None);
    }
    if has_moved {
        let message = format!("ReplicaSet {set:?} is progressing.");
        put(&mut all, progressing("ReplicaSetUpdated", &message), true);
        return (all, Some(deadline(&spec, now)));
    }
    // One that was complete and has lost pods is not late.
    if ["NewReplicaSetAvailable", "ProgressDeadlineExceeded"].contains(&reason_of) {
        return (all, None);
    }
    let since =
        known.and_then(|known| known.last_update_time).map_or(0, |time| time.0.as_second().max(0) as u64);
    let since = Nanos((since * 1_000_000_000).saturating_sub(nanoseconds(Nanos::ZERO)));
    let at = deadline(&spec, since);
    if at > now {
        return (all, Some(at));
    }
    let message = format!("ReplicaSet {set:?} has timed out progressing.");
    put(&mut all, condition("Progressing", "False", "ProgressDeadlineExceeded", &message, now), false);
    (all, None)
}

fn deadline(spec: &k8s_openapi::api::apps::v1::DeploymentSpec, since: Nanos) -> Nanos {
    since + Nanos(spec.progress_deadline_seconds.unwrap_or(600).max(0) as u64 * 1_000_000_000)
}

fn status(store: &mut Store, deployment: &Deployment, (current, is_new): (&str, bool), now: Nanos) -> Again {
    let sets = owned(store, deployment);
    let sum = |of: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        sets.iter().filter_map(|set| set.status.as_ref()).map(of).sum()
    };
    let positive = |count: i32| (count > 0).then_some(count);
    let updated = sets.iter().find(|set| set.metadata.name.as_deref() == Some(current));
    let spec = deployment.spec.clone().unwrap_or_default();
    let wanted = spec.replicas.unwrap_or(1);
    let available = sum(|status| status.available_replicas.unwrap_or(0));
    let before = deployment.status.clone().unwrap_or_default();
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let missing = rolling.map_or(0, |rolling| share(rolling.max_unavailable.as_ref(), wanted, false));
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: positive(sum(|status| status.replicas)),
        ready_replicas: positive(sum(|status| status.ready_replicas.unwrap_or(0))),
        available_replicas: positive(available),
        updated_replicas: positive(
            updated.and_then(|set| set.status.as_ref()).map_or(0, |status| status.replicas),
        ),
        unavailable_replicas: positive(sum(|status| status.replicas).max(wanted) - available),
        ..DeploymentStatus::default()
    };
    let is_available = available >= wanted - missing;
    let state = State { before: &before, now_status: &status, current, is_new, available: is_available };
    let (conditions, again) = conditions(deployment, &state, now);
    status.conditions = Some(conditions);
    let revision = updated.and_then(|set| set.metadata.annotations.as_ref()?.get(REVISION).cloned());
    let noted = deployment.metadata.annotations.as_ref().and_then(|notes| notes.get(REVISION));
    if before != status || revision.is_some() && noted != revision.as_ref() {
        store.edit(place(&deployment.metadata), now, |deployment: &mut Deployment| {
            deployment.status = Some(status);
            if let Some(revision) = revision {
                let notes = deployment.metadata.annotations.get_or_insert_default();
                notes.insert(REVISION.to_owned(), revision);
            }
        })?;
    }
    forget(store, &sets, (current, spec.revision_history_limit.unwrap_or(10)), now)?;
    Ok(again)
}

/// Deletes the oldest of the ReplicaSets that have no pods, if there are more than are kept.
fn forget(
    store: &mut Store,
    sets: &[ReplicaSet],
    (current, limit): (&str, i32),
    now: Nanos,
) -> Result<(), ApiError> {
    let over =
        |set: &&ReplicaSet| size(set) == 0 && set.status.as_ref().map_or(0, |status| status.replicas) == 0;
    let mut idle: Vec<&ReplicaSet> =
        sets.iter().filter(over).filter(|set| set.metadata.name.as_deref() != Some(current)).collect();
    idle.sort_by_key(|set| revision(set));
    for set in idle.iter().take(idle.len().saturating_sub(limit.max(0) as usize)) {
        let (namespace, name) = place(&set.metadata);
        store.delete(&Key::new(Kind::ReplicaSet, namespace, name), None, now)?;
    }
    Ok(())
}
