//! Zone files of a cluster, as Kubernetes' DNS specification (1.1.0) says what there is.
//!
//! Records live 30 s, as in the configuration of CoreDNS that kubeadm writes. The record of a pod's address is there while the pod is.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use glassnet_userland::resolver::arpa;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::DOMAIN;
use crate::api::Watch;
use crate::object::SERVICE_NAME;

/// How long records live, seconds.
const TTL: u32 = 30;

/// `named.conf`. Without forwarders the server is the authority on all names.
pub(super) fn configuration(folder: &str, forwarders: &[Ipv4Addr], zones: &[(&str, String)]) -> String {
    let mut text = format!(
        "options {{\n    directory \"{folder}\";\n    pid-file none;\n    session-keyfile none;\n    lock-file none;\n    \
         listen-on {{ any; }};\n    listen-on-v6 {{ none; }};\n    allow-query {{ any; }};\n    recursion yes;\n"
    );
    if !forwarders.is_empty() {
        let all: Vec<String> = forwarders.iter().map(|address| format!("{address};")).collect();
        text += &format!("    forwarders {{ {} }};\n    forward only;\n", all.join(" "));
    }
    text += "    dnssec-validation no;\n    empty-zones-enable no;\n    rrset-order { order random; };\n};\ncontrols { };\n";
    for (zone, path) in zones {
        let file = path.rsplit('/').next().unwrap_or(path);
        text += &format!("zone \"{zone}\" {{\n    type primary;\n    file \"{file}\";\n}};\n");
    }
    text
}

/// The first lines of a zone's file.
pub(super) fn head(zone: &str, serial: u32, address: Ipv4Addr) -> String {
    let server = format!("ns.dns.{DOMAIN}.");
    let origin = if zone == "." { ".".to_owned() } else { format!("{zone}.") };
    let mut text = format!(
        "$ORIGIN {origin}\n$TTL {TTL}\n@ IN SOA {server} hostmaster.{DOMAIN}. {serial} 7200 1800 86400 {TTL}\n@ IN NS {server}\n"
    );
    if zone == DOMAIN {
        text += &format!("ns.dns IN A {address}\ndns-version IN TXT \"1.1.0\"\n");
    }
    text
}

/// Records as lines, without those that begin a zone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// Relative to the cluster's domain.
    pub forward: Vec<String>,
    /// Absolute.
    pub reverse: Vec<String>,
}

/// The name of an endpoint below its service: its host name, or its address with dashes.
fn host(endpoint: &Endpoint, address: &str) -> String {
    endpoint.hostname.clone().unwrap_or_else(|| address.replace('.', "-"))
}

