//! Round robin: one destination after the other.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_rr.c

use super::ip_vs_core::{IpVsIphdr, svc, svc_mut};
use super::ip_vs_sched::{Change, Chosen, NO_DEST, Scheduler, register_ip_vs_scheduler};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::sched::SchedData;
use crate::tables::ip_vs::svc::{Dest, DestId, Services, SvcId};

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_rr") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "rr", func: Func::IpVsRrSchedule, changed, schedule };

fn changed(services: &mut Services, id: SvcId, change: Change) {
    let Some(svc) = services.svc_mut(id) else { return };
    match (change, &mut svc.sched_data) {
        (Change::Bound, data) => *data = SchedData::RoundRobin(None),
        (Change::Deleted { dest, previous }, SchedData::RoundRobin(last)) if *last == Some(dest) => {
            *last = previous
        }
        _ => {}
    }
}

/// The destinations of a list in the order in which they are asked: those behind the last one, and then from the head to it.
pub(super) fn after_last(destinations: &[DestId], last: Option<DestId>) -> impl Iterator<Item = DestId> {
    let at = last.and_then(|last| destinations.iter().position(|dest| *dest == last)).map_or(0, |at| at + 1);
    destinations[at..].iter().chain(&destinations[..at]).copied()
}

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, _: &IpVsIphdr) -> Chosen {
    let service = svc(cx.k, id).ok_or(NO_DEST)?;
    let SchedData::RoundRobin(last) = service.sched_data else { return Err(NO_DEST) };
    let takes = |id: &DestId| cx.k.ip_vs.services.dest(*id).is_some_and(Dest::takes_new);
    let chosen = after_last(&service.destinations, last).find(takes).ok_or(NO_DEST)?;
    if let Some(svc) = svc_mut(cx.k, id) {
        svc.sched_data = SchedData::RoundRobin(Some(chosen));
    }
    Ok(chosen)
}
