//! Runs a command on a table that is being changed.

use std::borrow::Cow;
use std::fmt::Write;

use glassnet_kernel::tables::xt::{Chain, Rule, Variant};

use super::command::{Command, Op, Zero};
use super::draft::Draft;
use super::fail::{Done, Fail};
use super::list::{self, Look};
use super::native;
use super::show;
use crate::hosts::Hosts;

/// Changes the table, or prints to `out`.
///
/// # Errors
///
/// Errors of the real tool's own checks.
pub fn run(draft: &mut Draft, command: Command, hosts: &Hosts, out: &mut String) -> Done {
    let command = &mut { command };
    match &command.op {
        Op::Append(_) | Op::Insert(..) | Op::Replace(..) => change_rules(draft, command, hosts, out),
        Op::Delete(_) | Op::Check(_) => find_rules(draft, command, hosts, out),
        Op::DeleteAt(chain, at) => draft.delete_at(chain, *at),
        Op::Policy(chain, policy) => {
            let counters = command.counters.filter(|_| draft.variant == Variant::Legacy);
            draft.policy(chain, policy, counters)
        }
        Op::New(chain) => draft.new_chain(chain),
        Op::DeleteChain(chain) => delete_chains(draft, chain.as_deref(), command.verbose, out),
        Op::Flush(chain) => flush(draft, chain.as_deref(), command.verbose, out),
        Op::Zero(chain) => zero(draft, chain.as_deref(), command.verbose, out),
        Op::ZeroAt(chain, at) => draft.zero_at(chain, *at),
        Op::Rename(old, new) => draft.rename(old, new),
        Op::List(chain, at) => {
            list(draft, (chain.as_deref(), *at), Look::of(command, hosts), out)?;
            zero_listed(draft, command, (chain.as_deref(), *at), out)
        }
        Op::ListRules(chain, at) => {
            list_rules(draft, chain.as_deref(), *at, command.verbose, out)?;
            zero_listed(draft, command, (chain.as_deref(), *at), out)
        }
        Op::Declare(chain, policy) => declare(draft, chain, policy.clone()),
    }
}

fn change_rules(draft: &mut Draft, command: &mut Command, hosts: &Hosts, out: &mut String) -> Done {
    for mut rule in std::mem::take(&mut command.rules) {
        rule.counters = command.counters.unwrap_or_default();
        draft.check_goal(&rule)?;
        let mut line = String::new();
        if command.verbose {
            list::push_one(&mut line, &rule, hosts);
        }
        let done = match &command.op {
            Op::Insert(chain, at) => draft.insert(chain, *at, rule),
            Op::Replace(chain, at) => draft.replace(chain, *at, rule),
            Op::Append(chain) => draft.append(chain, rule),
            _ => Ok(()),
        };
        if done.is_ok() || draft.variant == Variant::Legacy {
            *out += &line;
        }
        done?;
    }
    Ok(())
}

fn find_rules(draft: &mut Draft, command: &Command, hosts: &Hosts, out: &mut String) -> Done {
    for rule in &command.rules {
        draft.check_goal(rule)?;
        let found = match &command.op {
            Op::Check(chain) => draft.contains(chain, rule),
            Op::Delete(chain) => draft.delete(chain, rule),
            _ => Ok(()),
        };
        if command.verbose && (found.is_ok() || draft.variant == Variant::Legacy) {
            list::push_one(out, rule, hosts);
        }
        found?;
    }
    Ok(())
}

fn delete_chains(draft: &mut Draft, chain: Option<&str>, verbose: bool, out: &mut String) -> Done {
    let names: Vec<String> = match chain {
        Some(chain) => vec![chain.to_owned()],
        None => draft.user_chains().iter().map(|chain| chain.name.clone()).collect(),
    };
    let outcome = match chain {
        Some(chain) => draft.delete_chain(chain),
        None => draft.delete_chains(),
    };
    if verbose && outcome.is_ok() {
        names.iter().for_each(|name| *out += &format!("Deleting chain `{name}'\n"));
    }
    outcome
}

/// The named chain, or all; with `made`, without built-in ones that do not exist.
fn names(draft: &Draft, chain: Option<&str>, made: bool) -> Vec<String> {
    match chain {
        Some(chain) => vec![chain.to_owned()],
        None => {
            let listed = draft.listed();
            let there = listed.iter().filter(|chain| !made || draft.chain(&chain.name).is_some());
            there.map(|chain| chain.name.clone()).collect()
        }
    }
}

