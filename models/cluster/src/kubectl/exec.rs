//! `kubectl exec` and `kubectl logs`.

use std::sync::{Arc, Mutex};

use glassnet_kernel::kernel::INIT_NET;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use super::failure::{Done, Failure};
use super::pod_status;
use super::resources::asked;
use super::session::Session;
use crate::api::Exec;
use crate::controllers::selects;
use crate::object::{Kept, Key, Kind, Object};
use crate::store::Store;

/// Runs `kubectl exec`.
pub(super) async fn run(session: &mut Session<'_>) -> Done {
    let (words, rest) = (session.given.words.clone(), session.given.rest.clone());
    let Some((target, behind)) = words.split_first() else {
        return Err(Failure::own("pod, type/name or --filename must be specified"));
    };
    let command = match rest {
        Some(command) if behind.is_empty() && !command.is_empty() => command,
        None if !behind.is_empty() => {
            let why = "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead";
            return Err(Failure::usage("exec", why));
        }
        _ => return Err(Failure::own("you must specify at least one command for the container")),
    };
    let pod = pod_of(session, target).await?;
    let container = container(session, &pod)?;
    let status = status(session, &pod, &container, command).await?;
    match status {
        0 => Ok(()),
        status => Err(Failure::Said(format!("command terminated with exit code {status}\n"), status)),
    }
}

