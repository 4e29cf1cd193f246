//! Tables and counters of a network namespace, as the tools and `/proc` tell them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::dump_value;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use serde_json::Value;

use super::spaces::within;

/// Reads tables of a network namespace.
pub(super) fn read<'a>(
    netns: &File,
    dumps: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Value>, BackendError> {
    let jobs = jobs(dumps);
    let said = within(netns, || jobs.iter().map(Job::run).collect::<io::Result<Vec<_>>>())
        .map_err(BackendError::failed("cannot read tables"))?;
    let mut tables = BTreeMap::new();
    for (job, said) in jobs.iter().zip(&said) {
        tables.extend(job.lines.iter().map(|line| (*line).to_owned()).zip(job.understood(said)?));
    }
    Ok(tables)
}

/// What one dump prints, in the namespace of this thread.
pub(super) fn dump(line: &str) -> io::Result<String> {
    jobs(std::iter::once(line)).iter().map(Job::run).collect()
}

/// What one dump said.
///
/// # Errors
///
/// [`BackendError::NotUnderstood`] if it should be JSON and is not.
pub(super) fn understood(line: &str, said: &str) -> Result<Value, BackendError> {
    let values =
        jobs(std::iter::once(line)).iter().map(|job| job.understood(said)).collect::<Result<Vec<_>, _>>()?;
    Ok(values.concat().pop().unwrap_or_default())
}

/// Dumps that one process makes. To start a process takes longer than all else (as User Mode Linux 0.1 s), so dumps of one
/// program with the same options are a batch of it, and files are read here.
struct Job<'a> {
    lines: Vec<&'a str>,
    /// Program and options.
    program: Vec<&'a str>,
    /// The rest of each line.
    rest: Vec<&'a str>,
}

fn jobs<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job> = Vec::new();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let at = 1 + words[1..].iter().take_while(|word| word.starts_with('-')).count();
        let (program, rest) = (words[..at].to_vec(), line[words[..at].join(" ").len()..].trim_start());
        match jobs.iter_mut().find(|job| job.program == program && job.is_batch()) {
            Some(job) => (job.lines.push(line), job.rest.push(rest)).1,
            None => jobs.push(Job { lines: vec![line], program, rest: vec![rest] }),
        }
    }
    jobs
}

impl Job<'_> {
    /// A program that takes a batch of commands and answers each with a line of JSON.
    fn is_batch(&self) -> bool {
        ["ip", "bridge"].contains(&self.program[0])
    }

    /// What it prints on standard output, in the namespace of this thread.
    fn run(&self) -> io::Result<String> {
        if self.program[0] == "cat" {
            let file = match self.rest[0].strip_prefix("/proc/net/") {
                // `/proc/net` is that of the process, not of the thread.
                Some(file) => format!("/proc/thread-self/net/{file}"),
                None => self.rest[0].to_owned(),
            };
            return Ok(fs::read_to_string(file).unwrap_or_default());
        }
        if self.program[0] == "sysctl" {
            let mut settings = String::new();
            SETTINGS.iter().for_each(|folder| list_settings(Path::new(folder), &mut settings));
            return Ok(settings);
        }
        // A program that would print nothing is not started. Tables of the old kind would even be made by asking for one.
        let has_some = match self.program[0] {
            "iptables-legacy-save" => has_legacy_tables(),
            "iptables-save" => lists(NFT_MSG_GETTABLE, &[])?,
            "ipset" => lists(IPSET_CMD_LIST, &IPSET_PROTOCOL)?,
            _ => true,
        };
        if !has_some {
            return Ok(String::new());
        }
        let mut command = Command::new(self.program[0]);
        command.args(&self.program[1..]).env_clear().env("LC_ALL", "C").env("PATH", PATH);
        if self.is_batch() {
            command.args(["-batch", "-"]);
        } else {
            command.args(self.rest[0].split_whitespace());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            // It is not compared then.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(e) => return Err(e),
        };
        if let Some(mut input) = child.stdin.take().filter(|_| self.is_batch()) {
            input.write_all((self.rest.join("\n") + "\n").as_bytes())?;
        }
        let out = child.wait_with_output()?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        Err(io::Error::other(format!("`{}` failed: {said}", self.lines.join("`, `"))))
    }

    /// A value for each line: of a batch a line of JSON each.
    fn understood(&self, said: &str) -> Result<Vec<Value>, BackendError> {
        if !self.is_batch() || said.is_empty() {
            return Ok(vec![dump_value(said); self.lines.len()]);
        }
        let values: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_str(said).into_iter::<Value>().collect();
        values.ok().filter(|values| values.len() == self.lines.len()).ok_or_else(|| {
            BackendError::NotUnderstood {
                what: format!("the output of `{}`", self.lines.join("`, `")),
                line: said.lines().next().unwrap_or_default().to_owned(),
            }
        })
    }
}

