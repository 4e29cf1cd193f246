//! Ways to the destination: masquerading, direct routing, tunnels.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_xmit.c
//! Not modelled: checksums that a tunnel leaves to the receiver (`--tun-remcsum`), and that of GRE to a device, are computed.

use std::net::Ipv4Addr;

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::gre::{GRE_BASE_HLEN, Gre, gre_set_csum};
use glassnet_wire::gue::{GUE_HLEN, GueHdr};
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED};
use glassnet_wire::ipv4::{IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr, ip_send_check};
use glassnet_wire::udp::UDP_HLEN;
use zerocopy::IntoBytes;

use super::ip_vs_core::{IpVsIphdr, conn, dest, dest_mut, mark_done};
use super::ip_vs_ctl::{PMTU_DISC, settings};
use super::ip_vs_icmp::ip_vs_nat_icmp;
use super::ip_vs_nfct::{ip_vs_confirm_conntrack, ip_vs_notrack};
use super::ip_vs_proto::{Direction, ip_vs_nat_packet};
use crate::Cx;
use crate::door::{Door, Func};
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::net::core::gso;
use crate::net::core::skbuff::skb_dst_set;
use crate::net::ipv4::icmp::{ICMP_EXC_TTL, ICMP_FRAG_NEEDED, ICMP_HOST_UNREACH, IcmpError, icmp_send};
use crate::net::ipv4::ip_input::{ip_hdr, snmp};
use crate::net::ipv4::ip_output::{IGNORE_DF, IpHeader, ip_select_ident, push_ip_header};
use crate::net::ipv4::ip_tunnel_core::{ip_tunnel_ecn_encap, iptunnel_handle_offloads};
use crate::net::ipv4::route::{dst_mtu, ip_route_output_key, ipv4_dst_check, keep};
use crate::net::ipv4::udp_tunnel_core::{udp_flow_src_port, udp_push_header};
use crate::net::netfilter::core::nf_hook;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_vs::conn::ConnId;
use crate::tables::ip_vs::svc::{DestSpec, TunType};
use crate::tables::ip_vs::{
    CONN_F_BYPASS, CONN_F_DROUTE, CONN_F_LOCALNODE, CONN_F_MASQ, CONN_F_NFCT, CONN_F_TUNNEL,
};
use crate::tables::netfilter::{Hook, HookState, Site};
use crate::tables::route::{FlowOut, RTCF_LOCAL, Rtable};

/// The greatest path MTU that a tunnel may leave, bytes.
const LEAST_MTU: u32 = 68;
/// The checksum of a tunnel's header (`IP_VS_TUNNEL_ENCAP_FLAG_CSUM`).
const ENCAP_FLAG_CSUM: u16 = 1;
/// The checksum is left to the receiver (`IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM`).
const ENCAP_FLAG_REMCSUM: u16 = 2;

/// Which routes a way may take (`IP_VS_RT_MODE_*`).
#[derive(Clone, Copy, Debug)]
struct RtMode {
    /// To this host.
    local: bool,
    /// To this host although the packet was to go on.
    redirect: bool,
    /// The destination is the next hop, whatever the packet's address is.
    known_nh: bool,
    /// Through a tunnel.
    tunnel: bool,
}

const MASQ: RtMode = RtMode { local: true, redirect: true, known_nh: false, tunnel: false };
const DROUTE: RtMode = RtMode { local: true, redirect: false, known_nh: true, tunnel: false };
const TUNNEL: RtMode = RtMode { local: true, redirect: false, known_nh: false, tunnel: true };
const NON_LOCAL: RtMode = RtMode { local: false, redirect: false, known_nh: false, tunnel: false };

/// A route was found.
struct OutRt {
    /// To this host: the packet keeps the route that it has.
    local: bool,
    /// The source address that the route chose.
    saddr: Ipv4Addr,
}

/// The packet is dropped, after an ICMP error if there is one.
struct NoRoute(Option<Door>);

fn icmp_error(cx: &mut Cx, skb: SkbId, kind: u8, code: u8, info: u32) -> NoRoute {
    NoRoute(icmp_send(cx, skb, IcmpError { kind, code, info }))
}

