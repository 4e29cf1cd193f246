//! Events. A new one is a row of [`EVENTS`].

use super::changes::{kind_changes, link_changes, link_goes, link_moves, slave_changes, vxlan_entry_changes};
use super::net::Net;

/// Something that happens.
type Happen = fn(&mut Net);

/// Events by weight.
const EVENTS: &[(usize, Happen)] = &[
    (12, ping),
    (3, ping_sized),
    (3, ping_oddly),
    (5, udp),
    (3, tcp),
    (2, route_get),
    (1, arping),
    (4, link_up_or_down),
    (2, address_goes),
    (2, address_comes),
    (2, route_comes),
    (2, route_goes),
    (2, rule_comes_or_goes),
    (2, neighbour_changes),
    (3, sysctl_changes),
    (2, bridge_changes),
    (1, vlan_comes_or_goes),
    (2, ping_in_vrf),
    (1, master_changes),
    (1, mtu_changes),
    (2, kind_changes),
    (2, link_changes),
    (1, link_goes),
    (1, link_moves),
    (1, slave_changes),
    (1, vxlan_entry_changes),
    (3, time_passes),
];

impl Net {
    /// Blocks of events, mostly of one command.
    pub fn events(&mut self) {
        for _ in 0..4 + self.below(6) {
            self.block();
            let happen = self.weighted(EVENTS);
            happen(self);
        }
    }

    /// A random device with its namespace and name.
    pub(super) fn some_device(&mut self) -> (usize, usize, String) {
        let device = self.any_device().unwrap_or(0);
        let found = self.devices.get(device);
        found.map_or((0, 0, "lo".to_owned()), |found| (device, found.space, found.name.clone()))
    }
}

fn ping(net: &mut Net) {
    let (space, to) = (net.any_space(), net.destination());
    let count = net.pick(&[1, 1, 1, 2]);
    net.run(space, &format!("ping -c {count} -W 1 {to}"));
}

/// Sizes around the MTU of Ethernet: 1472 bytes and 28 of headers are 1500; 2952 are two fragments. With three, what becomes of
/// the buffer in the middle depends on the room in the first.
fn ping_sized(net: &mut Net) {
    let (space, to) = (net.any_space(), net.destination());
    let size = net.pick(&[0, 8, 1000, 1471, 1472, 1473, 2000, 2952]);
    let fragments = net.pick(&["", " -M do", " -M dont"]);
    net.run(space, &format!("ping -c 1 -W 1 -s {size}{fragments} {to}"));
}

fn ping_oddly(net: &mut Net) {
    let (_, space, device) = net.some_device();
    let (to, source) = (net.destination(), net.destination());
    let mark = net.pick(&[1, 2]);
    let how = match net.below(7) {
        0 => "-t 1".to_owned(),
        1 => "-t 2".to_owned(),
        2 => format!("-I {device}"),
        3 => format!("-I {source}"),
        4 => format!("-m {mark}"),
        5 => "-r".to_owned(),
        _ => "-b".to_owned(),
    };
    net.run(space, &format!("ping -c 1 -W 1 {how} {to}"));
}

fn udp(net: &mut Net) {
    let (space, to) = (net.any_space(), net.destination());
    let port = net.pick(&[53, 53, 53, 54]);
    net.run(space, &format!("nc -u -w 1 {to} {port} <<< hello"));
}

fn tcp(net: &mut Net) {
    let (space, to) = (net.any_space(), net.destination());
    let port = net.pick(&[80, 80, 81]);
    net.run(space, &format!("nc -N -w 1 {to} {port} <<< hello"));
}

fn route_get(net: &mut Net) {
    let (space, to, from) = (net.any_space(), net.destination(), net.destination());
    let device = net.hosts(space).first().map(|at| net.devices[*at].name.clone());
    let how = match (net.below(5), device) {
        (0, Some(device)) => format!(" oif {device}"),
        (1, Some(device)) => format!(" from {from} iif {device}"),
        (2, _) => format!(" from {from}"),
        (3, _) => " mark 1".to_owned(),
        _ => String::new(),
    };
    let netns = net.spaces[space].netns.clone();
    let inside = if netns.is_empty() { String::new() } else { format!("-n {netns} ") };
    net.say(space, format!("ip {inside}route get {to}{how}"));
}

fn arping(net: &mut Net) {
    let (device, space, name) = net.some_device();
    let to = match net.neighbour(device) {
        Some(to) => to,
        None => net.destination(),
    };
    let how = net.pick(&["", " -U", " -A", " -D"]);
    net.run(space, &format!("arping -c 1 -w 1{how} -I {name} {to}"));
}

fn link_up_or_down(net: &mut Net) {
    let (_, space, name) = net.some_device();
    if net.one_in(3) {
        net.tool(space, &format!("ip link set {name} up"));
        return;
    }
    net.tool(space, &format!("ip link set {name} down"));
    if net.one_in(2) {
        if net.one_in(2) {
            net.block();
        }
        net.tool(space, &format!("ip link set {name} up"));
    }
}

fn address_goes(net: &mut Net) {
    let (device, space, name) = net.some_device();
    let known = net.devices.get(device).map(|device| device.addresses.clone()).unwrap_or_default();
    match known.first() {
        Some(address) if !net.one_in(4) => {
            let length = net.pick(&[24, 24, 24, 32]);
            net.tool(space, &format!("ip addr del {address}/{length} dev {name}"));
        }
        _ => net.tool(space, &format!("ip addr flush dev {name}")),
    }
}

fn address_comes(net: &mut Net) {
    let (device, _, _) = net.some_device();
    if device < net.devices.len() {
        net.add_address(device);
    }
}

fn route_comes(net: &mut Net) {
    let space = net.any_space();
    net.add_route(space);
}

