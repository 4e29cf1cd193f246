//! Registering tables: a table is replaced as a whole, or refused as a whole.
//!
//! Kernel: net/netfilter/x_tables.c, net/netfilter/nf_tables_api.c

use std::ops::Range;

use super::nf_conntrack_proto::{nf_ct_netns_get, nf_ct_netns_put};
use super::nf_nat_proto::HOOK_OPS as NAT_HOOK_OPS;
use super::xt_check::check_rule;
use crate::Cx;
use crate::Kernel;
use crate::extension::{Place, Refused};
use crate::ids::NetnsId;
use crate::net::ipv4::netfilter::ip_tables::hook_ops;
use crate::netlink::Errno;
use crate::tables::netfilter::HOOKS;
use crate::tables::xt::installed::{PlanError, XtTables, is_unconditional};
use crate::tables::xt::{Action, Chain, Counters, Rule, Table, TableName, Variant, XtTable};

/// A copy of the table of this name with its counters, if the namespace has it (`get_entries`, `nf_tables_dump_rules`).
pub fn xt_table(k: &Kernel, netns: NetnsId, variant: Variant, name: TableName) -> Option<Table> {
    let net = k.netns.get(netns)?;
    let mut table = net.xt.get(variant, name)?.table.clone();
    net.write_counters(variant, &mut table);
    Some(table)
}

/// Creates the legacy table of this name if the namespace does not have it, as the kernel does at its first use
/// (`xt_find_table_lock` with `table_init`).
///
/// # Errors
///
/// None of a table that holds no rule.
pub fn xt_find_table_lock(cx: &mut Cx, netns: NetnsId, name: TableName) -> Result<(), Errno> {
    match cx.k.netns[netns].xt.get(Variant::Legacy, name) {
        Some(_) => Ok(()),
        None => xt_replace_table(cx, netns, Variant::Legacy, Table::initial(name)),
    }
}

/// Replaces the table of the same name and variant. Counters and states are those of `table`.
///
/// # Errors
///
/// What the kernel answers to such a table; nothing is changed then. `ELOOP` (legacy) or `EMLINK` (nft): chains that
/// form a loop; `EMLINK` also if more than 16 are one below the other (nft). `EINVAL` (legacy) or `ENOENT` (nft): a jump to
/// a chain that is not there or is built in. `EINVAL`: an extension where it may not stand.
pub fn xt_replace_table(cx: &mut Cx, netns: NetnsId, variant: Variant, table: Table) -> Result<(), Errno> {
    let mut new = prepare(table, variant).map_err(|refused| refuse(cx, refused))?;
    let named = check_named(cx, netns, rules_of(&new.table.chains));
    named.map_err(|refused| refuse(cx, refused))?;
    hold_sets(cx, netns, &mut new)?;
    init_rules(cx, netns, variant, rules_of_mut(&mut new.table.chains));
    commit(cx, netns, variant, new);
    Ok(())
}

/// Checks a table as the kernel would, without registering it; the refusal has the line for the kernel's log.
///
/// # Errors
///
/// Those of [`xt_replace_table`], except for what the rules name and is not there.
pub fn xt_check_table(variant: Variant, table: Table) -> Result<(), Refused> {
    prepare(table, variant).map(drop)
}

/// Replaces `remove` rules of a chain, from index `at` on: append, insert, delete and replace. As [`xt_replace_table`]
/// with the changed table, but without a check of the other rules.
///
/// # Errors
///
/// As of [`xt_replace_table`]; `ENOENT` if there is no such table or chain, `ERANGE` if it has too few rules.
pub fn xt_splice_rules(
    cx: &mut Cx,
    netns: NetnsId,
    variant: Variant,
    name: TableName,
    (chain, at, remove): (&str, usize, usize),
    rules: Vec<Rule>,
) -> Result<(), Errno> {
    cx.k.netns[netns].settle_counters();
    let Some(mut table) = cx.k.netns[netns].xt.take(variant, name) else { return Err(Errno::ENOENT) };
    let done = splice(cx, netns, variant, &mut table, (chain, at, remove), rules);
    if done.is_ok() && variant == Variant::Legacy {
        // The tool replaces the whole table.
        init_rules(cx, netns, variant, rules_of_mut(&mut table.table.chains));
        destroy_rules(cx, netns, rules_of(&table.table.chains));
    }
    cx.k.netns[netns].xt.put_changed(variant, table);
    done
}

