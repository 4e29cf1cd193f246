//! `-m hashlimit`.
//!
//! Kernel: net/netfilter/xt_hashlimit.c

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::net::Ipv4Addr;

use crate::Cx;
use crate::extension::{Par, Place, Refused, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::fast_hash::FastHasher;
use crate::tables::ipset::hash::masked;
use crate::tables::jiffies::{HZ, jiffies};
use crate::tables::xt::{Rule, Variant};

/// `hashlimit` (`struct hashlimit_cfg3`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashlimit {
    /// `--hashlimit-name`.
    pub name: String,
    /// `--hashlimit-above` instead of `--hashlimit-upto`.
    pub above: bool,
    /// The rate is in bytes.
    pub bytes: bool,
    /// Rate as the kernel keeps it (`avg`).
    pub avg: u64,
    /// `--hashlimit-burst`.
    pub burst: u64,
    /// `--hashlimit-mode`: bits `XT_HASHLIMIT_HASH_DIP` 1, `_DPT` 2, `_SIP` 4, `_SPT` 8.
    pub mode: u8,
    /// `--hashlimit-srcmask`, prefix length.
    pub srcmask: u8,
    /// `--hashlimit-dstmask`, prefix length.
    pub dstmask: u8,
    /// `--hashlimit-htable-size`; 0: not given.
    pub size: u32,
    /// `--hashlimit-htable-max`; 0: not given.
    pub max: u32,
    /// `--hashlimit-htable-gcinterval`, ms.
    pub gc_interval: u32,
    /// `--hashlimit-htable-expire`, ms; by default derived from the rate.
    pub expire: u32,
    /// `--hashlimit-rate-match`.
    pub rate_match: bool,
    /// `--hashlimit-rate-interval`, seconds.
    pub rate_interval: u32,
}

impl XtMatch for Hashlimit {
    const NAME: &'static str = "hashlimit";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        hashlimit_mt(cx, par, self)
    }

    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        let named = !self.name.is_empty() && !self.name.contains('/');
        let prefixes = self.srcmask <= 32 && self.dstmask <= 32;
        if self.gc_interval == 0 || self.expire == 0 || !named || !prefixes {
            return Err(Refused::silent(Errno::EINVAL));
        }
        let full = user2credits(self.avg.wrapping_mul(self.burst));
        let overflows = !self.bytes && (self.burst == 0 || full < user2credits(self.avg));
        if overflows { Err(Refused::silent(Errno::ERANGE)) } else { Ok(()) }
    }

    fn init(&mut self, cx: &mut Cx, netns: NetnsId, _: Variant) {
        let now = jiffies(cx.now);
        let tables: &mut HashlimitTables = cx.k.netns[netns].generic.get_mut();
        let fresh = || HashlimitTable::new(self.clone(), now);
        tables.entry(self.name.clone()).or_insert_with(fresh).uses += 1;
    }

    fn destroy(&self, cx: &mut Cx, netns: NetnsId) {
        let tables: &mut HashlimitTables = cx.k.netns[netns].generic.get_mut();
        if let Some(table) = tables.get_mut(&self.name) {
            table.uses -= 1;
            if table.uses == 0 {
                tables.remove(&self.name);
            }
        }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Hashlimit::NAME], ..Module::named("xt_hashlimit") }];

/// Bits of the mode.
const DIP: u8 = 1;
const DPT: u8 = 2;
const SIP: u8 = 4;
const SPT: u8 = 8;

/// The packet's entry is within the limit, or above it.
pub fn hashlimit_mt(cx: &mut Cx, par: &mut Par, with: &Hashlimit) -> bool {
    // Rules that name the same table share it, with the settings of the first.
    let tables: Option<&HashlimitTables> = cx.k.netns[par.state.netns].generic.get();
    let Some(table) = tables.and_then(|tables| tables.get(&with.name)) else { return false };
    let Some(key) = key(cx, par, &table.cfg) else {
        par.hotdrop = true;
        return false;
    };
    let len = cx.skbs.data(par.skb).len() as u64;
    let now = jiffies(cx.now);
    let tables: &mut HashlimitTables = cx.k.netns[par.state.netns].generic.get_mut();
    match tables.get_mut(&with.name).map(|table| table.count(with, key, len, now)) {
        Some(Some(within)) => within != with.above,
        Some(None) => {
            par.hotdrop = true;
            false
        }
        None => false,
    }
}

