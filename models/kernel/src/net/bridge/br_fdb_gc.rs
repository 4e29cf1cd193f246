//! Deleting aged entries of the forwarding database.
//!
//! Kernel: net/bridge/br_fdb.c (`br_fdb_cleanup`)

use glassnet_sim::Nanos;

use super::br_fdb::{bridge_mut, delete_if, has_expired};
use crate::Cx;
use crate::ids::DevId;
use crate::tables::bridge::{Bridge, FdbEntry, FdbGc};
use crate::tables::jiffies::{JIFFY, last_tick, wheel_expiry};

/// Least time between two searches: 10 ms in ticks.
const LEAST: Nanos = Nanos(10_000_000_u64.div_ceil(JIFFY) * JIFFY);

/// The bridge comes up: the first search is soon (`br_stp_enable_bridge`).
pub(super) fn start_gc(cx: &mut Cx, bridge: DevId) {
    let now = last_tick(cx.now);
    set(cx, bridge, now, now + Nanos::from_millis(100));
}

/// The bridge goes down (`br_stp_disable_bridge`).
pub(super) fn stop_gc(cx: &mut Cx, bridge: DevId) {
    bridge_mut(cx, bridge).gc = None;
}

/// The ageing time changed: searches at once (`br_set_ageing_time`).
pub(super) fn run_gc(cx: &mut Cx, bridge: DevId) {
    let now = last_tick(cx.now);
    bridge_mut(cx, bridge).gc = Some(FdbGc { set: now, expires: now, armed: false });
    search(cx, bridge);
}

/// There is an entry that ages.
pub(super) fn arm_gc(cx: &mut Cx, bridge: DevId) {
    let now = last_tick(cx.now);
    let br = bridge_mut(cx, bridge);
    if br.gc.is_some_and(|gc| gc.armed) {
        return;
    }
    if let Some(gc) = last_set(br, now) {
        set(cx, bridge, gc.set, gc.expires);
    }
}

/// The work as it was last set at this time. While nothing ages there are no events: what each search would have set is made
/// up for here.
pub(super) fn last_set(br: &Bridge, now: Nanos) -> Option<FdbGc> {
    let (hold, gc) = (br.conf.ageing_time.max(LEAST), br.gc?);
    if gc.armed || due(gc) > now {
        return Some(gc);
    }
    let set_at = |set: Nanos| FdbGc { set, expires: set + hold, armed: false };
    let second = set_at(due(gc));
    if due(second) > now {
        return Some(second);
    }
    // From here on each is at the end of a slot, and they are equally far apart.
    let third = due(second);
    let period = due(set_at(third)).since(third).0;
    Some(set_at(third + Nanos(now.since(third).0 / period * period)))
}

/// When the timer really expires.
fn due(gc: FdbGc) -> Nanos {
    wheel_expiry(gc.set, gc.expires)
}

fn set(cx: &mut Cx, bridge: DevId, now: Nanos, expires: Nanos) {
    let br = bridge_mut(cx, bridge);
    let armed = br.fdb.iter().any(ages);
    let gc = FdbGc { set: now, expires, armed };
    br.gc = Some(gc);
    if armed {
        cx.set_timer(due(gc), br_fdb_cleanup, bridge.0);
    }
}

fn ages(entry: &FdbEntry) -> bool {
    !entry.is_static && !entry.added_by_external_learn
}

/// The timer. Ignored if it was set anew, or the bridge deleted.
fn br_fdb_cleanup(cx: &mut Cx, bridge: u32) {
    let (bridge, now) = (DevId(bridge), last_tick(cx.now));
    let gc = cx.k.devs.get(bridge).and_then(|dev| dev.bridge()?.gc);
    if gc.is_some_and(|gc| gc.armed && due(gc) <= now) {
        search(cx, bridge);
    }
}

/// Deletes entries that have expired; the next search is when the next one does.
fn search(cx: &mut Cx, bridge: DevId) {
    let now = last_tick(cx.now);
    let hold = bridge_mut(cx, bridge).conf.ageing_time;
    delete_if(cx, bridge, |entry| has_expired(entry, now, hold));
    let br = bridge_mut(cx, bridge);
    let left =
        br.fdb.iter().filter(|entry| ages(entry)).map(|entry| (last_tick(entry.updated) + hold).since(now));
    let wait = left.min().map_or(hold, |first| first.min(hold)).max(LEAST);
    set(cx, bridge, now, now + wait);
}
