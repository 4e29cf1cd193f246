//! IPv4's part of netfilter.
//!
//! Kernel: net/ipv4/netfilter.c

pub mod ip_tables;
pub mod ipt_ah;
pub mod ipt_ecn;
pub mod ipt_icmp;
pub mod ipt_reject;
pub mod ipt_rpfilter;
pub mod nf_defrag_ipv4;
pub mod nf_dup_ipv4;
pub mod nf_reject_ipv4;

use std::net::Ipv4Addr;

use super::fib_frontend::inet_addr_type_dev_table;
use super::ip_input::ip_hdr;
use super::route::ip_route_output_key;
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::net::core::skbuff::skb_dst_set;
use crate::netlink::Errno;
use crate::tables::route::FlowOut;
use crate::tables::route_types::RouteType;

/// Routes a local packet again after netfilter changed its route's key (`ip_route_me_harder`).
///
/// # Errors
///
/// Without a route, the packet is to be dropped.
pub fn ip_route_me_harder(cx: &mut Cx, skb: SkbId) -> Result<(), Errno> {
    cx.within(Func::IpRouteMeHarder, skb, |cx| {
        let route = cx.skbs[skb].dst.ok_or(Errno::EINVAL)?;
        let iph = *ip_hdr(cx, skb).ok_or(Errno::EINVAL)?;
        let netns = cx.k.devs[route.dev].netns;
        let source = iph.saddr.get();
        let kind = inet_addr_type_dev_table(cx.k, route.dev, source).0;
        let any_source = matches!(kind, RouteType::Local | RouteType::Unicast);
        let bound = cx.skbs[skb].sk.and_then(|sk| cx.k.sockets.get(sk)).map_or(0, |sk| sk.opts.bound_dev_if);
        let flow = FlowOut {
            daddr: iph.daddr.get(),
            saddr: if any_source { source } else { Ipv4Addr::UNSPECIFIED },
            oif: cx.k.dev_by_index(netns, bound).or_else(|| cx.k.devs.l3mdev_master(route.dev)),
            tos: iph.tos,
            mark: cx.skbs[skb].mark,
            any_source,
            ..FlowOut::default()
        };
        let (route, _) = ip_route_output_key(cx, netns, flow, Some(skb))?;
        cx.skbs[skb].dev = route.dev;
        skb_dst_set(cx, skb, route);
        Ok(())
    })
}