fn key(cx: &Cx, par: &Par, with: &Hashlimit) -> Option<HashlimitKey> {
    let on = |bit: u8| with.mode & bit != 0;
    let mut key = HashlimitKey {
        dst: if on(DIP) { masked(par.iph.daddr.get(), with.dstmask) } else { Ipv4Addr::UNSPECIFIED },
        src: if on(SIP) { masked(par.iph.saddr.get(), with.srcmask) } else { Ipv4Addr::UNSPECIFIED },
        ..HashlimitKey::default()
    };
    // `proto_ports_offset`; ports are read in every fragment.
    let at = match par.iph.protocol {
        6 | 17 | 33 | 50 | 132 | 136 => par.thoff,
        51 => par.thoff + 4,
        _ => return Some(key),
    };
    if !on(DPT) && !on(SPT) {
        return Some(key);
    }
    let [a, b, c, d] = *cx.skbs.header::<[u8; 4]>(par.skb, at)?;
    key.sport = if on(SPT) { u16::from_be_bytes([a, b]) } else { 0 };
    key.dport = if on(DPT) { u16::from_be_bytes([c, d]) } else { 0 };
    Some(key)
}

/// Buckets of a table if none are asked for, on a machine of more than 1 GiB.
const DEFAULT_SIZE: u32 = 8192;
/// `XT_HASHLIMIT_SCALE_v2`.
const SCALE: u64 = 1_000_000;
/// Credits per jiffy: the greatest power of two with which a day's credits fit in 64 bits.
const CREDITS_PER_JIFFY: u64 = 1 << 39;
/// Credits per jiffy of a rate in bytes.
const CREDITS_PER_JIFFY_BYTES: u64 = 1 << 24;

/// Key of an entry: destination and source address, destination and source port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashlimitKey {
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination port.
    pub dport: u16,
    /// Source port.
    pub sport: u16,
}

impl Default for HashlimitKey {
    fn default() -> Self {
        HashlimitKey { dst: Ipv4Addr::UNSPECIFIED, src: Ipv4Addr::UNSPECIFIED, dport: 0, sport: 0 }
    }
}

/// An entry (`struct dsthash_ent`). With `--hashlimit-rate-match` credit, cap and cost are interval, count and rate,
/// as `/proc/net/ipt_hashlimit` prints them.
#[derive(Clone, Debug)]
pub struct HashlimitEntry {
    /// Key.
    pub key: HashlimitKey,
    /// Expiry, jiffies.
    pub expires: u64,
    /// When the credit was last updated, jiffies.
    pub prev: u64,
    /// Remaining credit.
    pub credit: u64,
    /// Maximum credit; of a rate in bytes: remaining bursts.
    pub cap: u64,
    /// Cost of a packet, or of 16 bytes.
    pub cost: u64,
    /// `--hashlimit-rate-match`: the rate was exceeded in the last interval.
    pub prev_window: bool,
    /// `--hashlimit-rate-match`: burst within an interval.
    pub burst: u64,
}

/// A table, with the settings of the rule that created it.
#[derive(Clone, Debug)]
pub struct HashlimitTable {
    /// Settings.
    pub cfg: Hashlimit,
    /// Largest number of entries.
    max: usize,
    /// Number of rules that use it; deleted with the last.
    pub uses: usize,
    entries: Vec<HashlimitEntry>,
    index: HashMap<HashlimitKey, usize, BuildHasherDefault<FastHasher>>,
    /// Last garbage collection, jiffies.
    swept: u64,
}

