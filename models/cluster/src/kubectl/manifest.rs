//! Manifests: files of YAML or JSON with the objects that `-f` names (`cli-runtime`'s visitors).

use serde_json::{Value, json};

use super::failure::{Done, Failure};
use super::session::Session;
use crate::error::ApiError;
use crate::object::{Kind, Object};

/// An object of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// Where it stands: the file as it was named, or `STDIN`.
    pub source: String,
    /// Its kind.
    pub kind: Kind,
    /// What is written, with the namespace filled in.
    pub value: Value,
}

/// Kinds that are real and not modelled.
const UNMODELLED: &[&str] = &[
    "ClusterRole",
    "ClusterRoleBinding",
    "CronJob",
    "CustomResourceDefinition",
    "Endpoints",
    "HorizontalPodAutoscaler",
    "IPAddress",
    "Job",
    "Lease",
    "LimitRange",
    "NetworkPolicy",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PodTemplate",
    "PriorityClass",
    "ReplicationController",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "ServiceAccount",
    "ServiceCIDR",
    "StatefulSet",
    "StorageClass",
];

/// Groups of Kubernetes itself, whose kinds may be real.
const GROUPS: &[&str] = &[
    "v1",
    "apps/v1",
    "batch/v1",
    "networking.k8s.io/v1",
    "rbac.authorization.k8s.io/v1",
    "policy/v1",
    "autoscaling/v1",
    "autoscaling/v2",
    "storage.k8s.io/v1",
    "apiextensions.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "node.k8s.io/v1",
    "coordination.k8s.io/v1",
    "events.k8s.io/v1",
];

impl Document {
    /// The name that is written.
    pub(super) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The object; the API server's words if a field is wrong or unknown.
    pub(super) fn object(&self) -> Result<Object, ApiError> {
        decode(self.kind, &self.value)
    }
}

impl Session<'_> {
    /// The objects of all files that `-f` names, and what is wrong with others.
    pub(super) async fn manifests(&mut self) -> Done<(Vec<Document>, Vec<Failure>)> {
        let files = self.given.list("filename");
        let (mut documents, mut failures) = (Vec::new(), Vec::new());
        for file in files {
            for (source, text) in self.texts(&file).await? {
                let namespace = (self.namespace(), self.given.text("namespace").is_some());
                read(&source, &text, &namespace, &mut documents, &mut failures);
            }
        }
        Ok((documents, failures))
    }

    /// The texts that a file operand names: a file, standard input, or the files of a directory.
    async fn texts(&mut self, file: &str) -> Done<Vec<(String, String)>> {
        if file.starts_with("http://") || file.starts_with("https://") {
            return Err(Failure::unmodelled("-f with a URL"));
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if file == "-" {
            let bytes = self.process.read_to_end().await.unwrap_or_default();
            return Ok(vec![("STDIN".to_owned(), text(bytes))]);
        }
        let path = self.process.path(file);
        if let Ok(entries) = self.process.files.clone().list(&path).await {
            return self.folder(file, entries).await;
        }
        match self.process.read_operand(file).await {
            Ok(bytes) => Ok(vec![(file.to_owned(), text(bytes))]),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Failure::own(format!("the path {file:?} does not exist")))
            }
            Err(error) => {
                let why = glassnet_userland::process::strerror(&error).to_lowercase();
                Err(Failure::own(format!("open {file}: {why}")))
            }
        }
    }

    /// The manifests in a directory, and with `-R` below it.
    async fn folder(&mut self, folder: &str, entries: Vec<(String, bool)>) -> Done<Vec<(String, String)>> {
        let mut waiting: Vec<(String, bool)> = Vec::new();
        let inside = |folder: &str, mut entries: Vec<(String, bool)>| {
            entries.sort();
            entries.reverse();
            let folder = folder.trim_end_matches('/').to_owned();
            entries
                .into_iter()
                .map(move |(name, is_dir)| (format!("{folder}/{name}"), is_dir))
                .collect::<Vec<_>>()
        };
        waiting.extend(inside(folder, entries));
        let mut texts = Vec::new();
        while let Some((path, is_dir)) = waiting.pop() {
            if is_dir {
                let deep = self.process.path(&path);
                if self.given.is("recursive") {
                    let entries = self.process.files.clone().list(&deep).await.unwrap_or_default();
                    waiting.extend(inside(&path, entries));
                }
            } else if [".json", ".yaml", ".yml"].iter().any(|end| path.ends_with(end)) {
                let bytes = self.process.read_operand(&path).await.unwrap_or_default();
                texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        if texts.is_empty() {
            return Err(Failure::own(format!(
                "error reading [{folder}]: recognized file extensions are [.json .yaml .yml]"
            )));
        }
        Ok(texts)
    }
}

/// Reads the documents of a text. One that is no YAML ends it; one of a wrong kind is left out.
fn read(
    source: &str,
    text: &str,
    namespace: &(String, bool),
    documents: &mut Vec<Document>,
    failures: &mut Vec<Failure>,
) {
    for part in split(text) {
        // As in Go, the last of several keys wins.
        let options = serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
        let value: Value = match serde_saphyr::from_str_with_options(part, options) {
            Ok(value) => value,
            Err(error) => {
                let why = yaml_error(part, &error);
                failures.push(Failure::own(format!(
                    "error parsing {source}: error converting YAML to JSON: yaml: {why}"
                )));
                return;
            }
        };
        if value.is_null() {
            continue;
        }
        if let Err(failure) = take(source, value, namespace, documents) {
            failures.push(failure);
        }
    }
}

/// The documents of a stream, without those that hold nothing but comments.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\n---") {
        parts.push(&rest[..at]);
        let behind = &rest[at + 4..];
        rest = behind.find('\n').map_or("", |end| &behind[end + 1..]);
    }
    parts.push(rest);
    let says = |part: &&str| {
        part.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#') && line != "---")
    };
    parts.into_iter().filter(says).collect()
}

