//! Containers of pods.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, HTTPGetAction, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names;
use crate::error::Cause;
use crate::qos;
use crate::quantity::{self, Amount};

/// Which of a pod's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Pod,
    Init,
}

/// What the API server fills in.
pub(super) fn defaults(container: &mut Container, on_host: bool) {
    let image = container.image.clone().unwrap_or_default();
    let is_latest = !image.contains('@')
        && (!image.rsplit('/').next().unwrap_or("").contains(':') || image.ends_with(":latest"));
    let policy = if is_latest { "Always" } else { "IfNotPresent" };
    let _ = container.image_pull_policy.get_or_insert_with(|| policy.to_owned());
    let _ = container.termination_message_path.get_or_insert_with(|| "/dev/termination-log".to_owned());
    let _ = container.termination_message_policy.get_or_insert_with(|| "File".to_owned());
    for port in container.ports.iter_mut().flatten() {
        let _ = port.protocol.get_or_insert_with(|| "TCP".to_owned());
        if on_host && port.host_port.is_none() {
            port.host_port = Some(port.container_port);
        }
    }
    let probes =
        [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(probe_defaults);
    let lifecycle = container.lifecycle.as_mut();
    let hooks = lifecycle.into_iter().flat_map(|hooks| [&mut hooks.post_start, &mut hooks.pre_stop]);
    hooks.flatten().filter_map(|hook| hook.http_get.as_mut()).for_each(http_defaults);
    for variable in container.env.iter_mut().flatten() {
        if let Some(field) = variable.value_from.as_mut().and_then(|from| from.field_ref.as_mut()) {
            let _ = field.api_version.get_or_insert_with(|| "v1".to_owned());
        }
    }
    let resources = container.resources.get_or_insert_default();
    for amounts in [&mut resources.limits, &mut resources.requests].into_iter().flatten() {
        for amount in amounts.values_mut() {
            // One that is wrong stays as it is, and is refused.
            amount.0 = quantity::canonical(&amount.0).unwrap_or(std::mem::take(&mut amount.0));
        }
    }
    if let Some(limits) = resources.limits.clone() {
        let requests = resources.requests.get_or_insert_default();
        for (name, limit) in limits {
            let _ = requests.entry(name).or_insert(limit);
        }
    }
}

fn http_defaults(get: &mut HTTPGetAction) {
    let _ = get.path.get_or_insert_with(|| "/".to_owned());
    let _ = get.scheme.get_or_insert_with(|| "HTTP".to_owned());
}

fn probe_defaults(probe: &mut Probe) {
    let numbers = [
        (&mut probe.timeout_seconds, 1),
        (&mut probe.period_seconds, 10),
        (&mut probe.success_threshold, 1),
        (&mut probe.failure_threshold, 3),
    ];
    for (number, default) in numbers {
        // Zero is what is not given.
        if number.unwrap_or(0) == 0 {
            *number = Some(default);
        }
    }
    probe.http_get.iter_mut().for_each(http_defaults);
}

/// What is wrong with a container.
pub(super) fn check(
    field: &str,
    container: &Container,
    of: Of,
    volumes: &BTreeSet<&str>,
    causes: &mut Vec<Cause>,
) {
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
        self::port(&format!("{field}.ports[{at}]"), port, causes);
        if let Some(name) = port.name.as_ref().filter(|name| !name.is_empty() && !known.insert(*name)) {
            causes.push(Cause::duplicate(format!("{field}.ports[{at}].name"), name));
        }
    }
    for (at, variable) in container.env.iter().flatten().enumerate() {
        env(&format!("{field}.env[{at}]"), variable, causes);
    }
    mounts(field, container, volumes, causes);
    resources(field, container, causes);
    runs(field, container, of, causes);
}

