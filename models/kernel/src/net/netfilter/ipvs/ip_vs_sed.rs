//! Shortest expected delay: the destination with the fewest active connections for its weight, the new one included.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_sed.c

use super::ip_vs_core::IpVsIphdr;
use super::ip_vs_sched::{Chosen, Scheduler, least_loaded_of, register_ip_vs_scheduler, unchanged};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::svc::SvcId;

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_sed") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "sed", func: Func::IpVsSedSchedule, changed: unchanged, schedule };

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, _: &IpVsIphdr) -> Chosen {
    least_loaded_of(cx.k, id, |dest| i64::from(dest.activeconns) + 1)
}
