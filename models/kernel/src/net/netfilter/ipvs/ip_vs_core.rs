//! The hooks: packets of clients find a connection or a service, and those of destinations their connection.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_core.c
//! Not modelled: AH and ESP, the helper of FTP, synchronisation; sockets that want their fragments as they are (`IP_NODEFRAG`).

use std::net::Ipv4Addr;

use glassnet_wire::icmp::ICMP_DEST_UNREACH;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr};
use glassnet_wire::tcp::{TCP_RST, TCP_SYN, TcpHdr};
use zerocopy::big_endian::U16;

use super::ip_vs_conn::{
    ip_vs_check_template, ip_vs_conn_expire_now, ip_vs_conn_in_get, ip_vs_conn_net_cleanup, ip_vs_conn_new,
    ip_vs_conn_out_get, ip_vs_conn_put, ip_vs_control_add,
};
use super::ip_vs_ctl::{
    CACHE_BYPASS, CONN_REUSE_MODE, EXPIRE_NODEST_CONN, IGNORE_TUNNELED, NAT_ICMP_SEND, SNAT_REROUTE, SYSCTLS,
    ip_vs_flush, ip_vs_has_real_service, is_loaded, settings,
};
use super::ip_vs_est::ip_vs_estimator_net_init;
use super::ip_vs_icmp::{ip_vs_in_icmp, ip_vs_out_icmp};
use super::ip_vs_nfct::{ip_vs_notrack, ip_vs_update_conntrack};
use super::ip_vs_proto::{self, Direction, Scheduled, ip_vs_nat_packet};
use super::ip_vs_xmit::{ip_vs_bypass_xmit, ip_vs_xmit};
use crate::door::{Door, Func};
use crate::hook::{HookFn, HookOps, Verdict};
use crate::ids::{NetnsId, SkbId};
use crate::module::Module;
use crate::net::ipv4::fib_frontend::inet_addr_type;
use crate::net::ipv4::icmp::{ICMP_PORT_UNREACH, IcmpError, icmp_send};
use crate::net::ipv4::ip_fragment::gather;
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::netfilter::ip_route_me_harder;
use crate::note::{IpvsChooser, IpvsNote, Note};
use crate::tables::conntrack::NfCt;
use crate::tables::drop_reason::DropReason;
use crate::tables::frag::DefragUser;
use crate::tables::ip_vs::conn::{ConnId, ConnParam, IpVsConn, TCP_S_CLOSE, TCP_S_FIN_WAIT, TCP_S_TIME_WAIT};
use crate::tables::ip_vs::stats::Stats;
use crate::tables::ip_vs::svc::{Dest, DestId, SVC_F_ONEPACKET, SVC_F_PERSISTENT, Service, SvcId, SvcKey};
use crate::tables::ip_vs::{
    CONN_F_BYPASS, CONN_F_MASQ, CONN_F_NFCT, CONN_F_NOOUTPUT, CONN_F_ONE_PACKET, CONN_F_TEMPLATE,
    CONN_TAB_SIZE,
};
use crate::tables::klog::{LOG_ERR, LOG_INFO};
use crate::tables::netfilter::{Hook, HookState, PRI_NAT_DST, PRI_NAT_SRC, Pf};
use crate::tables::route::RTCF_LOCAL;
use crate::tables::route_types::RouteType;
use crate::tables::skb::PacketType;
use crate::{Cx, Kernel};

/// The port of FTP's control connections.
pub(super) const FTP_PORT: u16 = 21;
/// The port that active FTP sends data from.
pub(super) const FTP_DATA: u16 = 20;

/// The module.
pub static MODULE: Module = Module {
    sysctls: &[&SYSCTLS],
    init: Some(ip_vs_init),
    net_init: Some(ip_vs_estimator_net_init),
    net_exit: Some(ip_vs_cleanup),
    ..Module::named("ip_vs")
};

