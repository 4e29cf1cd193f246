//! Runs a lesson on the simulator and compares the output with the lesson.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`run`]: prompt by prompt |
//! | `expect.rs` | `…`, and how a lesson is blessed |
//! | `rewrite.rs` | the text of a blessed lesson |

mod expect;
mod rewrite;

use std::collections::BTreeMap;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

use crate::lab::{self, Plugs};
use crate::lesson::{Lesson, Prompt, Topology};
use crate::shell::{Outcome, Session, ShellError};

pub use expect::{bless, filled, matches};
pub use rewrite::blessed;

/// A lesson could not be run to its end.
#[derive(Debug, Error, Diagnostic)]
pub enum RunError {
    /// A prompt did not end.
    #[error("{error}")]
    Prompt {
        /// Why.
        error: ShellError,
        /// The lesson.
        #[source_code]
        source_code: Arc<NamedSource<String>>,
        /// The command.
        #[label("on {machine}")]
        span: SourceSpan,
        /// The machine.
        machine: String,
    },
    /// No runtime.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// A running lesson, with access to the world between prompts.
pub struct Run<'a> {
    /// The lesson.
    pub lesson: &'a Lesson,
    /// Its machines.
    pub session: Session,
    plugs: Plugs,
}

impl<'a> Run<'a> {
    /// Boots the lesson's machines.
    ///
    /// # Errors
    ///
    /// [`RunError::Start`] if the runtime cannot be created.
    pub fn new(lesson: &'a Lesson, seed: u64) -> Result<Run<'a>, RunError> {
        Run::varied(lesson, &lesson.front.topology, seed, &BTreeMap::new())
    }

    /// The same with another topology of the same machines, and with more variables in the environment of the shells.
    ///
    /// # Errors
    ///
    /// As [`Run::new`].
    pub fn varied(
        lesson: &'a Lesson,
        topology: &Topology,
        seed: u64,
        env: &BTreeMap<String, String>,
    ) -> Result<Run<'a>, RunError> {
        let (world, plugs) = lab::build_with_plugs(topology, seed);
        Ok(Run { lesson, session: Session::with_env(world, env)?, plugs })
    }

    /// Runs one of the lesson's prompts.
    ///
    /// # Errors
    ///
    /// [`RunError::Prompt`], which underlines the command, if it does not end.
    pub fn prompt(&mut self, prompt: &Prompt) -> Result<Outcome, RunError> {
        for change in &prompt.before {
            lab::change(&mut self.session.world(), &self.plugs, change);
        }
        self.session.run(&prompt.machine, &prompt.command).map_err(|error| RunError::Prompt {
            error,
            source_code: Arc::new(NamedSource::new(
                self.lesson.path.display().to_string(),
                self.lesson.source.clone(),
            )),
            span: prompt.command_span.clone().into(),
            machine: prompt.machine.clone(),
        })
    }
}

/// Runs a lesson; `each` is called with every prompt and its outcome.
///
/// # Errors
///
/// As [`Run::prompt`].
pub fn run(
    lesson: &Lesson,
    seed: u64,
    mut each: impl FnMut(&Prompt, &Outcome),
) -> Result<Vec<Outcome>, RunError> {
    let mut run = Run::new(lesson, seed)?;
    let mut outcomes = Vec::new();
    for prompt in lesson.prompts() {
        let outcome = run.prompt(prompt)?;
        each(prompt, &outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
