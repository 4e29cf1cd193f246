//! Whether network policies allow a packet, by their specification: <https://kubernetes.io/docs/concepts/services-networking/network-policies/>.
//! Beside it, where kube-router 1.2 reads them otherwise.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;
use serde_json::Value;

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    match_labels: Labels,
    match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, Deserialize)]
struct Expression {
    key: String,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

impl Selector {
    fn selects(&self, labels: &Labels) -> bool {
        let equal = self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        equal
            && self.match_expressions.iter().all(|Expression { key, operator, values }| {
                let value = labels.get(key);
                match operator.as_str() {
                    "In" => value.is_some_and(|value| values.contains(value)),
                    "NotIn" => value.is_none_or(|value| !values.contains(value)),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    other => panic!("what is {other}?"),
                }
            })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    pod_selector: Option<Selector>,
    namespace_selector: Option<Selector>,
    ip_block: Option<Block>,
}

#[derive(Clone, Debug, Deserialize)]
struct Block {
    cidr: String,
    #[serde(default)]
    except: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    protocol: String,
    port: Option<Value>,
    end_port: Option<u16>,
}

#[derive(Clone, Debug, Deserialize)]
struct Rule {
    #[serde(alias = "from", alias = "to", default)]
    peers: Vec<Peer>,
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    pod_selector: Selector,
    policy_types: Vec<String>,
    #[serde(default)]
    ingress: Vec<Rule>,
    #[serde(default)]
    egress: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    namespace: String,
    spec: Spec,
}

#[derive(Clone, Debug)]
pub struct Pod {
    namespace: String,
    labels: Labels,
    /// Name, protocol and number.
    ports: Vec<(String, String, u16)>,
}

/// Who sends or receives.
#[derive(Clone, Debug)]
pub struct End {
    pub address: Ipv4Addr,
    /// Where it is; itself, if it is a node. `None`: outside.
    pub node: Option<String>,
    pub pod: Option<Pod>,
}

/// A packet's protocol and destination port; ICMP has none.
pub type Packet = (&'static str, u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ingress,
    Egress,
}

const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// Who reads the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The specification.
    Specification,
    /// kube-router 1.2, which differs from it: each place is marked with this word.
    KubeRouter,
}

/// What policies depend on.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub policies: Vec<Policy>,
    /// Labels of namespaces.
    pub namespaces: BTreeMap<String, Labels>,
    pub pods: BTreeMap<String, (Pod, Ipv4Addr)>,
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn labels(object: &Value) -> Labels {
    let labels = object.pointer("/metadata/labels").cloned().unwrap_or_default();
    serde_json::from_value(labels).unwrap_or_default()
}

impl Cluster {
    /// Takes in an object.
    pub fn add(&mut self, object: &Value) {
        let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        match object["kind"].as_str() {
            Some("Namespace") => _ = self.namespaces.insert(name, labels(object)),
            Some("NetworkPolicy") => {
                let spec = serde_json::from_value(object["spec"].clone()).expect("a policy");
                self.policies.push(Policy { namespace, spec });
            }
            Some("Pod") => {
                let containers = object.pointer("/spec/containers").and_then(Value::as_array);
                let ports =
                    containers.into_iter().flatten().filter_map(|container| container["ports"].as_array());
                let port = |port: &Value| {
                    let number = port["containerPort"].as_u64().expect("a port") as u16;
                    (text(port, "/name"), text(port, "/protocol"), number)
                };
                let ports = ports.flatten().map(port).collect();
                let Ok(address) = text(object, "/status/podIP").parse() else { return };
                let pod = Pod { namespace: namespace.clone(), labels: labels(object), ports };
                self.pods.insert(format!("{namespace}/{name}"), (pod, address));
            }
            other => panic!("what is {other:?}?"),
        }
    }

    /// A packet may go from one end to the other.
    pub fn allows(&self, reader: Reader, from: &End, to: &End, packet: Packet) -> bool {
        if from.address == to.address {
            return true;
        }
        BOTH.into_iter().all(|direction| {
            let (own, other) = match direction {
                Direction::Ingress => (to, from),
                Direction::Egress => (from, to),
            };
            // Its own node may always reach a pod, and be reached by it.
            let is_own_node = other.pod.is_none() && other.node.is_some() && own.node == other.node;
            // KubeRouter: what a pod sends to its node is filtered.
            let is_filtered = reader == Reader::KubeRouter && direction == Direction::Egress;
            if own.pod.is_none() || is_own_node && !is_filtered {
                return true;
            }
            self.permits(reader, direction, own, (from, to), packet)
        })
    }

