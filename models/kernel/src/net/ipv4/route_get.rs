//! RTM_GETROUTE for one destination (`ip route get`).
//!
//! Kernel: net/ipv4/route.c (`inet_rtm_getroute`)

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::ipv4::{IPPROTO_UDP, IPV4_HLEN, InAddr, Ipv4Hdr};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U16;

use super::fib_rules::fib_lookup;
use super::route::{Martian, dst_metric, ip_route_input_noref, ip_route_output_key};
use crate::Cx;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::core::skbuff::lwt_tun_info;
use crate::netlink::{Errno, NlError};
use crate::tables::drop_reason::DropReason;
use crate::tables::fib_trie::{FibRow, Flow};
use crate::tables::jiffies::last_tick;
use crate::tables::route::{DstInput, FlowOut, Rtable};
use crate::tables::route_types::{Metrics, RTAX_HOPLIMIT, RTAX_MTU, RouteAnswer, RouteQuery, Scope};

/// Answers RTM_GETROUTE for one destination.
///
/// # Errors
///
/// Those of a packet's routing; ENODEV for an input device that is down or missing.
pub fn rtm_getroute(cx: &mut Cx, netns: NetnsId, query: &RouteQuery) -> Result<RouteAnswer, NlError> {
    let answer = answer(cx, netns, query);
    if answer.is_err() {
        // The packet that was to be routed; with an answer it carries the message.
        let skb = build_skb(cx, cx.k.netns[netns].loopback, query);
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    answer
}

fn answer(cx: &mut Cx, netns: NetnsId, query: &RouteQuery) -> Result<RouteAnswer, NlError> {
    let (route, flow) = match query.iif {
        Some(_) => as_input(cx, netns, query)?,
        None => as_output(cx, netns, query)?,
    };
    let flow_in = Flow {
        dst: flow.daddr,
        src: query.src,
        oif: query.oif,
        iif: query.iif.or(Some(cx.k.netns[netns].loopback)),
        mark: query.mark,
        tos: query.tos,
        proto: query.ip_proto,
        sport: query.sport,
        dport: query.dport,
        ..Flow::default()
    };
    let found = fib_lookup(cx, netns, &flow_in, None).ok();
    let fib = &cx.k.netns[netns].ipv4.fib;
    let entry = found.filter(|_| query.fibmatch).and_then(|found| {
        let is_it = |row: &&FibRow| {
            let alias = &row.alias;
            (row.prefix, row.len, alias.tos, alias.info) == (found.prefix, found.len, found.tos, found.info)
        };
        fib.table_rows(found.table).iter().find(is_it).map(|row| fib.message(row))
    });
    if query.fibmatch && entry.is_none() {
        return Err(Errno::EHOSTUNREACH.into());
    }
    let mut metrics = route.info.map_or_else(Metrics::default, |info| fib.infos.get(info).metrics);
    metrics.0[RTAX_MTU] = route.mtu;
    metrics.0[RTAX_HOPLIMIT] = dst_metric(cx, &route, RTAX_HOPLIMIT);
    let now = last_tick(cx.now);
    let exception = cx.k.netns[netns].ipv4.exceptions.find(route.dev, flow.daddr, now);
    let expires = exception.map(|found| found.expires.since(now).0);
    Ok(RouteAnswer {
        kind: route.kind,
        dst: query.dst,
        src: query.src,
        table: found.map_or(0, |found| found.table),
        tos: found.map_or(0, |found| found.tos),
        scope: Scope::UNIVERSE,
        prefsrc: (query.iif.is_none() && !flow.saddr.is_unspecified()).then_some(flow.saddr),
        encap: lwt_tun_info(cx.k, &route).map(|info| info.key),
        oif: Some(route.dev),
        via: (!route.gateway.is_unspecified()).then_some(route.gateway),
        iif: query.iif,
        mark: query.mark,
        rtcf: route.flags,
        metrics,
        expires,
        entry,
    })
}

fn as_output(cx: &mut Cx, netns: NetnsId, query: &RouteQuery) -> Result<(Rtable, FlowOut), NlError> {
    let flow = FlowOut {
        daddr: query.dst,
        saddr: query.src,
        oif: query.oif,
        tos: query.tos,
        mark: query.mark,
        proto: query.ip_proto,
        sport: query.sport,
        dport: query.dport,
        ..FlowOut::default()
    };
    ip_route_output_key(cx, netns, flow, None).map_err(NlError::from)
}

/// Creates a packet received by the device (`inet_rtm_getroute_build_skb`).
fn build_skb(cx: &mut Cx, dev: DevId, query: &RouteQuery) -> SkbId {
    let iph = Ipv4Hdr {
        version_ihl: 0x45,
        protocol: if query.ip_proto == 0 { IPPROTO_UDP } else { query.ip_proto },
        saddr: InAddr::new(query.src),
        daddr: InAddr::new(query.dst),
        ..Ipv4Hdr::default()
    };
    let ports = [U16::from(query.sport), U16::from(query.dport)];
    let skb = cx.skbs.alloc_skb(IPV4_HLEN + ports.as_bytes().len(), dev);
    let (header, payload) = cx.skbs.data_mut(skb).split_at_mut(IPV4_HLEN);
    header.copy_from_slice(iph.as_bytes());
    payload.copy_from_slice(ports.as_bytes());
    let at = cx.skbs[skb].data;
    (cx.skbs[skb].network_header, cx.skbs[skb].protocol) = (at, ETH_P_IP);
    skb
}

/// Routes that packet.
fn as_input(cx: &mut Cx, netns: NetnsId, query: &RouteQuery) -> Result<(Rtable, FlowOut), NlError> {
    let dev = query.iif.filter(|dev| cx.k.devs.get(*dev).is_some_and(|dev| dev.netns == netns));
    let dev = dev.ok_or(NlError::from(Errno::ENODEV))?;
    let skb = build_skb(cx, dev, query);
    cx.skbs[skb].mark = query.mark;
    let routed = ip_route_input_noref(cx, skb, query.dst, query.src, query.tos, dev);
    let route = cx.skbs[skb].dst;
    cx.discard_skb(skb);
    let flow = FlowOut { daddr: query.dst, saddr: query.src, ..FlowOut::default() };
    let route = routed.map(|()| route.ok_or(Errno::EINVAL));
    match route {
        Err(Martian::Address) => Err(Errno::EINVAL.into()),
        Err(Martian::RpFilter) => Err(Errno::EXDEV.into()),
        Ok(Err(errno)) => Err(errno.into()),
        Ok(Ok(Rtable { input: DstInput::Error(errno), .. })) => Err(errno.into()),
        Ok(Ok(route)) => Ok((route, flow)),
    }
}
