//! The host backend: a lesson's prompts run verbatim by bash and the real tools on the running kernel.
//!
//! A machine is a network, mount, UTS, IPC and PID namespace of its own. Nothing of it outlives the
//! process that asked for it: each machine's first process holds the reading end of a pipe and exits when
//! the writing end closes, which the kernel does even for a process that is killed with SIGKILL; the end of
//! a PID namespace's first process ends the namespace, its processes, its mounts and its devices.

#![allow(clippy::disallowed_methods, reason = "a real kernel lives in real time")]

#[cfg(target_os = "linux")]
mod dumps;
#[cfg(target_os = "linux")]
mod frames;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod journeys;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod needs;
mod plan;
#[cfg(target_os = "linux")]
mod rig;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod spaces;
#[cfg(target_os = "linux")]
mod topology;
#[cfg(target_os = "linux")]
mod tracer;

#[cfg(target_os = "linux")]
pub use inside::reentered;
#[cfg(target_os = "linux")]
pub use rig::KernelRig;
#[cfg(target_os = "linux")]
pub use run::{config, observe};

use std::path::PathBuf;
use std::time::Duration;

/// Other systems have no helpers to be started as.
#[cfg(not(target_os = "linux"))]
pub fn reentered() -> Option<std::process::ExitCode> {
    None
}

/// Other systems have no Linux kernel to run on.
#[cfg(not(target_os = "linux"))]
pub fn observe(_: &Plan, _: &Options) -> Result<crate::compare::Observation, HostError> {
    Err(HostError::Missing(vec!["kernel: this is not Linux".to_owned()]))
}

/// What the backend runs: a lesson reduced to machines, cables and prompts.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The lesson's file name, for messages and recordings.
    pub lesson: String,
    /// Machines in the topology's order.
    pub machines: Vec<PlannedMachine>,
    /// Names of switches.
    pub switches: Vec<String>,
    /// Cables in the topology's order.
    pub cables: Vec<Cable>,
    /// Blocks of prompts.
    pub blocks: Vec<PlannedBlock>,
}

/// A machine and its NICs.
#[derive(Clone, Debug, Default)]
pub struct PlannedMachine {
    /// Host name.
    pub name: String,
    /// NICs; the first gets ifindex 2.
    pub nics: Vec<PlannedNic>,
}

/// A NIC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedNic {
    /// Its name.
    pub name: String,
    /// Its address, where the lesson gives it; else the kernel chooses.
    pub address: Option<String>,
}

/// A cable between two plugs. Its rate and delay are not imposed on the host, whose time is its own.
#[derive(Clone, Debug, Default)]
pub struct Cable {
    /// Machine or switch, and NIC or port, of both ends.
    pub ends: [(String, String); 2],
}

/// A block of prompts.
#[derive(Clone, Debug, Default)]
pub struct PlannedBlock {
    /// Line of the block in the lesson.
    pub line: usize,
    /// Its prompts.
    pub prompts: Vec<PlannedPrompt>,
}

/// A prompt.
#[derive(Clone, Debug, Default)]
pub struct PlannedPrompt {
    /// Line in the lesson, from 1.
    pub line: usize,
    /// Machine that it is typed at.
    pub machine: String,
    /// The command, verbatim.
    pub command: String,
}

/// How to run a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `glassnet` binary, whose `main` begins with [`reentered`].
    pub helper: PathBuf,
    /// How long one prompt may take.
    pub prompt_timeout: Duration,
}

impl Options {
    /// The running binary as helper, one minute a prompt.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { helper: std::env::current_exe()?, prompt_timeout: Duration::from_secs(60) })
    }
}

/// Why a plan could not be run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
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

impl HostError {
    /// Wraps an I/O error with what was being done.
    #[cfg(target_os = "linux")]
    fn failed(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Failed { what, source }
    }
}
