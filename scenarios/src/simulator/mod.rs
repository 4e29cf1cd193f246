//! The model as a [backend](crate::backend), which records the same as a real kernel's backend.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | running plans |
//! | `rig.rs` | the router of random cases |
//! | `bench.rs` | the machine on which costs are counted |
//!
//! Tracepoints are functions of the model: `trace_net_dev_queue` stands for the door [`Func::DevQueueXmit`], and so
//! on.

mod bench;
mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use glassnet_kernel::chance::{Chance, Script, Whose};
use glassnet_kernel::door::Func;
use glassnet_kernel::drivers::nic::{send_whole_packets, transmits};
use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::trace::{self, Context, Level, Step, StepKind};
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::cni;
use glassnet_wire::Mac;

use crate::backend::{Backend, Running};
use crate::error::BackendError;
use crate::lab::{self, Plugs};
use crate::observation::{
    Capabilities, Captured, ChosenMac, Direction, Fall, Frame, Journey, KernelConfig, Observation, Printed,
    ReachTime, SETTLE, Tables, dump_value, next_slot,
};
use crate::plan::{Plan, PlannedPrompt};
use crate::rig::Rig;
use crate::shell::{Outcome, Session};

pub use bench::Counted;
pub use rig::Router;

/// The model's backend.
#[derive(Clone, Debug, Default)]
pub struct Simulator {
    /// Configuration of the kernel.
    pub config: KernelConfig,
    /// MAC addresses of new devices, in order; others are drawn at random.
    pub macs: Vec<ChosenMac>,
    /// Reachable times of neighbours; others are drawn at random.
    pub reach_times: Vec<ReachTime>,
    /// How dice that decide about packets fall, in order; others fall as they do.
    pub falls: Vec<usize>,
}

impl Simulator {
    /// A model with the configuration of an observed kernel, and with what that chose by chance.
    pub fn of(real: &Observation) -> Self {
        let (macs, reach_times) = (real.macs.clone(), real.reach_times.clone());
        Self { config: real.config, macs, reach_times, falls: Vec::new() }
    }

    fn run<'a>(&'a self, plan: &'a Plan) -> Result<Run<'a>, BackendError> {
        let (mut world, plugs) = lab::build_with_plugs(&plan.topology, lab::SEED);
        for kernel in &mut world.machines {
            self.config.give(kernel);
            if self.config.veth_cables {
                send_whole_packets(kernel);
            }
        }
        give_addresses(&mut world, &self.macs);
        world.trace.script = Script { whose: Whose::Dice, falls: self.falls.clone(), ..Script::default() };
        let told = world.machines.iter().map(|kernel| (kernel.id, kernel.log.written())).collect();
        let session =
            Session::new(world).map_err(BackendError::failed("cannot start the simulated shells"))?;
        let (names, live, last, statuses, logged) = Default::default();
        let is_alone = self.config.virtual_time;
        Ok(Run {
            plan,
            session,
            plugs,
            names,
            live,
            last,
            statuses,
            told,
            logged,
            is_alone,
            reach_times: &self.reach_times,
            virtual_time: self.config.virtual_time,
            seen: Captured::default(),
        })
    }
}

impl Backend for Simulator {
    fn version(&self) -> String {
        format!("glassnet {} (simulator)", env!("CARGO_PKG_VERSION"))
    }

    fn config(&self) -> KernelConfig {
        self.config
    }

    fn sees(&self) -> Capabilities {
        Capabilities::default()
    }

    fn missing(&self, _: &BTreeSet<&str>) -> Vec<String> {
        Vec::new()
    }

    fn start<'a>(&'a self, plan: &'a Plan) -> Result<Box<dyn Running + 'a>, BackendError> {
        Ok(Box::new(self.run(plan)?))
    }

    fn start_plain<'a>(&'a self, plan: &'a Plan) -> Result<Box<dyn Running + 'a>, BackendError> {
        Ok(Box::new(Run { is_alone: true, ..self.run(plan)? }))
    }

    fn router(&self) -> Result<Box<dyn Rig>, BackendError> {
        Ok(Box::new(Router::new(lab::SEED, self.config)?))
    }
}

/// NICs exist and get theirs now; the others are for new devices, whose names may recur. Names that plugins drew are drawn again.
fn give_addresses(world: &mut World, macs: &[ChosenMac]) {
    let mut nics = BTreeSet::new();
    for chosen in macs {
        let Some(machine) = world.machine(&chosen.machine) else { continue };
        let Some(mac) = parse_mac(&chosen.mac) else { continue };
        let kernel = world.kernel_mut(machine);
        if cni::is_random_veth_name(&chosen.device) {
            kernel.scripted_names.push((chosen.netns.clone(), chosen.device.clone()));
        }
        match kernel.dev_by_name(INIT_NET, &chosen.device) {
            Some(nic) if nics.insert((machine, nic)) => {
                kernel.devs[nic].addr = mac;
                if !kernel.config.veth_cables {
                    kernel.devs[nic].perm_addr = mac;
                }
            }
            _ => {
                let key = (chosen.device.clone(), chosen.netns.clone());
                kernel.scripted_macs.entry(key).or_default().push_back(mac);
            }
        }
    }
}

