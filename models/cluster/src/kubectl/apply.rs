//! `kubectl apply`: what the manifest says now, what it said before (an annotation of the object), and what the object is, merged.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::failure::{Done, Failure};
use super::manifest::{Document, decode};
use super::merge;
use super::output::compact;
use super::report::Report;
use super::session::{DryRun, Session};
use crate::error::ApiError;
use crate::object::{Key, Kind, Object};

/// The annotation that keeps what the manifest said.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Runs the command.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    if !session.given.words.is_empty() {
        let words = session.given.words.join(" ");
        return Err(Failure::usage("apply", format!("Unexpected args: [{words}]")));
    }
    if session.given.all("filename").is_empty() {
        return Err(Failure::own("must specify one of -f and -k"));
    }
    let (documents, mut failures) = session.manifests().await?;
    if documents.is_empty() && failures.is_empty() {
        return Err(Failure::own("no objects passed to apply"));
    }
    let mut report = Report::new(session, true)?;
    for document in &documents {
        if let Err(failure) = one(session, &mut report, document) {
            failures.push(failure);
        }
    }
    report.end(session)?;
    Failure::all(failures)
}

fn one(session: &mut Session, report: &mut Report, document: &Document) -> Done {
    let namespace = document.value["metadata"]["namespace"].as_str().unwrap_or_default();
    if document.name().is_empty() {
        if let Some(prefix) = document.value["metadata"]["generateName"].as_str() {
            return Err(Failure::own(format!("from {prefix}: cannot use generate name with apply")));
        }
        let why = "error when retrieving current configuration of:";
        return Err(Failure::own(format!(
            "{why}\n{}\nfrom server for: {:?}: resource name may not be empty",
            info(document),
            document.source
        )));
    }
    let key = Key::new(document.kind, namespace, document.name());
    let live = session.api.store().object(&key).cloned();
    match live {
        None => create(session, report, document),
        Some(live) => patch(session, report, document, &live),
    }
}

/// An object as errors of `apply` name it.
fn info(document: &Document) -> String {
    let (kind, meta) = (document.kind, &document.value["metadata"]);
    format!(
        "Resource: {:?}, GroupVersionKind: {:?}\nName: {:?}, Namespace: {:?}",
        format!("{}/v1, Resource={}", kind.group(), kind.plural()),
        format!("{}/v1, Kind={}", kind.group(), kind.name()),
        document.name(),
        meta["namespace"].as_str().unwrap_or_default()
    )
}

/// What is written, with the annotation that keeps it.
fn annotated(document: &Document) -> Value {
    let mut value = document.value.clone();
    if !value["metadata"].is_object() {
        value["metadata"] = Value::Object(Map::new());
    }
    if !value["metadata"]["annotations"].is_object() {
        value["metadata"]["annotations"] = Value::Object(Map::new());
    }
    if let Some(annotations) = value["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{}\n", compact(&value));
    value["metadata"]["annotations"][LAST_APPLIED] = json!(text);
    value
}

fn create(session: &mut Session, report: &mut Report, document: &Document) -> Done {
    let value = annotated(document);
    let made = match report.dry_run() {
        DryRun::Client => value,
        how => {
            let made = without_status(document.kind, &value).and_then(|object| session.create(object, how));
            made.map_err(|error| Failure::about(error, "creating", &document.source))?.to_json()
        }
    };
    report.done(session, document.kind, &made, "created");
    Ok(())
}

fn patch(session: &mut Session, report: &mut Report, document: &Document, live: &Arc<Object>) -> Done {
    let before = live.to_json();
    let kept = before["metadata"]["annotations"][LAST_APPLIED].as_str();
    let original: Value = match kept {
        Some(text) => serde_json::from_str(text).unwrap_or_default(),
        None => {
            let name = format!("{}/{}", live.kind().plural(), document.name());
            session.complain(format!(
                "Warning: resource {name} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. kubectl apply \
                 should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The \
                 missing annotation will be patched automatically."
            ));
            json!({})
        }
    };
    let modified = annotated(document);
    let merged = merge::three_way(&original, &modified, &before);
    let Some(change) = merge::difference(&before, &merged) else {
        report.done(session, document.kind, &before, "unchanged");
        return Ok(());
    };
    if live.metadata().deletion_timestamp.is_some() {
        let name = document.name();
        session.complain(format!(
            "Warning: Detected changes to resource {name} which is currently being deleted."
        ));
    }
    let after = match report.dry_run() {
        DryRun::Client => merged,
        how => {
            let verb = format!(
                "applying patch:\n{}\nto:\n{}\nfor: {:?}: error when patching",
                compact(&change),
                info(document),
                document.source
            );
            let written = session.write(document.kind, &merged, how);
            written.map_err(|error| Failure::about(error, &verb, &document.source))?.to_json()
        }
    };
    report.done(session, document.kind, &after, "configured");
    Ok(())
}

impl Session<'_> {
    /// Has the server make an object; with a dry run it only says what that would be.
    pub(super) fn create(&self, object: Object, how: DryRun) -> Result<Arc<Object>, ApiError> {
        self.api.change(self.process, |store, now| match how {
            DryRun::None => store.create(object, now),
            _ => store.review(object, now).map(Arc::new),
        })
    }

    /// Changes an object as it stands, and says so.
    pub(super) fn modify(
        &mut self,
        report: &mut Report,
        object: &Object,
        verb: &str,
        change: impl FnOnce(&mut Value),
    ) -> Done {
        let mut value = object.to_json();
        change(&mut value);
        let after = match report.dry_run() {
            DryRun::Client => value,
            how => self.write(object.kind(), &value, how)?.to_json(),
        };
        report.done(self, object.kind(), &after, verb);
        Ok(())
    }

    /// Has the server write an object anew; its status stays. With a dry run it only says what that would be.
    pub(super) fn write(&self, kind: Kind, value: &Value, how: DryRun) -> Result<Arc<Object>, ApiError> {
        let mut value = value.clone();
        let meta = &value["metadata"];
        let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
        let key = Key::new(kind, &text("namespace"), &text("name"));
        let before = self.api.store().object(&key).map(|object| object.to_json());
        if let (Some(fields), Some(before)) = (value.as_object_mut(), before) {
            match before.get("status") {
                Some(status) => _ = fields.insert("status".to_owned(), status.clone()),
                None => _ = fields.remove("status"),
            }
        }
        let object = decode(kind, &value)?;
        self.api.change(self.process, |store, now| match how {
            DryRun::None => store.update(object, now),
            _ => store.review_update(object).map(|(object, _)| Arc::new(object)),
        })
    }
}

/// A new object as the server reads it: its status is not a user's.
pub(super) fn without_status(kind: Kind, value: &Value) -> Result<Object, ApiError> {
    let mut value = value.clone();
    let object = decode(kind, &value)?;
    let Some(fields) = value.as_object_mut() else { return Ok(object) };
    match fields.remove("status") {
        Some(_) => decode(kind, &value),
        None => Ok(object),
    }
}

/// Adds the annotation that keeps what is written (`--save-config`).
pub(super) fn save_config(document: &Document) -> Document {
    Document { value: annotated(document), ..document.clone() }
}
