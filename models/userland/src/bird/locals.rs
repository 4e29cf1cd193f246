//! Routes that this machine makes itself: those of its links, and static ones.

use std::sync::Arc;

use super::config::{Kind, StaticHop, StaticTo};
use super::daemon::Daemon;
use super::filter::Filter;
use super::iface::{Iface, Reach, reach};
use super::proto::{Running, State};
use super::route::{Dest, Hop, Rte, Source};
use super::value::Net;

impl Daemon {
    /// The interfaces may have changed.
    pub fn interfaces(&mut self, ifaces: Vec<Iface>) {
        if self.ifaces == ifaces {
            return;
        }
        self.ifaces = ifaces;
        for id in 0..self.protos.len() {
            match self.protos[id].running {
                Running::Direct => self.direct_update(id),
                Running::Static => self.static_update(id),
                Running::Bgp(_) => self.bgp_interfaces(id),
                Running::Device | Running::Kernel(_) => {}
            }
        }
    }

    /// Protocols that have just started hear of the interfaces.
    pub fn tell_interfaces(&mut self) {
        for id in std::mem::take(&mut self.new_direct) {
            self.direct_update(id);
        }
    }

    /// Makes a protocol's routes those that it has now.
    fn replace(&mut self, id: usize, wanted: Vec<Rte>) {
        let known: Vec<Net> = self.routes_of(id).iter().map(|rte| rte.net).collect();
        for net in known {
            if !wanted.iter().any(|rte| rte.net == net) {
                self.import(id, (net, 0), None);
            }
        }
        for mut rte in wanted {
            let net = rte.net;
            // A route before it may be the way to its next hop.
            self.resolve(&mut rte);
            let old = self.routes_of(id).into_iter().find(|old| old.net == net);
            if old.is_none_or(|old| old.dest != rte.dest || rte.recursive.is_some()) {
                self.import(id, (net, 0), Some(rte));
            }
        }
    }

    /// Routes to the networks of links.
    pub fn direct_update(&mut self, id: usize) {
        let Kind::Direct { interfaces, check_link } = &self.protos[id].config.kind else { return };
        if self.protos[id].state != State::Up {
            return;
        }
        let origin = (id, self.protos[id].name.clone());
        let mut wanted: Vec<Rte> = Vec::new();
        for iface in &self.ifaces {
            let works = iface.is_up() && (!check_link || iface.has_link());
            // Of the loopback only what is no loopback address is of interest.
            if !works || !iface.is_chosen(interfaces) {
                continue;
            }
            for address in &iface.addresses {
                if address.secondary || address.ip.is_loopback() {
                    continue;
                }
                let hop = Hop { via: None, link: iface.link(), weight: 1 };
                let rte = Rte::new(address.net, origin.clone(), Source::Device, Dest::Unicast(vec![hop]));
                if !wanted.iter().any(|known| known.net == rte.net) {
                    wanted.push(rte);
                }
            }
        }
        self.replace(id, wanted);
    }

    /// The next hop of a static route, if it is there.
    pub fn static_hop(&self, hop: &StaticHop, check_link: bool) -> Option<Hop> {
        let iface_of = |name: &str| self.ifaces.iter().find(|iface| *iface.name == *name && iface.is_up());
        let link = match (hop.via, hop.iface.as_deref()) {
            (Some(via), only) => match reach(&self.ifaces, via, only) {
                Reach::On(link) => link,
                Reach::Own | Reach::Nowhere => return None,
            },
            (None, Some(name)) => iface_of(name)?.link(),
            (None, None) => return None,
        };
        if check_link && !iface_of(&link.name)?.has_link() {
            return None;
        }
        Some(Hop { via: hop.via, link, weight: hop.weight })
    }

    /// Static routes.
    pub fn static_update(&mut self, id: usize) {
        let Kind::Static { routes, check_link, .. } = self.protos[id].config.kind.clone() else { return };
        if self.protos[id].state != State::Up {
            return;
        }
        let origin: (usize, Arc<str>) = (id, self.protos[id].name.clone());
        let preference = self.protos[id].preference();
        let mut wanted: Vec<Rte> = Vec::new();
        for route in &routes {
            let (dest, recursive) = match &route.to {
                StaticTo::Special(dest) => (dest.clone(), None),
                StaticTo::Recursive(via) => (Dest::Unreachable, Some(*via)),
                StaticTo::Hops(hops) => {
                    let mut hops: Vec<Hop> =
                        hops.iter().filter_map(|hop| self.static_hop(hop, check_link)).collect();
                    hops.sort();
                    if hops.is_empty() {
                        continue;
                    }
                    (Dest::Unicast(hops), None)
                }
            };
            let mut rte = Rte::new(route.net, origin.clone(), Source::Static, dest);
            rte.recursive = recursive;
            rte.preference = preference;
            if let Some(changes) = &route.changes {
                Filter::Function(changes.clone()).passes(&mut rte, &mut self.log);
            }
            wanted.retain(|known| known.net != rte.net);
            wanted.push(rte);
        }
        self.replace(id, wanted);
    }
}
