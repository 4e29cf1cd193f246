//! ICMP: answers, and errors about other packets.
//!
//! Kernel: net/ipv4/icmp.c

use std::net::Ipv4Addr;

use glassnet_wire::checksum::checksum;
use glassnet_wire::icmp::{
    ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_HLEN, ICMP_PARAMETERPROB, ICMP_REDIRECT,
    ICMP_TIME_EXCEEDED, ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY, IcmpHdr,
};
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr, is_zeronet};
use zerocopy::FromBytes;

use super::af_inet::quoted_payload;
use super::fib_frontend::inet_addr_type;
use super::fib_semantics::inet_select_addr;
use super::ip_input::{ip_hdr, snmp};
use super::ip_output::{IpHeader, ip_make_header, ip4_reply_mark};
use super::route::{dst_mtu, ip_route_output_flow, ip_route_output_key};
use super::route_errors::{ip_do_redirect, ip_rt_update_pmtu};
use super::{ping, raw, tcp_ipv4, udp};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::kernel::BOOT_TIME;
use crate::net::netfilter::core::nf_ct_attach;
use crate::netlink::Errno;
use crate::note::Note;
use crate::sysctl::{INT, Sysctl, SysctlTable};
use crate::tables::drop_reason::DropReason;
use crate::tables::jiffies::last_tick;
use crate::tables::route::{FlowOut, RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST};
use crate::tables::route_types::{RouteType, Scope};
use crate::tables::skb::PacketType;
use crate::tables::sysctl::Setting;

/// Destination unreachable: no route to the network.
pub const ICMP_NET_UNREACH: u8 = 0;
/// Destination unreachable: no route to the host.
pub const ICMP_HOST_UNREACH: u8 = 1;
/// Destination unreachable: no such protocol.
pub const ICMP_PROT_UNREACH: u8 = 2;
/// Destination unreachable: no listener on the port.
pub const ICMP_PORT_UNREACH: u8 = 3;
/// Destination unreachable: fragmentation needed and DF set.
pub const ICMP_FRAG_NEEDED: u8 = 4;
/// Destination unreachable: prohibited.
pub const ICMP_PKT_FILTERED: u8 = 13;
/// Time exceeded: TTL.
pub const ICMP_EXC_TTL: u8 = 0;
/// Time exceeded: reassembly.
pub const ICMP_EXC_FRAGTIME: u8 = 1;
/// Redirect for one host.
pub const ICMP_REDIR_HOST: u8 = 1;
/// Greatest known type.
const NR_ICMP_TYPES: u8 = 18;
/// TOS of errors: precedence "internetwork control".
const IPTOS_PREC_INTERNETCONTROL: u8 = 0xc0;
/// Maximum length of an error message, bytes (RFC 1812 4.3.2.3).
const MAX_ERROR: usize = 576;

static ECHO_IGNORE_ALL: Setting = Setting::new("icmp_echo_ignore_all", 0);
static ECHO_IGNORE_BROADCASTS: Setting = Setting::new("icmp_echo_ignore_broadcasts", 1);
static IGNORE_BOGUS_ERROR_RESPONSES: Setting = Setting::new("icmp_ignore_bogus_error_responses", 1);
static ERRORS_USE_INBOUND_IFADDR: Setting = Setting::new("icmp_errors_use_inbound_ifaddr", 0);
static RATELIMIT: Setting = Setting::new("icmp_ratelimit", 1000);
static RATEMASK: Setting = Setting::new("icmp_ratemask", 6168);
static MSGS_PER_SEC: Setting = Setting::new("icmp_msgs_per_sec", 1000);
static MSGS_BURST: Setting = Setting::new("icmp_msgs_burst", 50);
/// Packets may be fragmented on their way: no path MTU is learnt.
pub static IP_NO_PMTU_DISC: Setting = Setting::new("ip_no_pmtu_disc", 0);