/// A route to an address, by no more than that (`do_output_route4`). A tunnel's is asked for again with the source that it chose.
fn do_output_route4(
    cx: &mut Cx,
    skb: SkbId,
    state: &HookState,
    daddr: Ipv4Addr,
    mode: RtMode,
) -> Result<(Rtable, FlowOut), Errno> {
    let flow = FlowOut { daddr, ..FlowOut::default() };
    let (mut route, mut flow) = ip_route_output_key(cx, state.netns, flow, Some(skb))?;
    if mode.tunnel && !flow.saddr.is_unspecified() {
        let again = FlowOut { daddr, saddr: flow.saddr, ..FlowOut::default() };
        (route, flow) = ip_route_output_key(cx, state.netns, again, Some(skb))?;
    }
    if mode.known_nh && route.gateway.is_unspecified() {
        route.gateway = daddr;
    }
    Ok((route, flow))
}

/// The route to the connection's destination, which keeps it, or to an address.
fn output_route(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    state: &HookState,
    daddr: Ipv4Addr,
    mode: RtMode,
) -> Result<(Rtable, FlowOut), Errno> {
    let Some(to) = conn(cx.k, id).and_then(|conn| conn.dest) else {
        return do_output_route4(cx, skb, state, daddr, mode);
    };
    let (mut kept, daddr) = dest(cx.k, to).map_or((None, daddr), |dest| (dest.dst, dest.spec.addr));
    let found = match ipv4_dst_check(cx.k, state.netns, &mut kept) {
        Some(found) => Ok(found),
        None => {
            let found = do_output_route4(cx, skb, state, daddr, mode);
            kept = found.ok().and_then(|found| keep(cx.k, state.netns, found));
            found
        }
    };
    if let Some(dest) = dest_mut(cx.k, to) {
        dest.dst = kept;
    }
    found
}

/// Gives a packet the route to its destination, and lowers its TTL (`__ip_vs_get_out_rt`).
fn get_out_rt(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    state: &HookState,
    iph: &IpVsIphdr,
    mode: RtMode,
) -> Result<OutRt, NoRoute> {
    cx.within(Func::IpVsGetOutRt, skb, |cx| {
        let (bypasses, daddr) =
            conn(cx.k, id).map_or((true, iph.daddr), |conn| (conn.fwd() == CONN_F_BYPASS, conn.daddr));
        let daddr = if bypasses { iph.daddr } else { daddr };
        let Ok((route, flow)) = output_route(cx, skb, id, state, daddr, mode) else {
            return Err(icmp_error(cx, skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0));
        };
        let local = route.flags & RTCF_LOCAL != 0;
        if crosses_local_route_boundary(cx, skb, mode, local) {
            return Err(NoRoute(None));
        }
        let found = OutRt { local, saddr: flow.saddr };
        if local {
            return Ok(found);
        }
        decrement_ttl(cx, skb)?;
        ensure_mtu_is_adequate(cx, skb, id, state, iph, (mode, &route))?;
        cx.skbs[skb].drop_dst();
        skb_dst_set(cx, skb, route);
        if state.hook == Hook::LocalOut {
            cx.skbs[skb].dev = route.dev;
        }
        Ok(found)
    })
}

/// The packet would come to this host, or leave it, against what the way allows.
fn crosses_local_route_boundary(cx: &Cx, skb: SkbId, mode: RtMode, local: bool) -> bool {
    let was_local = cx.skbs[skb].dst.is_some_and(|route| route.flags & RTCF_LOCAL != 0);
    let from_loopback = ip_hdr(cx, skb).is_some_and(|iph| iph.saddr.get().is_loopback());
    if local { !mode.local || !mode.redirect && !was_local } else { from_loopback }
}

fn decrement_ttl(cx: &mut Cx, skb: SkbId) -> Result<(), NoRoute> {
    if ip_hdr(cx, skb).is_none_or(|iph| iph.ttl <= 1) {
        snmp(cx, skb).ip.InHdrErrors += 1;
        return Err(icmp_error(cx, skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0));
    }
    let at = cx.skbs[skb].network_header;
    if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        iph.decrease_ttl();
    }
    Ok(())
}

