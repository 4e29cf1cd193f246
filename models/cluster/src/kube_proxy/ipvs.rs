//! The IPVS mode of 1.30 and 1.36: a virtual server of IPVS for each address and port, the addresses on the device `kube-ipvs0` so that
//! packets to them are delivered to this node (and there to IPVS), and rules of a fixed number that match sets.
//!
//! No recording of 1.30 was at hand: it does what 1.36 does.
//!
//! The real one speaks netlink with IPVS and reads what is there before each change; here it is what this one has written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::changes::Known;
use super::config::{Config, Ipvs};
use super::endpoints::{Endpoint, Used, used};
use super::ipset::{self, Set, Sets};
use super::iptables::{jump, write_forwarding};
use super::local::NodePortAddresses;
use super::services::{Protocol, ServicePort};
use super::tables::{Iptables, Jump, Table, masquerade, masquerade_mark, must, run};
use super::{Around, SyncError};
use crate::command::Run;

const DEVICE: &str = "kube-ipvs0";
/// Real servers that are to leave are looked at so often (here at the first sync after it).
const CHECK_PERIOD: Duration = Duration::from_secs(60);

const JUMPS: [Jump; 9] = [
    jump("nat", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", false),
    jump("nat", "KUBE-SERVICES", "PREROUTING", "kubernetes service portals", false),
    jump("nat", "KUBE-POSTROUTING", "POSTROUTING", "kubernetes postrouting rules", false),
    jump("filter", "KUBE-FORWARD", "FORWARD", "kubernetes forwarding rules", false),
    jump("filter", "KUBE-NODE-PORT", "INPUT", "kubernetes health check rules", false),
    jump("filter", "KUBE-PROXY-FIREWALL", "INPUT", "kube-proxy firewall rules", false),
    jump("filter", "KUBE-PROXY-FIREWALL", "FORWARD", "kube-proxy firewall rules", false),
    jump("filter", "KUBE-IPVS-FILTER", "INPUT", "kubernetes ipvs access filter", false),
    jump("filter", "KUBE-IPVS-OUT-FILTER", "OUTPUT", "kubernetes ipvs access filter", false),
];

const NAT_CHAINS: [&str; 5] =
    ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"];
const FILTER_CHAINS: [&str; 6] = [
    "KUBE-FORWARD",
    "KUBE-NODE-PORT",
    "KUBE-PROXY-FIREWALL",
    "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
];

/// Rules that stand there while their set has entries: set, table, chain, protocol, what of a packet is looked up, target.
const SET_RULES: [(Set, &str, &str, &str, &str, &str); 12] = [
    (Set::LoopBack, "nat", "KUBE-POSTROUTING", "", "dst,dst,src", "MASQUERADE"),
    (Set::LoadBalancer, "nat", "KUBE-SERVICES", "", "dst,dst", "KUBE-LOAD-BALANCER"),
    (Set::LoadBalancerLocal, "nat", "KUBE-LOAD-BALANCER", "", "dst,dst", "RETURN"),
    (Set::NodePortLocalTcp, "nat", "KUBE-NODE-PORT", "tcp", "dst", "RETURN"),
    (Set::NodePortTcp, "nat", "KUBE-NODE-PORT", "tcp", "dst", "KUBE-MARK-MASQ"),
    (Set::NodePortLocalUdp, "nat", "KUBE-NODE-PORT", "udp", "dst", "RETURN"),
    (Set::NodePortUdp, "nat", "KUBE-NODE-PORT", "udp", "dst", "KUBE-MARK-MASQ"),
    (Set::NodePortLocalSctp, "nat", "KUBE-NODE-PORT", "sctp", "dst,dst", "RETURN"),
    (Set::NodePortSctp, "nat", "KUBE-NODE-PORT", "sctp", "dst,dst", "KUBE-MARK-MASQ"),
    (Set::LoadBalancerFw, "filter", "KUBE-PROXY-FIREWALL", "", "dst,dst", "KUBE-SOURCE-RANGES-FIREWALL"),
    (Set::LoadBalancerSourceCidr, "filter", "KUBE-SOURCE-RANGES-FIREWALL", "", "dst,dst,src", "RETURN"),
    (Set::LoadBalancerSourceIp, "filter", "KUBE-SOURCE-RANGES-FIREWALL", "", "dst,dst,src", "RETURN"),
];

/// Sets of addresses that IPVS serves, and what of a packet is looked up.
const SERVED: [(Set, &str); 5] = [
    (Set::LoadBalancer, "dst,dst"),
    (Set::ClusterIp, "dst,dst"),
    (Set::ExternalIp, "dst,dst"),
    (Set::ExternalIpLocal, "dst,dst"),
    (Set::HealthCheckNodePort, "dst"),
];

/// Names a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    address: Ipv4Addr,
    port: u16,
    protocol: Protocol,
}

