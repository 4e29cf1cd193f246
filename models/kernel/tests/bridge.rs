//! A bridge with three ports, each the cable to a namespace: who gets which frame?

use glassnet_kernel::World;
use glassnet_kernel::door::Door;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_attrs::{Attrs, BrAttr};
use glassnet_kernel::net::bridge::{br_attrs_bridge as bridge, br_attrs_port as port};
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_dellink, rtm_newlink};
use glassnet_kernel::net::socket::{close, recv, socket};
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::netdev::OperState;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_P_ALL;

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// The bridge, and of each cable the end in its namespace and the end in the bridge.
struct Lan {
    world: World,
    bridge: DevId,
    stations: Vec<DevId>,
    ports: Vec<DevId>,
}

fn station(n: u8) -> Mac {
    Mac([0x02, 0, 0, 0, 0, n])
}

fn lan() -> Lan {
    let mut world = World::new(7);
    world.add_machine("m", 1);
    let up = LinkSet { up: Some(true), ..LinkSet::default() };
    let (bridge, pairs) = world.enter(MACHINE, CPU, |cx| {
        let new = LinkNew {
            name: Some("br0".into()),
            set: LinkSet { info: Some(LinkInfo::new("bridge")), ..up.clone() },
            ..LinkNew::default()
        };
        let bridge = rtm_newlink(cx, INIT_NET, new).unwrap();
        let pairs: Vec<(DevId, DevId)> = (0..3)
            .map(|n| {
                let netns = copy_net_ns(cx);
                let peer = LinkNew {
                    name: Some("eth0".into()),
                    set: LinkSet { netns: Some(netns), ..up.clone() },
                    ..LinkNew::default()
                };
                let info = Some(VethOptions { peer }.into());
                let set = LinkSet { master: Some(Some(bridge)), ..up.clone() };
                let port = rtm_newlink(
                    cx,
                    INIT_NET,
                    LinkNew {
                        name: Some(format!("p{n}")),
                        set: LinkSet { info, ..set },
                        ifindex: None,
                        link: None,
                    },
                )
                .unwrap();
                (port, cx.k.devs[port].link.unwrap())
            })
            .collect();
        (bridge, pairs)
    });
    let (ports, stations) = pairs.into_iter().unzip();
    Lan { world, bridge, stations, ports }
}

impl Lan {
    /// Sends a frame from a station and tells which stations (by number) and whether the bridge's host got it.
    fn send(&mut self, from: usize, source: Mac, dest: Mac) -> (Vec<usize>, bool) {
        let before = self.received();
        let dev = self.stations[from];
        self.world.enter(MACHINE, CPU, |cx| {
            let skb = cx.skbs.alloc_skb(60, dev);
            let bytes = cx.skbs.data_mut(skb);
            bytes[..6].copy_from_slice(&dest.0);
            bytes[6..12].copy_from_slice(&source.0);
            bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
            cx.skbs[skb].protocol = 0x88b5;
            cx.walk(Door::DevQueueXmit { skb });
        });
        let after = self.received();
        let got = (0..3).filter(|n| after[*n] != before[*n]).collect();
        (got, after[3] != before[3])
    }

    fn received(&self) -> [u64; 4] {
        let devs = &self.world.kernel(MACHINE).devs;
        let rx = |dev: DevId| devs[dev].stats.rx_packets;
        [rx(self.stations[0]), rx(self.stations[1]), rx(self.stations[2]), rx(self.bridge)]
    }

    fn wait_until(&mut self, seconds: u64) {
        let until = Nanos::from_secs(seconds);
        self.world.wake_at(until);
        while self.world.next_event_at().is_some_and(|at| at <= until) {
            self.world.step().expect("an end");
        }
    }

    fn set_port(&mut self, port: usize, attr: &'static BrAttr, value: u64) {
        let dev = self.ports[port];
        let info = LinkInfo::with("bridge_slave", Attrs::from([(attr, value)]));
        let set = LinkSet { slave_info: Some(info), ..LinkSet::default() };
        self.world.enter(MACHINE, CPU, |cx| do_setlink(cx, dev, set).unwrap());
    }

