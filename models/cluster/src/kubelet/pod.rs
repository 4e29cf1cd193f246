//! A pod on its node: its namespace, its volumes and its containers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::ids::NetnsId;
use glassnet_sim::Nanos;
use glassnet_userland::process::{Child, Process, Signal};
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::container::{Running, Step, TRY_AGAIN};
use super::env::Around;
use super::network::{Attached, Network};
use super::{HOST, names, seconds, volumes};
use crate::api::ApiServer;
use crate::command::{Command, NodeShell, Run, hostname};
use crate::events::{Happened, Recorder, container_field, reference};
use crate::object::{Key, Object};

/// The pause before volumes are tried again, and the longest, seconds.
const MOUNT_PAUSES: [i64; 2] = [1, 122];

/// Changes of ConfigMaps and Secrets show in volumes after this time, seconds.
const VOLUME_SYNC: i64 = 60;

/// A pod.
pub(super) struct Sandbox {
    pub pod: Pod,
    pub key: Key,
    pub uid: String,
    pub spec: PodSpec,
    pub attached: Option<Attached>,
    /// When it is tried to give it a network, if it needs one and has none.
    attach: Option<Nanos>,
    pub netns: NetnsId,
    pub address: Option<Ipv4Addr>,
    pub node_address: String,
    /// Init containers, then the others, in order.
    pub containers: Vec<Running>,
    pub started: Nanos,
    /// Its volumes are there.
    pub is_mounted: bool,
    /// When volumes are looked at next, and how often they could not be had.
    sync_volumes: Option<(Nanos, u32)>,
    /// It is to end; when its programs are killed.
    pub ending: Option<Nanos>,
    /// The folder of its containers' files.
    pub folder: String,
    /// Its namespace has files of its own in `/etc/netns`.
    has_files: bool,
}

impl Sandbox {
    /// Makes a pod's namespace and network.
    pub(super) async fn start(
        process: &mut Process,
        api: &Arc<ApiServer>,
        network: &mut Network,
        pod: &Pod,
        node_address: &str,
    ) -> Sandbox {
        let spec = pod.spec.clone().unwrap_or_default();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let on_host = spec.host_network == Some(true);
        let key = Object::from(pod.clone()).key();
        let folder = format!("/run/containers/{uid}");
        api.forget_logs(&key);
        let init = spec.init_containers.iter().flatten().cloned().map(|spec| Running::new(spec, true));
        let others = spec.containers.iter().cloned().map(|spec| Running::new(spec, false));
        let now = process.now();
        let mut sandbox = Sandbox {
            pod: pod.clone(),
            key,
            uid,
            netns: HOST,
            containers: init.chain(others).collect(),
            spec,
            attached: None,
            attach: (!on_host).then_some(now),
            address: on_host.then(|| node_address.parse().ok()).flatten(),
            node_address: node_address.to_owned(),
            started: now,
            is_mounted: false,
            sync_volumes: Some((now, 0)),
            ending: None,
            folder,
            has_files: false,
        };
        sandbox.attach(process, api, network).await;
        let (folder, name) = (&sandbox.folder, &sandbox.key.name);
        let mut shell = NodeShell { process, api: api.clone() };
        shell.run(Command::words(&format!("mkdir -p {folder}"))).await;
        for file in ["hostname", "index.html"] {
            let mut tee = Command::words(&format!("tee {folder}/{file}"));
            tee.stdin = format!("{name}\n");
            shell.run(tee).await;
        }
        let now = process.now();
        (sandbox.started, sandbox.sync_volumes) = (now, Some((now, 0)));
        sandbox
    }

