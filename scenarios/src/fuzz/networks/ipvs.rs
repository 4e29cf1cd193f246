//! A director of IPVS between a client and servers: services, and what happens to them. A new event is a row of [`EVENTS`].
//!
//! All neighbours are known for good, so any time may pass.

use glassnet_wire::Mac;

use super::net::{Net, Space};
use crate::lesson::{Endpoint, Node, Switch};

/// What a service is found by, as options; and the destinations that it had.
#[derive(Clone, Debug)]
struct Service {
    /// Such as `-u 10.0.9.1:53`.
    name: String,
    /// Its protocol's option; of a mark, `-f`.
    kind: char,
    address: u8,
    port: u16,
    dests: Vec<String>,
}

/// What is known of the services while events are drawn.
#[derive(Default)]
struct Drawn {
    services: Vec<Service>,
    /// Ports of clients, which TCP uses once.
    port: u16,
}

/// Something that happens.
type Happen = fn(&mut Net, &mut Drawn);

/// Events by weight.
const EVENTS: &[(usize, Happen)] = &[
    (8, udp),
    (6, tcp),
    (3, segments),
    (3, weight_changes),
    (2, dest_goes),
    (2, dest_comes),
    (2, scheduler_changes),
    (1, service_goes),
    (2, service_comes),
    (3, setting_changes),
    (1, timeouts_change),
    (1, ping),
    (1, server_fails),
    (4, time_passes),
];

/// The spaces: director, client, and the first server.
const DIRECTOR: usize = 0;
const CLIENT: usize = 1;
const SERVERS: usize = 2;

/// Settings and their values.
const SETTINGS: &[(&str, &[u8])] = &[
    ("conntrack", &[0, 1]),
    ("expire_nodest_conn", &[0, 1]),
    ("expire_quiescent_template", &[0, 1]),
    ("conn_reuse_mode", &[0, 1, 3]),
    ("nat_icmp_send", &[0, 1]),
    ("snat_reroute", &[0, 1]),
    ("sloppy_tcp", &[0, 1]),
    ("secure_tcp", &[0, 3]),
    ("drop_packet", &[0, 3]),
    ("am_droprate", &[2, 5]),
    ("cache_bypass", &[0, 1]),
    ("schedule_icmp", &[0, 1]),
    ("pmtu_disc", &[0, 1]),
];

impl Net {
    /// Machines, services and events.
    pub fn balanced(&mut self) {
        let servers = 1 + self.below(3);
        self.machines_of_director(servers);
        let mut drawn = Drawn { services: Vec::new(), port: 1000 };
        self.block();
        for _ in 0..1 + self.below(3) {
            service_comes(self, &mut drawn);
        }
        for _ in 0..6 + self.below(8) {
            self.block();
            let happen = self.weighted(EVENTS);
            happen(self, &mut drawn);
        }
    }

    fn machines_of_director(&mut self, servers: usize) {
        for machine in ["lb", "c", "s1", "s2", "s3"].into_iter().take(SERVERS + servers) {
            self.topology.nodes.insert(machine.to_owned(), Node::default());
            self.spaces.push(Space { machine: machine.to_owned(), netns: String::new() });
        }
        let (outside, inside) = (self.segment(), self.segment());
        let ends = [self.nic(DIRECTOR, outside), self.nic(CLIENT, outside)];
        let [near, far] = ends.clone();
        self.cable(near, far);
        let ports = (0..=servers).map(|port| port.to_string()).collect();
        self.topology.switches.insert("sw".to_owned(), Switch { ports, queue: None });
        let mut all = vec![self.nic(DIRECTOR, inside)];
        all.extend((0..servers).map(|at| self.nic(SERVERS + at, inside)));
        for (at, end) in all.iter().enumerate() {
            self.cable(end.clone(), Endpoint { node: "sw".to_owned(), port: at.to_string() });
        }
        self.block();
        let mac = |net: &Net, end: &Endpoint| {
            net.topology.nodes[&end.node].nics[&end.port].address.unwrap_or(Mac([0; 6]))
        };
        let macs: Vec<Mac> = ends.iter().chain(&all).map(|end| mac(self, end)).collect();
        self.addresses(servers, &macs);
        self.answers(servers);
    }

