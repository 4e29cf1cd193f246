//! `kubectl taint`.

use k8s_openapi::api::core::v1::Taint;
use serde_json::json;

use super::failure::{Done, Failure};
use super::report::Report;
use super::session::Session;
use crate::admission::names;
use crate::object::Object;
use crate::store::wall_clock;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// What is to be done with taints of a key, and with those of an effect alone if one is given.
struct Change {
    key: String,
    effect: String,
    /// The value, with which it is added; none: it is removed.
    value: Option<String>,
}

/// Reads `key=value:effect`, `key:effect`, `key:effect-` or `key-`.
fn read(word: &str) -> Done<Change> {
    let (text, removes) = word.strip_suffix('-').map_or((word, false), |text| (text, true));
    let invalid = |why: String| Failure::own(format!("invalid taint spec: {word}{why}"));
    let (pair, effect) = text.split_once(':').unwrap_or((text, ""));
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    if effect.contains(':') || value.contains('=') || effect.is_empty() && !removes {
        return Err(invalid(String::new()));
    }
    if let Some(why) = names::qualified_name(key).or_else(|| names::label_value(value)) {
        return Err(invalid(format!(", {why}")));
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        return Err(Failure::own(format!("invalid taint effect: {effect}, unsupported taint effect")));
    }
    let value = (!removes).then(|| value.to_owned());
    Ok(Change { key: key.to_owned(), effect: effect.to_owned(), value })
}

/// Runs the command.
pub(super) fn run(session: &mut Session) -> Done {
    let words = session.given.words.clone();
    let is_change = |word: &&String| word.contains(['=', ':']) || word.ends_with('-');
    let (specs, names): (Vec<&String>, Vec<&String>) = words.iter().partition(is_change);
    let names: Vec<String> = names.into_iter().cloned().collect();
    if names.first().is_none_or(|first| !["no", "node", "nodes"].contains(&first.as_str())) {
        let first = names.first().cloned().unwrap_or_default();
        return Err(Failure::own(format!("invalid resource type {first}, only node(s) is supported")));
    }
    if specs.is_empty() {
        return Err(Failure::own("at least one taint update is required"));
    }
    let changes = specs.into_iter().map(|word| read(word)).collect::<Done<Vec<Change>>>()?;
    let (found, mut failures) = session.named(&names)?;
    let mut report = Report::new(session, false)?;
    for object in found {
        if let Err(failure) = one(session, &mut report, &object, &changes) {
            failures.push(failure);
        }
    }
    report.end(session)?;
    Failure::all(failures)
}

fn one(session: &mut Session, report: &mut Report, object: &Object, changes: &[Change]) -> Done {
    let Object::Node(node) = object else { return Ok(()) };
    let name = node.metadata.name.clone().unwrap_or_default();
    let mut taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let now = wall_clock(session.process.now());
    let mut is_added = false;
    for change in changes {
        let is_meant = |taint: &Taint| {
            taint.key == change.key && (change.effect.is_empty() || taint.effect == change.effect)
        };
        let known = taints.iter().any(is_meant);
        match &change.value {
            None if !known => {
                let effect =
                    if change.effect.is_empty() { String::new() } else { format!(":{}", change.effect) };
                return Err(Failure::own(format!("taint \"{}{effect}\" not found", change.key)));
            }
            Some(_) if known && !session.given.is("overwrite") => {
                let pair = format!("{}:{}", change.key, change.effect);
                return Err(Failure::own(format!(
                    "node {name} already has {pair} taint(s) with same effect(s) and --overwrite is false"
                )));
            }
            _ => {}
        }
        taints.retain(|taint| !is_meant(taint));
        if let Some(value) = &change.value {
            is_added = true;
            taints.push(Taint {
                key: change.key.clone(),
                effect: change.effect.clone(),
                value: Some(value.clone()).filter(|value| !value.is_empty()),
                time_added: (change.effect == "NoExecute").then(|| now.clone()),
            });
        }
    }
    let verb = if is_added { "tainted" } else { "untainted" };
    session.modify(report, object, verb, |value| {
        value["spec"]["taints"] = json!(taints);
        if let (true, Some(spec)) = (taints.is_empty(), value["spec"].as_object_mut()) {
            spec.remove("taints");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::Cluster;
    use super::*;

    #[test]
    fn taints_are_read_as_they_are_written() {
        let of = |word: &str| read(word).map(|change| (change.key, change.value, change.effect));
        let text = |text: &str| text.to_owned();
        assert_eq!(of("a=b:NoSchedule"), Ok((text("a"), Some(text("b")), text("NoSchedule"))));
        assert_eq!(of("a:NoExecute-"), Ok((text("a"), None, text("NoExecute"))));
        assert_eq!(of("a-"), Ok((text("a"), None, text(""))));
        assert_eq!(of("a=b"), Err(Failure::own("invalid taint spec: a=b")));
        let wrong = Failure::own("invalid taint effect: No, unsupported taint effect");
        assert_eq!(of("a=b:No"), Err(wrong));
    }

    #[test]
    fn only_nodes_have_taints() {
        let cluster = Cluster::new();
        let text = "error: invalid resource type pods, only node(s) is supported\n";
        cluster.says("taint pods web a=b:NoSchedule", 1, text);
        let text = "Error from server (NotFound): nodes \"n\" not found\n";
        cluster.says("taint nodes n a=b:NoSchedule", 1, text);
    }
}
