//! Forms of output (`-o`).

use serde_json::Value;

use super::failure::{Done, Failure};
use super::jsonpath::Template;
use super::output;
use super::session::Session;
use super::tabwriter::align;

/// A form.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Format {
    /// A table; with more columns.
    Table {
        /// With all columns.
        wide: bool,
    },
    /// `pod/web`.
    Name,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// What a template says.
    JsonPath(Template),
    /// The results of a template as JSON.
    JsonPathAsJson(Template),
    /// Columns by their paths.
    Columns(Vec<(String, Template)>),
}

const ALLOWED: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,\
                       kyaml,name,template,templatefile,wide,yaml";

impl Format {
    /// By the flag `-o`.
    pub(super) fn parse(session: &Session) -> Done<Format> {
        let Some(text) = session.given.text("output") else { return Ok(Format::Table { wide: false }) };
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, session.given.text("template")),
        };
        let argument = || {
            argument
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Failure::own("template format specified but no template given"))
        };
        match name {
            "" => Ok(Format::Table { wide: false }),
            "wide" => Ok(Format::Table { wide: true }),
            "name" => Ok(Format::Name),
            "yaml" => Ok(Format::Yaml),
            "json" => Ok(Format::Json),
            "jsonpath" => Ok(Format::JsonPath(Template::parse(argument()?)?)),
            "jsonpath-as-json" => Ok(Format::JsonPathAsJson(Template::parse(argument()?)?)),
            "custom-columns" => {
                columns(argument().map_err(|_| {
                    Failure::own("custom-columns format specified but no custom columns given")
                })?)
            }
            known if ALLOWED.split(',').any(|allowed| allowed == known) => {
                Err(Failure::unmodelled(&format!("-o {known}")))
            }
            other => Err(Failure::own(format!(
                "unable to match a printer suitable for the output format {other:?}, allowed formats are: {ALLOWED}"
            ))),
        }
    }

    /// An object, or a list of objects, in this form. Tables are set elsewhere.
    pub(super) fn render(&self, value: &Value) -> Done<String> {
        Ok(match self {
            Format::Yaml => output::yaml(value),
            Format::Json => output::json(value),
            Format::JsonPath(template) => template.text(value)?,
            Format::JsonPathAsJson(template) => output::json(&Value::Array(template.results(value)?)),
            Format::Columns(columns) => custom(columns, value)?,
            Format::Table { .. } | Format::Name => String::new(),
        })
    }
}

fn columns(spec: &str) -> Done<Format> {
    let wrong = || {
        Failure::own(format!("unexpected custom-columns spec: {spec}, expected <header>:<json-path-expr>"))
    };
    let mut columns = Vec::new();
    for part in spec.split(',') {
        let (header, path) = part
            .split_once(':')
            .filter(|(header, path)| !header.is_empty() && !path.is_empty())
            .ok_or_else(wrong)?;
        columns.push((header.to_owned(), Template::relaxed(path)?));
    }
    Ok(Format::Columns(columns))
}

fn custom(columns: &[(String, Template)], value: &Value) -> Done<String> {
    let items = match value["items"].as_array() {
        Some(items) if value["kind"] == "List" => items.clone(),
        _ => vec![value.clone()],
    };
    let headers: Vec<&str> = columns.iter().map(|(header, _)| header.as_str()).collect();
    let mut text = format!("{}\n", headers.join("\t"));
    for item in &items {
        let cell = |(_, template): &(String, Template)| {
            let found: Vec<String> = template.results(item)?.iter().map(go_value).collect();
            Ok(if found.is_empty() { "<none>".to_owned() } else { found.join(",") })
        };
        let cells = columns.iter().map(cell).collect::<Done<Vec<String>>>()?;
        text.push_str(&format!("{}\n", cells.join("\t")));
    }
    Ok(align(&text, 6, 3))
}

/// A value as Go's `%v` prints it.
fn go_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, inside)| format!("{key}:{}", go_value(inside))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_by_their_paths() {
        let Ok(format) = columns("NAME:.metadata.name,PORTS:.spec.ports[*].port,X:.spec.x") else {
            panic!("columns")
        };
        let list = json!({"kind": "List", "items": [
            {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}, {"port": 443}], "x": {"b": [1, 2]}}},
            {"metadata": {"name": "b"}, "spec": {}},
        ]});
        assert_eq!(
            format.render(&list),
            Ok("NAME   PORTS    X\nweb    80,443   map[b:[1 2]]\nb      <none>   <none>\n".to_owned())
        );
        assert!(columns("NAME").is_err());
    }
}
