//! A pod on its node: its namespace, its containers and their readiness.

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::ids::NetnsId;
use glassnet_sim::Nanos;
use glassnet_userland::process::{Boxed, Child, Exit, Output, Process, Signal, Signals};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::images;
use super::kubenet::{Attached, Kubenet};
use super::{HOST, names, seconds};
use crate::api::ApiServer;
use crate::command::{Command, NodeShell, Ran, Run, hostname};
use crate::object::{Key, Object};

/// The first pause before a container is started again, and the longest, seconds (`MaxContainerBackOff`).
const BACK_OFF: [i64; 2] = [10, 300];

/// A container.
pub(super) struct Running {
    pub spec: Container,
    /// Its program, while it runs.
    pub program: Option<(Arc<Exit>, Arc<Signals>)>,
    pub started: Nanos,
    pub restarts: i32,
    /// How its last program ended.
    pub last: Option<i32>,
    /// Why it cannot start: a reason and a message.
    pub refused: Option<(&'static str, String)>,
    /// When it is started again.
    pub again: Option<Nanos>,
    pub probe: Probing,
}

/// The readiness probe of a container.
#[derive(Default)]
pub(super) struct Probing {
    pub is_ready: bool,
    next: Option<Nanos>,
    asked: Option<Arc<Exit>>,
    successes: i32,
    failures: i32,
}

/// A pod.
pub(super) struct Sandbox {
    pub pod: Key,
    pub spec: PodSpec,
    pub attached: Option<Attached>,
    pub netns: NetnsId,
    pub address: Option<Ipv4Addr>,
    pub containers: Vec<Running>,
    pub started: Nanos,
    /// It is to end; when its programs are killed.
    ending: Option<Nanos>,
    /// Where its programs run.
    folder: String,
    /// Its namespace has files of its own in `/etc/netns`.
    has_files: bool,
}

/// The output of a container, which `kubectl logs` prints.
struct Log {
    api: Arc<ApiServer>,
    pod: Key,
}

impl Output for Log {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, std::io::Result<()>> {
        self.api.log(&self.pod, bytes);
        Box::pin(async { Ok(()) })
    }
}

impl Sandbox {
    /// Makes a pod: its namespace and network, then its containers.
    pub(super) async fn start(
        process: &mut Process,
        api: &Arc<ApiServer>,
        network: &mut Kubenet,
        pod: &Pod,
        node_address: &str,
    ) -> Sandbox {
        let spec = pod.spec.clone().unwrap_or_default();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let on_host = spec.host_network == Some(true);
        let attached = if on_host { None } else { network.add(process, api, &uid).await };
        let named = attached.as_ref().and_then(|attached| {
            process.world().kernel(process.machine).netns_names.get(&attached.netns).copied()
        });
        let address = match &attached {
            Some(attached) => Some(attached.address),
            None if on_host => node_address.parse().ok(),
            None => None,
        };
        let has_files = match &attached {
            Some(attached) => names::write(process, api, pod, (&attached.netns, attached.address)).await,
            None => false,
        };
        let key = Object::from(pod.clone()).key();
        let folder = format!("/run/containers/{uid}");
        let mut shell = NodeShell { process, api: api.clone() };
        shell.run(Command::words(&format!("mkdir -p {folder}"))).await;
        for file in ["hostname", "index.html"] {
            let mut tee = Command::words(&format!("tee {folder}/{file}"));
            tee.stdin = format!("{}\n", key.name);
            shell.run(tee).await;
        }
        let mut sandbox = Sandbox {
            pod: key,
            netns: named.unwrap_or(HOST),
            containers: spec.containers.iter().cloned().map(Running::new).collect(),
            spec,
            attached,
            address,
            started: process.now(),
            ending: None,
            folder,
            has_files,
        };
        for at in 0..sandbox.containers.len() {
            sandbox.run(process, api, at);
        }
        sandbox
    }

