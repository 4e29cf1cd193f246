//! DaemonSets: a pod on each node that fits (`pkg/controller/daemon`).
//!
//! Not modelled: history (`kubectl rollout undo`), and pods above their number during an update (`maxSurge`).

use glassnet_sim::Nanos;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::{Node, Pod, PodTemplateSpec, Toleration};

use super::deployment::{hash, share};
use super::replicaset::{availability, create, delete, is_active, is_ready, pod_of};
use super::{Again, each, place, scheduler};
use crate::api::News;
use crate::object::Object;
use crate::store::Store;

const HASH: &str = "controller-revision-hash";
const GENERATION: &str = "pod-template-generation";

/// Taints that pods of DaemonSets tolerate.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// A DaemonSet's template with what its controller adds.
fn template(set: &DaemonSet) -> PodTemplateSpec {
    let mut template = set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let mark = hash(&template);
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH.to_owned(), mark);
    labels.insert(GENERATION.to_owned(), set.metadata.generation.unwrap_or(1).to_string());
    let spec = template.spec.get_or_insert_default();
    let on_host = spec.host_network == Some(true);
    let more = [("node.kubernetes.io/network-unavailable", "NoSchedule")].into_iter().filter(|_| on_host);
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.into_iter().chain(more) {
        tolerations.push(Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        });
    }
    template
}

fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

fn is_new(pod: &Pod, template: &PodTemplateSpec) -> bool {
    let mark = |labels: Option<&std::collections::BTreeMap<String, String>>| {
        labels.and_then(|labels| labels.get(HASH).cloned())
    };
    let wanted = template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
    mark(pod.metadata.labels.as_ref()) == mark(wanted)
}

/// Makes and deletes pods of all DaemonSets.
pub fn sync(store: &mut Store, _: &[News], now: Nanos) -> Again {
    each(store, now, one)
}

fn one(store: &mut Store, set: &DaemonSet, now: Nanos) -> Again {
    let Some(spec) = &set.spec else { return Ok(None) };
    let (owner, template) = (Object::from(set.clone()), template(set));
    let by = (&owner, "daemonset-controller");
    let of_pods = template.spec.clone().unwrap_or_default();
    let fits = |node: &&Node| scheduler::may_run_daemon(&of_pods, node);
    let nodes: Vec<String> =
        store.list::<Node>().filter(fits).filter_map(|node| node.metadata.name.clone()).collect();
    let uid = set.metadata.uid.as_ref();
    let all: Vec<Pod> = store.owned::<Pod>(uid).cloned().collect();
    for node in &nodes {
        // One that ends keeps its place.
        let is_here = |pod: &Pod| node_of(pod) == node && !["Succeeded", "Failed"].contains(&phase(pod));
        if !all.iter().any(is_here) {
            let mut pod = pod_of(&owner, &template);
            pod.spec.get_or_insert_default().node_name = Some(node.clone());
            create(store, by, pod, now)?;
        }
    }
    let pods: Vec<&Pod> = all.iter().filter(|pod| is_active(pod)).collect();
    for pod in pods.iter().filter(|pod| !nodes.iter().any(|node| node == node_of(pod))) {
        delete(store, by, pod, now)?;
    }
    for pod in all.iter().filter(|pod| ["Succeeded", "Failed"].contains(&phase(pod))) {
        delete(store, by, pod, now)?;
    }
    update(store, (set, by), &pods, (&template, nodes.len()), now)?;
    status(store, set, (&template, nodes.len()), spec.min_ready_seconds.unwrap_or(0), now)
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Deletes pods of an older template, as many at a time as may be unavailable.
fn update(
    store: &mut Store,
    (set, by): (&DaemonSet, (&Object, &str)),
    pods: &[&Pod],
    (template, nodes): (&PodTemplateSpec, usize),
    now: Nanos,
) -> Result<(), crate::error::ApiError> {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.clone()).unwrap_or_default();
    if strategy.type_.as_deref() == Some("OnDelete") {
        return Ok(());
    }
    let rolling = strategy.rolling_update.unwrap_or_default();
    let most = share(rolling.max_unavailable.as_ref(), nodes as i32, true).max(1) as usize;
    let least = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let serves = |pod: &&&Pod| availability(pod, least, now).is_ok();
    let serving = pods.iter().filter(serves).count();
    let mut may_end = most.saturating_sub(nodes.saturating_sub(serving));
    for pod in pods.iter().filter(|pod| !is_new(pod, template)) {
        let is_idle = availability(pod, least, now).is_err();
        if is_idle || may_end > 0 {
            may_end -= usize::from(!is_idle);
            delete(store, by, pod, now)?;
        }
    }
    Ok(())
}

fn status(
    store: &mut Store,
    set: &DaemonSet,
    (template, nodes): (&PodTemplateSpec, usize),
    least: i32,
    now: Nanos,
) -> Again {
    let pods: Vec<&Pod> =
        store.owned::<Pod>(set.metadata.uid.as_ref()).filter(|pod| is_active(pod)).collect();
    let ages: Vec<_> = pods.iter().map(|pod| availability(pod, least, now)).collect();
    let available = ages.iter().filter(|age| age.is_ok()).count() as i32;
    let updated = pods.iter().filter(|pod| is_new(pod, template)).count() as i32;
    let positive = |count: i32| (count > 0).then_some(count);
    let status = DaemonSetStatus {
        current_number_scheduled: pods.len() as i32,
        desired_number_scheduled: nodes as i32,
        number_ready: pods.iter().filter(|pod| is_ready(pod)).count() as i32,
        number_available: positive(available),
        number_unavailable: positive(nodes as i32 - available),
        updated_number_scheduled: positive(updated),
        observed_generation: set.metadata.generation,
        ..DaemonSetStatus::default()
    };
    if set.status.as_ref() != Some(&status) {
        store.edit(place(&set.metadata), now, |set: &mut DaemonSet| set.status = Some(status))?;
    }
    Ok(ages.into_iter().filter_map(Result::err).flatten().min())
}
