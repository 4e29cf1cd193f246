//! `nginx.conf` of the cluster's Ingresses.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressClass};

use super::CONTROLLER;
use crate::api::Watch;
use crate::object::SERVICE_NAME;

/// What every configuration begins with.
const START: &str = "worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr;
events {
    worker_connections 1024;
}
http {
    access_log /dev/stdout;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
";

/// Locations of a host: each with where it leads. The key sorts exact paths before others.
type Locations = BTreeMap<String, Target>;

/// Where a location leads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Upstream(String),
    /// The service has no endpoints.
    Empty(String),
}

/// Services that are asked for, with their endpoints.
type Upstreams = BTreeMap<String, Vec<String>>;

/// The configuration for the objects that an agent knows.
pub(super) fn configuration(watch: &Watch) -> String {
    let mut hosts: BTreeMap<String, Locations> = BTreeMap::from([(String::new(), Locations::new())]);
    let mut upstreams = Upstreams::new();
    for ingress in watch.all::<Ingress>().filter(|ingress| is_ours(watch, ingress)) {
        let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
        let spec = ingress.spec.clone().unwrap_or_default();
        let mut own: Vec<String> = Vec::new();
        for rule in spec.rules.iter().flatten() {
            let host = rule.host.clone().unwrap_or_default();
            let locations = hosts.entry(host.clone()).or_default();
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                let target = target(watch, namespace, &path.backend, &mut upstreams);
                for location in names(path) {
                    // The older Ingress has the path; here the one with the first name.
                    locations.entry(location).or_insert_with(|| target.clone());
                }
            }
            own.push(host);
        }
        if let Some(backend) = &spec.default_backend {
            let target = target(watch, namespace, backend, &mut upstreams);
            if own.is_empty() {
                own.push(String::new());
            }
            for host in own {
                hosts.entry(host).or_default().entry("/".to_owned()).or_insert_with(|| target.clone());
            }
        }
    }
    let mut text = START.to_owned();
    for (name, endpoints) in upstreams.iter().filter(|(_, endpoints)| !endpoints.is_empty()) {
        text += &format!("    upstream {name} {{\n");
        text.extend(endpoints.iter().map(|endpoint| format!("        server {endpoint};\n")));
        text += "    }\n";
    }
    for (host, locations) in hosts {
        text += &server(&host, &locations);
    }
    text + "}\n"
}

fn server(host: &str, locations: &Locations) -> String {
    let (listen, name) = if host.is_empty() { ("80 default_server", "_") } else { ("80", host) };
    let mut text = format!("    server {{\n        listen {listen};\n        server_name {name};\n");
    for (location, target) in locations {
        let answer = match target {
            Target::Upstream(name) => format!("proxy_pass http://{name};"),
            Target::Empty(name) => format!("# {name} has no endpoints.\n            return 503;"),
        };
        text += &format!("        location {location} {{\n            {answer}\n        }}\n");
    }
    if !locations.contains_key("/") {
        text += "        location / {\n            return 404;\n        }\n";
    }
    text + "    }\n"
}

/// The Ingress is of a class of this controller.
fn is_ours(watch: &Watch, ingress: &Ingress) -> bool {
    let annotation =
        ingress.metadata.annotations.as_ref().and_then(|all| all.get("kubernetes.io/ingress.class"));
    let named = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref()).or(annotation);
    let Some(named) = named else { return false };
    watch.all::<IngressClass>().any(|class| {
        class.metadata.name.as_ref() == Some(named)
            && class.spec.as_ref().and_then(|spec| spec.controller.as_deref()) == Some(CONTROLLER)
    })
}

/// The locations of a path. A prefix is one of whole elements: `/a` leads `/a` and `/a/b`, not `/ab`.
fn names(path: &HTTPIngressPath) -> Vec<String> {
    let text = path.path.clone().unwrap_or_else(|| "/".to_owned());
    match (path.path_type.as_str(), text.trim_end_matches('/')) {
        ("Exact", _) => vec![format!("= {text}")],
        (_, "") => vec!["/".to_owned()],
        (_, bare) => vec![format!("= {bare}"), format!("{bare}/")],
    }
}

