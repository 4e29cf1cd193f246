//! Which functions of the kernel ran, in which order and within which others: on a real kernel with the function tracer, and
//! in the model.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | a recording |
//! | `text.rs` | its text form, for files |
//! | `ftrace.rs` | the kernel's tracer as a recording |
//! | `model.rs` | the model's steps as a recording |
//! | `compare.rs` | two recordings compared |
//!
//! A recording is made of *runs*: a system call, an interrupt, a softirq, a timer's function. An interrupt that comes while a
//! system call is at work, or a softirq after it, is a run of its own, although the tracer shows it inside the other.

mod compare;
mod ftrace;
mod model;
mod text;

pub use compare::{Report, compare};
pub use ftrace::{MARK, Traced, from_trace, names, traced};
pub use model::of_model;
pub use text::BadRecording;

use std::time::Duration;

/// How long both sides wait after each prompt, so that what follows from it is not the next one's.
pub const PAUSE: Duration = Duration::from_millis(300);

/// What a CPU was at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// A system call, or a thread of the kernel.
    Task,
    /// An interrupt handler.
    HardIrq,
    /// A softirq, also in `ksoftirqd`.
    SoftIrq,
}

impl Context {
    /// All contexts, by their names in texts.
    const ALL: [(Context, &'static str); 3] =
        [(Context::Task, "task"), (Context::HardIrq, "hardirq"), (Context::SoftIrq, "softirq")];

    /// Its name in texts.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(context, _)| *context == self).map_or("", |(_, name)| name)
    }
}

/// A function that was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// In how many others of its run it was entered.
    pub depth: usize,
    /// The function.
    pub name: String,
}

/// What a CPU did in one context, without what interrupted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// In which context.
    pub context: Context,
    /// On which CPU.
    pub cpu: usize,
    /// Functions in the order in which they were entered.
    pub calls: Vec<Call>,
}

/// What happened from a prompt on, until the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Line in the lesson, from 1.
    pub line: usize,
    /// The machine.
    pub machine: String,
    /// The command.
    pub command: String,
    /// Its runs, in the order in which they began.
    pub runs: Vec<Run>,
}

/// The functions of a lesson.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The lesson's file name without its folder.
    pub lesson: String,
    /// Which kernel: `linux 6.1.0-56-amd64 (qemu)`.
    pub kernel: String,
    /// Functions that were traced; others may have run unseen.
    pub traced: Vec<String>,
    /// Its prompts.
    pub prompts: Vec<Prompt>,
}
