//! `kubectl create`, from files and by its generators.

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::apply::{save_config, without_status};
use super::failure::{Done, Failure};
use super::manifest::Document;
use super::report::Report;
use super::session::{DryRun, Session};
use crate::admission::key as key_error;
use crate::object::Kind;

/// Runs `kubectl create -f`.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    let words = &session.given.words;
    if session.given.all("filename").is_empty() {
        if words.is_empty() {
            return Err(Failure::own("must specify one of -f and -k"));
        }
        if [
            "clusterrole",
            "clusterrolebinding",
            "cronjob",
            "job",
            "pdb",
            "poddisruptionbudget",
            "priorityclass",
            "quota",
            "role",
            "rolebinding",
            "secret",
            "serviceaccount",
            "sa",
            "token",
        ]
        .contains(&words[0].as_str())
        {
            return Err(Failure::unmodelled(&format!("create {}", words[0])));
        }
    }
    if !words.is_empty() {
        return Err(Failure::usage("create", format!("Unexpected args: [{}]", words.join(" "))));
    }
    let (documents, mut failures) = session.manifests().await?;
    if documents.is_empty() && failures.is_empty() {
        return Err(Failure::own("no objects passed to create"));
    }
    let mut report = Report::new(session, false)?;
    for document in documents {
        let document = if session.given.is("save-config") { save_config(&document) } else { document };
        if let Err(failure) = make(session, &mut report, &document) {
            failures.push(failure);
        }
    }
    report.end(session)?;
    Failure::all(failures)
}

fn make(session: &mut Session, report: &mut Report, document: &Document) -> Done {
    let made = match report.dry_run() {
        DryRun::Client => document.value.clone(),
        how => {
            let made =
                without_status(document.kind, &document.value).and_then(|object| session.create(object, how));
            made.map_err(|error| Failure::about(error, "creating", &document.source))?.to_json()
        }
    };
    report.done(session, document.kind, &made, "created");
    Ok(())
}

/// Makes an object that a generator describes.
pub(super) fn generated(session: &mut Session, kind: Kind, mut value: Value, verb: &str) -> Done {
    let mut report = Report::new(session, false)?;
    let shows_only = report.dry_run() == DryRun::Client;
    if kind.is_namespaced() && (!shows_only || session.given.text("namespace").is_some()) {
        value["metadata"]["namespace"] = json!(session.namespace());
    }
    let made = match report.dry_run() {
        DryRun::Client => value,
        how => {
            let made = without_status(kind, &value).and_then(|object| session.create(object, how));
            made.map_err(|error| match generator_prefix(session, kind) {
                prefix if prefix.is_empty() => error.into(),
                prefix => Failure::Own(format!("{prefix}{error}")),
            })?
            .to_json()
        }
    };
    report.done(session, kind, &made, verb);
    report.end(session)
}

/// What generators of `create` say before an error of the server.
fn generator_prefix(session: &Session, kind: Kind) -> String {
    match (session.given.command, kind) {
        (command, Kind::Service) if command.starts_with("create service") => {
            let kind = command.rsplit(' ').next().unwrap_or_default();
            let name = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
            let name = name.iter().find(|name| name.eq_ignore_ascii_case(kind)).unwrap_or(&"");
            format!("failed to create {name} service: ")
        }
        ("create deployment", _) => "failed to create deployment: ".to_owned(),
        (command, _) if command.starts_with("create secret") => "failed to create secret ".to_owned(),
        ("create ingress" | "create ing", _) => "failed to create ingress: ".to_owned(),
        ("create configmap", _) => "failed to create configmap: ".to_owned(),
        _ => String::new(),
    }
}

/// The one name that a generator gets.
pub(super) fn name(session: &Session) -> Done<String> {
    match session.given.words.as_slice() {
        [name] => Ok(name.clone()),
        words => Err(Failure::usage(
            session.given.command,
            format!("exactly one NAME is required, got {}", words.len()),
        )),
    }
}

