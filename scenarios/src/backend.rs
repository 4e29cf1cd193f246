//! A backend runs a plan: the model, or a real kernel. Both fill the same [`Observation`] through [`Backend`], so the
//! comparison does not depend on either.

use std::collections::BTreeSet;

use crate::canary::{self, Canary, CanarySeen};
use crate::error::BackendError;
use crate::observation::{Capabilities, Captured, KernelConfig, Observation, Printed, PromptSeen, Tables};
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

    /// Those of these programs that it cannot run, each with what to do about it.
    fn missing(&self, programs: &BTreeSet<&str>) -> Vec<String>;

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

    /// Reads the tables of all namespaces of these machines, without leaving frames or tracepoints in the observation.
    ///
    /// # Errors
    ///
    /// If a dump cannot be made, or is not understood.
    fn tables(&mut self, machines: &[&str]) -> Result<Tables, BackendError>;

    /// Lines of the kernel's log since the last call, of all machines in their order, each with its level.
    ///
    /// # Errors
    ///
    /// If lines were lost, or are not understood.
    fn log(&mut self) -> Result<Vec<String>, BackendError>;

    /// Ends the machines and returns the other observations.
    ///
    /// # Errors
    ///
    /// If something that was observed is not understood, or was lost.
    fn finish(self: Box<Self>) -> Result<Captured, BackendError>;
}

/// Runs a plan and returns the observation. A [`canary`] beside it shows that the backend sees.
///
/// # Errors
///
/// [`BackendError::Plan`] if a prompt names a machine that is not there, [`BackendError::Blind`] if the canary was not seen,
/// else as the functions of [`Backend`] and [`Running`].
pub fn observe(backend: &dyn Backend, plan: &Plan) -> Result<Observation, BackendError> {
    let canary = Canary::of_a_run();
    let (watched, [before, after]) = (canary::beside(plan), canary.prompts());
    let mut running = backend.start(&watched)?;
    let sent = running.prompt(0, &before)?;
    let logged = running.log()?;
    // One worker looks after the links of all machines (`linkwatch_event`); what the canary's have done holds it back.
    running.settle()?;
    let mut seen = play(&mut *running, plan, 1)?;
    let count = seen.prompts.len() + 2;
    let printed = [sent, running.prompt(count - 1, &after)?];
    let logged = [logged, running.log()?];
    let of_canary = CanarySeen { printed, logged, tables: running.tables(&[canary::MACHINE])? };
    let mut captured = running.finish()?;
    canary
        .take(&mut captured, &of_canary, count, &backend.sees())
        .map_err(|(eye, what)| BackendError::Blind { kernel: backend.version(), eye, what })?;
    complete(&mut seen, backend, captured);
    // What the lesson's last prompt left behind may come while the canary sends again.
    let own = |number: &mut usize| *number = number.saturating_sub(1).min(count.saturating_sub(3));
    seen.frames.iter_mut().for_each(|frame| own(&mut frame.prompt));
    seen.journeys.iter_mut().for_each(|journey| own(&mut journey.prompt));
    seen.events.iter_mut().for_each(|event| own(&mut event.prompt));
    seen.falls.iter_mut().for_each(|fall| own(&mut fall.prompt));
    Ok(seen)
}

/// Runs a plan of [plain commands](crate::plain) and returns the observation, without a canary. Exit statuses are 0 or 1.
///
/// # Errors
///
/// As [`observe`]; [`BackendError::Prompt`] if a command is not plain.
pub fn observe_plain(backend: &dyn Backend, plan: &Plan) -> Result<Observation, BackendError> {
    let mut running = backend.start_plain(plan)?;
    let mut seen = play(&mut *running, plan, 0)?;
    let captured = running.finish()?;
    complete(&mut seen, backend, captured);
    seen.prompts.iter_mut().for_each(|prompt| prompt.status = i32::from(prompt.status != 0));
    Ok(seen)
}

/// Runs all prompts, whose numbers begin with `first`, and reads tables after each block.
fn play(running: &mut dyn Running, plan: &Plan, first: usize) -> Result<Observation, BackendError> {
    let machines: Vec<_> = plan.topology.nodes.keys().map(String::as_str).collect();
    let mut seen = Observation {
        lesson: plan.lesson.clone(),
        nics: plan.nic_names().into_iter().collect(),
        ..Observation::default()
    };
    let mut before = Tables::new();
    for (at, block) in plan.blocks.iter().enumerate() {
        for prompt in &block.prompts {
            let Printed { output, status } = running.prompt(first + seen.prompts.len(), prompt)?;
            let (line, machine, command) = (prompt.line, prompt.machine.clone(), prompt.command.clone());
            seen.prompts.push(PromptSeen { block: at, line, machine, command, status, output });
        }
        running.settle()?;
        let log = running.log()?;
        let tables = running.tables(&machines)?;
        seen.add_block(block.line, &before, tables.clone(), log);
        before = tables;
    }
    Ok(seen)
}

/// Adds what was captured, and of what.
fn complete(seen: &mut Observation, backend: &dyn Backend, captured: Captured) {
    let Captured { tools, notices, macs, reach_times, frames, journeys, events, falls } = captured;
    (seen.kernel, seen.config, seen.sees) = (backend.version(), backend.config(), backend.sees());
    (seen.tools, seen.notices, seen.macs, seen.reach_times) = (tools, notices, macs, reach_times);
    (seen.frames, seen.journeys, seen.events, seen.falls) = (frames, journeys, events, falls);
}
