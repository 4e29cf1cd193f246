//! Segments that are merged on their way in and cut on their way out are those that came.

mod packets;

use std::collections::BTreeMap;

use glassnet_hardware::{Cable, Faults, PlugId};
use glassnet_kernel::World;
use glassnet_kernel::door::Func;
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::drivers::vxlan::vxlan_config::VxlanOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::net::sched::sch_api::{TcMsg, tc_modify_qdisc};
use glassnet_kernel::net::sched::sch_netem::{Correlated, NetemOpt};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::netdev_features::{GRO, TSO};
use glassnet_kernel::tables::qdisc::TC_H_ROOT;
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, RouteType};
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::trace::{Frame, Level};
use glassnet_sim::{Dice, Nanos};
use glassnet_wire::Mac;
use glassnet_wire::checksum::{checksum, fold, pseudo_header, sum};
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_PSH, TCP_URG};

use packets::{TCP, ip, with_check};

const ROUTER: MachineId = MachineId(0);
const SINK: MachineId = MachineId(1);
const CPU: CpuId = CpuId(0);
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// Bytes of payload of a whole segment.
const MSS: usize = 1_000;

/// A router between a source of frames and a machine that merges nothing.
struct Line {
    world: World,
    source: PlugId,
    eth: [DevId; 2],
}

fn line() -> Line {
    let mut world = World::new(3);
    let cable = || Cable { rate: 0, delay: Nanos::ZERO, faults: Faults::default() };
    let (router, sink) = (world.add_machine("router", 1), world.add_machine("sink", 1));
    let (eth0, inner) = world.add_nic(router, "eth0", &NicSettings::new("e1000e"));
    let (eth1, outer) = world.add_nic(router, "eth1", &NicSettings::new("e1000e"));
    let (far, end) = world.add_nic(sink, "eth0", &NicSettings::new("e1000e"));
    let source = world.fabric.add_outside();
    world.connect(source, inner, cable());
    world.connect(outer, end, cable());
    let up = LinkSet { up: Some(true), ..LinkSet::default() };
    let lladdr = Some(world.kernel(sink).devs[far].addr);
    world.enter(router, CPU, |cx| {
        for (dev, addr) in [(eth0, "10.1.0.254"), (eth1, "10.2.0.254")] {
            do_setlink(cx, dev, up.clone()).expect("it comes up");
            rtm_newaddr(cx, INIT_NET, &AddrMsg::new(dev, ip(addr), 24), NEW).expect("an address");
        }
        devinet_conf_proc(cx, INIT_NET, ConfOf::All, Conf::Forwarding, 1);
        let (dst, state) = (ip("10.2.0.1"), Nud::Permanent);
        let neigh = NeighMsg { dev: eth1, dst, lladdr, state, flags: 0, protocol: 0 };
        rtm_newneigh(cx, INIT_NET, &neigh, NEW).expect("a neighbour");
    });
    world.enter(sink, CPU, |cx| {
        do_setlink(cx, far, up).expect("it comes up");
        cx.k.devs[far].features &= !GRO;
    });
    world.trace.capture = true;
    world.wake_at(world.now() + Nanos::from_secs(1));
    let mut line = Line { world, source, eth: [eth0, eth1] };
    line.run();
    line
}

impl Line {
    fn run(&mut self) {
        self.world.reset_limit();
        while self.world.step().expect("an end") {}
    }

    /// The device of the router does not do this.
    fn switch_off(&mut self, dev: usize, feature: u64) {
        self.world.kernel_mut(ROUTER).devs[self.eth[dev]].features &= !feature;
    }

    /// Sends packets, and returns those that the sink gets, by flow, and how many the router had after merging.
    fn forward(&mut self, packets: &[Vec<u8>]) -> (BTreeMap<Vec<u8>, Vec<Vec<u8>>>, u64) {
        self.world.trace.frames.clear();
        let begin = self.world.now() + Nanos::from_millis(1);
        let addr = self.world.kernel(ROUTER).devs[self.eth[0]].addr.0;
        for (at, packet) in packets.iter().enumerate() {
            let frame = [&addr[..], &[2, 0, 0, 0, 0, 9, 8, 0], packet].concat();
            self.world.inject(self.source, &frame, begin + Nanos(at as u64 * 300));
        }
        self.run();
        let mut flows: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        let seen = |machine, pkt_type| {
            let frames = self.world.trace.frames.iter();
            frames.filter(move |frame| frame.machine == machine && frame.pkt_type == pkt_type)
        };
        for frame in seen(SINK, PacketType::Host) {
            flows.entry(frame.bytes[26..38].to_vec()).or_default().push(frame.bytes.clone());
        }
        (flows, seen(ROUTER, PacketType::Host).count() as u64)
    }
}

