//! `kubectl describe` of Ingresses and their classes.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressBackend, IngressClass};

use super::describe::endpoints_of;
use super::describe_pod::Lines;
use super::printers::ingress_addresses;
use crate::store::Store;

/// A backend: `web:80 (10.244.0.2:80)`.
fn backend(store: &Store, namespace: &str, backend: &IngressBackend) -> String {
    let Some(service) = &backend.service else { return "<none>".to_owned() };
    let port = service.port.clone().unwrap_or_default();
    let shown = port.name.clone().unwrap_or_else(|| port.number.unwrap_or(0).to_string());
    let name = &service.name;
    let endpoints = match store.get::<Service>(namespace, name) {
        None => format!("<error: services {name:?} not found>"),
        Some(found) => {
            let mut ports = found.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
            let known = ports.find(|known| match &port.name {
                Some(wanted) => known.name.as_ref() == Some(wanted),
                None => Some(known.port) == port.number,
            });
            known.map(|known| endpoints_of(store, found, known.name.as_deref())).unwrap_or_default()
        }
    };
    format!("{name}:{shown} ({endpoints})")
}

pub(super) fn ingress(store: &Store, ingress: &Ingress) -> Lines {
    let (meta, spec) = (&ingress.metadata, ingress.spec.clone().unwrap_or_default());
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let mut lines = Lines::default();
    lines.add(0, format!("Name:\t{}", meta.name.as_deref().unwrap_or_default()));
    lines.labels("Labels", meta.labels.as_ref());
    lines.add(0, format!("Namespace:\t{namespace}"));
    lines.add(0, format!("Address:\t{}", ingress_addresses(ingress)));
    let class = spec.ingress_class_name.as_deref().unwrap_or("<none>");
    lines.add(0, format!("Ingress Class:\t{class}"));
    let default = match &spec.default_backend {
        Some(default) => backend(store, namespace, default),
        None => "<default>".to_owned(),
    };
    lines.add(0, format!("Default backend:\t{default}"));
    lines.add(0, "Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------");
    let mut any = false;
    for rule in spec.rules.iter().flatten() {
        let Some(http) = &rule.http else { continue };
        any = true;
        let host = rule.host.as_deref().filter(|host| !host.is_empty()).unwrap_or("*");
        lines.add(1, format!("{host}\t"));
        for path in &http.paths {
            let shown = path.path.as_deref().unwrap_or_default();
            lines.add(2, format!("\t{shown} \t{}", backend(store, namespace, &path.backend)));
        }
    }
    if !any {
        lines.add(1, format!("*\t*\t{default}"));
    }
    lines.annotations("Annotations", meta.annotations.as_ref());
    lines
}

pub(super) fn class(class: &IngressClass) -> Lines {
    let mut lines = Lines::default();
    lines.add(0, format!("Name:\t{}", class.metadata.name.as_deref().unwrap_or_default()));
    lines.labels("Labels", class.metadata.labels.as_ref());
    lines.annotations("Annotations", class.metadata.annotations.as_ref());
    let controller = class.spec.as_ref().and_then(|spec| spec.controller.clone()).unwrap_or_default();
    lines.add(0, format!("Controller:\t{controller}"));
    lines
}
