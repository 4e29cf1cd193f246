//! Random rules that the real `iptables` accepts, for tests that compare with it: every option of the stateless
//! extensions, in chains where they are allowed.

use std::fmt::Write;

use glassnet_kernel::tables::xt::TableName;
use glassnet_sim::Dice;

use super::ext::{MATCHES, TARGETS};

/// Names that rules may use.
#[derive(Clone, Debug)]
pub struct RuleContext {
    /// Devices.
    pub devices: Vec<String>,
    /// Chains that a rule may jump to, by name.
    pub chains: Vec<String>,
}

/// A rule for `iptables-restore`: `-A CHAIN …` without the table. The same dice give the same rule.
pub fn random_rule(dice: &mut Dice, table: TableName, chain: &str, context: &RuleContext) -> String {
    let mut make = Maker { dice, table, chain, context, out: format!("-A {chain}") };
    make.rule();
    make.out
}

/// State of a random rule; [`super::ext::MatchExt::arbitrary`] appends to it.
pub struct Maker<'a> {
    pub(super) dice: &'a mut Dice,
    pub(super) table: TableName,
    pub(super) chain: &'a str,
    context: &'a RuleContext,
    pub(super) out: String,
}

impl Maker<'_> {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.dice.below(bound)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len() as u64) as usize]
    }

    pub(super) fn add(&mut self, text: impl std::fmt::Display) {
        let _ = write!(self.out, " {text}");
    }

    /// `!`, with probability 1/3.
    pub(super) fn not(&mut self) {
        if self.one_in(3) {
            self.add("!");
        }
    }

    /// A number below the bound, often small, in a random notation.
    pub(super) fn number(&mut self, bound: u64) -> String {
        let small = self.one_in(2);
        let value = self.below(if small { bound.min(100) } else { bound });
        match self.below(4) {
            0 => format!("0x{value:x}"),
            1 if value > 0 => format!("0{value:o}"),
            _ => value.to_string(),
        }
    }

    pub(super) fn mark(&mut self) -> String {
        let mark = self.number(1 << 32);
        if self.one_in(2) { mark } else { format!("{mark}/{}", self.number(1 << 32)) }
    }

    pub(super) fn addr(&mut self) -> String {
        std::net::Ipv4Addr::from_bits(self.below(1 << 32) as u32).to_string()
    }

    pub(super) fn range(&mut self, bound: u64) -> String {
        let (a, b) = (self.below(bound), self.below(bound));
        match self.below(5) {
            0 => format!("{a}:"),
            1 => format!(":{a}"),
            2 => a.to_string(),
            _ => format!("{}:{}", a.min(b), a.max(b)),
        }
    }

    /// Some of the words, at least one, joined by commas.
    pub(super) fn some(&mut self, words: &[&str]) -> String {
        let mut found: Vec<&str> = words.iter().copied().filter(|_| self.one_in(3)).collect();
        if found.is_empty() {
            found.push(self.pick(words));
        }
        found.join(",")
    }

    pub(super) fn text(&mut self, max: u64) -> String {
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
        let proto = self.pick(&["", "", "tcp", "udp", "icmp", "sctp", "udplite", "47", "esp", "ah"]);
        if !proto.is_empty() {
            self.add(format!("-p {proto}"));
        }
        if self.one_in(4) {
            self.not();
            // `! -s 0/0` is refused.
            let (addr, bits) = (self.addr(), 1 + self.below(32));
            self.add(format!("-s {addr}/{bits}"));
        }
        if self.one_in(4) && matches!(self.chain, "PREROUTING" | "INPUT" | "FORWARD") {
            self.not();
            let device = self.device();
            self.add(format!("-i {device}"));
        }
        let matches: Vec<fn(&mut Maker)> = MATCHES.iter().filter_map(|ext| ext.arbitrary).collect();
        let targets: Vec<fn(&mut Maker)> = TARGETS.iter().filter_map(|ext| ext.arbitrary).collect();
        for _ in 0..self.below(3) {
            let at = self.below(matches.len() as u64) as usize;
            matches[at](self);
        }
        let before = self.out.len();
        while self.out.len() == before {
            match targets.get(self.below(targets.len() as u64 + 1) as usize) {
                Some(target) => target(self),
                None => self.verdict(),
            }
        }
    }

    pub(super) fn is_proto(&self, protos: &[&str]) -> bool {
        protos.iter().any(|proto| self.out.contains(&format!(" -p {proto}")))
    }

    pub(super) fn device(&mut self) -> String {
        let devices: Vec<&str> = self.context.devices.iter().map(String::as_str).collect();
        let device = if devices.is_empty() { "eth0" } else { self.pick(&devices) };
        if self.one_in(3) {
            format!("{}+", device.trim_end_matches(char::is_numeric))
        } else {
            device.to_owned()
        }
    }

    fn verdict(&mut self) {
        let mut verdicts = vec!["-j ACCEPT".to_owned(), "-j RETURN".to_owned()];
        // DROP is not allowed in nat.
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