/// Sysctls of ICMP (Documentation/networking/ip-sysctl.rst).
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::net(&ECHO_IGNORE_ALL).range(0, 1),
        Sysctl::net(&ECHO_IGNORE_BROADCASTS).range(0, 1),
        Sysctl::net(&IGNORE_BOGUS_ERROR_RESPONSES).range(0, 1),
        Sysctl::net(&ERRORS_USE_INBOUND_IFADDR).range(0, 1),
        Sysctl::net(&RATELIMIT).range(0, INT.1),
        Sysctl::net(&RATEMASK),
        Sysctl::net(&MSGS_PER_SEC).range(0, INT.1),
        Sysctl::net(&MSGS_BURST).range(0, INT.1),
        Sysctl::net(&IP_NO_PMTU_DISC).range(0, 255),
    ],
);

/// An error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The rest of the header: an MTU in bytes, a gateway, or 0.
    pub info: u32,
}

pub(super) fn is_error(kind: u8) -> bool {
    matches!(kind, ICMP_DEST_UNREACH | 4 | ICMP_REDIRECT | ICMP_TIME_EXCEEDED | ICMP_PARAMETERPROB)
}

/// Counts an outgoing message (`icmp_out_count`).
pub fn icmp_out_count(cx: &mut Cx, netns: NetnsId, kind: u8) {
    let snmp = &mut cx.k.netns[netns].ipv4.snmp;
    snmp.icmp.OutMsgs += 1;
    *snmp.icmp_out.entry(kind).or_default() += 1;
}

/// The socket error for a code of destination unreachable, and whether it is fatal (`icmp_err_convert`).
pub fn icmp_err_convert(code: u8) -> (Errno, bool) {
    match code {
        0 | 11 => (Errno::ENETUNREACH, false),
        2 => (Errno::ENOPROTOOPT, true),
        3 => (Errno::ECONNREFUSED, true),
        4 => (Errno::EMSGSIZE, false),
        5 => (Errno::EOPNOTSUPP, false),
        6 | 9 => (Errno::ENETUNREACH, true),
        7 => (Errno::EHOSTDOWN, true),
        10 | 13..=15 => (Errno::EHOSTUNREACH, true),
        _ => (Errno::EHOSTUNREACH, false),
    }
}

/// The message is of a type whose rate is limited (`icmpv4_mask_allow`): `icmp_ratemask`, but not path MTU discovery.
fn is_limited(cx: &Cx, netns: NetnsId, error: IcmpError) -> bool {
    let mask = cx.k.netns[netns].sysctls.get(&RATEMASK);
    let discovery = error.kind == ICMP_DEST_UNREACH && error.code == ICMP_FRAG_NEEDED;
    error.kind <= NR_ICMP_TYPES && !discovery && mask & 1 << error.kind != 0
}

/// The limit for all messages is not reached (`icmp_global_allow`): `icmp_msgs_burst`, and when they are used up, as many as
/// `icmp_msgs_per_sec` gives for the time since the last refill, which is 20 ms at least and a second at most.
fn icmp_global_allow(cx: &mut Cx, netns: NetnsId) -> bool {
    let tick = last_tick(cx.now);
    let net = &mut cx.k.netns[netns];
    let (rate, burst) = (net.sysctls.get(&MSGS_PER_SEC) as u64, net.sysctls.get(&MSGS_BURST) as u64);
    let limit = &mut net.ipv4.icmp_global;
    if limit.credit > 0 {
        return true;
    }
    // The machine's first message finds a second at least.
    let since = limit.stamp.map_or(1_000_000_000, |stamp| tick.since(stamp).0.min(1_000_000_000));
    let more = rate * since / 1_000_000_000;
    if since < 20_000_000 || more == 0 {
        net.ipv4.snmp.icmp.OutRateLimitGlobal += 1;
        return false;
    }
    (limit.credit, limit.stamp) = (more.min(burst), Some(tick));
    true
}

