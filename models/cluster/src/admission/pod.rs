//! Pods, and the templates of pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Pod, PodSpec, Toleration};

use super::container::{self, Of};
use super::{fields, names, volume};
use crate::error::Cause;
use crate::qos;

/// Fills in and checks a pod.
pub(super) fn admit(pod: &mut Pod, old: Option<&Pod>, causes: &mut Vec<Cause>) {
    let spec = pod.spec.get_or_insert_default();
    if let Some(old) = old.and_then(|old| old.spec.as_ref()) {
        return may_change(spec, old, causes);
    }
    defaults(spec);
    of_pods_alone(spec, causes);
    check("spec", spec, causes);
    let class = qos::class(spec);
    let status = pod.status.get_or_insert_default();
    let _ = status.phase.get_or_insert_with(|| "Pending".to_owned());
    status.qos_class = Some(class.to_owned());
}

/// Of a pod that is there, little may change. The real server shows the difference too.
fn may_change(new: &PodSpec, old: &PodSpec, causes: &mut Vec<Cause>) {
    if new == old {
        return;
    }
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
    let _ = spec.security_context.get_or_insert_default();
    let _ = spec.termination_grace_period_seconds.get_or_insert(30);
    if let Some(account) = spec.service_account_name.clone().or(spec.service_account.clone()) {
        (spec.service_account_name, spec.service_account) = (Some(account.clone()), Some(account));
    }
    let on_host = spec.host_network == Some(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container::defaults(container, on_host);
    }
    spec.volumes.iter_mut().flatten().for_each(volume::defaults);
}

/// Classes of priority that every cluster has.
const PRIORITIES: &[(&str, i32)] =
    &[("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// What admission plugins do with pods, and not with templates. The account `default` has no token mounted
/// (`automountServiceAccountToken: false`): nobody asks for one here.
fn of_pods_alone(spec: &mut PodSpec, causes: &mut Vec<Cause>) {
    let _ = spec.enable_service_links.get_or_insert(true);
    let _ = spec.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
    let class = spec.priority_class_name.as_deref().filter(|class| !class.is_empty());
    match class.map(|class| (class, PRIORITIES.iter().find(|(known, _)| *known == class))) {
        None => _ = spec.priority.get_or_insert(0),
        Some((_, Some((_, priority)))) => spec.priority = Some(*priority),
        Some((class, None)) => {
            let detail = format!("Forbidden: no PriorityClass with name {class} was found");
            causes.push(Cause { field: "spec.priorityClassName".to_owned(), detail });
        }
    }
    let account = spec.service_account_name.get_or_insert_with(|| "default".to_owned()).clone();
    spec.service_account = Some(account.clone());
    if account != "default" {
        let detail = format!("Forbidden: serviceaccount {account:?} not found");
        causes.push(Cause { field: "spec.serviceAccountName".to_owned(), detail });
    }
    let tolerations = spec.tolerations.get_or_insert_default();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let is_tolerated = |toleration: &Toleration| {
            let key_of = toleration.key.as_deref().unwrap_or_default();
            let effect = toleration.effect.as_deref().unwrap_or_default();
            [key, ""].contains(&key_of) && ["NoExecute", ""].contains(&effect)
        };
        if !tolerations.iter().any(is_tolerated) {
            tolerations.push(Toleration {
                key: Some(key.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(300),
                ..Toleration::default()
            });
        }
    }
}

/// What is wrong with a pod.
pub(super) fn check(at: &str, spec: &PodSpec, causes: &mut Vec<Cause>) {
    let mut volumes = BTreeSet::new();
    for (number, volume) in spec.volumes.iter().flatten().enumerate() {
        let field = format!("{at}.volumes[{number}]");
        volume::check(&field, volume, causes);
        if !volume.name.is_empty() && !volumes.insert(volume.name.as_str()) {
            causes.push(Cause::duplicate(format!("{field}.name"), &volume.name));
        }
    }
    if spec.containers.is_empty() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    let mut known = BTreeSet::new();
    let all = [("containers", &spec.containers[..], Of::Pod), ("initContainers", init(spec), Of::Init)];
    for (list, containers, of) in all {
        for (number, container) in containers.iter().enumerate() {
            let field = format!("{at}.{list}[{number}]");
            container::check(&field, container, of, &volumes, causes);
            if !container.name.is_empty() && !known.insert(&container.name) {
                causes.push(Cause::duplicate(format!("{field}.name"), &container.name));
            }
        }
    }
    host_ports(at, spec, causes);
    dns(at, spec, causes);
    let policies = ["Always", "OnFailure", "Never"];
    if let Some(policy) = spec.restart_policy.as_deref().filter(|policy| !policies.contains(policy)) {
        causes.push(Cause::unsupported(format!("{at}.restartPolicy"), policy, &policies));
    }
    if let Some(why) = spec.hostname.as_deref().and_then(names::dns_1123_label) {
        causes.push(Cause::invalid(format!("{at}.hostname"), &spec.hostname, why));
    }
    if let Some(grace) = spec.termination_grace_period_seconds.filter(|grace| *grace < 0) {
        let field = format!("{at}.terminationGracePeriodSeconds");
        causes.push(Cause::invalid(field, grace, "must be greater than or equal to 0"));
    }
    causes.extend(names::labels(&format!("{at}.nodeSelector"), spec.node_selector.as_ref()));
    tolerations(at, spec, causes);
    fields::of_pod(at, spec, causes);
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

fn init(spec: &PodSpec) -> &[k8s_openapi::api::core::v1::Container] {
    spec.init_containers.as_deref().unwrap_or_default()
}

/// A port of the node leads to a container only where they share the network; elsewhere the plugin `portmap` would do it.
fn host_ports(at: &str, spec: &PodSpec, causes: &mut Vec<Cause>) {
    let on_host = spec.host_network == Some(true);
    for (number, container) in spec.containers.iter().enumerate() {
        for (place, port) in container.ports.iter().flatten().enumerate() {
            let Some(host_port) = port.host_port.filter(|port| *port > 0) else { continue };
            let field = format!("{at}.containers[{number}].ports[{place}]");
            if !on_host {
                causes.push(fields::refused(&format!("{field}.hostPort"), "hostPort without hostNetwork"));
            } else if host_port != port.container_port {
                let why = "must match `hostPort` when `hostNetwork` is true";
                causes.push(Cause::invalid(format!("{field}.containerPort"), port.container_port, why));
            }
        }
    }
}

fn tolerations(at: &str, spec: &PodSpec, causes: &mut Vec<Cause>) {
    for (number, toleration) in spec.tolerations.iter().flatten().enumerate() {
        let field = format!("{at}.tolerations[{number}]");
        let operator = toleration.operator.as_deref().filter(|text| !text.is_empty()).unwrap_or("Equal");
        let has_key = toleration.key.as_ref().is_some_and(|key| !key.is_empty());
        match operator {
            "Equal" | "Exists" => {}
            "Gt" | "Lt" => causes.push(fields::refused(&format!("{field}.operator"), operator)),
            other => {
                causes.push(Cause::unsupported(format!("{field}.operator"), other, &["Equal", "Exists"]))
            }
        }
        if !has_key && operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(Cause::invalid(format!("{field}.operator"), operator, why));
        }
        let value = toleration.value.as_deref().unwrap_or_default();
        if operator == "Exists" && !value.is_empty() {
            let why = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(format!("{field}.operator"), value, why));
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
        if let Some(effect) = effect.filter(|effect| !effects.contains(effect)) {
            causes.push(Cause::unsupported(format!("{field}.effect"), effect, &effects));
        }
    }
}
