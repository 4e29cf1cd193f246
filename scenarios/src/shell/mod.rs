//! The shells of the simulated machines, on virtual time.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`Session`]: runs prompts, and moves virtual time while every program waits |
//! | `prompt.rs` | the loop that a machine's shell runs, `kill`, `jobs` |
//! | `live.rs` | output while a program runs, background jobs |
//! | `command.rs` | programs as commands; command lines that programs start |
//! | `builder.rs` | which commands there are |
//! | `limits.rs` | how far a shell goes |
//! | `files.rs` | the files of a machine |
//! | `clock/` | bashkit's clock |
//! | `machine.rs`, `terminal.rs` | what the shells of one machine share |
//!
//! The shell itself is bashkit. Nothing here decides a packet's fate.

mod builder;
mod clock;
mod command;
mod files;
mod limits;
mod live;
mod machine;
mod prompt;
mod terminal;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::process::{Mounts, SharedWorld, Sleepers};
use thiserror::Error;

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub use limits::on_deep_stack;
pub use limits::{DEEP_STACK, TIME_LIMIT};
pub use live::is_complete;
pub use terminal::Watcher;

use clock::Clock;
use machine::{Daemon, Machine, Place};

/// How long the nodes of a cluster may take until they are ready.
const CLUSTER_LIMIT: Nanos = Nanos(600_000_000_000);

/// What agents have to do when nodes are ready is done after this time.
const CLUSTER_SETTLES: Nanos = Nanos(1_000_000_000);

/// Result of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Output on the terminal.
    pub output: String,
    /// `$?`.
    pub status: i32,
}

/// Why a prompt did not end. The machine's shell is discarded; the next prompt starts a new one.
#[derive(Debug, Error)]
pub enum ShellError {
    /// No such machine.
    #[error("there is no machine `{0}`")]
    UnknownMachine(String),
    /// A limit on commands, loops or memory was exceeded.
    #[error("stopped: {0}")]
    Limit(String),
    /// The simulator's limit of steps was exceeded.
    #[error("stopped: {0}")]
    Endless(String),
    /// All programs wait, and no event is left.
    #[error(
        "nothing is left to happen, and the command still waits: for input, or for a job that never ends?"
    )]
    Stuck,
    /// The limit of virtual time was exceeded.
    #[error("the command did not end within {} hours of virtual time", TIME_LIMIT.0 / 3_600_000_000_000)]
    TooLong,
}

/// A shell for each machine of a world.
pub struct Session {
    world: SharedWorld,
    sleepers: Arc<Sleepers>,
    machines: BTreeMap<String, Shell>,
    clock: Clock,
}

/// A running shell: its exit status, or an error.
type Life = Pin<Box<dyn Future<Output = Result<i32, String>> + Send>>;

