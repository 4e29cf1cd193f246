//! The policies behind the rules of kube-router, for views.
//!
//! Names of chains depend on the time of a sync, so pods and policies are known by the comments, which kube-router always writes.

use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::xt_addrtype::Addrtype;
use glassnet_kernel::net::netfilter::xt_comment::Comment;
use glassnet_kernel::net::netfilter::xt_set::SetMatch;
use glassnet_kernel::tables::xt::{Rule as XtRule, Table};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::Objects;
use super::names::{self, Direction, FORWARD, INPUT, OUTPUT, POD, POLICY, SetOf};
use super::policies::{self, Policy, address};
use crate::config::Range;
use crate::history::History;
use crate::kube_proxy::explain::{Explained, Seen, target};
use crate::object::{Key, Kind};

/// What stands behind a rule of kube-router that matched a packet with this source.
pub fn rule(
    history: &History,
    table: &Table,
    chain: &str,
    rule: &XtRule,
    (src, seen): (Ipv4Addr, &Seen),
) -> Option<Explained> {
    let to = target(rule);
    let (policies, why) = match (chain, to) {
        (_, INPUT | FORWARD | OUTPUT) => (Vec::new(), "is its pod isolated by a network policy?".to_owned()),
        (INPUT, "RETURN") => (Vec::new(), "services and node ports are let pass".to_owned()),
        (INPUT | FORWARD | OUTPUT, to) if to.starts_with(POD) => {
            let isolated = Isolated::of(history, table, to, seen)?;
            (isolated.names(), format!("{isolated}: does a policy allow this packet?"))
        }
        (chain, to) if chain.starts_with(POD) => {
            in_pod_chain(history, table, (chain, to), rule, (src, seen))?
        }
        (chain, to) if chain.starts_with(POLICY) => in_policy_chain(history, to, rule, seen)?,
        _ => return None,
    };
    Some(Explained { agent: "kube-router", service: None, endpoint: None, policies, why })
}

/// Policies and reason.
type Known = (Vec<String>, String);

fn in_pod_chain(
    history: &History,
    table: &Table,
    (chain, to): (&str, &str),
    rule: &XtRule,
    (src, seen): (Ipv4Addr, &Seen),
) -> Option<Known> {
    let without = |why: &str| Some((Vec::new(), why.to_owned()));
    match to {
        "ACCEPT" if rule.matches.iter().any(|with| with.get::<Addrtype>().is_some()) => {
            without("a pod's own node may always reach it")
        }
        "ACCEPT" => without("it belongs to a connection that was allowed"),
        "NFLOG" => without("what no policy allows is logged"),
        "MARK" => without("a policy allowed it: the mark is taken off"),
        "REJECT" => {
            let isolated = Isolated::of(history, table, chain, seen)?;
            Some((isolated.names(), format!("{isolated} and {}", isolated.why_not(src, seen.dst.0))))
        }
        to if to.starts_with(POLICY) => {
            let name = comment(rule)?.strip_prefix("run through nw policy ")?;
            let (namespace, _) = pod_of(table, chain)?;
            Some((vec![format!("{namespace}/{name}")], "does one of its rules allow this packet?".to_owned()))
        }
        _ => None,
    }
}

fn in_policy_chain(history: &History, to: &str, rule: &XtRule, seen: &Seen) -> Option<Known> {
    let comment = comment(rule)?;
    let (before, namespace) = comment.rsplit_once(" namespace ")?;
    let name = before.rsplit_once(' ')?.1;
    let why = match to {
        "MARK" => {
            let key = Key::new(Kind::NetworkPolicy, namespace, name);
            let of = history.at::<NetworkPolicy>(&key, seen.at).and_then(|policy| rule_of(policy, rule));
            format!("{} allows this packet: marked", of.as_deref().unwrap_or("it"))
        }
        _ => "it allowed this packet: back to the pod's chain".to_owned(),
    };
    Some((vec![format!("{namespace}/{name}")], why))
}

