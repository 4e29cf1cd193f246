//! The kubelet: it makes the pods of its node, watches their containers, and tells the API server.
//!
//! | file | owns |
//! |---|---|
//! | `network.rs` | the network of pods: `kubenet.rs` or `flannel.rs`, on a bridge (`bridge.rs`) |
//! | `images.rs` | the programs that images stand for |
//! | `names.rs` | names in a pod |
//! | `pod.rs` | a pod on its node |
//! | `container.rs` | a container: how it ends and is started again |
//! | `run.rs` | programs of containers, their hooks and probes |
//! | `probe.rs` | what is made of the answers of probes |
//! | `env.rs`, `volumes.rs` | what a container finds in its environment and its files |
//! | `status.rs` | what the API server is told of a pod |

mod bridge;
mod container;
mod env;
mod flannel;
mod images;
mod kubenet;
mod names;
mod network;
mod pod;
mod probe;
mod run;
mod status;
mod volumes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use glassnet_kernel::kernel::INIT_NET;
use glassnet_sim::Nanos;
use glassnet_userland::identity::RELEASE;
use glassnet_userland::process::{Exit, Process, Running};
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::VERSION;
use crate::api::{self, ApiServer, Watch};
use crate::command::{Command, NodeShell, Run, hostname};
use crate::config::NodeConfig;
use crate::events::{Happened, Recorder, reference};
use crate::kube_proxy::config::Version;
use crate::object::{Key, Kind, Object};
use crate::store::wall_clock;

use network::Network;
pub use network::netns_name;
use pod::Sandbox;

const WATCHED: &[Kind] = &[Kind::ConfigMap, Kind::Node, Kind::Pod, Kind::Secret];

/// The shortest time between two looks at pods that nothing happened to.
const SHORTEST: Nanos = Nanos(1_000_000);

/// The runtime that stands for the containers' programs.
const RUNTIME: &str = "containerd://1.6.20";

/// Memory and disk of a node, and how many pods it may have.
const CAPACITY: [(&str, &str); 5] = [
    ("ephemeral-storage", "30829148Ki"),
    ("hugepages-1Gi", "0"),
    ("hugepages-2Mi", "0"),
    ("memory", "8388608Ki"),
    ("pods", "110"),
];

/// What of them pods may ask for, where it is less.
const ALLOCATABLE: [(&str, &str); 2] = [("ephemeral-storage", "28412142749"), ("memory", "8286208Ki")];

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let node = hostname(process);
        let api = ApiServer::of(process);
        let config = api.as_ref().and_then(|api| api.store().config.nodes.get(&node).cloned());
        let (Some(api), Some(config)) = (api, config) else {
            process.eprint("kubelet: this machine is no node of a cluster\n");
            return 1;
        };
        // Nothing ends it before it has begun.
        let _ = process.sleep(config.joins).await;
        let network = Network::of(&api.store().config.network);
        let mut kubelet = Kubelet {
            api,
            node,
            address: config.address.0.to_string(),
            watch: Watch::of(WATCHED),
            network,
            sandboxes: BTreeMap::new(),
            execs: Vec::new(),
        };
        kubelet.join(process, &config).await;
        loop {
            kubelet.turn(process).await;
        }
    })
}

struct Kubelet {
    api: Arc<ApiServer>,
    node: String,
    address: String,
    watch: Watch,
    network: Network,
    /// By uid.
    sandboxes: BTreeMap<String, Sandbox>,
    execs: Vec<Entered>,
}

/// A command of `kubectl exec` that runs, and where its status is wanted.
type Entered = (Arc<Exit>, Arc<Mutex<Option<i32>>>);

async fn run(process: &mut Process, api: &Arc<ApiServer>, line: &str) {
    // What failed shows in the node's state; the next commands show what follows from it.
    NodeShell { process, api: api.clone() }.run(Command::words(line)).await;
}

