//! Commands that agents run on their nodes.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};

use glassnet_kernel::kernel::INIT_NET;
use glassnet_sim::Nanos;
use glassnet_userland::process::{Boxed, Input, Output, Process};

use crate::api::ApiServer;

/// A command line of a real program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name and arguments.
    pub argv: Vec<String>,
    /// Its standard input.
    pub stdin: String,
}

impl Command {
    /// A command without standard input, from words between blanks.
    pub fn words(line: &str) -> Command {
        Command { argv: line.split_whitespace().map(str::to_owned).collect(), stdin: String::new() }
    }
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

/// A command that an agent ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// When it began, ns since boot.
    pub at: Nanos,
    /// The node.
    pub node: String,
    /// The agent.
    pub agent: String,
    /// The command.
    pub command: Command,
    /// The folder in which it goes on by itself (a container's program).
    pub goes_on_in: Option<String>,
}

/// A stream that gives its bytes once.
pub struct Given(Mutex<Vec<u8>>);

impl Given {
    /// A stream of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Arc<Given> {
        Arc::new(Given(Mutex::new(bytes.into())))
    }
}

impl Input for Given {
    fn read(&self) -> Boxed<'_, io::Result<Vec<u8>>> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        Box::pin(async move { Ok(bytes) })
    }
}

/// A stream that keeps what is written.
#[derive(Default)]
pub struct Kept(Mutex<Vec<u8>>);

impl Kept {
    /// What was written.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Output for Kept {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }
}

/// The shell of a node, in which an agent runs its commands.
pub struct NodeShell<'a> {
    /// The agent.
    pub process: &'a mut Process,
    /// The server that keeps what was run.
    pub api: Arc<ApiServer>,
}

impl NodeShell<'_> {
    /// Runs a command that nobody is told of: what it does is of use to an agent only.
    pub async fn run_untold(&mut self, command: &Command) -> Answer {
        self.load().await;
        self.spawn(command).await
    }

    /// A program takes its time to load.
    async fn load(&mut self) {
        let exec_time = self.process.world().kernel(self.process.machine).config.exec_time;
        // An agent has no signal handlers.
        let _ = self.process.sleep(exec_time).await;
    }

    async fn spawn(&mut self, command: &Command) -> Answer {
        let (stdout, stderr) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        let mut child = self.process.child(INIT_NET, command.argv.clone());
        child.stdin = Given::new(command.stdin.as_bytes());
        (child.stdout, child.stderr) = (stdout.clone(), stderr.clone());
        let status = self.process.shell.clone().spawn(child).await;
        Answer { status, stdout: stdout.text(), stderr: stderr.text() }
    }
}

impl Run for NodeShell<'_> {
    async fn run(&mut self, command: Command) -> Answer {
        self.load().await;
        self.api.note(Ran {
            at: self.process.now(),
            node: hostname(self.process),
            agent: self.process.program.name().to_owned(),
            command: command.clone(),
            goes_on_in: None,
        });
        self.spawn(&command).await
    }
}

/// The name of a process's machine.
pub fn hostname(process: &Process) -> String {
    process.world().kernel(process.machine).hostname.clone()
}
