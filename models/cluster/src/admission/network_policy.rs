//! NetworkPolicies.

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names;
use crate::error::Cause;

/// In the order in which errors list them.
const POLICY_TYPES: &[&str] = &["Egress", "Ingress"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// Fills in and checks a NetworkPolicy.
pub(super) fn admit(policy: &mut NetworkPolicy, causes: &mut Vec<Cause>) {
    let spec = policy.spec.get_or_insert_default();
    let selector = spec.pod_selector.get_or_insert_default();
    check_selector("spec.podSelector", selector, causes);
    for (at, rule) in spec.ingress.iter_mut().flatten().enumerate() {
        let field = format!("spec.ingress[{at}]");
        ports(&field, rule.ports.as_mut(), causes);
        peers(&format!("{field}.from"), rule.from.as_ref(), causes);
    }
    for (at, rule) in spec.egress.iter_mut().flatten().enumerate() {
        let field = format!("spec.egress[{at}]");
        ports(&field, rule.ports.as_mut(), causes);
        peers(&format!("{field}.to"), rule.to.as_ref(), causes);
    }
    let has_egress = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
    let types = spec.policy_types.get_or_insert_default();
    if types.is_empty() {
        types.push("Ingress".to_owned());
        types.extend(has_egress.then(|| "Egress".to_owned()));
    }
    if types.len() > POLICY_TYPES.len() {
        let why = "may not specify more than two policyTypes";
        causes.push(Cause::invalid("spec.policyTypes", &*types, why));
        return;
    }
    for (at, name) in types.iter().enumerate().filter(|(_, name)| !POLICY_TYPES.contains(&name.as_str())) {
        causes.push(Cause::unsupported(format!("spec.policyTypes[{at}]"), name, POLICY_TYPES));
    }
}

fn ports(field: &str, ports: Option<&mut Vec<NetworkPolicyPort>>, causes: &mut Vec<Cause>) {
    for (at, port) in ports.into_iter().flatten().enumerate() {
        let _ = port.protocol.get_or_insert_with(|| "TCP".to_owned());
        check_port(&format!("{field}.ports[{at}]"), port, causes);
    }
}

fn check_port(field: &str, port: &NetworkPolicyPort, causes: &mut Vec<Cause>) {
    const RANGE: &str = "must be between 1 and 65535, inclusive";
    let protocol = port.protocol.as_deref().unwrap_or_default();
    if !PROTOCOLS.contains(&protocol) {
        causes.push(Cause::unsupported(format!("{field}.protocol"), protocol, PROTOCOLS));
    }
    let is_number = |number: i32| (1..=65535).contains(&number);
    let end_field = format!("{field}.endPort");
    match (&port.port, port.end_port) {
        (None, None) => {}
        (None, Some(end)) => {
            causes.push(Cause::invalid(end_field, end, "may not be specified when `port` is not specified"));
        }
        (Some(IntOrString::Int(first)), end) => {
            if !is_number(*first) {
                causes.push(Cause::invalid(format!("{field}.port"), first, RANGE));
            }
            let Some(end) = end else { return };
            if end < *first {
                let why = "must be greater than or equal to `port`";
                causes.push(Cause::invalid(&end_field, end, why));
            }
            if !is_number(end) {
                causes.push(Cause::invalid(&end_field, end, RANGE));
            }
        }
        (Some(IntOrString::String(name)), end) => {
            if let Some(end) = end {
                let why = "may not be specified when `port` is non-numeric";
                causes.push(Cause::invalid(end_field, end, why));
            }
            let wrong = names::port_name(name);
            causes.extend(wrong.map(|why| Cause::invalid(format!("{field}.port"), name, why)));
        }
    }
}

fn peers(field: &str, peers: Option<&Vec<NetworkPolicyPeer>>, causes: &mut Vec<Cause>) {
    for (at, peer) in peers.into_iter().flatten().enumerate() {
        let field = format!("{field}[{at}]");
        let selectors =
            [("podSelector", &peer.pod_selector), ("namespaceSelector", &peer.namespace_selector)];
        for (name, selector) in selectors {
            if let Some(selector) = selector {
                check_selector(&format!("{field}.{name}"), selector, causes);
            }
        }
        let has_selector = selectors.iter().any(|(_, selector)| selector.is_some());
        match &peer.ip_block {
            Some(block) => {
                check_block(&format!("{field}.ipBlock"), block, causes);
                if has_selector {
                    let why = "may not specify both ipBlock and another peer";
                    causes.push(Cause::forbidden(&field, why));
                }
            }
            None if has_selector => {}
            None => causes.push(Cause::required(&field, "must specify a peer")),
        }
    }
}

fn check_block(field: &str, block: &IPBlock, causes: &mut Vec<Cause>) {
    const WRONG: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    if block.cidr.is_empty() {
        causes.push(Cause::required(format!("{field}.cidr"), ""));
        return;
    }
    let Some(cidr) = Cidr::parse(&block.cidr) else {
        causes.push(Cause::invalid(format!("{field}.cidr"), &block.cidr, WRONG));
        return;
    };
    for (at, text) in block.except.iter().flatten().enumerate() {
        let why = match Cidr::parse(text) {
            None => WRONG,
            Some(except) if cidr.has_strictly(&except) => continue,
            Some(_) => "must be a strict subset of `cidr`",
        };
        causes.push(Cause::invalid(format!("{field}.except[{at}]"), text, why));
    }
}

/// A range of addresses of either family. Bits behind the prefix do not count.
struct Cidr {
    address: IpAddr,
    len: u8,
}

impl Cidr {
    fn parse(text: &str) -> Option<Cidr> {
        let (address, len) = text.split_once('/')?;
        let (address, len): (IpAddr, u8) = (address.parse().ok()?, len.parse().ok()?);
        let bits = if address.is_ipv4() { 32 } else { 128 };
        (len <= bits).then_some(Cidr { address, len })
    }

    /// The other range is a part of this one.
    fn has_strictly(&self, other: &Cidr) -> bool {
        let is_equal = match (self.address, other.address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.len)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.len)
            }
            _ => false,
        };
        is_equal && self.len < other.len
    }
}

