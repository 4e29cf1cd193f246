//! `ovs-vswitchd` 3.1.0: makes what the database says, and decides about packets for which the datapath has no flow.
//!
//! Not modelled: OVSDB and OpenFlow over sockets of the network, controllers, bonds, mirrors; `ovsdb-server` and
//! `ovs-vswitchd` are one program here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use glassnet_kernel::Cx;
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::kernel::Kernel;
use glassnet_kernel::net::openvswitch::datapath::{
    ovs_dp_set_upcall, ovs_flow_cmd_del, ovs_flow_cmd_new, ovs_flow_cmd_set, ovs_packet_cmd_execute,
    ovs_upcall_recv,
};
use glassnet_kernel::tables::openvswitch::flow::{FlowActions, KeyField, SwFlowKey, VLAN_CFI};
use glassnet_kernel::tables::openvswitch::flow_table::FlowId;
use glassnet_kernel::tables::openvswitch::{DpId, Upcall, UpcallCmd};
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;

use super::ofproto::Bridge;
use super::ovsdb::Db;
use super::xlate::{Xlated, apply, xlate};
use crate::process::{Process, Running, Woken};
use crate::task::Task;

/// The datapath of all bridges.
pub const DATAPATH: &str = "ovs-system";
/// Where tools find the daemon.
pub const SOCKET: &str = "/var/run/openvswitch/db.sock";
/// How often flows of the datapath are looked at (`max-revalidator`).
const REVALIDATE: Nanos = Nanos::from_millis(500);
/// A flow that no packet used for so long goes (`max-idle`).
const MAX_IDLE: Nanos = Nanos::from_secs(10);

/// What is known of a flow of the datapath (`struct udpif_key`).
#[derive(Debug)]
struct Ukey {
    bridge: String,
    /// The packet that it was made for, with OpenFlow's number of the port.
    flow: SwFlowKey,
    /// Packets and bytes that flows of the bridge have counted.
    counted: (u64, u64),
    created: Nanos,
}

/// All that the daemon knows.
#[derive(Debug)]
pub struct Vswitchd {
    /// Its namespace.
    pub netns: NetnsId,
    /// What is to be.
    pub db: Db,
    /// The bridges that are, by name.
    pub bridges: BTreeMap<String, Bridge>,
    /// The datapath, while there is a bridge.
    pub dp: Option<DpId>,
    ukeys: BTreeMap<FlowId, Ukey>,
    revalidated: Nanos,
    /// Ports were added so often.
    pub added: u64,
}

/// A request of a tool, which the daemon does in its own time.
type Request = Box<dyn FnOnce(&mut Vswitchd, &mut Cx) + Send>;

/// The daemon, as its clients have it.
pub struct Service {
    state: Mutex<Vswitchd>,
    requests: Mutex<VecDeque<Request>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Asks the daemon of the process's machine for something and waits for the answer; `None`: there is no daemon.
pub async fn ask<T: Send + 'static>(
    process: &mut Process,
    work: impl FnOnce(&mut Vswitchd, &mut Cx) -> T + Send + 'static,
) -> Option<T> {
    let service: Arc<Service> = process.syscall(|cx| cx.k.unix.connect(SOCKET))?;
    let answer = Arc::new(Mutex::new(None));
    let to = answer.clone();
    lock(&service.requests).push_back(Box::new(move |daemon, cx| *lock(&to) = Some(work(daemon, cx))));
    process.syscall(|cx| cx.wake_up());
    match process.wait(None, |_| lock(&answer).take()).await {
        Woken::Ready(answer) => Some(answer),
        Woken::Elapsed | Woken::Signal(_) => None,
    }
}

/// The daemon's end: its socket is closed, and nobody reads what the datapath asks.
struct Listening {
    task: Task,
    service: Arc<Service>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.call(|cx| {
            cx.k.unix.close(SOCKET);
            if let Some(dp) = lock(&self.service.state).dp {
                ovs_dp_set_upcall(cx, dp, false);
            }
        });
    }
}

/// Entry point. `ovs-ctl` starts it.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        if let Some(argument) = process.args().first().cloned() {
            if ["-V", "--version"].contains(&argument.as_str()) {
                process.print("ovs-vswitchd (Open vSwitch) 3.1.0\n");
                return 0;
            }
            process.eprint("not modelled yet: ovs-vswitchd by hand; `ovs-ctl start` starts it\n");
            return 1;
        }
        let service = Arc::new(Service {
            state: Mutex::new(Vswitchd::new(process)),
            requests: Mutex::new(VecDeque::new()),
        });
        let listening = Listening { task: Task::of(process), service: service.clone() };
        process.syscall(|cx| {
            cx.k.unix.bind(SOCKET, service.clone());
            cx.wake_up();
        });
        loop {
            let deadline = lock(&listening.service.state).deadline();
            let machine = process.machine;
            let has_work = |world: &mut World| {
                let asked = !lock(&service.requests).is_empty();
                (asked || lock(&service.state).has_work(world.kernel(machine))).then_some(())
            };
            if let Woken::Signal(_) = process.wait(deadline, has_work).await {
                return 0;
            }
            process.syscall(|cx| service.run(cx));
        }
    })
}

