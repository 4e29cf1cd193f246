//! `kubectl describe networkpolicy`.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::describe_pod::Lines;
use super::selector::label_selector;

pub(super) fn network_policy(policy: &NetworkPolicy) -> String {
    let (meta, spec) = (&policy.metadata, policy.spec.clone().unwrap_or_default());
    let mut lines = Lines::default();
    lines.name(meta);
    let created = meta.creation_timestamp.as_ref();
    let created = created.map_or("<nil>".to_owned(), |time| time.0.strftime("%F %T +0000 UTC").to_string());
    lines.add(0, format!("Created on:\t{created}"));
    lines.labels("Labels", meta.labels.as_ref());
    lines.annotations("Annotations", meta.annotations.as_ref());
    lines.add(0, "Spec:");
    let selector = label_selector(&spec.pod_selector.unwrap_or_default());
    let all = match selector.as_str() {
        "<none>" => " (Allowing the specific traffic to all pods in this namespace)",
        _ => "",
    };
    lines.add(1, format!("PodSelector:     {selector}{all}"));
    let types = spec.policy_types.unwrap_or_default();
    let is_of = |name: &str| types.iter().any(|known| known == name);
    if is_of("Ingress") {
        lines.add(1, "Allowing ingress traffic:");
        let rules = spec.ingress.into_iter().flatten();
        let rules = rules.map(|rule| (rule.ports.unwrap_or_default(), rule.from.unwrap_or_default()));
        self::rules(&mut lines, &rules.collect::<Vec<_>>(), ("ingress", "From", "source"));
    } else {
        lines.add(1, "Not affecting ingress traffic");
    }
    if is_of("Egress") {
        lines.add(1, "Allowing egress traffic:");
        let rules = spec.egress.into_iter().flatten();
        let rules = rules.map(|rule| (rule.ports.unwrap_or_default(), rule.to.unwrap_or_default()));
        self::rules(&mut lines, &rules.collect::<Vec<_>>(), ("egress", "To", "destination"));
    } else {
        lines.add(1, "Not affecting egress traffic");
    }
    let types = if types.is_empty() { "<none>".to_owned() } else { types.join(", ") };
    lines.add(1, format!("Policy Types: {types}"));
    lines.end_without_events()
}

/// Ports and peers of a rule.
type Rule = (Vec<NetworkPolicyPort>, Vec<NetworkPolicyPeer>);

fn rules(lines: &mut Lines, rules: &[Rule], (direction, word, end): (&str, &str, &str)) {
    if rules.is_empty() {
        lines.add(2, format!("<none> (Selected pods are isolated for {direction} connectivity)"));
    }
    for (at, (ports, peers)) in rules.iter().enumerate() {
        if at > 0 {
            lines.add(2, "----------");
        }
        if ports.is_empty() {
            lines.add(2, "To Port: <any> (traffic allowed to all ports)");
        }
        for port in ports {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let first = match &port.port {
                Some(IntOrString::Int(number)) => number.to_string(),
                Some(IntOrString::String(name)) => name.clone(),
                None => "<nil>".to_owned(),
            };
            lines.add(
                2,
                match port.end_port {
                    Some(last) => format!("To Port Range: {first}-{last}/{protocol}"),
                    None => format!("To Port: {first}/{protocol}"),
                },
            );
        }
        if peers.is_empty() {
            lines.add(2, format!("{word}: <any> (traffic not restricted by {end})"));
        }
        for peer in peers {
            lines.add(2, format!("{word}:"));
            if let Some(selector) = &peer.namespace_selector {
                lines.add(3, format!("NamespaceSelector: {}", label_selector(selector)));
            }
            if let Some(selector) = &peer.pod_selector {
                lines.add(3, format!("PodSelector: {}", label_selector(selector)));
            }
            if let Some(block) = &peer.ip_block {
                lines.add(3, "IPBlock:");
                lines.add(4, format!("CIDR: {}", block.cidr));
                lines.add(4, format!("Except: {}", block.except.clone().unwrap_or_default().join(", ")));
            }
        }
    }
}
