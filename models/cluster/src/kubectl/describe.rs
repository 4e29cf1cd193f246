//! `kubectl describe`. A container's environment from fields of its pod is named, not looked up.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::describe_ingress;
use super::describe_network_policy::network_policy;
use super::describe_pod::{Lines, pod, template, time};
use super::endpoints;
use super::failure::{Done, Failure};
use super::printers::{age, balancers, node_roles};
use super::resources::asked;
use super::selector::{label_selector, labels};
use super::session::Session;
use crate::error::ApiError;
use crate::events;
use crate::object::Object;
use crate::qos;
use crate::quantity::Amount;
use crate::store::{Store, wall_clock};

/// Runs the command.
pub(super) fn run(session: &mut Session) -> Done {
    let words = session.given.words.clone();
    if words.is_empty() {
        return Err(Failure::own(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported \
             resources.\n",
        ));
    }
    let (mut found, mut failures) = session.chosen(&words)?;
    if failures.iter().any(|failure| matches!(failure, Failure::Server(ApiError::NotFound(_), _))) {
        let mut named = Vec::new();
        for asked in asked(&words)? {
            let (Some(name), kind) = (asked.name, asked.resource.kind()?) else { continue };
            let (store, namespace) = (session.api.store(), session.namespace());
            let begins = |object: &&std::sync::Arc<Object>| {
                let key = object.key();
                key.name.starts_with(&name) && (!kind.is_namespaced() || key.namespace == namespace)
            };
            named.extend(store.objects(kind).filter(begins).cloned());
        }
        if !named.is_empty() {
            (found, failures) = (named, Vec::new());
        }
    }
    if found.is_empty() && failures.is_empty() {
        let namespace = session.namespace();
        let is_namespaced = asked(&words)?.iter().all(|asked| asked.resource.is_namespaced());
        session.complain(match is_namespaced && !session.given.is("all-namespaces") {
            true => format!("No resources found in {namespace} namespace."),
            false => "No resources found".to_owned(),
        });
    }
    let now = wall_clock(session.process.now());
    let texts: Vec<String> = {
        let store = session.api.store();
        found.iter().map(|object| describe(&store, object, &now)).collect()
    };
    session.process.print(texts.join("\n\n"));
    Failure::all(failures)
}

fn describe(store: &Store, object: &Object, now: &Time) -> String {
    let lines = match object {
        Object::ConfigMap(map) => config_map(map),
        Object::DaemonSet(set) => daemon_set(store, set),
        Object::Deployment(deployment) => self::deployment(store, deployment),
        Object::EndpointSlice(slice) => endpoint_slice(slice),
        Object::Ingress(ingress) => describe_ingress::ingress(store, ingress),
        Object::IngressClass(class) => describe_ingress::class(class),
        Object::Event(event) => return self::event(event),
        Object::Namespace(namespace) => return self::namespace(namespace),
        Object::NetworkPolicy(policy) => return network_policy(policy),
        Object::Node(node) => self::node(store, node, now),
        Object::Pod(pod) => self::pod(pod, now),
        Object::ReplicaSet(set) => replica_set(store, set),
        Object::Secret(secret) => return self::secret(secret),
        Object::Service(service) => self::service(store, service),
    };
    lines.end(&events::about(store, object), now)
}

fn secret(secret: &Secret) -> String {
    let mut lines = begin(&secret.metadata);
    notes(&mut lines, &secret.metadata);
    lines.add(0, format!("\nType:\t{}", secret.type_.clone().unwrap_or_default()));
    lines.add(0, "\nData\n====");
    for (key, bytes) in secret.data.iter().flatten() {
        lines.add(0, format!("{key}:\t{} bytes", bytes.0.len()));
    }
    lines.end_without_events()
}

