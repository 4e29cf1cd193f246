//! The lists of `-m recent`: addresses and when they were seen (net/netfilter/xt_recent.c).
//!
//! A list keeps its addresses in the order in which they were seen last; the kernel's file shows them in the order of a
//! seeded hash.

use std::collections::BTreeMap;

/// Most addresses of a list (`ip_list_tot`); the one that was not seen for longest makes room.
const LIST_TOT: usize = 100;
/// How many times an address keeps when no rule asks for more, less one.
const STAMPS_MASK: u32 = 31;

/// An address of a list (`struct recent_entry`). Times are jiffies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentEntry {
    /// The address, masked.
    pub addr: u32,
    /// TTL of the last packet.
    pub ttl: u8,
    /// The place of the next time.
    pub index: u32,
    /// Times; a ring once it is full.
    pub stamps: Vec<u64>,
}

/// A list.
#[derive(Clone, Debug, Default)]
pub struct RecentTable {
    /// Which part of addresses counts: as the first rule said.
    pub mask: u32,
    /// How many times each address keeps, less one.
    pub stamps_mask: u32,
    /// Addresses, seen longest ago first.
    pub entries: Vec<RecentEntry>,
}

/// The lists of a namespace by name.
pub type RecentTables = BTreeMap<String, RecentTable>;

/// A rule with this hit count uses the list (`recent_mt_check`).
pub fn use_table(tables: &mut RecentTables, name: &str, mask: u32, hitcount: u32) {
    let stamps_mask = match hitcount {
        0 => STAMPS_MASK,
        count => count.next_power_of_two() - 1,
    };
    match tables.get_mut(name) {
        Some(table) if stamps_mask > table.stamps_mask => {
            table.entries.clear();
            table.stamps_mask = stamps_mask;
        }
        Some(_) => {}
        None => {
            let table = RecentTable { mask, stamps_mask, entries: Vec::new() };
            tables.insert(name.to_owned(), table);
        }
    }
}

impl RecentEntry {
    /// The last time.
    pub fn last_seen(&self) -> u64 {
        let last = self.index.checked_sub(1).unwrap_or(self.stamps.len() as u32 - 1);
        self.stamps.get(last as usize).copied().unwrap_or(0)
    }
}

impl RecentTable {
    /// The place of an address; with a TTL only if it was seen with that.
    pub fn lookup(&self, addr: u32, ttl: u8) -> Option<usize> {
        let fits =
            |entry: &RecentEntry| entry.addr == addr && (ttl == entry.ttl || ttl == 0 || entry.ttl == 0);
        self.entries.iter().position(fits)
    }

    /// Adds an address that was seen now, and gives its place (`recent_entry_init`).
    pub fn insert(&mut self, addr: u32, ttl: u8, now: u64) -> usize {
        if self.entries.len() >= LIST_TOT {
            self.entries.remove(0);
        }
        self.entries.push(RecentEntry { addr, ttl, index: 1, stamps: vec![now] });
        self.entries.len() - 1
    }

    /// An address was seen now (`recent_entry_update`).
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

    /// Drops the address that was not seen for longest if that was before `time` (`recent_entry_reap`).
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
        use_table(&mut tables, "a", u32::MAX, 3);
        let table = tables.get_mut("a").expect("a list");
        let mut at = table.insert(1, 64, 10);
        for now in 11..=15 {
            table.update(at, Some(64), now);
            at = table.lookup(1, 0).expect("there");
        }
        assert_eq!(table.entries[at].stamps, [14, 15, 12, 13]);
        assert_eq!((table.entries[at].last_seen(), table.entries[at].index), (15, 2));
        for addr in 2..=101 {
            table.insert(addr, 1, 20);
        }
        assert_eq!((table.entries.len(), table.lookup(1, 0)), (100, None));
        table.reap(20);
        table.reap(21);
        assert_eq!(table.entries.len(), 99);
    }
}