/// The hook functions, which are registered while a namespace has services.
static IP_VS_OPS4: [HookOps; 6] = [
    ops("ip_vs_out_hook", Hook::LocalIn, PRI_NAT_SRC - 2, ip_vs_out_hook),
    ops("ip_vs_in_hook", Hook::LocalIn, PRI_NAT_SRC - 1, ip_vs_in_hook),
    ops("ip_vs_out_hook", Hook::LocalOut, PRI_NAT_DST + 1, ip_vs_out_hook),
    ops("ip_vs_in_hook", Hook::LocalOut, PRI_NAT_DST + 2, ip_vs_in_hook),
    ops("ip_vs_forward_icmp", Hook::Forward, PRI_NAT_SRC - 1, ip_vs_forward_icmp),
    ops("ip_vs_out_hook", Hook::Forward, PRI_NAT_SRC, ip_vs_out_hook),
];

const fn ops(name: &'static str, hook: Hook, priority: i32, function: HookFn) -> HookOps {
    HookOps { name, pf: Pf::Ipv4, hook, priority, function, private: 0, depends_on_flow_only: false }
}

/// The module is loaded.
pub fn ip_vs_init(cx: &mut Cx) {
    if is_loaded(cx.k) {
        return;
    }
    cx.k.ip_vs.loaded = true;
    let kbytes = CONN_TAB_SIZE as usize * size_of::<u64>() / 1024;
    let table = format!("Connection hash table configured (size={CONN_TAB_SIZE}, memory={kbytes}Kbytes)");
    for line in ["Registered protocols (TCP, UDP, SCTP, AH, ESP)", &table, "ipvs loaded."] {
        cx.printk(LOG_INFO, format!("IPVS: {line}"));
    }
    let all: Vec<NetnsId> = cx.k.netns.iter().map(|netns| netns.id).collect();
    all.into_iter().for_each(|netns| ip_vs_estimator_net_init(cx, netns));
}

/// A namespace ends.
fn ip_vs_cleanup(cx: &mut Cx, netns: NetnsId) {
    ip_vs_flush(cx, netns);
    ip_vs_conn_net_cleanup(cx, netns);
    for dest in std::mem::take(&mut cx.k.ip_vs.net_mut(netns).dest_trash) {
        cx.k.ip_vs.services.free_dest(dest);
    }
    cx.k.ip_vs.remove_net(netns);
}

/// The first service of a namespace.
pub(super) fn ip_vs_register_hooks(cx: &mut Cx, netns: NetnsId) {
    for ops in IP_VS_OPS4 {
        cx.k.netns[netns].hooks.register(&mut cx.k.nf_hooks_needed, ops);
    }
}

/// The last service of a namespace is gone.
pub(super) fn ip_vs_unregister_hooks(cx: &mut Cx, netns: NetnsId) {
    for ops in &IP_VS_OPS4 {
        cx.k.netns[netns].hooks.unregister(ops);
    }
}

pub(super) fn conn(k: &Kernel, id: ConnId) -> Option<&IpVsConn> {
    k.ip_vs.conns.get(id)
}

pub(super) fn svc(k: &Kernel, id: SvcId) -> Option<&Service> {
    k.ip_vs.services.svc(id)
}

pub(super) fn svc_mut(k: &mut Kernel, id: SvcId) -> Option<&mut Service> {
    k.ip_vs.services.svc_mut(id)
}

pub(super) fn dest(k: &Kernel, id: DestId) -> Option<&Dest> {
    k.ip_vs.services.dest(id)
}

pub(super) fn dest_mut(k: &mut Kernel, id: DestId) -> Option<&mut Dest> {
    k.ip_vs.services.dest_mut(id)
}

/// What is read in an IPv4 header (`struct ip_vs_iphdr`).
#[derive(Clone, Copy, Debug)]
pub(super) struct IpVsIphdr {
    /// Where the header begins, bytes from the packet's network header.
    pub off: usize,
    /// Where it ends.
    pub len: usize,
    /// Fragment offset, bytes.
    pub fragoffs: usize,
    /// Protocol.
    pub protocol: u8,
    /// Source.
    pub saddr: Ipv4Addr,
    /// Destination.
    pub daddr: Ipv4Addr,
    /// It is quoted by an ICMP error (`IP_VS_HDR_ICMP`).
    pub icmp: bool,
    /// Source and destination are the other way round (`IP_VS_HDR_INVERSE`).
    pub inverse: bool,
}

impl IpVsIphdr {
    /// The client.
    pub fn caddr(&self) -> Ipv4Addr {
        if self.inverse { self.daddr } else { self.saddr }
    }

