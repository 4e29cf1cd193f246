//! `-m recent`.
//!
//! Kernel: net/netfilter/xt_recent.c

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::xt_owner::{Sender, sender};
use crate::Cx;
use crate::extension::{Par, Place, Refused, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::jiffies::{HZ, jiffies};
use crate::tables::xt::{Rule, Variant};

/// Mode of `recent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentMode {
    /// `--set`.
    Set,
    /// `--rcheck`.
    Rcheck,
    /// `--update`.
    Update,
    /// `--remove`.
    Remove,
}

/// `recent` (`struct xt_recent_mtinfo_v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// `!`.
    pub invert: bool,
    /// Mode.
    pub mode: RecentMode,
    /// `--seconds`; 0: not given.
    pub seconds: u32,
    /// `--reap`.
    pub reap: bool,
    /// `--hitcount`; 0: not given.
    pub hitcount: u32,
    /// `--rttl`.
    pub rttl: bool,
    /// `--name`.
    pub name: String,
    /// `--mask`.
    pub mask: Ipv4Addr,
    /// `--rdest` (true) or `--rsource`.
    pub dest: bool,
}

impl XtMatch for Recent {
    const NAME: &'static str = "recent";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        recent_mt(cx, par, self)
    }

    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        let changes = matches!(self.mode, RecentMode::Set | RecentMode::Remove);
        let asks = self.seconds != 0 || self.hitcount != 0 || self.rttl || self.reap;
        let named = !self.name.is_empty() && !self.name.contains('/') && self.name.len() <= RECENT_NAME;
        let fits = !(changes && asks) && self.hitcount <= MAX_HITCOUNT && named;
        if fits { Ok(()) } else { Err(Refused::silent(Errno::EINVAL)) }
    }

    fn init(&mut self, cx: &mut Cx, netns: NetnsId, _: Variant) {
        use_table(cx.k.netns[netns].generic.get_mut(), &self.name, self.mask, self.hitcount);
    }

    fn destroy(&self, cx: &mut Cx, netns: NetnsId) {
        put_table(cx.k.netns[netns].generic.get_mut(), &self.name);
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Recent::NAME], ..Module::named("xt_recent") }];

/// The address's entry fits the rule; updates the list.
pub fn recent_mt(cx: &mut Cx, par: &mut Par, with: &Recent) -> bool {
    let now = jiffies(cx.now);
    let addr = if with.dest { par.iph.daddr.get() } else { par.iph.saddr.get() };
    // The TTL before it was decremented.
    let forwarded = par.state.output.is_some() && sender(cx, par) == Sender::Nobody;
    let ttl = par.iph.ttl.wrapping_add(u8::from(forwarded));
    let tables: &mut RecentTables = cx.k.netns[par.state.netns].generic.get_mut();
    let Some(table) = tables.get_mut(&with.name) else { return false };
    let addr = addr & table.mask;
    let Some(at) = table.lookup(addr, if with.rttl { ttl } else { 0 }) else {
        if with.mode == RecentMode::Set {
            table.insert(addr, ttl, now);
            return !with.invert;
        }
        return with.invert;
    };
    let matched = match with.mode {
        RecentMode::Set => !with.invert,
        RecentMode::Remove => {
            table.entries.remove(at);
            return !with.invert;
        }
        RecentMode::Rcheck | RecentMode::Update => was_seen(table, at, with, now) != with.invert,
    };
    if with.mode == RecentMode::Set || with.mode == RecentMode::Update && matched {
        // A reaped entry is not updated.
        if let Some(at) = table.lookup(addr, 0) {
            table.update(at, Some(ttl), now);
        }
    }
    matched
}

/// The entry has enough stamps within the time.
fn was_seen(table: &mut RecentTable, at: usize, with: &Recent, now: u64) -> bool {
    let time = now.saturating_sub(u64::from(with.seconds) * HZ);
    let stamps = table.entries[at].stamps.iter();
    let hits = stamps.filter(|stamp| with.seconds == 0 || **stamp >= time).count();
    if with.reap {
        table.reap(time);
    }
    hits >= (with.hitcount as usize).max(1)
}

/// Longest name of a list, bytes (`XT_RECENT_NAME_LEN`).
const RECENT_NAME: usize = 200;
/// Largest `--hitcount`; up to Linux 6.10 it was 255.
const MAX_HITCOUNT: u32 = 65535;
/// Maximum number of entries (`ip_list_tot`); the least recently seen one is replaced.
const LIST_TOT: usize = 100;
/// Default number of stamps per entry, minus one.
const STAMPS_MASK: u32 = 31;

