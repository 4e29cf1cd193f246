//! A client asks a server over TCP, a byte for a byte, while datagrams to a closed port flood the server's one CPU.

use glassnet_hardware::{Cable, Faults, PlugId};
use glassnet_kernel::World;
use glassnet_kernel::cost::Profile;
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::ids::{DevId, MachineId, SocketId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::link::Coalesce;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::af_inet::{inet_bind, inet_connect};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::socket::{SendTo, accept, listen, recv_stream, sendto, set_owner, socket};
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;

use super::{CPU, NEW, datagram};

const SERVER: MachineId = MachineId(0);
const CLIENT: MachineId = MachineId(1);
/// The process at either end.
const PID: u32 = 100;
/// The client asks again within this time, ns, which chance decides: as long as the server's softirq polls 64 datagrams. Always after
/// the same time, its segments would meet the server's ring at the same moment of a poll, full or not.
const THINKS: u64 = 22_000;

pub struct Asked {
    world: World,
    flood: PlugId,
    eth: DevId,
    /// The client's and the server's end of the connection.
    ends: [(MachineId, SocketId); 2],
    /// When the client asks again; `None` while it waits for an answer.
    asks_at: Option<Nanos>,
}

/// A client and a server that are connected; cables with this delay join them and the source of the flood to a switch.
pub fn asked(profile: &Profile, delay: Nanos) -> Asked {
    let mut world = World::new(5);
    let switch = world.fabric.add_switch(u64::MAX);
    let settings = NicSettings { rx_ring: Some(1024), ..NicSettings::new("igb") };
    let cable = || Cable { rate: 0, delay, faults: Faults::default() };
    let eth = [("server", "10.1.0.1"), ("client", "10.1.0.9")].map(|(name, addr)| {
        let machine = world.add_machine(name, 1);
        world.kernel_mut(machine).profile = profile.clone();
        let (dev, plug) = world.add_nic(machine, "eth0", &settings);
        let port = world.fabric.add_port(switch);
        world.connect(plug, port, cable());
        world.enter(machine, CPU, |cx| {
            do_setlink(cx, dev, LinkSet { up: Some(true), ..LinkSet::default() }).expect("it comes up");
            // Its published card moderates as the load asks for; here an interrupt comes at once.
            let set = cx.k.devs[dev].ops.ethtool.set_coalesce.expect("it moderates");
            set(cx, dev, Coalesce { rx_usecs: 0 }).expect("a value");
            rtm_newaddr(cx, INIT_NET, &AddrMsg::new(dev, addr.parse().expect("an address"), 24), NEW)
                .expect("an address");
        });
        dev
    });
    let (flood, port) = (world.fabric.add_outside(), world.fabric.add_port(switch));
    world.connect(flood, port, cable());
    let listener = world.enter(SERVER, CPU, |cx| {
        let id = socket(cx, INIT_NET, SockKind::Tcp);
        inet_bind(cx, id, [10, 1, 0, 1].into(), 80).expect("a free port");
        listen(cx, id, 1).expect("it listens");
        id
    });
    let client = world.enter(CLIENT, CPU, |cx| {
        let id = socket(cx, INIT_NET, SockKind::Tcp);
        inet_connect(cx, id, [10, 1, 0, 1].into(), 80).expect("it is on its way");
        id
    });
    let end = world.now() + Nanos::from_secs(1);
    world.wake_at(end);
    while world.next_event_at().is_some_and(|at| at <= end) && world.step().expect("an end") {}
    let server =
        world.enter(SERVER, CPU, |cx| accept(cx, listener)).expect("it listens").expect("a connection");
    let ends = [(CLIENT, client), (SERVER, server)];
    for (machine, id) in ends {
        world.enter(machine, CPU, |cx| set_owner(cx, id, PID, "netperf"));
        world.sleep(machine, PID);
    }
    let asks_at = Some(world.now());
    Asked { world, flood, eth: eth[0], ends, asks_at }
}

impl Asked {
    /// Transactions a second while so many datagrams a second come, after the rings and queues are as they stay.
    pub fn transactions(&mut self, flood: u64, time: Nanos) -> f64 {
        let settled = self.world.now() + Nanos::from_millis(20);
        self.ask_until(settled, flood);
        self.ask_until(settled + time, flood) as f64 / (time.0 as f64 / 1e9)
    }

    fn ask_until(&mut self, end: Nanos, flood: u64) -> u32 {
        let (mut done, mut injected) = (0, self.world.now());
        while self.world.now() < end {
            if flood > 0 && self.world.now() >= injected {
                injected = self.inject(injected, flood);
            }
            self.world.reset_limit();
            if !self.world.step().expect("an end") {
                break;
            }
            if self.world.take_wakeups() {
                done += u32::from(self.answer());
            }
        }
        done
    }

    /// The datagrams of the next millisecond.
    fn inject(&mut self, begin: Nanos, rate: u64) -> Nanos {
        let mac = self.world.kernel(SERVER).devs[self.eth].addr;
        let count = rate / 1_000;
        for at in 0..count {
            let frame = datagram(mac, [10, 1, 0, 1], (at % 250) as u16);
            self.world.inject(self.flood, &frame, begin + Nanos(at * 1_000_000 / count));
        }
        let end = begin + Nanos::from_millis(1);
        self.world.wake_at(end);
        end
    }

    /// The server answers what it got, and the client will ask again. Whether it got an answer.
    fn answer(&mut self) -> bool {
        if self.receive(1) {
            self.send(1);
        }
        let is_answered = self.receive(0);
        if is_answered {
            let at = self.world.now() + Nanos(self.world.dice.below(THINKS));
            self.world.wake_at(at);
            self.asks_at = Some(at);
        }
        if self.asks_at.take_if(|at| *at <= self.world.now()).is_some() {
            self.send(0);
        }
        is_answered
    }

    fn receive(&mut self, end: usize) -> bool {
        let (machine, id) = self.ends[end];
        let is_ready = !self.world.cpu_taken(machine, CPU)
            && self
                .world
                .kernel(machine)
                .sockets
                .get(id)
                .is_some_and(|socket| socket.tcp.as_ref().is_some_and(|tp| tp.is_readable()));
        if is_ready {
            self.world.go_on(machine, CPU, PID);
        }
        is_ready && self.world.enter(machine, CPU, |cx| recv_stream(cx, id, 1)).is_ok_and(|got| got.is_some())
    }

    fn send(&mut self, end: usize) {
        let (machine, id) = self.ends[end];
        self.world.enter(machine, CPU, |cx| sendto(cx, id, SendTo::Connected, b"?")).expect("it is sent");
        self.world.sleep(machine, PID);
    }
}