/// The limit for one destination is not reached (`icmpv4_xrlim_allow`); `lo` has none. The message counts for the limit of all:
/// Linux takes 0 to 2 credits at random, here it is one.
fn icmpv4_xrlim_allow(cx: &mut Cx, netns: NetnsId, out: DevId, to: Ipv4Addr) -> bool {
    let now = last_tick(cx.now);
    let (loopback, master) = (cx.k.devs[out].is_loopback(), cx.k.devs.l3mdev_master(out));
    let net = &mut cx.k.netns[netns];
    let ipv4 = &mut net.ipv4;
    let cost = net.sysctls.get(&RATELIMIT).max(0) as u64 * 1_000_000;
    // Six tokens at most (XRLIM_BURST_FACTOR).
    let allowed = loopback || ipv4.peer((to, master), now).take(cost, cost * 6, now);
    if allowed {
        ipv4.icmp_global.credit = ipv4.icmp_global.credit.saturating_sub(1);
    } else {
        ipv4.snmp.icmp.OutRateLimitHost += 1;
    }
    allowed
}

/// Sends an error about a packet, then drops the packet.
pub fn icmp_send_then_drop(cx: &mut Cx, skb: SkbId, error: IcmpError, reason: DropReason) -> Door {
    match icmp_send(cx, skb, error) {
        Some(door) => {
            cx.afterwards(Door::KfreeSkb { skb, reason });
            door
        }
        None => cx.kfree_skb(skb, reason),
    }
}

/// An error may be sent about the packet (RFC 1122 3.2.2): not about multicast or broadcast, later fragments, or ICMP
/// errors.
fn may_send_error(cx: &Cx, skb: SkbId, error: IcmpError) -> bool {
    let pkt = &cx.skbs[skb];
    let Some(iph) = ip_hdr(cx, skb) else { return false };
    if pkt.pkt_type != PacketType::Host || iph.fragment_offset() != 0 {
        return false;
    }
    if pkt.dst.is_some_and(|route| route.flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0) {
        return false;
    }
    if !is_error(error.kind) || iph.protocol != IPPROTO_ICMP {
        return true;
    }
    let at = pkt.network_header + iph.header_len() as u32;
    cx.skbs.header::<u8>(skb, at).is_some_and(|kind| *kind <= NR_ICMP_TYPES && !is_error(*kind))
}

/// Creates an error message about a packet (`icmp_send`); `None` if it is not allowed or rate limited.
pub fn icmp_send(cx: &mut Cx, skb: SkbId, error: IcmpError) -> Option<Door> {
    cx.within(Func::IcmpSend, skb, |cx| {
        let route = cx.skbs[skb].dst?;
        if !may_send_error(cx, skb, error) {
            return None;
        }
        let iph = *ip_hdr(cx, skb)?;
        let dev = cx.skbs[skb].dev;
        let netns = cx.k.devs[dev].netns;
        let limited = !cx.k.devs[dev].is_loopback() && is_limited(cx, netns, error);
        if limited && !icmp_global_allow(cx, netns) {
            cx.note(|_| Note::IcmpGlobalLimit);
            return None;
        }
        let saddr =
            if route.flags & RTCF_LOCAL != 0 { iph.daddr.get() } else { inbound_address(cx, netns, skb) };
        let tos = if is_error(error.kind) { iph.tos & 0x1e | IPTOS_PREC_INTERNETCONTROL } else { iph.tos };
        let to = iph.saddr.get();
        let oif = cx.k.devs.l3mdev_master(dev);
        let new = with_quote(cx, skb);
        let mark = ip4_reply_mark(cx, netns, skb);
        cx.skbs[new].mark = mark;
        let flow = FlowOut { oif, daddr: to, saddr, tos, mark, proto: IPPROTO_ICMP, ..FlowOut::default() };
        let routed = ip_route_output_flow(cx, netns, flow, Some(new));
        let Some((back, flow)) = routed.ok() else {
            cx.discard_skb(new);
            return None;
        };
        if limited && !icmpv4_xrlim_allow(cx, netns, back.dev, to) {
            cx.note(|_| Note::IcmpPeerLimit);
            cx.discard_skb(new);
            return None;
        }
        let room = (dst_mtu(cx, &back) as usize).min(MAX_ERROR).saturating_sub(IPV4_HLEN).max(ICMP_HLEN);
        cx.skbs.trim(new, room);
        let message = cx.skbs.data_mut(new);
        message[..2].copy_from_slice(&[error.kind, error.code]);
        message[4..ICMP_HLEN].copy_from_slice(&error.info.to_be_bytes());
        let check = checksum(message);
        message[2..4].copy_from_slice(&check.to_be_bytes());
        // To 0.0.0.0 there is a route: to this host.
        let header = IpHeader {
            saddr: flow.saddr,
            daddr: flow.daddr,
            protocol: IPPROTO_ICMP,
            ttl: 0,
            tos,
            dont_fragment: false,
            ignore_df: true,
        };
        cx.call(Func::IcmpPushReply, new);
        ip_make_header(cx, netns, new, back, header);
        nf_ct_attach(cx, new, skb);
        Some(Door::IpPushPendingFrames { skb: new })
    })
}

