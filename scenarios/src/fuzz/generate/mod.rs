//! Random cases.
//!
//! Values are drawn from few, so that rules and packets meet: hosts 2 to 5 of three networks, a handful of ports, of
//! marks and of names. Where the kernel decides by lot or by the clock, only such parameters are drawn whose outcome is
//! certain: a chance of 0 or 1, a limit that one hour does not refill, a date far away, a NAT range that no rule tells
//! apart. (`iptables::arbitrary` of the userland crate draws rules from all values, to compare how they are printed;
//! such rules meet no packet.)
//!
//! | module | draws |
//! |---|---|
//! | this one | values |
//! | `rules.rs` | tables, chains and rules |
//! | `matches.rs` | what a rule asks |
//! | `targets.rs` | what a rule does |
//! | `sets.rs` | sets, and the words of rules that name them |
//! | `traffic.rs` | packets |

mod matches;
mod rules;
mod sets;
mod targets;
mod traffic;

use std::net::Ipv4Addr;

use glassnet_sim::Dice;

use crate::rig::case::Case;
use sets::Kind;

/// A random case; the same seed gives the same case.
pub fn case(seed: u64) -> Case {
    let mut draw = Draw::new(seed);
    let (legacy, bridge_nf) = (draw.one_in(4), draw.one_in(2));
    let sets = if draw.one_in(2) { draw.make_sets() } else { Vec::new() };
    let rules = draw.rules();
    let steps = draw.steps();
    Case { name: format!("seed {seed}"), legacy, bridge_nf, sets, rules, steps }
}

struct Draw {
    dice: Dice,
    /// The hosts that most packets and rules of the case are about: one of each network.
    hosts: [Ipv4Addr; 3],
    /// The ports that most of them are about.
    ports: [u16; 3],
    /// Sets that were made; their names are `set0`, `set1`, …
    sets: Vec<Kind>,
}

const PORTS: [u16; 6] = [53, 80, 443, 1000, 1001, 8080];

