//! `kubectl run`: one pod, and with `-i`, `-t` or `--attach` what it prints until it ends.
//!
//! Not modelled: a standard input for the pod. Its program reads nothing.

use serde_json::{Map, Value, json};

use super::apply::without_status;
use super::create::generated;
use super::exec::follow;
use super::failure::{Done, Failure};
use super::session::{DryRun, Session};
use crate::object::{Key, Kind, Object};
use crate::store::Store;

/// Runs the command.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    let given = &session.given;
    let attaches = ["attach", "stdin", "tty"].iter().any(|flag| given.is(flag));
    let Some(name) = given.words.first().cloned() else {
        return Err(Failure::own("NAME is required for run"));
    };
    if given.text("image").unwrap_or_default().is_empty() {
        return Err(Failure::own("--image is required"));
    }
    if given.is("tty") && !given.is("stdin") {
        return Err(Failure::own("-i/--stdin is required for containers with -t/--tty=true"));
    }
    if given.is("expose") && given.text("port").is_none() {
        return Err(Failure::own("--port must be set when exposing a service"));
    }
    if given.is("rm") && !attaches {
        return Err(Failure::own("--rm should only be used for attached containers"));
    }
    let how = session.dry_run()?;
    if attaches && how != DryRun::None {
        return Err(Failure::own(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        ));
    }
    let policy = given.text("restart").unwrap_or("Always").to_owned();
    if !["Always", "OnFailure", "Never"].contains(&policy.as_str()) {
        return Err(Failure::own(format!(
            "invalid restart policy: {policy}, valid values are: Always, OnFailure, Never"
        )));
    }
    let value = pod(session, &name, &policy)?;
    let service = given_service(session, &name, &value)?;
    if !attaches {
        if let Some(service) = service {
            generated(session, Kind::Service, service, "created")?;
        }
        return generated(session, Kind::Pod, value, "created");
    }
    attach(session, value, &policy).await
}

fn labels(session: &Session, name: &str) -> Done<Value> {
    let Some(text) = session.given.text("labels") else { return Ok(json!({"run": name})) };
    let mut all = Map::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, value) =
            part.split_once('=').ok_or_else(|| Failure::own(format!("unexpected label spec: {part}")))?;
        all.insert(key.to_owned(), json!(value));
    }
    Ok(Value::Object(all))
}

fn pod(session: &Session, name: &str, policy: &str) -> Done<Value> {
    let given = &session.given;
    let mut container = json!({"name": name, "image": given.text("image"), "resources": {}});
    let mut args: Vec<String> = given.words.get(1..).unwrap_or_default().to_vec();
    args.extend(given.rest.clone().unwrap_or_default());
    if !args.is_empty() {
        container[if given.is("command") { "command" } else { "args" }] = json!(args);
    }
    if let Some(port) = given.text("port") {
        let number: i32 = port.parse().map_err(|_| Failure::own("--port must be a number"))?;
        container["ports"] = json!([{"containerPort": number}]);
    }
    if let Some(policy) = given.text("image-pull-policy") {
        container["imagePullPolicy"] = json!(policy);
    }
    let mut env = Vec::new();
    for variable in given.all("env") {
        let (key, value) =
            variable.split_once('=').ok_or_else(|| Failure::own(format!("invalid env: {variable}")))?;
        env.push(json!({"name": key, "value": value}));
    }
    if !env.is_empty() {
        container["env"] = json!(env);
    }
    for (flag, field) in [("stdin", "stdin"), ("tty", "tty")] {
        if given.is(flag) {
            container[field] = json!(true);
        }
    }
    if given.is("stdin") {
        container["stdinOnce"] = json!(true);
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels(session, name)?},
        "spec": {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": policy},
        "status": {},
    }))
}

/// The service that `--expose` asks for.
fn given_service(session: &Session, name: &str, pod: &Value) -> Done<Option<Value>> {
    if !session.given.is("expose") {
        return Ok(None);
    }
    let port = &pod["spec"]["containers"][0]["ports"][0]["containerPort"];
    Ok(Some(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "ports": [{"port": port, "protocol": "TCP", "targetPort": port}],
            "selector": pod["metadata"]["labels"],
        },
        "status": {"loadBalancer": {}},
    })))
}

/// How a pod's first run ended: its exit status.
fn ended(store: &Store, key: &Key) -> Option<i32> {
    let Some(Object::Pod(pod)) = store.object(key).map(|object| &**object) else { return Some(1) };
    let status = pod.status.as_ref()?;
    let container = status.container_statuses.as_ref()?.first()?;
    let states = [container.last_state.as_ref(), container.state.as_ref()];
    states.into_iter().flatten().find_map(|state| Some(state.terminated.as_ref()?.exit_code))
}

/// It runs, has run, or never will.
fn started(store: &Store, key: &Key) -> Option<()> {
    let Some(Object::Pod(pod)) = store.object(key).map(|object| &**object) else { return Some(()) };
    let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    let runs = container.state.as_ref().is_some_and(|state| state.running.is_some());
    (runs || ended(store, key).is_some()).then_some(())
}

async fn attach(session: &mut Session<'_>, mut value: Value, policy: &str) -> Done {
    value["metadata"]["namespace"] = json!(session.namespace());
    let object = session.create(without_status(Kind::Pod, &value)?, DryRun::None)?;
    let (key, quiet) = (object.key(), session.given.is("quiet"));
    let deadline = session.deadline("1m")?;
    if session.until(deadline, |store| started(store, &key)).await.is_none() {
        remove(session, &key).await?;
        return Err(Failure::own("timed out waiting for the condition"));
    }
    if session.given.is("stdin") && !quiet {
        session.complain(
            "All commands and output from this session will be recorded in container logs, including credentials and sensitive \
             information passed through the command prompt.",
        );
        session.complain("If you don't see a command prompt, try pressing enter.");
    }
    let name = key.name.clone();
    let of = key.clone();
    follow(session, (&key, &name, 0), None, move |store| ended(store, &of).is_some()).await;
    let status = ended(&session.api.store(), &key).unwrap_or(1);
    remove(session, &key).await?;
    match (policy, status) {
        ("Always", _) | (_, 0) => Ok(()),
        (_, status) => {
            let place = format!("{}/{}", key.namespace, key.name);
            Err(Failure::Said(format!("pod {place} terminated (Error)\n\n"), status))
        }
    }
}

/// Deletes the pod if `--rm` asks for it.
async fn remove(session: &mut Session<'_>, key: &Key) -> Done {
    if !session.given.is("rm") {
        return Ok(());
    }
    session.api.change(session.process, |store, now| store.delete(key, Some(1), now))?;
    session.say(format!("pod {:?} deleted from {} namespace", key.name, key.namespace));
    let is_gone = |store: &Store| store.object(key).is_none().then_some(());
    let _ = session.until(None, is_gone).await;
    Ok(())
}
