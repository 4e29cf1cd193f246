//! Kubernetes as far as networks need it. Agents are compilers from objects to commands and configuration files of real programs,
//! which they run in their node's own shell; nothing here touches a packet.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | what a cluster is like |
//! | [`object`] | objects by kind |
//! | [`error`] | errors of the API server |
//! | [`admission`] | what it fills in and checks |
//! | [`store`] | its store |
//! | [`api`] | the API server, as its clients reach it |
//! | [`command`] | commands that agents run |
//! | [`controllers`] | controllers and the scheduler |
//! | [`kubelet`] | the kubelet |
//! | [`routes`] | routes between nodes |
//! | [`kubectl`] | `kubectl` |

pub mod admission;
pub mod api;
pub mod command;
pub mod config;
pub mod controllers;
pub mod error;
pub mod kubectl;
pub mod kubelet;
pub mod object;
pub mod routes;
pub mod store;

use std::sync::Arc;

use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::process::Program;
use k8s_openapi::api::core::v1::{Namespace, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use api::ApiServer;
use config::Config;
use error::ApiError;

/// The version of Kubernetes.
pub const VERSION: &str = "1.36.2";

/// The programs of a cluster.
#[rustfmt::skip] // One line each, so that they merge.
pub const PROGRAMS: &[Program] = &[
    Program::new("/usr/bin/cloud-route-controller", VERSION, routes::main),
    Program::new("/usr/bin/kube-controller-manager", VERSION, controllers::manager),
    Program::new("/usr/bin/kube-scheduler", VERSION, controllers::scheduler),
    Program::new("/usr/bin/kubectl", VERSION, kubectl::main),
    Program::new("/usr/bin/kubelet", VERSION, kubelet::main),
];

/// Everything that is installed on a machine.
pub fn installed() -> impl Iterator<Item = &'static Program> {
    glassnet_userland::installed().chain(PROGRAMS)
}

/// The installed program of this name, if there is one.
pub fn program(name: &str) -> Option<&'static Program> {
    installed().find(|program| program.name() == name)
}

/// A cluster in a world whose machines have its nodes' names: its API server. Its agents are to be started: see [`daemons`].
///
/// # Errors
///
/// What the API server refuses of the first objects.
pub fn start(world: &mut World, config: Config, seed: u64) -> Result<Arc<ApiServer>, ApiError> {
    let api = Arc::new(ApiServer::new(config, seed));
    {
        let mut store = api.store();
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
            store.create(Namespace { metadata, ..Namespace::default() }, Nanos::ZERO)?;
        }
        let first = store.config.services.at(1).to_string();
        store.create(kubernetes(first), Nanos::ZERO)?;
    }
    api.bind(world);
    Ok(api)
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

/// The agents to start on each machine, in order. The first node is the control plane too.
pub fn daemons(config: &Config) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    for (at, name) in config.nodes.keys().enumerate() {
        if at == 0 {
            all.extend([(name.clone(), "kube-controller-manager"), (name.clone(), "kube-scheduler")]);
        }
        all.extend([(name.clone(), "kubelet"), (name.clone(), "cloud-route-controller")]);
    }
    all
}