impl Draw {
    fn new(seed: u64) -> Draw {
        let mut dice = Dice::new(seed);
        let hosts = [0, 1, 2].map(|net| Ipv4Addr::new(10, 0, net, 2 + dice.below(4) as u8));
        let ports = [0, 1, 2].map(|_| PORTS[dice.below(PORTS.len() as u64) as usize]);
        Draw { dice, hosts, ports, sets: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.dice.below(bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Some of the words, at least one, joined by commas.
    fn some(&mut self, words: &[&str]) -> String {
        let first = self.below(words.len());
        let is_in: Vec<bool> = (0..words.len()).map(|at| at == first || self.one_in(4)).collect();
        let found: Vec<&str> =
            words.iter().zip(is_in).filter(|(_, is_in)| *is_in).map(|(word, _)| *word).collect();
        found.join(",")
    }

    /// `!` one time in four.
    fn not(&mut self) -> &'static str {
        if self.one_in(4) { "! " } else { "" }
    }

    fn port(&mut self) -> u16 {
        if self.one_in(4) { self.pick(&PORTS) } else { self.pick(&self.ports.clone()) }
    }

    /// A port or a range.
    fn ports(&mut self) -> String {
        let (a, b) = (self.port(), self.port());
        if a != b && self.one_in(2) { format!("{}:{}", a.min(b), a.max(b)) } else { a.to_string() }
    }

    fn host(&mut self) -> Ipv4Addr {
        let net = self.below(3);
        self.host_of(net)
    }

    /// A host of the network 10.0.`net`.0/24.
    fn host_of(&mut self, net: usize) -> Ipv4Addr {
        if self.one_in(4) {
            Ipv4Addr::new(10, 0, net as u8, self.below(4) as u8 + 2)
        } else {
            self.hosts[net]
        }
    }

    /// An address or network for `-s` and `-d`.
    fn network(&mut self) -> String {
        match self.below(8) {
            0 | 1 => format!("10.0.{}.0/24", self.below(3)),
            2 => "10.0.0.0/16".to_owned(),
            4 => "10.0.1.0/255.255.255.0".to_owned(),
            3 => format!("10.0.{}.1", self.below(3)),
            _ => self.host().to_string(),
        }
    }

    /// A device by name, or several by how their names begin.
    fn device(&mut self) -> &'static str {
        self.pick(&["c0", "s0", "br0", "c+", "p+", "p0", "lo"])
    }

    /// A mark, mostly with a mask.
    fn mark(&mut self) -> String {
        format!("0x{:x}{}", self.below(4), self.pick(&["", "/0x1", "/0x3", "/0xff"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::KernelConfig;
    use crate::rig::run;
    use crate::simulator::Router;

    #[test]
    fn the_same_seed_gives_the_same_case_and_another_seed_another() {
        assert_eq!(case(1), case(1));
        assert_ne!(case(1), case(2));
        let kept = case(3);
        let text = serde_json::to_string(&kept).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Case>(&text).ok(), Some(kept));
    }

    /// Every match, target and type of set that the kernel half of the project has.
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "-m tcp", "-m udp", "-m icmp", "-m multiport", "-m conntrack", "-m state", "-m mark", "-m connmark",
        "--limit-iface-in", "--limit-iface-out", "-m comment", "--mode nth", "--mode random", "-m physdev",
        "-m set", "-m recent", "-m limit", "-m hashlimit", "-m mac", "-m iprange", "-m length", "-m ttl",
        "-m pkttype", "-m rpfilter", "-m string", "-m u32", "-m owner", "-m cluster", "-m socket", "-m tcpmss",
        "-m dscp", "-m tos", "-m time", "--ctexpire", "--ctstatus", "--ctrepldst ", "--ctorigsrcport",
        "-j ACCEPT", "-j DROP", "-j RETURN", "-j LOG", "-j NFLOG", "-j MARK", "-j CONNMARK", "-j DNAT", "-j SNAT",
        "-j MASQUERADE", "-j REDIRECT", "-j NETMAP", "--random", "--random-fully", "--persistent", "-j NOTRACK",
        "-j CT", "--zone ", "--zone-orig", "--zone-reply", "-j TRACE", "-j TCPMSS", "-j TTL", "-j TOS", "-j DSCP",
        "-j CLASSIFY", "-j SET --add-set", "-j SET --del-set", "-j SET --map-set", "-j AUDIT", "-j own", "-g own",
        "icmp-net-unreachable", "icmp-host-unreachable", "icmp-port-unreachable", "icmp-proto-unreachable",
        "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited", "tcp-reset",
        "hash:ip ", "hash:net ", "hash:ip,port ", "hash:ip,port,ip ", "hash:ip,port,net ", "bitmap:port ", "list:set ",
    ];

    #[test]
    fn every_extension_is_drawn() {
        let lines = (0..1000).map(case).flat_map(|case| [case.sets, case.rules].concat());
        let all = lines.map(|line| line + " \n").collect::<String>();
        let missing: Vec<_> = WORDS.iter().filter(|word| !all.contains(**word)).collect();
        assert!(missing.is_empty(), "{missing:?} never come");
    }

    /// Rules that no packet meets test nothing: of all that are asked, more than one in eight is met.
    #[test]
    fn packets_meet_rules() {
        let (mut met, mut all) = (0, 0);
        for seed in 0..200 {
            let mut rig = Router::new(1, KernelConfig::default()).expect("a router");
            let outcome = run(&mut rig, &case(seed)).expect("a case");
            assert!(outcome.said.iter().all(|said| said.status == 0), "seed {seed}: {:?}", outcome.said);
            let rules = outcome.rules.text.lines().filter(|line| line.starts_with('['));
            let counts: Vec<bool> = rules.map(|line| !line.starts_with("[0:0]")).collect();
            all += counts.len();
            met += counts.into_iter().filter(|met| *met).count();
        }
        assert!(met * 8 > all, "{met} of {all} rules");
    }
}
