//! Addresses of load balancers brought to nodes, as MetalLB does it: by ARP, with which one node answers for an address, or by routes at a
//! router, to all nodes.
//!
//! MetalLB answers ARP itself; here the node's kernel does, because the elected node has the address. Its routes come by BGP; here a program
//! on the router sets them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Process, Running};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use sha2::{Digest, Sha256};

use crate::api::{self, ApiServer, Watch};
use crate::command::{Command, NodeShell, Run, hostname};
use crate::config::Announce;
use crate::controllers::balancer_addresses;
use crate::object::{Kind, SERVICE_NAME};

/// A command that failed is tried again after so long.
const AGAIN: Nanos = Nanos(1_000_000_000);

const WATCHED: &[Kind] = &[Kind::EndpointSlice, Kind::Node, Kind::Service];

/// The label of nodes to which no load balancer sends.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Entry point of `cloud-load-balancer`.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let own = hostname(process);
        let api = ApiServer::of(process);
        let role = api.as_ref().and_then(|api| role(api, &own));
        let (Some(api), Some(role)) = (api, role) else {
            process.eprint("cloud-load-balancer: this machine announces nothing\n");
            return 1;
        };
        let (mut watch, mut done, mut again) = (Watch::of(WATCHED), BTreeMap::new(), None);
        loop {
            api::wait(process, &api, &mut watch, again, |_| false).await;
            let now = process.now();
            let news = watch.take(&api.store(), now);
            let is_due = again.take_if(|at| *at <= now).is_some();
            if !is_due && news.is_empty() {
                continue;
            }
            let wanted = role.wanted(&watch, &own);
            if !apply(process, &api, &role, &mut done, wanted).await {
                again = Some(process.now() + AGAIN);
            }
        }
    })
}

/// What a machine does.
enum Role {
    /// It has the addresses at this device for which it is elected.
    Node(String),
    /// It has routes to nodes.
    Router,
}

fn role(api: &ApiServer, own: &str) -> Option<Role> {
    let store = api.store();
    match store.config.announce.as_ref()? {
        Announce::Arp => store.config.nodes.get(own).map(|node| Role::Node(node.device.clone())),
        Announce::Routes { router } => (router == own).then_some(Role::Router),
    }
}

/// An address, and the nodes (by address) to which it leads.
type Placed = BTreeMap<Ipv4Addr, Vec<Ipv4Addr>>;

impl Role {
    /// What this machine is to announce.
    fn wanted(&self, watch: &Watch, own: &str) -> Placed {
        let mut all = Placed::new();
        for (address, nodes) in usable(watch) {
            match self {
                Self::Router => _ = all.insert(address, nodes.into_values().collect()),
                Self::Node(_) if elected(address, nodes.keys()) == Some(own) => {
                    _ = all.insert(address, Vec::new());
                }
                Self::Node(_) => {}
            }
        }
        all
    }

    /// Brings an address to nodes.
    fn add(&self, address: Ipv4Addr, nodes: &[Ipv4Addr]) -> Vec<String> {
        match (self, nodes) {
            (Self::Node(device), _) => vec![
                format!("ip addr add {address}/32 dev {device}"),
                // All learn at once that another node has it.
                format!("arping -c 1 -U -I {device} {address}"),
            ],
            (Self::Router, [one]) => vec![format!("ip route replace {address} via {one}")],
            (Self::Router, several) => {
                let hops: String = several.iter().map(|node| format!(" nexthop via {node}")).collect();
                vec![format!("ip route replace {address}{hops}")]
            }
        }
    }

    fn remove(&self, address: Ipv4Addr) -> String {
        match self {
            Self::Node(device) => format!("ip addr del {address}/32 dev {device}"),
            Self::Router => format!("ip route del {address}"),
        }
    }
}

/// Runs what leads from what is done to what is wanted. False: a command failed, and is to be tried again.
async fn apply(
    process: &mut Process,
    api: &Arc<ApiServer>,
    role: &Role,
    done: &mut Placed,
    wanted: Placed,
) -> bool {
    let mut shell = NodeShell { process, api: api.clone() };
    let gone: Vec<Ipv4Addr> = done.keys().filter(|address| !wanted.contains_key(*address)).copied().collect();
    for address in gone {
        // Who took it away by hand has done the work.
        shell.run(Command::words(&role.remove(address))).await;
        done.remove(&address);
    }
    let mut is_done = true;
    for (address, nodes) in wanted {
        if done.get(&address) == Some(&nodes) {
            continue;
        }
        let mut answers = Vec::new();
        for line in role.add(address, &nodes) {
            answers.push(shell.run(Command::words(&line)).await.status);
        }
        // Nobody needs to hear of it: an announcement is no answer.
        match answers.first() {
            Some(0) => _ = done.insert(address, nodes),
            _ => is_done = false,
        }
    }
    is_done
}