/// A message with room for its header, quoting the packet from its IPv4 header on.
fn with_quote(cx: &mut Cx, skb: SkbId) -> SkbId {
    let pkt = &cx.skbs[skb];
    let (from, to) = (pkt.network_header as usize, pkt.tail as usize);
    let quote = cx.skbs.bufs.bytes(pkt.buf)[from..to.min(from + MAX_ERROR)].to_vec();
    let new = cx.skbs.alloc_skb(ICMP_HLEN + quote.len(), cx.skbs[skb].dev);
    cx.skbs.data_mut(new)[ICMP_HLEN..].copy_from_slice(&quote);
    new
}

/// `icmp_errors_use_inbound_ifaddr`: an address of the input device; otherwise that of the route.
fn inbound_address(cx: &Cx, netns: NetnsId, skb: SkbId) -> Ipv4Addr {
    if cx.k.netns[netns].sysctls.get(&ERRORS_USE_INBOUND_IFADDR) == 0 {
        return Ipv4Addr::UNSPECIFIED;
    }
    let dev = cx.k.dev_by_index(netns, cx.skbs[skb].ip.iif);
    dev.map_or(Ipv4Addr::UNSPECIFIED, |dev| inet_select_addr(cx.k, dev, Ipv4Addr::UNSPECIFIED, Scope::LINK))
}

/// Receives a message: verifies the checksum and dispatches by type.
///
/// Kernel: net/ipv4/icmp.c
/// Not modelled: extended echo, parameter problems of this machine.
pub fn icmp_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    snmp(cx, skb).icmp.InMsgs += 1;
    let data = cx.skbs.data(skb);
    if !cx.skbs[skb].ip_summed && checksum(data) != 0 {
        let counters = &mut snmp(cx, skb).icmp;
        counters.InCsumErrors += 1;
        counters.InErrors += 1;
        return cx.kfree_skb(skb, DropReason::IcmpCsum);
    }
    let Some(icmp) = cx.skbs.header::<IcmpHdr>(skb, cx.skbs[skb].data) else {
        return bad(cx, skb, DropReason::NotSpecified);
    };
    let kind = icmp.kind;
    *snmp(cx, skb).icmp_in.entry(kind).or_default() += 1;
    if kind > NR_ICMP_TYPES {
        return bad(cx, skb, DropReason::UnhandledProto);
    }
    let flags = cx.skbs[skb].dst.map_or(0, |route| route.flags);
    if flags & (RTCF_BROADCAST | RTCF_MULTICAST) != 0 {
        let netns = cx.k.devs[cx.skbs[skb].dev].netns;
        let ignores = cx.k.netns[netns].sysctls.get(&ECHO_IGNORE_BROADCASTS) != 0;
        let asks = matches!(kind, ICMP_ECHO | ICMP_TIMESTAMP);
        if ignores || !asks {
            return bad(cx, skb, DropReason::InvalidProto);
        }
    }
    match kind {
        ICMP_ECHO => Door::IcmpEcho { skb },
        ICMP_TIMESTAMP => Door::IcmpTimestamp { skb },
        ICMP_ECHOREPLY => match ping::ping_rcv(cx, skb) {
            Ok(()) => cx.consume_skb(skb),
            Err(reason) => cx.kfree_skb(skb, reason),
        },
        ICMP_DEST_UNREACH | ICMP_TIME_EXCEEDED | ICMP_PARAMETERPROB | 4 => Door::IcmpUnreach { skb },
        ICMP_REDIRECT => Door::IcmpRedirect { skb },
        _ => cx.consume_skb(skb),
    }
}

