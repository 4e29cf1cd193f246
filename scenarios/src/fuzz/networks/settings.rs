//! Addresses, routes, rules, sysctls and iptables, before anything happens and later.

use std::net::Ipv4Addr;

use super::net::Net;

/// Sysctls of a device, and their values.
const CONF: &[(&str, &[u8])] = &[
    ("rp_filter", &[0, 1, 2]),
    ("forwarding", &[0, 1]),
    ("proxy_arp", &[0, 1]),
    ("arp_ignore", &[0, 1, 2, 3, 8]),
    ("arp_announce", &[0, 1, 2]),
    ("arp_filter", &[0, 1]),
    ("arp_accept", &[0, 1]),
    ("arp_notify", &[0, 1]),
    ("accept_local", &[0, 1]),
    ("src_valid_mark", &[0, 1]),
    ("route_localnet", &[0, 1]),
    ("shared_media", &[0, 1]),
    ("drop_gratuitous_arp", &[0, 1]),
    ("ignore_routes_with_linkdown", &[0, 1]),
    ("promote_secondaries", &[0, 1]),
    ("arp_evict_nocarrier", &[0, 1]),
    ("log_martians", &[0, 1]),
    ("accept_redirects", &[0, 1]),
    ("secure_redirects", &[0, 1]),
    ("send_redirects", &[0, 1]),
    ("drop_unicast_in_l2_multicast", &[0, 1]),
    ("proxy_arp_pvlan", &[0, 1]),
    ("medium_id", &[0, 1, 2]),
];

/// Sysctls of a device's neighbours, and their values.
const NEIGH: &[(&str, &[u16])] = &[
    ("mcast_solicit", &[0, 1, 3]),
    ("ucast_solicit", &[0, 1, 3]),
    ("mcast_resolicit", &[0, 1]),
    ("retrans_time_ms", &[100, 300, 1000]),
    ("delay_first_probe_time", &[1, 5]),
    ("unres_qlen", &[1, 2, 101]),
    ("locktime", &[0, 100]),
    ("gc_stale_time", &[1, 60]),
];

/// Sysctls of a namespace, and their values.
const GLOBAL: &[(&str, &[u8])] = &[
    ("net.ipv4.ip_forward", &[0, 1]),
    ("net.ipv4.icmp_echo_ignore_all", &[0, 1]),
    ("net.ipv4.icmp_echo_ignore_broadcasts", &[0, 1]),
    ("net.ipv4.icmp_errors_use_inbound_ifaddr", &[0, 1]),
    ("net.ipv4.ip_default_ttl", &[1, 2, 64]),
    ("net.ipv4.ip_no_pmtu_disc", &[0, 1]),
    ("net.ipv4.fwmark_reflect", &[0, 1]),
    ("net.ipv4.tcp_fwmark_accept", &[0, 1]),
    ("net.ipv4.ip_nonlocal_bind", &[0, 1]),
    ("net.ipv4.udp_l3mdev_accept", &[0, 1]),
    ("net.ipv4.tcp_l3mdev_accept", &[0, 1]),
    ("net.ipv4.raw_l3mdev_accept", &[0, 1]),
    ("net.ipv4.ip_forward_use_pmtu", &[0, 1]),
];

impl Net {
    /// Blocks that give addresses, routes and settings, and start what answers.
    pub fn settings(&mut self) {
        self.block();
        for device in 0..self.devices.len() {
            let count = if self.devices[device].is_port {
                usize::from(self.one_in(8))
            } else {
                self.pick(&[0, 1, 1, 1, 1, 2])
            };
            for _ in 0..count {
                self.add_address(device);
            }
        }
        for space in 0..self.spaces.len() {
            if self.hosts(space).len() > 1 && !self.one_in(4) {
                self.sysctl(space, "net.ipv4.ip_forward=1");
            }
            for _ in 0..self.pick(&[0, 1, 2, 3]) {
                self.add_route(space);
            }
            if self.one_in(4) {
                self.add_rule(space);
            }
        }
        for _ in 0..self.pick(&[0, 0, 1, 2, 3]) {
            self.set_sysctl();
        }
        self.block();
        for space in 0..self.spaces.len() {
            if self.one_in(8) {
                self.add_iptables(space);
            }
            if self.one_in(3) {
                self.run(space, "nc -dlku 53 >/dev/null &");
            }
            if self.one_in(4) {
                self.run(space, "nc -dlk 80 >/dev/null &");
            }
        }
    }

    /// Adds an address to a device.
    pub fn add_address(&mut self, device: usize) {
        let segment = self.devices[device].segment;
        // None that another has.
        let used = self.devices.iter().filter(|other| other.segment == segment);
        let host = 1 + used.map(|other| other.addresses.len()).sum::<usize>() as u8;
        let address = match self.below(12) {
            0 => Ipv4Addr::new(172, 16, self.below(2) as u8, host),
            _ => Ipv4Addr::new(10, 0, segment as u8, host),
        };
        let length = self.pick(&[24, 24, 24, 24, 24, 16, 32, 25]);
        let (space, name) = (self.devices[device].space, self.devices[device].name.clone());
        self.tool(space, &format!("ip addr add {address}/{length} dev {name}"));
        self.devices[device].addresses.push(address);
    }

