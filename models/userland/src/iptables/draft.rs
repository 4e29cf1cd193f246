//! A table while commands change it; it is given to the kernel as a whole.

use std::collections::HashMap;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::xt::{Action, Base, Chain, Counters, Policy, Rule, Table, TableName, Variant};

use super::batch::Batch;
use super::fail::{Done, Fail, Refusal, parameter};
use super::native;
use super::show;
use super::spec::is_standard;

/// A change that does not affect the rest of the table.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Replaced rules.
    Splice {
        /// The chain.
        chain: String,
        /// Index of the first rule.
        at: usize,
        /// Number of removed rules.
        remove: usize,
        /// Number of added rules.
        add: usize,
    },
    /// Zeroed counters.
    Zero {
        /// Of this chain.
        chain: String,
        /// Index of one rule.
        rule: Option<usize>,
    },
}

/// A table being changed.
#[derive(Clone)]
pub struct Draft {
    /// Variant.
    pub variant: Variant,
    /// The chains and rules.
    pub table: Table,
    /// The table exists, or was changed (nft creates it only then).
    pub exists: bool,
    /// Index of each chain in the table.
    index: HashMap<String, usize>,
    /// Number of rules that jump to each user-defined chain.
    references: Vec<usize>,
    /// Chains created since the last commit, which nft cannot rename.
    fresh: Vec<String>,
    /// New names of chains, by old name. Of nft they come into force with the commit; until then the old names count.
    renamed: Vec<(String, String)>,
    /// Of nft: which rules of each chain are new, and which of them a later one was put before.
    batch: Batch,
    /// Built-in chains whose policy counters were set.
    counted: Vec<String>,
    /// Refusals of the kernel.
    refused: Vec<Refusal>,
    /// Line of the current command.
    pub line: usize,
    /// Changes so far; `None` if one of them was more than an [`Edit`].
    edits: Option<Vec<Edit>>,
}

/// Maximum number of edits that are made one by one.
const EDITS: usize = 64;

/// Message of the tools.
pub const NO_CHAIN: &str = "No chain/target/match by that name";
const EXISTS: &str = "Chain already exists";
const BAD_RULE: &str = "Bad rule (does a matching rule exist in that chain?)";

fn refused<T>(text: &'static str) -> Done<T> {
    Err(Fail::Refused(text))
}

/// The chain that a rule jumps to.
fn goal(action: &Action) -> Option<&str> {
    match action {
        Action::Jump(chain) | Action::Goto(chain) => Some(chain),
        _ => None,
    }
}

/// Index of a built-in chain in its table.
fn hook_rank(table: TableName, name: &str) -> Option<usize> {
    table.hooks().iter().position(|hook| hook.chain() == name)
}

impl Draft {
    /// A draft of a table of the kernel, or of a new one.
    pub fn new(variant: Variant, name: TableName, table: Option<Table>) -> Draft {
        let exists = table.is_some();
        let table = table.unwrap_or(match variant {
            Variant::Nft => Table { name, chains: Vec::new() },
            Variant::Legacy => Table::initial(name),
        });
        let mut draft = Draft {
            variant,
            table,
            exists,
            index: HashMap::new(),
            references: Vec::new(),
            fresh: Vec::new(),
            renamed: Vec::new(),
            batch: Batch::default(),
            counted: Vec::new(),
            refused: Vec::new(),
            line: 0,
            edits: Some(Vec::new()),
        };
        draft.reindex();
        draft
    }

    fn edit(&mut self, edit: Edit) {
        if let Some(edits) = &mut self.edits {
            edits.push(edit);
        }
    }

    /// Records replaced rules.
    fn spliced(&mut self, chain: &str, at: usize, remove: usize, add: usize) {
        // A dump appends thousands of rules; only short changes are made one by one.
        if self.edits.as_ref().is_some_and(|edits| edits.len() < EDITS) {
            self.edit(Edit::Splice { chain: chain.to_owned(), at, remove, add });
        } else {
            self.edits = None;
        }
    }

