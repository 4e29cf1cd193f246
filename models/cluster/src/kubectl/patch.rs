//! `kubectl patch`: strategic, merge (RFC 7386) and JSON patches (RFC 6902).

use serde_json::Value;

use super::failure::{Done, Failure};
use super::merge::{merge_patch, strategic};
use super::report::Report;
use super::session::{DryRun, Session};

const REJECTED: &str =
    "The request is invalid: the server rejected our request due to an error in our request\n";

/// Runs the command.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    let (text, file) =
        (session.given.text("patch").map(str::to_owned), session.given.text("patch-file").map(str::to_owned));
    let text = match (text, file) {
        (Some(_), Some(_)) => return Err(Failure::own("cannot specify --patch and --patch-file together")),
        (Some(text), None) if !text.is_empty() => text,
        (None, Some(file)) => {
            let bytes = session.process.read_operand(&file).await.map_err(|error| {
                let why = glassnet_userland::process::strerror(&error).to_lowercase();
                Failure::own(format!("unable to read patch file: open {file}: {why}"))
            })?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => {
            return Err(Failure::own(
                "must specify --patch or --patch-file containing the contents of the patch",
            ));
        }
    };
    let how = session.given.text("type").unwrap_or("strategic").to_lowercase();
    if !["json", "merge", "strategic"].contains(&how.as_str()) {
        let given = session.given.text("type").unwrap_or_default();
        return Err(Failure::own(format!("--type must be one of [json merge strategic], not {given:?}")));
    }
    let patch: Value = serde_saphyr::from_str(&text).map_err(|error| {
        Failure::own(format!("unable to parse {text:?}: {}", super::manifest::yaml_error(&text, &error)))
    })?;
    let (found, mut failures) = session.named(&session.given.words.clone())?;
    let mut report = Report::new(session, false)?;
    for object in found {
        let before = object.to_json();
        let after = match how.as_str() {
            "json" => apply(&patch, &before),
            _ if !patch.is_object() => Err(REJECTED.to_owned()),
            "merge" => Ok(merge_patch(&patch, &before)),
            _ => Ok(strategic(&patch, &before)),
        };
        let after = match after {
            Ok(after) => after,
            Err(why) => {
                failures.push(Failure::Said(why, 1));
                continue;
            }
        };
        let written = match report.dry_run() {
            DryRun::Client => Ok(after),
            how => session.write(object.kind(), &after, how).map(|object| object.to_json()),
        };
        match written {
            Ok(after) => {
                let verb = if after == before { "patched (no change)" } else { "patched" };
                report.done(session, object.kind(), &after, verb);
            }
            Err(error) => failures.push(error.into()),
        }
    }
    report.end(session)?;
    Failure::all(failures)
}

/// Applies a JSON patch.
fn apply(patch: &Value, value: &Value) -> Result<Value, String> {
    let mut value = value.clone();
    let steps = patch.as_array().ok_or(REJECTED)?;
    for step in steps {
        let (op, path) = (step["op"].as_str().unwrap_or_default(), step["path"].as_str().unwrap_or_default());
        let missing = || {
            format!(
                "The request is invalid: {op} operation does not apply: doc is missing path: {path}: missing value\n"
            )
        };
        match op {
            "add" => add(&mut value, path, step["value"].clone()).ok_or_else(missing)?,
            "remove" => _ = remove(&mut value, path).ok_or_else(missing)?,
            "replace" => *value.pointer_mut(path).ok_or_else(missing)? = step["value"].clone(),
            "test" if value.pointer(path) == Some(&step["value"]) => {}
            "test" => {
                return Err(format!("The request is invalid: testing value {path} failed: test failed\n"));
            }
            "copy" | "move" => {
                let from = step["from"].as_str().unwrap_or_default();
                let moved = match op {
                    "move" => remove(&mut value, from),
                    _ => value.pointer(from).cloned(),
                };
                add(&mut value, path, moved.ok_or_else(missing)?).ok_or_else(missing)?;
            }
            _ => return Err(REJECTED.to_owned()),
        }
    }
    Ok(value)
}

/// The value that holds the one at a path, and its last part.
fn holder<'a>(value: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (before, last) = path.rsplit_once('/')?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Some((value.pointer_mut(before)?, last))
}

fn add(value: &mut Value, path: &str, new: Value) -> Option<()> {
    let (holder, last) = holder(value, path)?;
    match holder {
        Value::Object(fields) => _ = fields.insert(last, new),
        Value::Array(items) if last == "-" => items.push(new),
        Value::Array(items) => {
            let at: usize = last.parse().ok().filter(|at| *at <= items.len())?;
            items.insert(at, new);
        }
        _ => return None,
    }
    Some(())
}

fn remove(value: &mut Value, path: &str) -> Option<Value> {
    let (holder, last) = holder(value, path)?;
    match holder {
        Value::Object(fields) => fields.remove(&last),
        Value::Array(items) => {
            let at: usize = last.parse().ok().filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_patches_go_step_by_step() {
        let value = json!({"a": [1, 3], "b": {"x/y": 1}});
        let patch = json!([
            {"op": "add", "path": "/a/1", "value": 2},
            {"op": "add", "path": "/a/-", "value": 4},
            {"op": "remove", "path": "/b/x~1y"},
            {"op": "move", "from": "/a/0", "path": "/c"},
        ]);
        assert_eq!(apply(&patch, &value), Ok(json!({"a": [2, 3, 4], "b": {}, "c": 1})));
        assert!(apply(&json!([{"op": "replace", "path": "/z", "value": 1}]), &value).is_err());
    }
}
