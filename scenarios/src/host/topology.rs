//! NICs, cables and switches of a topology.
//!
//! A NIC is one end of a veth pair. The far ends of all NICs lie in one hidden namespace, the fabric, where a
//! bridge joins those of a switch or of a cable. So a NIC's carrier does not hang on whether the other machine
//! has set its own NIC up, as with a card on a switch; a NIC without a cable has no carrier.
//!
//! What of this shows in a machine is made easy to tell: far ends have ifindexes from [`FAR_INDEX`] on, and
//! the fabric's namespace id in each machine is [`FAR_NSID`], which leaves 0, 1, … to the lesson.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::machine::{Machine, must};
use super::spaces::{compiled_in, prepare, within};
use super::{HostError, Plan};
use crate::compare::canon::{FAR_INDEX, FAR_NSID};

/// The machines of a plan, running, and what lies between them.
pub(super) struct Lab {
    /// Machines by name.
    pub machines: BTreeMap<String, Machine>,
    /// Where cables and switches are; never prompted, never tapped.
    pub fabric: Machine,
}

/// A NIC of a plan, numbered through.
struct Nic<'a> {
    machine: &'a str,
    name: &'a str,
    address: Option<&'a str>,
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
pub(super) fn hidden_names(plan: &Plan) -> BTreeSet<String> {
    let nics = nics(plan);
    let joints = nics.iter().filter_map(|n| n.joint).map(joint_name);
    nics.iter().map(Nic::far).chain(joints).collect()
}

/// All NICs, each with its joint: one for each switch, and one for each cable between machines.
fn nics(plan: &Plan) -> Vec<Nic<'_>> {
    let joint = |machine: &str, name: &str| {
        let at = plan.cables.iter().position(|c| c.ends.iter().any(|(m, n)| m == machine && n == name))?;
        let switch =
            plan.switches.iter().position(|s| plan.cables[at].ends.iter().any(|(node, _)| node == s));
        Some(switch.unwrap_or(plan.switches.len() + at))
    };
    let all = plan.machines.iter().flat_map(|m| m.nics.iter().enumerate().map(move |(at, n)| (m, n, at + 2)));
    all.enumerate()
        .map(|(number, (machine, nic, index))| {
            let (machine, name, address) = (machine.name.as_str(), nic.name.as_str(), nic.address.as_deref());
            Nic { machine, name, address, index, joint: joint(machine, name), number }
        })
        .collect()
}

/// Plugs everything in and sets `lo` up in each machine.
pub(super) fn build(lab: &Lab, plan: &Plan) -> Result<(), HostError> {
    check(plan)?;
    quieten(&lab.fabric)?;
    for machine in lab.machines.values() {
        name_fabric(machine, &lab.fabric)?;
        machine.must(&["ip", "link", "set", "lo", "up"])?;
    }
    let nics = nics(plan);
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

fn check(plan: &Plan) -> Result<(), HostError> {
    let is_switch = |end: &(String, String)| plan.switches.contains(&end.0);
    if let Some(cable) = plan.cables.iter().find(|c| c.ends.iter().all(is_switch)) {
        let [a, b] = &cable.ends;
        return Err(HostError::Plan(format!(
            "a cable between two switches ({} and {}): not modelled on the host yet",
            a.0, b.0
        )));
    }
    for (node, plug) in plan.cables.iter().flat_map(|c| &c.ends) {
        let machine = plan.machines.iter().find(|m| m.name == *node);
        if machine.is_some_and(|m| m.nics.iter().any(|n| n.name == *plug)) || plan.switches.contains(node) {
            continue;
        }
        return Err(HostError::Plan(format!("a cable goes to {node}:{plug}, which is not in the topology")));
    }
    Ok(())
}

/// The fabric says nothing of its own.
fn quieten(fabric: &Machine) -> Result<(), HostError> {
    let failed = || HostError::failed("cannot prepare the cables");
    let netns = std::fs::File::open(fabric.netns()).map_err(failed())?;
    within(&netns, || prepare(&compiled_in(), false)).map_err(failed())
}

/// Gives the fabric its namespace id in a machine, by way of a name that only this command sees.
fn name_fabric(machine: &Machine, fabric: &Machine) -> Result<(), HostError> {
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

fn plug(lab: &Lab, nic: &Nic) -> Result<(), HostError> {
    let Some(machine) = lab.machines.get(nic.machine) else { return Ok(()) };
    let far = nic.far();
    let mut command = Command::new("ip");
    command.args([
        "link",
        "add",
        nic.name,
        "netns",
        &machine.pid.to_string(),
        "index",
        &nic.index.to_string(),
    ]);
    command.args(nic.address.iter().flat_map(|mac| ["address", mac]));
    command.args(["type", "veth", "peer", "name", &far, "netns", &lab.fabric.pid.to_string()]);
    command.args(["index", &(FAR_INDEX + nic.number).to_string()]);
    must(command)?;
    match nic.joint {
        Some(joint) => lab.fabric.must(&["ip", "link", "set", &far, "master", &joint_name(joint), "up"]),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Cable, PlannedMachine, PlannedNic};

    #[test]
    fn ends_of_a_cable_share_a_joint_and_a_loose_nic_has_none() {
        let machine = |name: &str, nics: &[&str]| PlannedMachine {
            name: name.into(),
            nics: nics.iter().map(|n| PlannedNic { name: (*n).into(), address: None }).collect(),
        };
        let end = |m: &str, n: &str| (m.to_owned(), n.to_owned());
        let plan = Plan {
            machines: vec![machine("a", &["eth0", "eth1"]), machine("b", &["eth0"]), machine("c", &["eth0"])],
            switches: vec!["sw".into()],
            cables: vec![
                Cable { ends: [end("a", "eth0"), end("sw", "1")] },
                Cable { ends: [end("b", "eth0"), end("sw", "2")] },
            ],
            ..Plan::default()
        };
        let joints: Vec<_> = nics(&plan).iter().map(|n| (n.machine, n.index, n.joint)).collect();
        assert_eq!(joints, [("a", 2, Some(0)), ("a", 3, None), ("b", 2, Some(0)), ("c", 2, None)]);
    }
}