/// The shell of one machine.
struct Shell {
    machine: Arc<Machine>,
    /// The running shell; `None` before the first prompt.
    running: Option<Life>,
    /// Programs that go on by themselves.
    daemons: Vec<Daemon>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Session {
    /// Creates the shells of all machines.
    ///
    /// # Errors
    ///
    /// The runtime cannot be created.
    pub fn new(world: World) -> std::io::Result<Session> {
        Session::with_env(world, &BTreeMap::new())
    }

    /// The same, with more variables in the environment of every shell.
    ///
    /// # Errors
    ///
    /// The runtime cannot be created.
    pub fn with_env(world: World, env: &BTreeMap<String, String>) -> std::io::Result<Session> {
        let mut all = builder::login_env();
        all.extend(env.clone());
        let names: Vec<_> =
            world.machines.iter().map(|kernel| (kernel.hostname.clone(), kernel.id)).collect();
        let clock = Clock::new(world.now())?;
        let world = Arc::new(Mutex::new(world));
        let sleepers = Arc::new(Sleepers::default());
        let shell = |name: &str, id| Shell {
            machine: Arc::new(Machine::new(world.clone(), (id, name), sleepers.clone(), all.clone())),
            running: None,
            daemons: Vec::new(),
            woken: Arc::new(Woken(AtomicBool::new(false))),
        };
        let machines = names.into_iter().map(|(name, id)| (name.clone(), shell(&name, id))).collect();
        let mut session = Session { world: world.clone(), sleepers, machines, clock };
        session.start_cluster().map_err(std::io::Error::other)?;
        Ok(session)
    }

    /// Starts the agents of a cluster, and lets time pass until its nodes are ready.
    fn start_cluster(&mut self) -> Result<(), ShellError> {
        let daemons = glassnet_cluster::daemons(&self.world());
        for (machine, name) in &daemons {
            let shell = self.machines.values_mut().find(|shell| shell.machine.id == *machine);
            shell.into_iter().for_each(|shell| shell.start_daemon(name));
        }
        let Some(first) = self.machines.keys().next().cloned().filter(|_| !daemons.is_empty()) else {
            return Ok(());
        };
        let deadline = self.world().now() + CLUSTER_LIMIT;
        let mut settled = None;
        loop {
            self.poll_all(&first)?;
            let now = self.world().now();
            if settled.is_none() && glassnet_cluster::is_up(&self.world()) {
                settled = Some(now + CLUSTER_SETTLES);
                self.world().wake_at(now + CLUSTER_SETTLES);
            }
            if settled.is_some_and(|at| now >= at) {
                return Ok(());
            }
            self.advance(deadline)?;
        }
    }

    /// The world, locked.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The names of the machines.
    pub fn machines(&self) -> impl Iterator<Item = &str> {
        self.machines.keys().map(String::as_str)
    }

    /// Also passes a machine's output to `watcher` at once.
    pub fn watch(&self, machine: &str, watcher: Watcher) {
        if let Some(shell) = self.machines.get(machine) {
            shell.machine.terminal.watch(watcher);
        }
    }

    /// The machine's shell ended with its last command line; the next one starts another.
    pub fn has_exited(&self, machine: &str) -> bool {
        self.machines.get(machine).is_some_and(|shell| shell.running.is_none())
    }

    /// Runs a command line until the next prompt, and until all events at that time are processed.
    ///
    /// # Errors
    ///
    /// The machine is unknown, or the prompt did not end: see [`ShellError`].
    pub fn run(&mut self, machine: &str, command: &str) -> Result<Outcome, ShellError> {
        let shell = self.machines.get_mut(machine).ok_or(ShellError::UnknownMachine(machine.to_string()))?;
        shell.submit(command);
        self.world().reset_limit();
        let deadline = self.world().now() + TIME_LIMIT;
        self.machines.values().for_each(|shell| shell.machine.stack.begin());
        let ended = self.until_prompt(machine, deadline);
        let shell = self.machines.get_mut(machine).ok_or(ShellError::UnknownMachine(machine.to_string()))?;
        let output = String::from_utf8_lossy(&shell.machine.terminal.take()).into_owned();
        match ended {
            Ok(status) => Ok(Outcome { output, status }),
            Err(error) => {
                shell.running = None;
                Err(error)
            }
        }
    }

    /// Lets time pass until a point, with whatever happens up to then.
    ///
    /// # Errors
    ///
    /// As [`Session::run`].
    pub fn pass(&mut self, machine: &str, until: Nanos) -> Result<(), ShellError> {
        self.world().wake_at(until);
        loop {
            self.poll_all(machine)?;
            if self.world().now() >= until {
                return Ok(());
            }
            self.advance(until)?;
        }
    }

    fn until_prompt(&mut self, machine: &str, deadline: Nanos) -> Result<i32, ShellError> {
        loop {
            let exit = self.poll_all(machine)?;
            let finished = self.machines[machine].machine.prompt().finished;
            if let Some(status) = exit.or(finished) {
                self.settle(machine)?;
                return Ok(status);
            }
            self.advance(deadline)?;
        }
    }

    /// Where computing takes no time, lets happen what follows from a prompt before the next one can be typed: other
    /// programs read what it sent, and answer.
    fn settle(&mut self, machine: &str) -> Result<(), ShellError> {
        while self.world().settle_time() > Nanos::ZERO && self.settle_world()?.take_wakeups() {
            self.wake_programs();
            self.poll_all(machine)?;
        }
        Ok(())
    }

    /// Polls all shells until none can proceed at this time. `Some` if the machine's shell exited.
    fn poll_all(&mut self, machine: &str) -> Result<Option<i32>, ShellError> {
        let mut exit = None;
        let mut entered = self.clock.enter();
        loop {
            let mut polled = false;
            for (name, shell) in &mut self.machines {
                let Some(ended) = shell.poll(&mut polled) else { continue };
                let status = ended.map_err(ShellError::Limit)?;
                if name == machine {
                    exit = Some(status);
                }
            }
            if !polled {
                entered.parse();
                if !self.machines.values().any(Shell::is_woken) {
                    break;
                }
            }
        }
        Ok(exit)
    }

    /// Advances virtual time until a program may proceed.
    fn advance(&mut self, deadline: Nanos) -> Result<(), ShellError> {
        let mut world = self.world();
        while !world.take_wakeups() {
            if world.next_event_at().is_some_and(|at| at > deadline) {
                return Err(ShellError::TooLong);
            }
            if !world.step().map_err(|endless| ShellError::Endless(endless.to_string()))? {
                return Err(ShellError::Stuck);
            }
        }
        drop(world);
        drop(self.settle_world()?);
        self.wake_programs();
        Ok(())
    }

    fn settle_world(&self) -> Result<MutexGuard<'_, World>, ShellError> {
        let mut world = self.world();
        world.settle().map_err(|endless| ShellError::Endless(endless.to_string()))?;
        Ok(world)
    }

