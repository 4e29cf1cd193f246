//! Ranges of pods for nodes (`pkg/controller/nodeipam`); taints of nodes that take no pods, and pods that do not tolerate those of their
//! node (`pkg/controller/nodelifecycle`, `tainteviction`); pods of nodes that are gone (`pkg/controller/podgc`).

use std::collections::BTreeSet;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Taint};

use super::affinity::{tolerates, untolerated};
use super::{Again, place};
use crate::api::News;
use crate::config::NODE_MASK;
use crate::error::ApiError;
use crate::events::{Happened, Recorder, reference};
use crate::object::{Key, Kind, Object};
use crate::store::{Store, nanoseconds, wall_clock};

/// The taint of a node that is cordoned.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Looks after nodes.
pub fn sync(store: &mut Store, news: &[News], now: Nanos) -> Again {
    if news.iter().any(|news| news.key.kind == Kind::Node) {
        ranges(store, now)?;
        cordons(store, now)?;
    }
    Ok([evict(store, now)?, collect(store, now)?].into_iter().flatten().min())
}

/// Gives each node that has none the first free range.
fn ranges(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let range_of = |node: &Node| node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone());
    let mut taken: BTreeSet<String> = store.list::<Node>().filter_map(range_of).collect();
    let without: Vec<String> = store
        .list::<Node>()
        .filter(|node| range_of(node).is_none())
        .filter_map(|node| node.metadata.name.clone())
        .collect();
    for name in without {
        let ranges = (0..).map_while(|at| store.config.pods.part(NODE_MASK, at));
        let Some(range) = ranges.map(|range| range.to_string()).find(|range| !taken.contains(range)) else {
            break;
        };
        store.edit(("", &name), now, |node: &mut Node| {
            let spec = node.spec.get_or_insert_default();
            spec.pod_cidrs = Some(vec![range.clone()]);
            spec.pod_cidr = Some(range.clone());
        })?;
        taken.insert(range);
    }
    Ok(())
}

/// A node that is cordoned has a taint that says so.
fn cordons(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let is_marked = |node: &Node| {
        let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        taints.any(|taint| taint.key == UNSCHEDULABLE)
    };
    let is_cordoned = |node: &Node| node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let wrong: Vec<Node> =
        store.list::<Node>().filter(|node| is_marked(node) != is_cordoned(node)).cloned().collect();
    for node in wrong {
        let add = is_cordoned(&node);
        store.edit(place(&node.metadata), now, |node: &mut Node| {
            let spec = node.spec.get_or_insert_default();
            let taints = spec.taints.get_or_insert_default();
            taints.retain(|taint| taint.key != UNSCHEDULABLE);
            if add {
                taints.push(Taint {
                    key: UNSCHEDULABLE.to_owned(),
                    effect: "NoSchedule".to_owned(),
                    time_added: Some(wall_clock(now)),
                    value: None,
                });
            }
            if taints.is_empty() {
                spec.taints = None;
            }
        })?;
    }
    Ok(())
}

/// How long a pod may stay on a node with taints that mean pods that run there: for ever, or so many seconds after the first.
enum Stay {
    Forever,
    For(i64),
    Not,
}

fn stay(spec: &PodSpec, node: &Node) -> Stay {
    let taints: Vec<&Taint> = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten())
        .filter(|taint| taint.effect == "NoExecute")
        .collect();
    if untolerated(spec, node).any(|taint| taint.effect == "NoExecute") {
        return Stay::Not;
    }
    let tolerations = spec.tolerations.iter().flatten();
    let times = tolerations
        .filter(|toleration| taints.iter().any(|taint| tolerates(toleration, taint)))
        .filter_map(|toleration| toleration.toleration_seconds);
    times.min().map_or(Stay::Forever, |seconds| Stay::For(seconds.max(0)))
}

/// Deletes pods that do not tolerate the taints of their node, or no longer do.
fn evict(store: &mut Store, now: Nanos) -> Again {
    let is_tainted = |node: &&Node| {
        let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        taints.any(|taint| taint.effect == "NoExecute")
    };
    let nodes: Vec<Node> = store.list::<Node>().filter(is_tainted).cloned().collect();
    let mut again = None;
    for node in nodes {
        let is_here = |pod: &&Pod| {
            let of = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
            of == node.metadata.name.as_ref() && pod.metadata.deletion_timestamp.is_none()
        };
        let pods: Vec<Pod> = store.list::<Pod>().filter(is_here).cloned().collect();
        for pod in pods {
            let stay = stay(&pod.spec.clone().unwrap_or_default(), &node);
            let over = match stay {
                Stay::Forever => continue,
                Stay::Not => None,
                Stay::For(seconds) => left(&node, seconds, now),
            };
            if let Some(at) = over {
                again = Some(again.map_or(at, |known: Nanos| known.min(at)));
                continue;
            }
            let (namespace, name) = place(&pod.metadata);
            let message = format!("Marking for deletion Pod {namespace}/{name}");
            let recorder = Recorder { component: "taint-eviction-controller", host: None };
            let object = Object::from(pod.clone());
            let what = Happened::normal("TaintManagerEviction", &message);
            recorder.tell(store, now, reference(&object), what);
            store.delete(&object.key(), None, now)?;
        }
    }
    Ok(again)
}

/// How long the pods of a node that is gone are left alone (`quarantineTime`).
const QUARANTINE: Nanos = Nanos(40_000_000_000);

/// Deletes pods whose node has been gone for a while.
fn collect(store: &mut Store, now: Nanos) -> Again {
    // There are pods of many nodes, but seldom one of a node that is gone.
    if store.config.nodes.keys().all(|name| store.get::<Node>("", name).is_some()) {
        return Ok(None);
    }
    let node_of = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let is_orphan = |pod: &&Pod| node_of(pod).is_some_and(|name| store.get::<Node>("", &name).is_none());
    let orphans: Vec<Pod> = store.list::<Pod>().filter(is_orphan).cloned().collect();
    let mut again = None;
    for pod in orphans {
        let key = Key::new(Kind::Node, "", &node_of(&pod).unwrap_or_default());
        let left = store.changes(0).iter().rev().find(|change| change.key == key).map(|change| change.at);
        let over = left.unwrap_or(Nanos::ZERO) + QUARANTINE;
        if over > now {
            again = Some(again.map_or(over, |known: Nanos| known.min(over)));
            continue;
        }
        store.delete(&Object::from(pod).key(), Some(0), now)?;
    }
    Ok(again)
}

/// When so many seconds are over since a node has had such a taint, if they are not yet.
fn left(node: &Node, seconds: i64, now: Nanos) -> Option<Nanos> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let times =
        taints.filter(|taint| taint.effect == "NoExecute").filter_map(|taint| taint.time_added.as_ref());
    let since = times.map(|time| time.0.as_second()).min().unwrap_or(0).max(0) as u64;
    let over = (since + seconds as u64) * 1_000_000_000;
    over.checked_sub(nanoseconds(now)).filter(|left| *left > 0).map(|left| now + Nanos(left))
}