    /// The service's address.
    pub fn vaddr(&self) -> Ipv4Addr {
        if self.inverse { self.saddr } else { self.daddr }
    }
}

/// Reads the packet's header (`ip_vs_fill_iph_skb`).
pub(super) fn ip_vs_fill_iph_skb(cx: &Cx, skb: SkbId) -> Option<IpVsIphdr> {
    fill_iph_skb_off(cx, skb, 0).map(|(iph, _)| iph)
}

/// Reads the header at this offset (`ip_vs_fill_iph_skb_off`).
pub(super) fn fill_iph_skb_off(cx: &Cx, skb: SkbId, off: usize) -> Option<(IpVsIphdr, Ipv4Hdr)> {
    let iph = *cx.skbs.header::<Ipv4Hdr>(skb, cx.skbs[skb].network_header + off as u32)?;
    let read = IpVsIphdr {
        off,
        len: off + iph.header_len(),
        fragoffs: iph.fragment_offset(),
        protocol: iph.protocol,
        saddr: iph.saddr.get(),
        daddr: iph.daddr.get(),
        icmp: false,
        inverse: false,
    };
    (iph.header_len() >= IPV4_HLEN).then_some((read, iph))
}

/// The connection of a packet that IPVS has sent on its way to a destination.
pub fn ip_vs_conn_of_sent(cx: &mut Cx, netns: NetnsId, skb: SkbId) -> Option<ConnId> {
    let iph = ip_vs_fill_iph_skb(cx, skb).filter(|iph| is_balanced(iph.protocol))?;
    ip_vs_conn_out_get(cx, netns, skb, &IpVsIphdr { inverse: true, ..iph })
}

/// The ports behind a header.
pub(super) fn skb_ports(cx: &Cx, skb: SkbId, iph: &IpVsIphdr) -> Option<(u16, u16)> {
    let ports = cx.skbs.header::<[U16; 2]>(skb, cx.skbs[skb].network_header + iph.len as u32)?;
    Some((ports[0].get(), ports[1].get()))
}

/// The TCP header behind a header.
pub(super) fn tcp_hdr(cx: &Cx, skb: SkbId, iph: &IpVsIphdr) -> Option<TcpHdr> {
    cx.skbs.header::<TcpHdr>(skb, cx.skbs[skb].network_header + iph.len as u32).copied()
}

/// The protocol is balanced (`ip_vs_proto_data_get`).
pub(super) fn is_balanced(protocol: u8) -> bool {
    matches!(protocol, IPPROTO_TCP | IPPROTO_UDP)
}

/// Counts for a connection's destination, its service and the namespace.
fn count(cx: &mut Cx, id: DestId, netns: NetnsId, count: impl Fn(&mut Stats)) {
    let (net, _, services) = cx.k.ip_vs.parts(netns);
    let Some(dest) = services.dest_mut(id).filter(|dest| dest.available) else { return };
    count(&mut dest.stats);
    let svc = dest.svc;
    if let Some(svc) = services.svc_mut(svc) {
        count(&mut svc.stats);
    }
    count(&mut net.tot_stats);
}

/// Counts a packet to the destination (`ip_vs_in_stats`), or from it (`ip_vs_out_stats`).
pub(super) fn count_packet(cx: &mut Cx, skb: SkbId, id: ConnId, direction: Direction) {
    let len = cx.skbs[skb].len();
    let Some((dest, netns)) = conn(cx.k, id).and_then(|conn| Some((conn.dest?, conn.netns))) else { return };
    count(cx, dest, netns, |stats| match direction {
        Direction::Input => stats.count_in(len),
        Direction::Output => stats.count_out(len),
    });
}

/// A packet of a client (`ip_vs_in_hook`): to the destination of its connection, or of the service that it is for.
pub fn ip_vs_in_hook(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::IpVsInHook, skb, |cx| in_hook(cx, skb, state))
}

