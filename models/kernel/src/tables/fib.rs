//! The routing tables of a network namespace, and the `fib_info`s that their entries share.
//!
//! Kernel: net/ipv4/fib_semantics.c (`struct fib_info`), net/ipv4/fib_frontend.c (`fib_get_table`)

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::ids::DevId;
use crate::tables::fib_rules::{FibRules, Verdict};
use crate::tables::fib_trie::{FibResult, FibRow, FibTrie, Flow, fib_table_lookup};
use crate::tables::ip_tunnel::IpTunnelInfo;
use crate::tables::route_types::{
    Metrics, NexthopMsg, RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTNH_F_DEAD, RTNH_F_LINKDOWN,
    RTNH_F_ONLINK, RouteMsg, RouteType, Scope,
};

/// Handle of a [`FibInfo`] of a namespace: one more than its place in the table, so that none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FibInfoId(NonZeroU32);

impl FibInfoId {
    fn at(place: usize) -> FibInfoId {
        FibInfoId(NonZeroU32::MIN.saturating_add(place as u32))
    }

    #[inline]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A next hop (`struct fib_nh`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibNh {
    /// The output device; none for blackhole, unreachable and prohibit routes.
    pub dev: Option<DevId>,
    /// The gateway; `0.0.0.0`: directly connected.
    pub gateway: Ipv4Addr,
    /// RTNH_F_*.
    pub flags: u32,
    /// Weight, 1 to 256.
    pub weight: u16,
    /// Scope of the gateway.
    pub scope: Scope,
    /// `ignore_routes_with_linkdown` is set on the device.
    pub ignore_linkdown: bool,
    /// Upper bound of this next hop's share of the multipath hash, 31 bits; -1: none.
    pub upper_bound: i32,
    /// What it tells a tunnel's device to write into the outer headers.
    pub lwtstate: Option<Arc<IpTunnelInfo>>,
}

/// Properties shared by routes (`struct fib_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibInfo {
    /// Next hops; a single empty one for blackhole, unreachable and prohibit.
    pub nexthops: Vec<FibNh>,
    /// The table requested at creation.
    pub table: u32,
    /// Priority (metric).
    pub priority: u32,
    /// Preferred source address, `0.0.0.0` if none.
    pub prefsrc: Ipv4Addr,
    /// Scope.
    pub scope: Scope,
    /// Type.
    pub kind: RouteType,
    /// Originating protocol (RTPROT_*).
    pub protocol: u8,
    /// RTNH_F_DEAD or RTNH_F_LINKDOWN, if all next hops have it.
    pub flags: u32,
    /// Metrics.
    pub metrics: Metrics,
}

impl FibInfo {
    /// The first next hop that is usable for `flow` (`fib_lookup_good_nhc`).
    #[inline]
    pub fn good_nexthop(&self, flow: &Flow) -> Option<u16> {
        if self.flags & RTNH_F_DEAD != 0 {
            return None;
        }
        let good = |nh: &FibNh| {
            nh.flags & RTNH_F_DEAD == 0
                && !(nh.flags & RTNH_F_LINKDOWN != 0 && nh.ignore_linkdown && !flow.ignore_linkstate)
                && (flow.oif.is_none() || flow.oif == nh.dev)
        };
        self.nexthops.iter().position(good).map(|at| at as u16)
    }

    /// Equality for sharing (`fib_find_info`): link state is not compared.
    fn same(&self, other: &FibInfo) -> bool {
        let state = RTNH_F_DEAD | RTNH_F_LINKDOWN;
        let same_nh = |(a, b): (&FibNh, &FibNh)| {
            a.dev == b.dev
                && a.gateway == b.gateway
                && a.scope == b.scope
                && a.weight == b.weight
                && (a.flags ^ b.flags) & !state == 0
                && a.lwtstate == b.lwtstate
        };
        self.protocol == other.protocol
            && self.scope == other.scope
            && self.prefsrc == other.prefsrc
            && self.priority == other.priority
            && self.kind == other.kind
            && self.table == other.table
            && self.metrics == other.metrics
            && (self.flags ^ other.flags) & !state == 0
            && self.nexthops.len() == other.nexthops.len()
            && self.nexthops.iter().zip(&other.nexthops).all(same_nh)
    }

