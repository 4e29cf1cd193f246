//! The netfilter hook functions of a namespace.
//!
//! Kernel: include/linux/netfilter.h (`struct nf_hook_entries`), include/net/netns/netfilter.h

use super::netfilter::{FAMILIES, HOOKS, Hook, Pf};
use crate::hook::HookOps;

/// The hooks at which some namespace ever registered a function (`nf_hooks_needed`); others are skipped
/// without a look-up, like a static key.
#[derive(Clone, Copy, Debug, Default)]
pub struct HooksNeeded(u32);

const _: () =
    assert!(FAMILIES.len() * HOOKS.len() <= u32::BITS as usize, "a bit for each hook of each family");

impl HooksNeeded {
    fn bit(pf: Pf, hook: Hook) -> u32 {
        1 << (pf as u32 * HOOKS.len() as u32 + hook as u32)
    }

    /// The hook is in use: look up the namespace's functions.
    #[inline(always)]
    pub fn at(self, pf: Pf, hook: Hook) -> bool {
        self.0 & Self::bit(pf, hook) != 0
    }
}

/// The functions of one hook, in calling order (`struct nf_hook_entries`).
#[derive(Clone, Debug, Default)]
pub struct HookEntries(Vec<HookOps>);

impl HookEntries {
    /// Inserts a function before those of equal priority, as Linux does (`nf_hook_entries_grow`); no-op if
    /// registered.
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

    /// Position of a function.
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

    /// Generation counter.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Registers a function at its hook (`nf_register_net_hook`).
    pub fn register(&mut self, needed: &mut HooksNeeded, ops: HookOps) {
        needed.0 |= HooksNeeded::bit(ops.pf, ops.hook);
        self.generation += 1;
        self.entries[ops.pf as usize][ops.hook as usize].grow(ops);
    }

    /// Unregisters a function (`nf_unregister_net_hook`).
    pub fn unregister(&mut self, ops: &HookOps) {
        self.generation += 1;
        self.entries[ops.pf as usize][ops.hook as usize].remove(ops.name, ops.private);
    }
}
