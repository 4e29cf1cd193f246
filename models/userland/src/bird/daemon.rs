//! The daemon: protocols, tables, and how routes go from one to the other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::config::{Config, LimitAction};
use super::iface::Iface;
use super::proto::{Key, Proto, Running, State};
use super::route::{Dest, IGP_METRIC_UNKNOWN, Rte};
use super::table::{Changed, Sessions, Table, merged};
use super::value::Net;

/// All that the daemon knows.
pub struct Daemon {
    pub config: Config,
    pub now: Nanos,
    pub started: Nanos,
    pub reconfigured: Nanos,
    pub router_id: Ipv4Addr,
    pub ifaces: Vec<Iface>,
    pub tables: BTreeMap<String, Table>,
    pub protos: Vec<Proto>,
    /// How the routes of each session are compared.
    pub sessions: Sessions,
    /// Messages that are yet to be logged, each with its class in front.
    pub log: Vec<String>,
    pub shutting_down: bool,
    /// Protocols that are yet to hear of the interfaces.
    pub new_direct: Vec<usize>,
    /// Tables in which recursive next hops may lead elsewhere now.
    stale_tables: BTreeSet<String>,
}

/// What became of a route that was announced to a protocol.
enum Exported {
    /// The protocol does not take it.
    Rejected,
    /// The filter does not let it pass.
    Filtered,
    Accepted(Box<Rte>),
}

impl Daemon {
    pub fn new(config: Config, now: Nanos) -> Daemon {
        let router_id = config.router_id.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mut daemon = Daemon {
            config,
            now,
            started: now,
            reconfigured: now,
            router_id,
            ifaces: Vec::new(),
            tables: BTreeMap::new(),
            protos: Vec::new(),
            sessions: Sessions::new(),
            log: Vec::new(),
            shutting_down: false,
            new_direct: Vec::new(),
            stale_tables: BTreeSet::new(),
        };
        daemon.make_tables();
        for config in daemon.config.protocols.clone() {
            let debug = daemon.config.debug;
            daemon.protos.push(Proto::new(config, debug, now));
        }
        daemon.know_sessions();
        daemon
    }

    /// Tables that the configuration names and that are not there.
    pub fn make_tables(&mut self) {
        for (name, _) in self.config.tables.iter().filter(|(_, is_ip6)| !is_ip6) {
            self.tables.entry(name.clone()).or_default();
        }
    }

    pub fn know_sessions(&mut self) {
        let all = self.protos.iter().enumerate();
        self.sessions = all.filter_map(|(id, proto)| Some((id, proto.bgp()?.config.clone()))).collect();
    }

    /// A message of a protocol that is only for who debugs it.
    pub fn trace(&mut self, id: usize, bit: u8, text: &str) {
        let proto = &self.protos[id];
        if proto.debug.0 & bit != 0 {
            self.log.push(format!("<TRACE> {}: {text}", proto.name));
        }
    }

    pub fn set_state(&mut self, id: usize, state: State) {
        if self.protos[id].state != state {
            self.protos[id].state = state;
            self.protos[id].since = self.now;
            self.trace(id, super::config::Debug::STATES, &format!("State changed to {}", state.word()));
        }
    }

    /// Starts a protocol that is down.
    pub fn start(&mut self, id: usize) {
        if self.protos[id].state != State::Down || self.protos[id].disabled || self.shutting_down {
            return;
        }
        self.trace(id, super::config::Debug::STATES, "Starting");
        self.protos[id].message.clear();
        if self.protos[id].bgp().is_some() {
            self.set_state(id, State::Start);
            self.bgp_start(id);
            return;
        }
        self.set_state(id, State::Up);
        self.channel_up(id);
        match self.protos[id].running {
            // Of interfaces it hears when all have started.
            Running::Direct => self.new_direct.push(id),
            Running::Static => self.static_update(id),
            Running::Kernel(ref mut krt) => krt.start(),
            Running::Device | Running::Bgp(_) => {}
        }
    }

    /// The channel of a protocol is open.
    pub fn channel_up(&mut self, id: usize) {
        let hears = self.protos[id].hears_routes();
        if let Some(channel) = &mut self.protos[id].channel {
            channel.reset();
            (channel.up, channel.wants_feed) = (true, hears);
        }
    }

