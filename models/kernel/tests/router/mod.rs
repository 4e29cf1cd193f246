//! A router between two networks, whose far ends see every frame.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::net::Ipv4Addr;

use glassnet_kernel::door::Door;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId, SocketId};
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::net::netfilter::nf_nat_core::NatRange;
use glassnet_kernel::net::netfilter::x_tables::xt_replace_table;
use glassnet_kernel::net::socket::{recv, socket};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::netfilter::Hook;
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, RouteType};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::tables::xt::{Action, Counters, IpMatch, Rule, Table, TableName, Target, Variant};
use glassnet_kernel::{Cx, World};
use glassnet_wire::Mac;

use super::packets::{ip, show};

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
/// A new thing is asked for.
pub const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// One side of the router: its device, and the far end of its cable with a socket that sees every frame.
pub struct Side {
    pub dev: DevId,
    pub far: DevId,
    pub tap: SocketId,
}

pub struct Router {
    pub world: World,
    pub netns: NetnsId,
    pub sides: Vec<Side>,
}

/// Where the inside is in [`Router::sides`].
pub const INSIDE: usize = 0;
/// Where the outside is.
pub const OUTSIDE: usize = 1;

pub fn far_mac(side: usize) -> Mac {
    Mac([2, 0, 0, 0, 1, side as u8])
}

pub fn add_addr(cx: &mut Cx, dev: DevId, text: &str) {
    let (addr, len) = text.split_once('/').expect("address/length");
    let msg = AddrMsg::new(dev, addr.parse().expect("an address"), len.parse().expect("a length"));
    let netns = cx.k.devs[dev].netns;
    rtm_newaddr(cx, netns, &msg, NEW).expect("a new address");
}

impl Router {
    pub fn new() -> Router {
        let mut world = World::new(7);
        world.add_machine("m", 1);
        let (netns, sides) = world.enter(MACHINE, CPU, |cx| {
            let netns = copy_net_ns(cx);
            let lo = cx.k.netns[netns].loopback;
            do_setlink(cx, lo, LinkSet { up: Some(true), ..LinkSet::default() }).expect("lo comes up");
            let sides = (0..2).map(|side| Router::side(cx, netns, side)).collect::<Vec<_>>();
            devinet_conf_proc(cx, netns, ConfOf::All, Conf::Forwarding, 1);
            let route = RouteMsg {
                kind: RouteType::Unicast,
                protocol: 3,
                nexthops: vec![NexthopMsg { via: "10.2.0.1".parse().ok(), ..NexthopMsg::default() }],
                ..RouteMsg::default()
            };
            rtm_newroute(cx, netns, &route, NEW).expect("a default route");
            (netns, sides)
        });
        Router { world, netns, sides }
    }

    pub fn side(cx: &mut Cx, netns: NetnsId, side: usize) -> Side {
        let host = copy_net_ns(cx);
        let up = LinkSet { up: Some(true), ..LinkSet::default() };
        let set = LinkSet { address: Some(far_mac(side)), ..up.clone() };
        let peer = LinkNew {
            name: Some("eth0".into()),
            set: LinkSet { netns: Some(host), ..set },
            ..LinkNew::default()
        };
        let info = Some(VethOptions { peer }.into());
        let new = LinkNew {
            name: Some(format!("r{side}")),
            set: LinkSet { info, ..up },
            ifindex: None,
            link: None,
        };
        let dev = rtm_newlink(cx, netns, new).expect("a cable");
        let far = cx.k.devs[dev].link.expect("its other end");
        add_addr(cx, dev, &format!("10.{}.0.254/24", side + 1));
        for n in 1..10 {
            let dst = Ipv4Addr::new(10, side as u8 + 1, 0, n);
            let (lladdr, state) = (Some(far_mac(side)), Nud::Permanent);
            let neigh = NeighMsg { dev, dst, lladdr, state, flags: 0, protocol: 0 };
            rtm_newneigh(cx, netns, &neigh, NEW).expect("a neighbour");
        }
        let tap = socket(cx, host, SockKind::Packet { protocol: 3, cooked: true });
        Side { dev, far, tap }
    }

    /// Puts these rules of one table in force.
    pub fn rules(&mut self, name: TableName, rules: Vec<(Hook, Rule)>) {
        let mut table = Table::initial(name);
        for (hook, rule) in rules {
            table.chain_mut(hook.chain()).expect("a built-in chain").rules.push(rule);
        }
        let netns = self.netns;
        self.enter(|cx| xt_replace_table(cx, netns, Variant::Legacy, table).expect("good rules"));
    }

    pub fn nat(&mut self, hook: Hook, target: Target) {
        self.rules(TableName::Nat, vec![(hook, rule(IpMatch::default(), target))]);
    }

    pub fn enter<R>(&mut self, work: impl FnOnce(&mut Cx) -> R) -> R {
        self.world.enter(MACHINE, CPU, work)
    }

    /// Sends a packet in from a side, and returns all IPv4 packets that come out, with the side.
    pub fn send(&mut self, side: usize, packet: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let (far, to) = (self.sides[side].far, self.sides[side].dev);
        self.enter(|cx| {
            let skb = cx.skbs.alloc_skb(14 + packet.len(), far);
            let (dest, source) = (cx.k.devs[to].addr, cx.k.devs[far].addr);
            let bytes = cx.skbs.data_mut(skb);
            bytes[..6].copy_from_slice(&dest.0);
            bytes[6..12].copy_from_slice(&source.0);
            bytes[12..14].copy_from_slice(&[8, 0]);
            bytes[14..].copy_from_slice(packet);
            cx.skbs[skb].protocol = 0x0800;
            cx.walk(Door::DevQueueXmit { skb });
        });
        self.seen(packet)
    }

    /// The IPv4 packets that the far ends saw, without the one that was sent.
    pub fn seen(&mut self, sent: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut seen = Vec::new();
        for side in 0..self.sides.len() {
            let tap = self.sides[side].tap;
            while let Some(frame) = self.enter(|cx| recv(cx, tap)).ok().flatten() {
                if frame.protocol == 0x0800 && frame.data != sent {
                    seen.push((side, frame.data));
                }
            }
        }
        seen
    }

    /// The tuples of all connections, as `conntrack -L` orders their parts.
    pub fn connections(&self) -> Vec<String> {
        let table = &self.world.kernel(MACHINE).conntrack;
        let show = |tuple: &glassnet_kernel::tables::conntrack::Tuple| {
            format!("{}:{}>{}:{}", tuple.src, tuple.sport, tuple.dst, tuple.dport)
        };
        let conns = table.confirmed().into_iter().filter_map(|id| table.get(id));
        conns.map(|conn| format!("{} {}", show(&conn.tuples[0]), show(&conn.tuples[1]))).collect()
    }
}

pub fn rule(ip: IpMatch, target: Target) -> Rule {
    Rule { ip, matches: Vec::new(), action: Action::Target(target), counters: Counters::default() }
}

pub fn to(first: &str, last: &str) -> NatRange {
    NatRange { addrs: Some((ip(first), ip(last))), ..NatRange::default() }
}

pub fn shown(seen: &[(usize, Vec<u8>)]) -> Vec<(usize, String)> {
    seen.iter().map(|(side, packet)| (*side, show(packet))).collect()
}

pub fn one(seen: &[(usize, Vec<u8>)]) -> (usize, String) {
    assert_eq!(seen.len(), 1, "{:?}", shown(seen));
    (seen[0].0, show(&seen[0].1))
}
