//! User Mode Linux in virtual time: a Linux 6.1 that is a process. No privileges are needed, `sleep 1000` takes no time, and
//! two boots do the same.
//!
//! It boots on this machine's own files and runs this very command in itself, with `--on host`: what
//! [`host`](super::host) does on the running kernel it does there, so there is one way to run a lesson on a real kernel.
//! One boot serves all lessons of a command.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | a boot, seen from outside |
//! | `guest.rs` | its first process |
//! | `kernel.rs`, `build.sh`, `kernel.config` | the kernel: where it is, how it is built |
//!
//! Linux: Documentation/virt/uml/user_mode_linux_howto_v2.rst

mod guest;
mod kernel;

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glassnet_scenarios::error::BackendError;
use nix::sys::personality::{self, Persona};
use serde::{Deserialize, Serialize};

use super::boot::wait;
use super::{Ran, last_lines};

pub(super) use guest::reentered;
pub use kernel::build;
use kernel::find;

/// How long a boot may take, wall time: a program that waits for a time without sleeping waits for ever, because computing
/// takes no virtual time.
const WALL_LIMIT: Duration = Duration::from_secs(3600);

/// Memory of the guest. What it does not use is not taken.
const MEMORY: &str = "mem=1G";

/// Names of files in the folder that both sides of a boot know.
const JOB: &str = "job.json";
const OUTPUT: &str = "output";
const ERRORS: &str = "errors";
const STATUS: &str = "status";
const CONSOLE: &str = "console";

/// What the guest is to run.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: PathBuf,
}

/// Whether the kernel is built.
pub(super) fn check() -> Result<(), BackendError> {
    find().map(drop)
}

/// Runs this program with these arguments in a guest.
pub(super) fn run(arguments: Vec<OsString>) -> Result<Ran, BackendError> {
    let kernel = find()?;
    if arguments.iter().any(|argument| argument == "-") {
        let why = "`-`: a kernel that is booted does not see this standard input; name a file";
        return Err(BackendError::Plan(why.to_owned()));
    }
    let failed = || BackendError::failed("cannot boot User Mode Linux");
    let folder = tempfile::Builder::new().prefix("glassnet-uml-").tempdir().map_err(failed())?;
    let program = std::env::current_exe().map_err(failed())?;
    let directory = std::env::current_dir().map_err(failed())?;
    let job = Job { program, arguments, directory };
    let text = serde_json::to_vec(&job).map_err(io::Error::from).map_err(failed())?;
    fs::write(folder.path().join(JOB), text).map_err(failed())?;
    if io::stderr().is_terminal() {
        eprintln!("booting {} …", kernel.display());
    }
    let mut guest = boot(&kernel, &job.program, folder.path()).map_err(failed())?;
    let halted = wait(&mut guest, WALL_LIMIT).map_err(failed())?;
    let status = fs::read_to_string(folder.path().join(STATUS)).ok().and_then(|status| status.parse().ok());
    let [output, errors] =
        [OUTPUT, ERRORS].map(|name| fs::read(folder.path().join(name)).unwrap_or_default());
    status.map(|status| Ran { status, output, errors }).ok_or_else(|| {
        let why = if halted { "it halted without an answer" } else { "it did not end within an hour" };
        let console = fs::read(folder.path().join(CONSOLE)).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        failed()(io::Error::other(format!("{why}; its console:\n{}", last_lines(&console, 20))))
    })
}

fn boot(kernel: &Path, program: &Path, folder: &Path) -> io::Result<Child> {
    // Its memory begins behind its program: at the same address in every boot, because hashes of pointers decide in which order
    // tables are listed. The child inherits this; where it is not allowed, lists come in another order.
    let _ = personality::get().and_then(|now| personality::set(now | Persona::ADDR_NO_RANDOMIZE));
    let console = fs::File::create(folder.join(CONSOLE))?;
    let init = |path: &Path| {
        let mut argument = OsString::from("init=");
        argument.push(path);
        argument
    };
    // It ends with this process, also with one that is killed.
    Command::new("setpriv")
        .args(["--pdeathsig", "SIGKILL"])
        .arg(kernel)
        .args(["time-travel=inf-cpu", "quiet", "no_hash_pointers", "rootfstype=hostfs", "rootflags=/", "rw"])
        .args([MEMORY, "con=null", "con0=fd:0,fd:1"])
        .arg(init(program))
        .args(["--", guest::NAME])
        .current_dir(folder)
        // Where it puts the socket of its console.
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
}