/// What is wrong with YAML, as go-yaml words it: errors of its scanner name their line, those of its parser the line before the one
/// where the mapping began, or before their own if the mapping is the document.
pub(super) fn yaml_error(text: &str, error: &serde_saphyr::Error) -> String {
    let plain = error.without_snippet();
    let (line, column) = plain.location().map_or((0, 0), |at| (at.line() as usize, at.column() as usize));
    let message = plain.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    let lower = message.to_lowercase();
    const KNOWN: &[(&str, &str)] = &[
        ("mapping values are not allowed", "mapping values are not allowed in this context"),
        ("tab", "found character that cannot start any token"),
        ("cannot start any token", "found character that cannot start any token"),
        ("could not find expected ':'", "could not find expected ':'"),
        ("simple key", "could not find expected ':'"),
        ("block end", "did not find expected key"),
        ("expected key", "did not find expected key"),
        ("did not find expected '-'", "did not find expected '-' indicator"),
        ("node content", "did not find expected node content"),
        ("',' or ']'", "did not find expected ',' or ']'"),
        ("',' or '}'", "did not find expected ',' or '}'"),
        ("unclosed quote", "found unexpected end of stream"),
        ("unexpected end of", "found unexpected end of stream"),
        ("anchor", "unknown anchor referenced"),
    ];
    let known = KNOWN.iter().find(|(part, _)| lower.contains(part)).map_or(message, |(_, words)| words);
    let line = match known {
        "did not find expected key" => match mapping_start(text, line, column) {
            0 => line.saturating_sub(1),
            start => start,
        },
        _ if line == 1 => 0,
        _ => line,
    };
    if line > 0 { format!("line {line}: {known}") } else { known.to_owned() }
}

