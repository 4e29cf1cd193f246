//! Garbage collection of connections.
//!
//! Kernel: net/netfilter/nf_conntrack_core.c (`gc_worker`)
//!
//! An expired entry is deleted by the next lookup of its tuple, or by this worker. It scans the whole table, then
//! sleeps for about the mean of the remaining timeouts, between a second and a minute. Here it runs only while there
//! are entries.

use glassnet_sim::Nanos;

use super::nf_conntrack_core::{can_early_drop, nf_ct_delete};
use crate::Cx;
use crate::tables::conntrack::{CtId, IPS_CONFIRMED, IPS_DYING, nfct_time_stamp};

/// `GC_SCAN_INTERVAL_MAX`.
const INTERVAL_MAX: i64 = 60_000_000_000;
/// `GC_SCAN_INTERVAL_MIN`.
const INTERVAL_MIN: i64 = 1_000_000_000;
/// `GC_SCAN_INTERVAL_CLAMP`: longer remaining timeouts count as this.
const INTERVAL_CLAMP: i64 = 300_000_000_000;
/// `GC_SCAN_INITIAL_COUNT`: the mean starts with this many entries that have a minute left, so that a few short
/// timeouts do not make the worker run often.
const INITIAL_COUNT: i64 = 100;

/// Schedules the worker in a minute, unless it is scheduled.
pub(super) fn schedule(cx: &mut Cx) {
    if !cx.k.conntrack.gc_scheduled {
        cx.k.conntrack.gc_scheduled = true;
        cx.set_timer(cx.now + Nanos(INTERVAL_MAX as u64), gc_worker, 0);
    }
}

/// Scans the table once.
pub fn gc_worker(cx: &mut Cx, _: u32) {
    cx.k.conntrack.gc_scheduled = false;
    let early = cx.k.conntrack.gc_early_drop;
    let max95 = cx.k.conntrack.max / 100 * 95;
    let (mut mean, mut count, mut any) = (INTERVAL_MAX, INITIAL_COUNT, false);
    for at in 0..cx.k.conntrack.places() {
        let id = CtId(at);
        let Some(conn) = cx.k.conntrack.get(id) else { continue };
        if !conn.has(IPS_CONFIRMED) || conn.has(IPS_DYING) {
            continue;
        }
        if conn.is_expired(cx.now) {
            nf_ct_delete(cx, id);
            continue;
        }
        any = true;
        let left = conn.timeout.since(nfct_time_stamp(cx.now)).0 as i64;
        // The scan meets both tuples of an entry.
        for _ in 0..2 {
            count += 1;
            mean += (left.clamp(INTERVAL_MIN, INTERVAL_CLAMP) - mean) / count;
        }
        if early && cx.k.conntrack.net(conn.netns).count >= max95.max(1) && can_early_drop(conn) {
            nf_ct_delete(cx, id);
        }
    }
    cx.k.conntrack.gc_early_drop = false;
    if any {
        cx.k.conntrack.gc_scheduled = true;
        let next = Nanos(mean.clamp(INTERVAL_MIN, INTERVAL_MAX) as u64);
        cx.set_timer(cx.now + next, gc_worker, 0);
    }
}