/// The nodes by name, with their addresses, to which an address of a load balancer may lead: with the policy Local only those that
/// have a ready endpoint, else all, if there is one anywhere.
fn usable(watch: &Watch) -> BTreeMap<Ipv4Addr, BTreeMap<String, Ipv4Addr>> {
    let nodes: BTreeMap<String, Ipv4Addr> = watch.all::<Node>().filter_map(node).collect();
    let ready = ready(watch);
    let mut all = BTreeMap::new();
    for service in watch.all::<Service>() {
        let Some(ready) = ready.get(&(service.metadata.namespace.clone(), service.metadata.name.clone()))
        else {
            continue;
        };
        let policy = service.spec.as_ref().and_then(|spec| spec.external_traffic_policy.as_deref());
        let is_local = policy == Some("Local");
        let may = |name: &String| !is_local || ready.contains(name);
        let nodes: BTreeMap<String, Ipv4Addr> =
            nodes.clone().into_iter().filter(|(name, _)| may(name)).collect();
        if !nodes.is_empty() {
            all.extend(balancer_addresses(service).map(|address| (address, nodes.clone())));
        }
    }
    all
}

fn node(node: &Node) -> Option<(String, Ipv4Addr)> {
    let labels = node.metadata.labels.as_ref();
    if labels.is_some_and(|labels| labels.contains_key(EXCLUDED)) {
        return None;
    }
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let address = addresses.iter().find(|address| address.type_ == "InternalIP")?;
    Some((node.metadata.name.clone()?, address.address.parse().ok()?))
}

/// Services (namespace and name) that have ready endpoints, with the nodes of these.
fn ready(watch: &Watch) -> BTreeMap<(Option<String>, Option<String>), BTreeSet<String>> {
    let mut all: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for slice in watch.all::<EndpointSlice>() {
        let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
        for endpoint in slice.endpoints.iter().flatten() {
            let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready);
            if ready.unwrap_or(true) {
                let nodes = all.entry((slice.metadata.namespace.clone(), service.cloned())).or_default();
                nodes.extend(endpoint.node_name.clone());
            }
        }
    }
    all
}

/// The node that answers for an address: the first by the hash of its name and the address, so that all come to the same.
fn elected<'n>(address: Ipv4Addr, nodes: impl Iterator<Item = &'n String>) -> Option<&'n str> {
    nodes.min_by_key(|name| Sha256::digest(format!("{name}#{address}"))).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_is_elected_and_addresses_spread() {
        let nodes = ["node1", "node2", "node3"].map(str::to_owned);
        let of = |last: u8, nodes: &[String]| {
            elected(Ipv4Addr::new(192, 168, 0, last), nodes.iter()).map(str::to_owned)
        };
        let chosen: BTreeSet<_> = (200..216).map(|last| of(last, &nodes)).collect();
        assert_eq!(chosen.len(), 3, "{chosen:?}");
        // Whatever the order; and another node takes over only what the one had that is gone.
        for last in 200..216 {
            let [first, second, third] = nodes.clone();
            let turned = [third.clone(), first.clone(), second.clone()];
            assert_eq!(of(last, &nodes), of(last, &turned));
            if of(last, &nodes) != Some(third) {
                assert_eq!(of(last, &nodes), of(last, &[first, second]));
            }
        }
        assert_eq!(of(200, &[]), None);
    }

    #[test]
    fn a_router_has_a_next_hop_for_each_node() {
        let [vip, one, two] = [[192, 168, 9, 1], [192, 168, 0, 11], [192, 168, 0, 12]].map(Ipv4Addr::from);
        assert_eq!(Role::Router.add(vip, &[one]), ["ip route replace 192.168.9.1 via 192.168.0.11"]);
        assert_eq!(
            Role::Router.add(vip, &[one, two]),
            ["ip route replace 192.168.9.1 nexthop via 192.168.0.11 nexthop via 192.168.0.12"]
        );
    }
}
