//! NICs, cables and switches of a topology.
//!
//! A NIC with a cable is one end of a veth pair. The far ends lie in one hidden namespace, the fabric, where a bridge joins
//! those of a switch or of a cable. So a NIC's carrier does not hang on whether the other machine has set its own NIC up, as
//! with a card on a switch; the bridge of a cable does not learn. A NIC without a cable is a tap that nobody opened: it has no carrier, and no device below it
//! (the end of a veth pair would be `LOWERLAYERDOWN`).
//!
//! What of this shows in a machine is made easy to tell: far ends have ifindexes from [`FAR_INDEX`] on, and
//! the fabric's namespace id in each machine is [`FAR_NSID`], which leaves 0, 1, … to the lesson.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use glassnet_hardware::Faults;
use glassnet_scenarios::compare::canon::{FAR_INDEX, FAR_NSID};
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::lesson::{Endpoint, Topology};
use glassnet_wire::Mac;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::card::complete_checksums;
use super::spaces::{compiled_in, new_netns, prepare, within};

/// A NIC of a topology, numbered through.
struct Nic<'a> {
    machine: &'a str,
    name: &'a str,
    address: Option<Mac>,
    /// Its ifindex.
    index: usize,
    /// Its cable, as an index into the links, and the bridge of the fabric that its far end is in.
    link: Option<usize>,
    joint: Option<usize>,
    number: usize,
}

impl Nic<'_> {
    fn far(&self) -> String {
        format!("glass-p{}", self.number)
    }
}

fn joint_name(number: usize) -> String {
    format!("glass-s{number}")
}

/// Device names of the fabric.
pub(super) fn hidden_names(topology: &Topology) -> BTreeSet<String> {
    let nics = nics(topology);
    let joints = nics.iter().filter_map(|n| n.joint).map(joint_name);
    nics.iter().map(Nic::far).chain(joints).collect()
}

/// All NICs, each with its joint: one for each switch, and one for each cable between machines.
fn nics(topology: &Topology) -> Vec<Nic<'_>> {
    let link = |node: &str, port: &str| {
        let is_it = |end: &Endpoint| end.node == node && end.port == port;
        topology.links.iter().position(|link| link.endpoints.iter().any(is_it))
    };
    let joint = |at: usize| {
        let ends = &topology.links[at].endpoints;
        let switch = topology.switches.keys().position(|s| ends.iter().any(|end| end.node == *s));
        switch.unwrap_or(topology.switches.len() + at)
    };
    let all = topology.nodes.iter().flat_map(|(machine, node)| {
        node.nics.iter().enumerate().map(move |(at, nic)| (machine, nic, at + 2))
    });
    all.enumerate()
        .map(|(number, (machine, (name, nic), index))| {
            let link = link(machine, name);
            Nic { machine, name, address: nic.address, index, link, joint: link.map(joint), number }
        })
        .collect()
}

/// `01:80:c2:00:00:00` to `0f`, a bit each, without `01`: a port may not forward that.
const LINK_GROUPS: u32 = 0xfffd;

/// Where a machine finds the fabric while it is plugged in.
const FABRIC: &str = "/run/netns/fabric";

/// Lines of `ip -batch` that plug everything in.
pub(super) struct Plugs {
    /// For each machine, in its own namespace: up to Linux 6.1 an index must be free in the namespace of whoever asks.
    pub machines: BTreeMap<String, String>,
    /// The NICs of each machine that have a cable.
    pub cabled: BTreeMap<String, Vec<String>>,
    /// In the fabric, afterwards.
    pub fabric: String,
}

