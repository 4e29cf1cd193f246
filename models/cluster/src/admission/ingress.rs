//! Ingresses and their classes.

use k8s_openapi::api::networking::v1::{Ingress, IngressBackend, IngressClass, IngressSpec};

use super::names;
use crate::error::Cause;
use crate::store::Store;

/// Annotations of ingress-nginx, none of which is modelled.
const NGINX: &str = "nginx.ingress.kubernetes.io/";
const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
/// The class that Ingresses get which name none.
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

/// Fills in and checks an Ingress.
pub(super) fn ingress(store: &Store, ingress: &mut Ingress, is_new: bool, causes: &mut Vec<Cause>) {
    let _ = ingress.status.get_or_insert_default();
    let annotations = ingress.metadata.annotations.clone().unwrap_or_default();
    for key in annotations.keys().filter(|key| key.starts_with(NGINX)) {
        let detail = format!("not modelled yet: the annotation {key}");
        causes.push(Cause { field: "metadata.annotations".to_owned(), detail });
    }
    let spec = ingress.spec.get_or_insert_default();
    if is_new && spec.ingress_class_name.is_none() && !annotations.contains_key("kubernetes.io/ingress.class")
    {
        let is_default = |class: &&IngressClass| {
            let annotations = class.metadata.annotations.as_ref();
            annotations.and_then(|all| all.get(IS_DEFAULT)).map(String::as_str) == Some("true")
        };
        spec.ingress_class_name =
            store.list::<IngressClass>().find(is_default).and_then(|class| class.metadata.name.clone());
    }
    check(spec, causes);
}

fn check(spec: &IngressSpec, causes: &mut Vec<Cause>) {
    let rules: Vec<_> = spec.rules.iter().flatten().collect();
    if rules.is_empty() && spec.default_backend.is_none() {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", spec.rules.clone(), why));
    }
    if spec.tls.as_ref().is_some_and(|tls| !tls.is_empty()) {
        causes.push(Cause { field: "spec.tls".to_owned(), detail: "not modelled yet: TLS".to_owned() });
    }
    if let Some(default) = &spec.default_backend {
        backend("spec.defaultBackend", default, causes);
    }
    for (at, rule) in rules.iter().enumerate() {
        let field = format!("spec.rules[{at}]");
        if let Some(host) = rule.host.as_deref().filter(|host| !host.is_empty()) {
            let bare = host.strip_prefix("*.").unwrap_or(host);
            let why = match host.parse::<std::net::IpAddr>() {
                Ok(_) => Some("must be a DNS name, not an IP address".to_owned()),
                Err(_) => names::dns_1123_subdomain(bare),
            };
            causes.extend(why.map(|why| Cause::invalid(format!("{field}.host"), host, why)));
        }
        let Some(http) = &rule.http else { continue };
        if http.paths.is_empty() {
            causes.push(Cause::required(format!("{field}.http.paths"), ""));
        }
        for (at, path) in http.paths.iter().enumerate() {
            let field = format!("{field}.http.paths[{at}]");
            let text = path.path.as_deref().unwrap_or_default();
            match path.path_type.as_str() {
                "" => causes.push(Cause::required(format!("{field}.pathType"), "pathType must be specified")),
                known if !PATH_TYPES.contains(&known) => {
                    causes.push(Cause::unsupported(format!("{field}.pathType"), known, PATH_TYPES));
                }
                "ImplementationSpecific" if text.is_empty() => {}
                _ if !text.starts_with('/') => {
                    causes.push(Cause::invalid(format!("{field}.path"), text, "must be an absolute path"));
                }
                _ if text.contains("//") => {
                    causes.push(Cause::invalid(format!("{field}.path"), text, "must not contain '//'"));
                }
                _ => {}
            }
            backend(&format!("{field}.backend"), &path.backend, causes);
        }
    }
}

fn backend(field: &str, backend: &IngressBackend, causes: &mut Vec<Cause>) {
    let Some(service) = &backend.service else {
        match backend.resource {
            Some(_) => causes.push(Cause {
                field: format!("{field}.resource"),
                detail: "not modelled yet: a resource as a backend".to_owned(),
            }),
            None => causes.push(Cause::required(field, "service backend is required")),
        }
        return;
    };
    match service.name.as_str() {
        "" => causes.push(Cause::required(format!("{field}.service.name"), "")),
        name => causes.extend(
            names::dns_1035_label(name).map(|why| Cause::invalid(format!("{field}.service.name"), name, why)),
        ),
    }
    let port = service.port.clone().unwrap_or_default();
    let number = port.number.filter(|number| *number != 0);
    match (port.name.as_deref().filter(|name| !name.is_empty()), number) {
        (Some(_), Some(_)) => {
            causes.push(Cause::invalid(field, "", "cannot set both port name & port number"))
        }
        (None, None) => causes.push(Cause::required(field, "port name or number is required")),
        (Some(name), None) => causes.extend(
            names::port_name(name).map(|why| Cause::invalid(format!("{field}.service.port.name"), name, why)),
        ),
        (None, Some(number)) if !(1..=65535).contains(&number) => {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("{field}.service.port.number"), number, why));
        }
        (None, Some(_)) => {}
    }
}

/// Checks a class.
pub(super) fn class(class: &IngressClass, causes: &mut Vec<Cause>) {
    let controller = class.spec.as_ref().and_then(|spec| spec.controller.clone()).unwrap_or_default();
    if controller.is_empty() {
        causes.push(Cause::required("spec.controller", ""));
    } else if !controller.contains('/') {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        causes.push(Cause::invalid("spec.controller", &controller, why));
    }
}
