//! EndpointSlices of services with a selector (`pkg/controller/endpointslice`).

use std::collections::BTreeMap;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForZone,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::replicaset::is_ready;
use super::{is_owned_by, owner_of, selects};
use crate::error::ApiError;
use crate::object::{Key, Kind, Object, SERVICE_NAME};
use crate::store::Store;

/// How many endpoints a slice holds at most (`--max-endpoints-per-slice`).
const MOST: usize = 100;

/// Writes the slices of all services.
pub fn sync(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let services: Vec<Service> = store.list::<Service>().cloned().collect();
    for service in services {
        let Some(selector) = service.spec.as_ref().and_then(|spec| spec.selector.clone()) else { continue };
        if selector.is_empty()
            || service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("ExternalName")
        {
            continue;
        }
        let wanted = slices(store, &service, &selector);
        write(store, &service, wanted, now)?;
    }
    Ok(())
}

/// The number of a port in a pod, for a port of the service.
fn target(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match port.target_port.as_ref()? {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let ports =
                pod.spec.iter().flat_map(|spec| &spec.containers).flat_map(|c| c.ports.iter().flatten());
            let mut same =
                ports.filter(|known| known.name.as_ref() == Some(name) && known.protocol == port.protocol);
            same.next().map(|known| known.container_port)
        }
    }
}

/// Ports and endpoints of the slices of a service: pods with the same numbers of ports stand together.
fn slices(
    store: &Store,
    service: &Service,
    selector: &BTreeMap<String, String>,
) -> Vec<(Vec<EndpointPort>, Vec<Endpoint>)> {
    let spec = service.spec.clone().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let mut by_ports: Vec<(Vec<EndpointPort>, Vec<Endpoint>)> = Vec::new();
    let in_namespace = |pod: &&Pod| pod.metadata.namespace.as_deref() == Some(namespace);
    for pod in
        store.list::<Pod>().filter(in_namespace).filter(|pod| selects(selector, pod.metadata.labels.as_ref()))
    {
        let status = pod.status.clone().unwrap_or_default();
        let over = ["Succeeded", "Failed"].contains(&status.phase.as_deref().unwrap_or_default());
        let (Some(address), false) = (status.pod_ip.clone(), over) else { continue };
        let ports: Vec<EndpointPort> = spec
            .ports
            .iter()
            .flatten()
            .filter_map(|port| {
                Some(EndpointPort {
                    name: Some(port.name.clone().unwrap_or_default()),
                    port: Some(target(port, pod)?),
                    protocol: port.protocol.clone(),
                    app_protocol: port.app_protocol.clone(),
                })
            })
            .collect();
        let endpoint = endpoint(store, (service.metadata.name.as_deref(), &spec), pod, address);
        match by_ports.iter_mut().find(|(known, all)| *known == ports && all.len() < MOST) {
            Some((_, all)) => all.push(endpoint),
            None => by_ports.push((ports, vec![endpoint])),
        }
    }
    if by_ports.is_empty() {
        by_ports.push((Vec::new(), Vec::new()));
    }
    hints(&spec, &mut by_ports);
    by_ports
}

fn endpoint(
    store: &Store,
    (service, spec): (Option<&str>, &k8s_openapi::api::core::v1::ServiceSpec),
    pod: &Pod,
    address: String,
) -> Endpoint {
    let node_name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let node = node_name.as_ref().and_then(|name| store.get::<Node>("", name));
    let zone =
        node.and_then(|node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned());
    let is_ending = pod.metadata.deletion_timestamp.is_some();
    // A pod of a service's subdomain has a name below the service's.
    let hostname = pod.spec.as_ref().and_then(|spec| {
        let is_below = spec.subdomain.is_some() && spec.subdomain.as_deref() == service;
        spec.hostname.clone().filter(|_| is_below)
    });
    let serving = is_ready(pod) || spec.publish_not_ready_addresses == Some(true);
    Endpoint {
        addresses: vec![address],
        conditions: Some(EndpointConditions {
            ready: Some(serving && (!is_ending || spec.publish_not_ready_addresses == Some(true))),
            serving: Some(serving),
            terminating: Some(is_ending),
        }),
        hostname,
        node_name,
        zone,
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    }
}

/// `trafficDistribution: PreferSameZone` (or `PreferClose`): each endpoint is for its own zone.
fn hints(spec: &k8s_openapi::api::core::v1::ServiceSpec, slices: &mut [(Vec<EndpointPort>, Vec<Endpoint>)]) {
    let wanted = matches!(spec.traffic_distribution.as_deref(), Some("PreferClose" | "PreferSameZone"));
    for endpoint in slices.iter_mut().flat_map(|(_, all)| all).filter(|_| wanted) {
        let is_ready = endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(true);
        if let (Some(zone), true) = (endpoint.zone.clone(), is_ready) {
            let zones = Some(vec![ForZone { name: zone }]);
            endpoint.hints = Some(EndpointHints { for_zones: zones, ..EndpointHints::default() });
        }
    }
}

/// Writes what changed: slices keep their names as long as there are as many.
fn write(
    store: &mut Store,
    service: &Service,
    wanted: Vec<(Vec<EndpointPort>, Vec<Endpoint>)>,
    now: Nanos,
) -> Result<(), ApiError> {
    let meta = &service.metadata;
    let (namespace, name) =
        (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
    let known: Vec<EndpointSlice> = store
        .list::<EndpointSlice>()
        .filter(|slice| is_owned_by(&slice.metadata, meta.uid.as_ref()))
        .cloned()
        .collect();
    let count = wanted.len();
    for (at, (ports, endpoints)) in wanted.into_iter().enumerate() {
        let Some(slice) = known.get(at) else {
            let labels = [
                (SERVICE_NAME, name.as_str()),
                ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"),
            ];
            let slice = EndpointSlice {
                metadata: ObjectMeta {
                    generate_name: Some(format!("{name}-")),
                    namespace: Some(namespace.clone()),
                    labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                    owner_references: Some(vec![owner_of(&service.clone().into())]),
                    ..ObjectMeta::default()
                },
                address_type: "IPv4".to_owned(),
                endpoints: Some(endpoints),
                ports: Some(ports),
            };
            store.create(slice, now)?;
            continue;
        };
        if slice.ports.as_ref() != Some(&ports) || slice.endpoints.as_ref() != Some(&endpoints) {
            let mut slice = slice.clone();
            (slice.ports, slice.endpoints) = (Some(ports), Some(endpoints));
            store.update(Object::from(slice), now)?;
        }
    }
    for slice in known.iter().skip(count) {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        store.delete(&Key::new(Kind::EndpointSlice, &namespace, name), None, now)?;
    }
    Ok(())
}