    /// The policies of a pod let a packet pass in a direction.
    fn permits(
        &self,
        reader: Reader,
        direction: Direction,
        own: &End,
        ends: (&End, &End),
        packet: Packet,
    ) -> bool {
        let mut selecting = self.policies.iter().filter(|policy| policy.selects(own));
        // A pod is isolated for a direction if a policy that selects it has this type; policies add up.
        let is_isolated = selecting.clone().any(|policy| policy.has(direction));
        !is_isolated
            || selecting.any(|policy| {
                // KubeRouter: the rules of both directions are asked, in both directions.
                let asked = BOTH.into_iter().filter(|of| *of == direction || reader == Reader::KubeRouter);
                asked
                    .into_iter()
                    .any(|of| policy.has(of) && self.allowed_by(reader, policy, of, ends, packet))
            })
    }

    /// A rule of a policy's direction allows a packet.
    fn allowed_by(
        &self,
        reader: Reader,
        policy: &Policy,
        direction: Direction,
        (from, to): (&End, &End),
        packet: Packet,
    ) -> bool {
        let (own, other, rules) = match direction {
            Direction::Ingress => (to, from, &policy.spec.ingress),
            Direction::Egress => (from, to, &policy.spec.egress),
        };
        policy.selects(own)
            && rules.iter().any(|rule| match reader {
                Reader::Specification => {
                    let peers =
                        rule.peers.is_empty() || rule.peers.iter().any(|peer| self.is(peer, policy, other));
                    peers && (rule.ports.is_empty() || rule.ports.iter().any(|port| port.is(to, packet)))
                }
                Reader::KubeRouter => self.kube_router_allows(policy, direction, rule, (other, to), packet),
            })
    }

    /// An end is a peer.
    fn is(&self, peer: &Peer, policy: &Policy, end: &End) -> bool {
        match (peer, &end.pod) {
            (Peer { ip_block: Some(block), .. }, _) => {
                contains(&block.cidr, end.address)
                    && !block.except.iter().any(|except| contains(except, end.address))
            }
            (Peer { pod_selector, namespace_selector, .. }, Some(pod)) => {
                let in_namespace = match namespace_selector {
                    Some(selector) => selector.selects(&self.namespaces[&pod.namespace]),
                    None => pod.namespace == policy.namespace,
                };
                in_namespace && pod_selector.as_ref().is_none_or(|selector| selector.selects(&pod.labels))
            }
            (_, None) => false,
        }
    }

    /// KubeRouter: pods and blocks of a rule's peers are two sets, the numbers behind names of ports a third.
    fn kube_router_allows(
        &self,
        policy: &Policy,
        direction: Direction,
        rule: &Rule,
        (other, to): (&End, &End),
        packet: Packet,
    ) -> bool {
        let is_named = |port: &&Port| matches!(port.port, Some(Value::String(_)));
        let by_number = rule.ports.is_empty()
            || rule.ports.iter().filter(|port| !is_named(port)).any(|port| port.is_first(packet));
        // A name stands for what it is in the pods to which the rule lets pass.
        let known: Vec<(&Pod, Ipv4Addr)> = match direction {
            Direction::Ingress => self.selected(policy),
            Direction::Egress if rule.peers.is_empty() => self.in_namespace(&policy.namespace),
            Direction::Egress => self.pods_of(rule, policy),
        };
        let stands_for = |port: &Port| {
            let of = |(pod, address): &(&Pod, Ipv4Addr)| {
                let numbers = pod.ports.iter().filter(|(name, protocol, _)| {
                    Some(name.as_str()) == port.port.as_ref().and_then(Value::as_str)
                        && *protocol == port.protocol
                });
                numbers.map(|(_, _, number)| (*address, *number)).collect::<Vec<_>>()
            };
            known.iter().flat_map(of).collect::<Vec<_>>()
        };
        let named: Vec<(&Port, Vec<(Ipv4Addr, u16)>)> =
            rule.ports.iter().filter(is_named).map(|port| (port, stands_for(port))).collect();
        let by_name = |to_anybody: bool| {
            named.iter().any(|(port, numbers)| {
                let fits = |(address, number): &(Ipv4Addr, u16)| {
                    (*address == to.address || to_anybody) && packet == (port.protocol(), *number)
                };
                numbers.iter().any(fits)
            })
        };
        // If no pod has the names of ports, pods of the peers may use every port.
        let is_unknown = !rule.ports.is_empty()
            && rule.ports.iter().all(|port| is_named(&port))
            && named.iter().all(|(_, numbers)| numbers.is_empty());
        let peers = self.pods_of(rule, policy);
        let is_peer = peers.iter().any(|(_, address)| *address == other.address);
        // A name of a port is its number for every destination where there are no peers.
        let to_anybody = direction == Direction::Egress;
        rule.peers.is_empty() && (by_number || by_name(to_anybody))
            || is_peer && (by_number || by_name(false) || is_unknown)
            || in_blocks(rule, other.address)
                && (by_number || direction == Direction::Ingress && by_name(false))
    }