impl Key {
    /// The arguments of `ipvsadm` that name it.
    fn args(self) -> [String; 2] {
        let kind = match self.protocol {
            Protocol::Tcp => "-t",
            Protocol::Udp => "-u",
            Protocol::Sctp => "--sctp-service",
        };
        [kind.to_owned(), format!("{}:{}", self.address, self.port)]
    }
}

/// What a virtual server is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VirtualServer {
    affinity: Option<u32>,
    endpoints: BTreeSet<String>,
}

/// A virtual server that is there.
#[derive(Debug, Default)]
struct Applied {
    affinity: Option<u32>,
    real_servers: BTreeSet<String>,
    /// Those of the real servers that get no new connections, and go when they have none.
    leaving: BTreeSet<String>,
}

/// What it keeps between two syncs.
pub struct Proxier {
    iptables: Iptables,
    node_ports: NodePortAddresses,
    scheduler: String,
    servers: BTreeMap<Key, Applied>,
    bound: BTreeSet<Ipv4Addr>,
    last_check: Duration,
}

impl Proxier {
    /// As it is before its first sync.
    pub fn new(config: &Config) -> Self {
        let scheduler = if config.ipvs.scheduler.is_empty() { "rr" } else { &config.ipvs.scheduler };
        Self {
            iptables: Iptables::new(config.version),
            node_ports: NodePortAddresses::new(config),
            scheduler: scheduler.to_owned(),
            servers: BTreeMap::new(),
            bound: BTreeSet::new(),
            last_check: Duration::ZERO,
        }
    }

    /// What is done once, before the first sync.
    pub async fn start<R: Run>(&mut self, config: &Config, runner: &mut R) -> Result<(), SyncError> {
        // The library by which it speaks with IPVS does so.
        run(runner, &["modprobe", "ip_vs"]).await;
        run(runner, &["iptables", "--version"]).await;
        run(runner, &["ipset", "--version"]).await;
        let always = [
            "net.ipv4.vs.conntrack=1",
            "net.ipv4.vs.expire_nodest_conn=1",
            "net.ipv4.vs.expire_quiescent_template=1",
        ];
        let strict: &[&str] = if config.ipvs.strict_arp {
            &["net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"]
        } else {
            &[]
        };
        for setting in always.iter().chain(&["net.ipv4.ip_forward=1"]).chain(strict) {
            must(runner, &["sysctl", "-w", setting]).await?;
        }
        set_timeouts(&config.ipvs, runner).await
    }

    /// Writes sets and rules, and changes virtual servers and addresses where they are not as they should be.
    pub async fn sync<R: Run>(
        &mut self,
        around: &Around<'_>,
        known: &Known,
        runner: &mut R,
    ) -> Result<(), SyncError> {
        for (table, chains) in [("nat", &NAT_CHAINS[..]), ("filter", &FILTER_CHAINS)] {
            for chain in chains {
                self.iptables.ensure_chain(runner, table, chain).await?;
            }
        }
        for jump in &JUMPS {
            self.iptables.ensure_jump(runner, jump).await?;
        }
        // It fails if the device is there.
        run(runner, &["ip", "link", "add", DEVICE, "type", "dummy"]).await;
        ipset::create(runner).await?;
        let mut wanted = Wanted::new(around, &self.node_ports);
        for (name, service) in &known.ports {
            wanted.add(service, known.endpoints.get(name).map(Vec::as_slice).unwrap_or_default());
        }
        for (key, server) in &wanted.servers {
            self.sync_server(*key, server, runner).await?;
            if wanted.bound.contains(&key.address) && self.bound.insert(key.address) {
                must(runner, &["ip", "addr", "add", &format!("{}/32", key.address), "dev", DEVICE]).await?;
            }
        }
        wanted.sets.sync(runner).await?;
        let (nat, filter) = wanted.tables();
        self.iptables.restore(runner, &[("nat", &nat), ("filter", &filter)]).await?;
        self.remove_unused(&wanted, runner).await?;
        self.delete_leaving(around.now, runner).await
    }