    /// Gives it a network, if it is time to try.
    async fn attach(&mut self, process: &mut Process, api: &Arc<ApiServer>, network: &mut Network) {
        let now = process.now();
        if self.attach.is_none_or(|at| at > now) {
            return;
        }
        let attached = match network.add(process, api, &self.uid).await {
            Ok(attached) => attached,
            Err(why) => {
                self.attach = Some(now + seconds(TRY_AGAIN));
                let message = format!("Failed to create pod sandbox: {why}");
                return self.tell(process, api, None, Happened::warning("FailedCreatePodSandBox", &message));
            }
        };
        let id = process.world().kernel(process.machine).netns_names.get(&attached.netns).copied();
        (self.netns, self.address, self.attach) = (id.unwrap_or(HOST), Some(attached.address), None);
        let place = (attached.netns.as_str(), attached.address);
        self.has_files = names::write(process, api, &self.pod, place).await;
        self.attached = Some(attached);
    }

    /// Tells an event of the pod, or of one of its containers.
    pub(super) fn tell(&self, process: &Process, api: &ApiServer, container: Option<usize>, what: Happened) {
        let host = hostname(process);
        let mut about = reference(&Object::from(self.pod.clone()));
        let container = container.and_then(|at| self.containers.get(at));
        about.field_path =
            container.map(|container| container_field(&container.spec.name, container.is_init));
        let recorder = Recorder { component: "kubelet", host: Some(&host) };
        api.change(process, |store, now| recorder.tell(store, now, about, what));
    }

    /// Does something with what the pod's fields are.
    pub(super) fn around<T>(&self, process: &Process, api: &ApiServer, work: impl FnOnce(Around) -> T) -> T {
        let (host, address) = (hostname(process), self.address.map(|address| address.to_string()));
        let store = api.store();
        work(Around {
            store: &store,
            pod: &self.pod,
            address: address.as_deref().unwrap_or_default(),
            node: (&host, &self.node_address),
        })
    }