/// The packet fits, or may be fragmented.
fn ensure_mtu_is_adequate(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    state: &HookState,
    iph: &IpVsIphdr,
    (mode, route): (RtMode, &Rtable),
) -> Result<(), NoRoute> {
    let mut mtu = dst_mtu(cx, route);
    if mode.tunnel {
        let spec = tunnel_of(cx, id).ok_or(NoRoute(None))?;
        mtu = mtu.saturating_sub((IPV4_HLEN + encap_len(&spec)) as u32);
        if mtu < LEAST_MTU {
            return Err(NoRoute(None));
        }
        if settings(cx.k, state.netns).get(&PMTU_DISC) == 0 {
            return Ok(());
        }
    }
    let dont_fragment = ip_hdr(cx, skb).is_some_and(Ipv4Hdr::dont_fragment);
    if dont_fragment && !iph.icmp && !gso::fits(cx, skb, cx.skbs[skb].len(), mtu as usize) {
        return Err(icmp_error(cx, skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu));
    }
    Ok(())
}

fn tunnel_of(cx: &Cx, id: ConnId) -> Option<DestSpec> {
    conn(cx.k, id)?.dest.and_then(|id| dest(cx.k, id)).map(|dest| dest.spec)
}

/// Length of the headers behind the outer IPv4 header, bytes.
fn encap_len(spec: &DestSpec) -> usize {
    match spec.tun_type {
        TunType::Ipip => 0,
        TunType::Gue => UDP_HLEN + GUE_HLEN,
        TunType::Gre => GRE_BASE_HLEN + if spec.tun_flags & ENCAP_FLAG_CSUM != 0 { 4 } else { 0 },
    }
}

fn tx_error(cx: &mut Cx, skb: SkbId, NoRoute(error): NoRoute) -> Verdict {
    let reason = DropReason::NotSpecified;
    Verdict::Stolen(match error {
        Some(door) => {
            cx.afterwards(Door::KfreeSkb { skb, reason });
            door
        }
        None => cx.kfree_skb(skb, reason),
    })
}

/// Sends a packet by the way of its connection (`cp->packet_xmit`).
pub(super) fn ip_vs_xmit(cx: &mut Cx, skb: SkbId, id: ConnId, state: &HookState, iph: &IpVsIphdr) -> Verdict {
    match conn(cx.k, id).map(|conn| conn.fwd()) {
        Some(CONN_F_MASQ) => ip_vs_nat_xmit(cx, skb, id, state, iph),
        Some(CONN_F_TUNNEL) => ip_vs_tunnel_xmit(cx, skb, id, state, iph),
        Some(CONN_F_DROUTE) => ip_vs_dr_xmit(cx, skb, id, state, iph),
        Some(CONN_F_LOCALNODE) => {
            cx.call(Func::IpVsNullXmit, skb);
            send_or_cont(cx, skb, id, state, true)
        }
        Some(CONN_F_BYPASS) => ip_vs_bypass_xmit(cx, skb, id, state, iph),
        _ => Verdict::Accept,
    }
}

/// The packet goes through OUTPUT, as if this host sent it.
fn local_out(cx: &mut Cx, skb: SkbId) -> Verdict {
    cx.xmit_succeeded(skb);
    Verdict::Stolen(nf_hook(cx, Site::IpLocalOut, skb))
}

/// Sends a packet, or lets it go on to this host (`ip_vs_send_or_cont`).
fn send_or_cont(cx: &mut Cx, skb: SkbId, id: ConnId, _: &HookState, local: bool) -> Verdict {
    cx.skbs[skb].ipvs_property = true;
    if conn(cx.k, id).is_none_or(|conn| !conn.has(CONN_F_NFCT)) {
        ip_vs_notrack(cx, skb);
    }
    if local { Verdict::Accept } else { local_out(cx, skb) }
}

/// The same for one whose destination was rewritten (`ip_vs_nat_send_or_cont`).
fn nat_send_or_cont(cx: &mut Cx, skb: SkbId, id: ConnId, local: bool) -> Verdict {
    cx.call(Func::IpVsNatSendOrCont, skb);
    mark_done(cx, skb, id, true);
    if local { Verdict::Accept } else { local_out(cx, skb) }
}

/// The packet came in, and no rule let it come to `127.0.0.0/8`.
fn goes_to_loopback(cx: &Cx, skb: SkbId, id: ConnId, state: &HookState) -> bool {
    let came_in = state.hook != Hook::LocalOut && !cx.k.devs[cx.skbs[skb].dev].is_loopback();
    came_in && conn(cx.k, id).is_some_and(|conn| conn.daddr.is_loopback())
}

