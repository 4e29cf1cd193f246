//! Nodes for pods (`kube-scheduler`): of the nodes that may run a pod, the one with the fewest.

use std::collections::BTreeMap;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, PodSpec};

use super::selects;
use crate::error::ApiError;
use crate::store::{Store, wall_clock};

/// A pod's selector of nodes takes this node.
pub fn selects_node(spec: &PodSpec, node: &Node) -> bool {
    spec.node_selector.as_ref().is_none_or(|selector| selects(selector, node.metadata.labels.as_ref()))
}

/// Gives each pod that has none a node.
pub fn sync(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let node_of = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let waiting: Vec<Pod> = store.list::<Pod>().filter(|pod| node_of(pod).is_none()).cloned().collect();
    let mut load: BTreeMap<String, usize> = BTreeMap::new();
    for node in store.list::<Pod>().filter_map(node_of) {
        *load.entry(node).or_default() += 1;
    }
    for pod in waiting {
        let spec = pod.spec.clone().unwrap_or_default();
        let (mut may, mut cordoned, mut others) = (Vec::new(), 0, 0);
        for node in store.list::<Node>() {
            let is_cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
            match (selects_node(&spec, node), is_cordoned) {
                (_, true) => cordoned += 1,
                (false, false) => others += 1,
                (true, false) => may.extend(node.metadata.name.clone()),
            }
        }
        let least = may.iter().min_by_key(|name| (load.get(*name).copied().unwrap_or(0), *name)).cloned();
        let meta = &pod.metadata;
        let place = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let condition = |status: &str, message: Option<String>| PodCondition {
            type_: "PodScheduled".to_owned(),
            status: status.to_owned(),
            reason: message.is_some().then(|| "Unschedulable".to_owned()),
            message,
            last_transition_time: Some(wall_clock(now)),
            ..PodCondition::default()
        };
        match least {
            Some(node) => {
                *load.entry(node.clone()).or_default() += 1;
                store.edit(place, now, |pod: &mut Pod| {
                    pod.spec.get_or_insert_default().node_name = Some(node);
                    pod.status.get_or_insert_default().conditions = Some(vec![condition("True", None)]);
                })?;
            }
            None => {
                let mut why = Vec::new();
                if cordoned > 0 {
                    why.push(format!("{cordoned} node(s) were unschedulable"));
                }
                if others > 0 {
                    why.push(format!("{others} node(s) didn't match Pod's node affinity/selector"));
                }
                let message = format!("0/{} nodes are available: {}.", cordoned + others, why.join(", "));
                let told = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
                if told.into_iter().any(|known| known.message.as_ref() == Some(&message)) {
                    continue;
                }
                store.edit(place, now, |pod: &mut Pod| {
                    let status = pod.status.get_or_insert_default();
                    status.phase = Some("Pending".to_owned());
                    status.conditions = Some(vec![condition("False", Some(message))]);
                })?;
            }
        }
    }
    Ok(())
}
