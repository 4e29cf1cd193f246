//! `kubectl describe` of pods and of templates of pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerState, ContainerStatus, EnvFromSource, EnvVar, Event, Pod, PodSpec,
    PodTemplateSpec, Probe, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::printers::{age, event_ages};
use super::tabwriter::align;
use crate::qos;

/// Lines in columns, each at a level.
#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    /// A line; cells end with tabs.
    pub(super) fn add(&mut self, level: usize, text: impl AsRef<str>) {
        self.0.push_str(&format!("{}{}\n", "  ".repeat(level), text.as_ref()));
    }

    /// Labels, a line each.
    pub(super) fn labels(&mut self, title: &str, labels: Option<&BTreeMap<String, String>>) {
        let all: Vec<String> =
            labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
        match all.is_empty() {
            true => self.add(0, format!("{title}:\t<none>")),
            false => self.add(0, format!("{title}:\t{}", all.join("\n\t"))),
        }
    }

    /// Annotations, without the one that keeps the manifest.
    pub(super) fn annotations(&mut self, title: &str, annotations: Option<&BTreeMap<String, String>>) {
        const LONGEST: usize = 140;
        let is_shown =
            |(key, _): &(&String, &String)| *key != "kubectl.kubernetes.io/last-applied-configuration";
        let mut all = Vec::new();
        for (key, value) in annotations.into_iter().flatten().filter(is_shown) {
            let value = value.strip_suffix('\n').unwrap_or(value);
            if value.len() + key.len() + 2 <= LONGEST && !value.contains('\n') {
                all.push(format!("{key}: {value}"));
                continue;
            }
            all.push(format!("{key}:"));
            all.extend(value.split('\n').map(|line| match line.char_indices().nth(LONGEST - 2) {
                Some((end, _)) => format!("  {}...", &line[..end]),
                None => format!("  {line}"),
            }));
        }
        match all.is_empty() {
            true => self.add(0, format!("{title}:\t<none>")),
            false => self.add(0, format!("{title}:\t{}", all.join("\n\t"))),
        }
    }

    /// Name, and namespace if there is one.
    pub(super) fn name(&mut self, meta: &ObjectMeta) {
        self.add(0, format!("Name:\t{}", meta.name.as_deref().unwrap_or_default()));
        if let Some(namespace) = &meta.namespace {
            self.add(0, format!("Namespace:\t{namespace}"));
        }
    }

    /// Who controls it.
    pub(super) fn controller(&mut self, meta: &ObjectMeta) {
        let mut owners = meta.owner_references.iter().flatten();
        if let Some(owner) = owners.find(|owner| owner.controller == Some(true)) {
            self.add(0, format!("Controlled By:\t{}/{}", owner.kind, owner.name));
        }
    }

    /// The text, in columns, with events.
    pub(super) fn end(mut self, events: &[&Event], now: &Time) -> String {
        if events.is_empty() {
            self.add(0, "Events:\t<none>");
            return align(&self.0, 0, 2);
        }
        self.add(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
        self.add(1, "----\t------\t----\t----\t-------");
        for event in events {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let (first, last) = event_ages(event, now);
            let age = match event.count.unwrap_or(1) {
                ..=1 => last,
                count => format!("{last} (x{count} over {first})"),
            };
            let part = event.involved_object.field_path.as_ref().filter(|part| !part.is_empty());
            let part = part.map_or_else(String::new, |part| format!("{part}: "));
            let (kind, reason) = (text(&event.type_), text(&event.reason));
            let (from, message) = (text(&event.reporting_component), text(&event.message));
            self.add(1, format!("{kind}\t{reason}\t{age}\t{from}\t{part}{}", message.trim()));
        }
        align(&self.0, 0, 2)
    }

    /// The text with its tabs, as `rollout history --revision` prints it.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// The text without events.
    pub(super) fn end_without_events(self) -> String {
        align(&self.0, 0, 2)
    }
}

/// A time as RFC 1123 has it, with the zone as a number.
pub(super) fn time(time: Option<&Time>) -> String {
    let zero = "Mon, 01 Jan 0001 00:00:00 +0000".to_owned();
    time.map_or(zero, |time| time.0.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string())
}

