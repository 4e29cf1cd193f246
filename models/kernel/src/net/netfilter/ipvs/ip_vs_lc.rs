//! Least connections: the destination with the fewest, of which active ones weigh more.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_lc.c

use super::ip_vs_core::IpVsIphdr;
use super::ip_vs_sched::{Chosen, NO_DEST, Scheduler, register_ip_vs_scheduler, unchanged};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::svc::{Dest, SvcId};

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_lc") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "lc", func: Func::IpVsLcSchedule, changed: unchanged, schedule };

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, _: &IpVsIphdr) -> Chosen {
    let all = cx.k.ip_vs.services.dests_of(id).filter(|(_, dest)| dest.takes_new());
    all.min_by_key(|(_, dest)| Dest::conn_overhead(dest)).map(|(id, _)| id).ok_or(NO_DEST)
}