fn route_goes(net: &mut Net) {
    let space = net.any_space();
    let segment = net.below(net.segments.max(1));
    let what = match net.below(4) {
        0 => "del default".to_owned(),
        1 => format!("del 10.0.{segment}.0/24"),
        2 => "flush table 7".to_owned(),
        _ => "flush cache".to_owned(),
    };
    net.tool(space, &format!("ip route {what}"));
}

fn rule_comes_or_goes(net: &mut Net) {
    let space = net.any_space();
    match net.below(4) {
        0 => net.tool(space, "ip rule del priority 100"),
        1 => net.tool(space, "ip rule del table 7"),
        _ => net.add_rule(space),
    }
}

fn neighbour_changes(net: &mut Net) {
    let (device, space, name) = net.some_device();
    if device >= net.devices.len() {
        return;
    }
    let whom = match net.neighbour(device) {
        Some(whom) => whom,
        None => net.destination(),
    };
    let mac = glassnet_wire::Mac(net.mac());
    let state = net.pick(&["permanent", "reachable", "stale", "noarp"]);
    let what = match net.below(5) {
        0 => format!("del {whom} dev {name}"),
        1 => format!("flush dev {name}"),
        2 => format!("replace {whom} lladdr {mac} dev {name} nud {state}"),
        3 => format!("add proxy {whom} dev {name}"),
        _ => format!("change {whom} dev {name} nud stale"),
    };
    net.tool(space, &format!("ip neigh {what}"));
}

fn sysctl_changes(net: &mut Net) {
    net.set_sysctl();
}

fn bridge_changes(net: &mut Net) {
    let ports: Vec<usize> = (0..net.devices.len()).filter(|at| net.devices[*at].is_port).collect();
    if ports.is_empty() {
        return ping(net);
    }
    let port = net.pick(&ports);
    let (space, name) = (net.devices[port].space, net.devices[port].name.clone());
    let bridge = net.devices.iter().find(|device| device.is_bridge && device.space == space);
    let bridge = bridge.map_or("br0".to_owned(), |bridge| bridge.name.clone());
    let flag = net.pick(&["hairpin", "learning", "flood", "bcast_flood", "mcast_flood", "isolated", "guard"]);
    let value = net.pick(&["on", "off"]);
    match net.below(6) {
        0 => net.tool(space, &format!("ip link set {name} nomaster")),
        1 => net.tool(space, &format!("ip link set {bridge} type bridge ageing_time 100")),
        2 => net.tool(space, &format!("bridge fdb flush dev {bridge}")),
        3 => {
            let mac = glassnet_wire::Mac(net.mac());
            net.tool(space, &format!("bridge fdb add {mac} dev {name} master static"));
        }
        _ => net.tool(space, &format!("bridge link set dev {name} {flag} {value}")),
    }
}

/// A VLAN of a port, or of the bridge itself.
fn vlan_comes_or_goes(net: &mut Net) {
    let is_here = |at: &usize| net.devices[*at].is_port || net.devices[*at].is_bridge;
    let all: Vec<usize> = (0..net.devices.len()).filter(is_here).collect();
    if all.is_empty() {
        return ping(net);
    }
    let device = net.pick(&all);
    let (space, name, own) =
        (net.devices[device].space, net.devices[device].name.clone(), net.devices[device].is_bridge);
    let (how, id) = (net.pick(&["add", "add", "del"]), net.pick(&[1, 5, 6]));
    let (own, flags) = (if own { " self" } else { "" }, net.pick(&["", "", " pvid untagged", " untagged"]));
    net.tool(space, &format!("bridge vlan {how} dev {name} vid {id}{flags}{own}"));
}

fn ping_in_vrf(net: &mut Net) {
    let vrfs: Vec<usize> =
        (0..net.devices.len()).filter(|at| net.devices[*at].name.starts_with("vf")).collect();
    if vrfs.is_empty() {
        return ping(net);
    }
    let (vrf, to) = (net.pick(&vrfs), net.destination());
    let (space, name) = (net.devices[vrf].space, net.devices[vrf].name.clone());
    match net.below(3) {
        0 => net.run(space, &format!("ip vrf exec {name} ping -c 1 -W 1 {to}")),
        1 => net.tool(space, &format!("ip route add default vrf {name} via {to}")),
        _ => net.run(space, &format!("ping -c 1 -W 1 -I {name} {to}")),
    }
}

/// A device comes under a VRF, or leaves what it is under.
fn master_changes(net: &mut Net) {
    let (_, space, name) = net.some_device();
    let of_space = |device: &&super::net::Device| device.space == space && device.name.starts_with("vf");
    let vrf = net.devices.iter().find(of_space).map(|device| device.name.clone());
    match vrf.filter(|vrf| *vrf != name && !net.one_in(3)) {
        Some(vrf) => net.tool(space, &format!("ip link set {name} master {vrf}")),
        None => net.tool(space, &format!("ip link set {name} nomaster")),
    }
}

fn mtu_changes(net: &mut Net) {
    let (_, space, name) = net.some_device();
    let mtu = net.pick(&[1280, 1400, 1499, 1501, 9000, 68]);
    net.tool(space, &format!("ip link set {name} mtu {mtu}"));
}

/// From microseconds to most of a day, which is as long as a prompt may take; see the module for what is left out.
fn time_passes(net: &mut Net) {
    let space = net.any_space();
    let all = ["0.00002", "0.003", "0.3", "2.3", "70", "200", "700", "4000", "80000"];
    let seconds = net.pick(if net.talks { &all[..6] } else { &all });
    let machine = net.spaces[space].machine.clone();
    let own = net.spaces.iter().position(|space| space.machine == machine).unwrap_or(space);
    net.run(own, &format!("sleep {seconds}"));
}
