//! What each function costs a CPU: a profile, which is a data file with sources (`profile/*.csv`).
//!
//! | column | is |
//! |---|---|
//! | `what` | a class of functions ([`Class`]); a function by its name in the kernel, which then counts apart from its class; or one of [`OTHERS`] |
//! | `ns` | nanoseconds of CPU time |
//! | `source` | where the number comes from |
//!
//! A later row counts for more than an earlier one.

use std::sync::LazyLock;

use glassnet_sim::Nanos;

use crate::class::Class;
use crate::door::Func;

/// The profiles that come with the model, by name; the first is that of a machine for which none is named.
pub static SHIPPED: &[(&str, &str)] = &[
    ("server", include_str!("../profile/server.csv")),
    ("xeon-e5-1650v4", include_str!("../profile/xeon-e5-1650v4.csv")),
    ("epyc-cloud", include_str!("../profile/epyc-cloud.csv")),
];

/// That of a machine for which none is named.
pub(crate) static DEFAULT: LazyLock<Profile> =
    LazyLock::new(|| Profile::parse(SHIPPED[0].1).expect("a test reads all of them"));

/// What costs time beside functions, by the names of its rows.
pub const OTHERS: [&str; 7] =
    ["legacy rule", "nft rule", "route doubling", "system call", "wake-up", "context switch", "copied KiB"];

/// Nanoseconds of CPU time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    functions: [Nanos; Func::ALL.len()],
    /// Each rule that `ipt_do_table` tries.
    pub legacy_rule: Nanos,
    /// Each rule that `nft_do_chain` tries.
    pub nft_rule: Nanos,
    /// Each doubling of a routing table beyond 1024 prefixes.
    pub route_doubling: Nanos,
    /// A program's call that sends or receives a message.
    pub system_call: Nanos,
    /// A program that sleeps is made ready to run, by whoever has something for it (`try_to_wake_up`).
    pub wake_up: Nanos,
    /// A program that was woken gets its CPU from another task or the idle one (`schedule`).
    pub context_switch: Nanos,
    /// 1024 bytes that are copied between a program and the kernel, or by a driver.
    pub copied_kib: Nanos,
}

/// Why a profile is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ProfileError {
    /// The line that is wrong, from 1; 0: something is missing.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// No row says what it costs.
const UNKNOWN: Nanos = Nanos(u64::MAX);
/// The first line.
const COLUMNS: &str = "what,ns,source";

impl Profile {
    /// What a function costs.
    #[inline(always)]
    pub fn of(&self, func: Func) -> Nanos {
        self.functions[func as usize]
    }

    /// One in which nothing costs anything.
    pub fn free() -> Profile {
        Profile::all(Nanos::ZERO)
    }

    fn all(cost: Nanos) -> Profile {
        Profile {
            functions: [cost; Func::ALL.len()],
            legacy_rule: cost,
            nft_rule: cost,
            route_doubling: cost,
            system_call: cost,
            wake_up: cost,
            context_switch: cost,
            copied_kib: cost,
        }
    }

