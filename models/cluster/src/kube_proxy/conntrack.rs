//! UDP has no end of a connection, so a connection tracked to an endpoint that is gone would take a client's packets for ever: such
//! entries are deleted. 1.20 and 1.30 run `conntrack -D` for what they know to have changed. 1.36, when
//! endpoints of UDP have changed, reads the table and deletes what does not fit, by netlink; here `conntrack -L` and `conntrack -D` do it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::changes::{Changes, Known};
use super::config::Version;
use super::services::{Protocol, ServicePort};
use super::tables::run;
use crate::command::Run;

/// Deletes stale entries after a sync.
pub async fn clean<R: Run>(known: &Known, changes: &Changes, version: Version, runner: &mut R) {
    if version < Version::V1_36 {
        clean_services(known, changes, version, runner).await;
        clean_endpoints(known, changes, version, runner).await;
    } else if changes.udp_endpoints {
        reconcile(known, runner).await;
    }
}

/// Deletes the entries of an address.
pub async fn forget<R: Run>(address: Ipv4Addr, runner: &mut R) {
    delete(runner, &["--orig-dst", &address.to_string(), "-p", "udp"]).await;
}

async fn delete<R: Run>(runner: &mut R, which: &[&str]) {
    // It fails if there is no such entry.
    run(runner, &[&["conntrack", "-D"], which].concat()).await;
}

/// Entries of addresses that are gone, and of services without endpoints until now: these were made when nobody answered.
async fn clean_services<R: Run>(known: &Known, changes: &Changes, version: Version, runner: &mut R) {
    let mut addresses: BTreeSet<Ipv4Addr> =
        changes.deleted_ports.iter().map(|port| port.cluster_ip).collect();
    let mut node_ports = BTreeSet::new();
    for service in changes.newly_active.iter().filter_map(|name| known.ports.get(name)) {
        addresses.insert(service.cluster_ip);
        addresses.extend(service.external_ips.iter().chain(&service.load_balancer_ips));
        if service.node_port != 0 && version >= Version::V1_30 {
            node_ports.insert(service.node_port);
        }
    }
    for address in addresses {
        forget(address, runner).await;
    }
    for port in node_ports {
        delete(runner, &["-p", "udp", "--dport", &port.to_string()]).await;
    }
}

async fn clean_endpoints<R: Run>(known: &Known, changes: &Changes, version: Version, runner: &mut R) {
    for (name, endpoint) in &changes.deleted_endpoints {
        let Some(service) = known.ports.get(name) else { continue };
        let to = endpoint.address.to_string();
        if service.node_port != 0 {
            delete(runner, &["-p", "udp", "--dport", &service.node_port.to_string(), "--dst-nat", &to]).await;
        }
        let cluster_ip = (service.node_port == 0 || version >= Version::V1_30).then_some(&service.cluster_ip);
        for address in cluster_ip.into_iter().chain(&service.external_ips).chain(&service.load_balancer_ips) {
            delete(runner, &["--orig-dst", &address.to_string(), "--dst-nat", &to, "-p", "udp"]).await;
        }
    }
}

/// Where entries of UDP services may lead.
#[derive(Default)]
struct Wanted {
    of_address: BTreeMap<(Ipv4Addr, u16), BTreeSet<Ipv4Addr>>,
    of_node_port: BTreeMap<u16, BTreeSet<Ipv4Addr>>,
}

impl Wanted {
    fn new(known: &Known) -> Self {
        let mut wanted = Self::default();
        for (name, service) in known.ports.iter().filter(|(_, service)| service.protocol == Protocol::Udp) {
            let endpoints = known.endpoints.get(name).into_iter().flatten();
            let serving: BTreeSet<_> = endpoints
                .filter(|endpoint| endpoint.state.is_serving)
                .map(|endpoint| endpoint.address)
                .collect();
            if !serving.is_empty() {
                wanted.insert(service, &serving);
            }
        }
        wanted
    }

    fn insert(&mut self, service: &ServicePort, serving: &BTreeSet<Ipv4Addr>) {
        let addresses = service.external_ips.iter().chain(&service.load_balancer_ips);
        for address in addresses.chain([&service.cluster_ip]) {
            self.of_address.insert((*address, service.port), serving.clone());
        }
        if service.node_port != 0 {
            self.of_node_port.insert(service.node_port, serving.clone());
        }
    }
}

async fn reconcile<R: Run>(known: &Known, runner: &mut R) {
    let wanted = Wanted::new(known);
    if wanted.of_address.is_empty() {
        return;
    }
    let answer = run(runner, &["conntrack", "-L", "-p", "udp"]).await;
    let entries: BTreeSet<_> = answer.stdout.lines().filter_map(Entry::parse).collect();
    for Entry { to, port, answers } in entries {
        let (port_text, from) = (port.to_string(), answers.to_string());
        if wanted.of_address.get(&(to, port)).is_some_and(|serving| !serving.contains(&answers)) {
            delete(
                runner,
                &[
                    "-p",
                    "udp",
                    "--orig-dst",
                    &to.to_string(),
                    "--orig-port-dst",
                    &port_text,
                    "--reply-src",
                    &from,
                ],
            )
            .await;
        }
        if wanted.of_node_port.get(&port).is_some_and(|serving| !serving.contains(&answers)) {
            delete(runner, &["-p", "udp", "--orig-port-dst", &port_text, "--reply-src", &from]).await;
        }
    }
}

/// An entry: where its first packet went to, and who answers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    to: Ipv4Addr,
    port: u16,
    answers: Ipv4Addr,
}

impl Entry {
    /// Reads a line of `conntrack -L`: the fields of the first direction stand before those of the other.
    fn parse(line: &str) -> Option<Self> {
        let values =
            |key: &'static str| line.split_whitespace().filter_map(move |word| word.strip_prefix(key));
        Some(Self {
            to: values("dst=").next()?.parse().ok()?,
            port: values("dport=").next()?.parse().ok()?,
            answers: values("src=").nth(1)?.parse().ok()?,
        })
    }
}
