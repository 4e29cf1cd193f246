//! Namespaces in a row, for the tests.

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, DevId, MachineId, NetnsId, SocketId};
use glassnet_kernel::net::core::neighbour::dump_neigh;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::ipv4::fib_frontend::rtm_newroute;
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::devinet_conf_proc;
use glassnet_kernel::net::socket::{SendTo, recv, recv_error, sendto, socket};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::inet_conf::Conf;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::neigh_types::Nud;
use glassnet_kernel::tables::route_types::{NexthopMsg, RouteMsg, RouteType};
use glassnet_kernel::tables::snmp::Snmp;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::tables::sysctl::ConfOf;
use glassnet_kernel::{Cx, World};
use glassnet_sim::Nanos;

pub const MACHINE: MachineId = MachineId(0);
pub const CPU: CpuId = CpuId(0);
pub const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

pub fn ip(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

/// `10.0.0.1/24` on a device.
pub fn add_addr(cx: &mut Cx, dev: DevId, text: &str) {
    let (addr, len) = text.split_once('/').expect("address/length");
    let msg = AddrMsg::new(dev, addr.parse().expect("an address"), len.parse().expect("a length"));
    let netns = cx.k.devs[dev].netns;
    rtm_newaddr(cx, netns, &msg, NEW).expect("a new address");
}

/// A route as `ip route add DST via GATEWAY` asks for.
pub fn route_via(dst: &str, via: &str) -> RouteMsg {
    let (prefix, len) = dst.split_once('/').expect("prefix/length");
    RouteMsg {
        kind: RouteType::Unicast,
        dst: ip(prefix),
        dst_len: len.parse().expect("a length"),
        protocol: 3,
        nexthops: vec![NexthopMsg { via: via.parse().ok(), ..NexthopMsg::default() }],
        ..RouteMsg::default()
    }
}

pub fn up() -> LinkSet {
    LinkSet { up: Some(true), ..LinkSet::default() }
}

/// A cable from a device in one namespace to `eth0` in another.
pub fn veth(cx: &mut Cx, netns: NetnsId, name: &str, other: NetnsId, set: LinkSet) -> (DevId, DevId) {
    let peer = LinkNew {
        name: Some(format!("{name}-p")),
        set: LinkSet { netns: Some(other), ..up() },
        ..LinkNew::default()
    };
    let info = Some(VethOptions { peer }.into());
    let new = LinkNew { name: Some(name.into()), set: LinkSet { info, ..set }, ifindex: None, link: None };
    let dev = rtm_newlink(cx, netns, new).expect("a new cable");
    (dev, cx.k.devs[dev].link.expect("a peer"))
}

pub struct Net {
    pub world: World,
    /// Namespaces a, b, … in a row.
    pub netns: Vec<NetnsId>,
    /// In each namespace the device towards the one before it, and towards the next.
    pub devs: Vec<(Option<DevId>, Option<DevId>)>,
}

/// `count` namespaces in a chain: link n is 10.0.n.0/24, its left end .1, its right end .2; all forward.
pub fn chain(count: usize) -> Net {
    let mut world = World::new(7);
    world.add_machine("m", 1);
    let (netns, devs) = world.enter(MACHINE, CPU, |cx| {
        let netns: Vec<NetnsId> = (0..count).map(|_| copy_net_ns(cx)).collect();
        let mut devs = vec![(None, None); count];
        for n in 0..count - 1 {
            let (left, right) = veth(cx, netns[n], &format!("v{n}"), netns[n + 1], up());
            add_addr(cx, left, &format!("10.0.{n}.1/24"));
            add_addr(cx, right, &format!("10.0.{n}.2/24"));
            (devs[n].1, devs[n + 1].0) = (Some(left), Some(right));
        }
        for (n, ns) in netns.iter().enumerate() {
            devinet_conf_proc(cx, *ns, ConfOf::All, Conf::Forwarding, 1);
            for other in 0..count - 1 {
                let via = match other {
                    link if link + 1 < n => format!("10.0.{}.1", n - 1),
                    link if link > n => format!("10.0.{n}.2"),
                    _ => continue,
                };
                rtm_newroute(cx, *ns, &route_via(&format!("10.0.{other}.0/24"), &via), NEW)
                    .expect("a new route");
            }
        }
        (netns, devs)
    });
    Net { world, netns, devs }
}

pub fn echo_request(sequence: u16, payload: usize) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0, 0x12, 0x34];
    message.extend_from_slice(&sequence.to_be_bytes());
    message.resize(8 + payload, 0x55);
    let check = glassnet_wire::checksum::checksum(&message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    message
}

