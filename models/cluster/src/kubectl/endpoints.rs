//! Endpoints, as a view of the slices of a service. The real ones are objects of their own with the same content.

use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::printers::age;
use crate::object::{Object, SERVICE_NAME};
use crate::store::Store;

/// The slices of a service.
pub(super) fn slices<'a>(store: &'a Store, service: &Object) -> impl Iterator<Item = &'a EndpointSlice> {
    let (name, namespace) = (service.metadata().name.clone(), service.metadata().namespace.clone());
    store.list::<EndpointSlice>().filter(move |slice| {
        let of = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME).cloned());
        of == name && slice.metadata.namespace == namespace
    })
}

/// A service has endpoints, be it none at the moment.
pub(super) fn has(store: &Store, service: &Object) -> bool {
    slices(store, service).next().is_some()
}

/// The endpoints of a service.
pub(super) fn of(store: &Store, service: &Object) -> Value {
    let meta = service.metadata();
    let mut subsets: Vec<Value> = Vec::new();
    for slice in slices(store, service) {
        let address = |ready: bool| {
            let all = slice.endpoints.iter().flatten().filter(move |endpoint| {
                endpoint.conditions.as_ref().and_then(|state| state.ready).unwrap_or(true) == ready
            });
            let shown = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
                let mut shown = json!({"ip": endpoint.addresses.first()});
                if let Some(node) = &endpoint.node_name {
                    shown["nodeName"] = json!(node);
                }
                if let Some(target) = &endpoint.target_ref {
                    shown["targetRef"] = json!(target);
                }
                shown
            };
            all.map(shown).collect::<Vec<_>>()
        };
        let ports = slice.ports.iter().flatten().map(|port| {
            let mut shown = json!({"port": port.port, "protocol": port.protocol});
            if let Some(name) = port.name.as_ref().filter(|name| !name.is_empty()) {
                shown["name"] = json!(name);
            }
            shown
        });
        let (ready, waiting) = (address(true), address(false));
        if ready.is_empty() && waiting.is_empty() {
            continue;
        }
        let mut subset = json!({"ports": ports.collect::<Vec<_>>()});
        for (field, addresses) in [("addresses", ready), ("notReadyAddresses", waiting)] {
            if !addresses.is_empty() {
                subset[field] = json!(addresses);
            }
        }
        subsets.push(subset);
    }
    let mut value = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "creationTimestamp": meta.creation_timestamp,
            "labels": meta.labels.clone().unwrap_or_default(),
        },
    });
    if !subsets.is_empty() {
        value["subsets"] = json!(subsets);
    }
    value
}

/// Addresses with ports that are ready, cut behind three.
pub(super) fn shown(endpoints: &Value) -> String {
    let mut all = Vec::new();
    for subset in endpoints["subsets"].as_array().into_iter().flatten() {
        let ports = subset["ports"].as_array().cloned().unwrap_or_default();
        for address in subset["addresses"].as_array().into_iter().flatten() {
            let ip = address["ip"].as_str().unwrap_or_default();
            match ports.is_empty() {
                true => all.push(ip.to_owned()),
                false => all.extend(ports.iter().map(|port| format!("{ip}:{}", port["port"]))),
            }
        }
    }
    match all.len() {
        0 => "<none>".to_owned(),
        1..=3 => all.join(","),
        count => format!("{} + {} more...", all[..3].join(","), count - 3),
    }
}

/// The cells of a row.
pub(super) fn row(endpoints: &Value, created: Option<&Time>, now: &Time) -> Vec<String> {
    let name = endpoints["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    vec![name, shown(endpoints), age(created, now)]
}
