//! Random cases.
//!
//! Values are drawn from few, so that rules and packets meet: hosts 2 to 5 of three networks, a handful of ports.
//! What the kernel draws by lot itself (`statistic --mode random`) is left out unless its outcome is certain.

use std::net::Ipv4Addr;

use glassnet_sim::Dice;

use super::case::{Case, Packet, Port, Proto, Reply, Send, Step};

/// A random case; the same seed gives the same case.
pub fn case(seed: u64) -> Case {
    let mut draw = Draw { dice: Dice::new(seed), sets: Vec::new() };
    let (legacy, bridge_nf) = (draw.one_in(4), draw.one_in(2));
    let sets = if draw.one_in(3) { draw.make_sets() } else { Vec::new() };
    let rules = draw.rules();
    let steps = draw.steps();
    Case { name: format!("seed {seed}"), legacy, bridge_nf, sets, rules, steps }
}

struct Draw {
    dice: Dice,
    /// Sets that were made: name and dimensions.
    sets: Vec<(String, usize)>,
}

/// Chains of each table, with what may be jumped to from them.
const TABLES: [(&str, &[&str]); 5] = [
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];

const PORTS: [u16; 6] = [53, 80, 443, 1000, 1001, 8080];

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.dice.below(bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn port(&mut self) -> u16 {
        self.pick(&PORTS)
    }

    fn host(&mut self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, self.below(3) as u8, self.below(4) as u8 + 2)
    }

    /// An address or network for `-s` and `-d`.
    fn network(&mut self) -> String {
        match self.below(6) {
            0 => format!("10.0.{}.0/24", self.below(3)),
            1 => "10.0.0.0/16".to_owned(),
            2 => "10.0.1.0/255.255.255.0".to_owned(),
            3 => format!("10.0.{}.1", self.below(3)),
            _ => self.host().to_string(),
        }
    }

    fn device(&mut self, out: bool) -> &'static str {
        let _ = out;
        self.pick(&["c0", "s0", "br0", "c+", "p0", "lo"])
    }

    fn not(&mut self) -> &'static str {
        if self.one_in(4) { "! " } else { "" }
    }

    fn make_sets(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for at in 0..=self.below(3) {
            let (kind, dimensions) =
                self.pick(&[("hash:ip", 1), ("hash:net", 1), ("hash:ip,port", 2), ("bitmap:port", 1)]);
            let name = format!("set{at}");
            let extra = if kind == "bitmap:port" { " range 0-9000" } else { "" };
            let counters = if self.one_in(2) { " counters" } else { "" };
            lines.push(format!("create {name} {kind}{extra}{counters}"));
            for _ in 0..self.below(4) {
                let element = match kind {
                    "hash:ip" => self.host().to_string(),
                    "hash:net" => format!("10.0.{}.0/24", self.below(3)),
                    "bitmap:port" => self.port().to_string(),
                    _ => {
                        let proto = self.pick(&["tcp", "udp"]);
                        format!("{},{proto}:{}", self.host(), self.port())
                    }
                };
                lines.push(format!("add {name} {element} -exist"));
            }
            self.sets.push((name, dimensions));
        }
        lines
    }

    fn rules(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for (table, chains) in TABLES {
            let wanted = match table {
                "filter" | "nat" => !self.one_in(4),
                "security" => self.one_in(8),
                _ => self.one_in(3),
            };
            if wanted {
                self.table(table, chains, &mut lines);
            }
        }
        if lines.is_empty() {
            self.table("filter", TABLES[3].1, &mut lines);
        }
        lines
    }

    fn table(&mut self, table: &str, chains: &[&str], lines: &mut Vec<String>) {
        lines.push(format!("*{table}"));
        for chain in chains {
            let policy = if self.one_in(10) && table != "nat" { "DROP" } else { "ACCEPT" };
            lines.push(format!(":{chain} {policy} [0:0]"));
        }
        let own = self.below(3);
        lines.extend((0..own).map(|at| format!(":own{at} - [0:0]")));
        for _ in 0..1 + self.below(6) {
            let chain = self.pick(chains);
            let rule = self.rule(table, chain, &(0..own).collect::<Vec<_>>());
            lines.push(format!("-A {chain} {rule}"));
        }
        for at in 0..own {
            for _ in 0..1 + self.below(3) {
                let callable: Vec<usize> = (at + 1..own).collect();
                // A chain of its own may hang on any hook: it gets only what every chain may have.
                let rule = self.rule(table, "", &callable);
                lines.push(format!("-A own{at} {rule}"));
            }
        }
        lines.push("COMMIT".to_owned());
    }

    fn rule(&mut self, table: &str, chain: &str, callable: &[usize]) -> String {
        let mut words = Vec::new();
        if self.one_in(3) {
            words.push(format!("{}-s {}", self.not(), self.network()));
        }
        if self.one_in(3) {
            words.push(format!("{}-d {}", self.not(), self.network()));
        }
        if matches!(chain, "PREROUTING" | "INPUT" | "FORWARD") && self.one_in(4) {
            words.push(format!("{}-i {}", self.not(), self.device(false)));
        }
        if matches!(chain, "OUTPUT" | "POSTROUTING" | "FORWARD") && self.one_in(4) {
            words.push(format!("{}-o {}", self.not(), self.device(true)));
        }
        let target = self.target(table, chain, callable);
        let proto = match target.0 {
            Some(proto) => Some(proto),
            None if self.one_in(2) => Some(self.pick(&["tcp", "tcp", "udp", "icmp"])),
            None => None,
        };
        if let Some(proto) = proto {
            words.push(format!("-p {proto}"));
            if self.one_in(2) {
                words.push(self.protocol_match(proto));
            }
        }
        for _ in 0..self.pick(&[0, 0, 1, 1, 2]) {
            words.push(self.extension(table, chain, proto));
        }
        words.push(target.1);
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }

    fn ports(&mut self) -> String {
        let (a, b) = (self.port(), self.port());
        match self.below(3) {
            0 => format!("{}:{}", a.min(b), a.max(b)),
            _ => a.to_string(),
        }
    }

    fn protocol_match(&mut self, proto: &str) -> String {
        match (proto, self.below(4)) {
            ("icmp", _) => {
                let kind =
                    self.pick(&["echo-request", "echo-reply", "destination-unreachable", "any", "3/3", "11"]);
                format!("-m icmp {}--icmp-type {kind}", self.not())
            }
            ("tcp", 0) => self
                .pick(&["--syn", "--tcp-flags SYN,ACK,FIN,RST SYN", "--tcp-flags ALL NONE", "! --syn"])
                .to_owned(),
            (_, 1) => format!("{}--sport {}", self.not(), self.ports()),
            ("tcp" | "udp", 2) => {
                let which = self.pick(&["--ports", "--dports", "--sports"]);
                format!("-m multiport {}{which} {},{}", self.not(), self.port(), self.ports())
            }
            _ => format!("{}--dport {}", self.not(), self.ports()),
        }
    }

    fn extension(&mut self, table: &str, chain: &str, proto: Option<&str>) -> String {
        match self.below(22) {
            0..=4 if table != "raw" => self.connection(),
            5..=13 => self.packet_match(),
            _ => self.surroundings(chain, proto),
        }
    }

    /// A match on what connection tracking knows.
    fn connection(&mut self) -> String {
        let not = self.not();
        match self.below(5) {
            0 | 1 => {
                let state = self.pick(&[
                    "NEW",
                    "ESTABLISHED",
                    "RELATED,ESTABLISHED",
                    "INVALID",
                    "NEW,INVALID",
                    "UNTRACKED",
                    "DNAT",
                    "SNAT",
                ]);
                format!("-m conntrack {not}--ctstate {state}")
            }
            2 => {
                let what = match self.below(8) {
                    0 => "--ctdir ORIGINAL".to_owned(),
                    1 => "--ctdir REPLY".to_owned(),
                    2 => format!("{not}--ctproto {}", self.pick(&["tcp", "udp"])),
                    3 => format!("{not}--ctorigsrc {}", self.network()),
                    4 => format!("{not}--ctorigdst {}", self.network()),
                    5 => format!("{not}--ctreplsrc {}", self.network()),
                    6 => format!(
                        "{not}--ctstatus {}",
                        self.pick(&["NONE", "SEEN_REPLY", "ASSURED", "CONFIRMED"])
                    ),
                    _ => format!("{not}--ctorigdstport {}", self.ports()),
                };
                format!("-m conntrack {what}")
            }
            3 => {
                format!("-m state {not}--state {}", self.pick(&["NEW", "ESTABLISHED", "INVALID"]))
            }
            _ => format!("-m connmark {not}--mark 0x{}", self.below(4)),
        }
    }

    /// A match on the packet alone, or on chance.
    fn packet_match(&mut self) -> String {
        let not = self.not();
        match self.below(12) {
            0 => format!("-m mark {not}--mark 0x{}/0x{}", self.below(4), self.pick(&["3", "ff", "1"])),
            1 => {
                let kind = self.pick(&["LOCAL", "UNICAST", "BROADCAST", "UNICAST,LOCAL"]);
                let which = self.pick(&["--dst-type", "--src-type"]);
                format!("-m addrtype {not}{which} {kind}")
            }
            2 => format!("-m comment --comment \"rule {}\"", self.below(100)),
            3 => {
                let every = self.below(3) + 1;
                format!("-m statistic --mode nth --every {} --packet {}", every + 1, self.below(every + 1))
            }
            4 => format!("-m statistic --mode random {not}--probability {}", self.pick(&["1.0", "0"])),
            5 => format!("-m length {not}--length {}", self.pick(&["28", "40:100", "60", ":50"])),
            6 => format!(
                "-m ttl {}",
                self.pick(&["--ttl-eq 64", "--ttl-lt 10", "--ttl-gt 63", "! --ttl-eq 63"])
            ),
            7 => format!("-m iprange {not}--src-range {}-{}", self.range_end(2), self.range_end(4)),
            8 => format!("-m iprange {not}--dst-range {}-{}", self.range_end(2), self.range_end(4)),
            9 => format!("-m dscp {not}--dscp 0x{:02x}", self.pick(&[0, 4, 46])),
            10 => format!("-m tos {not}--tos {}", self.pick(&["0x10", "0x00/0xff", "Minimize-Delay"])),
            _ => format!(
                "-m limit --limit {} --limit-burst {}",
                self.pick(&["1/hour", "2/day"]),
                self.below(3) + 1
            ),
        }
    }

    /// A match on where the packet is: who sent it, which set or port it belongs to.
    fn surroundings(&mut self, chain: &str, proto: Option<&str>) -> String {
        let not = self.not();
        match self.below(5) {
            0 if chain != "OUTPUT" => {
                format!("-m pkttype {not}--pkt-type {}", self.pick(&["unicast", "broadcast", "multicast"]))
            }
            1 if matches!(chain, "PREROUTING" | "INPUT" | "FORWARD") => {
                format!("-m mac {not}--mac-source 02:00:00:00:1{}:0{}", self.below(3), self.below(3) + 2)
            }
            2 if !self.sets.is_empty() => {
                let at = self.below(self.sets.len());
                let (name, dimensions) = self.sets[at].clone();
                let dims = (0..dimensions).map(|_| self.pick(&["src", "dst"])).collect::<Vec<_>>().join(",");
                format!("-m set {not}--match-set {name} {dims}")
            }
            3 if matches!(chain, "FORWARD" | "PREROUTING" | "POSTROUTING") => {
                let is_out = chain == "POSTROUTING";
                match self.below(3) {
                    0 => format!("-m physdev {not}--physdev-is-bridged"),
                    1 if !is_out => format!("-m physdev {not}--physdev-in p{}", self.below(2)),
                    _ if chain == "FORWARD" => format!("-m physdev {not}--physdev-is-in"),
                    _ => String::new(),
                }
            }
            4 if proto == Some("tcp") => format!("-m tcpmss {not}--mss 1000:1500"),
            _ => String::new(),
        }
    }

    fn range_end(&mut self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, host)
    }

    /// A target, and the protocol that it needs.
    fn target(&mut self, table: &str, chain: &str, callable: &[usize]) -> (Option<&'static str>, String) {
        if !callable.is_empty() && self.one_in(4) {
            let own = self.pick(callable);
            return (None, format!("{} own{own}", self.pick(&["-j", "-j", "-g"])));
        }
        let plain = |name: &str| (None, format!("-j {name}"));
        match (table, chain, self.below(8)) {
            ("nat", "PREROUTING" | "OUTPUT", 0..=5) => self.dnat(chain),
            ("nat", "POSTROUTING" | "INPUT", 0..=5) => self.snat(chain),
            ("nat", _, _) => plain(self.pick(&["ACCEPT", "RETURN"])),
            ("raw", _, 0 | 1) => plain(self.pick(&["NOTRACK", "CT --notrack"])),
            ("raw", _, 2) => plain("CT --zone 1"),
            ("mangle", _, 0..=5) => self.mangle(chain),
            ("filter", "INPUT" | "FORWARD" | "OUTPUT", 0 | 1) => self.reject(),
            (_, _, 2 | 3) => plain("DROP"),
            (_, _, 4) => plain("RETURN"),
            (_, _, 5) => (None, String::new()),
            (_, _, 6) if self.one_in(3) => (None, format!("-j LOG --log-prefix \"x{} \"", self.below(9))),
            _ => plain("ACCEPT"),
        }
    }

    fn dnat(&mut self, chain: &str) -> (Option<&'static str>, String) {
        let proto = self.pick(&["tcp", "udp"]);
        match self.below(5) {
            0 => (Some(proto), format!("-j DNAT --to-destination {}:{}", self.host(), self.port())),
            1 => (Some(proto), format!("-j DNAT --to-destination :{}", self.port())),
            2 => (Some(proto), format!("-j REDIRECT --to-ports {}", self.port())),
            3 if chain == "PREROUTING" => (None, format!("-j NETMAP --to 10.0.{}.0/24", self.below(3))),
            _ => (None, format!("-j DNAT --to-destination {}", self.host())),
        }
    }

    fn snat(&mut self, chain: &str) -> (Option<&'static str>, String) {
        let proto = self.pick(&["tcp", "udp"]);
        match self.below(6) {
            0 => (Some(proto), format!("-j SNAT --to-source 10.0.1.100:{}-{}", 2000, 2000 + self.below(3))),
            1 | 2 if chain == "POSTROUTING" => (None, "-j MASQUERADE".to_owned()),
            3 if chain == "POSTROUTING" => (Some(proto), "-j MASQUERADE --to-ports 3000-3001".to_owned()),
            4 if chain == "POSTROUTING" => (None, format!("-j NETMAP --to 10.0.{}.0/24", self.below(3))),
            _ => (None, format!("-j SNAT --to-source 10.0.1.{}", self.pick(&[1, 100]))),
        }
    }

    fn mangle(&mut self, chain: &str) -> (Option<&'static str>, String) {
        let target = match self.below(12) {
            0 | 1 => format!("MARK --set-mark {}", self.below(4)),
            2 => format!("MARK --set-xmark 0x{}/0x{}", self.below(4), self.pick(&["1", "3", "ff"])),
            3 => "MARK --or-mark 2".to_owned(),
            4 => format!("CONNMARK --set-mark {}", self.below(4)),
            5 => "CONNMARK --save-mark".to_owned(),
            6 => "CONNMARK --restore-mark".to_owned(),
            7 => format!("TTL {}", self.pick(&["--ttl-set 10", "--ttl-dec 1", "--ttl-inc 2"])),
            8 => format!("TOS --set-tos {}", self.pick(&["0x10", "0x08/0x18"])),
            9 => format!("DSCP --set-dscp {}", self.pick(&["0x04", "0x2e"])),
            10 if matches!(chain, "FORWARD" | "OUTPUT" | "POSTROUTING") => {
                return (
                    Some("tcp"),
                    format!(
                        "--tcp-flags SYN,RST SYN -j TCPMSS {}",
                        self.pick(&["--set-mss 1000", "--clamp-mss-to-pmtu"])
                    ),
                );
            }
            _ if matches!(chain, "FORWARD" | "OUTPUT" | "POSTROUTING") => {
                "CLASSIFY --set-class 1:2".to_owned()
            }
            _ => "ACCEPT".to_owned(),
        };
        (None, format!("-j {target}"))
    }

    fn reject(&mut self) -> (Option<&'static str>, String) {
        let types = [
            "icmp-net-unreachable",
            "icmp-host-unreachable",
            "icmp-port-unreachable",
            "icmp-proto-unreachable",
            "icmp-admin-prohibited",
        ];
        match self.below(3) {
            0 => (Some("tcp"), "-j REJECT --reject-with tcp-reset".to_owned()),
            1 => (None, "-j REJECT".to_owned()),
            _ => (None, format!("-j REJECT --reject-with {}", self.pick(&types))),
        }
    }

    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..2 + self.below(4) {
            match self.below(8) {
                0..=2 => self.tcp(&mut steps),
                3 | 4 => self.udp(&mut steps),
                5 => self.echo(&mut steps),
                6 => self.local(&mut steps),
                _ => self.odd(&mut steps),
            }
        }
        if self.one_in(40) {
            steps.insert(self.below(steps.len() + 1), Step::Wait(1100));
        }
        steps
    }

    /// A port, a host behind it, and an address to talk to: another host, the router, or one far away.
    fn ends(&mut self) -> (Port, Ipv4Addr, Ipv4Addr) {
        let port = self.pick(&[Port::C1, Port::C1, Port::S1, Port::Q0, Port::Q1]);
        let src = match port {
            Port::C1 => Ipv4Addr::new(10, 0, 0, self.below(4) as u8 + 2),
            Port::S1 => Ipv4Addr::new(10, 0, 1, self.below(4) as u8 + 2),
            Port::Q0 => Ipv4Addr::new(10, 0, 2, 2),
            Port::Q1 => Ipv4Addr::new(10, 0, 2, self.below(3) as u8 + 3),
        };
        let dst = match self.below(8) {
            0 => Ipv4Addr::new(10, 0, self.below(3) as u8, 1),
            1 => Ipv4Addr::new(8, 8, 8, 8),
            _ => self.host(),
        };
        (port, src, dst)
    }

    /// The port behind which a host is; by it an answer comes back.
    fn behind(dst: Ipv4Addr) -> Port {
        match dst.octets() {
            [10, 0, 0, _] => Port::C1,
            [10, 0, 2, 2] => Port::Q0,
            [10, 0, 2, _] => Port::Q1,
            _ => Port::S1,
        }
    }

    fn packet(&mut self, src: Ipv4Addr, dst: Ipv4Addr, proto: Proto) -> Packet {
        let ttl = self.pick(&[64, 64, 64, 64, 2, 1]);
        let (tos, len) = (self.pick(&[0, 0, 0, 0x10]), self.pick(&[0, 10, 60]));
        Packet { src, dst, ttl, tos, len, bad_sum: self.one_in(40), proto }
    }

    /// Where answers come from: most often where the packet should have gone, after NAT anywhere.
    fn answers(&mut self, dst: Ipv4Addr) -> Port {
        if self.one_in(4) { self.pick(&[Port::C1, Port::S1, Port::Q0, Port::Q1]) } else { Self::behind(dst) }
    }

    fn tcp(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let (sport, dport) = (self.pick(&[1000, 1001]), self.port());
        let back = self.answers(dst);
        let script: &[(&str, u32, u32)] =
            &[("S", 1000, 0), ("A", 1001, 5001), ("PA", 1001, 5001), ("FA", 1011, 5001)];
        let replies = ["SA", "A", "PA", "FA", "R", "RA"];
        let length = self.below(script.len()) + 1;
        for (at, (flags, seq, ack)) in script.iter().take(length).enumerate() {
            let odd = self.one_in(12);
            let flags = if odd { self.pick(&["FPU", "", "SF", "R", "SR", "A"]) } else { flags };
            let seq = if self.one_in(15) { seq + 100_000 } else { *seq };
            let proto = Proto::Tcp { sport, dport, flags: flags.to_owned(), seq, ack: *ack };
            let packet = Packet { len: if *flags == *"PA" { 10 } else { 0 }, ..self.packet(src, dst, proto) };
            steps.push(Step::Send(Send { port, packet }));
            if !self.one_in(4) {
                let flags = if self.one_in(6) { self.pick(&replies) } else { replies[at.min(3)] };
                let unreachable = self.one_in(15).then(|| self.pick(&[1, 3, 13]));
                let len = if flags == "PA" { 5 } else { 0 };
                steps.push(Step::Reply(Reply { port: back, flags: flags.to_owned(), len, unreachable }));
            }
        }
    }

    fn udp(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let proto = Proto::Udp { sport: self.pick(&[1000, 1001]), dport: self.port() };
        let back = self.answers(dst);
        for _ in 0..=self.below(3) {
            let packet = self.packet(src, dst, proto.clone());
            steps.push(Step::Send(Send { port, packet }));
            if self.one_in(2) {
                let unreachable = self.one_in(3).then(|| self.pick(&[1, 3, 3, 4, 13]));
                steps.push(Step::Reply(Reply { port: back, flags: String::new(), len: 7, unreachable }));
            }
        }
    }

    fn echo(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let back = self.answers(dst);
        let id = self.pick(&[7, 8]);
        for seq in 1..=self.below(2) as u16 + 1 {
            let packet = self.packet(src, dst, Proto::Icmp { kind: 8, code: 0, id, seq });
            steps.push(Step::Send(Send { port, packet }));
            if self.one_in(2) {
                steps.push(Step::Reply(Reply {
                    port: back,
                    flags: String::new(),
                    len: 10,
                    unreachable: None,
                }));
            }
        }
    }

    /// A packet of the router itself.
    fn local(&mut self, steps: &mut Vec<Step>) {
        let dst = if self.one_in(6) { Ipv4Addr::new(8, 8, 8, 8) } else { self.host() };
        let src = match Self::behind(dst) {
            Port::C1 => Ipv4Addr::new(10, 0, 0, 1),
            Port::S1 => Ipv4Addr::new(10, 0, 1, 1),
            Port::Q0 | Port::Q1 => Ipv4Addr::new(10, 0, 2, 1),
        };
        let proto = match self.below(3) {
            0 => Proto::Tcp { sport: 1000, dport: self.port(), flags: "S".to_owned(), seq: 1000, ack: 0 },
            1 => Proto::Udp { sport: 1000, dport: self.port() },
            _ => Proto::Icmp { kind: 8, code: 0, id: 7, seq: 1 },
        };
        // The model's `lo` vouches for every checksum, so a wrong one of the router's own would not be found there.
        let packet = Packet { ttl: 64, bad_sum: false, ..self.packet(src, dst, proto) };
        steps.push(Step::Local(packet));
        if !self.one_in(3) {
            let unreachable = self.one_in(4).then_some(3);
            let port = self.answers(dst);
            steps.push(Step::Reply(Reply { port, flags: "SA".to_owned(), len: 0, unreachable }));
        }
    }

    /// Something that no honest host sends.
    fn odd(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let proto = match self.below(5) {
            0 => Proto::Icmp { kind: 0, code: 0, id: 7, seq: 1 },
            1 => {
                Proto::Icmp { kind: self.pick(&[3, 5, 11, 13, 99]), code: self.below(4) as u8, id: 7, seq: 1 }
            }
            2 => Proto::Other(self.pick(&[47, 99])),
            3 => Proto::Tcp { sport: 1000, dport: 80, flags: "A".to_owned(), seq: 77, ack: 88 },
            _ => Proto::Tcp { sport: 1000, dport: 80, flags: "RA".to_owned(), seq: 77, ack: 88 },
        };
        let packet = self.packet(src, dst, proto);
        steps.push(Step::Send(Send { port, packet }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_case_and_another_seed_another() {
        assert_eq!(case(1), case(1));
        assert_ne!(case(1), case(2));
        let kept = case(3);
        let text = serde_json::to_string(&kept).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Case>(&text).ok(), Some(kept));
    }
}
