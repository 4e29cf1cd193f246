//! Deferred release of packets: after the packets that they caused, or outside of an interrupt. VLAN tags are taken out of frames.
//!
//! Kernel: net/core/skbuff.c, net/core/dev.c

use std::sync::Arc;

use crate::door::{Door, Func};
use crate::ids::SkbId;
use crate::tables::drop_reason::DropReason;
use crate::tables::ip_tunnel::IpTunnelInfo;
use crate::tables::route::Rtable;
use crate::tables::skb::PacketType;
use crate::tables::softnet::Softirq;
use crate::tables::vlan_tag::VlanProto;
use crate::trace::Context;
use crate::{Cx, Kernel};

/// Consumes a packet later.
pub fn consume_later(cx: &mut Cx, skb: SkbId) -> Door {
    cx.consume_skb(skb)
}

/// Drops a packet later.
pub fn kfree_later(cx: &mut Cx, skb: SkbId, reason: DropReason) -> Door {
    cx.kfree_skb(skb, reason)
}

/// Frees a packet that a card has sent. An interrupt leaves that to the next `NET_TX_SOFTIRQ` of its CPU.
pub fn dev_consume_skb_any(cx: &mut Cx, skb: SkbId) {
    cx.within(Func::DevKfreeSkbAny, skb, |cx| {
        if cx.context != Context::HardIrq {
            cx.consume_skb(skb);
            return;
        }
        let sd = &mut cx.k.cpus[cx.cpu.index()];
        sd.completion_queue.push(skb);
        sd.raise(Softirq::NetTx);
    });
}

/// Takes a tag that stands in the frame out, unless one stands beside it already. False if the frame is too short.
#[cold]
pub fn skb_vlan_untag(cx: &mut Cx, skb: SkbId) -> bool {
    let pkt = &cx.skbs[skb];
    if VlanProto::of(pkt.protocol).is_none() {
        return true;
    }
    cx.call(Func::SkbVlanUntag, skb);
    if cx.skbs[skb].vlan_tag.is_some() {
        return true;
    }
    let taken = cx.skbs.pull_tag(skb);
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = pkt.data;
    taken
}

/// Gives a packet its route, with what the next hop tells a tunnel's device (`skb_dst_set`).
#[inline]
pub fn skb_dst_set(cx: &mut Cx, skb: SkbId, route: Rtable) {
    let tun_info = lwt_tun_info(cx.k, &route);
    let pkt = &mut cx.skbs[skb];
    (pkt.dst, pkt.tun_info) = (Some(route), tun_info);
}

/// What a route's next hop tells a tunnel's device.
#[inline]
pub fn lwt_tun_info(kernel: &Kernel, route: &Rtable) -> Option<Arc<IpTunnelInfo>> {
    let at = route.lwt_nexthop()?;
    let fib = &kernel.netns[kernel.devs[route.dev].netns].ipv4.fib;
    fib.infos.find(route.info?)?.nexthops.get(at)?.lwtstate.clone()
}

/// Forgets route and netfilter state of a packet that goes on as another's; between namespaces also the mark. The socket stays, so
/// that what waits behind the device still counts for it.
pub fn skb_scrub_packet(cx: &mut Cx, skb: SkbId, crosses_netns: bool) {
    let pkt = &mut cx.skbs[skb];
    pkt.pkt_type = PacketType::Host;
    pkt.skb_iif = 0;
    pkt.drop_dst();
    pkt.nf_trace = false;
    pkt.nf_bridge = None;
    pkt.ip.flags = 0;
    if crosses_netns {
        pkt.ipvs_property = false;
        pkt.mark = 0;
    }
    cx.nf_reset_ct(skb);
}
