//! The state of a pod in one word, as the API server sums it up.

use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::qos;

/// A pod in short.
pub(super) struct Shown {
    /// `Running`, `CrashLoopBackOff`, …
    pub reason: String,
    /// Containers that are ready.
    pub ready: usize,
    /// All of them, without init containers that end.
    pub total: usize,
    /// How often containers were started again.
    pub restarts: i32,
    /// When the last one ended before it was started again.
    pub last_restart: Option<Time>,
}

/// A condition of a pod.
pub(super) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let mut all = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    all.find(|condition| condition.type_ == kind)
}

/// A pod in short.
pub(super) fn of(pod: &Pod) -> Shown {
    let status = pod.status.clone().unwrap_or_default();
    let phase = status.phase.clone().unwrap_or_else(|| "Pending".to_owned());
    let spec = pod.spec.clone().unwrap_or_default();
    let sidecars = spec.init_containers.iter().flatten().filter(|one| qos::is_sidecar(one)).count();
    let mut shown = Shown {
        reason: status.reason.clone().unwrap_or_else(|| phase.clone()),
        ready: 0,
        total: spec.containers.len() + sidecars,
        restarts: 0,
        last_restart: None,
    };
    let initializing = init(&mut shown, &spec, &status);
    if !initializing || condition(pod, "Initialized").is_some_and(|condition| condition.status == "True") {
        containers(&mut shown, pod, &status);
    }
    if pod.metadata.deletion_timestamp.is_some() && !["Succeeded", "Failed"].contains(&phase.as_str()) {
        shown.reason = "Terminating".to_owned();
    }
    shown
}

/// Counts how often a container was started again, and when the last time was.
fn count(shown: &mut Shown, container: &ContainerStatus) {
    shown.restarts += container.restart_count;
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref()?.finished_at.clone());
    shown.last_restart = shown.last_restart.take().max(last);
}

/// Why a container ended, in one word.
fn ended(ended: &ContainerStateTerminated) -> String {
    match (ended.reason.as_ref().filter(|reason| !reason.is_empty()), ended.signal.unwrap_or(0)) {
        (Some(reason), _) => reason.clone(),
        (None, 0) => format!("ExitCode:{}", ended.exit_code),
        (None, signal) => format!("Signal:{signal}"),
    }
}

/// Takes init containers in. Whether one of them has not done its work yet.
fn init(shown: &mut Shown, spec: &PodSpec, status: &PodStatus) -> bool {
    let all = spec.init_containers.as_deref().unwrap_or_default();
    for (at, container) in status.init_container_statuses.iter().flatten().enumerate() {
        let is_sidecar = all.iter().any(|one| one.name == container.name && qos::is_sidecar(one));
        let state = container.state.clone().unwrap_or_default();
        count(shown, container);
        let waiting = state.waiting.and_then(|waiting| waiting.reason);
        let waiting = waiting.filter(|reason| !["", "PodInitializing"].contains(&reason.as_str()));
        match (&state.terminated, waiting) {
            (Some(ended), _) if ended.exit_code == 0 => {}
            _ if is_sidecar && container.started == Some(true) => shown.ready += usize::from(container.ready),
            (Some(last), _) => {
                shown.reason = format!("Init:{}", ended(last));
                return true;
            }
            (None, Some(reason)) => {
                shown.reason = format!("Init:{reason}");
                return true;
            }
            (None, None) => {
                shown.reason = format!("Init:{at}/{}", all.len());
                return true;
            }
        }
    }
    false
}

fn containers(shown: &mut Shown, pod: &Pod, status: &PodStatus) {
    let mut has_running = false;
    for container in status.container_statuses.iter().flatten().rev() {
        count(shown, container);
        let state = container.state.clone().unwrap_or_default();
        let waiting = state.waiting.and_then(|waiting| waiting.reason).filter(|reason| !reason.is_empty());
        if let Some(reason) = waiting {
            shown.reason = reason;
        } else if let Some(last) = state.terminated {
            shown.reason = ended(&last);
        } else if container.ready && state.running.is_some() {
            has_running = true;
            shown.ready += 1;
        }
    }
    if shown.reason == "Completed" && has_running {
        let is_ready = condition(pod, "Ready").is_some_and(|condition| condition.status == "True");
        shown.reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reason(status: serde_json::Value) -> String {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "status": status});
        of(&serde_json::from_value(pod).expect("pod")).reason
    }

    #[test]
    fn a_container_s_reason_counts_before_the_phase() {
        assert_eq!(reason(json!({})), "Pending");
        let waiting = |reason: &str| json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 1, "state": {"waiting": {"reason": reason}}});
        assert_eq!(
            reason(json!({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]})),
            "CrashLoopBackOff"
        );
    }

    #[test]
    fn init_containers_come_first() {
        let container = |state: serde_json::Value| json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let of = |states: Vec<serde_json::Value>| {
            let init: Vec<_> = states.iter().map(|_| json!({"name": "c"})).collect();
            let all: Vec<_> = states.into_iter().map(container).collect();
            let pod = json!({"metadata": {}, "spec": {"containers": [], "initContainers": init}, "status": {"phase": "Pending", "initContainerStatuses": all}});
            self::of(&serde_json::from_value(pod).expect("pod")).reason
        };
        let (done, failed) = (json!({"terminated": {"exitCode": 0}}), json!({"terminated": {"exitCode": 2}}));
        assert_eq!(of(vec![done.clone(), json!({"running": {}})]), "Init:1/2");
        assert_eq!(of(vec![failed]), "Init:ExitCode:2");
        assert_eq!(of(vec![json!({"waiting": {"reason": "CrashLoopBackOff"}})]), "Init:CrashLoopBackOff");
        assert_eq!(of(vec![done]), "Pending");
    }
}
