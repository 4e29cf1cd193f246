//! Builds the world of a topology: machines with their NICs, switches, cables.

use std::collections::BTreeMap;

use glassnet_hardware::{Cable, PlugId, SWITCH_QUEUE};
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::world::World;

use crate::lesson::{CableChange, Change, Endpoint, Topology, changed};

/// Default seed.
pub const SEED: u64 = 1;

/// The plugs of a topology by the ends of its cables, and of its other cards.
pub type Plugs = BTreeMap<Endpoint, PlugId>;

/// Does to a cable what a lesson says.
pub fn change(world: &mut World, plugs: &Plugs, CableChange { end, what }: &CableChange) {
    let Some(plug) = plugs.get(end).copied() else { return };
    match what {
        Change::Pull => world.pull(plug),
        Change::Plug => world.plug_in(plug),
        Change::Set(set) => {
            if let Some(cable) = world.fabric.cable(plug) {
                world.fabric.set_cable(plug, changed(cable, set));
            }
        }
    }
}

/// A world with the machines of the topology, sorted by name, booted and connected.
pub fn build(topology: &Topology, seed: u64) -> World {
    build_with_plugs(topology, seed).0
}

/// The same, and what is plugged in where.
pub fn build_with_plugs(topology: &Topology, seed: u64) -> (World, Plugs) {
    let mut world = World::new(seed);
    let mut plugs = Plugs::new();
    for (name, node) in &topology.nodes {
        let machine = world.add_machine(name, node.cpus as usize);
        if let Some(profile) = &node.profile {
            world.kernel_mut(machine).profile = profile.clone();
        }
        for (port, nic) in &node.nics {
            let driver = nic.driver.clone();
            let settings = NicSettings { driver, rings: nic.queues, rx_ring: nic.rx_ring };
            let (dev, plug) = world.add_nic(machine, port, &settings);
            if let Some(address) = nic.address {
                let nic = &mut world.kernel_mut(machine).devs[dev];
                (nic.addr, nic.perm_addr) = (address, address);
            }
            plugs.insert(Endpoint { node: name.clone(), port: port.clone() }, plug);
        }
    }
    for (name, switch) in &topology.switches {
        let id = world.fabric.add_switch(switch.queue.unwrap_or(SWITCH_QUEUE));
        for port in &switch.ports {
            let plug = world.fabric.add_port(id);
            plugs.insert(Endpoint { node: name.clone(), port: port.clone() }, plug);
        }
    }
    for link in &topology.links {
        let [a, b] = link.endpoints.each_ref().map(|end| plugs[end]);
        world.connect(a, b, Cable { rate: link.rate, delay: link.delay, faults: link.faults });
    }
    if let Some(cluster) = &topology.cluster {
        glassnet_cluster::start(&mut world, cluster.clone(), seed);
    }
    (world, plugs)
}
