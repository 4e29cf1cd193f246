//! The tables that a namespace has, with what makes them quick to walk.

use std::collections::HashMap;

use super::flow::{FlowError, flow};
use super::scan::{Ifaces, Scan};
use super::{Action, Base, Chain, Counters, IpMatch, Policy, Rule, TABLES, Table, TableName, Variant};
use crate::tables::netfilter::{HOOKS, Hook};
use crate::tables::verdicts::Counter;

/// In [`ChainPlan::jumps`]: the rule jumps nowhere.
pub const NO_CHAIN: u32 = u32::MAX;
/// In [`ChainPlan::jumps`]: the rule decides about every packet (`-j ACCEPT`, `DROP` or `RETURN` and nothing else).
pub const STOP: u32 = u32::MAX - 1;
/// Longest name of a chain, bytes: `NFT_NAME_MAXLEN`, and what the rule that begins a legacy chain has room for.
pub const fn chain_name_len(variant: Variant) -> usize {
    match variant {
        Variant::Nft => 255,
        Variant::Legacy => 29,
    }
}

/// What the walk knows of a chain beside its rules.
#[derive(Clone, Debug, Default)]
pub struct ChainPlan {
    /// For each rule the chain that it jumps or goes to, as an index into [`Table::chains`], [`NO_CHAIN`] or [`STOP`].
    pub jumps: Vec<u32>,
    /// How many of its rules jump.
    pub chains: u32,
    /// Its rules' conditions.
    pub scan: Scan,
    /// From which hooks it can be reached, a bit each.
    pub hooks: u8,
}

impl ChainPlan {
    /// How many of its rules a packet can come to: up to the first that decides about every packet.
    pub fn live(&self) -> usize {
        self.jumps.iter().position(|jump| *jump == STOP).map_or(self.jumps.len(), |stop| stop + 1)
    }
}

/// Why a table cannot be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// A name of a chain is empty, too long, or there twice.
    Name,
    /// A rule jumps to a built-in chain or to one that is not there.
    NoChain {
        /// Index of its chain.
        chain: usize,
        /// Index of the rule.
        rule: usize,
    },
    /// The chains form a loop, or are too deep.
    Flow(FlowError),
}

/// A table in a namespace (`struct xt_table`).
#[derive(Clone, Debug)]
pub struct XtTable {
    /// Its chains and rules, with their counters and the state of their matches.
    pub table: Table,
    /// For each chain what the walk needs.
    pub plans: Vec<ChainPlan>,
    /// For each hook the chain that hangs on it.
    pub entries: [Option<u32>; HOOKS.len()],
    /// The interfaces that rules name.
    pub ifaces: Ifaces,
    /// Some rule has a condition on ports.
    pub ports: bool,
    /// Where to go on after the chains that the packet in hand was sent through: chain and rule. Kept to spare
    /// an allocation a packet.
    pub stack: Vec<(u32, u32)>,
    /// Its number in the observer's record, once a packet met it as it is now.
    pub seen: Option<u32>,
    /// How many rules need connection tracking.
    pub conntrack_uses: usize,
    /// The sets that its rules use, by number, one for each use.
    pub sets: Vec<u16>,
    /// The numbers of its user chains, by name.
    user_chains: HashMap<String, u32>,
}

impl XtTable {
    /// A table that can be walked.
    ///
    /// # Errors
    ///
    /// If its chains do not fit together.
    pub fn new(table: Table, variant: Variant) -> Result<XtTable, PlanError> {
        let mut entries = [None; HOOKS.len()];
        let mut names = HashMap::with_capacity(table.chains.len());
        let mut user_chains = HashMap::with_capacity(table.chains.len());
        for (at, chain) in (0..).zip(&table.chains) {
            if chain.name.len() > chain_name_len(variant) || names.insert(&chain.name, at).is_some() {
                return Err(PlanError::Name);
            }
            match &chain.base {
                Some(base) => entries[base.hook as usize] = Some(at),
                None => drop(user_chains.insert(chain.name.clone(), at)),
            }
        }
        let mut ifaces = Ifaces::default();
        let mut plans = Vec::with_capacity(table.chains.len());
        for (chain, content) in table.chains.iter().enumerate() {
            let jumps =
                jumps(&content.rules, &user_chains).map_err(|rule| PlanError::NoChain { chain, rule })?;
            let chains = count_chains(&jumps);
            plans.push(ChainPlan {
                jumps,
                chains,
                scan: Scan::new(content.rules.iter(), &mut ifaces),
                hooks: 0,
            });
        }
        let ports = plans.iter().any(|plan| plan.scan.has_ports());
        let hooks = flow(&plans, &entries, variant).map_err(PlanError::Flow)?;
        for (plan, hooks) in plans.iter_mut().zip(hooks) {
            plan.hooks = hooks;
        }
        Ok(XtTable {
            table,
            plans,
            entries,
            ifaces,
            ports,
            stack: Vec::new(),
            seen: None,
            conntrack_uses: 0,
            sets: Vec::new(),
            user_chains,
        })
    }

