//! What is said of an object that a command made or changed: a line, or with `-o` the object.

use serde_json::{Value, json};

use super::failure::Done;
use super::format::Format;
use super::session::{DryRun, Session};
use crate::object::Kind;

/// Says what was done to objects.
pub(super) struct Report {
    format: Option<Format>,
    dry_run: DryRun,
    shown: Vec<Value>,
    /// Several objects are shown as one list.
    as_list: bool,
}

impl Report {
    /// By `-o` and `--dry-run`.
    pub(super) fn new(session: &Session, as_list: bool) -> Done<Report> {
        let format = session.given.text("output").map(|_| Format::parse(session)).transpose()?;
        Ok(Report { format, dry_run: session.dry_run()?, shown: Vec::new(), as_list })
    }

    /// What `--dry-run` says.
    pub(super) fn dry_run(&self) -> DryRun {
        self.dry_run
    }

    /// Something was done to an object.
    pub(super) fn done(&mut self, session: &mut Session, kind: Kind, object: &Value, verb: &str) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match &self.format {
            None => session.say(format!("{}/{name} {verb}{}", kind.qualified(), self.dry_run.suffix())),
            Some(Format::Name) => session.say(format!("{}/{name}", kind.qualified())),
            Some(_) => self.shown.push(object.clone()),
        }
    }

    /// Shows the objects.
    pub(super) fn end(self, session: &mut Session) -> Done {
        let Some(format) = self.format.filter(|format| *format != Format::Name) else { return Ok(()) };
        let all = match (self.as_list, self.shown.len()) {
            (true, 2..) => vec![list(self.shown)],
            _ => self.shown,
        };
        for (at, object) in all.iter().enumerate() {
            if at > 0 && format == Format::Yaml {
                session.say("---");
            }
            let text = format.render(object)?;
            session.process.print(text);
        }
        Ok(())
    }
}

/// Objects as one.
pub(super) fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}