impl Service {
    fn run(&self, cx: &mut Cx) {
        let requests = std::mem::take(&mut *lock(&self.requests));
        let mut state = lock(&self.state);
        let is_asked = state.look_at_ports(cx) || !requests.is_empty();
        for request in requests {
            request(&mut state, cx);
            cx.wake_up();
        }
        state.run(cx, is_asked);
    }
}

impl Vswitchd {
    fn new(process: &Process) -> Vswitchd {
        let mut db = Db::default();
        db.root.put("ovs_version", Some("3.1.0".to_owned()));
        process.syscall(|cx| {
            let mut bytes = [0; 16];
            cx.dice.fill(&mut bytes);
            // A random UUID (RFC 9562, version 4).
            (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            db.uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        });
        let (netns, now) = (process.netns, process.now());
        Vswitchd {
            netns,
            db,
            bridges: BTreeMap::new(),
            dp: None,
            ukeys: BTreeMap::new(),
            revalidated: now,
            added: 0,
        }
    }

    /// The device of a port of the datapath.
    pub fn device(&self, kernel: &Kernel, dp_port: u32) -> Option<DevId> {
        let port = kernel.datapaths.get(self.dp?)?.ports.get(&dp_port)?;
        Some(port.dev)
    }

    /// When it looks again, if nothing happens before.
    fn deadline(&self) -> Option<Nanos> {
        let has_timeouts = |bridge: &Bridge| {
            bridge.rules.values().any(|rule| rule.idle_timeout != 0 || rule.hard_timeout != 0)
        };
        let is_wrong = self.bridges.values().any(|bridge| bridge.need_revalidate);
        let is_needed = is_wrong || !self.ukeys.is_empty() || self.bridges.values().any(has_timeouts);
        is_needed.then(|| self.revalidated + REVALIDATE)
    }

    fn has_work(&self, kernel: &Kernel) -> bool {
        let Some(dp) = self.dp.and_then(|dp| kernel.datapaths.get(dp)) else { return false };
        !dp.upcalls.is_empty() || self.lost_ports(kernel).next().is_some()
    }

    /// Ports whose devices are gone.
    fn lost_ports<'s>(&'s self, kernel: &'s Kernel) -> impl Iterator<Item = (String, u32)> + 's {
        let ports =
            self.bridges.values().flat_map(|bridge| bridge.ports.iter().map(move |port| (bridge, port)));
        ports
            .filter(move |(_, (_, port))| {
                port.dp_port.is_some_and(|port| self.device(kernel, port).is_none())
            })
            .map(|(bridge, (number, _))| (bridge.name.clone(), *number))
    }

    /// Forgets ports whose devices are gone; false: there are none.
    fn look_at_ports(&mut self, cx: &mut Cx) -> bool {
        let lost: Vec<(String, u32)> = self.lost_ports(cx.k).collect();
        let has_lost = !lost.is_empty();
        for (bridge, number) in lost {
            if let Some(bridge) = self.bridges.get_mut(&bridge) {
                let name = bridge.ports.get(&number).map(|port| port.name.clone()).unwrap_or_default();
                bridge.remove_port(number);
                self.port_failed(&name, &format!("could not open network device {name} (No such device)"));
            }
        }
        has_lost
    }

    /// What the database says of a port that could not be made.
    pub fn port_failed(&mut self, name: &str, error: &str) {
        if let Some(row) = self.db.port_mut(name) {
            row.interface.put("error", Some(error.to_owned()));
            row.interface.put("ofport", Some("-1".to_owned()));
            row.interface.put("mac_in_use", None);
        }
    }

    /// Packets that wait, flows whose time has come, and flows that are wrong now.
    fn run(&mut self, cx: &mut Cx, is_asked: bool) {
        // Where computing takes time, more may come meanwhile; it is a turn of its own.
        let waiting = self.dp.and_then(|dp| cx.k.datapaths.get(dp)).map_or(0, |dp| dp.upcalls.len());
        for _ in 0..waiting {
            let Some(upcall) = self.dp.and_then(|dp| ovs_upcall_recv(cx, dp)) else { break };
            self.upcall(cx, &upcall);
        }
        let is_due = cx.now >= self.revalidated + REVALIDATE;
        if is_due {
            self.revalidate(cx, false);
            self.bridges.values_mut().for_each(|bridge| bridge.expire(cx.now));
        }
        // What the threads that decide about packets learn does not wake the first one, which orders this.
        let looks = is_due || is_asked;
        if looks && self.bridges.values().any(|bridge| bridge.need_revalidate) {
            self.revalidate(cx, true);
        }
    }

    /// The datapath is gone, and its flows with it.
    pub fn forget_flows(&mut self) {
        self.ukeys.clear();
    }

    /// The bridge of a packet, and its fields with OpenFlow's number of the port.
    fn flow_of(&self, key: &SwFlowKey) -> Option<(String, SwFlowKey)> {
        let received =
            self.bridges.values().filter_map(|bridge| Some((bridge.received_by(key)?, &bridge.name)));
        let ((_, port), bridge) = received.min()?;
        let mut flow = *key;
        flow[KeyField::InPort] = u64::from(port);
        Some((bridge.clone(), flow))
    }

    /// Translates a packet.
    pub fn translate(&self, kernel: &Kernel, bridge: &str, flow: &SwFlowKey) -> Option<Xlated> {
        let works = |dp_port: u32| {
            let dev = self.device(kernel, dp_port).and_then(|dev| kernel.devs.get(dev));
            dev.is_some_and(|dev| dev.is_up() && dev.carrier)
        };
        xlate(&self.bridges, bridge, flow, &works)
    }

    /// Decides about a packet, gives the datapath a flow for those that follow, and sends the packet on.
    fn upcall(&mut self, cx: &mut Cx, upcall: &Upcall) {
        // What an action hands up is for controllers.
        let Some(dp) = self.dp.filter(|_| upcall.cmd == UpcallCmd::Miss) else { return };
        let Some((name, flow)) = self.flow_of(&upcall.key) else { return };
        let Some(done) = self.translate(cx.k, &name, &flow) else { return };
        apply(&mut self.bridges, &done, (1, upcall.frame.len() as u64), cx.now);
        let actions: FlowActions = done.actions.as_slice().into();
        let mask = dp_mask(&done, &flow);
        if let Ok(id) = ovs_flow_cmd_new(cx, dp, (upcall.key, mask), actions.clone()) {
            let created = cx.now;
            self.ukeys.insert(id, Ukey { bridge: name, flow, counted: (0, 0), created });
        }
        if !actions.is_empty() {
            ovs_packet_cmd_execute(cx, dp, upcall, &actions);
        }
    }

    /// Looks at every flow of the datapath: what it counted is counted by flows of its bridge; it goes if nobody used it, or gets
    /// other actions if they are others now (`revalidate`).
    fn revalidate(&mut self, cx: &mut Cx, is_wrong: bool) {
        let Some(dp) = self.dp else { return };
        self.revalidated = match is_wrong {
            true => cx.now,
            false => {
                let turns = cx.now.since(self.revalidated).0 / REVALIDATE.0;
                Nanos(self.revalidated.0 + turns * REVALIDATE.0)
            }
        };
        if is_wrong {
            self.bridges.values_mut().for_each(|bridge| bridge.need_revalidate = false);
        }
        for (id, mut ukey) in std::mem::take(&mut self.ukeys) {
            let Some(flow) = cx.k.datapaths.get(dp).and_then(|dp| dp.table.get(id)).cloned() else {
                continue;
            };
            let stats = flow.stats;
            let new = (stats.packets - ukey.counted.0, stats.bytes - ukey.counted.1);
            // A flow of a port that is no more goes with it.
            let port = ukey.flow[KeyField::InPort] as u32;
            if !self.bridges.get(&ukey.bridge).is_some_and(|bridge| bridge.ports.contains_key(&port)) {
                ovs_flow_cmd_del(cx, dp, id);
                continue;
            }
            let is_idle = cx.now.since(stats.used.unwrap_or(ukey.created)) > MAX_IDLE;
            if new.0 > 0 || is_wrong {
                let Some(done) = self.translate(cx.k, &ukey.bridge, &ukey.flow) else { continue };
                if new.0 > 0 {
                    apply(&mut self.bridges, &done, new, stats.used.unwrap_or(cx.now));
                }
                let needs_more = dp_mask(&done, &ukey.flow).union(&flow.mask) != flow.mask;
                if needs_more {
                    ovs_flow_cmd_del(cx, dp, id);
                    continue;
                }
                if *done.actions != *flow.actions {
                    ovs_flow_cmd_set(cx, dp, id, done.actions.as_slice().into());
                }
            }
            if is_idle {
                ovs_flow_cmd_del(cx, dp, id);
                continue;
            }
            ukey.counted = (stats.packets, stats.bytes);
            self.ukeys.insert(id, ukey);
        }
    }
}

/// The mask of the datapath's flow: that a packet has no tag counts always.
fn dp_mask(done: &Xlated, flow: &SwFlowKey) -> SwFlowKey {
    let mut mask = done.wc;
    if flow[KeyField::VlanTci] & VLAN_CFI == 0 {
        mask[KeyField::VlanTci] = KeyField::VlanTci.full();
    } else {
        mask[KeyField::VlanTci] |= VLAN_CFI;
    }
    mask
}
