//! Never queue: a destination without active connections, or else the one with the shortest expected delay.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_nq.c

use super::ip_vs_core::IpVsIphdr;
use super::ip_vs_sched::{Chosen, Scheduler, least_loaded_of, register_ip_vs_scheduler, unchanged};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::svc::SvcId;

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_nq") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "nq", func: Func::IpVsNqSchedule, changed: unchanged, schedule };

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, _: &IpVsIphdr) -> Chosen {
    let mut all = cx.k.ip_vs.services.dests_of(id);
    let idle = all.find(|(_, dest)| dest.takes_new() && dest.activeconns == 0).map(|(id, _)| id);
    idle.map_or_else(|| least_loaded_of(cx.k, id, |dest| i64::from(dest.activeconns) + 1), Ok)
}