impl Records {
    /// The records of the objects that an agent knows.
    pub(super) fn of(watch: &Watch) -> Records {
        let (services, slices) = (watch.all::<Service>(), watch.all::<EndpointSlice>().collect::<Vec<_>>());
        let mut records = Records::default();
        for service in services {
            let meta = &service.metadata;
            let of_service = |slice: &&&EndpointSlice| {
                let label = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
                slice.metadata.namespace == meta.namespace && label == meta.name.as_ref()
            };
            let own: Vec<&EndpointSlice> = slices.iter().filter(of_service).copied().collect();
            records.service(service, &own);
        }
        for pod in watch.all::<Pod>() {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let on_host = pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()).filter(|_| !on_host);
            if let Some(address) = address {
                records
                    .forward
                    .push(format!("{}.{namespace}.pod IN A {address}\n", address.replace('.', "-")));
            }
        }
        records
    }

    fn service(&mut self, service: &Service, slices: &[&EndpointSlice]) {
        let (meta, spec) = (&service.metadata, service.spec.clone().unwrap_or_default());
        let name = meta.name.as_deref().unwrap_or_default();
        let base = format!("{name}.{}.svc", meta.namespace.as_deref().unwrap_or_default());
        if spec.type_.as_deref() == Some("ExternalName") {
            let target = spec.external_name.unwrap_or_default();
            self.forward.push(match target.parse::<Ipv4Addr>() {
                Ok(address) => format!("{base} IN A {address}\n"),
                Err(_) => format!("{base} IN CNAME {}.\n", target.trim_end_matches('.')),
            });
            return;
        }
        let is_headless = spec.cluster_ip.as_deref() == Some("None");
        if let Some(Ok(address)) = spec.cluster_ip.as_ref().map(|text| text.parse::<Ipv4Addr>()) {
            self.forward.push(format!("{base} IN A {address}\n"));
            self.reverse.push(format!("{}. IN PTR {base}.{DOMAIN}.\n", arpa(address)));
            for port in spec.ports.iter().flatten() {
                let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
                if let Some(name) = port.name.as_ref().filter(|name| !name.is_empty()) {
                    self.forward
                        .push(format!("_{name}._{protocol}.{base} IN SRV 0 100 {} {base}\n", port.port));
                }
            }
        }
        self.endpoints(&base, is_headless, slices);
    }

    /// Records of endpoints: each has a name below the service's. Of a headless service they are its addresses, too.
    fn endpoints(&mut self, base: &str, is_headless: bool, slices: &[&EndpointSlice]) {
        let is_ready = |endpoint: &&Endpoint| {
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
        };
        let ready: Vec<(&EndpointSlice, &Endpoint)> = slices
            .iter()
            .flat_map(|slice| {
                slice.endpoints.iter().flatten().filter(is_ready).map(|endpoint| (*slice, endpoint))
            })
            .collect();
        let mut lines = BTreeSet::new();
        for (slice, endpoint) in &ready {
            for address in &endpoint.addresses {
                let Ok(parsed) = address.parse::<Ipv4Addr>() else { continue };
                let host = host(endpoint, address);
                if is_headless {
                    lines.insert(format!("{base} IN A {address}\n"));
                }
                lines.insert(format!("{host}.{base} IN A {address}\n"));
                self.reverse.push(format!("{}. IN PTR {host}.{base}.{DOMAIN}.\n", arpa(parsed)));
                for port in slice.ports.iter().flatten().filter(|_| is_headless) {
                    let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
                    let (Some(name), Some(number)) = (&port.name, port.port) else { continue };
                    if !name.is_empty() {
                        let weight = (100 / ready.len()).max(1);
                        lines.insert(format!(
                            "_{name}._{protocol}.{base} IN SRV 0 {weight} {number} {host}.{base}\n"
                        ));
                    }
                }
            }
        }
        self.forward.extend(lines);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::Kind;

    fn records(objects: &[(Kind, serde_json::Value)]) -> Records {
        Records::of(&Watch::knowing(objects))
    }

    fn service(name: &str, spec: serde_json::Value) -> (Kind, serde_json::Value) {
        (Kind::Service, json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}))
    }

    fn slice(service: &str, endpoints: serde_json::Value) -> (Kind, serde_json::Value) {
        let value = json!({
            "metadata": {"name": "s", "namespace": "default", "labels": {SERVICE_NAME: service}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": endpoints,
        });
        (Kind::EndpointSlice, value)
    }

    #[test]
    fn a_service_with_an_address() {
        let ports = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 81}]);
        let records = records(&[service("web", json!({"clusterIP": "10.96.0.7", "ports": ports}))]);
        assert_eq!(
            records.forward,
            [
                "web.default.svc IN A 10.96.0.7\n",
                "_http._tcp.web.default.svc IN SRV 0 100 80 web.default.svc\n"
            ]
        );
        assert_eq!(records.reverse, ["7.0.96.10.in-addr.arpa. IN PTR web.default.svc.cluster.local.\n"]);
    }

    #[test]
    fn a_headless_service_has_the_addresses_of_what_is_ready() {
        let endpoints = json!([
            {"addresses": ["10.244.0.2"], "hostname": "a"},
            {"addresses": ["10.244.1.2"]},
            {"addresses": ["10.244.1.3"], "conditions": {"ready": false}},
        ]);
        let records = records(&[service("db", json!({"clusterIP": "None"})), slice("db", endpoints)]);
        assert_eq!(
            records.forward.concat(),
            "10-244-1-2.db.default.svc IN A 10.244.1.2\n\
             _http._tcp.db.default.svc IN SRV 0 50 8080 10-244-1-2.db.default.svc\n\
             _http._tcp.db.default.svc IN SRV 0 50 8080 a.db.default.svc\n\
             a.db.default.svc IN A 10.244.0.2\n\
             db.default.svc IN A 10.244.0.2\n\
             db.default.svc IN A 10.244.1.2\n"
        );
        assert_eq!(records.reverse.len(), 2);
    }

    #[test]
    fn names_of_others() {
        let alias =
            |target: &str| records(&[service("db", json!({"type": "ExternalName", "externalName": target}))]);
        assert_eq!(alias("db.example.com").forward, ["db.default.svc IN CNAME db.example.com.\n"]);
        assert_eq!(alias("10.1.2.3").forward, ["db.default.svc IN A 10.1.2.3\n"]);
    }

    #[test]
    fn the_server_loads_what_is_written() {
        let head = head(DOMAIN, 7, Ipv4Addr::new(10, 96, 0, 10));
        assert!(
            head.contains("@ IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 30\n"),
            "{head}"
        );
        let zones = [("cluster.local", "/run/coredns/cluster.local.zone".to_owned())];
        let text = configuration("/run/coredns", &[Ipv4Addr::new(10, 0, 0, 1)], &zones);
        assert!(text.contains("forwarders { 10.0.0.1; };\n    forward only;\n"), "{text}");
        assert!(
            text.ends_with(
                "zone \"cluster.local\" {\n    type primary;\n    file \"cluster.local.zone\";\n};\n"
            ),
            "{text}"
        );
    }
}