    /// Distributes the multipath hash by weight over the usable next hops (`fib_rebalance`).
    pub fn rebalance(&mut self) {
        let works = |nh: &FibNh| {
            nh.flags & RTNH_F_DEAD == 0 && !(nh.flags & RTNH_F_LINKDOWN != 0 && nh.ignore_linkdown)
        };
        let total: u64 = self.nexthops.iter().filter(|nh| works(nh)).map(|nh| u64::from(nh.weight)).sum();
        let mut sum = 0;
        for nh in &mut self.nexthops {
            nh.upper_bound = if works(nh) {
                sum += u64::from(nh.weight);
                // As in the kernel: rounds to nearest, 31 bits.
                ((((sum << 31) + total / 2) / total) as i64 - 1) as i32
            } else {
                -1
            };
        }
    }

    /// Sets the route's flags from those of its next hops.
    pub fn summarise(&mut self) {
        for flag in [RTNH_F_DEAD, RTNH_F_LINKDOWN] {
            let all = !self.nexthops.is_empty() && self.nexthops.iter().all(|nh| nh.flags & flag != 0);
            self.flags = if all { self.flags | flag } else { self.flags & !flag };
        }
        self.rebalance();
    }
}

#[derive(Clone, Debug)]
struct Held {
    info: FibInfo,
    routes: u32,
}

/// The refcounted `fib_info`s of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Infos {
    slots: Vec<Option<Held>>,
    free: Vec<FibInfoId>,
}

impl Infos {
    /// The `fib_info` of a valid handle.
    #[inline]
    pub fn get(&self, id: FibInfoId) -> &FibInfo {
        match &self.slots[id.index()] {
            Some(held) => &held.info,
            None => unreachable!("a table holds its route contents"),
        }
    }

    /// The `fib_info` of a handle that may be out of date.
    pub fn find(&self, id: FibInfoId) -> Option<&FibInfo> {
        self.slots.get(id.index())?.as_ref().map(|held| &held.info)
    }

    /// Finds an equal `fib_info` or inserts this one, and takes a reference.
    pub fn hold(&mut self, info: FibInfo) -> FibInfoId {
        let same = |slot: &Option<Held>| slot.as_ref().is_some_and(|held| held.info.same(&info));
        // Routes are often added in bulk: the newest entry is the likeliest match.
        let found = self.slots.iter().rposition(same);
        let at = match found {
            Some(at) => at,
            None => match self.free.pop() {
                Some(id) => id.index(),
                None => {
                    self.slots.push(None);
                    self.slots.len() - 1
                }
            },
        };
        match &mut self.slots[at] {
            Some(held) => held.routes += 1,
            slot => *slot = Some(Held { info, routes: 1 }),
        }
        FibInfoId::at(at)
    }

    /// Drops a reference.
    pub fn release(&mut self, id: FibInfoId) {
        let slot = &mut self.slots[id.index()];
        if let Some(held) = slot {
            held.routes -= 1;
            if held.routes == 0 {
                *slot = None;
                self.free.push(id);
            }
        }
    }

    /// Applies `change` to every `fib_info`.
    pub fn for_each(&mut self, mut change: impl FnMut(&mut FibInfo)) {
        for held in self.slots.iter_mut().flatten() {
            change(&mut held.info);
        }
    }
}

/// Why a FIB look-up failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// No table has a matching route (ENETUNREACH).
    Unreachable,
    /// A route or rule of type blackhole (EINVAL), unreachable (EHOSTUNREACH) or prohibit (EACCES) matched.
    Refused(RouteType),
}

impl NoRoute {
    /// The error that the sender gets.
    pub fn errno(self) -> crate::netlink::Errno {
        use crate::netlink::Errno;
        match self {
            NoRoute::Refused(RouteType::Blackhole) => Errno::EINVAL,
            NoRoute::Refused(RouteType::Unreachable) => Errno::EHOSTUNREACH,
            NoRoute::Refused(RouteType::Prohibit) => Errno::EACCES,
            _ => Errno::ENETUNREACH,
        }
    }
}

/// What a look-up went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Searched {
    /// How many tables.
    pub tables: u32,
    /// How often their sizes are [doubled](FibTrie::doublings).
    pub doublings: u32,
}

impl Searched {
    fn count(&mut self, trie: &FibTrie) {
        self.tables += 1;
        self.doublings += trie.doublings();
    }
}

