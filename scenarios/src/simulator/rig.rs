//! The router of random cases in the model.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use glassnet_kernel::World;
use glassnet_kernel::ids::{CpuId, MachineId, SocketId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::af_inet::inet_bind;
use glassnet_kernel::net::socket::{self, SendTo};
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;
use glassnet_userland::harness;
use glassnet_userland::process::SharedWorld;
use glassnet_userland::procfs::{self, Caller};

use crate::error::BackendError;
use crate::observation::KernelConfig;
use crate::rig::case::{PORTS, Port};
use crate::rig::{LISTENERS, Programs, Rig, Said, build};

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);

/// Runs a program on a machine, without a shell.
pub(super) fn run_program(
    world: &SharedWorld,
    machine: MachineId,
    argv: &[&str],
    stdin: &str,
) -> Result<Said, BackendError> {
    let outcome = harness::run(world, (machine, INIT_NET), argv, stdin).ok_or_else(|| {
        BackendError::Command { command: argv.join(" "), output: "the model has no such program".to_owned() }
    })?;
    Ok(Said { status: outcome.status, text: outcome.stdout + &outcome.stderr })
}

/// The world, for this thread alone.
pub(super) fn locked(world: &SharedWorld) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs until all events at this time are processed.
pub(super) fn settle(world: &SharedWorld) {
    let mut world = locked(world);
    let now = world.now();
    while world.next_event_at().is_some_and(|at| at <= now + Nanos(1_000_000)) {
        if !world.step().is_ok_and(|stepped| stepped) {
            break;
        }
    }
}

/// A router in its own world.
pub struct Router {
    /// Seed of the model's random numbers.
    seed: u64,
    config: KernelConfig,
    /// [`glassnet_kernel::Kernel::remembers_verdicts`].
    remembers_verdicts: bool,
    world: SharedWorld,
    sockets: Vec<SocketId>,
    raw: Option<SocketId>,
}

impl Router {
    /// A router without rules and with this configuration; `seed` is that of its random numbers.
    ///
    /// # Errors
    ///
    /// A command of the set-up failed.
    pub fn new(seed: u64, config: KernelConfig) -> Result<Router, BackendError> {
        Router::with(seed, config, true)
    }

    /// The same, with cached verdicts on or off.
    ///
    /// # Errors
    ///
    /// As of [`Router::new`].
    pub fn with(seed: u64, config: KernelConfig, remembers_verdicts: bool) -> Result<Router, BackendError> {
        let mut world = World::new(seed);
        world.add_machine("router", 1);
        config.give(world.kernel_mut(MACHINE));
        world.kernel_mut(MACHINE).config.br_netfilter = true;
        world.kernel_mut(MACHINE).remembers_verdicts = remembers_verdicts;
        let world = Arc::new(Mutex::new(world));
        let mut rig = Router { seed, config, remembers_verdicts, world, sockets: Vec::new(), raw: None };
        build(&mut rig)?;
        rig.open();
        Ok(rig)
    }

    /// The time on the router's CPU.
    pub fn now(&self) -> Nanos {
        self.world().cpu_now(MACHINE, CPU)
    }

    /// Number of cached verdicts.
    pub fn passages(&self) -> usize {
        self.world().kernel(MACHINE).netns[INIT_NET].passages.count()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    /// Opens the sockets that send frames and packets.
    fn open(&mut self) {
        let mut world = self.world();
        world.trace.capture = true;
        let outside = world.kernel(MACHINE).netns_names.get("x").copied().unwrap_or(INIT_NET);
        let sockets = world.enter(MACHINE, CPU, |cx| {
            PORTS.map(|port| {
                let dev = cx.k.dev_by_name(outside, port.name());
                let ifindex = dev.map_or(0, |dev| cx.k.devs[dev].ifindex);
                let id = socket::socket(cx, outside, SockKind::Packet { protocol: 0, cooked: false });
                // A missing device shows with the first frame.
                let _ = socket::packet_bind(cx, id, ifindex);
                id
            })
        });
        let raw = world.enter(MACHINE, CPU, |cx| {
            let id = socket::socket(cx, INIT_NET, SockKind::Raw { protocol: 255 });
            if let Ok(socket) = socket::get_mut(cx, id) {
                socket.opts.hdrincl = true;
            }
            id
        });
        world.enter(MACHINE, CPU, |cx| {
            for (address, port) in LISTENERS {
                let id = socket::socket(cx, INIT_NET, SockKind::Udp);
                // Nothing else is bound here.
                let _ = inet_bind(cx, id, address, port);
            }
        });
        drop(world);
        (self.sockets, self.raw) = (sockets.to_vec(), Some(raw));
    }
}

impl Programs for Router {
    fn run(&mut self, argv: &[&str], stdin: &str) -> Result<Said, BackendError> {
        if argv.first() == Some(&"cat") {
            return Ok(self.cat(argv.get(1).copied().unwrap_or("")));
        }
        run_program(&self.world, MACHINE, argv, stdin)
    }
}

impl Rig for Router {
    fn clean(&mut self) -> Result<(), BackendError> {
        *self = Router::with(self.seed, self.config, self.remembers_verdicts)?;
        Ok(())
    }

    fn send(&mut self, port: Port, frame: &[u8]) -> Result<(), BackendError> {
        let id = self.sockets[port as usize];
        self.send_by(id, SendTo::Connected, frame)
    }

    fn send_local(&mut self, to: Ipv4Addr, packet: &[u8]) -> Result<(), BackendError> {
        match self.raw {
            // Errors of sending are compared by the missing frame.
            Some(id) => self.send_by(id, SendTo::Inet(to, 0), packet).or(Ok(())),
            None => Ok(()),
        }
    }

    fn take(&mut self) -> Result<Vec<(Port, Vec<u8>)>, BackendError> {
        let mut world = self.world();
        let frames = std::mem::take(&mut world.trace.frames);
        let kernel = world.kernel(MACHINE);
        let seen =
            frames.into_iter().filter(|frame| frame.pkt_type == PacketType::Outgoing).filter_map(|frame| {
                let label = kernel.labels.get(frame.dev as usize)?;
                let port =
                    PORTS.into_iter().find(|port| label.netns == INIT_NET && port.near() == label.name)?;
                Some((port, frame.bytes))
            });
        Ok(seen.collect())
    }

    fn wait(&mut self, ms: u64) -> Result<(), BackendError> {
        let text = format!("{}.{:03}", ms / 1000, ms % 1000);
        self.run(&["sleep", &text], "").map(|_| ())
    }
}

impl Router {
    fn send_by(&mut self, id: SocketId, to: SendTo, bytes: &[u8]) -> Result<(), BackendError> {
        let sent = self.world().enter(MACHINE, CPU, |cx| socket::sendto(cx, id, to, bytes));
        settle(&self.world);
        match sent {
            Ok(_) => Ok(()),
            Err(errno) => {
                Err(BackendError::Command { command: "sendto".to_owned(), output: format!("{errno:?}") })
            }
        }
    }

    fn cat(&self, path: &str) -> Said {
        let world = self.world();
        let caller = Caller { machine: MACHINE, cpu: CPU, netns: INIT_NET };
        match procfs::read(&world, caller, path) {
            Ok(text) => Said { status: 0, text },
            Err(errno) => Said { status: 1, text: format!("{errno:?}") },
        }
    }
}
