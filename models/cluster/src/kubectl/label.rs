//! `kubectl label` and `kubectl annotate`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::failure::{Done, Failure};
use super::report::Report;
use super::session::Session;
use crate::admission::names;
use crate::object::Object;

/// What is to be set and removed.
struct Change {
    set: BTreeMap<String, String>,
    remove: Vec<String>,
}

/// Splits words into what names objects and what changes: `key=value`, `key-`.
fn read(words: &[String], what: &str) -> Done<(Vec<String>, Change)> {
    let is_change = |word: &&String| word.contains('=') || word.ends_with('-');
    let (changes, names): (Vec<&String>, Vec<&String>) = words.iter().partition(is_change);
    let mut change = Change { set: BTreeMap::new(), remove: Vec::new() };
    for word in changes {
        let Some((key, value)) = word.split_once('=') else {
            change.remove.push(word.trim_end_matches('-').to_owned());
            continue;
        };
        if key.is_empty() || what == "label" && value.contains('=') {
            return Err(Failure::own(format!("invalid {what} spec: {word}")));
        }
        if let (Some(why), true) = (names::label_value(value), what == "label") {
            return Err(Failure::own(format!("invalid label value: {word:?}: {why}")));
        }
        change.set.insert(key.to_owned(), value.to_owned());
    }
    let both: Vec<&String> = change.remove.iter().filter(|key| change.set.contains_key(*key)).collect();
    if let Some(first) = both.first() {
        return Err(Failure::own(match what {
            "label" => "can not both modify and remove a label in the same command".to_owned(),
            _ => format!(
                "can not both modify and remove the following annotation(s) in the same command: {first}"
            ),
        }));
    }
    if names.is_empty() {
        return Err(Failure::own(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    Ok((names.into_iter().cloned().collect(), change))
}

/// Runs `kubectl label`.
pub(super) fn label(session: &mut Session) -> Done {
    let (names, change) = read(&session.given.words, "label")?;
    let lists = session.given.is("list");
    if change.set.is_empty() && change.remove.is_empty() && !lists {
        return Err(Failure::own("at least one label update is required"));
    }
    let (found, mut failures) = session.named(&names)?;
    let mut report = Report::new(session, false)?;
    for object in found {
        let labels = object.metadata().labels.clone().unwrap_or_default();
        if lists {
            labels.iter().for_each(|(key, value)| session.say(format!("{key}={value}")));
            continue;
        }
        for key in change.remove.iter().filter(|key| !labels.contains_key(*key)) {
            session.say(format!("label {key:?} not found."));
        }
        let taken = change.set.iter().find_map(|(key, value)| {
            let has = labels.get(key).filter(|has| *has != value)?;
            Some(format!("'{key}' already has a value ({has}), and --overwrite is false"))
        });
        if let Some(why) = taken.filter(|_| !session.given.is("overwrite")) {
            failures.push(Failure::own(why));
            continue;
        }
        let added = change.set.iter().any(|(key, value)| labels.get(key) != Some(value));
        let removed = change.remove.iter().any(|key| labels.contains_key(key));
        let verb = match (added, removed) {
            (true, true) => "modified",
            (true, false) => "labeled",
            (false, true) => "unlabeled",
            (false, false) => "not labeled",
        };
        write(session, &mut report, &object, verb, "labels", &change)?;
    }
    report.end(session)?;
    Failure::all(failures)
}

/// Runs `kubectl annotate`.
pub(super) fn annotate(session: &mut Session) -> Done {
    let (names, change) = read(&session.given.words, "annotation")?;
    let lists = session.given.is("list");
    if change.set.is_empty() && change.remove.is_empty() && !lists {
        return Err(Failure::own("at least one annotation update is required"));
    }
    let (found, mut failures) = session.named(&names)?;
    let mut report = Report::new(session, false)?;
    for object in found {
        let has = object.metadata().annotations.clone().unwrap_or_default();
        if lists {
            has.iter().for_each(|(key, value)| session.say(format!("{key}={value}")));
            continue;
        }
        let taken: Vec<String> = change
            .set
            .iter()
            .filter_map(|(key, value)| {
                let has = has.get(key).filter(|has| *has != value)?;
                Some(format!("'{key}' already has a value ({has})"))
            })
            .collect();
        if !taken.is_empty() && !session.given.is("overwrite") {
            let taken = taken.join("; ");
            failures.push(Failure::own(format!(
                "--overwrite is false but found the following declared annotation(s): {taken}"
            )));
            continue;
        }
        write(session, &mut report, &object, "annotated", "annotations", &change)?;
    }
    report.end(session)?;
    Failure::all(failures)
}

fn write(
    session: &mut Session,
    report: &mut Report,
    object: &Object,
    verb: &str,
    field: &str,
    change: &Change,
) -> Done {
    session.modify(report, object, verb, |value| {
        let metadata = &mut value["metadata"];
        if !metadata[field].is_object() {
            metadata[field] = Value::Object(Map::new());
        }
        let Some(all) = metadata[field].as_object_mut() else { return };
        change.set.iter().for_each(|(key, value)| _ = all.insert(key.clone(), json!(value)));
        change.remove.iter().for_each(|key| _ = all.remove(key));
        if let (true, Some(fields)) = (all.is_empty(), metadata.as_object_mut()) {
            fields.remove(field);
        }
    })
}