/// A pod.
pub(super) fn pod(pod: &Pod, now: &Time) -> Lines {
    let (spec, status) = (pod.spec.clone().unwrap_or_default(), pod.status.clone().unwrap_or_default());
    let mut lines = Lines::default();
    lines.name(&pod.metadata);
    if let Some(priority) = spec.priority {
        lines.add(0, format!("Priority:\t{priority}"));
    }
    if let Some(account) = spec.service_account_name.as_ref().filter(|account| !account.is_empty()) {
        lines.add(0, format!("Service Account:\t{account}"));
    }
    match &spec.node_name {
        Some(node) => lines.add(0, format!("Node:\t{node}/{}", status.host_ip.clone().unwrap_or_default())),
        None => lines.add(0, "Node:\t<none>"),
    }
    if status.start_time.is_some() {
        lines.add(0, format!("Start Time:\t{}", time(status.start_time.as_ref())));
    }
    lines.labels("Labels", pod.metadata.labels.as_ref());
    lines.annotations("Annotations", pod.metadata.annotations.as_ref());
    let phase = status.phase.as_deref().unwrap_or("Pending");
    match &pod.metadata.deletion_timestamp {
        Some(end) if !["Failed", "Succeeded"].contains(&phase) => {
            lines.add(0, format!("Status:\tTerminating (lasts {})", age(Some(end), now)));
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
            lines.add(0, format!("Termination Grace Period:\t{grace}s"));
        }
        _ => lines.add(0, format!("Status:\t{phase}")),
    }
    for (title, text) in [("Reason", &status.reason), ("Message", &status.message)] {
        if let Some(text) = text {
            lines.add(0, format!("{title}:\t{text}"));
        }
    }
    lines.add(0, format!("IP:\t{}", status.pod_ip.clone().unwrap_or_default()));
    match status.pod_ips.as_ref().filter(|all| !all.is_empty()) {
        None => lines.add(0, "IPs:\t<none>"),
        Some(all) => {
            lines.add(0, "IPs:");
            all.iter().for_each(|address| lines.add(1, format!("IP:\t{}", address.ip)));
        }
    }
    lines.controller(&pod.metadata);
    let known = status.container_statuses.as_ref();
    if spec.init_containers.as_ref().is_some_and(|all| !all.is_empty()) {
        let init = spec.init_containers.clone().unwrap_or_default();
        containers(&mut lines, "Init Containers", &init, status.init_container_statuses.as_ref(), "");
    }
    containers(&mut lines, "Containers", &spec.containers, known, "");
    if let Some(conditions) = status.conditions.as_ref().filter(|all| !all.is_empty()) {
        lines.add(0, "Conditions:\n  Type\tStatus");
        for condition in conditions {
            lines.add(1, format!("{} \t{} ", condition.type_, condition.status));
        }
    }
    volumes(&mut lines, spec.volumes.as_ref(), "");
    lines.add(0, format!("QoS Class:\t{}", qos::class(&spec)));
    lines.labels("Node-Selectors", spec.node_selector.as_ref());
    tolerations(&mut lines, "Tolerations", &spec);
    lines
}

fn tolerations(lines: &mut Lines, title: &str, spec: &PodSpec) {
    let shown = |toleration: &k8s_openapi::api::core::v1::Toleration| {
        let mut text = toleration.key.clone().unwrap_or_default();
        if let Some(value) = toleration.value.as_ref().filter(|value| !value.is_empty()) {
            text.push_str(&format!("={value}"));
        }
        if let Some(effect) = toleration.effect.as_ref().filter(|effect| !effect.is_empty()) {
            text.push_str(&format!(":{effect}"));
        }
        if toleration.operator.as_deref() == Some("Exists")
            && toleration.value.as_deref().unwrap_or_default().is_empty()
        {
            let blank = if toleration.key.is_some() || toleration.effect.is_some() { " " } else { "" };
            text.push_str(&format!("{blank}op=Exists"));
        }
        if let Some(seconds) = toleration.toleration_seconds {
            text.push_str(&format!(" for {seconds}s"));
        }
        text
    };
    let mut all: Vec<String> = spec.tolerations.iter().flatten().map(shown).collect();
    all.sort();
    match all.is_empty() {
        true => lines.add(0, format!("{title}:\t<none>")),
        false => lines.add(0, format!("{title}:\t{}", all.join("\n\t"))),
    }
}