/// Folders of settings that the model has some of.
const SETTINGS: [&str; 4] =
    ["/proc/sys/net/bridge", "/proc/sys/net/core", "/proc/sys/net/ipv4", "/proc/sys/net/netfilter"];

/// What `sysctl` prints of a folder, in the namespace of this thread.
fn list_settings(folder: &Path, out: &mut String) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            list_settings(&path, out);
        } else if let Ok(value) = fs::read_to_string(&path) {
            let name = path.strip_prefix("/proc/sys").unwrap_or(&path).to_string_lossy();
            // As `sysctl` writes it: a dot in a device's name is a slash.
            let name: String = name
                .chars()
                .map(|c| {
                    if c == '/' {
                        '.'
                    } else if c == '.' {
                        '/'
                    } else {
                        c
                    }
                })
                .collect();
            let _ = writeln!(out, "{name} = {}", value.trim_end());
        }
    }
}

/// The namespace of this thread has tables of iptables-legacy.
fn has_legacy_tables() -> bool {
    fs::read_to_string("/proc/thread-self/net/ip_tables_names").is_ok_and(|names| !names.is_empty())
}

/// Asks for the tables of nf_tables: subsystem and message.
const NFT_MSG_GETTABLE: u16 = 10 << 8 | 1;
/// Asks for sets.
const IPSET_CMD_LIST: u16 = 6 << 8 | 7;
/// The attribute that each request of ipset begins with, padded: IPSET_ATTR_PROTOCOL, 7.
const IPSET_PROTOCOL: [u8; 8] = [5, 0, 1, 0, 7, 0, 0, 0];

/// A dump of netfilter's has entries in the namespace of this thread (`struct nlmsghdr`, `struct nfgenmsg`). None, if its subsystem is
/// not there.
fn lists(message: u16, attributes: &[u8]) -> io::Result<bool> {
    const NLM_F_REQUEST_DUMP: u16 = 0x301;
    const NLMSG_ERROR: u16 = 2;
    const NLMSG_DONE: u16 = 3;
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    let len = 20 + attributes.len() as u32;
    let (sequence_and_port, nfgenmsg) = ([0; 8], [0; 4]);
    let mut request = len.to_ne_bytes().to_vec();
    request.extend(message.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.extend([&sequence_and_port[..], &nfgenmsg, attributes].concat());
    send(netlink.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut answer = [0; 8192];
    let read = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let kind = answer[..read].get(4..6).map_or(NLMSG_DONE, |kind| u16::from_ne_bytes([kind[0], kind[1]]));
    Ok(kind != NLMSG_DONE && kind != NLMSG_ERROR)
}

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use glassnet_scenarios::observation::DUMPS;

    use super::*;

    #[test]
    fn a_program_is_started_once_for_its_dumps() {
        let jobs = jobs(DUMPS.into_iter());
        let mut lines: Vec<_> = jobs.iter().flat_map(|job| job.lines.clone()).collect();
        lines.sort_unstable();
        let mut all = DUMPS;
        all.sort_unstable();
        assert_eq!(lines, all);
        let ip: Vec<_> = jobs.iter().filter(|job| job.program == ["ip", "-j"]).collect();
        assert_eq!(ip.len(), 1);
        assert_eq!(ip[0].rest, ["addr", "route show table all", "rule"]);
    }

    #[test]
    fn each_line_of_a_batch_gets_its_value() {
        let job = Job {
            lines: vec!["ip -j rule", "ip -j neigh"],
            program: vec!["ip", "-j"],
            rest: vec!["rule", "neigh"],
        };
        assert_eq!(
            job.understood("[1]\n[]\n").ok(),
            Some(vec![serde_json::json!([1]), serde_json::json!([])])
        );
        assert!(matches!(job.understood("[1]\nError: x"), Err(BackendError::NotUnderstood { .. })));
        assert!(job.understood("[1]\n").is_err());
    }
}
