//! What can run a plan: the model, or a real kernel. Both sides of a comparison fill the same [`Observation`] through
//! [`Backend`], so a referee needs to know nothing else of either.

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
    /// What it is: `linux 6.18.44 (host)`, or `glassnet 0.1.0 (simulator)`.
    fn version(&self) -> String;

    /// How its kernel was built, where it shows.
    fn config(&self) -> KernelConfig;

    /// What it can see of a run. The rest is not compared, and reports say so.
    fn sees(&self) -> Capabilities;

    /// Starts the machines of a plan and connects them; nothing is typed yet.
    ///
    /// # Errors
    ///
    /// [`BackendError::Missing`] if it cannot run here at all, [`BackendError::Plan`] if it cannot make this topology,
    /// others if something failed on the way.
    fn start<'a>(&'a self, plan: &'a Plan) -> Result<Box<dyn Running + 'a>, BackendError>;

    /// A router for random cases, without rules; see [`crate::rig`].
    ///
    /// # Errors
    ///
    /// As [`Backend::start`].
    fn router(&self) -> Result<Box<dyn Rig>, BackendError>;
}

/// The machines of a plan, switched on. They end when this is dropped.
pub trait Running {
    /// Types a prompt and waits for its end. `number` is its place among all prompts of the plan, from 0: what is seen
    /// from now on belongs to it.
    ///
    /// # Errors
    ///
    /// [`BackendError::Prompt`] if it does not return or ends its shell.
    fn prompt(&mut self, number: usize, prompt: &PlannedPrompt) -> Result<Printed, BackendError>;

    /// Lets [`SETTLE`](crate::observation::SETTLE) pass after the last prompt of a block.
    ///
    /// # Errors
    ///
    /// As [`Running::prompt`], in the name of the last one.
    fn settle(&mut self) -> Result<(), BackendError>;

    /// Reads the tables of all namespaces of all machines, without leaving frames or tracepoints in what is seen.
    ///
    /// # Errors
    ///
    /// If a dump cannot be started.
    fn tables(&mut self) -> Result<Tables, BackendError>;

    /// Ends the machines and hands over what was seen beside prompts and tables.
    fn finish(self: Box<Self>) -> Captured;
}

/// `machine` or `machine/netns`, to each of [`DUMPS`](crate::observation::DUMPS), to what it said.
pub type Tables = BTreeMap<String, BTreeMap<String, Value>>;

/// What a prompt did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Standard output and standard error, in the order of a terminal.
    pub output: String,
    /// Exit status.
    pub status: i32,
}

/// What was seen of a run beside its prompts and tables; see the fields of [`Observation`].
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// Version lines of the tools.
    pub tools: BTreeMap<String, String>,
    /// What had to be arranged.
    pub notices: Vec<String>,
    /// Addresses that the kernel chose.
    pub macs: Vec<ChosenMac>,
    /// Frames of the taps.
    pub frames: Vec<Frame>,
    /// Ways of packet buffers.
    pub journeys: Vec<Journey>,
    /// Tracepoints that name no packet buffer.
    pub events: Vec<TraceEvent>,
}

/// Runs a plan and returns what was seen.
///
/// # Errors
///
/// [`BackendError::Plan`] if a prompt names a machine that is not there, else as the functions of [`Backend`] and
/// [`Running`].
pub fn observe(backend: &dyn Backend, plan: &Plan) -> Result<Observation, BackendError> {
    let mut running = backend.start(plan)?;
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
