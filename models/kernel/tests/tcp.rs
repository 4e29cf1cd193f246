//! TCP between namespaces: handshakes, data, ends, refusals, losses; and that it repeats bit for bit.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId, SocketId};
use glassnet_kernel::net::core::dev_ioctl::dev_open;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkKind, LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::ipv4::af_inet::{inet_bind, inet_connect};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::socket::{SendTo, accept, close, listen, recv_stream, sendto, socket};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::snmp::TcpMib;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_PSH, TCP_SYN};

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

fn ip(text: &str) -> u32 {
    u32::from(text.parse::<Ipv4Addr>().expect("an address"))
}

fn up(is_up: bool) -> LinkSet {
    LinkSet { up: Some(is_up), ..LinkSet::default() }
}

fn add_addr(cx: &mut Cx, dev: DevId, addr: &str) {
    let msg = AddrMsg::new(dev, addr.parse().expect("an address"), 24);
    let netns = cx.k.devs[dev].netns;
    rtm_newaddr(cx, netns, &msg, NLM_F_CREATE | NLM_F_EXCL).expect("a new address");
}

/// Two namespaces and a cable: 10.0.0.1 and 10.0.0.2.
struct Net {
    world: World,
    a: NetnsId,
    b: NetnsId,
    dev_b: DevId,
}

fn net(seed: u64) -> Net {
    let mut world = World::new(seed);
    world.add_machine("m", 1);
    world.trace.capture = true;
    let (a, b, dev_b) = world.enter(MACHINE, CPU, |cx| {
        let (a, b) = (copy_net_ns(cx), copy_net_ns(cx));
        for netns in [a, b] {
            let lo = cx.k.netns[netns].loopback;
            dev_open(cx, lo);
        }
        let peer = LinkNew { name: Some("eth0".into()), set: up(true), ..LinkNew::default() };
        let kind = LinkKind::Veth { peer: Box::new(peer), peer_netns: Some(b) };
        let new = LinkNew { name: Some("eth0".into()), kind, set: up(true), ifindex: None };
        let left = rtm_newlink(cx, a, new).expect("a new cable");
        let right = cx.k.devs[left].veth_peer().expect("a peer");
        add_addr(cx, left, "10.0.0.1");
        add_addr(cx, right, "10.0.0.2");
        (a, b, right)
    });
    Net { world, a, b, dev_b }
}

impl Net {
    fn enter<R>(&mut self, work: impl FnOnce(&mut Cx) -> R) -> R {
        self.world.enter(MACHINE, CPU, work)
    }

    /// Lets `millis` pass.
    fn run(&mut self, millis: u64) {
        let until = self.world.now() + Nanos::from_millis(millis);
        self.world.wake_at(until);
        while self.world.next_event_at().is_some_and(|at| at <= until) {
            self.world.step().expect("an end");
        }
    }

    fn listener(&mut self, netns: NetnsId, address: &str, port: u16, backlog: usize) -> SocketId {
        self.enter(|cx| {
            let id = socket(cx, netns, SockKind::Tcp);
            inet_bind(cx, id, ip(address), port).expect("a free port");
            listen(cx, id, backlog).expect("a bound socket");
            id
        })
    }

    fn connect(&mut self, netns: NetnsId, address: &str, port: u16) -> SocketId {
        let id = self.enter(|cx| {
            let id = socket(cx, netns, SockKind::Tcp);
            inet_connect(cx, id, ip(address), port).expect("a route");
            id
        });
        self.run(10);
        id
    }

    fn state(&self, id: SocketId) -> Option<TcpState> {
        self.world.kernel(MACHINE).sockets.get(id)?.tcp.as_ref().map(|tp| tp.state)
    }

    /// A connection from a to a listener in b: both ends.
    fn pair(&mut self) -> (SocketId, SocketId) {
        let (a, b) = (self.a, self.b);
        let listener = self.listener(b, "0.0.0.0", 80, 5);
        let client = self.connect(a, "10.0.0.2", 80);
        let server = self.enter(|cx| accept(cx, listener)).expect("listens").expect("a connection");
        (client, server)
    }

    fn send(&mut self, id: SocketId, data: &[u8]) -> Result<usize, Errno> {
        let sent = self.enter(|cx| sendto(cx, id, SendTo::Connected, data));
        self.run(10);
        sent
    }

    fn recv(&mut self, id: SocketId) -> Result<Option<Vec<u8>>, Errno> {
        self.enter(|cx| recv_stream(cx, id, 1 << 20))
    }

    fn close(&mut self, id: SocketId) {
        self.enter(|cx| close(cx, id));
        self.run(10);
    }

    /// The TCP frames that b's device saw: source port, flags, payload length.
    fn frames(&self) -> Vec<(u16, u8, usize)> {
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

    fn flags(&self) -> Vec<u8> {
        self.frames().iter().map(|frame| frame.1).collect()
    }

    fn tcp(&self, netns: NetnsId) -> &TcpMib {
        &self.world.kernel(MACHINE).netns[netns].ipv4.snmp.tcp
    }
}

#[test]
fn a_connection_from_syn_to_time_wait() {
    let mut net = net(1);
    let (client, server) = net.pair();
    assert_eq!(net.flags(), [TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK]);
    assert_eq!(net.send(client, b"hello"), Ok(5));
    assert_eq!(net.recv(server), Ok(Some(b"hello".to_vec())));
    assert_eq!(net.recv(server), Ok(None));
    assert_eq!(net.send(server, b"world"), Ok(5));
    assert_eq!(net.recv(client), Ok(Some(b"world".to_vec())));
    net.close(client);
    assert_eq!((net.state(client), net.state(server)), (Some(TcpState::FinWait2), Some(TcpState::CloseWait)));
    assert_eq!(net.recv(server), Ok(Some(Vec::new())), "the end");
    net.close(server);
    assert_eq!((net.state(client), net.state(server)), (Some(TcpState::TimeWait), None));
    let data = TCP_PSH | TCP_ACK;
    let end = TCP_FIN | TCP_ACK;
    assert_eq!(net.flags()[3..], [data, TCP_ACK, data, TCP_ACK, end, TCP_ACK, end, TCP_ACK]);
    net.run(59_000);
    assert_eq!(net.state(client), Some(TcpState::TimeWait));
    net.run(2_000);
    assert_eq!(net.state(client), None);
    assert_eq!((net.tcp(net.a).ActiveOpens, net.tcp(net.b).PassiveOpens), (1, 1));
}