/// A template of pods.
pub(super) fn template(lines: &mut Lines, template: &PodTemplateSpec) {
    let (meta, spec) =
        (template.metadata.clone().unwrap_or_default(), template.spec.clone().unwrap_or_default());
    lines.add(0, "Pod Template:");
    lines.labels("  Labels", meta.labels.as_ref());
    if meta.annotations.as_ref().is_some_and(|all| !all.is_empty()) {
        lines.annotations("  Annotations", meta.annotations.as_ref());
    }
    if let Some(init) = spec.init_containers.as_ref().filter(|all| !all.is_empty()) {
        containers(lines, "Init Containers", init, None, "  ");
    }
    containers(lines, "Containers", &spec.containers, None, "  ");
    volumes(lines, spec.volumes.as_ref(), "  ");
    lines.labels("  Node-Selectors", spec.node_selector.as_ref());
    tolerations(lines, "  Tolerations", &spec);
}

fn containers(
    lines: &mut Lines,
    title: &str,
    all: &[Container],
    statuses: Option<&Vec<ContainerStatus>>,
    space: &str,
) {
    lines.add(0, format!("{space}{title}:{}", if all.is_empty() { " <none>" } else { "" }));
    for container in all {
        let status = statuses.into_iter().flatten().find(|status| status.name == container.name);
        basics(lines, container, status, space);
        for (title, words) in [("Command", &container.command), ("Args", &container.args)] {
            let Some(words) = words.as_ref().filter(|words| !words.is_empty()) else { continue };
            lines.add(2, format!("{title}:"));
            words.iter().flat_map(|word| word.split('\n')).for_each(|line| lines.add(3, line));
        }
        if let Some(status) = status {
            state(lines, "State", status.state.as_ref());
            if status.last_state.as_ref().is_some_and(|last| last.terminated.is_some()) {
                state(lines, "Last State", status.last_state.as_ref());
            }
            lines.add(2, format!("Ready:\t{}", if status.ready { "True" } else { "False" }));
            lines.add(2, format!("Restart Count:\t{}", status.restart_count));
        }
        let resources = container.resources.clone().unwrap_or_default();
        for (title, amounts) in [("Limits", resources.limits), ("Requests", resources.requests)] {
            let Some(amounts) = amounts.filter(|amounts| !amounts.is_empty()) else { continue };
            lines.add(2, format!("{title}:"));
            amounts.iter().for_each(|(name, amount)| lines.add(3, format!("{name}:\t{}", amount.0)));
        }
        let probes = [
            ("Liveness", &container.liveness_probe),
            ("Readiness", &container.readiness_probe),
            ("Startup", &container.startup_probe),
        ];
        for (title, asked) in probes {
            if let Some(asked) = asked {
                lines.add(2, format!("{title}:\t{}", probe(asked)));
            }
        }
        env_from(lines, container.env_from.as_ref());
        environment(lines, container.env.as_ref());
        mounts(lines, container);
    }
}

/// One of the numbers of a port.
type Number = fn(&ContainerPort) -> i32;

fn basics(lines: &mut Lines, container: &Container, status: Option<&ContainerStatus>, space: &str) {
    lines.add(1, format!("{}{}:", if space.is_empty() { "" } else { " " }, container.name));
    if let Some(status) = status {
        lines.add(2, format!("Container ID:\t{}", status.container_id.clone().unwrap_or_default()));
    }
    lines.add(2, format!("Image:\t{}", container.image.clone().unwrap_or_default()));
    if let Some(status) = status {
        lines.add(2, format!("Image ID:\t{}", status.image_id));
    }
    let shown = |number: Number| {
        let one = |port: &ContainerPort| {
            let text = format!("{}/{}", number(port), port.protocol.as_deref().unwrap_or("TCP"));
            port.name.as_ref().map_or(text.clone(), |name| format!("{text} ({name})"))
        };
        container.ports.iter().flatten().map(one).collect::<Vec<_>>().join(", ")
    };
    let numbers: [(&str, Number); 2] =
        [("Port", |port| port.container_port), ("Host Port", |port| port.host_port.unwrap_or(0))];
    for (title, number) in numbers {
        let text = shown(number);
        match () {
            () if text.contains(',') => lines.add(2, format!("{title}s:\t{text}")),
            () if text.is_empty() => lines.add(2, format!("{title}:\t<none>")),
            () => lines.add(2, format!("{title}:\t{text}")),
        }
    }
}

