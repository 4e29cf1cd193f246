//! A table of flows, and which bits of a packet had to be looked at to find its flow.
//!
//! As `lib/classifier.c` of Open vSwitch 3.1: flows with the same mask are a subtable; subtables are tried by their greatest
//! priority, each in stages (where the packet comes from, link layer, network layer, transport layer), so that a packet that fails
//! early is not looked at more closely; and prefixes of addresses that no flow has are excluded by few bits.

use std::collections::BTreeMap;

use glassnet_kernel::tables::openvswitch::flow::{KeyField, SwFlowKey};

use super::matching::Match;

/// A flow of a classifier, by a number that its owner gives.
pub type RuleId = u64;

/// Where a stage ends (`FLOW_SEGMENT_*_ENDS_AT`).
const STAGES: [KeyField; 4] = [KeyField::InPort, KeyField::EthType, KeyField::ArpTha, KeyField::TcpFlags];

/// Fields whose prefixes are remembered.
const PREFIXES: [KeyField; 2] = [KeyField::Ipv4Dst, KeyField::Ipv4Src];

/// Flows with one mask.
#[derive(Clone, Debug)]
struct Subtable {
    mask: SwFlowKey,
    /// By values: flows of different priorities, the greatest first.
    rules: BTreeMap<SwFlowKey, Vec<(u16, RuleId)>>,
    /// In the order in which they came.
    order: Vec<RuleId>,
}

impl Subtable {
    fn priority(&self) -> u16 {
        self.rules.values().filter_map(|rules| rules.first()).map(|rule| rule.0).max().unwrap_or(0)
    }

    /// The length of the prefix of a field that flows have; 0: they have none.
    fn prefix(&self, field: KeyField) -> u32 {
        let mask = self.mask[field] as u32;
        if mask.leading_ones() == mask.count_ones() { mask.leading_ones() } else { 0 }
    }
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    /// Those with greater priorities first.
    subtables: Vec<Subtable>,
}

/// The bits of a mask up to the end of a stage.
fn up_to(mask: &SwFlowKey, stage: KeyField) -> SwFlowKey {
    let mut part = SwFlowKey::default();
    KeyField::ALL.into_iter().filter(|field| *field <= stage).for_each(|field| part[field] = mask[field]);
    part
}

fn prefix_bits(len: u32) -> u64 {
    u64::from(u32::MAX.checked_shl(32 - len).unwrap_or(0))
}

