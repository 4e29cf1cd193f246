//! What runs inside a machine: the process that makes its namespaces, its first process, and the wrapper
//! around `ip` and `modprobe`. All are the `glassnet` binary itself, told apart by the name it was started under.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::probe::is_module_there;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, mkfifo, sethostname};

/// Name of the process that makes a machine's namespaces.
pub(super) const NAME_MACHINE: &str = "glassnet-machine";
/// Name of a machine's first process.
const NAME_INIT: &str = "glassnet-init";
/// Name of the process that owns the trace instance.
pub(super) const NAME_TRACER: &str = "glassnet-tracer";
/// Our corner of a machine's `/run`.
pub(super) const CORNER: &str = "/run/glassnet";
/// The real `ip`, beneath the wrapper.
const REAL_IP: &str = "/run/glassnet/real/ip";
/// The user's folders, beneath a machine's own.
const REAL: &str = "/run/glassnet/real";
/// Where Debian has plugins of container networks.
const CNI_PLUGINS: &str = "/usr/lib/cni";
/// Programs of ours that a machine's shell finds before the real ones.
const OURS: &str = "/run/glassnet/bin";
/// Exists once the machine has loaded `br_netfilter`.
pub(super) const BR_NETFILTER: &str = "/run/glassnet/br_netfilter";

/// Runs the helper that this process was started as, if it was started as one.
///
/// `main` calls this first, before it looks at arguments.
pub fn reentered() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let name = PathBuf::from(args.next()?);
    let args: Vec<OsString> = args.collect();
    let code = match name.file_name()?.to_str()? {
        NAME_MACHINE => report(machine(&args)),
        NAME_INIT => report(init()),
        NAME_TRACER => report(super::tracer::child(&args)),
        "ip" if Path::new(REAL_IP).exists() => report(wrapped_ip(&args)),
        "modprobe" if Path::new(CORNER).exists() => report(wrapped_modprobe(&args)),
        _ => return None,
    };
    Some(ExitCode::from(code))
}

fn report(result: io::Result<u8>) -> u8 {
    result.unwrap_or_else(|e| {
        eprintln!("glassnet host helper: {e}");
        125
    })
}

/// Makes the namespaces and starts the first process in them.
fn machine(args: &[OsString]) -> io::Result<u8> {
    use CloneFlags as C;
    unshare(C::CLONE_NEWNS | C::CLONE_NEWNET | C::CLONE_NEWUTS | C::CLONE_NEWIPC | C::CLONE_NEWPID)?;
    sethostname(args.first().map_or("machine".as_ref(), OsString::as_os_str))?;
    let status = Command::new(std::env::current_exe()?).arg0(NAME_INIT).spawn()?.wait()?;
    Ok(status.code().unwrap_or(125) as u8)
}

/// The first process: mounts, the shell, and reaping, until the shell or the backend is gone.
fn init() -> io::Result<u8> {
    std::thread::spawn(|| {
        // The backend holds the other end of this pipe and never writes: the end of file is its end.
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    mounts()?;
    let shell = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", DRIVER, "bash"])
        .env_clear()
        .env("PATH", format!("{OURS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
        .env("HOME", "/root")
        .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("TERM", "dumb"), ("USER", "root")])
        .current_dir("/root")
        .stdin(std::process::Stdio::null())
        .spawn()?;
    let shell = Pid::from_raw(shell.id() as i32);
    loop {
        match waitpid(None, None)? {
            WaitStatus::Exited(pid, code) if pid == shell => return Ok(code as u8),
            WaitStatus::Signaled(pid, signal, _) if pid == shell => return Ok(128 + signal as u8),
            _ => {}
        }
    }
}

/// Takes prompts from a fifo, runs each in this one shell (so that variables and jobs stay), and marks its
/// end with its status between two record separators on the terminal, where it cannot overtake output.
const DRIVER: &str = r#"__glassnet_status() { return "$1"; }
__glassnet_last=0
printf '\036%d\036' 0
while IFS= read -r -d '' __glassnet_prompt </run/glassnet/prompt; do
  __glassnet_status "$__glassnet_last"
  eval "$__glassnet_prompt"
  __glassnet_last=$?
  printf '\036%d\036' "$__glassnet_last"
done"#;

/// Everything read-only, then what a machine has of its own on top.
fn mounts() -> io::Result<()> {
    const NONE: Option<&str> = None;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    read_only_below_root()?;
    let tmpfs = |at: &str, mode: &str| mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(mode));
    tmpfs("/run", "mode=755")?;
    wrap_ip()?;
    wrap_modprobe()?;
    own_etc()?;
    own_cni()?;
    mkfifo("/run/glassnet/prompt", Mode::S_IRWXU)?;
    tmpfs("/tmp", "mode=1777")?;
    tmpfs("/root", "mode=700")?;
    // Open vSwitch keeps its database and its logs there.
    for at in ["/var/lib/openvswitch", "/var/log/openvswitch"] {
        if Path::new(at).exists() {
            tmpfs(at, "mode=755")?;
        }
    }
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), NONE)?;
    bind("/proc/sys", "/proc/sys")?;
    bind("/proc/sys/net", "/proc/sys/net")?;
    let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NONE, "/proc/sys", NONE, read_only, NONE)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), NONE)?;
    Ok(())
}

