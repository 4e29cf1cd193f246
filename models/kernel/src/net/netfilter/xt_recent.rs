//! `-m recent`.
//!
//! Kernel: net/netfilter/xt_recent.c

use super::x_tables::Par;
use super::xt_owner::{Sender, sender};
use crate::Cx;
use crate::tables::jiffies::{HZ, jiffies};
use crate::tables::recent::{RecentTable, RecentTables};
use crate::tables::xt::matches::{Recent, RecentMode};

/// The address is in the list as the rule asks, which may change the list.
pub fn recent_mt(cx: &mut Cx, par: &mut Par, with: &Recent) -> bool {
    let now = jiffies(cx.now);
    let addr = if with.dest { par.iph.daddr.get() } else { par.iph.saddr.get() };
    // As it was before this host forwarded it.
    let forwarded = par.state.output.is_some() && sender(cx, par) == Sender::Nobody;
    let ttl = par.iph.ttl.wrapping_add(u8::from(forwarded));
    let tables: &mut RecentTables = &mut cx.k.netns[par.state.netns].recent;
    let Some(table) = tables.get_mut(&with.name) else { return false };
    let addr = addr & table.mask;
    let Some(at) = table.lookup(addr, if with.rttl { ttl } else { 0 }) else {
        if with.mode == RecentMode::Set {
            table.insert(addr, ttl, now);
            return !with.invert;
        }
        return with.invert;
    };
    let matched = match with.mode {
        RecentMode::Set => !with.invert,
        RecentMode::Remove => {
            table.entries.remove(at);
            return !with.invert;
        }
        RecentMode::Rcheck | RecentMode::Update => was_seen(table, at, with, now) != with.invert,
    };
    if with.mode == RecentMode::Set || with.mode == RecentMode::Update && matched {
        // What was reaped is not updated.
        if let Some(at) = table.lookup(addr, 0) {
            table.update(at, Some(ttl), now);
        }
    }
    matched
}

/// The address was seen as often as the rule asks in the time that it says.
fn was_seen(table: &mut RecentTable, at: usize, with: &Recent, now: u64) -> bool {
    let time = now.saturating_sub(u64::from(with.seconds) * HZ);
    let stamps = table.entries[at].stamps.iter();
    let hits = stamps.filter(|stamp| with.seconds == 0 || **stamp >= time).count();
    if with.reap {
        table.reap(time);
    }
    hits >= (with.hitcount as usize).max(1)
}
