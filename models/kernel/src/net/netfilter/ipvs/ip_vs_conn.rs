//! Connections: how they begin, expire and end.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_conn.c

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::ip_vs_core::{IpVsIphdr, conn, dest_mut, skb_ports};
use super::ip_vs_ctl::{CONNTRACK, EXPIRE_QUIESCENT_TEMPLATE, settings};
use super::ip_vs_nfct::ip_vs_conn_drop_conntrack;
use crate::Cx;
use crate::door::Func;
use crate::ids::{NetnsId, SkbId};
use crate::tables::ip_vs::conn::{CTPL_S_ASSURED, ConnId, ConnParam, IpVsConn, TCP_S_NONE};
use crate::tables::ip_vs::svc::DestId;
use crate::tables::ip_vs::{CONN_F_INACTIVE, CONN_F_NFCT, CONN_F_ONE_PACKET, CONN_F_TEMPLATE};
use crate::tables::jiffies::{JIFFY, last_tick, wheel_expiry};

/// Timeout of a connection before its protocol says another.
const FIRST_TIMEOUT: Nanos = Nanos::from_secs(3);
/// When a connection that cannot end yet is looked at again.
const LATER: Nanos = Nanos::from_secs(60);
/// The port of a template that is no longer valid.
const INVALID_PORT: u16 = 0xffff;

/// Client and service of a packet; of one that a destination sends (`inverse`: of one that an ICMP error quotes), the other
/// way round (`ip_vs_conn_fill_param_proto`).
fn param_of(cx: &Cx, skb: SkbId, iph: &IpVsIphdr) -> Option<ConnParam> {
    let (source, dest) = skb_ports(cx, skb, iph)?;
    let (client, server) = ((iph.saddr, source), (iph.daddr, dest));
    let (client, server) = if iph.inverse { (server, client) } else { (client, server) };
    Some(ConnParam {
        protocol: iph.protocol,
        caddr: client.0,
        cport: client.1,
        vaddr: server.0,
        vport: server.1,
    })
}

/// The connection of a packet from a client (`ip_vs_conn_in_get_proto`).
pub(super) fn ip_vs_conn_in_get(cx: &mut Cx, netns: NetnsId, skb: SkbId, iph: &IpVsIphdr) -> Option<ConnId> {
    cx.call(Func::IpVsConnInGet, skb);
    let param = param_of(cx, skb, iph)?;
    cx.k.ip_vs.conns.in_get(netns, &param)
}

/// The connection of a packet from a destination (`ip_vs_conn_out_get_proto`).
pub(super) fn ip_vs_conn_out_get(cx: &mut Cx, netns: NetnsId, skb: SkbId, iph: &IpVsIphdr) -> Option<ConnId> {
    cx.call(Func::IpVsConnOutGet, skb);
    let param = param_of(cx, skb, iph)?;
    cx.k.ip_vs.conns.out_get(netns, &param)
}

/// A new connection with a destination, in the table (`ip_vs_conn_new`).
pub(super) fn ip_vs_conn_new(
    cx: &mut Cx,
    netns: NetnsId,
    skb: SkbId,
    param: ConnParam,
    (daddr, dport): (Ipv4Addr, u16),
    flags: u32,
    dest: Option<DestId>,
) -> ConnId {
    cx.call(Func::IpVsConnNew, skb);
    let tracked = if settings(cx.k, netns).get(&CONNTRACK) != 0 { CONN_F_NFCT } else { 0 };
    let mut conn = IpVsConn {
        netns,
        param,
        daddr,
        dport,
        flags,
        fwmark: cx.skbs[skb].mark,
        dest: None,
        state: TCP_S_NONE,
        timeout: FIRST_TIMEOUT,
        expires: Nanos::ZERO,
        fires: Nanos::ZERO,
        armed: None,
        control: None,
        n_control: 0,
        in_pkts: 0,
        seq: 0,
    };
    if let Some(id) = dest {
        bind_dest(cx, &mut conn, id);
    }
    conn.flags |= tracked;
    cx.k.ip_vs.net_mut(netns).conn_count += 1;
    let hashed = !conn.has(CONN_F_ONE_PACKET);
    let id = cx.k.ip_vs.conns.add(conn);
    if hashed {
        cx.k.ip_vs.conns.hash(id);
    }
    id
}

