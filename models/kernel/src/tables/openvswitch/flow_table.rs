//! The flows of a datapath: a hash table for each mask, and a cache of which mask a hash had.
//!
//! Kernel: net/openvswitch/flow_table.c
//! Not modelled: masks sorted by use every four seconds (`ovs_flow_masks_rebalance`); flows are listed in the order in which they were
//! made, in Linux by a hash with a random seed.

use std::collections::{BTreeMap, HashMap};

use super::flow::{SwFlow, SwFlowKey};

/// Entries of the cache (`MC_DEFAULT_HASH_ENTRIES`), with eight bits of the hash as an index into it.
pub const MASK_CACHE: usize = 256;

/// A flow of a table; handles are not given again.
pub type FlowId = u64;

/// An entry of the cache (`struct mask_cache_entry`).
#[derive(Clone, Copy, Debug, Default)]
struct MaskCacheEntry {
    skb_hash: u32,
    mask_index: usize,
}

/// What a look-up found, and what it cost.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    /// The flow.
    pub flow: Option<FlowId>,
    /// Masks that were tried.
    pub masks: u32,
    /// The cache had the right one.
    pub cached: bool,
}

/// The flows of a datapath (`struct flow_table`).
#[derive(Debug)]
pub struct FlowTable {
    flows: BTreeMap<FlowId, SwFlow>,
    made: FlowId,
    masks: Vec<SwFlowKey>,
    by_key: HashMap<(SwFlowKey, SwFlowKey), FlowId>,
    cache: Vec<MaskCacheEntry>,
}

impl Default for FlowTable {
    fn default() -> Self {
        FlowTable {
            flows: BTreeMap::new(),
            made: 0,
            masks: Vec::new(),
            by_key: HashMap::new(),
            cache: vec![MaskCacheEntry::default(); MASK_CACHE],
        }
    }
}

impl FlowTable {
    /// All flows.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &SwFlow)> {
        self.flows.iter().map(|(id, flow)| (*id, flow))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// How many masks there are.
    pub fn num_masks(&self) -> usize {
        self.masks.len()
    }

    /// A flow.
    pub fn get(&self, id: FlowId) -> Option<&SwFlow> {
        self.flows.get(&id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut SwFlow> {
        self.flows.get_mut(&id)
    }

    /// Adds a flow, unless there is one with its key and mask.
    pub fn insert(&mut self, mut flow: SwFlow) -> Option<FlowId> {
        flow.key = flow.key.masked(&flow.mask);
        let place = (flow.mask, flow.key);
        if self.by_key.contains_key(&place) {
            return None;
        }
        if !self.masks.contains(&flow.mask) {
            self.masks.push(flow.mask);
        }
        self.made += 1;
        self.by_key.insert(place, self.made);
        self.flows.insert(self.made, flow);
        Some(self.made)
    }

    /// Removes a flow, and its mask if it was the last one with it: the last mask takes its place (`tbl_mask_array_del_mask`).
    pub fn remove(&mut self, id: FlowId) -> Option<SwFlow> {
        let flow = self.flows.remove(&id)?;
        self.by_key.remove(&(flow.mask, flow.key));
        let is_left = self.flows.values().any(|other| other.mask == flow.mask);
        if let Some(at) = self.masks.iter().position(|mask| *mask == flow.mask).filter(|_| !is_left) {
            self.masks.swap_remove(at);
        }
        Some(flow)
    }

    /// Removes all (`ovs_flow_tbl_flush`).
    pub fn flush(&mut self) {
        *self = FlowTable { made: self.made, ..FlowTable::default() };
    }

    /// The flow of a packet with this hash (`ovs_flow_tbl_lookup_stats`): the cache says which mask to try first.
    pub fn lookup(&mut self, key: &SwFlowKey, skb_hash: u32) -> Looked {
        let segment = |n: u32| (skb_hash >> (8 * n)) as usize % MASK_CACHE;
        let mut free = segment(0);
        for n in 0..4 {
            let at = segment(n);
            let entry = self.cache[at];
            if entry.skb_hash == skb_hash {
                let (looked, mask_index) = self.flow_lookup(key, entry.mask_index);
                let skb_hash = if looked.flow.is_some() { skb_hash } else { 0 };
                self.cache[at] = MaskCacheEntry { skb_hash, mask_index };
                return looked;
            }
            if n == 0 || entry.skb_hash < self.cache[free].skb_hash {
                free = at;
            }
        }
        let (looked, mask_index) = self.flow_lookup(key, self.cache[free].mask_index);
        if looked.flow.is_some() {
            self.cache[free] = MaskCacheEntry { skb_hash, mask_index };
        }
        Looked { cached: false, ..looked }
    }

    /// Tries this mask first, then the others; also returns the mask that had it, or the one tried first.
    fn flow_lookup(&self, key: &SwFlowKey, first: usize) -> (Looked, usize) {
        let find = |mask: &SwFlowKey| self.by_key.get(&(*mask, key.masked(mask))).copied();
        let mut masks = 0;
        if let Some(mask) = self.masks.get(first) {
            masks += 1;
            if let flow @ Some(_) = find(mask) {
                return (Looked { flow, masks, cached: true }, first);
            }
        }
        for (at, mask) in self.masks.iter().enumerate().filter(|(at, _)| *at != first) {
            masks += 1;
            if let flow @ Some(_) = find(mask) {
                return (Looked { flow, masks, cached: false }, at);
            }
        }
        (Looked { flow: None, masks, cached: false }, first)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::flow::{FlowStats, KeyField};
    use super::*;

    fn flow(field: KeyField, value: u64) -> SwFlow {
        let (mut key, mut mask) = (SwFlowKey::default(), SwFlowKey::default());
        (key[field], mask[field]) = (value, field.full());
        SwFlow { key, mask, actions: Arc::new([]), stats: FlowStats::default() }
    }

    #[test]
    fn the_cache_remembers_the_mask_of_a_hash() {
        let mut table = FlowTable::default();
        table.insert(flow(KeyField::InPort, 9));
        let wanted = table.insert(flow(KeyField::EthType, 0x800));
        assert_eq!(table.insert(flow(KeyField::EthType, 0x800)), None, "there is one");
        let mut key = SwFlowKey::default();
        (key[KeyField::EthType], key[KeyField::InPort]) = (0x800, 1);
        let first = table.lookup(&key, 0x0102_0304);
        assert_eq!((first.flow, first.masks, first.cached), (wanted, 2, false));
        let second = table.lookup(&key, 0x0102_0304);
        assert_eq!((second.flow, second.masks, second.cached), (wanted, 1, true));
        let other = table.remove(1).map(|flow| flow.key[KeyField::InPort]);
        assert_eq!((other, table.num_masks()), (Some(9), 1));
        assert_eq!(table.lookup(&key, 0x0102_0304).flow, wanted, "its mask has moved");
        key[KeyField::EthType] = 0x806;
        assert_eq!(table.lookup(&key, 7).flow, None);
    }
}
