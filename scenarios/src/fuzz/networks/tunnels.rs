//! Tunnels. A new kind is a row of [`TUNNELS`].

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use super::net::Net;

/// Makes one end of a tunnel.
type Tunnel = fn(&mut Net, &End);

/// Where an end is made.
pub(super) struct End {
    /// Index of the device that it lies on.
    below: usize,
    /// The number of the tunnel.
    number: usize,
    remote: Ipv4Addr,
    /// Words that say both ends.
    ends: String,
}

/// Tunnels by weight.
const TUNNELS: &[(usize, Tunnel)] = &[
    (5, vxlan),
    (2, geneve),
    (2, ipip),
    (2, gre),
    (1, gretap),
    (1, |net, end| in_udp(net, end, "ipip", "fou")),
    (1, |net, end| in_udp(net, end, "ipip", "gue")),
    (1, |net, end| in_udp(net, end, "gre", "fou")),
    (1, |net, end| in_udp(net, end, "gretap", "gue")),
    (2, |net, end| external(net, end, "vxlan", " dstport 4790")),
    (2, |net, end| external(net, end, "geneve", " dstport 6082")),
    (1, |net, end| external(net, end, "gretap", "")),
];

/// How names of devices begin whose packets say where they go.
const EXTERNAL: &str = "xt";

impl Net {
    /// A block that makes tunnels between addresses that reach each other directly.
    pub fn tunnels(&mut self) {
        self.block();
        let mut is_bridged = false;
        for number in 0..self.pick(&[0, 0, 1, 1, 1, 2]) {
            let Some((near, far)) = self.ends() else { continue };
            let (make, inside, underlay) =
                (self.weighted(TUNNELS), self.segment(), self.devices[near].segment);
            let mut made = Vec::new();
            for (below, other) in [(near, far), (far, near)] {
                let (local, remote) = (self.devices[below].addresses[0], self.devices[other].addresses[0]);
                let local = if self.one_in(4) { String::new() } else { format!(" local {local}") };
                let ends = format!(" remote {remote}{local}");
                make(self, &End { below, number, remote, ends });
                let end = self.devices.len() - 1;
                self.devices[end].segment = inside;
                made.push((end, remote));
                let (space, name) = (self.devices[end].space, self.devices[end].name.clone());
                self.tool(space, &format!("ip link set {name} up"));
            }
            if !is_bridged && self.one_in(3) {
                is_bridged = true;
                made.iter().for_each(|(end, _)| self.becomes_port(*end, underlay));
            }
            for (end, _) in &made {
                if !self.devices[*end].is_port {
                    self.add_address(*end);
                }
            }
            self.routes_that_say_it(&made, number);
        }
    }

    /// Two devices of a segment, in two namespaces.
    fn ends(&mut self) -> Option<(usize, usize)> {
        let is_near = |at: &usize| !self.devices[*at].addresses.is_empty();
        let near: Vec<usize> = (0..self.devices.len()).filter(is_near).collect();
        let near = (!near.is_empty()).then(|| self.pick(&near))?;
        let (segment, space) = (self.devices[near].segment, self.devices[near].space);
        let is_far = |at: &usize| {
            let device = &self.devices[*at];
            device.segment == segment && device.space != space && !device.addresses.is_empty()
        };
        let far: Vec<usize> = (0..self.devices.len()).filter(is_far).collect();
        (!far.is_empty()).then(|| (near, self.pick(&far)))
    }

    /// The end of a tunnel becomes a port of a bridge in its namespace, but not of one that the tunnel's own packets pass.
    fn becomes_port(&mut self, end: usize, underlay: usize) {
        let (space, inside) = (self.devices[end].space, self.devices[end].segment);
        let is_ethernet =
            ["vx", "gn", "tt", "ug"].iter().any(|stem| self.devices[end].name.starts_with(stem));
        let is_apart = |device: &&super::net::Device| {
            device.is_bridge && device.space == space && ![underlay, inside].contains(&device.segment)
        };
        let Some(bridge) = self.devices.iter().find(is_apart).filter(|_| is_ethernet) else { return };
        let (bridge, segment, name) = (bridge.name.clone(), bridge.segment, self.devices[end].name.clone());
        self.tool(space, &format!("ip link set {name} master {bridge}"));
        self.devices[end].is_port = true;
        let all = self.devices.iter_mut().filter(|device| device.segment == inside);
        all.for_each(|device| device.segment = segment);
    }