fn bad(cx: &mut Cx, skb: SkbId, reason: DropReason) -> Door {
    snmp(cx, skb).icmp.InErrors += 1;
    cx.kfree_skb(skb, reason)
}

/// Replies to an echo request.
///
/// Kernel: net/ipv4/icmp.c
/// Not modelled: extended echo.
pub fn icmp_echo(cx: &mut Cx, skb: SkbId) -> Door {
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    if cx.k.netns[netns].sysctls.get(&ECHO_IGNORE_ALL) != 0 {
        return cx.consume_skb(skb);
    }
    let reply = copy(cx, skb);
    reply_then_consume(cx, netns, skb, reply, ICMP_ECHOREPLY)
}

/// Replies to a timestamp request (RFC 792), in ms since midnight UT.
///
/// Kernel: net/ipv4/icmp.c
/// Not modelled: nothing.
pub fn icmp_timestamp(cx: &mut Cx, skb: SkbId) -> Door {
    const ASKED_AT: usize = 12;
    if cx.skbs[skb].len() < ASKED_AT {
        return bad(cx, skb, DropReason::PktTooSmall);
    }
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let of_day = (BOOT_TIME * 1000 + cx.now.0 / 1_000_000) % 86_400_000;
    let time = (of_day as u32).to_be_bytes();
    let mut answer = [&cx.skbs.data(skb)[..ASKED_AT], &time, &time].concat();
    answer[1] = 0;
    let reply = cx.skbs.alloc_skb(answer.len(), cx.skbs[skb].dev);
    cx.skbs.data_mut(reply).copy_from_slice(&answer);
    reply_then_consume(cx, netns, skb, reply, ICMP_TIMESTAMPREPLY)
}

fn reply_then_consume(cx: &mut Cx, netns: NetnsId, skb: SkbId, reply: SkbId, kind: u8) -> Door {
    match icmp_reply(cx, netns, skb, reply, kind) {
        Some(door) => {
            cx.afterwards(Door::Consume { skb });
            door
        }
        None => cx.consume_skb(skb),
    }
}

/// Sends a reply of this type (`icmp_reply`).
fn icmp_reply(cx: &mut Cx, netns: NetnsId, skb: SkbId, reply: SkbId, kind: u8) -> Option<Door> {
    cx.within(Func::IcmpReply, skb, |cx| {
        let iph = *ip_hdr(cx, skb)?;
        let saddr = fib_compute_spec_dst(cx, netns, skb, &iph);
        let (to, tos, mark) = (iph.saddr.get(), iph.tos, ip4_reply_mark(cx, netns, skb));
        cx.skbs[reply].mark = mark;
        let oif = cx.k.devs.l3mdev_master(cx.skbs[skb].dev);
        let flow = FlowOut { oif, daddr: to, saddr, tos, mark, proto: IPPROTO_ICMP, ..FlowOut::default() };
        let routed = ip_route_output_flow(cx, netns, flow, Some(reply)).ok();
        let error = IcmpError { kind, code: 0, info: 0 };
        let allowed = routed.filter(|(route, _)| {
            !is_limited(cx, netns, error)
                || icmp_global_allow(cx, netns) && icmpv4_xrlim_allow(cx, netns, route.dev, to)
        });
        let Some((route, flow)) = allowed else {
            cx.discard_skb(reply);
            return None;
        };
        cx.call(Func::IcmpPushReply, reply);
        let data = cx.skbs.data_mut(reply);
        data[0] = kind;
        data[2..4].fill(0);
        let check = checksum(data);
        data[2..4].copy_from_slice(&check.to_be_bytes());
        let header = IpHeader {
            saddr: flow.saddr,
            daddr: to,
            protocol: IPPROTO_ICMP,
            ttl: 0,
            tos,
            dont_fragment: false,
            ignore_df: true,
        };
        ip_make_header(cx, netns, reply, route, header);
        Some(Door::IpPushPendingFrames { skb: reply })
    })
}