/// The rule of a policy that became a rule of iptables, as a path: by the set of its peers, or of its pods with a named port. Rules for
/// all peers differ in nothing but their ports, and so have none.
fn rule_of(policy: &NetworkPolicy, rule: &XtRule) -> Option<String> {
    let (meta, spec) = (&policy.metadata, policy.spec.as_ref()?);
    let (namespace, name) = (meta.namespace.as_deref()?, meta.name.as_deref()?);
    let sets: Vec<&str> =
        rule.matches.iter().filter_map(|with| with.get::<SetMatch>()).map(|set| set.name.as_str()).collect();
    let counts = [
        (Direction::Ingress, "ingress", spec.ingress.as_ref().map_or(0, Vec::len)),
        (Direction::Egress, "egress", spec.egress.as_ref().map_or(0, Vec::len)),
    ];
    counts.into_iter().find_map(|(direction, word, count)| {
        let is_it = |number: &usize| {
            let of = [SetOf::Pods(*number), SetOf::Blocks(*number)];
            of.iter().any(|of| sets.contains(&names::set(direction, namespace, name, *of).as_str()))
        };
        (0..count).find(is_it).map(|number| format!("its spec.{word}[{number}]"))
    })
}

/// The text of a rule's comment.
fn comment(rule: &XtRule) -> Option<&str> {
    rule.matches.iter().find_map(|with| with.get::<Comment>()).map(|comment| comment.0.as_str())
}

/// Namespace and name of the pod that a chain is for.
fn pod_of<'a>(table: &'a Table, chain: &str) -> Option<(&'a str, &'a str)> {
    let rules = &table.chain(chain)?.rules;
    let comment = comment(rules.iter().find(|rule| target(rule) == "REJECT")?)?;
    let (name, namespace) = comment.split_once("POD name:")?.1.split_once(" namespace: ")?;
    Some((namespace, name))
}

/// A pod whose packets are looked at, with what isolates it.
struct Isolated {
    pod: String,
    direction: Direction,
    /// The policies that isolate it, as they were when the packet came.
    policies: Vec<Policy>,
}

impl Isolated {
    fn of(history: &History, table: &Table, chain: &str, seen: &Seen) -> Option<Isolated> {
        let (namespace, name) = pod_of(table, chain)?;
        let pod = history.at::<Pod>(&Key::new(Kind::Pod, namespace, name), seen.at)?;
        let own = address(pod)?;
        let is_to = own.parse() == Ok(seen.dst.0);
        let direction = if is_to { Direction::Ingress } else { Direction::Egress };
        let objects = Objects {
            policies: history.all_at(seen.at).collect(),
            pods: history.all_at(seen.at).collect(),
            namespaces: history.all_at::<Namespace>(seen.at).collect(),
        };
        let isolates = |policy: &Policy| {
            policy.namespace == namespace && policy.isolates(direction) && policy.selected.contains(own)
        };
        let policies = policies::read(&objects).into_iter().filter(isolates).collect();
        Some(Isolated { pod: format!("{namespace}/{name}"), direction, policies })
    }

    /// The names of the policies.
    fn names(&self) -> Vec<String> {
        self.policies.iter().map(|Policy { namespace, name, .. }| format!("{namespace}/{name}")).collect()
    }

    /// Why none of the policies allows a packet.
    fn why_not(&self, src: Ipv4Addr, dst: Ipv4Addr) -> String {
        let (peer, end) = match self.direction {
            Direction::Ingress => (src, "source"),
            Direction::Egress => (dst, "destination"),
        };
        let rules = self.policies.iter().flat_map(|policy| &policy.rules);
        let mut rules =
            rules.filter(|(direction, _)| *direction == self.direction).flat_map(|(_, rules)| rules);
        let knows =
            rules.any(|rule| rule.all || rule.pods.contains(&peer.to_string()) || is_in(&rule.blocks, peer));
        match (self.policies.is_empty(), knows) {
            (true, _) => "no policy allowed this packet when kube-router wrote its rules".to_owned(),
            (false, true) => format!("no policy allows this {end} to use this protocol and port"),
            (false, false) => format!("no policy allows this {end}"),
        }
    }
}

impl std::fmt::Display for Isolated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pod {} is isolated for {}", self.pod, self.direction.name().to_lowercase())
    }
}

/// The narrowest entry of a set of networks that has an address says whether the set has it.
fn is_in(entries: &[String], address: Ipv4Addr) -> bool {
    let has = |entry: &&String| {
        let range = entry.split(' ').next().and_then(Range::parse);
        Some(range?.len).filter(|_| range.is_some_and(|range| range.contains(address)))
    };
    let narrowest = entries.iter().filter(|entry| has(entry).is_some()).max_by_key(has);
    narrowest.is_some_and(|entry| !entry.ends_with(" nomatch"))
}
