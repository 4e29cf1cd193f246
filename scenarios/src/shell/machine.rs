//! State shared by the shells and programs of a machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bashkit::InMemoryFs;
use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_userland::process::{Boxed, Mounts, SharedWorld, Signal, Signals, Sleepers, Vrf};

use super::live::Job;
use super::terminal::Terminal;

/// A program that goes on by itself.
pub(super) type Daemon = Boxed<'static, ()>;

/// A machine's terminal, files and running programs.
pub(super) struct Machine {
    pub world: SharedWorld,
    pub id: MachineId,
    pub name: String,
    /// Environment of its shells.
    pub env: BTreeMap<String, String>,
    pub sleepers: Arc<Sleepers>,
    pub terminal: Terminal,
    /// Files outside of `/proc`, `/sys` and `/run/netns`.
    pub disk: Arc<InMemoryFs>,
    pub programs: Programs,
    pub prompt: Mutex<super::prompt::State>,
    last_pid: AtomicU32,
    /// Programs that were started to go on by themselves, until the machine's shell has taken them over.
    detached: Mutex<Vec<Daemon>>,
    pub stack: super::limits::Stack,
}

impl Machine {
    pub(super) fn new(
        world: SharedWorld,
        (id, name): (MachineId, &str),
        sleepers: Arc<Sleepers>,
        env: BTreeMap<String, String>,
    ) -> Machine {
        let disk = Arc::new(InMemoryFs::with_limits(super::limits::disk()));
        super::files::furnish(&disk, name);
        Machine {
            world,
            id,
            name: name.to_string(),
            env,
            sleepers,
            terminal: Terminal::default(),
            disk,
            programs: Programs::default(),
            prompt: Mutex::default(),
            last_pid: AtomicU32::new(1000),
            detached: Mutex::default(),
            stack: Default::default(),
        }
    }

    /// A program goes on by itself from now on.
    pub(super) fn detach(&self, daemon: Daemon) {
        self.detached.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(daemon);
    }

    /// Programs are to go on by themselves that nobody has taken over yet.
    pub(super) fn has_detached(&self) -> bool {
        !self.detached.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).is_empty()
    }

    /// Hands over the programs that go on by themselves since this was called last.
    pub(super) fn take_detached(&self) -> Vec<Daemon> {
        std::mem::take(&mut *self.detached.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// The next process id.
    pub(super) fn new_pid(&self) -> u32 {
        self.last_pid.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Context of a shell.
#[derive(Clone)]
pub(super) struct Place {
    pub machine: Arc<Machine>,
    pub netns: NetnsId,
    /// The CPUs that its programs may run on.
    pub affinity: CpuMask,
    /// The VRF that its programs are bound to.
    pub vrf: Option<Vrf>,
    /// What its programs see of the machine's files at other places.
    pub mounts: Mounts,
    /// Signals of the program that started the shell; its commands share them.
    pub signals: Option<Arc<Signals>>,
    /// In a background job.
    pub is_background: bool,
    /// How many programs started each other up to here.
    pub depth: usize,
}

/// A running program.
struct Running {
    name: String,
    pid: u32,
    /// Mark of its background job.
    job: Option<Job>,
    signals: Arc<Signals>,
}

/// The running programs of a machine, for `kill` and `pkill`.
#[derive(Default)]
pub(super) struct Programs {
    running: Mutex<BTreeMap<u64, Running>>,
    started: AtomicU64,
}

/// Removes a program from the list when it ends or is dropped.
pub(super) struct Listed<'a> {
    programs: &'a Programs,
    key: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.programs.lock().remove(&self.key);
    }
}

impl Programs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lists a program until the result is dropped.
    pub(super) fn list(
        &self,
        (name, pid): (&str, u32),
        job: Option<Job>,
        signals: Arc<Signals>,
    ) -> Listed<'_> {
        let key = self.started.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(key, Running { name: name.to_string(), pid, job, signals });
        Listed { programs: self, key }
    }

    fn matching(&self, wanted: impl Fn(&Running) -> bool) -> Vec<Arc<Signals>> {
        self.lock()
            .values()
            .filter(|running| wanted(running))
            .map(|running| running.signals.clone())
            .collect()
    }

    /// Background jobs with a running program.
    pub(super) fn jobs(&self) -> Vec<Job> {
        self.lock().values().filter_map(|running| running.job).collect()
    }

    /// Sends a signal to the programs of a background job.
    pub(super) fn signal_job(&self, job: Job, signal: Option<Signal>) {
        deliver(self.matching(|running| running.job == Some(job)), signal);
    }

    /// Sends a signal to the program of this process id; returns whether there is one.
    pub(super) fn signal_pid(&self, pid: u32, signal: Option<Signal>) -> bool {
        deliver(self.matching(|running| running.pid == pid), signal) > 0
    }

    /// Sends a signal to the programs of this name; returns their number.
    pub(super) fn signal_name(&self, name: &str, signal: Option<Signal>) -> usize {
        deliver(self.matching(|running| running.name == name), signal)
    }
}

fn deliver(to: Vec<Arc<Signals>>, signal: Option<Signal>) -> usize {
    if let Some(signal) = signal {
        to.iter().for_each(|signals| signals.send(signal));
    }
    to.len()
}