    /// When there is something to do for it.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let is_mounting = self.ending.is_none() && self.address.is_some();
        let sync = self.sync_volumes.map(|(at, _)| at).filter(|_| is_mounting);
        let attach = self.attach.filter(|_| self.ending.is_none());
        self.containers.iter().filter_map(Running::deadline).chain(sync).chain(attach).min()
    }

    /// One of its programs has ended.
    pub(super) fn has_news(&self) -> bool {
        self.containers.iter().any(Running::has_news)
    }

    /// A ConfigMap or a Secret that is in one of its volumes has changed.
    pub(super) fn refresh(&mut self, now: Nanos) {
        let mounts = self.spec.volumes.iter().flatten().any(volumes::may_change);
        if mounts && self.sync_volumes.is_none() {
            self.sync_volumes = Some((now + seconds(VOLUME_SYNC), 0));
        }
    }

    /// The pod has changed: its labels, or the image of a container, which is started again.
    pub(super) fn take_pod(&mut self, process: &Process, api: &Arc<ApiServer>, pod: &Pod) {
        self.pod = pod.clone();
        let spec = pod.spec.clone().unwrap_or_default();
        let all = spec.init_containers.iter().flatten().chain(&spec.containers);
        for (at, new) in all.enumerate().take(self.containers.len()) {
            let container = &mut self.containers[at];
            if container.spec.image == new.image {
                continue;
            }
            container.spec = new.clone();
            if container.program.is_some() {
                let message = format!("Container {} definition changed, will be restarted", new.name);
                self.tell(process, api, Some(at), Happened::normal("Killing", &message));
                let grace = spec.termination_grace_period_seconds.unwrap_or(30);
                self.stop(process, api, at, grace);
            }
        }
        self.spec = spec;
    }

    /// The API server wants it to end: hooks and SIGTERM now, SIGKILL after its grace. Sidecars end behind the others.
    pub(super) fn end(&mut self, process: &mut Process, api: &Arc<ApiServer>, pod: &Pod) {
        if self.ending.is_some() {
            return;
        }
        self.pod = pod.clone();
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
        self.ending = Some(process.now() + seconds(grace));
        for at in 0..self.containers.len() {
            self.containers[at].again = None;
            if !self.containers[at].is_sidecar() {
                self.stop(process, api, at, grace);
            }
        }
    }

    /// A container is to end within its grace, seconds.
    pub(super) fn stop(&mut self, process: &Process, api: &Arc<ApiServer>, at: usize, grace: i64) {
        if self.containers[at].program.is_none() || self.containers[at].stopping.is_some() {
            return;
        }
        let name = self.containers[at].spec.name.clone();
        if self.ending.is_some() {
            let message = format!("Stopping container {name}");
            self.tell(process, api, Some(at), Happened::normal("Killing", &message));
        }
        let kill_at = process.now() + seconds(grace);
        let hooks = self.containers[at].spec.lifecycle.clone();
        let hook = hooks.and_then(|hooks| hooks.pre_stop).filter(|_| grace > 0);
        let hook = hook.and_then(|hook| self.hook(process, api, at, &hook, kill_at));
        self.containers[at].stop(hook, kill_at);
    }

    /// Its programs end at once.
    pub(super) fn kill(&self) {
        self.containers.iter().for_each(|container| container.signal(Signal::KILL));
    }

    /// It was to end, and all its programs have.
    pub(super) fn has_ended(&self) -> bool {
        let is_over = |container: &Running| match &container.program {
            Some((exit, _)) => exit.status().is_some(),
            None => true,
        };
        self.ending.is_some() && self.containers.iter().all(is_over)
    }

    /// Removes its network and its files.
    pub(super) async fn remove(&self, process: &mut Process, api: &Arc<ApiServer>, network: &mut Network) {
        if let Some(attached) = &self.attached {
            network.remove(process, api, attached).await;
            if self.has_files {
                names::remove(process, api, &attached.netns).await;
            }
        }
        let has_own = |volume: &k8s_openapi::api::core::v1::Volume| volume.host_path.is_none();
        if self.spec.volumes.iter().flatten().any(has_own) {
            super::run(process, api, &format!("rm -rf /var/lib/kubelet/pods/{}", self.uid)).await;
        }
    }

    /// Takes in what has ended, starts what is to run, and sends probes.
    pub(super) async fn look_after(
        &mut self,
        process: &mut Process,
        api: &Arc<ApiServer>,
        network: &mut Network,
    ) {
        let now = process.now();
        for at in 0..self.containers.len() {
            self.take_end(process, api, at, now);
            self.steps(process, api, at, now);
        }
        if self.ending.is_some() {
            return self.end_sidecars(process, api, now);
        }
        self.attach(process, api, network).await;
        if self.address.is_none() || !self.mount(process, api, now).await {
            return;
        }
        self.start_next(process, api, now).await;
        for at in 0..self.containers.len() {
            self.after_start(process, api, at, now);
            self.probe(process, api, at, now);
        }
    }

    /// A container that is to end goes a step further.
    fn steps(&mut self, process: &Process, api: &Arc<ApiServer>, at: usize, now: Nanos) {
        match self.containers[at].next_step(now) {
            Step::Wait => {}
            Step::Term => {
                self.containers[at].signal(Signal::TERM);
                self.note_end(process, api, "");
            }
            Step::Kill => {
                self.containers[at].signal(Signal::KILL);
                self.note_end(process, api, "-9 ");
            }
        }
    }

    /// When the others have ended, sidecars end in the reverse order of their start, within what is left of the grace.
    fn end_sidecars(&mut self, process: &Process, api: &Arc<ApiServer>, now: Nanos) {
        if self.containers.iter().any(|container| !container.is_sidecar() && container.program.is_some()) {
            return;
        }
        let last = self.containers.iter().rposition(|container| container.program.is_some());
        let Some(at) = last else { return };
        let left = self.ending.map_or(30, |at| at.since(now).0.div_ceil(1_000_000_000) as i64);
        self.stop(process, api, at, left);
        self.steps(process, api, at, now);
    }

    /// Takes in that a container's program has ended, and decides whether it is started again.
    fn take_end(&mut self, process: &Process, api: &Arc<ApiServer>, at: usize, now: Nanos) {
        let policy = self.spec.restart_policy.clone();
        let Some(status) = self.containers[at].take_end(now) else { return };
        let container = &self.containers[at];
        let again = match (container.is_sidecar(), container.is_init, policy.as_deref()) {
            (true, ..) => !self.is_over(),
            (false, _, Some("Never")) => false,
            (false, true, _) | (false, false, Some("OnFailure")) => status != 0,
            (false, false, _) => true,
        };
        if !again || self.ending.is_some() {
            return;
        }
        let name = container.spec.name.clone();
        if self.containers[at].back_off(now).is_some() {
            let message = format!(
                "Back-off restarting failed container {name} in pod {}_{}({})",
                self.key.name, self.key.namespace, self.uid
            );
            self.tell(process, api, Some(at), Happened::warning("BackOff", &message));
        }
    }

    /// Its containers, without those that come before them, have ended for good.
    pub(super) fn is_over(&self) -> bool {
        self.has_failed_init()
            || self.containers.iter().filter(|container| !container.is_init).all(Running::is_over)
    }

    /// An init container has failed, and is not tried again.
    pub(super) fn has_failed_init(&self) -> bool {
        let failed = |container: &Running| {
            container.is_init
                && !container.is_sidecar()
                && container.is_over()
                && container.last.as_ref().is_some_and(|last| last.status != 0)
        };
        self.containers.iter().any(failed)
    }

    /// All init containers have done their work, and sidecars have started.
    pub(super) fn is_initialized(&self) -> bool {
        self.containers.iter().filter(|container| container.is_init).all(|container| self.lets_on(container))
    }

    /// An init container does not keep the next one waiting: it has done its work, or is a sidecar that has started. Later it may fail.
    fn lets_on(&self, container: &Running) -> bool {
        match container.is_sidecar() {
            true => container.is_started() || self.containers.iter().any(|c| !c.is_init && c.id.is_some()),
            false => container.is_done_or_ready(),
        }
    }

    /// Starts the containers whose turn it is: init containers one after the other, a sidecar until it has started.
    async fn start_next(&mut self, process: &mut Process, api: &Arc<ApiServer>, now: Nanos) {
        if self.is_over() {
            // Sidecars end with the pod.
            let grace = self.spec.termination_grace_period_seconds.unwrap_or(30);
            let sidecars: Vec<usize> =
                (0..self.containers.len()).filter(|at| self.containers[*at].is_sidecar()).collect();
            return sidecars.into_iter().for_each(|at| self.stop(process, api, at, grace));
        }
        for at in 0..self.containers.len() {
            let container = &self.containers[at];
            if !container.is_init && !self.is_initialized() {
                return;
            }
            let is_due = match container.again {
                Some((when, _)) => when <= now,
                None => container.id.is_none() && container.program.is_none(),
            };
            if is_due && container.program.is_none() && !container.is_over() {
                self.start_container(process, api, at).await;
            }
            if self.containers[at].is_init && !self.lets_on(&self.containers[at]) {
                return;
            }
        }
    }

    /// Puts the files of its volumes in their places, if it is time to. Whether they are there.
    async fn mount(&mut self, process: &mut Process, api: &Arc<ApiServer>, now: Nanos) -> bool {
        let Some((_, tries)) = self.sync_volumes.filter(|(at, _)| *at <= now) else { return self.is_mounted };
        let all = self.spec.volumes.clone().unwrap_or_default();
        for volume in &all {
            let content = self.around(process, api, |around| volumes::content(around, volume));
            let written = match content {
                Ok(content) => self.write(process, api, &volume.name, content).await,
                Err(why) => Err(why),
            };
            if let Err(why) = written {
                let [first, most] = MOUNT_PAUSES;
                self.sync_volumes = Some((now + seconds((first << tries.min(7)).min(most)), tries + 1));
                let message = format!("MountVolume.SetUp failed for volume {:?} : {why}", volume.name);
                self.tell(process, api, None, Happened::warning("FailedMount", &message));
                return self.is_mounted;
            }
        }
        (self.is_mounted, self.sync_volumes) = (true, None);
        true
    }

    async fn write(
        &self,
        process: &mut Process,
        api: &Arc<ApiServer>,
        volume: &str,
        content: volumes::Content,
    ) -> Result<(), String> {
        let mut shell = NodeShell { process, api: api.clone() };
        let (folder, files) = match content {
            volumes::Content::Own(kind, files) => (volumes::folder(&self.uid, kind, volume), files),
            volumes::Content::Host(path, kind) => return host_path(&mut shell, &path, &kind).await,
        };
        let mut commands = vec![Command::words(&format!("mkdir -p {folder}"))];
        for (path, text) in files {
            if let Some((inside, _)) = path.rsplit_once('/') {
                commands.push(Command::words(&format!("mkdir -p {folder}/{inside}")));
            }
            let argv = vec!["tee".to_owned(), format!("{folder}/{path}")];
            commands.push(Command { argv, stdin: text });
        }
        for command in commands {
            match self.serves_agent() {
                true => shell.run_untold(&command).await,
                false => shell.run(command).await,
            };
        }
        Ok(())
    }

    /// One of its containers is an agent of the cluster. What its files are is of no use where the agent does not run.
    pub(super) fn serves_agent(&self) -> bool {
        let is_agent = |one: &Running| {
            one.spec.command.iter().flatten().next().is_some_and(|name| crate::is_agent(name))
        };
        self.containers.iter().any(is_agent)
    }
}