fn in_hook(cx: &mut Cx, skb: SkbId, state: &HookState) -> Verdict {
    let (pkt, netns) = (&cx.skbs[skb], state.netns);
    let is_for_us = pkt.pkt_type == PacketType::Host || state.hook == Hook::LocalOut;
    if pkt.ipvs_property || !is_for_us || pkt.dst.is_none() || !is_enabled(cx, netns) {
        return Verdict::Accept;
    }
    let Some(mut iph) = ip_vs_fill_iph_skb(cx, skb) else { return Verdict::Accept };
    if iph.protocol == IPPROTO_ICMP
        && let Some(verdict) = ip_vs_in_icmp(cx, skb, state, &mut iph)
    {
        return verdict;
    }
    if !is_balanced(iph.protocol) {
        cx.skbs[skb].ipvs_property = settings(cx.k, netns).get(&IGNORE_TUNNELED) != 0;
        return Verdict::Accept;
    }
    let known = ip_vs_conn_in_get(cx, netns, skb, &iph);
    let found = match known {
        Some(id) => match still_valid(cx, skb, netns, id, &iph) {
            Ok(true) => Some(id),
            Ok(false) => None,
            Err(verdict) => return verdict,
        },
        None => None,
    };
    let id = match found {
        Some(id) => {
            note_choice(cx, id, IpvsChooser::Connection);
            id
        }
        None => match ip_vs_try_to_schedule(cx, skb, state, &mut iph) {
            Ok(id) => id,
            Err(verdict) => return verdict,
        },
    };
    count_packet(cx, skb, id, Direction::Input);
    ip_vs_proto::state_transition(cx, skb, id, &iph, Direction::Input);
    let verdict = ip_vs_xmit(cx, skb, id, state, &iph);
    count_in_pkts(cx, id);
    ip_vs_conn_put(cx, id);
    verdict
}

/// Notes which destination a connection has.
fn note_choice(cx: &mut Cx, id: ConnId, by: IpvsChooser) {
    let Some(found) = conn(cx.k, id) else { return };
    let ConnParam { protocol, vaddr, vport, .. } = found.param;
    let dest = Some((found.daddr, found.dport));
    cx.note(|_| Note::Ipvs(IpvsNote { service: (protocol, vaddr, vport), dest, by }));
}

/// The scheduler of a service, as notes name it.
pub(super) fn chooser(k: &Kernel, id: SvcId) -> IpvsChooser {
    IpvsChooser::Scheduler(svc(k, id).map_or("", |svc| svc.scheduler))
}

/// A packet was sent to the destination; with one-packet scheduling the template counts it.
fn count_in_pkts(cx: &mut Cx, id: ConnId) {
    let Some(found) = conn(cx.k, id) else { return };
    let counted = if found.has(CONN_F_ONE_PACKET) { found.control } else { Some(id) };
    if let Some(conn) = counted.and_then(|id| cx.k.ip_vs.conns.get_mut(id)) {
        conn.in_pkts += 1;
    }
}

fn is_enabled(cx: &Cx, netns: NetnsId) -> bool {
    cx.k.ip_vs.net(netns).is_some_and(|net| net.enable)
}

/// The packet begins a connection (`is_new_conn`).
fn is_new_conn(cx: &Cx, skb: SkbId, iph: &IpVsIphdr) -> bool {
    let tcp = (iph.protocol == IPPROTO_TCP).then(|| tcp_hdr(cx, skb, iph)).flatten();
    iph.fragoffs == 0 && tcp.is_some_and(|tcp| tcp.flags & TCP_SYN != 0)
}

/// The known connection is over, so that another may begin with its ports (`is_new_conn_expected`).
fn is_new_conn_expected(conn: &IpVsConn, reuse: i64) -> bool {
    let tcp = conn.control.is_none() && conn.param.protocol == IPPROTO_TCP;
    let half = reuse & 2 != 0 && conn.state == TCP_S_FIN_WAIT && conn.has(CONN_F_NOOUTPUT);
    tcp && (matches!(conn.state, TCP_S_TIME_WAIT | TCP_S_CLOSE) || half)
}

/// Connection tracking knows the packet's connection from before (`ip_vs_conn_uses_old_conntrack`).
fn uses_old_conntrack(cx: &Cx, skb: SkbId) -> bool {
    let NfCt::Conn(id, _) = cx.skbs[skb].nfct else { return false };
    cx.k.conntrack.get(id).is_some_and(|ct| ct.is_confirmed())
}

