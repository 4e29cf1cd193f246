//! `protocol kernel`: routes to and from the kernel's table.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::Cx;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::Kernel;
use glassnet_kernel::net::ipv4::fib_frontend::{dump_routes, rtm_delroute, rtm_newroute};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlError};
use glassnet_kernel::tables::route_types::{
    NexthopMsg, RT_TABLE_MAIN, RTPROT_KERNEL, RouteMsg, RouteType, Scope,
};
use glassnet_sim::Nanos;

use super::config::KernelConfig;
use super::daemon::Daemon;
use super::proto::{Running, State};
use super::route::{Attr, Dest, Hop, Link, Rte, Source};
use super::value::{Net, Value};

/// Who made a route, in the kernel's table: this daemon (`RTPROT_BIRD`).
const RTPROT_BIRD: u8 = 12;

/// Routes between a table and the kernel's.
#[derive(Debug)]
pub struct Krt {
    pub config: KernelConfig,
    /// What the kernel is to have.
    wanted: BTreeMap<Net, Rte>,
    /// What is to be changed there, in order.
    changed: Vec<Net>,
    /// What was given to the kernel.
    installed: BTreeMap<Net, RouteMsg>,
    /// When its table is read again.
    pub scan_at: Option<Nanos>,
    /// The generation of the kernel's tables when they were read last.
    pub generation: Option<u32>,
}

impl Krt {
    pub fn new(config: KernelConfig) -> Krt {
        Krt {
            config,
            wanted: BTreeMap::new(),
            changed: Vec::new(),
            installed: BTreeMap::new(),
            scan_at: None,
            generation: None,
        }
    }

    pub fn start(&mut self) {
        self.scan_at = Some(Nanos::ZERO);
        self.generation = None;
    }

    /// Takes back what was given to the kernel, unless that is to stay.
    pub fn stop(&mut self) {
        self.wanted.clear();
        self.scan_at = None;
        self.changed =
            if self.config.persist { Vec::new() } else { self.installed.keys().copied().collect() };
    }

    /// The kernel is to have this route to a network, or none.
    pub fn want(&mut self, net: Net, rte: Option<Rte>) {
        match rte {
            Some(rte) => _ = self.wanted.insert(net, rte),
            None => _ = self.wanted.remove(&net),
        }
        if !self.changed.contains(&net) {
            self.changed.push(net);
        }
    }

    fn table(&self) -> u32 {
        if self.config.table == 0 { RT_TABLE_MAIN } else { self.config.table }
    }

    /// Gives the kernel what has changed; returns what it refused.
    fn sync(&mut self, cx: &mut Cx, netns: NetnsId) -> Vec<NlError> {
        let mut refused = Vec::new();
        for net in std::mem::take(&mut self.changed) {
            let old = self.installed.remove(&net);
            let new = self.wanted.get(&net).map(|rte| self.message(cx.k, netns, rte));
            let done = match (&old, &new) {
                (Some(_), Some(new)) => rtm_newroute(cx, netns, new, NLM_F_CREATE | NLM_F_REPLACE),
                (None, Some(new)) => rtm_newroute(cx, netns, new, NLM_F_CREATE | NLM_F_EXCL),
                (Some(old), None) => match rtm_delroute(cx, netns, old) {
                    // The kernel took it away itself, with its device.
                    Err(error) if error.errno == Errno::ESRCH => Ok(()),
                    done => done,
                },
                (None, None) => Ok(()),
            };
            match (done, new) {
                (Ok(()), Some(new)) => _ = self.installed.insert(net, new),
                (Err(error), _) => refused.push(error),
                _ => {}
            }
        }
        refused
    }

    /// A route as the kernel is told.
    fn message(&self, kernel: &Kernel, netns: NetnsId, rte: &Rte) -> RouteMsg {
        let hop = |hop: &Hop| NexthopMsg {
            dev: kernel.netns.get(netns).and_then(|space| space.devs.get(&hop.link.index)).copied(),
            via: hop.via,
            weight: hop.weight,
            ..NexthopMsg::default()
        };
        let kind = match rte.dest {
            Dest::Unicast(_) => RouteType::Unicast,
            Dest::Blackhole => RouteType::Blackhole,
            Dest::Unreachable => RouteType::Unreachable,
            Dest::Prohibit => RouteType::Prohibit,
        };
        let is_on_link = matches!(rte.dest.hops(), [hop] if hop.via.is_none());
        // The metric of the protocol; 0: each route's own.
        let priority = match self.config.metric {
            0 => rte.int(Attr::KrtMetric).unwrap_or(0),
            metric => metric,
        };
        RouteMsg {
            table: self.table(),
            kind,
            dst: rte.net.address,
            dst_len: rte.net.len,
            scope: if is_on_link { Scope::LINK } else { Scope::UNIVERSE },
            protocol: RTPROT_BIRD,
            priority,
            prefsrc: rte.address(Attr::KrtPrefsrc),
            nexthops: rte.dest.hops().iter().map(hop).collect(),
            ..RouteMsg::default()
        }
    }