impl Plugs {
    /// The lines for a topology.
    ///
    /// # Errors
    ///
    /// A topology that cannot be made here.
    pub fn of(topology: &Topology) -> Result<Self, BackendError> {
        check(topology)?;
        let nics = nics(topology);
        let machine = |name: &String| {
            let own: Vec<_> = nics.iter().filter(|nic| nic.machine == name).collect();
            let is_cabled = own.iter().any(|nic| nic.joint.is_some());
            // The fabric gets its namespace id in the machine.
            let id = if is_cabled { format!("netns set fabric {FAR_NSID}\n") } else { String::new() };
            (name.clone(), format!("link set lo up\n{id}{}", own.into_iter().map(plug).collect::<String>()))
        };
        let joints: BTreeSet<_> = nics.iter().filter_map(|nic| nic.joint).map(joint_name).collect();
        let joint = |name: &String| {
            format!("link add {name} type bridge forward_delay 0 mcast_snooping 0\nlink set {name} up\n")
        };
        // A bridge floods to the port that joined last first; a switch of the topology in the order of its links.
        let mut last_first: Vec<_> = nics.iter().collect();
        last_first.sort_by_key(|nic| std::cmp::Reverse(nic.link));
        let cabled = last_first.iter().filter_map(|nic| Some((nic.far(), joint_name(nic.joint?))));
        let cabled = cabled.map(|(far, joint)| format!("link set {far} master {joint} up\n"));
        // A cable does not know which station is at which end, and carries the groups that stay on a link, but pause frames.
        let is_cable = |nic: &&Nic| nic.joint.is_some_and(|joint| joint >= topology.switches.len());
        let of_cables = nics.iter().filter(is_cable);
        let of_cables = of_cables.map(|nic| {
            format!("link set {} type bridge_slave learning off group_fwd_mask {LINK_GROUPS}\n", nic.far())
        });
        let cards = |name: &String| {
            let own = nics.iter().filter(|nic| nic.machine == name && nic.joint.is_some());
            (name.clone(), own.map(|nic| nic.name.to_owned()).collect())
        };
        Ok(Self {
            cabled: topology.nodes.keys().map(cards).collect(),
            machines: topology.nodes.keys().map(machine).collect(),
            fabric: joints.iter().map(joint).chain(cabled).chain(of_cables).collect(),
        })
    }
}

/// A fabric that says nothing of its own.
pub(super) fn new_fabric() -> Result<File, BackendError> {
    let fabric = new_netns()?;
    within(&fabric, || prepare(&compiled_in(), false))
        .map_err(BackendError::failed("cannot prepare the cables"))?;
    Ok(fabric)
}

/// Plugs everything in and sets `lo` up in each machine. `machines` are the machines' own namespaces.
pub(super) fn build(
    machines: &BTreeMap<String, File>,
    fabric: &File,
    topology: &Topology,
) -> Result<(), BackendError> {
    let plugs = Plugs::of(topology)?;
    for (name, own) in machines {
        let lines = plugs.machines.get(name).map_or("", String::as_str);
        ip(own, || own_run().and_then(|()| show_fabric(fabric)), lines)?;
        let cards = plugs.cabled.get(name).map_or(&[][..], Vec::as_slice);
        within(own, || complete_checksums(cards)).map_err(BackendError::failed("cannot prepare a NIC"))?;
    }
    build_fabric(fabric, &plugs)
}

/// What is in the fabric, once the machines are plugged in.
pub(super) fn build_fabric(fabric: &File, plugs: &Plugs) -> Result<(), BackendError> {
    if plugs.fabric.is_empty() { Ok(()) } else { ip(fabric, || Ok(()), &plugs.fabric) }
}

/// Runs `ip -batch` in a network namespace, after something else on its thread.
fn ip(netns: &File, first: impl FnOnce() -> io::Result<()> + Send, lines: &str) -> Result<(), BackendError> {
    let run = || {
        first()?;
        let mut command = Command::new("ip");
        command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(lines.as_bytes())?;
        }
        child.wait_with_output()
    };
    let out = within(netns, run).map_err(BackendError::failed("cannot run ip"))?;
    if out.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).trim().to_owned();
    Err(BackendError::Command { command: format!("ip -batch:\n{lines}"), output })
}

const NONE: Option<&str> = None;