fn splice(
    cx: &mut Cx,
    netns: NetnsId,
    variant: Variant,
    table: &mut XtTable,
    (chain, at, remove): (&str, usize, usize),
    rules: Vec<Rule>,
) -> Result<(), Errno> {
    let chain = table.chain_index(chain).ok_or(Errno::ENOENT)?;
    if at + remove > table.table.chains[chain].rules.len() {
        return Err(Errno::ERANGE);
    }
    let (count, jumps) = (rules.len(), rules.iter().any(changes_flow));
    let old = table.splice(chain, at, remove, rules, variant).map_err(|error| plan_errno(error, variant))?;
    let checked = if jumps || old.iter().any(changes_flow) {
        check_all(table, variant)
    } else {
        check_some(table, variant, chain, at..at + count)
    };
    let new = &table.table.chains[chain].rules[at..at + count];
    let checked = checked.and_then(|()| check_named(cx, netns, new.iter()));
    let held =
        checked.map_err(|refused| refuse(cx, refused)).and_then(|()| hold_sets_of(cx, netns, new.iter()));
    let held = match held {
        Ok(held) => held,
        Err(errno) => {
            // The rules were registered before, so they are accepted.
            let _ = table.splice(chain, at, count, old, variant);
            return Err(errno);
        }
    };
    let new = &mut table.table.chains[chain].rules[at..at + count];
    init_rules(cx, netns, variant, new.iter_mut());
    destroy_rules(cx, netns, old.iter());
    put_sets_of(cx, netns, &mut table.sets, old.iter());
    table.sets.extend(held);
    let changed = &table.table.chains[chain];
    if let Some(base) = &changed.base
        && let Some(base) = cx.k.netns[netns].xt.base_mut(variant, base.hook, table.table.name)
    {
        base.empty = changed.rules.is_empty();
    }
    let uses = |rules: &[Rule]| rules.iter().filter(|rule| rule.needs_conntrack()).count();
    let before = table.conntrack_uses;
    table.conntrack_uses += uses(&table.table.chains[chain].rules[at..at + count]);
    table.conntrack_uses -= uses(&old);
    use_conntrack(cx, netns, before, table.conntrack_uses);
    Ok(())
}

/// Rules that change which chains are reachable.
fn changes_flow(rule: &Rule) -> bool {
    match rule.action {
        Action::Jump(_) | Action::Goto(_) => true,
        Action::Accept | Action::Drop | Action::Return => is_unconditional(rule),
        _ => false,
    }
}

/// Writes the refusal to the kernel's log and returns the error number.
fn refuse(cx: &mut Cx, refused: Refused) -> Errno {
    if let Some(line) = refused.log {
        log_line(cx, line);
    }
    refused.errno
}

fn log_line(cx: &mut Cx, line: String) {
    cx.printk(crate::tables::klog::LOG_INFO, line);
}

fn plan_errno(error: PlanError, variant: Variant) -> Errno {
    match (error, variant) {
        (PlanError::Name, _) => Errno::EINVAL,
        (PlanError::NoChain { .. }, Variant::Legacy) => Errno::EINVAL,
        (PlanError::NoChain { .. }, Variant::Nft) => Errno::ENOENT,
        (PlanError::Flow(_), Variant::Legacy) => Errno::ELOOP,
        (PlanError::Flow(_), Variant::Nft) => Errno::EMLINK,
    }
}

fn prepare(table: Table, variant: Variant) -> Result<XtTable, Refused> {
    let new = XtTable::new(table, variant)
        .map_err(|error| Refused { errno: plan_errno(error, variant), log: None })?;
    check_all(&new, variant)?;
    Ok(new)
}

fn check_all(table: &XtTable, variant: Variant) -> Result<(), Refused> {
    for (chain, content) in table.table.chains.iter().enumerate() {
        check_some(table, variant, chain, 0..content.rules.len())?;
    }
    Ok(())
}

