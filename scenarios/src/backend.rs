//! A backend runs a plan: the model, or a real kernel. Both fill the same [`Observation`] through [`Backend`], so the
//! comparison does not depend on either.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::BackendError;
use crate::observation::{
    BlockSeen, Capabilities, ChosenMac, Frame, Journey, KernelConfig, Observation, PromptSeen, TraceEvent,
};
use crate::plan::{Plan, PlannedPrompt};
use crate::rig::Rig;

/// A kernel that plans run on.
pub trait Backend {
    /// Its name: `linux 6.18.44 (host)`, or `glassnet 0.1.0 (simulator)`.
    fn version(&self) -> String;

    /// Configuration of its kernel, as far as it can be observed.
    fn config(&self) -> KernelConfig;

    /// What it can observe. The rest is not compared, and reports say so.
    fn sees(&self) -> Capabilities;

    /// Starts and connects the machines of a plan.
    ///
    /// # Errors
    ///
    /// [`BackendError::Missing`] if it cannot run here at all, [`BackendError::Plan`] if it cannot make this topology,
    /// others if something failed on the way.
    fn start<'a>(&'a self, plan: &'a Plan) -> Result<Box<dyn Running + 'a>, BackendError>;

    /// Starts the machines of a plan that has only [plain commands](crate::plain), in the cheapest way.
    ///
    /// # Errors
    ///
    /// As [`Backend::start`].
    fn start_plain<'a>(&'a self, plan: &'a Plan) -> Result<Box<dyn Running + 'a>, BackendError>;

    /// The router for random cases, without rules; see [`crate::rig`].
    ///
    /// # Errors
    ///
    /// As [`Backend::start`].
    fn router(&self) -> Result<Box<dyn Rig>, BackendError>;
}

/// Running machines of a plan, which end when this is dropped.
pub trait Running {
    /// Runs a prompt to its end. `number` is its index among all prompts of the plan: later observations belong to it.
    ///
    /// # Errors
    ///
    /// [`BackendError::Prompt`] if it does not return or ends its shell.
    fn prompt(&mut self, number: usize, prompt: &PlannedPrompt) -> Result<Printed, BackendError>;

    /// Waits [`SETTLE`](crate::observation::SETTLE) after the last prompt of a block.
    ///
    /// # Errors
    ///
    /// As [`Running::prompt`], for the last one.
    fn settle(&mut self) -> Result<(), BackendError>;

    /// Reads the tables of all namespaces of all machines, without leaving frames or tracepoints in the observation.
    ///
    /// # Errors
    ///
    /// If a dump cannot be started.
    fn tables(&mut self) -> Result<Tables, BackendError>;

    /// Ends the machines and returns the other observations.
    fn finish(self: Box<Self>) -> Captured;
}

/// `machine` or `machine/netns`, to each of [`Plan::dumps`], to its content.
pub type Tables = BTreeMap<String, BTreeMap<String, Value>>;

/// Result of a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Standard output and standard error, in the order of a terminal.
    pub output: String,
    /// Exit status.
    pub status: i32,
}

/// Observations of a run other than prompts and tables; see the fields of [`Observation`].
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// Version lines of the tools.
    pub tools: BTreeMap<String, String>,
    /// Notices about the set-up.
    pub notices: Vec<String>,
    /// Addresses that the kernel chose.
    pub macs: Vec<ChosenMac>,
    /// Captured frames.
    pub frames: Vec<Frame>,
    /// Journeys of packet buffers.
    pub journeys: Vec<Journey>,
    /// Tracepoints without a packet buffer.
    pub events: Vec<TraceEvent>,
}

/// Runs a plan and returns the observation.
///
/// # Errors
///
/// [`BackendError::Plan`] if a prompt names a machine that is not there, else as the functions of [`Backend`] and
/// [`Running`].
pub fn observe(backend: &dyn Backend, plan: &Plan) -> Result<Observation, BackendError> {
    watch(backend, plan, backend.start(plan)?)
}

/// Runs a plan of [plain commands](crate::plain) and returns the observation. Exit statuses are 0 or 1.
///
/// # Errors
///
/// As [`observe`]; [`BackendError::Prompt`] if a command is not plain.
pub fn observe_plain(backend: &dyn Backend, plan: &Plan) -> Result<Observation, BackendError> {
    let mut seen = watch(backend, plan, backend.start_plain(plan)?)?;
    seen.prompts.iter_mut().for_each(|prompt| prompt.status = i32::from(prompt.status != 0));
    Ok(seen)
}

fn watch(
    backend: &dyn Backend,
    plan: &Plan,
    mut running: Box<dyn Running + '_>,
) -> Result<Observation, BackendError> {
    let (mut prompts, mut blocks) = (Vec::new(), Vec::new());
    for (at, block) in plan.blocks.iter().enumerate() {
        for prompt in &block.prompts {
            let Printed { output, status } = running.prompt(prompts.len(), prompt)?;
            let (line, machine, command) = (prompt.line, prompt.machine.clone(), prompt.command.clone());
            prompts.push(PromptSeen { block: at, line, machine, command, status, output });
        }
        running.settle()?;
        blocks.push(BlockSeen { line: block.line, tables: running.tables()? });
    }
    let Captured { tools, notices, macs, frames, journeys, events } = running.finish();
    Ok(Observation {
        lesson: plan.lesson.clone(),
        kernel: backend.version(),
        config: backend.config(),
        sees: backend.sees(),
        tools,
        nics: plan.nic_names().into_iter().collect(),
        notices,
        macs,
        prompts,
        frames,
        blocks,
        journeys,
        events,
    })
}
