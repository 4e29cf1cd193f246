//! Connection tracking: finding or creating a packet's connection, and the life cycle of an entry.
//!
//! Kernel: net/netfilter/nf_conntrack_core.c

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Ipv4Hdr};
use zerocopy::FromBytes;

use super::nf_conntrack_ecache as ecache;
use super::nf_conntrack_expect::{nf_ct_find_expectation, nf_ct_remove_expectations};
use super::nf_conntrack_helper::{helper_of, nf_ct_try_assign_helper};
use super::nf_conntrack_tuple::{IPPROTO_SCTP, IPPROTO_UDPLITE, nf_ct_get_tuple};
use super::{
    nf_conntrack_proto_generic as generic, nf_conntrack_proto_icmp as icmp, nf_conntrack_proto_sctp as sctp,
    nf_conntrack_proto_tcp as tcp, nf_conntrack_proto_udp as udp,
};
use crate::Cx;
use crate::door::Func;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::note::{ConnNote, ConntrackNote, Note};
use crate::tables::conntrack::event::{IPCT_DESTROY, IPCT_HELPER, IPCT_NEW, IPCT_RELATED, IPCT_REPLY};
use crate::tables::conntrack::{
    Conn, Conntrack, CtId, CtInfo, CtSysctl, Dir, IPS_ASSURED, IPS_DYING, IPS_EXPECTED, IPS_FIXED_TIMEOUT,
    IPS_NAT_CLASH, IPS_SEEN_REPLY, IPS_ZONE_MARK, NfCt, Proto, SctpState, TcpState, Tuple, nfct_time_stamp,
};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::HookState;

/// GRE.
pub const IPPROTO_GRE: u8 = 47;

/// Verdict of a protocol's packet handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// `NF_ACCEPT`: the packet belongs to the connection.
    Accept,
    /// `-NF_ACCEPT`: the packet is INVALID and passes without a connection.
    Invalid,
    /// `-NF_DROP`: the packet is dropped.
    Drop,
    /// `-NF_REPEAT`: the connection was deleted; the packet creates a new one.
    Repeat,
}

/// Argument of a protocol's packet handler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    /// The packet; its data begins at the IPv4 header.
    pub skb: SkbId,
    /// Offset of the IPv4 payload in the data, bytes.
    pub dataoff: usize,
    /// Hook state.
    pub state: HookState,
    /// Its connection.
    pub id: CtId,
    /// `ctinfo`: direction and relation to the connection.
    pub info: CtInfo,
}

/// The note about a connection.
fn conn_note(cx: &Cx, id: CtId) -> Option<ConnNote> {
    let conn = cx.k.conntrack.get(id)?;
    Some(ConnNote {
        tuples: conn.tuples,
        // Until the entry is confirmed, `timeout` is a duration.
        left: if conn.is_confirmed() { conn.timeout.since(cx.now) } else { conn.timeout },
        tcp: match &conn.proto {
            Proto::Tcp(track) => Some(track.state),
            _ => None,
        },
        seen_reply: conn.has(IPS_SEEN_REPLY),
        assured: conn.has(IPS_ASSURED),
        mark: conn.mark,
        zone: conn.zone[0],
    })
}

/// Finds or creates the packet's connection and calls the protocol's handler (`nf_conntrack_in`).
pub fn nf_conntrack_in(cx: &mut Cx, skb: SkbId, state: HookState) -> Verdict {
    cx.within(Func::NfConntrackIn, skb, |cx| {
        let template = match cx.skbs[skb].nfct {
            NfCt::None => None,
            NfCt::RelatedToNone => {
                cx.skbs[skb].nfct = NfCt::None;
                None
            }
            // Tracked already, before it was looped back by lo; or untracked.
            NfCt::Conn(..) | NfCt::Untracked => return Verdict::Accept,
            NfCt::Template(id) => {
                // The packet's reference to the template passes to this function.
                cx.skbs[skb].nfct = NfCt::None;
                Some(id)
            }
        };
        let verdict = track(cx, skb, state, template);
        if let Some(template) = template {
            cx.k.conntrack.put(template);
        }
        cx.note(|cx| {
            Note::Conntrack(match cx.nf_ct_get(skb) {
                Some((id, info)) => ConntrackNote::Found(info, conn_note(cx, id)),
                None => ConntrackNote::Invalid,
            })
        });
        verdict
    })
}