/// A new packet with the same data.
fn copy(cx: &mut Cx, skb: SkbId) -> SkbId {
    let pkt = &cx.skbs[skb];
    let (buf, data, tail, dev) = (pkt.buf, pkt.data, pkt.tail, pkt.dev);
    let buf = cx.skbs.bufs.copy_expand(buf, 0, 0);
    let new = cx.skbs.build_skb(buf, data as usize, dev);
    cx.skbs[new].tail = tail;
    new
}

/// The source address of a reply: the packet's destination or, for multicast and broadcast, a local address
/// (`fib_compute_spec_dst`).
fn fib_compute_spec_dst(cx: &mut Cx, netns: NetnsId, skb: SkbId, iph: &Ipv4Hdr) -> Ipv4Addr {
    let flags = cx.skbs[skb].dst.map_or(0, |route| route.flags);
    if flags & (RTCF_BROADCAST | RTCF_MULTICAST | RTCF_LOCAL) == RTCF_LOCAL {
        return iph.daddr.get();
    }
    let saddr = iph.saddr.get();
    let dev = cx.skbs[skb].dev;
    if is_zeronet(saddr) {
        return inet_select_addr(cx.k, dev, saddr, Scope::LINK);
    }
    let flow = FlowOut { daddr: saddr, oif: cx.k.devs.l3mdev_master(dev), ..FlowOut::default() };
    match ip_route_output_key(cx, netns, flow, None) {
        Ok((_, flow)) => flow.saddr,
        Err(_) => inet_select_addr(cx.k, dev, saddr, Scope::UNIVERSE),
    }
}

/// Handles an error about a packet sent by this host: reports it to the socket and updates the path MTU.
///
/// Kernel: net/ipv4/icmp.c
/// Not modelled: source quench.
pub fn icmp_unreach(cx: &mut Cx, skb: SkbId) -> Door {
    let data = cx.skbs.data(skb);
    let Some(icmp) = IcmpHdr::read_from_prefix(data).ok().map(|(icmp, _)| icmp) else {
        return bad(cx, skb, DropReason::PktTooSmall);
    };
    let quote = data.get(ICMP_HLEN..).and_then(|quote| Ipv4Hdr::read_from_prefix(quote).ok());
    let Some((inner, _)) = quote else { return bad(cx, skb, DropReason::NotSpecified) };
    if inner.header_len() < IPV4_HLEN {
        return bad(cx, skb, DropReason::PktTooSmall);
    }
    let info = match (icmp.kind, icmp.code) {
        (ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED) => u32::from(icmp.sequence.get()),
        (ICMP_PARAMETERPROB, _) => u32::from(icmp.id.get()) >> 8,
        _ => 0,
    };
    // Nobody is told of codes that are unknown, and of fragments that came too late.
    let is_ignored = match icmp.kind {
        ICMP_DEST_UNREACH => icmp.code > 15,
        ICMP_TIME_EXCEEDED => icmp.code == ICMP_EXC_FRAGTIME,
        _ => false,
    };
    if is_ignored {
        return cx.consume_skb(skb);
    }
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    if is_bogus(cx, netns, skb, &inner) {
        return cx.consume_skb(skb);
    }
    if icmp.kind == ICMP_DEST_UNREACH && icmp.code == ICMP_FRAG_NEEDED {
        learn_path_mtu(cx, netns, &inner, info);
    }
    let error = IcmpError { kind: icmp.kind, code: icmp.code, info };
    icmp_socket_deliver(cx, skb, &inner, error);
    cx.consume_skb(skb)
}