    /// The index of a chain.
    pub fn chain_index(&self, name: &str) -> Option<usize> {
        match self.user_chains.get(name) {
            Some(at) => Some(*at as usize),
            None => self.table.chains.iter().take(HOOKS.len()).position(|chain| chain.name == name),
        }
    }

    /// Puts rules in the place of `remove` rules from `at` on, and gives those back. The rest is as it was, so the time
    /// is that of moving the rules behind them.
    ///
    /// # Errors
    ///
    /// As of [`XtTable::new`]; nothing is changed.
    pub fn splice(
        &mut self,
        chain: usize,
        at: usize,
        remove: usize,
        rules: Vec<Rule>,
        variant: Variant,
    ) -> Result<Vec<Rule>, PlanError> {
        let jumps =
            jumps(&rules, &self.user_chains).map_err(|rule| PlanError::NoChain { chain, rule: at + rule })?;
        let old: Vec<u32> = self.plans[chain].jumps.splice(at..at + remove, jumps.iter().copied()).collect();
        let is_plain = |jumps: &[u32]| jumps.iter().all(|jump| *jump == NO_CHAIN);
        if !(is_plain(&jumps) && is_plain(&old)) {
            self.plans[chain].chains = count_chains(&self.plans[chain].jumps);
            match flow(&self.plans, &self.entries, variant) {
                Ok(hooks) => self.plans.iter_mut().zip(hooks).for_each(|(plan, hooks)| plan.hooks = hooks),
                Err(error) => {
                    let plan = &mut self.plans[chain];
                    plan.jumps.splice(at..at + jumps.len(), old);
                    plan.chains = count_chains(&plan.jumps);
                    return Err(PlanError::Flow(error));
                }
            }
        }
        let place = &mut self.table.chains[chain].rules;
        let removed = place.splice(at..at + remove, rules).collect();
        self.plans[chain].scan.rewrite(at, place, &mut self.ifaces);
        self.ports |= self.plans[chain].scan.has_ports();
        self.seen = None;
        Ok(removed)
    }
}

fn count_chains(jumps: &[u32]) -> u32 {
    jumps.iter().filter(|jump| **jump < STOP).count() as u32
}

/// Where rules jump to; an error is the index of one that jumps nowhere.
fn jumps(rules: &[Rule], user_chains: &HashMap<String, u32>) -> Result<Vec<u32>, usize> {
    let jump = |(at, rule): (usize, &Rule)| match &rule.action {
        Action::Jump(chain) | Action::Goto(chain) => user_chains.get(chain).copied().ok_or(at),
        Action::Accept | Action::Drop | Action::Return if is_unconditional(rule) => Ok(STOP),
        _ => Ok(NO_CHAIN),
    };
    rules.iter().enumerate().map(jump).collect()
}

/// The rule means every packet, and says so by saying nothing.
pub fn is_unconditional(rule: &Rule) -> bool {
    rule.matches.is_empty() && rule.ip == IpMatch::default()
}

impl Table {
    /// A table as the legacy tool finds it at first: its built-in chains, empty, with policy `ACCEPT`.
    pub fn initial(name: TableName) -> Table {
        let base = |hook: &Hook| Base {
            hook: *hook,
            policy: Policy::Accept,
            counters: Counters::default(),
            counted: true,
        };
        let chain =
            |hook: &Hook| Chain { name: hook.chain().to_owned(), base: Some(base(hook)), rules: Vec::new() };
        Table { name, chains: name.hooks().iter().map(chain).collect() }
    }

    /// Counts packets on a policy or a rule, if it is one of this table's.
    pub fn count(&mut self, variant: Variant, counter: Counter, packets: Counters) {
        let number = table_number(variant, self.name);
        match counter {
            Counter::Policy { hook, table } if table == number => {
                let bases = self.chains.iter_mut().filter_map(|chain| chain.base.as_mut());
                let of_hook = bases.filter(|base| base.hook == hook && base.counted);
                of_hook.for_each(|base| base.counters += packets);
            }
            Counter::Rule { table, chain, rule } if table == number => {
                self.chains[chain as usize].rules[rule as usize].counters += packets;
            }
            Counter::Policy { .. } | Counter::Rule { .. } => {}
        }
    }
}

/// What a packet needs of a built-in chain. Most have no rules, so these stand side by side, apart from the tables.
#[derive(Clone, Copy, Debug)]
pub struct BaseChain {
    /// What met the policy. [`Base::counters`] is where it began.
    pub counters: Counters,
    /// As of [`Base::policy`].
    pub policy: Policy,
    /// As of [`Base::counted`].
    pub counted: bool,
    /// It has no rules.
    pub empty: bool,
}

impl BaseChain {
    /// A packet of this length meets the policy.
    #[inline]
    pub fn count(&mut self, len: usize) {
        if self.counted {
            self.counters.count(len);
        }
    }
}

/// A table of a variant as a number; those of the legacy variant come first.
pub const fn table_number(variant: Variant, name: TableName) -> u32 {
    variant as u32 * TABLES.len() as u32 + name as u32
}

