//! The conntrack hash table: open addressing, buckets of one cache line each.
//!
//! Kernel: net/netfilter/nf_conntrack_core.c (`nf_conntrack_hash`)
//!
//! A bucket holds seven tags (32 bits of hash) and seven slots. A look-up reads one bucket and then the
//! connection that it names: two cache lines whatever the number of entries. A full bucket overflows into the
//! next one and counts the overflows, so no tombstones are needed, and resizing needs no tuple.
//!
//! Entries with one tag are found newest first, as in the kernel, which adds to the head of a hash chain
//! (`hlist_nulls_add_head_rcu`): connections of different zones may share a tuple.

const SLOTS: usize = 7;
/// Buckets of a new table.
const MIN_BUCKETS: usize = 8;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// Tags; 0: free.
    tags: [u32; SLOTS],
    /// Entries that overflowed past this bucket.
    overflow: u32,
    places: [u32; SLOTS],
    _pad: u32,
}

const EMPTY: Bucket = Bucket { tags: [0; SLOTS], overflow: 0, places: [0; SLOTS], _pad: 0 };

/// A multimap from tag to slot.
#[derive(Clone, Debug)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
    len: usize,
}

impl Default for Index {
    fn default() -> Self {
        Index { buckets: vec![EMPTY; MIN_BUCKETS], len: 0 }
    }
}

/// 0 is reserved for free slots.
#[inline]
pub(super) fn tag_of(hash: u64) -> u32 {
    ((hash >> 32) as u32).max(1)
}

/// The bucket at which the search for a tag begins.
#[inline]
fn home(tag: u32, buckets: usize) -> usize {
    ((u64::from(tag) * buckets as u64) >> 32) as usize
}

impl Index {
    #[inline]
    fn home(&self, tag: u32) -> usize {
        home(tag, self.buckets.len())
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory use in bytes.
    pub(super) fn memory(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }

    /// The newest entry with this tag that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(tag);
        loop {
            let bucket = &self.buckets[at];
            for slot in 0..SLOTS {
                if bucket.tags[slot] == tag && is_it(bucket.places[slot]) {
                    return Some(bucket.places[slot]);
                }
            }
            if bucket.overflow == 0 {
                return None;
            }
            at = self.next(at);
        }
    }

    /// Touches the bucket of a tag, to prefetch it for a look-up that follows.
    #[inline]
    pub(super) fn touch(&self, tag: u32) -> u32 {
        let bucket = &self.buckets[self.home(tag)];
        bucket.tags.iter().position(|other| *other == tag).map_or(u32::MAX, |slot| bucket.places[slot])
    }

    /// Inserts an entry before those with the same tag: it takes the place of the first, which moves on.
    pub(super) fn insert(&mut self, tag: u32, mut place: u32) {
        if self.len * 5 >= self.buckets.len() * SLOTS * 3 {
            self.grow();
        }
        self.len += 1;
        let mut at = self.home(tag);
        loop {
            let bucket = &mut self.buckets[at];
            for slot in 0..SLOTS {
                if bucket.tags[slot] == 0 {
                    (bucket.tags[slot], bucket.places[slot]) = (tag, place);
                    return;
                }
                if bucket.tags[slot] == tag {
                    std::mem::swap(&mut bucket.places[slot], &mut place);
                }
            }
            bucket.overflow += 1;
            at = self.next(at);
        }
    }

    /// Removes an entry; false if there is none.
    pub(super) fn remove(&mut self, tag: u32, place: u32) -> bool {
        let home = self.home(tag);
        let mut at = home;
        loop {
            let bucket = &mut self.buckets[at];
            let found = (0..SLOTS).find(|slot| bucket.tags[*slot] == tag && bucket.places[*slot] == place);
            if let Some(slot) = found {
                bucket.tags[slot] = 0;
                break;
            }
            if bucket.overflow == 0 {
                return false;
            }
            at = self.next(at);
        }
        self.len -= 1;
        let mut passed = home;
        while passed != at {
            self.buckets[passed].overflow -= 1;
            passed = self.next(passed);
        }
        true
    }

    /// Doubles the table. What a search finds last is inserted first, beginning with what overflowed from the last bucket
    /// into the first ones.
    fn grow(&mut self) {
        let more = vec![EMPTY; self.buckets.len() * 2];
        let old = std::mem::replace(&mut self.buckets, more);
        self.len = 0;
        for wrapped in [true, false] {
            for (at, bucket) in old.iter().enumerate().rev() {
                for slot in (0..SLOTS).rev() {
                    let tag = bucket.tags[slot];
                    if tag != 0 && (at < home(tag, old.len())) == wrapped {
                        self.insert(tag, bucket.places[slot]);
                    }
                }
            }
        }
    }

    /// All entries whose tags are in `first..=last`, in table order.
    pub(super) fn range(&self, first: u32, last: u32) -> Vec<u32> {
        let (mut at, end) = (self.home(first), self.home(last));
        let mut found = Vec::new();
        let mut past_end = false;
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            let wanted = (0..SLOTS).filter(|slot| (first.max(1)..=last).contains(&bucket.tags[*slot]));
            found.extend(wanted.map(|slot| bucket.places[slot]));
            past_end |= at == end;
            if past_end && bucket.overflow == 0 {
                break;
            }
            at = self.next(at);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// All entries with a tag, in the order in which a search meets them.
    fn found(index: &Index, tag: u32) -> Vec<u32> {
        let mut met = Vec::new();
        index.find(tag, |place| {
            met.push(place);
            false
        });
        met
    }

    proptest! {
        /// Few distinct tags, to make buckets overflow.
        #[test]
        fn it_agrees_with_a_set(
            steps in prop::collection::vec((any::<bool>(), 0_u32..40, 0_u32..30), 0..600),
            spread in prop::sample::select(vec![1_u32, 1 << 20, 107_374_182]),
        ) {
            let mut index = Index::default();
            let (mut model, mut order) = (BTreeSet::new(), Vec::new());
            for (add, tag, place) in steps {
                let tag = (tag * spread).max(1);
                if add && model.insert((tag, place)) {
                    index.insert(tag, place);
                    order.push((tag, place));
                } else if !add {
                    prop_assert_eq!(index.remove(tag, place), model.remove(&(tag, place)));
                    order.retain(|entry| *entry != (tag, place));
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for (tag, place) in &model {
                prop_assert_eq!(index.find(*tag, |other| other == *place), Some(*place));
            }
            for tag in model.iter().map(|entry| entry.0) {
                let newest_first: Vec<u32> =
                    order.iter().rev().filter(|entry| entry.0 == tag).map(|entry| entry.1).collect();
                prop_assert_eq!(found(&index, tag), newest_first);
            }
            let mut all = index.range(0, u32::MAX);
            all.sort_unstable();
            let mut expected: Vec<u32> = model.iter().map(|entry| entry.1).collect();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
            for (tag, place) in &model {
                index.remove(*tag, *place);
            }
            prop_assert!(index.buckets.iter().all(|bucket| bucket.overflow == 0 && bucket.tags == [0; SLOTS]));
        }
    }
}