    fn set_bridge(&mut self, attr: &'static BrAttr, value: u64) {
        let info = LinkInfo::with("bridge", Attrs::from([(attr, value)]));
        let (dev, set) = (self.bridge, LinkSet { info: Some(info), ..LinkSet::default() });
        self.world.enter(MACHINE, CPU, |cx| do_setlink(cx, dev, set).unwrap());
    }
}

#[test]
fn unknown_is_flooded_and_known_is_not() {
    let mut lan = lan();
    assert_eq!(lan.send(0, station(0x10), station(0x11)), (vec![1, 2], false));
    assert_eq!(lan.send(1, station(0x11), station(0x10)), (vec![0], false));
    assert_eq!(lan.send(0, station(0x10), station(0x11)), (vec![1], false));
    assert_eq!(lan.send(2, station(0x12), Mac::BROADCAST), (vec![0, 1], true));
}

#[test]
fn a_station_that_moves_is_found_again() {
    let mut lan = lan();
    lan.send(0, station(0x10), Mac::BROADCAST);
    assert_eq!(lan.send(1, station(0x11), station(0x10)), (vec![0], false));
    lan.send(2, station(0x10), Mac::BROADCAST);
    assert_eq!(lan.send(1, station(0x11), station(0x10)), (vec![2], false));
}

#[test]
fn a_silent_station_is_forgotten_after_the_ageing_time() {
    let mut lan = lan();
    lan.send(0, station(0x10), Mac::BROADCAST);
    let table = |lan: &Lan| lan.world.kernel(MACHINE).devs[lan.bridge].bridge().unwrap().fdb.len();
    let with_station = table(&lan);
    while lan.world.step().unwrap() {}
    assert!(lan.world.now() >= Nanos::from_secs(300));
    assert_eq!(table(&lan), with_station - 1);
    assert_eq!(lan.send(1, station(0x11), station(0x10)), (vec![0, 2], false));
}

/// `br_set_ageing_time`: a shorter ageing time holds at once, and the search comes again when the next entry is old.
#[test]
fn a_new_ageing_time_is_looked_at_once() {
    let mut lan = lan();
    let known = |lan: &Lan, last| {
        let br = lan.world.kernel(MACHINE).devs[lan.bridge].bridge().expect("a bridge");
        br.fdb.find(station(last), 0).is_some()
    };
    lan.send(0, station(0x10), Mac::BROADCAST);
    lan.wait_until(20);
    lan.send(1, station(0x11), Mac::BROADCAST);
    lan.set_bridge(&bridge::AGEING_TIME, 1000);
    assert_eq!([known(&lan, 0x10), known(&lan, 0x11)], [false, true]);
    lan.wait_until(29);
    assert!(known(&lan, 0x11));
    lan.wait_until(31);
    assert!(!known(&lan, 0x11));
}

/// Seconds until the next search. Nothing is known, so there are no events, but the time is told: the first search is 0.1 s
/// after the bridge came up, and each timer expires at the end of its slot: 300 s are 311.3 s (slots of 4096 ticks).
#[test]
fn the_gc_timer_is_told() {
    let mut lan = lan();
    let told = |lan: &mut Lan, seconds: u64| {
        lan.wait_until(seconds);
        let kernel = lan.world.kernel(MACHINE);
        bridge::GC_TIMER.get(kernel, &kernel.devs[lan.bridge], lan.world.now()).expect("a bridge") / 100
    };
    assert_eq!([1, 200, 310, 312, 400].map(|seconds| told(&mut lan, seconds)), [299, 100, 0, 299, 211]);
}

#[test]
fn frames_to_the_bridges_own_addresses_go_up() {
    let mut lan = lan();
    for dev in [lan.bridge, lan.ports[0], lan.ports[2]] {
        let addr = lan.world.kernel(MACHINE).devs[dev].addr;
        assert_eq!(lan.send(1, station(0x11), addr), (vec![], true));
    }
}