/// An entry (`struct recent_entry`). Times are jiffies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentEntry {
    /// The address, masked.
    pub addr: Ipv4Addr,
    /// TTL of the last packet.
    pub ttl: u8,
    /// Index of the next stamp.
    pub index: u32,
    /// Stamps; a ring buffer once it is full.
    pub stamps: Vec<u64>,
}

/// A list.
#[derive(Clone, Debug)]
pub struct RecentTable {
    /// Mask of addresses, of the first rule.
    pub mask: Ipv4Addr,
    /// Number of stamps per entry, minus one.
    pub stamps_mask: u32,
    /// Number of rules that use it; deleted with the last.
    pub uses: usize,
    /// Entries, least recently seen first.
    pub entries: Vec<RecentEntry>,
}

/// The lists of a namespace by name.
pub type RecentTables = BTreeMap<String, RecentTable>;

/// Adds a rule's reference to a list, and creates the list for the first one (`recent_mt_check`).
pub fn use_table(tables: &mut RecentTables, name: &str, mask: Ipv4Addr, hitcount: u32) {
    let stamps_mask = match hitcount {
        0 => STAMPS_MASK,
        count => count.next_power_of_two() - 1,
    };
    let fresh = || RecentTable { mask, stamps_mask, uses: 0, entries: Vec::new() };
    let table = tables.entry(name.to_owned()).or_insert_with(fresh);
    table.uses += 1;
    if stamps_mask > table.stamps_mask {
        table.entries.clear();
        table.stamps_mask = stamps_mask;
    }
}

/// Drops a rule's reference to a list (`recent_mt_destroy`).
pub fn put_table(tables: &mut RecentTables, name: &str) {
    if let Some(table) = tables.get_mut(name) {
        table.uses -= 1;
        if table.uses == 0 {
            tables.remove(name);
        }
    }
}

impl RecentEntry {
    /// The last stamp.
    pub fn last_seen(&self) -> u64 {
        let last = self.index.checked_sub(1).unwrap_or(self.stamps.len() as u32 - 1);
        self.stamps.get(last as usize).copied().unwrap_or(0)
    }
}

impl RecentTable {
    /// The place of an address; with a TTL only if it was seen with that.
    pub fn lookup(&self, addr: Ipv4Addr, ttl: u8) -> Option<usize> {
        let fits =
            |entry: &RecentEntry| entry.addr == addr && (ttl == entry.ttl || ttl == 0 || entry.ttl == 0);
        self.entries.iter().position(fits)
    }

    /// Adds an address that was seen now, and gives its place (`recent_entry_init`).
    pub fn insert(&mut self, addr: Ipv4Addr, ttl: u8, now: u64) -> usize {
        if self.entries.len() >= LIST_TOT {
            self.entries.remove(0);
        }
        self.entries.push(RecentEntry { addr, ttl, index: 1, stamps: vec![now] });
        self.entries.len() - 1
    }

    /// Adds a stamp to an entry (`recent_entry_update`).
    pub fn update(&mut self, at: usize, ttl: Option<u8>, now: u64) {
        let mut entry = self.entries.remove(at);
        entry.index &= self.stamps_mask;
        match entry.stamps.get_mut(entry.index as usize) {
            Some(stamp) => *stamp = now,
            None => entry.stamps.push(now),
        }
        entry.index += 1;
        entry.ttl = ttl.unwrap_or(entry.ttl);
        self.entries.push(entry);
    }

    /// Deletes the least recently seen entry if its last stamp is before `time` (`recent_entry_reap`).
    pub fn reap(&mut self, time: u64) {
        if self.entries.first().is_some_and(|entry| time > entry.last_seen()) {
            self.entries.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_ring_and_the_oldest_address_goes() {
        let mut tables = RecentTables::new();
        use_table(&mut tables, "a", Ipv4Addr::BROADCAST, 3);
        let table = tables.get_mut("a").expect("a list");
        let host = |n| Ipv4Addr::new(10, 0, 0, n);
        let mut at = table.insert(host(1), 64, 10);
        for now in 11..=15 {
            table.update(at, Some(64), now);
            at = table.lookup(host(1), 0).expect("there");
        }
        assert_eq!(table.entries[at].stamps, [14, 15, 12, 13]);
        assert_eq!((table.entries[at].last_seen(), table.entries[at].index), (15, 2));
        for n in 2..=101 {
            table.insert(host(n), 1, 20);
        }
        assert_eq!((table.entries.len(), table.lookup(host(1), 0)), (100, None));
        table.reap(20);
        table.reap(21);
        assert_eq!(table.entries.len(), 99);
    }
}