/// Has the pod's kubelet run a command; its exit status.
async fn status(session: &mut Session<'_>, pod: &Pod, container: &str, command: Vec<String>) -> Done<i32> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else {
        return Err(Failure::Said(
            format!("Error from server (BadRequest): pod {name} does not have a host assigned\n"),
            1,
        ));
    };
    let shown = pod.status.clone().unwrap_or_default();
    let phase = shown.phase.unwrap_or_else(|| "Pending".to_owned());
    if ["Succeeded", "Failed"].contains(&phase.as_str()) {
        return Err(Failure::own(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let known = shown.container_statuses.iter().chain(&shown.init_container_statuses).flatten();
    let runs = |known: &ContainerStatus| {
        known.name == container && known.state.as_ref().is_some_and(|state| state.running.is_some())
    };
    if !known.into_iter().any(runs) {
        return Err(Failure::own(format!(
            "Internal error occurred: unable to upgrade connection: container not found ({container:?})"
        )));
    }
    session.process.flush().await;
    let mut child = session.process.child(INIT_NET, command);
    if !session.given.is("stdin") {
        child.stdin = Arc::new(glassnet_userland::process::Nowhere);
    }
    let ended = Arc::new(Mutex::new(None));
    let (pod, container) = (Object::from(pod.clone()).key(), container.to_owned());
    let exec = Exec { pod, container, child, ended: ended.clone() };
    session.api.exec(session.process, &node, exec);
    let status = move |_: &Store| *ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(session.until(None, status).await.unwrap_or(1))
}

/// The container that `-c` names is one of the pod's.
fn container(session: &mut Session, pod: &Pod) -> Done<String> {
    let spec = pod.spec.clone().unwrap_or_default();
    let name_of = |container: &Container| container.name.clone();
    let names: Vec<String> = spec.containers.iter().map(name_of).collect();
    let init: Vec<String> = spec.init_containers.iter().flatten().map(name_of).collect();
    let all = names.iter().cloned().chain(init.iter().map(|name| format!("{name} (init)")));
    let all = all.collect::<Vec<_>>().join(", ");
    let name = pod.metadata.name.clone().unwrap_or_default();
    match session.given.text("container").map(str::to_owned) {
        Some(wanted) if names.contains(&wanted) || init.contains(&wanted) => Ok(wanted),
        Some(wanted) if session.given.command == "exec" => {
            Err(Failure::own(format!("container {wanted} is not valid for pod {name} out of: {all}")))
        }
        Some(wanted) => Err(Failure::Said(
            format!("Error from server (BadRequest): container {wanted} is not valid for pod {name}\n"),
            1,
        )),
        None => {
            let noted = pod.metadata.annotations.as_ref();
            let noted = noted.and_then(|notes| notes.get("kubectl.kubernetes.io/default-container"));
            if let Some(noted) = noted.filter(|noted| names.contains(noted)) {
                return Ok(noted.clone());
            }
            let first = names.first().cloned().unwrap_or_default();
            if names.len() + init.len() > 1 && !session.given.is("quiet") {
                session.complain(format!("Defaulted container {first:?} out of: {all}"));
            }
            Ok(first)
        }
    }
}

/// A pod that a word names: by its name, or as one of a Deployment's or a service's.
async fn pod_of(session: &mut Session<'_>, word: &str) -> Done<Pod> {
    let namespace = session.namespace();
    let Some((kind, _)) = word.split_once('/') else {
        return typed::<Pod>(session, &Key::new(Kind::Pod, &namespace, word));
    };
    let target = asked(&[word.to_owned()])?.remove(0);
    let (kind_of, name) = (target.resource.kind()?, target.name.unwrap_or_default());
    let key = Key::new(kind_of, &namespace, &name);
    if kind_of == Kind::Pod {
        return typed::<Pod>(session, &key);
    }
    let object = session.object(&key)?;
    let mut pods = pods_of(&session.api.store(), &object).ok_or_else(|| {
        Failure::own(format!(
            "cannot attach to {kind}/{name}: selector for *{} not implemented",
            kind_of.name()
        ))
    })?;
    let is_ready =
        |pod: &Pod| pod_status::condition(pod, "Ready").is_some_and(|state| state.status == "True");
    pods.sort_by_key(|pod| !is_ready(pod));
    match pods.is_empty() {
        true => Err(Failure::own("timed out waiting for the condition")),
        false => Ok(pods.remove(0)),
    }
}

fn typed<T: Kept + Clone>(session: &Session, key: &Key) -> Done<T> {
    let object = session.object(key)?;
    T::of(&object).cloned().ok_or_else(|| crate::error::ApiError::NotFound(key.clone()).into())
}

/// The pods that an object selects; `None` if it is of a kind that selects none.
pub(super) fn pods_of(store: &Store, object: &Object) -> Option<Vec<Pod>> {
    let selector = match object {
        Object::Service(service) => service.spec.as_ref()?.selector.clone()?,
        Object::Deployment(deployment) => deployment.spec.as_ref()?.selector.match_labels.clone()?,
        Object::ReplicaSet(set) => set.spec.as_ref()?.selector.match_labels.clone()?,
        Object::DaemonSet(set) => set.spec.as_ref()?.selector.match_labels.clone()?,
        _ => return None,
    };
    let namespace = &object.metadata().namespace;
    let is_selected =
        |pod: &&Pod| pod.metadata.namespace == *namespace && selects(&selector, pod.metadata.labels.as_ref());
    Some(store.list::<Pod>().filter(is_selected).cloned().collect())
}

/// Runs `kubectl logs`.
pub(super) async fn logs(session: &mut Session<'_>) -> Done {
    let words = session.given.words.clone();
    let pods = match (words.as_slice(), session.given.text("selector").is_some()) {
        ([], true) => {
            let (found, _) = session.chosen(&["pods".to_owned()])?;
            if found.is_empty() {
                let namespace = session.namespace();
                session.complain(format!("No resources found in {namespace} namespace."));
                return Ok(());
            }
            found.iter().filter_map(|object| Pod::of(object).cloned()).collect()
        }
        ([target] | [target, _], false) => vec![pod_of(session, target).await?],
        ([], false) => {
            return Err(Failure::usage(
                "logs",
                "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs \
                 command",
            ));
        }
        (_, true) => return Err(Failure::usage("logs", "only a selector (-l) or a POD name is allowed")),
        _ => {
            return Err(Failure::usage("logs", "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'"));
        }
    };
    let by_selector = words.is_empty();
    for pod in &pods {
        let container = container(session, pod)?;
        let (key, previous) = (Object::from(pod.clone()).key(), session.given.is("previous"));
        if session.api.logged(&key, &container, usize::from(previous)).is_none() {
            return Err(no_log(pod, &container, previous));
        }
        let tail = session.given.number("tail").filter(|tail| *tail >= 0);
        let tail = tail.or(by_selector.then_some(10)).map(|tail| tail as usize);
        let (of, uid) = (key.clone(), pod.metadata.uid.clone());
        let follows = session.given.is("follow") && !previous;
        let is_over = move |store: &Store| !follows || has_ended(store, &of, uid.as_ref());
        follow(session, (&key, &container, usize::from(previous)), tail, is_over).await;
    }
    Ok(())
}

/// Why a container has printed nothing.
fn no_log(pod: &Pod, container: &str, previous: bool) -> Failure {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let mut known = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let known = known.find(|known| known.name == container);
    let why = match previous {
        true => format!("previous terminated container {container:?} in pod {name:?} not found"),
        false => {
            let state = known.and_then(|known| known.state.as_ref()?.waiting.as_ref()?.reason.clone());
            let why = match state.as_deref() {
                Some("ErrImagePull" | "ImagePullBackOff") => "trying and failing to pull image".to_owned(),
                Some(reason) => reason.to_owned(),
                None => "ContainerCreating".to_owned(),
            };
            format!("container {container:?} in pod {name:?} is waiting to start: {why}")
        }
    };
    Failure::Said(format!("Error from server (BadRequest): {why}\n"), 1)
}

/// Prints what a container printed, and what it goes on to print until it is over.
pub(super) async fn follow(
    session: &mut Session<'_>,
    (key, container, ago): (&Key, &str, usize),
    tail: Option<usize>,
    is_over: impl Fn(&Store) -> bool + Send + Sync,
) {
    let mut bytes = session.api.logged(key, container, ago).unwrap_or_default();
    let mut written = bytes.len();
    if let Some(tail) = tail {
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        bytes = lines[lines.len().saturating_sub(tail)..].concat();
    }
    session.process.print(bytes);
    loop {
        let (api, from, over) = (session.api.clone(), written, &is_over);
        let news = session.until(None, move |store: &Store| {
            let logged = api.logged(key, container, ago).unwrap_or_default();
            let is_over = over(store);
            (logged.len() > from || is_over).then(|| (logged[from.min(logged.len())..].to_vec(), is_over))
        });
        let Some((more, is_over)) = news.await else { return };
        written += more.len();
        session.process.print(more);
        if is_over {
            return;
        }
    }
}

/// A pod's programs do not run any more.
fn has_ended(store: &Store, key: &Key, uid: Option<&String>) -> bool {
    store.object(key).is_none_or(|object| object.metadata().uid.as_ref() != uid || is_over(object))
}

fn is_over(object: &Object) -> bool {
    let phase = Pod::of(object).and_then(|pod| pod.status.as_ref()?.phase.clone());
    matches!(phase.as_deref(), Some("Succeeded" | "Failed"))
}
