//! The objects of a cluster behind rules and virtual servers.

use std::net::Ipv4Addr;

use glassnet_cluster::history::pod_word;
use glassnet_cluster::kube_proxy::explain::{Explained, Objects, Seen};
use glassnet_cluster::kube_router;
use glassnet_kernel::note::IpvsNote;
use glassnet_kernel::tables::xt::Table;
use glassnet_kernel::trace::Headers;
use glassnet_sim::Nanos;
use serde::Serialize;

use super::fields;
use super::rules::{Fate, Met};

/// What stands behind a rule or a virtual server, as JSON.
#[derive(Serialize)]
pub(crate) struct Object {
    agent: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<String>,
    why: String,
}

impl From<&Explained> for Object {
    fn from(Explained { agent, service, endpoint, policies, why }: &Explained) -> Object {
        let pod = endpoint.as_ref().and_then(|endpoint| endpoint.pod.as_ref());
        Object {
            agent,
            service: service.as_ref().map(|service| format!("{}/{}", service.namespace, service.name)),
            port: service.as_ref().map(|service| service.port.clone()),
            endpoint: endpoint.as_ref().map(|endpoint| endpoint.address.clone()),
            pod: pod.map(|(namespace, name)| format!("{namespace}/{name}")),
            node: endpoint.as_ref().and_then(|endpoint| endpoint.node.clone()),
            gone: endpoint.as_ref().is_some_and(|endpoint| endpoint.is_gone),
            policies: policies.clone(),
            why: why.clone(),
        }
    }
}

/// A packet with these headers, and its source.
fn seen(at: Nanos, headers: Option<&Headers>) -> Option<(Ipv4Addr, Seen)> {
    let fields = fields::fields(headers?);
    let value = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str());
    let port = value("tcp.dstport").or(value("udp.dstport"));
    let seen = Seen {
        at,
        protocol: value("ip.proto")?.parse().ok()?,
        dst: (value("ip.dst")?.parse().ok()?, port.and_then(|port| port.parse().ok()).unwrap_or(0)),
    };
    Some((value("ip.src")?.parse().ok()?, seen))
}

/// Finds what stands behind the rules that matched.
pub(super) fn explain(met: &mut Met, table: &Table, objects: &Objects, at: Nanos, headers: Option<&Headers>) {
    let Some((src, seen)) = seen(at, headers) else { return };
    for tried in met.tried.iter_mut().filter(|tried| matches!(tried.fate, Fate::Match { .. })) {
        let rules = table.chain(&tried.chain).map(|chain| &chain.rules);
        let rule = rules.and_then(|rules| rules.get(tried.number.checked_sub(1)?));
        tried.object = rule.and_then(|rule| {
            let of_policy =
                kube_router::explain::rule(&objects.history, table, &tried.chain, rule, (src, &seen));
            of_policy.or_else(|| objects.rule(met.table, &tried.chain, rule, &seen))
        });
    }
}

/// What stands behind a virtual server of IPVS.
pub(super) fn behind(note: &IpvsNote, objects: &Objects, at: Nanos) -> Option<Explained> {
    let (protocol, address, port) = note.service;
    objects.virtual_server(&Seen { at, protocol, dst: (address, port) }, note.dest)
}

/// A machine and a namespace: a pod by its name, the initial namespace by the machine's.
pub(super) fn host(objects: Option<&Objects>, machine: &str, netns: &str) -> String {
    match objects.and_then(|objects| objects.history.pod_in(netns)) {
        Some(pod) => pod_word(pod),
        None if netns.is_empty() => machine.to_owned(),
        None => format!("{machine}/{netns}"),
    }
}
