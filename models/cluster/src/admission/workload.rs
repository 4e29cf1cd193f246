//! Deployments, ReplicaSets and DaemonSets.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetUpdateStrategy, Deployment, DeploymentStrategy, ReplicaSet, RollingUpdateDaemonSet,
    RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod;
use crate::controllers::matches_labels;
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
    match spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) {
        Some("RollingUpdate") | None => {}
        Some("Recreate") => {
            if spec.strategy.as_ref().is_some_and(|strategy| strategy.rolling_update.is_some()) {
                let detail = "Forbidden: may not be specified when strategy `type` is 'Recreate'";
                let field = "spec.strategy.rollingUpdate".to_owned();
                causes.push(Cause { field, detail: detail.to_owned() });
            }
        }
        Some(other) => {
            causes.push(Cause::unsupported("spec.strategy.type", other, &["Recreate", "RollingUpdate"]));
        }
    }
    let (least, most) = (spec.min_ready_seconds.unwrap_or(0), spec.progress_deadline_seconds.unwrap_or(600));
    if least < 0 {
        causes.push(Cause::invalid("spec.minReadySeconds", least, "must be greater than or equal to 0"));
    } else if most <= least {
        let why = "must be greater than minReadySeconds";
        causes.push(Cause::invalid("spec.progressDeadlineSeconds", most, why));
    }
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
    let _ = spec.revision_history_limit.get_or_insert(10);
    let strategy = spec.update_strategy.get_or_insert_with(DaemonSetUpdateStrategy::default);
    match strategy.type_.get_or_insert_with(|| "RollingUpdate".to_owned()).as_str() {
        "RollingUpdate" => {
            let update = strategy.rolling_update.get_or_insert_with(RollingUpdateDaemonSet::default);
            let _ = update.max_unavailable.get_or_insert(IntOrString::Int(1));
            let surge = update.max_surge.get_or_insert(IntOrString::Int(0)).clone();
            if ![IntOrString::Int(0), IntOrString::String("0%".to_owned())].contains(&surge) {
                let field = "spec.updateStrategy.rollingUpdate.maxSurge";
                causes.push(super::fields::refused(field, "maxSurge of a DaemonSet"));
            }
        }
        "OnDelete" => {}
        other => {
            let known = ["OnDelete", "RollingUpdate"];
            causes.push(Cause::unsupported("spec.updateStrategy.type", other, &known));
        }
    }
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
    let has_rules = selector.match_expressions.as_ref().is_some_and(|rules| !rules.is_empty());
    let wanted = selector.match_labels.as_ref().filter(|labels| !labels.is_empty() || has_rules);
    let own = template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
    match wanted {
        None if !has_rules => causes.push(Cause::required("spec.selector", "")),
        _ if !matches_labels(selector, own) => {
            let why = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", &labels, why));
        }
        _ => {}
    }
    pod::check("spec.template.spec", spec, causes);
    if spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always") {
        let policy = spec.restart_policy.clone().unwrap_or_default();
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", &policy, &["Always"]));
    }
}
