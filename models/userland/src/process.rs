//! The environment of a running program: arguments, standard streams, files, signals and time.
//!
//! A program is an `async fn` over [`Process`]. It waits in [`Process::wait`] or [`Process::sleep`]; the executor in
//! `scenarios` advances virtual time when every program waits. Output is written before a wait, so it appears in order
//! of virtual time.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Waker};

use glassnet_kernel::Cx;
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId};
use glassnet_kernel::net::core::net_namespace::cleanup_net_if_unused;
use glassnet_kernel::tables::cpumask::CpuMask;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;

pub use glassnet_kernel::kernel::BOOT_TIME;

use crate::procfs::Caller;

pub use crate::signal::{Signal, Signals};

/// The world that all programs share. The guard is never held over an await.
pub type SharedWorld = Arc<Mutex<World>>;

/// A boxed future, as traits need it.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A running program, with its exit status.
pub type Running<'a> = Boxed<'a, i32>;

/// The entry point of a program: `pub fn main(process: &mut Process) -> Running<'_> { Box::pin(…) }`.
pub type Main = for<'a> fn(&'a mut Process) -> Running<'a>;

/// A program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its absolute path, `/usr` merged.
    pub path: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its entry point.
    pub main: Main,
}

impl Program {
    /// A program.
    pub const fn new(path: &'static str, version: &'static str, main: Main) -> Program {
        Program { path, version, main }
    }

    /// The name that people type.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// A readable stream.
pub trait Input: Send + Sync {
    /// The next bytes; empty at end of file.
    fn read(&self) -> Boxed<'_, io::Result<Vec<u8>>>;
}

/// A writable stream: terminal, file or pipe.
pub trait Output: Send + Sync {
    /// Writes all bytes; waits while a pipe is full. [`io::ErrorKind::BrokenPipe`] if the read end is closed.
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>>;
    /// It is the terminal (`isatty`).
    fn is_terminal(&self) -> bool {
        false
    }
}

/// The files of a machine.
pub trait Files: Send + Sync {
    /// Content of the file at this absolute path.
    fn read<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<Vec<u8>>>;
    /// Replaces the file at this absolute path.
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>>;
    /// Appends to the file at this absolute path.
    fn append<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> Boxed<'a, io::Result<()>>;
    /// Removes the file at this absolute path.
    fn remove<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<()>>;
    /// Makes the directory at this absolute path, and those above it that are missing.
    fn make_dir<'a>(&'a self, path: &'a str) -> Boxed<'a, io::Result<()>>;
    /// Names in the directory at this absolute path, and whether each is a directory.
    fn list<'a>(&'a self, _path: &'a str) -> Boxed<'a, io::Result<Vec<(String, bool)>>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }
}

/// The VRF that a process is bound to by its control group (`ip vrf exec`).
#[derive(Clone, Debug)]
pub struct Vrf {
    /// Its name.
    pub name: String,
    /// Its ifindex, to which the sockets that the process opens are bound.
    pub ifindex: u32,
}

/// Files and folders of the machine that a process sees at other places, as after `mount --bind` in a mount namespace of its own: each
/// with the place and then the path on the machine, absolute and without an end of `/`.
pub type Mounts = Arc<[(String, String)]>;

/// A command line that a program runs as a child (`ip netns exec`, `nsenter`).
#[derive(Clone)]
pub struct Child {
    /// Network namespace.
    pub netns: NetnsId,
    /// Its name and arguments, expanded.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory, absolute.
    pub cwd: String,
    /// Its standard input.
    pub stdin: Arc<dyn Input>,
    /// Its standard output.
    pub stdout: Arc<dyn Output>,
    /// Its standard error.
    pub stderr: Arc<dyn Output>,
    /// Its signals, which are those of the parent.
    pub signals: Arc<Signals>,
    /// The CPUs that it may run on.
    pub affinity: CpuMask,
    /// The VRF that it is bound to.
    pub vrf: Option<Vrf>,
    /// What it sees of the machine's files at other places.
    pub mounts: Mounts,
}

