//! `kubectl`.
//!
//! Each command is a client of the API server: it reads objects from the store and writes them back. Requests take no time, and configuration files are not read: each machine of a cluster reaches its
//! server, as user `kubernetes-admin`.
//!
//! | file | owns |
//! |---|---|
//! | `commands.rs` | the commands and their flags |
//! | `flags.rs` | the command line |
//! | `session.rs` | a running `kubectl` |
//! | `failure.rs` | its errors |
//! | `resources.rs` | what words name |
//! | `labels.rs`, `selector.rs` | selectors of labels and fields |
//! | `manifest.rs` | files of objects |
//! | `merge.rs` | merges of manifests |
//! | `apply.rs`, `create.rs`, `delete.rs` | `apply`, `create`, `delete` and `replace` |
//! | `report.rs` | what is said of an object that was changed |
//! | `get.rs` | `get` |
//! | `printers.rs`, `pod_status.rs`, `endpoints.rs` | its tables |
//! | `format.rs`, `output.rs`, `jsonpath.rs`, `tabwriter.rs` | forms of output |
//! | `exec.rs`, `run.rs` | `exec`, `logs` and `run` |
//! | `expose.rs`, `scale.rs`, `label.rs`, `patch.rs` | `expose`, `scale`, `set`, `label`, `annotate` and `patch` |
//! | `rollout.rs`, `wait.rs`, `drain.rs`, `taint.rs` | `rollout`, `wait`, `cordon`, `uncordon`, `drain` and `taint` |
//! | `ingress.rs` | `create ingress` |
//! | `describe.rs`, `describe_pod.rs`, `describe_ingress.rs`, `describe_network_policy.rs` | `describe` |
//! | `info.rs` | `version`, `cluster-info`, `api-resources` and `config` |

mod apply;
mod commands;
mod create;
mod delete;
mod describe;
mod describe_ingress;
mod describe_network_policy;
mod describe_pod;
mod drain;
mod endpoints;
mod exec;
mod expose;
mod failure;
mod flags;
mod format;
mod get;
mod info;
mod ingress;
mod jsonpath;
mod label;
mod labels;
mod manifest;
mod merge;
mod output;
mod patch;
mod pod_status;
mod printers;
mod report;
mod resources;
mod rollout;
mod run;
mod scale;
mod selector;
mod session;
mod tabwriter;
mod taint;
#[cfg(test)]
mod tests;
mod wait;

use glassnet_userland::process::{Process, Running};
use glassnet_userland::stop::Stop;

use crate::api::ApiServer;
use failure::{Done, Failure};
use flags::Given;
use session::Session;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match start(process).await {
            Ok(()) => 0,
            Err(failure) => Stop::from(failure).say(process),
        }
    })
}

async fn start(process: &mut Process) -> Done {
    let given = command(process.args())?;
    for flag in ["context", "kubeconfig", "cluster", "user"] {
        let own = match flag {
            "context" => "kubernetes-admin@kubernetes",
            "cluster" => "kubernetes",
            "user" => "kubernetes-admin",
            _ => "/etc/kubernetes/admin.conf",
        };
        if let Some(other) = given.text(flag).filter(|text| *text != own) {
            return Err(match flag {
                "context" => Failure::own(format!("context {other:?} does not exist")),
                _ => Failure::unmodelled(&format!("--{flag} {other}")),
            });
        }
    }
    let Some(api) = ApiServer::of(process) else {
        let text = "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n";
        return Err(Failure::Said(text.to_owned(), 1));
    };
    let mut session = Session { process, api, given };
    dispatch(&mut session).await
}

/// What the command line asks for.
fn command(args: &[String]) -> Done<Given> {
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let asked = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    let is_asked = |row: &&&str| asked == **row || words.first() == Some(*row);
    match (flags::parse(commands::MODELLED, args), commands::REFUSED.iter().find(is_asked)) {
        (Err(_), Some(row)) => Err(Failure::unmodelled(row)),
        (given, _) => given,
    }
}

async fn dispatch(session: &mut Session<'_>) -> Done {
    match session.given.command {
        "annotate" => label::annotate(session),
        "api-resources" => info::resources(session),
        "apply" => apply::run(session).await,
        "cluster-info" => info::cluster(session),
        "config current-context" => info::current_context(session),
        "config get-contexts" => info::contexts(session),
        "config view" => info::view(session),
        "cordon" => drain::cordon(session, true),
        "create" => create::run(session).await,
        "create configmap" | "create cm" => create::configmap(session).await,
        "create deployment" | "create deploy" => create::deployment(session),
        "create ingress" | "create ing" => ingress::create(session),
        "create namespace" | "create ns" => create::namespace(session),
        "create secret generic" => create::secret(session).await,
        "create secret tls" => create::tls(session).await,
        "create service clusterip" => create::service(session, "ClusterIP"),
        "create service externalname" => create::service(session, "ExternalName"),
        "create service loadbalancer" => create::service(session, "LoadBalancer"),
        "create service nodeport" => create::service(session, "NodePort"),
        "delete" => delete::run(session).await,
        "describe" => describe::run(session),
        "drain" => drain::drain(session).await,
        "exec" => exec::run(session).await,
        "expose" => expose::run(session),
        "get" => get::run(session).await,
        "label" => label::label(session),
        "logs" => exec::logs(session).await,
        "patch" => patch::run(session).await,
        "replace" => delete::replace(session).await,
        "rollout history" => rollout::history(session),
        "rollout restart" => rollout::restart(session),
        "rollout status" => rollout::status(session).await,
        "rollout undo" => rollout::undo(session),
        "run" => run::run(session).await,
        "scale" => scale::run(session),
        "set image" => scale::image(session),
        "set selector" => scale::selector(session),
        "taint" => taint::run(session),
        "uncordon" => drain::cordon(session, false),
        "version" => info::version(session),
        "wait" => wait::run(session).await,
        other => Err(Failure::unmodelled(other)),
    }
}