fn state(lines: &mut Lines, title: &str, state: Option<&ContainerState>) {
    let state = state.cloned().unwrap_or_default();
    if let Some(running) = state.running {
        lines.add(2, format!("{title}:\tRunning"));
        lines.add(3, format!("Started:\t{}", time(running.started_at.as_ref())));
    } else if let Some(ended) = state.terminated {
        lines.add(2, format!("{title}:\tTerminated"));
        for (title, text) in [("Reason", ended.reason), ("Message", ended.message)] {
            if let Some(text) = text {
                lines.add(3, format!("{title}:\t{text}"));
            }
        }
        lines.add(3, format!("Exit Code:\t{}", ended.exit_code));
        lines.add(3, format!("Started:\t{}", time(ended.started_at.as_ref())));
        lines.add(3, format!("Finished:\t{}", time(ended.finished_at.as_ref())));
    } else {
        lines.add(2, format!("{title}:\tWaiting"));
        if let Some(reason) = state.waiting.and_then(|waiting| waiting.reason) {
            lines.add(3, format!("Reason:\t{reason}"));
        }
    }
}

fn probe(probe: &Probe) -> String {
    let times = format!(
        "delay={}s timeout={}s period={}s successThreshold={} failureThreshold={}",
        probe.initial_delay_seconds.unwrap_or(0),
        probe.timeout_seconds.unwrap_or(1),
        probe.period_seconds.unwrap_or(10),
        probe.success_threshold.unwrap_or(1),
        probe.failure_threshold.unwrap_or(3)
    );
    let number = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    if let Some(exec) = &probe.exec {
        return format!("exec [{}] {times}", exec.command.clone().unwrap_or_default().join(" "));
    }
    if let Some(get) = &probe.http_get {
        let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let (host, path) = (get.host.clone().unwrap_or_default(), get.path.clone().unwrap_or_default());
        return format!("http-get {scheme}://{host}:{}{path} {times}", number(&get.port));
    }
    match &probe.tcp_socket {
        Some(socket) => {
            format!("tcp-socket {}:{} {times}", socket.host.clone().unwrap_or_default(), number(&socket.port))
        }
        None => format!("unknown {times}"),
    }
}

fn env_from(lines: &mut Lines, sources: Option<&Vec<EnvFromSource>>) {
    let Some(sources) = sources.filter(|sources| !sources.is_empty()) else { return };
    lines.add(2, "Environment Variables from:");
    for source in sources {
        let map = source.config_map_ref.as_ref().map(|of| (&of.name, "ConfigMap", of.optional));
        let secret = source.secret_ref.as_ref().map(|of| (&of.name, "Secret", of.optional));
        let Some((name, kind, optional)) = map.or(secret) else { continue };
        let prefix = source.prefix.as_ref().filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map_or_else(String::new, |prefix| format!(" with prefix '{prefix}'"));
        lines.add(3, format!("{name}\t{kind}{prefix}\tOptional: {}", optional.unwrap_or(false)));
    }
}

