//! Which chains a packet can come to from which hook, and whether it could go in circles.
//!
//! Kernel: net/ipv4/netfilter/ip_tables.c (`mark_source_chains`), net/netfilter/nf_tables_api.c
//! (`nft_chain_validate`)

use super::Variant;
use super::installed::{ChainPlan, NO_CHAIN, STOP};
use crate::tables::netfilter::HOOKS;

/// How many chains deep `nf_tables` lets a packet go, the built-in one included (`NFT_JUMP_STACK_SIZE`).
pub const NFT_JUMP_STACK_SIZE: u32 = 16;

/// Why a set of chains is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowError {
    /// A packet could come to a chain that it is in.
    Loop,
    /// Too many chains one below the other.
    TooDeep,
}

/// For each chain the hooks (a bit each) from whose built-in chain a packet can come to it. Chains that no hook
/// leads to may do what they like.
///
/// # Errors
///
/// A loop; of the nft variant also chains that are too deep.
pub fn flow(
    plans: &[ChainPlan],
    entries: &[Option<u32>; HOOKS.len()],
    variant: Variant,
) -> Result<Vec<u8>, FlowError> {
    let mut hooks = vec![0; plans.len()];
    if plans.iter().all(|plan| plan.chains == 0) {
        mark_entries(entries, &mut hooks);
        return Ok(hooks);
    }
    let order = callees_first(plans, entries, variant)?;
    if variant == Variant::Nft {
        check_depth(plans, &order)?;
    }
    mark_entries(entries, &mut hooks);
    for chain in order.iter().rev() {
        let from = hooks[*chain as usize];
        for callee in callees(&plans[*chain as usize], variant) {
            hooks[callee as usize] |= from;
        }
    }
    Ok(hooks)
}

fn mark_entries(entries: &[Option<u32>; HOOKS.len()], hooks: &mut [u8]) {
    for (hook, entry) in entries.iter().enumerate() {
        if let Some(entry) = entry {
            hooks[*entry as usize] |= 1 << hook;
        }
    }
}

/// The chains that a chain's rules lead to. The legacy variant looks no further than the first rule that decides
/// about every packet.
fn callees(plan: &ChainPlan, variant: Variant) -> impl Iterator<Item = u32> {
    let live = if variant == Variant::Legacy { plan.live() } else { plan.jumps.len() };
    let jumps = if plan.chains == 0 { &[] } else { &plan.jumps[..live] };
    jumps.iter().copied().filter(|jump| *jump != NO_CHAIN && *jump != STOP)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    OnTheWay,
    Done,
}

/// The chains that can be reached, each behind those that it leads to.
fn callees_first(
    plans: &[ChainPlan],
    entries: &[Option<u32>; HOOKS.len()],
    variant: Variant,
) -> Result<Vec<u32>, FlowError> {
    let mut seen = vec![Seen::No; plans.len()];
    let mut order = Vec::with_capacity(plans.len());
    let mut way = Vec::new();
    for entry in entries.iter().flatten() {
        if seen[*entry as usize] == Seen::Done {
            continue;
        }
        seen[*entry as usize] = Seen::OnTheWay;
        way.push((*entry, callees(&plans[*entry as usize], variant)));
        while let Some((chain, rest)) = way.last_mut() {
            let Some(next) = rest.next() else {
                seen[*chain as usize] = Seen::Done;
                order.push(*chain);
                way.pop();
                continue;
            };
            match seen[next as usize] {
                Seen::Done => {}
                Seen::OnTheWay => return Err(FlowError::Loop),
                Seen::No => {
                    seen[next as usize] = Seen::OnTheWay;
                    way.push((next, callees(&plans[next as usize], variant)));
                }
            }
        }
    }
    Ok(order)
}

fn check_depth(plans: &[ChainPlan], order: &[u32]) -> Result<(), FlowError> {
    let mut depth = vec![1; plans.len()];
    for chain in order {
        let below = callees(&plans[*chain as usize], Variant::Nft).map(|callee| depth[callee as usize]).max();
        depth[*chain as usize] = 1 + below.unwrap_or(0);
        if depth[*chain as usize] > NFT_JUMP_STACK_SIZE {
            return Err(FlowError::TooDeep);
        }
    }
    Ok(())
}
