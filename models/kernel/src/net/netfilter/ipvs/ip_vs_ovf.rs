//! Overflow: the destination of the greatest weight, until it has more active connections than that.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_ovf.c

use super::ip_vs_core::IpVsIphdr;
use super::ip_vs_sched::{Chosen, NO_DEST, Scheduler, register_ip_vs_scheduler, unchanged};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::svc::SvcId;

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_ovf") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "ovf", func: Func::IpVsOvfSchedule, changed: unchanged, schedule };

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, _: &IpVsIphdr) -> Chosen {
    let all = cx.k.ip_vs.services.dests_of(id);
    let free = all.filter(|(_, dest)| dest.takes_new() && dest.activeconns <= dest.spec.weight);
    // Of equal ones the first.
    free.min_by_key(|(_, dest)| -i64::from(dest.spec.weight)).map(|(id, _)| id).ok_or(NO_DEST)
}
