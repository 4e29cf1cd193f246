//! The networks that the benchmarks send packets through, built by the kernel model's own requests.

pub mod floor;

use glassnet_kernel::door::Door;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::bridge::br_fdb::{FdbMsg, br_fdb_add};
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{
    BridgeOptions, LinkKind, LinkNew, LinkSet, do_setlink, rtm_newlink,
};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::{ConfOf, devinet_conf_proc};
use glassnet_kernel::netlink::NLM_F_CREATE;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, RouteType};
use glassnet_kernel::{Cx, World};
use glassnet_wire::Mac;

/// Packets that are sent at once, so that a poll finds 64 of them, as under load.
pub const BURST: usize = 64;
/// The first machine of a world.
pub const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// The station that sends.
pub const SOURCE: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
/// The station that receives.
pub const DEST: Mac = Mac([0x02, 0, 0, 0, 0, 0x02]);

/// A chain of hops with a device at its start that packets are sent into.
pub struct Chain {
    /// The world that it is in.
    pub world: World,
    /// Where packets are sent.
    pub first: DevId,
    /// Where they come out: its counter tells how many did.
    pub last: DevId,
    frame: Vec<u8>,
}

/// A veth pair between two namespaces, both ends up.
pub fn veth(world: &mut World, names: [&str; 2], netns: [NetnsId; 2]) -> [DevId; 2] {
    world.enter(MACHINE, CPU, |cx| {
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        let peer = LinkNew { name: Some(names[1].to_owned()), set: up.clone(), ..LinkNew::default() };
        let kind = LinkKind::Veth { peer: Box::new(peer), peer_netns: Some(netns[1]) };
        let new = LinkNew { name: Some(names[0].to_owned()), kind, set: up, ifindex: None };
        let dev = rtm_newlink(cx, netns[0], new).expect("a new pair");
        [dev, cx.k.devs[dev].veth_peer().expect("a pair")]
    })
}

/// A namespace without a name.
pub fn netns(world: &mut World) -> NetnsId {
    world.enter(MACHINE, CPU, copy_net_ns)
}

/// A bridge that is up.
pub fn bridge(world: &mut World, name: &str) -> DevId {
    world.enter(MACHINE, CPU, |cx| {
        let set = LinkSet { up: Some(true), ..LinkSet::default() };
        let kind = LinkKind::Bridge(BridgeOptions::default());
        let new = LinkNew { name: Some(name.to_owned()), kind, set, ifindex: None };
        rtm_newlink(cx, INIT_NET, new).expect("a new bridge")
    })
}

/// Makes a device a port of a bridge.
pub fn enslave(world: &mut World, dev: DevId, bridge: DevId) {
    world.enter(MACHINE, CPU, |cx| {
        let set = LinkSet { master: Some(Some(bridge)), ..LinkSet::default() };
        do_setlink(cx, dev, set).expect("a new port");
    });
}

/// A world with one machine and one bridge.
pub fn one_bridge(world: &mut World) -> DevId {
    world.add_machine("bench", 1);
    bridge(world, "br0")
}

/// What a container gets: a namespace, a veth pair and a port of the bridge.
pub fn setup_namespace(world: &mut World, bridge: DevId) {
    let netns = netns(world);
    let [_, port] = veth(world, ["eth0", &format!("v{}", netns.0)], [netns, INIT_NET]);
    enslave(world, port, bridge);
}

/// A chain of `hops` bridges, each a cable from the next.
pub fn bridges(hops: usize) -> Chain {
    let mut world = World::new(1);
    world.add_machine("bench", 1);
    let (a, b) = (netns(&mut world), netns(&mut world));
    let mut first = None;
    let mut last = None;
    for hop in 0..=hops {
        let ends = [if hop == 0 { a } else { INIT_NET }, if hop == hops { b } else { INIT_NET }];
        let [left, right] = veth(&mut world, [&format!("l{hop}"), &format!("r{hop}")], ends);
        if hop > 0 {
            bridge_between(&mut world, hop, last.expect("a cable before"), left);
        }
        first.get_or_insert(left);
        last = Some(right);
    }
    Chain { world, first: first.expect("a cable"), last: last.expect("a cable"), frame: frame() }
}

