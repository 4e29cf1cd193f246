//! The table of each kind, as the API server sets it for `kubectl get` (`pkg/printers/internalversion`).

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Container, Event, Namespace, Node, Pod, PodSpec, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::pod_status::{self, condition};
use super::resources::Resource;
use super::selector::{label_selector, labels};
use crate::object::{Kind, Object};

/// Columns of a kind: those of every table, then those of wide ones.
pub(super) fn columns(resource: Resource) -> (&'static [&'static str], &'static [&'static str]) {
    const WORKLOAD: &[&str] = &["CONTAINERS", "IMAGES", "SELECTOR"];
    match resource {
        Resource::Endpoints => (&["NAME", "ENDPOINTS", "AGE"], &[]),
        Resource::Of(kind) => match kind {
            Kind::ConfigMap => (&["NAME", "DATA", "AGE"], &[]),
            Kind::DaemonSet => (
                &["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", "AGE"],
                WORKLOAD,
            ),
            Kind::Deployment => (&["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"], WORKLOAD),
            Kind::EndpointSlice => (&["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"], &[]),
            Kind::Event => (&["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"], &[]),
            Kind::Ingress => (&["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"], &[]),
            Kind::IngressClass => (&["NAME", "CONTROLLER", "PARAMETERS", "AGE"], &[]),
            Kind::Namespace => (&["NAME", "STATUS", "AGE"], &[]),
            Kind::NetworkPolicy => (&["NAME", "POD-SELECTOR", "AGE"], &[]),
            Kind::Node => (
                &["NAME", "STATUS", "ROLES", "AGE", "VERSION"],
                &["INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"],
            ),
            Kind::Pod => (
                &["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
                &["IP", "NODE", "NOMINATED NODE", "READINESS GATES"],
            ),
            Kind::ReplicaSet => (&["NAME", "DESIRED", "CURRENT", "READY", "AGE"], WORKLOAD),
            Kind::Secret => (&["NAME", "TYPE", "DATA", "AGE"], &[]),
            Kind::Service => {
                (&["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"], &["SELECTOR"])
            }
        },
    }
}

/// The cells of an object, all columns.
pub(super) fn row(object: &Object, now: &Time) -> Vec<String> {
    let meta = object.metadata();
    let name = meta.name.clone().unwrap_or_default();
    let age = age(meta.creation_timestamp.as_ref(), now);
    if let Object::Event(event) = object {
        return self::event(event, now);
    }
    let mut cells = vec![name];
    cells.extend(match object {
        Object::Event(_) => Vec::new(),
        Object::ConfigMap(map) => config_map(map, age),
        Object::DaemonSet(set) => daemon_set(set, age),
        Object::Deployment(deployment) => self::deployment(deployment, age),
        Object::EndpointSlice(slice) => endpoint_slice(slice, age),
        Object::Ingress(ingress) => self::ingress(ingress, age),
        Object::IngressClass(class) => ingress_class(class, age),
        Object::Namespace(namespace) => self::namespace(namespace, age),
        Object::NetworkPolicy(policy) => network_policy(policy, age),
        Object::Node(node) => self::node(node, age),
        Object::Pod(pod) => self::pod(pod, age, now),
        Object::ReplicaSet(set) => replica_set(set, age),
        Object::Secret(secret) => {
            let count = secret.data.iter().flatten().count();
            vec![secret.type_.clone().unwrap_or_default(), count.to_string(), age]
        }
        Object::Service(service) => self::service(service, age),
    });
    cells
}

/// When an event was told first and last, as ages.
pub(super) fn event_ages(event: &Event, now: &Time) -> (String, String) {
    let (first, last) = (event.first_timestamp.as_ref(), event.last_timestamp.as_ref());
    (age(first, now), age(last, now))
}

/// The object of an event.
fn involved(event: &Event) -> String {
    let about = &event.involved_object;
    let (kind, name) = (about.kind.clone().unwrap_or_default(), about.name.clone().unwrap_or_default());
    format!("{}/{name}", kind.to_lowercase())
}

fn event(event: &Event, now: &Time) -> Vec<String> {
    vec![
        event_ages(event, now).1,
        event.type_.clone().unwrap_or_default(),
        event.reason.clone().unwrap_or_default(),
        involved(event),
        event.message.clone().unwrap_or_default().trim().to_owned(),
    ]
}

/// Columns of a wide table of events, which do not stand behind the others.
pub(super) const WIDE_EVENTS: &[&str] = &[
    "LAST SEEN",
    "TYPE",
    "REASON",
    "OBJECT",
    "SUBOBJECT",
    "SOURCE",
    "MESSAGE",
    "FIRST SEEN",
    "COUNT",
    "NAME",
];

/// The cells of an event in a wide table.
pub(super) fn wide_event(event: &Event, now: &Time) -> Vec<String> {
    let mut cells = self::event(event, now);
    let source = event.source.clone().unwrap_or_default();
    let source = [source.component, source.host].into_iter().flatten().collect::<Vec<_>>().join(", ");
    cells.splice(4..4, [event.involved_object.field_path.clone().unwrap_or_default(), source]);
    let name = event.metadata.name.clone().unwrap_or_default();
    cells.extend([event_ages(event, now).0, event.count.unwrap_or(1).to_string(), name]);
    cells
}

/// A time as an age.
pub(super) fn age(time: Option<&Time>, now: &Time) -> String {
    time.map_or_else(|| "<unknown>".to_owned(), |time| human(now.0.as_second() - time.0.as_second()))
}

/// A span of seconds as people read it (`duration.HumanDuration`).
pub(super) fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |count: i64, unit: char, rest: i64, small: char| match rest {
        0 => format!("{count}{unit}"),
        rest => format!("{count}{unit}{rest}{small}"),
    };
    match (seconds, minutes, hours) {
        (..-1, ..) => "<invalid>".to_owned(),
        (..0, ..) => "0s".to_owned(),
        (..120, ..) => format!("{seconds}s"),
        (_, ..10, _) => two(minutes, 'm', seconds % 60, 's'),
        (_, ..180, _) => format!("{minutes}m"),
        (_, _, ..8) => two(hours, 'h', minutes % 60, 'm'),
        (_, _, ..48) => format!("{hours}h"),
        (_, _, ..192) => two(hours / 24, 'd', hours % 24, 'h'),
        (_, _, ..17520) => format!("{}d", hours / 24),
        (_, _, ..70080) => two(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        _ => format!("{}y", hours / 24 / 365),
    }
}

fn none() -> String {
    "<none>".to_owned()
}

fn joined(list: Vec<String>) -> String {
    if list.is_empty() { none() } else { list.join(",") }
}

fn containers(containers: &[Container]) -> [String; 2] {
    let names = containers.iter().map(|container| container.name.clone()).collect::<Vec<_>>();
    let images =
        containers.iter().map(|container| container.image.clone().unwrap_or_default()).collect::<Vec<_>>();
    [names.join(","), images.join(",")]
}

fn workload(spec: Option<&PodSpec>, selector: String) -> Vec<String> {
    let [names, images] = containers(spec.map_or(&[][..], |spec| &spec.containers));
    vec![names, images, selector]
}

fn config_map(map: &ConfigMap, age: String) -> Vec<String> {
    let count = map.data.iter().flatten().count() + map.binary_data.iter().flatten().count();
    vec![count.to_string(), age]
}

fn daemon_set(set: &DaemonSet, age: String) -> Vec<String> {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let pod = spec.template.spec.clone().unwrap_or_default();
    let mut cells = vec![
        status.desired_number_scheduled.to_string(),
        status.current_number_scheduled.to_string(),
        status.number_ready.to_string(),
        status.updated_number_scheduled.unwrap_or(0).to_string(),
        status.number_available.unwrap_or(0).to_string(),
        labels(pod.node_selector.as_ref()),
        age,
    ];
    cells.extend(workload(Some(&pod), label_selector(&spec.selector)));
    cells
}

fn deployment(deployment: &Deployment, age: String) -> Vec<String> {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let mut cells = vec![
        format!("{}/{}", status.ready_replicas.unwrap_or(0), spec.replicas.unwrap_or(1)),
        status.updated_replicas.unwrap_or(0).to_string(),
        status.available_replicas.unwrap_or(0).to_string(),
        age,
    ];
    cells.extend(workload(spec.template.spec.as_ref(), label_selector(&spec.selector)));
    cells
}

fn replica_set(set: &ReplicaSet, age: String) -> Vec<String> {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let mut cells = vec![
        spec.replicas.unwrap_or(1).to_string(),
        status.replicas.to_string(),
        status.ready_replicas.unwrap_or(0).to_string(),
        age,
    ];
    let template = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    cells.extend(workload(template, label_selector(&spec.selector)));
    cells
}

/// A list, cut behind three.
fn some(list: Vec<String>) -> String {
    match list.len() {
        0 => "<unset>".to_owned(),
        1..=3 => list.join(","),
        count => format!("{} + {} more...", list[..3].join(","), count - 3),
    }
}

fn endpoint_slice(slice: &EndpointSlice, age: String) -> Vec<String> {
    let ports = slice.ports.iter().flatten().map(|port| match (port.port, &port.name) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.clone(),
        (None, None) => "*".to_owned(),
    });
    let addresses = slice.endpoints.iter().flatten().flat_map(|endpoint| endpoint.addresses.clone());
    vec![slice.address_type.clone(), some(ports.collect()), some(addresses.collect()), age]
}

