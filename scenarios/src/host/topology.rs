//! NICs, cables and switches of a topology, made of veth pairs and a bridge a switch.

use std::collections::BTreeMap;

use super::machine::Machine;
use super::spaces::{prepare, within};
use super::{Cable, HostError, Plan};

/// Name of a switch's bridge.
pub(super) const BRIDGE: &str = "switch";

/// The machines of a plan and its switches, running.
pub(super) struct Lab {
    /// Machines by name.
    pub machines: BTreeMap<String, Machine>,
    /// Switches by name; never prompted, never tapped.
    pub switches: BTreeMap<String, Machine>,
    /// Holds the far ends of NICs without a cable.
    pub shelf: Option<Machine>,
}

impl Lab {
    fn node(&self, name: &str) -> Result<&Machine, HostError> {
        let found = self.machines.get(name).or_else(|| self.switches.get(name));
        found.ok_or_else(|| HostError::Plan(format!("a cable goes to {name}, which is not in the topology")))
    }
}

/// Plugs everything in and sets `lo` up in each machine; returns what could not be done as asked.
pub(super) fn build(lab: &Lab, plan: &Plan) -> Result<Vec<String>, HostError> {
    let mut notices = Vec::new();
    for switch in lab.switches.values() {
        quieten(switch)?;
        switch.must(&[
            "ip",
            "link",
            "add",
            BRIDGE,
            "type",
            "bridge",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
        ])?;
        switch.must(&["ip", "link", "set", BRIDGE, "up"])?;
    }
    for (number, cable) in plan.cables.iter().enumerate() {
        plug(lab, plan, cable)?;
        if let Some(shape) = &cable.shape {
            notices.push(format!("cable {number}: {shape} is not imposed on the host (its time is its own)"));
        }
    }
    plug_loose(lab, plan)?;
    for machine in lab.machines.values() {
        machine.must(&["ip", "link", "set", "lo", "up"])?;
    }
    Ok(notices)
}

/// A switch says nothing of its own.
fn quieten(switch: &Machine) -> Result<(), HostError> {
    let failed = || HostError::failed("cannot prepare a switch");
    let netns = std::fs::File::open(switch.netns()).map_err(failed())?;
    within(&netns, prepare).map_err(failed())
}

fn plug(lab: &Lab, plan: &Plan, cable: &Cable) -> Result<(), HostError> {
    let [a, b] = &cable.ends;
    let (node_a, node_b) = (lab.node(&a.0)?, lab.node(&b.0)?);
    let (pid_a, pid_b) = (node_a.pid.to_string(), node_b.pid.to_string());
    let mut command = std::process::Command::new("ip");
    command.args(["link", "add", &a.1, "netns", &pid_a]).args(index(plan, a));
    command.args(["type", "veth", "peer", "name", &b.1, "netns", &pid_b]).args(index(plan, b));
    super::machine::must(command)?;
    for (node, end) in [(node_a, a), (node_b, b)] {
        if lab.switches.contains_key(&end.0) {
            node.must(&["ip", "link", "set", &end.1, "master", BRIDGE, "up"])?;
        } else {
            nic(node, &end.1)?;
        }
    }
    Ok(())
}

/// NICs that no cable goes to, as `(machine, NIC)`.
pub(super) fn loose(plan: &Plan) -> Vec<(String, String)> {
    let ends = || plan.cables.iter().flat_map(|c| &c.ends);
    let all = plan.machines.iter().flat_map(|m| m.nics.iter().map(|n| (m.name.clone(), n.clone())));
    all.filter(|nic| !ends().any(|end| end == nic)).collect()
}

/// A NIC without a cable: a veth end whose peer stays down, out of sight.
fn plug_loose(lab: &Lab, plan: &Plan) -> Result<(), HostError> {
    let Some(shelf) = &lab.shelf else { return Ok(()) };
    for (number, end) in loose(plan).iter().enumerate() {
        let node = lab.node(&end.0)?;
        let (pid, shelf_pid) = (node.pid.to_string(), shelf.pid.to_string());
        let mut command = std::process::Command::new("ip");
        command.args(["link", "add", &end.1, "netns", &pid]).args(index(plan, end));
        command.args(["type", "veth", "peer", "name", &format!("loose{number}"), "netns", &shelf_pid]);
        super::machine::must(command)?;
        nic(node, &end.1)?;
    }
    Ok(())
}

/// A real NIC has a queueing discipline, which a veth end lacks until it is given one.
fn nic(node: &Machine, name: &str) -> Result<(), HostError> {
    node.must(&["tc", "qdisc", "replace", "dev", name, "root", "pfifo_fast"])
}

/// `index N` for a machine's NIC: 2 for the first of its topology entry.
fn index(plan: &Plan, end: &(String, String)) -> Vec<String> {
    let machine = plan.machines.iter().find(|m| m.name == end.0);
    let at = machine.and_then(|m| m.nics.iter().position(|n| *n == end.1));
    at.map(|at| vec!["index".to_owned(), (at + 2).to_string()]).unwrap_or_default()
}
