//! Kubernetes as far as networks need it. Agents are compilers from objects to commands and configuration files of real programs,
//! which they run in their node's own shell; nothing here touches a packet.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | what a cluster is like |
//! | [`object`] | objects by kind |
//! | [`error`] | errors of the API server |
//! | [`events`] | what components tell of objects |
//! | [`quantity`], [`qos`] | amounts of resources, and what pods ask for |
//! | [`admission`] | what it fills in and checks |
//! | [`store`] | its store |
//! | [`api`] | the API server, as its clients reach it |
//! | [`history`] | objects as they were at any time, for views |
//! | [`command`] | commands that agents run |
//! | [`controllers`] | controllers and the scheduler |
//! | [`dns`] | names of services and pods |
//! | [`flannel`] | a network between nodes, by tunnels or routes |
//! | [`ingress`] | Ingresses |
//! | [`kubelet`] | the kubelet |
//! | [`kube_proxy`] | services as rules of iptables, virtual servers of IPVS, or a proxy |
//! | [`kube_router`] | network policies as rules of iptables and sets of ipset |
//! | [`routes`] | routes between nodes |
//! | [`announce`] | addresses of load balancers, brought to nodes |
//! | [`kubectl`] | `kubectl` |

pub mod admission;
pub mod announce;
pub mod api;
pub mod command;
pub mod config;
pub mod controllers;
pub mod dns;
pub mod error;
pub mod events;
pub mod flannel;
mod hash;
pub mod history;
pub mod ingress;
pub mod kube_proxy;
pub mod kube_router;
pub mod kubectl;
pub mod kubelet;
pub mod object;
pub mod qos;
pub mod quantity;
pub mod routes;
pub mod store;

use std::sync::Arc;

use glassnet_kernel::ids::MachineId;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::process::Program;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use api::ApiServer;
use config::{Announce, Config, Network, PolicyAgent};
use object::{Kept, Kind, Object};

/// The version of Kubernetes.
pub const VERSION: &str = "1.36.2";

/// The programs of a cluster.
#[rustfmt::skip] // One line each, so that they merge.
pub const PROGRAMS: &[Program] = &[
    Program::new("/opt/bin/flanneld", flannel::RELEASE, flannel::main),
    Program::new("/usr/bin/cloud-load-balancer", VERSION, announce::main),
    Program::new("/usr/bin/cloud-route-controller", VERSION, routes::main),
    Program::new("/usr/bin/cluster-dns", VERSION, dns::main),
    Program::new("/usr/bin/kube-controller-manager", VERSION, controllers::manager),
    Program::new("/usr/bin/kube-proxy", VERSION, kube_proxy::agent::main),
    Program::new("/usr/bin/kube-router", kube_router::RELEASE, kube_router::main),
    Program::new("/usr/bin/kube-scheduler", VERSION, controllers::scheduler),
    Program::new("/usr/bin/kubectl", VERSION, kubectl::main),
    Program::new("/usr/bin/kubelet", VERSION, kubelet::main),
    Program::new("/usr/bin/nginx-ingress-controller", ingress::RELEASE, ingress::main),
];

/// Everything that is installed on a machine.
pub fn installed() -> impl Iterator<Item = &'static Program> {
    glassnet_userland::installed().chain(PROGRAMS)
}

/// The installed program of this name, if there is one.
pub fn program(name: &str) -> Option<&'static Program> {
    installed().find(|program| program.name() == name)
}

/// It is the path of a program of the cluster.
fn is_agent(path: &str) -> bool {
    PROGRAMS.iter().any(|program| program.path == path)
}

