//! Policy rules: look-up by them, and rtnetlink requests.
//!
//! Kernel: net/ipv4/fib_rules.c, net/core/fib_rules.c

use std::net::Ipv4Addr;

use crate::door::Func;
use crate::ids::{NetnsId, SkbId};
use crate::netlink::NlError;
use crate::note::{FibNote, Note};
use crate::tables::fib::{NoRoute, Searched};
use crate::tables::fib_trie::{FibResult, Flow};
use crate::tables::route_types::RuleMsg;
use crate::{Cx, Kernel};

/// The best route by the rules, if they were changed, or else of main and default.
///
/// # Errors
///
/// No route, or one of type `unreachable`, `prohibit` or `blackhole`.
pub fn fib_rules_lookup(
    k: &Kernel,
    netns: NetnsId,
    flow: &Flow,
    searched: &mut Searched,
) -> Result<FibResult, NoRoute> {
    let fib = &k.netns[netns].ipv4.fib;
    if fib.rules.custom {
        fib.lookup(&k.devs.l3mdev_update_flow(flow), searched)
    } else {
        fib.lookup(flow, searched)
    }
}

/// Looks up the best route, and records each table searched.
///
/// # Errors
///
/// No route, or one of type `unreachable`, `prohibit` or `blackhole`.
pub fn fib_lookup(
    cx: &mut Cx,
    netns: NetnsId,
    flow: &Flow,
    skb: Option<SkbId>,
) -> Result<FibResult, NoRoute> {
    let mut searched = Searched::default();
    let found = fib_rules_lookup(cx.k, netns, flow, &mut searched);
    for _ in 0..searched.tables {
        cx.call(Func::FibTableLookup, skb);
    }
    cx.charge_size(searched.doublings);
    cx.note(|cx| {
        Note::Fib(match &found {
            Ok(found) => {
                let row = cx.k.netns[netns].ipv4.fib.infos.get(found.info);
                let gateway = row
                    .nexthops
                    .get(usize::from(found.nh_sel))
                    .map_or(Ipv4Addr::UNSPECIFIED, |nh| nh.gateway);
                Ok(FibNote { prefix: found.prefix, len: found.len, gateway, table: found.table })
            }
            Err(none) => Err(none.errno()),
        })
    });
    found
}

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