/// The routing tables of a namespace.
#[derive(Clone, Debug)]
pub struct Fib {
    tables: BTreeMap<u32, FibTrie>,
    main: FibTrie,
    /// Tables are created on first use; look-ups skip those that do not exist.
    main_exists: bool,
    /// The trie of main; shared with local until a policy rule is added.
    merged: bool,
    /// Shared route properties.
    pub infos: Infos,
    /// Policy rules.
    pub rules: FibRules,
    /// A local route was added by a user, so source validation does a FIB look-up
    /// (`fib_has_custom_local_routes`).
    pub custom_local_routes: bool,
    /// Generation counter, to invalidate cached routes (`rt_genid`).
    pub generation: u32,
}

impl Default for Fib {
    fn default() -> Self {
        Fib {
            tables: BTreeMap::new(),
            main: FibTrie::default(),
            main_exists: false,
            merged: true,
            infos: Infos::default(),
            rules: FibRules::default(),
            custom_local_routes: false,
            generation: 0,
        }
    }
}

impl Fib {
    fn trie_of(&self, table: u32) -> Option<&FibTrie> {
        match table {
            RT_TABLE_MAIN => self.main_exists.then_some(&self.main),
            RT_TABLE_LOCAL if self.merged => self.main_exists.then_some(&self.main),
            other => self.tables.get(&other),
        }
    }

    fn trie_mut(&mut self, table: u32) -> &mut FibTrie {
        match table {
            RT_TABLE_MAIN => &mut self.main,
            RT_TABLE_LOCAL if self.merged => &mut self.main,
            other => self.tables.entry(other).or_default(),
        }
    }

    /// The table exists (`fib_get_table`).
    pub fn has_table(&self, table: u32) -> bool {
        self.trie_of(table).is_some()
    }

    /// Creates the table if it does not exist (`fib_new_table`).
    pub fn new_table(&mut self, table: u32) {
        self.main_exists |= matches!(table, RT_TABLE_MAIN | RT_TABLE_LOCAL);
        self.trie_mut(table);
    }

    /// Splits the local table off into a trie of its own (`fib_unmerge`).
    pub fn unmerge(&mut self) {
        if self.merged {
            let local = self.main.split_off(RT_TABLE_LOCAL);
            self.tables.insert(RT_TABLE_LOCAL, local);
            self.merged = false;
        }
    }

    /// Inserts a route into its table.
    ///
    /// # Errors
    ///
    /// [`InsertError`](crate::tables::fib_trie::InsertError), depending on the NLM_F_* `flags`.
    pub fn insert(
        &mut self,
        (prefix, len, tos): (Ipv4Addr, u8, u8),
        info: FibInfo,
        table: u32,
        flags: u16,
    ) -> Result<(), crate::tables::fib_trie::InsertError> {
        use crate::tables::fib_trie::{FibAlias, Inserted};
        let (priority, kind) = (info.priority, info.kind);
        let info = self.infos.hold(info);
        let alias = FibAlias { info, table, priority, kind, tos };
        self.main_exists |= matches!(table, RT_TABLE_MAIN | RT_TABLE_LOCAL);
        let done = self.trie_mut(table).insert(prefix, len, alias, flags);
        match done {
            Ok(Inserted::Added) => {}
            Ok(Inserted::Replaced(old)) => self.infos.release(old),
            Ok(Inserted::Unchanged) | Err(_) => self.infos.release(info),
        }
        self.generation += 1;
        done.map(|_| ())
    }

    /// Deletes the first route of (prefix, length, TOS) whose `fib_info` `matches`; false if there is none.
    pub fn remove(
        &mut self,
        (prefix, len, tos): (Ipv4Addr, u8, u8),
        table: u32,
        matches: impl Fn(&FibInfo) -> bool,
    ) -> bool {
        if !self.has_table(table) {
            return false;
        }
        let mut trie = std::mem::take(self.trie_mut(table));
        let removed = trie.remove(prefix, len, |alias| {
            alias.table == table && alias.tos == tos && matches(self.infos.get(alias.info))
        });
        *self.trie_mut(table) = trie;
        if let Some(alias) = removed {
            self.infos.release(alias.info);
            self.generation += 1;
        }
        removed.is_some()
    }

    /// Deletes the routes whose next hops are all dead (`fib_flush`).
    pub fn flush_dead(&mut self) {
        let infos = &mut self.infos;
        for trie in std::iter::once(&mut self.main).chain(self.tables.values_mut()) {
            for row in trie.remove_all(|row| infos.get(row.alias.info).flags & RTNH_F_DEAD != 0) {
                infos.release(row.alias.info);
            }
        }
        self.generation += 1;
    }

