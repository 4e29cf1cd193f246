//! Addresses of Ingresses: those of the service of ingress-nginx, or of the nodes where it runs.

use std::collections::BTreeSet;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::{
    Ingress, IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus,
};

use super::Again;
use crate::api::News;
use crate::ingress::{NAME, NAMESPACE, is_controller};
use crate::store::Store;

/// Writes the status of all Ingresses of a class.
pub fn sync(store: &mut Store, _: &[News], now: Nanos) -> Again {
    if !store.config.ingress {
        return Ok(None);
    }
    let service = store.get::<Service>(NAMESPACE, NAME);
    let balanced =
        service.and_then(|service| service.spec.as_ref()?.type_.as_deref()) == Some("LoadBalancer");
    let addresses: BTreeSet<String> = match balanced {
        true => {
            let status = service.and_then(|service| service.status.as_ref()?.load_balancer.clone());
            let ingress = status.and_then(|status| status.ingress).unwrap_or_default();
            ingress.into_iter().filter_map(|ingress| ingress.ip).collect()
        }
        false => {
            let running = |pod: &&Pod| {
                is_controller(pod)
                    && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            };
            store
                .list::<Pod>()
                .filter(running)
                .filter_map(|pod| pod.status.as_ref()?.host_ip.clone())
                .collect()
        }
    };
    let entry = |ip: String| IngressLoadBalancerIngress { ip: Some(ip), ..Default::default() };
    let wanted: Vec<_> = addresses.into_iter().map(entry).collect();
    let wanted = (!wanted.is_empty()).then_some(wanted);
    let places: Vec<(String, String)> = store
        .list::<Ingress>()
        .filter(|ingress| {
            ingress.spec.as_ref().is_some_and(|spec| spec.ingress_class_name.as_deref() == Some("nginx"))
        })
        .map(|ingress| {
            let meta = &ingress.metadata;
            (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
        })
        .collect();
    for (namespace, name) in places {
        store.edit((&namespace, &name), now, |ingress: &mut Ingress| {
            let load_balancer = Some(IngressLoadBalancerStatus { ingress: wanted.clone() });
            ingress.status = Some(IngressStatus { load_balancer });
        })?;
    }
    Ok(None)
}
