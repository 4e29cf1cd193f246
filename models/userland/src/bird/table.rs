//! A routing table: all routes to each network, and which is the best.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::config::BgpConfig;
use super::route::{Attr, Dest, Hop, IGP_METRIC_UNKNOWN, Rte, Source};
use super::value::{Net, Value, members, path_len};

/// What changed for a network.
#[derive(Clone, Debug)]
pub struct Changed {
    pub net: Net,
    /// The best route before and now.
    pub old_best: Option<Rte>,
    pub new_best: Option<Rte>,
    /// The route that came or went.
    pub old: Option<Rte>,
    pub new: Option<Rte>,
}

/// How the routes of each session are compared: its configuration, by the number of its protocol.
pub type Sessions = BTreeMap<usize, BgpConfig>;

/// A routing table. Of the routes to a network the first is the best.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub nets: BTreeMap<Net, Vec<Rte>>,
}

impl Table {
    /// A route of a protocol comes, changes or goes; `None`: nothing changes.
    pub fn update(
        &mut self,
        (net, proto, path_id): (Net, usize, u32),
        new: Option<Rte>,
        sessions: &Sessions,
    ) -> Option<Changed> {
        let routes = self.nets.entry(net).or_default();
        let at = routes.iter().position(|rte| rte.proto == proto && rte.path_id == path_id);
        let old_best = routes.first().cloned();
        let old = at.map(|at| routes.remove(at));
        match (&old, &new) {
            (None, None) => {
                if routes.is_empty() {
                    self.nets.remove(&net);
                }
                return None;
            }
            (Some(old), Some(new)) if old.is_same(new) => {
                routes.insert(at.unwrap_or(0), old.clone());
                return None;
            }
            _ => {}
        }
        if let Some(new) = new.clone() {
            routes.insert(at.unwrap_or(routes.len()).min(routes.len()), new);
        }
        elect(routes, sessions);
        let new_best = routes.first().cloned();
        if routes.is_empty() {
            self.nets.remove(&net);
        }
        Some(Changed { net, old_best, new_best, old, new })
    }

    /// The most specific network that has this address, with its best route.
    pub fn lookup(&self, address: Ipv4Addr, is_wanted: impl Fn(&Rte) -> bool) -> Option<&Rte> {
        (0..=32).rev().find_map(|len| {
            let routes = self.nets.get(&Net::new(address, len))?;
            routes.first().filter(|rte| is_wanted(rte))
        })
    }

    /// What a next hop resolves to, and the metric of its route.
    pub fn resolve(&self, via: Ipv4Addr) -> (Dest, u32) {
        let Some(rte) = self.lookup(via, |rte| rte.recursive.is_none()) else {
            return (Dest::Unreachable, IGP_METRIC_UNKNOWN);
        };
        let metric = if rte.source == Source::Device { 0 } else { IGP_METRIC_UNKNOWN };
        let Dest::Unicast(hops) = &rte.dest else { return (rte.dest.clone(), metric) };
        // What is on the link is reached by its own address.
        let direct = |hop: &Hop| Hop { via: Some(hop.via.unwrap_or(via)), ..hop.clone() };
        (Dest::Unicast(hops.iter().map(direct).collect()), metric)
    }
}

/// Puts the best route first.
pub fn elect(routes: &mut Vec<Rte>, sessions: &Sessions) {
    let Some(mut best) = routes.first() else { return };
    let mut at = 0;
    for (other, rte) in routes.iter().enumerate().skip(1) {
        if is_better(rte, best, sessions) {
            (best, at) = (rte, other);
        }
    }
    let best = routes.remove(at);
    routes.insert(0, best);
}

fn is_better(new: &Rte, old: &Rte, sessions: &Sessions) -> bool {
    if new.preference != old.preference {
        return new.preference > old.preference;
    }
    match (new.source, old.source) {
        (Source::Bgp, Source::Bgp) => bgp_order(new, old, sessions, true) == Ordering::Greater,
        _ => false,
    }
}

/// How good a route of a session is beside another; without `ids` as far as several can be used at once.
fn bgp_order(a: &Rte, b: &Rte, sessions: &Sessions, ids: bool) -> Ordering {
    let config = |rte: &Rte| sessions.get(&rte.proto);
    let (Some(of_a), Some(of_b)) = (config(a), config(b)) else { return Ordering::Equal };
    let lower = |x: u32, y: u32| y.cmp(&x);
    let resolved = |rte: &Rte| rte.dest != Dest::Unreachable;
    let number = |rte: &Rte, attr, default| rte.int(attr).unwrap_or(default);
    let by_path = || match of_a.path_metric || of_b.path_metric {
        true => path_len(b.path()).cmp(&path_len(a.path())),
        false => Ordering::Equal,
    };
    // A MED is its AS's own: that of another says nothing.
    let by_med = || {
        let first = |rte: &Rte| members(rte.path()).first().copied();
        let comparable = of_a.med_metric || of_b.med_metric || first(a) == first(b);
        match comparable {
            true => lower(number(a, Attr::Med, of_a.default_med), number(b, Attr::Med, of_b.default_med)),
            false => Ordering::Equal,
        }
    };
    let internal = |rte: &Rte| u32::from(rte.peer.is_some_and(|peer| peer.internal));
    let by_igp = || match of_a.igp_metric || of_b.igp_metric {
        true => lower(a.igp_metric, b.igp_metric),
        false => Ordering::Equal,
    };
    let order = resolved(a)
        .cmp(&resolved(b))
        .then_with(|| {
            let local = |rte: &Rte, of: &BgpConfig| number(rte, Attr::LocalPref, of.default_local_pref);
            local(a, of_a).cmp(&local(b, of_b))
        })
        .then_with(by_path)
        .then_with(|| lower(number(a, Attr::Origin, 2), number(b, Attr::Origin, 2)))
        .then_with(by_med)
        .then_with(|| lower(internal(a), internal(b)))
        .then_with(by_igp);
    if !ids {
        return order;
    }
    let id = |rte: &Rte| {
        let peer = rte.peer.map_or(Ipv4Addr::UNSPECIFIED, |peer| peer.id);
        rte.address(Attr::OriginatorId).unwrap_or(peer).to_bits()
    };
    let clusters = |rte: &Rte| match rte.attrs.get(&Attr::ClusterList) {
        Some(Value::Clusters(all)) => all.len() as u32,
        _ => 0,
    };
    let address = |rte: &Rte| rte.peer.map_or(0, |peer| peer.address.to_bits());
    order
        .then_with(|| if of_a.prefer_older { Ordering::Equal } else { lower(id(a), id(b)) })
        .then_with(|| lower(clusters(a), clusters(b)))
        .then_with(|| lower(address(a), address(b)))
        .then_with(|| lower(a.path_id, b.path_id))
}

/// The best route with the next hops of all that are as good, at most `limit` (`merge paths`).
pub fn merged(routes: &[Rte], sessions: &Sessions, limit: u32) -> Option<Rte> {
    let best = routes.first()?;
    let mut merged = best.clone();
    let Dest::Unicast(hops) = &mut merged.dest else { return Some(merged) };
    for other in &routes[1..] {
        let is_as_good = other.preference == best.preference
            && other.source == Source::Bgp
            && best.source == Source::Bgp
            && bgp_order(best, other, sessions, false) == Ordering::Equal;
        if is_as_good {
            hops.extend(other.dest.hops().iter().filter(|hop| !best.dest.hops().contains(hop)).cloned());
        }
    }
    hops.sort();
    hops.dedup();
    hops.truncate(limit as usize);
    Some(merged)
}