#[test]
fn the_bridge_has_the_lowest_address_of_its_ports() {
    let lan = lan();
    let devs = &lan.world.kernel(MACHINE).devs;
    assert_eq!(Some(devs[lan.bridge].addr), lan.ports.iter().map(|port| devs[*port].addr).min());
}

#[test]
fn hairpin_sends_a_frame_back_where_it_came_from() {
    let mut lan = lan();
    lan.send(0, station(0x10), Mac::BROADCAST);
    assert_eq!(lan.send(0, station(0x11), station(0x10)), (vec![], false));
    lan.set_port(0, &port::HAIRPIN, 1);
    assert_eq!(lan.send(0, station(0x11), station(0x10)), (vec![0], false));
}

#[test]
fn isolated_ports_reach_only_the_others() {
    let mut lan = lan();
    for n in [0, 1] {
        lan.set_port(n, &port::ISOLATED, 1);
    }
    assert_eq!(lan.send(0, station(0x10), Mac::BROADCAST), (vec![2], true));
    assert_eq!(lan.send(2, station(0x12), Mac::BROADCAST), (vec![0, 1], true));
}

#[test]
fn flooding_can_be_switched_off_a_port() {
    let mut lan = lan();
    lan.set_port(1, &port::FLOOD, 0);
    assert_eq!(lan.send(0, station(0x10), station(0x77)), (vec![2], false));
    assert_eq!(lan.send(0, station(0x10), Mac::BROADCAST), (vec![1, 2], true));
}

#[test]
fn link_local_groups_stay_on_their_link_unless_the_mask_says_otherwise() {
    let mut lan = lan();
    let group = |last| Mac([0x01, 0x80, 0xc2, 0, 0, last]);
    assert_eq!(lan.send(0, station(0x10), group(0x0e)), (vec![], false));
    assert_eq!(lan.send(0, station(0x10), group(0x00)), (vec![1, 2], true), "BPDUs pass while STP is off");
    lan.set_bridge(&bridge::GROUP_FWD_MASK, 1 << 0x0e);
    assert_eq!(lan.send(0, station(0x10), group(0x0e)), (vec![1, 2], true));
}

#[test]
fn a_bad_source_address_is_dropped() {
    let mut lan = lan();
    assert_eq!(lan.send(0, Mac::BROADCAST, station(0x11)), (vec![], false));
    assert_eq!(lan.world.kernel(MACHINE).drops.get(&DropReason::NotSpecified), Some(&1));
}

#[test]
fn a_port_without_a_peer_that_is_up_does_not_forward() {
    let mut lan = lan();
    let station_dev = lan.stations[2];
    lan.world.enter(MACHINE, CPU, |cx| {
        do_setlink(cx, station_dev, LinkSet { up: Some(false), ..LinkSet::default() }).unwrap();
    });
    assert_eq!(lan.send(0, station(0x10), Mac::BROADCAST), (vec![1], true));
    let devs = &lan.world.kernel(MACHINE).devs;
    assert_eq!(devs[lan.ports[2]].operstate, OperState::LowerLayerDown);
    assert_eq!(devs[lan.bridge].operstate, OperState::Up);
}

#[test]
fn removing_a_bridge_frees_its_ports_and_leaks_nothing() {
    let mut lan = lan();
    lan.send(0, station(0x10), Mac::BROADCAST);
    let bridge = lan.bridge;
    lan.world.enter(MACHINE, CPU, |cx| rtm_dellink(cx, bridge).unwrap());
    let kernel = lan.world.kernel(MACHINE);
    assert!(lan.ports.iter().all(|port| kernel.devs[*port].master().is_none()));
    assert!(lan.ports.iter().all(|port| kernel.devs[*port].promiscuity == 0));
    while lan.world.step().unwrap() {}
    assert_eq!((lan.world.skbs.alive(), lan.world.skbs.bufs.held()), (0, 0));
}

