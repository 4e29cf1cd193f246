//! Commands that agents run on their nodes.

use std::future::Future;

/// A command line of a real program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name and arguments.
    pub argv: Vec<String>,
    /// Its standard input.
    pub stdin: String,
}

/// What a command answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status.
    pub status: i32,
    /// What it printed to its standard output.
    pub stdout: String,
    /// What it printed to its standard error.
    pub stderr: String,
}

/// Runs commands, one after the other: a node's shell, or what a test has recorded.
pub trait Run {
    /// Runs a command to its end.
    fn run(&mut self, command: Command) -> impl Future<Output = Answer> + Send;
}