    /// Routes that say for a device to whom the packet goes, at both ends.
    fn routes_that_say_it(&mut self, made: &[(usize, Ipv4Addr)], number: usize) {
        let [(near, _), (far, _)] = made[..] else { return };
        for ((end, remote), other) in made.iter().zip([far, near]) {
            let address = self.devices[other].addresses.first().copied();
            let (space, name) = (self.devices[*end].space, self.devices[*end].name.clone());
            if let Some(address) = address.filter(|_| name.starts_with(EXTERNAL)) {
                let more = self.pick(&["", "", " ttl 5", " tos 4", " key", " csum"]);
                let encap = format!("encap ip id {} dst {remote}{more}", 42 + number);
                self.tool(space, &format!("ip route add {address}/32 {encap} dev {name}"));
            }
        }
    }
}

fn vxlan(net: &mut Net, end: &End) {
    let (space, lower, name) = net.place(end.below, "vx");
    let mac = Mac(net.mac());
    let dev = net.pick(&["", " dev "]);
    let lower = if dev.is_empty() { String::new() } else { lower };
    let more = net.pick(&[
        "",
        "",
        "",
        " nolearning",
        " ttl 3",
        " ttl inherit",
        " tos inherit",
        " df set",
        " df inherit",
        " noudpcsum",
        " proxy",
        " rsc",
        " l2miss l3miss",
        " ageing 100",
        " maxaddress 1",
        " srcport 5000 5100",
    ]);
    let (id, ends) = (42 + end.number, &end.ends);
    let what =
        format!("ip link add {name} address {mac} type vxlan id {id}{ends} dstport 4789{dev}{lower}{more}");
    net.tool(space, &what);
    net.device(space, &name, 0);
}

fn geneve(net: &mut Net, end: &End) {
    let (space, _, name) = net.place(end.below, "gn");
    let mac = Mac(net.mac());
    let more =
        net.pick(&["", "", " ttl 3", " ttl inherit", " tos inherit", " df set", " df inherit", " udpcsum"]);
    let (id, remote) = (42 + end.number, end.remote);
    net.tool(space, &format!("ip link add {name} address {mac} type geneve id {id} remote {remote}{more}"));
    net.device(space, &name, 0);
}

fn ipip(net: &mut Net, end: &End) {
    let (space, _, name) = net.place(end.below, "ti");
    let more = net.pick(&["", "", " ttl 3", " nopmtudisc", " tos inherit"]);
    net.tool(space, &format!("ip link add {name} type ipip{}{more}", end.ends));
    net.device(space, &name, 0);
}

fn gre(net: &mut Net, end: &End) {
    let (space, _, name) = net.place(end.below, "tg");
    let more = net.pick(&["", "", " csum", " seq", " ttl 3", " nopmtudisc ignore-df"]);
    let key = if end.number > 0 { format!(" key {}", end.number) } else { String::new() };
    net.tool(space, &format!("ip link add {name} type gre{}{key}{more}", end.ends));
    net.device(space, &name, 0);
}

fn gretap(net: &mut Net, end: &End) {
    let (space, _, name) = net.place(end.below, "tt");
    let mac = Mac(net.mac());
    let more = net.pick(&["", "", " csum", " nopmtudisc ignore-df"]);
    net.tool(
        space,
        &format!("ip link add {name} address {mac} type gretap{} key {}{more}", end.ends, end.number),
    );
    net.device(space, &name, 0);
}

/// Foo over UDP, or generic UDP encapsulation.
fn in_udp(net: &mut Net, end: &End, kind: &str, encap: &str) {
    let (space, _, name) = net.place(end.below, if kind == "gretap" { "ug" } else { "ui" });
    let (port, mac) = (5555 + end.number, Mac(net.mac()));
    let what = match (encap, kind) {
        ("gue", _) => "gue",
        (_, "ipip") => "ipproto 4",
        _ => "ipproto 47",
    };
    net.tool(space, &format!("ip fou add port {port} {what}"));
    let address = if kind == "gretap" { format!(" address {mac}") } else { String::new() };
    let from = net.pick(&["auto", "auto", "5555"]);
    let more = net.pick(&["", "", " encap-csum", " ttl 3"]);
    let encap = format!("encap {encap} encap-sport {from} encap-dport {port}{more}");
    net.tool(space, &format!("ip link add {name}{address} type {kind}{} {encap}", end.ends));
    net.device(space, &name, 0);
}

/// A device whose packets say where they go.
fn external(net: &mut Net, end: &End, kind: &str, more: &str) {
    let (space, _, name) = net.place(end.below, EXTERNAL);
    let is_ethernet = kind != "gre";
    let address = if is_ethernet { format!(" address {}", Mac(net.mac())) } else { String::new() };
    net.tool(space, &format!("ip link add {name}{address} type {kind} external{more}"));
    net.device(space, &name, 0);
}