    /// Starts a container's program.
    fn run(&mut self, process: &mut Process, api: &Arc<ApiServer>, at: usize) {
        let (now, log) = (process.now(), Arc::new(Log { api: api.clone(), pod: self.pod.clone() }));
        let etc = self.etc();
        let container = &mut self.containers[at];
        container.again = None;
        if self.address.is_none() {
            container.refused =
                Some(("ContainerCreating", "no address is left in the node's range".to_owned()));
            return;
        }
        let argv = match images::command(&container.spec) {
            Ok(argv) => argv,
            Err(why) => {
                container.refused = Some(("ErrImagePull", why));
                return;
            }
        };
        let mut child = process.daemon(self.netns, argv.clone());
        child.etc = etc;
        (child.stdout, child.stderr, child.cwd) = (log.clone(), log, self.folder.clone());
        child.env.insert("HOSTNAME".to_owned(), self.pod.name.clone());
        for variable in container.spec.env.iter().flatten() {
            child.env.insert(variable.name.clone(), variable.value.clone().unwrap_or_default());
        }
        let signals = child.signals.clone();
        container.program = Some((process.shell.clone().detach(child), signals));
        container.started = now;
        let delay = container.spec.readiness_probe.as_ref().and_then(|probe| probe.initial_delay_seconds);
        container.probe =
            Probing { next: Some(now + seconds(i64::from(delay.unwrap_or(0)))), ..Probing::default() };
        let agent = process.name().to_owned();
        self.note(process, api, &agent, argv, Some(self.folder.clone()));
    }

    /// Keeps a command that runs in the pod, as one of the node.
    pub(super) fn note(
        &self,
        process: &Process,
        api: &ApiServer,
        agent: &str,
        argv: Vec<String>,
        goes_on_in: Option<String>,
    ) {
        let inside = self.attached.iter().flat_map(|attached| ["ip", "netns", "exec", &attached.netns]);
        let command = Command { argv: inside.map(str::to_owned).chain(argv).collect(), stdin: String::new() };
        let (at, node, agent) = (process.now(), hostname(process), agent.to_owned());
        api.note(Ran { at, node, agent, command, goes_on_in });
    }

    /// The namespace whose files its programs see (`ip netns exec`).
    fn etc(&self) -> Option<String> {
        self.attached.as_ref().filter(|_| self.has_files).map(|attached| attached.netns.clone())
    }

    /// Makes a child one of the pod's.
    pub(super) fn enter(&self, child: &mut Child) {
        (child.netns, child.cwd, child.etc) = (self.netns, self.folder.clone(), self.etc());
        child.env.insert("HOSTNAME".to_owned(), self.pod.name.clone());
    }

    /// When there is something to do for it.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let of = |container: &Running| {
            let probe = container.probe.next.filter(|_| container.is_probed());
            [container.again, probe].into_iter().flatten().min()
        };
        self.containers.iter().filter_map(of).chain(self.ending).min()
    }

    /// One of its programs has ended.
    pub(super) fn has_news(&self) -> bool {
        let ended = |exit: &Arc<Exit>| exit.status().is_some();
        self.containers.iter().any(|container| {
            container.program.as_ref().is_some_and(|(exit, _)| ended(exit))
                || container.probe.asked.as_ref().is_some_and(ended)
        })
    }

    /// The API server wants it to end: SIGTERM now, SIGKILL after its grace.
    pub(super) fn end(&mut self, process: &mut Process, api: &Arc<ApiServer>, pod: &Pod) {
        if self.ending.is_some() {
            return;
        }
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
        self.ending = Some(process.now() + seconds(grace));
        self.signal(Signal::TERM);
        self.note_end(process, api, "");
    }

    /// Its programs end at once.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Keeps what ends the pod's programs on a real node, where no kubelet does it.
    fn note_end(&self, process: &Process, api: &ApiServer, signal: &str) {
        let Some(attached) = &self.attached else { return };
        // They may have ended by then.
        let line = format!("kill {signal}$(ip netns pids {}) 2> /dev/null || true", attached.netns);
        let argv = vec!["bash".to_owned(), "-c".to_owned(), line];
        let (at, node, agent) = (process.now(), hostname(process), process.name().to_owned());
        api.note(Ran { at, node, agent, command: Command { argv, stdin: String::new() }, goes_on_in: None });
    }

    fn signal(&self, signal: Signal) {
        for (_, signals) in self.containers.iter().filter_map(|container| container.program.as_ref()) {
            signals.send(signal);
        }
    }

    /// It was to end, and all its programs have.
    pub(super) fn has_ended(&self) -> bool {
        let is_over = |container: &Running| match &container.program {
            Some((exit, _)) => exit.status().is_some(),
            None => true,
        };
        self.ending.is_some() && self.containers.iter().all(is_over)
    }

    /// It is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Removes its network.
    pub(super) async fn remove(&self, process: &mut Process, api: &Arc<ApiServer>, network: &mut Kubenet) {
        if let Some(attached) = &self.attached {
            network.remove(process, api, attached).await;
            if self.has_files {
                names::remove(process, api, &attached.netns).await;
            }
        }
    }

    /// Takes in what has ended, starts again what is to run, and asks whether containers are ready.
    pub(super) async fn look_after(&mut self, process: &mut Process, api: &Arc<ApiServer>) {
        let now = process.now();
        if self.ending.is_some_and(|at| at <= now) {
            self.kill();
            self.note_end(process, api, "-9 ");
            return;
        }
        for at in 0..self.containers.len() {
            self.restart(process, api, at, now);
            self.probe(process, api, at, now);
        }
    }

    fn restart(&mut self, process: &mut Process, api: &Arc<ApiServer>, at: usize, now: Nanos) {
        let (policy, is_ending) = (self.spec.restart_policy.clone(), self.is_ending());
        let container = &mut self.containers[at];
        if let Some(status) = container.program.as_ref().and_then(|(exit, _)| exit.status()) {
            (container.program, container.last, container.probe) = (None, Some(status), Probing::default());
            let again = match policy.as_deref() {
                Some("Never") => false,
                Some("OnFailure") => status != 0,
                _ => true,
            };
            if again && !is_ending {
                // The first time at once.
                let [first, most] = BACK_OFF;
                let pause = match container.restarts {
                    0 => 0,
                    count => (first << (count - 1).min(10)).min(most),
                };
                container.again = Some(now + seconds(pause));
            }
        }
        if self.containers[at].again.is_some_and(|when| when <= now) {
            self.containers[at].restarts += 1;
            self.run(process, api, at);
        }
    }

    /// Sends a probe that is due, as a command on the node or in the pod, and takes in the answer.
    fn probe(&mut self, process: &mut Process, api: &Arc<ApiServer>, at: usize, now: Nanos) {
        let Some(address) = self.address else { return };
        let etc = self.etc();
        let container = &mut self.containers[at];
        if container.program.is_none() {
            return;
        }
        let Some(probe) = container.spec.readiness_probe.clone() else {
            container.probe.is_ready = true;
            return;
        };
        if let Some(status) = container.probe.asked.as_ref().and_then(|exit| exit.status()) {
            container.probe.asked = None;
            container.probe.take(&probe, status == 0);
        }
        if container.probe.asked.is_some() || container.probe.next.is_none_or(|next| next > now) {
            return;
        }
        container.probe.next = Some(now + seconds(i64::from(probe.period_seconds.unwrap_or(10))));
        let Some((argv, inside)) = probe_command(&probe, &container.spec, address) else {
            container.probe.is_ready = true;
            return;
        };
        let mut child = process.daemon(if inside { self.netns } else { HOST }, argv.clone());
        child.etc = etc.filter(|_| inside);
        container.probe.asked = Some(process.shell.clone().detach(child));
        let agent = process.name().to_owned();
        match inside {
            true => self.note(process, api, &agent, argv, None),
            false => {
                let command = Command { argv, stdin: String::new() };
                api.note(Ran { at: now, node: hostname(process), agent, command, goes_on_in: None });
            }
        }
    }
}

