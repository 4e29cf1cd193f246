//! The network namespaces of all machines: found as they appear, prepared, tapped, let go when they vanish.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glassnet_kernel::tables::inet_conf::CONF_TABLE;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{Captured, ChosenMac, ReachTime};
use glassnet_wire::Mac;
use nix::sched::{CloneFlags, setns, unshare};

use super::frames::{Seen, SeenFrame, Tap};
use super::inside::BR_NETFILTER;
use super::links::{Link, Links};
use super::machine::Machine;
use super::reach::ReachTimes;

/// A namespace that is watched.
struct Space {
    machine: String,
    /// Name below `/run/netns`, empty for the machine's own, `pid:N` for one without a name.
    name: String,
    file: File,
    tap: Tap,
    links: Links,
    reach_times: ReachTimes,
    /// `/sys/class/net` of its machine's own namespace.
    sys: PathBuf,
}

/// All namespaces, by the inode of each.
#[derive(Default)]
pub(super) struct Spaces {
    open: BTreeMap<u64, Space>,
    frames: Vec<SeenFrame>,
    macs: Vec<ChosenMac>,
    reach_times: Vec<ReachTime>,
    notices: Vec<String>,
}

/// Where a machine is found: enough to look for its namespaces from any thread.
#[derive(Clone)]
pub(super) struct Place {
    machine: String,
    own: PathBuf,
    names: PathBuf,
    pid_namespace: PathBuf,
    sys: PathBuf,
    /// Exists once the machine has loaded `br_netfilter`.
    br_netfilter: PathBuf,
}

impl Place {
    /// The place of a machine.
    pub fn of(machine: &Machine) -> Self {
        Self {
            machine: machine.name.clone(),
            own: machine.netns(),
            names: machine.path("/run/netns"),
            pid_namespace: format!("/proc/{}/ns/pid", machine.pid).into(),
            sys: machine.path("/sys/class/net"),
            br_netfilter: machine.path(BR_NETFILTER),
        }
    }
}

impl Place {
    /// The place of a machine without processes: its name, its own namespace, and a path to its files.
    pub fn bare(machine: &str, own: PathBuf, root: &Path) -> Self {
        Self {
            machine: machine.to_owned(),
            own,
            names: root.join("run/netns"),
            pid_namespace: PathBuf::new(),
            sys: root.join("sys/class/net"),
            br_netfilter: PathBuf::new(),
        }
    }

    /// Gives one of the machine's namespaces the settings that it would have on a machine of its own; the machine's own has no
    /// name.
    pub fn prepare(&self, name: &str, file: &File) -> Result<(), BackendError> {
        let failed = || BackendError::failed("cannot prepare a network namespace");
        let settings = match File::open(&self.own) {
            Ok(own) if !name.is_empty() => within(&own, inherited).map_err(failed())?,
            _ => compiled_in(),
        };
        let bridges_call = self.br_netfilter.exists();
        within(file, || prepare(&settings, bridges_call)).map_err(failed())
    }

    /// Its machine's name.
    pub fn machine(&self) -> &str {
        &self.machine
    }
}

impl Spaces {
    /// Looks at a machine's namespaces again: prepares and taps new ones, lets go of those that are gone.
    pub fn rescan(&mut self, place: &Place) -> Result<(), BackendError> {
        let present = present(place);
        for (inode, (name, path)) in &present {
            if let Some(space) = self.open.get_mut(inode) {
                space.name.clone_from(name);
            } else if let Ok(file) = File::open(path) {
                self.add(place, name.clone(), *inode, file)?;
            }
        }
        let gone: Vec<u64> = self
            .open
            .iter()
            .filter(|(i, s)| s.machine == place.machine && !present.contains_key(i))
            .map(|(i, _)| *i)
            .collect();
        for inode in gone {
            if let Some(space) = self.open.remove(&inode) {
                self.close(space);
            }
        }
        self.note_macs();
        Ok(())
    }

    fn close(&mut self, space: Space) {
        let Seen { frames, lost } = space.tap.stop();
        if lost > 0 {
            let Space { machine, name, .. } = space;
            self.notices
                .push(format!("{machine}/{name}: {lost} frames came faster than they were looked at"));
        }
        self.frames.extend(frames);
    }

