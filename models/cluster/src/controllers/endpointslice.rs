//! EndpointSlices of services with a selector (`pkg/controller/endpointslice`).

use std::collections::{BTreeMap, BTreeSet};

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForZone,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::replicaset::is_ready;
use super::{Again, owner_of, selects};
use crate::api::News;
use crate::error::ApiError;
use crate::object::{Kept, Key, Kind, Object, SERVICE_NAME};
use crate::store::Store;

/// How many endpoints a slice holds at most (`--max-endpoints-per-slice`).
const MOST: usize = 100;

/// Writes the slices of the services of which something has changed: itself, its slices, or pods that it selects.
pub fn sync(store: &mut Store, news: &[News], now: Nanos) -> Again {
    let changed = changed(store, news);
    if changed.is_empty() {
        return Ok(None);
    }
    let pods = Pods::of(store);
    let mut wanted = Vec::new();
    for key in changed {
        let Some(service) = store.get::<Service>(&key.namespace, &key.name) else { continue };
        if let Some(selector) = selector(service) {
            wanted.push((service.clone(), slices(store, service, selector, &pods)));
        }
    }
    for (service, slices) in wanted {
        write(store, &service, slices, now)?;
    }
    Ok(None)
}

/// What a service selects, if its slices are written for it.
fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let spec = service.spec.as_ref()?;
    let selector = spec.selector.as_ref().filter(|selector| !selector.is_empty())?;
    (spec.type_.as_deref() != Some("ExternalName")).then_some(selector)
}

/// The services that news are about.
fn changed(store: &Store, news: &[News]) -> BTreeSet<Key> {
    let mut changed = BTreeSet::new();
    for News { key, before, object } in news {
        match key.kind {
            Kind::Service => _ = changed.insert(key.clone()),
            // Zones are written into slices.
            Kind::Node if zone(before.as_deref()) != zone(object.as_deref()) => {
                changed.extend(store.objects(Kind::Service).map(|service| service.key()));
            }
            Kind::EndpointSlice => {
                let labels = [before, object]
                    .into_iter()
                    .flatten()
                    .filter_map(|slice| slice.metadata().labels.as_ref());
                let services = labels.filter_map(|labels| labels.get(SERVICE_NAME));
                changed.extend(services.map(|name| Key::new(Kind::Service, &key.namespace, name)));
            }
            Kind::Pod => {
                let of_pod = |service: &&std::sync::Arc<Object>| {
                    let selector = Service::of(service).and_then(selector);
                    let mut pods = [before, object].into_iter().flatten();
                    selector
                        .is_some_and(|wanted| pods.any(|pod| selects(wanted, pod.metadata().labels.as_ref())))
                };
                let services = store.in_namespace(Kind::Service, &key.namespace).filter(of_pod);
                changed.extend(services.map(|service| service.key()));
            }
            _ => {}
        }
    }
    changed
}

fn zone(node: Option<&Object>) -> Option<&String> {
    node?.metadata().labels.as_ref()?.get("topology.kubernetes.io/zone")
}

/// Pods by namespace and by each of their labels.
#[derive(Default)]
struct Pods<'a>(BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a Pod>>);

impl<'a> Pods<'a> {
    fn of(store: &'a Store) -> Pods<'a> {
        let mut pods = Pods::default();
        for pod in store.list::<Pod>() {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            for (key, value) in pod.metadata.labels.iter().flatten() {
                pods.0.entry((namespace, key, value)).or_default().push(pod);
            }
        }
        pods
    }

    /// The pods that a selector selects.
    fn selected<'s>(
        &'s self,
        namespace: &'s str,
        selector: &'s BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'s Pod> {
        let lists = selector.iter().map(|(key, value)| {
            self.0.get(&(namespace, key.as_str(), value.as_str())).map_or(&[][..], Vec::as_slice)
        });
        let fewest = lists.min_by_key(|list| list.len()).unwrap_or_default();
        fewest.iter().copied().filter(|pod| selects(selector, pod.metadata.labels.as_ref()))
    }
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
    pods: &Pods,
) -> Vec<(Vec<EndpointPort>, Vec<Endpoint>)> {
    let spec = service.spec.clone().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let mut by_ports: Vec<(Vec<EndpointPort>, Vec<Endpoint>)> = Vec::new();
    for pod in pods.selected(namespace, selector) {
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
    let known: Vec<EndpointSlice> = store.owned::<EndpointSlice>(meta.uid.as_ref()).cloned().collect();
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
