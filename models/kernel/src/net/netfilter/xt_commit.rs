//! A table is put in force as a whole, or refused as a whole.
//!
//! Kernel: net/netfilter/x_tables.c, net/netfilter/nf_tables_api.c

use crate::Cx;
use crate::Kernel;
use crate::ids::NetnsId;
use crate::netlink::Errno;
use crate::tables::netfilter::{HOOKS, Hook, HookFn, Pf};
use crate::tables::xt::{Counters, Table, TableName, Variant, XtTable};

/// The table of this name, if the namespace has it. A lesson's user reads rules and counters here.
pub fn xt_table(k: &Kernel, netns: NetnsId, variant: Variant, name: TableName) -> Option<&Table> {
    Some(&k.netns.get(netns)?.xt.get(variant, name)?.table)
}

/// Makes the legacy table of this name if the namespace does not have it yet, as its first use does
/// (`xt_find_table_lock` with `table_init`).
///
/// # Errors
///
/// None of a table that holds no rule.
pub fn xt_find_table_lock(cx: &mut Cx, netns: NetnsId, name: TableName) -> Result<(), Errno> {
    match xt_table(cx.k, netns, Variant::Legacy, name) {
        Some(_) => Ok(()),
        None => xt_replace_table(cx, netns, Variant::Legacy, Table::initial(name)),
    }
}

/// Puts `table` in the place of the one of its name and variant. Counters and states are those of `table`.
///
/// # Errors
///
/// What the kernel answers to such a table; the old one stays as it was. `EINVAL`: a jump to a chain that is not
/// there.
pub fn xt_replace_table(cx: &mut Cx, netns: NetnsId, variant: Variant, table: Table) -> Result<(), Errno> {
    let name = table.name;
    let table = XtTable::new(table).ok_or(Errno::EINVAL)?;
    let entries = table.entries;
    cx.k.netns[netns].xt.put(variant, Box::new(table));
    register_hooks(cx, netns, variant, name, entries);
    Ok(())
}

/// Takes a table away with its hooks (`nft delete table`, a namespace that ends).
pub fn xt_unregister_table(cx: &mut Cx, netns: NetnsId, variant: Variant, name: TableName) {
    if cx.k.netns[netns].xt.take(variant, name).is_some() {
        register_hooks(cx, netns, variant, name, [None; HOOKS.len()]);
    }
}

/// Sets counters to zero: of a whole table, of a chain, or of one rule of it (from 0 on; not of the policy). Returns
/// false if there is none such.
pub fn xt_zero_counters(
    k: &mut Kernel,
    netns: NetnsId,
    variant: Variant,
    name: TableName,
    chain: Option<&str>,
    rule: Option<usize>,
) -> bool {
    let Some(table) = k.netns[netns].xt.get_mut(variant, name) else { return false };
    let mut found = chain.is_none();
    for chain in table.table.chains.iter_mut().filter(|known| chain.is_none_or(|chain| known.name == chain)) {
        match rule {
            Some(rule) => match chain.rules.get_mut(rule) {
                Some(rule) => rule.counters = Counters::default(),
                None => return false,
            },
            None => {
                chain.rules.iter_mut().for_each(|rule| rule.counters = Counters::default());
                if let Some(base) = &mut chain.base {
                    base.counters = Counters::default();
                }
            }
        }
        found = true;
    }
    found
}

/// Registers the hook functions of a table's built-in chains, and takes back those of chains that are no more.
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
    let hooks = &mut cx.k.netns[netns].hooks;
    let function = HookFn::Rules(variant, name);
    for hook in HOOKS {
        match entries[hook as usize] {
            Some(_) => hooks.register(Pf::Ipv4, hook, name.priority(hook), function),
            None => hooks.unregister(Pf::Ipv4, hook, function),
        }
    }
}

/// The functions of NAT itself, on all its hooks as soon as one chain of `nat` is there (`nf_nat_register_fn`).
const NAT_HOOKS: [(Hook, HookFn); 4] = [
    (Hook::PreRouting, HookFn::NfNatIpv4PreRouting),
    (Hook::PostRouting, HookFn::NfNatIpv4Out),
    (Hook::LocalOut, HookFn::NfNatIpv4LocalFn),
    (Hook::LocalIn, HookFn::NfNatIpv4LocalIn),
];

fn register_nat(cx: &mut Cx, netns: NetnsId, variant: Variant, entries: [Option<u32>; HOOKS.len()]) {
    let netns = &mut cx.k.netns[netns];
    for hook in HOOKS {
        netns.xt.set_nat_lookup(hook, variant, entries[hook as usize].is_some());
    }
    for (hook, function) in NAT_HOOKS {
        if netns.xt.has_nat() {
            netns.hooks.register(Pf::Ipv4, hook, TableName::Nat.priority(hook), function);
        } else {
            netns.hooks.unregister(Pf::Ipv4, hook, function);
        }
    }
}
