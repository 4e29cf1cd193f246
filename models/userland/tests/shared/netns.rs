//! A machine with one empty namespace.

use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId};
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_userland::process::SharedWorld;

/// The machine.
pub const NODE: MachineId = MachineId(0);

/// The machine and its namespace.
pub fn machine() -> (SharedWorld, NetnsId) {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    let netns = world.enter(NODE, CpuId(0), |cx| {
        let netns = copy_net_ns(cx);
        cx.k.netns_names.insert("test".to_owned(), netns);
        netns
    });
    (Arc::new(Mutex::new(world)), netns)
}
