//! What kube-proxy knows of services and endpoints, and what of it has changed since the last sync.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Objects;
use super::config::Version;
use super::endpoints::{self, Endpoint, Slice};
use super::names;
use super::services::{self, Name, Protocol, ServicePort, ServicePortName};

/// What was made of an object, and of which version of it.
struct Seen<T> {
    resource_version: Option<String>,
    round: u64,
    made: T,
}

/// Objects by namespace and name, which are looked up without making a string.
struct ByName<T>(BTreeMap<String, BTreeMap<String, Seen<T>>>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByName<T> {
    fn get(&self, (namespace, name): &Name) -> Option<&T> {
        Some(&self.0.get(namespace)?.get(name)?.made)
    }

    fn insert(&mut self, (namespace, name): Name, seen: Seen<T>) -> Option<T> {
        self.0.entry(namespace).or_default().insert(name, seen).map(|seen| seen.made)
    }

    /// Marks an object as still there. An object without a resource version is always read again.
    fn is_seen(&mut self, metadata: &ObjectMeta, round: u64) -> bool {
        let namespace = self.0.get_mut(metadata.namespace.as_deref().unwrap_or_default());
        let seen = namespace.and_then(|names| names.get_mut(metadata.name.as_deref().unwrap_or_default()));
        seen.is_some_and(|seen| {
            seen.round = round;
            seen.resource_version.is_some() && seen.resource_version == metadata.resource_version
        })
    }

    /// Takes out the objects that are no longer there.
    fn gone(&mut self, round: u64) -> Vec<(Name, T)> {
        let mut gone = Vec::new();
        for (namespace, names) in &mut self.0 {
            let old = names.extract_if(.., |_, seen| seen.round != round);
            gone.extend(old.map(|(name, seen)| ((namespace.clone(), name), seen.made)));
        }
        gone
    }
}

/// Everything known.
#[derive(Default)]
pub struct Known {
    round: u64,
    services: ByName<Vec<ServicePortName>>,
    slices: ByName<Option<Slice>>,
    slices_of: BTreeMap<Name, BTreeSet<Name>>,
    /// Ports of services.
    pub ports: BTreeMap<ServicePortName, ServicePort>,
    /// Endpoints of ports, in the order of their texts.
    pub endpoints: BTreeMap<ServicePortName, Vec<Endpoint>>,
}

/// What has changed since the last sync.
#[derive(Debug, Default)]
pub struct Changes {
    /// Services that changed, or whose endpoints did.
    pub services: BTreeSet<Name>,
    /// Ports of UDP services that are gone or have another address, as they were.
    pub deleted_ports: Vec<ServicePort>,
    /// Ports of UDP that had no serving endpoint and now have one.
    pub newly_active: Vec<ServicePortName>,
    /// Endpoints of UDP ports that no longer serve.
    pub deleted_endpoints: Vec<(ServicePortName, Endpoint)>,
    /// Endpoints of a UDP port have changed.
    pub udp_endpoints: bool,
}

impl Known {
    /// Learns from all objects. Objects with the resource version that was seen before cost a look-up.
    pub fn update(&mut self, objects: &Objects<'_>, node: &str, version: Version) -> Changes {
        self.round += 1;
        let mut changes = Changes::default();
        self.update_services(objects, version, &mut changes);
        self.update_slices(objects, node, version, &mut changes);
        changes
    }

    /// How many endpoints all services have.
    pub fn count_endpoints(&self) -> usize {
        self.ports.keys().filter_map(|name| self.endpoints.get(name)).map(Vec::len).sum()
    }

    /// Names of all ports, those of a service in its order.
    pub fn names_in_order(&self) -> impl Iterator<Item = &ServicePortName> {
        self.services.0.values().flat_map(BTreeMap::values).flat_map(|seen| &seen.made)
    }

    fn update_services(&mut self, objects: &Objects<'_>, version: Version, changes: &mut Changes) {
        for service in &objects.services {
            if self.services.is_seen(&service.metadata, self.round) {
                continue;
            }
            let ports = services::ports(service, version);
            let now: Vec<_> = ports.iter().map(|(name, _)| name.clone()).collect();
            let seen = Seen {
                resource_version: service.metadata.resource_version.clone(),
                round: self.round,
                made: now,
            };
            let before = self.services.insert(name_of(&service.metadata), seen).unwrap_or_default();
            let is_kept = |port: &ServicePortName| ports.iter().any(|(name, _)| name == port);
            for port in before.iter().filter(|port| !is_kept(port)) {
                remove(&mut self.ports, port, changes);
            }
            for (name, port) in ports {
                insert(&mut self.ports, name, port, changes);
            }
        }
        for port in self.services.gone(self.round).iter().flat_map(|(_, ports)| ports) {
            remove(&mut self.ports, port, changes);
        }
    }

    fn update_slices(&mut self, objects: &Objects<'_>, node: &str, version: Version, changes: &mut Changes) {
        let mut changed = BTreeSet::new();
        for object in &objects.slices {
            if self.slices.is_seen(&object.metadata, self.round) {
                continue;
            }
            let name = name_of(&object.metadata);
            let made = endpoints::slice(object, node, version);
            let before = self.slices.get(&name).and_then(Option::as_ref);
            let is_same = before == made.as_ref();
            let before = before.map(|slice| slice.service.clone());
            let service = made.as_ref().map(|slice| slice.service.clone());
            let resource_version = object.metadata.resource_version.clone();
            self.slices.insert(name.clone(), Seen { resource_version, round: self.round, made });
            if is_same {
                continue;
            }
            if let Some(before) = before {
                self.forget_slice(before, &name, &mut changed);
            }
            if let Some(service) = service {
                self.slices_of.entry(service.clone()).or_default().insert(name);
                changed.insert(service);
            }
        }
        for (name, slice) in self.slices.gone(self.round) {
            if let Some(slice) = slice {
                self.forget_slice(slice.service, &name, &mut changed);
            }
        }
        for service in changed {
            self.update_endpoints(service, changes);
        }
    }

    fn forget_slice(&mut self, service: Name, slice: &Name, changed: &mut BTreeSet<Name>) {
        if let Some(slices) = self.slices_of.get_mut(&service) {
            slices.remove(slice);
            if slices.is_empty() {
                self.slices_of.remove(&service);
            }
        }
        changed.insert(service);
    }

    /// Puts the slices of a service together. An address that is in two slices is one endpoint.
    fn update_endpoints(&mut self, service: Name, changes: &mut Changes) {
        let mut ports = BTreeMap::<ServicePortName, BTreeMap<String, Endpoint>>::new();
        let slices = self.slices_of.get(&service).into_iter().flatten();
        for slice in slices.filter_map(|name| self.slices.get(name)?.as_ref()) {
            for (port, protocol, number) in &slice.ports {
                let name =
                    ServicePortName { service: service.clone(), port: port.clone(), protocol: *protocol };
                let service_port = name.to_string();
                let found = ports.entry(name).or_default();
                for (address, state) in &slice.endpoints {
                    let text = format!("{address}:{number}");
                    if !found.contains_key(&text) || state.is_local {
                        let chain = names::endpoint_chain(&service_port, protocol.as_str(), &text);
                        let endpoint = Endpoint {
                            address: *address,
                            port: *number,
                            text: text.clone(),
                            chain,
                            state: state.clone(),
                        };
                        found.insert(text, endpoint);
                    }
                }
            }
        }
        let first =
            ServicePortName { service: service.clone(), port: String::new(), protocol: Protocol::Tcp };
        let old: Vec<_> = self
            .endpoints
            .range(first..)
            .map(|(name, _)| name)
            .take_while(|name| name.service == service)
            .cloned()
            .collect();
        for name in old {
            let before = self.endpoints.remove(&name).unwrap_or_default();
            let now = ports.remove(&name);
            self.replace(name, &before, now, changes);
        }
        for (name, now) in ports {
            self.replace(name, &[], Some(now), changes);
        }
    }

    fn replace(
        &mut self,
        name: ServicePortName,
        before: &[Endpoint],
        now: Option<BTreeMap<String, Endpoint>>,
        changes: &mut Changes,
    ) {
        let now: Vec<_> = now.into_iter().flat_map(BTreeMap::into_values).collect();
        if before != now {
            changes.services.insert(name.service.clone());
            if name.protocol == Protocol::Udp {
                changes.add_udp_endpoints(&name, before, &now);
            }
        }
        if !now.is_empty() {
            self.endpoints.insert(name, now);
        }
    }
}

impl Changes {
    fn add_udp_endpoints(&mut self, name: &ServicePortName, before: &[Endpoint], now: &[Endpoint]) {
        self.udp_endpoints = true;
        let serving = |list: &[Endpoint]| {
            list.iter()
                .filter(|endpoint| endpoint.state.is_serving)
                .map(|endpoint| endpoint.text.clone())
                .collect::<BTreeSet<_>>()
        };
        let (was, is) = (serving(before), serving(now));
        let gone =
            before.iter().filter(|endpoint| was.contains(&endpoint.text) && !is.contains(&endpoint.text));
        self.deleted_endpoints.extend(gone.map(|endpoint| (name.clone(), endpoint.clone())));
        if was.is_empty() && !is.is_empty() {
            self.newly_active.push(name.clone());
        }
    }
}

fn name_of(metadata: &ObjectMeta) -> Name {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

fn remove(ports: &mut BTreeMap<ServicePortName, ServicePort>, name: &ServicePortName, changes: &mut Changes) {
    let Some(port) = ports.remove(name) else { return };
    changes.services.insert(name.service.clone());
    if port.protocol == Protocol::Udp {
        changes.deleted_ports.push(port);
    }
}

fn insert(
    ports: &mut BTreeMap<ServicePortName, ServicePort>,
    name: ServicePortName,
    port: ServicePort,
    changes: &mut Changes,
) {
    if ports.get(&name) == Some(&port) {
        return;
    }
    changes.services.insert(name.service.clone());
    let cluster_ip = port.cluster_ip;
    if let Some(before) = ports.insert(name, port)
        && before.protocol == Protocol::Udp
        && before.cluster_ip != cluster_ip
    {
        changes.deleted_ports.push(before);
    }
}
