//! The iptables mode of 1.30 and 1.36.
//!
//! | chain | of | holds |
//! |---|---|---|
//! | `KUBE-SERVICES` | nat | a jump for each cluster address and external address, last the one to `KUBE-NODEPORTS` |
//! | `KUBE-NODEPORTS` | nat | a jump for each node port |
//! | `KUBE-EXT-` | service port | what external traffic needs: to be masqueraded, or kept on this node |
//! | `KUBE-FW-` | service port | the sources that may come by a load balancer's address |
//! | `KUBE-SVC-`, `KUBE-SVL-` | service port | the choice between all endpoints, and between those of this node |
//! | `KUBE-SEP-` | endpoint | the change of the destination |
//! | `KUBE-SERVICES`, `KUBE-EXTERNAL-SERVICES` | filter | addresses of ports without endpoints |
//! | `KUBE-PROXY-FIREWALL` | filter | what no `KUBE-FW-` let pass |
//!
//! A sync writes the fixed chains whole. The chains of service ports and endpoints are written by a full sync for all services, by a
//! partial one for those that changed.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::changes::{Changes, Known};
use super::config::{Config, Version};
use super::endpoints::{Endpoint, Place, Used, used};
use super::local::{LocalDetector, NodePortAddresses};
use super::services::ServicePort;
use super::tables::{Iptables, Jump, Lines, Table, chains, masquerade, masquerade_mark, must, run};
use super::{Around, SyncError};
use crate::command::Run;

/// Above this number of endpoints most comments are left out, and unused chains are looked for only once a sync period.
pub const LARGE_CLUSTER: usize = 1000;
/// A full sync is made at least so often.
const FULL_SYNC_PERIOD: Duration = Duration::from_secs(3600);
/// In this chain of each table kube-proxy sees that somebody else has flushed the rules.
pub const CANARY: &str = "KUBE-PROXY-CANARY";

const INVALID_COUNTER: &str = "ct_state_invalid_dropped_pkts";
const LOCALHOST_COUNTER: &str = "localhost_nps_accepted_pkts";

/// A row of the jumps.
pub const fn jump(
    table: &'static str,
    to: &'static str,
    from: &'static str,
    comment: &'static str,
    only_new: bool,
) -> Jump {
    Jump { table, to, from, comment, only_new }
}