fn bridge_between(world: &mut World, hop: usize, left: DevId, right: DevId) {
    let bridge = bridge(world, &format!("br{hop}"));
    enslave(world, left, bridge);
    enslave(world, right, bridge);
    world.enter(MACHINE, CPU, |cx| {
        let station = FdbMsg {
            mac: DEST,
            vlan: 0,
            permanent: false,
            noarp: true,
            sticky: false,
            extern_learn: false,
            replace: false,
            create: true,
        };
        br_fdb_add(cx, right, station).expect("a new entry");
    });
}

/// A chain of `hops` routers, each a namespace, joined by cables; every router knows the next one's address.
pub fn routers(hops: usize) -> Chain {
    let mut world = World::new(1);
    world.add_machine("bench", 1);
    let spaces: Vec<NetnsId> = (0..hops + 2).map(|_| netns(&mut world)).collect();
    let mut ends = Vec::new();
    for (link, pair) in spaces.windows(2).enumerate() {
        let names = [format!("l{link}"), format!("r{link}")];
        let [left, right] = veth(&mut world, [&names[0], &names[1]], [pair[0], pair[1]]);
        world.enter(MACHINE, CPU, |cx| {
            for (dev, host) in [(left, 1), (right, 2)] {
                let address = AddrMsg::new(dev, [10, 0, link as u8, host].into(), 24);
                rtm_newaddr(cx, cx.k.devs[dev].netns, &address, NLM_F_CREATE).expect("a new address");
            }
            let set = LinkSet { address: Some(DEST), ..LinkSet::default() };
            do_setlink(cx, right, set).expect("a new address");
            if link > 0 {
                forward(cx, pair[0], left, [10, 0, link as u8, 2]);
            }
        });
        ends.push([left, right]);
    }
    let mut frame = frame();
    frame[14..34].copy_from_slice(&[69, 0, 0, 46, 0, 1, 64, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 99, 0, 1]);
    glassnet_wire::ipv4::ip_send_check(&mut frame[14..34]);
    Chain { world, first: ends[0][0], last: ends[hops][1], frame }
}

/// Makes a namespace a router to 10.99.0.0/16 by a neighbour that it need not ask for.
fn forward(cx: &mut Cx, netns: NetnsId, dev: DevId, via: [u8; 4]) {
    devinet_conf_proc(cx, netns, ConfOf::All, Conf::Forwarding, 1);
    let nexthop = NexthopMsg { via: Some(via.into()), ..NexthopMsg::default() };
    let route = RouteMsg {
        kind: RouteType::Unicast,
        dst: u32::from_be_bytes([10, 99, 0, 0]),
        dst_len: 16,
        nexthops: vec![nexthop],
        ..RouteMsg::default()
    };
    rtm_newroute(cx, netns, &route, NLM_F_CREATE).expect("a new route");
    let neighbour =
        NeighMsg { dev, dst: via.into(), lladdr: Some(DEST), state: Nud::Permanent, flags: 0, protocol: 0 };
    rtm_newneigh(cx, netns, &neighbour, NLM_F_CREATE).expect("a new neighbour");
}

/// A 64-byte frame (60 without its checksum) with a UDP datagram, from [`SOURCE`] to [`DEST`].
fn frame() -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&DEST.0);
    frame[6..12].copy_from_slice(&SOURCE.0);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame
}

impl Chain {
    /// Sends a burst through the chain to its end.
    pub fn burst(&mut self) {
        let (first, frame) = (self.first, &self.frame);
        self.world.enter(MACHINE, CPU, |cx| {
            for _ in 0..BURST {
                let skb = cx.skbs.alloc_skb(frame.len(), first);
                cx.skbs.data_mut(skb).copy_from_slice(frame);
                cx.skbs[skb].protocol = 0x0800;
                cx.walk(Door::DevQueueXmit { skb });
            }
        });
        self.world.reset_limit();
    }

    /// Packets that came out at the end.
    pub fn arrived(&self) -> u64 {
        self.world.kernel(MACHINE).devs[self.last].stats.rx_packets
    }
}
