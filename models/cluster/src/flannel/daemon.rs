//! What all parts of flanneld use: commands of its node, its log (klog's format), and reads of the kernel's tables.

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::fib_frontend::dump_routes;
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::route_types::{RouteMsg, RouteQuery};
use glassnet_userland::process::Process;
use glassnet_userland::sock;

use crate::api::ApiServer;
use crate::command::{Answer, Command, NodeShell, Run};
use crate::config::Range;
use crate::store::nanoseconds;

/// The table in which routes are by default (RT_TABLE_MAIN).
const MAIN: u32 = 254;

/// How grave a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warning,
    Error,
}

/// A running flanneld.
pub(super) struct Daemon<'a> {
    pub process: &'a mut Process,
    pub api: Arc<ApiServer>,
    /// How much it tells (`-v`).
    pub verbosity: u8,
}

impl Daemon<'_> {
    /// Writes a line of the log, with the place of the real one's text that says it.
    pub(super) fn log(&mut self, level: Level, place: &str, text: impl std::fmt::Display) {
        let letter = match level {
            Level::Info => 'I',
            Level::Warning => 'W',
            Level::Error => 'E',
        };
        let time = nanoseconds(self.process.now());
        let date = k8s_openapi::jiff::Timestamp::from_nanosecond(i128::from(time)).unwrap_or_default();
        let date = date.strftime("%m%d %H:%M:%S.%6f").to_string();
        let line = format!("{letter}{date} {:>7} {place}] {text}\n", self.process.pid);
        self.process.eprint(line);
    }

    pub(super) fn info(&mut self, place: &str, text: impl std::fmt::Display) {
        self.log(Level::Info, place, text);
    }

    /// Writes a line that is there from a verbosity on.
    pub(super) fn verbose(&mut self, from: u8, place: &str, text: impl std::fmt::Display) {
        if self.verbosity >= from {
            self.info(place, text);
        }
    }

    pub(super) fn error(&mut self, place: &str, text: impl std::fmt::Display) {
        self.log(Level::Error, place, text);
    }

    pub(super) async fn answer(&mut self, command: Command) -> Answer {
        NodeShell { process: self.process, api: self.api.clone() }.run(command).await
    }

    /// Runs a command of words between blanks; an error is the kernel's, as Go spells it.
    pub(super) async fn run(&mut self, line: &str) -> Result<(), String> {
        let answer = self.answer(Command::words(line)).await;
        match answer.status {
            0 => Ok(()),
            _ => Err(errno(&answer.stderr)),
        }
    }

    /// The routes of the main table, without those to several next hops.
    pub(super) fn routes(&self) -> Vec<Route> {
        let world = self.process.world();
        let kernel = world.kernel(self.process.machine);
        let all = dump_routes(kernel, INIT_NET).into_iter().filter(|route| route.table == MAIN);
        all.filter_map(|route| {
            let [hop] = route.nexthops.as_slice() else { return None };
            let device = hop.dev.map(|dev| kernel.devs[dev].name.clone());
            Some(Route { to: range(&route), via: hop.via, device: device.unwrap_or_default() })
        })
        .collect()
    }

    /// Reads a device of the node.
    pub(super) fn device<R>(&self, name: &str, look: impl FnOnce(&NetDevice) -> R) -> Option<R> {
        sock::device(self.process, name, look)
    }

    /// The node reaches an address without a gateway.
    pub(super) fn reaches_directly(&self, address: Ipv4Addr) -> Result<bool, String> {
        let query = RouteQuery { dst: address, ..RouteQuery::default() };
        match self.process.syscall(|cx| rtm_getroute(cx, INIT_NET, &query)) {
            Ok(answer) => Ok(answer.via.is_none()),
            Err(error) => {
                let why = error.errno.strerror().to_lowercase();
                Err(format!("couldn't lookup route to {address}: {why}"))
            }
        }
    }

    /// Gives a device this address, and takes others of the network from it.
    pub(super) async fn ensure_address(
        &mut self,
        device: &str,
        address: Ipv4Addr,
        network: Range,
    ) -> Result<(), String> {
        let all = addresses(self.process, device);
        for (other, len) in all.iter().filter(|one| **one != (address, 32) && network.contains(one.0)) {
            self.run(&format!("ip addr del {other}/{len} dev {device}"))
                .await
                .map_err(|why| format!("failed to remove IP address {other}/{len} from {device}: {why}"))?;
            self.info("iface.go:154", format_args!("removed IP address {other}/{len} from {device}"));
        }
        if all.contains(&(address, 32)) {
            return Ok(());
        }
        // A broadcast address of its own keeps netlink's library content; it means nothing.
        self.run(&format!("ip addr add {address}/32 brd {address} dev {device}"))
            .await
            .map_err(|why| format!("failed to add IP address {address}/32 to {device}: {why}"))
    }
}

/// A route of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub to: Range,
    pub via: Option<Ipv4Addr>,
    pub device: String,
}

fn range(route: &RouteMsg) -> Range {
    Range { first: route.dst, len: route.dst_len }
}

/// The IPv4 addresses of a device with their lengths.
fn addresses(process: &Process, device: &str) -> Vec<(Ipv4Addr, u8)> {
    let world = process.world();
    let kernel = world.kernel(process.machine);
    let inet = kernel.dev_by_name(INIT_NET, device).and_then(|dev| kernel.inet.get(dev));
    inet.map_or_else(Vec::new, |inet| inet.addrs.iter().map(|ifa| (ifa.local, ifa.prefix_len)).collect())
}

/// The kernel's error behind what `ip` or `bridge` printed. Their "Error:" is a longer text that the kernel sends with it.
fn errno(stderr: &str) -> String {
    let text = stderr.trim_end();
    if let Some(errno) = text.strip_prefix("RTNETLINK answers: ") {
        return errno.to_lowercase();
    }
    match text {
        "Error: Nexthop has invalid gateway." => "network is unreachable".to_owned(),
        other => other.to_owned(),
    }
}
