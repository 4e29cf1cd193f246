//! The networks that the benchmarks send packets through, built by the kernel model's own requests.

pub mod card;
pub mod floor;
pub mod many;
pub mod rules;
pub mod service;
pub mod vxlan;

use std::net::Ipv4Addr;

use glassnet_kernel::door::Door;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId, SocketId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_fdb::{FdbMsg, br_fdb_add};
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::ipv4::af_inet::{inet_bind, inet_connect};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::net::netfilter::x_tables::xt_replace_table;
use glassnet_kernel::net::netfilter::xt_conntrack::{CT_ESTABLISHED, CT_RELATED, State};
use glassnet_kernel::net::socket::{self, SendTo};
use glassnet_kernel::netlink::NLM_F_CREATE;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, RouteType, Scope};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::tables::xt::{Action, Counters, IpMatch, Match, Rule, Table, TableName, Variant};
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::ipv4::{IPPROTO_UDP, InAddr, Ipv4Hdr, ip_send_check};
use zerocopy::IntoBytes;

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
    /// How many flows the packets belong to, in turn.
    pub flows: u32,
    /// How many services the flows go to, in turn; 0: all to one address.
    pub services: u32,
    frame: Vec<u8>,
    sent: u64,
}

/// A veth pair between two namespaces, both ends up.
pub fn veth(world: &mut World, machine: MachineId, names: [&str; 2], netns: [NetnsId; 2]) -> [DevId; 2] {
    world.enter(machine, CPU, |cx| {
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        let peer = LinkNew {
            name: Some(names[1].to_owned()),
            set: LinkSet { netns: Some(netns[1]), ..up.clone() },
            ..LinkNew::default()
        };
        let info = Some(VethOptions { peer }.into());
        let new = LinkNew {
            name: Some(names[0].to_owned()),
            set: LinkSet { info, ..up },
            ifindex: None,
            link: None,
        };
        let dev = rtm_newlink(cx, netns[0], new).expect("a new pair");
        [dev, cx.k.devs[dev].link.expect("a pair")]
    })
}

/// A namespace without a name.
pub fn netns(world: &mut World, machine: MachineId) -> NetnsId {
    world.enter(machine, CPU, copy_net_ns)
}

/// A bridge that is up.
pub fn bridge(world: &mut World, machine: MachineId, name: &str) -> DevId {
    world.enter(machine, CPU, |cx| {
        let set = LinkSet { up: Some(true), ..LinkSet::default() };
        let info = Some(LinkInfo::new("bridge"));
        let new =
            LinkNew { name: Some(name.to_owned()), set: LinkSet { info, ..set }, ifindex: None, link: None };
        rtm_newlink(cx, INIT_NET, new).expect("a new bridge")
    })
}

/// Makes a device a port of a bridge.
pub fn enslave(world: &mut World, machine: MachineId, dev: DevId, bridge: DevId) {
    world.enter(machine, CPU, |cx| {
        let set = LinkSet { master: Some(Some(bridge)), ..LinkSet::default() };
        do_setlink(cx, dev, set).expect("a new port");
    });
}

/// A world with one machine and one bridge.
pub fn one_bridge(world: &mut World) -> DevId {
    world.add_machine("bench", 1);
    bridge(world, MACHINE, "br0")
}

/// What a container gets: a namespace, a veth pair and a port of the bridge.
pub fn setup_namespace(world: &mut World, machine: MachineId, bridge: DevId) {
    let netns = netns(world, machine);
    let [_, port] = veth(world, machine, ["eth0", &format!("v{}", netns.0)], [netns, INIT_NET]);
    enslave(world, machine, port, bridge);
}

/// A chain of `hops` bridges, each a cable from the next.
pub fn bridges(hops: usize) -> Chain {
    let mut world = World::new(1);
    world.add_machine("bench", 1);
    let (a, b) = (netns(&mut world, MACHINE), netns(&mut world, MACHINE));
    let mut first = None;
    let mut last = None;
    for hop in 0..=hops {
        let ends = [if hop == 0 { a } else { INIT_NET }, if hop == hops { b } else { INIT_NET }];
        let [left, right] = veth(&mut world, MACHINE, [&format!("l{hop}"), &format!("r{hop}")], ends);
        if hop > 0 {
            bridge_between(&mut world, hop, last.expect("a cable before"), left);
        }
        first.get_or_insert(left);
        last = Some(right);
    }
    Chain {
        world,
        first: first.expect("a cable"),
        last: last.expect("a cable"),
        flows: 1,
        services: 0,
        frame: frame(),
        sent: 0,
    }
}

fn bridge_between(world: &mut World, hop: usize, left: DevId, right: DevId) {
    let bridge = bridge(world, MACHINE, &format!("br{hop}"));
    enslave(world, MACHINE, left, bridge);
    enslave(world, MACHINE, right, bridge);
    world.enter(MACHINE, CPU, |cx| at_port(cx, right, DEST));
}

