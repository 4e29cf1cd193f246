//! The places of a lesson: pods, nodes, and other machines and namespaces that have addresses.

use std::net::Ipv4Addr;

use glassnet_cluster::history::{Named, pod_word};
use glassnet_cluster::object::{Key, Kind};
use glassnet_kernel::kernel::INIT_NET;

use super::Settings;
use crate::trace::{Asker, Host, Protocol, Room, addresses_of};

/// Who sends.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name, as `glassnet trace -s` takes it.
    pub name: String,
    /// Machine and namespace.
    pub host: Host,
    /// The same in the world.
    pub room: Room,
    /// Its addresses.
    pub addresses: Vec<Ipv4Addr>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name, as `glassnet trace -d` takes it.
    pub name: String,
    /// The address.
    pub address: Ipv4Addr,
    /// By which packet.
    pub protocol: Protocol,
    /// To which port; ICMP has none.
    pub port: u16,
    /// It is a port of a service.
    pub is_service: bool,
}

/// Who sends and what is asked: pods, nodes, and others.
pub fn places(asker: &mut Asker, settings: &Settings) -> (Vec<Place>, Vec<Asked>) {
    let mut places = pods(asker);
    let known: Vec<Room> = places.iter().map(|place| place.room).collect();
    let nodes = asker.objects().map(|objects| objects.history.config.nodes.clone()).unwrap_or_default();
    let world = asker.world();
    let mut others = Vec::new();
    for kernel in &world.machines {
        let named = kernel.netns_names.iter().map(|(name, id)| (Some(name.clone()), *id));
        for (netns, id) in std::iter::once((None, INIT_NET)).chain(named) {
            let room = (kernel.id, id);
            let host = Host { machine: kernel.hostname.clone(), netns };
            let node = nodes.get(&host.machine).filter(|_| id == INIT_NET);
            let addresses = match node {
                Some(node) => vec![node.address.0],
                None => addresses_of(world, room),
            };
            if known.contains(&room) || addresses.is_empty() {
                continue;
            }
            let place = Place { name: host.to_string(), host, room, addresses };
            if node.is_some() { places.push(place) } else { others.push(place) }
        }
    }
    places.append(&mut others);
    let mut asked: Vec<Asked> = Vec::new();
    for place in &places {
        asked.extend(place.addresses.iter().map(|address| Asked {
            name: place.name.clone(),
            address: *address,
            protocol: settings.probe,
            port: settings.port,
            is_service: false,
        }));
    }
    if settings.services {
        asked.extend(services(asker));
    }
    (places, asked)
}

fn pods(asker: &mut Asker) -> Vec<Place> {
    let pods = asker.objects().map(|objects| objects.history.pods()).unwrap_or_default();
    let world = asker.world();
    let mut places = Vec::new();
    for (key, machine, netns, address) in pods {
        let Some(id) = world.machine(&machine) else { continue };
        let Some(netns_id) = world.kernel(id).netns_names.get(&netns).copied() else { continue };
        let host = Host { machine, netns: Some(netns) };
        let (name, room) = (pod_word(&key), (id, netns_id));
        places.push(Place { name, host, room, addresses: vec![address] });
    }
    places
}

fn services(asker: &Asker) -> Vec<Asked> {
    let all = asker.objects().map(|objects| objects.history.services()).unwrap_or_default();
    let mut asked = Vec::new();
    // The API server is not reached over the network here, so its service has no endpoints.
    let is_asked = |service: &Named| service.key != Key::new(Kind::Service, "default", "kubernetes");
    for service in all.into_iter().filter(is_asked) {
        for (port, protocol) in service.ports {
            let protocol = match protocol.as_str() {
                "TCP" => Protocol::Tcp,
                "UDP" => Protocol::Udp,
                // Nothing here speaks SCTP.
                _ => continue,
            };
            let name = match service.key.namespace.as_str() {
                "default" => format!("svc/{}", service.key.name),
                namespace => format!("svc/{}.{namespace}", service.key.name),
            };
            asked.push(Asked { name, address: service.address, protocol, port, is_service: true });
        }
    }
    asked
}
