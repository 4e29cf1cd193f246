//! Names in a cluster: an agent on each node that writes what `named` (BIND 9) is to answer, from services and their endpoints.
//!
//! A Deployment `coredns` runs `named` in pods behind the service `kube-dns`, as CoreDNS runs in a real cluster; so a question passes
//! kube-proxy's rules. Zones are those of Kubernetes' DNS specification. Without forwarders there are no other names.
//!
//! | file | owns |
//! |---|---|
//! | `zones.rs` | zone files |
//! | `addon.rs` | the objects: service and Deployment |

mod addon;
mod zones;

pub use addon::objects;

use std::net::Ipv4Addr;

use glassnet_userland::process::{Process, Running};
use glassnet_userland::sock::wall;

use crate::api::{self, ApiServer, Watch};
use crate::command::{Command, NodeShell, Run};
use crate::object::Kind;

/// The domain of the cluster.
pub const DOMAIN: &str = "cluster.local";

/// Where the files are.
const FOLDER: &str = "/run/coredns";

/// The place of the service's address in the range of services.
const PLACE: u64 = 10;

/// The address of the service in a cluster that has one.
pub fn address(config: &crate::config::Config) -> Option<Ipv4Addr> {
    config.dns.as_ref().map(|_| config.services.at(PLACE))
}

/// A file, with the name of its zone.
struct ZoneFile {
    zone: &'static str,
    text: String,
    serial: u32,
}

impl ZoneFile {
    fn path(&self) -> String {
        match self.zone {
            "." => format!("{FOLDER}/root.zone"),
            zone => format!("{FOLDER}/{zone}.zone"),
        }
    }
}

const WATCHED: &[Kind] = &[Kind::EndpointSlice, Kind::Pod, Kind::Service];

/// Entry point of `cluster-dns`.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let api = ApiServer::of(process);
        let config = api.as_ref().map(|api| api.store().config.clone());
        let (Some(api), Some((config, address))) =
            (api, config.and_then(|config| address(&config).map(|address| (config, address))))
        else {
            process.eprint("cluster-dns: this machine is no node of a cluster with DNS\n");
            return 1;
        };
        let forwarders = config.dns.unwrap_or_default().forwarders;
        let mut files: Vec<ZoneFile> = [DOMAIN, "in-addr.arpa"]
            .into_iter()
            .chain(forwarders.is_empty().then_some("."))
            .map(|zone| ZoneFile { zone, text: String::new(), serial: 0 })
            .collect();
        let zones: Vec<(&str, String)> = files.iter().map(|file| (file.zone, file.path())).collect();
        let mut shell = NodeShell { process, api: api.clone() };
        shell.run(Command::words(&format!("mkdir -p {FOLDER}"))).await;
        let mut tee = Command::words(&format!("tee {FOLDER}/named.conf"));
        tee.stdin = zones::configuration(FOLDER, &forwarders, &zones);
        shell.run(tee).await;
        let mut watch = Watch::of(WATCHED);
        loop {
            write(process, &api, &watch, (address, &mut files)).await;
            api::wait(process, &api, &mut watch, None, |_| false).await;
            let now = process.now();
            watch.take(&api.store(), now);
        }
    })
}

/// Writes the files that have changed, and tells the server.
async fn write(
    process: &mut Process,
    api: &std::sync::Arc<ApiServer>,
    watch: &Watch,
    (address, files): (Ipv4Addr, &mut [ZoneFile]),
) {
    let records = zones::Records::of(watch);
    let seconds = (wall(process.now()) / 1_000_000_000) as u32;
    let mut changed = false;
    for file in files {
        let body = match file.zone {
            DOMAIN => records.forward.join(""),
            "." => String::new(),
            _ => records.reverse.join(""),
        };
        if file.serial > 0 && file.text == body {
            continue;
        }
        file.text = body;
        // As CoreDNS does, it counts the time.
        file.serial = seconds.max(file.serial + 1);
        let mut tee = Command::words(&format!("tee {}", file.path()));
        tee.stdin = zones::head(file.zone, file.serial, address) + &file.text;
        NodeShell { process, api: api.clone() }.run(tee).await;
        changed = true;
    }
    if changed {
        // Where no pod runs it, nobody has to be told.
        let argv = ["bash", "-c", "pkill -HUP -x named || true"].map(str::to_owned).to_vec();
        NodeShell { process, api: api.clone() }.run(Command { argv, stdin: String::new() }).await;
    }
}
