//! Event cache: events of a connection are collected while a packet passes and reported when it is confirmed.
//!
//! Kernel: net/netfilter/nf_conntrack_ecache.c

use crate::Cx;
use crate::tables::conntrack::event::{CtEvent, EventKind, ExpectEvent, IPEXP_DESTROY, IPEXP_NEW, Message};
use crate::tables::conntrack::{Conn, CtId, CtNet, CtSysctl, Expect};

/// Event masks of a connection and of its expectations: those that a rule gave, or all (`nf_ct_ecache_ext_add`); none if
/// events are off and no rule asks for any.
pub(super) fn nf_ct_ecache_masks(net: &CtNet, masks: (u16, u16)) -> (u16, u16) {
    match net.sysctl(CtSysctl::Events) {
        0 => masks,
        // Automatic (2): no events without listeners.
        2 if net.listeners == 0 => (0, 0),
        _ if masks == (0, 0) => (u16::MAX, u16::MAX),
        _ => masks,
    }
}

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
        if listener.hears(conn.netns, kind, false) {
            let event = CtEvent { kind, events, at: cx.now, portid, conn: conn.clone() };
            listener.queue.push_back(Message::Conn(event));
            told = true;
        }
    }
    if told {
        cx.wake_up();
    }
}

/// Reports an event of an expectation to the listeners (`nf_ct_expect_event_report`).
pub fn report_expect(cx: &mut Cx, expect: &Expect, kind: EventKind) {
    if cx.k.conntrack.listeners.is_empty() {
        return;
    }
    let Some(master) = cx.k.conntrack.get(expect.master) else { return };
    let event = if kind == EventKind::Destroy { IPEXP_DESTROY } else { IPEXP_NEW };
    let Some(ext) = master.ext.as_ref().filter(|ext| ext.expmask & event != 0) else { return };
    let Some(help) = &ext.help else { return };
    let (netns, master, helper) = (master.netns, master.tuples[0], help.helper.name);
    for listener in cx.k.conntrack.listeners.values_mut().filter(|each| each.hears(netns, kind, true)) {
        let event = ExpectEvent { kind, at: cx.now, expect: expect.clone(), master, helper };
        listener.queue.push_back(Message::Expect(event));
    }
    cx.wake_up();
}