    /// Stops a protocol: its routes go. It starts again unless it is disabled.
    pub fn stop(&mut self, id: usize) {
        if self.protos[id].state == State::Down {
            return;
        }
        self.bgp_close(id);
        self.close_channel(id);
        if let Running::Kernel(krt) = &mut self.protos[id].running {
            krt.stop();
        }
        self.set_state(id, State::Down);
    }

    /// Routes of the protocol go, and it hears of no others.
    pub fn close_channel(&mut self, id: usize) {
        if let Some(channel) = &mut self.protos[id].channel {
            channel.reset();
        }
        self.flush(id, |_| true);
    }

    /// Takes routes of a protocol out of its table.
    pub fn flush(&mut self, id: usize, goes: impl Fn(&Rte) -> bool) {
        let Some(table) = self.table_of(id) else { return };
        let Some(known) = self.tables.get(&table) else { return };
        let all = known.nets.values().flatten().filter(|rte| rte.proto == id && goes(rte));
        let keys: Vec<Key> = all.map(|rte| (rte.net, rte.path_id)).collect();
        for (net, path_id) in keys {
            self.change(&table, (net, id, path_id), None);
        }
    }

    pub fn table_of(&self, id: usize) -> Option<String> {
        Some(self.protos[id].channel.as_ref()?.config.table.clone())
    }

    /// A protocol's routes in its table.
    pub fn routes_of(&self, id: usize) -> Vec<&Rte> {
        let table = self.table_of(id).and_then(|table| self.tables.get(&table));
        table.map_or_else(Vec::new, |table| {
            table.nets.values().flatten().filter(|rte| rte.proto == id).collect()
        })
    }

    /// Changes a table and tells everybody; false: nothing changed.
    fn change(&mut self, name: &str, key: (Net, usize, u32), new: Option<Rte>) -> bool {
        let Some(table) = self.tables.get_mut(name) else { return false };
        let Some(changed) = table.update(key, new, &self.sessions) else { return false };
        self.stale_tables.insert(name.to_owned());
        self.announce(name, &changed);
        true
    }

    /// A route from a protocol, or its end.
    pub fn import(&mut self, id: usize, (net, path_id): Key, new: Option<Rte>) {
        let Some(table) = self.table_of(id) else { return };
        let (preference, now) = (self.protos[id].preference(), self.now);
        let imported = self.routes_of(id).len();
        let Some(channel) = &mut self.protos[id].channel else { return };
        if !channel.up {
            return;
        }
        let filter = channel.import();
        channel.filtered.remove(&(net, path_id));
        let Some(mut rte) = new else {
            channel.stats.import_withdraws.received += 1;
            let has_changed = self.change(&table, (net, id, path_id), None);
            if let Some(channel) = &mut self.protos[id].channel {
                let counts = &mut channel.stats.import_withdraws;
                *(if has_changed { &mut counts.accepted } else { &mut counts.ignored }) += 1;
            }
            return;
        };
        channel.stats.import_updates.received += 1;
        rte.since = now;
        if rte.preference == 0 {
            rte.preference = preference;
        }
        let before = rte.clone();
        if !filter.passes(&mut rte, &mut self.log) {
            channel.stats.import_updates.filtered += 1;
            if channel.config.keep_filtered {
                channel.filtered.insert((net, path_id), before);
            }
            self.change(&table, (net, id, path_id), None);
            return;
        }
        if self.hits_limit(id, (net, path_id), imported) {
            return;
        }
        let has_changed = self.change(&table, (net, id, path_id), Some(rte));
        if let Some(channel) = &mut self.protos[id].channel {
            let counts = &mut channel.stats.import_updates;
            *(if has_changed { &mut counts.accepted } else { &mut counts.ignored }) += 1;
        }
    }