fn parse_mac(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    Some(Mac(bytes?.try_into().ok()?))
}

struct Run<'a> {
    plan: &'a Plan,
    session: Session,
    plugs: Plugs,
    /// Names of namespaces, including deleted ones.
    names: BTreeMap<(MachineId, NetnsId), String>,
    /// Unfinished journeys, by buffer.
    live: BTreeMap<u32, Journey>,
    /// The last prompt of the current block, with its number.
    last: Option<(usize, PlannedPrompt)>,
    /// Exit status of the last prompt, by machine.
    statuses: BTreeMap<String, i32>,
    /// How many lines of each machine's log were told.
    told: BTreeMap<MachineId, u64>,
    /// New lines of the logs.
    logged: Vec<String>,
    /// Nothing else runs on the kernel that this is held against: its tracer then knows that all is the lesson's.
    is_alone: bool,
    /// Reachable times that are not given yet.
    reach_times: &'a [ReachTime],
    /// Nothing but timers takes time.
    virtual_time: bool,
    seen: Captured,
}

impl Running for Run<'_> {
    fn prompt(&mut self, number: usize, prompt: &PlannedPrompt) -> Result<Printed, BackendError> {
        self.next_slot(number, prompt)?;
        self.give_reach_times(number);
        for change in &prompt.before {
            lab::change(&mut self.session.world(), &self.plugs, change);
        }
        let Outcome { output, status } = self.watched(number, prompt, &prompt.command)?;
        self.last = Some((number, prompt.clone()));
        self.statuses.insert(prompt.machine.clone(), status);
        Ok(Printed { output, status })
    }

    fn settle(&mut self) -> Result<(), BackendError> {
        let Some((number, prompt)) = self.last.take() else { return Ok(()) };
        self.watched(number, &prompt, &format!("sleep {}", SETTLE.as_secs_f64()))?;
        Ok(())
    }

    fn tables(&mut self, machines: &[&str]) -> Result<Tables, BackendError> {
        let mut tables = Tables::new();
        for (machine, netns) in self.places() {
            if !machines.contains(&machine.as_str()) {
                continue;
            }
            let (inside, slash) = match netns.as_str() {
                "" => (String::new(), ""),
                name => (format!("ip netns exec {name} "), "/"),
            };
            let space = format!("{machine}{slash}{netns}");
            let mut dumps = BTreeMap::new();
            for dump in self.plan.dumps_of(&space) {
                // A function of the lesson may have a name that a dump needs.
                let command = format!("command {inside}{dump} 2>/dev/null");
                let said = self.session.run(&machine, &command).map_err(|why| BackendError::Command {
                    command: format!("{machine}# {command}"),
                    output: why.to_string(),
                })?;
                dumps.insert(dump.to_owned(), dump_value(&said.output));
            }
            tables.insert(space, dumps);
        }
        self.restore_statuses();
        Ok(tables)
    }

    fn log(&mut self) -> Result<Vec<String>, BackendError> {
        Ok(std::mem::take(&mut self.logged))
    }

    fn finish(mut self: Box<Self>) -> Result<Captured, BackendError> {
        for mut journey in std::mem::take(&mut self.live).into_values() {
            "alive".clone_into(&mut journey.end);
            self.seen.journeys.push(journey);
        }
        Ok(self.seen)
    }
}

