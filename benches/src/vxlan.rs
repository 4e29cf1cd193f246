//! Two hosts on one cable with a tunnel between them.

use glassnet_kernel::World;
use glassnet_kernel::drivers::vxlan::vxlan_config::VxlanOptions;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_wire::vxlan::VXLAN_PORT;

use crate::{CPU, Chain, MACHINE, address_cable, frame, link, netns, veth};

/// A chain of one hop: what goes into the tunnel's device of one host comes out of that of the other. Its cost is that of packing and
/// unpacking, of the outer packet's way through two IP stacks, and of the cable.
pub fn vxlan() -> Chain {
    let mut world = World::new(1);
    world.add_machine("bench", 1);
    let hosts = [netns(&mut world, MACHINE), netns(&mut world, MACHINE)];
    let cable = veth(&mut world, MACHINE, ["a", "b"], hosts);
    world.enter(MACHINE, CPU, |cx| address_cable(cx, 0, cable, link(0, 2)));
    let [first, last] = [(hosts[0], 1, 2), (hosts[1], 2, 1)].map(|(netns, local, remote)| {
        let (local, group) = (Some(link(0, local)), Some(link(0, remote)));
        tunnel(&mut world, netns, VxlanOptions { local, group, ..VxlanOptions::default() })
    });
    Chain { world, first, last, flows: 1, services: 0, frame: frame(), sent: 0 }
}

/// A device that is up, of network 1 on the assigned port.
pub fn tunnel(world: &mut World, netns: NetnsId, options: VxlanOptions) -> DevId {
    let options = VxlanOptions { id: Some(1), port: Some(VXLAN_PORT), ..options };
    let set = LinkSet { up: Some(true), info: Some(options.into()), ..LinkSet::default() };
    let new = LinkNew { name: Some("vx".to_owned()), set, ifindex: None, link: None };
    world.enter(MACHINE, CPU, |cx| rtm_newlink(cx, netns, new).expect("a new tunnel"))
}