/// A segment of a connection.
#[derive(Clone, Copy)]
struct Seg {
    flow: u16,
    seq: u32,
    len: usize,
    flags: u8,
    id: u16,
    df: bool,
}

impl Seg {
    fn packet(self) -> Vec<u8> {
        let mut tcp = [5_000 + self.flow, 80].map(u16::to_be_bytes).concat();
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend([0, 0, 0, 9, 0x50, self.flags, 0x20, 0, 0, 0, 0, 0]);
        tcp.extend((0..self.len).map(|at| (self.seq as usize + at) as u8));
        let mut packet = with_check("10.1.0.1", "10.2.0.1", TCP, tcp, 16);
        packet[4..6].copy_from_slice(&self.id.to_be_bytes());
        packet[6] = if self.df { 0x40 } else { 0 };
        packet[10..12].fill(0);
        let check = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&check.to_be_bytes());
        packet
    }
}

/// So many whole segments of a connection.
fn stream(flow: u16, count: u16) -> Vec<Seg> {
    let seg = |at: u16| {
        let seq = 1 + u32::from(at) * MSS as u32;
        Seg { flow, seq, len: MSS, flags: TCP_ACK, id: at, df: true }
    };
    (0..count).map(seg).collect()
}

fn packets(segs: &[Seg]) -> Vec<Vec<u8>> {
    segs.iter().map(|seg| seg.packet()).collect()
}

/// Segments of some connections with all that keeps them apart: gaps, flags, short ones, identifications that jump.
fn random(dice: &mut Dice) -> Vec<Seg> {
    let mut next: Vec<Seg> = (0..3).flat_map(|flow| stream(flow, 1)).collect();
    let mut segs = Vec::new();
    for _ in 0..60 {
        let at = dice.below(3) as usize;
        let seg = &mut next[at];
        let one_in = |dice: &mut Dice, n| dice.below(n) == 0;
        seg.len = if one_in(dice, 6) { 1 + dice.below(MSS as u64) as usize } else { MSS };
        seg.flags = TCP_ACK;
        for (flag, odds) in [(TCP_PSH, 6), (TCP_FIN, 20), (TCP_URG, 20)] {
            seg.flags |= if one_in(dice, odds) { flag } else { 0 };
        }
        if one_in(dice, 10) {
            seg.df = !seg.df;
        }
        segs.push(*seg);
        seg.seq = seg.seq.wrapping_add(seg.len as u32 + if one_in(dice, 10) { 7 } else { 0 });
        seg.id = seg.id.wrapping_add(if one_in(dice, 10) { 0 } else { 1 });
    }
    segs
}

#[test]
fn a_stream_is_merged_and_the_far_end_gets_it_as_it_was() {
    let packets = packets(&stream(0, 40));
    let mut plain = line();
    plain.switch_off(0, GRO);
    let (sent, apart) = plain.forward(&packets);
    let (cut_by_card, merged) = line().forward(&packets);
    assert_eq!((apart, sent.values().map(Vec::len).sum::<usize>()), (40, 40));
    assert!(merged <= 4, "{merged} packets of 40 frames");
    assert_eq!(cut_by_card, sent);
    assert_eq!(line().world.skbs.alive(), 0);
}

#[test]
fn whatever_comes_is_the_same_behind_a_router_that_merges() {
    let (mut dice, mut all, mut merged) = (Dice::new(11), 0, 0);
    for case in 0..60 {
        let packets = packets(&random(&mut dice));
        let mut plain = line();
        plain.switch_off(0, GRO);
        let (expected, count) = plain.forward(&packets);
        let mut card = line();
        let (by_card, fewer) = card.forward(&packets);
        let mut software = line();
        software.switch_off(1, TSO);
        let (by_kernel, _) = software.forward(&packets);
        assert_eq!((&by_card, &by_kernel), (&expected, &expected), "case {case}");
        for line in [&card, &software] {
            assert_eq!(line.world.skbs.alive(), 0, "case {case}");
        }
        (all, merged) = (all + count, merged + fewer);
    }
    assert!(merged < all * 3 / 4, "{merged} of {all}");
}