impl Classifier {
    /// Adds a flow.
    pub fn insert(&mut self, matching: &Match, priority: u16, rule: RuleId) {
        let at = self.subtables.iter().position(|subtable| subtable.mask == matching.mask);
        let at = at.unwrap_or_else(|| {
            let (rules, order) = (BTreeMap::new(), Vec::new());
            self.subtables.push(Subtable { mask: matching.mask, rules, order });
            self.subtables.len() - 1
        });
        let subtable = &mut self.subtables[at];
        let rules = subtable.rules.entry(matching.key).or_default();
        rules.push((priority, rule));
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.0));
        subtable.order.push(rule);
        self.sort();
    }

    /// Removes a flow.
    pub fn remove(&mut self, matching: &Match, rule: RuleId) {
        if let Some(subtable) = self.subtables.iter_mut().find(|subtable| subtable.mask == matching.mask) {
            if let Some(rules) = subtable.rules.get_mut(&matching.key) {
                rules.retain(|other| other.1 != rule);
            }
            subtable.rules.retain(|_, rules| !rules.is_empty());
            subtable.order.retain(|other| *other != rule);
        }
        self.subtables.retain(|subtable| !subtable.rules.is_empty());
        self.sort();
    }

    fn sort(&mut self) {
        self.subtables.sort_by_key(|subtable| std::cmp::Reverse(subtable.priority()));
    }

    /// All flows, in the order of subtables.
    pub fn iter(&self) -> impl Iterator<Item = RuleId> {
        self.subtables.iter().flat_map(|subtable| subtable.order.iter().copied())
    }

    /// The flow of a packet with the greatest priority; `wc` gets the bits that decided.
    pub fn lookup(&self, key: &SwFlowKey, wc: &mut SwFlowKey) -> Option<RuleId> {
        let mut best: Option<(u16, RuleId)> = None;
        for subtable in &self.subtables {
            if best.is_some_and(|best| best.0 >= subtable.priority()) {
                break;
            }
            if let Some(found) = self.find(subtable, key, wc)
                && best.is_none_or(|best| found.0 > best.0)
            {
                best = Some(found);
            }
        }
        best.map(|best| best.1)
    }

    fn find(&self, subtable: &Subtable, key: &SwFlowKey, wc: &mut SwFlowKey) -> Option<(u16, RuleId)> {
        let mut before = SwFlowKey::default();
        for stage in STAGES {
            let part = up_to(&subtable.mask, stage);
            if part == before {
                continue;
            }
            let adds = |field: &KeyField| part[*field] != before[*field];
            if PREFIXES.iter().any(adds) && self.is_excluded(subtable, key, wc) {
                *wc = wc.union(&before);
                return None;
            }
            // The last stage that adds bits is the whole mask.
            if part == subtable.mask {
                break;
            }
            let values = key.masked(&part);
            if !subtable.rules.keys().any(|rule| rule.masked(&part) == values) {
                *wc = wc.union(&part);
                return None;
            }
            before = part;
        }
        match subtable.rules.get(&key.masked(&subtable.mask)) {
            Some(rules) => {
                *wc = wc.union(&subtable.mask);
                rules.first().copied()
            }
            None => {
                *wc = wc.union(&self.looked_at(subtable, key));
                None
            }
        }
    }

    /// No flow of the subtable has a prefix of the packet's addresses, which few bits tell (`check_tries`).
    fn is_excluded(&self, subtable: &Subtable, key: &SwFlowKey, wc: &mut SwFlowKey) -> bool {
        for field in PREFIXES {
            let len = subtable.prefix(field);
            if len == 0 {
                continue;
            }
            let (lengths, bits) = self.trie_lookup(field, key[field] as u32);
            if lengths.contains(&len) {
                continue;
            }
            let looked_at = prefix_bits(bits);
            if bits <= len {
                wc[field] |= looked_at;
                return true;
            }
            if wc[field] & looked_at == looked_at {
                return true;
            }
        }
        false
    }

    /// The lengths of the prefixes that an address has, and how many of its bits say that it has no others (`trie_lookup_value`).
    fn trie_lookup(&self, field: KeyField, value: u32) -> (Vec<u32>, u32) {
        let with_prefix = self.subtables.iter().filter(|subtable| subtable.prefix(field) > 0);
        let prefixes: Vec<(u32, u32)> = with_prefix
            .flat_map(|subtable| subtable.rules.keys().map(|key| (key[field] as u32, subtable.prefix(field))))
            .collect();
        let equal = |(prefix, len): (u32, u32)| (prefix ^ value).leading_zeros().min(len);
        let longest = prefixes.iter().map(|prefix| equal(*prefix)).max().unwrap_or(0);
        let lengths: Vec<u32> =
            prefixes.iter().filter(|prefix| equal(**prefix) == prefix.1).map(|prefix| prefix.1).collect();
        let goes_on = prefixes.iter().any(|prefix| equal(*prefix) == longest && prefix.1 > longest);
        (lengths, if goes_on { longest + 1 } else { longest })
    }

    /// The bits that show that no flow of the subtable is the packet's: of ports only as many as any flow has
    /// (`ports_trie`).
    fn looked_at(&self, subtable: &Subtable, key: &SwFlowKey) -> SwFlowKey {
        let whole = subtable.mask;
        let (src, dst) = (whole[KeyField::TpSrc], whole[KeyField::TpDst]);
        if src | dst == 0 {
            return whole;
        }
        let ports = |key: &SwFlowKey| {
            ((key[KeyField::TpSrc] << 16 | key[KeyField::TpDst]) as u32) & (src << 16 | dst) as u32
        };
        let value = (key[KeyField::TpSrc] << 16 | key[KeyField::TpDst]) as u32;
        let len = 32 - ((src << 16 | dst) as u32).trailing_zeros();
        let equal = |rule: u32| (rule ^ value).leading_zeros().min(len);
        let longest = subtable.rules.keys().map(|rule| equal(ports(rule))).max().unwrap_or(0);
        let bits = prefix_bits(if longest < len { longest + 1 } else { longest });
        let mut part = whole;
        part[KeyField::TpSrc] = src & bits >> 16;
        part[KeyField::TpDst] = dst & bits;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(fields: &[(KeyField, u64, u64)]) -> Match {
        let mut matching = Match::default();
        fields.iter().for_each(|(field, value, mask)| matching.set_masked(*field, *value, *mask));
        matching
    }

    #[test]
    fn what_fails_early_is_not_looked_at_more_closely() {
        let mut classifier = Classifier::default();
        let arp =
            matching(&[(KeyField::EthType, 0x806, 0xffff), (KeyField::Ipv4Dst, 0x0a00_0003, 0xffff_ffff)]);
        classifier.insert(&arp, 10, 1);
        classifier.insert(&Match::default(), 0, 2);
        let mut key = SwFlowKey::default();
        key[KeyField::EthType] = 0x800;
        let mut wc = SwFlowKey::default();
        assert_eq!(classifier.lookup(&key, &mut wc), Some(2));
        assert_eq!((wc[KeyField::EthType], wc[KeyField::Ipv4Dst]), (0xffff, 0));
        key[KeyField::EthType] = 0x806;
        assert_eq!(classifier.lookup(&key, &mut wc), Some(2));
        // 0.0.0.0 differs from 10.0.0.3 in the fifth bit.
        assert_eq!((wc[KeyField::EthType], wc[KeyField::Ipv4Dst]), (0xffff, 0xf800_0000));
        (key[KeyField::EthType], key[KeyField::Ipv4Dst]) = (0x806, 0x0a00_0003);
        assert_eq!(classifier.lookup(&key, &mut wc), Some(1));
        assert_eq!((wc[KeyField::EthType], wc[KeyField::Ipv4Dst]), (0xffff, 0xffff_ffff));
    }

    #[test]
    fn the_greatest_priority_wins() {
        let mut classifier = Classifier::default();
        let port = matching(&[(KeyField::InPort, 1, 0xffff_ffff)]);
        classifier.insert(&port, 5, 1);
        classifier.insert(&port, 7, 2);
        classifier.insert(&Match::default(), 6, 3);
        let mut key = SwFlowKey::default();
        key[KeyField::InPort] = 1;
        assert_eq!(classifier.lookup(&key, &mut SwFlowKey::default()), Some(2));
        classifier.remove(&port, 2);
        assert_eq!(classifier.lookup(&key, &mut SwFlowKey::default()), Some(3));
        assert_eq!(classifier.iter().collect::<Vec<_>>(), [3, 1]);
    }
}