fn flush(draft: &mut Draft, chain: Option<&str>, verbose: bool, out: &mut String) -> Done {
    for name in names(draft, chain, false) {
        // nft makes a chain that is named, and leaves those alone that are not there.
        if chain.is_some() || draft.chain(&name).is_some() {
            draft.flush(&name)?;
        }
        if verbose {
            let _ = writeln!(out, "Flushing chain `{name}'");
        }
    }
    Ok(())
}

fn zero(draft: &mut Draft, chain: Option<&str>, verbose: bool, out: &mut String) -> Done {
    for name in names(draft, chain, true) {
        draft.zero(&name)?;
        if verbose {
            let _ = writeln!(out, "Zeroing chain `{name}'");
        }
    }
    Ok(())
}

/// `-Z` with `-L` or `-S`.
fn zero_listed(
    draft: &mut Draft,
    command: &Command,
    (chain, at): (Option<&str>, usize),
    out: &mut String,
) -> Done {
    match command.zero {
        Zero::Nothing => Ok(()),
        Zero::Chains => zero(draft, chain, command.verbose, out),
        Zero::Rule => draft.zero_at(chain.unwrap_or_default(), at),
    }
}

/// A line `:CHAIN POLICY [COUNTERS]` of a dump.
fn declare(
    draft: &mut Draft,
    chain: &str,
    policy: Option<(String, Option<glassnet_kernel::tables::xt::Counters>)>,
) -> Done {
    match policy {
        Some((policy, counters)) => {
            if !matches!(policy.as_str(), "ACCEPT" | "DROP") {
                return Err(Fail::Refused("Bad policy name"));
            }
            draft.policy(chain, &policy, Some(counters.unwrap_or_default()))
        }
        None => draft.declare(chain).map(|_| ()),
    }
}

/// The chains that `-L` and `-S` print: the named one, or all.
fn chosen<'a>(draft: &'a Draft, name: Option<&str>) -> Result<Vec<Cow<'a, Chain>>, Fail> {
    let mut chosen = draft.listed();
    chosen.retain(|chain| name.is_none_or(|name| chain.name == name));
    match (draft.variant, name) {
        (Variant::Legacy, Some(_)) if chosen.is_empty() => Err(Fail::Refused(super::draft::NO_CHAIN)),
        (Variant::Nft, Some(name)) if chosen.is_empty() => {
            let table = draft.table.name.name();
            Err(Fail::Xt(format!("chain `{name}' in table `{table}' is incompatible, use 'nft' tool."), 1))
        }
        _ => Ok(chosen),
    }
}

fn list(draft: &Draft, (chain, at): (Option<&str>, usize), look: Look, out: &mut String) -> Done {
    let mut is_first = true;
    for chain in &chosen(draft, chain)? {
        if at > 0 {
            if let Some(rule) = chain.rules.get(at - 1) {
                list::push_rule(out, &native::shown(draft.variant, rule), at, look);
            }
            continue;
        }
        if !is_first {
            out.push('\n');
        }
        is_first = false;
        list::push_header(out, chain, draft.references(&chain.name), look);
        for (at, rule) in (1..).zip(&chain.rules) {
            list::push_rule(out, &native::shown(draft.variant, rule), at, look);
        }
    }
    Ok(())
}

fn list_rules(draft: &Draft, chain: Option<&str>, at: usize, counters: bool, out: &mut String) -> Done {
    let chosen = chosen(draft, chain)?;
    if at == 0 {
        for chain in &chosen {
            push_chain(out, chain, counters);
        }
    }
    for chain in &chosen {
        for (number, rule) in (1..).zip(&chain.rules) {
            if at == 0 || at == number {
                push_saved_rule(out, &chain.name, rule, counters, draft.variant);
            }
        }
    }
    Ok(())
}

fn push_chain(out: &mut String, chain: &Chain, counters: bool) {
    match &chain.base {
        Some(base) => {
            let _ = write!(out, "-P {} {}", chain.name, show::policy_name(base.policy));
            if counters {
                let _ = write!(out, " -c {} {}", base.counters.packets, base.counters.bytes);
            }
            out.push('\n');
        }
        None => {
            let _ = writeln!(out, "-N {}", chain.name);
        }
    }
}

/// `-A CHAIN RULE` and a newline.
pub fn push_saved_rule(out: &mut String, chain: &str, rule: &Rule, counters: bool, variant: Variant) {
    *out += "-A ";
    *out += chain;
    show::push_rule(out, &native::shown(variant, rule), counters, variant == Variant::Nft);
    out.push('\n');
}
