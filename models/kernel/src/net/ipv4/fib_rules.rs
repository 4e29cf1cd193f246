//! Policy rules on request.
//!
//! Kernel: net/ipv4/fib_rules.c, net/core/fib_rules.c

use crate::ids::NetnsId;
use crate::netlink::NlError;
use crate::tables::route_types::RuleMsg;
use crate::{Cx, Kernel};

/// Adds a rule (RTM_NEWRULE). From the first on, local and main are separate tables.
///
/// # Errors
///
/// EEXIST for a rule that is there, "Backward goto not supported", "Invalid table".
pub fn rtm_newrule(cx: &mut Cx, netns: NetnsId, msg: &RuleMsg, flags: u16) -> Result<(), NlError> {
    let k = &mut *cx.k;
    let mut rules = k.netns[netns].ipv4.fib.rules.clone();
    rules.add(msg, flags, |name| k.dev_by_name(netns, name))?;
    let fib = &mut k.netns[netns].ipv4.fib;
    fib.rules = rules;
    fib.unmerge();
    fib.generation += 1;
    Ok(())
}

/// Removes the first rule that has everything that `msg` names (RTM_DELRULE).
///
/// # Errors
///
/// ENOENT if there is none.
pub fn rtm_delrule(cx: &mut Cx, netns: NetnsId, msg: &RuleMsg) -> Result<(), NlError> {
    let fib = &mut cx.k.netns[netns].ipv4.fib;
    fib.rules.remove(msg)?;
    fib.unmerge();
    fib.generation += 1;
    Ok(())
}

/// The rules of a namespace in the order of their priority.
pub fn dump_rules(k: &Kernel, netns: NetnsId) -> Vec<RuleMsg> {
    k.netns[netns].ipv4.fib.rules.messages()
}
