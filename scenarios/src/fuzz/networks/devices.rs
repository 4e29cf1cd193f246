//! Devices. A new kind is a row of [`KINDS`].

use glassnet_wire::Mac;

use super::bonds::bonds;
use super::net::{Net, Space};

/// Makes a device in a namespace.
type Make = fn(&mut Net, usize);

/// What a bridge is made with.
const BRIDGE: &[&str] = &[
    "",
    "",
    "",
    "",
    " ageing_time 500",
    " forward_delay 0",
    " vlan_filtering 1",
    " vlan_filtering 1",
    " vlan_filtering 1 vlan_default_pvid 0",
    " vlan_filtering 1 vlan_protocol 802.1ad",
    " mcast_snooping 0",
    " nf_call_iptables 1",
];

/// Kinds of devices by weight.
const KINDS: &[(usize, Make)] =
    &[(5, veth_to_namespace), (2, veth_here), (4, bridge), (1, dummy), (2, bonds), (1, tuntap), (1, ifb)];

impl Net {
    /// A block that makes devices and sets them up.
    pub fn devices(&mut self) {
        self.block();
        if !self.trunk.is_empty() {
            bonds(self, 0);
        }
        for _ in 0..self.pick(&[1, 2, 2, 3, 3, 4]) {
            let make = self.weighted(KINDS);
            let space = self.any_space();
            make(self, space);
        }
        for at in 0..self.devices.len() {
            if !self.one_in(12) {
                let (space, name) = (self.devices[at].space, self.devices[at].name.clone());
                self.tool(space, &format!("ip link set {name} up"));
            }
        }
    }

    /// A name that no device has yet.
    pub(super) fn name(&self, stem: &str) -> String {
        let number = self.devices.iter().filter(|device| device.name.starts_with(stem)).count();
        format!("{stem}{number}")
    }
}

/// A veth pair to another namespace of the machine, mostly a new one.
pub(super) fn veth_to_namespace(net: &mut Net, space: usize) {
    let machine = net.spaces[space].machine.clone();
    let there = (0..net.spaces.len())
        .filter(|at| net.spaces[*at].machine == machine && *at != space && !net.spaces[*at].netns.is_empty());
    let there: Vec<usize> = there.collect();
    let to = if !there.is_empty() && net.one_in(3) {
        net.pick(&there)
    } else {
        let number = net.spaces.iter().filter(|space| space.machine == machine).count();
        let Some(netns) = ["", "x", "y", "z"].get(number) else { return };
        let own = net.spaces.iter().position(|space| space.machine == machine).unwrap_or(space);
        net.tool(own, &format!("ip netns add {netns}"));
        net.spaces.push(Space { machine, netns: (*netns).to_owned() });
        let to = net.spaces.len() - 1;
        net.tool(to, "ip link set lo up");
        to
    };
    // The far end is in the machine's own namespace, which has no name, or in one that has.
    let (from, to) = if net.spaces[to].netns.is_empty() { (to, space) } else { (space, to) };
    let netns = net.spaces[to].netns.clone();
    veth(net, from, to, &format!(" netns {netns}"));
}

fn veth_here(net: &mut Net, space: usize) {
    veth(net, space, space, "");
}

fn veth(net: &mut Net, space: usize, to: usize, netns: &str) {
    let segment = net.segment();
    let (near_mac, near) = (Mac(net.mac()), net.name("v"));
    net.device(space, &near, segment);
    let (far_mac, far) = (Mac(net.mac()), net.name("v"));
    net.device(to, &far, segment);
    net.tool(
        space,
        &format!("ip link add {near} address {near_mac} type veth peer name {far} address {far_mac}{netns}"),
    );
}

/// A bridge, with some of the devices as ports: never two of one segment, as a loop would never be quiet.
fn bridge(net: &mut Net, space: usize) {
    let name = net.name("br");
    let mac = if net.one_in(4) { format!(" address {}", Mac(net.mac())) } else { String::new() };
    let options = net.pick(BRIDGE);
    net.tool(space, &format!("ip link add {name}{mac} type bridge{options}"));
    let segment = net.segment();
    let own = net.device(space, &name, segment);
    net.devices[own].is_bridge = true;
    for port in net.hosts(space) {
        let device = &net.devices[port];
        if device.is_bridge || net.would_join_cards(device.segment, segment) || net.one_in(3) {
            continue;
        }
        let (port_name, from) = (net.devices[port].name.clone(), net.devices[port].segment);
        net.tool(space, &format!("ip link set {port_name} master {name}"));
        if port_name.starts_with("eth") {
            // A cost that the speed does not decide: the real card is a veth end.
            net.tool(space, &format!("bridge link set dev {port_name} cost 4"));
        }
        net.devices[port].is_port = true;
        net.devices
            .iter_mut()
            .filter(|device| device.segment == from)
            .for_each(|device| device.segment = segment);
    }
}

fn dummy(net: &mut Net, space: usize) {
    let (mac, name, segment) = (Mac(net.mac()), net.name("dm"), net.segment());
    net.tool(space, &format!("ip link add {name} address {mac} type dummy"));
    net.device(space, &name, segment);
}

/// A tun or tap device that no program has open.
fn tuntap(net: &mut Net, space: usize) {
    let (mode, name) = if net.one_in(2) { ("tun", net.name("tu")) } else { ("tap", net.name("tp")) };
    let (mac, segment) = (Mac(net.mac()), net.segment());
    net.tool(space, &format!("ip tuntap add dev {name} mode {mode}"));
    if mode == "tap" {
        net.tool(space, &format!("ip link set {name} address {mac}"));
    }
    net.device(space, &name, segment);
}

/// An ifb device, and mostly a device whose packets come in by it.
fn ifb(net: &mut Net, space: usize) {
    let (mac, name, segment) = (Mac(net.mac()), net.name("if"), net.segment());
    let others = net.hosts(space);
    net.tool(space, &format!("ip link add {name} address {mac} type ifb"));
    net.device(space, &name, segment);
    if !others.is_empty() && !net.one_in(4) {
        let other = net.pick(&others);
        let other = net.devices[other].name.clone();
        net.run(space, &format!("tc qdisc add dev {other} ingress"));
        let action = format!("matchall action mirred egress redirect dev {name}");
        net.run(space, &format!("tc filter add dev {other} ingress protocol all {action}"));
    }
}