fn track(cx: &mut Cx, skb: SkbId, state: HookState, template: Option<CtId>) -> Verdict {
    let Some((tuple, dataoff)) = nf_ct_get_tuple(cx.skbs.data(skb)) else {
        if is_short_icmp(cx.skbs.data(skb)) {
            cx.k.conntrack.net_mut(state.netns).stats.error += 1;
        } else {
            cx.k.conntrack.net_mut(state.netns).stats.invalid += 1;
        }
        return Verdict::Accept;
    };
    let zone = template.map_or([0, 0], |id| zone_of_template(cx, skb, id));
    if tuple.proto == IPPROTO_ICMP {
        match icmp::nf_conntrack_icmpv4_error(cx, skb, dataoff, state, zone) {
            icmp::Error::No => {}
            icmp::Error::Related => return Verdict::Accept,
            icmp::Error::Invalid => {
                cx.k.conntrack.net_mut(state.netns).stats.error += 1;
                return Verdict::Accept;
            }
        }
    }
    loop {
        match resolve_normal_ct(cx, skb, state, template, zone, &tuple) {
            Resolved::Full => {
                cx.k.conntrack.net_mut(state.netns).stats.drop += 1;
                return Verdict::Drop(DropReason::NetfilterDrop);
            }
            Resolved::None => {
                cx.k.conntrack.net_mut(state.netns).stats.invalid += 1;
                return Verdict::Accept;
            }
            Resolved::Found(id, info) => {
                if let Some(verdict) = handle(cx, Packet { skb, dataoff, state, id, info }, tuple.proto) {
                    return verdict;
                }
            }
        }
    }
}

/// The template's zone (`nf_ct_zone_tmpl`), or the packet's mark if the template says so.
fn zone_of_template(cx: &Cx, skb: SkbId, template: CtId) -> [u16; 2] {
    let Some(template) = cx.k.conntrack.get(template) else { return [0, 0] };
    let by_mark = cx.skbs[skb].mark as u16;
    template.zone.map(|zone| if template.has(IPS_ZONE_MARK) { zone & by_mark } else { zone })
}

/// The IPv4 header is complete, the ICMP header is cut off.
fn is_short_icmp(packet: &[u8]) -> bool {
    Ipv4Hdr::ref_from_prefix(packet).is_ok_and(|(iph, _)| {
        iph.protocol == IPPROTO_ICMP && iph.fragment_offset() == 0 && iph.header_len() <= packet.len()
    })
}

/// Calls the protocol's handler; `None`: the lookup is to be repeated.
fn handle(cx: &mut Cx, packet: Packet, proto: u8) -> Option<Verdict> {
    let handled = match proto {
        IPPROTO_TCP => tcp::nf_conntrack_tcp_packet(cx, packet),
        IPPROTO_UDP | IPPROTO_UDPLITE => udp::nf_conntrack_udp_packet(cx, packet),
        IPPROTO_ICMP => icmp::nf_conntrack_icmp_packet(cx, packet),
        IPPROTO_SCTP => sctp::nf_conntrack_sctp_packet(cx, packet),
        _ => generic::generic_packet(cx, packet),
    };
    if handled != Handled::Accept {
        cx.nf_reset_ct(packet.skb);
        let stats = &mut cx.k.conntrack.net_mut(packet.state.netns).stats;
        match handled {
            Handled::Repeat => return None,
            Handled::Drop => {
                stats.invalid += 1;
                stats.drop += 1;
                return Some(Verdict::Drop(DropReason::NetfilterDrop));
            }
            _ => {
                stats.invalid += 1;
                return Some(Verdict::Accept);
            }
        }
    }
    if packet.info == CtInfo::EstablishedReply
        && let Some(conn) = cx.k.conntrack.get_mut(packet.id)
        && !conn.has(IPS_SEEN_REPLY)
    {
        conn.status |= IPS_SEEN_REPLY;
        ecache::cache(conn, IPCT_REPLY);
    }
    Some(Verdict::Accept)
}

