//! ctnetlink: requests of programs to the connection table.
//!
//! Kernel: net/netfilter/nf_conntrack_netlink.c

use std::collections::VecDeque;

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_TCP;

use super::nf_conntrack_core::{add_extensions, nf_conntrack_alloc, nf_conntrack_find, nf_ct_delete};
use super::nf_conntrack_expect::nf_ct_unlink_expect;
use super::nf_conntrack_tuple::IPPROTO_SCTP;
use super::nf_nat_core::{Manip, NatRange, nf_nat_setup, null_binding};
use super::{nf_conntrack_ecache as ecache, nf_conntrack_gc};
use crate::Cx;
use crate::ids::NetnsId;
use crate::netlink::Errno;
use crate::tables::conntrack::event::{
    IPCT_ASSURED, IPCT_DESTROY, IPCT_MARK, IPCT_NEW, IPCT_PROTOINFO, IPCT_REPLY, Message,
};
use crate::tables::conntrack::table::Listener;
use crate::tables::conntrack::{
    Conn, Conntrack, CtEvent, CtId, Expect, IPS_ASSURED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY, Proto, SctpState,
    TcpState, Tuple, nfct_time_stamp,
};
use crate::tables::jiffies::HZ;

/// Attributes of a connection that a program creates or changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtChange {
    /// Timeout, seconds.
    pub timeout: Option<u64>,
    /// Mark and mask of the bits that it replaces.
    pub mark: Option<(u32, u32)>,
    /// `IPS_*` bits to set.
    pub status: Option<u16>,
    /// TCP state.
    pub state: Option<TcpState>,
    /// SCTP state.
    pub sctp_state: Option<SctpState>,
    /// SCTP's verification tags of both directions.
    pub vtags: [Option<u32>; 2],
}

/// All connections of a namespace (`ctnetlink_dump_table`), in order of creation; expired ones are deleted instead.
///
/// The kernel's order depends on a random seed.
pub fn ctnetlink_dump_table(cx: &mut Cx, netns: NetnsId) -> Vec<CtId> {
    let mut found = cx.k.conntrack.confirmed();
    found.retain(|id| {
        let here = cx.k.conntrack.get(*id).is_some_and(|conn| conn.netns == netns);
        let expired = here && cx.k.conntrack.get(*id).is_some_and(|conn| conn.is_expired(cx.now));
        if expired {
            nf_ct_delete(cx, *id);
        }
        here && !expired
    });
    found
}

/// The connection that has this tuple, in either direction (`ctnetlink_get_conntrack`).
pub fn ctnetlink_get_conntrack(cx: &mut Cx, netns: NetnsId, zone: [u16; 2], tuple: &Tuple) -> Option<CtId> {
    nf_conntrack_find(cx, netns, zone, tuple).map(|found| found.0)
}

/// Deletes a connection for a program (`ctnetlink_del_conntrack`); false if it was deleted before.
pub fn ctnetlink_del_conntrack(cx: &mut Cx, id: CtId, portid: u32) -> bool {
    cx.k.conntrack.on_behalf_of = Some(portid);
    let deleted = nf_ct_delete(cx, id);
    cx.k.conntrack.on_behalf_of = None;
    deleted
}

/// Deletes all connections of a namespace (`ctnetlink_flush_conntrack`).
pub fn ctnetlink_flush_conntrack(cx: &mut Cx, netns: NetnsId, portid: u32) {
    for id in cx.k.conntrack.confirmed() {
        if cx.k.conntrack.get(id).is_some_and(|conn| conn.netns == netns) {
            ctnetlink_del_conntrack(cx, id, portid);
        }
    }
}

/// Changes a connection (`ctnetlink_change_conntrack`), and tells the listeners.
///
/// # Errors
///
/// `ENOENT` if it was deleted, `EPERM` for the timeout if `IPS_FIXED_TIMEOUT` is set.
pub fn ctnetlink_change_conntrack(cx: &mut Cx, id: CtId, change: CtChange, portid: u32) -> Result<(), Errno> {
    let now = cx.now;
    let conn = cx.k.conntrack.get_mut(id).filter(|conn| conn.is_confirmed()).ok_or(Errno::ENOENT)?;
    apply(conn, now, change)?;
    let events = if conn.has(IPS_ASSURED) { IPCT_ASSURED } else { IPCT_REPLY };
    cx.k.conntrack.on_behalf_of = Some(portid);
    ecache::report(cx, id, events | IPCT_MARK | IPCT_PROTOINFO);
    cx.k.conntrack.on_behalf_of = None;
    Ok(())
}

fn apply(conn: &mut Conn, now: Nanos, change: CtChange) -> Result<(), Errno> {
    if let Some(secs) = change.timeout {
        if conn.has(IPS_FIXED_TIMEOUT) {
            return Err(Errno::EPERM);
        }
        let start = if conn.is_confirmed() { nfct_time_stamp(now) } else { Nanos::ZERO };
        conn.timeout = start + Nanos::from_secs(secs.min(i32::MAX as u64 / HZ));
    }
    if let Some(status) = change.status {
        conn.status |= status & (IPS_ASSURED | IPS_SEEN_REPLY | IPS_FIXED_TIMEOUT);
    }
    if let Some((mark, mask)) = change.mark {
        conn.mark = conn.mark & !mask ^ mark;
    }
    match &mut conn.proto {
        Proto::Tcp(track) => track.state = change.state.unwrap_or(track.state),
        Proto::Sctp(track) => {
            track.state = change.sctp_state.unwrap_or(track.state);
            for (tag, new) in track.vtag.iter_mut().zip(change.vtags) {
                *tag = new.unwrap_or(*tag);
            }
        }
        Proto::None | Proto::Udp { .. } => {}
    }
    Ok(())
}

