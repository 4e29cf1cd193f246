//! Random matches.

use std::net::Ipv4Addr;

use super::Draw;
use super::rules::Place;

/// The chains by which packets come in, and those by which they leave.
const IN: &[&str] = &["PREROUTING", "INPUT", "FORWARD"];
const OUT: &[&str] = &["FORWARD", "OUTPUT", "POSTROUTING"];

/// A match: how often it is drawn, and what draws its words. Where it may not stand that draws nothing.
type Maker = (usize, fn(&mut Draw, Place) -> String);

/// All matches but those of a protocol.
const MATCHES: [Maker; 30] = [
    (6, Draw::conntrack),
    (1, Draw::state),
    (2, Draw::marks),
    (2, Draw::addrtype),
    (1, Draw::comment),
    (2, Draw::statistic),
    (3, Draw::physdev),
    (6, Draw::set_match),
    (4, Draw::recent),
    (2, Draw::limit),
    (2, Draw::hashlimit),
    (2, Draw::mac),
    (2, Draw::iprange),
    (1, Draw::length),
    (2, Draw::ttl),
    (1, Draw::pkttype),
    (8, Draw::rpfilter),
    (2, Draw::string),
    (2, Draw::u32),
    (2, Draw::owner),
    (2, Draw::cluster),
    (4, Draw::socket),
    (3, Draw::tcpmss),
    (1, Draw::dscp),
    (1, Draw::tos),
    (2, Draw::time),
    (1, Draw::multiport),
    (1, Draw::icmp),
    (1, Draw::tcp),
    (1, Draw::udp),
];

impl Draw {
    /// A match that may stand there; rarely none.
    pub(super) fn extension(&mut self, place: Place) -> String {
        let all: usize = MATCHES.iter().map(|(weight, _)| weight).sum();
        for _ in 0..4 {
            let mut at = self.below(all);
            for (weight, make) in MATCHES {
                if at < weight {
                    let words = make(self, place);
                    if !words.is_empty() {
                        return words;
                    }
                    break;
                }
                at -= weight;
            }
        }
        String::new()
    }

    /// A match of the protocol itself.
    pub(super) fn protocol_match(&mut self, proto: &'static str) -> String {
        let place = Place { table: "", chain: "", proto: Some(proto) };
        match proto {
            "icmp" => self.icmp(place),
            _ if self.one_in(4) => self.multiport(place),
            "tcp" => self.tcp(place),
            _ => self.udp(place),
        }
    }

    fn icmp(&mut self, place: Place) -> String {
        if !place.is_proto(&["icmp"]) {
            return String::new();
        }
        let kind = self.pick(&["echo-request", "echo-reply", "destination-unreachable", "any", "3/3", "11"]);
        format!("-m icmp {}--icmp-type {kind}", self.not())
    }

    fn tcp(&mut self, place: Place) -> String {
        if !place.is_proto(&["tcp"]) {
            return String::new();
        }
        match self.below(4) {
            0 => {
                let flags = self.pick(&[
                    "--syn",
                    "--tcp-flags SYN,ACK,FIN,RST SYN",
                    "--tcp-flags ALL NONE",
                    "--tcp-option 2",
                ]);
                format!("-m tcp {}{flags}", self.not())
            }
            1 => format!("-m tcp {}--sport {}", self.not(), self.ports()),
            _ => format!("-m tcp {}--dport {}", self.not(), self.ports()),
        }
    }

    fn udp(&mut self, place: Place) -> String {
        if !place.is_proto(&["udp"]) {
            return String::new();
        }
        let side = self.pick(&["sport", "dport", "dport"]);
        format!("-m udp {}--{side} {}", self.not(), self.ports())
    }

    fn multiport(&mut self, place: Place) -> String {
        if !place.is_proto(&["tcp", "udp"]) {
            return String::new();
        }
        let which = self.pick(&["--ports", "--dports", "--sports"]);
        format!("-m multiport {}{which} {},{}", self.not(), self.port(), self.ports())
    }

