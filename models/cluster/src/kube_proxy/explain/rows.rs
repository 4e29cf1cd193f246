//! What the rules of each chain are for: a row for each kind of rule, of all modes and versions.

use glassnet_kernel::chance::CERTAIN;
use glassnet_kernel::net::netfilter::xt_addrtype::Addrtype;
use glassnet_kernel::net::netfilter::xt_recent::{Recent, RecentMode};
use glassnet_kernel::net::netfilter::xt_set::SetMatch;
use glassnet_kernel::net::netfilter::xt_statistic::{Statistic, StatisticMode};
use glassnet_kernel::tables::xt::{Action, Rule};

use super::super::services::ServicePort;
use super::{Objects, Seen, address_of};

/// The bit of `--src-type LOCAL`.
const LOCAL: u16 = 1 << 2;

/// What a rule looks at, as far as rules of one chain and target differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum If {
    /// Whatever.
    Any,
    /// The packet is sent by the node itself.
    FromNode,
    /// The packet comes from a certain range of addresses, or by a certain device.
    From,
    /// The packet comes from elsewhere.
    NotFrom,
    /// The client is remembered.
    Remembered,
    /// The client is to be remembered.
    Remember,
    /// Chance.
    Chance,
    /// A set has it.
    Set(&'static str),
    /// The destination is no address of a pod.
    NotToPods,
}

/// Rules of one kind.
pub struct Row {
    table: &'static str,
    /// The chain, or the beginning of its name; empty: a built-in chain.
    chain: &'static str,
    /// The chain or target that the packet goes to, or the beginning of its name.
    to: &'static str,
    when: If,
    /// Whose rules they are.
    pub agent: &'static str,
    /// The service is the one that the packet's destination belongs to.
    pub is_of_destination: bool,
    /// Why they stand there. `{address}`: which address of the service the packet goes to; `{pods}`: the pods that rules know;
    /// `{left}`: endpoints that are left; `{seconds}`: how long a client is remembered; `{internal}`: why a cluster address is masqueraded.
    why: &'static str,
}

const fn row(table: &'static str, chain: &'static str, to: &'static str, when: If, why: &'static str) -> Row {
    Row { table, chain, to, when, agent: "kube-proxy", is_of_destination: false, why }
}

/// The same of rules whose service is known by the packet's destination.
const fn by_destination(
    table: &'static str,
    chain: &'static str,
    to: &'static str,
    when: If,
    why: &'static str,
) -> Row {
    Row { table, chain, to, when, agent: "kube-proxy", is_of_destination: true, why }
}

const ANSWERS: &str = "masquerade, so that answers come back through this node";
const FROM_NODE: &str = "the node itself goes to all endpoints, although externalTrafficPolicy is Local";
const FROM_PODS: &str = "a {pods} goes to all endpoints, although externalTrafficPolicy is Local";
const KEPT_SOURCE: &str = "externalTrafficPolicy Local: the client's address stays";
const NO_LOCAL: &str = "no endpoint on this node, and externalTrafficPolicy is Local";
const NOT_ALLOWED: &str = "loadBalancerSourceRanges does not have the client";
const REMEMBERED: &str = "sessionAffinity ClientIP: the client was here in the last {seconds} s";
const BY_CHANCE: &str = "chosen by chance among {left}";
const REST: &str = "the last one of the list";
const CLUSTER: &str =
    "externalTrafficPolicy Cluster: masquerade, so that answers come back through this node";
const HAIRPIN: &str = "hairpin: the pod reaches itself through its service; masquerade, so that it does not answer itself past this node";
const FROM_NODE_MASQUERADED: &str = "externalTrafficPolicy Local, but from the node itself: masquerade";
const ALLOWED: &str = "loadBalancerSourceRanges has the client";
const BALANCERS_ASK: &str = "its {address} answers load balancers";
const NODE_PORT: &str = "to an address of this node: is it a node port?";
const NO_ENDPOINTS: &str = "it has no endpoints";
const PROXIED: &str = "its {address}: to the proxy's own socket";

