//! What a received packet costs on its whole way: cable, ring, interrupt, NAPI, bridge, UDP socket.

use glassnet_hardware::{Cable, Faults, PlugId};
use glassnet_kernel::World;
use glassnet_kernel::drivers::nic::NicSettings;
use glassnet_kernel::ids::{DevId, SocketId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::af_inet::inet_bind;
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::net::socket;
use glassnet_kernel::netlink::NLM_F_CREATE;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;

use crate::{BURST, CPU, MACHINE, bridge, enslave, frame_to, link};

/// A machine whose card is a port of a bridge, and a socket at the bridge's address.
pub struct Receiver {
    world: World,
    source: PlugId,
    dev: DevId,
    socket: SocketId,
    frame: Vec<u8>,
    /// Time between two frames.
    gap: Nanos,
}

impl Receiver {
    /// A receiver that gets a frame each `gap`.
    pub fn new(gap: Nanos) -> Receiver {
        let mut world = World::new(1);
        world.add_machine("bench", 1);
        let (dev, plug) = world.add_nic(MACHINE, "eth0", &NicSettings::new("e1000e"));
        let source = world.fabric.add_outside();
        world.connect(source, plug, Cable { rate: 0, delay: Nanos::ZERO, faults: Faults::default() });
        let br0 = bridge(&mut world, MACHINE, "br0");
        enslave(&mut world, MACHINE, dev, br0);
        let socket = world.enter(MACHINE, CPU, |cx| {
            let up = LinkSet { up: Some(true), ..LinkSet::default() };
            do_setlink(cx, dev, up).expect("it comes up");
            let address = AddrMsg::new(br0, link(0, 2), 24);
            rtm_newaddr(cx, INIT_NET, &address, NLM_F_CREATE).expect("a new address");
            let socket = socket::socket(cx, INIT_NET, SockKind::Udp);
            inet_bind(cx, socket, link(0, 2), 9).expect("a free port");
            socket
        });
        let mut frame = frame_to(link(0, 2));
        frame[..6].copy_from_slice(&world.kernel(MACHINE).devs[br0].addr.0);
        let mut receiver = Receiver { world, source, dev, socket, frame, gap };
        receiver.run();
        receiver
    }

    fn run(&mut self) {
        self.world.reset_limit();
        while self.world.step().expect("no loop") {}
    }

    /// A burst arrives and is read; returns how many packets the program got.
    pub fn burst(&mut self) -> usize {
        let begin = self.world.cpu_now(MACHINE, CPU);
        for at in 0..BURST as u64 {
            self.world.inject(self.source, &self.frame, begin + Nanos(at * self.gap.0));
        }
        self.run();
        let socket = self.socket;
        self.world.enter(MACHINE, CPU, |cx| {
            std::iter::from_fn(|| socket::recv(cx, socket).expect("received")).count()
        })
    }

    /// Frames that found no descriptor.
    pub fn missed(&self) -> u64 {
        self.world.kernel(MACHINE).devs[self.dev].stats.rx_missed_errors
    }
}