/// The tables of a namespace by name.
pub type HashlimitTables = BTreeMap<String, HashlimitTable>;

/// Cost of a packet at this average, in credits (`user2credits`); wraps as the kernel's does.
pub fn user2credits(user: u64) -> u64 {
    user.wrapping_mul(HZ * CREDITS_PER_JIFFY / SCALE)
}

fn user2credits_byte(user: u64) -> u64 {
    ((user as u128 * u128::from(HZ * CREDITS_PER_JIFFY_BYTES)) >> 32) as u32 as u64
}

/// Rate of an average (`user2rate`).
fn rate(cfg: &Hashlimit) -> u64 {
    if cfg.bytes {
        (u64::from(u32::MAX).checked_div(cfg.avg).unwrap_or(u64::from(u32::MAX)).saturating_sub(1)) << 4
    } else {
        SCALE.checked_div(cfg.avg).unwrap_or(0)
    }
}

impl HashlimitTable {
    /// An empty table. It takes at least an entry for each bucket (`htable_create`).
    pub fn new(cfg: Hashlimit, now: u64) -> HashlimitTable {
        let size = if cfg.size == 0 { DEFAULT_SIZE } else { cfg.size };
        let max = if cfg.max == 0 { size.saturating_mul(8) } else { cfg.max.max(size) } as usize;
        HashlimitTable { cfg, max, uses: 0, entries: Vec::new(), index: HashMap::default(), swept: now }
    }

    /// The entries in order of creation, with their credit at `now`.
    ///
    /// Not modelled: reading the kernel's file ends an expired interval of `--hashlimit-rate-match`.
    pub fn entries(&self, now: u64) -> impl Iterator<Item = HashlimitEntry> {
        self.entries.iter().filter(move |entry| entry.expires >= now).map(move |entry| {
            let mut entry = entry.clone();
            recalculate(&self.cfg, &mut entry, now);
            entry
        })
    }

    /// Deletes expired entries, once per interval as the kernel's garbage collection.
    fn sweep(&mut self, now: u64) {
        let interval = (u64::from(self.cfg.gc_interval) * HZ / 1000).max(1);
        if now < self.swept + interval {
            return;
        }
        self.swept = now - (now - self.swept) % interval;
        let swept = self.swept;
        self.entries.retain(|entry| entry.expires > swept);
        self.index = self.entries.iter().enumerate().map(|(at, entry)| (entry.key, at)).collect();
    }

    fn new_entry(&self, key: HashlimitKey, now: u64) -> HashlimitEntry {
        let cfg = &self.cfg;
        let (credit, cap, cost, burst) = match (cfg.rate_match, cfg.bytes) {
            (true, _) => {
                let rate = rate(cfg);
                let burst = match cfg.bytes {
                    true => rate * cfg.burst.max(1),
                    false => cfg.burst + rate,
                };
                (u64::from(cfg.rate_interval), 0, rate, burst)
            }
            (false, true) => (CREDITS_PER_JIFFY_BYTES * HZ, cfg.burst, user2credits_byte(cfg.avg), cfg.burst),
            (false, false) => {
                let full = user2credits(cfg.avg.wrapping_mul(cfg.burst));
                (full, full, user2credits(cfg.avg), cfg.burst)
            }
        };
        HashlimitEntry { key, expires: 0, prev: now, credit, cap, cost, prev_window: false, burst }
    }

    /// Counts a packet of `len` bytes for a rule, in bytes or packets: true if it is within the limit, `None` if the
    /// table is full.
    pub fn count(&mut self, rule: &Hashlimit, key: HashlimitKey, len: u64, now: u64) -> Option<bool> {
        self.sweep(now);
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => {
                if self.entries.len() >= self.max {
                    return None;
                }
                self.entries.push(self.new_entry(key, now));
                self.index.insert(key, self.entries.len() - 1);
                self.entries.len() - 1
            }
        };
        let (cfg, entry) = (&self.cfg, &mut self.entries[at]);
        entry.expires = now + u64::from(cfg.expire) * HZ / 1000;
        recalculate(cfg, entry, now);
        Some(pay(rule, entry, len))
    }
}

