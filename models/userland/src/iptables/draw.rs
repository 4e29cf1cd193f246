//! Random values for matches and targets of random cases: few values, so that rules match packets.
//!
//! Each extension draws its own options ([`super::ext::MatchExt::drawn`], [`super::ext::TargetExt::drawn`]); tables,
//! chains, sets and packets are drawn in `scenarios`. Options whose result depends on random numbers or time are drawn
//! only with a certain result: a probability of 0 or 1, a limit that is not refilled within an hour, a distant date, a NAT
//! range whose addresses no rule distinguishes.

use std::net::Ipv4Addr;

use glassnet_sim::Dice;

/// Place of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The table.
    pub table: &'static str,
    /// The built-in chain; empty for a user-defined chain.
    pub chain: &'static str,
    /// The protocol of the rule (`-p`).
    pub proto: Option<&'static str>,
}

impl Place {
    /// Only these chains lead to the rule.
    pub fn is_in(&self, chains: &[&str]) -> bool {
        chains.contains(&self.chain)
    }

    /// The input device is known.
    pub fn comes_in(&self) -> bool {
        self.is_in(&["PREROUTING", "INPUT", "FORWARD"])
    }

    /// The output device is known.
    pub fn leaves(&self) -> bool {
        self.is_in(&["FORWARD", "OUTPUT", "POSTROUTING"])
    }

    /// The rule has one of these protocols.
    pub fn is_proto(&self, protos: &[&str]) -> bool {
        self.proto.is_some_and(|proto| protos.contains(&proto))
    }
}

/// A random target.
#[derive(Clone, Debug)]
pub struct DrawnTarget {
    /// The protocol that its rule needs.
    pub proto: Option<&'static str>,
    /// Its options; empty: not allowed here.
    pub words: String,
}

impl DrawnTarget {
    /// Not allowed here.
    pub const NONE: DrawnTarget = DrawnTarget { proto: None, words: String::new() };

    /// For rules of any protocol.
    pub fn plain(words: impl Into<String>) -> DrawnTarget {
        DrawnTarget { proto: None, words: words.into() }
    }

    /// For rules of one protocol.
    pub fn of(proto: &'static str, words: impl Into<String>) -> DrawnTarget {
        DrawnTarget { proto: Some(proto), words: words.into() }
    }
}

/// Random values of a case.
#[derive(Debug)]
pub struct Draw {
    /// Random numbers.
    pub dice: Dice,
    /// The hosts that most packets and rules of the case use: one of each network.
    pub hosts: [Ipv4Addr; 3],
    /// The ports that most of them use.
    pub ports: [u16; 3],
    /// Created sets, by the number of dimensions of their elements (0: a list of sets); their names are `set0`,
    /// `set1`, …
    pub sets: Vec<usize>,
    /// How many accounting objects there are; their names are `acct0`, `acct1`, …
    pub accounts: usize,
}

const PORTS: [u16; 6] = [53, 80, 443, 1000, 1001, 8080];

impl Draw {
    /// The same seed gives the same values.
    pub fn new(seed: u64) -> Draw {
        let mut dice = Dice::new(seed);
        let hosts = [0, 1, 2].map(|net| Ipv4Addr::new(10, 0, net, 2 + dice.below(4) as u8));
        let ports = [0, 1, 2].map(|_| PORTS[dice.below(PORTS.len() as u64) as usize]);
        Draw { dice, hosts, ports, sets: Vec::new(), accounts: 0 }
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.dice.below(bound as u64) as usize
    }

    /// True with probability 1/`n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Some of the words, at least one, joined by commas.
    pub fn some(&mut self, words: &[&str]) -> String {
        let first = self.below(words.len());
        let is_in: Vec<bool> = (0..words.len()).map(|at| at == first || self.one_in(4)).collect();
        let found: Vec<&str> =
            words.iter().zip(is_in).filter(|(_, is_in)| *is_in).map(|(word, _)| *word).collect();
        found.join(",")
    }

    /// `!` with probability 1/4.
    pub fn not(&mut self) -> &'static str {
        if self.one_in(4) { "! " } else { "" }
    }

    /// A port.
    pub fn port(&mut self) -> u16 {
        if self.one_in(4) { self.pick(&PORTS) } else { self.pick(&self.ports.clone()) }
    }

    /// A port or a range.
    pub fn ports(&mut self) -> String {
        let (a, b) = (self.port(), self.port());
        if a != b && self.one_in(2) { format!("{}:{}", a.min(b), a.max(b)) } else { a.to_string() }
    }

    /// A host of any of the three networks.
    pub fn host(&mut self) -> Ipv4Addr {
        let net = self.below(3);
        self.host_of(net)
    }

    /// A host of the network 10.0.`net`.0/24.
    pub fn host_of(&mut self, net: usize) -> Ipv4Addr {
        if self.one_in(4) {
            Ipv4Addr::new(10, 0, net as u8, self.below(4) as u8 + 2)
        } else {
            self.hosts[net]
        }
    }

    /// An address or network for `-s` and `-d`.
    pub fn network(&mut self) -> String {
        match self.below(8) {
            0 | 1 => format!("10.0.{}.0/24", self.below(3)),
            2 => "10.0.0.0/16".to_owned(),
            4 => "10.0.1.0/255.255.255.0".to_owned(),
            3 => format!("10.0.{}.1", self.below(3)),
            _ => self.host().to_string(),
        }
    }

    /// A device name, or a prefix of several.
    pub fn device(&mut self) -> &'static str {
        self.pick(&["c0", "s0", "br0", "c+", "p+", "p0", "lo"])
    }

    /// A mark, mostly with a mask.
    pub fn mark(&mut self) -> String {
        format!("0x{:x}{}", self.below(4), self.pick(&["", "/0x1", "/0x3", "/0xff"]))
    }

    /// The name of a set and its `src` and `dst` flags, sometimes one too many or too few.
    pub fn set_words(&mut self) -> Option<String> {
        if self.sets.is_empty() {
            return None;
        }
        let at = self.below(self.sets.len());
        let parts = self.sets[at];
        let needed = if parts == 0 { 1 + self.below(3) } else { parts };
        let count = if self.one_in(12) { 1 + self.below(3) } else { needed };
        let sides: Vec<&str> = (0..count).map(|_| self.pick(&["src", "dst"])).collect();
        Some(format!("set{at} {}", sides.join(",")))
    }
}