enum Resolved {
    Found(CtId, CtInfo),
    /// The protocol cannot create a connection from this packet.
    None,
    /// The table is full.
    Full,
}

/// Finds the connection of a tuple; an expired one is deleted first (`nf_conntrack_find_get`, without a reference).
#[inline]
pub fn nf_conntrack_find(
    cx: &mut Cx,
    netns: crate::ids::NetnsId,
    zone: [u16; 2],
    tuple: &Tuple,
) -> Option<(CtId, Dir)> {
    find_live(cx, |table| table.find(netns, zone, tuple))
}

#[inline]
fn find_live(cx: &mut Cx, find: impl Fn(&Conntrack) -> Option<(CtId, Dir)>) -> Option<(CtId, Dir)> {
    loop {
        let (id, dir) = find(&cx.k.conntrack)?;
        let conn = cx.k.conntrack.get(id)?;
        if !conn.is_expired(cx.now) {
            return Some((id, dir));
        }
        nf_ct_delete(cx, id);
    }
}

/// Looks up or creates the packet's connection and attaches it to the packet (`resolve_normal_ct`).
#[inline]
fn resolve_normal_ct(
    cx: &mut Cx,
    skb: SkbId,
    state: HookState,
    template: Option<CtId>,
    zone: [u16; 2],
    tuple: &Tuple,
) -> Resolved {
    let (id, info) = match nf_conntrack_find(cx, state.netns, zone, tuple) {
        Some((id, dir)) => {
            cx.k.conntrack.hold(id);
            let status = cx.k.conntrack.get(id).map_or(0, |conn| conn.status);
            let (replied, expected) = (status & IPS_SEEN_REPLY != 0, status & IPS_EXPECTED != 0);
            let info = match dir {
                Dir::Reply => CtInfo::EstablishedReply,
                Dir::Original if replied => CtInfo::Established,
                Dir::Original if expected => CtInfo::Related,
                Dir::Original => CtInfo::New,
            };
            (id, info)
        }
        None => match init_conntrack(cx, skb, state, template, zone, tuple) {
            Ok(Some(id)) if cx.k.conntrack.get(id).is_some_and(|conn| conn.has(IPS_EXPECTED)) => {
                (id, CtInfo::Related)
            }
            Ok(Some(id)) => (id, CtInfo::New),
            Ok(None) => return Resolved::None,
            Err(Full) => return Resolved::Full,
        },
    };
    cx.nf_ct_set(skb, NfCt::Conn(id, info));
    Resolved::Found(id, info)
}

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Creates a connection with one reference; `None` if the tuple has no inverse (`init_conntrack`).
#[cold]
fn init_conntrack(
    cx: &mut Cx,
    skb: SkbId,
    state: HookState,
    template: Option<CtId>,
    zone: [u16; 2],
    tuple: &Tuple,
) -> Result<Option<CtId>, Full> {
    cx.call(Func::InitConntrack, skb);
    let Some(reply) = tuple.inverted() else { return Ok(None) };
    let mut conn = Conn::new(state.netns, *tuple, reply, zone);
    let template = template.and_then(|id| cx.k.conntrack.get(id));
    let masks = template
        .map_or((0, 0), |template| (template.ctmask, template.ext.as_ref().map_or(0, |ext| ext.expmask)));
    let helper = template.and_then(|template| template.help()).map(|help| help.helper);
    let expmask = add_extensions(cx, &mut conn, masks);
    let expect = nf_ct_find_expectation(cx, state.netns, zone, tuple);
    match &expect {
        Some(expect) => {
            conn.status |= IPS_EXPECTED;
            conn.ext_mut().master = Some(expect.master);
            conn.mark = cx.k.conntrack.get(expect.master).map_or(0, |master| master.mark);
        }
        None => nf_ct_try_assign_helper(&mut conn, helper, expmask),
    }
    let id = nf_conntrack_alloc(cx, conn)?;
    if let Some(expect) = expect {
        cx.k.conntrack.hold(expect.master);
        cx.k.conntrack.net_mut(state.netns).stats.expect_new += 1;
        if expect.nat.is_some()
            && let Some(ops) = helper_of(cx, expect.master)
        {
            (ops.expectfn)(cx, id, &expect);
        }
    }
    Ok(Some(id))
}