    /// The devices of a machine, `lo` first.
    fn devices_of(&self, space: usize) -> Vec<String> {
        let nics = self.topology.nodes[&self.spaces[space].machine].nics.keys().cloned();
        std::iter::once("lo".to_owned()).chain(nics).collect()
    }

    fn addresses(&mut self, servers: usize, macs: &[Mac]) {
        for space in DIRECTOR..SERVERS + servers {
            for dev in self.devices_of(space) {
                self.tool(space, &format!("ip link set {dev} up"));
            }
        }
        self.sysctl(DIRECTOR, "net.ipv4.ip_forward=1");
        self.tool(DIRECTOR, "ip addr add 10.0.0.1/24 dev eth0");
        self.tool(DIRECTOR, "ip addr add 10.0.1.1/24 dev eth1");
        for service in 1..3 {
            self.tool(DIRECTOR, &format!("ip addr add 10.0.9.{service}/32 dev lo"));
        }
        for host in 2..6 {
            self.tool(CLIENT, &format!("ip addr add 10.0.0.{host}/24 dev eth0"));
            self.tool(
                DIRECTOR,
                &format!("ip neigh add 10.0.0.{host} lladdr {} dev eth0 nud permanent", macs[1]),
            );
        }
        self.tool(CLIENT, &format!("ip neigh add 10.0.0.1 lladdr {} dev eth0 nud permanent", macs[0]));
        self.tool(CLIENT, "ip route add default via 10.0.0.1");
        for server in 0..servers {
            let (space, mac, host) = (SERVERS + server, macs[3 + server], 11 + server);
            self.tool(space, &format!("ip addr add 10.0.1.{host}/24 dev eth0"));
            self.tool(space, &format!("ip neigh add 10.0.1.1 lladdr {} dev eth0 nud permanent", macs[2]));
            self.tool(space, "ip route add default via 10.0.1.1");
            self.tool(DIRECTOR, &format!("ip neigh add 10.0.1.{host} lladdr {mac} dev eth1 nud permanent"));
            for service in 1..3 {
                // As a server behind direct routing has it.
                if self.one_in(2) {
                    self.tool(space, &format!("ip addr add 10.0.9.{service}/32 dev lo"));
                }
            }
        }
        if self.one_in(3) {
            self.run(DIRECTOR, "iptables -t mangle -A PREROUTING -d 10.0.9.2 -j MARK --set-mark 5");
        }
        if self.one_in(3) {
            self.run(DIRECTOR, "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE");
        }
        if self.one_in(4) {
            self.run(DIRECTOR, "iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP");
        }
        if self.one_in(4) {
            self.run(
                DIRECTOR,
                "iptables -t mangle -A POSTROUTING -m ipvs --vaddr 10.0.9.0/24 --vmethod MASQ",
            );
        }
    }

    /// Servers that answer, and some ports where nobody does.
    fn answers(&mut self, servers: usize) {
        for space in SERVERS..SERVERS + servers {
            for (port, option) in [(53, "-dlku"), (80, "-dlk"), (8080, "-dlk")] {
                if !self.one_in(4) {
                    self.run(space, &format!("nc {option} {port} >/dev/null &"));
                }
            }
        }
    }

    fn server_count(&self) -> usize {
        self.spaces.len() - SERVERS
    }
}