    /// One more route would be too many; says so, and does what is to be done then.
    fn hits_limit(&mut self, id: usize, key: Key, imported: usize) -> bool {
        let is_known = self.routes_of(id).iter().any(|rte| (rte.net, rte.path_id) == key);
        let Some(channel) = &mut self.protos[id].channel else { return false };
        let Some(limit) = channel.config.import_limit else { return false };
        if is_known || (imported as u64) < u64::from(limit.count) {
            return false;
        }
        let said = std::mem::replace(&mut channel.limited, true);
        let name = self.protos[id].name.clone();
        let action = match limit.action {
            LimitAction::Warn => "warn",
            LimitAction::Block => "block",
            LimitAction::Restart => "restart",
            LimitAction::Disable => "disable",
        };
        if !said {
            let count = limit.count;
            self.log
                .push(format!("<WARN> Protocol {name} hits route import limit ({count}), action: {action}"));
        }
        match limit.action {
            LimitAction::Warn => return false,
            LimitAction::Block => {
                if let Some(channel) = &mut self.protos[id].channel {
                    channel.stats.import_updates.rejected += 1;
                }
            }
            LimitAction::Restart => self.bgp_limit(id, false),
            LimitAction::Disable => self.bgp_limit(id, true),
        }
        true
    }

    fn announce(&mut self, table: &str, changed: &Changed) {
        for id in 0..self.protos.len() {
            let Some(channel) = self.protos[id].channel.as_ref().filter(|channel| channel.up) else {
                continue;
            };
            if channel.config.table != table || !self.protos[id].hears_routes() {
                continue;
            }
            self.notify(id, table, changed);
        }
    }

    /// How many next hops a kernel protocol puts together.
    fn merges(&self, id: usize) -> Option<u32> {
        match &self.protos[id].running {
            Running::Kernel(krt) => krt.config.merge_paths,
            _ => None,
        }
    }

    fn tells_all_paths(&self, id: usize) -> bool {
        self.protos[id].bgp().is_some_and(|bgp| bgp.sends_paths())
    }

    fn notify(&mut self, id: usize, table: &str, changed: &Changed) {
        if self.tells_all_paths(id) {
            let of = |rte: &Rte| path_id_of(rte);
            let number = changed.new.as_ref().or(changed.old.as_ref()).map_or(0, of);
            self.export_one(id, (changed.net, number), changed.new.clone());
            return;
        }
        if let Some(limit) = self.merges(id) {
            let routes = self.tables.get(table).and_then(|table| table.nets.get(&changed.net));
            let best = routes.and_then(|routes| merged(routes, &self.sessions, limit));
            let old =
                self.protos[id].channel.as_ref().and_then(|channel| channel.exported.get(&(changed.net, 0)));
            let is_other = changed.new_best != changed.old_best
                || best.as_ref().map(|rte| &rte.dest) != old.map(|rte| &rte.dest);
            if is_other {
                self.export_one(id, (changed.net, 0), best);
            }
            return;
        }
        if changed.new_best != changed.old_best {
            self.export_one(id, (changed.net, 0), changed.new_best.clone());
        }
    }

    /// All routes of its table for a protocol that has just come up.
    pub fn feed(&mut self, id: usize) {
        let Some(table) = self.table_of(id).filter(|_| self.protos[id].hears_routes()) else { return };
        let nets: Vec<Net> =
            self.tables.get(&table).map_or_else(Vec::new, |t| t.nets.keys().copied().collect());
        let (all, limit) = (self.tells_all_paths(id), self.merges(id));
        for net in nets {
            let routes =
                self.tables.get(&table).and_then(|table| table.nets.get(&net)).cloned().unwrap_or_default();
            if all {
                for rte in routes {
                    self.export_one(id, (net, path_id_of(&rte)), Some(rte));
                }
                continue;
            }
            let best = match limit {
                Some(limit) => merged(&routes, &self.sessions, limit),
                None => routes.into_iter().next(),
            };
            self.export_one(id, (net, 0), best);
        }
    }

    fn export_one(&mut self, id: usize, key: Key, new: Option<Rte>) {
        let exported = new.map(|rte| self.export(id, rte));
        let Some(channel) = &mut self.protos[id].channel else { return };
        let stats = &mut channel.stats;
        let accepted = match exported {
            None => {
                stats.export_withdraws.received += 1;
                None
            }
            Some(exported) => {
                stats.export_updates.received += 1;
                match exported {
                    Exported::Rejected => {
                        stats.export_updates.rejected += 1;
                        None
                    }
                    Exported::Filtered => {
                        stats.export_updates.filtered += 1;
                        None
                    }
                    Exported::Accepted(rte) => Some(*rte),
                }
            }
        };
        match accepted {
            Some(rte) => {
                stats.export_updates.accepted += 1;
                channel.exported.insert(key, rte.clone());
                self.push(id, key, Some(rte));
            }
            None => {
                if channel.exported.remove(&key).is_some() {
                    channel.stats.export_withdraws.accepted += 1;
                    self.push(id, key, None);
                }
            }
        }
    }