fn event(event: &Event) -> String {
    let mut lines = begin(&event.metadata);
    notes(&mut lines, &event.metadata);
    let source = event.source.clone().unwrap_or_default();
    let about = &event.involved_object;
    for (title, text) in [
        ("Type", event.type_.clone()),
        ("Reason", event.reason.clone()),
        ("Message", event.message.clone()),
        ("Source Component", source.component),
        ("Involved Kind", about.kind.clone()),
        ("Involved Name", about.name.clone()),
    ] {
        lines.add(0, format!("{title}:\t{}", text.unwrap_or_default()));
    }
    lines.end_without_events()
}

fn begin(meta: &ObjectMeta) -> Lines {
    let mut lines = Lines::default();
    lines.name(meta);
    lines
}

fn notes(lines: &mut Lines, meta: &ObjectMeta) {
    lines.labels("Labels", meta.labels.as_ref());
    lines.annotations("Annotations", meta.annotations.as_ref());
}

fn config_map(map: &ConfigMap) -> Lines {
    let mut lines = begin(&map.metadata);
    notes(&mut lines, &map.metadata);
    lines.add(0, "\nData\n====");
    for (key, value) in map.data.iter().flatten() {
        lines.add(0, format!("{key}:\n----\n{value}\n"));
    }
    lines.add(0, "\nBinaryData\n====\n");
    lines
}

fn namespace(namespace: &Namespace) -> String {
    let mut lines = begin(&namespace.metadata);
    notes(&mut lines, &namespace.metadata);
    let phase = namespace.status.as_ref().and_then(|status| status.phase.clone());
    lines.add(0, format!("Status:\t{}", phase.unwrap_or_else(|| "Active".to_owned())));
    lines.add(0, "\nNo resource quota.\n\nNo LimitRange resource.");
    lines.end_without_events()
}

/// Pods that an object controls, by phase.
fn pods_status(store: &Store, uid: Option<&String>) -> String {
    let owned = |pod: &&Pod| {
        let mut owners = pod.metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.controller == Some(true) && Some(&owner.uid) == uid)
    };
    let phases: Vec<String> = store
        .list::<Pod>()
        .filter(owned)
        .map(|pod| {
            pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or("Pending".to_owned())
        })
        .collect();
    let count = |phase: &str| phases.iter().filter(|known| *known == phase).count();
    format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        count("Running"),
        count("Pending"),
        count("Succeeded"),
        count("Failed")
    )
}

fn daemon_set(store: &Store, set: &DaemonSet) -> Lines {
    let (spec, status) = (set.spec.clone().unwrap_or_default(), set.status.clone().unwrap_or_default());
    let mut lines = begin(&set.metadata);
    lines.add(0, format!("Selector:\t{}", label_selector(&spec.selector)));
    let nodes = spec.template.spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
    lines.add(0, format!("Node-Selector:\t{}", labels(nodes)));
    notes(&mut lines, &set.metadata);
    lines.add(0, format!("Desired Number of Nodes Scheduled: {}", status.desired_number_scheduled));
    lines.add(0, format!("Current Number of Nodes Scheduled: {}", status.current_number_scheduled));
    let updated = status.updated_number_scheduled.unwrap_or(0);
    lines.add(0, format!("Number of Nodes Scheduled with Up-to-date Pods: {updated}"));
    let available = status.number_available.unwrap_or(0);
    lines.add(0, format!("Number of Nodes Scheduled with Available Pods: {available}"));
    lines.add(0, format!("Number of Nodes Misscheduled: {}", status.number_misscheduled));
    lines.add(0, format!("Pods Status:\t{}", pods_status(store, set.metadata.uid.as_ref())));
    template(&mut lines, &spec.template);
    lines
}

