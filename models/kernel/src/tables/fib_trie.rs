//! One routing table: longest-prefix match.
//!
//! The kernel uses a compressed trie; here each prefix is one entry of a flat hash table, and a bit set says
//! which prefix lengths occur, so a look-up is one probe per length in use and never allocates.
//!
//! Kernel: net/ipv4/fib_trie.c (`struct trie`, `struct fib_alias`)

use std::net::Ipv4Addr;

use crate::ids::DevId;
use crate::netlink::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use crate::tables::fib::{FibInfoId, Infos};
use crate::tables::prefix_map::PrefixMap;
use crate::tables::route_types::{RouteType, Scope};

/// A route of a prefix (`struct fib_alias`), as distinct from other routes to the same prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibAlias {
    /// Its `fib_info`.
    pub info: FibInfoId,
    /// Its table: local and main share a trie until a policy rule is added.
    pub table: u32,
    /// Priority (metric), duplicated from the `fib_info` for sorting.
    pub priority: u32,
    /// Type.
    pub kind: RouteType,
    /// TOS to match; 0: any.
    pub tos: u8,
}

impl FibAlias {
    /// Order of the routes of a prefix: local before main, TOS before none, then by ascending metric.
    fn order(&self) -> (u32, u8, u32) {
        (u32::MAX - self.table, u8::MAX - self.tos, self.priority)
    }
}

/// A prefix and one of its routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibRow {
    /// The prefix.
    pub prefix: Ipv4Addr,
    /// Its length in bits.
    pub len: u8,
    /// The route.
    pub alias: FibAlias,
}

/// Why an insertion failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// EEXIST: a route with this prefix, TOS and metric exists.
    Exists,
    /// ENOENT: no such route, and NLM_F_CREATE was not given.
    NotFound,
}

/// Result of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// A new route was added.
    Added,
    /// A route was replaced; its old `fib_info`.
    Replaced(FibInfoId),
    /// An equal route exists already.
    Unchanged,
}

/// A routing table.
#[derive(Clone, Debug, Default)]
pub struct FibTrie {
    map: PrefixMap,
    lists: Vec<Vec<FibAlias>>,
    free: Vec<u32>,
}

/// The netmask of a prefix length in bits.
#[inline]
pub const fn inet_make_mask(len: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(if len == 0 { 0 } else { u32::MAX << (32 - len as u32) })
}