/// Masquerading: the destination's address and port are written into the packet.
fn ip_vs_nat_xmit(cx: &mut Cx, skb: SkbId, id: ConnId, state: &HookState, iph: &IpVsIphdr) -> Verdict {
    cx.within(Func::IpVsNatXmit, skb, |cx| {
        let local = match get_out_rt(cx, skb, id, state, iph, MASQ) {
            Ok(found) => found.local,
            Err(none) => return tx_error(cx, skb, none),
        };
        if local && goes_to_loopback(cx, skb, id, state)
            || !ip_vs_nat_packet(cx, skb, id, iph, Direction::Input)
        {
            return tx_error(cx, skb, NoRoute(None));
        }
        cx.skbs[skb].ip.flags |= IGNORE_DF;
        nat_send_or_cont(cx, skb, id, local)
    })
}

/// Direct routing: the packet goes as it is to the destination's MAC address.
fn ip_vs_dr_xmit(cx: &mut Cx, skb: SkbId, id: ConnId, state: &HookState, iph: &IpVsIphdr) -> Verdict {
    cx.within(Func::IpVsDrXmit, skb, |cx| send_unchanged(cx, skb, id, state, iph, DROUTE))
}

/// The packet goes past the service, to where it would have gone.
pub(super) fn ip_vs_bypass_xmit(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    state: &HookState,
    iph: &IpVsIphdr,
) -> Verdict {
    cx.within(Func::IpVsBypassXmit, skb, |cx| send_unchanged(cx, skb, id, state, iph, NON_LOCAL))
}

fn send_unchanged(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    state: &HookState,
    iph: &IpVsIphdr,
    mode: RtMode,
) -> Verdict {
    match get_out_rt(cx, skb, id, state, iph, mode) {
        Ok(found) => {
            if !found.local {
                ip_send_check(cx.skbs.data_mut(skb));
                cx.skbs[skb].ip.flags |= IGNORE_DF;
            }
            send_or_cont(cx, skb, id, state, found.local)
        }
        Err(none) => tx_error(cx, skb, none),
    }
}

/// A tunnel: the packet goes in another to the destination.
fn ip_vs_tunnel_xmit(cx: &mut Cx, skb: SkbId, id: ConnId, state: &HookState, iph: &IpVsIphdr) -> Verdict {
    cx.within(Func::IpVsTunnelXmit, skb, |cx| {
        let found = match get_out_rt(cx, skb, id, state, iph, TUNNEL) {
            Ok(found) => found,
            Err(none) => return tx_error(cx, skb, none),
        };
        if found.local {
            return send_or_cont(cx, skb, id, state, true);
        }
        let (Some(spec), Some(inner), Some(route)) =
            (tunnel_of(cx, id), ip_hdr(cx, skb).copied(), cx.skbs[skb].dst)
        else {
            return tx_error(cx, skb, NoRoute(None));
        };
        let skb = with_headroom(cx, skb);
        let tos = ip_tunnel_ecn_encap(cx, skb, inner.tos);
        let dont_fragment = settings(cx.k, state.netns).get(&PMTU_DISC) != 0 && inner.dont_fragment();
        iptunnel_handle_offloads(cx, skb);
        let protocol = encap(cx, skb, &spec, found.saddr);
        let header = IpHeader {
            saddr: found.saddr,
            daddr: spec.addr,
            protocol,
            ttl: inner.ttl,
            tos,
            dont_fragment,
            ignore_df: true,
        };
        let (dev, segs) = (cx.skbs[skb].dev, cx.skbs[skb].gso_segs.max(1));
        // What a socket of this host sent has a number although it is not cut, as in front of the tunnel.
        let needs_id = !dont_fragment || cx.skbs[skb].ip.flags & IGNORE_DF != 0;
        let ident = if needs_id { ip_select_ident(cx, state.netns, segs) } else { 0 };
        push_ip_header(cx, skb, route, &header, ident);
        let pkt = &mut cx.skbs[skb];
        pkt.dev = if state.hook == Hook::LocalOut { route.dev } else { dev };
        pkt.ip.flags |= IGNORE_DF;
        pkt.ipvs_property = true;
        tunnel_out(cx, skb, id)
    })
}