fn recalculate(cfg: &Hashlimit, entry: &mut HashlimitEntry, now: u64) {
    let delta = now - entry.prev;
    if delta == 0 {
        return;
    }
    if cfg.rate_match {
        let interval = entry.credit * HZ;
        if delta >= interval {
            entry.prev = now;
            entry.prev_window = entry.cap * interval > delta * entry.cost;
            entry.cap = 0;
        }
        return;
    }
    entry.prev = now;
    let (more, cap) = match cfg.bytes {
        true => (CREDITS_PER_JIFFY_BYTES, CREDITS_PER_JIFFY_BYTES * HZ),
        false => (CREDITS_PER_JIFFY, entry.cap),
    };
    entry.credit = entry.credit.saturating_add(delta.saturating_mul(more)).min(cap);
}

fn pay(rule: &Hashlimit, entry: &mut HashlimitEntry, len: u64) -> bool {
    if rule.rate_match {
        entry.cap += if rule.bytes { len } else { 1 };
        return !entry.prev_window && entry.cap <= entry.burst;
    }
    let cost = match rule.bytes {
        true => {
            let full = CREDITS_PER_JIFFY_BYTES * HZ;
            let cost = (((len >> 4) + 1) * entry.cost).min(full);
            if entry.credit < cost && entry.cap > 0 {
                entry.cap -= 1;
                entry.credit = full;
            }
            cost
        }
        false => entry.cost,
    };
    let within = entry.credit >= cost;
    if within {
        entry.credit -= cost;
    }
    within
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cfg() -> Hashlimit {
        Hashlimit {
            name: "a".to_owned(),
            above: false,
            bytes: false,
            avg: 200_000,
            burst: 5,
            mode: 4,
            srcmask: 32,
            dstmask: 32,
            size: 0,
            max: 0,
            gc_interval: 1000,
            expire: 1000,
            rate_match: false,
            rate_interval: 1,
        }
    }

    /// Cap and cost in `/proc/net/ipt_hashlimit` of Linux 6.18 for 5/s and for 100kb/s.
    #[test]
    fn credits_are_the_kernels() {
        let mut table = HashlimitTable::new(cfg(), 0);
        let key = HashlimitKey { src: Ipv4Addr::new(10, 0, 0, 1), ..HashlimitKey::default() };
        let within: Vec<_> = (0..6).map(|_| table.count(&cfg(), key, 84, 0)).collect();
        assert_eq!(within, [Some(true), Some(true), Some(true), Some(true), Some(true), Some(false)]);
        let entry = table.entries(0).next().expect("an entry");
        assert_eq!((entry.cap, entry.cost), (137_438_953_000_000, 27_487_790_600_000));
        assert_eq!(table.count(&cfg(), key, 84, 49), Some(false));
        assert_eq!(table.count(&cfg(), key, 84, 51), Some(true), "a fifth of a second is one packet");
        let bytes = Hashlimit { bytes: true, avg: 670_983, burst: 2, ..cfg() };
        let mut table = HashlimitTable::new(bytes, 0);
        assert_eq!(table.count(&cfg(), key, 84, 0), Some(true));
        let entry = table.entries(0).next().expect("an entry");
        assert_eq!((entry.cap, entry.cost), (2, 655_256));
    }

    #[test]
    fn entries_expire_and_a_full_table_takes_no_more() {
        let mut table = HashlimitTable::new(Hashlimit { size: 1, max: 1, ..cfg() }, 0);
        let key = |host| HashlimitKey { src: Ipv4Addr::new(10, 0, 0, host), ..HashlimitKey::default() };
        assert_eq!(table.count(&cfg(), key(1), 84, 0), Some(true));
        assert_eq!(table.count(&cfg(), key(2), 84, 1), None);
        assert_eq!(table.count(&cfg(), key(2), 84, 600), Some(true), "the first is gone after its second");
    }
}
