//! Locality-based least connections: packets for an address go where those before them went, unless that destination is overloaded
//! and another has time. For caches.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_lblc.c
//! Not modelled: the limit of the table; an address is forgotten when it was not used for `lblc_expiration`, without the kernel's rounds.

use glassnet_sim::Nanos;

use super::ip_vs_core::{IpVsIphdr, dest, svc, svc_mut};
use super::ip_vs_ctl::{LBLC_EXPIRATION, settings};
use super::ip_vs_sched::{Change, Chosen, Scheduler, least_loaded_of, register_ip_vs_scheduler};
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::sched::{Locality, SchedData};
use crate::tables::ip_vs::svc::{Dest, DestId, Services, SvcId};
use crate::tables::jiffies::last_tick;
use crate::{Cx, Kernel};

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_lblc") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "lblc", func: Func::IpVsLblcSchedule, changed, schedule };

/// A service begins with no address known.
pub(super) fn changed(services: &mut Services, id: SvcId, change: Change) {
    if change == Change::Bound
        && let Some(svc) = services.svc_mut(id)
    {
        svc.sched_data = SchedData::Localities(Default::default());
    }
}

/// It has more active connections than its weight, and another has time (`is_overloaded`).
pub(super) fn is_overloaded(k: &Kernel, id: SvcId, dest: &Dest) -> bool {
    let has_time = |dest: &Dest| dest.activeconns * 2 < dest.spec.weight;
    dest.activeconns > dest.spec.weight && k.ip_vs.services.dests_of(id).any(|(_, other)| has_time(other))
}

/// What is known of an address, unless that is too old.
pub(super) fn locality(cx: &mut Cx, id: SvcId, iph: &IpVsIphdr, expiration: i64) -> Option<Locality> {
    let tick = last_tick(cx.now);
    let SchedData::Localities(known) = &mut svc_mut(cx.k, id)?.sched_data else { return None };
    let lifetime = Nanos::from_secs(expiration.max(0) as u64);
    if known.get(&iph.daddr).is_some_and(|known| known.lastuse + lifetime <= tick) {
        known.remove(&iph.daddr);
    }
    let found = known.get_mut(&iph.daddr)?;
    found.lastuse = tick;
    Some(found.clone())
}

/// From now on packets for an address go to these.
pub(super) fn remember(cx: &mut Cx, id: SvcId, iph: &IpVsIphdr, set: Vec<DestId>) {
    let tick = last_tick(cx.now);
    if let Some(SchedData::Localities(known)) = svc_mut(cx.k, id).map(|svc| &mut svc.sched_data) {
        known.insert(iph.daddr, Locality { set, lastmod: tick, lastuse: tick });
    }
}

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, iph: &IpVsIphdr) -> Chosen {
    let expiration = svc(cx.k, id).map_or(0, |svc| settings(cx.k, svc.netns).get(&LBLC_EXPIRATION));
    let known = locality(cx, id, iph, expiration).and_then(|known| known.set.first().copied());
    let may = |dest: &&Dest| dest.available && dest.spec.weight > 0 && !is_overloaded(cx.k, id, dest);
    if let Some(known) = known
        && dest(cx.k, known).filter(may).is_some()
    {
        return Ok(known);
    }
    let chosen = least_loaded_of(cx.k, id, Dest::conn_overhead)?;
    if known != Some(chosen) {
        remember(cx, id, iph, vec![chosen]);
    }
    Ok(chosen)
}
