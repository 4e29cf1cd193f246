//! Services: their addresses, their ports, and what they may not be.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{ClientIPConfig, Service, ServiceSpec, SessionAffinityConfig};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names;
use crate::config::NODE_PORTS;
use crate::error::Cause;
use crate::store::Store;

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// Addresses of the cluster that a service has.
pub fn addresses(service: &Service) -> impl Iterator<Item = Ipv4Addr> {
    service.spec.iter().flat_map(|spec| &spec.cluster_ip).filter_map(|address| address.parse().ok())
}

/// Ports on every node that a service has, with their protocols.
pub fn node_ports(service: &Service) -> impl Iterator<Item = (u16, String)> {
    let spec = service.spec.as_ref();
    let ports = spec.into_iter().flat_map(|spec| spec.ports.iter().flatten());
    let of_ports =
        ports.filter_map(|port| Some((port.node_port?, port.protocol.clone().unwrap_or_default())));
    let health = spec.and_then(|spec| spec.health_check_node_port).map(|port| (port, "TCP".to_owned()));
    of_ports
        .chain(health)
        .filter_map(|(port, protocol)| Some((u16::try_from(port).ok().filter(|p| *p > 0)?, protocol)))
}

/// Fills in and checks a service.
pub(super) fn admit(
    store: &mut Store,
    service: &mut Service,
    old: Option<&Service>,
    causes: &mut Vec<Cause>,
) {
    let _ = service.status.get_or_insert_default().load_balancer.get_or_insert_default();
    let spec = service.spec.get_or_insert_default();
    defaults(spec);
    if let Some(old) = old.and_then(|old| old.spec.as_ref()) {
        keep(spec, old);
    }
    let kind = spec.type_.clone().unwrap_or_default();
    if !TYPES.contains(&kind.as_str()) {
        causes.push(Cause::unsupported("spec.type", &kind, TYPES));
        return;
    }
    if kind == "ExternalName" {
        let name = spec.external_name.clone().unwrap_or_default();
        match name.is_empty() {
            true => causes.push(Cause::required("spec.externalName", "")),
            false => causes.extend(
                names::dns_1123_subdomain(name.trim_end_matches('.'))
                    .map(|why| Cause::invalid("spec.externalName", &name, why)),
            ),
        }
    }
    ports(spec, &kind, causes);
    choices(spec, &kind, causes);
    affinity(spec, causes);
    if !causes.is_empty() {
        return;
    }
    cluster_address(store, spec, &kind, old, causes);
    nodes_ports(store, spec, &kind, old, causes);
}

fn defaults(spec: &mut ServiceSpec) {
    let kind = spec.type_.get_or_insert_with(|| "ClusterIP".to_owned()).clone();
    for port in spec.ports.iter_mut().flatten() {
        let _ = port.protocol.get_or_insert_with(|| "TCP".to_owned());
        let number = port.port;
        let _ = port.target_port.get_or_insert(IntOrString::Int(number));
    }
    let affinity = spec.session_affinity.get_or_insert_with(|| "None".to_owned());
    if affinity == "ClientIP" {
        let config =
            SessionAffinityConfig { client_ip: Some(ClientIPConfig { timeout_seconds: Some(10800) }) };
        let _ = spec.session_affinity_config.get_or_insert(config);
    } else if affinity == "None" {
        spec.session_affinity_config = None;
    }
    if kind == "ExternalName" {
        return;
    }
    let _ = spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
    let _ = spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
    let _ = spec.ip_family_policy.get_or_insert_with(|| "SingleStack".to_owned());
    if kind == "NodePort" || kind == "LoadBalancer" {
        let _ = spec.external_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
    }
    if kind == "LoadBalancer" {
        let _ = spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
}

/// What an update does not say stays: addresses, and the ports on nodes of ports that are there still. What another type does not
/// have goes, if the update does not change it.
fn keep(spec: &mut ServiceSpec, old: &ServiceSpec) {
    let is_external = matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"));
    if !is_external && spec.external_traffic_policy == old.external_traffic_policy {
        spec.external_traffic_policy = None;
    }
    if spec.type_.as_deref() != Some("LoadBalancer") {
        spec.allocate_load_balancer_node_ports = None;
    }
    if spec.type_.as_deref() == Some("ExternalName") {
        if spec.cluster_ip == old.cluster_ip {
            (spec.cluster_ip, spec.cluster_ips) = (None, None);
        }
        (spec.ip_families, spec.ip_family_policy) = (None, None);
        return;
    }
    if spec.cluster_ip.is_none() {
        (spec.cluster_ip, spec.cluster_ips) = (old.cluster_ip.clone(), old.cluster_ips.clone());
    }
    for port in spec.ports.iter_mut().flatten() {
        let same =
            old.ports.iter().flatten().find(|old| old.port == port.port && old.protocol == port.protocol);
        match is_external {
            true if port.node_port.is_none() => port.node_port = same.and_then(|old| old.node_port),
            true => {}
            false => port.node_port = None,
        }
    }
    if spec.external_traffic_policy.as_deref() == Some("Local") && spec.health_check_node_port.is_none() {
        spec.health_check_node_port = old.health_check_node_port;
    }
}

fn ports(spec: &ServiceSpec, kind: &str, causes: &mut Vec<Cause>) {
    let all: Vec<_> = spec.ports.iter().flatten().collect();
    let is_headless = spec.cluster_ip.as_deref() == Some("None");
    if all.is_empty() && kind != "ExternalName" && !is_headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    let (mut named, mut numbered, mut on_nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (at, port) in all.iter().enumerate() {
        let field = |name: &str| format!("spec.ports[{at}].{name}");
        let name = port.name.clone().unwrap_or_default();
        if name.is_empty() {
            if all.len() > 1 {
                causes.push(Cause::required(field("name"), ""));
            }
        } else if let Some(why) = names::dns_1123_label(&name) {
            causes.push(Cause::invalid(field("name"), &name, why));
        } else if !named.insert(name.clone()) {
            causes.push(Cause::duplicate(field("name"), &name));
        }
        let range = "must be between 1 and 65535, inclusive";
        if !(1..=65535).contains(&port.port) {
            causes.push(Cause::invalid(field("port"), port.port, range));
        }
        let protocol = port.protocol.clone().unwrap_or_default();
        if !PROTOCOLS.contains(&protocol.as_str()) {
            causes.push(Cause::unsupported(field("protocol"), &protocol, PROTOCOLS));
        }
        match &port.target_port {
            Some(IntOrString::Int(number)) if !(1..=65535).contains(number) => {
                causes.push(Cause::invalid(field("targetPort"), number, range));
            }
            Some(IntOrString::String(name)) => causes
                .extend(names::port_name(name).map(|why| Cause::invalid(field("targetPort"), name, why))),
            _ => {}
        }
        if !numbered.insert((port.port, protocol.clone())) {
            // Go writes the internal type.
            let value = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol:?},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                port.port
            );
            causes.push(Cause {
                field: format!("spec.ports[{at}]"),
                detail: format!("Duplicate value: {value}"),
            });
        }
        if let Some(node_port) = port.node_port.filter(|number| *number != 0) {
            if kind == "ClusterIP" || kind == "ExternalName" {
                let detail = format!("Forbidden: may not be used when `type` is '{kind}'");
                causes.push(Cause { field: field("nodePort"), detail });
            } else if !on_nodes.insert((node_port, protocol)) {
                causes.push(Cause::duplicate(field("nodePort"), node_port));
            }
        }
    }
}

