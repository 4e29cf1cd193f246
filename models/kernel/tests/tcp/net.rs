//! Two namespaces and a cable, for the tests.

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId, SocketId};
use glassnet_kernel::net::core::dev::dev_open;
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::ipv4::af_inet::{inet_bind, inet_connect};
use glassnet_kernel::net::ipv4::devinet::{rtm_deladdr, rtm_newaddr};
use glassnet_kernel::net::socket::{SendTo, accept, close, listen, recv_stream, sendto, socket};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::netdev_features::TSO;
use glassnet_kernel::tables::snmp::TcpMib;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;

pub const MACHINE: MachineId = MachineId(0);
pub const CPU: CpuId = CpuId(0);

pub fn ip(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

pub fn up(is_up: bool) -> LinkSet {
    LinkSet { up: Some(is_up), ..LinkSet::default() }
}

pub fn add_addr(cx: &mut Cx, dev: DevId, addr: &str) {
    let msg = AddrMsg::new(dev, addr.parse().expect("an address"), 24);
    let netns = cx.k.devs[dev].netns;
    rtm_newaddr(cx, netns, &msg, NLM_F_CREATE | NLM_F_EXCL).expect("a new address");
}

/// A neighbour entry for 10.0.0.2 that stays, whatever its device does.
pub fn rtm_newneigh_permanent(cx: &mut Cx, netns: NetnsId) {
    let dev = cx.k.dev_by_name(netns, "eth0").expect("a device");
    let peer = cx.k.devs[dev].link.expect("a peer");
    let msg = NeighMsg {
        dev,
        dst: [10, 0, 0, 2].into(),
        lladdr: Some(cx.k.devs[peer].addr),
        state: Nud::Permanent,
        flags: 0,
        protocol: 0,
    };
    rtm_newneigh(cx, netns, &msg, NLM_F_CREATE | NLM_F_REPLACE).expect("a neighbour");
}

/// Two namespaces and a cable: 10.0.0.1 and 10.0.0.2.
pub struct Net {
    pub world: World,
    pub a: NetnsId,
    pub b: NetnsId,
    pub dev_b: DevId,
}

pub fn net(seed: u64) -> Net {
    let mut world = World::new(seed);
    world.add_machine("m", 1);
    world.trace.capture = true;
    let (a, b, dev_b) = world.enter(MACHINE, CPU, |cx| {
        let (a, b) = (copy_net_ns(cx), copy_net_ns(cx));
        for netns in [a, b] {
            let lo = cx.k.netns[netns].loopback;
            dev_open(cx, lo).expect("nothing keeps lo down");
        }
        let peer = LinkNew {
            name: Some("eth0".into()),
            set: LinkSet { netns: Some(b), ..up(true) },
            ..LinkNew::default()
        };
        let info = Some(VethOptions { peer }.into());
        let new = LinkNew {
            name: Some("eth0".into()),
            set: LinkSet { info, ..up(true) },
            ifindex: None,
            link: None,
        };
        let left = rtm_newlink(cx, a, new).expect("a new cable");
        let right = cx.k.devs[left].link.expect("a peer");
        add_addr(cx, left, "10.0.0.1");
        add_addr(cx, right, "10.0.0.2");
        (a, b, right)
    });
    Net { world, a, b, dev_b }
}

impl Net {
    pub fn enter<R>(&mut self, work: impl FnOnce(&mut Cx) -> R) -> R {
        self.world.enter(MACHINE, CPU, work)
    }

    /// Lets `millis` pass.
    /// `ethtool -K eth0 tso off`, at both ends.
    pub fn tso_off(&mut self) {
        let far = self.world.kernel(MACHINE).devs[self.dev_b].link.expect("the other end");
        for dev in [self.dev_b, far] {
            self.enter(|cx| cx.k.devs[dev].features &= !TSO);
        }
    }

    pub fn run(&mut self, millis: u64) {
        let until = self.world.now() + Nanos::from_millis(millis);
        self.world.wake_at(until);
        while self.world.next_event_at().is_some_and(|at| at <= until) {
            self.world.step().expect("an end");
        }
    }

    pub fn listener(&mut self, netns: NetnsId, address: &str, port: u16, backlog: usize) -> SocketId {
        self.enter(|cx| {
            let id = socket(cx, netns, SockKind::Tcp);
            inet_bind(cx, id, ip(address), port).expect("a free port");
            listen(cx, id, backlog).expect("a bound socket");
            id
        })
    }

    pub fn connect(&mut self, netns: NetnsId, address: &str, port: u16) -> SocketId {
        let id = self.enter(|cx| {
            let id = socket(cx, netns, SockKind::Tcp);
            inet_connect(cx, id, ip(address), port).expect("a route");
            id
        });
        self.run(10);
        id
    }

    pub fn state(&self, id: SocketId) -> Option<TcpState> {
        self.world.kernel(MACHINE).sockets.get(id)?.tcp.as_ref().map(|tp| tp.state)
    }

    /// A connection from a to a listener in b: both ends.
    pub fn pair(&mut self) -> (SocketId, SocketId) {
        let (a, b) = (self.a, self.b);
        let listener = self.listener(b, "0.0.0.0", 80, 5);
        let client = self.connect(a, "10.0.0.2", 80);
        let server = self.enter(|cx| accept(cx, listener)).expect("listens").expect("a connection");
        (client, server)
    }

    pub fn send(&mut self, id: SocketId, data: &[u8]) -> Result<usize, Errno> {
        let sent = self.enter(|cx| sendto(cx, id, SendTo::Connected, data));
        self.run(10);
        sent
    }

    pub fn recv(&mut self, id: SocketId) -> Result<Option<Vec<u8>>, Errno> {
        self.enter(|cx| recv_stream(cx, id, 1 << 20))
    }

    pub fn close(&mut self, id: SocketId) {
        self.enter(|cx| close(cx, id));
        self.run(10);
    }

    /// The TCP frames that b's device saw: source port, flags, payload length.
    pub fn frames(&self) -> Vec<(u16, u8, usize)> {
        let label = self.world.kernel(MACHINE).devs[self.dev_b].label;
        let seen = self.world.trace.frames.iter().filter(|frame| frame.dev == label);
        let tcp = seen.filter(|frame| frame.bytes[12..14] == [8, 0] && frame.bytes[23] == 6);
        tcp.map(|frame| {
            let segment = &frame.bytes[34..];
            let payload = segment.len() - usize::from(segment[12] >> 4) * 4;
            (u16::from_be_bytes([segment[0], segment[1]]), segment[13], payload)
        })
        .collect()
    }

    /// When b's device saw TCP segments of a, ms after the first of them.
    pub fn times(&self, from: &str) -> Vec<u64> {
        let label = self.world.kernel(MACHINE).devs[self.dev_b].label;
        let seen = self.world.trace.frames.iter().filter(|frame| frame.dev == label);
        let sent =
            seen.filter(|frame| frame.bytes[12..14] == [8, 0] && frame.bytes[26..30] == ip(from).octets());
        let times: Vec<u64> = sent.map(|frame| frame.at.0 / 1_000_000).collect();
        times.iter().map(|at| at - times[0]).collect()
    }

    /// b has no address any more: what comes in is not answered.
    pub fn mute(&mut self) {
        let (a, netns, dev) = (self.a, self.b, self.dev_b);
        self.enter(|cx| {
            rtm_newneigh_permanent(cx, a);
            let msg = AddrMsg::new(dev, ip("10.0.0.2"), 24);
            rtm_deladdr(cx, netns, &msg).expect("an address");
        });
    }

    pub fn flags(&self) -> Vec<u8> {
        self.frames().iter().map(|frame| frame.1).collect()
    }

    pub fn tcp(&self, netns: NetnsId) -> &TcpMib {
        &self.world.kernel(MACHINE).netns[netns].ipv4.snmp.tcp
    }
}