/// Where a backend leads; its endpoints are noted.
fn target(watch: &Watch, namespace: &str, backend: &IngressBackend, upstreams: &mut Upstreams) -> Target {
    let Some(wanted) = &backend.service else { return Target::Empty("a resource".to_owned()) };
    let port = wanted.port.clone().unwrap_or_default();
    let shown = port.name.clone().unwrap_or_else(|| port.number.unwrap_or(0).to_string());
    let name = format!("{namespace}-{}-{shown}", wanted.name);
    let endpoints = endpoints(watch, namespace, (&wanted.name, port.name.as_deref(), port.number));
    let is_empty = endpoints.is_empty();
    upstreams.insert(name.clone(), endpoints);
    match is_empty {
        true => Target::Empty(format!("{namespace}/{}:{shown}", wanted.name)),
        false => Target::Upstream(name),
    }
}

/// The endpoints of a service's port that are ready.
fn endpoints(
    watch: &Watch,
    namespace: &str,
    (name, port_name, number): (&str, Option<&str>, Option<i32>),
) -> Vec<String> {
    let is_it = |service: &&Service| {
        service.metadata.namespace.as_deref() == Some(namespace)
            && service.metadata.name.as_deref() == Some(name)
    };
    let ports = watch.all::<Service>().find(is_it).and_then(|service| service.spec.as_ref()?.ports.clone());
    let is_port = |port: &k8s_openapi::api::core::v1::ServicePort| match port_name {
        Some(wanted) => port.name.as_deref() == Some(wanted),
        None => Some(port.port) == number,
    };
    let Some(port) = ports.into_iter().flatten().find(is_port) else { return Vec::new() };
    let port_name = port.name.unwrap_or_default();
    let mut all = Vec::new();
    for slice in watch.all::<EndpointSlice>() {
        let meta = &slice.metadata;
        let label = meta.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
        if meta.namespace.as_deref() != Some(namespace) || label.map(String::as_str) != Some(name) {
            continue;
        }
        let known =
            slice.ports.iter().flatten().find(|known| known.name.clone().unwrap_or_default() == port_name);
        let Some(number) = known.and_then(|known| known.port) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            if endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false) {
                all.extend(endpoint.addresses.iter().map(|address| format!("{address}:{number}")));
            }
        }
    }
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::Kind;

    #[test]
    fn hosts_and_paths() {
        let backend = |name: &str| json!({"service": {"name": name, "port": {"number": 80}}});
        let rule = json!({"host": "shop.example", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": backend("web")},
            {"path": "/cart", "pathType": "Prefix", "backend": backend("cart")},
            {"path": "/health", "pathType": "Exact", "backend": backend("web")},
        ]}});
        let class = json!({"metadata": {"name": "nginx"}, "spec": {"controller": CONTROLLER}});
        let ingress = json!({
            "metadata": {"name": "shop", "namespace": "default"}, "spec": {"ingressClassName": "nginx", "rules": [rule]}
        });
        let other = json!({"metadata": {"name": "x", "namespace": "default"}, "spec": {"defaultBackend": backend("web")}});
        let service =
            json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}});
        let slice = json!({
            "metadata": {"name": "web-1", "namespace": "default", "labels": {SERVICE_NAME: "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080}],
            "endpoints": [{"addresses": ["10.244.1.2"]}, {"addresses": ["10.244.0.2"]},
                          {"addresses": ["10.244.0.3"], "conditions": {"ready": false}}],
        });
        let text = configuration(&Watch::knowing(&[
            (Kind::IngressClass, class),
            (Kind::Ingress, ingress),
            (Kind::Ingress, other),
            (Kind::Service, service),
            (Kind::EndpointSlice, slice),
        ]));
        let rest = text.strip_prefix(START).expect("the beginning");
        assert_eq!(
            rest,
            "    upstream default-web-80 {
        server 10.244.0.2:8080;
        server 10.244.1.2:8080;
    }
    server {
        listen 80 default_server;
        server_name _;
        location / {
            return 404;
        }
    }
    server {
        listen 80;
        server_name shop.example;
        location / {
            proxy_pass http://default-web-80;
        }
        location /cart/ {
            # default/cart:80 has no endpoints.
            return 503;
        }
        location = /cart {
            # default/cart:80 has no endpoints.
            return 503;
        }
        location = /health {
            proxy_pass http://default-web-80;
        }
    }
}
"
        );
    }
}
