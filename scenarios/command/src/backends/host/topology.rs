//! NICs, cables and switches of a topology.
//!
//! A NIC with a cable is one end of a veth pair. The far ends lie in one hidden namespace, the fabric, where a bridge joins
//! those of a switch or of a cable. So a NIC's carrier does not hang on whether the other machine has set its own NIC up, as
//! with a card on a switch. A NIC without a cable is a tap that nobody opened: it has no carrier, and no device below it
//! (the end of a veth pair would be `LOWERLAYERDOWN`).
//!
//! What of this shows in a machine is made easy to tell: far ends have ifindexes from [`FAR_INDEX`] on, and
//! the fabric's namespace id in each machine is [`FAR_NSID`], which leaves 0, 1, … to the lesson.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::Command;

use glassnet_scenarios::compare::canon::{FAR_INDEX, FAR_NSID};
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::lesson::{Endpoint, Topology};
use glassnet_wire::Mac;

use super::machine::{Machine, must};
use super::spaces::{compiled_in, prepare, within};

/// The machines of a topology, running, and what lies between them.
pub(super) struct Lab {
    /// Machines by name.
    pub machines: BTreeMap<String, Machine>,
    /// Where cables and switches are; never prompted, never tapped.
    pub fabric: Machine,
}

/// A NIC of a topology, numbered through.
struct Nic<'a> {
    machine: &'a str,
    name: &'a str,
    address: Option<Mac>,
    /// Its ifindex.
    index: usize,
    /// Bridge of the fabric that its far end is in.
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
    let joint = |node: &str, port: &str| {
        let is_it = |end: &Endpoint| end.node == node && end.port == port;
        let at = topology.links.iter().position(|link| link.endpoints.iter().any(is_it))?;
        let ends = &topology.links[at].endpoints;
        let switch = topology.switches.keys().position(|s| ends.iter().any(|end| end.node == *s));
        Some(switch.unwrap_or(topology.switches.len() + at))
    };
    let all = topology.nodes.iter().flat_map(|(machine, node)| {
        node.nics.iter().enumerate().map(move |(at, nic)| (machine, nic, at + 2))
    });
    all.enumerate()
        .map(|(number, (machine, (name, nic), index))| {
            let joint = joint(machine, name);
            Nic { machine, name, address: nic.address, index, joint, number }
        })
        .collect()
}

/// Plugs everything in and sets `lo` up in each machine.
pub(super) fn build(lab: &Lab, topology: &Topology) -> Result<(), BackendError> {
    check(topology)?;
    quieten(&lab.fabric)?;
    for machine in lab.machines.values() {
        name_fabric(machine, &lab.fabric)?;
        machine.must(&["ip", "link", "set", "lo", "up"])?;
    }
    let nics = nics(topology);
    for joint in nics.iter().filter_map(|n| n.joint).collect::<BTreeSet<_>>() {
        let name = joint_name(joint);
        lab.fabric.must(&[
            "ip",
            "link",
            "add",
            &name,
            "type",
            "bridge",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
        ])?;
        lab.fabric.must(&["ip", "link", "set", &name, "up"])?;
    }
    for nic in &nics {
        plug(lab, nic)?;
    }
    Ok(())
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
    let is_nic =
        |end: &Endpoint| topology.nodes.get(&end.node).is_some_and(|n| n.nics.contains_key(&end.port));
    match topology.links.iter().flat_map(|link| &link.endpoints).find(|end| !is_nic(end) && !is_switch(end)) {
        None => Ok(()),
        Some(Endpoint { node, port }) => {
            Err(BackendError::Plan(format!("a cable goes to {node}:{port}, which is not in the topology")))
        }
    }
}

/// The fabric says nothing of its own.
fn quieten(fabric: &Machine) -> Result<(), BackendError> {
    let failed = || BackendError::failed("cannot prepare the cables");
    let netns = File::open(fabric.netns()).map_err(failed())?;
    within(&netns, || prepare(&compiled_in(), false)).map_err(failed())
}

/// Gives the fabric its namespace id in a machine, by way of a name that only this command sees.
fn name_fabric(machine: &Machine, fabric: &Machine) -> Result<(), BackendError> {
    let (fabric, machine) = (fabric.pid, machine.pid);
    let script = format!(
        "mount -t tmpfs tmpfs /run && mkdir /run/netns && touch /run/netns/fabric && \
         mount --bind /proc/{fabric}/ns/net /run/netns/fabric && \
         nsenter --net=/proc/{machine}/ns/net ip netns set fabric {FAR_NSID}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-c", &script]);
    must(command)
}

fn plug(lab: &Lab, nic: &Nic) -> Result<(), BackendError> {
    let Some(machine) = lab.machines.get(nic.machine) else { return Ok(()) };
    let own = File::open(machine.netns()).map_err(BackendError::failed("cannot open a namespace"))?;
    // In the machine's namespace: up to Linux 6.1 an index must be free in the namespace of whoever asks.
    let ip = |args: &[&str]| {
        let mut command = Command::new("ip");
        command.args(args);
        within(&own, || Ok(must(command))).map_err(BackendError::failed("cannot enter a namespace"))?
    };
    let (far, index) = (nic.far(), nic.index.to_string());
    match nic.joint {
        Some(joint) => {
            let (fabric, far_index) = (lab.fabric.pid.to_string(), (FAR_INDEX + nic.number).to_string());
            ip(&[
                "link", "add", nic.name, "index", &index, "type", "veth", "peer", "name", &far, "netns",
                &fabric, "index", &far_index,
            ])?;
            lab.fabric.must(&["ip", "link", "set", &far, "master", &joint_name(joint), "up"])?;
        }
        None => ip(&["tuntap", "add", "dev", nic.name, "mode", "tap"])?,
    }
    match nic.address {
        Some(mac) => ip(&["link", "set", nic.name, "address", &mac.to_string()]),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glassnet_scenarios::lesson::{Link, Node, Switch};
    use glassnet_sim::Nanos;

    #[test]
    fn ends_of_a_cable_share_a_joint_and_a_loose_nic_has_none() {
        let nic = |name: &&str| {
            ((*name).to_owned(), glassnet_scenarios::lesson::Nic { driver: "e1000e".into(), address: None })
        };
        let machine = |name: &str, nics: &[&str]| {
            (name.to_owned(), Node { cpus: 1, nics: nics.iter().map(nic).collect() })
        };
        let end = |node: &str, port: &str| Endpoint { node: node.to_owned(), port: port.to_owned() };
        let cable = |a, b| Link { endpoints: [a, b], rate: 1, delay: Nanos::ZERO };
        let topology = Topology {
            nodes: BTreeMap::from([
                machine("a", &["eth0", "eth1"]),
                machine("b", &["eth0"]),
                machine("c", &["eth0"]),
            ]),
            switches: BTreeMap::from([("sw".to_owned(), Switch::default())]),
            links: vec![cable(end("a", "eth0"), end("sw", "1")), cable(end("b", "eth0"), end("sw", "2"))],
        };
        let joints: Vec<_> = nics(&topology).iter().map(|n| (n.machine, n.index, n.joint)).collect();
        assert_eq!(joints, [("a", 2, Some(0)), ("a", 3, None), ("b", 2, Some(0)), ("c", 2, None)]);
    }
}
