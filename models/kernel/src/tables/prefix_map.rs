//! A flat hash table from (prefix, length) to a number. A prefix is the bits of its address (`Ipv4Addr::to_bits`).
//!
//! Open addressing with linear probing in 16-byte slots: four to a cache line, and a table of a few routes is one
//! or two lines.

const EMPTY: u64 = 0;
const GONE: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u64,
    value: u32,
}

/// The map, and which prefix lengths occur in it.
#[derive(Clone, Debug)]
pub struct PrefixMap {
    slots: Vec<Slot>,
    /// Slots that are not empty, removed ones included.
    used: usize,
    /// How many prefixes there are of each length.
    counts: [u32; 33],
    lens: u64,
}

impl Default for PrefixMap {
    fn default() -> Self {
        PrefixMap { slots: vec![Slot { key: EMPTY, value: 0 }; 16], used: 0, counts: [0; 33], lens: 0 }
    }
}

#[inline]
fn key(prefix: u32, len: u8) -> u64 {
    (u64::from(prefix) << 8) | (u64::from(len) + 1)
}

impl PrefixMap {
    /// How many prefixes there are, and removed ones that still have their slot.
    #[inline]
    pub fn slots_used(&self) -> usize {
        self.used
    }

    /// A bit for each prefix length in use.
    #[inline]
    pub fn lens(&self) -> u64 {
        self.lens
    }

    #[inline]
    fn start(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.slots.len() - 1)
    }

    fn find(&self, key: u64) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.start(key);
        loop {
            match self.slots[at].key {
                found if found == key => return Some(at),
                EMPTY => return None,
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// The number of a prefix.
    #[inline]
    pub fn get(&self, prefix: u32, len: u8) -> Option<u32> {
        self.find(key(prefix, len)).map(|at| self.slots[at].value)
    }

    /// Sets the number of a prefix that is not there yet.
    pub fn insert(&mut self, prefix: u32, len: u8, value: u32) {
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.place(Slot { key: key(prefix, len), value });
        self.counts[usize::from(len)] += 1;
        self.lens |= 1 << len;
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = self.start(slot.key);
        while self.slots[at].key != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
        self.used += 1;
    }

    fn grow(&mut self) {
        let live: u32 = self.counts.iter().sum();
        let size = (live as usize * 4).next_power_of_two().max(16);
        let old = std::mem::replace(&mut self.slots, vec![Slot { key: EMPTY, value: 0 }; size]);
        self.used = 0;
        for slot in old {
            if slot.key != EMPTY && slot.key != GONE {
                self.place(slot);
            }
        }
    }

    /// Forgets a prefix.
    pub fn remove(&mut self, prefix: u32, len: u8) {
        if let Some(at) = self.find(key(prefix, len)) {
            self.slots[at].key = GONE;
            self.counts[usize::from(len)] -= 1;
            if self.counts[usize::from(len)] == 0 {
                self.lens &= !(1 << len);
            }
        }
    }

    /// Every (prefix, length, number), in no order that means anything: sort it.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8, u32)> + '_ {
        self.slots
            .iter()
            .filter(|slot| slot.key != EMPTY && slot.key != GONE)
            .map(|slot| ((slot.key >> 8) as u32, (slot.key & 0xff) as u8 - 1, slot.value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn behaves_as_an_ordered_map_does() {
        let (mut map, mut model) = (PrefixMap::default(), BTreeMap::new());
        let mut dice = glassnet_sim::Dice::new(7);
        for value in 0..5000u32 {
            let len = dice.below(33) as u8;
            let prefix =
                (dice.below(16) as u32) << 28 & super::super::fib_trie::inet_make_mask(len).to_bits();
            if model.remove(&(prefix, len)).is_some() {
                map.remove(prefix, len);
            } else {
                model.insert((prefix, len), value);
                map.insert(prefix, len, value);
            }
            assert_eq!(map.get(prefix, len), model.get(&(prefix, len)).copied());
        }
        let mut all: Vec<_> = map.iter().map(|(prefix, len, value)| ((prefix, len), value)).collect();
        all.sort_unstable();
        assert_eq!(all, model.into_iter().collect::<Vec<_>>());
    }
}