fn choices(spec: &ServiceSpec, kind: &str, causes: &mut Vec<Cause>) {
    let one_of = |field: &str, value: &Option<String>, known: &[&str]| {
        let value = value.as_deref()?;
        (!known.contains(&value)).then(|| Cause::unsupported(field, value, known))
    };
    causes.extend(one_of("spec.sessionAffinity", &spec.session_affinity, &["ClientIP", "None"]));
    causes.extend(one_of("spec.internalTrafficPolicy", &spec.internal_traffic_policy, &["Cluster", "Local"]));
    causes.extend(one_of("spec.externalTrafficPolicy", &spec.external_traffic_policy, &["Cluster", "Local"]));
    let is_external = kind == "NodePort" || kind == "LoadBalancer" || spec.external_ips.is_some();
    if let Some(policy) = spec.external_traffic_policy.as_ref().filter(|_| !is_external) {
        causes.push(Cause::invalid(
            "spec.externalTrafficPolicy",
            policy,
            "may only be set for externally-accessible services",
        ));
    }
    for (at, address) in spec.external_ips.iter().flatten().enumerate() {
        let why = match address.parse::<Ipv4Addr>() {
            Err(_) => NO_ADDRESS.to_owned(),
            Ok(parsed) if parsed.is_unspecified() => format!("may not be unspecified ({address})"),
            Ok(parsed) if parsed.is_loopback() => {
                "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()
            }
            Ok(parsed) if parsed.is_link_local() => {
                "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()
            }
            Ok(_) => continue,
        };
        causes.push(Cause::invalid(format!("spec.externalIPs[{at}]"), address, why));
    }
    for (at, range) in spec.load_balancer_source_ranges.iter().flatten().enumerate() {
        let is_range = range.split_once('/').is_some_and(|(address, len)| {
            address.parse::<Ipv4Addr>().is_ok() && len.parse().is_ok_and(|len: u8| len <= 32)
        });
        let field = "spec.LoadBalancerSourceRanges";
        if kind != "LoadBalancer" {
            let detail = "Forbidden: may only be used when `type` is 'LoadBalancer'";
            causes.push(Cause { field: field.to_owned(), detail: detail.to_owned() });
            break;
        }
        if !is_range {
            let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            causes.push(Cause::invalid(format!("{field}[{at}]"), range, why));
        }
    }
    causes.extend(names::labels("spec.selector", spec.selector.as_ref()));
    let address = spec.cluster_ip.as_deref().filter(|address| !address.is_empty());
    let why = match address {
        Some("None") if kind == "LoadBalancer" => "may not be set to 'None' for LoadBalancer services",
        Some("None") | None => return,
        Some(address) if address.parse::<Ipv4Addr>().is_err() => NO_ADDRESS,
        Some(_) if kind == "ExternalName" => {
            let detail = "Forbidden: may not be set for ExternalName services".to_owned();
            causes.push(Cause { field: "spec.clusterIPs[0]".to_owned(), detail });
            return;
        }
        Some(_) => return,
    };
    causes.push(Cause::invalid("spec.clusterIPs[0]", address, why));
}