/// The known connection of a packet may be used; otherwise another one is scheduled, or the packet is dropped.
fn still_valid(
    cx: &mut Cx,
    skb: SkbId,
    netns: NetnsId,
    id: ConnId,
    iph: &IpVsIphdr,
) -> Result<bool, Verdict> {
    let Some(found) = conn(cx.k, id) else { return Ok(false) };
    let expires = settings(cx.k, netns).get(&EXPIRE_NODEST_CONN) != 0;
    let dest = found.dest.and_then(|id| dest(cx.k, id));
    let controls = found.n_control > 0;
    if is_new_conn(cx, skb, iph) {
        let reuse = settings(cx.k, netns).get(&CONN_REUSE_MODE);
        let old_ct = uses_old_conntrack(cx, skb);
        let quiesced = expires && dest.is_some_and(|dest| dest.spec.weight == 0);
        let reused = reuse != 0 && is_new_conn_expected(found, reuse) && !(controls && old_ct);
        if quiesced || reused {
            return resched(cx, id, old_ct, !controls);
        }
    }
    if dest.is_none_or(|dest| dest.available) {
        return Ok(true);
    }
    if !expires {
        return Err(Verdict::Drop(DropReason::NetfilterDrop));
    }
    let old_ct = uses_old_conntrack(cx, skb);
    resched(cx, id, old_ct, true)
}

/// A connection is over. Where connection tracking has it, too, the packet is dropped, so that both begin anew with the next.
fn resched(cx: &mut Cx, id: ConnId, old_ct: bool, expires: bool) -> Result<bool, Verdict> {
    if !old_ct && let Some(conn) = cx.k.ip_vs.conns.get_mut(id) {
        conn.flags &= !CONN_F_NFCT;
    }
    if expires {
        ip_vs_conn_expire_now(cx, id);
    }
    if old_ct { Err(Verdict::Drop(DropReason::NetfilterDrop)) } else { Ok(false) }
}

/// A new connection, if the packet is for a service (`ip_vs_try_to_schedule`).
pub(super) fn ip_vs_try_to_schedule(
    cx: &mut Cx,
    skb: SkbId,
    state: &HookState,
    iph: &mut IpVsIphdr,
) -> Result<ConnId, Verdict> {
    if iph.fragoffs != 0 {
        return Err(Verdict::Accept);
    }
    match ip_vs_proto::conn_schedule(cx, skb, state, iph) {
        Scheduled::Conn(id) => Ok(id),
        Scheduled::None => Err(Verdict::Accept),
        Scheduled::Verdict(verdict) => Err(verdict),
    }
}

/// Why there is no connection (the values of `*ignored`).
pub(super) enum Ignored {
    /// The packet is not for the service: it goes on.
    Accept,
    /// The service has no destination for it.
    NoDest,
}

/// Chooses a destination, and makes a connection (`ip_vs_schedule`).
pub(super) fn ip_vs_schedule(
    cx: &mut Cx,
    skb: SkbId,
    id: SvcId,
    iph: &mut IpVsIphdr,
) -> Result<ConnId, Ignored> {
    cx.within(Func::IpVsSchedule, skb, |cx| {
        let (source, target) = skb_ports(cx, skb, iph).ok_or(Ignored::Accept)?;
        let (cport, vport) = if iph.inverse { (target, source) } else { (source, target) };
        let service = svc(cx.k, id).ok_or(Ignored::Accept)?;
        let (netns, key, persistent) = (service.netns, service.key, service.has(SVC_F_PERSISTENT));
        if cport == FTP_DATA || is_reply_of_this_host(cx, netns, skb, iph) {
            return Err(Ignored::Accept);
        }
        if persistent {
            return ip_vs_sched_persist(cx, skb, id, (cport, vport), iph);
        }
        if let SvcKey::Addr(_, _, port) = key
            && port != vport
        {
            if port == 0 {
                let text = "Schedule: port zero only supported in persistent services, check your ipvs \
                            configuration";
                cx.printk(LOG_ERR, format!("IPVS: {text}"));
            }
            return Err(Ignored::NoDest);
        }
        let chosen = super::ip_vs_sched::schedule(cx, skb, id, iph).ok_or(Ignored::NoDest)?;
        let dest = dest(cx.k, chosen).ok_or(Ignored::NoDest)?.spec;
        let flags = one_packet(cx.k, id, iph.protocol);
        let param =
            ConnParam { protocol: iph.protocol, caddr: iph.caddr(), cport, vaddr: iph.vaddr(), vport };
        let dport = if dest.port != 0 { dest.port } else { vport };
        let made = ip_vs_conn_new(cx, netns, skb, param, (dest.addr, dport), flags, Some(chosen));
        note_choice(cx, made, chooser(cx.k, id));
        count(cx, chosen, netns, |stats| stats.cnt.conns += 1);
        Ok(made)
    })
}

