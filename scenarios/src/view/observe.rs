//! Runs a lesson and records everything that the views show.

use std::sync::MutexGuard;

use glassnet_kernel::World;
use glassnet_kernel::trace::Level;

use super::names::Namespaces;
use super::story::{Story, Typed};
use crate::lesson::Lesson;
use crate::run::{Run, RunError};

/// A lesson that ran under observation.
pub struct Observed<'a> {
    run: Run<'a>,
    names: Namespaces,
    typed: Vec<Typed>,
}

/// Runs a lesson with the random `seed`. `each` is called after each prompt.
///
/// # Errors
///
/// As [`Run::prompt`].
pub fn observe(
    lesson: &Lesson,
    seed: u64,
    mut each: impl FnMut(&Typed),
) -> Result<Observed<'_>, Box<RunError>> {
    let mut run = Run::new(lesson, seed).map_err(Box::new)?;
    {
        let trace = &mut run.session.world().trace;
        trace.level = Level::Detail;
        trace.capture = true;
    }
    let mut typed = Vec::new();
    let mut names = Namespaces::default();
    for (at, block) in lesson.blocks.iter().enumerate() {
        for prompt in &block.prompts {
            let first_step = run.session.world().trace.steps.len();
            let outcome = run.prompt(prompt).map_err(Box::new)?;
            names.look(&run.session.world());
            let now = Typed {
                block: at + 1,
                line: prompt.line,
                machine: prompt.machine.clone(),
                command: prompt.command.clone(),
                output: outcome.output,
                first_step,
            };
            each(&now);
            typed.push(now);
        }
    }
    Ok(Observed { run, names, typed })
}

impl Observed<'_> {
    /// The world after the last prompt.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.run.session.world()
    }

    /// The story of a [world](Self::world) that the caller has locked.
    pub fn story<'w>(&self, world: &'w World) -> Story<'w> {
        Story::new(world, self.names.clone(), self.typed.clone())
    }
}