    fn conntrack(&mut self, _: Place) -> String {
        const STATES: [&str; 7] = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "DNAT", "SNAT"];
        const STATUS: [&str; 5] = ["NONE", "SEEN_REPLY", "ASSURED", "CONFIRMED", "EXPECTED"];
        let not = self.not();
        let side = self.pick(&["origsrc", "origdst", "replsrc", "repldst"]);
        let what = match self.below(12) {
            0..=4 => format!("{not}--ctstate {}", self.some(&STATES)),
            5 => format!("--ctdir {}", self.pick(&["ORIGINAL", "REPLY"])),
            6 => format!("{not}--ctproto {}", self.pick(&["tcp", "udp", "icmp"])),
            7 | 8 => format!("{not}--ct{side} {}", self.network()),
            9 => format!("{not}--ct{side}port {}", self.ports()),
            10 => format!("{not}--ctstatus {}", self.some(&STATUS)),
            // No timeout of a connection lies near these.
            _ => format!("{not}--ctexpire {}", self.pick(&["0", "1:200", "1000:4000000", "0:86400"])),
        };
        format!("-m conntrack {what}")
    }

    fn state(&mut self, _: Place) -> String {
        let states = self.some(&["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]);
        format!("-m state {}--state {states}", self.not())
    }

    fn marks(&mut self, _: Place) -> String {
        let name = self.pick(&["mark", "connmark"]);
        format!("-m {name} {}--mark {}", self.not(), self.mark())
    }

    fn addrtype(&mut self, place: Place) -> String {
        const TYPES: [&str; 6] = ["LOCAL", "UNICAST", "BROADCAST", "MULTICAST", "UNSPEC", "BLACKHOLE"];
        let which = self.pick(&["--dst-type", "--src-type"]);
        let limit = match self.below(4) {
            0 if place.is_in(IN) => " --limit-iface-in",
            1 if place.is_in(OUT) => " --limit-iface-out",
            _ => "",
        };
        format!("-m addrtype {}{which} {}{limit}", self.not(), self.some(&TYPES))
    }

    fn comment(&mut self, _: Place) -> String {
        format!("-m comment --comment \"rule {}\"", self.below(100))
    }

    fn statistic(&mut self, _: Place) -> String {
        let not = self.not();
        if self.one_in(3) {
            return format!("-m statistic --mode random {not}--probability {}", self.pick(&["1.0", "0"]));
        }
        let every = self.below(3) + 2;
        format!("-m statistic --mode nth {not}--every {every} --packet {}", self.below(every))
    }

    fn physdev(&mut self, place: Place) -> String {
        let not = self.not();
        let device = self.pick(&["p0", "p1", "p+", "c0"]);
        let what = match self.below(5) {
            0 => "--physdev-is-bridged".to_owned(),
            1 => format!("--physdev-in {device}"),
            2 => "--physdev-is-in".to_owned(),
            3 if place.is_in(&["FORWARD", "POSTROUTING"]) => format!("--physdev-out {device}"),
            4 if place.is_in(&["FORWARD", "POSTROUTING"]) => "--physdev-is-out".to_owned(),
            _ => return String::new(),
        };
        format!("-m physdev {not}{what}")
    }

    /// A list that several rules share; a second is longer than a case without waiting, an hour than any.
    fn recent(&mut self, _: Place) -> String {
        let how = match self.below(8) {
            0..=2 => "--set".to_owned(),
            3 => "--remove".to_owned(),
            _ => {
                let seconds =
                    self.pick(&["", "", " --seconds 1", " --seconds 3600", " --seconds 3600 --reap"]);
                let hits = self.pick(&["", " --hitcount 1", " --hitcount 2", " --hitcount 3"]);
                let ttl = if self.one_in(6) { " --rttl" } else { "" };
                format!("{}{seconds}{hits}{ttl}", self.pick(&["--rcheck", "--update"]))
            }
        };
        let side = self.pick(&["", "", " --rsource", " --rdest"]);
        // All rules of a list have its mask: else it depends on the order in which they come into force.
        let list = self.pick(&["list0", "list0", "list1 --mask 255.255.255.0"]);
        format!("-m recent {}{how} --name {list}{side}", self.not())
    }

    fn limit(&mut self, _: Place) -> String {
        format!("-m limit --limit {} --limit-burst {}", self.pick(&["1/hour", "2/day"]), self.below(3) + 1)
    }

    /// Rules of one table agree in its settings, as those of a list of `recent`.
    fn hashlimit(&mut self, _: Place) -> String {
        let tables = [
            "table0 --hashlimit-burst 1",
            "table1 --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-srcmask 24",
            "table2 --hashlimit-burst 1 --hashlimit-mode srcip,dstip,dstport",
            "table3 --hashlimit-burst 3 --hashlimit-mode dstip,srcport",
        ];
        let (how, table) = (self.pick(&["upto", "above"]), self.pick(&tables));
        format!("-m hashlimit --hashlimit-{how} 1/hour --hashlimit-name {table}")
    }

    fn mac(&mut self, place: Place) -> String {
        if !place.is_in(IN) {
            return String::new();
        }
        format!("-m mac {}--mac-source 02:00:00:00:1{}:0{}", self.not(), self.below(3), self.below(3) + 2)
    }

    fn iprange(&mut self, _: Place) -> String {
        let side = self.pick(&["src", "dst"]);
        let net = self.below(3) as u8;
        let end = |host| Ipv4Addr::new(10, 0, net, host);
        format!("-m iprange {}--{side}-range {}-{}", self.not(), end(2), end(self.pick(&[2, 3, 4])))
    }

    fn length(&mut self, _: Place) -> String {
        format!("-m length {}--length {}", self.not(), self.pick(&["28", "40:100", "60", ":50", "44"]))
    }

    fn ttl(&mut self, _: Place) -> String {
        let what = ["--ttl-eq 64", "--ttl-lt 10", "--ttl-gt 63", "! --ttl-eq 63", "--ttl-eq 1"];
        format!("-m ttl {}", self.pick(&what))
    }

    fn pkttype(&mut self, _: Place) -> String {
        format!("-m pkttype {}--pkt-type {}", self.not(), self.pick(&["unicast", "broadcast", "multicast"]))
    }

    fn rpfilter(&mut self, place: Place) -> String {
        if place.chain != "PREROUTING" || !matches!(place.table, "raw" | "mangle") {
            return String::new();
        }
        let flags =
            ["--loose", "--validmark", "--accept-local", "--invert"].map(|flag| (flag, self.one_in(3)));
        let flags = flags.into_iter().filter(|(_, on)| *on).map(|(flag, _)| format!(" {flag}"));
        format!("-m rpfilter{}", flags.collect::<String>())
    }

    /// The payload is `abcdef…`.
    fn string(&mut self, _: Place) -> String {
        let (not, algo) = (self.not(), self.pick(&["bm", "kmp"]));
        let what = [
            "--string abc",
            "--string jklm",
            "--string AbC --icase",
            "--hex-string \"|6162|cd\"",
            "--string xy",
        ];
        let (what, span) = (
            self.pick(&what),
            self.pick(&["", "", " --from 28", " --from 40 --to 60", " --to 30", " --from 29"]),
        );
        format!("-m string --algo {algo} {not}{what}{span}")
    }

    fn u32(&mut self, _: Place) -> String {
        let tests = [
            "6&0xFF=0x6",                             // TCP
            "4&0x3FFF=0",                             // no fragment
            "0&0xFFFF=0x28:0x40",                     // length
            "8>>24=0x40",                             // TTL
            "0>>22&0x3C@0>>16=1000,1001",             // source port
            "0>>22&0x3C@8=0x61626364",                // the data of UDP
            "0>>22&0x3C@12>>26&0x3C@0&0xFFFF=0x6364", // the data of TCP
            "16=0x0A000100:0x0A0001FF",               // destination
            "6&0xFF=0x11&&0>>22&0x3C@0&0xFFFF=53",    // DNS
            "200=0",                                  // behind the end
        ];
        format!("-m u32 {}--u32 \"{}\"", self.not(), self.pick(&tests))
    }

    /// Programs run as root.
    fn owner(&mut self, place: Place) -> String {
        if !place.is_in(&["OUTPUT", "POSTROUTING"]) {
            return String::new();
        }
        let what =
            ["--uid-owner 0", "--uid-owner 1000", "--gid-owner 0-10", "--socket-exists", "--uid-owner root"];
        format!("-m owner {}{}", self.not(), self.pick(&what))
    }

    fn cluster(&mut self, place: Place) -> String {
        // The running kernel would warn of each template of `CT` in its log.
        if place.table == "raw" {
            return String::new();
        }
        let (not, seed) = (self.not(), self.pick(&["0xdeadbeef", "1"]));
        let which = self.pick(&["node 1", "node 2", "nodemask 3", "nodemask 4"]);
        format!("-m cluster --cluster-total-nodes 3 {not}--cluster-local-{which} --cluster-hash-seed {seed}")
    }

    fn socket(&mut self, place: Place) -> String {
        if !place.is_in(&["PREROUTING", "INPUT"]) {
            return String::new();
        }
        format!(
            "-m socket{}",
            self.pick(&["", " --nowildcard", " --transparent", " --nowildcard --restore-skmark"])
        )
    }

    fn tcpmss(&mut self, place: Place) -> String {
        if !place.is_proto(&["tcp"]) {
            return String::new();
        }
        format!("-m tcpmss {}--mss {}", self.not(), self.pick(&["1000:1500", "1460", "536:1400"]))
    }

    fn dscp(&mut self, _: Place) -> String {
        let what = self.pick(&["--dscp 0x00", "--dscp 0x04", "--dscp-class EF"]);
        format!("-m dscp {}{what}", self.not())
    }

    fn tos(&mut self, _: Place) -> String {
        format!(
            "-m tos {}--tos {}",
            self.not(),
            self.pick(&["0x10", "0x00/0xff", "Minimize-Delay", "0x10/0x3f"])
        )
    }

    /// Always, or never: the two sides have different clocks.
    fn time(&mut self, _: Place) -> String {
        let what = [
            "--datestart 2001-01-01",
            "--datestart 2037-01-01",
            "--datestop 2001-01-01",
            "--datestop 2037-01-01T12:00:00",
            "--weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun",
            "! --weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun",
            "--timestart 00:00 --timestop 23:59:59",
        ];
        format!("-m time {}", self.pick(&what))
    }
}
