//! What a batch of `iptables-nft` knows of its own rules. A rule that is put before another one refers to it by its handle or,
//! if that one is of the same batch, by a number that it loses when it is deleted again (as of iptables 1.8.9).

use std::collections::HashMap;

/// The rules of a batch, by chain.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// For each rule of a chain up to the last new one: whether it is new.
    chains: HashMap<String, Vec<Entry>>,
}

/// A rule.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// It was made in this batch.
    new: bool,
    /// The line of the first rule that was put before it.
    referred_at: Option<usize>,
}

impl Batch {
    fn chain(&mut self, chain: &str, len: usize) -> &mut Vec<Entry> {
        if !self.chains.contains_key(chain) {
            self.chains.insert(chain.to_owned(), Vec::new());
        }
        let entries = self.chains.entry(chain.to_owned()).or_default();
        if entries.len() < len {
            entries.resize(len, Entry::default());
        }
        entries
    }

    /// A rule was added at the end of a chain, at this index.
    pub fn added(&mut self, chain: &str, at: usize) {
        self.chain(chain, at).push(Entry { new: true, referred_at: None });
    }

    /// A rule was inserted at this index; `line`: that of its command, if it refers to the rule that it was put before.
    pub fn inserted(&mut self, chain: &str, at: usize, line: Option<usize>) {
        let entries = self.chain(chain, at + usize::from(line.is_some()));
        if line.is_some() && entries[at].new {
            entries[at].referred_at = entries[at].referred_at.or(line);
        }
        entries.insert(at, Entry { new: true, referred_at: None });
    }

    /// A rule was removed; the line of a command that refers to it, if it is new.
    pub fn removed(&mut self, chain: &str, at: usize) -> Option<usize> {
        let entries = self.chains.get_mut(chain)?;
        (at < entries.len()).then(|| entries.remove(at))?.referred_at
    }

    /// All rules of a chain were deleted.
    pub fn flushed(&mut self, chain: &str) {
        self.chains.remove(chain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_rule_is_missed() {
        let mut batch = Batch::default();
        // Two rules of the kernel, then one at the end, and one before each.
        batch.added("c", 2);
        batch.inserted("c", 2, Some(5));
        batch.inserted("c", 1, Some(6));
        assert_eq!(batch.removed("c", 2), None, "a rule of the kernel has a handle");
        assert_eq!(batch.removed("c", 3), Some(5));
        assert_eq!(batch.removed("c", 1), None, "no rule was put before it");
        let mut batch = Batch::default();
        batch.added("c", 0);
        batch.added("c", 1);
        batch.inserted("c", 1, Some(4));
        assert_eq!(batch.removed("c", 2), Some(4));
        assert_eq!(batch.removed("d", 0), None);
    }
}