#[test]
fn a_loop_of_two_cables_ends_at_the_limit() {
    let mut lan = lan();
    lan.world.enter(MACHINE, CPU, |cx| {
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        let new = LinkNew {
            name: Some("br1".into()),
            set: LinkSet { info: Some(LinkInfo::new("bridge")), ..up.clone() },
            ..LinkNew::default()
        };
        let other = rtm_newlink(cx, INIT_NET, new).unwrap();
        let bridge = cx.k.dev_by_name(INIT_NET, "br0").unwrap();
        for n in 0..2 {
            let set = |master| LinkSet { master: Some(Some(master)), ..up.clone() };
            let peer = LinkNew { name: Some(format!("b{n}")), set: set(other), ..LinkNew::default() };
            let info = Some(VethOptions { peer }.into());
            let new = LinkNew {
                name: Some(format!("a{n}")),
                set: LinkSet { info, ..set(bridge) },
                ifindex: None,
                link: None,
            };
            rtm_newlink(cx, INIT_NET, new).unwrap();
        }
    });
    lan.send(0, station(0x10), Mac::BROADCAST);
    let end = loop {
        match lan.world.step() {
            Ok(true) => {}
            end => break end,
        }
    };
    assert_eq!(
        end.unwrap_err().to_string(),
        "1000000 packets came in since the last command: does a bridge loop, or a generator not end?"
    );
}

/// A port's frames go to the bridge before sockets of a protocol see them; sockets of all protocols are asked first.
#[test]
fn a_packet_socket_of_a_protocol_sees_nothing_on_a_port() {
    let mut lan = lan();
    let (port, bridge) = (lan.ports[0], lan.bridge);
    let got = |lan: &mut Lan, dev: DevId, protocol| {
        let ifindex = lan.world.kernel(MACHINE).devs[dev].ifindex;
        let id = lan.world.enter(MACHINE, CPU, |cx| {
            let id = socket(cx, INIT_NET, SockKind::Packet { cooked: false, protocol });
            cx.k.sockets.get_mut(id).expect("just opened").ifindex = ifindex;
            id
        });
        lan.send(0, station(0x10), Mac::BROADCAST);
        let seen = lan.world.enter(MACHINE, CPU, |cx| recv(cx, id)).expect("no error").is_some();
        lan.world.enter(MACHINE, CPU, |cx| close(cx, id));
        seen
    };
    assert!(got(&mut lan, port, ETH_P_ALL));
    assert!(!got(&mut lan, port, 0x88b5));
    assert!(got(&mut lan, bridge, 0x88b5));
}

/// A frame of the protocols between bridges, IEEE 802.1D table 7-10, is forwarded if the bridge or the port says so, and by a
/// bridge of a provider's VLANs if its customers' bridges are to get it (`br_recalculate_fwd_mask`).
#[test]
fn groups_that_are_forwarded() {
    for (own, provider, last, forwarded) in [
        (0x0000, false, 0x0f, false),
        (0x8000, false, 0x0f, true),
        (0x0000, true, 0x0f, true),
        (0x8000, true, 0x0f, true),
        (0x0000, true, 0x0e, false),
        (0x4000, true, 0x0e, true),
        (0x4000, true, 0x0d, true),
        (0x4000, true, 0x0f, true),
    ] {
        let mut lan = lan();
        if provider {
            lan.set_bridge(&bridge::VLAN_PROTOCOL, 0x88a8);
            lan.set_bridge(&bridge::VLAN_FILTERING, 1);
        }
        lan.set_bridge(&bridge::GROUP_FWD_MASK, own);
        let (got, _) = lan.send(0, station(0x10), Mac([0x01, 0x80, 0xc2, 0, 0, last]));
        assert_eq!(got == [1, 2], forwarded, "mask {own:#x}, provider {provider}, to {last:#x}");
    }
}