    /// The NICs are plugged in, which got their addresses after they were made.
    pub fn plugged(&mut self) {
        self.open.values_mut().for_each(|space| space.links.forget());
    }

    fn add(&mut self, place: &Place, name: String, inode: u64, file: File) -> Result<(), BackendError> {
        if name.starts_with("pid:") {
            self.notices.push(format!(
                "{}: a namespace without a name was prepared only after its prompt",
                place.machine
            ));
        }
        place.prepare(&name, &file)?;
        let tap = Tap::start(&file, &place.machine, &name)?;
        let links =
            Links::listen(&file).map_err(BackendError::failed("cannot listen to a network namespace"))?;
        let reach_times =
            ReachTimes::of(&file).map_err(BackendError::failed("cannot ask a network namespace"))?;
        let (machine, sys) = (place.machine.clone(), place.sys.clone());
        self.open.insert(inode, Space { machine, name, file, tap, links, reach_times, sys });
        Ok(())
    }

    /// Records each address that has not been seen: first those that devices were made with, then, in order of ifindex, those of devices
    /// that were there before anybody listened. A bridge that has taken a port's address comes after the port, which is the one
    /// that the kernel chose it for.
    fn note_macs(&mut self) {
        for space in self.open.values_mut() {
            let mut links = space.links.take();
            let mut earlier = within(&space.file, || Ok(devices())).unwrap_or_default();
            earlier.retain(|link| !space.links.has(link.index));
            let is_known =
                |name: &str| self.macs.iter().any(|m| m.machine == space.machine && m.device == name);
            earlier.sort_by_key(|link| {
                (space.sys.join(&link.name).join("bridge").exists(), is_known(&link.name))
            });
            links.extend(earlier);
            for Link { name: device, mac, .. } in links {
                let mac = mac.to_string();
                let known = |m: &ChosenMac| m.machine == space.machine && m.mac == mac;
                if !self.macs.iter().any(known) {
                    let (machine, netns) = (space.machine.clone(), space.name.clone());
                    self.macs.push(ChosenMac { machine, netns, device, mac });
                }
            }
        }
    }

    /// Records the reachable times that the kernel has chosen since this was called last: a prompt is over.
    pub fn note_reach_times(&mut self, prompt: usize) -> Result<(), BackendError> {
        for space in self.open.values_mut() {
            let taken = space.reach_times.take(&space.file);
            let taken = taken.map_err(BackendError::failed("cannot ask for reachable times"))?;
            let (machine, netns) = (&space.machine, &space.name);
            self.reach_times.extend(taken.into_iter().map(|(device, ms)| ReachTime {
                prompt,
                machine: machine.clone(),
                netns: netns.clone(),
                device,
                ms,
            }));
        }
        Ok(())
    }

    /// A machine's namespaces by name, its own (empty) first.
    pub fn of(&self, machine: &str) -> std::io::Result<BTreeMap<String, File>> {
        let of_machine = self.open.values().filter(|space| space.machine == machine);
        of_machine.map(|space| Ok((space.name.clone(), space.file.try_clone()?))).collect()
    }

    /// Stops all taps and hands over the frames, and what else was seen.
    pub fn finish(mut self) -> (Vec<SeenFrame>, Captured) {
        std::mem::take(&mut self.open).into_values().for_each(|space| self.close(space));
        // Stable: what one namespace saw keeps its order where two stamps are equal.
        self.frames.sort_by_key(|f| f.at_ns);
        self.notices.dedup();
        let Self { frames, macs, reach_times, notices, .. } = self;
        (frames, Captured { macs, reach_times, notices, ..Captured::default() })
    }
}

/// Inode to name and path of each namespace of a machine.
pub(super) fn present(place: &Place) -> BTreeMap<u64, (String, PathBuf)> {
    let mut found = BTreeMap::new();
    for (name, path) in nameless(place) {
        add_present(&mut found, name, path);
    }
    for entry in fs::read_dir(&place.names).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        add_present(&mut found, name, entry.path());
    }
    add_present(&mut found, String::new(), place.own.clone());
    found
}

fn add_present(found: &mut BTreeMap<u64, (String, PathBuf)>, name: String, path: PathBuf) {
    const NSFS: u64 = 4_000_000_000;
    if let Ok(meta) = fs::metadata(&path)
        && meta.ino() >= NSFS
    {
        found.insert(meta.ino(), (name, path));
    }
}

