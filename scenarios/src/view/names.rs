//! Names of namespaces, including those deleted at the end of a run.

use std::collections::BTreeMap;

use glassnet_kernel::World;
use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;

/// Names of namespaces that were seen so far.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(BTreeMap<(MachineId, NetnsId), String>);

impl Namespaces {
    /// Records the present names.
    pub fn look(&mut self, world: &World) {
        for kernel in &world.machines {
            for (name, id) in &kernel.netns_names {
                self.0.insert((kernel.id, *id), name.clone());
            }
        }
    }

    /// The name; empty for the initial namespace.
    pub fn name(&self, machine: MachineId, netns: NetnsId) -> String {
        match self.0.get(&(machine, netns)) {
            Some(name) => name.clone(),
            None if netns == INIT_NET => String::new(),
            None => format!("netns-{}", netns.0),
        }
    }
}
