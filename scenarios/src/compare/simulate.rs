//! The simulator's side: runs a lesson in the model and writes down what the host backend writes down.
//!
//! Tracepoints of the kernel are functions of the model: where `trace_net_dev_queue` stands in the kernel's text,
//! the model has the door [`Func::DevQueueXmit`], and so on.

use std::collections::{BTreeMap, BTreeSet};

use glassnet_kernel::door::Func;
use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::trace::{self, Level, Step, StepKind};
use glassnet_kernel::world::World;
use glassnet_wire::Mac;

use super::observation::{BlockSeen, ChosenMac, Direction, Frame, Journey, Observation, PromptSeen};
use super::{DUMPS, SETTLE, dump_value};
use crate::lab;
use crate::lesson::{Block, Lesson, Prompt};
use crate::shell::{Session, ShellError};

/// Why a lesson could not be simulated to its end.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A prompt did not come to its end.
    #[error("{lesson}:{line}: {machine}# {command}: {why}")]
    Prompt {
        /// Lesson.
        lesson: String,
        /// Line in it.
        line: usize,
        /// Machine.
        machine: String,
        /// Command.
        command: String,
        /// What happened.
        why: ShellError,
    },
    /// The shells could not be started.
    #[error("cannot start the simulated shells: {0}")]
    Start(#[from] std::io::Error),
}

/// Runs the lesson in a model that is built as a real kernel was, and whose new devices get the addresses that it
/// chose.
pub fn observe(lesson: &Lesson, real: &Observation) -> Result<Observation, SimulateError> {
    let mut world = lab::build(&lesson.front.topology, lab::SEED);
    for kernel in &mut world.machines {
        real.config.give(&mut kernel.config);
    }
    give_addresses(&mut world, &real.macs);
    let session = Session::new(world)?;
    let mut run =
        Run { session, names: BTreeMap::new(), live: BTreeMap::new(), seen: Observation::default() };
    run.seen.lesson = lesson.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    run.seen.kernel = format!("glassnet {} (simulator)", env!("CARGO_PKG_VERSION"));
    let nodes = lesson.front.topology.nodes.values();
    run.seen.nics = nodes.flat_map(|node| node.nics.keys().cloned()).collect();
    for (at, block) in lesson.blocks.iter().enumerate() {
        for prompt in &block.prompts {
            run.prompt(at, prompt)?;
        }
        run.settle(block)?;
        run.tables(block.line)?;
    }
    Ok(run.finish())
}

/// NICs exist already and get theirs now; the rest is for devices to come, which may be called the same elsewhere.
fn give_addresses(world: &mut World, macs: &[ChosenMac]) {
    let mut nics = BTreeSet::new();
    for chosen in macs {
        let Some(machine) = world.machine(&chosen.machine) else { continue };
        let Some(mac) = parse_mac(&chosen.mac) else { continue };
        let kernel = world.kernel_mut(machine);
        match kernel.dev_by_name(INIT_NET, &chosen.device) {
            Some(nic) if nics.insert((machine, nic)) => kernel.devs[nic].addr = mac,
            _ => kernel.scripted_macs.entry(chosen.device.clone()).or_default().push_back(mac),
        }
    }
}

fn parse_mac(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    Some(Mac(bytes?.try_into().ok()?))
}

struct Run {
    session: Session,
    /// Names of namespaces, of those too that are gone.
    names: BTreeMap<(MachineId, NetnsId), String>,
    /// Journeys under way, by buffer.
    live: BTreeMap<u32, Journey>,
    seen: Observation,
}

impl Run {
    fn prompt(&mut self, block: usize, prompt: &Prompt) -> Result<(), SimulateError> {
        self.note_names();
        self.watch(true);
        let outcome =
            self.session.run(&prompt.machine, &prompt.command).map_err(|why| self.stuck(prompt, why))?;
        self.watch(false);
        self.note_names();
        self.take_trace(self.seen.prompts.len());
        let (line, machine, command) = (prompt.line, prompt.machine.clone(), prompt.command.clone());
        let (status, output) = (outcome.status, outcome.output);
        self.seen.prompts.push(PromptSeen { block, line, machine, command, status, output });
        Ok(())
    }

    /// Lets virtual time pass as the host backend lets real time pass.
    fn settle(&mut self, block: &Block) -> Result<(), SimulateError> {
        let Some(last) = block.prompts.last() else { return Ok(()) };
        self.watch(true);
        let slept = self.session.run(&last.machine, &format!("sleep {}", SETTLE.as_secs_f64()));
        slept.map_err(|why| self.stuck(last, why))?;
        self.watch(false);
        self.take_trace(self.seen.prompts.len() - 1);
        Ok(())
    }

