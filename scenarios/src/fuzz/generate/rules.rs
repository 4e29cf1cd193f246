//! Random tables, chains and rules.

use glassnet_userland::iptables::draw::{Draw, DrawnTarget, Place};
use glassnet_userland::iptables::ext::{
    MATCHES, MatchExt, TARGETS, ah, esp, icmp, multiport, sctp, tcp, udp,
};

use super::CaseDraw;

const TABLES: [(&str, &[&str]); 5] = [
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];

impl CaseDraw {
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
        // A user-defined chain is called by one built-in chain, or by all; then its rules may only have what is
        // allowed in all.
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

    /// A chain of the table, preferably one of forwarded packets.
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
        if place.comes_in() && self.one_in(4) {
            words.push(format!("{}-i {}", self.not(), self.device()));
        }
        if place.leaves() && self.one_in(4) {
            words.push(format!("{}-o {}", self.not(), self.device()));
        }
        let target = self.target(place, callable);
        let proto = match target.proto {
            Some(proto) => Some(proto),
            None if self.one_in(3) => Some(
                self.pick(&["tcp", "tcp", "tcp", "udp", "udp", "icmp", "icmp", "sctp", "sctp", "esp", "ah"]),
            ),
            None => None,
        };
        let place = Place { proto, ..place };
        match proto {
            Some(proto) => {
                words.push(format!("-p {proto}"));
                if self.one_in(2) {
                    words.push(self.protocol_match(place));
                }
            }
            None if self.one_in(12) => words.push(self.pick(&["! -p tcp", "-p 47", "! -p icmp"]).to_owned()),
            None => {}
        }
        for _ in 0..self.pick(&[0, 0, 1, 1, 2]) {
            words.push(self.extension(place));
        }
        words.push(target.words);
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }

    /// The match of the protocol.
    fn protocol_match(&mut self, place: Place) -> String {
        let ext: &MatchExt = match place.proto {
            Some("icmp") => &icmp::EXT,
            Some("esp") => &esp::EXT,
            Some("ah") => &ah::EXT,
            _ if self.one_in(4) => &multiport::EXT,
            Some("tcp") => &tcp::EXT,
            Some("sctp") => &sctp::EXT,
            _ => &udp::EXT,
        };
        (ext.drawn.1)(self, place)
    }

    /// A match that is allowed there; sometimes none.
    fn extension(&mut self, place: Place) -> String {
        let rows = MATCHES.iter().map(|ext| ext.drawn);
        self.weighted(rows, |make, draw| Some(make(draw, place)).filter(|words| !words.is_empty()))
            .unwrap_or_default()
    }

    /// A target that is allowed there; `callable` are the user-defined chains that it may call.
    fn target(&mut self, place: Place, callable: &[usize]) -> DrawnTarget {
        if !callable.is_empty() && self.one_in(3) {
            let own = self.pick(callable);
            return DrawnTarget::plain(format!("{} own{own}", self.pick(&["-j", "-j", "-g"])));
        }
        // How many of eight targets are extensions.
        let extensions = match place.table {
            "nat" => 6,
            "raw" | "mangle" => 5,
            "filter" => 3,
            _ => 1,
        };
        if self.below(8) < extensions {
            let rows = TARGETS.iter().map(|ext| ext.drawn);
            let found =
                self.weighted(rows, |make, draw| Some(make(draw, place)).filter(|it| !it.words.is_empty()));
            if let Some(target) = found {
                return target;
            }
        }
        let verdicts: &[&str] = match place.table {
            "nat" => &["", "ACCEPT", "RETURN"],
            "filter" => &["", "DROP", "DROP", "ACCEPT", "ACCEPT", "RETURN", "RETURN"],
            _ => &["", "ACCEPT", "ACCEPT", "ACCEPT", "DROP", "RETURN", "RETURN"],
        };
        match self.pick(verdicts) {
            "" => DrawnTarget::NONE,
            verdict => DrawnTarget::plain(format!("-j {verdict}")),
        }
    }

    /// The result of a row drawn by weight; up to four are tried.
    fn weighted<F: Copy, R>(
        &mut self,
        rows: impl Iterator<Item = (usize, F)> + Clone,
        make: impl Fn(F, &mut Draw) -> Option<R>,
    ) -> Option<R> {
        let all: usize = rows.clone().map(|(weight, _)| weight).sum();
        for _ in 0..4 {
            let mut at = self.below(all);
            for (weight, row) in rows.clone() {
                if at < weight {
                    if let Some(made) = make(row, self) {
                        return Some(made);
                    }
                    break;
                }
                at -= weight;
            }
        }
        None
    }
}

/// User-defined chains, from `first` on, that a rule may call whose packets come from `chain`. Only later ones: no
/// loops.
fn callable(own: &[&str], chain: &str, first: usize) -> Vec<usize> {
    (first..own.len()).filter(|at| own[*at].is_empty() || own[*at] == chain).collect()
}
