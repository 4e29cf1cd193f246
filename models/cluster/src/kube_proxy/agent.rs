//! kube-proxy as a program of its node: it learns of services and endpoints, and syncs at most once a second.
//!
//! Not modelled: what listens ([`Proxier::listeners`]): health checks of load balancers get no answer.

use std::net::Ipv4Addr;
use std::time::Duration;

use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::devinet::dump_addrs;
use glassnet_sim::Nanos;
use glassnet_userland::process::{Process, Running};

use super::{Objects, Proxier};
use crate::api::{self, ApiServer, Watch};
use crate::command::{NodeShell, hostname};
use crate::object::{Kept, Key, Kind};

/// Shortest time between two syncs (`minSyncPeriod`).
const SHORTEST: Nanos = Nanos(1_000_000_000);

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
        config.hostname_override.clone_from(&node);
        let longest = Nanos(config.iptables.sync_period.as_nanos() as u64);
        let mut proxier = match Proxier::new(config) {
            Ok(proxier) => proxier,
            Err(error) => {
                process.eprint(format!("kube-proxy: {error}\n"));
                return 1;
            }
        };
        let (mut watch, mut last, mut is_due) = (Watch::of(WATCHED), None::<Nanos>, false);
        loop {
            let soonest = last.map_or(Nanos::ZERO, |last| last + SHORTEST);
            let again = last.map(|last| last + longest);
            let own = Key::new(Kind::Node, "", &node);
            // Without its node it does not know what is local.
            let deadline = if is_due && watch.objects.contains_key(&own) { Some(soonest) } else { again };
            api::wait(process, &api, &mut watch, deadline, |_| false).await;
            let now = process.now();
            let news = watch.take(&api.store(), now);
            is_due |= news.iter().any(|change| concerns(&change.key, &node));
            is_due |= again.is_some_and(|at| at <= now);
            if !is_due || now < soonest || !watch.objects.contains_key(&own) {
                continue;
            }
            let synced = sync(process, &api, (&mut proxier, &watch), &node).await;
            (last, is_due) = (Some(now), synced.is_err());
            if let Err(error) = synced {
                process.eprint(format!("kube-proxy: {error}\n"));
            }
        }
    })
}

/// Rules depend on it.
fn concerns(key: &Key, node: &str) -> bool {
    matches!(key.kind, Kind::Service | Kind::EndpointSlice) || key.kind == Kind::Node && key.name == node
}

async fn sync(
    process: &mut Process,
    api: &std::sync::Arc<ApiServer>,
    (proxier, watch): (&mut Proxier, &Watch),
    node: &str,
) -> Result<(), super::SyncError> {
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
        services: of_kind(watch).collect(),
        slices: of_kind(watch).collect(),
        node: of_kind::<k8s_openapi::api::core::v1::Node>(watch)
            .find(|known| known.metadata.name.as_deref() == Some(node)),
        addresses: &addresses,
    };
    let mut shell = NodeShell { process, api: api.clone() };
    proxier.sync(&objects, Duration::from_nanos(now.0), &mut shell).await
}

/// The objects of a type that the agent knows.
fn of_kind<T: Kept>(watch: &Watch) -> impl Iterator<Item = &T> {
    let from = Key::new(T::KIND_OF, "", "");
    let of_kind = watch.objects.range(from..).take_while(|(key, _)| key.kind == T::KIND_OF);
    of_kind.filter_map(|(_, object)| T::of(object))
}
