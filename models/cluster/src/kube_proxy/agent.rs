//! kube-proxy as a program of its node: it learns of services and endpoints, and syncs at most once a second.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::devinet::dump_addrs;
use glassnet_sim::Nanos;
use glassnet_userland::process::{Process, Running};
use k8s_openapi::api::core::v1::Node;

use super::health::{Health, healthz};
use super::sockets::{self, Shared};
use super::{Objects, Proxier};
use crate::api::{self, ApiServer, Watch};
use crate::command::{NodeShell, hostname};
use crate::object::{Key, Kind};

/// Shortest time between two syncs (`minSyncPeriod`).
const SHORTEST: Nanos = Nanos(1_000_000_000);
/// The taint of a node that the cluster's autoscaler is about to remove.
const REMOVED: &str = "ToBeDeletedByClusterAutoscaler";

const WATCHED: &[Kind] = &[Kind::EndpointSlice, Kind::Node, Kind::Service];

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let (node, api) = (hostname(process), ApiServer::of(process));
        let config = api.as_ref().and_then(|api| api.store().config.proxy.clone());
        let (Some(api), Some(mut config)) = (api, config) else {
            process.eprint("kube-proxy: this machine is no node of a cluster with one\n");
            return 1;
        };
        config.hostname_override = node;
        let shared = Shared::default();
        {
            let (version, started) = (config.version, process.now());
            let mut wanted = sockets::lock(&shared);
            wanted.health = Health { version, started, is_eligible: true, ..Health::default() };
            wanted.listen(vec![healthz()]);
        }
        let proxier = match Proxier::new(config) {
            Ok(proxier) => proxier,
            Err(error) => {
                process.eprint(format!("kube-proxy: {error}\n"));
                return 1;
            }
        };
        let mut thread = process.thread();
        let agent = Agent { proxier, api, watch: Watch::of(WATCHED), shared: shared.clone() };
        let mut agent = pin!(agent.run(process));
        let mut served = pin!(sockets::serve(&mut thread, &shared));
        poll_fn(|cx| {
            let (Poll::Pending, Poll::Pending) = (agent.as_mut().poll(cx), served.as_mut().poll(cx));
            Poll::Pending
        })
        .await
    })
}

struct Agent {
    proxier: Proxier,
    api: Arc<ApiServer>,
    watch: Watch,
    shared: Shared,
}

impl Agent {
    async fn run(mut self, process: &mut Process) -> Infallible {
        let node = hostname(process);
        let own = Key::new(Kind::Node, "", &node);
        let longest = Nanos(self.proxier.sync_period().as_nanos() as u64);
        sockets::lock(&self.shared).health.timeout = longest + longest;
        let (mut last, mut is_due) = (None::<Nanos>, false);
        loop {
            let soonest = last.map_or(Nanos::ZERO, |last| last + SHORTEST);
            let again = last.map(|last| last + longest);
            // Without its node it does not know what is local.
            let deadline =
                if is_due && self.watch.objects.contains_key(&own) { Some(soonest) } else { again };
            api::wait(process, &self.api, &mut self.watch, deadline, |_| false).await;
            let now = process.now();
            let news = self.watch.take(&self.api.store(), now);
            if news.iter().any(|change| concerns(&change.key, &node)) {
                is_due = true;
                sockets::lock(&self.shared).health.queued.get_or_insert(now);
            }
            is_due |= again.is_some_and(|at| at <= now);
            if !is_due || now < soonest || !self.watch.objects.contains_key(&own) {
                continue;
            }
            let synced = self.sync(process, &node).await;
            (last, is_due) = (Some(now), synced.is_err());
            if let Err(error) = synced {
                process.eprint(format!("kube-proxy: {error}\n"));
            }
        }
    }

    async fn sync(&mut self, process: &mut Process, node: &str) -> Result<(), super::SyncError> {
        let now = process.now();
        let addresses: Vec<Ipv4Addr> = {
            let world = process.world();
            let kernel = world.kernel(process.machine);
            let all = dump_addrs(kernel, INIT_NET, now).into_iter();
            all.filter(|address| kernel.devs[address.dev].name != "kube-ipvs0")
                .map(|address| address.local)
                .collect()
        };
        let objects = Objects {
            services: self.watch.all().collect(),
            slices: self.watch.all().collect(),
            node: self.watch.all::<Node>().find(|known| known.metadata.name.as_deref() == Some(node)),
            addresses: &addresses,
        };
        let is_eligible = objects.node.is_some_and(is_eligible);
        let mut shell = NodeShell { process, api: self.api.clone() };
        self.proxier.sync(&objects, Duration::from_nanos(now.0), &mut shell).await?;
        let now = process.now();
        let mut wanted = sockets::lock(&self.shared);
        let listeners = self.proxier.listeners().iter().cloned();
        wanted.listen(listeners.chain([healthz()]).collect());
        let health = &mut wanted.health;
        (health.updated, health.queued, health.is_eligible) = (Some(now), None, is_eligible);
        Ok(())
    }
}

/// Load balancers may send the node new connections: it is not about to be removed.
fn is_eligible(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let is_removed = taints.into_iter().flatten().any(|taint| taint.key == REMOVED);
    !is_removed && node.metadata.deletion_timestamp.is_none()
}

/// Rules depend on it.
fn concerns(key: &Key, node: &str) -> bool {
    matches!(key.kind, Kind::Service | Kind::EndpointSlice) || key.kind == Kind::Node && key.name == node
}
