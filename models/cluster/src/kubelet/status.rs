//! What the API server is told of a pod.

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};

use super::pod::{Running, Sandbox};
use crate::store::wall_clock;

/// The status of a pod on this node; times of its conditions are set when it is written.
pub(super) fn of(sandbox: &Sandbox, node_address: &str) -> PodStatus {
    let all = &sandbox.containers;
    let ready = all.iter().all(Running::is_ready);
    let over = |container: &Running| {
        container.program.is_none() && container.again.is_none() && container.last.is_some()
    };
    let phase = match () {
        () if all.iter().all(over) && all.iter().all(|container| container.last == Some(0)) => "Succeeded",
        () if all.iter().all(over) => "Failed",
        () if all.iter().any(|container| container.refused.is_some()) => "Pending",
        () => "Running",
    };
    let condition = |kind: &str, state: bool| PodCondition {
        type_: kind.to_owned(),
        status: if state { "True" } else { "False" }.to_owned(),
        ..PodCondition::default()
    };
    let conditions = vec![
        condition("Initialized", true),
        condition("Ready", ready),
        condition("ContainersReady", ready),
        condition("PodScheduled", true),
    ];
    let address = sandbox.address.map(|address| address.to_string());
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions),
        container_statuses: Some(all.iter().map(container).collect()),
        host_ip: Some(node_address.to_owned()),
        host_ips: Some(vec![HostIP { ip: node_address.to_owned() }]),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        start_time: Some(wall_clock(sandbox.started)),
        ..PodStatus::default()
    }
}

fn container(container: &Running) -> ContainerStatus {
    let started_at = Some(wall_clock(container.started));
    let ended = container.last.map(|exit_code| ContainerStateTerminated {
        exit_code,
        reason: Some(if exit_code == 0 { "Completed" } else { "Error" }.to_owned()),
        ..ContainerStateTerminated::default()
    });
    let mut state = ContainerState::default();
    if container.program.is_some() {
        state.running = Some(ContainerStateRunning { started_at });
    } else if let Some((reason, message)) = &container.refused {
        let (reason, message) = (Some((*reason).to_owned()), Some(message.clone()));
        state.waiting = Some(ContainerStateWaiting { reason, message });
    } else if container.again.is_some() {
        let message = "back-off restarting failed container";
        let (reason, message) = (Some("CrashLoopBackOff".to_owned()), Some(message.to_owned()));
        state.waiting = Some(ContainerStateWaiting { reason, message });
    } else {
        state.terminated = ended.clone();
    }
    let last_state = ended.filter(|_| state.terminated.is_none());
    ContainerStatus {
        name: container.spec.name.clone(),
        image: container.spec.image.clone().unwrap_or_default(),
        ready: container.is_ready(),
        started: Some(container.program.is_some()),
        restart_count: container.restarts,
        state: Some(state),
        last_state: last_state
            .map(|terminated| ContainerState { terminated: Some(terminated), ..Default::default() }),
        ..ContainerStatus::default()
    }
}

/// Writes a status. A condition that did not change keeps its time.
pub(super) fn write(pod: &mut Pod, mut status: PodStatus, now: Nanos) {
    let old = pod.status.take().unwrap_or_default();
    for condition in status.conditions.iter_mut().flatten() {
        let mut known = old.conditions.iter().flatten();
        let same = known.find(|known| known.type_ == condition.type_ && known.status == condition.status);
        condition.last_transition_time =
            same.map_or_else(|| Some(wall_clock(now)), |known| known.last_transition_time.clone());
    }
    pod.status = Some(status);
}
