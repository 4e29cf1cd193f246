//! Event cache: events of a connection are collected while a packet passes and reported when it is confirmed.
//!
//! Kernel: net/netfilter/nf_conntrack_ecache.c

use crate::Cx;
use crate::tables::conntrack::event::{CtEvent, EventKind};
use crate::tables::conntrack::{Conn, CtId};

/// Caches an event (`nf_conntrack_event_cache`).
#[inline]
pub(crate) fn cache(conn: &mut Conn, event: u16) {
    if conn.ctmask != 0 {
        conn.event_cache |= event;
    }
}

/// Reports the cached events (`nf_ct_deliver_cached_events`).
#[inline]
pub fn nf_ct_deliver_cached_events(cx: &mut Cx, id: CtId) {
    let Some(conn) = cx.k.conntrack.get_mut(id) else { return };
    let events = std::mem::take(&mut conn.event_cache);
    if events != 0 && conn.is_confirmed() {
        report(cx, id, events);
    }
}

/// Reports events to the listeners (`nf_conntrack_eventmask_report`).
#[inline]
pub fn report(cx: &mut Cx, id: CtId, events: u16) {
    if !cx.k.conntrack.listeners.is_empty() {
        tell(cx, id, events);
    }
}

#[cold]
fn tell(cx: &mut Cx, id: CtId, events: u16) {
    let Some(conn) = cx.k.conntrack.get(id) else { return };
    let events = events & conn.ctmask;
    let Some(kind) = EventKind::of(events) else { return };
    let conn = conn.clone();
    let (mut told, portid) = (false, cx.k.conntrack.on_behalf_of);
    for listener in cx.k.conntrack.listeners.values_mut() {
        if listener.netns == conn.netns && listener.kinds & kind.bit() != 0 {
            listener.queue.push_back(CtEvent { kind, events, at: cx.now, portid, conn: conn.clone() });
            told = true;
        }
    }
    if told {
        cx.wake_up();
    }
}
