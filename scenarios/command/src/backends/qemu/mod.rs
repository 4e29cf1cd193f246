//! QEMU: Debian's Linux 6.1 with real drivers and the function tracer, which tells the order of functions. No privileges are
//! needed.
//!
//! A boot serves one lesson. The guest's files are this machine's, which it can read but not change, its first process is this
//! program, and the machines of the lesson are namespaces in it, as on the [`host`](super::host); cards are QEMU's. Time is
//! real: where QEMU counts instructions as time (`-icount`) it jumps over each wait for a file, and with two CPUs the guest does
//! not boot.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | a boot, seen from outside |
//! | `guest.rs` | its first process |
//! | `tracer.rs` | the function tracer |
//! | `cards.rs` | cards and cables |
//! | `initramfs.rs` | its first file system |
//! | `kernel.rs` | the kernel: where it is, how it is fetched |
//!
//! QEMU: <https://www.qemu.org/docs/master/system/invocation.html>

mod cards;
mod guest;
mod initramfs;
mod kernel;
mod tracer;

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::functions::{from_trace, traced};
use glassnet_scenarios::lesson::{Lesson, Topology};
use glassnet_scenarios::plan::Plan;
use serde::{Deserialize, Serialize};

use self::cards::Card;
use self::kernel::{Kernel, find};
use super::boot::wait;
use super::{Traced, is_there, last_lines};

pub(super) use guest::reentered;
pub use kernel::fetch;

/// How long a lesson may take, wall time.
const WALL_LIMIT: Duration = Duration::from_secs(600);

const QEMU: &str = "qemu-system-x86_64";

/// Parameters of the kernel. AppArmor or SELinux would look at every packet that leaves; IPv6 is not modelled, and sends by itself;
/// the audit system sends messages of its own.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 mitigations=off lsm=yama ipv6.disable=1 audit=0";

/// A busybox that needs no libraries.
const BUSYBOX: &str = "/bin/busybox";

/// The mount tag of the job's folder.
const JOB_TAG: &str = "job";

/// Names of files in the job's folder.
const JOB: &str = "job.json";
const TRACE: &str = "trace";
const AVAILABLE: &str = "available";
const ALL: &str = "all";
/// Empty if all is well, else why not.
const STATUS: &str = "status";
const CONSOLE: &str = "console";

/// What the guest is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    /// The lesson's path, which tells its syntax, and its text.
    lesson: PathBuf,
    source: String,
    cards: Vec<Card>,
    /// The folder of the kernel's modules, as this machine sees it.
    modules: PathBuf,
}

/// Whether it can run here.
pub(super) fn check() -> Result<(), BackendError> {
    let mut missing = Vec::new();
    if !is_there(QEMU) {
        missing.push("tool: no QEMU (package qemu-system-x86)".to_owned());
    }
    let busybox = fs::read(BUSYBOX).unwrap_or_default();
    if busybox.is_empty() || busybox.windows(11).any(|part| part == b"/ld-linux-x") {
        missing.push(format!("tool: no {BUSYBOX} that needs no libraries (package busybox-static)"));
    }
    match find() {
        Err(BackendError::Missing(more)) => missing.extend(more),
        other => drop(other?),
    }
    if missing.is_empty() { Ok(()) } else { Err(BackendError::Missing(missing)) }
}

/// Boots the kernel for a lesson, and tells which functions ran.
pub(super) fn record(lesson: &Lesson) -> Result<Traced, BackendError> {
    check()?;
    let (kernel, plan) = (find()?, Plan::from(lesson));
    let cards = cards::of(&plan.topology)?;
    let failed = || BackendError::failed("cannot boot Linux in QEMU");
    let folder = tempfile::Builder::new().prefix("glassnet-qemu-").tempdir().map_err(failed())?;
    let program = std::env::current_exe().map_err(failed())?;
    let (path, source, modules) = (lesson.path.clone(), lesson.source.clone(), kernel.modules());
    let job = Job { lesson: path, source, cards, modules };
    let text = serde_json::to_vec(&job).map_err(io::Error::from).map_err(failed())?;
    fs::write(folder.path().join(JOB), text).map_err(failed())?;
    let program =
        program.to_str().ok_or_else(|| failed()(io::Error::other("this program's path is not UTF-8")))?;
    let command = format!("'{}' {}", program.replace('\'', r"'\''"), guest::NAME);
    let archive = initramfs::archive(&kernel, Path::new(BUSYBOX), &command).map_err(failed())?;
    fs::write(folder.path().join("initramfs"), archive).map_err(failed())?;
    let devices = Command::new(QEMU).args(["-device", "help"]).output().map_err(failed())?;
    let cards = cards::arguments(&job.cards, &String::from_utf8_lossy(&devices.stdout))?;
    if io::stderr().is_terminal() {
        eprintln!("booting {} for {} …", kernel.release, plan.lesson);
    }
    let mut guest = boot(&kernel, &plan.topology, &cards, folder.path()).map_err(failed())?;
    let halted = wait(&mut guest, WALL_LIMIT).map_err(failed())?;
    let read = |name: &str| {
        fs::read(folder.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    match read(STATUS) {
        Ok(why) if why.is_empty() => {}
        Ok(why) => return Err(failed()(io::Error::other(why))),
        Err(_) => {
            let why = match halted {
                true => "it halted without an answer".to_owned(),
                false => format!("it did not end within {} s", WALL_LIMIT.as_secs()),
            };
            let console = last_lines(&read(CONSOLE).unwrap_or_default(), 20);
            return Err(failed()(io::Error::other(format!("{why}; its console:\n{console}"))));
        }
    }
    let [trace, available, all] = [TRACE, AVAILABLE, ALL].map(|name| read(name).map_err(failed()));
    let version = format!("linux {} (qemu)", kernel.release);
    let recording = from_trace(&plan, &version, &traced(&available?), &trace?)?;
    Ok(Traced { recording, available: glassnet_scenarios::functions::names(&traced(&all?)) })
}

fn boot(kernel: &Kernel, topology: &Topology, cards: &[OsString], folder: &Path) -> io::Result<Child> {
    let console = fs::File::create(folder.join(CONSOLE))?;
    let cpus = topology.nodes.values().map(|node| node.cpus).max().unwrap_or(1);
    // A comma in a path would begin another option.
    let share = |tag: &str, path: &Path, more: &str| {
        let path = path.display().to_string().replace(',', ",,");
        [
            "-fsdev".to_owned(),
            format!("local,id={tag},path={path},security_model=none,multidevs=remap{more}"),
            "-device".to_owned(),
            format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
        ]
    };
    // It ends with this process, also with one that is killed.
    Command::new("setpriv")
        .args(["--pdeathsig", "SIGKILL", QEMU])
        .args(["-accel", "tcg", "-cpu", "max", "-m", "1024", "-smp"])
        .arg(cpus.to_string())
        .args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel"])
        .arg(kernel.image())
        .arg("-initrd")
        .arg(folder.join("initramfs"))
        .args(["-append", COMMAND_LINE])
        .args(share(initramfs::ROOT_TAG, Path::new("/"), ",readonly=on"))
        .args(share(JOB_TAG, folder, ""))
        .args(cards)
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
}
