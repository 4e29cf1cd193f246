//! Copies of packets for another host.
//!
//! Kernel: net/ipv4/netfilter/nf_dup_ipv4.c

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::{IP_DF, Ipv4Hdr};
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::ipv4::fib_rules::fib_rules_lookup;
use crate::net::ipv4::route::{IPTOS_RT_MASK, ip_route_output_key};
use crate::tables::conntrack::NfCt;
use crate::tables::drop_reason::DropReason;
use crate::tables::fib::Searched;
use crate::tables::fib_trie::Flow;
use crate::tables::netfilter::{Hook, HookState};
use crate::tables::route::FlowOut;
use crate::tables::skb::IpCb;

/// Copies of a namespace that have not left yet.
#[derive(Debug, Default)]
struct Copies {
    waiting: Vec<SkbId>,
    /// Copies are being sent, and are not copied themselves (`nf_skb_duplicated`).
    sending: bool,
}

/// Makes a copy of a packet and routes it to `gateway`, by `oif` if given. True: [`nf_dup_ipv4_send`] is to be called.
///
/// The kernel sends it at once; here the table that is being traversed has to be put back first, as the copy meets it again.
pub fn nf_dup_ipv4(cx: &mut Cx, skb: SkbId, state: HookState, gateway: Ipv4Addr, oif: Option<DevId>) -> bool {
    let copies: &mut Copies = cx.k.netns[state.netns].generic.get_mut();
    if copies.sending {
        return false;
    }
    cx.within(Func::NfDupIpv4, skb, |cx| {
        let copy = cx.skbs.clone_skb(skb);
        let at = cx.skbs[copy].network_header;
        let pkt = &mut cx.skbs[copy];
        (pkt.nfct, pkt.ip) = (NfCt::Untracked, IpCb::default());
        if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(copy, at) {
            iph.frag_off = U16::new(iph.frag_off.get() | IP_DF);
            // Two hosts may send each other copies of copies.
            if matches!(state.hook, Hook::PreRouting | Hook::LocalIn) {
                iph.ttl = iph.ttl.wrapping_sub(1);
            }
            let tos = iph.tos;
            let flow = FlowOut { daddr: gateway, oif, tos, ..FlowOut::default() };
            if let Ok((mut route, _)) = ip_route_output_key(cx, state.netns, flow, Some(copy)) {
                // The next hop is the gateway, whatever the packet's destination (`FLOWI_FLAG_KNOWN_NH`); not where only the
                // device was a reason to send it there.
                if route.gateway.is_unspecified() && has_route(cx, state.netns, &flow) {
                    route.gateway = gateway;
                }
                (cx.skbs[copy].dev, cx.skbs[copy].dst) = (route.dev, Some(route));
                cx.k.netns[state.netns].generic.get_mut::<Copies>().waiting.push(copy);
                return true;
            }
        }
        cx.kfree_skb(copy, DropReason::NotSpecified);
        false
    })
}

/// The routing tables have a route for this flow, which was looked up before.
fn has_route(cx: &Cx, netns: NetnsId, flow: &FlowOut) -> bool {
    let FlowOut { daddr, oif, tos, .. } = *flow;
    oif.is_none() || {
        let loopback = cx.k.netns[netns].loopback;
        let query =
            Flow { dst: daddr, oif, iif: Some(loopback), tos: tos & IPTOS_RT_MASK, ..Flow::default() };
        fib_rules_lookup(cx.k, netns, &query, &mut Searched::default()).is_ok()
    }
}

/// Sends the copies that wait.
pub fn nf_dup_ipv4_send(cx: &mut Cx, netns: NetnsId) {
    let copies: &mut Copies = cx.k.netns[netns].generic.get_mut();
    copies.sending = true;
    for skb in std::mem::take(&mut copies.waiting) {
        cx.walk(Door::IpLocalOut { skb });
    }
    cx.k.netns[netns].generic.get_mut::<Copies>().sending = false;
}