const JUMPS: [Jump; 14] = [
    jump("filter", "KUBE-EXTERNAL-SERVICES", "INPUT", "kubernetes externally-visible service portals", true),
    jump(
        "filter",
        "KUBE-EXTERNAL-SERVICES",
        "FORWARD",
        "kubernetes externally-visible service portals",
        true,
    ),
    jump("filter", "KUBE-NODEPORTS", "INPUT", "kubernetes health check service ports", false),
    jump("filter", "KUBE-SERVICES", "FORWARD", "kubernetes service portals", true),
    jump("filter", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", true),
    jump("filter", "KUBE-FORWARD", "FORWARD", "kubernetes forwarding rules", false),
    jump("filter", "KUBE-PROXY-FIREWALL", "INPUT", "kubernetes load balancer firewall", true),
    jump("filter", "KUBE-PROXY-FIREWALL", "OUTPUT", "kubernetes load balancer firewall", true),
    jump("filter", "KUBE-PROXY-FIREWALL", "FORWARD", "kubernetes load balancer firewall", true),
    jump("nat", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", false),
    jump("nat", "KUBE-SERVICES", "PREROUTING", "kubernetes service portals", false),
    jump("nat", "KUBE-POSTROUTING", "POSTROUTING", "kubernetes postrouting rules", false),
    jump("filter", "KUBE-FIREWALL", "INPUT", "", false),
    jump("filter", "KUBE-FIREWALL", "OUTPUT", "", false),
];

/// What it keeps between two syncs.
pub struct Proxier {
    iptables: Iptables,
    node_ports: NodePortAddresses,
    /// Node ports are taken at 127.0.0.1.
    at_localhost: bool,
    counts_invalid: bool,
    counts_localhost: bool,
    last_full: Option<Duration>,
    last_cleanup: Option<Duration>,
}

impl Proxier {
    /// As it is before its first sync.
    pub fn new(config: &Config) -> Self {
        let node_ports = NodePortAddresses::new(config);
        Self {
            iptables: Iptables::new(config.version),
            at_localhost: config.iptables.localhost_node_ports && node_ports.has_loopback(),
            node_ports,
            counts_invalid: false,
            counts_localhost: false,
            last_full: None,
            last_cleanup: None,
        }
    }

    /// What is done once, before the first sync.
    pub async fn start<R: Run>(&mut self, config: &Config, runner: &mut R) -> Result<(), SyncError> {
        run(runner, &["iptables", "--version"]).await;
        if config.conntrack.tcp_be_liberal {
            must(runner, &["sysctl", "-w", "net.netfilter.nf_conntrack_tcp_be_liberal=1"]).await?;
        }
        if self.at_localhost {
            must(runner, &["sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"]).await?;
        }
        for table in ["mangle", "nat", "filter"] {
            self.iptables.ensure_chain(runner, table, CANARY).await?;
        }
        Ok(())
    }

    /// Forgets what was written: the next sync is a full one.
    pub fn forget(&mut self) {
        self.last_full = None;
    }

    /// Writes what a sync writes: all, or what changed.
    pub async fn sync<R: Run>(
        &mut self,
        around: &Around<'_>,
        known: &Known,
        changes: &Changes,
        runner: &mut R,
    ) -> Result<(), SyncError> {
        let is_full = self.last_full.is_none_or(|last| around.now.saturating_sub(last) > FULL_SYNC_PERIOD);
        if is_full {
            for jump in &JUMPS {
                self.iptables.ensure_chain(runner, jump.table, jump.to).await?;
                self.iptables.ensure_jump(runner, jump).await?;
            }
            if around.config.version >= Version::V1_36 {
                self.counts_invalid = has_counter(runner, INVALID_COUNTER).await;
                self.counts_localhost = has_counter(runner, LOCALHOST_COUNTER).await;
            }
        }
        let is_large = known.count_endpoints() > LARGE_CLUSTER;
        let cleans = !is_large
            || self
                .last_cleanup
                .is_none_or(|last| around.now.saturating_sub(last) > around.config.iptables.sync_period);
        let mut writer = Writer::new(self, around, is_large);
        writer.write_fixed_chains();
        for (name, service) in &known.ports {
            let endpoints = known.endpoints.get(name).map(Vec::as_slice).unwrap_or_default();
            let is_written = is_full || changes.services.contains(&name.service);
            writer.write_service(service, endpoints, is_written, cleans);
        }
        let (mut filter, mut nat, active) = (writer.filter, writer.nat, writer.active);
        if cleans && let Some(saved) = self.iptables.save(runner, "nat").await {
            delete_unused(&mut nat, &saved, &active);
            self.last_cleanup = Some(around.now);
        }
        self.write_last_rules(around, &mut filter, &mut nat);
        let restored = self.iptables.restore(runner, &[("filter", &filter), ("nat", &nat)]).await;
        match &restored {
            Ok(()) if is_full => self.last_full = Some(around.now),
            Ok(()) => {}
            Err(_) => self.forget(),
        }
        restored
    }

    /// What stands after the rules of all services.
    fn write_last_rules(&self, around: &Around<'_>, filter: &mut Table, nat: &mut Table) {
        write_node_ports_jump(&mut nat.rules, &self.node_ports, self.at_localhost, around);
        if !around.config.conntrack.tcp_be_liberal {
            // A packet outside of its connection's window would be sent on with the address that the client does not know.
            let counter = Counter(self.counts_invalid.then_some(INVALID_COUNTER));
            filter
                .rules
                .push(format_args!("-A KUBE-FORWARD -m conntrack --ctstate INVALID{counter} -j DROP"));
        }
        let mark = masquerade_mark(around.config.iptables.masquerade_bit);
        write_forwarding(&mut filter.rules, &mark);
    }
}

/// Forwards what is masqueraded, also where the policy of FORWARD is DROP, and then the packets of such connections.
pub fn write_forwarding(filter: &mut Lines, mark: &str) {
    filter.push(format_args!(
        "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark {mark}/{mark} -j ACCEPT"
    ));
    filter.push(format_args!(
        "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    ));
}

/// The jump to the node ports, which is the last rule of `KUBE-SERVICES`.
pub fn write_node_ports_jump(
    nat: &mut Lines,
    node_ports: &NodePortAddresses,
    at_localhost: bool,
    around: &Around<'_>,
) {
    let comment = "kubernetes service nodeports; NOTE: this must be the last rule in this chain";
    let mut push = |to: std::fmt::Arguments<'_>| {
        nat.push(format_args!("-A KUBE-SERVICES -m comment --comment \"{comment}\" {to} -j KUBE-NODEPORTS"));
    };
    match node_ports {
        NodePortAddresses::All if at_localhost => push(format_args!("-m addrtype --dst-type LOCAL")),
        NodePortAddresses::All => push(format_args!("-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8")),
        _ => {
            let addresses = node_ports.of_node(around.addresses, around.node_address);
            for address in addresses.iter().filter(|address| at_localhost || !address.is_loopback()) {
                push(format_args!("-d {address}"));
            }
        }
    }
}

/// A counter of nfacct, made if it is not there; the kernel may know none.
async fn has_counter<R: Run>(runner: &mut R, name: &str) -> bool {
    run(runner, &["nfacct", "get", name]).await.status == 0
        || run(runner, &["nfacct", "add", name]).await.status == 0
}

/// The match that counts, if there is a counter.
struct Counter(Option<&'static str>);

impl std::fmt::Display for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, " -m nfacct --nfacct-name {name}"))
    }
}