/// Addresses of an Ingress.
pub(super) fn ingress_addresses(ingress: &Ingress) -> String {
    let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let all = status.into_iter().flat_map(|status| status.ingress.iter().flatten());
    let addresses = all.filter_map(|entry| entry.ip.clone().or_else(|| entry.hostname.clone()));
    addresses.collect::<Vec<_>>().join(",")
}

fn ingress(ingress: &Ingress, age: String) -> Vec<String> {
    let spec = ingress.spec.clone().unwrap_or_default();
    let mut hosts: Vec<String> = Vec::new();
    for host in
        spec.rules.iter().flatten().filter_map(|rule| rule.host.clone()).filter(|host| !host.is_empty())
    {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let hosts = if hosts.is_empty() { "*".to_owned() } else { some(hosts) };
    let ports = "80".to_owned();
    vec![spec.ingress_class_name.unwrap_or_else(none), hosts, ingress_addresses(ingress), ports, age]
}

fn ingress_class(class: &IngressClass, age: String) -> Vec<String> {
    let controller = class.spec.as_ref().and_then(|spec| spec.controller.clone());
    vec![controller.unwrap_or_else(none), none(), age]
}

fn network_policy(policy: &NetworkPolicy, age: String) -> Vec<String> {
    let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
    vec![selector.map_or_else(none, label_selector), age]
}

fn namespace(namespace: &Namespace, age: String) -> Vec<String> {
    let phase = namespace.status.as_ref().and_then(|status| status.phase.clone());
    vec![phase.unwrap_or_else(|| "Active".to_owned()), age]
}

/// A node's address of a type.
pub(super) fn node_address(node: &Node, kind: &str) -> String {
    let mut addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    addresses.find(|address| address.type_ == kind).map_or_else(none, |address| address.address.clone())
}

/// Roles of a node, from its labels.
pub(super) fn node_roles(node: &Node) -> String {
    let roles = node.metadata.labels.iter().flatten().filter_map(|(key, value)| {
        let role = key.strip_prefix("node-role.kubernetes.io/").filter(|role| !role.is_empty());
        role.or((key == "kubernetes.io/role" && !value.is_empty()).then_some(value.as_str()))
    });
    joined(roles.map(str::to_owned).collect())
}

fn node(node: &Node, age: String) -> Vec<String> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    let mut status = match ready.map(|condition| condition.status.as_str()) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    let info = node.status.as_ref().and_then(|status| status.node_info.clone()).unwrap_or_default();
    let known = |text: String| if text.is_empty() { "<unknown>".to_owned() } else { text };
    vec![
        status,
        node_roles(node),
        age,
        info.kubelet_version,
        node_address(node, "InternalIP"),
        node_address(node, "ExternalIP"),
        known(info.os_image),
        known(info.kernel_version),
        known(info.container_runtime_version),
    ]
}

