//! `kubectl version`, `cluster-info`, `api-resources` and `config`.

use serde_json::json;

use super::failure::{Done, Failure};
use super::output;
use super::session::Session;
use super::tabwriter::align;
use crate::VERSION;
use crate::object::Kind;

/// Kustomize is a part of `kubectl`.
const KUSTOMIZE: &str = "v5.8.1";

/// Runs `kubectl version`.
pub(super) fn version(session: &mut Session) -> Done {
    session.say(format!("Client Version: v{VERSION}\nKustomize Version: {KUSTOMIZE}"));
    if !session.given.is("client") {
        session.say(format!("Server Version: v{VERSION}"));
    }
    Ok(())
}

/// Where the API server says that it is: on the first node.
fn server(session: &Session) -> String {
    let store = session.api.store();
    let address = store.config.nodes.values().next().map(|node| node.address.0.to_string());
    format!("https://{}:6443", address.unwrap_or_else(|| "127.0.0.1".to_owned()))
}

/// Runs `kubectl cluster-info`.
pub(super) fn cluster(session: &mut Session) -> Done {
    let server = server(session);
    session.say(format!(
        "Kubernetes control plane is running at {server}\n\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info \
         dump'."
    ));
    Ok(())
}

/// Runs `kubectl api-resources`: the kinds that are modelled.
pub(super) fn resources(session: &mut Session) -> Done {
    let mut kinds: Vec<Kind> = Kind::ALL.to_vec();
    kinds.sort_by_key(|kind| (kind.group(), kind.plural()));
    let mut text = String::new();
    if !session.given.is("no-headers") {
        text.push_str("NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND\n");
    }
    for kind in kinds {
        let short = kind.short_names().join(",");
        let row = [kind.plural(), &short, kind.api_version(), &kind.is_namespaced().to_string(), kind.name()]
            .join("\t");
        text.push_str(&format!("{row}\n"));
    }
    session.process.print(align(&text, 6, 3));
    Ok(())
}

/// Runs `kubectl config current-context`.
pub(super) fn current_context(session: &mut Session) -> Done {
    session.say("kubernetes-admin@kubernetes");
    Ok(())
}

/// Runs `kubectl config get-contexts`.
pub(super) fn contexts(session: &mut Session) -> Done {
    let name = "kubernetes-admin@kubernetes";
    match session.given.text("output") {
        None => {
            let mut rows = String::new();
            if !session.given.is("no-headers") {
                rows.push_str("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
            }
            rows.push_str(&format!("*\t{name}\tkubernetes\tkubernetes-admin\t\n"));
            session.process.print(align(&rows, 6, 3));
        }
        Some("name") => session.say(name),
        Some(other) => return Err(Failure::own(format!("output must be one of '' or 'name': {other}"))),
    }
    Ok(())
}

/// Runs `kubectl config view`.
pub(super) fn view(session: &mut Session) -> Done {
    if let Some(output) = session.given.text("output").filter(|output| *output != "yaml") {
        return Err(Failure::unmodelled(&format!("config view -o {output}")));
    }
    let value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "kubernetes",
            "cluster": {"certificate-authority-data": "DATA+OMITTED", "server": server(session)},
        }],
        "contexts": [{
            "name": "kubernetes-admin@kubernetes",
            "context": {"cluster": "kubernetes", "user": "kubernetes-admin"},
        }],
        "current-context": "kubernetes-admin@kubernetes",
        "users": [{
            "name": "kubernetes-admin",
            "user": {"client-certificate-data": "DATA+OMITTED", "client-key-data": "DATA+OMITTED"},
        }],
    });
    session.process.print(output::yaml(&value));
    Ok(())
}
