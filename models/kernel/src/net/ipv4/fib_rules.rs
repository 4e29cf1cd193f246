//! Policy rules: rtnetlink requests.
//!
//! Kernel: net/ipv4/fib_rules.c, net/core/fib_rules.c

use crate::ids::NetnsId;
use crate::netlink::NlError;
use crate::tables::route_types::RuleMsg;
use crate::{Cx, Kernel};

/// Adds a rule (RTM_NEWRULE). With the first one, the tables local and main are separated.
///
/// # Errors
///
/// EEXIST for an existing rule, "Backward goto not supported", "Invalid table".
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

/// Deletes the first rule that has all attributes in `msg` (RTM_DELRULE).
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

/// All rules of a namespace in order of priority.
pub fn dump_rules(k: &Kernel, netns: NetnsId) -> Vec<RuleMsg> {
    k.netns[netns].ipv4.fib.rules.messages()
}