fn pod(pod: &Pod, age: String, now: &Time) -> Vec<String> {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let shown = pod_status::of(pod);
    let restarts = match (&shown.last_restart, shown.restarts) {
        (Some(when), 1..) => format!("{} ({} ago)", shown.restarts, self::age(Some(when), now)),
        _ => shown.restarts.to_string(),
    };
    let gates = spec.readiness_gates.unwrap_or_default();
    let passed =
        gates.iter().filter(|gate| condition(pod, &gate.condition_type).is_some_and(|c| c.status == "True"));
    vec![
        format!("{}/{}", shown.ready, shown.total),
        shown.reason,
        restarts,
        age,
        status.pod_ip.unwrap_or_else(none),
        spec.node_name.unwrap_or_else(none),
        status.nominated_node_name.unwrap_or_else(none),
        if gates.is_empty() { none() } else { format!("{}/{}", passed.count(), gates.len()) },
    ]
}

/// Addresses of a service outside the cluster.
pub(super) fn external_address(service: &Service) -> String {
    let spec = service.spec.clone().unwrap_or_default();
    let mut given = spec.external_ips.unwrap_or_default();
    match spec.type_.as_deref() {
        Some("ExternalName") => spec.external_name.unwrap_or_default(),
        Some("LoadBalancer") => {
            let mut all = balancers(service);
            all.append(&mut given);
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        _ => joined(given),
    }
}

/// Addresses that a load balancer got.
pub(super) fn balancers(service: &Service) -> Vec<String> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.into_iter().flat_map(|status| status.ingress.iter().flatten());
    ingress.filter_map(|ingress| ingress.ip.clone().or_else(|| ingress.hostname.clone())).collect()
}

fn service(service: &Service, age: String) -> Vec<String> {
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.iter().flatten().map(|port| {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        match port.node_port.filter(|number| *number > 0) {
            Some(number) => format!("{}:{number}/{protocol}", port.port),
            None => format!("{}/{protocol}", port.port),
        }
    });
    vec![
        spec.type_.clone().unwrap_or_default(),
        spec.cluster_ip.clone().unwrap_or_else(none),
        external_address(service),
        joined(ports.collect()),
        age,
        labels(spec.selector.as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_for_people() {
        for (seconds, text) in [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (600, "10m"),
            (10800, "3h"),
            (11000, "3h3m"),
            (30000, "8h"),
            (172800, "2d"),
            (180000, "2d2h"),
            (864000, "10d"),
            (-5, "<invalid>"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let list = |count: usize| some((0..count).map(|at| at.to_string()).collect());
        assert_eq!(
            (list(0), list(3), list(5)),
            ("<unset>".into(), "0,1,2".into(), "0,1,2 + 2 more...".into())
        );
    }
}