fn port(at: &str, port: &ContainerPort, causes: &mut Vec<Cause>) {
    let field = |name: &str| format!("{at}.{name}");
    if let Some(name) = port.name.as_ref().filter(|name| !name.is_empty()) {
        causes.extend(names::port_name(name).map(|why| Cause::invalid(field("name"), name, why)));
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

/// Fields of a pod that a variable or a file may hold.
pub(super) const POD_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

fn env(at: &str, variable: &EnvVar, causes: &mut Vec<Cause>) {
    if variable.name.is_empty() {
        causes.push(Cause::required(format!("{at}.name"), ""));
    }
    let Some(from) = &variable.value_from else { return };
    if variable.value.as_ref().is_some_and(|value| !value.is_empty()) {
        causes.push(Cause::invalid(
            format!("{at}.valueFrom"),
            "",
            "may not be specified when `value` is not empty",
        ));
    }
    let Some(field) = &from.field_ref else { return };
    let path = field.field_path.as_str();
    let is_entry =
        ["metadata.labels['", "metadata.annotations['"].iter().any(|begin| path.starts_with(begin));
    if !(POD_FIELDS.contains(&path) || is_entry && path.ends_with("']")) {
        causes.push(Cause::invalid(
            format!("{at}.valueFrom.fieldRef.fieldPath"),
            path,
            format!("error converting fieldPath: field label not supported: {path}"),
        ));
    }
}

fn mounts(at: &str, container: &Container, volumes: &BTreeSet<&str>, causes: &mut Vec<Cause>) {
    let mut paths = BTreeSet::new();
    for (number, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let field = format!("{at}.volumeMounts[{number}]");
        if mount.name.is_empty() {
            causes.push(Cause::required(format!("{field}.name"), ""));
        } else if !volumes.contains(mount.name.as_str()) {
            let detail = format!("Not found: {:?}", mount.name);
            causes.push(Cause { field: format!("{field}.name"), detail });
        }
        if mount.mount_path.is_empty() {
            causes.push(Cause::required(format!("{field}.mountPath"), ""));
        } else if !paths.insert(&mount.mount_path) {
            let why = "must be unique";
            causes.push(Cause::invalid(format!("{field}.mountPath"), &mount.mount_path, why));
        }
        if let Some(path) = &mount.sub_path {
            if path.starts_with('/') {
                causes.push(Cause::invalid(format!("{field}.subPath"), path, "must be a relative path"));
            } else if path.split('/').any(|part| part == "..") {
                causes.push(Cause::invalid(format!("{field}.subPath"), path, "must not contain '..'"));
            }
        }
    }
}

fn resources(at: &str, container: &Container, causes: &mut Vec<Cause>) {
    let resources = container.resources.clone().unwrap_or_default();
    let empty = BTreeMap::<String, Quantity>::new();
    let (limits, requests) =
        (resources.limits.as_ref().unwrap_or(&empty), resources.requests.as_ref().unwrap_or(&empty));
    for (title, amounts) in [("limits", limits), ("requests", requests)] {
        for (name, amount) in amounts {
            let field = format!("{at}.resources.{title}[{name}]");
            match Amount::parse(&amount.0) {
                None => causes.push(Cause::invalid(field, &amount.0, quantity::NO_QUANTITY)),
                Some(amount) if amount.is_negative() => {
                    let why = "must be greater than or equal to 0";
                    causes.push(Cause::invalid(field, amounts[name].0.clone(), why));
                }
                Some(_) => {}
            }
        }
    }
    for (name, request) in requests {
        let Some(limit) = limits.get(name) else { continue };
        if let (Some(asked), Some(most)) = (Amount::parse(&request.0), Amount::parse(&limit.0))
            && asked > most
        {
            let why = format!("must be less than or equal to {name} limit of {}", limit.0);
            causes.push(Cause::invalid(format!("{at}.resources.requests"), &request.0, why));
        }
    }
}

/// Probes and hooks, and whether such a container may have them.
fn runs(at: &str, container: &Container, of: Of, causes: &mut Vec<Cause>) {
    let policy = container.restart_policy.as_deref();
    let is_plain_init = of == Of::Init && !qos::is_sidecar(container);
    match (of, policy) {
        (_, None) | (Of::Init, Some("Always")) => {}
        (Of::Init, Some(other)) => {
            causes.push(Cause::unsupported(format!("{at}.restartPolicy"), other, &["Always"]))
        }
        (Of::Pod, Some(_)) => causes
            .push(super::fields::refused(&format!("{at}.restartPolicy"), "restartPolicy of a container")),
    }
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    for (name, probe) in probes {
        let Some(probe) = probe else { continue };
        let field = format!("{at}.{name}");
        if is_plain_init {
            let detail = "Forbidden: must not be set for init containers without restartPolicy=Always";
            causes.push(Cause { field: field.clone(), detail: detail.to_owned() });
        }
        self::probe(&field, probe, container, name != "readinessProbe", causes);
    }
    let Some(hooks) = &container.lifecycle else { return };
    if is_plain_init {
        let detail = "Forbidden: must not be set for init containers without restartPolicy=Always";
        causes.push(Cause { field: format!("{at}.lifecycle"), detail: detail.to_owned() });
    }
    for (name, hook) in [("postStart", &hooks.post_start), ("preStop", &hooks.pre_stop)] {
        if let Some(hook) = hook {
            self::hook(&format!("{at}.lifecycle.{name}"), hook, causes);
        }
    }
}

/// Of the handlers of a hook or a probe there is one.
fn one_handler(at: &str, given: [bool; 4], causes: &mut Vec<Cause>) {
    match given.iter().filter(|given| **given).count() {
        0 => causes.push(Cause::required(at, "must specify a handler type")),
        1 => {}
        _ => {
            let detail = "Forbidden: may not specify more than 1 handler type";
            causes.push(Cause { field: at.to_owned(), detail: detail.to_owned() });
        }
    }
}

fn hook(at: &str, hook: &LifecycleHandler, causes: &mut Vec<Cause>) {
    let given =
        [hook.exec.is_some(), hook.http_get.is_some(), hook.sleep.is_some(), hook.tcp_socket.is_some()];
    one_handler(at, given, causes);
}

fn probe(at: &str, probe: &Probe, container: &Container, only_one: bool, causes: &mut Vec<Cause>) {
    let given =
        [probe.exec.is_some(), probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.grpc.is_some()];
    one_handler(at, given, causes);
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (name, number) in numbers {
        if let Some(number) = number.filter(|number| *number < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("{at}.{name}"), number, why));
        }
    }
    if let Some(number) = probe.success_threshold.filter(|number| only_one && *number > 1) {
        causes.push(Cause::invalid(format!("{at}.successThreshold"), number, "must be 1"));
    }
    let ports = [
        ("httpGet", probe.http_get.as_ref().map(|get| &get.port)),
        ("tcpSocket", probe.tcp_socket.as_ref().map(|socket| &socket.port)),
    ];
    for (name, port) in ports {
        let field = format!("{at}.{name}.port");
        match port {
            Some(IntOrString::Int(number)) if !(1..=65535).contains(number) => {
                causes.push(Cause::invalid(field, number, "must be between 1 and 65535, inclusive"));
            }
            Some(IntOrString::String(name)) => {
                causes.extend(names::port_name(name).map(|why| Cause::invalid(field.clone(), name, why)));
                let mut known = container.ports.iter().flatten();
                if !known.any(|port| port.name.as_ref() == Some(name)) {
                    causes.push(super::fields::refused(
                        &field,
                        &format!("{name:?}, which is no port of the container"),
                    ));
                }
            }
            _ => {}
        }
    }
}