impl FibTrie {
    /// Visits the routes whose prefixes contain `dst`, longest first, until `visit` returns something.
    #[inline]
    pub fn search<R>(
        &self,
        dst: Ipv4Addr,
        mut visit: impl FnMut(Ipv4Addr, u8, &FibAlias) -> Option<R>,
    ) -> Option<R> {
        let mut lens = self.map.lens();
        while lens != 0 {
            let len = 63 - lens.leading_zeros();
            lens &= !(1 << len);
            let len = len as u8;
            let prefix = dst & inet_make_mask(len);
            if let Some(list) = self.map.get(prefix.to_bits(), len) {
                for alias in &self.lists[list as usize] {
                    if let Some(found) = visit(prefix, len, alias) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }

    /// How often 1024 prefixes must be doubled to be as many as these. Fewer stay in a CPU's cache.
    #[inline]
    pub fn doublings(&self) -> u32 {
        (self.map.slots_used() / 1024).max(1).ilog2()
    }

    /// The routes of exactly this prefix, in order.
    pub fn aliases(&self, prefix: Ipv4Addr, len: u8) -> &[FibAlias] {
        match self.map.get(prefix.to_bits(), len) {
            Some(list) => &self.lists[list as usize],
            None => &[],
        }
    }

    /// Inserts a route with the NLM_F_* semantics of RTM_NEWROUTE.
    ///
    /// # Errors
    ///
    /// [`InsertError`]: the route exists, or does not and may not be created.
    pub fn insert(
        &mut self,
        prefix: Ipv4Addr,
        len: u8,
        alias: FibAlias,
        flags: u16,
    ) -> Result<Inserted, InsertError> {
        let found = self.aliases(prefix, len);
        let first = found.iter().position(|other| other.order() >= alias.order());
        let same = |other: &FibAlias| other.order() == alias.order();
        let peers = first.map_or(0, |at| found[at..].iter().take_while(|other| same(other)).count());
        let at = first.unwrap_or(found.len());
        if peers > 0 {
            if flags & NLM_F_EXCL != 0 {
                return Err(InsertError::Exists);
            }
            let twin = found[at..at + peers].iter().position(|other| *other == alias);
            if flags & NLM_F_REPLACE != 0 {
                return match twin {
                    Some(0) => Ok(Inserted::Unchanged),
                    Some(_) => Err(InsertError::Exists),
                    None => Ok(self.replace(prefix, len, at, alias)),
                };
            }
            if twin.is_some() {
                return Err(InsertError::Exists);
            }
        }
        if flags & NLM_F_CREATE == 0 {
            return Err(InsertError::NotFound);
        }
        let at = if flags & NLM_F_APPEND != 0 { at + peers } else { at };
        self.list_mut(prefix, len).insert(at, alias);
        Ok(Inserted::Added)
    }

    fn replace(&mut self, prefix: Ipv4Addr, len: u8, at: usize, alias: FibAlias) -> Inserted {
        let old = std::mem::replace(&mut self.list_mut(prefix, len)[at], alias);
        Inserted::Replaced(old.info)
    }

    fn list_mut(&mut self, prefix: Ipv4Addr, len: u8) -> &mut Vec<FibAlias> {
        let list = self.map.get(prefix.to_bits(), len).unwrap_or_else(|| {
            let list = self.free.pop().unwrap_or_else(|| {
                self.lists.push(Vec::new());
                self.lists.len() as u32 - 1
            });
            self.map.insert(prefix.to_bits(), len, list);
            list
        });
        &mut self.lists[list as usize]
    }

    /// Deletes the first route of the prefix that `matches`.
    pub fn remove(
        &mut self,
        prefix: Ipv4Addr,
        len: u8,
        matches: impl FnMut(&FibAlias) -> bool,
    ) -> Option<FibAlias> {
        let list = self.map.get(prefix.to_bits(), len)?;
        let at = self.lists[list as usize].iter().position(matches)?;
        let removed = self.lists[list as usize].remove(at);
        if self.lists[list as usize].is_empty() {
            self.map.remove(prefix.to_bits(), len);
            self.free.push(list);
        }
        Some(removed)
    }

    /// Deletes every route that `matches` and returns them in dump order.
    pub fn remove_all(&mut self, mut matches: impl FnMut(&FibRow) -> bool) -> Vec<FibRow> {
        let gone: Vec<FibRow> = self.rows().into_iter().filter(|row| matches(row)).collect();
        for row in &gone {
            self.remove(row.prefix, row.len, |alias| *alias == row.alias);
        }
        gone
    }

    /// Every route in dump order: by prefix, the longer of equal prefixes first.
    pub fn rows(&self) -> Vec<FibRow> {
        let mut keys: Vec<(u32, u8, u32)> = self.map.iter().collect();
        keys.sort_unstable_by_key(|&(prefix, len, _)| (prefix, u8::MAX - len));
        keys.into_iter()
            .flat_map(|(prefix, len, list)| {
                let prefix = Ipv4Addr::from_bits(prefix);
                self.lists[list as usize].iter().map(move |alias| FibRow { prefix, len, alias: *alias })
            })
            .collect()
    }

    /// Moves the routes of `table` out of a shared trie (`fib_trie_unmerge`).
    pub fn split_off(&mut self, table: u32) -> FibTrie {
        let mut own = FibTrie::default();
        for row in self.remove_all(|row| row.alias.table == table) {
            own.list_mut(row.prefix, row.len).push(row.alias);
        }
        own
    }
}

/// Key of a route look-up (`struct flowi4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Destination.
    pub dst: Ipv4Addr,
    /// Source; `0.0.0.0`: not chosen yet.
    pub src: Ipv4Addr,
    /// Required output device.
    pub oif: Option<DevId>,
    /// Input device; `lo` for locally generated packets.
    pub iif: Option<DevId>,
    /// The table of its L3 master (`flowi4_l3mdev`).
    pub l3mdev_table: Option<u32>,
    /// The mark.
    pub mark: u32,
    /// TOS bits used for routing.
    pub tos: u8,
    /// Minimum scope of the route.
    pub scope: Scope,
    /// Protocol, for policy rules and the multipath hash.
    pub proto: u8,
    /// Source port or ICMP type.
    pub sport: u16,
    /// Destination port or ICMP code.
    pub dport: u16,
    /// FIB_LOOKUP_IGNORE_LINKSTATE: next hops without carrier are usable.
    pub ignore_linkstate: bool,
}

impl Default for Flow {
    fn default() -> Self {
        Flow {
            dst: Ipv4Addr::UNSPECIFIED,
            src: Ipv4Addr::UNSPECIFIED,
            oif: None,
            iif: None,
            l3mdev_table: None,
            mark: 0,
            tos: 0,
            scope: Scope::default(),
            proto: 0,
            sport: 0,
            dport: 0,
            ignore_linkstate: false,
        }
    }
}

/// Result of a look-up (`struct fib_result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibResult {
    /// Matched prefix.
    pub prefix: Ipv4Addr,
    /// Its length in bits.
    pub len: u8,
    /// TOS of the route; 0: any.
    pub tos: u8,
    /// Index of the next hop (multipath is selected later).
    pub nh_sel: u16,
    /// Type.
    pub kind: RouteType,
    /// Scope.
    pub scope: Scope,
    /// Table.
    pub table: u32,
    /// The `fib_info`.
    pub info: FibInfoId,
}

/// Longest-prefix match with a usable next hop; `Err` holds the type of a blackhole, unreachable, … route.
///
/// Kernel: net/ipv4/fib_trie.c `fib_table_lookup`
#[inline]
pub fn fib_table_lookup(trie: &FibTrie, infos: &Infos, flow: &Flow) -> Option<Result<FibResult, RouteType>> {
    trie.search(flow.dst, |prefix, len, alias| {
        if alias.tos != 0 && alias.tos != flow.tos {
            return None;
        }
        let info = infos.get(alias.info);
        if info.scope < flow.scope {
            return None;
        }
        if !alias.kind.has_nexthop() {
            return Some(Err(alias.kind));
        }
        let nh_sel = info.good_nexthop(flow)?;
        Some(Ok(FibResult {
            prefix,
            len,
            tos: alias.tos,
            nh_sel,
            kind: alias.kind,
            scope: info.scope,
            table: alias.table,
            info: alias.info,
        }))
    })
}