/// A station that a bridge knows at a port (`bridge fdb add … master static`).
fn at_port(cx: &mut Cx, port: DevId, mac: Mac) {
    let station = FdbMsg {
        mac,
        vlan: 0,
        permanent: false,
        noarp: true,
        sticky: false,
        extern_learn: false,
        excl: true,
        create: true,
    };
    br_fdb_add(cx, port, station).expect("a new entry");
}

/// A chain of `hops` routers, each a namespace and a cable from the next. The neighbours are known.
pub fn routers(hops: usize) -> Chain {
    let mut world = World::new(1);
    world.add_machine("bench", 1);
    let spaces: Vec<NetnsId> = (0..hops + 2).map(|_| netns(&mut world, MACHINE)).collect();
    let cables: Vec<[DevId; 2]> = spaces
        .windows(2)
        .enumerate()
        .map(|(n, ends)| veth(&mut world, MACHINE, [&format!("l{n}"), &format!("r{n}")], [ends[0], ends[1]]))
        .collect();
    for (n, cable) in cables.iter().enumerate() {
        let next = link(n as u32, 2);
        world.enter(MACHINE, CPU, |cx| address_cable(cx, n as u32, *cable, next));
    }
    for n in 1..=hops {
        world.enter(MACHINE, CPU, |cx| {
            let out = cables[n][0];
            let netns = spaces[n];
            devinet_conf_proc(cx, netns, ConfOf::All, Conf::Forwarding, 1);
            let via = NexthopMsg { dev: Some(out), ..NexthopMsg::default() };
            let msg = RouteMsg {
                kind: RouteType::Unicast,
                dst: TARGET,
                dst_len: 32,
                protocol: 3,
                scope: Scope::LINK,
                nexthops: vec![via],
                ..RouteMsg::default()
            };
            rtm_newroute(cx, netns, &msg, NLM_F_CREATE).expect("a new route");
            let station = if n == hops { DEST } else { cx.k.devs[cables[n][1]].addr };
            neighbour(cx, out, TARGET, station);
        });
    }
    let mut frame = frame();
    frame[..6].copy_from_slice(&world.kernel(MACHINE).devs[cables[0][1]].addr.0);
    Chain { world, first: cables[0][0], last: cables[hops][1], flows: 1, services: 0, frame, sent: 0 }
}

/// An address of the network of the `n`th cable.
fn link(n: u32, host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + n * 256 + host)
}

/// Where the packets go: an address behind the last router.
const TARGET: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

fn address_cable(cx: &mut Cx, n: u32, [left, right]: [DevId; 2], next: Ipv4Addr) {
    for (dev, address) in [(left, link(n, 1)), (right, next)] {
        let netns = cx.k.devs[dev].netns;
        rtm_newaddr(cx, netns, &AddrMsg::new(dev, address, 24), NLM_F_CREATE).expect("a new address");
    }
    let addr = cx.k.devs[left].addr;
    neighbour(cx, right, link(n, 1), addr);
    let addr = cx.k.devs[right].addr;
    neighbour(cx, left, next, addr);
}

/// A neighbour that needs no question (`ip neigh add … nud permanent`).
fn neighbour(cx: &mut Cx, dev: DevId, dst: Ipv4Addr, mac: Mac) {
    let netns = cx.k.devs[dev].netns;
    let msg = NeighMsg { dev, dst, lladdr: Some(mac), state: Nud::Permanent, flags: 0, protocol: 0 };
    rtm_newneigh(cx, netns, &msg, NLM_F_CREATE).expect("a new neighbour");
}

/// A 64-byte frame (60 without its checksum) with a UDP datagram, from [`SOURCE`] to [`DEST`].
fn frame() -> Vec<u8> {
    frame_to(TARGET)
}

fn frame_to(daddr: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&DEST.0);
    frame[6..12].copy_from_slice(&SOURCE.0);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = Ipv4Hdr {
        version_ihl: 0x45,
        tot_len: 46.into(),
        ttl: 64,
        protocol: IPPROTO_UDP,
        saddr: InAddr::new(link(0, 1)),
        daddr: InAddr::new(daddr),
        ..Ipv4Hdr::default()
    };
    frame[14..34].copy_from_slice(ip.as_bytes());
    ip_send_check(&mut frame[14..34]);
    frame[34..40].copy_from_slice(&[0xc0, 0, 0, 9, 0, 26]);
    frame
}

/// Source ports of the flows, after which the next source address follows.
const PORTS: u32 = 64_000;

/// The most flows that differ.
const MOST_FLOWS: u32 = 150 * PORTS;

/// Makes a frame of [`frame`] one of another flow, to one of so many services if there are any.
fn write_flow(frame: &mut [u8], flow: u32, services: u32) {
    frame[34..36].copy_from_slice(&(1024 + (flow % PORTS) as u16).to_be_bytes());
    let source = flow / PORTS;
    if source > 0 {
        frame[26..30].copy_from_slice(&link(0, 100 + source).octets());
    }
    if services > 0 {
        frame[30..34].copy_from_slice(&service::address(flow % services).octets());
    }
    if source > 0 || services > 0 {
        ip_send_check(&mut frame[14..34]);
    }
}

