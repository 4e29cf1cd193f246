//! The sets of the IPVS mode: a rule matches a set, so the number of rules does not depend on the number of services.

use std::collections::BTreeSet;

use super::SyncError;
use super::tables::{must, run};
use crate::command::Run;

/// Names a set, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    LoopBack,
    ClusterIp,
    ExternalIp,
    ExternalIpLocal,
    LoadBalancer,
    LoadBalancerFw,
    LoadBalancerLocal,
    LoadBalancerSourceIp,
    LoadBalancerSourceCidr,
    NodePortTcp,
    NodePortLocalTcp,
    NodePortUdp,
    NodePortLocalUdp,
    NodePortSctp,
    NodePortLocalSctp,
    HealthCheckNodePort,
    IpvsIps,
}

/// Of each set: its name, its type, and the comment of the rules that match it.
const SETS: [(Set, &str, &str, &str); 17] = [
    (
        Set::LoopBack,
        "KUBE-LOOP-BACK",
        "hash:ip,port,ip",
        "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
    ),
    (
        Set::ClusterIp,
        "KUBE-CLUSTER-IP",
        "hash:ip,port",
        "Kubernetes service cluster ip + port for masquerade purpose",
    ),
    (
        Set::ExternalIp,
        "KUBE-EXTERNAL-IP",
        "hash:ip,port",
        "Kubernetes service external ip + port for masquerade and filter purpose",
    ),
    (
        Set::ExternalIpLocal,
        "KUBE-EXTERNAL-IP-LOCAL",
        "hash:ip,port",
        "Kubernetes service external ip + port with externalTrafficPolicy=local",
    ),
    (Set::LoadBalancer, "KUBE-LOAD-BALANCER", "hash:ip,port", "Kubernetes service lb portal"),
    (
        Set::LoadBalancerFw,
        "KUBE-LOAD-BALANCER-FW",
        "hash:ip,port",
        "Kubernetes service load balancer ip + port for load balancer with sourceRange",
    ),
    (
        Set::LoadBalancerLocal,
        "KUBE-LOAD-BALANCER-LOCAL",
        "hash:ip,port",
        "Kubernetes service load balancer ip + port with externalTrafficPolicy=local",
    ),
    (
        Set::LoadBalancerSourceIp,
        "KUBE-LOAD-BALANCER-SOURCE-IP",
        "hash:ip,port,ip",
        "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
    ),
    (
        Set::LoadBalancerSourceCidr,
        "KUBE-LOAD-BALANCER-SOURCE-CIDR",
        "hash:ip,port,net",
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    (
        Set::NodePortTcp,
        "KUBE-NODE-PORT-TCP",
        "bitmap:port",
        "Kubernetes nodeport TCP port for masquerade purpose",
    ),
    (
        Set::NodePortLocalTcp,
        "KUBE-NODE-PORT-LOCAL-TCP",
        "bitmap:port",
        "Kubernetes nodeport TCP port with externalTrafficPolicy=local",
    ),
    (
        Set::NodePortUdp,
        "KUBE-NODE-PORT-UDP",
        "bitmap:port",
        "Kubernetes nodeport UDP port for masquerade purpose",
    ),
    (
        Set::NodePortLocalUdp,
        "KUBE-NODE-PORT-LOCAL-UDP",
        "bitmap:port",
        "Kubernetes nodeport UDP port with externalTrafficPolicy=local",
    ),
    (
        Set::NodePortSctp,
        "KUBE-NODE-PORT-SCTP-HASH",
        "hash:ip,port",
        "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'",
    ),
    (
        Set::NodePortLocalSctp,
        "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
        "hash:ip,port",
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    ),
    (
        Set::HealthCheckNodePort,
        "KUBE-HEALTH-CHECK-NODE-PORT",
        "bitmap:port",
        "Kubernetes health check node port",
    ),
    (Set::IpvsIps, "KUBE-IPVS-IPS", "hash:ip", ""),
];

impl Set {
    /// Its name.
    pub fn name(self) -> &'static str {
        SETS[self as usize].1
    }

    /// The comment of rules.
    pub fn comment(self) -> &'static str {
        SETS[self as usize].3
    }
}

/// The entries that all sets are to have.
#[derive(Default)]
pub struct Sets([BTreeSet<String>; SETS.len()]);

impl Sets {
    /// Adds an entry.
    pub fn insert(&mut self, set: Set, entry: String) {
        self.0[set as usize].insert(entry);
    }

    /// Whether a set is to have no entry.
    pub fn is_empty(&self, set: Set) -> bool {
        self.0[set as usize].is_empty()
    }

    /// Makes the sets' entries these, from what the sets say that they have.
    pub async fn sync<R: Run>(&self, runner: &mut R) -> Result<(), SyncError> {
        for (set, name, ..) in SETS {
            let wanted = &self.0[set as usize];
            let listed = must(runner, &["ipset", "list", name]).await?.stdout;
            let members = listed.split_once("Members:\n").map(|(_, members)| members).unwrap_or_default();
            let has: BTreeSet<&str> = members.lines().filter_map(|line| line.split(' ').next()).collect();
            for entry in has.iter().filter(|entry| !wanted.contains(**entry)) {
                must(runner, &["ipset", "del", name, entry]).await?;
            }
            for entry in wanted.iter().filter(|entry| !has.contains(entry.as_str())) {
                must(runner, &["ipset", "add", name, entry, "-exist"]).await?;
            }
        }
        Ok(())
    }
}

/// Makes all sets that are not there.
pub async fn create<R: Run>(runner: &mut R) -> Result<(), SyncError> {
    for (_, name, kind, _) in SETS {
        let options: &[&str] = match kind {
            "bitmap:port" => &["range", "0-65535"],
            _ => &["family", "inet", "hashsize", "1024", "maxelem", "65536"],
        };
        let argv = [&["ipset", "create", name, kind], options, &["-exist"]].concat();
        let answer = run(runner, &argv).await;
        if answer.status != 0 {
            return Err(SyncError::new("ipset create", &answer));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::SETS;

    #[test]
    fn sets_stand_where_they_are_looked_up() {
        assert!(SETS.iter().enumerate().all(|(index, (set, ..))| *set as usize == index));
    }
}
