//! Selectors: of labels (`-l`), and of fields (`--field-selector`).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::failure::{Done, Failure};
use crate::object::{Kind, Object};

/// What a label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    Greater(i64),
    Less(i64),
}

/// A selector of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<(String, Want)>);

type Labels = BTreeMap<String, String>;

impl Selector {
    /// Reads `app=web,tier!=db,env in (a,b),!old`.
    pub(super) fn parse(text: &str) -> Done<Selector> {
        let mut wants = Vec::new();
        for part in parts(text) {
            let part = part.trim();
            if !part.is_empty() {
                wants.push(requirement(part).ok_or_else(|| {
                    Failure::own(format!("unable to parse requirement: found '{part}', expected: a label, its operator and values"))
                })?);
            }
        }
        Ok(Selector(wants))
    }

    /// Labels are as wanted.
    pub(super) fn matches(&self, labels: Option<&Labels>) -> bool {
        self.0.iter().all(|(key, want)| {
            let value = labels.and_then(|labels| labels.get(key));
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match want {
                Want::In(all) => value.is_some_and(|value| all.contains(value)),
                Want::NotIn(all) => value.is_none_or(|value| !all.contains(value)),
                Want::Exists => value.is_some(),
                Want::Missing => value.is_none(),
                Want::Greater(than) => number().is_some_and(|number| number > *than),
                Want::Less(than) => number().is_some_and(|number| number < *than),
            }
        })
    }
}

/// The parts between commas that are in no brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn requirement(part: &str) -> Option<(String, Want)> {
    let word = |text: &str| {
        let text = text.trim();
        let inside = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!text.is_empty() && text.chars().all(inside)).then(|| text.to_owned())
    };
    if let Some(key) = part.strip_prefix('!') {
        return Some((word(key)?, Want::Missing));
    }
    if let Some(open) = part.find('(') {
        let values =
            part[open + 1..].strip_suffix(')')?.split(',').map(|value| value.trim().to_owned()).collect();
        let mut head = part[..open].split_whitespace();
        return match (head.next(), head.next(), head.next()) {
            (Some(key), Some("in"), None) => Some((word(key)?, Want::In(values))),
            (Some(key), Some("notin"), None) => Some((word(key)?, Want::NotIn(values))),
            _ => None,
        };
    }
    for (sign, is_equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(sign) {
            let value = value.trim();
            let values = vec![if value.is_empty() { String::new() } else { word(value)? }];
            return Some((word(key)?, if is_equal { Want::In(values) } else { Want::NotIn(values) }));
        }
    }
    if let Some((key, value)) = part.split_once('>') {
        return Some((word(key)?, Want::Greater(value.trim().parse().ok()?)));
    }
    if let Some((key, value)) = part.split_once('<') {
        return Some((word(key)?, Want::Less(value.trim().parse().ok()?)));
    }
    Some((word(part)?, Want::Exists))
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
                let kind = object.kind();
                let resource = format!("{}/v1, Resource={}", kind.group(), kind.plural());
                Failure::Said(
                    format!(
                        "Error from server (BadRequest): Unable to find {resource:?} that match label selector \"\", field selector \
                         {:?}: {why}\n",
                        self.text()
                    ),
                    1,
                )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_operators() {
        let labels: Labels = [("app", "web"), ("n", "5")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, expected) in [
            ("app=web", true),
            ("app==web,n", true),
            ("app!=web", false),
            ("tier!=db", true),
            ("app in (web, db)", true),
            ("app notin (web,db)", false),
            ("!app", false),
            ("!tier", true),
            ("n>4,n<6", true),
            ("", true),
        ] {
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.matches(Some(&labels)), expected, "{text}");
        }
        assert!(Selector::parse("a b").is_err());
    }
}
