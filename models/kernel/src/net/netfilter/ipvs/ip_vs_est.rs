//! Rates: every two seconds the counters of a namespace, its services and destinations are looked at.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_est.c

use glassnet_sim::Nanos;

use super::ip_vs_ctl::{RUN_ESTIMATION, settings};
use crate::Cx;
use crate::ids::NetnsId;
use crate::tables::jiffies::{last_tick, wheel_expiry};

/// Between two measurements.
const PERIOD: Nanos = Nanos::from_secs(2);

fn next(at: Nanos) -> Nanos {
    wheel_expiry(at, last_tick(at) + PERIOD)
}

/// A namespace begins: measurements go on from now, but the timer is set only while there is something to measure.
pub(super) fn ip_vs_estimator_net_init(cx: &mut Cx, netns: NetnsId) {
    let now = cx.now;
    cx.k.ip_vs.net_mut(netns).est_timer = next(now);
}

/// There is something to measure.
pub(super) fn ip_vs_start_estimator(cx: &mut Cx, netns: NetnsId) {
    let now = cx.now;
    let net = cx.k.ip_vs.net_mut(netns);
    if std::mem::replace(&mut net.est_running, true) {
        return;
    }
    while net.est_timer <= now {
        net.est_timer = next(net.est_timer);
    }
    let at = net.est_timer;
    cx.set_timer(at, estimation_timer, netns.0);
}

/// Measures; the argument is the namespace.
fn estimation_timer(cx: &mut Cx, netns: u32) {
    let (netns, now) = (NetnsId(netns), cx.now);
    if cx.k.ip_vs.net(netns).is_none_or(|net| !net.est_running || net.est_timer > now) {
        return;
    }
    let runs = settings(cx.k, netns).get(&RUN_ESTIMATION) != 0;
    let svcs = cx.k.ip_vs.services.list(netns);
    let (net, _, services) = cx.k.ip_vs.parts(netns);
    if runs {
        net.tot_stats.estimate();
        for id in &svcs {
            let Some(svc) = services.svc_mut(*id) else { continue };
            svc.stats.estimate();
            for dest in svc.destinations.clone() {
                if let Some(dest) = services.dest_mut(dest) {
                    dest.stats.estimate();
                }
            }
        }
    }
    net.est_timer = next(now);
    net.est_running = !svcs.is_empty() || runs && net.tot_stats.is_moving();
    let at = net.est_timer;
    if net.est_running {
        cx.set_timer(at, estimation_timer, netns.0);
    }
}