    fn stuck(&self, prompt: &Prompt, why: ShellError) -> SimulateError {
        let (line, machine, command) = (prompt.line, prompt.machine.clone(), prompt.command.clone());
        SimulateError::Prompt { lesson: self.seen.lesson.clone(), line, machine, command, why }
    }

    fn watch(&self, on: bool) {
        let trace = &mut self.session.world().trace;
        trace.level = if on { Level::Doors } else { Level::Off };
        trace.capture = on;
    }

    fn note_names(&mut self) {
        let world = self.session.world();
        for kernel in &world.machines {
            self.names.insert((kernel.id, INIT_NET), String::new());
            let named = kernel.netns_names.iter().map(|(name, netns)| ((kernel.id, *netns), name.clone()));
            self.names.extend(named);
        }
    }

    /// Moves what the trace holds into the observation.
    fn take_trace(&mut self, prompt: usize) {
        let mut world = self.session.world();
        let (frames, steps) =
            (std::mem::take(&mut world.trace.frames), std::mem::take(&mut world.trace.steps));
        for frame in &frames {
            self.seen.frames.push(frame_seen(&world, &self.names, prompt, frame));
        }
        for step in &steps {
            if let Some(journey) = passed(&world, &mut self.live, prompt, step) {
                self.seen.journeys.push(journey);
            }
        }
    }

    /// Reads all tables as the host backend does, unobserved, and leaves `$?` as it was.
    fn tables(&mut self, line: usize) -> Result<(), SimulateError> {
        let mut tables = BTreeMap::new();
        let places: Vec<(String, String)> = {
            let world = self.session.world();
            let of = |kernel: &glassnet_kernel::Kernel| {
                let names = std::iter::once(String::new()).chain(kernel.netns_names.keys().cloned());
                names.map(|netns| (kernel.hostname.clone(), netns)).collect::<Vec<_>>()
            };
            world.machines.iter().flat_map(of).collect()
        };
        for (machine, netns) in places {
            let (inside, slash) = match netns.as_str() {
                "" => (String::new(), ""),
                name => (format!("ip netns exec {name} "), "/"),
            };
            let mut dumps = BTreeMap::new();
            for dump in DUMPS {
                let said = self.session.run(&machine, &format!("{inside}{dump} 2>/dev/null"));
                let said = said.map_err(|why| self.stuck(&unseen(line, &machine, dump), why))?;
                dumps.insert(dump.to_owned(), dump_value(&said.output));
            }
            tables.insert(format!("{machine}{slash}{netns}"), dumps);
        }
        self.seen.blocks.push(BlockSeen { line, tables });
        self.restore_statuses();
        Ok(())
    }

    fn restore_statuses(&mut self) {
        let mut last = BTreeMap::new();
        for prompt in &self.seen.prompts {
            last.insert(prompt.machine.clone(), prompt.status);
        }
        for (machine, status) in last {
            // A status that cannot be restored shows in the next prompt that reads it.
            let _ = self.session.run(&machine, &format!("(exit {status})"));
        }
    }

    fn finish(mut self) -> Observation {
        for mut journey in std::mem::take(&mut self.live).into_values() {
            "alive".clone_into(&mut journey.end);
            self.seen.journeys.push(journey);
        }
        self.seen
    }
}

/// A prompt that the lesson does not have, for messages.
fn unseen(line: usize, machine: &str, command: &str) -> Prompt {
    let (machine, command, expected) = (machine.to_owned(), command.to_owned(), String::new());
    Prompt { machine, command, line, expected, command_span: 0..0, expected_span: 0..0 }
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
            PacketType::Host => Direction::Host,
            PacketType::Broadcast => Direction::Broadcast,
            PacketType::Multicast => Direction::Multicast,
            PacketType::OtherHost => Direction::OtherHost,
            PacketType::Outgoing => Direction::Out,
        },
        at_us: frame.at.0 / 1000,
        bytes: frame.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The tracepoint that stands in a function of the kernel.
fn tracepoint(func: Func) -> Option<&'static str> {
    match func {
        Func::DevQueueXmit => Some("net_dev_queue"),
        Func::DevHardStartXmit => Some("net_dev_start_xmit"),
        Func::NetifRxInternal => Some("netif_rx"),
        Func::NetifReceiveSkbCore => Some("netif_receive_skb"),
        _ => None,
    }
}

/// A buffer passed a function; returns its journey if that ended there.
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
        (_, Func::NicXmit) => end(live, "cable"),
        (_, Func::ConsumeSkb) => end(live, "consumed"),
        (_, func) => {
            let device = world.kernel(step.machine).labels.get(step.dev as usize)?;
            let text = format!("{} {}", tracepoint(func)?, device.name);
            live.entry(step.skb).or_insert_with(|| Journey { prompt, ..Journey::default() }).steps.push(text);
            None
        }
    }
}