/// Gives this thread mounts of its own, with an empty `/run`.
pub(super) fn own_run() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), NONE)?;
    fs::create_dir("/run/netns")
}

/// Puts the fabric where the plugging lines look for it.
pub(super) fn show_fabric(fabric: &File) -> io::Result<()> {
    fs::write(FABRIC, "")?;
    mount(Some(path(fabric).as_str()), FABRIC, NONE, MsFlags::MS_BIND, NONE)?;
    Ok(())
}

/// Takes it away again: a name of it would show.
pub(super) fn hide_fabric() -> io::Result<()> {
    umount2(FABRIC, MntFlags::MNT_DETACH)?;
    fs::remove_file(FABRIC)
}

/// A file that this process has open, by a path.
pub(super) fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Lines that plug a NIC in.
fn plug(nic: &Nic) -> String {
    let (name, index) = (nic.name, nic.index);
    let mut lines = match nic.joint {
        Some(_) => {
            let (far, far_index) = (nic.far(), FAR_INDEX + nic.number);
            format!(
                "link add {name} index {index} type veth peer name {far} netns {FABRIC} index {far_index}\n"
            )
        }
        None => format!("tuntap add dev {name} mode tap\n"),
    };
    if let Some(mac) = nic.address {
        lines.push_str(&format!("link set {name} address {mac}\n"));
    }
    lines
}

fn check(topology: &Topology) -> Result<(), BackendError> {
    let is_switch = |end: &Endpoint| topology.switches.contains_key(&end.node);
    if let Some(link) = topology.links.iter().find(|link| link.endpoints.iter().all(is_switch)) {
        let [a, b] = &link.endpoints;
        return Err(BackendError::Plan(format!(
            "a cable between two switches ({} and {}): not modelled on the host yet",
            a.node, b.node
        )));
    }
    if let Some(link) = topology.links.iter().find(|link| link.faults != Faults::default()) {
        let [a, b] = &link.endpoints;
        return Err(BackendError::Plan(format!(
            "a cable with faults ({} to {}): what chance decides cannot be compared",
            a.node, b.node
        )));
    }
    let is_nic =
        |end: &Endpoint| topology.nodes.get(&end.node).is_some_and(|n| n.nics.contains_key(&end.port));
    match topology.links.iter().flat_map(|link| &link.endpoints).find(|end| !is_nic(end) && !is_switch(end)) {
        None => Ok(()),
        Some(Endpoint { node, port }) => {
            Err(BackendError::Plan(format!("a cable goes to {node}:{port}, which is not in the topology")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glassnet_scenarios::lesson::{Link, Node, Switch};
    use glassnet_sim::Nanos;

    #[test]
    fn ends_of_a_cable_share_a_joint_and_a_loose_nic_has_none() {
        let nic = |name: &&str| ((*name).to_owned(), glassnet_scenarios::lesson::Nic::default());
        let machine = |name: &str, nics: &[&str]| {
            (name.to_owned(), Node { nics: nics.iter().map(nic).collect(), ..Node::default() })
        };
        let end = |node: &str, port: &str| Endpoint { node: node.to_owned(), port: port.to_owned() };
        let cable = |a, b| Link { endpoints: [a, b], rate: 1, delay: Nanos::ZERO, faults: Faults::default() };
        let topology = Topology {
            nodes: BTreeMap::from([
                machine("a", &["eth0", "eth1"]),
                machine("b", &["eth0"]),
                machine("c", &["eth0"]),
            ]),
            switches: BTreeMap::from([("sw".to_owned(), Switch::default())]),
            links: vec![cable(end("a", "eth0"), end("sw", "1")), cable(end("b", "eth0"), end("sw", "2"))],
            cluster: None,
        };
        let joints: Vec<_> = nics(&topology).iter().map(|n| (n.machine, n.index, n.joint)).collect();
        assert_eq!(joints, [("a", 2, Some(0)), ("a", 3, None), ("b", 2, Some(0)), ("c", 2, None)]);
    }
}