/// The packet itself, or one with headroom and bytes of its own in its place (`ip_vs_prepare_tunneled_skb`).
fn with_headroom(cx: &mut Cx, skb: SkbId) -> SkbId {
    let is_short = cx.skbs[skb].short_headroom;
    if !is_short && !cx.skbs.is_cloned(skb) {
        return skb;
    }
    let new = if is_short { cx.skb_clone(skb) } else { cx.pskb_copy(skb) };
    (cx.skbs[new].short_headroom, cx.skbs[new].is_tcp_clone) = (false, false);
    cx.consume_skb(skb);
    new
}

/// The packet's connection is entered, and the outer packet is a new one to connection tracking (`ip_vs_tunnel_xmit_prepare`).
fn tunnel_out(cx: &mut Cx, skb: SkbId, id: ConnId) -> Verdict {
    if conn(cx.k, id).is_some_and(|conn| conn.has(CONN_F_NFCT)) {
        match ip_vs_confirm_conntrack(cx, skb) {
            Verdict::Accept => {}
            Verdict::Drop(_) | Verdict::DropErr(_) => {
                return Verdict::Stolen(cx.kfree_skb(skb, DropReason::NotSpecified));
            }
            stolen @ Verdict::Stolen(_) => return stolen,
        }
    }
    cx.nf_reset_ct(skb);
    cx.xmit_succeeded(skb);
    Verdict::Stolen(Door::IpLocalOut { skb })
}

/// Puts the headers between the outer and the inner one in front, and returns their protocol.
fn encap(cx: &mut Cx, skb: SkbId, spec: &DestSpec, saddr: Ipv4Addr) -> u8 {
    match spec.tun_type {
        TunType::Ipip => IPPROTO_IPIP,
        TunType::Gue => {
            let source = udp_flow_src_port(cx, skb, (0, 0));
            cx.skbs.push(skb, GUE_HLEN);
            cx.skbs.data_mut(skb)[..GUE_HLEN].copy_from_slice(GueHdr::new(IPPROTO_IPIP).as_bytes());
            let csum = spec.tun_flags & (ENCAP_FLAG_CSUM | ENCAP_FLAG_REMCSUM) != 0;
            udp_push_header(cx, skb, (source, spec.tun_port), csum.then_some((saddr, spec.addr)));
            IPPROTO_UDP
        }
        TunType::Gre => {
            let has_csum = spec.tun_flags & ENCAP_FLAG_CSUM != 0;
            let header = Gre { protocol: ETH_P_IP, has_csum, key: None, seq: None }.write();
            cx.skbs.push(skb, header.len());
            let packet = cx.skbs.data_mut(skb);
            packet[..header.len()].copy_from_slice(&header);
            if has_csum {
                gre_set_csum(packet);
            }
            IPPROTO_GRE
        }
    }
}

/// An ICMP error about a connection goes to the destination, with its addresses (`ip_vs_icmp_xmit`).
pub(super) fn ip_vs_icmp_xmit(
    cx: &mut Cx,
    skb: SkbId,
    id: ConnId,
    state: &HookState,
    iph: &IpVsIphdr,
    quoted: &IpVsIphdr,
) -> Verdict {
    cx.within(Func::IpVsIcmpXmit, skb, |cx| {
        if conn(cx.k, id).is_some_and(|conn| conn.fwd() != CONN_F_MASQ) {
            let verdict = ip_vs_xmit(cx, skb, id, state, quoted);
            if let Some(conn) = cx.k.ip_vs.conns.get_mut(id) {
                conn.in_pkts += 1;
            }
            return verdict;
        }
        let mode = if state.hook == Hook::Forward { NON_LOCAL } else { MASQ };
        let local = match get_out_rt(cx, skb, id, state, quoted, mode) {
            Ok(found) => found.local,
            Err(none) => return tx_error(cx, skb, none),
        };
        if local && goes_to_loopback(cx, skb, id, state)
            || !ip_vs_nat_icmp(cx, skb, id, Direction::Input, iph, quoted)
        {
            return tx_error(cx, skb, NoRoute(None));
        }
        cx.skbs[skb].ip.flags |= IGNORE_DF;
        nat_send_or_cont(cx, skb, id, local)
    })
}