fn check_some(table: &XtTable, variant: Variant, chain: usize, rules: Range<usize>) -> Result<(), Refused> {
    let content = &table.table.chains[chain];
    let own_hook = content.base.as_ref().map_or(0, |base| base.hook.bit());
    let live = if variant == Variant::Legacy { table.plans[chain].live() } else { content.rules.len() };
    for at in rules {
        let hooks = if at < live { table.plans[chain].hooks } else { 0 };
        let place = Place { variant, table: table.table.name, hooks, own_hook };
        check_rule(place, &content.rules[at])?;
    }
    Ok(())
}

/// Checks that what the rules name is there.
fn check_named<'r>(
    cx: &Cx,
    netns: NetnsId,
    mut rules: impl Iterator<Item = &'r Rule>,
) -> Result<(), Refused> {
    rules.try_for_each(|rule| {
        rule.matches.iter().try_for_each(|with| with.check_named(cx, netns))?;
        rule.target().map_or(Ok(()), |target| target.check_named(cx, rule))
    })
}

/// Initializes the state of the extensions of new rules.
///
/// Not modelled: when several new rules of `nf_tables` share a list or table with different settings, the first of the
/// command's text decides on these; here it is the first of the table.
fn init_rules<'r>(cx: &mut Cx, netns: NetnsId, variant: Variant, rules: impl Iterator<Item = &'r mut Rule>) {
    for rule in rules {
        rule.matches.iter_mut().for_each(|with| with.init(cx, netns, variant));
        if let Action::Target(target) = &mut rule.action {
            target.init(cx, netns);
        }
    }
}

/// Releases the state of the matches of deleted rules.
fn destroy_rules<'r>(cx: &mut Cx, netns: NetnsId, rules: impl Iterator<Item = &'r Rule>) {
    rules.flat_map(|rule| &rule.matches).for_each(|with| with.destroy(cx, netns));
}

fn rules_of(chains: &[Chain]) -> impl Iterator<Item = &Rule> {
    chains.iter().flat_map(|chain| &chain.rules)
}

fn rules_of_mut(chains: &mut [Chain]) -> impl Iterator<Item = &mut Rule> {
    chains.iter_mut().flat_map(|chain| &mut chain.rules)
}

/// Puts a new table in place and releases what only the old one used.
fn commit(cx: &mut Cx, netns: NetnsId, variant: Variant, mut new: XtTable) {
    let name = new.table.name;
    new.conntrack_uses =
        new.table.chains.iter().flat_map(|chain| &chain.rules).filter(|rule| rule.needs_conntrack()).count();
    let (entries, uses) = (new.entries, new.conntrack_uses);
    cx.k.netns[netns].settle_counters();
    let xt = &mut cx.k.netns[netns].xt;
    let old = xt.replace(variant, new);
    if variant == Variant::Legacy {
        xt.note_legacy(name);
    }
    use_conntrack(cx, netns, old.as_ref().map_or(0, |old| old.conntrack_uses), uses);
    if let Some(old) = old {
        release(cx, netns, *old);
    }
    register_hooks(cx, netns, variant, name, entries);
}

/// Releases what a table used.
fn release(cx: &mut Cx, netns: NetnsId, old: XtTable) {
    destroy_rules(cx, netns, rules_of(&old.table.chains));
    for set in old.sets {
        cx.k.netns[netns].ipsets.put(set);
    }
}

/// A table holds one reference to connection tracking, or none.
fn use_conntrack(cx: &mut Cx, netns: NetnsId, before: usize, after: usize) {
    match (before, after) {
        (0, 1..) => nf_ct_netns_get(cx.k, netns),
        (1.., 0) => nf_ct_netns_put(cx.k, netns),
        _ => {}
    }
}

fn hold_sets(cx: &mut Cx, netns: NetnsId, table: &mut XtTable) -> Result<(), Errno> {
    let rules = table.table.chains.iter().flat_map(|chain| &chain.rules);
    table.sets = hold_sets_of(cx, netns, rules)?;
    Ok(())
}

