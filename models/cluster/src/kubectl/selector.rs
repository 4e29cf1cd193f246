//! What `-l` and `--field-selector` choose.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::failure::{Done, Failure};
use super::labels::{Labels, Selector};
use crate::object::{Kind, Object};

/// A selector of labels of objects of this kind.
pub(super) fn read(text: &str, kind: Kind) -> Done<Selector> {
    Selector::parse(text).map_err(|why| not_found(kind, text, "", &why))
}

/// The API server does not understand what is to be selected.
fn not_found(kind: Kind, labels: &str, fields: &str, why: &str) -> Failure {
    let group = if kind.group().is_empty() { String::new() } else { format!("{}/", kind.group()) };
    let version = kind.api_version().rsplit('/').next().unwrap_or_default();
    let resource = format!("{group}{version}, Resource={}", kind.plural());
    let resource = if group.is_empty() { format!("/{resource}") } else { resource };
    Failure::Said(
        format!(
            "Error from server (BadRequest): Unable to find {resource:?} that match label selector {labels:?}, field selector \
             {fields:?}: {why}\n"
        ),
        1,
    )
}

/// Labels in one text, `a=1,b=2`; `<none>` without.
pub(super) fn labels(labels: Option<&Labels>) -> String {
    match labels.filter(|labels| !labels.is_empty()) {
        Some(labels) => {
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
        }
        None => "<none>".to_owned(),
    }
}

/// A selector of an object in one text.
pub(super) fn label_selector(selector: &LabelSelector) -> String {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let others = selector.match_expressions.iter().flatten().map(|wanted| {
        let values = wanted.values.clone().unwrap_or_default().join(",");
        match wanted.operator.as_str() {
            "In" => format!("{} in ({values})", wanted.key),
            "NotIn" => format!("{} notin ({values})", wanted.key),
            "Exists" => wanted.key.clone(),
            _ => format!("!{}", wanted.key),
        }
    });
    let all: Vec<String> = equal.chain(others).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
}

/// A selector of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, bool, String)>);

impl Fields {
    /// Reads `spec.nodeName=node1,status.phase!=Running`.
    pub(super) fn parse(text: &str) -> Done<Fields> {
        let read = |part: &str| {
            for (sign, is_equal) in [("!=", false), ("==", true), ("=", true)] {
                if let Some((field, value)) = part.split_once(sign) {
                    return Ok((field.trim().to_owned(), is_equal, value.trim().to_owned()));
                }
            }
            Err(Failure::own(format!("invalid selector: {text:?}; can't understand {part:?}")))
        };
        text.split(',').filter(|part| !part.is_empty()).map(read).collect::<Done<Vec<_>>>().map(Fields)
    }

    fn text(&self) -> String {
        let one = |(field, is_equal, value): &(String, bool, String)| {
            format!("{field}{}{value}", if *is_equal { "=" } else { "!=" })
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(",")
    }

    /// An object's fields are as wanted. A field by which its kind cannot be selected is refused.
    pub(super) fn matches(&self, object: &Object) -> Done<bool> {
        let mut all = true;
        for (field, is_equal, value) in &self.0 {
            let has = field_of(object, field).ok_or_else(|| {
                let why = match object.kind() {
                    Kind::Event
                    | Kind::Namespace
                    | Kind::Node
                    | Kind::Pod
                    | Kind::Secret
                    | Kind::Service => {
                        format!("field label not supported: {field}")
                    }
                    _ => format!(
                        "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    ),
                };
                not_found(object.kind(), "", &self.text(), &why)
            })?;
            all &= (has == *value) == *is_equal;
        }
        Ok(all)
    }
}

fn field_of(object: &Object, field: &str) -> Option<String> {
    let meta = object.metadata();
    match (field, object) {
        ("metadata.name", _) => Some(meta.name.clone().unwrap_or_default()),
        ("metadata.namespace", _) => Some(meta.namespace.clone().unwrap_or_default()),
        ("type", Object::Event(event)) => event.type_.clone(),
        ("reason", Object::Event(event)) => event.reason.clone(),
        ("reportingComponent" | "source", Object::Event(event)) => event.reporting_component.clone(),
        ("involvedObject.kind", Object::Event(event)) => event.involved_object.kind.clone(),
        ("involvedObject.name", Object::Event(event)) => event.involved_object.name.clone(),
        ("involvedObject.uid", Object::Event(event)) => event.involved_object.uid.clone(),
        ("involvedObject.namespace", Object::Event(event)) => {
            Some(event.involved_object.namespace.clone().unwrap_or_default())
        }
        ("involvedObject.fieldPath", Object::Event(event)) => {
            Some(event.involved_object.field_path.clone().unwrap_or_default())
        }
        ("type", Object::Secret(secret)) => secret.type_.clone(),
        ("spec.nodeName", Object::Pod(pod)) => {
            Some(pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default())
        }
        ("spec.restartPolicy", Object::Pod(pod)) => {
            Some(pod.spec.as_ref().and_then(|spec| spec.restart_policy.clone()).unwrap_or_default())
        }
        ("status.podIP", Object::Pod(pod)) => {
            Some(pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default())
        }
        ("status.phase", Object::Pod(pod)) => {
            Some(pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or("Pending".to_owned()))
        }
        ("status.phase", Object::Namespace(namespace)) => {
            let phase = namespace.status.as_ref().and_then(|status| status.phase.clone());
            Some(phase.unwrap_or("Active".to_owned()))
        }
        ("spec.unschedulable", Object::Node(node)) => {
            let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
            Some(cordoned.to_string())
        }
        ("spec.clusterIP", Object::Service(service)) => {
            Some(service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone()).unwrap_or_default())
        }
        ("spec.type", Object::Service(service)) => {
            Some(service.spec.as_ref().and_then(|spec| spec.type_.clone()).unwrap_or_default())
        }
        _ => None,
    }
}
