//! Traversal of a table: chains and rules, in the format of the kernel's TRACE.

use glassnet_cluster::kube_proxy::explain::Explained;
use glassnet_kernel::note::{AtRule, Outcome, Part, RuleNote};
use glassnet_kernel::tables::xt::{Chain, Rule, Table, Variant};
use glassnet_kernel::trace::Headers;

use super::literal;
use super::reason::{Seen, why_not};

/// Result of a rule, or of the end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The rule does not match.
    NoMatch {
        /// The option or match that does not match.
        part: Part,
        /// Expected and actual value, if known.
        why: Option<String>,
    },
    /// The rule matches.
    Match {
        /// Its verdict.
        verdict: Outcome,
    },
    /// A match found the packet malformed.
    Broken {
        /// The match.
        part: Part,
    },
    /// The end of a user-defined chain: returns to the calling chain.
    Return,
    /// The policy of a built-in chain.
    Policy {
        /// Accept or drop.
        verdict: Outcome,
    },
}

/// An evaluated rule, or the end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The chain.
    pub chain: String,
    /// The rule's number from 1; at the end of a chain, the number of its rules plus one.
    pub number: usize,
    /// The rule as `iptables-save` prints it; empty at the end of a chain.
    pub rule: String,
    /// Result.
    pub fate: Fate,
    /// What of a cluster stands behind a rule that matched.
    pub object: Option<Explained>,
}

/// Traversal of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The table.
    pub table: &'static str,
    /// Variant.
    pub variant: Variant,
    /// Evaluated rules, in order.
    pub tried: Vec<Tried>,
}

impl Met {
    /// Reads the notes of a packet's traversal of `table`. `headers` are the packet's.
    pub fn new<'n>(
        table: &Table,
        variant: Variant,
        notes: impl Iterator<Item = &'n RuleNote>,
        headers: Option<&Headers>,
        seen: &Seen,
    ) -> Met {
        let tried = notes.filter_map(|note| tried(table, note, headers, seen)).collect();
        Met { table: table.name.name(), variant, tried }
    }

    /// The deciding rule or policy, if any: the last one evaluated.
    pub fn decided(&self) -> Option<&Tried> {
        self.tried.last().filter(|tried| match &tried.fate {
            Fate::Match { .. } | Fate::Broken { .. } | Fate::Policy { .. } => true,
            Fate::NoMatch { .. } | Fate::Return => false,
        })
    }

    /// The rules that matched.
    pub fn matched(&self) -> impl Iterator<Item = &Tried> {
        self.tried.iter().filter(|tried| matches!(tried.fate, Fate::Match { .. }))
    }

    /// The dropping rule, in a few words, if this table dropped the packet.
    pub fn dropped(&self) -> Option<String> {
        let last = self.decided()?;
        let name = format!("{} {}", self.table, last.chain);
        match &last.fate {
            Fate::Match { verdict: Outcome::Drop } => {
                let object = last.object.as_ref().map_or(String::new(), |object| format!(" ({object})"));
                Some(format!("{name} rule {}{object}", last.number))
            }
            Fate::Broken { part } => {
                Some(format!("{name} rule {}, whose {part} found it broken", last.number))
            }
            Fate::Policy { verdict: Outcome::Drop } => Some(format!("the policy of {name}")),
            _ => None,
        }
    }

    /// Evaluated rules, with long runs of mismatches in a chain folded, unless `all`.
    pub fn folded(&self, all: bool) -> Vec<Shown<'_>> {
        let mut shown = Vec::new();
        let mut rest = &self.tried[..];
        while let Some(first) = rest.first() {
            let in_run =
                |tried: &&Tried| matches!(tried.fate, Fate::NoMatch { .. }) && tried.chain == first.chain;
            let run = rest.iter().take_while(in_run).count();
            let taken = match run > FOLD && !all {
                true => {
                    shown.push(Shown::Run {
                        chain: &first.chain,
                        from: first.number,
                        to: rest[run - 1].number,
                    });
                    run
                }
                false => {
                    let taken = run.max(1);
                    shown.extend(rest[..taken].iter().map(Shown::Tried));
                    taken
                }
            };
            rest = &rest[taken..];
        }
        shown
    }

    /// A line in the format of the kernel's TRACE: `filter:FORWARD:rule:3`, the rule, and its result.
    pub fn line(&self, shown: &Shown) -> String {
        let tried = match shown {
            Shown::Run { chain, from, to } => {
                return format!("{}:{chain}:rules {from}-{to}: no match", self.table);
            }
            Shown::Tried(tried) => tried,
        };
        self.line_of(tried)
    }

    /// The line of one rule, or of the end of a chain.
    pub fn line_of(&self, tried: &Tried) -> String {
        let name = format!("{}:{}", self.table, tried.chain);
        let rule = format!("{name}:rule:{} {}", tried.number, tried.rule);
        match &tried.fate {
            Fate::NoMatch { why: Some(why), .. } => format!("{rule} (no match: {why})"),
            Fate::NoMatch { part, why: None } => format!("{rule} (no match: {part})"),
            Fate::Match { verdict } => format!("{rule} (verdict {verdict})"),
            Fate::Broken { part } => format!("{rule} (verdict drop: {part} found the packet broken)"),
            Fate::Return => format!("{name}:return:{}", tried.number),
            Fate::Policy { verdict } => format!("{name}:policy:{} (policy {verdict})", tried.number),
        }
    }
}

/// Longer runs are folded.
const FOLD: usize = 5;

/// A line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// One rule, or the end of a chain.
    Tried(&'a Tried),
    /// A run of rules that did not match.
    Run {
        /// The chain.
        chain: &'a str,
        /// The first.
        from: usize,
        /// The last.
        to: usize,
    },
}

/// Reads a note of the kernel.
fn tried(table: &Table, note: &RuleNote, headers: Option<&Headers>, seen: &Seen) -> Option<Tried> {
    if note.table != table.name {
        return None;
    }
    let chain = table.chain(&note.chain);
    let end = chain.map_or(0, |chain| chain.rules.len()) + 1;
    let (number, fate) = match &note.what {
        AtRule::NoMatch { rule: number, part } => {
            let why = rule(chain, *number).and_then(|rule| why_not(rule, *part, headers, seen));
            (*number, Fate::NoMatch { part: *part, why })
        }
        AtRule::Match { rule, outcome } => (*rule, Fate::Match { verdict: outcome.clone() }),
        AtRule::Broken { rule, part } => (*rule, Fate::Broken { part: *part }),
        AtRule::Return => (end, Fate::Return),
        AtRule::Policy(outcome) => (end, Fate::Policy { verdict: outcome.clone() }),
    };
    let text = match fate {
        Fate::Return | Fate::Policy { .. } => String::new(),
        _ => rule(chain, number).map_or(String::new(), |rule| literal::rule(&note.chain, rule)),
    };
    Some(Tried { chain: note.chain.clone(), number, rule: text, fate, object: None })
}

fn rule(chain: Option<&Chain>, number: usize) -> Option<&Rule> {
    chain?.rules.get(number.checked_sub(1)?)
}