/// The command that asks, and whether it runs in the pod.
fn probe_command(probe: &Probe, container: &Container, address: Ipv4Addr) -> Option<(Vec<String>, bool)> {
    let timeout = probe.timeout_seconds.unwrap_or(1);
    let number = |port: &IntOrString| match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port)
        }
    };
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect();
    if let Some(get) = &probe.http_get {
        let path = get.path.clone().unwrap_or_else(|| "/".to_owned());
        let url = format!("http://{address}:{}{path}", number(&get.port)?);
        return Some((words(format!("curl -s -f -o /dev/null -m {timeout} {url}")), false));
    }
    if let Some(socket) = &probe.tcp_socket {
        return Some((words(format!("nc -z -w {timeout} {address} {}", number(&socket.port)?)), false));
    }
    let exec = probe.exec.as_ref()?;
    Some((exec.command.clone()?, true))
}

impl Probing {
    fn take(&mut self, probe: &Probe, success: bool) {
        match success {
            true => (self.successes, self.failures) = (self.successes + 1, 0),
            false => (self.successes, self.failures) = (0, self.failures + 1),
        }
        if self.successes >= probe.success_threshold.unwrap_or(1) {
            self.is_ready = true;
        }
        if self.failures >= probe.failure_threshold.unwrap_or(3) {
            self.is_ready = false;
        }
    }
}

impl Running {
    fn new(spec: Container) -> Running {
        Running {
            spec,
            program: None,
            started: Nanos::ZERO,
            restarts: 0,
            last: None,
            refused: None,
            again: None,
            probe: Probing::default(),
        }
    }

    fn is_probed(&self) -> bool {
        self.program.is_some() && self.probe.asked.is_none() && self.spec.readiness_probe.is_some()
    }

    /// It runs, and its probe (if it has one) succeeds.
    pub(super) fn is_ready(&self) -> bool {
        self.program.is_some() && self.probe.is_ready
    }
}