/// Runs `kubectl create namespace`.
pub(super) fn namespace(session: &mut Session) -> Done {
    let name = name(session)?;
    let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}, "status": {}});
    generated(session, Kind::Namespace, value, "created")
}

/// The name of a container of this image.
fn container_name(session: &Session, image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split([':', '@']).next().unwrap_or_default();
    match name.contains(['_', '.']) {
        true => format!("{}-{}", name.replace(['_', '.'], "-"), session.api.store().suffix()),
        false => name.to_owned(),
    }
}

/// Runs `kubectl create deployment`.
pub(super) fn deployment(session: &mut Session) -> Done {
    let name = name(session)?;
    let images = session.given.list("image");
    if images.is_empty() {
        return Err(Failure::own("required flag(s) \"image\" not set"));
    }
    let command = session.given.rest.clone().unwrap_or_default();
    if images.len() > 1 && !command.is_empty() {
        return Err(Failure::own("cannot specify multiple --image options and command"));
    }
    let mut containers = Vec::new();
    for image in &images {
        let mut container = json!({"name": container_name(session, image), "image": image, "resources": {}});
        if !command.is_empty() {
            container["command"] = json!(command);
        }
        containers.push(container);
    }
    if let Some(port) = session.given.number("port").filter(|port| *port >= 0) {
        containers[0]["ports"] = json!([{"containerPort": port}]);
    }
    let labels = json!({"app": name});
    let value = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": session.given.number("replicas").unwrap_or(1),
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    });
    generated(session, Kind::Deployment, value, "created")
}

/// A port of `--tcp`: `80` or `80:8080`.
fn tcp_port(text: &str) -> Done<Value> {
    let (port, target) = text.split_once(':').map_or((text, None), |(port, target)| (port, Some(target)));
    let range = "must be between 1 and 65535, inclusive";
    let number: u16 = port.parse().map_err(|_| match port.parse::<i64>() {
        Ok(_) => Failure::own(format!("strconv.ParseUint: parsing {port:?}: value out of range")),
        Err(_) => Failure::own(format!("strconv.ParseUint: parsing {port:?}: invalid syntax")),
    })?;
    let target = match target {
        None => json!(number),
        Some(target) => match target.parse::<i64>() {
            Ok(number) if (1..=65535).contains(&number) => json!(number),
            Ok(_) => return Err(Failure::own(range)),
            Err(_) => json!(target),
        },
    };
    let name = text.replace(':', "-");
    Ok(json!({"name": name, "port": number, "protocol": "TCP", "targetPort": target}))
}

/// Runs `kubectl create service TYPE`.
pub(super) fn service(session: &mut Session, kind: &str) -> Done {
    let name = name(session)?;
    let given = &session.given;
    let mut ports = given.list("tcp").iter().map(|text| tcp_port(text)).collect::<Done<Vec<Value>>>()?;
    let address = given.text("clusterip").map(str::to_owned);
    if address.as_deref() != Some("None") && ports.is_empty() && kind != "ExternalName" {
        return Err(Failure::own("at least one tcp port specifier must be provided"));
    }
    if let (Some(port), true) = (given.number("node-port"), kind == "NodePort") {
        ports.iter_mut().for_each(|known| known["nodePort"] = json!(port));
    }
    let mut spec = json!({"selector": {"app": name}, "type": kind});
    if !ports.is_empty() {
        spec["ports"] = json!(ports);
    }
    if let Some(address) = address {
        spec["clusterIP"] = json!(address);
    }
    if kind == "ExternalName" {
        let Some(target) = given.text("external-name") else {
            return Err(Failure::own("required flag(s) \"external-name\" not set"));
        };
        spec["externalName"] = json!(target);
    }
    let value = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
        "status": {"loadBalancer": {}},
    });
    generated(session, Kind::Service, value, "created")
}

