//! Errors of backends.

use crate::canary::Eye;
use crate::plan::{Plan, PlannedPrompt};

/// Why a plan or a case could not be run.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Missing privileges, tools or kernel features.
    #[error("cannot run on this host, because:\n{}", .0.iter().map(|m| format!("  - {m}")).collect::<Vec<_>>().join("\n"))]
    Missing(Vec<String>),
    /// An operation failed.
    #[error("{what}: {source}")]
    Failed {
        /// The operation.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A command of the set-up failed.
    #[error("{command}: {output}")]
    Command {
        /// The command line.
        command: String,
        /// Its output.
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
        /// The error.
        why: String,
    },
    /// A [canary](crate::canary) was not seen, so nothing else can be trusted.
    #[error("{kernel} is blind: its {eye} do not show the canary: {what}")]
    Blind {
        /// The backend.
        kernel: String,
        /// With what it should have been seen.
        eye: Eye,
        /// What was missing.
        what: String,
    },
    /// A line of a tracer or a dump is not understood, or lines were lost.
    #[error("{what} is not understood: {line}")]
    NotUnderstood {
        /// Where it stands.
        what: String,
        /// The line.
        line: String,
    },
    /// A prompt names an unknown machine, or a cable has an unknown end.
    #[error("{0}")]
    Plan(String),
}

impl BackendError {
    /// Wraps an I/O error with a description of the operation.
    pub fn failed(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Failed { what, source }
    }

    /// A prompt of a plan that did not end.
    pub fn prompt(plan: &Plan, prompt: &PlannedPrompt, why: String) -> Self {
        let (lesson, line) = (plan.lesson.clone(), prompt.line);
        Self::Prompt { lesson, line, machine: prompt.machine.clone(), command: prompt.command.clone(), why }
    }
}