    fn wake_programs(&mut self) {
        let now = self.world().now();
        self.clock.advance(now);
        self.sleepers.wake_all();
    }
}

impl Shell {
    /// Starts a program that goes on by itself.
    fn start_daemon(&mut self, name: &str) {
        command::daemon(&initial(self.machine.clone()), name);
        self.woken.0.store(true, Ordering::Release);
    }

    /// Passes a command line to the shell, and starts a shell if there is none.
    fn submit(&mut self, command: &str) {
        if self.running.is_none() {
            self.machine.prompt().next = None;
            self.running = Some(life(self.machine.clone()));
        }
        let prepared = live::prepare(command, |name| glassnet_cluster::program(name).is_some());
        let mut prompt = self.machine.prompt();
        prompt.next = Some(prepared);
        prompt.finished = None;
        if let Some(waker) = prompt.waker.take() {
            waker.wake();
        }
        self.woken.0.store(true, Ordering::Release);
    }

    fn is_woken(&self) -> bool {
        (self.running.is_some() || !self.daemons.is_empty() || self.machine.has_detached())
            && self.woken.0.load(Ordering::Acquire)
    }

    /// Polls the shell if it was woken; its status or error if it ended.
    fn poll(&mut self, polled: &mut bool) -> Option<Result<i32, String>> {
        if !self.is_woken() {
            return None;
        }
        *polled = true;
        self.woken.0.store(false, Ordering::Release);
        let waker = Waker::from(self.woken.clone());
        let mut context = Context::from_waker(&waker);
        let ended = self.running.as_mut().map(|running| running.as_mut().poll(&mut context));
        self.daemons.retain_mut(|daemon| daemon.as_mut().poll(&mut context).is_pending());
        // Those that were started now may start others.
        loop {
            let mut started = self.machine.take_detached();
            if started.is_empty() {
                break;
            }
            started.retain_mut(|daemon| daemon.as_mut().poll(&mut context).is_pending());
            self.daemons.extend(started);
        }
        match ended {
            None | Some(Poll::Pending) => None,
            Some(Poll::Ready(ended)) => {
                self.running = None;
                Some(ended)
            }
        }
    }
}

/// Variables that a shell sets by itself, beside those of a login.
const OWN_VARIABLES: &str = "BASH BASHPID BASH_VERSION EUID GROUPS HOSTNAME IFS LINENO OLDPWD OPTARG OPTIND PPID PS1 PS2 PS4 PWD \
    RANDOM SECONDS SHELL SHELLOPTS SHLVL UID _";

/// A shell or a login gives this variable its value.
pub fn is_own_variable(name: &str) -> bool {
    OWN_VARIABLES.split_whitespace().any(|own| own == name)
        || name.starts_with("GLASSNET_")
        || builder::login_env().contains_key(name)
}

/// The context of a machine's own shell.
fn initial(machine: Arc<Machine>) -> Place {
    Place {
        machine,
        netns: INIT_NET,
        affinity: CpuMask::ALL,
        vrf: None,
        mounts: Mounts::default(),
        signals: None,
        is_background: false,
        depth: 0,
    }
}

/// Runs a machine's shell until `exit`.
fn life(machine: Arc<Machine>) -> Pin<Box<dyn Future<Output = Result<i32, String>> + Send>> {
    let place = initial(machine.clone());
    let more: Vec<(&str, Arc<dyn bashkit::Builtin>)> = vec![
        ("__glassnet_prompt", Arc::new(prompt::Next(machine.clone()))),
        ("__glassnet_status", Arc::new(prompt::Status)),
        ("__glassnet_kill", Arc::new(prompt::Kill(machine.clone()))),
    ];
    let mut bash = builder::bash_with(&place, "/root", &machine.env, more);
    Box::pin(async move {
        let show = move |stdout: &bashkit::StreamData, stderr: &bashkit::StreamData| {
            let (trace, stderr) = prompt::split_trace(&stderr.text_lossy());
            machine.terminal.show(trace.as_bytes());
            machine.terminal.show(stdout.as_bytes());
            machine.terminal.show(prompt::as_bash_says(&stderr).as_bytes());
        };
        match bash.exec_streaming(prompt::SCRIPT, Box::new(show)).await {
            Ok(result) => Ok(result.exit_code),
            Err(error) => Err(error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests;
