//! Maglev hashing: a destination for each client, of which few change when destinations come and go (Eisenbud and others, "Maglev",
//! NSDI 2016).
//!
//! Kernel: net/netfilter/ipvs/ip_vs_mh.c

use super::ip_vs_core::{IpVsIphdr, dest, svc};
use super::ip_vs_sched::{Change, Chosen, NO_DEST, Scheduler, client_hash_input, register_ip_vs_scheduler};
use super::ip_vs_wrr::gcd;
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::sched::SchedData;
use crate::tables::ip_vs::svc::{Dest, DestId, SVC_F_SCHED1, Services, SvcId};
use crate::tables::siphash::{SipHashKey, hsiphash};

/// Places of the table, a prime (`CONFIG_IP_VS_MH_TAB_INDEX=12`).
const TAB_SIZE: u32 = 4093;
/// Weights are scaled to so many bits.
const TAB_BITS: u32 = 6;
/// The kernel's keys, which are not secret.
const HASH1: SipHashKey = [2_654_435_761; 2];
const HASH2: SipHashKey = [2_654_446_892; 2];

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_mh") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "mh", func: Func::IpVsMhSchedule, changed, schedule };

fn hashkey(value: u32, key: SipHashKey) -> u32 {
    hsiphash(&value.to_le_bytes(), key)
}

/// The order in which a destination claims places (`struct ip_vs_mh_dest_setup`).
struct Permutation {
    dest: DestId,
    next: u32,
    skip: u32,
    /// How many places it claims at a time.
    turns: i64,
}

/// Kernel: `ip_vs_mh_permutate`
fn permutations(services: &Services, id: SvcId) -> Vec<Permutation> {
    let weights = || services.dests_of(id).map(|(_, dest)| i64::from(dest.last_weight));
    let divisor = weights().fold(0, gcd);
    if divisor < 1 {
        return Vec::new();
    }
    let greatest = weights().max().unwrap_or(0) / divisor;
    let shift = (i64::BITS - greatest.leading_zeros()).saturating_sub(TAB_BITS);
    let of = |(id, dest): (DestId, &Dest)| {
        let input = dest.spec.addr.to_bits().wrapping_add(u32::from(dest.spec.port));
        let weight = i64::from(dest.last_weight);
        Permutation {
            dest: id,
            next: hashkey(input, HASH1) % TAB_SIZE,
            skip: hashkey(input, HASH2) % (TAB_SIZE - 1) + 1,
            turns: ((weight / divisor) >> shift).max(i64::from(weight != 0)),
        }
    };
    services.dests_of(id).map(of).collect()
}

/// Destinations claim places in turn, until there are none left (`ip_vs_mh_populate`).
fn changed(services: &mut Services, id: SvcId, _: Change) {
    let mut all = permutations(services, id);
    all.retain(|dest| dest.turns > 0);
    let mut table = vec![None; TAB_SIZE as usize];
    let mut left = if all.is_empty() { 0 } else { TAB_SIZE };
    while left > 0 {
        for dest in &mut all {
            for _ in 0..dest.turns.min(i64::from(left)) {
                while table[dest.next as usize].is_some() {
                    dest.next = (dest.next + dest.skip) % TAB_SIZE;
                }
                table[dest.next as usize] = Some(dest.dest);
                left -= 1;
            }
        }
    }
    if let Some(svc) = services.svc_mut(id) {
        svc.sched_data = SchedData::Buckets(table);
    }
}

/// If the chosen one takes no new connections and the service has `mh-fallback`, others are tried with other hashes.
fn schedule(cx: &mut Cx, skb: SkbId, id: SvcId, iph: &IpVsIphdr) -> Chosen {
    let input = client_hash_input(cx, skb, id, iph);
    let first = hashkey(input, HASH1) % TAB_SIZE;
    let service = svc(cx.k, id).ok_or(NO_DEST)?;
    let SchedData::Buckets(table) = &service.sched_data else { return Err(NO_DEST) };
    let tries = if service.has(SVC_F_SCHED1) { TAB_SIZE } else { 0 };
    let others =
        (0..tries).map(|offset| hashkey(input.wrapping_add((offset + first) % TAB_SIZE), HASH1) % TAB_SIZE);
    let takes = |id: &DestId| dest(cx.k, *id).is_some_and(Dest::takes_new);
    std::iter::once(first).chain(others).map_while(|at| table[at as usize]).find(takes).ok_or(NO_DEST)
}
