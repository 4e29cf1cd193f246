//! Devices over other devices, and tunnels. A new kind is a row of [`OVER`] or [`TUNNELS`].

use glassnet_wire::Mac;

use super::net::Net;

/// Makes something over a device.
type Make = fn(&mut Net, usize);

/// Devices over others by weight.
const OVER: &[(usize, Make)] = &[(3, vlan), (2, macvlan), (2, ipvlan), (3, vrf)];

/// Makes one end of a tunnel: index of the device that it lies on, its number, and words with its ends.
type Tunnel = fn(&mut Net, usize, usize, &str);

/// Tunnels by weight.
const TUNNELS: &[(usize, Tunnel)] = &[(4, vxlan), (2, geneve), (2, ipip), (2, gre), (1, gretap)];

impl Net {
    /// A block that makes devices over others.
    pub fn over(&mut self) {
        self.block();
        for _ in 0..self.pick(&[0, 0, 1, 1, 2]) {
            let below: Vec<usize> = (0..self.devices.len()).filter(|at| !self.devices[*at].is_port).collect();
            if !below.is_empty() {
                let (make, below) = (self.weighted(OVER), self.pick(&below));
                make(self, below);
            }
        }
        if self.one_in(6) {
            self.bonds();
        }
    }

    /// A block that makes tunnels between addresses that reach each other directly.
    pub fn tunnels(&mut self) {
        self.block();
        for number in 0..self.pick(&[0, 0, 0, 1, 1, 2]) {
            let near: Vec<usize> =
                (0..self.devices.len()).filter(|at| !self.devices[*at].addresses.is_empty()).collect();
            if near.is_empty() {
                return;
            }
            let near = self.pick(&near);
            let (segment, space) = (self.devices[near].segment, self.devices[near].space);
            let is_far = |at: &usize| {
                let device = &self.devices[*at];
                device.segment == segment && device.space != space && !device.addresses.is_empty()
            };
            let far: Vec<usize> = (0..self.devices.len()).filter(is_far).collect();
            if far.is_empty() {
                continue;
            }
            let (far, make, inside) = (self.pick(&far), self.weighted(TUNNELS), self.segment());
            for (own, other) in [(near, far), (far, near)] {
                let (local, remote) = (self.devices[own].addresses[0], self.devices[other].addresses[0]);
                let local = if self.one_in(4) { String::new() } else { format!(" local {local}") };
                make(self, own, number, &format!(" remote {remote}{local}"));
                if let Some(device) = self.devices.last_mut() {
                    device.segment = inside;
                }
                let made = self.devices.len() - 1;
                let (space, name) = (self.devices[made].space, self.devices[made].name.clone());
                self.tool(space, &format!("ip link set {name} up"));
                self.add_address(made);
            }
        }
    }

    /// Two cables between two namespaces, as a bond at both ends.
    fn bonds(&mut self) {
        let space = self.any_space();
        let machine = self.spaces[space].machine.clone();
        let far = (0..self.spaces.len()).find(|at| {
            self.spaces[*at].machine == machine && *at != space && !self.spaces[*at].netns.is_empty()
        });
        let Some(far) = far else { return };
        let netns = self.spaces[far].netns.clone();
        let mode = self.pick(&["active-backup", "balance-rr", "balance-xor", "broadcast"]);
        let miimon = self.pick(&["", " miimon 100", " miimon 100"]);
        let segment = self.segment();
        for at in 0..2 {
            let (near_mac, far_mac) = (Mac(self.mac()), Mac([2, 1, 0, 0, at, self.devices.len() as u8]));
            let near = format!("ip link add s{at} address {near_mac} type veth peer name s{at}");
            self.tool(space, &format!("{near} address {far_mac} netns {netns}"));
        }
        for end in [space, far] {
            self.tool(end, &format!("ip link add bd0 type bond mode {mode}{miimon}"));
            for at in 0..2 {
                self.tool(end, &format!("ip link set s{at} master bd0"));
                let slave = self.device(end, &format!("s{at}"), segment);
                self.devices[slave].is_port = true;
            }
            self.tool(end, "ip link set bd0 up");
            self.device(end, "bd0", segment);
        }
    }

    /// Notes a device over another one, in a segment.
    fn above(&mut self, below: usize, name: &str, segment: usize) {
        let space = self.devices[below].space;
        self.device(space, name, segment);
        self.tool(space, &format!("ip link set {name} up"));
    }

    /// The namespace, the name, and a new name in that namespace.
    fn place(&mut self, below: usize, stem: &str) -> (usize, String, String) {
        (self.devices[below].space, self.devices[below].name.clone(), self.name(stem))
    }
}

fn vlan(net: &mut Net, below: usize) {
    let (space, lower, name) = net.place(below, "vl");
    let (id, mac) = (net.pick(&[5, 5, 6]), Mac(net.mac()));
    let protocol = net.pick(&["", "", "", " protocol 802.1ad"]);
    net.tool(
        space,
        &format!("ip link add link {lower} name {name} address {mac} type vlan id {id}{protocol}"),
    );
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

fn vxlan(net: &mut Net, below: usize, number: usize, ends: &str) {
    let (space, lower, name) = net.place(below, "vx");
    let mac = Mac(net.mac());
    let dev = net.pick(&["", " dev "]);
    let lower = if dev.is_empty() { String::new() } else { lower };
    let more = net.pick(&["", "", "", " nolearning", " ttl 3", " tos inherit", " df set", " udpcsum"]);
    let id = 42 + number;
    let what =
        format!("ip link add {name} address {mac} type vxlan id {id}{ends} dstport 4789{dev}{lower}{more}");
    net.tool(space, &what);
    net.device(space, &name, 0);
}

fn geneve(net: &mut Net, below: usize, number: usize, ends: &str) {
    let (space, _, name) = net.place(below, "gn");
    let mac = Mac(net.mac());
    let more = net.pick(&["", "", " ttl 3", " tos inherit", " df set", " df inherit", " udpcsum"]);
    let (id, remote) = (42 + number, ends.split(" local").next().unwrap_or(ends));
    net.tool(space, &format!("ip link add {name} address {mac} type geneve id {id}{remote}{more}"));
    net.device(space, &name, 0);
}

fn ipip(net: &mut Net, below: usize, _: usize, ends: &str) {
    let (space, _, name) = net.place(below, "ti");
    let more = net.pick(&["", "", " ttl 3", " nopmtudisc"]);
    net.tool(space, &format!("ip link add {name} type ipip{ends}{more}"));
    net.device(space, &name, 0);
}

fn gre(net: &mut Net, below: usize, number: usize, ends: &str) {
    let (space, _, name) = net.place(below, "tg");
    let more = net.pick(&["", "", " csum", " seq", " ttl 3"]);
    let key = if number > 0 { format!(" key {number}") } else { String::new() };
    net.tool(space, &format!("ip link add {name} type gre{ends}{key}{more}"));
    net.device(space, &name, 0);
}

fn gretap(net: &mut Net, below: usize, number: usize, ends: &str) {
    let (space, _, name) = net.place(below, "tt");
    let mac = Mac(net.mac());
    net.tool(space, &format!("ip link add {name} address {mac} type gretap{ends} key {number}"));
    net.device(space, &name, 0);
}