    /// Reads the kernel's table: what is this daemon's and should not be there goes, what is missing comes; returns the routes of others.
    fn scan(&mut self, cx: &mut Cx, netns: NetnsId) -> Vec<RouteMsg> {
        let table = self.table();
        let (own, others): (Vec<RouteMsg>, Vec<RouteMsg>) = dump_routes(cx.k, netns)
            .into_iter()
            .filter(|msg| msg.table == table)
            .partition(|msg| msg.protocol == RTPROT_BIRD);
        let mut seen = Vec::new();
        for msg in own {
            let net = Net::new(msg.dst, msg.dst_len);
            match self.installed.get(&net) {
                Some(known) if known.priority == msg.priority => seen.push(net),
                // A route of an earlier run that is wanted again is replaced, others go.
                _ if self.wanted.contains_key(&net) && msg.priority == self.config.metric => {
                    self.installed.insert(net, msg);
                    self.changed.push(net);
                }
                _ => _ = rtm_delroute(cx, netns, &msg),
            }
        }
        let lost: Vec<Net> = self.installed.keys().filter(|net| !seen.contains(net)).copied().collect();
        for net in lost.into_iter().filter(|net| !self.changed.contains(net)).collect::<Vec<_>>() {
            self.installed.remove(&net);
            self.changed.push(net);
        }
        others
    }
}

/// The next hops of a route of the kernel.
fn hops(kernel: &Kernel, msg: &RouteMsg) -> Option<Vec<Hop>> {
    let hop = |hop: &NexthopMsg| {
        let dev = kernel.devs.get(hop.dev?)?;
        let link = Link { index: dev.ifindex, name: Arc::from(dev.name.as_str()) };
        Some(Hop { via: hop.via.filter(|via| *via != Ipv4Addr::UNSPECIFIED), link, weight: hop.weight })
    };
    msg.nexthops.iter().map(hop).collect()
}

/// A route that somebody else made, as it is learnt.
fn learn(kernel: &Kernel, msg: &RouteMsg, origin: (usize, Arc<str>)) -> Option<Rte> {
    let dest = match msg.kind {
        RouteType::Unicast => Dest::Unicast(hops(kernel, msg)?),
        RouteType::Blackhole => Dest::Blackhole,
        RouteType::Unreachable => Dest::Unreachable,
        RouteType::Prohibit => Dest::Prohibit,
        _ => return None,
    };
    let mut rte = Rte::new(Net::new(msg.dst, msg.dst_len), origin, Source::Inherit, dest);
    rte.attrs.insert(Attr::KrtSource, Value::Int(msg.protocol.into()));
    rte.attrs.insert(Attr::KrtMetric, Value::Int(msg.priority));
    if let Some(address) = msg.prefsrc {
        rte.attrs.insert(Attr::KrtPrefsrc, Value::Ip(address));
    }
    if msg.scope != Scope::UNIVERSE {
        rte.attrs.insert(Attr::KrtScope, Value::Int(msg.scope.0.into()));
    }
    Some(rte)
}

impl Daemon {
    fn krt_mut(&mut self, id: usize) -> Option<&mut Krt> {
        match &mut self.protos[id].running {
            Running::Kernel(krt) => Some(krt),
            _ => None,
        }
    }

    /// Gives the kernel what has changed.
    pub fn krt_sync(&mut self, id: usize, cx: &mut Cx, netns: NetnsId) {
        let Some(krt) = self.krt_mut(id) else { return };
        let refused = krt.sync(cx, netns);
        krt.generation = Some(cx.k.netns[netns].ipv4.fib.generation);
        self.log
            .extend(refused.into_iter().map(|error| format!("<WARN> Netlink: {}", error.errno.strerror())));
    }

    /// Reads the kernel's table, if it is time or the table has changed.
    pub fn krt_scan(&mut self, id: usize, cx: &mut Cx, netns: NetnsId) {
        let (now, is_up) = (self.now, self.protos[id].state == State::Up);
        let generation = cx.k.netns[netns].ipv4.fib.generation;
        let origin = (id, self.protos[id].name.clone());
        let Some(krt) = self.krt_mut(id) else { return };
        let is_due = krt.scan_at.is_some_and(|at| at <= now);
        let learns = krt.config.learn && krt.generation != Some(generation);
        if !is_up || !is_due && !learns {
            return;
        }
        let learn_on = krt.config.learn;
        let others = if is_due {
            krt.scan_at = Some(now + Nanos::from_secs(krt.config.scan_time.max(1).into()));
            krt.scan(cx, netns)
        } else {
            let table = krt.table();
            let is_other = |msg: &RouteMsg| msg.table == table && msg.protocol != RTPROT_BIRD;
            dump_routes(cx.k, netns).into_iter().filter(is_other).collect()
        };
        krt.generation = Some(generation);
        if !learn_on {
            return;
        }
        let mut found: BTreeMap<Net, Rte> = BTreeMap::new();
        for msg in others.iter().filter(|msg| msg.protocol != RTPROT_KERNEL) {
            let Some(rte) = learn(cx.k, msg, origin.clone()) else { continue };
            let metric = |rte: &Rte| rte.int(Attr::KrtMetric);
            if found.get(&rte.net).is_none_or(|known| metric(&rte) < metric(known)) {
                found.insert(rte.net, rte);
            }
        }
        let known: Vec<Net> = self.routes_of(id).iter().map(|rte| rte.net).collect();
        for net in known {
            if !found.contains_key(&net) {
                self.import(id, (net, 0), None);
            }
        }
        for (net, rte) in found {
            let old = self.routes_of(id).into_iter().find(|old| old.net == net);
            if old.is_none_or(|old| {
                old.dest != rte.dest || old.attrs.get(&Attr::KrtMetric) != rte.attrs.get(&Attr::KrtMetric)
            }) {
                self.import(id, (net, 0), Some(rte));
            }
        }
    }
}
