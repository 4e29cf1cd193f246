//! The functions that are registered at the hooks of a namespace.
//!
//! Kernel: include/linux/netfilter.h (`struct nf_hook_entries`), include/net/netns/netfilter.h

use super::netfilter::{FAMILIES, HOOKS, Hook, Pf};
use crate::hook::HookOps;

/// The hooks at which some namespace of the machine ever had a function (`nf_hooks_needed`): packets pass the others
/// without a look.
#[derive(Clone, Copy, Debug, Default)]
pub struct HooksNeeded(u32);

const _: () =
    assert!(FAMILIES.len() * HOOKS.len() <= u32::BITS as usize, "a bit for each hook of each family");

impl HooksNeeded {
    fn bit(pf: Pf, hook: Hook) -> u32 {
        1 << (pf as u32 * HOOKS.len() as u32 + hook as u32)
    }

    /// A packet is to look what its namespace has there.
    #[inline(always)]
    pub fn at(self, pf: Pf, hook: Hook) -> bool {
        self.0 & Self::bit(pf, hook) != 0
    }
}

/// The functions of one hook, in the order in which they see a packet (`struct nf_hook_entries`).
#[derive(Clone, Debug, Default)]
pub struct HookEntries(Vec<HookOps>);

impl HookEntries {
    /// Adds a function before those of the same priority, as Linux does (`nf_hook_entries_grow`); one that is there
    /// already stays.
    pub fn grow(&mut self, ops: HookOps) {
        if self.position(ops.name, ops.private).is_none() {
            let at = self.0.partition_point(|entry| entry.priority < ops.priority);
            self.0.insert(at, ops);
        }
    }

    /// Removes a function (`nf_remove_net_hook`).
    pub fn remove(&mut self, name: &str, private: u32) {
        self.0.retain(|entry| (entry.name, entry.private) != (name, private));
    }

    /// Where a function stands.
    pub fn position(&self, name: &str, private: u32) -> Option<usize> {
        self.0.iter().position(|entry| (entry.name, entry.private) == (name, private))
    }
}

impl std::ops::Deref for HookEntries {
    type Target = [HookOps];
    #[inline(always)]
    fn deref(&self) -> &[HookOps] {
        &self.0
    }
}

/// The hook functions of a namespace, by family and hook (`struct netns_nf`).
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    entries: [[HookEntries; HOOKS.len()]; FAMILIES.len()],
    generation: u32,
}

impl Hooks {
    /// The functions of a hook.
    #[inline(always)]
    pub fn at(&self, pf: Pf, hook: Hook) -> &HookEntries {
        &self.entries[pf as usize][hook as usize]
    }

    /// Counts changes.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Adds a function to the hook that it names (`nf_register_net_hook`).
    pub fn register(&mut self, needed: &mut HooksNeeded, ops: HookOps) {
        needed.0 |= HooksNeeded::bit(ops.pf, ops.hook);
        self.generation += 1;
        self.entries[ops.pf as usize][ops.hook as usize].grow(ops);
    }

    /// Removes a function (`nf_unregister_net_hook`).
    pub fn unregister(&mut self, ops: &HookOps) {
        self.generation += 1;
        self.entries[ops.pf as usize][ops.hook as usize].remove(ops.name, ops.private);
    }
}
