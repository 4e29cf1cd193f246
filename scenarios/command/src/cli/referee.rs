//! The real kernels on a command line: `--on`, and `glassnet referee`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
use glassnet_scenarios::backend::Backend;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::lesson::Lesson;

use super::Status;
use crate::backends::{BACKENDS, Entry, Ran, Traced, Way};

/// A real kernel by its name.
impl ValueEnum for Entry {
    fn value_variants<'a>() -> &'a [Self] {
        BACKENDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.help))
    }
}

/// Which real kernel.
#[derive(clap::Args)]
pub(super) struct On {
    /// The real kernel; without it, the first of these that can run here
    #[arg(long, value_enum)]
    on: Option<Entry>,
}

/// Tells on standard error how long something took, wall time.
pub(super) struct Watch(Instant);

impl Watch {
    #[allow(clippy::disallowed_methods, reason = "real kernels live in real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn tell(&self, what: &str) {
        eprintln!("glassnet: {what} in {:.1?}", self.0.elapsed());
    }
}

/// A real kernel that was asked for.
pub(super) enum Opened {
    /// It is there to be used.
    Here(Box<dyn Backend>),
    /// It ran this whole command, which ended so.
    Ran(Status),
    /// It only tells which functions run, a boot for each lesson.
    Traced(fn(&Lesson) -> Result<Traced, BackendError>),
}

impl On {
    /// Opens it.
    pub fn open(&self) -> Result<Opened, BackendError> {
        self.open_with(Vec::new())
    }

    /// Opens it; a guest runs this command with these arguments, too.
    pub fn open_with(&self, more: Vec<OsString>) -> Result<Opened, BackendError> {
        let entry = self.on.map_or_else(best, Ok)?;
        match entry.way {
            Way::Here(open) => open().map(Opened::Here),
            Way::Traced(record) => (entry.check)().map(|()| Opened::Traced(record)),
            Way::Guest(run) => {
                let watch = Watch::start();
                let ran = run(on_host(more))?;
                let written =
                    io::stdout().write_all(&ran.output).and_then(|()| io::stderr().write_all(&ran.errors));
                written.map_err(BackendError::failed("cannot write"))?;
                watch.tell("1 boot");
                Ok(Opened::Ran(Status::Other(ran.status)))
            }
        }
    }
}

/// Runs this program with these arguments on a kernel of the model's version, if there is one.
pub(super) fn on_models_version(arguments: Vec<OsString>) -> Option<Result<Ran, BackendError>> {
    BACKENDS.iter().find_map(|entry| match entry.way {
        Way::Guest(run) if (entry.check)().is_ok() => Some(run(arguments.clone())),
        _ => None,
    })
}

/// The first of those that compare everything that can run here; which, and why no better one, is said.
fn best() -> Result<Entry, BackendError> {
    let mut missing = Vec::new();
    for entry in BACKENDS.iter().filter(|entry| !matches!(entry.way, Way::Traced(_))) {
        match (entry.check)() {
            Ok(()) => {
                let why = missing.iter().map(|why| format!(" ({why})")).collect::<String>();
                eprintln!("glassnet: on {}{why}", entry.name);
                return Ok(*entry);
            }
            Err(BackendError::Missing(what)) => {
                missing.extend(what.into_iter().map(|what| format!("{}: {what}", entry.name)));
            }
            Err(error) => return Err(error),
        }
    }
    Err(BackendError::Missing(missing))
}

/// The arguments of this process, with the kernel that it runs on in place of the one that was asked for.
fn on_host(more: Vec<OsString>) -> Vec<OsString> {
    let mut given = std::env::args_os().skip(1);
    let mut arguments = Vec::new();
    while let Some(argument) = given.next() {
        match argument.to_str() {
            Some("--on") => drop(given.next()),
            Some(text) if text.starts_with("--on=") => {}
            _ => arguments.push(argument),
        }
    }
    // Behind the subcommand: what follows `--` is no option.
    arguments.splice(1..1, ["--on".into(), "host".into()].into_iter().chain(more));
    arguments
}

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Get a kernel into the user's cache
    Build {
        /// Which
        #[arg(value_enum, default_value_t = Kernel::Uml)]
        kernel: Kernel,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kernel {
    /// Build User Mode Linux from Debian's package linux-source-6.1; takes some minutes
    Uml,
    /// Fetch Debian's newest linux-image-6.1.*-amd64-unsigned for QEMU, 70 MB
    Qemu,
}

pub(super) fn main(args: Args) -> io::Result<Status> {
    let Command::Build { kernel } = args.command;
    match build(kernel) {
        Ok(kernel) => writeln!(io::stdout().lock(), "{}", kernel.display()).map(|()| Status::Expected),
        Err(error) => {
            eprintln!("glassnet: {error}");
            Ok(Status::CouldNot)
        }
    }
}

#[cfg(target_os = "linux")]
fn build(kernel: Kernel) -> Result<PathBuf, BackendError> {
    match kernel {
        Kernel::Uml => crate::backends::uml::build(),
        Kernel::Qemu => crate::backends::qemu::fetch(),
    }
}

#[cfg(not(target_os = "linux"))]
fn build(_: Kernel) -> Result<PathBuf, BackendError> {
    Err(BackendError::Missing(vec!["kernel: kernels are booted on Linux only".to_owned()]))
}