fn environment(lines: &mut Lines, env: Option<&Vec<EnvVar>>) {
    let Some(env) = env.filter(|env| !env.is_empty()) else { return lines.add(2, "Environment:\t<none>") };
    lines.add(2, "Environment:");
    for variable in env {
        let from = variable.value_from.as_ref();
        let field = from.and_then(|from| from.field_ref.as_ref());
        let key = from.and_then(|from| from.config_map_key_ref.as_ref());
        let secret = from.and_then(|from| from.secret_key_ref.as_ref());
        let amount = from.and_then(|from| from.resource_field_ref.as_ref());
        let value = match (field, key) {
            _ if secret.is_some() || amount.is_some() => {
                let secret = secret.map(|secret| {
                    let (key, name) = (&secret.key, &secret.name);
                    let optional = secret.optional.unwrap_or(false);
                    format!("<set to the key '{key}' in secret '{name}'>\tOptional: {optional}")
                });
                secret.unwrap_or_else(|| {
                    let amount = amount.cloned().unwrap_or_default();
                    let container = amount.container_name.unwrap_or_default();
                    let container = if container.is_empty() { "node allocatable" } else { &container };
                    format!("{} ({})", container, amount.resource)
                })
            }
            (Some(field), _) => {
                let version = field.api_version.as_deref().unwrap_or("v1");
                format!(" ({version}:{})", field.field_path)
            }
            (_, Some(key)) => {
                let optional = key.optional.unwrap_or(false);
                format!("<set to the key '{}' of config map '{}'>\tOptional: {optional}", key.key, key.name)
            }
            (None, None) => variable.value.clone().unwrap_or_default().replace('\n', "\n      \t"),
        };
        lines.add(3, format!("{}:\t{value}", variable.name));
    }
}

fn mounts(lines: &mut Lines, container: &Container) {
    let mut mounts = container.volume_mounts.clone().unwrap_or_default();
    if mounts.is_empty() {
        return lines.add(2, "Mounts:\t<none>");
    }
    mounts.sort_by(|one, other| one.mount_path.cmp(&other.mount_path));
    lines.add(2, "Mounts:");
    for mount in mounts {
        let mut flags = vec![if mount.read_only == Some(true) { "ro" } else { "rw" }.to_owned()];
        flags.extend(mount.sub_path.filter(|path| !path.is_empty()).map(|path| format!("path={path:?}")));
        lines.add(3, format!("{} from {} ({})", mount.mount_path, mount.name, flags.join(",")));
    }
}

fn volumes(lines: &mut Lines, volumes: Option<&Vec<Volume>>, space: &str) {
    let Some(volumes) = volumes.filter(|volumes| !volumes.is_empty()) else {
        return lines.add(0, format!("{space}Volumes:\t<none>"));
    };
    lines.add(0, format!("{space}Volumes:"));
    for volume in volumes {
        lines.add(1, format!("{}{}:", if space.is_empty() { "" } else { " " }, volume.name));
        if let Some(empty) = &volume.empty_dir {
            lines.add(2, "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)");
            lines.add(2, format!("Medium:\t{}", empty.medium.clone().unwrap_or_default()));
            let limit = empty.size_limit.as_ref().map_or("<unset>", |limit| limit.0.as_str());
            lines.add(2, format!("SizeLimit:\t{limit}"));
        } else if let Some(map) = &volume.config_map {
            lines.add(2, "Type:\tConfigMap (a volume populated by a ConfigMap)");
            lines.add(2, format!("Name:\t{}", map.name));
            lines.add(2, format!("Optional:\t{}", map.optional.unwrap_or(false)));
        } else if let Some(host) = &volume.host_path {
            lines.add(2, "Type:\tHostPath (bare host directory volume)");
            lines.add(2, format!("Path:\t{}", host.path));
            lines.add(2, format!("HostPathType:\t{}", host.type_.clone().unwrap_or_default()));
        } else if let Some(secret) = &volume.secret {
            lines.add(2, "Type:\tSecret (a volume populated by a Secret)");
            lines.add(2, format!("SecretName:\t{}", secret.secret_name.clone().unwrap_or_default()));
            lines.add(2, format!("Optional:\t{}", secret.optional.unwrap_or(false)));
        } else if let Some(downward) = &volume.downward_api {
            lines.add(2, "Type:\tDownwardAPI (a volume populated by information about the pod)");
            lines.add(2, "Items:");
            for item in downward.items.iter().flatten() {
                let field = item.field_ref.as_ref().map(|field| field.field_path.clone());
                let amount = item.resource_field_ref.as_ref().map(|amount| amount.resource.clone());
                let from = field.or(amount).unwrap_or_default();
                lines.add(3, format!("{from} -> {}", item.path));
            }
        } else if volume.projected.is_some() {
            lines.add(2, "Type:\tProjected (a volume that contains injected data from multiple sources)");
        } else {
            lines.add(2, "<unknown>");
        }
    }
}
