//! Routes to the subnets of other nodes (host-gw and ipip). Those that somebody took away are put back; those that the kernel refused are
//! tried again then, without a word.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::daemon::{Daemon, Level, Route};
use super::subnets::{Event, Lease};

/// Routes are looked at so often.
const PAUSE: Nanos = Nanos(10_000_000_000);

/// Past the tunnel: nodes without a router in between may have routes by the interface.
pub(super) struct Bypass {
    pub device: String,
    pub is_on: bool,
}

/// The running backend.
pub(super) struct RouteNetwork {
    kind: &'static str,
    mtu: u32,
    device: String,
    /// It is a tunnel's. Next hops are taken to be on the device's link then.
    pub bypass: Option<Bypass>,
    routes: Vec<Route>,
    /// When routes are looked at next.
    pub due: Nanos,
}

impl RouteNetwork {
    pub(super) fn new(daemon: &Daemon<'_>, kind: &'static str, mtu: u32, device: &str) -> RouteNetwork {
        let due = daemon.process.now() + PAUSE;
        RouteNetwork { kind, mtu, device: device.to_owned(), bypass: None, routes: Vec::new(), due }
    }

    pub(super) fn mtu(&self) -> u32 {
        self.mtu
    }

    fn route(&self, daemon: &mut Daemon<'_>, lease: &Lease) -> Route {
        let public = lease.attributes.public;
        let mut device = self.device.clone();
        if let Some(bypass) = self.bypass.as_ref().filter(|bypass| bypass.is_on) {
            match daemon.reaches_directly(public) {
                Ok(true) => {
                    let text = format!("configure route to {public} via direct routing");
                    daemon.verbose(2, "ipip.go:115", text);
                    device.clone_from(&bypass.device);
                }
                Ok(false) => {}
                Err(why) => daemon.error("ipip.go:111", why),
            }
        }
        Route { to: lease.subnet, via: Some(public), device }
    }

    fn words(&self, route: &Route) -> String {
        let Route { to, device, .. } = route;
        let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
        let onlink = if self.bypass.is_some() { " onlink" } else { "" };
        format!("{to}{via} dev {device}{onlink}")
    }

    /// Another node came, changed or went.
    pub(super) async fn handle(&mut self, daemon: &mut Daemon<'_>, event: &Event) {
        let (Event::Added(lease) | Event::Removed(lease)) = event;
        let (subnet, kind) = (lease.subnet, &lease.attributes.kind);
        let (public, is_ours) = (lease.attributes.public, kind == self.kind);
        let (place, text) = match event {
            Event::Added(_) => ("86", format!("Subnet added: {subnet} via {public}")),
            Event::Removed(_) => ("120", format!("Subnet removed: {subnet}")),
        };
        daemon.info(&format!("route_network.go:{place}"), text);
        if !is_ours {
            let place = if matches!(event, Event::Added(_)) { "89" } else { "123" };
            let text = format!("Ignoring non-{} subnet: type={kind}", self.kind);
            return daemon.log(Level::Warning, &format!("route_network.go:{place}"), text);
        }
        let route = self.route(daemon, lease);
        match event {
            Event::Added(_) => self.add(daemon, route, public).await,
            Event::Removed(_) => {
                self.routes.retain(|known| *known != route);
                if let Err(why) = daemon.run(&format!("ip route del {}", self.words(&route))).await {
                    let text = format!("Error deleting route to {subnet}: {why}");
                    daemon.error("route_network.go:132", text);
                }
            }
        }
    }

    async fn add(&mut self, daemon: &mut Daemon<'_>, route: Route, public: Ipv4Addr) {
        let to = route.to;
        // Also one that the kernel is about to refuse is tried again.
        if !self.routes.contains(&route) {
            self.routes.push(route.clone());
        }
        let index = daemon.device(&route.device, |dev| dev.ifindex).unwrap_or_default();
        let existing = daemon.routes().into_iter().find(|known| known.to == to);
        match existing {
            Some(existing) if existing == route => {
                let text = format!("Route to {to} via {public} dev index {index} already exists, skipping.");
                return daemon.info("route_network.go:113", text);
            }
            Some(existing) => {
                let old = daemon.device(&existing.device, |dev| dev.ifindex).unwrap_or_default();
                let via = existing.via.map_or("<nil>".to_owned(), |via| via.to_string());
                let text = format!(
                    "Replacing existing route to {to} via {via} dev index {old} with {to} via {public} dev index {index}."
                );
                daemon.log(Level::Warning, "route_network.go:103", text);
                if let Err(why) = daemon.run(&format!("ip route del {}", self.words(&existing))).await {
                    let text = format!("Error deleting route to {to}: {why}");
                    return daemon.error("route_network.go:105", text);
                }
                self.routes.retain(|known| *known != existing);
            }
            None => {}
        }
        if let Err(why) = daemon.run(&format!("ip route add {}", self.words(&route))).await {
            let text = format!("Error adding route to {to} via {public} dev index {index}: {why}");
            daemon.error("route_network.go:115", text);
        }
    }

    /// Puts routes back that are not there, if it is time to look.
    pub(super) async fn keep(&mut self, daemon: &mut Daemon<'_>) {
        if daemon.process.now() < self.due {
            return;
        }
        let known = daemon.routes();
        for route in self.routes.iter().filter(|route| !known.contains(route)) {
            if daemon.run(&format!("ip route add {}", self.words(route))).await.is_ok() {
                let via = route.via.map(|via| via.to_string()).unwrap_or_default();
                daemon.info("route_network.go:193", format_args!("Route recovered {} : {via}", route.to));
            }
        }
        self.due = daemon.process.now() + PAUSE;
    }
}
