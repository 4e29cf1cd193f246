//! Worlds of many machines, and of many ends of one tunnel.

use std::net::Ipv4Addr;

use glassnet_kernel::World;
use glassnet_kernel::drivers::vxlan::vxlan_config::VxlanOptions;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::link::{FdbDst, FdbRequest};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::netlink::NLM_F_CREATE;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::Nud;
use glassnet_wire::Mac;

use crate::vxlan::tunnel;
use crate::{CPU, Chain, MACHINE, at_port, bridge, enslave, frame, neighbour, netns, setup_namespace, veth};

/// So many machines, each with a bridge and so many namespaces at it.
pub fn machines(count: u32, namespaces: u32) -> World {
    let mut world = World::new(1);
    for number in 0..count {
        let machine = world.add_machine(&format!("m{number}"), 1);
        let bridge = bridge(&mut world, machine, "br0");
        for _ in 0..namespaces {
            setup_namespace(&mut world, machine, bridge);
        }
    }
    world
}

/// One end of a tunnel that knows `stations` stations at `ends` other ends, which are hosts at one bridge. What is sent goes to the first of
/// the stations; [`Stations::next`] goes to the next.
pub fn vteps(ends: u32, stations: u32) -> Stations {
    let mut world = World::new(1);
    world.add_machine("bench", 1);
    let underlay = bridge(&mut world, MACHINE, "br0");
    let hosts: Vec<(DevId, NetnsId)> = (0..=ends).map(|number| host(&mut world, underlay, number)).collect();
    let tunnels: Vec<DevId> = hosts
        .iter()
        .zip(0..)
        .map(|((_, netns), number)| {
            let (local, learning) = (Some(address(number)), Some(false));
            tunnel(&mut world, *netns, VxlanOptions { local, learning, ..VxlanOptions::default() })
        })
        .collect();
    let addresses: Vec<Mac> = hosts.iter().map(|(dev, _)| world.kernel(MACHINE).devs[*dev].addr).collect();
    world.enter(MACHINE, CPU, |cx| {
        for number in 1..=ends {
            neighbour(cx, hosts[0].0, address(number), addresses[number as usize]);
        }
        let add = cx.k.devs[tunnels[0]].ops.fdb.expect("a tunnel has stations").add;
        for number in 0..stations {
            let dst = Some(address(1 + number % ends));
            let request = FdbRequest {
                mac: station(number),
                state: Nud::Permanent as u16,
                flags: 0,
                nlmsg_flags: NLM_F_CREATE,
                to: FdbDst { dst, ..FdbDst::default() },
            };
            add(cx, tunnels[0], &request).expect("a new entry");
        }
    });
    let chain =
        Chain { world, first: tunnels[0], last: tunnels[1], flows: 1, services: 0, frame: frame(), sent: 0 };
    Stations { chain, tunnels, stations, sent: 0 }
}

/// The address of a host, of which there may be 65,535.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 1).to_bits() + number)
}

fn station(number: u32) -> Mac {
    let [_, _, a, b] = number.to_be_bytes();
    Mac([2, 9, 0, 0, a, b])
}

fn host(world: &mut World, underlay: DevId, number: u32) -> (DevId, NetnsId) {
    let netns = netns(world, MACHINE);
    let [dev, port] = veth(world, MACHINE, ["eth0", &format!("v{number}")], [netns, INIT_NET]);
    enslave(world, MACHINE, port, underlay);
    world.enter(MACHINE, CPU, |cx| {
        let mac = cx.k.devs[dev].addr;
        at_port(cx, port, mac);
        rtm_newaddr(cx, netns, &AddrMsg::new(dev, address(number), 16), NLM_F_CREATE).expect("a new address");
    });
    (dev, netns)
}

/// A tunnel with many stations.
pub struct Stations {
    chain: Chain,
    tunnels: Vec<DevId>,
    stations: u32,
    sent: u32,
}

impl Stations {
    /// Sends a packet to the next station.
    pub fn next(&mut self) {
        let mac = station(self.sent % self.stations);
        self.chain.send_to(mac);
        self.sent += 1;
    }

    /// Packets that came out of the tunnel, at whichever end.
    pub fn arrived(&self) -> u64 {
        let devs = &self.chain.world.kernel(MACHINE).devs;
        self.tunnels[1..].iter().map(|dev| devs[*dev].stats.rx_packets).sum()
    }
}