/// Takes references to the sets that rules use, to all or to none.
fn hold_sets_of<'r>(
    cx: &mut Cx,
    netns: NetnsId,
    rules: impl Iterator<Item = &'r Rule>,
) -> Result<Vec<u16>, Errno> {
    let ipsets = &mut cx.k.netns[netns].ipsets;
    let mut held = Vec::new();
    for name in rules.flat_map(Rule::sets) {
        match ipsets.hold(name) {
            Some(set) => held.push(set),
            None => {
                held.into_iter().for_each(|set| ipsets.put(set));
                return Err(Errno::ENOENT);
            }
        }
    }
    Ok(held)
}

/// Drops references to sets.
fn put_sets_of<'r>(cx: &mut Cx, netns: NetnsId, held: &mut Vec<u16>, rules: impl Iterator<Item = &'r Rule>) {
    let ipsets = &mut cx.k.netns[netns].ipsets;
    for name in rules.flat_map(Rule::sets) {
        let Some(set) = ipsets.index(name) else { continue };
        if let Some(at) = held.iter().position(|known| *known == set) {
            ipsets.put(held.swap_remove(at));
        }
    }
}

/// Unregisters a table and its hooks (`nft delete table`, or the end of a namespace).
pub fn xt_unregister_table(cx: &mut Cx, netns: NetnsId, variant: Variant, name: TableName) {
    cx.k.netns[netns].settle_counters();
    if let Some(old) = cx.k.netns[netns].xt.remove(variant, name) {
        use_conntrack(cx, netns, old.conntrack_uses, 0);
        release(cx, netns, *old);
        register_hooks(cx, netns, variant, name, [None; HOOKS.len()]);
    }
}

/// Zeroes counters of a table, of a chain, or of one rule of it (from 0; the policy has none). Returns false if there
/// is no such chain or rule.
pub fn xt_zero_counters(
    k: &mut Kernel,
    netns: NetnsId,
    variant: Variant,
    name: TableName,
    chain: Option<&str>,
    rule: Option<usize>,
) -> bool {
    k.netns[netns].settle_counters();
    let xt = &mut k.netns[netns].xt;
    let Some(mut table) = xt.take(variant, name) else { return false };
    let found = zero(xt, variant, &mut table.table, chain, rule);
    xt.put(variant, table);
    found
}

fn zero(
    xt: &mut XtTables,
    variant: Variant,
    table: &mut Table,
    chain: Option<&str>,
    rule: Option<usize>,
) -> bool {
    let mut found = chain.is_none();
    for chain in table.chains.iter_mut().filter(|known| chain.is_none_or(|chain| known.name == chain)) {
        match rule {
            Some(rule) => match chain.rules.get_mut(rule) {
                Some(rule) => rule.counters = Counters::default(),
                None => return false,
            },
            None => {
                chain.rules.iter_mut().for_each(|rule| rule.counters = Counters::default());
                let base = chain.base.as_ref().and_then(|base| xt.base_mut(variant, base.hook, table.name));
                if let Some(base) = base {
                    base.counters = Counters::default();
                }
            }
        }
        found = true;
    }
    found
}

/// Registers the hook functions of a table's base chains, and unregisters those of deleted chains.
fn register_hooks(
    cx: &mut Cx,
    netns: NetnsId,
    variant: Variant,
    name: TableName,
    entries: [Option<u32>; HOOKS.len()],
) {
    if name == TableName::Nat {
        return register_nat(cx, netns, variant, entries);
    }
    let (hooks, needed) = (&mut cx.k.netns[netns].hooks, &mut cx.k.nf_hooks_needed);
    for hook in HOOKS {
        let ops = hook_ops(variant, name, hook);
        match entries[hook as usize] {
            Some(_) => hooks.register(needed, ops),
            None => hooks.unregister(&ops),
        }
    }
}

fn register_nat(cx: &mut Cx, netns: NetnsId, variant: Variant, entries: [Option<u32>; HOOKS.len()]) {
    let netns = &mut cx.k.netns[netns];
    for hook in HOOKS {
        netns.xt.set_nat_lookup(hook, variant, entries[hook as usize].is_some());
    }
    for ops in NAT_HOOK_OPS {
        match netns.xt.has_nat() {
            true => netns.hooks.register(&mut cx.k.nf_hooks_needed, ops),
            false => netns.hooks.unregister(&ops),
        }
    }
}