/// The first row that fits a rule tells what it is for.
#[rustfmt::skip] // One line each, so that they merge.
const ROWS: &[Row] = &[
    // Jumps from the built-in chains.
    row("nat", "", "KUBE-SERVICES", If::Any, "is it for a service?"),
    row("nat", "", "KUBE-POSTROUTING", If::Any, "is it to be masqueraded?"),
    row("filter", "", "KUBE-SERVICES", If::Any, "is it for a service that refuses it?"),
    row("filter", "", "KUBE-EXTERNAL-SERVICES", If::Any, "is it for an external address of a service that refuses it?"),
    row("filter", "", "KUBE-NODEPORTS", If::Any, "is it a health check of a load balancer?"),
    row("filter", "", "KUBE-NODE-PORT", If::Any, "is it a health check of a load balancer?"),
    row("filter", "", "KUBE-FORWARD", If::Any, "what services need to be forwarded, whatever other rules say"),
    row("filter", "", "KUBE-PROXY-FIREWALL", If::Any, "is it kept out by loadBalancerSourceRanges?"),
    row("filter", "", "KUBE-FIREWALL", If::Any, "does it come from elsewhere to 127.0.0.0/8?"),
    row("filter", "", "KUBE-IPVS-FILTER", If::Any, "is it for an address of a service, but for no port of it?"),
    row("filter", "", "KUBE-IPVS-OUT-FILTER", If::Any, "may the node itself use this address?"),
    row("filter", "", "KUBE-NODEPORT-NON-LOCAL", If::Any, "is it for the proxy's socket of a node port?"),
    row("nat", "", "KUBE-PORTALS", If::Any, "is it for a service?"),
    row("nat", "", "KUBE-NODEPORT", If::Any, "is it for a node port?"),
    Row { table: "nat", chain: "", to: "MASQUERADE", when: If::NotToPods, agent: "kubelet", is_of_destination: false,
          why: "kubenet: what leaves the cluster gets the node's address" },
    // The way to an endpoint.
    by_destination("nat", "KUBE-SERVICES", "KUBE-MARK-MASQ", If::Set("KUBE-EXTERNAL-IP"), ANSWERS),
    by_destination("nat", "KUBE-SERVICES", "KUBE-MARK-MASQ", If::Any, "{internal}"),
    row("nat", "KUBE-SERVICES", "KUBE-SVL-", If::Any, "its {address}; internalTrafficPolicy Local: endpoints of this node only"),
    row("nat", "KUBE-SERVICES", "KUBE-SVC-", If::Any, "its {address}"),
    row("nat", "KUBE-SERVICES", "KUBE-EXT-", If::Any, "its {address}"),
    row("nat", "KUBE-SERVICES", "KUBE-FW-", If::Any, "its {address}"),
    row("nat", "KUBE-SERVICES", "KUBE-XLB-", If::Any, "its {address}; externalTrafficPolicy Local"),
    row("nat", "KUBE-SERVICES", "KUBE-NODEPORTS", If::Any, NODE_PORT),
    row("nat", "KUBE-SERVICES", "KUBE-NODE-PORT", If::Any, NODE_PORT),
    by_destination("nat", "KUBE-SERVICES", "KUBE-LOAD-BALANCER", If::Any, "its {address}"),
    by_destination("nat", "KUBE-SERVICES", "ACCEPT", If::Any, "its {address}: IPVS takes it in the hook INPUT"),
    row("nat", "KUBE-SERVICES", "RETURN", If::Any, "127.0.0.0/8 is no business of services"),
    row("nat", "KUBE-NODEPORTS", "KUBE-MARK-MASQ", If::From, "externalTrafficPolicy Local, but from 127.0.0.0/8: masquerade, or the kernel drops it"),
    by_destination("nat", "KUBE-NODEPORTS", "KUBE-MARK-MASQ", If::Any, ANSWERS),
    row("nat", "KUBE-NODEPORTS", "KUBE-XLB-", If::Any, "its {address}; externalTrafficPolicy Local"),
    row("nat", "KUBE-NODEPORTS", "KUBE-", If::Any, "its {address}"),
    by_destination("nat", "KUBE-NODE-PORT", "RETURN", If::Any, KEPT_SOURCE),
    by_destination("nat", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", If::Any, CLUSTER),
    by_destination("nat", "KUBE-LOAD-BALANCER", "RETURN", If::Any, KEPT_SOURCE),
    by_destination("nat", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ", If::Any, CLUSTER),
    row("nat", "KUBE-EXT-", "KUBE-MARK-MASQ", If::FromNode, FROM_NODE_MASQUERADED),
    row("nat", "KUBE-EXT-", "KUBE-MARK-MASQ", If::Any, CLUSTER),
    row("nat", "KUBE-EXT-", "KUBE-SVC-", If::FromNode, FROM_NODE),
    row("nat", "KUBE-EXT-", "KUBE-SVC-", If::From, FROM_PODS),
    row("nat", "KUBE-EXT-", "KUBE-SVC-", If::Any, "externalTrafficPolicy Cluster: all endpoints"),
    row("nat", "KUBE-EXT-", "KUBE-SVL-", If::Any, "externalTrafficPolicy Local: endpoints of this node only"),
    row("nat", "KUBE-FW-", "KUBE-MARK-MASQ", If::Any, ANSWERS),
    row("nat", "KUBE-FW-", "KUBE-MARK-DROP", If::Any, NOT_ALLOWED),
    row("nat", "KUBE-FW-", "KUBE-", If::From, ALLOWED),
    row("nat", "KUBE-FW-", "KUBE-", If::Any, "every client may come"),
    row("nat", "KUBE-FW-", "", If::Any, "loadBalancerSourceRanges does not have the client: KUBE-PROXY-FIREWALL drops it"),
    row("nat", "KUBE-XLB-", "KUBE-SVC-", If::FromNode, FROM_NODE),
    row("nat", "KUBE-XLB-", "KUBE-SVC-", If::Any, FROM_PODS),
    row("nat", "KUBE-XLB-", "KUBE-MARK-MASQ", If::Any, FROM_NODE_MASQUERADED),
    row("nat", "KUBE-XLB-", "KUBE-MARK-DROP", If::Any, NO_LOCAL),
    row("nat", "KUBE-XLB-", "KUBE-SEP-", If::Remembered, REMEMBERED),
    row("nat", "KUBE-XLB-", "KUBE-SEP-", If::Chance, "chosen by chance among {left} of this node"),
    row("nat", "KUBE-XLB-", "KUBE-SEP-", If::Any, REST),
    row("nat", "KUBE-SV", "KUBE-MARK-MASQ", If::Any, "{internal}"),
    row("nat", "KUBE-SV", "KUBE-SEP-", If::Remembered, REMEMBERED),
    row("nat", "KUBE-SV", "KUBE-SEP-", If::Chance, BY_CHANCE),
    row("nat", "KUBE-SV", "KUBE-SEP-", If::Any, REST),
    row("nat", "KUBE-SEP-", "KUBE-MARK-MASQ", If::Any, HAIRPIN),
    row("nat", "KUBE-SEP-", "DNAT", If::Remember, "sessionAffinity ClientIP: the client is remembered, and goes there"),
    row("nat", "KUBE-SEP-", "DNAT", If::Any, "the packet goes there"),
    row("nat", "KUBE-MARK-MASQ", "MARK", If::Any, "marked: it is masqueraded when it leaves"),
    row("nat", "KUBE-MARK-DROP", "MARK", If::Any, "marked: it is dropped in the table filter"),
    row("nat", "KUBE-POSTROUTING", "RETURN", If::Any, "not marked: its source stays"),
    row("nat", "KUBE-POSTROUTING", "MARK", If::Any, "the mark is taken off"),
    row("nat", "KUBE-POSTROUTING", "MASQUERADE", If::Set("KUBE-LOOP-BACK"), HAIRPIN),
    row("nat", "KUBE-POSTROUTING", "MASQUERADE", If::Any, "it was marked: it gets an address of this node as its source"),
    // The userspace mode.
    by_destination("nat", "KUBE-PORTALS", "", If::Any, PROXIED),
    by_destination("nat", "KUBE-NODEPORT-", "", If::Any, PROXIED),
    row("filter", "KUBE-NODEPORT-NON-LOCAL", "ACCEPT", If::Any, "the proxy's socket of a node port"),
    // What is refused.
    by_destination("filter", "KUBE-SERVICES", "REJECT", If::Any, NO_ENDPOINTS),
    by_destination("filter", "KUBE-SERVICES", "DROP", If::Any, "no endpoint on this node, and internalTrafficPolicy is Local"),
    by_destination("filter", "KUBE-EXTERNAL-SERVICES", "REJECT", If::Any, NO_ENDPOINTS),
    by_destination("filter", "KUBE-EXTERNAL-SERVICES", "DROP", If::Any, NO_LOCAL),
    by_destination("filter", "KUBE-NODEPORTS", "ACCEPT", If::Any, BALANCERS_ASK),
    by_destination("filter", "KUBE-NODE-PORT", "ACCEPT", If::Any, BALANCERS_ASK),
    by_destination("filter", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL", If::Any, "its {address}: who may come?"),
    by_destination("filter", "KUBE-PROXY-FIREWALL", "DROP", If::Any, NOT_ALLOWED),
    by_destination("filter", "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", If::Any, ALLOWED),
    by_destination("filter", "KUBE-SOURCE-RANGES-FIREWALL", "DROP", If::Any, NOT_ALLOWED),
    row("filter", "KUBE-FORWARD", "DROP", If::Any, "outside of its connection's window: with the address of an endpoint, which the client does not know"),
    row("filter", "KUBE-FORWARD", "ACCEPT", If::Any, "what is masqueraded, and what belongs to a known connection, may pass"),
    row("filter", "KUBE-FIREWALL", "DROP", If::Any, "127.0.0.0/8 is for the node itself only"),
    by_destination("filter", "KUBE-IPVS-FILTER", "RETURN", If::Any, "its {address}"),
    row("filter", "KUBE-IPVS-FILTER", "REJECT", If::Any, "an address of a service, which kube-ipvs0 makes the node's own, but none of its ports"),
    row("filter", "KUBE-IPVS-OUT-FILTER", "DROP", If::Any, "loadBalancerSourceRanges does not have the node"),
];

/// The chain or target that a rule sends a packet to.
pub fn target(rule: &Rule) -> &str {
    match &rule.action {
        Action::None => "",
        Action::Accept => "ACCEPT",
        Action::Drop => "DROP",
        Action::Return => "RETURN",
        Action::Jump(chain) | Action::Goto(chain) => chain,
        Action::Target(target) => target.name(),
    }
}

/// The row of a rule.
pub fn find(table: &str, chain: &str, to: &str, rule: &Rule, objects: &Objects) -> Option<&'static Row> {
    let is_chain = |row: &Row| match row.chain {
        "" => !chain.starts_with("KUBE-"),
        beginning => chain.starts_with(beginning),
    };
    let fits = |row: &&Row| {
        row.table == table && is_chain(row) && to.starts_with(row.to) && row.when.holds(rule, objects)
    };
    ROWS.iter().find(fits)
}

impl If {
    fn holds(self, rule: &Rule, objects: &Objects) -> bool {
        let src = rule.ip.src;
        let of_device = rule.ip.input.as_ref().map(|input| input.invert);
        let from = if src.mask.is_unspecified() { of_device } else { Some(src.invert) };
        let matches = &rule.matches;
        let recent = || matches.iter().find_map(|with| with.get::<Recent>());
        match self {
            If::Any => true,
            If::FromNode => matches
                .iter()
                .filter_map(|with| with.get::<Addrtype>())
                .any(|types| types.source.is_some_and(|(invert, types)| !invert && types == LOCAL)),
            If::From => from == Some(false),
            If::NotFrom => from == Some(true),
            If::Remembered => recent().is_some_and(|recent| recent.mode == RecentMode::Rcheck),
            If::Remember => recent().is_some_and(|recent| recent.mode == RecentMode::Set),
            If::Chance => left(rule).is_some(),
            If::Set(name) => {
                matches.iter().filter_map(|with| with.get::<SetMatch>()).any(|set| set.name == name)
            }
            If::NotToPods => rule.ip.dst.invert && rule.ip.dst.addr == objects.history.config.pods.first,
        }
    }
}

/// How many endpoints are left where a rule chooses one by chance.
fn left(rule: &Rule) -> Option<u32> {
    rule.matches.iter().find_map(|with| match with.get::<Statistic>()?.mode {
        StatisticMode::Random(probability) if probability != 0 => {
            Some((f64::from(CERTAIN) / f64::from(probability)).round() as u32)
        }
        _ => None,
    })
}

impl Row {
    /// Why the rule stands there.
    pub fn why(&self, rule: &Rule, port: Option<&ServicePort>, seen: &Seen, objects: &Objects) -> String {
        let mut why = self.why.to_owned();
        let mut fill = |place: &str, text: &dyn Fn() -> String| {
            if why.contains(place) {
                why = why.replace(place, &text());
            }
        };
        fill("{address}", &|| match port.map(|port| address_of(port, seen)) {
            Some(address) if !address.is_empty() => address,
            _ => "address".to_owned(),
        });
        fill("{internal}", &|| internal(rule, port, seen, objects));
        fill("{pods}", &|| objects.local_pods().to_owned());
        fill("{left}", &|| left(rule).unwrap_or(1).to_string());
        fill("{seconds}", &|| {
            let recent = rule.matches.iter().find_map(|with| with.get::<Recent>());
            recent.map_or(0, |recent| recent.seconds).to_string()
        });
        why
    }
}

/// Why a packet to a cluster address is masqueraded; that rule also stands where 1.20 does so for external addresses.
fn internal(rule: &Rule, port: Option<&ServicePort>, seen: &Seen, objects: &Objects) -> String {
    let pods = objects.local_pods();
    let is_internal = port.is_none_or(|port| port.cluster_ip == seen.dst.0);
    match (If::NotFrom.holds(rule, objects), is_internal) {
        (true, _) => format!("the client is no {pods}: {ANSWERS}"),
        (false, true) if objects.masquerades_all() => "masqueradeAll: every client is masqueraded".to_owned(),
        (false, true) => {
            "the source is the service's own address, as of the node's packets: masquerade".to_owned()
        }
        (false, false) => ANSWERS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn has_row(table: &str, chain: &str, to: &str) -> bool {
        let is_chain = |row: &&Row| match row.chain {
            "" => !chain.starts_with("KUBE-"),
            beginning => chain.starts_with(beginning),
        };
        ROWS.iter().filter(is_chain).any(|row| row.table == table && to.starts_with(row.to))
    }

    /// The word behind an option.
    fn word<'a>(line: &'a str, options: &[&str]) -> Option<&'a str> {
        let mut words = line.split_whitespace();
        words.find(|word| options.contains(word)).and_then(|_| words.next())
    }

    #[test]
    fn every_recorded_rule_has_a_row() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/recordings/kubernetes/kube-proxy");
        let (mut without, mut rules) = (BTreeSet::new(), 0);
        for case in fs::read_dir(folder).expect("recordings").flatten().filter(|case| case.path().is_dir()) {
            for file in fs::read_dir(case.path()).expect("a case").flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                let is_input = name.ends_with(".calls.txt") || name.ends_with(".input.txt");
                if !is_input || name.contains("nftables") {
                    continue;
                }
                let text = fs::read_to_string(file.path()).expect("text");
                let mut table = String::new();
                for line in text.lines() {
                    let input = line.strip_prefix("| ").unwrap_or(line);
                    if let Some(name) = input.strip_prefix('*') {
                        name.clone_into(&mut table);
                    }
                    if !input.starts_with("-A ") && !input.starts_with("iptables ") {
                        continue;
                    }
                    let of_call = word(input, &["-t"]).unwrap_or(&table);
                    let Some(chain) = word(input, &["-A", "-I"]) else { continue };
                    let to = word(input, &["-j"]).unwrap_or("");
                    rules += 1;
                    if !has_row(of_call, chain, to) {
                        without.insert(format!("{of_call} {chain} {to} in {name}"));
                    }
                }
            }
        }
        assert!(without.is_empty() && rules > 1000, "{rules} rules, without a row: {without:#?}");
    }
}
