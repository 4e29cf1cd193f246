//! Destination hashing: a destination for each address that packets are for, whatever service that is.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_dh.c

use super::ip_vs_core::{IpVsIphdr, dest, svc};
use super::ip_vs_sched::{
    Change, Chosen, NO_DEST, Scheduler, fill_buckets, hash_32, register_ip_vs_scheduler,
};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::sched::SchedData;
use crate::tables::ip_vs::svc::{Services, SvcId};

/// Buckets, as a power of 2.
const TAB_BITS: u32 = 8;

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_dh") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "dh", func: Func::IpVsDhSchedule, changed, schedule };

fn changed(services: &mut Services, id: SvcId, change: Change) {
    if change == Change::Updated {
        return;
    }
    let buckets = fill_buckets(services, id, 1 << TAB_BITS, |_| 1);
    if let Some(svc) = services.svc_mut(id) {
        svc.sched_data = SchedData::Buckets(buckets);
    }
}

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, iph: &IpVsIphdr) -> Chosen {
    let Some(SchedData::Buckets(buckets)) = svc(cx.k, id).map(|svc| &svc.sched_data) else {
        return Err(NO_DEST);
    };
    let chosen = buckets[hash_32(iph.daddr.to_bits(), TAB_BITS)].ok_or(NO_DEST)?;
    dest(cx.k, chosen).filter(|dest| dest.available && dest.takes_new()).map(|_| chosen).ok_or(NO_DEST)
}