/// Starts the API server of a cluster in a world whose machines have its nodes' names. Its agents are to be started: see [`daemons`].
pub fn start(world: &mut World, config: Config, seed: u64) {
    let api = Arc::new(ApiServer::new(config, seed));
    {
        let mut store = api.store();
        let first = store.config.services.at(1).to_string();
        let name = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];
        let namespaces =
            namespaces.map(|each| Namespace { metadata: name(each), ..Namespace::default() }.into());
        let dns = dns::address(&store.config).map(dns::objects).unwrap_or_default();
        let ingress = if store.config.ingress {
            ingress::objects(store.config.balancers.is_some())
        } else {
            Vec::new()
        };
        let flannel = store.config.flannel().map(|flannel| flannel::objects(flannel, store.config.pods));
        let addons = flannel.into_iter().flatten().chain(dns).chain(ingress);
        for object in namespaces.into_iter().chain([kubernetes(first).into()]).chain(addons) {
            // An empty store refuses none of them.
            let object: Object = object;
            let _ = store.create(object, Nanos::ZERO);
        }
    }
    api.bind(world);
}

/// The service of the API server itself.
fn kubernetes(address: String) -> Service {
    let labels = [("component", "apiserver"), ("provider", "kubernetes")];
    let port = ServicePort {
        name: Some("https".to_owned()),
        port: 443,
        target_port: Some(IntOrString::Int(6443)),
        ..ServicePort::default()
    };
    Service {
        metadata: ObjectMeta {
            name: Some("kubernetes".to_owned()),
            namespace: Some("default".to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            cluster_ip: Some(address),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The agents to start, in order, each with its machine. The first node is the control plane too.
pub fn daemons(world: &World) -> Vec<(MachineId, &'static str)> {
    let Some(api) = ApiServer::in_world(world) else { return Vec::new() };
    let mut all = Vec::new();
    let config = api.store().config.clone();
    let announce = config.announce.clone();
    let nodes = config.nodes.keys().filter_map(|name| world.machine(name)).collect::<Vec<_>>();
    for (at, node) in nodes.into_iter().enumerate() {
        if at == 0 {
            all.extend([(node, "kube-controller-manager"), (node, "kube-scheduler")]);
        }
        // Their files are there before the kubelet starts a server that reads them.
        all.extend(config.dns.iter().map(|_| (node, "cluster-dns")));
        all.extend(config.ingress.then_some((node, "nginx-ingress-controller")));
        all.push((node, "kubelet"));
        if config.network == Network::Kubenet {
            all.push((node, "cloud-route-controller"));
        }
        all.push((node, "kube-proxy"));
        match config.policy {
            Some(PolicyAgent::KubeRouter) => all.push((node, "kube-router")),
            None => {}
        }
        if announce == Some(Announce::Arp) {
            all.push((node, "cloud-load-balancer"));
        }
    }
    if let Some(Announce::Routes { router }) = &announce {
        all.extend(world.machine(router).map(|router| (router, "cloud-load-balancer")));
    }
    all
}

/// All nodes of the world's cluster that are there from its start are ready, and so is what it came with; also where there is no cluster.
pub fn is_up(world: &World) -> bool {
    let Some(api) = ApiServer::in_world(world) else { return true };
    let store = api.store();
    let has = |node: &Node, kind: &str, state: &str| {
        let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == kind && condition.status == state)
    };
    let is_available = |deployment: &Deployment| {
        deployment.status.as_ref().and_then(|status| status.ready_replicas).is_some_and(|ready| ready > 0)
    };
    // One that ends again and again is as far as it will come.
    let has_restarted = |name: &str| {
        store.in_namespace(Kind::Pod, "kube-system").filter_map(|object| Pod::of(object)).any(|pod| {
            let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            let mut of_flannel = statuses.filter(|status| status.name == "kube-flannel");
            let is_here = pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(name));
            is_here && of_flannel.any(|status| status.restart_count > 0)
        })
    };
    let is_up = |name: &str| {
        store.get::<Node>("", name).is_some_and(|node| {
            let has_network = || has(node, "NetworkUnavailable", "False") || has_restarted(name);
            has(node, "Ready", "True") && (store.config.flannel().is_none() || has_network())
        })
    };
    let first = store.config.nodes.iter().filter(|(_, node)| node.joins == Nanos::ZERO);
    first.map(|(name, _)| name).all(|name| is_up(name)) && store.list::<Deployment>().all(is_available)
}