/// A connection takes flags of its destination, which counts it (`ip_vs_bind_dest`).
fn bind_dest(cx: &mut Cx, conn: &mut IpVsConn, id: DestId) {
    let Some(dest) = dest_mut(cx.k, id) else { return };
    dest.refs += 1;
    conn.flags |= dest.conn_flags;
    conn.dest = Some(id);
    if conn.has(CONN_F_TEMPLATE) {
        dest.persistconns += 1;
        return;
    }
    dest.activeconns += i32::from(!conn.has(CONN_F_INACTIVE));
    dest.totalconns += 1;
    if dest.totalconns as u32 == dest.spec.u_threshold {
        dest.update_overload(1);
    }
}

/// The destination no longer counts a connection (`ip_vs_unbind_dest`).
fn unbind_dest(cx: &mut Cx, conn: &IpVsConn) {
    let Some(dest) = conn.dest.and_then(|id| dest_mut(cx.k, id)) else { return };
    dest.refs -= 1;
    if conn.has(CONN_F_TEMPLATE) {
        dest.persistconns -= 1;
        return;
    }
    dest.activeconns -= i32::from(!conn.has(CONN_F_INACTIVE));
    let before = dest.totalconns;
    dest.totalconns -= 1;
    if before as u32 == dest.l_threshold() {
        dest.update_overload(-1);
    }
}

/// A packet is done with its connection, whose time begins anew (`ip_vs_conn_put`). With one-packet scheduling it ends.
pub(super) fn ip_vs_conn_put(cx: &mut Cx, id: ConnId) {
    cx.call(Func::IpVsConnPut, None);
    let Some(conn) = conn(cx.k, id) else { return };
    if conn.has(CONN_F_ONE_PACKET) {
        ip_vs_conn_expire(cx, id);
    } else {
        let timeout = conn.timeout;
        mod_timer(cx, id, timeout);
    }
}

/// Sets the timer of a connection (`mod_timer`). Where one of the machine's is set for sooner, that puts itself off.
fn mod_timer(cx: &mut Cx, id: ConnId, timeout: Nanos) {
    let now = cx.now;
    let Some(conn) = cx.k.ip_vs.conns.get_mut(id) else { return };
    conn.expires = last_tick(now) + timeout;
    conn.fires = wheel_expiry(now, conn.expires);
    let fires = conn.fires;
    if conn.armed.is_none_or(|armed| armed > fires) {
        conn.armed = Some(fires);
        cx.set_timer(fires, conn_timer, id.0);
    }
}

/// A timer that was set for a connection runs.
fn conn_timer(cx: &mut Cx, number: u32) {
    let (id, now) = (ConnId(number), cx.now);
    let Some(conn) = cx.k.ip_vs.conns.get_mut(id).filter(|conn| conn.armed.is_some_and(|at| at <= now))
    else {
        return;
    };
    if conn.fires > now {
        let fires = conn.fires;
        conn.armed = Some(fires);
        cx.set_timer(fires, conn_timer, number);
        return;
    }
    conn.armed = None;
    ip_vs_conn_expire(cx, id);
}

/// A connection expires as soon as timers run (`ip_vs_conn_expire_now`).
pub(super) fn ip_vs_conn_expire_now(cx: &mut Cx, id: ConnId) {
    let tick = last_tick(cx.now);
    if conn(cx.k, id).is_some_and(|conn| conn.expires > tick) {
        mod_timer(cx, id, Nanos::ZERO);
    }
}

/// Ends a connection, unless others were made by it (`ip_vs_conn_expire`).
fn ip_vs_conn_expire(cx: &mut Cx, id: ConnId) {
    cx.call(Func::IpVsConnExpire, None);
    let Some(conn) = cx.k.ip_vs.conns.get_mut(id) else { return };
    if conn.n_control > 0 {
        conn.timeout = LATER;
        return mod_timer(cx, id, LATER);
    }
    let Some(conn) = cx.k.ip_vs.conns.remove(id) else { return };
    if let Some(template) = conn.control
        && let Some(control) = cx.k.ip_vs.conns.get_mut(template)
    {
        control.n_control -= 1;
        let is_left = conn.timeout == Nanos::ZERO && control.n_control == 0;
        if is_left && !(control.has(CONN_F_TEMPLATE) && control.state & CTPL_S_ASSURED != 0) {
            ip_vs_conn_del(cx, template);
        }
    }
    if conn.has(CONN_F_NFCT) && !conn.has(CONN_F_ONE_PACKET) {
        ip_vs_conn_drop_conntrack(cx, &conn);
    }
    unbind_dest(cx, &conn);
    cx.k.ip_vs.net_mut(conn.netns).conn_count -= 1;
}

