//! `kubectl rollout`.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet};
use serde_json::{Value, json};

use super::describe_pod::{Lines, template};
use super::failure::{Done, Failure};
use super::report::Report;
use super::session::Session;
use super::tabwriter::align;
use crate::object::{Key, Object};
use crate::store::{Store, wall_clock};

/// The annotation with the number of a revision.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The label that tells the pods of one template from those of another.
const HASH: &str = "pod-template-hash";

/// What is said of a rollout, and whether it is over.
fn state(object: &Object) -> Done<(String, bool)> {
    match object {
        Object::Deployment(deployment) => {
            let mut conditions =
                deployment.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let is_late = conditions.any(|one| one.reason.as_deref() == Some("ProgressDeadlineExceeded"));
            match is_late
                && deployment.metadata.generation
                    <= deployment.status.as_ref().and_then(|status| status.observed_generation)
            {
                true => {
                    let name = deployment.metadata.name.as_deref().unwrap_or_default();
                    Err(Failure::own(format!("deployment {name:?} exceeded its progress deadline")))
                }
                false => Ok(deployment_state(deployment)),
            }
        }
        Object::DaemonSet(set) => daemon_set_state(set),
        other => {
            Err(Failure::own(format!("no status viewer has been implemented for {}", other.kind().name())))
        }
    }
}

fn deployment_state(deployment: &Deployment) -> (String, bool) {
    let name = deployment.metadata.name.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let all = status.replicas.unwrap_or(0);
    let (updated, available) = (status.updated_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0));
    let waiting =
        |what: String| (format!("Waiting for deployment {name:?} rollout to finish: {what}..."), false);
    match () {
        () if deployment.metadata.generation > status.observed_generation => {
            ("Waiting for deployment spec update to be observed...".to_owned(), false)
        }
        () if updated < wanted => {
            waiting(format!("{updated} out of {wanted} new replicas have been updated"))
        }
        () if all > updated => waiting(format!("{} old replicas are pending termination", all - updated)),
        () if available < updated => {
            waiting(format!("{available} of {updated} updated replicas are available"))
        }
        () => (format!("deployment {name:?} successfully rolled out"), true),
    }
}

fn daemon_set_state(set: &DaemonSet) -> Done<(String, bool)> {
    let name = set.metadata.name.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let wanted = status.desired_number_scheduled;
    let (updated, available) =
        (status.updated_number_scheduled.unwrap_or(0), status.number_available.unwrap_or(0));
    let waiting =
        |what: String| (format!("Waiting for daemon set {name:?} rollout to finish: {what}..."), false);
    Ok(match () {
        () if set.metadata.generation > status.observed_generation => {
            ("Waiting for daemon set spec update to be observed...".to_owned(), false)
        }
        () if updated < wanted => waiting(format!("{updated} out of {wanted} new pods have been updated")),
        () if available < wanted => waiting(format!("{available} of {wanted} updated pods are available")),
        () => (format!("daemon set {name:?} successfully rolled out"), true),
    })
}

fn required(session: &Session) -> Done<Vec<String>> {
    match session.given.words.is_empty() {
        true => Err(Failure::own("required resource not specified")),
        false => Ok(session.given.words.clone()),
    }
}

/// Runs `kubectl rollout status`.
pub(super) async fn status(session: &mut Session<'_>) -> Done {
    let (found, failures) = session.chosen(&required(session)?)?;
    Failure::all(failures)?;
    let deadline = session.deadline("0s")?;
    if found.is_empty() {
        let namespace = session.namespace();
        session.complain(format!("No resources found in {namespace} namespace."));
    }
    for object in found {
        let key = object.key();
        let mut seen: Option<String> = None;
        loop {
            let news = session.until(deadline, |store: &Store| match store.object(&key) {
                None => Some(None),
                Some(object) if object.metadata().resource_version == seen => None,
                Some(object) => Some(Some(object.clone())),
            });
            let object = news.await.ok_or_else(|| Failure::own("timed out waiting for the condition"))?;
            let object = object.ok_or_else(|| Failure::own("object has been deleted"))?;
            seen = object.metadata().resource_version.clone();
            let (text, is_over) = state(&object)?;
            session.say(text);
            if is_over || session.given.text("watch") == Some("false") {
                break;
            }
        }
    }
    Ok(())
}

