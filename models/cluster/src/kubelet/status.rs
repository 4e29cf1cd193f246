//! What the API server is told of a pod.

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus, VolumeMountStatus,
};

use super::container::{Ended, Running};
use super::images;
use super::pod::Sandbox;
use crate::store::wall_clock;

/// The status of a pod on this node; times of its conditions are set when it is written.
pub(super) fn of(sandbox: &Sandbox) -> PodStatus {
    let (init, others): (Vec<&Running>, Vec<&Running>) =
        sandbox.containers.iter().partition(|container| container.is_init);
    let phase = phase(sandbox, &others);
    let address = sandbox.address.map(|address| address.to_string());
    let node = sandbox.node_address.clone();
    let statuses = |all: &[&Running]| {
        let all: Vec<ContainerStatus> = all.iter().map(|one| container(sandbox, one)).collect();
        (!all.is_empty()).then_some(all)
    };
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions(sandbox, &init, &others, phase)),
        init_container_statuses: statuses(&init),
        container_statuses: statuses(&others),
        host_ip: Some(node.clone()),
        host_ips: Some(vec![HostIP { ip: node }]),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        start_time: Some(wall_clock(sandbox.started)),
        observed_generation: sandbox.pod.metadata.generation,
        ..PodStatus::default()
    }
}

fn phase(sandbox: &Sandbox, others: &[&Running]) -> &'static str {
    let succeeded = |container: &&&Running| container.last.as_ref().is_some_and(|last| last.status == 0);
    // Sidecars end with the pod.
    let sidecars_end = sandbox.containers.iter().all(|one| !one.is_sidecar() || one.program.is_none());
    match () {
        () if sandbox.has_failed_init() && sidecars_end => "Failed",
        () if others.iter().all(|container| container.is_over()) && sidecars_end => {
            if others.iter().filter(succeeded).count() == others.len() { "Succeeded" } else { "Failed" }
        }
        () if !sandbox.is_initialized() => "Pending",
        () if others.iter().any(|container| container.id.is_none()) => "Pending",
        () => "Running",
    }
}

fn conditions(sandbox: &Sandbox, init: &[&Running], others: &[&Running], phase: &str) -> Vec<PodCondition> {
    let generation = sandbox.pod.metadata.generation;
    let condition = |kind: &str, state: bool, why: Option<(&str, String)>| {
        let (reason, message) = why.map_or((None, None), |(reason, message)| {
            (Some(reason.to_owned()), Some(message).filter(|message| !message.is_empty()))
        });
        PodCondition {
            type_: kind.to_owned(),
            status: if state { "True" } else { "False" }.to_owned(),
            reason,
            message,
            observed_generation: generation,
            ..PodCondition::default()
        }
    };
    let unready = |all: &[&Running]| -> Vec<String> {
        let names = all.iter().filter(|one| !one.is_done_or_ready()).map(|one| one.spec.name.clone());
        names.collect()
    };
    let list = |names: &[String]| names.join(" ");
    let is_initialized = sandbox.is_initialized();
    let incomplete = unready(init);
    let initialized = match (is_initialized, phase) {
        (true, "Succeeded") => Some(("PodCompleted", String::new())),
        (true, _) => None,
        _ => Some((
            "ContainersNotInitialized",
            format!("containers with incomplete status: [{}]", list(&incomplete)),
        )),
    };
    let sidecars: Vec<&Running> = init.iter().copied().filter(|one| one.is_sidecar()).collect();
    let mut waiting = unready(&sidecars);
    waiting.extend(unready(others));
    let is_ready = waiting.is_empty();
    let ready = || match (is_ready, phase) {
        (true, _) => None,
        (_, "Succeeded") => Some(("PodCompleted", String::new())),
        (_, "Failed") => Some(("PodFailed", String::new())),
        _ => Some(("ContainersNotReady", format!("containers with unready status: [{}]", list(&waiting)))),
    };
    let has_network = sandbox.address.is_some() && !["Succeeded", "Failed"].contains(&phase);
    vec![
        condition("PodReadyToStartContainers", has_network, None),
        condition("Initialized", is_initialized, initialized),
        condition("Ready", is_ready, ready()),
        condition("ContainersReady", is_ready, ready()),
        condition("PodScheduled", true, None),
    ]
}

