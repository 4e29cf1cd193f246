//! The userspace mode of 1.20, the first that Kubernetes had and the slowest; it left Kubernetes in 1.26. kube-proxy listens at a port of
//! its own for each service port; rules send what goes to a service there, and kube-proxy makes another connection to an endpoint, which
//! takes turns with the others. A packet so passes through a process, and the endpoint sees the node's address.
//!
//! | chain | for |
//! |---|---|
//! | `KUBE-PORTALS-CONTAINER`, `KUBE-PORTALS-HOST` | cluster addresses and external ones; from pods, and from the node itself |
//! | `KUBE-NODEPORT-CONTAINER`, `KUBE-NODEPORT-HOST` | node ports |
//! | `KUBE-NODEPORT-NON-LOCAL` | node ports where a firewall drops other traffic |
//!
//! The sockets are data ([`super::health::Listener`]). The real one lets the kernel choose its ports; here a service's name does. It reads
//! Endpoints, and never starts with EndpointSlices; here the slices' ready endpoints are what Endpoints would hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use super::changes::Known;
use super::config::Config;
use super::health::{Listener, Purpose};
use super::names;
use super::services::{Protocol, ServicePort, ServicePortName};
use super::tables::{Iptables, Position, run};
use super::{Around, SyncError, conntrack};
use crate::command::Run;

/// First and number of the ports from which Linux takes one for a socket that asks for any.
const EPHEMERAL: (u16, u16) = (32768, 28232);

const CLUSTER_IPS: &[&str] =
    &["-m", "comment", "--comment", "handle ClusterIPs; NOTE: this must be before the NodePort rules"];
const NODE_PORTS: &[&str] = &[
    "-m",
    "addrtype",
    "--dst-type",
    "LOCAL",
    "-m",
    "comment",
    "--comment",
    "handle service NodePorts; NOTE: this must be the last rule in the chain",
];
const NON_LOCAL: &[&str] = &["-m", "comment", "--comment", "Ensure that non-local NodePort traffic can flow"];

/// The chains: table, name, where the jump stands, and what it matches. Portals come before node ports.
const CHAINS: [(&str, &str, &str, Position, &[&str]); 5] = [
    ("nat", "KUBE-PORTALS-CONTAINER", "PREROUTING", Position::Prepend, CLUSTER_IPS),
    ("nat", "KUBE-PORTALS-HOST", "OUTPUT", Position::Prepend, CLUSTER_IPS),
    ("nat", "KUBE-NODEPORT-CONTAINER", "PREROUTING", Position::Append, NODE_PORTS),
    ("nat", "KUBE-NODEPORT-HOST", "OUTPUT", Position::Append, NODE_PORTS),
    ("filter", "KUBE-NODEPORT-NON-LOCAL", "INPUT", Position::Prepend, NON_LOCAL),
];

/// A service port that is proxied.
struct Portal {
    service: ServicePort,
    proxy_port: u16,
}

/// What it keeps between two syncs.
pub struct Proxier {
    iptables: Iptables,
    portals: BTreeMap<ServicePortName, Portal>,
}

impl Proxier {
    /// As it is before its first sync.
    pub fn new(config: &Config) -> Self {
        Self { iptables: Iptables::new(config.version), portals: BTreeMap::new() }
    }

    /// What is done once, before the first sync.
    pub async fn start<R: Run>(&mut self, runner: &mut R) -> Result<(), SyncError> {
        run(runner, &["iptables", "--version"]).await;
        self.make_chains(runner).await?;
        for (table, chain, ..) in CHAINS {
            self.iptables.flush_chain(runner, table, chain).await?;
        }
        Ok(())
    }

    async fn make_chains<R: Run>(&self, runner: &mut R) -> Result<(), SyncError> {
        for (table, chain, from, position, matching) in CHAINS {
            self.iptables.ensure_chain(runner, table, chain).await?;
            let rule = [matching, &["-j", chain]].concat();
            self.iptables.ensure_rule(runner, position, table, from, &rule).await?;
        }
        Ok(())
    }

    /// Opens what is new, closes what is gone, and sees to the rules of all.
    pub async fn sync<R: Run>(
        &mut self,
        around: &Around<'_>,
        known: &Known,
        runner: &mut R,
    ) -> Result<(), SyncError> {
        self.make_chains(runner).await?;
        let host = host_address(around);
        for name in known.names_in_order() {
            let Some(service) = known.ports.get(name) else { continue };
            match self.portals.get(name) {
                Some(portal) if is_same(&portal.service, service) => continue,
                Some(_) => self.close(name, host, runner).await?,
                None => {}
            }
            let portal = Portal { service: service.clone(), proxy_port: self.free_port(name, known) };
            self.open(name, &portal, host, runner).await?;
            self.portals.insert(name.clone(), portal);
        }
        let gone: Vec<_> =
            self.portals.keys().filter(|name| !known.ports.contains_key(name)).cloned().collect();
        for name in gone {
            let address = self.portals[&name].service.cluster_ip;
            self.close(&name, host, runner).await?;
            if name.protocol == Protocol::Udp {
                conntrack::forget(address, runner).await;
            }
        }
        for (name, portal) in &self.portals {
            self.open(name, portal, host, runner).await?;
        }
        Ok(())
    }

