//! Pods, and the templates of pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::names;
use crate::error::Cause;

/// Fills in and checks a pod.
pub(super) fn admit(spec: &mut Option<PodSpec>, is_new: bool, causes: &mut Vec<Cause>) {
    let spec = spec.get_or_insert_default();
    defaults(spec);
    if is_new {
        check("spec", spec, causes);
    }
}

/// What the API server fills in.
pub(super) fn defaults(spec: &mut PodSpec) {
    let _ = spec.restart_policy.get_or_insert_with(|| "Always".to_owned());
    let _ = spec.dns_policy.get_or_insert_with(|| "ClusterFirst".to_owned());
    let _ = spec.scheduler_name.get_or_insert_with(|| "default-scheduler".to_owned());
    let _ = spec.termination_grace_period_seconds.get_or_insert(30);
    for container in &mut spec.containers {
        let image = container.image.clone().unwrap_or_default();
        let is_latest = !image.contains('@')
            && (!image.rsplit('/').next().unwrap_or("").contains(':') || image.ends_with(":latest"));
        let policy = if is_latest { "Always" } else { "IfNotPresent" };
        let _ = container.image_pull_policy.get_or_insert_with(|| policy.to_owned());
        for port in container.ports.iter_mut().flatten() {
            let _ = port.protocol.get_or_insert_with(|| "TCP".to_owned());
        }
        if let Some(probe) = &mut container.readiness_probe {
            let _ = probe.timeout_seconds.get_or_insert(1);
            let _ = probe.period_seconds.get_or_insert(10);
            let _ = probe.success_threshold.get_or_insert(1);
            let _ = probe.failure_threshold.get_or_insert(3);
        }
    }
}

/// What is wrong with a pod.
pub(super) fn check(at: &str, spec: &PodSpec, causes: &mut Vec<Cause>) {
    if spec.containers.is_empty() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    let mut known = BTreeSet::new();
    for (number, container) in spec.containers.iter().enumerate() {
        let field = format!("{at}.containers[{number}]");
        container_causes(&field, container, causes);
        if !container.name.is_empty() && !known.insert(&container.name) {
            causes.push(Cause::duplicate(format!("{field}.name"), &container.name));
        }
    }
    let policies = ["Always", "OnFailure", "Never"];
    if let Some(policy) = spec.restart_policy.as_deref().filter(|policy| !policies.contains(policy)) {
        causes.push(Cause::unsupported(format!("{at}.restartPolicy"), policy, &policies));
    }
}

fn container_causes(field: &str, container: &Container, causes: &mut Vec<Cause>) {
    match container.name.as_str() {
        "" => causes.push(Cause::required(format!("{field}.name"), "")),
        name => causes.extend(
            names::dns_1123_label(name).map(|why| Cause::invalid(format!("{field}.name"), name, why)),
        ),
    }
    if container.image.as_deref().unwrap_or_default().is_empty() {
        causes.push(Cause::required(format!("{field}.image"), ""));
    }
    for (at, port) in container.ports.iter().flatten().enumerate() {
        if !(1..=65535).contains(&port.container_port) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(
                format!("{field}.ports[{at}].containerPort"),
                port.container_port,
                why,
            ));
        }
    }
}