impl Kubelet {
    /// Gives the machine its address, and registers the node.
    async fn join(&mut self, process: &mut Process, config: &NodeConfig) {
        let ((address, len), device) = (config.address, &config.device);
        run(process, &self.api, &format!("ip addr add {address}/{len} brd + dev {device}")).await;
        run(process, &self.api, &format!("ip link set {device} up")).await;
        if let Some(gateway) = config.gateway {
            run(process, &self.api, &format!("ip route add default via {gateway} dev {device}")).await;
        }
        let named = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut labels = BTreeMap::from([
            named("kubernetes.io/hostname", &self.node),
            named("kubernetes.io/os", "linux"),
            named("kubernetes.io/arch", "amd64"),
        ]);
        labels.extend(config.labels.clone());
        let addresses = [("InternalIP", self.address.as_str()), ("Hostname", self.node.as_str())];
        let addresses =
            addresses.map(|(kind, text)| NodeAddress { type_: kind.to_owned(), address: text.to_owned() });
        let node_info = NodeSystemInfo {
            kubelet_version: format!("v{VERSION}"),
            kube_proxy_version: format!("v{VERSION}"),
            kernel_version: RELEASE.to_owned(),
            os_image: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            operating_system: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            container_runtime_version: RUNTIME.to_owned(),
            ..NodeSystemInfo::default()
        };
        let cpus = process.world().kernel(process.machine).cpus.len().to_string();
        let amounts = |all: &[(&str, &str)]| {
            let all = all.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())));
            all.collect::<BTreeMap<String, Quantity>>()
        };
        let mut capacity = amounts(&CAPACITY);
        capacity.insert("cpu".to_owned(), Quantity(cpus));
        let mut allocatable = capacity.clone();
        allocatable.extend(amounts(&ALLOCATABLE));
        let status = NodeStatus {
            addresses: Some(addresses.to_vec()),
            capacity: Some(capacity),
            allocatable: Some(allocatable),
            node_info: Some(node_info),
            ..NodeStatus::default()
        };
        let metadata =
            ObjectMeta { name: Some(self.node.clone()), labels: Some(labels), ..ObjectMeta::default() };
        let node = Node { metadata, spec: None, status: Some(status) };
        let name = self.node.clone();
        let joined = self.api.change(process, |store, now| match store.get::<Node>("", &name) {
            None => store.create(node, now).map(|_| ()),
            // It was registered before: what it is now counts.
            Some(_) => store.edit(("", &name), now, |known: &mut Node| update(known, node)),
        });
        if let Err(error) = joined {
            process.eprint(format!("kubelet: unable to register node {name}: {error}\n"));
        }
        self.tell(process, Happened::normal("Starting", "Starting kubelet."));
    }

    /// Tells an event of the node.
    fn tell(&self, process: &Process, what: Happened) {
        let key = Key::new(Kind::Node, "", &self.node);
        let recorder = Recorder { component: "kubelet", host: Some(&self.node) };
        self.api.change(process, |store, now| {
            let Some(about) = store.object(&key).map(|node| reference(node)) else { return };
            recorder.tell(store, now, about, what);
        });
    }

    /// Waits until there is something to do, and does it.
    async fn turn(&mut self, process: &mut Process) {
        // What could not be done when it was due is tried again a moment later.
        let soonest = process.now() + SHORTEST;
        let deadline = self.sandboxes.values().filter_map(Sandbox::deadline).min().map(|at| at.max(soonest));
        let (api, node) = (self.api.clone(), self.node.clone());
        let (sandboxes, execs) = (&self.sandboxes, &self.execs);
        let ended = |_: &mut _| {
            api.has_execs(&node)
                || sandboxes.values().any(Sandbox::has_news)
                || execs.iter().any(|(exit, _)| exit.status().is_some())
        };
        api::wait(process, &api, &mut self.watch, deadline, ended).await;
        let now = process.now();
        let news = self.watch.take(&api.store(), now);
        let key = Key::new(Kind::Node, "", &self.node);
        if news.iter().any(|change| change.key == key) && matches!(self.network, Network::Kubenet(_)) {
            self.configure(process).await;
        }
        for change in news.iter().filter(|change| change.key.kind == Kind::Pod) {
            match change.object.as_deref() {
                Some(Object::Pod(pod)) => self.take_pod(process, pod).await,
                _ => self.forget(process, &change.key).await,
            }
        }
        if news.iter().any(|change| matches!(change.key.kind, Kind::ConfigMap | Kind::Secret)) {
            self.sandboxes.values_mut().for_each(|sandbox| sandbox.refresh(now));
        }
        self.execute(process);
        self.look_after(process).await;
        // A pod of the node's own may have brought it.
        if !self.network.is_ready() {
            self.configure(process).await;
        }
    }

    /// Sets up the network of pods when what it needs is there, and is ready then.
    async fn configure(&mut self, process: &mut Process) {
        let key = Key::new(Kind::Node, "", &self.node);
        let Some(Object::Node(node)) = self.watch.objects.get(&key).map(|object| &**object) else { return };
        if self.network.is_ready() {
            return;
        }
        self.network.set_up(process, &self.api, node).await;
        if !self.network.is_ready() {
            return;
        }
        let version = self.api.store().config.proxy.as_ref().map(|proxy| proxy.version);
        if version == Some(Version::V1_20) {
            self.firewall(process).await;
        }
        let name = self.node.clone();
        let _ = self.api.change(process, |store, now| {
            store.edit(("", &name), now, |node: &mut Node| {
                let condition = |kind: &str, state: &str, reason: &str, message: &str| NodeCondition {
                    type_: kind.to_owned(),
                    status: state.to_owned(),
                    reason: Some(reason.to_owned()),
                    message: Some(message.to_owned()),
                    last_heartbeat_time: Some(wall_clock(now)),
                    last_transition_time: Some(wall_clock(now)),
                };
                let conditions = node.status.get_or_insert_default().conditions.get_or_insert_default();
                // Others are told by others.
                conditions.retain(|known| known.type_ == "NetworkUnavailable");
                conditions.extend([
                    condition(
                        "MemoryPressure",
                        "False",
                        "KubeletHasSufficientMemory",
                        "kubelet has sufficient memory available",
                    ),
                    condition(
                        "DiskPressure",
                        "False",
                        "KubeletHasNoDiskPressure",
                        "kubelet has no disk pressure",
                    ),
                    condition(
                        "PIDPressure",
                        "False",
                        "KubeletHasSufficientPID",
                        "kubelet has sufficient PID available",
                    ),
                    condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
                ]);
            })
        });
        let message = format!("Node {} status is now: NodeReady", self.node);
        self.tell(process, Happened::normal("NodeReady", &message));
        let waiting: Vec<Pod> = self.own_pods().cloned().collect();
        for pod in waiting {
            self.take_pod(process, &pod).await;
        }
    }

    /// The chains that drop what kube-proxy has marked (`pkg/kubelet/kubelet_network_linux.go`): newer ones do that themselves.
    async fn firewall(&self, process: &mut Process) {
        let dropped = "kubernetes firewall for dropping marked packets";
        let localnet = "block incoming localnet connections";
        for (line, comment, rest) in [
            ("iptables -w -t nat -N KUBE-MARK-DROP", "", ""),
            ("iptables -w -t nat -A KUBE-MARK-DROP", "", "-j MARK --or-mark 0x00008000"),
            ("iptables -w -t filter -N KUBE-FIREWALL", "", ""),
            (
                "iptables -w -t filter -A KUBE-FIREWALL",
                dropped,
                "-m mark --mark 0x00008000/0x00008000 -j DROP",
            ),
            (
                "iptables -w -t filter -A KUBE-FIREWALL",
                localnet,
                "! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
            ),
            ("iptables -w -t filter -I OUTPUT", "", "-j KUBE-FIREWALL"),
            ("iptables -w -t filter -I INPUT", "", "-j KUBE-FIREWALL"),
        ] {
            let mut command = Command::words(line);
            if !comment.is_empty() {
                command.argv.extend(["-m", "comment", "--comment", comment].map(str::to_owned));
            }
            command.argv.extend(Command::words(rest).argv);
            NodeShell { process, api: self.api.clone() }.run(command).await;
        }
    }

    fn own_pods(&self) -> impl Iterator<Item = &Pod> {
        let pods = self.watch.objects.values().filter_map(|object| match &**object {
            Object::Pod(pod) => Some(&**pod),
            _ => None,
        });
        pods.filter(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_ref() == Some(&self.node)))
    }

    /// A pod came or changed.
    async fn take_pod(&mut self, process: &mut Process, pod: &Pod) {
        let spec = pod.spec.clone().unwrap_or_default();
        // A pod with the node's own network needs no other.
        let can_run = self.network.is_ready() || spec.host_network == Some(true);
        if spec.node_name.as_ref() != Some(&self.node) || !can_run {
            return;
        }
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let is_ending = pod.metadata.deletion_timestamp.is_some();
        match self.sandboxes.get_mut(&uid) {
            Some(sandbox) if is_ending => sandbox.end(process, &self.api, pod),
            Some(sandbox) => sandbox.take_pod(process, &self.api, pod),
            None if is_ending => {
                let key = Object::from(pod.clone()).key();
                self.api.change(process, |store, now| store.remove(&key, now));
            }
            None => {
                let sandbox = Sandbox::start(process, &self.api, &mut self.network, pod, &self.address).await;
                self.sandboxes.insert(uid, sandbox);
            }
        }
    }

    /// A pod is gone from the store without its kubelet's doing (`--force`).
    async fn forget(&mut self, process: &mut Process, key: &Key) {
        let uid = self.sandboxes.iter().find(|(_, sandbox)| sandbox.key == *key).map(|(uid, _)| uid.clone());
        if let Some(sandbox) = uid.and_then(|uid| self.sandboxes.remove(&uid)) {
            sandbox.kill();
            sandbox.remove(process, &self.api, &mut self.network).await;
        }
    }

    /// Runs what `kubectl exec` asks for, and tells what has ended.
    fn execute(&mut self, process: &mut Process) {
        for exec in self.api.take_execs(&self.node) {
            let sandbox = self.sandboxes.values().find(|sandbox| sandbox.key == exec.pod);
            let running = sandbox.and_then(|sandbox| {
                let mut all = sandbox.containers.iter();
                let at = all.position(|one| one.spec.name == exec.container && one.program.is_some())?;
                Some((sandbox, at))
            });
            let Some((sandbox, at)) = running else {
                *exec.ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(1);
                continue;
            };
            let mut child = exec.child;
            let variables = sandbox.variables(process, &self.api, at).unwrap_or_default();
            sandbox.enter(&mut child, at, variables.into_iter().rev().flatten().collect());
            sandbox.note_in(process, &self.api, ("kubectl exec", at), child.argv.clone(), None);
            self.execs.push((process.shell.clone().detach(child), exec.ended));
        }
        let mut told = false;
        self.execs.retain(|(exit, ended)| {
            let Some(status) = exit.status() else { return true };
            *ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(status);
            told = true;
            false
        });
        if told {
            process.syscall(|cx| cx.wake_up());
        }
    }

    /// Looks after all pods: what has ended is started again or removed, probes are sent, and the server is told.
    async fn look_after(&mut self, process: &mut Process) {
        let uids: Vec<String> = self.sandboxes.keys().cloned().collect();
        for uid in uids {
            let Some(sandbox) = self.sandboxes.get_mut(&uid) else { continue };
            if sandbox.has_ended() {
                if let Some(sandbox) = self.sandboxes.remove(&uid) {
                    sandbox.remove(process, &self.api, &mut self.network).await;
                    self.api.change(process, |store, now| store.remove(&sandbox.key, now));
                }
                continue;
            }
            sandbox.look_after(process, &self.api, &mut self.network).await;
            let status = status::of(sandbox);
            let place = (sandbox.key.namespace.clone(), sandbox.key.name.clone());
            // The pod may be gone.
            let _ = self.api.change(process, |store, now| {
                store.edit((&place.0, &place.1), now, |pod: &mut Pod| status::write(pod, status, now))
            });
        }
    }
}

/// Brings a node up to what its kubelet found.
fn update(known: &mut Node, found: Node) {
    known.metadata.labels.get_or_insert_default().extend(found.metadata.labels.unwrap_or_default());
    let (status, found) = (known.status.get_or_insert_default(), found.status.unwrap_or_default());
    *status = NodeStatus { conditions: status.conditions.take(), ..found };
}

/// The namespace of a node itself.
const HOST: glassnet_kernel::ids::NetnsId = INIT_NET;

/// Seconds as ns.
fn seconds(count: i64) -> Nanos {
    Nanos(count.max(0) as u64 * 1_000_000_000)
}
