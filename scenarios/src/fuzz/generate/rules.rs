//! Random tables, chains and rules.

use super::Draw;

/// Where a rule stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The table.
    pub table: &'static str,
    /// The built-in chain by which packets come; empty for a chain that any of the table may call.
    pub chain: &'static str,
    /// The protocol that the rule asks for.
    pub proto: Option<&'static str>,
}

impl Place {
    /// Packets come by one of these chains only.
    pub fn is_in(&self, chains: &[&str]) -> bool {
        chains.contains(&self.chain)
    }

    pub fn is_proto(&self, protos: &[&str]) -> bool {
        self.proto.is_some_and(|proto| protos.contains(&proto))
    }
}

const TABLES: [(&str, &[&str]); 5] = [
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];

impl Draw {
    /// Text for `iptables-restore`: at least one table.
    pub(super) fn rules(&mut self) -> Vec<String> {
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

    fn table(&mut self, table: &'static str, chains: &[&'static str], lines: &mut Vec<String>) {
        lines.push(format!("*{table}"));
        for chain in chains {
            let policy = if self.one_in(40) && table != "nat" { "DROP" } else { "ACCEPT" };
            lines.push(format!(":{chain} {policy} [0:0]"));
        }
        // A chain of its own belongs to one built-in chain, or to all: then it gets only what every chain may have.
        let own: Vec<&str> = (0..self.pick(&[0, 0, 1, 2, 2, 3, 4]))
            .map(|_| if self.one_in(3) { "" } else { self.chain(chains) })
            .collect();
        lines.extend((0..own.len()).map(|at| format!(":own{at} - [0:0]")));
        for _ in 0..1 + self.below(6) {
            let chain = self.chain(chains);
            let rule = self.rule(Place { table, chain, proto: None }, &callable(&own, chain, 0));
            lines.push(format!("-A {chain} {rule}"));
        }
        for (at, chain) in own.iter().copied().enumerate() {
            for _ in 0..1 + self.below(3) {
                let rule = self.rule(Place { table, chain, proto: None }, &callable(&own, chain, at + 1));
                lines.push(format!("-A own{at} {rule}"));
            }
        }
        lines.push("COMMIT".to_owned());
    }

    /// One of a table's chains, more often one by which forwarded packets come: most are.
    fn chain(&mut self, chains: &[&'static str]) -> &'static str {
        let chain = self.pick(chains);
        if matches!(chain, "INPUT" | "OUTPUT") && self.one_in(2) { self.pick(chains) } else { chain }
    }

    fn rule(&mut self, place: Place, callable: &[usize]) -> String {
        let mut words = Vec::new();
        for option in ["-s", "-d"] {
            if self.one_in(5) {
                words.push(format!("{}{option} {}", self.not(), self.network()));
            }
        }
        if place.is_in(&["PREROUTING", "INPUT", "FORWARD"]) && self.one_in(4) {
            words.push(format!("{}-i {}", self.not(), self.device()));
        }
        if place.is_in(&["OUTPUT", "POSTROUTING", "FORWARD"]) && self.one_in(4) {
            words.push(format!("{}-o {}", self.not(), self.device()));
        }
        let (needed, target) = self.target(place, callable);
        let proto = match needed {
            Some(proto) => Some(proto),
            None if self.one_in(3) => Some(self.pick(&["tcp", "tcp", "udp", "icmp"])),
            None => None,
        };
        let place = Place { proto, ..place };
        match proto {
            Some(proto) => {
                words.push(format!("-p {proto}"));
                if self.one_in(2) {
                    words.push(self.protocol_match(proto));
                }
            }
            None if self.one_in(12) => words.push(self.pick(&["! -p tcp", "-p 47", "! -p icmp"]).to_owned()),
            None => {}
        }
        for _ in 0..self.pick(&[0, 0, 1, 1, 2]) {
            words.push(self.extension(place));
        }
        words.push(target);
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }
}

/// Own chains from `first` on that a rule may call whose packets come by `chain`. Only later ones: no loops.
fn callable(own: &[&str], chain: &str, first: usize) -> Vec<usize> {
    (first..own.len()).filter(|at| own[*at].is_empty() || own[*at] == chain).collect()
}