/// Chains of services and endpoints that no service needs: a chain can be deleted when it is empty, and is emptied by its declaration.
fn delete_unused(nat: &mut Table, saved: &str, active: &HashSet<String>) {
    let is_ours = |chain: &str| {
        ["KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-"]
            .iter()
            .any(|prefix| chain.starts_with(prefix))
    };
    for (chain, _) in chains(saved).filter(|(chain, _)| is_ours(chain) && !active.contains(*chain)) {
        nat.chains.chain(chain);
        nat.rules.push(format_args!("-X {chain}"));
    }
}

/// Writes the rules of one sync.
struct Writer<'a> {
    version: Version,
    place: &'a Place,
    detector: Option<&'a LocalDetector>,
    node_address: Option<Ipv4Addr>,
    masquerade_all: bool,
    mark: String,
    at_localhost: bool,
    counts_localhost: bool,
    is_large: bool,
    filter: Table,
    nat: Table,
    /// Chains of services and endpoints that are in use.
    active: HashSet<String>,
}

/// Where traffic of a service port goes.
struct Way<'a> {
    service: &'a ServicePort,
    used: Used<'a>,
    /// The cluster address leads to an endpoint.
    has_internal: bool,
    /// External addresses lead to an endpoint, also for those that come from outside.
    has_external: bool,
    /// There is a chain for external traffic.
    has_external_chain: bool,
    /// There is a chain for the sources of a load balancer.
    has_firewall_chain: bool,
    internal_chain: &'static str,
}

impl<'a> Way<'a> {
    fn new(service: &'a ServicePort, used: Used<'a>) -> Self {
        let has_local = !used.local.is_empty();
        Self {
            service,
            has_internal: used.any && (!service.internal_local || has_local),
            has_external: used.any && (!service.external_local || has_local),
            // Pods and the node itself go to all endpoints, whatever the policy for others.
            has_external_chain: used.any && service.is_external(),
            has_firewall_chain: used.any
                && !service.load_balancer_ips.is_empty()
                && !service.source_ranges.is_empty(),
            internal_chain: if service.internal_local { "KUBE-SVL-" } else { "KUBE-SVC-" },
            used,
        }
    }

    /// What happens to traffic that reaches no endpoint.
    fn refusal(&self) -> (&'static str, &'static str) {
        if self.used.any { ("has no local endpoints", "DROP") } else { ("has no endpoints", "REJECT") }
    }

    fn chains(&self) -> impl Iterator<Item = &'static str> {
        let service = self.service;
        [
            ("KUBE-EXT-", self.has_external_chain),
            ("KUBE-FW-", self.has_firewall_chain),
            ("KUBE-SVC-", !self.used.cluster.is_empty() && service.uses_cluster_endpoints()),
            ("KUBE-SVL-", !self.used.local.is_empty() && service.uses_local_endpoints()),
        ]
        .into_iter()
        .filter_map(|(prefix, is_there)| is_there.then_some(prefix))
    }
}

