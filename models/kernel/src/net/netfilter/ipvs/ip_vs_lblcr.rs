//! Locality-based least connections with replication: as lblc, but an address has a set of destinations, to which one more comes when
//! all are overloaded, and of which the most loaded goes when the set was as it is for long.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_lblcr.c
//! Not modelled: what [lblc](super::ip_vs_lblc) does not model.

use glassnet_sim::Nanos;

use super::ip_vs_core::{IpVsIphdr, dest, svc};
use super::ip_vs_ctl::{LBLCR_EXPIRATION, settings};
use super::ip_vs_lblc::{changed, is_overloaded, locality, remember};
use super::ip_vs_sched::{Chosen, Scheduler, least_loaded, least_loaded_of, register_ip_vs_scheduler};
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::svc::{Dest, DestId, SvcId};
use crate::tables::jiffies::last_tick;
use crate::{Cx, Kernel};

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_lblcr") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "lblcr", func: Func::IpVsLblcrSchedule, changed, schedule };

/// The destination of a set with the most load for its weight (`ip_vs_dest_set_max`).
fn most_loaded(k: &Kernel, set: &[DestId]) -> Option<DestId> {
    let all = set.iter().filter_map(|id| Some((*id, dest(k, *id)?)));
    let mut most: Option<(DestId, i64, i64)> = None;
    for (id, dest) in all.filter(|(_, dest)| dest.spec.weight > 0) {
        let (load, weight) = (dest.conn_overhead(), i64::from(dest.spec.weight));
        if most.is_none_or(|(_, most_load, most_weight)| most_load * weight < load * most_weight) {
            most = Some((id, load, weight));
        }
    }
    most.map(|(id, ..)| id)
}

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, iph: &IpVsIphdr) -> Chosen {
    let expiration = svc(cx.k, id).map_or(0, |svc| settings(cx.k, svc.netns).get(&LBLCR_EXPIRATION));
    let Some(known) = locality(cx, id, iph, expiration) else {
        // Of an address that is not known, the kernel's log says nothing.
        let chosen = least_loaded_of(cx.k, id, Dest::conn_overhead).map_err(|_| None)?;
        remember(cx, id, iph, vec![chosen]);
        return Ok(chosen);
    };
    let mut set = known.set;
    let there = set.iter().filter_map(|id| Some((*id, dest(cx.k, *id)?)));
    let least = least_loaded(there.filter(|(_, dest)| dest.available), Dest::conn_overhead);
    let lifetime = Nanos::from_secs(expiration.max(0) as u64);
    if set.len() > 1 && last_tick(cx.now) > known.lastmod + lifetime {
        let most = most_loaded(cx.k, &set);
        set.retain(|dest| Some(*dest) != most);
        remember(cx, id, iph, set.clone());
    }
    if let Some(least) = least
        && dest(cx.k, least).is_some_and(|dest| !is_overloaded(cx.k, id, dest))
    {
        return Ok(least);
    }
    let chosen = least_loaded_of(cx.k, id, Dest::conn_overhead)?;
    if !set.contains(&chosen) {
        set.insert(0, chosen);
        remember(cx, id, iph, set);
    }
    Ok(chosen)
}
