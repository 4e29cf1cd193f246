//! `kubectl`.
//!
//! Each command is a client of the API server: it reads objects from the store and writes them back. Events are not modelled:
//! `describe` says `<none>`. Requests take no time, and configuration files are not read: each machine of a cluster reaches its
//! server, as user `kubernetes-admin`.
//!
//! | file | owns |
//! |---|---|
//! | `commands.rs` | the commands and their flags |
//! | `flags.rs` | the command line |
//! | `session.rs` | a running `kubectl` |
//! | `failure.rs` | its errors |
//! | `resources.rs` | what words name |
//! | `selector.rs` | selectors of labels and fields |
//! | `manifest.rs` | files of objects |
//! | `merge.rs` | merges of manifests |
//! | `apply.rs`, `create.rs`, `delete.rs` | `apply`, `create`, `delete` and `replace` |
//! | `report.rs` | what is said of an object that was changed |
//! | `get.rs` | `get` |
//! | `printers.rs`, `pod_status.rs`, `endpoints.rs` | its tables |
//! | `format.rs`, `output.rs`, `jsonpath.rs`, `tabwriter.rs` | forms of output |
//! | `exec.rs` | `exec` and `logs` |

mod apply;
mod commands;
mod create;
mod delete;
mod endpoints;
mod exec;
mod failure;
mod flags;
mod format;
mod get;
mod jsonpath;
mod manifest;
mod merge;
mod output;
mod pod_status;
mod printers;
mod report;
mod resources;
mod selector;
mod session;
mod tabwriter;
#[cfg(test)]
mod tests;

use glassnet_userland::process::{Process, Running};
use glassnet_userland::stop::Stop;

use crate::api::ApiServer;
use failure::{Done, Failure};
use flags::Given;
use session::Session;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match run(process).await {
            Ok(()) => 0,
            Err(failure) => Stop::from(failure).say(process),
        }
    })
}

async fn run(process: &mut Process) -> Done {
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
    let first = args.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    match flags::parse(commands::MODELLED, args) {
        Err(_) if commands::REFUSED.contains(&first) => Err(Failure::unmodelled(first)),
        given => given,
    }
}

async fn dispatch(session: &mut Session<'_>) -> Done {
    match session.given.command {
        "apply" => apply::run(session).await,
        "create" => create::run(session).await,
        "create configmap" | "create cm" => create::configmap(session).await,
        "create deployment" | "create deploy" => create::deployment(session),
        "create namespace" | "create ns" => create::namespace(session),
        "create service clusterip" => create::service(session, "ClusterIP"),
        "create service externalname" => create::service(session, "ExternalName"),
        "create service loadbalancer" => create::service(session, "LoadBalancer"),
        "create service nodeport" => create::service(session, "NodePort"),
        "delete" => delete::run(session).await,
        "exec" => exec::run(session).await,
        "get" => get::run(session).await,
        "logs" => exec::logs(session).await,
        "replace" => delete::replace(session).await,
        other => Err(Failure::unmodelled(other)),
    }
}
