//! Where an extension may stand: its table, its hooks, its protocol, and what its options ask for.
//!
//! Kernel: net/netfilter/x_tables.c (`xt_check_match`, `xt_check_target`)
//!
//! The limits were compared with Linux 6.18, with every extension in every chain of every table.

use crate::extension::{Limits, Place, Refused};
use crate::tables::netfilter::{HOOKS, Hook};
use crate::tables::xt::Rule;

/// Checks the place and the extensions of a rule.
///
/// # Errors
///
/// The kernel's refusal.
pub fn check_rule(place: Place, rule: &Rule) -> Result<(), Refused> {
    for with in &rule.matches {
        check_limits(place, rule, with.limits(place.variant), with.name(), "match", "valid")?;
        with.check(place, rule)?;
    }
    let Some(target) = rule.target() else { return Ok(()) };
    check_limits(place, rule, target.limits(place.variant), target.kernel_name(), "target", "usable")?;
    target.check(place, rule)
}

fn check_limits(
    place: Place,
    rule: &Rule,
    limits: Limits,
    name: &str,
    kind: &str,
    usable: &str,
) -> Result<(), Refused> {
    let refuse = |why: String| Err(Refused::einval(format!("x_tables: ip_tables: {name} {kind}: {why}")));
    if let Some(table) = limits.table.filter(|table| *table != place.table) {
        return refuse(format!("only valid in {} table, not {}", table.name(), place.table.name()));
    }
    if let Some(hooks) = limits.hooks.filter(|hooks| place.hooks & !hooks != 0) {
        let used = hook_names(place.hooks);
        return refuse(format!("used from hooks {used}, but only {usable} from {}", hook_names(hooks)));
    }
    match limits.proto {
        Some(proto) if rule.ip.proto != (proto, false) => refuse(format!("only valid for protocol {proto}")),
        _ => Ok(()),
    }
}

fn hook_names(hooks: u8) -> String {
    let names: Vec<&str> =
        HOOKS.into_iter().filter(|hook| hooks & hook.bit() != 0).map(Hook::chain).collect();
    names.join("/")
}