impl Net {
    pub fn enter<R>(&mut self, work: impl FnOnce(&mut Cx) -> R) -> R {
        self.world.enter(MACHINE, CPU, work)
    }

    pub fn raw_socket(&mut self, n: usize) -> SocketId {
        let netns = self.netns[n];
        self.enter(|cx| {
            let id = socket(cx, netns, SockKind::Raw { protocol: 1 });
            let opts = &mut cx.k.sockets.get_mut(id).expect("just opened").opts;
            // Echo requests are not shown to who sends them.
            (opts.recverr, opts.icmp_filter) = (true, 1 << 8);
            id
        })
    }

    /// Lets time pass until `until`, in s.
    pub fn run(&mut self, until: u64) {
        while self.world.next_event_at().is_some_and(|at| at <= Nanos::from_secs(until)) {
            self.world.step().expect("an end");
        }
    }

    /// Lets time pass until `until`, in s, whether something happens then or not.
    pub fn wait_until(&mut self, until: u64) {
        self.world.wake_at(Nanos::from_secs(until));
        self.run(until);
    }

    /// Lets `millis` pass.
    pub fn pass(&mut self, millis: u64) {
        let until = self.world.now() + Nanos::from_millis(millis);
        self.world.wake_at(until);
        while self.world.next_event_at().is_some_and(|at| at <= until) {
            self.world.step().expect("an end");
        }
    }

    pub fn ping(&mut self, id: SocketId, to: &str, payload: usize) -> Result<usize, Errno> {
        let message = echo_request(1, payload);
        let to = SendTo::Inet(ip(to), 0);
        self.enter(|cx| sendto(cx, id, to, &message))
    }

    /// The ICMP messages that came in: type, code and source.
    pub fn received(&mut self, id: SocketId) -> Vec<(u8, u8, Ipv4Addr)> {
        let mut all = Vec::new();
        self.enter(|cx| {
            cx.k.sockets.get_mut(id).expect("open").error = None;
            while let Ok(Some(message)) = recv(cx, id) {
                all.push((message.data[20], message.data[21], message.from.0));
            }
        });
        all
    }

    pub fn errors(&mut self, id: SocketId) -> Vec<(Errno, Ipv4Addr, u32)> {
        let mut all = Vec::new();
        self.enter(|cx| {
            while let Ok(Some(error)) = recv_error(cx, id) {
                all.push((error.errno, error.offender, error.info));
            }
        });
        all
    }

    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        self.world.kernel(MACHINE).drops.iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    pub fn nud(&self, n: usize) -> Vec<(Ipv4Addr, Nud)> {
        let rows = dump_neigh(self.world.kernel(MACHINE), self.netns[n], self.world.now());
        rows.iter()
            .filter(|row| row.msg.state != Nud::Noarp)
            .map(|row| (row.msg.dst, row.msg.state))
            .collect()
    }
}

impl Net {
    pub fn conf(&mut self, n: usize, conf: Conf, value: i32) {
        let netns = self.netns[n];
        self.enter(|cx| devinet_conf_proc(cx, netns, ConfOf::All, conf, value));
    }

    pub fn udp(&mut self, n: usize, port: u16) -> SocketId {
        let netns = self.netns[n];
        self.enter(|cx| {
            let id = socket(cx, netns, SockKind::Udp);
            cx.k.sockets.bind(id, (Ipv4Addr::UNSPECIFIED, port));
            id
        })
    }

    pub fn snmp(&self, n: usize) -> &Snmp {
        &self.world.kernel(MACHINE).netns[self.netns[n]].ipv4.snmp
    }
}