    /// What a protocol makes of a route before it is announced; `None`: it does not pass.
    pub fn preview(&mut self, id: usize, rte: Rte) -> Option<Rte> {
        match self.export(id, rte) {
            Exported::Accepted(rte) => Some(*rte),
            Exported::Rejected | Exported::Filtered => None,
        }
    }

    /// The route is one that the filter would decide about.
    pub fn may_export(&self, id: usize, rte: &Rte) -> bool {
        rte.proto != id && self.protos[id].bgp().is_none_or(|bgp| bgp.takes(rte))
    }

    fn export(&mut self, id: usize, mut rte: Rte) -> Exported {
        if !self.may_export(id, &rte) {
            return Exported::Rejected;
        }
        let Some(channel) = &self.protos[id].channel else { return Exported::Rejected };
        let filter = channel.export();
        rte.set_by_filter.clear();
        match filter.passes(&mut rte, &mut self.log) {
            true => Exported::Accepted(Box::new(rte)),
            false => Exported::Filtered,
        }
    }

    /// Tells a protocol of a route that passed.
    fn push(&mut self, id: usize, key: Key, rte: Option<Rte>) {
        match &mut self.protos[id].running {
            Running::Kernel(krt) => krt.want(key.0, rte),
            Running::Bgp(bgp) => bgp.announce(key, rte),
            Running::Device | Running::Direct | Running::Static => {}
        }
    }

    /// Does what is left to do inside: feeds, and next hops that lead elsewhere.
    pub fn settle(&mut self) {
        loop {
            let wants = |proto: &Proto| {
                proto.channel.as_ref().is_some_and(|channel| channel.up && channel.wants_feed)
            };
            if let Some(id) = self.protos.iter().position(wants) {
                if let Some(channel) = &mut self.protos[id].channel {
                    channel.wants_feed = false;
                }
                self.feed(id);
                if let Some(bgp) = self.protos[id].bgp_mut() {
                    bgp.fed();
                }
                continue;
            }
            if self.stale_tables.is_empty() {
                return;
            }
            let stale = std::mem::take(&mut self.stale_tables);
            self.resolve_again(&stale);
        }
    }

    /// The table in which a protocol looks next hops up.
    pub fn igp_table(&self, id: usize) -> String {
        let own = match &self.protos[id].config.kind {
            super::config::Kind::Static { igp_table, .. } => igp_table.clone(),
            _ => self.protos[id].channel.as_ref().and_then(|channel| channel.config.igp_table.clone()),
        };
        own.or_else(|| self.table_of(id)).unwrap_or_default()
    }

    /// Looks recursive next hops up again.
    fn resolve_again(&mut self, stale: &BTreeSet<String>) {
        let names: Vec<String> = self.tables.keys().cloned().collect();
        for name in names {
            let routes = self.tables.get(&name).map(|table| table.nets.values().flatten());
            let recursive: Vec<Rte> =
                routes.into_iter().flatten().filter(|rte| rte.recursive.is_some()).cloned().collect();
            for mut rte in recursive {
                let igp = self.igp_table(rte.proto);
                if stale.contains(&igp) {
                    self.resolve(&mut rte);
                    self.change(&name, (rte.net, rte.proto, rte.path_id), Some(rte));
                }
            }
        }
    }

    /// Looks the next hop of a route up.
    pub fn resolve(&self, rte: &mut Rte) {
        let Some(via) = rte.recursive else { return };
        let found = self.tables.get(&self.igp_table(rte.proto)).map(|table| table.resolve(via));
        (rte.dest, rte.igp_metric) = found.unwrap_or((Dest::Unreachable, IGP_METRIC_UNKNOWN));
    }
}

/// The number of one of several routes to a network, when all are told of.
fn path_id_of(rte: &Rte) -> u32 {
    // Numbers of other daemons mean nothing here; protocols and those numbers together tell routes apart.
    (rte.proto as u32) << 16 | (rte.path_id & 0xffff) | 1 << 31
}
