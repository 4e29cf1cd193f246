//! The model's steps, as a recording.

use std::collections::BTreeMap;

use glassnet_kernel::door::Func;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::trace::{self, Level, Step, Trace};

use super::{Call, Context, PAUSE, Prompt, Recording, Run};
use crate::lab;
use crate::lesson::Lesson;
use crate::run::{self, RunError};

/// Runs a lesson in the model, and records its functions.
///
/// # Errors
///
/// As [`run::Run::prompt`].
pub fn of_model(lesson: &Lesson) -> Result<Recording, Box<RunError>> {
    let mut running = run::Run::new(lesson, lab::SEED).map_err(Box::new)?;
    running.session.world().trace.level = Level::Detail;
    let mut prompts = Vec::new();
    for prompt in lesson.prompts() {
        let first = running.session.world().trace.steps.len();
        running.prompt(prompt).map_err(Box::new)?;
        // The status stays for the next prompt.
        let pause = format!("__glassnet=$?; sleep {}; (exit $__glassnet)", PAUSE.as_secs_f64());
        let paused = crate::lesson::Prompt { command: pause, before: Vec::new(), ..prompt.clone() };
        running.prompt(&paused).map_err(Box::new)?;
        prompts.push((prompt, first));
    }
    let world = running.session.world();
    let ends = prompts.iter().skip(1).map(|(_, first)| *first).chain([world.trace.steps.len()]);
    let prompts = prompts.iter().zip(ends).map(|((prompt, first), end)| Prompt {
        line: prompt.line,
        machine: prompt.machine.clone(),
        command: prompt.command.clone(),
        runs: runs(&world.trace, *first, end),
    });
    Ok(Recording {
        lesson: lesson.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        kernel: format!("glassnet {} (simulator)", env!("CARGO_PKG_VERSION")),
        traced: Func::ALL.iter().map(|func| func.name().to_owned()).collect(),
        prompts: prompts.collect(),
    })
}

/// What a CPU is at: its open calls, and the number of its run.
#[derive(Default)]
struct Open<'a> {
    calls: Vec<&'a Step>,
    run: usize,
    /// In which of the [entries](Trace::entries) the run is.
    entry: usize,
}

/// The runs of some steps. Functions that hand the packet on have ended before the next: only calls have others within them.
fn runs(trace: &Trace, first: usize, end: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open: BTreeMap<(MachineId, u8, Context), Open<'_>> = BTreeMap::new();
    for (at, step) in trace.steps.iter().enumerate().take(end).skip(first) {
        let context = context(step.context);
        let entry = trace.entries.partition_point(|entered| *entered <= at);
        let known = open.entry((step.machine, step.cpu, context));
        let is_new = matches!(known, std::collections::btree_map::Entry::Vacant(_));
        let now = known.or_default();
        now.calls.retain(|call| call.left.is_some_and(|left| step.at < left));
        let is_softirq = matches!(step.func, Func::NetRxAction | Func::NetTxAction | Func::IfbRiTasklet);
        if is_new || now.calls.is_empty() && (now.entry != entry || is_softirq) {
            (now.run, now.entry) = (runs.len(), entry);
            runs.push(Run { context, cpu: step.cpu.into(), calls: Vec::new() });
        }
        let call = Call { depth: now.calls.len(), name: step.func.name().to_owned() };
        runs[now.run].calls.push(call);
        if step.func.is_call() {
            now.calls.push(step);
        }
    }
    runs
}

fn context(of: trace::Context) -> Context {
    match of {
        trace::Context::Task => Context::Task,
        trace::Context::HardIrq => Context::HardIrq,
        trace::Context::SoftIrq | trace::Context::Timer | trace::Context::Ksoftirqd => Context::SoftIrq,
    }
}
