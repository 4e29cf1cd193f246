//! `kubectl scale` and `kubectl set`.

use serde_json::{Value, json};

use super::failure::{Done, Failure};
use super::report::Report;
use super::session::Session;
use crate::object::{Kind, Object};

/// Runs `kubectl scale`.
pub(super) fn run(session: &mut Session) -> Done {
    let Some(replicas) = session.given.number("replicas") else {
        return Err(Failure::own("required flag(s) \"replicas\" not set"));
    };
    if replicas < 0 {
        return Err(Failure::own(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        ));
    }
    let (found, mut failures) = session.named(&session.given.words.clone())?;
    if found.is_empty() && failures.is_empty() {
        return Err(Failure::own("no objects passed to scale"));
    }
    let mut report = Report::new(session, false)?;
    for object in found {
        let size = match &*object {
            Object::Deployment(deployment) => deployment.spec.as_ref().and_then(|spec| spec.replicas),
            Object::ReplicaSet(set) => set.spec.as_ref().and_then(|spec| spec.replicas),
            _ => {
                let text = "Error from server (NotFound): the server could not find the requested resource\n";
                failures.push(Failure::Said(text.to_owned(), 1));
                continue;
            }
        };
        let wanted = session.given.number("current-replicas").filter(|wanted| *wanted >= 0);
        if let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != size.map(i64::from)) {
            failures
                .push(Failure::own(format!("Expected replicas to be {wanted}, was {}", size.unwrap_or(0))));
            continue;
        }
        session
            .modify(&mut report, &object, "scaled", |value| value["spec"]["replicas"] = json!(replicas))?;
    }
    report.end(session)?;
    Failure::all(failures)
}

/// Splits words into what names objects and `key=value` pairs.
fn pairs(words: &[String]) -> (Vec<String>, Vec<(String, String)>) {
    let (pairs, names): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.contains('='));
    let split = |word: &String| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    (names.into_iter().cloned().collect(), pairs.into_iter().filter_map(split).collect())
}

/// The containers of a pod or of a template.
fn containers<'a>(kind: Kind, value: &'a mut Value, list: &str) -> Vec<&'a mut Value> {
    let spec = match kind {
        Kind::Pod => &mut value["spec"],
        _ => &mut value["spec"]["template"]["spec"],
    };
    spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().collect()
}

/// Runs `kubectl set image`.
pub(super) fn image(session: &mut Session) -> Done {
    let (names, images) = pairs(&session.given.words);
    if names.is_empty() {
        return Err(Failure::own(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    if images.is_empty() {
        return Err(Failure::own("at least one image update is required"));
    }
    let (found, mut failures) = session.named(&names)?;
    let mut report = Report::new(session, false)?;
    for object in found {
        let (mut value, kind) = (object.to_json(), object.kind());
        if !matches!(kind, Kind::DaemonSet | Kind::Deployment | Kind::Pod | Kind::ReplicaSet) {
            let name = format!("{}/{}", kind.plural(), object.key().name);
            failures.push(Failure::own(format!(
                "error: {name} the object is not a pod or does not have a pod template: *{}",
                kind.name()
            )));
            continue;
        }
        for (name, image) in &images {
            let mut is_found = false;
            for list in ["initContainers", "containers"] {
                for container in containers(kind, &mut value, list) {
                    if name == "*" || container["name"] == json!(name) {
                        container["image"] = json!(image);
                        is_found = true;
                    }
                }
            }
            if !is_found {
                failures.push(Failure::own(format!("error: unable to find container named {name:?}")));
            }
        }
        if value != object.to_json() {
            session.modify(&mut report, &object, "image updated", |changed| *changed = value)?;
        }
    }
    report.end(session)?;
    Failure::all(failures)
}

/// Runs `kubectl set selector`.
pub(super) fn selector(session: &mut Session) -> Done {
    let mut words = session.given.words.clone();
    let Some(text) = words.pop().filter(|text| text.contains('=')) else {
        return Err(Failure::own("one selector is required"));
    };
    let mut wanted = serde_json::Map::new();
    for part in text.split(',') {
        match part.split_once('=') {
            Some((key, value)) if !value.starts_with('=') => _ = wanted.insert(key.to_owned(), json!(value)),
            _ => return Err(Failure::own(format!("match expression {part} not supported on this object"))),
        }
    }
    let (found, failures) = session.named(&words)?;
    let mut report = Report::new(session, false)?;
    for object in found {
        if object.kind() != Kind::Service {
            return Err(Failure::own("setting a selector is only supported for Services"));
        }
        let wanted = wanted.clone();
        session.modify(&mut report, &object, "selector updated", |value| {
            value["spec"]["selector"] = Value::Object(wanted);
        })?;
    }
    report.end(session)?;
    Failure::all(failures)
}