/// Runs command lines; `scenarios` implements it over the shell.
pub trait Spawner: Send + Sync {
    /// The path of a command as `execvp` finds it from a working directory; shell builtins are not executables.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or [`io::ErrorKind::PermissionDenied`] for what is no executable file.
    fn find<'a>(&'a self, name: &'a str, cwd: &'a str) -> Boxed<'a, io::Result<String>>;
    /// Runs the child and returns its exit status; 127 with bash's message for an unknown command.
    fn spawn(&self, child: Child) -> Boxed<'_, i32>;
    /// Starts a command line that goes on by itself (`daemon(3)`).
    fn detach(&self, child: Child) -> Arc<Exit>;
}

/// How a command line that goes on by itself ended.
#[derive(Debug, Default)]
pub struct Exit(OnceLock<i32>);

impl Exit {
    /// It ended so. Who waits for it is to be woken.
    pub fn set(&self, status: i32) {
        // It ends once.
        let _ = self.0.set(status);
    }

    /// Its exit status, if it has ended.
    pub fn status(&self) -> Option<i32> {
        self.0.get().copied()
    }
}

/// What a program without a terminal reads and writes.
#[derive(Debug)]
pub struct Nowhere;

impl Input for Nowhere {
    fn read(&self) -> Boxed<'_, io::Result<Vec<u8>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Output for Nowhere {
    fn write<'a>(&'a self, _: &'a [u8]) -> Boxed<'a, io::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// Keeps a waker once.
pub(crate) fn remember(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}

/// Wakers of all waiting programs, in order.
#[derive(Default)]
pub struct Sleepers {
    wakers: Mutex<Vec<Waker>>,
}

impl Sleepers {
    /// Wakes all waiting programs; called after events that woke a task.
    pub fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(|e| e.into_inner()));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Registers a waker for the next [`Sleepers::wake_all`].
    pub fn register(&self, waker: &Waker) {
        remember(&mut self.wakers.lock().unwrap_or_else(|e| e.into_inner()), waker);
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken<T> {
    /// The condition is met.
    Ready(T),
    /// The deadline passed.
    Elapsed,
    /// A signal that the program catches ([`Signals::catch`]) arrived.
    Signal(Signal),
}

/// A pending read of standard input.
pub type Reading = Boxed<'static, io::Result<Vec<u8>>>;

/// Result of [`Process::wait_or_read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOr<T> {
    /// Bytes of standard input; empty at end of file.
    Read(Vec<u8>),
    /// The condition is met.
    Ready(T),
}

/// A process.
pub struct Process {
    /// The world.
    pub world: SharedWorld,
    /// The machine that it runs on.
    pub machine: MachineId,
    /// The namespace that it runs in.
    pub netns: NetnsId,
    /// The CPUs that it may run on.
    pub affinity: CpuMask,
    /// The VRF that it is bound to.
    pub vrf: Option<Vrf>,
    /// What it sees of the machine's files at other places.
    pub mounts: Mounts,
    /// What it runs.
    pub program: &'static Program,
    /// Its process id.
    pub pid: u32,
    /// Its name and arguments, expanded.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory, absolute.
    pub cwd: String,
    /// Standard input.
    pub stdin: Arc<dyn Input>,
    /// Standard output; programs use [`Process::print`].
    pub stdout: Arc<dyn Output>,
    /// Standard error; programs use [`Process::eprint`].
    pub stderr: Arc<dyn Output>,
    /// The machine's files.
    pub files: Arc<dyn Files>,
    /// Its signals.
    pub signals: Arc<Signals>,
    /// Runs further command lines.
    pub shell: Arc<dyn Spawner>,
    /// Wakers of waits.
    pub sleepers: Arc<Sleepers>,
    /// Printed and not yet written: (stderr, bytes), in order.
    pub printed: Vec<(bool, Vec<u8>)>,
    /// Read from standard input and not yet used.
    pub unread: Vec<u8>,
}

impl Process {
    /// `argv[0]`.
    pub fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// The arguments without the name.
    pub fn args(&self) -> &[String] {
        self.argv.get(1..).unwrap_or(&[])
    }