    async fn remove_unused<R: Run>(&mut self, wanted: &Wanted<'_>, runner: &mut R) -> Result<(), SyncError> {
        let superfluous: Vec<_> = self.bound.difference(&wanted.bound).copied().collect();
        for address in superfluous {
            must(runner, &["ip", "addr", "del", &format!("{address}/32"), "dev", DEVICE]).await?;
            self.bound.remove(&address);
        }
        let unused: Vec<_> =
            self.servers.keys().filter(|key| !wanted.servers.contains_key(key)).copied().collect();
        for key in unused {
            ipvsadm(runner, &["-D"], key, &[]).await?;
            self.servers.remove(&key);
        }
        Ok(())
    }

    async fn sync_server<R: Run>(
        &mut self,
        key: Key,
        server: &VirtualServer,
        runner: &mut R,
    ) -> Result<(), SyncError> {
        let seconds = server.affinity.map(|seconds| seconds.to_string());
        let mut options = vec!["-s", &self.scheduler];
        if let Some(seconds) = &seconds {
            options.extend(["-p", seconds]);
        }
        let before = self.servers.get(&key).map(|applied| applied.affinity);
        match before {
            None => ipvsadm(runner, &["-A"], key, &options).await?,
            Some(affinity) if affinity != server.affinity => ipvsadm(runner, &["-E"], key, &options).await?,
            Some(_) => {}
        }
        let applied = self.servers.entry(key).or_default();
        applied.affinity = server.affinity;
        for real in &server.endpoints {
            if applied.leaving.remove(real) {
                ipvsadm(runner, &["-d"], key, &["-r", real]).await?;
                applied.real_servers.remove(real);
            }
            if !applied.real_servers.contains(real) {
                ipvsadm(runner, &["-a"], key, &["-r", real, "-m", "-w", "1"]).await?;
                applied.real_servers.insert(real.clone());
            }
        }
        let is_gone = |real: &&String| !server.endpoints.contains(*real) && !applied.leaving.contains(*real);
        let gone: Vec<_> = applied.real_servers.iter().filter(is_gone).cloned().collect();
        for real in gone {
            if has_connections(runner, key, &real).await {
                ipvsadm(runner, &["-e"], key, &["-r", &real, "-m", "-w", "0"]).await?;
                applied.leaving.insert(real);
            } else {
                ipvsadm(runner, &["-d"], key, &["-r", &real]).await?;
                applied.real_servers.remove(&real);
            }
        }
        Ok(())
    }

    /// Deletes real servers that were to leave, and now have no connection.
    async fn delete_leaving<R: Run>(&mut self, now: Duration, runner: &mut R) -> Result<(), SyncError> {
        if now.saturating_sub(self.last_check) < CHECK_PERIOD {
            return Ok(());
        }
        self.last_check = now;
        for (key, applied) in &mut self.servers {
            for real in applied.leaving.clone() {
                if !has_connections(runner, *key, &real).await {
                    ipvsadm(runner, &["-d"], *key, &["-r", &real]).await?;
                    applied.leaving.remove(&real);
                    applied.real_servers.remove(&real);
                }
            }
        }
        Ok(())
    }
}

async fn set_timeouts<R: Run>(ipvs: &Ipvs, runner: &mut R) -> Result<(), SyncError> {
    let timeouts = [ipvs.tcp_timeout, ipvs.tcp_fin_timeout, ipvs.udp_timeout];
    if timeouts.iter().all(Duration::is_zero) {
        return Ok(());
    }
    let [tcp, fin, udp] = timeouts.map(|timeout| timeout.as_secs().to_string());
    must(runner, &["ipvsadm", "--set", &tcp, &fin, &udp]).await?;
    Ok(())
}

async fn ipvsadm<R: Run>(
    runner: &mut R,
    operation: &[&str],
    key: Key,
    rest: &[&str],
) -> Result<(), SyncError> {
    let [kind, address] = key.args();
    must(runner, &[&["ipvsadm"], operation, &[&kind, &address], rest].concat()).await?;
    Ok(())
}

/// Whether a real server has connections that must be let end. Those of UDP and SCTP are not waited for.
async fn has_connections<R: Run>(runner: &mut R, key: Key, real: &str) -> bool {
    if key.protocol != Protocol::Tcp {
        return false;
    }
    let [kind, address] = key.args();
    let listed = run(runner, &["ipvsadm", "-L", "-n", &kind, &address]).await.stdout;
    let fields = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = fields.filter(|fields| fields.first() == Some(&"->") && fields.get(1) == Some(&real));
    found.next().is_some_and(|fields| fields.iter().skip(4).any(|count| *count != "0"))
}