impl Run<'_> {
    /// Gives the reachable times that the kernel had chosen when a prompt was over.
    fn give_reach_times(&mut self, prompt: usize) {
        let due = self.reach_times.iter().take_while(|time| time.prompt <= prompt).count();
        let (due, rest) = self.reach_times.split_at(due);
        self.reach_times = rest;
        let mut world = self.session.world();
        for ReachTime { machine, netns, device, ms, .. } in due {
            if let Some(machine) = world.machine(machine) {
                let times = &mut world.kernel_mut(machine).scripted_reach_times;
                times.insert((device.clone(), netns.clone()), Nanos::from_millis(*ms));
            }
        }
    }

    /// In virtual time, waits until a prompt may begin. What happens meanwhile is the last one's.
    fn next_slot(&mut self, number: usize, prompt: &PlannedPrompt) -> Result<(), BackendError> {
        /// By so much a program that sleeps may be late (`timer_slack_ns`), and is on a real kernel.
        const TIMER_SLACK: Nanos = Nanos::from_micros(50);
        if !self.virtual_time {
            return Ok(());
        }
        let now = self.session.world().now();
        let until = Nanos(next_slot(Duration::from_nanos(now.0)).as_nanos() as u64) + TIMER_SLACK;
        // Nobody records between the tables of a block and the next prompt, but frames are captured.
        let level = if self.last.is_some() { Level::Doors } else { Level::Off };
        self.watch(level, true);
        let passed = self.session.pass(&prompt.machine, until);
        self.watch(Level::Off, false);
        passed.map_err(|why| BackendError::prompt(self.plan, prompt, why.to_string()))?;
        self.take_trace(number.saturating_sub(1));
        self.take_log(&prompt.machine);
        Ok(())
    }

    /// Runs a command under observation, for a prompt.
    fn watched(
        &mut self,
        number: usize,
        prompt: &PlannedPrompt,
        command: &str,
    ) -> Result<Outcome, BackendError> {
        self.note_names();
        self.watch(Level::Doors, true);
        let outcome = self
            .session
            .run(&prompt.machine, command)
            .map_err(|why| BackendError::prompt(self.plan, prompt, why.to_string()))?;
        self.watch(Level::Off, false);
        self.note_names();
        self.take_trace(number);
        self.take_log(&prompt.machine);
        Ok(outcome)
    }

    fn watch(&self, level: Level, capture: bool) {
        let trace = &mut self.session.world().trace;
        (trace.level, trace.capture) = (level, capture);
    }

    fn note_names(&mut self) {
        let world = self.session.world();
        for kernel in &world.machines {
            self.names.insert((kernel.id, INIT_NET), String::new());
            let named = kernel.netns_names.iter().map(|(name, netns)| ((kernel.id, *netns), name.clone()));
            self.names.extend(named);
        }
    }

    /// Moves the trace into the observation.
    fn take_trace(&mut self, prompt: usize) {
        let mut world = self.session.world();
        let (frames, steps) =
            (std::mem::take(&mut world.trace.frames), std::mem::take(&mut world.trace.steps));
        let fallen = world.trace.script.met.iter().skip(self.seen.falls.len());
        let fall = |chance: &Chance| Fall {
            prompt,
            packet: chance.packet,
            outcome: chance.outcome,
            ways: chance.shares.len(),
        };
        self.seen.falls.extend(fallen.map(fall));
        for frame in &frames {
            self.seen.frames.push(frame_seen(&world, &self.names, prompt, frame));
        }
        for (at, step) in steps.iter().enumerate() {
            let told = (self.is_alone || is_told(&self.live, step)) && !taken_by_filter(&steps, at);
            if told && let Some(journey) = passed(&world, &mut self.live, prompt, step) {
                self.seen.journeys.extend(legs(journey, |name| self.plan.is_nic(name)));
            }
        }
    }

    /// Moves new lines of the kernels' logs into the observation. Of one moment those of the machine at work come first.
    fn take_log(&mut self, at_work: &str) {
        let world = self.session.world();
        let mut lines = Vec::new();
        for kernel in &world.machines {
            let told = self.told.entry(kernel.id).or_default();
            lines.extend(kernel.log.since(*told).map(|line| (line.at, kernel.hostname != at_work, line)));
            *told = kernel.log.written();
        }
        lines.sort_by_key(|(at, is_other, _)| (*at, *is_other));
        // `/dev/kmsg` writes a break within a record so.
        let text = |text: &str| text.replace('\n', "\\x0a");
        self.logged
            .extend(lines.into_iter().map(|(.., line)| format!("{} {}", line.level, text(&line.text))));
    }

    /// All machines and namespaces, each machine's initial one (empty) first.
    fn places(&self) -> Vec<(String, String)> {
        let world = self.session.world();
        let of = |kernel: &glassnet_kernel::Kernel| {
            let names = std::iter::once(String::new()).chain(kernel.netns_names.keys().cloned());
            names.map(|netns| (kernel.hostname.clone(), netns)).collect::<Vec<_>>()
        };
        world.machines.iter().flat_map(of).collect()
    }

    /// Restores `$?` of the last prompt.
    fn restore_statuses(&mut self) {
        for (machine, status) in &self.statuses {
            // A failure shows in the next prompt that reads `$?`.
            let _ = self.session.run(machine, &format!("(exit {status})"));
        }
    }
}