    /// Reads a profile.
    ///
    /// # Errors
    ///
    /// If a row has no number or no source or is about nothing that there is, or if something has no row.
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        let mut profile = Profile::all(UNKNOWN);
        for (at, row) in text.lines().enumerate() {
            let wrong = |what: String| ProfileError { line: at + 1, what };
            if at == 0 {
                if row != COLUMNS {
                    return Err(wrong(format!("the first line is `{COLUMNS}`")));
                }
                continue;
            }
            let mut columns = row.splitn(3, ',').map(str::trim);
            let [what, ns, source] = [(); 3].map(|()| columns.next().unwrap_or_default());
            let ns = ns.parse().ok().filter(|ns| *ns <= MOST);
            let ns =
                ns.ok_or_else(|| wrong(format!("`{what}` has no number of nanoseconds up to {MOST}")))?;
            if source.is_empty() {
                return Err(wrong(format!("the number of `{what}` has no source")));
            }
            if !profile.set(what, Nanos(ns)) {
                return Err(wrong(format!("there is no function and no class `{what}`")));
            }
        }
        match profile.missing() {
            Some(what) => Err(ProfileError { line: 0, what: format!("`{what}` has no row") }),
            None => Ok(profile),
        }
    }

    /// What a row says. False: there is no such thing.
    pub fn set(&mut self, what: &str, cost: Nanos) -> bool {
        match OTHERS.iter().position(|other| *other == what) {
            Some(at) => *self.others_mut()[at] = cost,
            None => return self.set_functions(what, cost),
        }
        true
    }

    /// In the order of [`OTHERS`].
    fn others_mut(&mut self) -> [&mut Nanos; OTHERS.len()] {
        [
            &mut self.legacy_rule,
            &mut self.nft_rule,
            &mut self.route_doubling,
            &mut self.system_call,
            &mut self.wake_up,
            &mut self.context_switch,
            &mut self.copied_kib,
        ]
    }

    fn set_functions(&mut self, what: &str, cost: Nanos) -> bool {
        let class = Class::ALL.iter().find(|(_, name)| *name == what).map(|(class, _)| *class);
        let is_meant = |func: &&Func| match class {
            Some(class) => func.row().class == class,
            None => func.name() == what,
        };
        let meant: Vec<Func> = Func::ALL.iter().filter(is_meant).copied().collect();
        meant.iter().for_each(|func| self.functions[*func as usize] = cost);
        !meant.is_empty()
    }

    fn missing(&mut self) -> Option<&'static str> {
        let function = Func::ALL.iter().find(|func| self.of(**func) == UNKNOWN).map(|func| func.name());
        let other = || self.others_mut().iter().position(|cost| **cost == UNKNOWN).map(|at| OTHERS[at]);
        function.or_else(other)
    }
}

/// The highest number that means something: a second.
const MOST: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = SHIPPED[0].1;

    fn wrong(text: &str) -> (usize, String) {
        let error = Profile::parse(text).expect_err("it is none");
        (error.line, error.what)
    }

    #[test]
    fn the_shipped_ones_are_right() {
        for (name, text) in SHIPPED {
            assert!(Profile::parse(text).is_ok(), "{name}: {:?}", Profile::parse(text));
        }
    }

    #[test]
    fn a_function_counts_apart_from_its_class() {
        let profile = Profile::parse(&(SERVER.to_owned() + "veth_xmit,100,a guess\n")).expect("a profile");
        assert_eq!((profile.of(Func::VethXmit), profile.of(Func::LoopbackXmit)), (Nanos(100), Nanos(45)));
        assert_eq!((profile.legacy_rule, profile.nft_rule), (Nanos(4), Nanos(8)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let lines = SERVER.lines().count();
        for (row, what) in [
            ("veth_xmitt,100,a guess", "there is no function and no class `veth_xmitt`"),
            ("veth_xmit,100", "the number of `veth_xmit` has no source"),
            ("veth_xmit,100,", "the number of `veth_xmit` has no source"),
            ("veth_xmit,-1,a guess", "`veth_xmit` has no number of nanoseconds up to 1000000000"),
            ("veth_xmit,99999999999,a guess", "`veth_xmit` has no number of nanoseconds up to 1000000000"),
            ("veth_xmit,1 µs,a guess", "`veth_xmit` has no number of nanoseconds up to 1000000000"),
        ] {
            assert_eq!(wrong(&format!("{SERVER}{row}\n")), (lines + 1, what.to_owned()));
        }
        assert_eq!(wrong(""), (0, "`veth_xmit` has no row".to_owned()));
        assert_eq!(wrong("a,b\n"), (1, "the first line is `what,ns,source`".to_owned()));
        let without = SERVER.lines().filter(|row| !row.starts_with("copied")).collect::<Vec<_>>().join("\n");
        assert_eq!(wrong(&without), (0, "`copied KiB` has no row".to_owned()));
    }
}
