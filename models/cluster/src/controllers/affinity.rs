//! What pods say of the nodes that they want, and of the pods that they want near them or far from them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec, Taint, Toleration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::selects;
use crate::store::Store;

type Labels = BTreeMap<String, String>;

/// Labels match a selector.
pub fn matches_labels(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let empty = Labels::new();
    let labels = labels.unwrap_or(&empty);
    let by_labels = selector.match_labels.as_ref().is_none_or(|wanted| selects(wanted, Some(labels)));
    by_labels
        && selector.match_expressions.iter().flatten().all(|rule| {
            let (value, values) = (labels.get(&rule.key), rule.values.as_deref().unwrap_or_default());
            holds(value, &rule.operator, values)
        })
}

/// A value is as an operator and values want it.
fn holds(value: Option<&String>, operator: &str, values: &[String]) -> bool {
    let number = |text: &String| text.parse::<i64>().ok();
    let compared = || Some((number(value?)?, number(values.first()?)?));
    match operator {
        "In" => value.is_some_and(|value| values.contains(value)),
        "NotIn" => value.is_none_or(|value| !values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared().is_some_and(|(value, than)| value > than),
        "Lt" => compared().is_some_and(|(value, than)| value < than),
        _ => false,
    }
}

fn term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let by_label = |rule: &NodeSelectorRequirement| {
        let value = labels.and_then(|labels| labels.get(&rule.key));
        holds(value, &rule.operator, rule.values.as_deref().unwrap_or_default())
    };
    let by_name = |rule: &NodeSelectorRequirement| {
        holds(node.metadata.name.as_ref(), &rule.operator, rule.values.as_deref().unwrap_or_default())
    };
    let (expressions, fields) = (term.match_expressions.iter().flatten(), term.match_fields.iter().flatten());
    let is_empty = term.match_expressions.is_none() && term.match_fields.is_none();
    !is_empty && expressions.into_iter().all(by_label) && fields.into_iter().all(by_name)
}

/// A pod's selector of nodes and its affinity take this node.
pub fn takes_node(spec: &PodSpec, node: &Node) -> bool {
    let by_selector =
        spec.node_selector.as_ref().is_none_or(|wanted| selects(wanted, node.metadata.labels.as_ref()));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required =
        affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    by_selector
        && required.is_none_or(|required| required.node_selector_terms.iter().any(|one| term(one, node)))
}

/// How much a pod would like to be on this node.
pub fn preference(spec: &PodSpec, node: &Node) -> i64 {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let preferred =
        affinity.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
    let all = preferred.into_iter().flatten().filter(|one| term(&one.preference, node));
    all.map(|one| i64::from(one.weight)).sum()
}

/// A toleration is for this taint.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    (effect.is_empty() || effect == taint.effect)
        && (key.is_empty() || key == taint.key)
        && match toleration.operator.as_deref() {
            Some("Exists") => true,
            _ => text(&toleration.value) == text(&taint.value),
        }
}

/// Taints of a node that a pod does not tolerate.
pub fn untolerated<'a>(spec: &'a PodSpec, node: &'a Node) -> impl Iterator<Item = &'a Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let tolerated = |taint: &Taint| spec.tolerations.iter().flatten().any(|one| tolerates(one, taint));
    taints.filter(move |taint| !tolerated(taint))
}

/// Pods that a term means.
fn meant<'a>(store: &'a Store, term: &'a PodAffinityTerm, own: &'a str) -> impl Iterator<Item = &'a Pod> {
    let is_there = move |pod: &&Pod| {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let named = term.namespaces.as_ref().filter(|all| !all.is_empty());
        let everywhere = term.namespace_selector.as_ref().is_some_and(|all| *all == LabelSelector::default());
        let by_name = match named {
            Some(named) => named.iter().any(|name| name == namespace),
            None => everywhere || namespace == own,
        };
        let selector = term.label_selector.as_ref();
        by_name && selector.is_some_and(|selector| matches_labels(selector, pod.metadata.labels.as_ref()))
    };
    store.list::<Pod>().filter(|pod: &&Pod| super::replicaset::is_active(pod)).filter(is_there)
}