fn replica_set(store: &Store, set: &ReplicaSet) -> Lines {
    let (spec, status) = (set.spec.clone().unwrap_or_default(), set.status.clone().unwrap_or_default());
    let mut lines = begin(&set.metadata);
    lines.add(0, format!("Selector:\t{}", label_selector(&spec.selector)));
    notes(&mut lines, &set.metadata);
    lines.controller(&set.metadata);
    lines.add(0, format!("Replicas:\t{} current / {} desired", status.replicas, spec.replicas.unwrap_or(1)));
    lines.add(0, format!("Pods Status:\t{}", pods_status(store, set.metadata.uid.as_ref())));
    template(&mut lines, &spec.template.unwrap_or_default());
    lines
}

fn share(value: Option<&IntOrString>) -> String {
    match value {
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(text)) => text.clone(),
        None => "0".to_owned(),
    }
}

fn deployment(store: &Store, deployment: &Deployment) -> Lines {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let mut lines = begin(&deployment.metadata);
    lines.add(0, format!("CreationTimestamp:\t{}", time(deployment.metadata.creation_timestamp.as_ref())));
    notes(&mut lines, &deployment.metadata);
    lines.add(0, format!("Selector:\t{}", label_selector(&spec.selector)));
    lines.add(
        0,
        format!(
            "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable",
            spec.replicas.unwrap_or(1),
            status.updated_replicas.unwrap_or(0),
            status.replicas.unwrap_or(0),
            status.available_replicas.unwrap_or(0),
            status.unavailable_replicas.unwrap_or(0)
        ),
    );
    let strategy = spec.strategy.clone().unwrap_or_default();
    lines.add(0, format!("StrategyType:\t{}", strategy.type_.unwrap_or_default()));
    lines.add(0, format!("MinReadySeconds:\t{}", spec.min_ready_seconds.unwrap_or(0)));
    if let Some(rolling) = &strategy.rolling_update {
        let (unavailable, surge) =
            (share(rolling.max_unavailable.as_ref()), share(rolling.max_surge.as_ref()));
        lines.add(0, format!("RollingUpdateStrategy:\t{unavailable} max unavailable, {surge} max surge"));
    }
    template(&mut lines, &spec.template);
    if let Some(conditions) = status.conditions.as_ref().filter(|all| !all.is_empty()) {
        lines.add(0, "Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------");
        for condition in conditions {
            let reason = condition.reason.clone().unwrap_or_default();
            lines.add(1, format!("{} \t{}\t{reason}", condition.type_, condition.status));
        }
    }
    let revision = |meta: &ObjectMeta| {
        meta.annotations.as_ref().and_then(|notes| notes.get("deployment.kubernetes.io/revision").cloned())
    };
    let owned = |set: &&ReplicaSet| {
        let mut owners = set.metadata.owner_references.iter().flatten();
        owners.any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
    };
    let is_new = |set: &&ReplicaSet| revision(&set.metadata) == revision(&deployment.metadata);
    let (new, old): (Vec<&ReplicaSet>, Vec<&ReplicaSet>) =
        store.list::<ReplicaSet>().filter(owned).partition(is_new);
    if !new.is_empty() || !old.is_empty() {
        lines.add(0, format!("OldReplicaSets:\t{}", replica_sets(&old)));
        lines.add(0, format!("NewReplicaSet:\t{}", replica_sets(&new)));
    }
    lines
}

