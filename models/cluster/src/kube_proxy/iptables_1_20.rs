//! The iptables mode of 1.20: each sync is a full one.
//!
//! | chain of nat | of | holds |
//! |---|---|---|
//! | `KUBE-SERVICES` | nat | the masquerading and the jump of each cluster address and external address |
//! | `KUBE-NODEPORTS` | nat | the same for each node port |
//! | `KUBE-FW-` | service port | the sources that may come by a load balancer's address; the others are marked to be dropped |
//! | `KUBE-XLB-` | service port | external traffic that is kept on this node |
//! | `KUBE-SVC-`, `KUBE-SEP-` | service port, endpoint | the choice, and the change of the destination |
//!
//! Marked packets are dropped by a rule of the kubelet's.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::changes::Known;
use super::config::Config;
use super::endpoints::Endpoint;
use super::iptables::{CANARY, Chance, Comment, LARGE_CLUSTER, Remember, jump, write_node_ports_jump};
use super::local::NodePortAddresses;
use super::services::ServicePort;
use super::tables::{Iptables, Jump, Table, chains, masquerade, masquerade_mark, must, run};
use super::{Around, SyncError};
use crate::command::Run;

const JUMPS: [Jump; 8] = [
    jump("filter", "KUBE-EXTERNAL-SERVICES", "INPUT", "kubernetes externally-visible service portals", true),
    jump(
        "filter",
        "KUBE-EXTERNAL-SERVICES",
        "FORWARD",
        "kubernetes externally-visible service portals",
        true,
    ),
    jump("filter", "KUBE-SERVICES", "FORWARD", "kubernetes service portals", true),
    jump("filter", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", true),
    jump("filter", "KUBE-FORWARD", "FORWARD", "kubernetes forwarding rules", false),
    jump("nat", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", false),
    jump("nat", "KUBE-SERVICES", "PREROUTING", "kubernetes service portals", false),
    jump("nat", "KUBE-POSTROUTING", "POSTROUTING", "kubernetes postrouting rules", false),
];

const FILTER_CHAINS: [&str; 3] = ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD"];
const NAT_CHAINS: [&str; 4] = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"];

/// What it keeps between two syncs: nothing but how it is set.
pub struct Proxier {
    iptables: Iptables,
    node_ports: NodePortAddresses,
}

impl Proxier {
    /// As it is before its first sync.
    pub fn new(config: &Config) -> Self {
        Self { iptables: Iptables::new(config.version), node_ports: NodePortAddresses::new(config) }
    }

    /// What is done once, before the first sync.
    pub async fn start<R: Run>(&mut self, runner: &mut R) -> Result<(), SyncError> {
        run(runner, &["iptables", "--version"]).await;
        must(runner, &["sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"]).await?;
        for table in ["mangle", "nat", "filter"] {
            self.iptables.ensure_chain(runner, table, CANARY).await?;
        }
        Ok(())
    }

    /// Writes everything.
    pub async fn sync<R: Run>(
        &mut self,
        around: &Around<'_>,
        known: &Known,
        runner: &mut R,
    ) -> Result<(), SyncError> {
        for jump in &JUMPS {
            self.iptables.ensure_chain(runner, jump.table, jump.to).await?;
            self.iptables.ensure_jump(runner, jump).await?;
        }
        // The kubelet gives it its rule.
        self.iptables.ensure_chain(runner, "nat", "KUBE-MARK-DROP").await?;
        let filter = self.iptables.save(runner, "filter").await.unwrap_or_default();
        let nat = self.iptables.save(runner, "nat").await.unwrap_or_default();
        let mut writer = Writer {
            around,
            has_node_ports: self.node_ports == NodePortAddresses::All
                || !self.node_ports.of_node(around.addresses, None).is_empty(),
            is_large: known.count_endpoints() > LARGE_CLUSTER,
            saved: chains(&nat).collect(),
            filter: Table::default(),
            nat: Table::default(),
            active: HashSet::new(),
        };
        writer.write_fixed_chains(&chains(&filter).collect());
        for (name, service) in &known.ports {
            writer.write_service(service, known.endpoints.get(name).map(Vec::as_slice).unwrap_or_default());
        }
        writer.delete_unused();
        write_node_ports_jump(&mut writer.nat.rules, &self.node_ports, true, around);
        writer.write_forwarding();
        self.iptables.restore(runner, &[("filter", &writer.filter), ("nat", &writer.nat)]).await
    }
}

/// Writes the rules of one sync.
struct Writer<'a> {
    around: &'a Around<'a>,
    has_node_ports: bool,
    is_large: bool,
    /// Chains of nat that there are, each with its line: so they keep their counters.
    saved: BTreeMap<&'a str, &'a str>,
    filter: Table,
    nat: Table,
    active: HashSet<String>,
}

impl Writer<'_> {
    fn write_fixed_chains(&mut self, saved: &BTreeMap<&str, &str>) {
        for chain in FILTER_CHAINS {
            match saved.get(chain) {
                Some(line) => self.filter.chains.push(format_args!("{line}")),
                None => self.filter.chains.chain(chain),
            }
        }
        for chain in NAT_CHAINS {
            self.declare(chain);
        }
        masquerade(&mut self.nat, &masquerade_mark(self.around.config.iptables.masquerade_bit));
    }

    fn declare(&mut self, chain: &str) {
        match self.saved.get(chain) {
            Some(line) => self.nat.chains.push(format_args!("{line}")),
            None => self.nat.chains.chain(chain),
        }
    }

    fn activate(&mut self, chain: String) {
        if !self.active.contains(&chain) {
            self.declare(&chain);
            self.active.insert(chain);
        }
    }

    fn delete_unused(&mut self) {
        let is_ours = |chain: &str| {
            ["KUBE-SVC-", "KUBE-SEP-", "KUBE-FW-", "KUBE-XLB-"].iter().any(|prefix| chain.starts_with(prefix))
        };
        for (chain, line) in
            self.saved.iter().filter(|(chain, _)| is_ours(chain) && !self.active.contains(**chain))
        {
            self.nat.chains.push(format_args!("{line}"));
            self.nat.rules.push(format_args!("-X {chain}"));
        }
    }

    fn write_forwarding(&mut self) {
        let mark = masquerade_mark(self.around.config.iptables.masquerade_bit);
        let mut rule =
            |rule: fmt::Arguments<'_>| self.filter.rules.push(format_args!("-A KUBE-FORWARD {rule}"));
        rule(format_args!("-m conntrack --ctstate INVALID -j DROP"));
        rule(format_args!(
            "-m comment --comment \"kubernetes forwarding rules\" -m mark --mark {mark}/{mark} -j ACCEPT"
        ));
        for whose in ["source", "destination"] {
            rule(format_args!(
                "-m comment --comment \"kubernetes forwarding conntrack pod {whose} rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
            ));
        }
    }

    fn write_service(&mut self, service: &ServicePort, endpoints: &[Endpoint]) {
        let has_endpoints = !endpoints.is_empty();
        if has_endpoints {
            self.activate(format!("KUBE-SVC-{}", service.hash));
        }
        if service.external_local {
            self.activate(format!("KUBE-XLB-{}", service.hash));
        }
        if has_endpoints {
            self.capture_cluster_ip(service);
            self.capture_external_ips(service);
            self.capture_load_balancer_ips(service);
            self.capture_node_port(service);
        } else {
            self.refuse(service);
        }
        // Without addresses for its node port, the whole service is passed over from here on.
        if has_endpoints && (service.node_port == 0 || self.has_node_ports) {
            self.write_chains(service, endpoints);
        }
    }

    /// Rejects what goes to a service without endpoints.
    fn refuse(&mut self, service: &ServicePort) {
        let ServicePort { text, port, node_port, protocol, .. } = service;
        let internal = [("KUBE-SERVICES", &service.cluster_ip)];
        let external = service
            .external_ips
            .iter()
            .chain(&service.load_balancer_ips)
            .map(|address| ("KUBE-EXTERNAL-SERVICES", address));
        for (chain, address) in internal.into_iter().chain(external) {
            self.filter.rules.push(format_args!(
                "-A {chain} -m comment --comment \"{text} has no endpoints\" -m {protocol} -p {protocol} -d {address}/32 --dport {port} -j REJECT"
            ));
        }
        if *node_port != 0 && self.has_node_ports {
            self.filter.rules.push(format_args!(
                "-A KUBE-EXTERNAL-SERVICES -m comment --comment \"{text} has no endpoints\" -m addrtype --dst-type LOCAL \
                 -m {protocol} -p {protocol} --dport {node_port} -j REJECT"
            ));
        }
    }

    fn capture_cluster_ip(&mut self, service: &ServicePort) {
        let ServicePort { text, hash, cluster_ip, port, protocol, .. } = service;
        let mut rule = |rest: fmt::Arguments<'_>| {
            self.nat.rules.push(format_args!(
                "-A KUBE-SERVICES -m comment --comment \"{text} cluster IP\" -m {protocol} -p {protocol} -d {cluster_ip}/32 --dport {port} {rest}"
            ));
        };
        match self.around.detector {
            _ if self.around.config.iptables.masquerade_all => rule(format_args!("-j KUBE-MARK-MASQ")),
            Some(detector) => rule(format_args!("{} -j KUBE-MARK-MASQ", detector.if_not_local)),
            None => {}
        }
        rule(format_args!("-j KUBE-SVC-{hash}"));
    }

    fn capture_external_ips(&mut self, service: &ServicePort) {
        let ServicePort { text, hash, port, protocol, .. } = service;
        for address in &service.external_ips {
            let mut rule = |rest: fmt::Arguments<'_>| {
                self.nat.rules.push(format_args!(
                    "-A KUBE-SERVICES -m comment --comment \"{text} external IP\" -m {protocol} -p {protocol} -d {address}/32 --dport {port} {rest}"
                ));
            };
            rule(format_args!("-j KUBE-MARK-MASQ"));
            // From off this node: neither over a bridge's port, as from a pod, nor from the node itself. And to an address of the node's.
            rule(format_args!(
                "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j KUBE-SVC-{hash}"
            ));
            rule(format_args!("-m addrtype --dst-type LOCAL -j KUBE-SVC-{hash}"));
        }
    }

    fn capture_load_balancer_ips(&mut self, service: &ServicePort) {
        let ServicePort { text, hash, port, protocol, .. } = service;
        for address in &service.load_balancer_ips {
            self.activate(format!("KUBE-FW-{hash}"));
            self.nat.rules.push(format_args!(
                "-A KUBE-SERVICES -m comment --comment \"{text} loadbalancer IP\" -m {protocol} -p {protocol} -d {address}/32 --dport {port} -j KUBE-FW-{hash}"
            ));
            let mut rule = |rest: fmt::Arguments<'_>| {
                self.nat.rules.push(format_args!(
                    "-A KUBE-FW-{hash} -m comment --comment \"{text} loadbalancer IP\" {rest}"
                ));
            };
            let chain = if service.external_local { "KUBE-XLB-" } else { "KUBE-SVC-" };
            if !service.external_local {
                rule(format_args!("-j KUBE-MARK-MASQ"));
            }
            if service.source_ranges.is_empty() {
                rule(format_args!("-j {chain}{hash}"));
            }
            for range in &service.source_ranges {
                rule(format_args!("-s {} -j {chain}{hash}", range.text));
            }
            let has_node = |node| service.source_ranges.iter().any(|range| range.network.contains(node));
            if self.around.node_address.is_some_and(has_node) {
                rule(format_args!("-s {address}/32 -j {chain}{hash}"));
            }
            // What comes here was not sent on.
            rule(format_args!("-j KUBE-MARK-DROP"));
        }
    }

    fn capture_node_port(&mut self, service: &ServicePort) {
        let ServicePort { text, hash, node_port, protocol, .. } = service;
        if *node_port == 0 || !self.has_node_ports {
            return;
        }
        let mut rule = |rest: fmt::Arguments<'_>| {
            self.nat.rules.push(format_args!(
                "-A KUBE-NODEPORTS -m comment --comment {text} -m {protocol} -p {protocol} --dport {node_port} {rest}"
            ));
        };
        if service.external_local {
            // The kernel drops what comes from 127.0.0.1 by a cable.
            rule(format_args!("-s 127.0.0.0/8 -j KUBE-MARK-MASQ"));
            rule(format_args!("-j KUBE-XLB-{hash}"));
        } else {
            rule(format_args!("-j KUBE-MARK-MASQ"));
            rule(format_args!("-j KUBE-SVC-{hash}"));
        }
    }

    fn write_chains(&mut self, service: &ServicePort, endpoints: &[Endpoint]) {
        let ServicePort { text, hash, protocol, .. } = service;
        for endpoint in endpoints {
            self.activate(endpoint.chain.clone());
        }
        let comment = Comment { is_large: self.is_large, text: format_args!("{text}") };
        if let Some(seconds) = service.affinity {
            for Endpoint { chain, .. } in endpoints {
                self.nat.rules.push(format_args!(
                    "-A KUBE-SVC-{hash}{comment} -m recent --name {chain} --rcheck --seconds {seconds} --reap -j {chain}"
                ));
            }
        }
        for (index, Endpoint { address, text: to, chain, .. }) in endpoints.iter().enumerate() {
            let chance = Chance(endpoints.len() - index);
            self.nat.rules.push(format_args!("-A KUBE-SVC-{hash}{comment}{chance} -j {chain}"));
            self.nat.rules.push(format_args!("-A {chain}{comment} -s {address}/32 -j KUBE-MARK-MASQ"));
            let remember = Remember(service.affinity.map(|_| chain.as_str()));
            self.nat.rules.push(format_args!(
                "-A {chain}{comment}{remember} -m {protocol} -p {protocol} -j DNAT --to-destination {to}"
            ));
        }
        if service.external_local {
            let local: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.state.is_local).collect();
            self.write_local(service, &local);
        }
    }

    /// External traffic that stays on this node; pods and the node itself go to all endpoints.
    fn write_local(&mut self, service: &ServicePort, endpoints: &[&Endpoint]) {
        let ServicePort { text, hash, .. } = service;
        let mut rule = |rest: fmt::Arguments<'_>| {
            self.nat.rules.push(format_args!("-A KUBE-XLB-{hash} -m comment --comment {rest}"))
        };
        if let Some(detector) = self.around.detector {
            rule(format_args!(
                "\"Redirect pods trying to reach external loadbalancer VIP to clusterIP\" {} -j KUBE-SVC-{hash}",
                detector.if_local
            ));
        }
        rule(format_args!(
            "\"masquerade LOCAL traffic for {text} LB IP\" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ"
        ));
        rule(format_args!(
            "\"route LOCAL traffic for {text} LB IP to service chain\" -m addrtype --src-type LOCAL -j KUBE-SVC-{hash}"
        ));
        if endpoints.is_empty() {
            rule(format_args!("\"{text} has no local endpoints\" -j KUBE-MARK-DROP"));
        }
        if let Some(seconds) = service.affinity {
            for Endpoint { chain, .. } in endpoints {
                rule(format_args!(
                    "{text} -m recent --name {chain} --rcheck --seconds {seconds} --reap -j {chain}"
                ));
            }
        }
        for (index, Endpoint { chain, .. }) in endpoints.iter().enumerate() {
            let chance = Chance(endpoints.len() - index);
            rule(format_args!("\"Balancing rule {index} for {text}\"{chance} -j {chain}"));
        }
    }
}