/// What a sync wants the node to have.
struct Wanted<'a> {
    around: &'a Around<'a>,
    node_addresses: Vec<Ipv4Addr>,
    servers: BTreeMap<Key, VirtualServer>,
    bound: BTreeSet<Ipv4Addr>,
    sets: Sets,
    /// Addresses of load balancers that the node itself may not use.
    closed_to_node: Vec<Key>,
}

impl<'a> Wanted<'a> {
    fn new(around: &'a Around<'a>, node_ports: &NodePortAddresses) -> Self {
        // IPVS does not take connections from this node to 127.0.0.1.
        let mut node_addresses = node_ports.of_node(around.addresses, around.node_address);
        node_addresses.retain(|address| !address.is_loopback());
        Self {
            around,
            node_addresses,
            servers: BTreeMap::new(),
            bound: BTreeSet::new(),
            sets: Sets::default(),
            closed_to_node: Vec::new(),
        }
    }

    fn add(&mut self, service: &ServicePort, endpoints: &[Endpoint]) {
        for Endpoint { address, port, .. } in endpoints.iter().filter(|endpoint| endpoint.state.is_local) {
            self.sets.insert(Set::LoopBack, format!("{address},{}:{port},{address}", service.protocol));
        }
        let used = used(endpoints, service, self.around.place, self.around.config.version);
        self.add_address(service, service.cluster_ip, &used, service.internal_local);
        self.sets.insert(Set::ClusterIp, entry(service, service.cluster_ip));
        for address in &service.external_ips {
            self.add_address(service, *address, &used, service.external_local);
            let set = if service.external_local { Set::ExternalIpLocal } else { Set::ExternalIp };
            self.sets.insert(set, entry(service, *address));
        }
        for address in &service.load_balancer_ips {
            self.add_address(service, *address, &used, service.external_local);
            self.add_load_balancer(service, *address);
        }
        if service.node_port != 0 {
            self.add_node_port(service, &used);
        }
        if service.health_check_node_port != 0 {
            self.sets.insert(Set::HealthCheckNodePort, service.health_check_node_port.to_string());
        }
    }

    fn add_address(&mut self, service: &ServicePort, address: Ipv4Addr, used: &Used<'_>, is_local: bool) {
        self.add_server(service, address, service.port, used, is_local);
        self.bound.insert(address);
        self.sets.insert(Set::IpvsIps, address.to_string());
    }

    fn add_server(
        &mut self,
        service: &ServicePort,
        address: Ipv4Addr,
        port: u16,
        used: &Used<'_>,
        is_local: bool,
    ) {
        // Without an endpoint on this node its pods still reach one by an external address; answers to others get lost.
        let chosen = match is_local {
            true if !used.local.is_empty() || service.internal_local => &used.local,
            _ => &used.cluster,
        };
        let endpoints = chosen.iter().map(|endpoint| endpoint.text.clone()).collect();
        let server = VirtualServer { affinity: service.affinity, endpoints };
        self.servers.insert(Key { address, port, protocol: service.protocol }, server);
    }

    fn add_load_balancer(&mut self, service: &ServicePort, address: Ipv4Addr) {
        let text = entry(service, address);
        if service.external_local {
            self.sets.insert(Set::LoadBalancerLocal, text.clone());
        }
        if !service.source_ranges.is_empty() {
            for range in &service.source_ranges {
                self.sets.insert(Set::LoadBalancerSourceCidr, format!("{text},{}", range.network));
            }
            let has_node = |node| service.source_ranges.iter().any(|range| range.network.contains(node));
            if self.around.node_address.is_some_and(has_node) {
                self.sets.insert(Set::LoadBalancerSourceIp, format!("{text},{address}"));
            } else {
                self.closed_to_node.push(Key { address, port: service.port, protocol: service.protocol });
            }
            self.sets.insert(Set::LoadBalancerFw, text.clone());
        }
        self.sets.insert(Set::LoadBalancer, text);
    }

    fn add_node_port(&mut self, service: &ServicePort, used: &Used<'_>) {
        let port = service.node_port;
        let (set, local_set) = match service.protocol {
            Protocol::Tcp => (Set::NodePortTcp, Set::NodePortLocalTcp),
            Protocol::Udp => (Set::NodePortUdp, Set::NodePortLocalUdp),
            Protocol::Sctp => (Set::NodePortSctp, Set::NodePortLocalSctp),
        };
        for address in self.node_addresses.clone() {
            self.add_server(service, address, port, used, service.external_local);
            let text = match service.protocol {
                Protocol::Sctp => format!("{address},sctp:{port}"),
                Protocol::Tcp | Protocol::Udp => port.to_string(),
            };
            if service.external_local {
                self.sets.insert(local_set, text.clone());
            }
            self.sets.insert(set, text);
        }
    }