/// Ends a connection, and its template if nothing else needs it (`ip_vs_conn_del`).
fn ip_vs_conn_del(cx: &mut Cx, id: ConnId) {
    if let Some(conn) = cx.k.ip_vs.conns.get_mut(id) {
        if conn.control.is_some() {
            conn.timeout = Nanos::ZERO;
        }
        ip_vs_conn_expire(cx, id);
    }
}

/// A connection is one of a template's (`ip_vs_control_add`).
pub(super) fn ip_vs_control_add(cx: &mut Cx, id: ConnId, template: ConnId) {
    if let Some(template) = cx.k.ip_vs.conns.get_mut(template) {
        template.n_control += 1;
    }
    if let Some(conn) = cx.k.ip_vs.conns.get_mut(id) {
        conn.control = Some(template);
    }
}

/// A connection of a template was established (`ip_vs_control_assure_ct`).
pub(super) fn ip_vs_control_assure_ct(cx: &mut Cx, id: ConnId) {
    let control = conn(cx.k, id).and_then(|conn| conn.control);
    if let Some(template) = control.and_then(|id| cx.k.ip_vs.conns.get_mut(id))
        && template.has(CONN_F_TEMPLATE)
    {
        template.state |= CTPL_S_ASSURED;
    }
}

/// The template's destination is still there; otherwise it is a template no more (`ip_vs_check_template`).
pub(super) fn ip_vs_check_template(cx: &mut Cx, skb: SkbId, id: ConnId) -> bool {
    cx.call(Func::IpVsCheckTemplate, skb);
    let Some(template) = conn(cx.k, id) else { return false };
    let expires = settings(cx.k, template.netns).get(&EXPIRE_QUIESCENT_TEMPLATE) != 0;
    let dest = template.dest.and_then(|id| cx.k.ip_vs.services.dest(id));
    if dest.is_some_and(|dest| dest.available && !(expires && dest.spec.weight == 0)) {
        return true;
    }
    if template.param.vport != INVALID_PORT {
        let conns = &mut cx.k.ip_vs.conns;
        conns.unhash(id);
        if let Some(conn) = conns.get_mut(id) {
            (conn.dport, conn.param.vport, conn.param.cport) = (INVALID_PORT, INVALID_PORT, 0);
        }
        conns.hash(id);
    }
    false
}

/// Ends the connections of a namespace that are `wanted`, and templates that no other connection needs
/// (`ip_vs_conn_flush`, `ip_vs_expire_nodest_conn_flush`).
fn flush(cx: &mut Cx, netns: NetnsId, wanted: impl Fn(&Cx, &IpVsConn) -> bool) {
    for id in cx.k.ip_vs.conns.list(netns) {
        let Some(conn) = conn(cx.k, id).filter(|conn| conn.n_control == 0 && wanted(cx, conn)) else {
            continue;
        };
        let control = conn.control;
        ip_vs_conn_del(cx, id);
        if let Some(template) = control.filter(|id| conn_is_free(cx, *id)) {
            ip_vs_conn_del(cx, template);
        }
    }
}

fn conn_is_free(cx: &Cx, id: ConnId) -> bool {
    conn(cx.k, id).is_some_and(|conn| conn.n_control == 0)
}

/// Ends the connections whose destination was removed (`expire_nodest_conn_handler`); the argument is the namespace.
pub(super) fn expire_nodest_conn_handler(cx: &mut Cx, netns: u32) {
    flush(cx, NetnsId(netns), |cx, conn| {
        let dest = conn.dest.and_then(|id| cx.k.ip_vs.services.dest(id));
        dest.is_some_and(|dest| !dest.available)
    });
}

/// Connections of removed destinations end with the next tick (`ip_vs_enqueue_expire_nodest_conns`).
pub(super) fn ip_vs_enqueue_expire_nodest_conns(cx: &mut Cx, netns: NetnsId) {
    let at = wheel_expiry(cx.now, last_tick(cx.now) + Nanos(JIFFY));
    cx.set_timer(at, expire_nodest_conn_handler, netns.0);
}

/// Ends all connections of a namespace that ends (`ip_vs_conn_net_cleanup`).
pub(super) fn ip_vs_conn_net_cleanup(cx: &mut Cx, netns: NetnsId) {
    for _ in 0..2 {
        flush(cx, netns, |_, _| true);
    }
}