    fn selected(&self, policy: &Policy) -> Vec<(&Pod, Ipv4Addr)> {
        let pods = self.in_namespace(&policy.namespace).into_iter();
        pods.filter(|(pod, _)| policy.spec.pod_selector.selects(&pod.labels)).collect()
    }

    fn in_namespace(&self, namespace: &str) -> Vec<(&Pod, Ipv4Addr)> {
        self.pods.values().filter(|(pod, _)| pod.namespace == namespace).map(|(pod, at)| (pod, *at)).collect()
    }

    fn pods_of(&self, rule: &Rule, policy: &Policy) -> Vec<(&Pod, Ipv4Addr)> {
        let is_peer = |(pod, address): &&(Pod, Ipv4Addr)| {
            let end = End { address: *address, node: None, pod: Some(pod.clone()) };
            let selectors = rule.peers.iter().filter(|peer| peer.ip_block.is_none());
            selectors.into_iter().any(|peer| self.is(peer, policy, &end))
        };
        self.pods.values().filter(is_peer).map(|(pod, address)| (pod, *address)).collect()
    }
}

/// KubeRouter: the blocks of a rule's peers are one set, in which the narrowest entry counts, and of two that are equal the later one.
fn in_blocks(rule: &Rule, address: Ipv4Addr) -> bool {
    let mut entries = BTreeMap::new();
    for block in rule.peers.iter().filter_map(|peer| peer.ip_block.as_ref()) {
        let own = std::iter::once((&block.cidr, true));
        for (cidr, is_in) in own.chain(block.except.iter().map(|except| (except, false))) {
            if contains(cidr, address) {
                entries.insert(prefix(cidr).1, is_in);
            }
        }
    }
    entries.into_iter().next_back().is_some_and(|(_, is_in)| is_in)
}

fn prefix(cidr: &str) -> (u32, u32) {
    let (address, len) = cidr.split_once('/').expect("a prefix");
    (address.parse::<Ipv4Addr>().expect("an address").to_bits(), len.parse().expect("a length"))
}

fn contains(cidr: &str, address: Ipv4Addr) -> bool {
    let (network, len) = prefix(cidr);
    (network ^ address.to_bits()).leading_zeros() >= len
}

impl Policy {
    fn has(&self, direction: Direction) -> bool {
        self.spec.policy_types.iter().any(|known| *known == format!("{direction:?}"))
    }

    fn selects(&self, end: &End) -> bool {
        let is_selected =
            |pod: &Pod| pod.namespace == self.namespace && self.spec.pod_selector.selects(&pod.labels);
        end.pod.as_ref().is_some_and(is_selected)
    }
}

impl Port {
    fn protocol(&self) -> &str {
        &self.protocol
    }

    /// A packet to this end is for the port. A name is the destination's.
    fn is(&self, to: &End, (protocol, number): Packet) -> bool {
        let is_number = match &self.port {
            None => true,
            Some(Value::String(wanted)) => to
                .pod
                .iter()
                .flat_map(|pod| &pod.ports)
                .any(|(name, of, known)| name == wanted && *of == self.protocol && *known == number),
            Some(first) => {
                let first = first.as_u64().expect("a number") as u16;
                (first..=self.end_port.unwrap_or(first)).contains(&number)
            }
        };
        self.protocol == protocol && is_number
    }

    /// KubeRouter: a range is its first port.
    fn is_first(&self, (protocol, number): Packet) -> bool {
        let is_number = self.port.as_ref().is_none_or(|first| first.as_u64() == Some(u64::from(number)));
        self.protocol == protocol && is_number
    }
}