    /// Longest-prefix match in one table. While local and main share a trie, either name finds the routes of
    /// both.
    #[inline]
    pub fn lookup_table(&self, table: u32, flow: &Flow) -> Option<Result<FibResult, RouteType>> {
        let trie = self.trie_of(table)?;
        fib_table_lookup(trie, &self.infos, flow)
    }

    /// Route look-up by policy rules, or in local, main and default if there are no custom rules
    /// (`fib_lookup`).
    ///
    /// # Errors
    ///
    /// [`NoRoute`]: no table has a matching route, or a route or rule refuses.
    #[inline]
    pub fn lookup(&self, flow: &Flow, searched: &mut Searched) -> Result<FibResult, NoRoute> {
        if !self.rules.custom {
            for table in [RT_TABLE_MAIN, RT_TABLE_DEFAULT] {
                let Some(trie) = self.trie_of(table) else { continue };
                searched.count(trie);
                match self.lookup_table(table, flow) {
                    None | Some(Err(RouteType::Throw)) => {}
                    Some(Ok(found)) => return Ok(found),
                    Some(Err(kind)) => return Err(NoRoute::Refused(kind)),
                }
            }
            return Err(NoRoute::Unreachable);
        }
        self.lookup_by_rules(flow, searched)
    }

    fn lookup_by_rules(&self, flow: &Flow, searched: &mut Searched) -> Result<FibResult, NoRoute> {
        let mut at = 0;
        while let Some((index, verdict)) = self.rules.next_match(at, flow) {
            at = index + 1;
            match verdict {
                Verdict::Table(table, suppress) => {
                    let Some(trie) = self.trie_of(table) else { continue };
                    searched.count(trie);
                    match self.lookup_table(table, flow) {
                        Some(Ok(found)) if suppress.is_some_and(|len| found.len <= len) => {}
                        Some(Ok(found)) => return Ok(found),
                        None | Some(Err(RouteType::Throw)) => {}
                        Some(Err(kind)) => return Err(NoRoute::Refused(kind)),
                    }
                }
                Verdict::Jump(to) => at = to,
                Verdict::Next => {}
                Verdict::Refuse(RouteType::Unreachable) => return Err(NoRoute::Unreachable),
                Verdict::Refuse(kind) => return Err(NoRoute::Refused(kind)),
            }
        }
        Err(NoRoute::Unreachable)
    }

    /// Every route, in the order of a dump of all tables: tables by hash bucket (number modulo 256).
    pub fn rows(&self) -> Vec<FibRow> {
        let mut ids: Vec<u32> = self.tables.keys().copied().chain([RT_TABLE_MAIN]).collect();
        if self.merged {
            ids.push(RT_TABLE_LOCAL);
        }
        ids.sort_unstable_by_key(|id| (id & 0xff, u32::MAX - id));
        ids.into_iter().flat_map(|id| self.table_rows(id)).collect()
    }

    /// The routes of one table, in dump order.
    pub fn table_rows(&self, table: u32) -> Vec<FibRow> {
        let Some(trie) = self.trie_of(table) else { return Vec::new() };
        let mut rows = trie.rows();
        rows.retain(|row| row.alias.table == table);
        rows
    }

    /// A table entry as the RTM_NEWROUTE message that creates it.
    pub fn message(&self, row: &FibRow) -> RouteMsg {
        let info = self.infos.get(row.alias.info);
        let nexthop = |nh: &FibNh| {
            let is_ignored = nh.flags & RTNH_F_LINKDOWN != 0 && nh.ignore_linkdown;
            let flags = nh.flags | if is_ignored { RTNH_F_DEAD } else { 0 };
            NexthopMsg {
                dev: nh.dev,
                via: (!nh.gateway.is_unspecified()).then_some(nh.gateway),
                weight: nh.weight,
                flags: flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_ONLINK),
                encap: nh.lwtstate.as_ref().map(|state| state.key),
            }
        };
        RouteMsg {
            table: row.alias.table,
            kind: row.alias.kind,
            dst: row.prefix,
            dst_len: row.len,
            tos: row.alias.tos,
            scope: info.scope,
            protocol: info.protocol,
            priority: info.priority,
            prefsrc: (!info.prefsrc.is_unspecified()).then_some(info.prefsrc),
            metrics: info.metrics,
            nexthops: info.nexthops.iter().map(nexthop).collect(),
            flags: info.flags,
        }
    }
}