fn frame_seen(
    world: &World,
    names: &BTreeMap<(MachineId, NetnsId), String>,
    prompt: usize,
    frame: &trace::Frame,
) -> Frame {
    let kernel = world.kernel(frame.machine);
    let label = &kernel.labels[frame.dev as usize];
    let netns = names
        .get(&(frame.machine, label.netns))
        .cloned()
        .unwrap_or_else(|| format!("netns:{}", label.netns.0));
    Frame {
        prompt,
        machine: kernel.hostname.clone(),
        netns,
        device: label.name.clone(),
        direction: match frame.pkt_type {
            PacketType::Host | PacketType::Loopback => Direction::Host,
            PacketType::Broadcast => Direction::Broadcast,
            PacketType::Multicast => Direction::Multicast,
            PacketType::OtherHost => Direction::OtherHost,
            PacketType::Outgoing => Direction::Out,
        },
        at_us: frame.at.0 / 1000,
        raw: frame.arphrd.header_len() == 0,
        bytes: frame.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The tracepoint of a kernel function.
fn tracepoint(func: Func) -> Option<&'static str> {
    match func {
        Func::DevQueueXmit => Some("net_dev_queue"),
        Func::DevHardStartXmit => Some("net_dev_start_xmit"),
        Func::NetifRxInternal => Some("netif_rx"),
        Func::NetifReceiveSkbCore => Some("netif_receive_skb"),
        _ => None,
    }
}

/// A filter of what goes out took the packet in `__dev_queue_xmit`, before its tracepoint.
fn taken_by_filter(steps: &[Step], at: usize) -> bool {
    let is_asked = |step: &&Step| step.func == Func::TcfClassify;
    if steps[at].func != Func::DevQueueXmit || steps.get(at + 1).filter(is_asked).is_none() {
        return false;
    }
    let is_filter = |step: &&Step| {
        let file = step.func.row().file;
        file.starts_with("net/sched/cls_")
            || file.starts_with("net/sched/act_")
            || step.func == Func::SkbClone
    };
    let mut own = steps[at + 1..].iter().filter(|step| step.skb == steps[at].skb).skip_while(is_filter);
    own.next().is_some_and(|step| {
        matches!(step.kind, StepKind::Drop(DropReason::TcEgress)) || step.func == Func::ConsumeSkb
    })
}

/// A packet that a timer made and that met no device: a kernel's tracer does not know whose it was, unless the neighbour table
/// dropped it.
fn is_told(live: &BTreeMap<u32, Journey>, step: &Step) -> bool {
    match step.kind {
        StepKind::Drop(reason) if step.context == Context::Timer => {
            live.contains_key(&step.skb) || reason.name().starts_with("NEIGH_")
        }
        _ => true,
    }
}

/// A packet that goes from a device to one of the same name (a macvlan and the NIC below it, in two namespaces) has for a kernel's
/// tracer gone onto the cable of the NIC of that name.
fn legs(journey: Journey, is_nic: impl Fn(&str) -> bool) -> Vec<Journey> {
    let leaves = |from: &String, to: &String| {
        let [from, to] = [from, to].map(|step| step.split(' ').collect::<Vec<_>>());
        from[0] == "net_dev_start_xmit" && to[0].starts_with("netif_") && from[1] == to[1] && is_nic(from[1])
    };
    let legs: Vec<_> = journey.steps.chunk_by(|from, to| !leaves(from, to)).map(<[String]>::to_vec).collect();
    if legs.len() < 2 {
        return vec![journey];
    }
    let prompt = journey.prompt;
    let mut legs: Vec<_> =
        legs.into_iter().map(|steps| Journey { prompt, steps, end: "cable".to_owned() }).collect();
    legs.last_mut().expect("two at least").end = journey.end;
    legs
}

/// Records a function that a buffer passed; returns its journey if that ended.
fn passed(world: &World, live: &mut BTreeMap<u32, Journey>, prompt: usize, step: &Step) -> Option<Journey> {
    let end = |live: &mut BTreeMap<u32, Journey>, how: &str| {
        let mut journey = live.remove(&step.skb)?;
        how.clone_into(&mut journey.end);
        Some(journey)
    };
    match (step.kind, step.func) {
        (StepKind::Drop(reason), _) => {
            live.entry(step.skb).or_insert_with(|| Journey { prompt, ..Journey::default() });
            end(live, reason.name())
        }
        (_, func) if transmits(func) => end(live, "cable"),
        (_, Func::ConsumeSkb | Func::SkbConsumeUdp | Func::SkbQueuePurge) => end(live, "consumed"),
        // Nothing was lost, but the kernel says so.
        (_, Func::KfreeSkbList | Func::SkStreamKillQueues) => {
            live.entry(step.skb).or_insert_with(|| Journey { prompt, ..Journey::default() });
            end(live, DropReason::NotSpecified.name())
        }
        (_, func) => {
            let device = world.kernel(step.machine).labels.get(step.dev as usize)?;
            let text = format!("{} {}", tracepoint(func)?, device.name);
            live.entry(step.skb).or_insert_with(|| Journey { prompt, ..Journey::default() }).steps.push(text);
            None
        }
    }
}
