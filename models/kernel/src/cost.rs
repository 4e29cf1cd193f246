//! What each function costs a CPU, from a data file with sources (`profile/server.csv`).
//!
//! | column | is |
//! |---|---|
//! | `what` | a class of functions ([`Class`]); a function by its name in the kernel, which then counts apart from its class; `legacy rule` or `nft rule` |
//! | `ns` | nanoseconds of CPU time |
//! | `source` | where the number comes from |
//!
//! A later row counts for more than an earlier one.

use glassnet_sim::Nanos;

use crate::door::{Class, Func};

/// What this model's CPUs need.
pub static PROFILE: Profile = Profile::parse(include_str!("../profile/server.csv"));

/// Nanoseconds of CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    functions: [Nanos; Func::ALL.len()],
    /// Each rule that `ipt_do_table` tries.
    pub legacy_rule: Nanos,
    /// Each rule that `nft_do_chain` tries.
    pub nft_rule: Nanos,
}

/// No row says what it costs.
const UNKNOWN: Nanos = Nanos(u64::MAX);

impl Profile {
    /// What a function costs.
    #[inline(always)]
    pub const fn of(&self, func: Func) -> Nanos {
        self.functions[func as usize]
    }

    /// Reads a profile.
    ///
    /// # Panics
    ///
    /// If a row has no number or no source or is about nothing that there is, or if something has no row. The profile
    /// of this model is read when the model is compiled.
    pub const fn parse(text: &str) -> Profile {
        let mut profile =
            Profile { functions: [UNKNOWN; Func::ALL.len()], legacy_rule: UNKNOWN, nft_rule: UNKNOWN };
        let (_, mut rest) = cut(text.as_bytes(), b'\n');
        while !rest.is_empty() {
            let (row, behind) = cut(rest, b'\n');
            let (what, columns) = cut(row, b',');
            let (ns, source) = cut(columns, b',');
            assert!(!source.is_empty(), "a row of the profile has no source");
            profile.set(what, Nanos(number(ns)));
            rest = behind;
        }
        let mut at = 0;
        while at < Func::ALL.len() {
            assert!(profile.functions[at].0 != UNKNOWN.0, "a function has no cost");
            at += 1;
        }
        assert!(profile.legacy_rule.0 != UNKNOWN.0 && profile.nft_rule.0 != UNKNOWN.0, "a rule has no cost");
        profile
    }

    const fn set(&mut self, what: &[u8], cost: Nanos) {
        let mut known = true;
        if is(what, "legacy rule") {
            self.legacy_rule = cost;
        } else if is(what, "nft rule") {
            self.nft_rule = cost;
        } else {
            known = self.set_functions(what, cost);
        }
        assert!(known, "a row of the profile is about nothing that there is");
    }

    /// False: there is no such function and no such class.
    const fn set_functions(&mut self, what: &[u8], cost: Nanos) -> bool {
        let class = class(what);
        let (mut known, mut at) = (false, 0);
        while at < Func::ALL.len() {
            let row = Func::ALL[at].row();
            let is_meant = match class {
                Some(class) => class as u8 == row.class as u8,
                None => is(what, row.name),
            };
            if is_meant {
                self.functions[at] = cost;
                known = true;
            }
            at += 1;
        }
        known
    }
}

const fn class(name: &[u8]) -> Option<Class> {
    let mut at = 0;
    while at < Class::ALL.len() {
        if is(name, Class::ALL[at].1) {
            return Some(Class::ALL[at].0);
        }
        at += 1;
    }
    None
}

/// What stands before the first `at`, and what behind it.
const fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let mut len = 0;
    while len < text.len() && text[len] != at {
        len += 1;
    }
    let (before, rest) = text.split_at(len);
    (before, if rest.is_empty() { rest } else { rest.split_at(1).1 })
}

const fn is(text: &[u8], word: &str) -> bool {
    let word = word.as_bytes();
    let mut at = 0;
    while at < text.len() && at < word.len() && text[at] == word[at] {
        at += 1;
    }
    at == text.len() && at == word.len()
}

const fn number(text: &[u8]) -> u64 {
    assert!(!text.is_empty(), "a row of the profile has no number");
    let (mut number, mut at) = (0, 0);
    while at < text.len() {
        assert!(text[at].is_ascii_digit(), "a row of the profile has no number");
        number = 10 * number + (text[at] - b'0') as u64;
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_counts_apart_from_its_class() {
        let text = include_str!("../profile/server.csv").to_owned() + "veth_xmit,100,a guess\n";
        let profile = Profile::parse(&text);
        assert_eq!((profile.of(Func::VethXmit), profile.of(Func::LoopbackXmit)), (Nanos(100), Nanos(45)));
        assert_eq!((profile.legacy_rule, profile.nft_rule), (Nanos(4), Nanos(8)));
    }

    #[test]
    #[should_panic(expected = "about nothing that there is")]
    fn an_unknown_name_is_an_error() {
        Profile::parse("what,ns,source\nveth_xmitt,100,a guess\n");
    }

    #[test]
    #[should_panic(expected = "has no source")]
    fn a_number_needs_a_source() {
        Profile::parse("what,ns,source\nveth_xmit,100\n");
    }

    #[test]
    #[should_panic(expected = "a function has no cost")]
    fn every_function_needs_a_cost() {
        Profile::parse("what,ns,source\npath,45,a guess\n");
    }
}