/// The network namespace of each process of a machine.
fn nameless(place: &Place) -> Vec<(String, PathBuf)> {
    let Ok(ours) = fs::metadata(&place.pid_namespace).map(|m| m.ino()) else { return Vec::new() };
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| fs::metadata(format!("/proc/{pid}/ns/pid")).is_ok_and(|m| m.ino() == ours))
        .map(|pid| (format!("pid:{pid}"), format!("/proc/{pid}/ns/net").into()))
        .collect()
}

/// A network namespace that lives as long as this file is open.
pub(super) fn new_netns() -> Result<File, BackendError> {
    let make = || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    };
    let made = std::thread::spawn(make).join();
    let made = made.unwrap_or_else(|_| Err(std::io::Error::other("a helper thread panicked")));
    made.map_err(BackendError::failed("cannot make a network namespace"))
}

/// Runs something on a thread of its own inside a network namespace.
pub(super) fn within<T: Send>(
    netns: &File,
    work: impl FnOnce() -> std::io::Result<T> + Send,
) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(netns.as_fd(), CloneFlags::CLONE_NEWNET)?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a helper thread panicked")))
    })
}

/// Settings that a namespace would otherwise take from the host's own, or that bring noise.
///
/// IPv6 is off. Membership reports for link-local groups are off (`igmp_link_local_mcast_reports`): a bridge
/// joins 224.0.0.106 when it comes up and would report that after a random delay. `br_netfilter` may be built into
/// the host's kernel; bridges call iptables only once the machine has loaded it, as on a stock machine.
pub(super) fn prepare(settings: &Settings, do_bridges_call: bool) -> std::io::Result<()> {
    for which in CONF {
        set(&format!("ipv6/conf/{which}/disable_ipv6"), "1")?;
    }
    // In order: what `all` says of forwarding changes `default` too.
    for (name, value) in settings {
        set(name, value)?;
    }
    set("ipv4/igmp_link_local_mcast_reports", "0")?;
    bridges_call(do_bridges_call)
}

/// Switches on or off that bridges of this thread's namespace call iptables.
pub(super) fn bridges_call(on: bool) -> std::io::Result<()> {
    let value = if on { "1" } else { "0" };
    ["ip", "ip6", "arp"]
        .into_iter()
        .try_for_each(|proto| set(&format!("bridge/bridge-nf-call-{proto}tables"), value))
}

const CONF: [&str; 2] = ["all", "default"];

/// IPv4 device settings below `/proc/sys/net`.
pub(super) type Settings = Vec<(String, String)>;

/// Those of a machine that was just switched on.
pub(super) fn compiled_in() -> Settings {
    let of = |which: &'static str| {
        // `forwarding` comes first in the table because it changes others.
        CONF_TABLE
            .iter()
            .map(move |(_, name, value)| (format!("ipv4/conf/{which}/{name}"), value.to_string()))
    };
    CONF.into_iter().flat_map(of).collect()
}

/// Those of this thread's namespace: a new one of the same machine begins with them, as it does on a real machine,
/// where the machine's own is the kernel's first (`net.core.devconf_inherit_init_net` 0).
fn inherited() -> std::io::Result<Settings> {
    let mut all = Settings::new();
    for (name, _) in compiled_in() {
        let path = Path::new("/proc/sys/net").join(&name);
        if path.exists() {
            all.push((name, fs::read_to_string(path)?.trim().to_owned()));
        }
    }
    Ok(all)
}

/// Writes a setting of this thread's namespace. One that has the value already is not written, because devices no longer follow
/// a `default` that was (`state` of `struct ipv4_devconf`); one that this kernel does not have needs no writing.
fn set(name: &str, value: &str) -> std::io::Result<()> {
    let path = Path::new("/proc/sys/net").join(name);
    if !path.exists() || fs::read_to_string(&path)?.trim() == value { Ok(()) } else { fs::write(path, value) }
}

/// Each Ethernet device of this thread's namespace.
fn devices() -> Vec<Link> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    all.filter_map(|device| {
        let address = device.address?;
        let (address, name) = (address.as_link_addr()?, device.interface_name);
        let mac = address.addr().map(Mac).filter(|mac| *mac != Mac::ZERO)?;
        Some(Link { index: address.ifindex() as u32, name, mac })
    })
    .collect()
}