/// An `/etc` that a lesson can write to: links to what the user's has, but for what a lesson writes or must not find there.
/// Programs look names up in `/etc/hosts` only: a machine of a lesson has no name server.
fn own_etc() -> io::Result<()> {
    let hosts = fs::read("/etc/hosts").unwrap_or_default();
    own_folder("/etc", &["hosts", "nsswitch.conf", "netns", "openvswitch"])?;
    if Path::new(REAL).join("etc/openvswitch").exists() {
        fs::create_dir("/etc/openvswitch")?;
    }
    fs::write("/etc/hosts", hosts)?;
    fs::write("/etc/nsswitch.conf", "hosts: files\n")
}

/// Plugins of container networks where runtimes look for them, and a place for what they keep.
fn own_cni() -> io::Result<()> {
    own_folder("/opt", &["cni"])?;
    own_folder("/var/lib", &["cni"])?;
    fs::create_dir_all("/opt/cni/bin")?;
    if Path::new(CNI_PLUGINS).exists() { bind(CNI_PLUGINS, "/opt/cni/bin") } else { Ok(()) }
}

/// A folder that a lesson can write to: links to what the user's has, but for some.
fn own_folder(folder: &str, without: &[&str]) -> io::Result<()> {
    let real = Path::new(REAL).join(folder.trim_start_matches('/'));
    fs::create_dir_all(&real)?;
    bind(folder, &real)?;
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    for entry in fs::read_dir(&real)? {
        let (name, real) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        if name.to_str().is_none_or(|name| !without.contains(&name)) {
            // A link there may be relative to the folder.
            symlink(fs::read_link(&real).unwrap_or(real), Path::new(folder).join(&name))?;
        }
    }
    Ok(())
}

fn bind(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    mount(Some(from.as_ref()), to.as_ref(), None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(())
}

fn read_only_below_root() -> io::Result<()> {
    use nix::libc;
    let attr =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: mount_setattr(2) reads a C string and `size` bytes of `attr`, both alive for the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts this binary in front of `ip`, so that a new named namespace is prepared before anything uses it.
fn wrap_ip() -> io::Result<()> {
    fs::create_dir_all(format!("{CORNER}/real"))?;
    fs::write(REAL_IP, "")?;
    let ip = find_ip().ok_or_else(|| io::Error::other("ip is not in /usr/sbin, /sbin, /usr/bin or /bin"))?;
    bind(&ip, REAL_IP)?;
    bind(std::env::current_exe()?, &ip)
}

/// Puts this binary before `modprobe`. It is mounted there and no link, because it may lie below `/tmp`, which a machine
/// has of its own.
fn wrap_modprobe() -> io::Result<()> {
    let ours = format!("{OURS}/modprobe");
    fs::create_dir_all(OURS)?;
    fs::write(&ours, "")?;
    bind(std::env::current_exe()?, &ours)
}

/// The file behind `ip`, with links followed.
fn find_ip() -> Option<PathBuf> {
    ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"].iter().find_map(|p| fs::canonicalize(p).ok())
}

/// Becomes the real `ip`, except for what adds or deletes a named namespace: that runs beneath us, and the
/// backend is told before the prompt goes on, so that its taps and settings are in place (or let go) in time.
fn wrapped_ip(args: &[OsString]) -> io::Result<u8> {
    let mut real = Command::new(REAL_IP);
    real.arg0("ip").args(args);
    if !changes_namespaces(args) {
        return Err(real.exec());
    }
    let status = real.status()?;
    let mut backend = UnixStream::connect(format!("{CORNER}/hook"))?;
    backend.write_all(b"\n")?;
    let _ = backend.read(&mut [0])?;
    Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(125) as u8)
}

/// Modules belong to the host, so `modprobe br_netfilter` switches on for this machine what the module would: the bridges of
/// all its namespaces call iptables. A module that is there needs no loading: the folder of modules may be that of another
/// kernel than the running one. Other modules are looked for by the real `modprobe`.
fn wrapped_modprobe(args: &[OsString]) -> io::Result<u8> {
    if args.iter().all(|arg| arg != "br_netfilter") {
        if let [name] = args
            && name.to_str().is_some_and(is_module_there)
        {
            return Ok(0);
        }
        return Err(Command::new("/sbin/modprobe").args(args).exec());
    }
    fs::write(BR_NETFILTER, "")?;
    let own = fs::File::open("/proc/self/ns/net")?;
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for netns in std::iter::once(Ok(own)).chain(named.map(|entry| fs::File::open(entry.path()))) {
        super::spaces::within(&netns?, || super::spaces::bridges_call(true))?;
    }
    Ok(0)
}

/// Whether the arguments may add or delete a named namespace, on the side of yes.
fn changes_namespaces(args: &[OsString]) -> bool {
    let args: Vec<_> = args.iter().filter_map(|a| a.to_str()).collect();
    let verb = |v: &str| ["add", "attach", "delete"].iter().any(|full| !v.is_empty() && full.starts_with(v));
    args.windows(2).any(|w| w[0].len() > 2 && "netns".starts_with(w[0]) && verb(w[1]))
        || args.iter().any(|a| a.starts_with("-b") && "-batch".starts_with(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_changes_are_seen_through_abbreviations_and_options() {
        let says = |line: &str| changes_namespaces(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(says("netns add blue"));
        assert!(says("-4 netns del blue"));
        assert!(says("netn a blue"));
        assert!(says("-b file"));
        assert!(!says("netns exec blue ip addr"));
        assert!(!says("netns"));
        assert!(!says("-br addr"));
        assert!(!says("neigh add 10.0.0.1 dev eth0"));
    }
}
