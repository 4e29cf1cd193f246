//! A running machine, seen from outside: its processes, its shell's terminal, its files.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::rig::Said;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::Host;
use super::inside::{CORNER, NAME_MACHINE};

/// A machine. Dropping it ends all of its processes.
pub(super) struct Machine {
    /// Host name.
    pub name: String,
    /// Process id of its first process, as this process sees it.
    pub pid: u32,
    shell: u32,
    outer: Child,
    /// Held open: its end tells the machine to end.
    lifeline: Option<ChildStdin>,
    terminal: File,
    prompts: File,
}

/// Why a prompt has no status.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoStatus {
    /// The prompt took longer than allowed.
    TimedOut,
    /// The shell is gone.
    Ended,
}

impl Machine {
    /// Starts a machine and waits for its shell.
    pub fn start(name: &str, host: &Host) -> Result<Self, BackendError> {
        let failed = || BackendError::failed(format!("cannot start machine {name}"));
        let (terminal, slave) = raw_terminal().map_err(failed())?;
        let error = slave.try_clone().map_err(failed())?;
        let mut outer = Command::new(&host.helper)
            .arg0(NAME_MACHINE)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(slave)
            .stderr(error)
            .spawn()
            .map_err(failed())?;
        let lifeline = outer.stdin.take();
        let mut ready = Starting { outer, lifeline, terminal };
        let first = read_status(&mut ready.terminal, Duration::from_secs(20));
        if first.1 != Ok(0) {
            return Err(failed()(std::io::Error::other(first.0)));
        }
        let pid = child_of(ready.outer.id()).map_err(failed())?;
        let shell = child_of(pid).map_err(failed())?;
        let fifo = format!("/proc/{pid}/root{CORNER}/prompt");
        let prompts = OpenOptions::new().read(true).write(true).open(fifo).map_err(failed())?;
        let Starting { outer, lifeline, terminal } = ready;
        Ok(Self { name: name.into(), pid, shell, outer, lifeline, terminal, prompts })
    }

    /// Process ids of its first process and its shell.
    pub fn pids(&self) -> [u32; 2] {
        [self.pid, self.shell]
    }

    /// A path of this machine as this process can open it.
    pub fn path(&self, inside: &str) -> PathBuf {
        format!("/proc/{}/root{inside}", self.pid).into()
    }

    /// The machine's own network namespace.
    pub fn netns(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.pid).into()
    }

    /// The socket on which the wrapper around `ip` tells of namespaces added or deleted.
    pub fn hook(&self) -> Result<UnixListener, BackendError> {
        UnixListener::bind(self.path(&format!("{CORNER}/hook")))
            .map_err(BackendError::failed("cannot listen in a machine"))
    }

    /// Types a prompt and waits for its status; returns what it printed in any case.
    pub fn prompt(&mut self, command: &str, timeout: Duration) -> (String, Result<i32, NoStatus>) {
        let mut line = command.as_bytes().to_vec();
        line.push(0);
        if self.prompts.write_all(&line).is_err() {
            return (String::new(), Err(NoStatus::Ended));
        }
        read_status(&mut self.terminal, timeout)
    }

    /// What was printed since the last prompt ended.
    pub fn printed(&mut self) -> String {
        let mut seen = Vec::new();
        while let Ok(1) =
            poll(&mut [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)
        {
            let mut buffer = [0; 4096];
            match self.terminal.read(&mut buffer) {
                Ok(n) if n > 0 => seen.extend_from_slice(&buffer[..n]),
                _ => break,
            }
        }
        text(&seen)
    }

    /// Runs a program to its end in the machine, beside its shell, with `stdin`.
    pub fn run(&self, argv: &[&str], stdin: &str) -> Result<Said, BackendError> {
        let started = || BackendError::failed("cannot start a program");
        let mut command = self.command(argv);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(started())?;
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read its input to the end has said why.
            let _ = input.write_all(stdin.as_bytes());
        }
        let (mut text, mut error) = (String::new(), String::new());
        child.stdout.take().map(|mut out| out.read_to_string(&mut text)).transpose().map_err(started())?;
        child.stderr.take().map(|mut out| out.read_to_string(&mut error)).transpose().map_err(started())?;
        let status = child.wait().map_err(started())?;
        Ok(Said { status: status.code().unwrap_or(-1), text: text + &error })
    }

    /// Runs a program in the machine, beside its shell, without the wrapper around `ip`.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string(), "-m", "-n", "-u", "-i", "-p", "--"]).args(argv);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/run/glassnet/real:/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.outer, &mut self.lifeline);
    }
}

/// A machine that is not ready yet; dropped, it ends.
struct Starting {
    outer: Child,
    lifeline: Option<ChildStdin>,
    terminal: File,
}

fn end(outer: &mut Child, lifeline: &mut Option<ChildStdin>) {
    drop(lifeline.take());
    let _ = outer.wait();
}

/// A terminal that passes bytes as they are, so that programs buffer by the line as they do for a person. It is one
/// column wide: `ls` prints a name a line, as the simulator's does.
pub(super) fn raw_terminal() -> std::io::Result<(File, OwnedFd)> {
    let narrow = Winsize { ws_row: 24, ws_col: 1, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&narrow, None)?;
    let mut modes = tcgetattr(&pty.slave)?;
    cfmakeraw(&mut modes);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &modes)?;
    set_close_on_exec(&pty.master)?;
    set_close_on_exec(&pty.slave)?;
    Ok((File::from(pty.master), pty.slave))
}

fn set_close_on_exec(fd: &impl AsFd) -> std::io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Reads the terminal up to the next status between record separators.
fn read_status(terminal: &mut File, timeout: Duration) -> (String, Result<i32, NoStatus>) {
    let deadline = Instant::now() + timeout;
    let mut seen = Vec::new();
    loop {
        if let Some((output, status)) = split_status(&seen) {
            return (output, Ok(status));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (text(&seen), Err(NoStatus::TimedOut));
        }
        let wait = PollTimeout::try_from(left.min(Duration::from_secs(10))).unwrap_or(PollTimeout::MAX);
        if let Ok(0) = poll(&mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)], wait) {
            continue;
        }
        let mut buffer = [0; 4096];
        match terminal.read(&mut buffer) {
            Ok(n) if n > 0 => seen.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            _ => return (text(&seen), Err(NoStatus::Ended)),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Output and status, once the status is complete. What a background job writes after it within the same
/// read belongs to the time between two prompts and stays with the prompt that ended.
fn split_status(seen: &[u8]) -> Option<(String, i32)> {
    let mut marks = seen.iter().enumerate().filter(|(_, b)| **b == 0o36).map(|(at, _)| at);
    let (first, second) = (marks.next()?, marks.next()?);
    let status = text(&seen[first + 1..second]).parse().ok()?;
    Some((text(&[&seen[..first], &seen[second + 1..]].concat()), status))
}

/// The one child of a process.
fn child_of(parent: u32) -> std::io::Result<u32> {
    let line = format!("PPid:\t{parent}");
    fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|s| s.lines().any(|l| l == line))
        })
        .ok_or_else(|| std::io::Error::other("its first process is gone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_taken_out_of_the_output() {
        assert_eq!(split_status(b"hello\n\x1e0\x1e"), Some(("hello\n".into(), 0)));
        assert_eq!(split_status(b"\x1e127\x1elate"), Some(("late".into(), 127)));
        assert_eq!(split_status(b"half \x1e12"), None);
    }
}
