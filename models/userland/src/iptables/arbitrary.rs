//! Random rules that the real `iptables` takes, for tests that compare with it: the extensions without a memory with every
//! option, in chains where they may stand.

use std::fmt::Write;

use glassnet_kernel::tables::xt::TableName;
use glassnet_sim::Dice;

use super::ext::addrtype::TYPES;

/// What rules may name.
#[derive(Clone, Debug)]
pub struct RuleContext {
    /// Devices.
    pub devices: Vec<String>,
    /// Chains that a rule may jump to, by name.
    pub chains: Vec<String>,
}

/// A rule as `iptables-restore` reads it: `-A CHAIN …` without the table. The same dice give the same rule.
pub fn random_rule(dice: &mut Dice, table: TableName, chain: &str, context: &RuleContext) -> String {
    let mut make = Maker { dice, table, chain, context, out: format!("-A {chain}") };
    make.rule();
    make.out
}

struct Maker<'a> {
    dice: &'a mut Dice,
    table: TableName,
    chain: &'a str,
    context: &'a RuleContext,
    out: String,
}

impl Maker<'_> {
    const MATCHES: [fn(&mut Self); 16] = [
        Self::multiport,
        Self::conntrack,
        Self::state,
        Self::marks,
        Self::addrtype,
        Self::comment,
        Self::physdev,
        Self::mac,
        Self::iprange,
        Self::length,
        Self::ttl,
        Self::pkttype,
        Self::owner,
        Self::tcpmss,
        Self::dscp,
        Self::tos,
    ];
    const TARGETS: [fn(&mut Self); 10] = [
        Self::mark_target,
        Self::connmark_target,
        Self::log,
        Self::nflog,
        Self::trace,
        Self::tcpmss_target,
        Self::mangle_target,
        Self::classify,
        Self::audit,
        Self::verdict,
    ];

    fn below(&mut self, bound: u64) -> u64 {
        self.dice.below(bound)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len() as u64) as usize]
    }

    fn add(&mut self, text: impl std::fmt::Display) {
        let _ = write!(self.out, " {text}");
    }

    /// `!`, one time in three.
    fn not(&mut self) {
        if self.one_in(3) {
            self.add("!");
        }
    }

    /// A number below the bound, often small, in one of the ways to write numbers.
    fn number(&mut self, bound: u64) -> String {
        let small = self.one_in(2);
        let value = self.below(if small { bound.min(100) } else { bound });
        match self.below(4) {
            0 => format!("0x{value:x}"),
            1 if value > 0 => format!("0{value:o}"),
            _ => value.to_string(),
        }
    }

    fn mark(&mut self) -> String {
        let mark = self.number(1 << 32);
        if self.one_in(2) { mark } else { format!("{mark}/{}", self.number(1 << 32)) }
    }

    fn addr(&mut self) -> String {
        std::net::Ipv4Addr::from_bits(self.below(1 << 32) as u32).to_string()
    }

    fn range(&mut self, bound: u64) -> String {
        let (a, b) = (self.below(bound), self.below(bound));
        match self.below(5) {
            0 => format!("{a}:"),
            1 => format!(":{a}"),
            2 => a.to_string(),
            _ => format!("{}:{}", a.min(b), a.max(b)),
        }
    }

    /// Some of the words, at least one, joined by commas.
    fn some(&mut self, words: &[&str]) -> String {
        let mut found: Vec<&str> = words.iter().copied().filter(|_| self.one_in(3)).collect();
        if found.is_empty() {
            found.push(self.pick(words));
        }
        found.join(",")
    }

    fn text(&mut self, max: u64) -> String {
        const LETTERS: &[u8] = b"abcXYZ019-_ .:,/%+*()[]{}<>=";
        let len = 1 + self.below(max) as usize;
        let text: String =
            (0..len).map(|_| LETTERS[self.below(LETTERS.len() as u64) as usize] as char).collect();
        match self.below(4) {
            0 => format!("\"a\\\"b\\\\{}\"", text.trim()),
            _ => format!("\"{text}\""),
        }
    }

    fn rule(&mut self) {
        let proto = self.pick(&["", "", "tcp", "udp", "icmp", "sctp", "udplite", "47"]);
        if !proto.is_empty() {
            self.add(format!("-p {proto}"));
        }
        if self.one_in(4) {
            self.not();
            // Nothing at all is refused: `! -s 0/0`.
            let (addr, bits) = (self.addr(), 1 + self.below(32));
            self.add(format!("-s {addr}/{bits}"));
        }
        if self.one_in(4) && matches!(self.chain, "PREROUTING" | "INPUT" | "FORWARD") {
            self.not();
            let device = self.device();
            self.add(format!("-i {device}"));
        }
        for _ in 0..self.below(3) {
            let at = self.below(Self::MATCHES.len() as u64) as usize;
            Self::MATCHES[at](self);
        }
        let before = self.out.len();
        while self.out.len() == before {
            let at = self.below(Self::TARGETS.len() as u64) as usize;
            Self::TARGETS[at](self);
        }
    }

    fn is_proto(&self, protos: &[&str]) -> bool {
        protos.iter().any(|proto| self.out.contains(&format!(" -p {proto}")))
    }

    fn device(&mut self) -> String {
        let devices: Vec<&str> = self.context.devices.iter().map(String::as_str).collect();
        let device = if devices.is_empty() { "eth0" } else { self.pick(&devices) };
        if self.one_in(3) {
            format!("{}+", device.trim_end_matches(char::is_numeric))
        } else {
            device.to_owned()
        }
    }

    fn multiport(&mut self) {
        if !self.is_proto(&["tcp", "udp", "sctp", "udplite"]) {
            return;
        }
        self.add("-m multiport");
        self.not();
        let side = self.pick(&["sports", "dports", "ports", "source-ports", "destination-ports", "port"]);
        let count = 1 + self.below(7);
        let ports: Vec<String> = (0..count)
            .map(|_| {
                let low = self.below(65_535);
                let high = low + 1 + self.below(65_535 - low);
                if self.one_in(3) { format!("{low}:{high}") } else { low.to_string() }
            })
            .collect();
        self.add(format!("--{side} {}", ports.join(",")));
    }

    fn conntrack(&mut self) {
        const STATES: &[&str] = &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"];
        self.add("-m conntrack");
        let before = self.out.len();
        while self.out.len() == before {
            if self.one_in(2) {
                self.not();
                let states = self.some(STATES);
                self.add(format!("--ctstate {states}"));
            }
            if self.one_in(5) {
                self.not();
                let proto = self.pick(&["tcp", "udp", "icmp", "47", "0"]);
                self.add(format!("--ctproto {proto}"));
            }
            for side in ["origsrc", "origdst", "replsrc", "repldst"] {
                if self.one_in(6) {
                    self.not();
                    let (addr, bits) = (self.addr(), self.below(33));
                    self.add(format!("--ct{side} {addr}/{bits}"));
                }
                if self.one_in(8) {
                    self.not();
                    let ports = self.range(65_536);
                    self.add(format!("--ct{side}port {ports}"));
                }
            }
            if self.one_in(5) {
                self.not();
                let status = self.some(&["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"]);
                self.add(format!("--ctstatus {status}"));
            }
            if self.one_in(6) {
                self.not();
                let expire = self.range(1 << 32);
                self.add(format!("--ctexpire {expire}"));
            }
            if self.one_in(6) {
                let dir = self.pick(&["ORIGINAL", "REPLY", "reply"]);
                self.add(format!("--ctdir {dir}"));
            }
        }
    }

    fn state(&mut self) {
        self.add("-m state");
        self.not();
        let states = self.some(&["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"]);
        self.add(format!("--state {states}"));
    }

    fn marks(&mut self) {
        let name = self.pick(&["mark", "connmark"]);
        self.add(format!("-m {name}"));
        self.not();
        let mark = self.mark();
        self.add(format!("--mark {mark}"));
    }

    fn addrtype(&mut self) {
        self.add("-m addrtype");
        let sides: &[&str] = [&["src"][..], &["dst"], &["src", "dst"]][self.below(3) as usize];
        for side in sides {
            self.not();
            let types = self.some(&TYPES);
            self.add(format!("--{side}-type {types}"));
        }
        let limited = self.below(3);
        match self.chain {
            "PREROUTING" | "INPUT" | "FORWARD" if limited == 0 => self.add("--limit-iface-in"),
            "OUTPUT" | "POSTROUTING" | "FORWARD" if limited == 1 => self.add("--limit-iface-out"),
            _ => {}
        }
    }

    fn comment(&mut self) {
        let text = self.text(60);
        self.add(format!("-m comment --comment {text}"));
    }

    fn physdev(&mut self) {
        self.add("-m physdev");
        let before = self.out.len();
        while self.out.len() == before {
            for name in ["in", "out"] {
                let can = name == "in" || self.chain != "OUTPUT";
                if can && self.one_in(3) {
                    self.not();
                    self.add(format!("--physdev-is-{name}"));
                }
                if can && self.one_in(3) {
                    self.not();
                    let device = self.device();
                    self.add(format!("--physdev-{name} {device}"));
                }
            }
            if self.one_in(3) {
                self.not();
                self.add("--physdev-is-bridged");
            }
        }
    }

    fn mac(&mut self) {
        if !matches!(self.chain, "PREROUTING" | "INPUT" | "FORWARD") {
            return;
        }
        let mut mac = [0; 6];
        self.dice.fill(&mut mac);
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02X}")).collect();
        self.add("-m mac");
        self.not();
        self.add(format!("--mac-source {}", mac.join(":")));
    }

    fn iprange(&mut self) {
        self.add("-m iprange");
        let sides: &[&str] = [&["src"][..], &["dst"], &["src", "dst"]][self.below(3) as usize];
        for side in sides {
            let (a, b) = (self.below(1 << 32) as u32, self.below(1 << 32) as u32);
            let (low, high) =
                (std::net::Ipv4Addr::from_bits(a.min(b)), std::net::Ipv4Addr::from_bits(a.max(b)));
            self.not();
            self.add(format!("--{side}-range {low}-{high}"));
        }
    }

    fn length(&mut self) {
        self.add("-m length");
        self.not();
        let range = self.range(65_536);
        self.add(format!("--length {range}"));
    }

    fn ttl(&mut self) {
        self.add("-m ttl");
        let option = self.pick(&["--ttl-eq", "! --ttl-eq", "--ttl", "--ttl-lt", "--ttl-gt"]);
        let ttl = self.number(256);
        self.add(format!("{option} {ttl}"));
    }

    fn pkttype(&mut self) {
        self.add("-m pkttype");
        self.not();
        let kind = self.pick(&["unicast", "broadcast", "multicast", "host", "bcast", "mcast", "otherhost"]);
        self.add(format!("--pkt-type {kind}"));
    }

    fn owner(&mut self) {
        if !matches!(self.chain, "OUTPUT" | "POSTROUTING") {
            return;
        }
        self.add("-m owner");
        let which = self.below(4);
        if which != 1 {
            self.not();
            let (a, b) = (self.below(70_000), self.below(70_000));
            let ids = if self.one_in(2) { a.to_string() } else { format!("{}-{}", a.min(b), a.max(b)) };
            self.add(format!("--uid-owner {ids}"));
        }
        if which < 2 {
            self.not();
            let group = self.pick(&["root", "7", "100-200", "nogroup"]);
            self.add(format!("--gid-owner {group}"));
            if self.one_in(3) {
                self.add("--suppl-groups");
            }
        }
        if which == 3 {
            self.not();
            self.add("--socket-exists");
        }
    }

    fn tcpmss(&mut self) {
        if self.is_proto(&["tcp"]) {
            self.add("-m tcpmss");
            self.not();
            let range = self.range(65_536);
            self.add(format!("--mss {range}"));
        }
    }

    fn dscp(&mut self) {
        self.add("-m dscp");
        self.not();
        if self.one_in(2) {
            let class = self.pick(&["CS0", "CS1", "CS7", "BE", "AF11", "af23", "AF43", "EF"]);
            self.add(format!("--dscp-class {class}"));
        } else {
            let dscp = self.number(64);
            self.add(format!("--dscp {dscp}"));
        }
    }

    fn tos_value(&mut self) -> String {
        match self.below(3) {
            0 => self
                .pick(&[
                    "Minimize-Delay",
                    "maximize-throughput",
                    "Maximize-Reliability",
                    "Minimize-Cost",
                    "Normal-Service",
                ])
                .to_owned(),
            1 => self.number(256),
            _ => format!("{}/{}", self.number(256), self.number(256)),
        }
    }

    fn tos(&mut self) {
        self.add("-m tos");
        self.not();
        let tos = self.tos_value();
        self.add(format!("--tos {tos}"));
    }

    fn mark_target(&mut self) {
        let option = self.pick(&["set-mark", "set-xmark", "and-mark", "or-mark", "xor-mark"]);
        let value = if option.starts_with("set") { self.mark() } else { self.number(1 << 32) };
        self.add(format!("-j MARK --{option} {value}"));
    }

    fn connmark_target(&mut self) {
        self.add("-j CONNMARK");
        match self.below(3) {
            0 => {
                let option = self.pick(&["set-mark", "set-xmark", "and-mark", "or-mark", "xor-mark"]);
                let value = if option.starts_with("set") { self.mark() } else { self.number(1 << 32) };
                self.add(format!("--{option} {value}"));
            }
            _ => {
                let option = self.pick(&["--save-mark", "--restore-mark"]);
                self.add(option);
                for mask in [&["mask"][..], &["ctmask", "nfmask"]][self.below(2) as usize] {
                    if self.one_in(2) {
                        let value = self.number(1 << 32);
                        self.add(format!("--{mask} {value}"));
                    }
                }
            }
        }
        if self.one_in(3) {
            let (side, bits) = (self.pick(&["left", "right"]), self.below(32));
            self.add(format!("--{side}-shift-mark {bits}"));
        }
    }

    fn log(&mut self) {
        self.add("-j LOG");
        if self.one_in(2) {
            let text = self.text(29);
            self.add(format!("--log-prefix {text}"));
        }
        if self.one_in(2) {
            let level = self.pick(&[
                "emerg", "panic", "alert", "crit", "error", "warning", "notice", "info", "debug", "3", "7",
            ]);
            self.add(format!("--log-level {level}"));
        }
        for flag in ["tcp-sequence", "tcp-options", "ip-options", "uid", "macdecode"] {
            if self.one_in(3) {
                self.add(format!("--log-{flag}"));
            }
        }
    }

    fn nflog(&mut self) {
        self.add("-j NFLOG");
        if self.one_in(2) {
            let text = self.text(60);
            self.add(format!("--nflog-prefix {text}"));
        }
        for (option, bound) in [("group", 1 << 16), ("size", 1 << 32), ("threshold", 1 << 16)] {
            if self.one_in(2) {
                let value = self.number(bound);
                self.add(format!("--nflog-{option} {value}"));
            }
        }
    }

    fn trace(&mut self) {
        if self.table == TableName::Raw {
            self.add("-j TRACE");
        }
    }

    fn tcpmss_target(&mut self) {
        if !self.is_proto(&["tcp"]) {
            return;
        }
        let flags = self.pick(&["SYN,RST SYN", "FIN,SYN,RST,ACK SYN", "SYN SYN"]);
        self.add(format!("-m tcp --tcp-flags {flags} -j TCPMSS"));
        if self.one_in(2) && matches!(self.chain, "FORWARD" | "OUTPUT" | "POSTROUTING") {
            self.add("--clamp-mss-to-pmtu");
        } else {
            let mss = self.below(65_516);
            self.add(format!("--set-mss {mss}"));
        }
    }

    fn mangle_target(&mut self) {
        if self.table != TableName::Mangle {
            return;
        }
        match self.below(4) {
            0 => {
                let (option, ttl) = (self.pick(&["set", "inc", "dec"]), 1 + self.below(255));
                self.add(format!("-j TTL --ttl-{option} {ttl}"));
            }
            1 => {
                let dscp = self.number(64);
                self.add(format!("-j DSCP --set-dscp {dscp}"));
            }
            2 => {
                let tos = self.tos_value();
                self.add(format!("-j TOS --set-tos {tos}"));
            }
            _ => {
                let (option, tos) = (self.pick(&["and", "or", "xor"]), self.number(256));
                self.add(format!("-j TOS --{option}-tos {tos}"));
            }
        }
    }

    fn classify(&mut self) {
        if matches!(self.chain, "FORWARD" | "OUTPUT" | "POSTROUTING") {
            let (major, minor) = (self.below(1 << 16), self.below(1 << 16));
            self.add(format!("-j CLASSIFY --set-class {major:x}:{minor:x}"));
        }
    }

    fn audit(&mut self) {
        let kind = self.pick(&["accept", "drop", "reject"]);
        self.add(format!("-j AUDIT --type {kind}"));
    }

    fn verdict(&mut self) {
        let mut verdicts = vec!["-j ACCEPT".to_owned(), "-j RETURN".to_owned()];
        // nat may not drop.
        if self.table != TableName::Nat {
            verdicts.push("-j DROP".to_owned());
        }
        verdicts.extend(self.context.chains.iter().map(|chain| format!("-j {chain}")));
        let verdict = verdicts.swap_remove(self.below(verdicts.len() as u64) as usize);
        self.add(verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_dice_give_the_same_rule_and_every_extension_comes() {
        let context = RuleContext { devices: vec!["eth0".to_owned()], chains: Vec::new() };
        let rules = |seed| -> Vec<String> {
            let mut dice = Dice::new(seed);
            let rule = |_| random_rule(&mut dice, TableName::Mangle, "FORWARD", &context);
            (0..500).map(rule).collect()
        };
        let all = rules(1).join("\n");
        assert_eq!(all, rules(1).join("\n"));
        for word in
            ["multiport", "--ctexpire", "--limit-iface-out", "TCPMSS", "CLASSIFY", "--set-dscp", "AUDIT"]
        {
            assert!(all.contains(word), "{word} never comes");
        }
    }
}
