//! Tracepoints, from a trace instance of our own.
//!
//! The instance belongs to a child process, so that it goes away when the backend does: the child removes
//! it when its standard input ends.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use glassnet_scenarios::error::BackendError;
use nix::mount::{MsFlags, mount};

use super::Host;
use super::inside::NAME_TRACER;

const TRACEFS: &str = "/sys/kernel/tracing";

/// The tracepoints that are read, as `group/name`. `sched_process_fork` tells which processes are a lesson's;
/// `kmem_cache_free` and `skb_copy_datagram_iovec` tell which buffers are done with, as readers of sockets free theirs
/// silently, and some through a list that tells nothing either.
const EVENTS: [&str; 16] = [
    "net/net_dev_queue",
    "net/net_dev_start_xmit",
    "net/netif_rx",
    "net/netif_receive_skb",
    "skb/kfree_skb",
    "skb/consume_skb",
    "skb/skb_copy_datagram_iovec",
    "fib/fib_table_lookup",
    "neigh/neigh_create",
    "neigh/neigh_update",
    "bridge/br_fdb_add",
    "bridge/br_fdb_update",
    "bridge/fdb_delete",
    "icmp/icmp_send",
    "sched/sched_process_fork",
    FREED,
];

const FREED: &str = "kmem/kmem_cache_free";
/// The caches of packet buffers (net/core/skbuff.c).
const BUFFERS: &str = "name ~ \"skbuff_*\"";

/// A trace instance, made and removed by this process. The thread that opens it sees tracefs, the others may not.
pub(super) struct Instance {
    path: PathBuf,
    pipe: Option<File>,
}

impl Instance {
    /// Makes it, switched off. Its name ends in `-` and the id of this process.
    pub fn open(name: &str) -> io::Result<Self> {
        mount_tracefs()?;
        remove_stale();
        let path = Path::new(TRACEFS).join("instances").join(name);
        fs::create_dir(&path)?;
        let mut instance = Self { path, pipe: None };
        instance.prepare()?;
        Ok(instance)
    }

    fn prepare(&mut self) -> io::Result<()> {
        let write = |file: &str, text: &str| fs::write(self.path.join(file), text);
        write("tracing_on", "0")?;
        write("trace_clock", "mono")?;
        write("buffer_size_kb", "8192")?;
        fs::write(self.path.join("events").join(FREED).join("filter"), BUFFERS)?;
        // Addresses as they are: a clone that lies beside its original is freed with it. Where all are printed so, Linux 6.1
        // would lose the names of devices.
        if !fs::read_to_string("/proc/cmdline")?.contains("no_hash_pointers") {
            write("options/hash-ptr", "0")?;
        }
        let drops = self.path.join("events/skb/kfree_skb");
        if !fs::read_to_string(drops.join("format"))?.contains("QUEUE_PURGE") {
            // A kernel that does not say that a queue was purged says at least who did it.
            fs::write(drops.join("trigger"), "stacktrace if protocol != 0")?;
        }
        for event in EVENTS {
            fs::write(self.path.join("events").join(event).join("enable"), "1")?;
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(nix::libc::O_NONBLOCK);
        self.pipe = Some(options.open(self.path.join("trace_pipe"))?);
        Ok(())
    }

    /// Switches recording on or off.
    pub fn switch(&self, on: bool) -> io::Result<()> {
        fs::write(self.path.join("tracing_on"), if on { "1" } else { "0" })
    }

    /// Writes a line of our own among the events.
    pub fn mark(&self, text: &str) -> io::Result<()> {
        fs::write(self.path.join("trace_marker"), text)
    }

    /// Copies what was recorded since the last time.
    pub fn take(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut buffer = vec![0; 1 << 16];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => out.write_all(&buffer[..n])?,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.switch(false);
        let _ = fs::write(self.path.join("events/enable"), "0");
        // The directory goes only when nobody has its files open.
        drop(self.pipe.take());
        let _ = fs::remove_dir(&self.path);
    }
}

/// The child: makes the instance, copies its text to standard output, removes it at the end of its input.
pub(super) fn child(args: &[OsString]) -> io::Result<u8> {
    let name =
        args.first().and_then(|name| name.to_str()).ok_or_else(|| io::Error::other("no instance name"))?;
    copy(&mut Instance::open(name)?).map(|()| 0)
}

fn mount_tracefs() -> io::Result<()> {
    const NONE: Option<&str> = None;
    if Path::new(TRACEFS).join("instances").exists() {
        return Ok(());
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("tracefs"), TRACEFS, Some("tracefs"), MsFlags::empty(), NONE)?;
    Ok(())
}

/// Removes what a tracer left that was itself killed: its name ends in a process id that is no more.
fn remove_stale() {
    for entry in fs::read_dir(format!("{TRACEFS}/instances")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid =
            name.strip_prefix("glassnet-").and_then(|rest| rest.rsplit('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn copy(instance: &mut Instance) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = ended.clone();
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::Release);
    });
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    loop {
        let last_round = ended.load(Ordering::Acquire);
        match instance.take(&mut out).and_then(|()| out.flush()) {
            // A reader that is gone is the end too: the instance still has to be removed.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(e) => return Err(e),
            Ok(()) if last_round => return Ok(()),
            Ok(()) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The backend's side of the tracer.
pub(super) struct Tracer {
    child: Child,
    lifeline: Option<ChildStdin>,
    lines: Option<JoinHandle<Vec<String>>>,
    instance: PathBuf,
}

impl Tracer {
    /// Starts the tracer, switched off.
    pub fn start(host: &Host) -> Result<Self, BackendError> {
        let failed = || BackendError::failed("cannot start the tracer");
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let name = format!("glassnet-{}-{}", COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
        let mut child = Command::new(&host.helper)
            .arg0(NAME_TRACER)
            .arg(&name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed())?;
        let lifeline = child.stdin.take();
        let mut out =
            BufReader::new(child.stdout.take().ok_or_else(|| failed()(io::Error::other("no output")))?);
        let mut first = String::new();
        out.read_line(&mut first).map_err(failed())?;
        if first.trim() != "ready" {
            return Err(failed()(io::Error::other("it did not get ready")));
        }
        let lines = std::thread::spawn(move || out.lines().map_while(Result::ok).collect());
        let instance = PathBuf::from(format!("/proc/{}/root{TRACEFS}/instances/{name}", child.id()));
        Ok(Self { child, lifeline, lines: Some(lines), instance })
    }

    /// Switches recording on or off.
    pub fn switch(&self, on: bool) -> Result<(), BackendError> {
        fs::write(self.instance.join("tracing_on"), if on { "1" } else { "0" })
            .map_err(BackendError::failed("cannot switch tracing"))
    }

    /// Writes a line of our own among the events.
    pub fn mark(&self, text: &str) -> Result<(), BackendError> {
        fs::write(self.instance.join("trace_marker"), text)
            .map_err(BackendError::failed("cannot mark the trace"))
    }

    /// Ends the tracer and returns its lines.
    pub fn finish(mut self) -> Vec<String> {
        drop(self.lifeline.take());
        let lines = self.lines.take().and_then(|l| l.join().ok()).unwrap_or_default();
        let _ = self.child.wait();
        lines
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.child.wait();
    }
}
