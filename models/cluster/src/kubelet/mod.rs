//! The kubelet: it makes the pods of its node, watches their containers, and tells the API server.
//!
//! | file | owns |
//! |---|---|
//! | `kubenet.rs` | the network of a pod |
//! | `images.rs` | the programs that images stand for |
//! | `names.rs` | names in a pod |
//! | `pod.rs` | a pod on its node |
//! | `status.rs` | what the API server is told of a pod |

mod images;
mod kubenet;
mod names;
mod pod;
mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use glassnet_kernel::kernel::INIT_NET;
use glassnet_sim::Nanos;
use glassnet_userland::identity::RELEASE;
use glassnet_userland::process::{Exit, Process, Running};
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::VERSION;
use crate::api::{self, ApiServer, Watch};
use crate::command::{Command, NodeShell, Run, hostname};
use crate::config::{NodeConfig, Range};
use crate::object::{Key, Kind, Object};
use crate::store::wall_clock;

use kubenet::Kubenet;
use pod::Sandbox;

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
        let mut kubelet = Kubelet {
            api,
            node,
            address: config.address.0.to_string(),
            watch: Watch::default(),
            network: Kubenet::default(),
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
    network: Kubenet,
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
            ..NodeSystemInfo::default()
        };
        let status = NodeStatus {
            addresses: Some(addresses.to_vec()),
            node_info: Some(node_info),
            ..NodeStatus::default()
        };
        let metadata =
            ObjectMeta { name: Some(self.node.clone()), labels: Some(labels), ..ObjectMeta::default() };
        let node = Node { metadata, spec: None, status: Some(status) };
        // One of this name that is there already was registered by an earlier start.
        let _ = self.api.change(process, |store, now| store.create(node, now));
    }

    /// Waits until there is something to do, and does it.
    async fn turn(&mut self, process: &mut Process) {
        let deadline = self.sandboxes.values().filter_map(Sandbox::deadline).min();
        let (api, node) = (self.api.clone(), self.node.clone());
        let (sandboxes, execs) = (&self.sandboxes, &self.execs);
        let ended = |_: &mut _| {
            api.has_execs(&node)
                || sandboxes.values().any(Sandbox::has_news)
                || execs.iter().any(|(exit, _)| exit.status().is_some())
        };
        api::wait(process, &api, &self.watch, deadline, ended).await;
        let now = process.now();
        let news = self.watch.take(&api.store(), now);
        if news.iter().any(|change| change.key == Key::new(Kind::Node, "", &self.node)) {
            self.configure(process).await;
        }
        for change in news.iter().filter(|change| change.key.kind == Kind::Pod) {
            match change.object.as_deref() {
                Some(Object::Pod(pod)) => self.take_pod(process, pod).await,
                _ => self.forget(process, &change.key).await,
            }
        }
        self.execute(process);
        self.look_after(process).await;
    }

    /// Sets up the node's network when its range of pods is known, and is ready then.
    async fn configure(&mut self, process: &mut Process) {
        let key = Key::new(Kind::Node, "", &self.node);
        let Some(Object::Node(node)) = self.watch.objects.get(&key).map(|object| &**object) else { return };
        let range = node.spec.as_ref().and_then(|spec| Range::parse(spec.pod_cidr.as_deref()?));
        let Some(range) = range.filter(|_| !self.network.is_configured()) else { return };
        self.network.configure(process, &self.api, range).await;
        let name = self.node.clone();
        let _ = self.api.change(process, |store, now| {
            store.edit(("", &name), now, |node: &mut Node| {
                let condition = NodeCondition {
                    type_: "Ready".to_owned(),
                    status: "True".to_owned(),
                    reason: Some("KubeletReady".to_owned()),
                    message: Some("kubelet is posting ready status".to_owned()),
                    last_transition_time: Some(wall_clock(now)),
                    ..NodeCondition::default()
                };
                node.status.get_or_insert_default().conditions = Some(vec![condition]);
            })
        });
        let waiting: Vec<Pod> = self.own_pods().cloned().collect();
        for pod in waiting {
            self.take_pod(process, &pod).await;
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
        if spec.node_name.as_ref() != Some(&self.node) || !self.network.is_configured() {
            return;
        }
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let is_ending = pod.metadata.deletion_timestamp.is_some();
        match self.sandboxes.get_mut(&uid) {
            Some(sandbox) if is_ending => sandbox.end(process, &self.api, pod),
            Some(_) => {}
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
        let uid = self.sandboxes.iter().find(|(_, sandbox)| sandbox.pod == *key).map(|(uid, _)| uid.clone());
        if let Some(sandbox) = uid.and_then(|uid| self.sandboxes.remove(&uid)) {
            sandbox.kill();
            sandbox.remove(process, &self.api, &mut self.network).await;
        }
    }

    /// Runs what `kubectl exec` asks for, and tells what has ended.
    fn execute(&mut self, process: &mut Process) {
        for exec in self.api.take_execs(&self.node) {
            let sandbox = self.sandboxes.values().find(|sandbox| sandbox.pod == exec.pod);
            let Some(sandbox) = sandbox else {
                *exec.ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(1);
                continue;
            };
            let mut child = exec.child;
            sandbox.enter(&mut child);
            sandbox.note(process, &self.api, "kubectl exec", child.argv.clone(), None);
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
                    self.api.change(process, |store, now| store.remove(&sandbox.pod, now));
                }
                continue;
            }
            sandbox.look_after(process, &self.api).await;
            let status = status::of(sandbox, &self.address);
            let place = (sandbox.pod.namespace.clone(), sandbox.pod.name.clone());
            // The pod may be gone.
            let _ = self.api.change(process, |store, now| {
                store.edit((&place.0, &place.1), now, |pod: &mut Pod| status::write(pod, status, now))
            });
        }
    }
}

/// The namespace of a node itself.
const HOST: glassnet_kernel::ids::NetnsId = INIT_NET;

/// Seconds as ns.
fn seconds(count: i64) -> Nanos {
    Nanos(count.max(0) as u64 * 1_000_000_000)
}