#[test]
fn what_a_queueing_discipline_corrupts_has_a_wrong_checksum() {
    let mut line = line();
    let corrupt = Some(Correlated { probability: u32::MAX, correlation: 0 });
    let opt = NetemOpt { limit: 1_000, corrupt, ..NetemOpt::default() };
    let dev = line.eth[1];
    let kind = Some("netem");
    let msg = TcMsg { dev, parent: TC_H_ROOT, handle: 1 << 16, flags: NEW, kind, options: Some(&opt) };
    line.world.enter(ROUTER, CPU, |cx| tc_modify_qdisc(cx, &msg)).expect("it is accepted");
    line.forward(&packets(&stream(0, 40)));
    let is_right = |frame: &&Frame| {
        let ip = &frame.bytes[14..];
        let tcp = &ip[20..];
        let pseudo = pseudo_header(self::ip("10.1.0.1"), self::ip("10.2.0.1"), TCP, tcp.len() as u16);
        checksum(&ip[..20]) == 0 && fold(sum(pseudo, tcp)) == 0 && frame.pkt_type == PacketType::Host
    };
    let frames = line.world.trace.frames.iter().filter(|frame| frame.machine == SINK);
    let (right, wrong): (Vec<&Frame>, Vec<&Frame>) = frames.partition(is_right);
    // A bit of the Ethernet header is in no checksum.
    assert!(
        right.len() + wrong.len() == 40 && wrong.len() > 35,
        "{} right, {} wrong",
        right.len(),
        wrong.len()
    );
}

#[test]
fn at_most_eight_frames_go_together_and_nothing_is_held_beyond_its_poll() {
    let mut line = line();
    line.switch_off(0, GRO);
    line.world.trace.level = Level::Doors;
    line.forward(&packets(&stream(0, 40)));
    let mut lists = Vec::new();
    for step in line.world.trace.steps.iter().filter(|step| step.machine == ROUTER) {
        match step.func {
            Func::NetifReceiveSkbListCore => lists.push(0),
            Func::NetifReceiveSkbCore => *lists.last_mut().expect("a list") += 1,
            _ => {}
        }
    }
    assert_eq!((lists.iter().sum::<u32>(), lists.iter().max()), (40, Some(&8)), "{lists:?}");
    let cpu = &line.world.kernel(ROUTER).cpus[0];
    assert!(cpu.gro.held.is_empty() && cpu.gro.rx_list.is_empty());
}

/// The tunnel of a stream: GRE with a key for each identification, or VXLAN to a device.
#[derive(Clone, Copy)]
enum Way {
    Gre(fn(u16) -> u32),
    Vxlan(Mac),
}

/// The packets of a stream from a host behind a tunnel.
fn tunnelled(way: Way, count: u16) -> Vec<Vec<u8>> {
    let wrap = |seg: Seg| {
        let (proto, inner) = match way {
            Way::Gre(key) => (47, [&[0x20, 0, 8, 0][..], &key(seg.id).to_be_bytes(), &seg.packet()].concat()),
            Way::Vxlan(mac) => {
                let frame = [&mac.0[..], &[2, 0, 0, 0, 0, 8, 8, 0], &seg.packet()].concat();
                let mut udp = [5_000, 4_789, 16 + frame.len() as u16, 0].map(u16::to_be_bytes).concat();
                udp.extend([8, 0, 0, 0, 0, 0, 7, 0]);
                udp.extend(frame);
                (17, udp)
            }
        };
        let mut packet =
            packets::ipv4("10.1.0.1", if proto == 17 { "10.1.0.254" } else { "10.2.0.1" }, proto, &inner);
        packet[4..6].copy_from_slice(&seg.id.to_be_bytes());
        packet[6] = 0x40;
        packet[10..12].fill(0);
        let check = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&check.to_be_bytes());
        packet
    };
    stream(0, count).into_iter().map(wrap).collect()
}