/// Creates a connection (`ctnetlink_create_conntrack`). `nat`: the new destination and source; if only one is given,
/// the other is not changed.
///
/// # Errors
///
/// `EEXIST` if another connection has one of its tuples, `ENOMEM` if the table is full.
pub fn ctnetlink_create_conntrack(
    cx: &mut Cx,
    netns: NetnsId,
    zone: [u16; 2],
    tuples: [Tuple; 2],
    change: CtChange,
    nat: [Option<NatRange>; 2],
    portid: u32,
) -> Result<(), Errno> {
    if tuples.iter().any(|tuple| nf_conntrack_find(cx, netns, zone, tuple).is_some()) {
        return Err(Errno::EEXIST);
    }
    let mut conn = Conn::new(netns, tuples[0], tuples[1], zone);
    match tuples[0].proto {
        IPPROTO_TCP => conn.proto = Proto::Tcp(Box::default()),
        IPPROTO_SCTP => conn.proto = Proto::Sctp(Box::default()),
        _ => {}
    }
    add_extensions(cx, &mut conn, (0, 0));
    apply(&mut conn, cx.now, change)?;
    let (now, tick) = (cx.now, nfct_time_stamp(cx.now));
    conn.timeout = tick + conn.timeout;
    if let Some((start, _)) = conn.ext.as_mut().and_then(|ext| ext.tstamp.as_mut()) {
        *start = now;
    }
    let id = nf_conntrack_alloc(cx, conn).map_err(|_| Errno::ENOMEM)?;
    if nat.iter().any(Option::is_some) {
        for (range, manip) in nat.into_iter().zip([Manip::Dst, Manip::Src]) {
            let own = cx.k.conntrack.get(id).map(|conn| null_binding(conn, manip)).unwrap_or_default();
            nf_nat_setup(cx, id, &range.unwrap_or(own), manip);
        }
    }
    cx.k.conntrack.insert(id);
    // From here on only the table holds a reference.
    cx.k.conntrack.put(id);
    cx.k.conntrack.net_mut(netns).stats.insert += 1;
    nf_conntrack_gc::schedule(cx);
    cx.k.conntrack.on_behalf_of = Some(portid);
    ecache::report(cx, id, IPCT_NEW);
    cx.k.conntrack.on_behalf_of = None;
    Ok(())
}

/// Sets the counters to 0 after they were read (`IPCTNL_MSG_CT_GET_CTRZERO`).
pub fn ctnetlink_zero(cx: &mut Cx, id: CtId) {
    if let Some(counters) = cx.k.conntrack.get_mut(id).and_then(|conn| conn.acct.as_mut()) {
        **counters = Default::default();
    }
}

/// Subscribes a program to a namespace's events, of connections or of expectations: kinds as
/// [`crate::tables::conntrack::EventKind::bit`]s. Returns the listener's number.
pub fn ctnetlink_listen(cx: &mut Cx, netns: NetnsId, kinds: u8, expectations: bool) -> u32 {
    let table = &mut cx.k.conntrack;
    let number = table.listeners.last_key_value().map_or(0, |last| last.0 + 1);
    table.listeners.insert(number, Listener { netns, kinds, expectations, queue: VecDeque::new() });
    table.net_mut(netns).listeners += 1;
    number
}

/// Takes a listener's next event.
pub fn ctnetlink_next_event(cx: &mut Cx, listener: u32) -> Option<Message> {
    cx.k.conntrack.listeners.get_mut(&listener)?.queue.pop_front()
}

/// Ends a subscription.
pub fn ctnetlink_unlisten(cx: &mut Cx, listener: u32) {
    if let Some(listener) = cx.k.conntrack.listeners.remove(&listener) {
        let net = cx.k.conntrack.net_mut(listener.netns);
        net.listeners = net.listeners.saturating_sub(1);
    }
}

/// The timeout in an event; an expired connection has none.
pub fn event_timeout(event: &CtEvent) -> Option<u64> {
    let left = event.conn.expires_secs(event.at);
    (event.events & IPCT_DESTROY == 0 || left > 0).then_some(left)
}

/// An expectation of a namespace, with its master's original tuple and helper.
#[derive(Clone, Debug)]
pub struct ExpectEntry {
    /// The expectation.
    pub expect: Expect,
    /// Original tuple of the connection that announced it.
    pub master: Tuple,
    /// Name of that connection's helper.
    pub helper: &'static str,
}

/// All expectations of a namespace, oldest first (`ctnetlink_exp_dump_table`).
pub fn ctnetlink_exp_dump_table(table: &Conntrack, netns: NetnsId) -> Vec<ExpectEntry> {
    let entry = |expect: &Expect| {
        let master = table.get(expect.master)?;
        let (master, helper) = (master.tuples[0], master.help()?.helper.name);
        Some(ExpectEntry { expect: expect.clone(), master, helper })
    };
    table.expectations.iter().filter(|expect| expect.netns == netns).filter_map(entry).collect()
}

/// Deletes all expectations of a namespace (`ctnetlink_del_expect`).
pub fn ctnetlink_exp_flush(cx: &mut Cx, netns: NetnsId) {
    for entry in ctnetlink_exp_dump_table(&cx.k.conntrack, netns) {
        nf_ct_unlink_expect(cx, entry.expect.number);
    }
}