/// Adds the extensions that the sysctls and the template ask for: accounting, timestamps, event cache. `masks` are those
/// of the template; returns the event mask of the connection's expectations.
pub(super) fn add_extensions(cx: &Cx, conn: &mut Conn, masks: (u16, u16)) -> u16 {
    let net = cx.k.conntrack.net(conn.netns);
    conn.acct = net.is_on(CtSysctl::Acct).then(Default::default);
    if net.is_on(CtSysctl::Timestamp) {
        conn.ext_mut().tstamp = Some(Default::default());
    }
    let (ctmask, expmask) = ecache::nf_ct_ecache_masks(net, masks);
    conn.ctmask = ctmask;
    expmask
}

/// Allocates an entry with one reference (`__nf_conntrack_alloc`).
///
/// # Errors
///
/// [`Full`] at `nf_conntrack_max`, if `early_drop` freed no entry.
pub fn nf_conntrack_alloc(cx: &mut Cx, conn: Conn) -> Result<CtId, Full> {
    let (count, max) = (cx.k.conntrack.net(conn.netns).count, cx.k.conntrack.max);
    if max != 0 && count + 1 > max && !early_drop(cx, &conn) {
        cx.k.conntrack.gc_early_drop = true;
        super::nf_conntrack_gc::schedule(cx);
        cx.printk_limited(4, |_| vec!["nf_conntrack: nf_conntrack: table full, dropping packet".to_owned()]);
        return Err(Full);
    }
    Ok(cx.k.conntrack.alloc(conn))
}

/// Deletes entries without `IPS_ASSURED` in the new entry's part of the table (`early_drop`).
fn early_drop(cx: &mut Cx, new: &Conn) -> bool {
    let mut dropped = 0;
    for id in cx.k.conntrack.eviction_range(new.netns, new.zone[0], &new.tuples[0]) {
        let Some(conn) = cx.k.conntrack.get(id) else { continue };
        if conn.is_expired(cx.now) {
            nf_ct_delete(cx, id);
        } else if !conn.has(IPS_ASSURED | IPS_DYING) && conn.netns == new.netns && nf_ct_delete(cx, id) {
            dropped += 1;
        }
    }
    cx.k.conntrack.net_mut(new.netns).stats.early_drop += dropped;
    dropped > 0
}

/// Extends the timeout and counts the packet (`nf_ct_refresh_acct`). `len`: bytes from the IPv4 header on.
#[inline]
pub(super) fn nf_ct_refresh_acct(conn: &mut Conn, now: Nanos, dir: Dir, len: usize, timeout: Nanos) {
    nf_ct_refresh(conn, now, timeout);
    nf_ct_acct_add(conn, dir, len);
}

/// Sets the timeout to `now + timeout` (`nf_ct_refresh`).
#[inline]
pub(super) fn nf_ct_refresh(conn: &mut Conn, now: Nanos, timeout: Nanos) {
    if !conn.has(IPS_FIXED_TIMEOUT) {
        conn.timeout = if conn.is_confirmed() { nfct_time_stamp(now) + timeout } else { timeout };
    }
}

/// Counts a packet (`nf_ct_acct_add`).
#[inline]
pub(super) fn nf_ct_acct_add(conn: &mut Conn, dir: Dir, len: usize) {
    conn.count(dir, len);
}

/// Deletes a connection from the table and reports DESTROY (`nf_ct_delete`); false if it was deleted before.
pub fn nf_ct_delete(cx: &mut Cx, id: CtId) -> bool {
    let now = cx.now;
    let Some(conn) = cx.k.conntrack.get_mut(id) else { return false };
    if conn.has(IPS_DYING) {
        return false;
    }
    if !conn.is_confirmed() {
        conn.status |= IPS_DYING;
        return true;
    }
    if let Some((_, stop)) = conn.ext.as_mut().and_then(|ext| ext.tstamp.as_mut()) {
        *stop = Some(now);
    }
    ecache::report(cx, id, IPCT_DESTROY);
    if cx.k.conntrack.get(id).is_some_and(|conn| conn.help().is_some()) {
        nf_ct_remove_expectations(cx, id);
    }
    cx.k.conntrack.remove(id)
}

