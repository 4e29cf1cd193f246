//! `kubectl create ingress`.

use serde_json::{Map, Value, json};

use super::create::{generated, name};
use super::failure::{Done, Failure};
use super::session::Session;
use crate::object::Kind;

/// A backend of a port's number or name.
fn backend(service: &str, port: &str) -> Value {
    let port = match port.parse::<i32>() {
        Ok(number) => json!({"number": number}),
        Err(_) => json!({"name": port}),
    };
    json!({"service": {"name": service, "port": port}})
}

/// A host, and a path of it: `shop.example/cart*=cart:80`. A path that ends with a star is a prefix.
fn rule(text: &str) -> Done<(String, Value)> {
    let wrong = || {
        Failure::own(format!(
            "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
        ))
    };
    let (address, target) = text.split_once('=').ok_or_else(wrong)?;
    if target.contains(',') {
        return Err(Failure::unmodelled("--rule with tls"));
    }
    let (service, port) = target.split_once(':').ok_or_else(wrong)?;
    let slash = address.find('/').ok_or_else(wrong)?;
    let (host, path) = address.split_at(slash);
    if service.is_empty() || port.is_empty() {
        return Err(wrong());
    }
    let (path, kind) = match path.strip_suffix('*') {
        Some(prefix) => (prefix, "Prefix"),
        None => (path, "Exact"),
    };
    Ok((host.to_owned(), json!({"path": path, "pathType": kind, "backend": backend(service, port)})))
}

/// Runs the command.
pub(super) fn create(session: &mut Session) -> Done {
    let name = name(session)?;
    let rules = session.given.all("rule").to_vec();
    let default = session.given.text("default-backend").map(str::to_owned);
    if rules.is_empty() && default.is_none() {
        return Err(Failure::own(
            "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a \
             list of rules (which catch specific paths)",
        ));
    }
    let mut hosts: Vec<(String, Vec<Value>)> = Vec::new();
    for text in rules {
        let (host, path) = rule(&text)?;
        match hosts.iter_mut().find(|(known, _)| *known == host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((host, vec![path])),
        }
    }
    let rules = hosts.into_iter().map(|(host, paths)| {
        let mut rule = json!({"http": {"paths": paths}});
        if !host.is_empty() {
            rule["host"] = json!(host);
        }
        rule
    });
    let mut spec = json!({"rules": rules.collect::<Vec<_>>()});
    if let Some(text) = default {
        let (service, port) = text.split_once(':').ok_or_else(|| {
            Failure::own(format!(
                "default-backend {text} is invalid and should be in format servicename:serviceport"
            ))
        })?;
        spec["defaultBackend"] = backend(service, port);
    }
    if let Some(class) = session.given.text("class") {
        spec["ingressClassName"] = json!(class);
    }
    let mut annotations = Map::new();
    for text in session.given.all("annotation") {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Failure::own(format!("annotation {text} is invalid and should be in format key=[value]"))
        })?;
        annotations.insert(key.to_owned(), json!(value));
    }
    let mut value = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": spec});
    if !annotations.is_empty() {
        value["metadata"]["annotations"] = Value::Object(annotations);
    }
    generated(session, Kind::Ingress, value, "created")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let (host, path) = rule("shop.example/cart*=cart:http").unwrap();
        assert_eq!(host, "shop.example");
        let wanted = json!({
            "path": "/cart", "pathType": "Prefix", "backend": {"service": {"name": "cart", "port": {"name": "http"}}}
        });
        assert_eq!(path, wanted);
        assert_eq!(rule("/=web:80").unwrap().1["pathType"], "Exact");
        assert!(rule("shop.example=web").is_err() && rule("a/b=c").is_err());
    }
}