fn terminated(ended: &Ended) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: ended.status,
        reason: Some(if ended.status == 0 { "Completed" } else { "Error" }.to_owned()),
        container_id: Some(ended.id.clone()),
        started_at: Some(wall_clock(ended.started)),
        finished_at: Some(wall_clock(ended.at)),
        ..ContainerStateTerminated::default()
    }
}

fn container(sandbox: &Sandbox, container: &Running) -> ContainerStatus {
    let waiting = |reason: &str, message: Option<String>| ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message,
    };
    let (mut state, mut last) = (ContainerState::default(), None);
    if container.program.is_some() && container.hook.is_none() {
        state.running = Some(ContainerStateRunning { started_at: Some(wall_clock(container.started)) });
        last = container.before.as_ref();
    } else if let (Some((reason, message)), None) = (&container.refused, &container.program) {
        state.waiting = Some(waiting(reason, Some(message.clone())));
        last = container.last.as_ref();
    } else if let (Some(ended), None, None) = (&container.last, &container.program, container.again) {
        state.terminated = Some(terminated(ended));
        last = container.before.as_ref();
    } else if container.again.is_some() && container.pause() > 0 {
        let message = format!(
            "back-off {} restarting failed container={} pod={}_{}({})",
            go_seconds(container.pause()),
            container.spec.name,
            sandbox.key.name,
            sandbox.key.namespace,
            sandbox.uid
        );
        state.waiting = Some(waiting("CrashLoopBackOff", Some(message)));
        last = container.last.as_ref();
    } else {
        let reason = if sandbox.is_initialized() || container.is_init && container.id.is_some() {
            "ContainerCreating"
        } else {
            "PodInitializing"
        };
        let has_init = sandbox.containers.iter().any(|one| one.is_init);
        state.waiting = Some(waiting(if has_init { reason } else { "ContainerCreating" }, None));
        last = container.last.as_ref().or(last);
    }
    let (image, image_id) = images::identity(&container.spec);
    let is_made = container.id.is_some();
    let requests = container.spec.resources.as_ref().and_then(|all| all.requests.clone());
    ContainerStatus {
        name: container.spec.name.clone(),
        container_id: container.id.clone(),
        image: if is_made { image } else { container.spec.image.clone().unwrap_or_default() },
        image_id: if is_made { image_id } else { String::new() },
        ready: container.is_done_or_ready(),
        started: Some(container.is_started()),
        restart_count: container.restarts,
        state: Some(state),
        last_state: Some(ContainerState { terminated: last.map(terminated), ..Default::default() }),
        allocated_resources: requests.filter(|_| is_made),
        resources: container.spec.resources.clone().filter(|_| is_made),
        volume_mounts: mounts(container),
        ..ContainerStatus::default()
    }
}

/// A span of seconds as Go prints it: `10s`, `1m20s`, `5m0s`.
fn go_seconds(seconds: i64) -> String {
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{}s", seconds % 60),
    }
}

fn mounts(container: &Running) -> Option<Vec<VolumeMountStatus>> {
    let all = container.spec.volume_mounts.as_ref()?;
    let one = |mount: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: mount.read_only.filter(|read_only| *read_only).map(|_| "Disabled".to_owned()),
        ..VolumeMountStatus::default()
    };
    Some(all.iter().map(one).collect())
}

/// Writes a status. A condition that did not change keeps its time; what the API server says of the pod stays.
pub(super) fn write(pod: &mut Pod, mut status: PodStatus, now: Nanos) {
    let old = pod.status.take().unwrap_or_default();
    for condition in status.conditions.iter_mut().flatten() {
        let mut known = old.conditions.iter().flatten();
        let same = known.find(|known| known.type_ == condition.type_ && known.status == condition.status);
        condition.last_transition_time =
            same.map_or_else(|| Some(wall_clock(now)), |known| known.last_transition_time.clone());
    }
    status.qos_class = old.qos_class;
    pod.status = Some(status);
}
