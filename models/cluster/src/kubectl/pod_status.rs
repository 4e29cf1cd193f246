//! The state of a pod in one word, as the API server sums it up.

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A pod in short.
pub(super) struct Shown {
    /// `Running`, `CrashLoopBackOff`, …
    pub reason: String,
    /// Containers that are ready.
    pub ready: usize,
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
    let mut shown = Shown {
        reason: status.reason.clone().unwrap_or_else(|| phase.clone()),
        ready: 0,
        restarts: 0,
        last_restart: None,
    };
    let mut has_running = false;
    for container in status.container_statuses.iter().flatten().rev() {
        shown.restarts += container.restart_count;
        let last =
            container.last_state.as_ref().and_then(|state| state.terminated.as_ref()?.finished_at.clone());
        shown.last_restart = shown.last_restart.max(last);
        let state = container.state.clone().unwrap_or_default();
        let waiting = state.waiting.and_then(|waiting| waiting.reason).filter(|reason| !reason.is_empty());
        if let Some(reason) = waiting {
            shown.reason = reason;
        } else if let Some(ended) = state.terminated {
            shown.reason = match (ended.reason.filter(|reason| !reason.is_empty()), ended.signal.unwrap_or(0))
            {
                (Some(reason), _) => reason,
                (None, 0) => format!("ExitCode:{}", ended.exit_code),
                (None, signal) => format!("Signal:{signal}"),
            };
        } else if container.ready && state.running.is_some() {
            has_running = true;
            shown.ready += 1;
        }
    }
    if shown.reason == "Completed" && has_running {
        let is_ready = condition(pod, "Ready").is_some_and(|condition| condition.status == "True");
        shown.reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
    }
    if pod.metadata.deletion_timestamp.is_some() && !["Succeeded", "Failed"].contains(&phase.as_str()) {
        shown.reason = "Terminating".to_owned();
    }
    shown
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
}
