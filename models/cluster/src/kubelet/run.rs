//! Programs of containers: their commands, hooks and probes, and how they are written down as commands of the node.

use std::collections::BTreeMap;
use std::sync::Arc;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Child, Process};
use k8s_openapi::api::core::v1::LifecycleHandler;

use super::container::Hook;
use super::pod::Sandbox;
use super::probe::{self, Asked, For};
use super::{HOST, env, images, seconds};
use crate::api::ApiServer;
use crate::command::{Command, Kept, Ran, hostname};
use crate::events::Happened;

/// How long `postStart` may take before its container counts as failed is not limited; it ends with the pod.
const NO_LIMIT: Nanos = Nanos(u64::MAX / 2);

/// How long a page that a hook gets may take, seconds.
const HOOK_TIMEOUT: i32 = 30;

impl Sandbox {
    /// The variables of a container: its own, and those of services.
    pub(super) fn variables(
        &self,
        process: &Process,
        api: &ApiServer,
        at: usize,
    ) -> Result<[BTreeMap<String, String>; 2], String> {
        self.around(process, api, |around| {
            let links = around.links();
            let own = around.own_variables(&self.containers[at].spec, &links)?;
            Ok([own, links])
        })
    }

    /// Makes and starts a container.
    pub(super) async fn start_container(&mut self, process: &mut Process, api: &Arc<ApiServer>, at: usize) {
        let (now, spec) = (process.now(), self.containers[at].spec.clone());
        let image = spec.image.clone().unwrap_or_default();
        let argv = match images::command(&spec) {
            Ok(argv) => argv,
            Err(why) => return self.no_image(process, api, at, (image, why), now),
        };
        let message =
            format!("Container image {image:?} already present on machine and can be accessed by the pod");
        self.tell(process, api, Some(at), Happened::normal("Pulled", &message));
        let [own, links] = match self.variables(process, api, at) {
            Ok(variables) => variables,
            Err(why) => {
                let message = format!("Error: {why}");
                self.tell(process, api, Some(at), Happened::warning("Failed", &message));
                return self.containers[at].refuse("CreateContainerConfigError", why, now);
            }
        };
        let argv: Vec<String> = argv
            .iter()
            .map(|word| env::expand(word, |name| own.get(name).or_else(|| links.get(name)).cloned()))
            .collect();
        if self.containers[at].again.is_some_and(|(_, is_fault)| is_fault) {
            self.containers[at].restarts += 1;
        }
        self.make_folders(process, api, at).await;
        self.tell(process, api, Some(at), Happened::normal("Created", "Container created"));
        let log = api.new_log(&self.key, &spec.name);
        let mut child = process.daemon(self.netns, argv.clone());
        (child.stdout, child.stderr) = (log.clone(), log);
        let all = links.iter().chain(&own).map(|(key, value)| (key.clone(), value.clone()));
        self.enter(&mut child, at, all.collect());
        let signals = child.signals.clone();
        let exit = process.shell.clone().detach(child);
        let (agent, uid) = (process.name().to_owned(), self.uid.clone());
        self.note_in(process, api, (&agent, at), argv, Some(self.folder.clone()));
        self.containers[at].begin(&uid, (exit, signals), now);
        self.tell(process, api, Some(at), Happened::normal("Started", "Container started"));
        let hook = spec.lifecycle.and_then(|hooks| hooks.post_start);
        self.containers[at].hook = hook.and_then(|hook| self.hook(process, api, at, &hook, NO_LIMIT));
    }

    fn no_image(
        &mut self,
        process: &Process,
        api: &ApiServer,
        at: usize,
        (image, why): (String, String),
        now: Nanos,
    ) {
        if self.containers[at].refused.is_none() {
            self.tell(process, api, Some(at), Happened::warning("Failed", &why));
            self.tell(process, api, Some(at), Happened::warning("Failed", "Error: ErrImagePull"));
            return self.containers[at].refuse("ErrImagePull", why, now);
        }
        let message = format!("Back-off pulling image {image:?}");
        self.tell(process, api, Some(at), Happened::normal("BackOff", &message));
        self.tell(process, api, Some(at), Happened::warning("Failed", "Error: ImagePullBackOff"));
        self.containers[at].refuse("ImagePullBackOff", format!("{message}: ErrImagePull: {why}"), now);
    }

