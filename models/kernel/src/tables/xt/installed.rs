//! The tables that a namespace has, with what makes them quick to walk.

use std::collections::HashMap;

use super::{Action, Base, Chain, Counters, Policy, TABLES, Table, TableName, Variant};
use crate::tables::netfilter::{HOOKS, Hook};

/// In [`ChainPlan::jumps`]: the rule jumps nowhere.
pub const NO_CHAIN: u32 = u32::MAX;

/// What the walk knows of a chain beside its rules.
#[derive(Clone, Debug, Default)]
pub struct ChainPlan {
    /// For each rule the chain that it jumps or goes to, as an index into [`Table::chains`], or [`NO_CHAIN`].
    pub jumps: Vec<u32>,
}

/// A table in a namespace (`struct xt_table`).
#[derive(Clone, Debug)]
pub struct XtTable {
    /// Its chains and rules, with their counters and the state of their matches.
    pub table: Table,
    /// For each chain what the walk needs.
    pub plans: Vec<ChainPlan>,
    /// For each hook the chain that hangs on it.
    pub entries: [Option<u32>; 5],
    /// Where to go on after the chains that the packet in hand was sent through: chain and rule. Kept to spare
    /// an allocation a packet.
    pub stack: Vec<(u32, u32)>,
    /// Its number in the observer's record, once a packet met it as it is now.
    pub seen: Option<u32>,
}

impl XtTable {
    /// A table whose jumps all lead to chains that it has; `None` if one does not.
    pub fn new(table: Table) -> Option<XtTable> {
        let mut entries = [None; 5];
        let mut names = HashMap::with_capacity(table.chains.len());
        for (at, chain) in (0..).zip(&table.chains) {
            names.insert(chain.name.as_str(), at);
            if let Some(base) = &chain.base {
                entries[base.hook as usize] = Some(at);
            }
        }
        let jump = |action: &Action| match action {
            Action::Jump(chain) | Action::Goto(chain) => names.get(chain.as_str()).copied(),
            _ => Some(NO_CHAIN),
        };
        let plan = |chain: &Chain| {
            let jumps = chain.rules.iter().map(|rule| jump(&rule.action)).collect::<Option<Vec<u32>>>()?;
            Some(ChainPlan { jumps })
        };
        let plans = table.chains.iter().map(plan).collect::<Option<Vec<ChainPlan>>>()?;
        Some(XtTable { table, plans, entries, stack: Vec::new(), seen: None })
    }
}

impl Table {
    /// A table as the legacy tool finds it at first: its built-in chains, empty, with policy `ACCEPT`.
    pub fn initial(name: TableName) -> Table {
        let base = |hook: &Hook| Base { hook: *hook, policy: Policy::Accept, counters: Counters::default() };
        let chain =
            |hook: &Hook| Chain { name: hook.chain().to_owned(), base: Some(base(hook)), rules: Vec::new() };
        Table { name, chains: name.hooks().iter().map(chain).collect() }
    }
}

/// All tables of a namespace.
#[derive(Clone, Debug, Default)]
pub struct XtTables {
    slots: [[Option<Box<XtTable>>; TABLES.len()]; 2],
    /// For each hook the variants that have a chain of `nat` there, in the order in which NAT asks them.
    nat: [Vec<Variant>; HOOKS.len()],
}

impl XtTables {
    /// A table, if it is there.
    pub fn get(&self, variant: Variant, name: TableName) -> Option<&XtTable> {
        self.slots[variant as usize][name as usize].as_deref()
    }

    /// A table, to change counters and states.
    pub fn get_mut(&mut self, variant: Variant, name: TableName) -> Option<&mut XtTable> {
        self.slots[variant as usize][name as usize].as_deref_mut()
    }

    /// Takes a table out, to walk it or for good.
    #[inline]
    pub fn take(&mut self, variant: Variant, name: TableName) -> Option<Box<XtTable>> {
        self.slots[variant as usize][name as usize].take()
    }

    /// Puts a table in its place.
    #[inline]
    pub fn put(&mut self, variant: Variant, table: Box<XtTable>) {
        let place = &mut self.slots[variant as usize][table.table.name as usize];
        *place = Some(table);
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
            (true, None) => lookups.push(variant),
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