    /// A network to route to.
    fn network(&mut self) -> String {
        let segment = self.below(self.segments.max(1));
        match self.below(8) {
            0..=2 => "default".to_owned(),
            3 => format!("{}/32", self.destination()),
            4 => "192.0.2.0/24".to_owned(),
            _ => format!("10.0.{segment}.0/24"),
        }
    }

    /// Adds a route.
    pub fn add_route(&mut self, space: usize) {
        let hosts = self.hosts(space);
        if hosts.is_empty() {
            return;
        }
        let device = self.pick(&hosts);
        let name = self.devices[device].name.clone();
        let gateway = self.neighbour(device);
        let network = self.network();
        let way = match (self.below(12), gateway) {
            (0, _) => {
                let kind = self.pick(&["blackhole", "unreachable", "prohibit", "throw"]);
                let table = self.pick(&["", " table 7"]);
                return self.tool(space, &format!("ip route add {kind} {network}{table}"));
            }
            (1 | 2, _) | (_, None) => format!("dev {name}"),
            (3, Some(gateway)) => format!("via {gateway} dev {name} onlink"),
            (4, Some(gateway)) => {
                let hop = format!("nexthop via {gateway} dev {name}");
                return self.tool(space, &format!("ip route add {network} {hop} weight 1 {hop} weight 2"));
            }
            (_, Some(gateway)) => format!("via {gateway}"),
        };
        let more =
            self.pick(&["", "", "", "", " metric 50", " table 7", " table 7", " mtu 1000", " advmss 500"]);
        self.tool(space, &format!("ip route add {network} {way}{more}"));
    }

    /// Adds a rule of policy routing.
    pub fn add_rule(&mut self, space: usize) {
        let (from, to) = (self.destination(), self.network());
        let device = self.hosts(space).first().map_or("lo".to_owned(), |at| self.devices[*at].name.clone());
        let what = match self.below(6) {
            0 => format!("from {from}"),
            1 if to != "default" => format!("to {to}"),
            2 => format!("iif {device}"),
            3 => "fwmark 1".to_owned(),
            4 => format!("from {from} fwmark 1/3"),
            _ => "not from 10.0.0.0/24".to_owned(),
        };
        let action = self.pick(&[
            "table 7",
            "table 7",
            "table 7",
            "table main",
            "prohibit",
            "blackhole",
            "goto 32766",
        ]);
        let priority = self.pick(&["", " priority 100", " priority 200"]);
        self.tool(space, &format!("ip rule add {what}{priority} {action}"));
    }

    /// Sets a random sysctl.
    pub fn set_sysctl(&mut self) {
        if self.one_in(4) {
            let (name, values) = self.pick(GLOBAL);
            let (space, value) = (self.any_space(), self.pick(values));
            return self.sysctl(space, &format!("{name}={value}"));
        }
        let Some(device) = self.any_device() else { return };
        if self.one_in(5) {
            let (name, values) = self.pick(NEIGH);
            let (space, value) = (self.devices[device].space, self.pick(values));
            let device = self.devices[device].name.clone();
            return self.sysctl(space, &format!("net.ipv4.neigh.{device}.{name}={value}"));
        }
        let (name, values) = self.pick(CONF);
        let (space, value) = (self.devices[device].space, self.pick(values));
        let device = if self.one_in(3) { "all".to_owned() } else { self.devices[device].name.clone() };
        let is_card = |net: &Self, at: usize| net.devices[at].name.starts_with("eth");
        if name == "arp_notify" && self.hosts(space).into_iter().any(|at| is_card(self, at)) {
            return;
        }
        if name == "proxy_arp" {
            let mut devices = vec![device.clone()];
            if device == "all" {
                devices = self.hosts(space).into_iter().map(|at| self.devices[at].name.clone()).collect();
            }
            for device in devices {
                self.sysctl(space, &format!("net.ipv4.neigh.{device}.proxy_delay=0"));
            }
        }
        self.sysctl(space, &format!("net.ipv4.conf.{device}.{name}={value}"));
    }

    /// Adds a rule of iptables.
    pub fn add_iptables(&mut self, space: usize) {
        let hosts = self.hosts(space);
        let device = hosts.first().map_or("lo".to_owned(), |at| self.devices[*at].name.clone());
        let (one, other) = (self.destination(), self.destination());
        let rule = match self.below(10) {
            0..=2 => format!("-t nat -A POSTROUTING -o {device} -j MASQUERADE"),
            3 => format!("-t nat -A PREROUTING -d {one} -j DNAT --to-destination {other}"),
            4 => format!("-t nat -A OUTPUT -d {one} -j DNAT --to-destination {other}"),
            5 => format!("-A FORWARD -d {one} -j DROP"),
            6 => "-A INPUT -p icmp -j REJECT".to_owned(),
            7 => format!("-t mangle -A PREROUTING -i {device} -j MARK --set-mark 1"),
            8 => "-t mangle -A OUTPUT -j MARK --set-mark 1".to_owned(),
            _ => format!("-A FORWARD -i {device} -j ACCEPT"),
        };
        self.run(space, &format!("iptables {rule}"));
    }
}