/// The flag of one-packet scheduling, if the service has it and the protocol is UDP.
fn one_packet(k: &Kernel, id: SvcId, protocol: u8) -> u32 {
    let is_on = protocol == IPPROTO_UDP && svc(k, id).is_some_and(|svc| svc.has(SVC_F_ONEPACKET));
    if is_on { CONN_F_ONE_PACKET } else { 0 }
}

/// A packet of this host answers a client of a destination that is this host.
fn is_reply_of_this_host(cx: &mut Cx, netns: NetnsId, skb: SkbId, iph: &IpVsIphdr) -> bool {
    let pkt = &cx.skbs[skb];
    let is_own = pkt.skb_iif == 0 || cx.k.devs[pkt.dev].is_loopback();
    let reply = IpVsIphdr { inverse: !iph.inverse, ..*iph };
    is_own && ip_vs_conn_in_get(cx, netns, skb, &reply).is_some()
}

/// A connection of a persistent service, whose destination a template of the client remembers (`ip_vs_sched_persist`).
fn ip_vs_sched_persist(
    cx: &mut Cx,
    skb: SkbId,
    id: SvcId,
    (cport, vport): (u16, u16),
    iph: &mut IpVsIphdr,
) -> Result<ConnId, Ignored> {
    cx.within(Func::IpVsSchedPersist, skb, |cx| {
        let service = svc(cx.k, id).ok_or(Ignored::Accept)?;
        let (netns, key, timeout) = (service.netns, service.key, service.timeout);
        let snet = Ipv4Addr::from_bits(iph.caddr().to_bits() & service.netmask);
        let of_port = vport == key.port();
        let (protocol, vaddr, template_port) = match key {
            SvcKey::FwMark(mark) if !of_port => (0, Ipv4Addr::from_bits(mark), 0),
            _ if of_port && key.port() != FTP_PORT => (iph.protocol, iph.vaddr(), vport),
            _ => (iph.protocol, iph.vaddr(), 0),
        };
        let param = ConnParam { protocol, caddr: snet, cport: 0, vaddr, vport: template_port };
        cx.call(Func::IpVsCtInGet, skb);
        let known = cx.k.ip_vs.conns.template(netns, &param);
        let mut by = IpvsChooser::Template;
        let template = match known.filter(|template| ip_vs_check_template(cx, skb, *template)) {
            Some(template) => template,
            None => {
                let chosen = super::ip_vs_sched::schedule(cx, skb, id, iph).ok_or(Ignored::NoDest)?;
                let dest = dest(cx.k, chosen).ok_or(Ignored::NoDest)?.spec;
                let dport = if of_port && key.port() != FTP_PORT { dest.port } else { 0 };
                let end = (dest.addr, dport);
                by = chooser(cx.k, id);
                let made = ip_vs_conn_new(cx, netns, skb, param, end, CONN_F_TEMPLATE, Some(chosen));
                if let Some(template) = cx.k.ip_vs.conns.get_mut(made) {
                    template.timeout = timeout;
                }
                made
            }
        };
        let chosen = conn(cx.k, template).and_then(|template| template.dest).ok_or(Ignored::NoDest)?;
        let dest = dest(cx.k, chosen).ok_or(Ignored::NoDest)?.spec;
        let dport = if of_port && dest.port != 0 { dest.port } else { vport };
        let param =
            ConnParam { protocol: iph.protocol, caddr: iph.caddr(), cport, vaddr: iph.vaddr(), vport };
        let flags = one_packet(cx.k, id, iph.protocol);
        let made = ip_vs_conn_new(cx, netns, skb, param, (dest.addr, dport), flags, Some(chosen));
        note_choice(cx, made, by);
        ip_vs_control_add(cx, made, template);
        ip_vs_conn_put(cx, template);
        count(cx, chosen, netns, |stats| stats.cnt.conns += 1);
        Ok(made)
    })
}

