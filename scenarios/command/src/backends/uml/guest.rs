//! The first process of a guest: it makes the machine ready, runs the job and switches off.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use glassnet_kernel::kernel::BOOT_TIME;
use glassnet_scenarios::error::BackendError;
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::time::{ClockId, clock_settime};
use nix::unistd::{Pid, getpid};

use super::{ERRORS, JOB, Job, OUTPUT, STATUS};
use crate::backends::guest::{FOLDER, link_streams, mount_kind, no_fallback_tunnels, switch_off};

/// Argument of the first process.
pub(super) const NAME: &str = "glassnet-guest";

/// Runs the first process of a guest, if this is it.
pub fn reentered() -> Option<ExitCode> {
    // The kernel puts words of its own behind ours.
    if std::env::args_os().nth(1)? != NAME || getpid() != Pid::from_raw(1) {
        return None;
    }
    if let Err(error) = first_process(Path::new(FOLDER)) {
        eprintln!("glassnet guest: {error}");
    }
    let Err(error) = switch_off();
    eprintln!("glassnet guest: cannot switch off: {error}");
    Some(ExitCode::FAILURE)
}

fn first_process(folder: &Path) -> Result<(), BackendError> {
    let failed = BackendError::failed;
    mounts()?;
    let job = fs::read(folder.join(JOB)).map_err(failed("cannot read the job"))?;
    let job: Job =
        serde_json::from_slice(&job).map_err(io::Error::from).map_err(failed("cannot understand the job"))?;
    no_fallback_tunnels()?;
    // `ping` takes a clock whose seconds are 0 for one that is not set.
    std::thread::sleep(Duration::from_secs(1000));
    let now = TimeSpec::new(BOOT_TIME as i64, 0);
    clock_settime(ClockId::CLOCK_REALTIME, now)
        .map_err(io::Error::from)
        .map_err(failed("cannot set the clock"))?;
    // Timers of programs expire when they say, and not up to 50 µs later, which adds up; the program inherits this.
    set_timerslack(1).map_err(io::Error::from).map_err(failed("cannot set the timer slack"))?;
    schedule_as(0, nix::libc::SCHED_BATCH, 0).map_err(failed("cannot choose a scheduling policy"))?;
    softirqs_first().map_err(failed("cannot choose a scheduling policy of ksoftirqd"))?;
    let file = |name: &'static str| File::create(folder.join(name)).map_err(failed(name));
    let program = Command::new(&job.program)
        .args(&job.arguments)
        .current_dir(&job.directory)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        // A page that was given back and is needed again is what computing costs most here.
        .envs([("MALLOC_TRIM_THRESHOLD_", "1000000000"), ("MALLOC_MMAP_THRESHOLD_", "1000000000")])
        .env("MALLOC_TOP_PAD_", "16000000")
        .stdin(Stdio::null())
        .stdout(file(OUTPUT)?)
        .stderr(file(ERRORS)?)
        .spawn()
        .map_err(failed("cannot start the program"))?;
    let status = reap_until(Pid::from_raw(program.id() as i32)).map_err(failed("cannot wait"))?;
    fs::write(folder.join(STATUS), status.to_string()).map_err(failed("cannot write the status"))
}

/// Softirqs run before any program goes on. While `ksoftirqd` is ready to run, the kernel leaves all softirqs to it, also those of
/// packets that a program sends; and on one CPU the RCU of this kernel wakes it whenever a process has ended or a file was closed.
fn softirqs_first() -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let Some(pid) = pid
            && fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("ksoftirqd/"))
        {
            schedule_as(pid, nix::libc::SCHED_FIFO, 1)?;
        }
    }
    Ok(())
}

/// Chooses the scheduling policy of a process, 0: this one. With `SCHED_BATCH` a program that is woken does not interrupt the one that
/// woke it: as in the model, a program goes on until it waits. What a normal policy (`SCHED_OTHER`) would do depends on how long each
/// has computed. Programs that are started later inherit it.
fn schedule_as(pid: i32, policy: i32, priority: i32) -> io::Result<()> {
    let parameters = nix::libc::sched_param { sched_priority: priority };
    // SAFETY: the parameters are read during the call.
    let done = unsafe { nix::libc::sched_setscheduler(pid, policy, &raw const parameters) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits for all children until this one ends; its status.
fn reap_until(program: Pid) -> io::Result<u8> {
    loop {
        match waitpid(None, None)? {
            WaitStatus::Exited(pid, code) if pid == program => return Ok(code as u8),
            WaitStatus::Signaled(pid, signal, _) if pid == program => return Ok(128 + signal as u8),
            _ => {}
        }
    }
}

/// What a kernel gives; files are those of the machine outside. The folder of the job is the one that the kernel, a process
/// outside, was started in: its name is not on the command line, because that goes into the kernel's random numbers.
fn mounts() -> Result<(), BackendError> {
    // `/dev` is the kernel's own: it has devices and nothing else.
    for folder in ["/dev/pts", FOLDER] {
        fs::create_dir(folder).map_err(BackendError::failed("cannot prepare /dev"))?;
    }
    link_streams()?;
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devpts", "/dev/pts")] {
        mount_kind(kind, at, kind, "")?;
    }
    mount_kind("hostfs", FOLDER, "hostfs", "/proc/self/cwd")
}
