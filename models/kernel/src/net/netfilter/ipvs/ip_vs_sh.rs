//! Source hashing: a destination for each client.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_sh.c

use super::ip_vs_core::{IpVsIphdr, dest, svc};
use super::ip_vs_sched::{
    Change, Chosen, NO_DEST, Scheduler, client_hash_input, fill_buckets, hash_32, register_ip_vs_scheduler,
};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::sched::SchedData;
use crate::tables::ip_vs::svc::{Dest, DestId, SVC_F_SCHED1, Services, SvcId};

/// Buckets, as a power of 2.
const TAB_BITS: u32 = 8;
const TAB_SIZE: usize = 1 << TAB_BITS;

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_sh") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "sh", func: Func::IpVsShSchedule, changed, schedule };

fn changed(services: &mut Services, id: SvcId, _: Change) {
    let buckets = fill_buckets(services, id, TAB_SIZE, |dest| dest.spec.weight);
    if let Some(svc) = services.svc_mut(id) {
        svc.sched_data = SchedData::Buckets(buckets);
    }
}

/// If the chosen one takes no new connections and the service has `sh-fallback`, the buckets are tried from there on, each at twice
/// the distance.
fn schedule(cx: &mut Cx, skb: SkbId, id: SvcId, iph: &IpVsIphdr) -> Chosen {
    let hash = hash_32(client_hash_input(cx, skb, id, iph), TAB_BITS);
    let service = svc(cx.k, id).ok_or(NO_DEST)?;
    let SchedData::Buckets(buckets) = &service.sched_data else { return Err(NO_DEST) };
    let tries = if service.has(SVC_F_SCHED1) { TAB_SIZE } else { 0 };
    let others = (0..tries).map(|offset| (offset + 2 * hash) % TAB_SIZE);
    let takes = |id: &DestId| dest(cx.k, *id).is_some_and(Dest::takes_new);
    std::iter::once(hash).chain(others).map_while(|at| buckets[at]).find(takes).ok_or(NO_DEST)
}