    /// Makes its working folder, and those that it mounts a part of.
    async fn make_folders(&self, process: &mut Process, api: &Arc<ApiServer>, at: usize) {
        let spec = &self.containers[at].spec;
        let (cwd, mounts) = self.files(at);
        let own = |path: &str| path.starts_with("/var/lib/kubelet/pods/");
        let parts = spec.volume_mounts.iter().flatten().filter(|mount| mount.sub_path.is_some());
        let parts = parts.filter_map(|mount| {
            let (_, from) =
                mounts.iter().find(|(place, _)| *place == mount.mount_path.trim_end_matches('/'))?;
            (own(from) && from.contains("kubernetes.io~empty-dir")).then(|| from.clone())
        });
        let mut folders: Vec<String> = parts.collect();
        let is_mounted =
            |path: &str| mounts.iter().any(|(place, _)| std::path::Path::new(path).starts_with(place));
        if cwd != self.folder && !is_mounted(&cwd) {
            folders.push(cwd);
        }
        for folder in folders {
            super::run(process, api, &format!("mkdir -p {folder}")).await;
        }
    }

    /// Starts a hook.
    pub(super) fn hook(
        &self,
        process: &Process,
        api: &Arc<ApiServer>,
        at: usize,
        hook: &LifecycleHandler,
        until: Nanos,
    ) -> Option<Hook> {
        if let Some(pause) = &hook.sleep {
            let until = (process.now() + seconds(pause.seconds)).min(until);
            return Some(Hook { exit: None, signals: Arc::default(), until });
        }
        let (argv, inside) = match (&hook.exec, &hook.http_get, self.address) {
            (Some(exec), ..) => (exec.command.clone()?, true),
            (None, Some(get), Some(address)) => {
                (probe::http_get(get, &self.containers[at].spec, address, HOOK_TIMEOUT)?, false)
            }
            _ => return None,
        };
        let child = self.child(process, api, at, argv.clone(), inside);
        let signals = child.signals.clone();
        let exit = process.shell.clone().detach(child);
        self.note_at(process, api, at, argv, inside);
        Some(Hook { exit: Some(exit), signals, until })
    }

    /// A program of the container, or one of the node that asks it.
    fn child(&self, process: &Process, api: &ApiServer, at: usize, argv: Vec<String>, inside: bool) -> Child {
        let mut child = process.daemon(HOST, argv);
        if inside {
            let variables = self.variables(process, api, at).unwrap_or_default();
            self.enter(&mut child, at, variables.into_iter().rev().flatten().collect());
        }
        child
    }

    /// Looks at a container that has started: its first hook, and probes that say it is to be started again.
    pub(super) fn after_start(&mut self, process: &Process, api: &Arc<ApiServer>, at: usize, now: Nanos) {
        let container = &mut self.containers[at];
        let name = container.spec.name.clone();
        if let Some(status) = container.hook.as_ref().and_then(|hook| hook.over(now)) {
            container.hook = None;
            if status != Some(0) {
                let what = Happened::warning("FailedPostStartHook", "PostStartHook failed");
                self.tell(process, api, Some(at), what);
                let message = format!("FailedPostStartHook: container {name} will be restarted");
                self.tell(process, api, Some(at), Happened::normal("Killing", &message));
                let grace = self.spec.termination_grace_period_seconds.unwrap_or(30);
                return self.stop(process, api, at, grace);
            }
            // Probes are not sent before.
            for (probing, what) in container.probes.iter_mut().zip(For::ALL) {
                *probing = probe::Probing::begin(what.of(&container.spec), now);
            }
        }
        if container.stopping.is_some() {
            return;
        }
        for (number, what) in [(0, For::Startup), (1, For::Liveness)] {
            let container = &self.containers[at];
            if container.probes[number].result != Some(false) {
                continue;
            }
            let kind = what.name().to_lowercase();
            let message = format!("Container {name} failed {kind} probe, will be restarted");
            let own = what.of(&container.spec).and_then(|probe| probe.termination_grace_period_seconds);
            let grace = own.or(self.spec.termination_grace_period_seconds).unwrap_or(30);
            self.tell(process, api, Some(at), Happened::normal("Killing", &message));
            return self.stop(process, api, at, grace);
        }
    }