fn replica_sets(sets: &[&ReplicaSet]) -> String {
    let one = |set: &&ReplicaSet| {
        let made = set.status.as_ref().map_or(0, |status| status.replicas);
        let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        format!("{} ({made}/{wanted} replicas created)", set.metadata.name.as_deref().unwrap_or_default())
    };
    match sets.is_empty() {
        true => "<none>".to_owned(),
        false => sets.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// Endpoints of a service's port that are ready, cut behind three.
pub(super) fn endpoints_of(store: &Store, service: &Service, port: Option<&str>) -> String {
    let mut all = Vec::new();
    for slice in endpoints::slices(store, &service.clone().into()) {
        let ready =
            slice.endpoints.iter().flatten().filter(|endpoint| {
                endpoint.conditions.as_ref().and_then(|state| state.ready).unwrap_or(true)
            });
        let addresses: Vec<&String> = ready.filter_map(|endpoint| endpoint.addresses.first()).collect();
        for known in slice.ports.iter().flatten() {
            if known.name.as_deref().unwrap_or_default() != port.unwrap_or_default() {
                continue;
            }
            let number = known.port.unwrap_or(0);
            all.extend(addresses.iter().map(|address| format!("{address}:{number}")));
        }
    }
    match all.len() {
        0 => String::new(),
        1..=3 => all.join(","),
        count => format!("{} + {} more...", all[..3].join(","), count - 3),
    }
}

fn service(store: &Store, service: &Service) -> Lines {
    let spec = service.spec.clone().unwrap_or_default();
    let mut lines = begin(&service.metadata);
    notes(&mut lines, &service.metadata);
    lines.add(0, format!("Selector:\t{}", labels(spec.selector.as_ref())));
    lines.add(0, format!("Type:\t{}", spec.type_.clone().unwrap_or_default()));
    let listed = |list: &Option<Vec<String>>| match list.as_ref().filter(|list| !list.is_empty()) {
        Some(list) => list.join(","),
        None => "<none>".to_owned(),
    };
    if let Some(policy) = &spec.ip_family_policy {
        lines.add(0, format!("IP Family Policy:\t{policy}"));
    }
    lines.add(0, format!("IP Families:\t{}", listed(&spec.ip_families)));
    lines.add(0, format!("IP:\t{}", spec.cluster_ip.clone().unwrap_or_default()));
    lines.add(0, format!("IPs:\t{}", listed(&spec.cluster_ips)));
    if spec.external_ips.as_ref().is_some_and(|all| !all.is_empty()) {
        lines.add(0, format!("External IPs:\t{}", listed(&spec.external_ips)));
    }
    for (title, text) in
        [("Desired LoadBalancer IP", &spec.load_balancer_ip), ("External Name", &spec.external_name)]
    {
        if let Some(text) = text {
            lines.add(0, format!("{title}:\t{text}"));
        }
    }
    let ingress: Vec<String> = match service.status.as_ref().and_then(|status| status.load_balancer.as_ref())
    {
        Some(status) if !balancers(service).is_empty() => status
            .ingress
            .iter()
            .flatten()
            .map(|one| {
                let address = one.ip.clone().or_else(|| one.hostname.clone()).unwrap_or_default();
                one.ip_mode.as_ref().map_or(address.clone(), |mode| format!("{address} ({mode})"))
            })
            .collect(),
        _ => Vec::new(),
    };
    if !ingress.is_empty() {
        lines.add(0, format!("LoadBalancer Ingress:\t{}", ingress.join(", ")));
    }
    for port in spec.ports.iter().flatten() {
        let (name, protocol) =
            (port.name.as_deref().unwrap_or("<unset>"), port.protocol.as_deref().unwrap_or("TCP"));
        lines.add(0, format!("Port:\t{name}\t{}/{protocol}", port.port));
        lines.add(0, format!("TargetPort:\t{}/{protocol}", share(port.target_port.as_ref())));
        if let Some(number) = port.node_port.filter(|number| *number > 0) {
            lines.add(0, format!("NodePort:\t{name}\t{number}/{protocol}"));
        }
        lines.add(0, format!("Endpoints:\t{}", endpoints_of(store, service, port.name.as_deref())));
    }
    lines.add(0, format!("Session Affinity:\t{}", spec.session_affinity.clone().unwrap_or_default()));
    let more = [
        ("External Traffic Policy", spec.external_traffic_policy.clone()),
        ("Internal Traffic Policy", spec.internal_traffic_policy.clone()),
        (
            "HealthCheck NodePort",
            spec.health_check_node_port.filter(|port| *port > 0).map(|port| port.to_string()),
        ),
        (
            "LoadBalancer Source Ranges",
            spec.load_balancer_source_ranges.as_ref().map(|ranges| ranges.join(",")),
        ),
        ("Traffic Distribution", spec.traffic_distribution.clone()),
    ];
    for (title, text) in more {
        if let Some(text) = text {
            lines.add(0, format!("{title}:\t{text}"));
        }
    }
    lines
}

fn endpoint_slice(slice: &EndpointSlice) -> Lines {
    let mut lines = begin(&slice.metadata);
    notes(&mut lines, &slice.metadata);
    lines.add(0, format!("AddressType:\t{}", slice.address_type));
    let unset = || "<unset>".to_owned();
    match slice.ports.as_ref().filter(|ports| !ports.is_empty()) {
        None => lines.add(0, "Ports: <unset>"),
        Some(ports) => {
            lines.add(0, "Ports:\n  Name\tPort\tProtocol\n  ----\t----\t--------");
            for port in ports {
                let name = port.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(unset);
                let number = port.port.map_or_else(unset, |number| number.to_string());
                lines.add(1, format!("{name}\t{number}\t{}", port.protocol.as_deref().unwrap_or("TCP")));
            }
        }
    }
    let endpoints = slice.endpoints.clone().unwrap_or_default();
    lines.add(0, if endpoints.is_empty() { "Endpoints: <none>" } else { "Endpoints:" });
    for endpoint in endpoints {
        lines.add(1, format!("- Addresses:\t{}", endpoint.addresses.join(", ")));
        let ready = endpoint.conditions.and_then(|state| state.ready);
        lines.add(2, "Conditions:");
        lines.add(3, format!("Ready:\t{}", ready.map_or_else(unset, |ready| ready.to_string())));
        lines.add(2, format!("Hostname:\t{}", endpoint.hostname.unwrap_or_else(unset)));
        if let Some(target) = endpoint.target_ref {
            let (kind, name) = (target.kind.unwrap_or_default(), target.name.unwrap_or_default());
            lines.add(2, format!("TargetRef:\t{kind}/{name}"));
        }
        lines.add(2, format!("NodeName:\t{}", endpoint.node_name.unwrap_or_else(unset)));
        lines.add(2, format!("Zone:\t{}", endpoint.zone.unwrap_or_else(unset)));
    }
    lines
}

fn node(store: &Store, node: &Node, now: &Time) -> Lines {
    let (spec, status) = (node.spec.clone().unwrap_or_default(), node.status.clone().unwrap_or_default());
    let mut lines = Lines::default();
    lines.add(0, format!("Name:\t{}", node.metadata.name.as_deref().unwrap_or_default()));
    lines.add(0, format!("Roles:\t{}", node_roles(node)));
    notes(&mut lines, &node.metadata);
    lines.add(0, format!("CreationTimestamp:\t{}", time(node.metadata.creation_timestamp.as_ref())));
    let taints: Vec<String> = spec
        .taints
        .iter()
        .flatten()
        .map(|taint| match &taint.value {
            Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
            None => format!("{}:{}", taint.key, taint.effect),
        })
        .collect();
    lines.add(
        0,
        format!("Taints:\t{}", if taints.is_empty() { "<none>".to_owned() } else { taints.join("\n\t") }),
    );
    lines.add(0, format!("Unschedulable:\t{}", spec.unschedulable.unwrap_or(false)));
    if let Some(conditions) = status.conditions.as_ref().filter(|all| !all.is_empty()) {
        lines.add(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
        lines.add(1, "----\t------\t-----------------\t------------------\t------\t-------");
        for condition in conditions {
            lines.add(
                1,
                format!(
                    "{} \t{} \t{} \t{} \t{} \t{}",
                    condition.type_,
                    condition.status,
                    time(condition.last_heartbeat_time.as_ref()),
                    time(condition.last_transition_time.as_ref()),
                    condition.reason.as_deref().unwrap_or_default(),
                    condition.message.as_deref().unwrap_or_default()
                ),
            );
        }
    }
    lines.add(0, "Addresses:");
    for address in status.addresses.iter().flatten() {
        lines.add(1, format!("{}:\t{}", address.type_, address.address));
    }
    for (title, amounts) in [("Capacity", &status.capacity), ("Allocatable", &status.allocatable)] {
        if let Some(amounts) = amounts.as_ref().filter(|amounts| !amounts.is_empty()) {
            lines.add(0, format!("{title}:"));
            amounts.iter().for_each(|(name, amount)| lines.add(1, format!("{name}:\t{}", amount.0)));
        }
    }
    let info = status.node_info.unwrap_or_default();
    lines.add(0, "System Info:");
    for (title, text) in [
        ("Machine ID", info.machine_id),
        ("System UUID", info.system_uuid),
        ("Boot ID", info.boot_id),
        ("Kernel Version", info.kernel_version),
        ("OS Image", info.os_image),
        ("Operating System", info.operating_system),
        ("Architecture", info.architecture),
        ("Container Runtime Version", info.container_runtime_version),
        ("Kubelet Version", info.kubelet_version),
    ] {
        lines.add(1, format!("{title}:\t{text}"));
    }
    if let Some(range) = &spec.pod_cidr {
        lines.add(0, format!("PodCIDR:\t{range}"));
    }
    if let Some(ranges) = &spec.pod_cidrs {
        lines.add(0, format!("PodCIDRs:\t{}", ranges.join(",")));
    }
    node_pods(&mut lines, store, node, now);
    lines
}

/// The pods of a node that have not ended.
fn node_pods(lines: &mut Lines, store: &Store, node: &Node, now: &Time) {
    let is_here = |pod: &&Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let of = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        of == node.metadata.name.as_ref() && !["Succeeded", "Failed"].contains(&phase)
    };
    let pods: Vec<&Pod> = store.list::<Pod>().filter(is_here).collect();
    lines.add(0, format!("Non-terminated Pods:\t({} in total)", pods.len()));
    lines.add(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    lines.add(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    let empty = k8s_openapi::api::core::v1::PodSpec::default();
    let spec_of = |pod: &Pod| pod.spec.clone().unwrap_or_default();
    let allocatable = |name: &str| {
        let all = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        all.and_then(|all| Amount::parse(&all.get(name)?.0)).unwrap_or_default()
    };
    for pod in &pods {
        let meta = &pod.metadata;
        let (namespace, name) =
            (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let since = age(meta.creation_timestamp.as_ref(), now);
        let spec = pod.spec.as_ref().unwrap_or(&empty);
        let cells = [("cpu", false), ("cpu", true), ("memory", false), ("memory", true)];
        let cells =
            cells.map(|(what, limit)| share_of(what, qos::of_pod(spec, what, limit), allocatable(what)));
        lines.add(1, format!("{namespace}\t{name}\t\t{}\t{since}", cells.join("\t")));
    }
    lines.add(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)");
    lines.add(1, "Resource\tRequests\tLimits\n  --------\t--------\t------");
    for name in ["cpu", "memory", "ephemeral-storage"] {
        let sum = |limit| {
            let add = |sum: Amount, pod: &&Pod| sum.plus(qos::of_pod(&spec_of(pod), name, limit));
            share_of(name, pods.iter().fold(Amount::default(), add), allocatable(name))
        };
        lines.add(1, format!("{name}\t{}\t{}", sum(false), sum(true)));
    }
}

/// An amount with its share of what the node has: `250m (12%)`.
fn share_of(resource: &str, amount: Amount, all: Amount) -> String {
    let text = match resource {
        "cpu" => crate::quantity::canonical(&format!("{}m", amount.milli())),
        _ => crate::quantity::canonical(&format!("{}Ki", amount.in_units(Amount::whole(1024)))),
    };
    format!("{} ({}%)", text.unwrap_or_default(), amount.percent_of(all))
}
