//! A machine without processes: a thread with a mount and a network namespace of its own, which starts programs there.
//!
//! In User Mode Linux the start of a process costs more than all else, so that a machine of [`super::machine`] takes a
//! quarter of a second; this one takes some milliseconds.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use glassnet_scenarios::error::BackendError;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Pid, gettid};

use super::machine::raw_terminal;
use super::topology::own_run;

/// Something to do on the thread, which hands its own network namespace over.
type Work = Box<dyn FnOnce(&File) + Send>;

/// A machine. Dropping it ends its thread; its namespaces end with the last program in them.
pub(super) struct BareMachine {
    work: Sender<Work>,
    /// The thread's id, of which its programs descend.
    pub thread: Pid,
    /// Its own network namespace.
    pub netns: File,
    /// Its files, as this process can open them.
    pub root: PathBuf,
}

/// What a program reads, and where its output goes.
pub(super) enum Ends {
    /// It reads this text and writes on a terminal.
    Foreground(String),
    /// It reads what is written to it later, and writes on a terminal.
    Asked,
    /// It reads and writes nothing.
    Background,
}

/// A program that was started.
pub(super) struct Program {
    /// Its process.
    pub child: Child,
    /// Its terminal, unless it is in the background.
    pub terminal: Option<File>,
    /// What it reads, if it is asked.
    pub input: Option<ChildStdin>,
}

impl BareMachine {
    /// Starts the thread.
    pub fn start(name: &str) -> Result<Self, BackendError> {
        let failed = || BackendError::failed(format!("cannot start machine {name}"));
        let (work, todo) = channel::<Work>();
        let (entered, has_entered) = channel();
        std::thread::spawn(move || {
            let own = enter();
            let told = own.as_ref().map_err(io::Error::kind).map(|_| gettid());
            let _ = entered.send(told);
            if let Ok(own) = own {
                todo.iter().for_each(|work| work(&own));
            }
        });
        let thread =
            has_entered.recv().map_err(|_| failed()(gone()))?.map_err(|kind| failed()(kind.into()))?;
        let files = PathBuf::from(format!("/proc/self/task/{thread}"));
        let netns = File::open(files.join("ns/net")).map_err(failed())?;
        Ok(Self { work, thread, netns, root: files.join("root") })
    }

    /// Starts a program in a network namespace of the machine (empty: its own).
    pub fn spawn(&self, netns: &str, argv: &[String], ends: Ends) -> io::Result<Program> {
        let (argv, netns) = (argv.to_vec(), netns.to_owned());
        self.on_thread(move |own| start(own, &netns, &argv, ends))
    }

    /// Does something on the thread, among the machine's files.
    pub fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (done, is_done) = channel();
        let work = move |own: &File| {
            let _ = done.send(work(own));
        };
        self.work.send(Box::new(work)).map_err(|_| gone())?;
        is_done.recv().map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread of a machine is gone")
}

/// Takes this thread into namespaces of its own; returns the network namespace.
fn enter() -> io::Result<File> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    own_run()?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>)?;
    File::open("/proc/thread-self/ns/net")
}

/// Starts a program. The thread goes to its namespace, as a child that goes there itself has to be forked, which copies
/// the tables of a large process.
fn start(own: &File, netns: &str, argv: &[String], ends: Ends) -> io::Result<Program> {
    let enter = |netns: &File| setns(netns.as_fd(), CloneFlags::CLONE_NEWNET);
    if !netns.is_empty() {
        enter(&File::open(Path::new("/run/netns").join(netns))?)?;
    }
    let started = spawn(argv, ends);
    if !netns.is_empty() {
        enter(own)?;
    }
    started
}

fn spawn(argv: &[String], ends: Ends) -> io::Result<Program> {
    let [program, arguments @ ..] = argv else { return Err(io::Error::other("no program")) };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/");
    command.envs([
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("TERM", "dumb"),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ]);
    let (terminal, slave) = raw_terminal()?;
    let (reads, writes) = match &ends {
        Ends::Background => (false, false),
        Ends::Foreground(text) => (!text.is_empty(), true),
        Ends::Asked => (true, true),
    };
    command.stdin(if reads { Stdio::piped() } else { Stdio::null() });
    if writes {
        command.stdout(slave.try_clone()?).stderr(slave);
    } else {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut child = command.spawn()?;
    let input = child.stdin.take();
    let input = match (ends, input) {
        (Ends::Foreground(text), Some(mut input)) => {
            input.write_all(text.as_bytes())?;
            None
        }
        (_, input) => input,
    };
    Ok(Program { child, terminal: writes.then_some(terminal), input })
}
