//! Devices over other devices. A new kind is a row of [`OVER`].

use glassnet_wire::Mac;

use super::net::Net;

/// Makes something over a device.
type Make = fn(&mut Net, usize);

/// Devices over others by weight.
const OVER: &[(usize, Make)] = &[(3, vlan), (2, macvlan), (2, ipvlan), (3, vrf)];

impl Net {
    /// A block that makes devices over others.
    pub fn over(&mut self) {
        self.block();
        for _ in 0..self.pick(&[0, 1, 1, 2, 2]) {
            let below: Vec<usize> = (0..self.devices.len()).filter(|at| !self.devices[*at].is_port).collect();
            if !below.is_empty() {
                let (make, below) = (self.weighted(OVER), self.pick(&below));
                make(self, below);
            }
        }
    }

    /// Notes a device over another one, in a segment.
    fn above(&mut self, below: usize, name: &str, segment: usize) {
        let space = self.devices[below].space;
        self.device(space, name, segment);
        self.tool(space, &format!("ip link set {name} up"));
    }

    /// The namespace, the name, and a new name in that namespace.
    pub(super) fn place(&mut self, below: usize, stem: &str) -> (usize, String, String) {
        (self.devices[below].space, self.devices[below].name.clone(), self.name(stem))
    }
}

fn vlan(net: &mut Net, below: usize) {
    let (space, lower, name) = net.place(below, "vl");
    let (id, mac) = (net.pick(&[5, 5, 6]), Mac(net.mac()));
    let more = net.pick(&["", "", "", " protocol 802.1ad", " loose_binding on", " egress-qos-map 0:3"]);
    net.tool(space, &format!("ip link add link {lower} name {name} address {mac} type vlan id {id}{more}"));
    let segment = net.vlan_segment(net.devices[below].segment, id);
    net.above(below, &name, segment);
}

fn macvlan(net: &mut Net, below: usize) {
    let mode = net.pick(&["bridge", "bridge", "bridge", "private", "vepa", "passthru"]);
    for _ in 0..net.pick(&[1, 2]) {
        let (space, lower, name) = net.place(below, "mv");
        let mac = Mac(net.mac());
        net.tool(
            space,
            &format!("ip link add link {lower} name {name} address {mac} type macvlan mode {mode}"),
        );
        net.above(below, &name, net.devices[below].segment);
    }
}

fn ipvlan(net: &mut Net, below: usize) {
    let (mode, flag) = (net.pick(&["l2", "l2", "l3", "l3s"]), net.pick(&["", "", " private", " vepa"]));
    for _ in 0..net.pick(&[1, 2]) {
        let (space, lower, name) = net.place(below, "iv");
        net.tool(space, &format!("ip link add link {lower} name {name} type ipvlan mode {mode}{flag}"));
        net.above(below, &name, net.devices[below].segment);
    }
}

/// A VRF, with some of the devices of a namespace.
fn vrf(net: &mut Net, below: usize) {
    let (space, _, name) = net.place(below, "vf");
    let (table, mac) = (net.pick(&[7, 10, 11]), Mac(net.mac()));
    net.tool(space, &format!("ip link add {name} address {mac} type vrf table {table}"));
    for slave in net.hosts(space) {
        if slave == below || net.one_in(3) {
            let slave = net.devices[slave].name.clone();
            net.tool(space, &format!("ip link set {slave} master {name}"));
        }
    }
    let segment = net.segment();
    net.above(below, &name, segment);
}
