//! What follows from a carrier that comes and goes, and when.

use glassnet_kernel::World;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::neighbour::{dump_neigh, rtm_newneigh};
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::netdev::OperState;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// Two namespaces and a cable between them; `near` is up and has a neighbour at the far end.
struct Pair {
    world: World,
    netns: NetnsId,
    near: DevId,
    far: DevId,
}

fn set(up: bool) -> LinkSet {
    LinkSet { up: Some(up), ..LinkSet::default() }
}

/// `ifindex` is the near end's; the far end is number 2 in its namespace.
fn pair(ifindex: u32) -> Pair {
    let mut world = World::new(7);
    world.add_machine("m", 1);
    let (netns, near, far) = world.enter(MACHINE, CPU, |cx| {
        let (here, there) = (copy_net_ns(cx), copy_net_ns(cx));
        let peer = LinkNew {
            name: Some("eth0".into()),
            set: LinkSet { netns: Some(there), ..set(true) },
            ifindex: Some(2),
            link: None,
        };
        let info = Some(VethOptions { peer }.into());
        let new = LinkNew {
            name: Some("v".into()),
            set: LinkSet { info, ..LinkSet::default() },
            ifindex: Some(ifindex),
            link: None,
        };
        let near = rtm_newlink(cx, here, new).expect("a cable");
        (here, near, cx.k.devs[near].link.expect("a peer"))
    });
    let mut pair = Pair { world, netns, near, far };
    pair.run_for(2000);
    pair
}

impl Pair {
    fn run_for(&mut self, ms: u64) {
        let until = self.world.now() + Nanos::from_millis(ms);
        self.world.wake_at(until);
        while self.world.next_event_at().is_some_and(|at| at <= until) {
            self.world.step().expect("an end");
        }
    }

    fn up(&mut self, dev: DevId, up: bool) {
        self.world.enter(MACHINE, CPU, |cx| do_setlink(cx, dev, set(up)).expect("a change"));
    }

    fn state(&self, dev: DevId) -> OperState {
        self.world.kernel(MACHINE).devs[dev].operstate
    }

    /// Gives the near end an address and a neighbour.
    fn meet(&mut self) {
        let (netns, dev) = (self.netns, self.near);
        self.world.enter(MACHINE, CPU, |cx| {
            let address = AddrMsg::new(dev, "10.0.0.1".parse().expect("an address"), 24);
            rtm_newaddr(cx, netns, &address, NEW).expect("an address");
            let msg = NeighMsg {
                dev,
                dst: "10.0.0.2".parse().expect("an address"),
                lladdr: Some(Mac([2, 0, 0, 0, 0, 2])),
                state: Nud::Reachable,
                flags: 0,
                protocol: 0,
            };
            rtm_newneigh(cx, netns, &msg, NEW).expect("a neighbour");
        });
    }

    fn neighbours(&self) -> usize {
        dump_neigh(self.world.kernel(MACHINE), self.netns, self.world.now()).len()
    }
}

/// The kernel compares the numbers of both ends, whatever namespaces they are of.
#[test]
fn a_lower_layer_is_one_with_another_number() {
    let mut other = pair(5);
    other.up(other.far, false);
    other.up(other.near, true);
    assert_eq!(other.state(other.near), OperState::LowerLayerDown);
    other.up(other.far, true);
    assert_eq!(other.state(other.near), OperState::Up);
    let mut same = pair(2);
    same.up(same.far, false);
    same.up(same.near, true);
    assert_eq!(same.state(same.near), OperState::Down);
}

/// Between ends with different numbers a loss of carrier has its consequences at once.
#[test]
fn an_urgent_event_does_not_wait() {
    let mut pair = pair(5);
    pair.up(pair.near, true);
    pair.meet();
    pair.up(pair.far, false);
    assert_eq!((pair.state(pair.near), pair.neighbours()), (OperState::LowerLayerDown, 0));
}

/// The other events are taken once a second: a carrier that came back until then was never away.
#[test]
fn others_wait_for_a_second() {
    let mut pair = pair(2);
    pair.up(pair.near, true);
    pair.meet();
    pair.up(pair.far, false);
    assert_eq!((pair.state(pair.near), pair.neighbours()), (OperState::Up, 1));
    pair.up(pair.far, true);
    pair.run_for(1100);
    assert_eq!((pair.state(pair.near), pair.neighbours()), (OperState::Up, 1));
    pair.up(pair.far, false);
    pair.run_for(1100);
    assert_eq!((pair.state(pair.near), pair.neighbours()), (OperState::Down, 0));
}

/// A bridge's own carrier follows its ports at once, its state a second after another event.
#[test]
fn a_bridge_becomes_up_later() {
    let mut pair = pair(5);
    let near = pair.near;
    let bridge = pair.world.enter(MACHINE, CPU, |cx| {
        let netns = cx.k.devs[near].netns;
        let info = Some(LinkInfo::new("bridge"));
        let new = LinkNew {
            name: Some("br0".into()),
            set: LinkSet { info, ..set(true) },
            ifindex: None,
            link: None,
        };
        rtm_newlink(cx, netns, new).expect("a bridge")
    });
    assert_eq!(pair.state(bridge), OperState::Unknown);
    pair.up(near, true);
    let master = LinkSet { master: Some(Some(bridge)), ..LinkSet::default() };
    pair.world.enter(MACHINE, CPU, |cx| do_setlink(cx, near, master).expect("a port"));
    assert_eq!(pair.state(bridge), OperState::Unknown);
    pair.run_for(1100);
    assert_eq!(pair.state(bridge), OperState::Up);
}
