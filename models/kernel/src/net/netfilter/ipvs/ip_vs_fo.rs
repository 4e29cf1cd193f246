//! Failover: the destination of the greatest weight.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_fo.c

use super::ip_vs_core::IpVsIphdr;
use super::ip_vs_sched::{Chosen, NO_DEST, Scheduler, register_ip_vs_scheduler, unchanged};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::svc::SvcId;

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_fo") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "fo", func: Func::IpVsFoSchedule, changed: unchanged, schedule };

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, _: &IpVsIphdr) -> Chosen {
    // Of equal ones the first.
    let all = cx.k.ip_vs.services.dests_of(id).filter(|(_, dest)| dest.takes_new());
    all.min_by_key(|(_, dest)| -i64::from(dest.spec.weight)).map(|(id, _)| id).ok_or(NO_DEST)
}
