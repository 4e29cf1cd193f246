//! Pods, and the templates of pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::names;
use crate::error::Cause;

/// Fills in and checks a pod.
pub(super) fn admit(pod: &mut Pod, old: Option<&Pod>, causes: &mut Vec<Cause>) {
    let spec = pod.spec.get_or_insert_default();
    defaults(spec);
    match old.and_then(|old| old.spec.as_ref()) {
        Some(old) => may_change(spec, old, causes),
        None => {
            check("spec", spec, causes);
            let status = pod.status.get_or_insert_default();
            let _ = status.phase.get_or_insert_with(|| "Pending".to_owned());
        }
    }
}

/// Of a pod that is there, little may change. The real server shows the difference too.
fn may_change(new: &PodSpec, old: &PodSpec, causes: &mut Vec<Cause>) {
    let mut allowed = new.clone();
    for (container, old) in allowed.containers.iter_mut().zip(&old.containers) {
        (container.image, container.image_pull_policy) = (old.image.clone(), old.image_pull_policy.clone());
    }
    let init = allowed.init_containers.iter_mut().flatten().zip(old.init_containers.iter().flatten());
    for (container, old) in init {
        container.image.clone_from(&old.image);
    }
    if old.node_name.is_none() {
        allowed.node_name = None;
    }
    allowed.active_deadline_seconds = old.active_deadline_seconds;
    allowed.tolerations.clone_from(&old.tolerations);
    if allowed != *old {
        let detail = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
                      `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
                      `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        causes.push(Cause { field: "spec".to_owned(), detail: detail.to_owned() });
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
    dns(at, spec, causes);
    let policies = ["Always", "OnFailure", "Never"];
    if let Some(policy) = spec.restart_policy.as_deref().filter(|policy| !policies.contains(policy)) {
        causes.push(Cause::unsupported(format!("{at}.restartPolicy"), policy, &policies));
    }
}

/// What is wrong with how a pod looks names up.
fn dns(at: &str, spec: &PodSpec, causes: &mut Vec<Cause>) {
    let policies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    if !policies.contains(&policy) {
        causes.push(Cause::unsupported(format!("{at}.dnsPolicy"), policy, &policies));
    }
    let config = spec.dns_config.clone().unwrap_or_default();
    let on_host = spec.host_network == Some(true);
    if on_host && (policy == "ClusterFirstWithHostNet" || policy == "None" || spec.dns_config.is_some()) {
        let detail = "not modelled yet: files of its own for a pod in its node's network".to_owned();
        causes.push(Cause { field: format!("{at}.dnsPolicy"), detail });
    }
    let servers = config.nameservers.unwrap_or_default();
    if policy == "None" && spec.dns_config.is_none() {
        causes.push(Cause::required(
            format!("{at}.dnsConfig"),
            "must provide `dnsConfig` when `dnsPolicy` is None",
        ));
    } else if policy == "None" && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        causes.push(Cause::required(format!("{at}.dnsConfig.nameservers"), why));
    }
    if servers.len() > 3 {
        let why = "must not have more than 3 nameservers";
        causes.push(Cause::invalid(format!("{at}.dnsConfig.nameservers"), &servers, why));
    }
    for (number, server) in servers.iter().enumerate() {
        let field = format!("{at}.dnsConfig.nameservers[{number}]");
        if server.parse::<std::net::IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            causes.push(Cause::invalid(field, server, why));
        }
    }
    for (number, option) in config.options.unwrap_or_default().iter().enumerate() {
        if option.name.as_deref().unwrap_or_default().is_empty() {
            causes.push(Cause::required(format!("{at}.dnsConfig.options[{number}]"), "must not be empty"));
        }
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
    let policies = ["Always", "IfNotPresent", "Never"];
    if let Some(policy) = container.image_pull_policy.as_deref().filter(|policy| !policies.contains(policy)) {
        causes.push(Cause::unsupported(format!("{field}.imagePullPolicy"), policy, &policies));
    }
    let mut known = BTreeSet::new();
    for (at, port) in container.ports.iter().flatten().enumerate() {
        let field = |name: &str| format!("{field}.ports[{at}].{name}");
        if let Some(name) = port.name.as_ref().filter(|name| !name.is_empty()) {
            match names::port_name(name) {
                Some(why) => causes.push(Cause::invalid(field("name"), name, why)),
                None if !known.insert(name) => causes.push(Cause::duplicate(field("name"), name)),
                None => {}
            }
        }
        let range = "must be between 1 and 65535, inclusive";
        match port.container_port {
            0 => causes.push(Cause::required(field("containerPort"), "")),
            1..=65535 => {}
            number => causes.push(Cause::invalid(field("containerPort"), number, range)),
        }
        if let Some(number) = port.host_port.filter(|number| !(0..=65535).contains(number)) {
            causes.push(Cause::invalid(field("hostPort"), number, range));
        }
        let protocols = ["SCTP", "TCP", "UDP"];
        if let Some(protocol) = port.protocol.as_deref().filter(|protocol| !protocols.contains(protocol)) {
            causes.push(Cause::unsupported(field("protocol"), protocol, &protocols));
        }
    }
}