/// `gre_gro_receive`: what is in one tunnel is merged, and packets with other keys are in other tunnels.
#[test]
fn packets_of_one_gre_tunnel_are_merged() {
    let sent = |key| tunnelled(Way::Gre(key), 40);
    let (_, same) = line().forward(&sent(|_| 7));
    assert!(same <= 4, "{same} packets of 40 frames");
    let (_, other) = line().forward(&sent(|id| u32::from(id) % 2));
    assert_eq!(other, 40, "no two of one key are next to each other");
    for key in [(|_| 7) as fn(u16) -> u32, |id| u32::from(id) % 2] {
        let mut plain = line();
        plain.switch_off(0, GRO);
        let (expected, _) = plain.forward(&sent(key));
        assert_eq!(line().forward(&sent(key)).0, expected);
    }
}

/// `udp4_gro_complete`: a merged datagram of a tunnel is as long as it is, and so is the packet in it, which is sent on as it came.
#[test]
fn packets_of_one_vxlan_tunnel_are_merged() {
    let forward = |merges: bool| {
        let mut line = line();
        if !merges {
            line.switch_off(0, GRO);
        }
        let mac = line.world.enter(ROUTER, CPU, |cx| {
            let options = VxlanOptions { id: Some(7), port: Some(4_789), ..VxlanOptions::default() };
            let set = LinkSet { up: Some(true), info: Some(options.into()), ..LinkSet::default() };
            let new = LinkNew { name: Some("vx".into()), set, ..LinkNew::default() };
            let vxlan = rtm_newlink(cx, INIT_NET, new).expect("a tunnel");
            cx.k.devs[vxlan].addr
        });
        line.forward(&tunnelled(Way::Vxlan(mac), 40)).0
    };
    let apart = forward(false);
    assert_eq!(apart.values().map(Vec::len).collect::<Vec<_>>(), [40]);
    assert_eq!(forward(true), apart);
}

/// `tcp4_gro_complete`: the checksum of what was merged is that of the pseudo header alone.
#[test]
fn what_was_merged_has_the_checksum_of_its_pseudo_header() {
    let mut line = line();
    line.forward(&packets(&stream(0, 40)));
    let frames = line.world.trace.frames.iter();
    let came = frames.filter(|frame| frame.machine == ROUTER && frame.pkt_type == PacketType::Host);
    let merged: Vec<&[u8]> =
        came.map(|frame| &frame.bytes[34..]).filter(|segment| segment.len() > 20 + MSS).collect();
    assert!(!merged.is_empty());
    for segment in merged {
        let pseudo = pseudo_header(ip("10.1.0.1"), ip("10.2.0.1"), TCP, segment.len() as u16);
        assert_eq!(segment[16..18], (!fold(pseudo)).to_be_bytes());
    }
}

/// `ip_list_rcv_finish`: of packets that came together, those that go by one route one after the other are sent on together.
#[test]
fn packets_that_came_together_go_on_by_their_routes() {
    for gateway in [false, true] {
        let mut line = line();
        line.switch_off(0, GRO);
        line.world.trace.level = Level::Doors;
        line.world.enter(ROUTER, CPU, |cx| {
            let nexthops = vec![NexthopMsg { via: "10.2.0.1".parse().ok(), ..NexthopMsg::default() }];
            let (kind, dst) = (RouteType::Unicast, ip("10.9.0.0"));
            let route = RouteMsg { kind, dst, dst_len: 24, nexthops, ..RouteMsg::default() };
            rtm_newroute(cx, INIT_NET, &route, NEW).expect("a new route");
        });
        let second = if gateway { "10.9.0.1" } else { "10.2.0.1" };
        let packet = |n: u16| {
            packets::udp("10.1.0.1", n, if n.is_multiple_of(2) { "10.2.0.1" } else { second }, 53, b"x")
        };
        line.forward(&(0..40).map(packet).collect::<Vec<_>>());
        let count = |func: Func| {
            let steps = line.world.trace.steps.iter().filter(|step| step.machine == ROUTER);
            steps.filter(|step| step.func == func).count()
        };
        let together = if gateway { 40 } else { count(Func::NetifReceiveSkbListCore) };
        assert_eq!(count(Func::IpSublistRcvFinish), together, "by a gateway: {gateway}");
    }
}