/// A service has no destination for a packet (`ip_vs_leave`): its sender learns that, or it goes past.
pub(super) fn ip_vs_leave(cx: &mut Cx, skb: SkbId, id: SvcId, state: &HookState, iph: &IpVsIphdr) -> Verdict {
    cx.within(Func::IpVsLeave, skb, |cx| {
        let dropped = Verdict::Drop(DropReason::NetfilterDrop);
        let Some((source, target)) = skb_ports(cx, skb, iph) else { return dropped };
        let Some(key) = svc(cx.k, id).map(|svc| svc.key) else { return dropped };
        let is_marked = matches!(key, SvcKey::FwMark(_)) && !iph.icmp && !iph.inverse;
        let fib = &cx.k.netns[state.netns].ipv4.fib;
        if is_marked
            && settings(cx.k, state.netns).get(&CACHE_BYPASS) != 0
            && inet_addr_type(fib, iph.daddr).0 == RouteType::Unicast
        {
            return bypass(cx, skb, id, state, iph, (source, target));
        }
        let dport = if iph.inverse { source } else { target };
        if key.port() == FTP_PORT && dport != FTP_PORT {
            return Verdict::Accept;
        }
        if iph.icmp { dropped } else { port_unreachable(cx, skb, state) }
    })
}

/// A connection past a marked service without destinations.
fn bypass(
    cx: &mut Cx,
    skb: SkbId,
    id: SvcId,
    state: &HookState,
    iph: &IpVsIphdr,
    (cport, vport): (u16, u16),
) -> Verdict {
    let param = ConnParam { protocol: iph.protocol, caddr: iph.saddr, cport, vaddr: iph.daddr, vport };
    let flags = CONN_F_BYPASS | one_packet(cx.k, id, iph.protocol);
    let made = ip_vs_conn_new(cx, state.netns, skb, param, (Ipv4Addr::UNSPECIFIED, 0), flags, None);
    ip_vs_proto::state_transition(cx, skb, made, iph, Direction::Input);
    let verdict = ip_vs_bypass_xmit(cx, skb, made, state, iph);
    count_in_pkts(cx, made);
    ip_vs_conn_put(cx, made);
    verdict
}

/// Drops a packet, and tells its sender that nobody listens.
fn port_unreachable(cx: &mut Cx, skb: SkbId, state: &HookState) -> Verdict {
    let error = IcmpError { kind: ICMP_DEST_UNREACH, code: ICMP_PORT_UNREACH, info: 0 };
    let Some(door) = icmp_send(cx, skb, error) else { return Verdict::Drop(DropReason::NetfilterDrop) };
    cx.afterwards(match state.hook {
        Hook::LocalOut => Door::Refused { skb },
        _ => Door::KfreeSkb { skb, reason: DropReason::NetfilterDrop },
    });
    Verdict::Stolen(door)
}

/// A packet of a destination (`ip_vs_out_hook`): its source becomes the service.
pub fn ip_vs_out_hook(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::IpVsOutHook, skb, |cx| out_hook(cx, skb, state))
}

fn out_hook(cx: &mut Cx, skb: SkbId, state: &HookState) -> Verdict {
    let (pkt, netns) = (&cx.skbs[skb], state.netns);
    if pkt.ipvs_property || pkt.dst.is_none() || !is_enabled(cx, netns) {
        return Verdict::Accept;
    }
    let Some(iph) = ip_vs_fill_iph_skb(cx, skb) else { return Verdict::Accept };
    if iph.protocol == IPPROTO_ICMP
        && let Some(verdict) = ip_vs_out_icmp(cx, skb, state, &iph)
    {
        return verdict;
    }
    if !is_balanced(iph.protocol) {
        return Verdict::Accept;
    }
    if let Some(verdict) = ip_vs_gather_frags(cx, skb, state, "ip_vs_out_hook") {
        return verdict;
    }
    if let Some(id) = ip_vs_conn_out_get(cx, netns, skb, &iph) {
        return handle_response(cx, skb, id, state, &iph);
    }
    if settings(cx.k, netns).get(&NAT_ICMP_SEND) != 0
        && let Some((port, _)) = skb_ports(cx, skb, &iph)
        && ip_vs_has_real_service(cx, netns, (iph.protocol, iph.saddr, port))
        && !is_tcp_reset(cx, skb, &iph)
    {
        return port_unreachable(cx, skb, state);
    }
    Verdict::Accept
}