/// The timeout of session affinity.
fn affinity(spec: &ServiceSpec, causes: &mut Vec<Cause>) {
    if let Some(timeout) =
        spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref()?.timeout_seconds)
        && !(1..=86400).contains(&timeout)
    {
        let why = "must be greater than 0 and less than 86400";
        causes.push(Cause::invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", timeout, why));
    }
}

/// Gives a service its address, or checks the one that it asks for.
fn cluster_address(
    store: &mut Store,
    spec: &mut ServiceSpec,
    kind: &str,
    old: Option<&Service>,
    causes: &mut Vec<Cause>,
) {
    if kind == "ExternalName" {
        (spec.cluster_ip, spec.cluster_ips) = (None, None);
        return;
    }
    let wanted = spec.cluster_ip.clone().filter(|text| !text.is_empty());
    let had = old.and_then(|old| old.spec.as_ref()?.cluster_ip.clone()).filter(|text| !text.is_empty());
    let given = match (wanted, had) {
        (Some(wanted), Some(had)) if wanted != had => {
            let why = "may not change once set";
            causes.push(Cause::invalid("spec.clusterIPs[0]", [&wanted], why));
            return;
        }
        (Some(same), Some(_)) => same,
        (Some(headless), None) if headless == "None" => headless,
        (Some(wanted), None) => match claim(store, &wanted) {
            Ok(()) => wanted,
            Err(why) => {
                let why = format!("failed to allocate IP {wanted}: {why}");
                causes.push(Cause::invalid("spec.clusterIPs", [&wanted], why));
                return;
            }
        },
        (None, _) => match store.free_address() {
            Some(address) => address.to_string(),
            None => {
                let why = "failed to allocate a serviceIP: range is full";
                causes.push(Cause {
                    field: "spec.clusterIPs".to_owned(),
                    detail: format!("Internal error: {why}"),
                });
                return;
            }
        },
    };
    spec.cluster_ips = Some(vec![given.clone()]);
    spec.cluster_ip = Some(given);
}

fn claim(store: &Store, wanted: &str) -> Result<(), String> {
    let range = store.config.services;
    let address: Ipv4Addr = wanted.parse().map_err(|_| "not a valid IP address".to_owned())?;
    if !range.contains(address) || address == range.first || address == range.at(range.size() - 1) {
        return Err(format!(
            "the provided IP ({wanted}) is not in the valid range. The range of valid IPs is {range}"
        ));
    }
    match store.is_address_taken(address) {
        true => Err("provided IP is already allocated".to_owned()),
        false => Ok(()),
    }
}

/// Gives a service its ports on nodes, or checks those that it asks for.
fn nodes_ports(
    store: &mut Store,
    spec: &mut ServiceSpec,
    kind: &str,
    old: Option<&Service>,
    causes: &mut Vec<Cause>,
) {
    let has =
        kind == "NodePort" || kind == "LoadBalancer" && spec.allocate_load_balancer_node_ports != Some(false);
    let own: BTreeSet<(u16, String)> = old.into_iter().flat_map(node_ports).collect();
    let mut taken = BTreeSet::new();
    for (at, port) in spec.ports.iter_mut().flatten().enumerate() {
        let protocol = port.protocol.clone().unwrap_or_default();
        match port.node_port.filter(|number| *number != 0) {
            Some(number) => {
                let in_range = u16::try_from(number).ok().filter(|number| NODE_PORTS.contains(number));
                let is_taken = |number| {
                    store.is_node_port_taken(number, &protocol) && !own.contains(&(number, protocol.clone()))
                };
                let why = match in_range {
                    None => format!(
                        "provided port is not in the valid range. The range of valid ports is {}-{}",
                        NODE_PORTS.start(),
                        NODE_PORTS.end()
                    ),
                    Some(number) if is_taken(number) => "provided port is already allocated".to_owned(),
                    Some(number) => {
                        taken.insert(number);
                        continue;
                    }
                };
                causes.push(Cause::invalid(format!("spec.ports[{at}].nodePort"), number, why));
            }
            None if has => {
                port.node_port = store.free_node_port(&protocol, &taken).map(i32::from);
                taken.extend(port.node_port.map(|number| number as u16));
            }
            None => {}
        }
    }
    let needs_health = kind == "LoadBalancer" && spec.external_traffic_policy.as_deref() == Some("Local");
    if !needs_health {
        spec.health_check_node_port = None;
    } else if spec.health_check_node_port.is_none_or(|port| port == 0) {
        spec.health_check_node_port = store.free_node_port("TCP", &taken).map(i32::from);
    }
}