impl<'a> Writer<'a> {
    fn new(proxier: &Proxier, around: &Around<'a>, is_large: bool) -> Self {
        Self {
            version: around.config.version,
            place: around.place,
            detector: around.detector,
            node_address: around.node_address,
            masquerade_all: around.config.iptables.masquerade_all,
            mark: masquerade_mark(around.config.iptables.masquerade_bit),
            at_localhost: proxier.at_localhost,
            counts_localhost: proxier.counts_localhost,
            is_large,
            filter: Table::default(),
            nat: Table::default(),
            active: HashSet::new(),
        }
    }

    fn write_fixed_chains(&mut self) {
        for chain in [
            "KUBE-SERVICES",
            "KUBE-EXTERNAL-SERVICES",
            "KUBE-FORWARD",
            "KUBE-NODEPORTS",
            "KUBE-PROXY-FIREWALL",
        ] {
            self.filter.chains.chain(chain);
        }
        for chain in ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"] {
            self.nat.chains.chain(chain);
        }
        if self.at_localhost {
            // With route_localnet, neighbours could reach what listens on 127.0.0.1 only.
            self.filter.chains.chain("KUBE-FIREWALL");
            self.filter.rules.push(format_args!(
                "-A KUBE-FIREWALL -m comment --comment \"block incoming localnet connections\" -d 127.0.0.0/8 ! -s 127.0.0.0/8 \
                 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
            ));
        }
        masquerade(&mut self.nat, &self.mark);
    }

    /// Writes what leads to a service port, and its own chains if they changed.
    fn write_service(
        &mut self,
        service: &ServicePort,
        endpoints: &[Endpoint],
        is_written: bool,
        is_listed: bool,
    ) {
        let way = Way::new(service, used(endpoints, service, self.place, self.version));
        self.capture_cluster_ip(&way);
        self.capture_external_ips(&way);
        self.capture_load_balancer_ips(&way);
        self.capture_node_port(&way);
        if service.health_check_node_port != 0 {
            let (text, port) = (&service.text, service.health_check_node_port);
            self.filter.rules.push(format_args!(
                "-A KUBE-NODEPORTS -m comment --comment \"{text} health check node port\" -m tcp -p tcp --dport {port} -j ACCEPT"
            ));
        }
        if is_listed {
            self.active.extend(way.chains().map(|prefix| format!("{prefix}{}", service.hash)));
            self.active.extend(way.used.reachable.iter().map(|endpoint| endpoint.chain.clone()));
        }
        if is_written {
            self.write_chains(&way);
        }
    }

    fn capture_cluster_ip(&mut self, way: &Way<'_>) {
        let ServicePort { text, hash, cluster_ip, port, protocol, .. } = way.service;
        if way.has_internal {
            let chain = way.internal_chain;
            self.nat.rules.push(format_args!(
                "-A KUBE-SERVICES -m comment --comment \"{text} cluster IP\" -m {protocol} -p {protocol} -d {cluster_ip} --dport {port} -j {chain}{hash}"
            ));
        } else {
            let (why, target) = way.refusal();
            self.filter.rules.push(format_args!(
                "-A KUBE-SERVICES -m comment --comment \"{text} {why}\" -m {protocol} -p {protocol} -d {cluster_ip} --dport {port} -j {target}"
            ));
        }
    }

    fn capture_external_ips(&mut self, way: &Way<'_>) {
        let ServicePort { text, hash, port, protocol, .. } = way.service;
        for address in &way.service.external_ips {
            if way.used.any {
                self.nat.rules.push(format_args!(
                    "-A KUBE-SERVICES -m comment --comment \"{text} external IP\" -m {protocol} -p {protocol} -d {address} --dport {port} -j KUBE-EXT-{hash}"
                ));
            }
            self.refuse_external(way, *address);
        }
    }

    fn capture_load_balancer_ips(&mut self, way: &Way<'_>) {
        let ServicePort { text, hash, port, protocol, .. } = way.service;
        let chain = if way.has_firewall_chain { "KUBE-FW-" } else { "KUBE-EXT-" };
        for address in &way.service.load_balancer_ips {
            if way.used.any {
                self.nat.rules.push(format_args!(
                    "-A KUBE-SERVICES -m comment --comment \"{text} loadbalancer IP\" -m {protocol} -p {protocol} -d {address} --dport {port} -j {chain}{hash}"
                ));
            }
            if way.has_firewall_chain {
                self.filter.rules.push(format_args!(
                    "-A KUBE-PROXY-FIREWALL -m comment --comment \"{text} traffic not accepted by KUBE-FW-{hash}\" \
                     -m {protocol} -p {protocol} -d {address} --dport {port} -j DROP"
                ));
            }
        }
        for address in &way.service.load_balancer_ips {
            self.refuse_external(way, *address);
        }
    }

    fn refuse_external(&mut self, way: &Way<'_>, address: Ipv4Addr) {
        if way.has_external {
            return;
        }
        let ServicePort { text, port, protocol, .. } = way.service;
        let (why, target) = way.refusal();
        self.filter.rules.push(format_args!(
            "-A KUBE-EXTERNAL-SERVICES -m comment --comment \"{text} {why}\" -m {protocol} -p {protocol} -d {address} --dport {port} -j {target}"
        ));
    }

    fn capture_node_port(&mut self, way: &Way<'_>) {
        let ServicePort { text, hash, node_port, protocol, .. } = way.service;
        if *node_port == 0 {
            return;
        }
        if way.used.any {
            if self.at_localhost && self.counts_localhost {
                let counter = Counter(Some(LOCALHOST_COUNTER));
                self.nat.rules.push(format_args!(
                    "-A KUBE-NODEPORTS -m comment --comment {text} -m {protocol} -p {protocol} -d 127.0.0.0/8 --dport {node_port}{counter} -j KUBE-EXT-{hash}"
                ));
            }
            self.nat.rules.push(format_args!(
                "-A KUBE-NODEPORTS -m comment --comment {text} -m {protocol} -p {protocol} --dport {node_port} -j KUBE-EXT-{hash}"
            ));
        }
        if !way.has_external {
            let (why, target) = way.refusal();
            self.filter.rules.push(format_args!(
                "-A KUBE-EXTERNAL-SERVICES -m comment --comment \"{text} {why}\" -m addrtype --dst-type LOCAL \
                 -m {protocol} -p {protocol} --dport {node_port} -j {target}"
            ));
        }
    }

    fn write_chains(&mut self, way: &Way<'_>) {
        for prefix in way.chains() {
            self.nat.chains.chain(&format!("{prefix}{}", way.service.hash));
        }
        if way.has_internal {
            self.masquerade_internal(way);
        }
        if way.has_external_chain {
            self.write_external(way);
        }
        if way.has_firewall_chain {
            self.write_firewall(way);
        }
        if way.service.uses_cluster_endpoints() {
            self.choose(way.service, "KUBE-SVC-", &way.used.cluster);
        }
        if way.service.uses_local_endpoints() {
            self.choose(way.service, "KUBE-SVL-", &way.used.local);
        }
        for endpoint in &way.used.reachable {
            self.write_endpoint(way.service, endpoint);
        }
    }

    /// Packets to a cluster address from elsewhere than this node's pods are masqueraded, because answers must come back here.
    fn masquerade_internal(&mut self, way: &Way<'_>) {
        let ServicePort { text, hash, cluster_ip, port, protocol, .. } = way.service;
        let chain = way.internal_chain;
        let matching = match self.detector {
            _ if self.masquerade_all => "",
            Some(detector) => &format!(" {}", detector.if_not_local),
            None => return,
        };
        self.nat.rules.push(format_args!(
            "-A {chain}{hash} -m comment --comment \"{text} cluster IP\" -m {protocol} -p {protocol} -d {cluster_ip} --dport {port}{matching} -j KUBE-MARK-MASQ"
        ));
    }

    fn write_external(&mut self, way: &Way<'_>) {
        let ServicePort { text, hash, .. } = way.service;
        let rules = &mut self.nat.rules;
        if !way.service.external_local {
            rules.push(format_args!(
                "-A KUBE-EXT-{hash} -m comment --comment \"masquerade traffic for {text} external destinations\" -j KUBE-MARK-MASQ"
            ));
        } else {
            if let Some(detector) = self.detector {
                let matching = &detector.if_local;
                rules.push(format_args!(
                    "-A KUBE-EXT-{hash} -m comment --comment \"pod traffic for {text} external destinations\" {matching} -j KUBE-SVC-{hash}"
                ));
            }
            rules.push(format_args!(
                "-A KUBE-EXT-{hash} -m comment --comment \"masquerade LOCAL traffic for {text} external destinations\" \
                 -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ"
            ));
            rules.push(format_args!(
                "-A KUBE-EXT-{hash} -m comment --comment \"route LOCAL traffic for {text} external destinations\" \
                 -m addrtype --src-type LOCAL -j KUBE-SVC-{hash}"
            ));
        }
        if way.has_external {
            let chain = if way.service.external_local { "KUBE-SVL-" } else { "KUBE-SVC-" };
            rules.push(format_args!("-A KUBE-EXT-{hash} -j {chain}{hash}"));
        }
    }

    fn write_firewall(&mut self, way: &Way<'_>) {
        let ServicePort { text, hash, .. } = way.service;
        let rules = &mut self.nat.rules;
        let mut allow = |from: std::fmt::Arguments<'_>| {
            rules.push(format_args!("-A KUBE-FW-{hash} -m comment --comment \"{text} loadbalancer IP\" -s {from} -j KUBE-EXT-{hash}"));
        };
        for range in &way.service.source_ranges {
            allow(format_args!("{}", range.network));
        }
        let has_node =
            |address| way.service.source_ranges.iter().any(|range| range.network.contains(address));
        if self.node_address.is_some_and(has_node) {
            // If the address is one of the node's, the node's own packets to it have it as their source too.
            for address in &way.service.load_balancer_ips {
                allow(format_args!("{address}"));
            }
        }
        rules.push(format_args!(
            "-A KUBE-FW-{hash} -m comment --comment \"other traffic to {text} will be dropped by KUBE-PROXY-FIREWALL\""
        ));
    }

    /// Writes the choice of an endpoint: the client's last one if it stays with it, else each with the same probability.
    fn choose(&mut self, service: &ServicePort, prefix: &str, endpoints: &[&Endpoint]) {
        let (text, hash) = (&service.text, &service.hash);
        if let Some(seconds) = service.affinity {
            for Endpoint { text: to, chain, .. } in endpoints {
                let comment = Comment { is_large: self.is_large, text: format_args!("\"{text} -> {to}\"") };
                self.nat.rules.push(format_args!(
                    "-A {prefix}{hash}{comment} -m recent --name {chain} --rcheck --seconds {seconds} --reap -j {chain}"
                ));
            }
        }
        for (index, Endpoint { text: to, chain, .. }) in endpoints.iter().enumerate() {
            let comment = Comment { is_large: self.is_large, text: format_args!("\"{text} -> {to}\"") };
            let chance = Chance(endpoints.len() - index);
            self.nat.rules.push(format_args!("-A {prefix}{hash}{comment}{chance} -j {chain}"));
        }
    }

    fn write_endpoint(&mut self, service: &ServicePort, endpoint: &Endpoint) {
        let Endpoint { address, text, chain, .. } = endpoint;
        let protocol = service.protocol;
        self.nat.chains.chain(chain);
        let comment = Comment { is_large: self.is_large, text: format_args!("{}", service.text) };
        // A pod that reaches itself: with its own address as source it would answer itself, without this node.
        self.nat.rules.push(format_args!("-A {chain}{comment} -s {address} -j KUBE-MARK-MASQ"));
        let remember = Remember(service.affinity.map(|_| chain.as_str()));
        self.nat.rules.push(format_args!(
            "-A {chain}{comment}{remember} -m {protocol} -p {protocol} -j DNAT --to-destination {text}"
        ));
    }
}

/// A comment that is left out in large clusters.
pub struct Comment<'a> {
    /// Whether the cluster is a large one.
    pub is_large: bool,
    /// The comment, quoted if it has spaces.
    pub text: std::fmt::Arguments<'a>,
}

impl std::fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_large { Ok(()) } else { write!(f, " -m comment --comment {}", self.text) }
    }
}

/// The match of one of so many endpoints; the last one needs none.
pub struct Chance(pub usize);

impl std::fmt::Display for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 <= 1 {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of endpoints")]
        let probability = 1.0 / self.0 as f64;
        write!(f, " -m statistic --mode random --probability {probability:.10}")
    }
}

/// The match that notes that a client went to an endpoint.
pub struct Remember<'a>(pub Option<&'a str>);

impl std::fmt::Display for Remember<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |chain| write!(f, " -m recent --name {chain} --set"))
    }
}