    /// The world, locked. Never keep the guard over an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The CPU of the process, one of those that it may run on; it does not migrate.
    pub fn cpu(&self, world: &World) -> CpuId {
        let all = CpuMask::first(world.kernel(self.machine).cpus.len());
        if all.0.count_ones() == 1 {
            return CpuId(0);
        }
        let may = CpuMask(self.affinity.0 & all.0);
        let among = may.0.count_ones().max(1);
        may.iter().nth((self.pid % among) as usize).unwrap_or(CpuId(0))
    }

    /// The caller for `/proc` and `/sys`.
    pub fn caller(&self, world: &World) -> Caller {
        Caller { machine: self.machine, cpu: self.cpu(world), netns: self.netns }
    }

    /// Makes a system call: runs `call` in the kernel on the process's CPU, then the softirqs that it raised.
    pub fn syscall<R>(&self, call: impl FnOnce(&mut Cx) -> R) -> R {
        let mut world = self.world();
        let cpu = self.cpu(&world);
        world.trace.in_program(Some(|| format!("{} {}", self.name(), self.pid)));
        let done = world.syscall(self.machine, cpu, call);
        world.trace.in_program(None::<fn() -> String>);
        done
    }

    /// What it waited for is there: it gets its CPU.
    fn go_on(&self, world: &mut World) {
        let cpu = self.cpu(world);
        world.trace.in_program(Some(|| format!("{} {}", self.name(), self.pid)));
        world.go_on(self.machine, cpu, self.pid);
        world.trace.in_program(None::<fn() -> String>);
    }

    /// Virtual time since boot, on the process's CPU.
    pub fn now(&self) -> Nanos {
        let world = self.world();
        world.cpu_now(self.machine, self.cpu(&world))
    }

    /// Prints to standard output; written out at the next wait, flush or at the end.
    pub fn print(&mut self, text: impl AsRef<[u8]>) {
        self.append(false, text.as_ref());
    }

    /// Prints to standard error; order with [`Process::print`] is kept.
    pub fn eprint(&mut self, text: impl AsRef<[u8]>) {
        self.append(true, text.as_ref());
    }

    fn append(&mut self, is_stderr: bool, bytes: &[u8]) {
        match self.printed.last_mut() {
            Some((last, buffer)) if *last == is_stderr => buffer.extend_from_slice(bytes),
            _ => self.printed.push((is_stderr, bytes.to_vec())),
        }
    }

    /// Writes what was printed. SIGPIPE kills the program if the pipe has no reader.
    pub async fn flush(&mut self) {
        for (is_stderr, bytes) in std::mem::take(&mut self.printed) {
            let output = if is_stderr { &self.stderr } else { &self.stdout };
            if let Err(error) = output.write(&bytes).await
                && error.kind() == io::ErrorKind::BrokenPipe
            {
                self.signals.send(Signal::PIPE);
                yield_now().await;
            }
        }
    }