fn scheduler(net: &mut Net) -> String {
    let name = net
        .pick(&["rr", "rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "dh", "sh", "mh", "lblc", "lblcr"]);
    let flags = match name {
        "sh" | "mh" => {
            net.pick(&["", " -b {}-port", " -b {}-fallback", " -b {}-port,{}-fallback"]).replace("{}", name)
        }
        _ => String::new(),
    };
    format!("{name}{flags}")
}

fn options(net: &mut Net, kind: char) -> String {
    let mut options = format!("-s {}", scheduler(net));
    if net.one_in(4) {
        options += &format!(" -p {}", net.pick(&[1, 30, 100, 400]));
        options += net.pick(&["", "", " -M 255.255.255.0", " -M 255.255.255.254"]);
    }
    if kind == 'u' && net.one_in(6) {
        options += " -o";
    }
    options
}

fn service_comes(net: &mut Net, drawn: &mut Drawn) {
    let (kind, address) = (net.pick(&['u', 'u', 't', 't', 'f']), net.pick(&[1, 2]));
    let port = if kind == 'u' { 53 } else { net.pick(&[80, 80, 81]) };
    let name = match kind {
        'f' => "-f 5".to_owned(),
        _ => format!("-{kind} 10.0.9.{address}:{port}"),
    };
    let options = options(net, kind);
    net.run(DIRECTOR, &format!("ipvsadm -A {name} {options}"));
    let known = drawn.services.iter().position(|service| service.name == name);
    let at = known.unwrap_or_else(|| {
        drawn.services.push(Service { name, kind, address, port, dests: Vec::new() });
        drawn.services.len() - 1
    });
    for _ in 0..1 + net.below(3) {
        add_dest(net, &mut drawn.services[at]);
    }
}

fn some_service(net: &mut Net, drawn: &Drawn) -> usize {
    net.below(drawn.services.len().max(1))
}

fn weight(net: &mut Net) -> String {
    let weight = net.pick(&[0, 1, 1, 1, 2, 3, 5, 100]);
    let limits = net.pick(&["", "", "", "", " -x 2", " -x 4 -y 1"]);
    format!("-w {weight}{limits}")
}

fn add_dest(net: &mut Net, service: &mut Service) {
    let host = match net.below(8) {
        // This host itself, or one that is not there.
        0 => net.pick(&[1, 99]),
        _ => 11 + net.below(net.server_count()),
    };
    let port = match (service.kind, net.below(4)) {
        ('t', 0) => ":8080",
        ('u', 0) => ":54",
        _ => "",
    };
    let way = net.pick(&["-m", "-m", "-m", "-g", "-i"]);
    let dest = format!("-r 10.0.1.{host}{port} {way}");
    let weight = weight(net);
    net.run(DIRECTOR, &format!("ipvsadm -a {} {dest} {weight}", service.name));
    service.dests.push(dest);
}

/// A destination of some service, with the service's name.
fn some_dest(net: &mut Net, drawn: &Drawn) -> Option<(String, String)> {
    let service = drawn.services.get(some_service(net, drawn))?;
    (!service.dests.is_empty()).then(|| (service.name.clone(), net.pick(&service.dests)))
}

fn weight_changes(net: &mut Net, drawn: &mut Drawn) {
    if let Some((service, dest)) = some_dest(net, drawn) {
        let weight = weight(net);
        net.run(DIRECTOR, &format!("ipvsadm -e {service} {dest} {weight}"));
    }
}

fn dest_goes(net: &mut Net, drawn: &mut Drawn) {
    if let Some((service, dest)) = some_dest(net, drawn) {
        let dest = dest.rsplit_once(' ').map_or(dest.clone(), |(dest, _)| dest.to_owned());
        net.run(DIRECTOR, &format!("ipvsadm -d {service} {dest}"));
    }
}

fn dest_comes(net: &mut Net, drawn: &mut Drawn) {
    let at = some_service(net, drawn);
    match some_dest(net, drawn) {
        Some((service, dest)) if net.one_in(2) => {
            let weight = weight(net);
            net.run(DIRECTOR, &format!("ipvsadm -a {service} {dest} {weight}"));
        }
        _ => {
            if let Some(service) = drawn.services.get_mut(at) {
                add_dest(net, service);
            }
        }
    }
}

fn scheduler_changes(net: &mut Net, drawn: &mut Drawn) {
    let at = some_service(net, drawn);
    if let Some((name, kind)) = drawn.services.get(at).map(|service| (service.name.clone(), service.kind)) {
        let options = options(net, kind);
        net.run(DIRECTOR, &format!("ipvsadm -E {name} {options}"));
    }
}

fn service_goes(net: &mut Net, drawn: &mut Drawn) {
    let at = some_service(net, drawn);
    if let Some(name) = drawn.services.get(at).map(|service| service.name.clone()) {
        net.run(DIRECTOR, &format!("ipvsadm -D {name}"));
    }
}

fn setting_changes(net: &mut Net, _: &mut Drawn) {
    let (name, values) = net.pick(SETTINGS);
    let value = net.pick(values);
    net.sysctl(DIRECTOR, &format!("net.ipv4.vs.{name}={value}"));
}

fn timeouts_change(net: &mut Net, _: &mut Drawn) {
    let udp = net.pick(&[0, 1, 20, 100]);
    net.run(DIRECTOR, &format!("ipvsadm --set 0 {} {udp}", 10 * udp));
}

/// A service's address and port, mostly.
fn end(net: &mut Net, drawn: &Drawn, kind: char) -> (u8, u16) {
    let of_kind = |service: &&Service| service.kind == kind;
    let all: Vec<(u8, u16)> =
        drawn.services.iter().filter(of_kind).map(|one| (one.address, one.port)).collect();
    let usual = if kind == 'u' { 53 } else { 80 };
    if all.is_empty() || net.one_in(6) { (net.pick(&[1, 2]), usual) } else { net.pick(&all) }
}

fn udp(net: &mut Net, drawn: &mut Drawn) {
    for _ in 0..1 + net.below(4) {
        let (address, port) = end(net, drawn, 'u');
        let (host, from) = (2 + net.below(4), net.pick(&[7001, 7002, 7003]));
        net.run(CLIENT, &format!("nc -u -w 1 -s 10.0.0.{host} -p {from} 10.0.9.{address} {port} <<< hello"));
    }
    if net.one_in(8) {
        let (address, port) = end(net, drawn, 'u');
        net.run(DIRECTOR, &format!("nc -u -w 1 -p 7009 10.0.9.{address} {port} <<< hello"));
    }
}

fn tcp(net: &mut Net, drawn: &mut Drawn) {
    for _ in 0..1 + net.below(4) {
        let (address, port) = end(net, drawn, 't');
        let host = 2 + net.below(4);
        drawn.port += 1;
        let from = drawn.port;
        net.run(CLIENT, &format!("nc -N -w 1 -s 10.0.0.{host} -p {from} 10.0.9.{address} {port} <<< hello"));
    }
}

/// Single segments, as of a client that breaks off.
fn segments(net: &mut Net, drawn: &mut Drawn) {
    for _ in 0..1 + net.below(4) {
        let (address, port) = end(net, drawn, 't');
        let (host, from) = (2 + net.below(4), net.pick(&[6001, 6002]));
        let flags = net.pick(&["syn", "syn", "syn", "ack", "fin", "rst", "psh"]);
        let segment = format!("sp={from},dp={port},flags={flags},s=1");
        let near = net.topology.nodes["lb"].nics["eth0"].address.unwrap_or(Mac([0; 6]));
        net.run(
            CLIENT,
            &format!("mausezahn eth0 -q -b {near} -A 10.0.0.{host} -B 10.0.9.{address} -t tcp {segment}"),
        );
    }
}

fn ping(net: &mut Net, _: &mut Drawn) {
    let address = net.pick(&[1, 2]);
    net.run(CLIENT, &format!("ping -c 1 -W 1 10.0.9.{address}"));
}

fn server_fails(net: &mut Net, _: &mut Drawn) {
    let server = SERVERS + net.below(net.server_count());
    let state = net.pick(&["down", "up"]);
    net.tool(server, &format!("ip link set eth0 {state}"));
}

fn time_passes(net: &mut Net, _: &mut Drawn) {
    let seconds = net.pick(&["0.5", "3", "11", "35", "58"]);
    net.run(DIRECTOR, &format!("sleep {seconds}"));
}