    /// Sends the probes of a container that are due, as commands on the node or in the container, and takes answers in.
    pub(super) fn probe(&mut self, process: &Process, api: &Arc<ApiServer>, at: usize, now: Nanos) {
        let Some(address) = self.address else { return };
        for (number, what) in For::ALL.into_iter().enumerate() {
            let container = &mut self.containers[at];
            let Some(probe) = what.of(&container.spec).cloned() else { continue };
            if let Some((asked, status)) = container.probes[number].answer(now) {
                container.probes[number].take(&probe, status == Some(0));
                if status != Some(0) {
                    let why = probe::failure(&probe, (&container.spec, address), &asked, status, now);
                    let message = format!("{} probe failed: {why}", what.name());
                    self.tell(process, api, Some(at), Happened::warning("Unhealthy", &message));
                }
                // What follows from it comes first.
                self.after_start(process, api, at, now);
            }
            let container = &self.containers[at];
            let is_due = container.runs() && container.stopping.is_none() && container.is_probed(what);
            let probing = &container.probes[number];
            if is_due && probing.asked.is_none() && probing.next.is_some_and(|next| next <= now) {
                self.ask(process, api, (at, number), &probe, now);
            }
        }
    }

    fn ask(
        &mut self,
        process: &Process,
        api: &Arc<ApiServer>,
        (at, number): (usize, usize),
        probe: &k8s_openapi::api::core::v1::Probe,
        now: Nanos,
    ) {
        let Some(address) = self.address else { return };
        let Some((argv, inside)) = probe::command(probe, &self.containers[at].spec, address) else { return };
        let mut child = self.child(process, api, at, argv.clone(), inside);
        let (output, signals) = (Arc::new(Kept::default()), child.signals.clone());
        (child.stdout, child.stderr) = (output.clone(), output.clone());
        let exit = process.shell.clone().detach(child);
        let until = now + seconds(i64::from(probe.timeout_seconds.unwrap_or(1)));
        // A server that does not answer is given up by the command itself, which is a moment late.
        let until = if inside { until } else { until + seconds(1) };
        let probing = &mut self.containers[at].probes[number];
        probing.asked = Some(Asked { exit, signals, output, since: now, until });
        probing.next = Some(now + seconds(i64::from(probe.period_seconds.unwrap_or(10))));
        self.note_at(process, api, at, argv, inside);
    }

    fn note_at(&self, process: &Process, api: &ApiServer, at: usize, argv: Vec<String>, inside: bool) {
        let agent = process.name().to_owned();
        if inside {
            return self.note_in(process, api, (&agent, at), argv, None);
        }
        let command = Command { argv, stdin: String::new() };
        api.note(Ran { at: process.now(), node: hostname(process), agent, command, goes_on_in: None });
    }