/// How many lines stand before the block mapping in which a key was expected at this place.
fn mapping_start(text: &str, line: usize, column: usize) -> usize {
    // A dash is an indentation of what follows it.
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let before: Vec<&str> = text.lines().take(line.saturating_sub(1)).collect();
    let mut mapping: Option<(usize, usize)> = None;
    for (at, line) in before.iter().enumerate().rev() {
        let depth = indent(line);
        let is_empty = line.trim().is_empty() || line.trim().starts_with('#');
        match mapping {
            _ if is_empty => {}
            None if depth + 1 < column => mapping = Some((depth, at)),
            Some((own, _)) if depth == own => mapping = Some((own, at)),
            Some((own, _)) if depth < own => break,
            _ => {}
        }
        if mapping.is_some_and(|(own, start)| start == at && own > 0 && line.trim_start().starts_with('-')) {
            break;
        }
    }
    mapping.map_or(0, |(_, at)| at)
}

/// Takes a document; of a list, each item.
fn take(source: &str, value: Value, namespace: &(String, bool), documents: &mut Vec<Document>) -> Done {
    let invalid = |why: &str| {
        let stop = "if you choose to ignore these errors, turn validation off with --validate=false";
        Failure::own(format!("error validating {source:?}: error validating data: {why}; {stop}"))
    };
    if !value.is_object() {
        return Err(invalid("invalid object to validate"));
    }
    let (version, kind) = (value["apiVersion"].as_str(), value["kind"].as_str());
    let (version, kind) = match (version, kind) {
        (Some(version), Some(kind)) => (version.to_owned(), kind.to_owned()),
        (None, Some(_)) => return Err(invalid("apiVersion not set")),
        (Some(_), None) => return Err(invalid("kind not set")),
        (None, None) => return Err(invalid("[apiVersion not set, kind not set]")),
    };
    if kind == "List" && version == "v1" {
        let items = value["items"].as_array().cloned().unwrap_or_default();
        return items.into_iter().try_for_each(|item| take(source, item, namespace, documents));
    }
    let (name, within) = (&value["metadata"]["name"], &value["metadata"]["namespace"]);
    let (name, within) = (name.as_str().unwrap_or_default(), within.as_str().unwrap_or_default());
    let Some(known) = Kind::of_manifest(&version, &kind) else {
        if UNMODELLED.contains(&kind.as_str()) && GROUPS.contains(&version.as_str()) {
            return Err(Failure::unmodelled(&format!("with kind {kind} of {version}")));
        }
        return Err(Failure::own(format!(
            "resource mapping not found for name: {name:?} namespace: {within:?} from {source:?}: no matches for kind {kind:?} in \
             version {version:?}\nensure CRDs are installed first"
        )));
    };
    let (wanted, is_given) = namespace;
    if known.is_namespaced() && *is_given && !within.is_empty() && within != wanted {
        return Err(Failure::own(format!(
            "the namespace from the provided object {within:?} does not match the namespace {wanted:?}. You must pass \
             '--namespace={within}' to perform this operation."
        )));
    }
    let mut value = value.clone();
    if known.is_namespaced() && within.is_empty() && value["metadata"].is_object() {
        value["metadata"]["namespace"] = json!(wanted);
    }
    documents.push(Document { source: source.to_owned(), kind: known, value });
    Ok(())
}

/// Reads an object as the API server does: a value of a wrong type, or a field that is unknown, is an error in its words.
pub(super) fn decode(kind: Kind, value: &Value) -> Result<Object, ApiError> {
    let mut value = value.clone();
    quantities(&mut value);
    let cannot = |why: String| {
        let name = kind.name();
        ApiError::BadRequest(format!("{name} in version \"v1\" cannot be handled as a {name}: {why}"))
    };
    let object = kind.read(value.clone()).map_err(|error| cannot(wrong_type(kind, &value, &error)))?;
    let mut unknown = Vec::new();
    unknown_fields("", &value, &object.to_json(), &mut unknown);
    match unknown.is_empty() {
        true => Ok(object),
        false => {
            let all: Vec<String> = unknown.iter().map(|field| format!("unknown field {field:?}")).collect();
            Err(cannot(format!("strict decoding error: {}", all.join(", "))))
        }
    }
}

/// Amounts may be written as numbers.
fn quantities(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, inside) in fields {
                let amounts = ["limits", "requests", "capacity", "allocatable"].contains(&key.as_str());
                if let (true, Value::Object(amounts)) = (amounts, &mut *inside) {
                    for amount in amounts.values_mut().filter(|amount| amount.is_number()) {
                        *amount = Value::String(amount.to_string());
                    }
                }
                quantities(inside);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities),
        _ => {}
    }
}