/// `icmp_ignore_bogus_error_responses` is off, and the error is about a broadcast, which no host may answer with one: it is
/// logged.
fn is_bogus(cx: &mut Cx, netns: NetnsId, skb: SkbId, inner: &Ipv4Hdr) -> bool {
    let net = &cx.k.netns[netns];
    let (dev, to) = (cx.skbs[skb].dev, inner.daddr.get());
    let bogus = net.sysctls.get(&IGNORE_BOGUS_ERROR_RESPONSES) == 0
        && inet_addr_type(&net.ipv4.fib, to).0 == RouteType::Broadcast;
    if bogus {
        cx.printk_limited(4, |cx| {
            let from = ip_hdr(cx, skb).map_or(Ipv4Addr::UNSPECIFIED, |iph| iph.saddr.get());
            let icmp = cx.skbs.data(skb);
            vec![format!(
                "{from} sent an invalid ICMP type {}, code {} error to a broadcast: {to} on {}",
                icmp[0], icmp[1], cx.k.devs[dev].name
            )]
        });
    }
    bogus
}

fn learn_path_mtu(cx: &mut Cx, netns: NetnsId, inner: &Ipv4Hdr, mtu: u32) {
    if cx.k.netns[netns].sysctls.get(&IP_NO_PMTU_DISC) != 0 {
        return;
    }
    let (daddr, saddr) = (inner.daddr.get(), inner.saddr.get());
    let flow = FlowOut { daddr, saddr, tos: inner.tos, proto: inner.protocol, ..FlowOut::default() };
    if let Ok((route, _)) = ip_route_output_key(cx, netns, flow, None)
        && !route.mtu_locked
    {
        ip_rt_update_pmtu(cx, netns, route.dev, daddr, mtu);
    }
}

/// Reports an error to the sockets that may have sent the quoted packet (`icmp_socket_deliver`).
fn icmp_socket_deliver(cx: &mut Cx, skb: SkbId, inner: &Ipv4Hdr, error: IcmpError) {
    raw::raw_icmp_error(cx, skb, inner, error);
    match inner.protocol {
        IPPROTO_ICMP => ping::ping_err(cx, skb, inner, error),
        IPPROTO_UDP => udp::udp_err(cx, skb, inner, error),
        IPPROTO_TCP => tcp_ipv4::tcp_v4_err(cx, skb, inner, error),
        _ => {
            tell_protocol(cx, skb, inner, error);
        }
    }
}

/// Tells the protocol of a packet of an ICMP error about it; false: none of its own (`net_protocol::err_handler`).
pub fn tell_protocol(cx: &mut Cx, skb: SkbId, inner: &Ipv4Hdr, error: IcmpError) -> bool {
    let told = (error.kind, error.code, error.info);
    let mut handlers = cx.k.modules.iter().filter_map(|module| module.err_handler);
    handlers.any(|handler| handler(cx, skb, inner, told))
}

/// Handles a redirect.
///
/// Kernel: net/ipv4/icmp.c
/// Not modelled: redirects of whole networks differ in nothing from those of hosts, as in the kernel.
pub fn icmp_redirect(cx: &mut Cx, skb: SkbId) -> Door {
    let data = cx.skbs.data(skb);
    let gateway = data.get(4..8).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let inner = data.get(ICMP_HLEN..).and_then(|quote| Ipv4Hdr::read_from_prefix(quote).ok());
    let (Some(gateway), Some((inner, _))) = (gateway, inner) else {
        return bad(cx, skb, DropReason::PktTooSmall);
    };
    // Of an echo reply and of a datagram whoever sent it; else the socket follows (`icmp_err`, `udp_err`).
    let is_reply = || quoted_payload(cx, skb, &inner).first() == Some(&ICMP_ECHOREPLY);
    if inner.protocol == IPPROTO_UDP || inner.protocol == IPPROTO_ICMP && is_reply() {
        ip_do_redirect(cx, skb, inner.daddr.get(), gateway);
    }
    let error = IcmpError { kind: ICMP_REDIRECT, code: ICMP_REDIR_HOST, info: gateway };
    icmp_socket_deliver(cx, skb, &inner, error);
    cx.consume_skb(skb)
}