/// A pod that a term means is in the same place as this node.
fn is_near(store: &Store, term: &PodAffinityTerm, own: &str, node: &Node) -> bool {
    let place = |node: &Node| node.metadata.labels.as_ref()?.get(&term.topology_key).cloned();
    let Some(here) = place(node) else { return false };
    let node_of = |pod: &Pod| store.get::<Node>("", pod.spec.as_ref()?.node_name.as_deref()?);
    meant(store, term, own).any(|pod| node_of(pod).and_then(place).as_ref() == Some(&here))
}

/// What a pod's affinity to other pods says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// It may run there.
    Fits,
    /// Pods that it wants near it are not.
    Missing,
    /// Pods that it does not want near it are.
    Unwanted,
}

/// Whether the pods near a node are as a pod wants them.
pub fn company(store: &Store, pod: &Pod, node: &Node) -> Company {
    let own = pod.metadata.namespace.as_deref().unwrap_or_default();
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else {
        return Company::Fits;
    };
    let near = affinity.pod_affinity.as_ref();
    let near = near.and_then(|all| all.required_during_scheduling_ignored_during_execution.as_ref());
    // The first of pods that want each other may run anywhere.
    let is_first = |term: &PodAffinityTerm| {
        let selector = term.label_selector.as_ref();
        meant(store, term, own).all(|other| other.spec.as_ref().is_none_or(|spec| spec.node_name.is_none()))
            && selector.is_some_and(|selector| matches_labels(selector, pod.metadata.labels.as_ref()))
    };
    let has_place = |term: &PodAffinityTerm| {
        node.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(&term.topology_key))
    };
    let fits = |term: &PodAffinityTerm| is_near(store, term, own, node) || is_first(term) && has_place(term);
    if !near.into_iter().flatten().all(fits) {
        return Company::Missing;
    }
    let far = affinity.pod_anti_affinity.as_ref();
    let far = far.and_then(|all| all.required_during_scheduling_ignored_during_execution.as_ref());
    match far.into_iter().flatten().any(|term| is_near(store, term, own, node)) {
        true => Company::Unwanted,
        false => Company::Fits,
    }
}

/// How much a pod would like to be near the pods of this node.
pub fn liking(store: &Store, pod: &Pod, node: &Node) -> i64 {
    let own = pod.metadata.namespace.as_deref().unwrap_or_default();
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else { return 0 };
    let near = affinity.pod_affinity.as_ref();
    let near = near.and_then(|all| all.preferred_during_scheduling_ignored_during_execution.as_ref());
    let far = affinity.pod_anti_affinity.as_ref();
    let far = far.and_then(|all| all.preferred_during_scheduling_ignored_during_execution.as_ref());
    let near = near.into_iter().flatten().map(|one| (1, one));
    let all = near.chain(far.into_iter().flatten().map(|one| (-1, one)));
    all.filter(|(_, one)| is_near(store, &one.pod_affinity_term, own, node))
        .map(|(sign, one)| sign * i64::from(one.weight))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_compare_labels() {
        let selector = |value| serde_json::from_value::<LabelSelector>(value).expect("a selector");
        let labels = Labels::from([("a".to_owned(), "1".to_owned())]);
        let matches = |value| matches_labels(&selector(value), Some(&labels));
        assert!(matches(json!({})));
        assert!(matches(json!({"matchLabels": {"a": "1"}})));
        assert!(!matches(json!({"matchLabels": {"a": "2"}})));
        assert!(matches(json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]})));
        assert!(matches(json!({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]})));
        assert!(!matches(json!({"matchExpressions": [{"key": "b", "operator": "Exists"}]})));
    }

    #[test]
    fn taints_are_tolerated_by_key_value_and_effect() {
        let taint = Taint {
            key: "k".to_owned(),
            value: Some("v".to_owned()),
            effect: "NoSchedule".to_owned(),
            time_added: None,
        };
        let is = |value| tolerates(&serde_json::from_value(value).expect("a toleration"), &taint);
        assert!(is(json!({"operator": "Exists"})));
        assert!(is(json!({"key": "k", "value": "v"})));
        assert!(is(json!({"key": "k", "operator": "Exists", "effect": "NoSchedule"})));
        assert!(!is(json!({"key": "k", "operator": "Exists", "effect": "NoExecute"})));
        assert!(!is(json!({"key": "k", "value": "w"})));
    }
}
