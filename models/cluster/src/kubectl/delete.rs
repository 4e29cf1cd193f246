//! `kubectl delete` and `kubectl replace`.

use std::sync::Arc;

use super::failure::{Done, Failure};
use super::report::Report;
use super::session::{DryRun, Session};
use crate::object::{Key, Object};

/// How a deletion is done.
struct Deletion {
    grace: Option<i64>,
    dry_run: DryRun,
    waits: bool,
}

/// Runs `kubectl delete`.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    let deletion = deletion(session)?;
    match session.given.text("output") {
        None | Some("name") => {}
        Some(other) => {
            return Err(Failure::own(format!(
                "unexpected -o output mode: {other}. We only support '-o name'"
            )));
        }
    }
    let (all, selector) = (session.given.is("all"), session.given.text("selector").is_some());
    if all && selector {
        return Err(Failure::own("cannot set --all and --selector at the same time"));
    }
    let (found, mut failures) = if session.given.all("filename").is_empty() {
        let words = session.given.words.clone();
        session.named(&words)?
    } else {
        of_files(session).await?
    };
    if session.given.is("ignore-not-found") || all {
        let is_missing =
            |failure: &Failure| matches!(failure, Failure::Server(error, _) if error.reason() == "NotFound");
        failures.retain(|failure| !is_missing(failure));
    }
    if found.is_empty() && failures.is_empty() {
        session.say("No resources found");
        return Ok(());
    }
    let mut gone = Vec::new();
    for object in found {
        match delete(session, &object, &deletion) {
            Ok(()) => gone.push((object.key(), object.metadata().uid.clone())),
            Err(failure) => failures.push(failure),
        }
    }
    if deletion.waits {
        wait(session, gone, &mut failures).await?;
    }
    Failure::all(failures)
}

fn deletion(session: &mut Session) -> Done<Deletion> {
    let given = &session.given;
    let mut grace = given.number("grace-period").filter(|grace| *grace >= 0);
    let (force, now) = (given.is("force"), given.is("now"));
    if now && grace.is_some() {
        return Err(Failure::own("--now and --grace-period cannot be specified together"));
    }
    if force && grace.is_some_and(|grace| grace > 0) {
        return Err(Failure::own("--force and --grace-period greater than 0 cannot be specified together"));
    }
    match given.text("cascade") {
        None | Some("background" | "foreground" | "true") => {}
        Some(other) => return Err(Failure::unmodelled(&format!("delete --cascade={other}"))),
    }
    let waits = given.text("wait") != Some("false");
    if force {
        grace = Some(0);
        session.complain(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource \
             may continue to run on the cluster indefinitely.",
        );
    } else if now || grace == Some(0) {
        grace = Some(1);
    }
    let dry_run = session.dry_run()?;
    Ok(Deletion { grace, dry_run, waits: waits && dry_run == DryRun::None })
}

async fn of_files(session: &mut Session<'_>) -> Done<(Vec<Arc<Object>>, Vec<Failure>)> {
    if !session.given.words.is_empty() {
        return Err(Failure::own(
            "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
        ));
    }
    let (documents, mut failures) = session.manifests().await?;
    let mut found = Vec::new();
    for document in documents {
        let namespace = document.value["metadata"]["namespace"].as_str().unwrap_or_default();
        let key = Key::new(document.kind, namespace, document.name());
        match session.object(&key) {
            Ok(object) => found.push(object),
            Err(Failure::Server(error, _)) => {
                failures.push(Failure::about(error, "deleting", &document.source))
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok((found, failures))
}

fn delete(session: &mut Session, object: &Object, deletion: &Deletion) -> Done {
    let key = object.key();
    if deletion.dry_run == DryRun::None {
        session.api.change(session.process, |store, now| store.delete(&key, deletion.grace, now))?;
    }
    let name = &key.name;
    if session.given.text("output") == Some("name") {
        session.say(format!("{}/{name}", key.kind.qualified()));
        return Ok(());
    }
    let operation = if deletion.grace == Some(0) { "force deleted" } else { "deleted" };
    let place = match key.namespace.as_str() {
        "" => String::new(),
        namespace => format!(" from {namespace} namespace"),
    };
    let suffix = deletion.dry_run.suffix();
    session.say(format!("{} {name:?} {operation}{place}{suffix}", key.kind.qualified()));
    Ok(())
}

/// Waits until all are gone, or others have their names.
async fn wait(
    session: &mut Session<'_>,
    gone: Vec<(Key, Option<String>)>,
    failures: &mut Vec<Failure>,
) -> Done {
    let deadline = session.deadline("0s")?;
    for (key, uid) in gone {
        let is_gone = |store: &crate::store::Store| {
            store.object(&key).is_none_or(|object| object.metadata().uid != uid).then_some(())
        };
        if session.until(deadline, is_gone).await.is_none() {
            let name = format!("{}/{}", key.kind.plural(), key.name);
            failures.push(Failure::own(format!("timed out waiting for the condition on {name}")));
        }
    }
    Ok(())
}

/// Runs `kubectl replace`.
pub(super) async fn replace(session: &mut Session<'_>) -> Done {
    if session.given.all("filename").is_empty() {
        return Err(Failure::usage("replace", "Must specify --filename to replace"));
    }
    let force = session.given.is("force");
    let (documents, mut failures) = session.manifests().await?;
    if documents.is_empty() && failures.is_empty() {
        return Err(Failure::own("no objects passed to replace"));
    }
    let mut report = Report::new(session, false)?;
    let mut gone = Vec::new();
    if force {
        let deletion = deletion(session)?;
        for document in &documents {
            let namespace = document.value["metadata"]["namespace"].as_str().unwrap_or_default();
            if let Ok(object) = session.object(&Key::new(document.kind, namespace, document.name())) {
                delete(session, &object, &deletion)?;
                gone.push((object.key(), object.metadata().uid.clone()));
            }
        }
        wait(session, gone, &mut failures).await?;
    }
    for document in &documents {
        let about = |error| Failure::about(error, "replacing", &document.source);
        let replaced = document.object().and_then(|object| match force {
            true => session.create(object, report.dry_run()),
            false => session.write(document.kind, &document.value, report.dry_run()),
        });
        let replaced = replaced.map_err(about);
        match replaced {
            Ok(object) => report.done(session, document.kind, &object.to_json(), "replaced"),
            Err(failure) => failures.push(failure),
        }
    }
    report.end(session)?;
    Failure::all(failures)
}