    /// The changes, if all are edits.
    pub fn edits(&self) -> Option<&[Edit]> {
        self.edits.as_deref()
    }

    fn reindex(&mut self) {
        self.index =
            self.table.chains.iter().enumerate().map(|(at, chain)| (chain.name.clone(), at)).collect();
        self.references = vec![0; self.table.chains.len()];
        for chain in &self.table.chains {
            for at in chain.rules.iter().filter_map(|rule| self.index.get(goal(&rule.action)?)) {
                self.references[*at] += 1;
            }
        }
    }

    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.index.get(name).map(|at| &self.table.chains[*at])
    }

    fn place(&self, name: &str) -> Done<usize> {
        self.index.get(name).copied().ok_or(Fail::Refused(NO_CHAIN))
    }

    /// The name is that of a built-in chain of this table, even if it does not exist.
    pub fn is_builtin(&self, name: &str) -> bool {
        hook_rank(self.table.name, name).is_some()
    }

    /// Number of rules that jump to a chain.
    pub fn references(&self, name: &str) -> usize {
        self.index.get(name).map_or(0, |at| self.references[*at])
    }

    /// All chains in the order of listings: built-in ones, also those that nft did not create, then the others by
    /// name.
    pub fn listed(&self) -> Vec<std::borrow::Cow<'_, Chain>> {
        use std::borrow::Cow;
        let builtin = |name: &str| match self.chain(name) {
            Some(chain) => Cow::Borrowed(chain),
            None => {
                let chains = Table::initial(self.table.name).chains;
                let chain = chains.into_iter().find(|chain| chain.name == name);
                Cow::Owned(chain.unwrap_or(Chain { name: name.to_owned(), base: None, rules: Vec::new() }))
            }
        };
        let mut all: Vec<Cow<Chain>> =
            self.table.name.hooks().iter().map(|hook| builtin(hook.chain())).collect();
        all.extend(self.user_chains().into_iter().map(Cow::Borrowed));
        all
    }

    /// User-defined chains by name.
    pub fn user_chains(&self) -> Vec<&Chain> {
        let mut chains: Vec<&Chain> = self.table.chains.iter().filter(|chain| chain.base.is_none()).collect();
        chains.sort_by(|a, b| a.name.cmp(&b.name));
        chains
    }

    /// Index of a chain; nft creates a missing built-in chain.
    fn chain_to_fill(&mut self, name: &str) -> Done<usize> {
        match (self.place(name), hook_rank(self.table.name, name)) {
            (Err(_), Some(_)) => Ok(self.make_builtin(name)),
            (found, _) => found,
        }
    }

    fn make_builtin(&mut self, name: &str) -> usize {
        let rank = hook_rank(self.table.name, name).unwrap_or(0);
        let before = |chain: &Chain| {
            chain.base.is_some() && hook_rank(self.table.name, &chain.name).is_some_and(|other| other < rank)
        };
        let at = self.table.chains.iter().filter(|chain| before(chain)).count();
        let hook = self.table.name.hooks()[rank];
        let counted = self.variant == Variant::Legacy;
        let base = Base { hook, policy: Policy::Accept, counters: Counters::default(), counted };
        self.table.chains.insert(at, Chain { name: name.to_owned(), base: Some(base), rules: Vec::new() });
        self.exists = true;
        self.edits = None;
        self.reindex();
        at
    }

    /// Checks whether the kernel accepts a rule; `what` is nft's name for the operation.
    fn check(&mut self, what: &'static str, chain: &str, rule: &Rule) -> Done {
        let mut errno = native::refused(self.variant, rule);
        if let Some(goal) = goal(&rule.action) {
            let to = self.chain(goal);
            match (self.variant, to.map(|chain| chain.base.is_some())) {
                (_, Some(false)) => {}
                (Variant::Nft, Some(true)) => errno = Some(Errno::EOPNOTSUPP),
                // The rule's own chain is made before the rule.
                (Variant::Nft, None) if goal == chain => errno = Some(Errno::EOPNOTSUPP),
                (Variant::Nft, None) if self.is_builtin(goal) => errno = Some(Errno::ENOENT),
                (Variant::Nft, None) => {
                    return Err(parameter(format!("Chain '{goal}' does not exist")));
                }
                (Variant::Legacy, Some(true)) => {
                    // The tool's own check.
                    return Err(Fail::Kernel(what, Errno::EINVAL, String::new()));
                }
                (Variant::Legacy, None) => return Err(legacy_no_target(&rule.action)),
            }
        }
        if let Some(errno) = errno {
            self.refuse(what, errno, format!("rule in chain {chain}"));
        }
        Ok(())
    }

    fn refuse(&mut self, what: &'static str, errno: Errno, object: String) {
        self.refused.push(Refusal { line: self.line, what, errno, object });
    }

    /// The refusals of the kernel that the checks here found.
    pub fn take_refused(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refused)
    }

    fn count(&mut self, action: &Action, add: bool) {
        if let Some(at) = goal(action).and_then(|name| self.index.get(name)) {
            let count = &mut self.references[*at];
            *count = if add { *count + 1 } else { count.saturating_sub(1) };
        }
    }

    /// Checks that the rule's target exists, before its chain is looked up.
    ///
    /// # Errors
    ///
    /// The real tool's error for a missing target.
    pub fn check_goal(&self, rule: &Rule) -> Done {
        let Some(goal) = goal(&rule.action) else { return Ok(()) };
        match (self.variant, self.index.contains_key(goal) || self.is_builtin(goal)) {
            (_, true) => Ok(()),
            (Variant::Nft, false) => Err(parameter(format!("Chain '{goal}' does not exist"))),
            (Variant::Legacy, false) => Err(legacy_no_target(&rule.action)),
        }
    }

    /// `-A`.
    ///
    /// # Errors
    ///
    /// There is no such chain, or the target is no chain to jump to.
    pub fn append(&mut self, chain: &str, rule: Rule) -> Done {
        self.check("RULE_APPEND", chain, &rule)?;
        let at = self.chain_to_fill(chain)?;
        self.count(&rule.action, true);
        let rules = &mut self.table.chains[at].rules;
        rules.push(rule);
        let last = rules.len() - 1;
        self.batch.added(chain, last);
        self.spliced(chain, last, 0, 1);
        Ok(())
    }

    /// `-I`; `at` counts from 1.
    ///
    /// # Errors
    ///
    /// As [`Draft::append`], or a place behind the end of the chain.
    pub fn insert(&mut self, chain: &str, at: usize, rule: Rule) -> Done {
        self.check("RULE_INSERT", chain, &rule)?;
        let place = self.chain_to_fill(chain)?;
        if at > self.table.chains[place].rules.len() + 1 {
            return refused("Index of insertion too big");
        }
        self.count(&rule.action, true);
        self.table.chains[place].rules.insert(at - 1, rule);
        // The first place needs no rule to refer to, the last is that of an appended one.
        let refers = at > 1 && at < self.table.chains[place].rules.len();
        self.batch.inserted(chain, at - 1, refers.then_some(self.line));
        self.spliced(chain, at - 1, 0, 1);
        Ok(())
    }

    /// `-R`; `at` counts from 1.
    ///
    /// # Errors
    ///
    /// As [`Draft::append`], or there is no such rule.
    pub fn replace(&mut self, chain: &str, at: usize, rule: Rule) -> Done {
        self.check("RULE_REPLACE", chain, &rule)?;
        let place = self.place(chain)?;
        let too_big = Fail::Refused("Index of replacement too big");
        let old = self.table.chains[place].rules.get_mut(at - 1).ok_or(too_big)?;
        let added = rule.action.clone();
        let old = std::mem::replace(old, rule);
        self.count(&old.action, false);
        self.count(&added, true);
        self.spliced(chain, at - 1, 1, 1);
        Ok(())
    }

    /// `-D CHAIN N`.
    ///
    /// # Errors
    ///
    /// There is no such chain, or no rule at this place.
    pub fn delete_at(&mut self, chain: &str, at: usize) -> Done {
        let place = self.place(chain)?;
        if at > self.table.chains[place].rules.len() {
            return refused("Index of deletion too big");
        }
        self.remove(chain, place, at - 1);
        Ok(())
    }

    /// Index of an equal rule.
    fn find(&self, chain: &str, rule: &Rule) -> Done<(usize, usize)> {
        // The legacy tool returns the error number of its search for the target's extension.
        let is_extension = matches!(rule.action, Action::Target(_));
        let none = match self.variant {
            Variant::Legacy if is_extension => NO_CHAIN,
            _ => BAD_RULE,
        };
        let place = self.place(chain).map_err(|_| Fail::Refused(none))?;
        // The legacy tool compares `-i +` equal to no interface; nft compares the printed rules.
        let words = |rule: &Rule| show::words(rule, self.variant == Variant::Nft);
        let ends = |rule: &Rule| (rule.ip.src, rule.ip.dst, rule.ip.proto, rule.matches.len());
        let rule = native::shown(self.variant, rule);
        let wanted = words(&rule);
        let is_same = |other: &Rule| {
            let other = native::shown(self.variant, other);
            ends(&other) == ends(&rule) && words(&other) == wanted
        };
        match self.table.chains[place].rules.iter().position(is_same) {
            Some(at) => Ok((place, at)),
            None => refused(none),
        }
    }

    /// `-C`.
    ///
    /// # Errors
    ///
    /// There is no such chain, or no such rule in it.
    pub fn contains(&self, chain: &str, rule: &Rule) -> Done {
        self.find(chain, rule).map(|_| ())
    }

    /// `-D CHAIN RULE`.
    ///
    /// # Errors
    ///
    /// As [`Draft::contains`].
    pub fn delete(&mut self, chain: &str, rule: &Rule) -> Done {
        let (place, at) = self.find(chain, rule)?;
        self.remove(chain, place, at);
        Ok(())
    }

    fn remove(&mut self, chain: &str, place: usize, at: usize) {
        let old = self.table.chains[place].rules.remove(at);
        self.count(&old.action, false);
        let orphan = self.batch.removed(chain, at).filter(|_| self.variant == Variant::Nft);
        if let Some(line) = orphan {
            // The rule before which another was put is not sent at all.
            let object = format!("rule in chain {chain}");
            self.refused.push(Refusal { line, what: "RULE_INSERT", errno: Errno::ENOENT, object });
        }
        self.spliced(chain, at, 1, 0);
    }

    /// `-N`.
    ///
    /// # Errors
    ///
    /// There is a chain of this name.
    pub fn new_chain(&mut self, name: &str) -> Done {
        if self.index.contains_key(name) || self.is_builtin(name) {
            return refused(EXISTS);
        }
        self.index.insert(name.to_owned(), self.table.chains.len());
        self.references.push(0);
        self.table.chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new() });
        self.fresh.push(name.to_owned());
        self.exists = true;
        self.edits = None;
        Ok(())
    }

    /// `-F CHAIN`.
    ///
    /// # Errors
    ///
    /// There is no such chain.
    pub fn flush(&mut self, name: &str) -> Done {
        let place = self.chain_to_fill(name)?;
        let old = std::mem::take(&mut self.table.chains[place].rules);
        self.batch.flushed(name);
        self.spliced(name, 0, old.len(), 0);
        old.iter().for_each(|rule| self.count(&rule.action, false));
        Ok(())
    }

    /// `-Z CHAIN`.
    ///
    /// # Errors
    ///
    /// There is no such chain.
    pub fn zero(&mut self, name: &str) -> Done {
        let place = self.place(name)?;
        let chain = &mut self.table.chains[place];
        chain.rules.iter_mut().for_each(|rule| rule.counters = Counters::default());
        if let Some(base) = &mut chain.base {
            base.counters = Counters::default();
            if !std::mem::replace(&mut base.counted, true) {
                self.edits = None;
            }
        }
        self.edit(Edit::Zero { chain: name.to_owned(), rule: None });
        Ok(())
    }

    /// `-Z CHAIN N`.
    ///
    /// # Errors
    ///
    /// There is no such chain or, with the legacy tool, no such rule.
    pub fn zero_at(&mut self, name: &str, at: usize) -> Done {
        let place = match self.place(name) {
            Err(_) if self.is_builtin(name) => None,
            found => Some(found?),
        };
        let rule = place.and_then(|place| self.table.chains[place].rules.get_mut(at - 1));
        match (rule, self.variant) {
            (Some(rule), _) => {
                rule.counters = Counters::default();
                self.edit(Edit::Zero { chain: name.to_owned(), rule: Some(at - 1) });
            }
            (None, Variant::Nft) if place.is_some() => {}
            (None, Variant::Nft) => return refused(BAD_RULE),
            (None, Variant::Legacy) => return refused("Index of counter too big"),
        }
        Ok(())
    }

    /// `-P`; with `counters` they are set as well.
    ///
    /// # Errors
    ///
    /// The chain is not built in, or the policy is neither `ACCEPT` nor `DROP`.
    pub fn policy(&mut self, name: &str, policy: &str, counters: Option<Counters>) -> Done {
        if !self.is_builtin(name) {
            return refused("Bad built-in chain name");
        }
        let policy = match policy {
            "ACCEPT" => Policy::Accept,
            "DROP" => Policy::Drop,
            _ => return Err(Fail::Invalid("Bad policy name")),
        };
        let place = self.chain_to_fill(name)?;
        self.counted.push(name.to_owned());
        self.edits = None;
        if let Some(base) = &mut self.table.chains[place].base {
            base.policy = policy;
            base.counters = counters.unwrap_or_default();
            base.counted = true;
        }
        Ok(())
    }

    /// `-E`.
    ///
    /// # Errors
    ///
    /// The new name is taken or too long, the chain is built in, or there is none.
    pub fn rename(&mut self, old: &str, new: &str) -> Done {
        let legacy = self.variant == Variant::Legacy;
        if self.index.contains_key(new) || self.is_builtin(new) || legacy && is_standard(new) {
            return refused("File exists");
        }
        self.place(old)?;
        if self.is_builtin(old) {
            return match self.variant {
                Variant::Legacy => refused(NO_CHAIN),
                Variant::Nft => Err(Fail::NotModelled(format!("-E {old}"))),
            };
        }
        // The legacy tool accepts 31 bytes, the kernel 29.
        let new = match legacy {
            true if new.len() > 31 => return Err(Fail::Invalid("Invalid argument")),
            true => &new[..new.floor_char_boundary(29)],
            false => new,
        };
        if self.variant == Variant::Nft && self.fresh.iter().any(|fresh| fresh == old) {
            self.refuse("CHAIN_RENAME", Errno::ENOENT, format!("chain {new}"));
        }
        self.edits = None;
        match self.variant {
            Variant::Nft => self.renamed.push((old.to_owned(), new.to_owned())),
            Variant::Legacy => {
                rename(&mut self.table, old, new);
                self.reindex();
            }
        }
        Ok(())
    }

    /// `-X CHAIN`.
    ///
    /// # Errors
    ///
    /// There is no such chain; its policy is not `ACCEPT`; legacy: it is built in, referenced or not empty.
    pub fn delete_chain(&mut self, name: &str) -> Done {
        let place = match (self.place(name), self.variant) {
            (_, Variant::Legacy) if self.is_builtin(name) => {
                return Err(Fail::Invalid("Invalid argument"));
            }
            (place, _) => place?,
        };
        let chain = &self.table.chains[place];
        let (is_used, is_full) = (self.references[place] > 0, !chain.rules.is_empty());
        if chain.base.as_ref().is_some_and(|base| base.policy != Policy::Accept) {
            return refused("Directory not empty");
        }
        match self.variant {
            Variant::Legacy if is_used => return refused("Too many links"),
            Variant::Legacy if is_full => return refused("Directory not empty"),
            Variant::Nft if is_used || is_full => {
                self.refuse("CHAIN_DEL", Errno::EBUSY, format!("chain {name}"));
                return Ok(());
            }
            _ => {}
        }
        self.edits = None;
        for rule in std::mem::take(&mut self.table.chains[place].rules) {
            self.count(&rule.action, false);
        }
        self.table.chains.remove(place);
        self.reindex();
        Ok(())
    }

    /// `-X`: deletes all user-defined chains, with nft also the built-in ones that are empty and accept.
    ///
    /// # Errors
    ///
    /// Legacy: the last of those of [`Draft::delete_chain`].
    pub fn delete_chains(&mut self) -> Done {
        if self.variant == Variant::Legacy {
            let names: Vec<String> = self.user_chains().iter().map(|chain| chain.name.clone()).collect();
            // All are tried; the last error is returned.
            let mut outcome = Ok(());
            for name in names {
                if let Err(error) = self.delete_chain(&name) {
                    outcome = Err(error);
                }
            }
            return outcome;
        }
        let is_busy = |(at, chain): (usize, &Chain)| {
            (chain.base.is_none() && (!chain.rules.is_empty() || self.references[at] > 0))
                .then(|| chain.name.clone())
        };
        if let Some(name) = self.table.chains.iter().enumerate().find_map(is_busy) {
            self.refuse("CHAIN_DEL", Errno::EBUSY, format!("chain {name}"));
            return Ok(());
        }
        let does_something = |chain: &Chain| {
            !chain.rules.is_empty() || chain.base.as_ref().is_some_and(|base| base.policy != Policy::Accept)
        };
        self.edits = None;
        self.table.chains.retain(|chain| chain.base.is_some() && does_something(chain));
        self.reindex();
        Ok(())
    }

    /// A dump's `*TABLE` without `--noflush`: legacy keeps the policies, nft deletes everything.
    pub fn clear(&mut self) {
        self.edits = None;
        match self.variant {
            Variant::Nft => {
                self.exists = false;
                self.table.chains.clear();
            }
            Variant::Legacy => {
                self.table.chains.retain(|chain| chain.base.is_some());
                self.table.chains.iter_mut().for_each(|chain| chain.rules.clear());
            }
        }
        self.reindex();
    }

    /// A dump's `:CHAIN -`: creates or flushes the chain. True if it existed.
    ///
    /// # Errors
    ///
    /// None occurs: a missing chain is created.
    pub fn declare(&mut self, name: &str) -> Done<bool> {
        if self.is_builtin(name) {
            return Ok(true);
        }
        if self.index.contains_key(name) {
            self.flush(name)?;
            return Ok(true);
        }
        self.new_chain(name)?;
        Ok(false)
    }

    /// The table for the kernel. The legacy tool resets the counters of policies, apart from those that were set here.
    pub fn to_commit(&self) -> Option<Table> {
        let mut table = self.exists.then(|| self.table.clone())?;
        for (old, new) in &self.renamed {
            rename(&mut table, old, new);
        }
        if self.variant == Variant::Legacy {
            for chain in &mut table.chains {
                if let Some(base) = chain.base.as_mut().filter(|_| !self.counted.contains(&chain.name)) {
                    base.counters = Counters::default();
                }
            }
        }
        Some(table)
    }
}

/// Gives a chain another name, also where rules jump to it.
fn rename(table: &mut Table, old: &str, new: &str) {
    let named = table.chains.iter_mut().find(|chain| chain.name == old);
    named.into_iter().for_each(|chain| new.clone_into(&mut chain.name));
    for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
        if let Action::Jump(chain) | Action::Goto(chain) = &mut rule.action
            && chain == old
        {
            new.clone_into(chain);
        }
    }
}

fn legacy_no_target(action: &Action) -> Fail {
    match action {
        Action::Goto(chain) => parameter(format!("goto '{chain}' is not a chain")),
        Action::Jump(chain) => {
            parameter(format!("Couldn't load target `{chain}':No such file or directory\n"))
        }
        _ => Fail::Refused(NO_CHAIN),
    }
}
