//! Why a kernel, the model's or a real one, could not run what it was given.

use crate::plan::{Plan, PlannedPrompt};

/// Why a plan or a case could not be run; a difference is none.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Privileges, tools or kernel features that are not there.
    #[error("cannot run on this host, because:\n{}", .0.iter().map(|m| format!("  - {m}")).collect::<Vec<_>>().join("\n"))]
    Missing(Vec<String>),
    /// Something that should have worked did not.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done.
        what: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// A command of the set-up ended with an error.
    #[error("{command}: {output}")]
    Command {
        /// The command line.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A prompt did not return, or ended its shell.
    #[error("{lesson}:{line}: {machine}# {command}: {why}")]
    Prompt {
        /// Lesson file.
        lesson: String,
        /// Line in it.
        line: usize,
        /// Machine.
        machine: String,
        /// Command.
        command: String,
        /// What happened.
        why: String,
    },
    /// A prompt names a machine that the topology does not have, or a cable goes nowhere.
    #[error("{0}")]
    Plan(String),
}

impl BackendError {
    /// Wraps an I/O error with what was being done.
    pub fn failed(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Failed { what, source }
    }

    /// The prompt of a plan that did not come to its end.
    pub fn prompt(plan: &Plan, prompt: &PlannedPrompt, why: String) -> Self {
        let (lesson, line) = (plan.lesson.clone(), prompt.line);
        Self::Prompt { lesson, line, machine: prompt.machine.clone(), command: prompt.command.clone(), why }
    }
}