    fn free_port(&self, name: &ServicePortName, known: &Known) -> u16 {
        let (first, count) = EPHEMERAL;
        let proxied = self.portals.values().map(|portal| portal.proxy_port);
        let taken: BTreeSet<u16> =
            proxied.chain(known.ports.values().map(|service| service.node_port)).collect();
        let start = names::number(&format!("{name}/{}", name.protocol)) % u32::from(count);
        #[expect(clippy::cast_possible_truncation, reason = "less than count")]
        let port = |step: u16| first + ((start + u32::from(step)) % u32::from(count)) as u16;
        (0..count).map(port).find(|port| !taken.contains(port)).unwrap_or(first)
    }

    async fn open<R: Run>(
        &self,
        name: &ServicePortName,
        portal: &Portal,
        host: Ipv4Addr,
        runner: &mut R,
    ) -> Result<(), SyncError> {
        for (table, chain, rule) in rules(name, portal, host) {
            let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
            self.iptables.ensure_rule(runner, Position::Append, table, chain, &rule).await?;
        }
        Ok(())
    }

    async fn close<R: Run>(
        &mut self,
        name: &ServicePortName,
        host: Ipv4Addr,
        runner: &mut R,
    ) -> Result<(), SyncError> {
        let Some(portal) = self.portals.get(name) else { return Ok(()) };
        for (table, chain, rule) in rules(name, portal, host) {
            let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
            self.iptables.delete_rule(runner, table, chain, &rule).await?;
        }
        self.portals.remove(name);
        Ok(())
    }

    /// The sockets: a proxy for each service port, and ports that are held so that nobody else takes them.
    pub fn listeners(&self, known: &Known, addresses: &[Ipv4Addr]) -> Vec<Listener> {
        let mut listeners = Vec::new();
        for (name, Portal { service, proxy_port }) in &self.portals {
            let endpoints = known.endpoints.get(name).into_iter().flatten();
            let endpoints =
                endpoints.map(|endpoint| SocketAddrV4::new(endpoint.address, endpoint.port)).collect();
            let mut listen = |address, port, purpose| {
                listeners.push(Listener { address, port, protocol: service.protocol, purpose });
            };
            let proxy = Purpose::Proxy { service: name.clone(), endpoints, affinity: service.affinity };
            listen(None, *proxy_port, proxy);
            let portals = service.external_ips.iter().chain(&service.load_balancer_ips);
            for address in portals.filter(|address| addresses.contains(address)) {
                listen(Some(*address), service.port, Purpose::Held(name.clone()));
            }
            if service.node_port != 0 {
                listen(None, service.node_port, Purpose::Held(name.clone()));
            }
        }
        listeners
    }
}

/// What the node's own packets are sent to: its address, or else the first that is not 127.0.0.1.
fn host_address(around: &Around<'_>) -> Ipv4Addr {
    let first = around.addresses.iter().find(|address| !address.is_loopback()).copied();
    around.node_address.or(first).unwrap_or(Ipv4Addr::LOCALHOST)
}

/// Whether a port may stay open: how long a client stays with its endpoint is not looked at.
fn is_same(before: &ServicePort, now: &ServicePort) -> bool {
    let what = |service: &ServicePort| {
        (service.protocol, service.port, service.node_port, service.cluster_ip, service.affinity.is_some())
    };
    what(before) == what(now)
        && before.external_ips == now.external_ips
        && before.load_balancer_ips == now.load_balancer_ips
}

type Rule = (&'static str, &'static str, Vec<String>);

/// The rules of a service port, each with its table and chain.
fn rules(name: &ServicePortName, portal: &Portal, host: Ipv4Addr) -> Vec<Rule> {
    let Portal { service, proxy_port } = portal;
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let protocol = name.protocol;
    let packets = |port: u16, rest: &str| {
        words(&format!("-m comment --comment {name} -p {protocol} -m {protocol} --dport {port}{rest}"))
    };
    // To the address of the device by which the packet came; packets of the node itself came by none.
    let from_pods =
        |port, matching: &str| packets(port, &format!("{matching} -j REDIRECT --to-ports {proxy_port}"));
    let from_host = |port, matching: &str| {
        packets(port, &format!("{matching} -j DNAT --to-destination {host}:{proxy_port}"))
    };
    let mut rules = Vec::new();
    let mut add_portal = |address: &Ipv4Addr, is_external: bool| {
        let to = format!(" -d {address}/32");
        let local = format!("{to} -m addrtype --dst-type LOCAL");
        if is_external {
            // From off this node; or to an address that is the node's own.
            let off_node = format!("{to} -m physdev ! --physdev-is-in");
            rules.push(("nat", "KUBE-PORTALS-CONTAINER", from_pods(service.port, &off_node)));
            rules.push(("nat", "KUBE-PORTALS-CONTAINER", from_pods(service.port, &local)));
            rules.push(("nat", "KUBE-PORTALS-HOST", from_host(service.port, &local)));
        } else {
            rules.push(("nat", "KUBE-PORTALS-CONTAINER", from_pods(service.port, &to)));
            rules.push(("nat", "KUBE-PORTALS-HOST", from_host(service.port, &to)));
        }
    };
    add_portal(&service.cluster_ip, false);
    service.external_ips.iter().for_each(|address| add_portal(address, true));
    service.load_balancer_ips.iter().for_each(|address| add_portal(address, false));
    if service.node_port != 0 {
        rules.push(("nat", "KUBE-NODEPORT-CONTAINER", from_pods(service.node_port, "")));
        rules.push(("nat", "KUBE-NODEPORT-HOST", from_host(service.node_port, "")));
        rules.push((
            "filter",
            "KUBE-NODEPORT-NON-LOCAL",
            packets(*proxy_port, " -m state --state NEW -j ACCEPT"),
        ));
    }
    rules
}