/// Runs `kubectl rollout restart`.
pub(super) fn restart(session: &mut Session) -> Done {
    let (found, mut failures) = session.chosen(&required(session)?)?;
    if found.is_empty() && failures.is_empty() {
        let namespace = session.namespace();
        session.complain(format!("No resources found in {namespace} namespace."));
    }
    let mut report = Report::new(session, false)?;
    let now = wall_clock(session.process.now());
    for object in found {
        if !matches!(&*object, Object::Deployment(_) | Object::DaemonSet(_)) {
            let (kind, name) = (object.kind(), object.key().name);
            failures.push(Failure::own(format!(
                "error: {} {name:?} restarting is not supported",
                kind.qualified_plural()
            )));
            continue;
        }
        session.modify(&mut report, &object, "restarted", |value| {
            let metadata = &mut value["spec"]["template"]["metadata"];
            if metadata.is_null() {
                *metadata = json!({});
            }
            if metadata["annotations"].is_null() {
                metadata["annotations"] = json!({});
            }
            metadata["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!(now);
        })?;
    }
    report.end(session)?;
    Failure::all(failures)
}

/// The ReplicaSets of a Deployment with their revisions, in order.
fn revisions(store: &Store, deployment: &Deployment) -> Vec<(i64, ReplicaSet)> {
    let owned = |set: &&ReplicaSet| {
        let mut owners = set.metadata.owner_references.iter().flatten();
        owners.any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
    };
    let revision = |set: &ReplicaSet| set.metadata.annotations.as_ref()?.get(REVISION)?.parse().ok();
    let mut all: Vec<(i64, ReplicaSet)> = store
        .list::<ReplicaSet>()
        .filter(owned)
        .filter_map(|set| Some((revision(set)?, set.clone())))
        .collect();
    all.sort_by_key(|(revision, _)| *revision);
    all
}

fn deployments(session: &Session, what: &str) -> Done<Vec<Deployment>> {
    let (found, failures) = session.chosen(&required(session)?)?;
    Failure::all(failures)?;
    let of = |object: &Object| match object {
        Object::Deployment(deployment) => Ok((**deployment).clone()),
        Object::DaemonSet(_) => {
            Err(Failure::unmodelled(&format!("{} of a DaemonSet", session.given.command)))
        }
        other => Err(Failure::own(format!("no {what} has been implemented for {}", other.kind().name()))),
    };
    found.iter().map(|object| of(object)).collect()
}

/// Runs `kubectl rollout history`.
pub(super) fn history(session: &mut Session) -> Done {
    for deployment in deployments(session, "history viewer")? {
        let all = revisions(&session.api.store(), &deployment);
        let name = deployment.metadata.name.clone().unwrap_or_default();
        if all.is_empty() {
            session.say(format!("deployment.apps/{name} \nNo rollout history found."));
            continue;
        }
        if let Some(wanted) = session.given.number("revision").filter(|wanted| *wanted > 0) {
            let found = all.iter().find(|(number, _)| *number == wanted);
            let (_, set) = found.ok_or_else(|| Failure::own("unable to find the specified revision"))?;
            let mut lines = Lines::default();
            template(&mut lines, &set.spec.clone().and_then(|spec| spec.template).unwrap_or_default());
            let text = lines.into_text();
            session.say(format!("deployment.apps/{name} with revision #{wanted}\n{text}"));
            continue;
        }
        let cause = |set: &ReplicaSet| {
            let notes = set.metadata.annotations.as_ref();
            notes
                .and_then(|notes| notes.get("kubernetes.io/change-cause").cloned())
                .unwrap_or("<none>".to_owned())
        };
        let rows: String = all.iter().map(|(number, set)| format!("{number}\t{}\n", cause(set))).collect();
        let table = align(&format!("REVISION\tCHANGE-CAUSE\n{rows}"), 0, 2);
        session.say(format!("deployment.apps/{name} \n{table}"));
    }
    Ok(())
}

/// Runs `kubectl rollout undo`.
pub(super) fn undo(session: &mut Session) -> Done {
    let to = session.given.number("to-revision").unwrap_or(0);
    for deployment in deployments(session, "rollbacker")? {
        let all = revisions(&session.api.store(), &deployment);
        let name = deployment.metadata.name.clone().unwrap_or_default();
        let chosen = match to {
            0 => all
                .iter()
                .rev()
                .nth(1)
                .ok_or_else(|| Failure::own(format!("no rollout history found for deployment {name:?}"))),
            to => all
                .iter()
                .find(|(number, _)| *number == to)
                .ok_or_else(|| Failure::own(format!("unable to find specified revision {to} in history"))),
        }?;
        let mut template = json!(chosen.1.spec.as_ref().and_then(|spec| spec.template.clone()));
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove(HASH);
        }
        let namespace = deployment.metadata.namespace.clone().unwrap_or_default();
        let object = session.object(&Key::new(crate::object::Kind::Deployment, &namespace, &name))?;
        let mut report = Report::new(session, false)?;
        let same = without_nulls(&object.to_json()["spec"]["template"]) == without_nulls(&template);
        let verb = match same {
            true => format!("skipped rollback (current template already matches revision {to})"),
            false => "rolled back".to_owned(),
        };
        session.modify(&mut report, &object, &verb, |value| value["spec"]["template"] = template)?;
        report.end(session)?;
    }
    Ok(())
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, inside)| !inside.is_null());
            Value::Object(kept.map(|(key, inside)| (key.clone(), without_nulls(inside))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