/// Checks a selector of labels.
fn check_selector(field: &str, selector: &LabelSelector, causes: &mut Vec<Cause>) {
    causes.extend(names::labels(&format!("{field}.matchLabels"), selector.match_labels.as_ref()));
    for (at, rule) in selector.match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{at}]");
        let values = rule.values.as_deref().unwrap_or_default();
        match rule.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(Cause::required(format!("{field}.values"), why));
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if values.is_empty() => {}
            "Exists" | "DoesNotExist" => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(format!("{field}.values"), why));
            }
            other => {
                let why = "not a valid selector operator";
                causes.push(Cause::invalid(format!("{field}.operator"), other, why));
            }
        }
        let wrong = names::qualified_name(&rule.key);
        causes.extend(wrong.map(|why| Cause::invalid(format!("{field}.key"), &rule.key, why)));
        for (at, value) in values.iter().enumerate() {
            let wrong = names::label_value(value);
            causes.extend(wrong.map(|why| Cause::invalid(format!("{field}.values[{at}]"), value, why)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn admitted(spec: Value) -> (NetworkPolicy, Vec<String>) {
        let policy = json!({"metadata": {"name": "web"}, "spec": spec});
        let mut policy = serde_json::from_value(policy).expect("a policy");
        let mut causes = Vec::new();
        admit(&mut policy, &mut causes);
        (policy, causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.detail)).collect())
    }

    fn refused(spec: Value) -> Vec<String> {
        admitted(spec).1
    }

    #[test]
    fn what_is_not_given_is_filled_in() {
        let types = |spec: Value| admitted(spec).0.spec.and_then(|spec| spec.policy_types).expect("types");
        assert_eq!(types(json!({"podSelector": {}})), ["Ingress"]);
        assert_eq!(types(json!({"egress": []})), ["Ingress"]);
        assert_eq!(types(json!({"egress": [{}]})), ["Ingress", "Egress"]);
        assert_eq!(types(json!({"policyTypes": ["Egress"], "ingress": [{}]})), ["Egress"]);
        let (policy, wrong) = admitted(json!({"ingress": [{"ports": [{"port": 80}]}]}));
        let spec = serde_json::to_value(policy.spec).expect("JSON");
        assert_eq!((&spec["ingress"][0]["ports"][0]["protocol"], wrong.len()), (&json!("TCP"), 0));
    }

    #[test]
    fn ports() {
        let port = |port: Value| refused(json!({"ingress": [{"ports": [port]}]}));
        let at = "spec.ingress[0].ports[0]";
        let number = "must be between 1 and 65535, inclusive";
        assert_eq!(port(json!({"port": 0})), [format!("{at}.port: Invalid value: 0: {number}")]);
        assert_eq!(port(json!({"port": 70000})), [format!("{at}.port: Invalid value: 70000: {number}")]);
        assert_eq!(
            port(json!({"endPort": 90})),
            [format!("{at}.endPort: Invalid value: 90: may not be specified when `port` is not specified")]
        );
        assert_eq!(
            port(json!({"port": 80, "endPort": 79})),
            [format!("{at}.endPort: Invalid value: 79: must be greater than or equal to `port`")]
        );
        assert_eq!(
            port(json!({"port": 80, "endPort": 65536})),
            [format!("{at}.endPort: Invalid value: 65536: {number}")]
        );
        assert_eq!(
            port(json!({"port": "http", "endPort": 90})),
            [format!("{at}.endPort: Invalid value: 90: may not be specified when `port` is non-numeric")]
        );
        assert_eq!(
            port(json!({"port": "80"})),
            [format!("{at}.port: Invalid value: \"80\": must contain at least one letter (a-z)")]
        );
        assert_eq!(
            port(json!({"protocol": "ICMP"})),
            [format!(
                "{at}.protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\""
            )]
        );
        assert_eq!(port(json!({"port": 80, "endPort": 80, "protocol": "SCTP"})), Vec::<String>::new());
    }

    #[test]
    fn peers() {
        let peer = |peer: Value| refused(json!({"egress": [{"to": [peer]}]}));
        let at = "spec.egress[0].to[0]";
        assert_eq!(peer(json!({})), [format!("{at}: Required value: must specify a peer")]);
        assert_eq!(
            peer(json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}})),
            [format!("{at}: Forbidden: may not specify both ipBlock and another peer")]
        );
        let cidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "x/8"] {
            assert_eq!(
                peer(json!({"ipBlock": {"cidr": wrong}})),
                [format!("{at}.ipBlock.cidr: Invalid value: \"{wrong}\": {cidr}")]
            );
        }
        assert_eq!(
            peer(json!({"ipBlock": {"except": ["10.0.0.0/8"]}})),
            [format!("{at}.ipBlock.cidr: Required value")]
        );
        assert_eq!(
            peer(
                json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9", "10.0.0.0/8", "10.1.0.0/16", "y"]}})
            ),
            [
                format!(
                    "{at}.ipBlock.except[0]: Invalid value: \"11.0.0.0/9\": must be a strict subset of `cidr`"
                ),
                format!(
                    "{at}.ipBlock.except[1]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`"
                ),
                format!("{at}.ipBlock.except[3]: Invalid value: \"y\": {cidr}"),
            ]
        );
        assert_eq!(
            peer(json!({"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}})),
            Vec::<String>::new()
        );
        let expression = json!({"key": "a", "operator": "In"});
        assert_eq!(
            peer(json!({"namespaceSelector": {"matchExpressions": [expression]}})),
            [format!(
                "{at}.namespaceSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
            )]
        );
    }

    #[test]
    fn policy_types() {
        assert_eq!(
            refused(json!({"policyTypes": ["Both"]})),
            ["spec.policyTypes[0]: Unsupported value: \"Both\": supported values: \"Egress\", \"Ingress\""]
        );
        assert_eq!(
            refused(json!({"policyTypes": ["Ingress", "Egress", "Ingress"]})),
            [
                "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes"
            ]
        );
    }
}
