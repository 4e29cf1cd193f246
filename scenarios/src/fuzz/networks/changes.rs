//! Events that change devices. What a kind of device lets change is a row of [`CHANGES`].

use glassnet_wire::Mac;

use super::net::Net;

/// How the name of a device begins, its kind, and what can be changed of it.
const CHANGES: &[(&str, &str, &[&str])] = &[
    (
        "br",
        "bridge",
        &[
            "vlan_filtering 1",
            "vlan_filtering 0",
            "vlan_default_pvid 5",
            "mcast_snooping 0",
            "nf_call_iptables 1",
        ],
    ),
    (
        "bd",
        "bond",
        &[
            "active_slave s1",
            "active_slave eth1",
            "primary s1",
            "xmit_hash_policy layer3+4",
            "min_links 1",
            "miimon 50",
        ],
    ),
    ("mv", "macvlan", &["mode private", "mode bridge", "mode vepa"]),
    (
        "iv",
        "ipvlan",
        &["mode l2", "mode l3", "mode l3s", "mode l2 private", "mode l2 vepa", "mode l3 bridge"],
    ),
    ("vl", "vlan", &["reorder_hdr on", "loose_binding on", "egress-qos-map 0:5"]),
    ("vx", "vxlan", &["ttl 7", "ageing 50", "nolearning", "learning"]),
];

/// Options of a kind.
pub(super) fn kind_changes(net: &mut Net) {
    let row = |name: &str| CHANGES.iter().position(|(stem, ..)| name.starts_with(stem));
    let all: Vec<(usize, usize)> =
        net.devices.iter().enumerate().filter_map(|(at, d)| Some((at, row(&d.name)?))).collect();
    if all.is_empty() {
        return link_changes(net);
    }
    let (device, row) = net.pick(&all);
    let what = net.pick(CHANGES[row].2);
    let kind = CHANGES[row].1;
    let (space, name) = (net.devices[device].space, net.devices[device].name.clone());
    net.tool(space, &format!("ip link set {name} type {kind} {what}"));
}

/// What every device has.
pub(super) fn link_changes(net: &mut Net) {
    let (_, space, name) = net.some_device();
    let what = match net.below(8) {
        0..=1 => format!("address {}", Mac(net.mac())),
        2 => "promisc on".to_owned(),
        3 => "promisc off".to_owned(),
        4 => net.pick(&["arp off", "arp on"]).to_owned(),
        5 => net.pick(&["multicast off", "multicast on"]).to_owned(),
        6 => "allmulticast on".to_owned(),
        _ => "txqueuelen 100".to_owned(),
    };
    net.tool(space, &format!("ip link set {name} {what}"));
}

/// A device is deleted.
pub(super) fn link_goes(net: &mut Net) {
    let (_, space, name) = net.some_device();
    if name.starts_with("eth") {
        // The real card is a veth end.
        return link_changes(net);
    }
    net.tool(space, &format!("ip link del {name}"));
}

/// A device moves to another namespace of its machine, and is set up there.
pub(super) fn link_moves(net: &mut Net) {
    let (device, space, name) = net.some_device();
    let machine = net.spaces[space].machine.clone();
    let to: Vec<usize> = (0..net.spaces.len())
        .filter(|at| net.spaces[*at].machine == machine && *at != space && !net.spaces[*at].netns.is_empty())
        .collect();
    // The real card is a veth end, which tells so elsewhere.
    if to.is_empty() || device >= net.devices.len() || name.starts_with("eth") {
        return link_changes(net);
    }
    let to = net.pick(&to);
    let netns = net.spaces[to].netns.clone();
    net.tool(space, &format!("ip link set {name} netns {netns}"));
    net.devices[device].space = to;
    net.devices[device].is_port = false;
    net.tool(to, &format!("ip link set {name} up"));
    if !net.one_in(3) {
        net.add_address(device);
    }
}

/// A slave leaves its bond, or comes.
pub(super) fn slave_changes(net: &mut Net) {
    let bonds: Vec<usize> =
        (0..net.devices.len()).filter(|at| net.devices[*at].name.starts_with("bd")).collect();
    if bonds.is_empty() {
        return link_changes(net);
    }
    let bond = net.pick(&bonds);
    let (space, segment) = (net.devices[bond].space, net.devices[bond].segment);
    let is_slave = |at: &usize| {
        let device = &net.devices[*at];
        device.space == space && device.segment == segment && device.is_port
    };
    let slaves: Vec<usize> = (0..net.devices.len()).filter(is_slave).collect();
    if slaves.is_empty() {
        return link_changes(net);
    }
    let slave = net.pick(&slaves);
    let slave = net.devices[slave].name.clone();
    match net.below(3) {
        0 => net.tool(space, &format!("ip link set {slave} nomaster")),
        1 => {
            net.tool(space, &format!("ip link set {slave} down"));
            net.tool(space, &format!("ip link set {slave} master bd0"));
        }
        _ => net.tool(space, &format!("ip link set {slave} down")),
    }
}

/// Forwarding entries of a VXLAN device.
pub(super) fn vxlan_entry_changes(net: &mut Net) {
    let all: Vec<usize> =
        (0..net.devices.len()).filter(|at| net.devices[*at].name.starts_with("vx")).collect();
    if all.is_empty() {
        return link_changes(net);
    }
    let device = net.pick(&all);
    let (space, name) = (net.devices[device].space, net.devices[device].name.clone());
    let mac = if net.one_in(2) { Mac::default() } else { Mac(net.mac()) };
    let to = net.destination();
    let what = net.pick(&["add", "append", "append", "replace", "del"]);
    let more = net.pick(&["", "", " vni 43", " port 4790", " self permanent", " static", " dynamic"]);
    net.tool(space, &format!("bridge fdb {what} {mac} dev {name} dst {to}{more}"));
}
