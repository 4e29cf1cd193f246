//! `kubectl cordon`, `uncordon` and `drain`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::failure::{Done, Failure};
use super::report::Report;
use super::session::{DryRun, Session};
use crate::object::{Key, Kind, Object};
use crate::store::Store;

/// The nodes that are named.
fn nodes(session: &Session) -> Done<(Vec<String>, Vec<Failure>)> {
    let given = &session.given;
    if given.words.is_empty() && given.text("selector").is_none() {
        return Err(Failure::usage(given.command, format!("USAGE: {} NODE [flags]", given.command)));
    }
    let words = ["nodes".to_owned()].into_iter().chain(given.words.iter().cloned()).collect::<Vec<_>>();
    let (found, failures) = session.chosen(&words)?;
    Ok((found.iter().map(|node| node.key().name).collect(), failures))
}

/// Runs `kubectl cordon` and `kubectl uncordon`.
pub(super) fn cordon(session: &mut Session, wanted: bool) -> Done {
    let (nodes, failures) = nodes(session)?;
    Failure::all(failures)?;
    nodes.iter().try_for_each(|node| mark(session, node, wanted))
}

fn mark(session: &mut Session, name: &str, wanted: bool) -> Done {
    let object = session.object(&Key::new(Kind::Node, "", name))?;
    let Object::Node(node) = &*object else { return Ok(()) };
    let is = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let mut report = Report::new(session, false)?;
    let verb = match (wanted, is == wanted) {
        (true, false) => "cordoned",
        (true, true) => "already cordoned",
        (false, false) => "uncordoned",
        (false, true) => "already uncordoned",
    };
    session.modify(&mut report, &object, verb, |value| match wanted {
        true => value["spec"]["unschedulable"] = json!(true),
        false => {
            if let Some(spec) = value["spec"].as_object_mut() {
                spec.remove("unschedulable");
            }
        }
    })?;
    report.end(session)
}

/// What becomes of a pod.
enum Fate {
    Evicted,
    /// With a warning, and whether it is evicted.
    Warned(bool, &'static str),
    Refused(&'static str),
}

fn fate(session: &Session, pod: &Pod) -> Fate {
    let given = &session.given;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if ["Succeeded", "Failed"].contains(&phase) {
        return Fate::Evicted;
    }
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true));
    if controller.is_some_and(|owner| owner.kind == "DaemonSet") {
        return match given.is("ignore-daemonsets") {
            true => Fate::Warned(false, "ignoring DaemonSet-managed Pods"),
            false => Fate::Refused("DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"),
        };
    }
    let mut volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let is_local = volumes.any(|volume| volume.empty_dir.is_some());
    if is_local && !given.is("delete-emptydir-data") {
        return Fate::Refused("Pods with local storage (use --delete-emptydir-data to override)");
    }
    match (controller.is_some(), given.is("force")) {
        (true, _) if is_local => Fate::Warned(true, "deleting Pods with local storage"),
        (true, _) => Fate::Evicted,
        (false, true) => Fate::Warned(true, "deleting Pods that declare no controller"),
        (false, false) => Fate::Refused("Pods that declare no controller (use --force to override)"),
    }
}

/// Runs `kubectl drain`.
pub(super) async fn drain(session: &mut Session<'_>) -> Done {
    let (nodes, failures) = nodes(session)?;
    Failure::all(failures)?;
    nodes.iter().try_for_each(|node| mark(session, node, true))?;
    let (mut fatal, mut left) = (Vec::new(), Vec::new());
    for node in nodes {
        match empty(session, &node).await {
            Ok(()) => {
                let suffix = session.dry_run()?.suffix();
                session.say(format!("node/{node} drained{suffix}"));
            }
            Err(whys) => {
                let text = match whys.as_slice() {
                    [only] => only.clone(),
                    several => format!("[{}]", several.join(", ")),
                };
                session.complain(format!(
                    "error: unable to drain node {node:?} due to error: {text}, continuing command..."
                ));
                fatal.extend(whys.into_iter().map(Failure::Own));
                left.push(node);
            }
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    session.complain("There are pending nodes to be drained:");
    left.iter().for_each(|node| session.complain(format!(" {node}")));
    Err(Failure::Several(fatal))
}

/// Evicts the pods of a node; an error is why it may not.
async fn empty(session: &mut Session<'_>, node: &str) -> Result<(), Vec<String>> {
    let is_here = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(node));
    let pods: Vec<Pod> = session.api.store().list::<Pod>().filter(is_here).cloned().collect();
    let (mut evicted, mut warned, mut refused) =
        (Vec::new(), BTreeMap::<_, Vec<String>>::new(), BTreeMap::<_, Vec<String>>::new());
    for pod in &pods {
        let key = Object::from(pod.clone()).key();
        match fate(session, pod) {
            Fate::Evicted => evicted.push(key),
            Fate::Refused(why) => refused.entry(why).or_default().push(key.to_string()),
            Fate::Warned(goes, why) => {
                warned.entry(why).or_default().push(key.to_string());
                evicted.extend(goes.then_some(key));
            }
        }
    }
    if !refused.is_empty() {
        return Err(refused
            .iter()
            .map(|(why, pods)| format!("cannot delete {why}: {}", pods.join(", ")))
            .collect());
    }
    if !warned.is_empty() {
        let all: Vec<String> =
            warned.iter().map(|(why, pods)| format!("{why}: {}", pods.join(", "))).collect();
        session.complain(format!("Warning: {}", all.join("; ")));
    }
    let how = session.dry_run().map_err(|_| Vec::new())?;
    let grace = session.given.number("grace-period").filter(|grace| *grace >= 0);
    for key in &evicted {
        session.say(format!("evicting pod {key}{}", how.suffix()));
        if how == DryRun::None {
            // It was there a moment ago.
            let _ = session.api.change(session.process, |store, now| store.delete(key, grace, now));
        }
    }
    if how != DryRun::None {
        return Ok(());
    }
    let deadline = session.deadline("0s").map_err(|_| Vec::new())?;
    while !evicted.is_empty() {
        let gone = |store: &Store| evicted.iter().position(|key| store.object(key).is_none());
        let Some(at) = session.until(deadline, gone).await else {
            return Err(evicted
                .iter()
                .map(|key| format!("error when waiting for pod {:?} in namespace {:?} to terminate: global timeout reached", key.name, key.namespace))
                .collect());
        };
        let key = evicted.remove(at);
        session.say(format!("pod/{} evicted", key.name));
    }
    Ok(())
}