/// A chain of routers as of [`routers`], each with the four tables of `iptables-legacy`, connection tracking, and
/// packets of so many flows, which are known.
pub fn routers_ct(hops: usize, flows: u32) -> Chain {
    let mut chain = routers(hops);
    chain.flows = flows;
    chain.world.enter(MACHINE, CPU, |cx| {
        cx.k.conntrack.max = 0;
        for n in 1..=hops as u32 {
            // The first namespace is init_net, then come those of the chain, of which the first only sends.
            firewall(cx, NetnsId(n + 1));
        }
    });
    for _ in 0..flows.div_ceil(BURST as u32) {
        chain.burst();
    }
    chain
}

/// Tables raw, mangle, nat and filter, and a rule that needs connection tracking.
fn firewall(cx: &mut Cx, netns: NetnsId) {
    for name in [TableName::Raw, TableName::Mangle, TableName::Nat, TableName::Filter] {
        let mut table = Table::initial(name);
        if name == TableName::Filter {
            let state = State { invert: false, state: CT_ESTABLISHED | CT_RELATED };
            let rule = Rule {
                ip: IpMatch::default(),
                matches: vec![Match::new(state)],
                action: Action::Accept,
                counters: Counters::default(),
            };
            table.chain_mut("FORWARD").expect("a built-in chain").rules.push(rule);
        }
        xt_replace_table(cx, netns, Variant::Legacy, table).expect("a table that fits");
    }
}

/// Two namespaces on one cable with a UDP socket in each, the neighbours known.
pub struct Pair {
    /// The world that they are in.
    pub world: World,
    sender: SocketId,
    receiver: SocketId,
}

impl Pair {
    /// A pair that is ready to send.
    pub fn new() -> Pair {
        let mut world = World::new(1);
        world.add_machine("bench", 1);
        let spaces = [netns(&mut world, MACHINE), netns(&mut world, MACHINE)];
        let cable = veth(&mut world, MACHINE, ["a", "b"], spaces);
        let [sender, receiver] = world.enter(MACHINE, CPU, |cx| {
            address_cable(cx, 0, cable, link(0, 2));
            let [a, b] = spaces.map(|netns| socket::socket(cx, netns, SockKind::Udp));
            inet_bind(cx, b, link(0, 2), 9).expect("a free port");
            inet_connect(cx, a, link(0, 2), 9).expect("a route");
            [a, b]
        });
        Pair { world, sender, receiver }
    }

    /// Sends 18 bytes (a 60-byte frame) and reads them at the other end; returns how many arrived.
    pub fn exchange(&mut self) -> usize {
        let (sender, receiver) = (self.sender, self.receiver);
        self.world.reset_limit();
        self.world.enter(MACHINE, CPU, |cx| {
            socket::sendto(cx, sender, SendTo::Connected, &[0; 18]).expect("sent");
        });
        self.world
            .enter(MACHINE, CPU, |cx| socket::recv(cx, receiver))
            .expect("received")
            .map_or(0, |m| m.data.len())
    }
}

impl Default for Pair {
    fn default() -> Self {
        Pair::new()
    }
}

impl Chain {
    /// Sends a burst through the chain to its end.
    pub fn burst(&mut self) {
        let (first, frame, flows, services) = (self.first, &self.frame, self.flows, self.services);
        let mut flow = (self.sent % u64::from(flows)) as u32;
        self.world.enter(MACHINE, CPU, |cx| {
            for _ in 0..BURST {
                let skb = cx.skbs.alloc_skb(frame.len(), first);
                let packet = cx.skbs.data_mut(skb);
                packet.copy_from_slice(frame);
                if flows > 1 {
                    write_flow(packet, flow, services);
                    flow = (flow + 1) % flows;
                }
                cx.skbs[skb].protocol = 0x0800;
                cx.walk(Door::DevQueueXmit { skb });
            }
        });
        self.sent += BURST as u64;
        // A long chain is left to ksoftirqd, which is an event. Timers that come again and again bring no packet.
        let end = self.world.now() + Nanos::from_secs(1);
        while self.arrived() < self.sent && self.world.next_event_at().is_some_and(|at| at < end) {
            self.world.step().expect("no loop");
        }
        self.world.reset_limit();
    }

    /// Sends a packet to a station.
    pub fn send_to(&mut self, station: Mac) {
        self.frame[..6].copy_from_slice(&station.0);
        let (first, frame) = (self.first, &self.frame);
        self.world.enter(MACHINE, CPU, |cx| {
            let skb = cx.skbs.alloc_skb(frame.len(), first);
            cx.skbs.data_mut(skb).copy_from_slice(frame);
            cx.skbs[skb].protocol = 0x0800;
            cx.walk(Door::DevQueueXmit { skb });
        });
        self.world.reset_limit();
    }

    /// Packets that came out at the end.
    pub fn arrived(&self) -> u64 {
        self.world.kernel(MACHINE).devs[self.last].stats.rx_packets
    }
}