    fn tables(&self) -> (Table, Table) {
        let (mut nat, mut filter) = (Table::default(), Table::default());
        NAT_CHAINS.iter().for_each(|chain| nat.chains.chain(chain));
        FILTER_CHAINS.iter().for_each(|chain| filter.chains.chain(chain));
        nat.rules.push(format_args!("-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN"));
        self.write_set_rules(&mut nat, &mut filter);
        self.write_cluster_ips(&mut nat);
        self.write_external_ips(&mut nat);
        nat.rules.push(format_args!("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT"));
        nat.rules.push(format_args!("-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ"));
        for set in [Set::ClusterIp, Set::LoadBalancer] {
            if !self.sets.is_empty(set) {
                nat.rules.push(format_args!(
                    "-A KUBE-SERVICES -m set --match-set {} dst,dst -j ACCEPT",
                    set.name()
                ));
            }
        }
        let mark = masquerade_mark(self.around.config.iptables.masquerade_bit);
        masquerade(&mut nat, &mark);
        self.write_filter(&mut filter, &mark);
        (nat, filter)
    }

    fn write_set_rules(&self, nat: &mut Table, filter: &mut Table) {
        for (set, table, chain, protocol, looked_up, target) in SET_RULES {
            if self.sets.is_empty(set) {
                continue;
            }
            let table = if table == "nat" { &mut *nat } else { &mut *filter };
            let (name, comment) = (set.name(), set.comment());
            let protocol = if protocol.is_empty() { String::new() } else { format!(" -p {protocol}") };
            table.rules.push(format_args!(
                "-A {chain}{protocol} -m comment --comment \"{comment}\" -m set --match-set {name} {looked_up} -j {target}"
            ));
        }
    }

    fn write_cluster_ips(&self, nat: &mut Table) {
        if self.sets.is_empty(Set::ClusterIp) {
            return;
        }
        let matching = match self.around.detector {
            _ if self.around.config.iptables.masquerade_all => "dst,dst",
            Some(detector) => &format!("dst,dst {}", detector.if_not_local),
            // What the node itself sends to an address of kube-ipvs0 has that address as its source.
            None => "src,dst",
        };
        let (name, comment) = (Set::ClusterIp.name(), Set::ClusterIp.comment());
        nat.rules.push(format_args!(
            "-A KUBE-SERVICES -m comment --comment \"{comment}\" -m set --match-set {name} {matching} -j KUBE-MARK-MASQ"
        ));
    }

    fn write_external_ips(&self, nat: &mut Table) {
        for set in [Set::ExternalIp, Set::ExternalIpLocal].into_iter().filter(|set| !self.sets.is_empty(*set))
        {
            let (name, comment) = (set.name(), set.comment());
            let mut rule = |rest: &str| {
                nat.rules.push(format_args!(
                    "-A KUBE-SERVICES -m comment --comment \"{comment}\" -m set --match-set {name} dst,dst {rest}"
                ));
            };
            if set == Set::ExternalIp {
                rule("-j KUBE-MARK-MASQ");
            }
            // From off this node, or to an address of the node's.
            rule("-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT");
            rule("-m addrtype --dst-type LOCAL -j ACCEPT");
        }
    }

    fn write_filter(&self, filter: &mut Table, mark: &str) {
        filter.rules.push(format_args!("-A KUBE-SOURCE-RANGES-FIREWALL -j DROP"));
        for Key { address, port, protocol } in &self.closed_to_node {
            filter.rules.push(format_args!(
                "-A KUBE-IPVS-OUT-FILTER -s {address} -m ipvs --vaddr {address} --vproto {protocol} --vport {port} -j DROP"
            ));
        }
        write_forwarding(&mut filter.rules, mark);
        filter.rules.push(format_args!(
            "-A KUBE-NODE-PORT -m comment --comment \"Kubernetes health check node port\" \
             -m set --match-set KUBE-HEALTH-CHECK-NODE-PORT dst -j ACCEPT"
        ));
        // kube-ipvs0 makes all addresses the node's own: what listens on the node must not be reached by them.
        for (set, looked_up) in SERVED {
            filter.rules.push(format_args!(
                "-A KUBE-IPVS-FILTER -m set --match-set {} {looked_up} -j RETURN",
                set.name()
            ));
        }
        filter.rules.push(format_args!(
            "-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT"
        ));
    }
}

/// An entry of a set of addresses and ports.
fn entry(service: &ServicePort, address: Ipv4Addr) -> String {
    format!("{address},{}:{}", service.protocol, service.port)
}
