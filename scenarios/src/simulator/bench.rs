//! A machine of the model on which costs are counted.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::cost::Profile;
use glassnet_kernel::cx::Cx;
use glassnet_kernel::door::Func;
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId, SocketId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::af_inet::inet_bind;
use glassnet_kernel::net::socket::{self, SendTo};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_userland::process::SharedWorld;

use super::rig::{locked, run_program, settle};
use crate::calibrate::{Bench, Load};
use crate::error::BackendError;
use crate::rig::{Programs, Said};

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
/// The program that waits.
const PID: u32 = 100;

/// A machine in its own world.
pub struct Counted {
    world: SharedWorld,
    sockets: Vec<SocketId>,
}

impl Counted {
    /// A machine whose work costs what the profile says.
    pub fn new(profile: &Profile) -> Counted {
        let mut world = World::new(crate::lab::SEED);
        world.add_machine("machine", 1);
        world.kernel_mut(MACHINE).profile = profile.clone();
        Counted { world: Arc::new(Mutex::new(world)), sockets: Vec::new() }
    }

    fn enter<T>(&self, work: impl FnOnce(&mut Cx) -> T) -> T {
        locked(&self.world).enter(MACHINE, CPU, work)
    }

    fn busy(&self) -> u64 {
        locked(&self.world).kernel(MACHINE).cpus[CPU.index()].time.busy().0
    }

    fn outside(&self) -> NetnsId {
        locked(&self.world).kernel(MACHINE).netns_names.get("x").copied().unwrap_or(INIT_NET)
    }

    fn open(&mut self, load: &Load) -> Result<(), BackendError> {
        let refused = |errno| BackendError::Command { command: "bind".into(), output: format!("{errno:?}") };
        let outside = self.outside();
        let opened = self.enter(|cx| match load {
            Load::Frames(_) => {
                let ifindex = cx.k.dev_by_name(outside, "t").map_or(0, |dev| cx.k.devs[dev].ifindex);
                let id = socket::socket(cx, outside, SockKind::Packet { protocol: 0, cooked: false });
                socket::packet_bind(cx, id, ifindex).map(|()| vec![id])
            }
            Load::Datagrams(_) | Load::Turns(_) => {
                let pair = [(); 2].map(|()| socket::socket(cx, INIT_NET, SockKind::Udp));
                socket::set_owner(cx, pair[1], PID, "receiver");
                inet_bind(cx, pair[1], Ipv4Addr::LOCALHOST, 9).map(|()| pair.to_vec())
            }
            Load::Interrupts => Ok(Vec::new()),
        });
        self.sockets = opened.map_err(refused)?;
        Ok(())
    }
}

impl Programs for Counted {
    fn run(&mut self, argv: &[&str], stdin: &str) -> Result<Said, BackendError> {
        run_program(&self.world, MACHINE, argv, stdin)
    }
}

impl Bench for Counted {
    fn spend(&mut self, load: &Load) -> Result<f64, BackendError> {
        let refused =
            |errno| BackendError::Command { command: "sendto".into(), output: format!("{errno:?}") };
        if self.sockets.is_empty() {
            self.open(load)?;
        }
        let before = self.busy();
        let count = match load {
            Load::Frames(frames) => {
                for frame in frames {
                    self.enter(|cx| socket::sendto(cx, self.sockets[0], SendTo::Connected, frame))
                        .map_err(refused)?;
                    settle(&self.world);
                }
                frames.len()
            }
            Load::Datagrams(bytes) | Load::Turns(bytes) => {
                if let Load::Turns(_) = load {
                    locked(&self.world).sleep(MACHINE, PID);
                }
                let to = SendTo::Inet(Ipv4Addr::LOCALHOST, 9);
                self.enter(|cx| socket::sendto(cx, self.sockets[0], to, &vec![0; *bytes]))
                    .map_err(refused)?;
                settle(&self.world);
                locked(&self.world).go_on(MACHINE, CPU, PID);
                self.enter(|cx| socket::recv(cx, self.sockets[1])).map_err(refused)?;
                1
            }
            Load::Interrupts => {
                self.enter(|cx| cx.call(Func::RpsTriggerSoftirq, None));
                1
            }
        };
        Ok((self.busy() - before) as f64 / count as f64)
    }
}