/// What was written and is not there when it was read.
fn unknown_fields(at: &str, given: &Value, read: &Value, unknown: &mut Vec<String>) {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            for (key, inside) in given.iter().filter(|(_, inside)| !inside.is_null()) {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                match read.get(key) {
                    Some(read) => unknown_fields(&path, inside, read, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(read)) => {
            for (number, (given, read)) in given.iter().zip(read).enumerate() {
                unknown_fields(&format!("{at}[{number}]"), given, read, unknown);
            }
        }
        _ => {}
    }
}

/// A value of a wrong type, in the words of Go's decoder.
fn wrong_type(kind: Kind, value: &Value, error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    use serde_path_to_error::Segment;
    let (mut found, mut names) = (value, Vec::new());
    for segment in error.path() {
        match segment {
            Segment::Map { key } => {
                found = &found[key.as_str()];
                names.push(key.as_str());
            }
            Segment::Seq { index } => found = &found[*index],
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let is = match found {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Array(_) => "array",
        Value::Object(_) | Value::Null => "object",
    };
    let text = error.inner().to_string();
    let expected = text.split("expected ").nth(1).unwrap_or_default();
    let wanted = match expected {
        "i32" | "i64" => expected.replace('i', "int"),
        "a string" | "string" => "string".to_owned(),
        "a boolean" => "bool".to_owned(),
        "a map" => "map[string]string".to_owned(),
        "a sequence" => format!("[]{}", element(&names)),
        other => format!("v1.{}", other.trim_start_matches("struct ")),
    };
    if names.is_empty() {
        return format!("json: cannot unmarshal {is} into Go value of type {wanted}");
    }
    let holder = holder(kind, &names);
    format!("json: cannot unmarshal {is} into Go struct field {holder}.{} of type {wanted}", names.join("."))
}

/// The Go type of a list's items.
fn element(names: &[&str]) -> String {
    match names.last().copied().unwrap_or_default() {
        "command" | "args" | "externalIPs" | "clusterIPs" | "finalizers" | "addresses" | "except"
        | "policyTypes" | "values" => "string".to_owned(),
        list => format!("v1.{}", struct_of(list, names)),
    }
}

/// The Go type that holds the last of these fields.
fn holder(kind: Kind, names: &[&str]) -> String {
    match names.split_last() {
        Some((_, [])) | None => kind.name().to_owned(),
        Some((_, before)) => match before {
            ["spec"] => format!("{}Spec", kind.name()),
            ["status"] => format!("{}Status", kind.name()),
            [.., "template", "spec"] => "PodSpec".to_owned(),
            [.., "template"] => "PodTemplateSpec".to_owned(),
            [.., last] => struct_of(last, before),
            [] => kind.name().to_owned(),
        },
    }
}

/// The Go type of a field.
fn struct_of(field: &str, names: &[&str]) -> String {
    const TYPES: &[(&str, &str)] = &[
        ("containers", "Container"),
        ("egress", "NetworkPolicyEgressRule"),
        ("endpoints", "Endpoint"),
        ("env", "EnvVar"),
        ("from", "NetworkPolicyPeer"),
        ("httpGet", "HTTPGetAction"),
        ("ingress", "NetworkPolicyIngressRule"),
        ("initContainers", "Container"),
        ("ipBlock", "IPBlock"),
        ("labels", "ObjectMeta"),
        ("matchExpressions", "LabelSelectorRequirement"),
        ("metadata", "ObjectMeta"),
        ("namespaceSelector", "LabelSelector"),
        ("podSelector", "LabelSelector"),
        ("readinessProbe", "Probe"),
        ("livenessProbe", "Probe"),
        ("selector", "LabelSelector"),
        ("strategy", "DeploymentStrategy"),
        ("to", "NetworkPolicyPeer"),
        ("tolerations", "Toleration"),
        ("volumes", "Volume"),
        ("volumeMounts", "VolumeMount"),
    ];
    if field == "ports" {
        let is_inside = |list: &str| names.contains(&list);
        let name = match () {
            () if is_inside("containers") => "ContainerPort",
            () if is_inside("ingress") || is_inside("egress") => "NetworkPolicyPort",
            () => "ServicePort",
        };
        return name.to_owned();
    }
    let known = TYPES.iter().find(|(known, _)| *known == field).map(|(_, name)| (*name).to_owned());
    known.unwrap_or_else(|| {
        let mut letters = field.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(text: &str) -> Vec<String> {
        let (mut documents, mut failures) = (Vec::new(), Vec::new());
        read("a.yaml", text, &("default".to_owned(), false), &mut documents, &mut failures);
        failures.into_iter().map(|failure| glassnet_userland::stop::Stop::from(failure).stderr).collect()
    }

    #[test]
    fn streams_are_split_at_lines_of_dashes() {
        assert_eq!(split("---\na: 1\n--- # x\nb: 2\n---\n# nothing\n"), ["---\na: 1", "b: 2"]);
    }

    #[test]
    fn what_is_no_object_is_told() {
        assert_eq!(
            failures("apiVersion: v1\nkind: Foo\nmetadata:\n  name: x\n"),
            [
                "error: resource mapping not found for name: \"x\" namespace: \"\" from \"a.yaml\": no matches for kind \"Foo\" in version \
              \"v1\"\nensure CRDs are installed first\n"
            ]
        );
        assert_eq!(
            failures("metadata: {}\n"),
            [
                "error: error validating \"a.yaml\": error validating data: [apiVersion not set, kind not set]; if you choose to ignore \
              these errors, turn validation off with --validate=false\n"
            ]
        );
        assert_eq!(
            failures("apiVersion: apps/v1\nkind: StatefulSet\n"),
            ["not modelled yet: kubectl with kind StatefulSet of apps/v1\n"]
        );
        assert_eq!(
            failures("a: b: c\n"),
            [
                "error: error parsing a.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context\n"
            ]
        );
        let broken = "apiVersion: v1\nkind: Service\n  name: x\n";
        assert_eq!(
            failures(broken),
            [
                "error: error parsing a.yaml: error converting YAML to JSON: yaml: line 3: mapping values are not allowed in this context\n"
            ]
        );
    }

    #[test]
    fn errors_of_yaml_name_go_s_line() {
        let error = |text: &str| match failures(text).as_slice() {
            [only] => only.split("JSON: yaml: ").nth(1).unwrap_or_default().trim_end().to_owned(),
            other => panic!("{other:?}"),
        };
        // The mapping is the document.
        assert_eq!(error("a: 1\nb:\n  c: x\n d: y\n"), "line 3: did not find expected key");
        // It began in the third line.
        assert_eq!(error("a: 1\nb:\n  c:\n    d: x\n   e: y\n"), "line 2: did not find expected key");
        assert_eq!(error("a: 1\nb: \"x\n"), "line 2: found unexpected end of stream");
        assert_eq!(error("a:\n\tb: x\n"), "line 2: found character that cannot start any token");
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_told_by_their_paths() {
        let pod =
            |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec});
        let error = |spec: Value| decode(Kind::Pod, &pod(spec)).unwrap_err().to_string();
        assert_eq!(
            error(json!({"foo": 1, "containers": [{"name": "a", "bar": 2}]})),
            "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.containers[0].bar\", unknown \
             field \"spec.foo\""
        );
        assert_eq!(
            error(json!({"containers": [{"name": "a", "ports": [{"containerPort": "http"}]}]})),
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field \
             ContainerPort.spec.containers.ports.containerPort of type int32"
        );
        assert_eq!(
            error(json!({"containers": [{"name": "a", "env": [{"name": "A", "value": 5}]}]})),
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field \
             EnvVar.spec.containers.env.value of type string"
        );
        assert!(
            decode(
                Kind::Pod,
                &pod(json!({"containers": [{"name": "a", "resources": {"limits": {"cpu": 1}}}]}))
            )
            .is_ok()
        );
    }
}