/// All tables of a namespace.
#[derive(Clone, Debug, Default)]
pub struct XtTables {
    slots: [[Option<Box<XtTable>>; TABLES.len()]; 2],
    /// For each hook those of all tables, by [`table_number`].
    bases: [[Option<BaseChain>; 2 * TABLES.len()]; HOOKS.len()],
    /// For each hook the variants that have a chain of `nat` there, in the order in which NAT asks them.
    nat: [Vec<Variant>; HOOKS.len()],
    /// The legacy tables in the order in which they were made.
    legacy: Vec<TableName>,
    /// Counts changes of rules and policies.
    generation: u32,
}

impl XtTables {
    /// A table, if it is there.
    #[inline]
    pub fn get(&self, variant: Variant, name: TableName) -> Option<&XtTable> {
        self.slots[variant as usize][name as usize].as_deref()
    }

    /// The built-in chain of a table at a hook, for a packet.
    #[inline]
    pub fn base_mut(&mut self, variant: Variant, hook: Hook, name: TableName) -> Option<&mut BaseChain> {
        self.base_at_mut(hook, table_number(variant, name))
    }

    /// The same of a table by [`table_number`].
    #[inline(always)]
    pub fn base_at_mut(&mut self, hook: Hook, table: u32) -> Option<&mut BaseChain> {
        self.bases[hook as usize].get_mut(table as usize)?.as_mut()
    }

    /// Writes what met the policies until now into a table that was read.
    pub fn write_policy_counters(&self, variant: Variant, table: &mut Table) {
        for base in table.chains.iter_mut().filter_map(|chain| chain.base.as_mut()) {
            if let Some(now) = &self.bases[base.hook as usize][table_number(variant, table.name) as usize] {
                base.counters = now.counters;
            }
        }
    }

    /// Takes a table out for the time that a packet walks it or its rules are changed.
    #[inline]
    pub fn take(&mut self, variant: Variant, name: TableName) -> Option<Box<XtTable>> {
        self.slots[variant as usize][name as usize].take()
    }

    /// Puts a table that was taken out back.
    #[inline]
    pub fn put(&mut self, variant: Variant, table: Box<XtTable>) {
        let place = &mut self.slots[variant as usize][table.table.name as usize];
        *place = Some(table);
    }

    /// Counts changes of rules and policies.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Puts a table whose rules were changed back.
    pub fn put_changed(&mut self, variant: Variant, table: Box<XtTable>) {
        self.generation += 1;
        self.put(variant, table);
    }

    /// Counts packets on a policy or a rule.
    pub fn count(&mut self, counter: Counter, packets: Counters) {
        match counter {
            Counter::Policy { hook, table } => {
                let base = self.base_at_mut(hook, table).filter(|base| base.counted);
                base.into_iter().for_each(|base| base.counters += packets);
            }
            Counter::Rule { table, chain, rule } => {
                let (variant, name) = (table as usize / TABLES.len(), table as usize % TABLES.len());
                let table = self.slots[variant][name].as_mut();
                table.into_iter().for_each(|table| {
                    table.table.chains[chain as usize].rules[rule as usize].counters += packets;
                });
            }
        }
    }

    /// Puts a new table in the place of the old one, which is returned.
    pub fn replace(&mut self, variant: Variant, table: XtTable) -> Option<Box<XtTable>> {
        let old = self.remove(variant, table.table.name);
        for chain in &table.table.chains {
            if let Some(base) = &chain.base {
                self.bases[base.hook as usize][table_number(variant, table.table.name) as usize] =
                    Some(BaseChain {
                        counters: base.counters,
                        policy: base.policy,
                        counted: base.counted,
                        empty: chain.rules.is_empty(),
                    });
            }
        }
        self.put(variant, Box::new(table));
        old
    }

    /// Takes a table away.
    pub fn remove(&mut self, variant: Variant, name: TableName) -> Option<Box<XtTable>> {
        self.generation += 1;
        self.bases.iter_mut().for_each(|hook| hook[table_number(variant, name) as usize] = None);
        self.take(variant, name)
    }

    /// The legacy tables in the order in which they were made (`/proc/net/ip_tables_names` has the latest first).
    pub fn legacy_order(&self) -> &[TableName] {
        &self.legacy
    }

    /// Notes that a legacy table was made.
    pub fn note_legacy(&mut self, name: TableName) {
        if !self.legacy.contains(&name) {
            self.legacy.push(name);
        }
    }

    /// The variants that have a chain of `nat` at a hook, in the order in which NAT asks them.
    #[inline]
    pub fn nat_lookups(&self, hook: Hook) -> &[Variant] {
        &self.nat[hook as usize]
    }

    /// Notes that a variant has a chain of `nat` at a hook, or has none.
    pub fn set_nat_lookup(&mut self, hook: Hook, variant: Variant, there: bool) {
        let lookups = &mut self.nat[hook as usize];
        match (there, lookups.iter().position(|known| *known == variant)) {
            // As with hooks, the last is asked first.
            (true, None) => lookups.insert(0, variant),
            (false, Some(at)) => {
                lookups.remove(at);
            }
            _ => {}
        }
    }

    /// Some variant has a chain of `nat` somewhere.
    pub fn has_nat(&self) -> bool {
        self.nat.iter().any(|lookups| !lookups.is_empty())
    }
}