/// Inserts the new connection of a packet into the table at the last hook (`nf_conntrack_confirm`).
#[inline]
pub fn nf_conntrack_confirm(cx: &mut Cx, skb: SkbId) -> Verdict {
    let Some((id, info)) = cx.nf_ct_get(skb) else { return Verdict::Accept };
    let Some(conn) = cx.k.conntrack.get(id) else { return Verdict::Accept };
    if !conn.is_confirmed() {
        if let Err(verdict) = confirm(cx, skb, id, info) {
            return verdict;
        }
    } else if conn.event_cache == 0 {
        return Verdict::Accept;
    }
    if let Some((id, _)) = cx.nf_ct_get(skb) {
        ecache::nf_ct_deliver_cached_events(cx, id);
    }
    Verdict::Accept
}

/// Kernel: `__nf_conntrack_confirm`.
#[cold]
fn confirm(cx: &mut Cx, skb: SkbId, id: CtId, info: CtInfo) -> Result<(), Verdict> {
    if info.dir() == Dir::Reply {
        // Kernel's reply to a packet whose connection was never confirmed.
        return Ok(());
    }
    cx.call(Func::NfConntrackConfirm, skb);
    let Some(conn) = cx.k.conntrack.get(id) else { return Ok(()) };
    let netns = conn.netns;
    if conn.has(IPS_DYING) {
        cx.k.conntrack.net_mut(netns).stats.insert_failed += 1;
        return Err(Verdict::Drop(DropReason::NetfilterDrop));
    }
    let (tuples, zone) = (conn.tuples, conn.zone);
    for (tuple, by) in tuples.iter().zip(zone) {
        if let Some((other, dir)) = find_live(cx, |table| table.find_hashed(netns, zone, by, tuple)) {
            return nf_ct_resolve_clash(cx, skb, (id, info), (other, dir));
        }
    }
    let (now, tick) = (cx.now, nfct_time_stamp(cx.now));
    if let Some(conn) = cx.k.conntrack.get_mut(id) {
        conn.timeout = tick + conn.timeout;
        if let Some((start, _)) = conn.ext.as_mut().and_then(|ext| ext.tstamp.as_mut()) {
            *start = now;
        }
        if conn.help().is_some() {
            ecache::cache(conn, IPCT_HELPER);
        }
        ecache::cache(conn, if conn.master().is_some() { IPCT_RELATED } else { IPCT_NEW });
    }
    cx.k.conntrack.insert(id);
    super::nf_conntrack_gc::schedule(cx);
    cx.note(|cx| Note::Conntrack(ConntrackNote::Entered(conn_note(cx, id))));
    Ok(())
}

/// Protocols without a handshake may send twice before a reply (`allow_clash`).
pub fn allows_clash(proto: u8) -> bool {
    matches!(proto, IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_GRE)
}

/// Resolves an insertion clash (`nf_ct_resolve_clash`): the packet joins the other connection of the same flow, or
/// both entries stay for a second; otherwise the packet is dropped.
fn nf_ct_resolve_clash(
    cx: &mut Cx,
    skb: SkbId,
    (id, info): (CtId, CtInfo),
    (other, dir): (CtId, Dir),
) -> Result<(), Verdict> {
    let dropped = Err(Verdict::Drop(DropReason::NetfilterDrop));
    let (Some(conn), Some(rival)) = (cx.k.conntrack.get(id), cx.k.conntrack.get(other)) else {
        return dropped;
    };
    let netns = conn.netns;
    let allowed = allows_clash(conn.tuples[0].proto);
    let (conn, rival) = (conn.clone(), rival.clone());
    let same_flow = conn.tuples == rival.tuples && conn.zone == rival.zone;
    // Observed on Linux 6.18: an entry of another zone is not joined, with NAT or without.
    if allowed && same_flow {
        merge_clash(cx, skb, (&conn, info), other);
        cx.k.conntrack.net_mut(netns).stats.clash_resolve += 1;
        return Ok(());
    }
    let reply_free = cx.k.conntrack.find_hashed(netns, conn.zone, conn.zone[1], &conn.tuples[1]).is_none();
    if allowed && dir == Dir::Original && reply_free {
        let tick = nfct_time_stamp(cx.now);
        if let Some(conn) = cx.k.conntrack.get_mut(id) {
            // Valid for one reply, for one second.
            conn.timeout = tick + Nanos::from_secs(1);
            conn.status |= IPS_NAT_CLASH | IPS_FIXED_TIMEOUT;
        }
        cx.k.conntrack.insert(id);
        cx.k.conntrack.net_mut(netns).stats.clash_resolve += 1;
        return Ok(());
    }
    let stats = &mut cx.k.conntrack.net_mut(netns).stats;
    stats.insert_failed += 1;
    stats.drop += 1;
    dropped
}

