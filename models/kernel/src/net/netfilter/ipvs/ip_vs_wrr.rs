//! Weighted round robin: of so many connections as all weights together each destination gets as many as its own.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_wrr.c

use super::ip_vs_core::{IpVsIphdr, svc, svc_mut};
use super::ip_vs_sched::{Change, Chosen, NO_DEST, Scheduler, register_ip_vs_scheduler};
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::module::Module;
use crate::tables::ip_vs::sched::{SchedData, WrrMark};
use crate::tables::ip_vs::svc::{DestId, Services, SvcId};

/// The module.
pub static MODULE: Module =
    Module { init: Some(|cx| register_ip_vs_scheduler(cx, &SCHEDULER)), ..Module::named("ip_vs_wrr") };

/// The scheduler.
pub(super) static SCHEDULER: Scheduler =
    Scheduler { name: "wrr", func: Func::IpVsWrrSchedule, changed, schedule };

/// The greatest common divisor.
pub(super) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn changed(services: &mut Services, id: SvcId, change: Change) {
    let weights = || services.dests_of(id).map(|(_, dest)| i64::from(dest.spec.weight));
    let di = weights().fold(0, gcd).max(1);
    let mw = weights().max().unwrap_or(0) - (di - 1);
    let Some(svc) = services.svc_mut(id) else { return };
    let cw =
        match svc.sched_data {
            SchedData::Weighted(mark) if change != Change::Bound && mark.cw <= mw && mark.cw != 0 => {
                if di > 1 { mark.cw / di * di + 1 } else { mark.cw }
            }
            _ => mw,
        };
    svc.sched_data = SchedData::Weighted(WrrMark { cl: None, cw, mw, di });
}

fn schedule(cx: &mut Cx, _: SkbId, id: SvcId, _: &IpVsIphdr) -> Chosen {
    let Some(SchedData::Weighted(mut mark)) = svc(cx.k, id).map(|svc| svc.sched_data.clone()) else {
        return Err(NO_DEST);
    };
    let all = cx.k.ip_vs.services.dests_of(id);
    let all: Vec<_> = all.map(|(id, dest)| (id, i64::from(dest.spec.weight), dest.overload)).collect();
    let chosen = choose(&mut mark, &all);
    if let Some(svc) = svc_mut(cx.k, id) {
        svc.sched_data = SchedData::Weighted(mark);
    }
    chosen
}

/// Goes round the destinations, by `(id, weight, overload)`, with a needed weight that is less after each round, until all were asked
/// for the least.
fn choose(mark: &mut WrrMark, all: &[(DestId, i64, bool)]) -> Chosen {
    const OVERLOADED: Chosen = Err(Some("no destination available: all destinations are overloaded"));
    if mark.mw == 0 {
        return Err(NO_DEST);
    }
    let last = mark.cl;
    let mut at = last.and_then(|last| all.iter().position(|dest| dest.0 == last)).map_or(0, |at| at + 1);
    let (mut last_pass, mut restarted, mut stop) = (false, false, None);
    loop {
        for (id, weight, overload) in &all[at..] {
            let is_stop = stop == Some(*id);
            if !overload && *weight >= mark.cw {
                mark.cl = Some(*id);
                return Ok(*id);
            }
            if is_stop {
                mark.cl = Some(*id);
                return OVERLOADED;
            }
        }
        at = 0;
        mark.cw -= mark.di;
        if mark.cw <= 0 {
            mark.cw = mark.mw;
            if last_pass || last.is_none() {
                mark.cl = None;
                return OVERLOADED;
            }
            restarted = true;
        }
        last_pass = mark.cw <= mark.di;
        if last_pass && restarted {
            stop = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_as_many_as_its_weight() {
        let all = [(DestId(0), 1, false), (DestId(1), 3, false), (DestId(2), 2, true), (DestId(3), 2, false)];
        let mut mark = WrrMark { cl: None, cw: 3, mw: 3, di: 1 };
        let chosen: Vec<u32> = (0..12).map(|_| choose(&mut mark, &all).expect("one is free").0).collect();
        assert_eq!(chosen, [1, 1, 3, 0, 1, 3, 1, 1, 3, 0, 1, 3]);
        let none = all.map(|(id, weight, _)| (id, weight, true));
        assert!(choose(&mut mark, &none).is_err());
    }
}
