//! What pods ask for of their node, and the class of service that follows from it (`pkg/apis/core/v1/helper/qos`).

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::quantity::Amount;

/// What a container asks for (or may use at most) of a resource.
pub fn of_container(container: &Container, resource: &str, limit: bool) -> Amount {
    let resources = container.resources.as_ref();
    let amounts = resources.and_then(|all| if limit { all.limits.as_ref() } else { all.requests.as_ref() });
    amounts.and_then(|amounts| Amount::parse(&amounts.get(resource)?.0)).unwrap_or_default()
}

/// An init container that goes on beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// What a pod asks for (or may use at most) of a resource: its containers and sidecars together, or what an init container asks for
/// beside the sidecars that run by then, if that is more.
pub fn of_pod(spec: &PodSpec, resource: &str, limit: bool) -> Amount {
    let (mut sidecars, mut most) = (Amount::default(), Amount::default());
    for container in spec.init_containers.iter().flatten() {
        let own = of_container(container, resource, limit);
        if is_sidecar(container) {
            sidecars = sidecars.plus(own);
        }
        most = most.max(if is_sidecar(container) { sidecars } else { sidecars.plus(own) });
    }
    let add = |sum: Amount, container: &Container| sum.plus(of_container(container, resource, limit));
    spec.containers.iter().fold(sidecars, add).max(most)
}

/// The class of a pod: `Guaranteed` if each container has limits of CPU and memory, and asks for as much.
pub fn class(spec: &PodSpec) -> &'static str {
    let (mut asks, mut is_guaranteed) = (false, true);
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        for resource in ["cpu", "memory"] {
            let [request, limit] = [false, true].map(|limit| of_container(container, resource, limit));
            asks |= !request.is_zero() || !limit.is_zero();
            is_guaranteed &= !limit.is_zero() && (request.is_zero() || request == limit);
        }
    }
    match (asks, is_guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
