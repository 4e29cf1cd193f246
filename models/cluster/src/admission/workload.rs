//! Deployments, ReplicaSets and DaemonSets.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    DaemonSet, Deployment, DeploymentStrategy, ReplicaSet, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod;
use crate::error::Cause;

/// Fills in and checks a Deployment.
pub(super) fn deployment(deployment: &mut Deployment, causes: &mut Vec<Cause>) {
    let _ = deployment.status.get_or_insert_default();
    let spec = deployment.spec.get_or_insert_default();
    let _ = spec.replicas.get_or_insert(1);
    let strategy = spec.strategy.get_or_insert_with(DeploymentStrategy::default);
    if strategy.type_.get_or_insert_with(|| "RollingUpdate".to_owned()) == "RollingUpdate" {
        let quarter = || IntOrString::String("25%".to_owned());
        let update = strategy.rolling_update.get_or_insert_with(RollingUpdateDeployment::default);
        let _ = update.max_surge.get_or_insert_with(quarter);
        let _ = update.max_unavailable.get_or_insert_with(quarter);
    }
    let _ = spec.revision_history_limit.get_or_insert(10);
    let _ = spec.progress_deadline_seconds.get_or_insert(600);
    replicas(spec.replicas, causes);
    template(&spec.selector, &mut spec.template, causes);
}

/// Fills in and checks a ReplicaSet.
pub(super) fn replica_set(set: &mut ReplicaSet, causes: &mut Vec<Cause>) {
    let _ = set.status.get_or_insert_default();
    let spec = set.spec.get_or_insert_default();
    let _ = spec.replicas.get_or_insert(1);
    replicas(spec.replicas, causes);
    template(&spec.selector, spec.template.get_or_insert_default(), causes);
}

/// Fills in and checks a DaemonSet.
pub(super) fn daemon_set(set: &mut DaemonSet, causes: &mut Vec<Cause>) {
    let _ = set.status.get_or_insert_default();
    let spec = set.spec.get_or_insert_default();
    template(&spec.selector, &mut spec.template, causes);
}

fn replicas(count: Option<i32>, causes: &mut Vec<Cause>) {
    if let Some(count) = count.filter(|count| *count < 0) {
        causes.push(Cause::invalid("spec.replicas", count, "must be greater than or equal to 0"));
    }
}

fn template(selector: &LabelSelector, template: &mut PodTemplateSpec, causes: &mut Vec<Cause>) {
    let spec = template.spec.get_or_insert_default();
    pod::defaults(spec);
    let labels: BTreeMap<_, _> =
        template.metadata.iter().flat_map(|meta| meta.labels.iter().flatten()).collect();
    let wanted = selector.match_labels.as_ref().filter(|labels| !labels.is_empty());
    match wanted {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(wanted) if wanted.iter().any(|(key, value)| labels.get(key) != Some(&value)) => {
            let why = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", &labels, why));
        }
        Some(_) => {}
    }
    pod::check("spec.template.spec", spec, causes);
    if spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always") {
        let policy = spec.restart_policy.clone().unwrap_or_default();
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", &policy, &["Always"]));
    }
}