/// Looks whether a path of the node is as a volume wants it, or makes it.
async fn host_path(shell: &mut NodeShell<'_>, path: &str, kind: &str) -> Result<(), String> {
    let line = match kind {
        "DirectoryOrCreate" => format!("mkdir -p {path}"),
        "FileOrCreate" => format!("touch {path}"),
        "Directory" => format!("test -d {path}"),
        "File" => format!("test -f {path}"),
        // The runtime makes a folder of what is not there.
        _ => {
            let files = shell.process.files.clone();
            let is_there = files.list(path).await.is_ok() || files.read(path).await.is_ok();
            if !is_there {
                shell.run(Command::words(&format!("mkdir -p {path}"))).await;
            }
            return Ok(());
        }
    };
    match (shell.run(Command::words(&line)).await.status, kind) {
        (0, _) => Ok(()),
        (_, "Directory") => Err(format!("hostPath type check failed: {path} is not a directory")),
        (_, "File") => Err(format!("hostPath type check failed: {path} is not a file")),
        _ => Err(format!("hostPath type check failed: {path} cannot be made")),
    }
}

impl Sandbox {
    /// Where a container's program runs, and what it sees of the node's files at other places.
    pub(super) fn files(&self, at: usize) -> (String, Vec<(String, String)>) {
        let container = &self.containers[at].spec;
        let mut mounts = volumes::mounts(&self.uid, &self.spec, container);
        let served = super::images::served(container);
        if let Some(served) = served
            && !mounts.iter().any(|(place, _)| place == served)
        {
            mounts.push((served.to_owned(), self.folder.clone()));
        }
        let given = container.working_dir.clone().filter(|folder| !folder.is_empty());
        let cwd = given.or_else(|| served.map(str::to_owned)).unwrap_or_else(|| self.folder.clone());
        (cwd, mounts)
    }

    /// Makes a child one of a container's.
    pub(super) fn enter(&self, child: &mut Child, at: usize, env: BTreeMap<String, String>) {
        let (cwd, mut mounts) = self.files(at);
        // Its volumes hide what `ip netns exec` mounts.
        let named = self.attached.iter().filter(|_| self.has_files);
        mounts.splice(..0, named.flat_map(|attached| names::mounts(&attached.netns)));
        (child.netns, child.cwd, child.mounts) = (self.netns, cwd, mounts.into());
        child.env.extend(env);
        let name = self.spec.hostname.clone().filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| self.key.name.clone());
        child.env.insert("HOSTNAME".to_owned(), name);
    }
}
