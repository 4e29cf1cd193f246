//! `kubectl wait`.

use std::sync::Arc;

use serde_json::Value;

use super::failure::{Done, Failure};
use super::jsonpath::Template;
use super::resources::asked;
use super::session::Session;
use crate::object::{Key, Object};
use crate::store::Store;

/// What is waited for.
enum For {
    Condition(String, String),
    Create,
    Delete,
    JsonPath(Template, Option<String>),
}

impl For {
    fn parse(text: &str) -> Done<For> {
        match text.to_lowercase().as_str() {
            "delete" => return Ok(For::Delete),
            "create" => return Ok(For::Create),
            _ => {}
        }
        if let Some(condition) = text.strip_prefix("condition=") {
            let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
            return Ok(For::Condition(name.to_lowercase(), value.to_lowercase()));
        }
        let Some(path) = text.strip_prefix("jsonpath=") else {
            return Err(Failure::own(format!("unrecognized condition: {text:?}")));
        };
        let (path, value) = match path.rfind("}=") {
            Some(at) => (&path[..at + 1], Some(path[at + 2..].to_owned())),
            None if path.ends_with('}') => (path, None),
            None => {
                path.rsplit_once('=').map_or((path, None), |(path, value)| (path, Some(value.to_owned())))
            }
        };
        if value.as_deref() == Some("") {
            return Err(Failure::own(
                "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3",
            ));
        }
        Ok(For::JsonPath(Template::relaxed(path)?, value))
    }

    fn is_met(&self, object: &Object) -> bool {
        let value = object.to_json();
        match self {
            For::Create => true,
            For::Delete => false,
            For::Condition(name, wanted) => {
                let seen = &value["status"]["observedGeneration"];
                let is_old =
                    seen.as_i64().is_some_and(|seen| Some(seen) < value["metadata"]["generation"].as_i64());
                let has = |condition: &&Value| {
                    let of = |field: &str| condition[field].as_str().unwrap_or_default().to_lowercase();
                    of("type") == *name && of("status") == *wanted
                };
                !is_old && value["status"]["conditions"].as_array().into_iter().flatten().any(|c| has(&c))
            }
            For::JsonPath(template, wanted) => {
                let found = template.results(&value).unwrap_or_default();
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                match wanted {
                    Some(wanted) => found.len() == 1 && text(&found[0]) == *wanted,
                    None => !found.is_empty(),
                }
            }
        }
    }
}

/// Runs the command.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    let Some(text) = session.given.text("for").map(str::to_owned) else {
        return Err(Failure::own("--for is required"));
    };
    let wanted = For::parse(&text)?;
    let deadline = session.deadline("30s")?.or(Some(session.process.now()));
    let words = session.given.words.clone();
    if let For::Create = wanted {
        return create(session, &words, deadline).await;
    }
    let (found, mut failures) = session.named(&words)?;
    if let For::Delete = wanted {
        failures
            .retain(|failure| !matches!(failure, Failure::Server(error, _) if error.reason() == "NotFound"));
    } else if found.is_empty() && failures.is_empty() {
        return Err(Failure::own("no matching resources found"));
    }
    for object in found {
        let (key, uid) = (object.key(), object.metadata().uid.clone());
        let met = |store: &Store| {
            let now = store.object(&key).filter(|now| now.metadata().uid == uid);
            let is_met = match now {
                None => matches!(wanted, For::Delete),
                Some(now) => wanted.is_met(now),
            };
            is_met.then_some(())
        };
        match session.until(deadline, met).await {
            Some(()) => met_line(session, &object),
            None => {
                let name = format!("{}/{}", key.kind.plural(), key.name);
                failures.push(Failure::own(format!("timed out waiting for the condition on {name}")));
            }
        }
    }
    Failure::all(failures)
}

fn met_line(session: &mut Session, object: &Object) {
    let key = object.key();
    session.say(format!("{}/{} condition met", key.kind.qualified(), key.name));
}

async fn create(session: &mut Session<'_>, words: &[String], deadline: Option<glassnet_sim::Nanos>) -> Done {
    for asked in asked(words)? {
        let kind = asked.resource.kind()?;
        let namespace = session.namespace();
        let found = |store: &Store| -> Option<Arc<Object>> {
            match &asked.name {
                Some(name) => store.object(&Key::new(kind, &namespace, name)).cloned(),
                None => store.objects(kind).next().cloned(),
            }
        };
        match session.until(deadline, found).await {
            Some(object) => met_line(session, &object),
            None => return Err(Failure::own("timed out waiting for the condition")),
        }
    }
    Ok(())
}
