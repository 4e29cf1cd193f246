//! `kubectl expose`: a service for what runs already.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, ServicePort};
use serde_json::{Map, Value, json};

use super::create::generated;
use super::failure::{Done, Failure};
use super::session::Session;
use crate::object::{Kind, Object};

/// What is known of an object that is exposed.
struct Exposed {
    selector: BTreeMap<String, String>,
    /// Ports with their protocols.
    ports: Vec<(i32, String)>,
}

fn selector(found: Option<BTreeMap<String, String>>, why: &str) -> Done<BTreeMap<String, String>> {
    found.filter(|labels| !labels.is_empty()).ok_or_else(|| {
        Failure::own(format!("couldn't retrieve selectors via --selector flag or introspection: {why}"))
    })
}

fn ports_of(spec: Option<&PodSpec>) -> Vec<(i32, String)> {
    let containers = spec.into_iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .map(|port| (port.container_port, port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())))
        .collect()
}

fn exposed(object: &Object, wanted: Option<BTreeMap<String, String>>) -> Done<Exposed> {
    let (found, why, ports) = match object {
        Object::Pod(pod) => (
            pod.metadata.labels.clone(),
            "the pod has no labels and cannot be exposed",
            ports_of(pod.spec.as_ref()),
        ),
        Object::Service(service) => {
            let spec = service.spec.clone().unwrap_or_default();
            let port =
                |port: &ServicePort| (port.port, port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()));
            let ports = spec.ports.iter().flatten().map(port).collect();
            (spec.selector, "the service has no pod selector set", ports)
        }
        Object::Deployment(deployment) => {
            let spec = deployment.spec.clone().unwrap_or_default();
            let why = "invalid deployment: no selectors, therefore cannot be exposed";
            (spec.selector.match_labels, why, ports_of(spec.template.spec.as_ref()))
        }
        Object::ReplicaSet(set) => {
            let spec = set.spec.clone().unwrap_or_default();
            let template = spec.template.unwrap_or_default();
            let why = "invalid replicaset: no selectors, therefore cannot be exposed";
            (spec.selector.match_labels, why, ports_of(template.spec.as_ref()))
        }
        other => {
            let kind = other.kind();
            let group = if kind.group().is_empty() { String::new() } else { format!(".{}", kind.group()) };
            return Err(Failure::own(format!("cannot expose a {}{group}", kind.name())));
        }
    };
    let selector = match wanted {
        Some(wanted) => wanted,
        None => selector(found, why)?,
    };
    Ok(Exposed { selector, ports })
}

/// Labels of a flag: `a=1,b=2`.
fn labels(text: &str) -> Done<BTreeMap<String, String>> {
    let pair = |part: &str| {
        let (key, value) =
            part.split_once('=').ok_or_else(|| Failure::own(format!("unexpected label spec: {part}")))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    text.split(',').filter(|part| !part.is_empty()).map(pair).collect()
}

/// A port by number or by name.
fn target(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
}

fn ports(session: &Session, exposed: &Exposed) -> Done<Vec<Value>> {
    let given = &session.given;
    let numbers: Vec<i32> = match given.text("port") {
        Some(text) => text
            .split(',')
            .map(|part| {
                part.parse()
                    .map_err(|_| Failure::own(format!("strconv.Atoi: parsing {part:?}: invalid syntax")))
            })
            .collect::<Done<Vec<i32>>>()?,
        None => {
            let mut numbers: Vec<i32> = Vec::new();
            for (number, _) in &exposed.ports {
                if !numbers.contains(number) {
                    numbers.push(*number);
                }
            }
            if numbers.is_empty() && given.text("cluster-ip") != Some("None") {
                return Err(Failure::own("couldn't find port via --port flag or introspection"));
            }
            numbers
        }
    };
    let mut all = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let own: Vec<&str> = exposed
            .ports
            .iter()
            .filter(|(known, _)| known == number)
            .map(|(_, protocol)| protocol.as_str())
            .collect();
        let protocols = match given.text("protocol") {
            Some(protocol) => vec![protocol],
            None if own.is_empty() => vec!["TCP"],
            None => own,
        };
        for protocol in &protocols {
            let name = match (protocols.len(), numbers.len()) {
                (2.., _) => Some(format!("port-{}-{}", at + 1, protocol.to_lowercase())),
                (_, 2..) => Some(format!("port-{}", at + 1)),
                _ => given.text("port-name").map(str::to_owned),
            };
            let target = given.text("target-port").map_or(json!(number), target);
            let mut port = json!({"port": number, "protocol": protocol, "targetPort": target});
            if let Some(name) = name {
                port["name"] = json!(name);
            }
            all.push(port);
        }
    }
    Ok(all)
}

/// Runs `kubectl expose`.
pub(super) fn run(session: &mut Session) -> Done {
    let words = session.given.words.clone();
    let wanted = session.given.text("selector").map(labels).transpose()?;
    let (found, failures) = session.named(&words)?;
    Failure::all(failures)?;
    for object in found {
        let exposed = exposed(&object, wanted.clone())?;
        let given = &session.given;
        let mut name: String = object.key().name;
        name.truncate(63);
        let name = given.text("name").map_or(name, str::to_owned);
        let own = object.metadata().labels.clone().unwrap_or_default();
        let labels = given.text("labels").map(labels).transpose()?.unwrap_or(own);
        let mut spec = Map::new();
        spec.insert("selector".to_owned(), json!(exposed.selector));
        let ports = ports(session, &exposed)?;
        if !ports.is_empty() {
            spec.insert("ports".to_owned(), json!(ports));
        }
        for (flag, field) in [
            ("type", "type"),
            ("cluster-ip", "clusterIP"),
            ("session-affinity", "sessionAffinity"),
            ("load-balancer-ip", "loadBalancerIP"),
        ] {
            if let Some(text) = given.text(flag) {
                spec.insert(field.to_owned(), json!(text));
            }
        }
        if let Some(address) = given.text("external-ip") {
            spec.insert("externalIPs".to_owned(), json!([address]));
        }
        let mut metadata = json!({"name": name});
        if !labels.is_empty() {
            metadata["labels"] = json!(labels);
        }
        let value = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}},
        });
        generated(session, Kind::Service, value, "exposed")?;
    }
    Ok(())
}