    /// Waits until `ready` returns `Some`, the deadline (a point in time) passes or a handled signal arrives. `ready`
    /// is called at once and after each event that woke a task.
    pub async fn wait<T>(
        &mut self,
        deadline: Option<Nanos>,
        mut ready: impl FnMut(&mut World) -> Option<T> + Send,
    ) -> Woken<T> {
        self.flush().await;
        if let Some(at) = deadline {
            self.world().wake_at(at);
        }
        poll_fn(|cx| {
            if let Some(signal) = self.signals.take_caught(cx.waker()) {
                self.go_on(&mut self.world());
                return Poll::Ready(Woken::Signal(signal));
            }
            let mut world = self.world();
            let cpu = self.cpu(&world);
            // Whatever it waits for, it goes on only when its CPU has time for it.
            if !world.cpu_taken(self.machine, cpu) {
                let value = ready(&mut world);
                if value.is_some() || deadline.is_some_and(|at| world.now() >= at) {
                    self.go_on(&mut world);
                    return Poll::Ready(value.map_or(Woken::Elapsed, Woken::Ready));
                }
            }
            world.sleep(self.machine, self.pid);
            self.sleepers.register(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// As [`Process::wait`], but also until standard input has data. `reading` is the pending read, and how many bytes it has room for; it
    /// is started if there is none and outlives the wait. Without it, standard input is not read.
    pub async fn wait_or_read<T>(
        &mut self,
        deadline: Option<Nanos>,
        mut reading: Option<(&mut Option<Reading>, usize)>,
        mut ready: impl FnMut(&mut World) -> Option<T> + Send,
    ) -> Woken<ReadOr<T>> {
        self.flush().await;
        if let Some(at) = deadline {
            self.world().wake_at(at);
        }
        poll_fn(|cx| {
            if let Some(signal) = self.signals.take_caught(cx.waker()) {
                self.go_on(&mut self.world());
                return Poll::Ready(Woken::Signal(signal));
            }
            if let Some((slot, room)) = &mut reading
                && let Poll::Ready(read) = self.poll_read(cx, slot, *room)
            {
                self.go_on(&mut self.world());
                return Poll::Ready(Woken::Ready(ReadOr::Read(read)));
            }
            let mut world = self.world();
            let cpu = self.cpu(&world);
            if !world.cpu_taken(self.machine, cpu) {
                let value = ready(&mut world);
                if value.is_some() || deadline.is_some_and(|at| world.now() >= at) {
                    self.go_on(&mut world);
                    return Poll::Ready(
                        value.map_or(Woken::Elapsed, |value| Woken::Ready(ReadOr::Ready(value))),
                    );
                }
            }
            world.sleep(self.machine, self.pid);
            self.sleepers.register(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// What standard input has, in one piece up to about `room` bytes; empty at its end. The shell gives it in pieces of its own.
    fn poll_read(&self, cx: &mut Context<'_>, slot: &mut Option<Reading>, room: usize) -> Poll<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let stdin = self.stdin.clone();
            let read = slot.get_or_insert_with(|| Box::pin(async move { stdin.read().await }));
            let Poll::Ready(read) = read.as_mut().poll(cx) else {
                return if bytes.is_empty() { Poll::Pending } else { Poll::Ready(bytes) };
            };
            *slot = None;
            let more = read.unwrap_or_default();
            bytes.extend_from_slice(&more);
            if more.is_empty() || bytes.len() >= room {
                return Poll::Ready(bytes);
            }
        }
    }

    /// Sleeps for a span of virtual time.
    ///
    /// # Errors
    ///
    /// The handled signal that ended the sleep.
    pub async fn sleep(&mut self, span: Nanos) -> Result<(), Signal> {
        let deadline = self.now() + span;
        match self.wait::<()>(Some(deadline), |_| None).await {
            Woken::Signal(signal) => Err(signal),
            Woken::Ready(()) | Woken::Elapsed => Ok(()),
        }
    }

    /// The next line of standard input with its newline; empty at end of file.
    ///
    /// # Errors
    ///
    /// Those of reading standard input.
    pub async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        self.flush().await;
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.unread, rest));
            }
            let more = self.stdin.read().await?;
            if more.is_empty() {
                return Ok(std::mem::take(&mut self.unread));
            }
            self.unread.extend_from_slice(&more);
        }
    }

    /// Content of a file operand; `-` is standard input.
    ///
    /// # Errors
    ///
    /// Those of reading the file or standard input.
    pub async fn read_operand(&mut self, file: &str) -> io::Result<Vec<u8>> {
        if file == "-" {
            return self.read_to_end().await;
        }
        let path = self.path(file);
        self.files.clone().read(&path).await
    }

    /// All of standard input.
    ///
    /// # Errors
    ///
    /// Those of reading standard input.
    pub async fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        self.flush().await;
        loop {
            let more = self.stdin.read().await?;
            if more.is_empty() {
                return Ok(std::mem::take(&mut self.unread));
            }
            self.unread.extend_from_slice(&more);
        }
    }

    /// Makes a path absolute.
    pub fn path(&self, path: &str) -> String {
        match path.starts_with('/') {
            true => path.to_string(),
            false => format!("{}/{path}", self.cwd.trim_end_matches('/')),
        }
    }

    /// The path of a command as `execvp` finds it.
    ///
    /// # Errors
    ///
    /// `strerror(3)` of the failure of `execvp`.
    pub async fn find(&self, name: &str) -> Result<String, String> {
        self.shell.find(name, &self.cwd).await.map_err(|error| strerror(&error))
    }

    /// Runs a command line in `netns` with this process's streams; returns its exit status.
    pub async fn spawn(&mut self, netns: NetnsId, argv: Vec<String>) -> i32 {
        self.flush().await;
        let child = self.child(netns, argv);
        let shell = self.shell.clone();
        let _inside = Task::enter(self, netns);
        shell.spawn(child).await
    }

    /// A child with this process's streams, environment and signals, for [`Process::shell`].
    pub fn child(&self, netns: NetnsId, argv: Vec<String>) -> Child {
        Child {
            netns,
            argv,
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            stdin: self.stdin.clone(),
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            signals: self.signals.clone(),
            affinity: self.affinity,
            vrf: self.vrf.clone(),
            mounts: self.mounts.clone(),
        }
    }

    /// A thread of the process, which waits by itself. It is polled beside the others.
    pub fn thread(&self) -> Process {
        Process {
            world: self.world.clone(),
            machine: self.machine,
            netns: self.netns,
            affinity: self.affinity,
            vrf: self.vrf.clone(),
            mounts: self.mounts.clone(),
            program: self.program,
            pid: self.pid,
            argv: self.argv.clone(),
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            stdin: self.stdin.clone(),
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            files: self.files.clone(),
            signals: self.signals.clone(),
            shell: self.shell.clone(),
            sleepers: self.sleepers.clone(),
            printed: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// A child without a terminal, with signals of its own, for [`Spawner::detach`].
    pub fn daemon(&self, netns: NetnsId, argv: Vec<String>) -> Child {
        let nowhere = Arc::new(Nowhere);
        let (stdin, stdout, stderr) = (nowhere.clone(), nowhere.clone(), nowhere);
        Child { stdin, stdout, stderr, signals: Arc::default(), ..self.child(netns, argv) }
    }
}

/// A process in a network namespace, holding a reference to it.
struct Task {
    world: SharedWorld,
    machine: MachineId,
    cpu: CpuId,
    pid: u32,
    netns: NetnsId,
    /// The process's namespace afterwards; `None`: it ended.
    before: Option<NetnsId>,
}

impl Task {
    fn enter(process: &Process, netns: NetnsId) -> Task {
        let (machine, pid) = (process.machine, process.pid);
        let mut world = process.world();
        let cpu = process.cpu(&world);
        let before = world.machines.get_mut(machine.index()).and_then(|kernel| {
            if let Some(vrf) = &process.vrf {
                kernel.vrf_tasks.insert(pid, vrf.name.clone());
            }
            kernel.tasks.insert(pid, netns)
        });
        Task { world: process.world.clone(), machine, cpu, pid, netns, before }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(kernel) = world.machines.get_mut(self.machine.index()) else { return };
        match self.before {
            Some(netns) => _ = kernel.tasks.insert(self.pid, netns),
            None => {
                kernel.tasks.remove(&self.pid);
                kernel.asleep.remove(&self.pid);
                kernel.vrf_tasks.remove(&self.pid);
            }
        }
        let netns = self.netns;
        world.enter(self.machine, self.cpu, |cx| cleanup_net_if_unused(cx, netns));
    }
}

/// Runs a program, writes its output, and returns its exit status. A signal that it does not handle kills it at its
/// wait.
pub async fn run(process: &mut Process) -> i32 {
    let signals = process.signals.clone();
    let _task = Task::enter(process, process.netns);
    let ended = {
        let mut running = (process.program.main)(process);
        poll_fn(|cx| {
            let polled = running.as_mut().poll(cx);
            match signals.fatal(cx.waker()) {
                Some(signal) => Poll::Ready(Err(signal)),
                None => polled.map(Ok),
            }
        })
        .await
    };
    match ended {
        Ok(status) => {
            process.flush().await;
            status
        }
        Err(signal) => signal.exit_status(),
    }
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// `strerror(3)` of a failed file operation.
pub fn strerror(error: &io::Error) -> String {
    let text = match error.kind() {
        io::ErrorKind::NotFound => "No such file or directory",
        io::ErrorKind::PermissionDenied => "Permission denied",
        io::ErrorKind::IsADirectory => "Is a directory",
        io::ErrorKind::NotADirectory => "Not a directory",
        io::ErrorKind::ReadOnlyFilesystem => "Read-only file system",
        _ => return error.to_string(),
    };
    text.to_owned()
}