    /// Keeps a command that runs in a container, as one of the node: in the pod's namespace, with the container's own variables, and with
    /// its files where it sees them.
    pub(super) fn note_in(
        &self,
        process: &Process,
        api: &ApiServer,
        (agent, at): (&str, usize),
        argv: Vec<String>,
        goes_on_in: Option<String>,
    ) {
        // What an agent in a container does is the commands that it runs.
        if self.serves_agent() {
            return;
        }
        let own = self.variables(process, api, at).map(|[own, _]| own).unwrap_or_default();
        let (cwd, mounts) = self.files(at);
        let has_volumes = self.containers[at].spec.volume_mounts.iter().flatten().next().is_some();
        let names = |place: &str| argv.iter().any(|word| word.contains(place));
        // The folder of the image's server is where the command runs anyway.
        let is_needed = has_volumes
            || self.containers[at].spec.working_dir.is_some()
            || mounts.iter().any(|(place, _)| names(place));
        let mut words: Vec<String> = match &self.attached {
            Some(attached) => ["ip", "netns", "exec", &attached.netns].map(str::to_owned).to_vec(),
            None if is_needed => ["unshare", "-m"].map(str::to_owned).to_vec(),
            None => Vec::new(),
        };
        if !own.is_empty() {
            words.push("env".to_owned());
            words.extend(own.iter().map(|(key, value)| format!("{key}={value}")));
        }
        if is_needed {
            words.extend([
                "bash".to_owned(),
                "-c".to_owned(),
                mounted(&mounts, &self.may_be_files(at), &cwd),
            ]);
        }
        words.extend(argv);
        let command = Command { argv: words, stdin: String::new() };
        let (time, node, agent) = (process.now(), hostname(process), agent.to_owned());
        api.note(Ran { at: time, node, agent, command, goes_on_in });
    }

    /// Places where a container mounts what may be a file: a part of a volume, or a path of the node.
    fn may_be_files(&self, at: usize) -> Vec<&str> {
        let is_of_node = |name: &str| {
            let mut volumes = self.spec.volumes.iter().flatten();
            volumes.any(|volume| volume.name == name && volume.host_path.is_some())
        };
        let mounts = self.containers[at].spec.volume_mounts.iter().flatten();
        let unsure = mounts.filter(|mount| mount.sub_path.is_some() || is_of_node(&mount.name));
        unsure.map(|mount| mount.mount_path.trim_end_matches('/')).collect()
    }

    /// Keeps what ends the pod's programs on a real node, where no kubelet does it.
    pub(super) fn note_end(&self, process: &Process, api: &ApiServer, signal: &str) {
        let Some(attached) = &self.attached else { return };
        // They may have ended by then.
        let line = format!("kill {signal}$(ip netns pids {}) 2> /dev/null || true", attached.netns);
        let argv = vec!["bash".to_owned(), "-c".to_owned(), line];
        let (at, node, agent) = (process.now(), hostname(process), process.name().to_owned());
        api.note(Ran { at, node, agent, command: Command { argv, stdin: String::new() }, goes_on_in: None });
    }
}

/// The line of a shell that mounts folders, and what may be files, where they are to be seen, and then becomes the command.
fn mounted(mounts: &[(String, String)], may_be_files: &[&str], cwd: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let mut line = String::new();
    for (place, from) in mounts {
        let is_unsure = may_be_files.contains(&place.as_str());
        let (place, from) = (quoted(place), quoted(from));
        line.push_str(&match is_unsure {
            true => format!(
                "[ -d {from} ] && mkdir -p {place} || {{ mkdir -p \"$(dirname {place})\"; touch {place}; }}; "
            ),
            false => format!("mkdir -p {place}; "),
        });
        line.push_str(&format!("mount --bind {from} {place}; "));
    }
    line + &format!("cd {}; exec \"$0\" \"$@\"", quoted(cwd))
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_mounted_before_the_command() {
        let mounts =
            [("/etc/a", "/var/b"), ("/c/d", "/e")].map(|(place, from)| (place.to_owned(), from.to_owned()));
        assert_eq!(
            super::mounted(&mounts, &["/c/d"], "/it's"),
            "mkdir -p '/etc/a'; mount --bind '/var/b' '/etc/a'; [ -d '/e' ] && mkdir -p '/c/d' || { mkdir -p \"$(dirname '/c/d')\"; touch \
             '/c/d'; }; mount --bind '/e' '/c/d'; cd '/it'\\''s'; exec \"$0\" \"$@\""
        );
    }
}