/// The pairs of `--from-file` and `--from-literal`, for an object of this kind.
async fn sources(session: &mut Session<'_>, kind: Kind) -> Done<Vec<(String, Vec<u8>)>> {
    let (name, what) = (name(session)?, kind.name());
    let mut data: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |key: &str, value: Vec<u8>| {
        if let Some(why) = key_error(key) {
            return Err(Failure::own(format!("{key:?} is not a valid key name for a {what}: {why}")));
        }
        if data.iter().any(|(known, _)| known == key) {
            let known = format!("another key by that name already exists in Data for {what} {name:?}");
            return Err(Failure::own(format!("cannot add key {key:?}, {known}")));
        }
        data.push((key.to_owned(), value));
        Ok(())
    };
    for file in session.given.list("from-file") {
        let (key, path) = match file.split_once('=') {
            Some((key, path)) => (Some(key.to_owned()), path.to_owned()),
            None => (None, file.clone()),
        };
        let deep = session.process.path(&path);
        if let (None, Ok(mut entries)) = (&key, session.process.files.clone().list(&deep).await) {
            entries.sort();
            // Only those that can be keys, as the real one does.
            let is_file = |(name, is_dir): &(String, bool)| !is_dir && key_error(name).is_none();
            for (name, _) in entries.into_iter().filter(is_file) {
                add(&name, read(session, &format!("{}/{name}", path.trim_end_matches('/'))).await?)?;
            }
            continue;
        }
        let key = key.unwrap_or_else(|| path.rsplit('/').next().unwrap_or_default().to_owned());
        add(&key, read(session, &path).await?)?;
    }
    for literal in session.given.all("from-literal") {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::own(format!("invalid literal source {literal}, expected key=value")));
        };
        // As a shell would, it takes quotes off.
        let quoted =
            value.len() > 1 && ['"', '\''].iter().any(|q| value.starts_with(*q) && value.ends_with(*q));
        let value = if quoted { &value[1..value.len() - 1] } else { value };
        add(key, value.as_bytes().to_vec())?;
    }
    data.sort();
    Ok(data)
}

async fn read(session: &mut Session<'_>, path: &str) -> Done<Vec<u8>> {
    session.process.read_operand(path).await.map_err(|error| {
        let why = glassnet_userland::process::strerror(&error).to_lowercase();
        Failure::own(format!("error reading {path}: {why}"))
    })
}

/// Runs `kubectl create configmap`.
pub(super) async fn configmap(session: &mut Session<'_>) -> Done {
    let name = name(session)?;
    let (mut data, mut bytes) = (Map::new(), Map::new());
    for (key, value) in sources(session, Kind::ConfigMap).await? {
        match String::from_utf8(value) {
            Ok(text) => _ = data.insert(key, json!(text)),
            Err(error) => _ = bytes.insert(key, json!(BASE64.encode(error.as_bytes()))),
        }
    }
    let mut value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    for (field, data) in [("data", data), ("binaryData", bytes)] {
        if !data.is_empty() {
            value[field] = Value::Object(data);
        }
    }
    generated(session, Kind::ConfigMap, value, "created")
}

fn secret_of(name: &str, kind: &str, data: Vec<(String, Vec<u8>)>) -> Value {
    let mut value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    if !kind.is_empty() {
        value["type"] = json!(kind);
    }
    for (key, bytes) in data {
        value["data"][key] = json!(BASE64.encode(&bytes));
    }
    value
}

/// Runs `kubectl create secret generic`.
pub(super) async fn secret(session: &mut Session<'_>) -> Done {
    let name = name(session)?;
    let data = sources(session, Kind::Secret).await?;
    let kind = session.given.text("type").unwrap_or_default().to_owned();
    generated(session, Kind::Secret, secret_of(&name, &kind, data), "created")
}

/// Runs `kubectl create secret tls`.
pub(super) async fn tls(session: &mut Session<'_>) -> Done {
    let name = name(session)?;
    let mut data = Vec::new();
    for (flag, key) in [("cert", "tls.crt"), ("key", "tls.key")] {
        let Some(path) = session.given.text(flag).map(str::to_owned) else {
            return Err(Failure::own("key and cert must be specified"));
        };
        data.push((key.to_owned(), read(session, &path).await?));
    }
    generated(session, Kind::Secret, secret_of(&name, "kubernetes.io/tls", data), "created")
}
