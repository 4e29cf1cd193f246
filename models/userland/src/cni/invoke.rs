//! How plugins are found and run: by a runtime, and by plugins that delegate (`pkg/invoke` of libcni).

use super::error::{Done, Error};
use super::skel::{Answer, Cmd, exec};
use super::types::CniResult;
use super::{json, plugin};
use crate::process::Process;

/// A plugin that is to be run.
pub(super) struct Call<'a> {
    /// The name of the plugin.
    pub kind: &'a str,
    /// Where it is looked for.
    pub path: &'a str,
    /// `CNI_COMMAND`.
    pub command: &'a str,
    /// The configuration.
    pub conf: &'a [u8],
}

/// The file of a plugin.
pub(super) async fn find_in_path(process: &Process, kind: &str, path: &str) -> Result<String, String> {
    if kind.is_empty() {
        return Err("no plugin name provided".to_owned());
    }
    if kind.contains('/') {
        return Err(format!("invalid plugin name: {kind}"));
    }
    if path.is_empty() {
        return Err("no paths provided".to_owned());
    }
    let files = process.files.clone();
    for folder in path.split(':') {
        let file = process.path(&format!("{}/{kind}", folder.trim_end_matches('/')));
        if plugin(&file).is_some() || files.read(&file).await.is_ok() {
            return Ok(file);
        }
    }
    Err(format!("failed to find plugin {kind:?} in path [{}]", path.replace(':', " ")))
}

/// Runs a plugin; returns what it printed.
pub(super) async fn run(process: &mut Process, call: Call<'_>) -> Done<String> {
    let file = find_in_path(process, call.kind, call.path).await?;
    if let Err(error) = process.find(&file).await {
        let error = error.to_lowercase();
        return Err(Error::new(
            0,
            format!("netplugin failed with no error message: fork/exec {file}: {error}"),
        ));
    }
    let variable = Some(("CNI_COMMAND", call.command));
    let answer = exec(process, vec![file], variable, call.conf).await;
    if answer.status != 0 {
        return Err(failure(answer));
    }
    process.eprint(answer.stderr);
    Ok(answer.stdout)
}

/// What a plugin said that failed.
fn failure(answer: Answer) -> Error {
    let Answer { status, stdout, stderr } = answer;
    if stdout.is_empty() {
        let said = match stderr.as_str() {
            "" => format!("netplugin failed with no error message: exit status {status}"),
            _ => format!("netplugin failed: {stderr:?}"),
        };
        return Error::new(0, said);
    }
    match json::parse(stdout.as_bytes()) {
        Err(error) => {
            let said = "netplugin failed but error parsing its diagnostic message";
            Error::new(0, format!("{said} {stdout:?}: {error}"))
        }
        Ok(value) => serde_json::from_value(value).unwrap_or_default(),
    }
}

/// Reads the result that a plugin printed.
pub(super) fn result(conf_version: &str, printed: &str) -> Result<CniResult, String> {
    let value = json::parse(printed.as_bytes());
    let value = value.map_err(|error| format!("failed to unmarshal raw result: {error}"))?;
    let said = value.get("cniVersion").and_then(|version| version.as_str()).unwrap_or_default();
    CniResult::read(if said.is_empty() { conf_version } else { said }, &value)
}

impl Cmd<'_> {
    /// Where plugins are looked for.
    fn plugin_path(&self) -> String {
        self.process.env.get("CNI_PATH").cloned().unwrap_or_default()
    }

    /// Runs another plugin with a configuration (`DelegateAdd` and its like).
    pub(super) async fn delegate(&mut self, kind: &str, command: &str, conf: &[u8]) -> Done<String> {
        let path = self.plugin_path();
        run(self.process, Call { kind, path: &path, command, conf }).await
    }

    /// Asks an IPAM plugin for addresses.
    pub(super) async fn ipam_add(&mut self, kind: &str, version: &str) -> Done<CniResult> {
        let conf = self.stdin.clone();
        let printed = self.delegate(kind, "ADD", &conf).await?;
        Ok(result(version, &printed)?)
    }

    pub(super) async fn ipam_check(&mut self, kind: &str) -> Done {
        let conf = self.stdin.clone();
        self.delegate(kind, "CHECK", &conf).await.map(|_| ())
    }

    /// Gives addresses back.
    pub(super) async fn ipam_del(&mut self, kind: &str) -> Done {
        let conf = self.stdin.clone();
        self.delegate(kind, "DEL", &conf).await.map(|_| ())
    }
}