fn is_tcp_reset(cx: &Cx, skb: SkbId, iph: &IpVsIphdr) -> bool {
    iph.protocol == IPPROTO_TCP && tcp_hdr(cx, skb, iph).is_some_and(|tcp| tcp.flags & TCP_RST != 0)
}

/// Fragments wait for the others; the whole packet then passes the same function. `None`: it is no fragment
/// (`ip_vs_gather_frags`).
pub(super) fn ip_vs_gather_frags(
    cx: &mut Cx,
    skb: SkbId,
    state: &HookState,
    function: &str,
) -> Option<Verdict> {
    ip_hdr(cx, skb).filter(|iph| iph.is_fragment())?;
    let user = match state.hook {
        Hook::LocalIn => DefragUser::VsIn,
        Hook::Forward => DefragUser::VsFwd,
        _ => DefragUser::VsOut,
    };
    let Some(whole) = gather(cx, skb, user) else { return Some(Verdict::Stolen(Door::End)) };
    let functions = cx.k.netns[state.netns].hooks.at(state.site.point().0, state.hook);
    let from = functions.position(function, 0).unwrap_or(0) as u16;
    Some(Verdict::Stolen(Door::NfHookResume { skb: whole, site: state.site, from }))
}

/// A packet of a destination gets the service's address and port (`handle_response`).
fn handle_response(cx: &mut Cx, skb: SkbId, id: ConnId, state: &HookState, iph: &IpVsIphdr) -> Verdict {
    cx.within(Func::HandleResponse, skb, |cx| {
        let masq = conn(cx.k, id).is_some_and(|conn| conn.fwd() == CONN_F_MASQ);
        if masq {
            let fits = ip_vs_nat_packet(cx, skb, id, iph, Direction::Output);
            if !fits || !ip_vs_route_me_harder(cx, skb, state) {
                ip_vs_conn_put(cx, id);
                return Verdict::Stolen(cx.kfree_skb(skb, DropReason::NotSpecified));
            }
        }
        count_packet(cx, skb, id, Direction::Output);
        ip_vs_proto::state_transition(cx, skb, id, iph, Direction::Output);
        mark_done(cx, skb, id, false);
        ip_vs_conn_put(cx, id);
        Verdict::Accept
    })
}

/// IPVS is done with a packet, and connection tracking learns what became of it.
pub(super) fn mark_done(cx: &mut Cx, skb: SkbId, id: ConnId, outin: bool) {
    cx.skbs[skb].ipvs_property = true;
    if conn(cx.k, id).is_some_and(|conn| conn.has(CONN_F_NFCT)) {
        ip_vs_update_conntrack(cx, skb, id, outin);
    } else {
        ip_vs_notrack(cx, skb);
    }
}

/// A packet with the service's address is routed as this host's own, as `snat_reroute` says (`ip_vs_route_me_harder`). False: there
/// is no route.
pub(super) fn ip_vs_route_me_harder(cx: &mut Cx, skb: SkbId, state: &HookState) -> bool {
    cx.within(Func::IpVsRouteMeHarder, skb, |cx| {
        let is_local = cx.skbs[skb].dst.is_some_and(|route| route.flags & RTCF_LOCAL != 0);
        if state.hook == Hook::LocalIn || is_local || settings(cx.k, state.netns).get(&SNAT_REROUTE) == 0 {
            return true;
        }
        let dev = cx.skbs[skb].dev;
        let routed = ip_route_me_harder(cx, skb).is_ok();
        if state.hook == Hook::Forward {
            // It still came in by that device.
            cx.skbs[skb].dev = dev;
        }
        routed
    })
}

/// An ICMP error on its way through this host (`ip_vs_forward_icmp`): about a packet that a destination sent, perhaps.
pub fn ip_vs_forward_icmp(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::IpVsForwardIcmp, skb, |cx| {
        let Some(mut iph) = ip_vs_fill_iph_skb(cx, skb) else { return Verdict::Accept };
        if iph.protocol != IPPROTO_ICMP || !is_enabled(cx, state.netns) {
            return Verdict::Accept;
        }
        ip_vs_in_icmp(cx, skb, state, &mut iph).unwrap_or(Verdict::Accept)
    })
}