/// Attaches the packet to the connection that was inserted first (`__nf_ct_resolve_clash`).
fn merge_clash(cx: &mut Cx, skb: SkbId, (lost, info): (&Conn, CtInfo), other: CtId) {
    let carried = lost.acct.as_deref().map(|counters| counters[info.dir() as usize]);
    if let Some(rival) = cx.k.conntrack.get_mut(other)
        && let (Some(counters), Some(carried)) = (&mut rival.acct, carried)
    {
        let counter = &mut counters[info.dir() as usize];
        counter.packets += carried.packets;
        counter.bytes += carried.bytes;
    }
    cx.k.conntrack.hold(other);
    cx.nf_ct_set(skb, NfCt::Conn(other, info));
}

/// Another connection that has not expired has this tuple, so NAT must choose another one
/// (`nf_conntrack_tuple_taken`).
pub fn nf_conntrack_tuple_taken(cx: &mut Cx, tuple: &Tuple, ignored: CtId) -> bool {
    while let Some(id) = cx.k.conntrack.taken_by(tuple, ignored) {
        let Some(conn) = cx.k.conntrack.get(id) else { return false };
        let netns = conn.netns;
        if !conn.is_expired(cx.now) {
            cx.k.conntrack.net_mut(netns).stats.found += 1;
            return true;
        }
        nf_ct_delete(cx, id);
    }
    false
}

/// Sets the reply tuple of a new connection after NAT (`nf_conntrack_alter_reply`).
pub fn nf_conntrack_alter_reply(cx: &mut Cx, id: CtId, reply: Tuple) {
    if let Some(conn) = cx.k.conntrack.get_mut(id) {
        debug_assert!(!conn.is_confirmed(), "only a new connection's tuples may change");
        conn.tuples[1] = reply;
    }
}

/// An entry with `IPS_ASSURED` may be dropped early (`gc_worker_can_early_drop`).
pub(super) fn can_early_drop(conn: &Conn) -> bool {
    let closing = |track: TcpState| {
        matches!(
            track,
            TcpState::FinWait
                | TcpState::LastAck
                | TcpState::TimeWait
                | TcpState::Close
                | TcpState::CloseWait
        )
    };
    let shutting_down = |state: SctpState| {
        matches!(state, SctpState::ShutdownSent | SctpState::ShutdownRecd | SctpState::ShutdownAckSent)
    };
    let ends = match &conn.proto {
        Proto::Tcp(track) => closing(track.state),
        Proto::Sctp(track) => shutting_down(track.state),
        Proto::None | Proto::Udp { .. } => false,
    };
    !conn.has(IPS_ASSURED) || ends
}

/// Deletes the connections that `wanted` selects (`nf_ct_iterate_cleanup`), in order of creation.
pub fn nf_ct_iterate_cleanup(cx: &mut Cx, mut wanted: impl FnMut(&Conn) -> bool) -> usize {
    let all = cx.k.conntrack.confirmed();
    all.into_iter()
        .filter(|id| cx.k.conntrack.get(*id).is_some_and(&mut wanted) && nf_ct_delete(cx, *id))
        .count()
}

/// Deletes all connections of a namespace that is destroyed (`nf_conntrack_cleanup_net`).
pub fn nf_conntrack_cleanup_net(cx: &mut Cx, netns: crate::ids::NetnsId) {
    nf_ct_iterate_cleanup(cx, |conn| conn.netns == netns);
}
